// Bayes by counting (chapter "Bayes' theorem"): 1,000 people take a test, and the share of the ill
// among those who test positive is the posterior. It is counted in whole people, then worked out by
// the formula.

import { Controls, beginFigure, html, numberText } from "./shared/controls.js";
import { svg } from "./shared/plot.js";

export { PageModel } from "./shared/page_model.js";

/**
 * @import { Range } from "./shared/controls.js"
 * @import { Place } from "./shared/page_model.js"
 */

/**
 * @typedef {{ prevalence: number, sensitivity: number, specificity: number,
 *   positive_tests: number }} Traits
 * @typedef {{ illPositive: number, illNegative: number, healthyPositive: number,
 *   healthyNegative: number }} Counts of people in the four groups
 */

const PEOPLE = 1000;
const [WIDTH, HEIGHT] = [40, 25]; // of a panel, in marks when all people stand there

/**
 * Return p(ill | positive) from p(ill), by Bayes' theorem; sensitivity and prior are above 0.
 *
 * @param {number} prior
 * @param {number} sensitivity
 * @param {number} specificity
 */
export function posterior(prior, sensitivity, specificity) {
  const ill = sensitivity * prior;
  const healthy = (1 - specificity) * (1 - prior);
  return ill / (ill + healthy);
}

/**
 * Return p(ill) before and after each positive test: every posterior is the next test's prior.
 *
 * @param {Traits} traits
 */
export function beliefs({ prevalence, sensitivity, specificity, positive_tests }) {
  const chain = [prevalence];
  while (chain.length <= positive_tests)
    chain.push(posterior(chain[chain.length - 1], sensitivity, specificity));
  return chain;
}

/**
 * Return how many of 1,000 people are expected in each group; positive means in every test.
 *
 * @param {Traits} traits
 * @returns {Counts}
 */
export function expectedCounts({ prevalence, sensitivity, specificity, positive_tests }) {
  const ill = PEOPLE * prevalence;
  const healthy = PEOPLE - ill;
  const illPositive = ill * sensitivity ** positive_tests;
  const healthyPositive = healthy * (1 - specificity) ** positive_tests;
  return {
    illPositive,
    illNegative: ill - illPositive,
    healthyPositive,
    healthyNegative: healthy - healthyPositive,
  };
}

/**
 * Return the groups in whole people: the ill and the positive go to the nearest number.
 *
 * @param {Counts} expected
 * @returns {Counts}
 */
export function wholeCounts(expected) {
  const ill = Math.round(expected.illPositive + expected.illNegative);
  const illPositive = Math.round(expected.illPositive);
  const healthyPositive = Math.round(expected.healthyPositive);
  return {
    illPositive,
    illNegative: ill - illPositive,
    healthyPositive,
    healthyNegative: PEOPLE - ill - healthyPositive,
  };
}

/**
 * Return the fewest columns, so the largest marks, that hold `count` marks in a panel.
 *
 * @param {number} count
 */
export function columnsFor(count) {
  let columns = 8;
  while (columns * Math.floor((columns * HEIGHT) / WIDTH) < count) columns++;
  return columns;
}

// Shape and colour of a mark tell the health; it is large and full for a positive test. A line of
// almost no length is drawn as its cap, round or square: a mark in ten characters.
/** @type {{ key: keyof Counts, name: string, shape: string }[]} */
const GROUPS = [
  { key: "illPositive", name: "ill-positive", shape: "h.01" },
  {
    key: "illNegative",
    name: "ill-negative",
    shape: "m-.34 0a.34 .34 0 1 0 .68 0a.34 .34 0 1 0-.68 0",
  },
  { key: "healthyPositive", name: "healthy-positive", shape: "h.01" },
  { key: "healthyNegative", name: "healthy-negative", shape: "h.01" },
];

/**
 * Return one mark, to stand in a line of text.
 *
 * @param {{ name: string, shape: string }} group
 */
function mark({ name, shape }) {
  const path = svg("path", { d: `M0 0${shape}`, class: name });
  return svg("svg", { class: "person", viewBox: "-.5 -.5 1 1", "aria-hidden": "true" }, path);
}

/** Return a panel; `show(counts, description)` puts so many marks of each group there. */
function iconPanel() {
  const paths = GROUPS.map(({ name }) => svg("path", { class: name }));
  const marks = svg("g", {}, ...paths);
  const viewBox = `0 0 ${WIDTH} ${HEIGHT}`;
  const node = svg("svg", { class: "people", role: "img", viewBox }, marks);
  /**
   * @param {number[]} counts
   * @param {string} description
   */
  const show = (counts, description) => {
    const total = counts.reduce((sum, count) => sum + count);
    const columns = columnsFor(total);
    const pitch = WIDTH / columns;
    marks.setAttribute("transform", `scale(${pitch}) translate(.5 .5)`);
    let place = 0;
    GROUPS.forEach(({ shape }, i) => {
      let d = "";
      for (const end = place + counts[i]; place < end; place++)
        d += `M${place % columns} ${Math.floor(place / columns)}${shape}`;
      paths[i].setAttribute("d", d);
    });
    node.setAttribute("aria-label", description);
  };
  return { node, show };
}

/**
 * Write a probability as a percentage, and never one short of certainty as 100%.
 *
 * @param {number} probability
 */
function percent(probability) {
  const text = numberText(100 * probability);
  return text === "100" && probability < 1 ? "over 99.9%" : `${text}%`;
}

