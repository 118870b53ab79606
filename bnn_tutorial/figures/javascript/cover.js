// The figure Cover: conformal sets of digits at a level, with the coverage that is promised on average
// and what it is for each digit. Shown in the chapter "Conformal prediction".

import * as mathematics from "./cover/conformal.js";
import { ANGLE, BySet, ByDigit, Cards, legends, listText } from "./cover/views.js";
import { Controls, beginFigure, button, html } from "./shared/controls.js";
import { readImages } from "./shared/images.js";
import { readTensors } from "./shared/tensors.js";

export { PageModel } from "./shared/page_model.js";
export { mathematics };

/**
 * @import { Answers, Settings } from "./cover/conformal.js"
 * @import { Model, Place } from "./shared/page_model.js"
 */

/**
 * @typedef {Settings & { seed: number, coverage: number | null, mean_size: number | null,
 *   coverage_by_digit: number[], logits: DataView, labels: DataView, examples: number[],
 *   pixels: DataView }} Traits
 */

const { betaBinomial, bounds, CLASSES, cover, deal, probabilities, rankOf, setOf, sizes, summary } =
  mathematics;
const CALIBRATION_SETS = 200;

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
/** @param {number} share */
const wholePercent = (share) => `${Math.round(100 * share)}\u00a0%`;
/** @param {number} count */
const countText = (count) => count.toLocaleString("en");
/** @param {string} text */
const bold = (text) => html("b", {}, text);

/**
 * Return the answers that the traits bring.
 *
 * @param {Model<Traits>} model
 * @returns {Answers}
 */
export function answersOf(model) {
  const { upright, turned } = readTensors(model.get("logits"));
  const bytes = model.get("labels");
  const labels = Uint8Array.from({ length: bytes.byteLength }, (_, i) => bytes.getUint8(i));
  const examples = new Set(model.get("examples"));
  return {
    upright: probabilities(upright.values),
    turned: probabilities(turned.values),
    labels,
    pool: [...labels.keys()].filter((i) => !examples.has(i)),
  };
}

/**
 * Return how many of the calibration sets the guarantee lets reach each whole percent, on average;
 * null where it is not known.
 *
 * @param {number} total of new digits
 * @param {Settings} settings
 */
function promisedCounts(total, { level, calibration_size: n, class_conditional }) {
  const rank = rankOf(n, level);
  if (class_conditional || rank > n) return null;
  const counts = new Float64Array(101);
  betaBinomial(total, rank, n + 1 - rank).forEach((probability, hits) => {
    counts[Math.round((100 * hits) / total)] += CALIBRATION_SETS * probability;
  });
  return counts;
}

/**
 * Return what is found with one calibration set, and with all.
 *
 * @param {Answers} answers
 * @param {Uint16Array} order of the digits: those in front calibrate
 * @param {Uint16Array[]} deals
 * @param {Settings} settings
 */
function answer(answers, order, deals, settings) {
  const { limits, fresh, coverage, shares } = cover(answers, order, settings);
  const asked = settings.turned ? answers.turned : answers.upright;
  const one = { ...settings, class_conditional: false };
  const plain = bounds(answers, order.subarray(0, settings.calibration_size), one);
  const all = deals.map((each) => cover(answers, each, settings));
  const counts = new Float64Array(101);
  for (const each of all) counts[Math.round(100 * each.coverage)] += 1;
  return {
    asked,
    limits,
    coverage,
    shares,
    total: fresh.length,
    sizes: sizes(asked, fresh, limits),
    plainSize: sizes(asked, fresh, plain).mean,
    digits: CLASSES.map((k) => ({
      share: shares[k],
      size: sizes(asked, fresh.filter((i) => answers.labels[i] === k), limits).mean,
      ...summary(all.map((each) => each.shares[k])),
    })),
    spread: summary(all.map((each) => each.coverage)),
    counts,
    promised: promisedCounts(fresh.length, settings),
  };
}

/**
 * Return the finding in words.
 *
 * @param {Settings} settings
 * @param {ReturnType<typeof answer>} found
 */
