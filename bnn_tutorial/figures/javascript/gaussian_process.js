// The figure GaussianProcess: an exact posterior that opens where the reader takes the data away.
// Shown on the book's first page.

import { Controls, beginFigure, button, html, prefersStill } from "./shared/controls.js";
import { legend } from "./shared/plot.js";
import * as mathematics from "./gaussian_process/regression.js";
import { FunctionPlot, LEGEND } from "./gaussian_process/views.js";

export { PageModel } from "./shared/page_model.js";
export { mathematics };

/**
 * @import { Place } from "./shared/page_model.js"
 * @import { Picture } from "./gaussian_process/views.js"
 */

/**
 * @typedef {{ window_middle: number, removed: boolean, seed: number, times_wider: number | null }}
 *   Traits
 */

const { condition, makeProblem, NUM_DATA, outside } = mathematics;
const DURATION = 350; // milliseconds, from one posterior to the next

/**
 * Return the picture that is this share of the way from one to another.
 *
 * @param {Picture} one
 * @param {Picture} other
 * @param {number} share
 * @returns {Picture}
 */
function between(one, other, share) {
  /**
   * @param {Float64Array} from
   * @param {Float64Array} to
   */
  const mix = (from, to) => from.map((value, i) => value + share * (to[i] - value));
  return {
    mean: mix(one.mean, other.mean),
    std: mix(one.std, other.std),
    draws: one.draws.map((values, i) => mix(values, other.draws[i])),
  };
}

/**
 * Return the finding in words.
 *
 * @param {boolean} removed
 * @param {number} count of the data in the window
 * @param {number} ratio
 */
function words(removed, count, ratio) {
  const times = html("b", {}, `${ratio.toFixed(1)} times as wide`);
  return removed
    ? [`Without ${count} of the ${NUM_DATA} points the band is `, times, " in the middle of the gap."]
    : [`With all ${NUM_DATA} points the band is narrow. Without these ${count} it is `, times, "."];
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "gaussian_process");
  const controls = new Controls(model);
  const plot = new FunctionPlot((window_middle) => controls.set({ window_middle, removed: true }));
  const result = controls.liveText();
  const toggle = button("", () => controls.set({ removed: !model.get("removed") }));
  let problem = makeProblem(model.get("seed"));

  /** @type {{ from: Picture, to: Picture, passed: number } | null} */
  let way = null;
  /** @type {Picture | null} */
  let shown = null;
  const frames = controls.frames(el, (passed) => {
    if (!way) return;
    way.passed += passed;
    const left = Math.max(1 - way.passed / DURATION, 0);
    shown = left ? between(way.from, way.to, 1 - left ** 3) : way.to;
    plot.paint(shown);
    if (!left) frames.stop();
  });

  /** @param {Picture} picture */
  function lead(picture) {
    if (shown && !prefersStill()) {
      way = { from: shown, to: picture, passed: 0 };
      frames.start();
    } else {
      shown = picture;
      plot.paint(picture);
    }
  }

  function update() {
    const { data } = problem;
    const middle = model.get("window_middle");
    const removed = model.get("removed");
    const isOutside = outside(data.x, middle);
    const all = condition(problem, isOutside.map(() => true));
    const without = condition(problem, isOutside);
    const ratio = without.stdAt(middle) / all.stdAt(middle);
    const count = isOutside.filter((value) => !value).length;
    plot.show({ data, isKept: isOutside.map((value) => value || !removed), middle, removed });
    lead(removed ? without : all);
    toggle.textContent = removed ? `Give the ${count} points back` : "Remove the data here";
    result.show(words(removed, count, ratio));
    controls.set({ times_wider: ratio });
  }

  controls.onChange(["window_middle", "removed"], update);
  controls.onChange(["seed"], () => {
    problem = makeProblem(model.get("seed"));
    update();
  });
  update();
  el.append(
    result.node,
    plot.plot.svg,
    html("div", { class: "buttons" }, toggle, html("span", {}, "or drag the window")),
    legend(LEGEND),
  );
  return () => {
    controls.end();
    plot.plot.end();
  };
}

export default { render };
