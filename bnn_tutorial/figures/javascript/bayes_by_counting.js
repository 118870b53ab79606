// Bayes by counting (chapter "Bayes' theorem"): 1,000 people take a test, and the share of the ill
// among those who test positive is the posterior. It is counted in people, then worked out by the
// formula.

import { beliefs, expectedCounts, PEOPLE, wholeCounts } from "./bayes_by_counting/counting.js";
import { GROUPS, mark, Panels } from "./bayes_by_counting/people.js";
import { Controls, beginFigure, html, numberText } from "./shared/controls.js";

export { beliefs, expectedCounts, wholeCounts } from "./bayes_by_counting/counting.js";
export { columnsFor } from "./bayes_by_counting/people.js";
export { PageModel } from "./shared/page_model.js";

/**
 * @import { Setting } from "./bayes_by_counting/counting.js"
 * @import { Range } from "./shared/controls.js"
 * @import { Place } from "./shared/page_model.js"
 */

/** @typedef {Setting} Traits */

const TIMES = ["", "", " twice", " three times"];
const [ILL_POSITIVE, , HEALTHY_POSITIVE] = GROUPS;

/**
 * Write a probability as a percentage, and never one short of certainty as 100%.
 *
 * @param {number} probability
 */
function percent(probability) {
  const text = numberText(100 * probability);
  return text === "100" && probability < 1 ? "over 99.9%" : `${text}%`;
}

/** @param {number} probability */
const equals = (probability) => `= ${percent(probability)}`.replace("= over", ">");

/** @param {number[]} expected */
const areWhole = (...expected) =>
  expected.every((each) => Math.abs(each - Math.round(each)) < 1e-6);

/**
 * Say how many of how many are ill: a count, or what is expected where that is not whole.
 *
 * @param {number} ill
 * @param {number} all
 */
const areIll = (ill, all) =>
  `${numberText(ill)} of ${numberText(all, 4)} ` +
  (areWhole(ill, all) ? `${ill === 1 ? "is" : "are"} ill` : "expected ill");

/**
 * Return "ill over ill plus healthy", each term with its mark, and what it comes to.
 *
 * @param {string} name
 * @param {string} ill
 * @param {string} healthy
 * @param {string} value
 */
function equation(name, ill, healthy, value) {
  const formula = html(
    "span",
    {
      class: "formula",
      role: "math",
      "aria-label": `${ill} over ${ill} plus ${healthy} ${value}`.replaceAll("×", "times"),
    },
    html(
      "span",
      { class: "fraction" },
      html("span", {}, mark(ILL_POSITIVE), ill),
      html("span", {}, mark(ILL_POSITIVE), ill, " + ", mark(HEALTHY_POSITIVE), healthy),
    ),
    ` ${value}`,
  );
  return html("p", {}, html("span", { class: "name" }, name), formula);
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  const controls = new Controls(model);
  const titles = [html("p", { class: "title" }), html("p", { class: "title" })];
  const columns = html("div", { class: "panels columns" });
  const panels = new Panels(columns, controls);
  const legend = html("ul", { class: "legend columns" });
  const note = html("p", { class: "note" });
  const chain = html("p", { class: "chain" });
  const equations = html("div", { class: "equations columns" });
  const result = controls.liveText();

  const draw = () => {
    const setting = {
      prevalence: model.get("prevalence"),
      sensitivity: model.get("sensitivity"),
      specificity: model.get("specificity"),
      positive_tests: model.get("positive_tests"),
    };
    const { sensitivity, specificity, positive_tests } = setting;
    const expected = expectedCounts(setting);
    const counts = wholeCounts(expected);
    const { illPositive, illNegative, healthyPositive } = expected;
    const positive = illPositive + healthyPositive;
    const believed = beliefs(setting);
    const [prior, belief] = believed.slice(-2);
    const times = TIMES[positive_tests];
    const condition = `p(ill | positive${times})`;
    const isCount = areWhole(illPositive, healthyPositive);
    const results = [`positive${times}`, positive_tests > 1 ? "not each time" : "negative"];
    const labels = GROUPS.map(
      ({ key }, i) =>
        `${numberText(expected[key])} ${i < 2 ? "ill" : "healthy"}, ${results[i % 2]}`,
    );
    const among = `Only those who test positive${times}`;
    const share = areIll(illPositive, positive);
    result.show(
      `Of ${numberText(positive, 4)} people ${isCount ? "who" : "expected to"} test ` +
        `positive${times}, ${numberText(illPositive)} ${illPositive === 1 ? "is" : "are"} ill: ` +
        `${condition} ${equals(belief)}.`,
    );
    titles[0].replaceChildren("Everyone", html("strong", {}, areIll(illPositive + illNegative, PEOPLE)));
    titles[1].replaceChildren(among, html("strong", {}, share));
    panels.show(counts, [
      `${numberText(PEOPLE)} people: ${labels.join("; ")}.`,
      `${among}: ${share}.`,
    ]);
    legend.replaceChildren(
      ...GROUPS.map((group, i) => html("li", {}, mark(group), html("span", {}, labels[i]))),
    );
    note.textContent = isCount
      ? "Each mark is a person."
      : counts.illPositive + counts.healthyPositive === 0
        ? "Expected values: too few for a mark."
        : "Expected values; the marks are the nearest whole people.";
    chain.replaceChildren(
      `p(ill), test by test: ${believed.slice(0, -1).map(percent).join(" → ")} → `,
      html("strong", {}, percent(belief)),
    );
    equations.replaceChildren(
      equation(
        `${condition}, ${isCount ? "counted" : "by expected counts"}`,
        numberText(illPositive),
        numberText(healthyPositive),
        equals(belief),
      ),
      equation(
        `${condition}, by the formula`,
        `${numberText(sensitivity)} × ${numberText(prior, 4)}`,
        `${numberText(1 - specificity)} × ${numberText(1 - prior, 4)}`,
        equals(belief),
      ),
    );
  };

  const stops = [
    ...[0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.007],
    ...[0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07],
    ...[0.1, 0.15, 0.2, 0.3, 0.4, 0.5],
  ];
  const quality = { min: 0.5, max: 1, step: 0.005 };
  /** @type {({ name: keyof Traits, label: string } & Range)[]} */
  const sliders = [
    { name: "prevalence", label: "Prevalence: ill among all", stops },
    { name: "sensitivity", label: "Sensitivity: positive among the ill", ...quality },
    { name: "specificity", label: "Specificity: negative among the healthy", ...quality },
  ];
  beginFigure(el, "bayes_by_counting");
  columns.append(
    html("div", {}, titles[0], panels.everyone.node),
    html("div", {}, titles[1], panels.positives.node),
  );
  el.append(
    result.node,
    html(
      "div",
      { class: "controls" },
      ...sliders.map((options) => controls.slider({ ...options, text: percent })),
      controls.choice({
        name: "positive_tests",
        label: "Tests, all positive",
        options: ["one", "two", "three"].map((label, i) => ({ value: i + 1, label })),
      }),
    ),
    columns,
    legend,
    note,
    chain,
    equations,
  );
  controls.onChange(["prevalence", "sensitivity", "specificity", "positive_tests"], draw);
  draw();
  return () => controls.end();
}

export default { render };
