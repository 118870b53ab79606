// The figure TwoKinds: the band of an exact regression in its two parts, one of which shrinks as
// data come in. Shown in the chapter "Two kinds of uncertainty".

import { Controls, beginFigure, button, html } from "./shared/controls.js";
import { placeText } from "./shared/place_mark.js";
import { legend } from "./shared/plot.js";
import * as mathematics from "./two_kinds/regression.js";
import { BandPlot, countText, GRID, LEGEND, OverCounts, OverInputs } from "./two_kinds/views.js";

export { PageModel } from "./shared/page_model.js";
export { mathematics };

/**
 * @import { Model, Place } from "./shared/page_model.js"
 * @import { Posterior, Source } from "./two_kinds/regression.js"
 */

/**
 * @typedef {Source & { num_data: number, place: number, epistemic_std: number | null,
 *   outside_total: number | null, outside_epistemic: number | null }} Traits
 */

const { audit, COUNTS, FEWEST, gapOf, learn, makeData, moments, MOST, noiseAt, OBSERVATIONS, trueCurve } =
  mathematics;
const NOMINAL = 0.27; // % of a Gaussian beyond three standard deviations

/** @param {number} std */
const stdText = (std) => std.toFixed(3);

/**
 * Return the source of the data as the traits have it.
 *
 * @param {Model<Traits>} model
 * @returns {Source}
 */
const sourceOf = (model) => ({
  noise_std: model.get("noise_std"),
  noise_grows: model.get("noise_grows"),
  gap_width: model.get("gap_width"),
  gap_middle: model.get("gap_middle"),
  seed: model.get("seed"),
});

/**
 * Return what is seen and what is found at these settings.
 *
 * @param {Source} source
 * @param {number} count of data
 * @param {number} place
 */
function answer(source, count, place) {
  const data = makeData(source);
  const posteriors = learn(data, source, [...COUNTS, count]);
  /** @param {number} n */
  const after = (n) => /** @type {Posterior} */ (posteriors.get(n));
  /**
   * @param {number} n
   * @param {number} x
   */
  const stdAt = (n, x) => moments(after(n), Float64Array.of(x)).std[0];
  return {
    content: {
      data: { x: data.x.subarray(0, count), y: data.y.subarray(0, count) },
      gap: gapOf(source),
      curve: GRID.map(trueCurve(source.seed)),
      band: moments(after(count), GRID),
      noise: GRID.map((x) => noiseAt(source, x)),
      bounds: { fewest: moments(after(FEWEST), GRID).std, most: moments(after(MOST), GRID).std },
      at: {
        x: place,
        epistemic: stdAt(count, place),
        noise: noiseAt(source, place),
        byCount: Float64Array.from(COUNTS, (n) => stdAt(n, place)),
      },
    },
    /** The epistemic standard deviation at x with these data, with the fewest and with the most. */
    stds: (/** @type {number} */ x) => [count, FEWEST, MOST].map((n) => stdAt(n, x)),
    outside: audit(after(count), source),
  };
}

/**
 * Return the finding in words.
 *
 * @param {ReturnType<typeof answer>} found
 * @param {number} count
 * @param {Source} source
 */
function words({ content: { at, gap }, stds, outside }, count, { gap_width, gap_middle }) {
  /** @param {number} share */
  const percent = (share) => html("b", {}, `${(100 * share).toFixed(share < 0.1 ? 2 : 0)} %`);
  const [now, fewest, most] = stds(at.x).map(stdText);
  const isInGap = at.x > gap[0] && at.x < gap[1];
  return [
    `With ${countText(count)} data the epistemic std at ${placeText(at.x)} `,
    ...(isInGap ? ["in the gap "] : []),
    "is ",
    html("b", {}, now),
    `, on its way from ${fewest} with ${FEWEST} to ${most} with ${countText(MOST)}; the noise stays `,
    html("b", {}, stdText(at.noise)),
    ".",
    ...(gap_width > 0 && !isInGap
      ? [
          " In the middle of the gap the epistemic std is ",
          html("b", {}, stdText(stds(gap_middle)[0])),
          ".",
        ]
      : []),
    ` Of ${countText(OBSERVATIONS)} new observations `,
    percent(outside.total),
    ` fall outside the total band (nominal ${NOMINAL} %), but `,
    percent(outside.epistemic),
    " outside the epistemic band, which is about the curve, not about them.",
  ];
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "two_kinds");
  const controls = new Controls(model);
  const bands = new BandPlot((place) => controls.set({ place }));
  const overInputs = new OverInputs();
  const overCounts = new OverCounts();
  const result = controls.liveText();

  function update() {
    const source = sourceOf(model);
    const count = model.get("num_data");
    const found = answer(source, count, model.get("place"));
    const { content, outside } = found;
    bands.show(content);
    overInputs.show(content);
    overCounts.show(count, content.at);
    result.show(words(found, count, source));
    controls.set({
      epistemic_std: content.at.epistemic,
      outside_total: outside.total,
      outside_epistemic: outside.epistemic,
    });
  }

  controls.onChange(
    ["num_data", "noise_std", "noise_grows", "gap_width", "gap_middle", "place", "seed"],
    update,
  );
  update();
  el.append(
    result.node,
    html(
      "div",
      { class: "views" },
      html("div", { class: "bands" }, bands.plot.svg),
      html("div", { class: "over-counts" }, overCounts.plot.svg),
      html(
        "div",
        { class: "controls" },
        controls.slider({ name: "num_data", label: "Number of data N", stops: COUNTS }),
        controls.slider({
          name: "noise_std",
          label: "Noise std",
          min: 0.05,
          max: 0.6,
          step: 0.05,
          text: (value) => value.toFixed(2),
        }),
        controls.toggle({ name: "noise_grows", label: "Noise grows with x" }),
        controls.slider({
          name: "gap_width",
          label: "Width of the gap",
          min: 0,
          max: 3,
          step: 0.1,
          text: (value) => (value ? value.toFixed(1) : "no gap"),
        }),
      ),
      html("div", { class: "over-inputs" }, overInputs.plot.svg),
    ),
    legend(LEGEND),
    html(
      "details",
      { class: "live" },
      html("summary", {}, "Move the gap, draw other data"),
      html(
        "div",
        { class: "controls" },
        controls.slider({
          name: "gap_middle",
          label: "Middle of the gap",
          min: -1.5,
          max: 1.5,
          step: 0.1,
        }),
      ),
      html(
        "div",
        { class: "buttons" },
        button("Another curve and its data", () => controls.set({ seed: model.get("seed") + 1 })),
      ),
    ),
  );
  return () => {
    controls.end();
    for (const { plot } of [bands, overInputs, overCounts]) plot.end();
  };
}

export default { render };