function words(settings, { limits, coverage, digits, total, sizes, plainSize }) {
  const { level, calibration_size, class_conditional, turned } = settings;
  const asked = wholePercent(level);
  const free = CLASSES.filter((k) => limits[k] === Infinity);
  if (free.length === CLASSES.length)
    return [
      `${countText(calibration_size)} calibration digits are too few to promise ${asked}`,
      ...(class_conditional ? [" of each digit"] : []),
      ": every set holds ",
      bold("all ten digits"),
      ", which covers everything and says nothing.",
    ];
  const means = digits.map(({ mean }) => mean);
  const [least, most] = [Math.min(...means), Math.max(...means)];
  const [worst, best] = [means.indexOf(least), means.indexOf(most)];
  /** @type {(Node | string)[]} */
  const text = [
    `Of ${countText(total)} new digits ${turned ? `turned by ${ANGLE}° ` : ""}`,
    coverage < level && turned ? "only " : "",
    bold(percent(coverage)),
    ` are in their sets, where ${asked} ${turned ? "was" : "is"} asked for`,
  ];
  if (turned)
    text.push(": the calibration digits are upright, and for others nothing is promised.");
  else if (class_conditional)
    text.push(
      " of each digit: on average over calibration sets from ",
      bold(wholePercent(least)),
      ` of the ${worst}s to `,
      bold(wholePercent(most)),
      ` of the ${best}s.`,
    );
  else
    text.push(
      ". But on average over calibration sets it is ",
      bold(wholePercent(least)),
      ` of the ${worst}s and `,
      bold(wholePercent(most)),
      ` of the ${best}s: the promise is for all digits together, not for each.`,
    );
  text.push(" A set holds ", bold(sizes.mean.toFixed(1)), " digits");
  if (class_conditional) text.push(`, where one bound for all would give ${plainSize.toFixed(1)}`);
  if (sizes.empty > 0.005) text.push(`; ${wholePercent(sizes.empty)} of the sets are empty`);
  text.push(".");
  if (free.length)
    text.push(
      ` There are too few calibration digits of ${listText(free)} to promise ${asked}: every set ` +
        `holds ${free.length > 1 ? "them" : "it"}.`,
    );
  return text;
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "cover");
  const controls = new Controls(model);
  const answers = answersOf(model);
  const examples = model.get("examples");
  const deals = Array.from({ length: CALIBRATION_SETS }, (_, seed) => deal(answers.pool, seed));
  const cards = new Cards(
    readImages(model.get("pixels")),
    examples.map((i) => answers.labels[i]),
  );
  const byDigit = new ByDigit();
  const bySet = new BySet();
  const result = controls.liveText();
  const average = html("p", { class: "note" });

  function update() {
    /** @type {Settings} */
    const settings = {
      level: model.get("level"),
      calibration_size: model.get("calibration_size"),
      class_conditional: model.get("class_conditional"),
      turned: model.get("turned"),
    };
    const seed = model.get("seed");
    const order = deals[seed] ?? deal(answers.pool, seed);
    const found = answer(answers, order, deals, settings);
    const { asked, limits, coverage, shares, spread } = found;
    cards.show(
      settings.turned,
      examples.map((i) => ({ own: asked[i], set: setOf(asked[i], limits) })),
    );
    byDigit.show({ ...settings, ...found });
    bySet.show({ ...settings, ...found });
    average.replaceChildren(
      `Over ${CALIBRATION_SETS} calibration sets of ${countText(settings.calibration_size)}: `,
      bold(percent(spread.mean)),
      ` on average, 95\u00a0% of them from ${wholePercent(spread.low)} to ${wholePercent(spread.high)}.`,
    );
    result.show(words(settings, found));
    controls.set({ coverage, mean_size: found.sizes.mean, coverage_by_digit: shares });
  }

  controls.onChange(["level", "calibration_size", "class_conditional", "turned", "seed"], update);
  update();
  const { cells, lines } = legends();
  el.append(
    result.node,
    html(
      "div",
      { class: "controls" },
      controls.slider({
        name: "level",
        label: "Level asked for",
        min: 0.5,
        max: 0.99,
        step: 0.01,
        text: wholePercent,
      }),
      controls.slider({
        name: "calibration_size",
        label: "Calibration digits n",
        stops: [10, 20, 50, 100, 200, 500, 1000],
        text: countText,
      }),
      controls.toggle({ name: "class_conditional", label: "A bound for each digit" }),
      controls.toggle({ name: "turned", label: `New digits turned by ${ANGLE}°` }),
    ),
    cards.node,
    cells,
    html(
      "div",
      { class: "plots" },
      html("div", {}, byDigit.plot.svg),
      html(
        "div",
        {},
        bySet.plot.svg,
        average,
        html(
          "div",
          { class: "buttons" },
          button("Another calibration set", () => controls.set({ seed: model.get("seed") + 1 })),
        ),
      ),
    ),
    lines,
  );
  return () => {
    controls.end();
    for (const { plot } of [byDigit, bySet]) plot.end();
  };
}

export default { render };