/**
 * @param {number} ill
 * @param {number} all
 */
const areIll = (ill, all) => `${ill} of ${numberText(all, 4)} ${ill === 1 ? "is" : "are"} ill`;

const TIMES = ["", "", " twice", " three times"];
const [ILL_POSITIVE, , HEALTHY_POSITIVE] = GROUPS;

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

/**
 * Return the posterior as a share of the people, or, where people are rounded, a note about it.
 *
 * @param {Counts} counts
 * @param {Counts} expected
 * @param {number} positive_tests
 */
function countedEquation(counts, expected, positive_tests) {
  const { illPositive: ill, healthyPositive: healthy } = counts;
  const positive = expected.illPositive + expected.healthyPositive;
  const whole = GROUPS.every(({ key }) => Math.abs(counts[key] - expected[key]) < 1e-6);
  if (whole) {
    const value = `= ${percent(ill / (ill + healthy))}`;
    const name = `p(ill | positive${TIMES[positive_tests]}), counted`;
    return equation(name, String(ill), String(healthy), value);
  }
  const note =
    ill + healthy === 0
      ? `Fewer than one in ${numberText(PEOPLE)} is expected there (${numberText(positive)}): ` +
        "nobody to count, but the formula answers."
      : `Counts are rounded to whole people; expected are ${numberText(expected.illPositive)} ` +
        `ill of ${numberText(positive, 4)} positive${TIMES[positive_tests]}.`;
  return html("p", { class: "note" }, note);
}

/**
 * Return the last test's posterior by Bayes' theorem.
 *
 * @param {Traits} traits
 * @param {number[]} chain of p(ill) before and after each test
 */
function formulaEquation({ sensitivity, specificity }, chain) {
  const [prior, result] = chain.slice(-2);
  return equation(
    `p(ill | positive${TIMES[chain.length - 1]}), by the formula`,
    `${numberText(sensitivity)} × ${numberText(prior, 4)}`,
    `${numberText(1 - specificity)} × ${numberText(1 - prior, 4)}`,
    `= ${percent(result)}`,
  );
}

/**
 * Return a line for every test and one before: who is left, how many of them are ill, p(ill).
 *
 * @param {Traits} setting
 */
function beliefLines(setting) {
  return beliefs(setting).map((belief, positive_tests, chain) => {
    const counts = wholeCounts(expectedCounts({ ...setting, positive_tests }));
    const positive = counts.illPositive + counts.healthyPositive;
    const share = positive ? areIll(counts.illPositive, positive) : "nobody is there";
    const isLast = positive_tests === chain.length - 1;
    const value = html(isLast ? "strong" : "span", {}, percent(belief));
    const who = ["Everyone", "→ positive once", "→ twice", "→ three times"][positive_tests];
    return html("span", { class: "belief" }, `${who}: ${share}, p(ill) = `, value);
  });
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  const controls = new Controls(model);
  const everyone = iconPanel();
  const positives = iconPanel();
  const titles = [html("p", { class: "title" }), html("p", { class: "title" })];
  const legend = html("ul", { class: "legend columns" });
  const equations = html("div", { class: "equations columns" });
  const result = controls.liveText();

  const draw = () => {
    const setting = {
      prevalence: model.get("prevalence"),
      sensitivity: model.get("sensitivity"),
      specificity: model.get("specificity"),
      positive_tests: model.get("positive_tests"),
    };
    const { positive_tests } = setting;
    const expected = expectedCounts(setting);
    const counts = wholeCounts(expected);
    const ill = counts.illPositive + counts.illNegative;
    const positive = counts.illPositive + counts.healthyPositive;
    const times = TIMES[positive_tests];
    const results = [`positive${times}`, positive_tests > 1 ? "not each time" : "negative"];
    const labels = GROUPS.map(
      ({ key }, i) => `${numberText(counts[key])} ${i < 2 ? "ill" : "healthy"}, ${results[i % 2]}`,
    );
    const share = positive ? areIll(counts.illPositive, positive) : "nobody is there";
    const among = `Only those who test positive${times}`;
    titles[0].replaceChildren("Everyone", html("strong", {}, areIll(ill, PEOPLE)));
    titles[1].replaceChildren(among, html("strong", {}, share));
    everyone.show(
      GROUPS.map(({ key }) => counts[key]),
      `Marks for ${numberText(PEOPLE)} people: ${labels.join("; ")}.`,
    );
    positives.show([counts.illPositive, 0, counts.healthyPositive, 0], `${among}: ${share}.`);
    legend.replaceChildren(
      ...GROUPS.map((group, i) => html("li", {}, mark(group), html("span", {}, labels[i]))),
    );
    const lines = beliefLines(setting);
    const words = lines.map((line) => line.textContent.replace("→", "then").replace("=", "is"));
    result.show(lines, `${words.join("; ")}.`);
    equations.replaceChildren(
      countedEquation(counts, expected, positive_tests),
      formulaEquation(setting, beliefs(setting)),
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
  el.append(
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
    html(
      "div",
      { class: "columns" },
      html("div", {}, titles[0], everyone.node),
      html("div", {}, titles[1], positives.node),
    ),
    legend,
    result.node,
    equations,
  );
  controls.onChange(["prevalence", "sensitivity", "specificity", "positive_tests"], draw);
  draw();
  return () => controls.end();
}

export default { render };
