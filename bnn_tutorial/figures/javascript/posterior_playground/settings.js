// The playground's settings as controls: of the network and its loss, and of what is drawn.

import { html } from "../shared/controls.js";
import { klSlider } from "./kl_slider.js";
import { outsideGap, RANGES } from "./limits.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Numbers, Switch, Traits } from "./limits.js"
 * @import { Speed } from "./session.js"
 * @import { Estimator } from "./training.js"
 */

/** @type {{ value: Speed, label: string }[]} */
const SPEED_LABELS = [
  { value: "slow", label: "slow" },
  { value: "normal", label: "normal" },
  { value: "fast", label: "fast" },
];
/** @type {{ value: Estimator, label: string }[]} */
const ESTIMATOR_LABELS = [
  { value: "exact", label: "in closed form, no draws" },
  { value: "weight", label: "by drawn weights" },
  { value: "local", label: "by drawn pre-activations (local)" },
];
/** @type {[name: Switch, label: string][]} */
const COMPARISONS = [
  ["show_truth", "True curve"],
  ["show_gaussian_process", "Gaussian process"],
  ["show_dropout", "MC dropout"],
  ["show_ensemble", "Ensemble"],
];
/** @type {[name: Switch, label: string][]} */
const DRAWN = [
  ["show_epistemic", "Epistemic band"],
  ["show_total", "Total band"],
  ["show_functions", "Functions"],
];

/**
 * @param {Controls<Traits>} controls
 * @param {string} legend
 * @param {[name: Switch, label: string][]} labels
 */
const switches = (controls, legend, labels) =>
  html(
    "fieldset",
    { class: "control choice" },
    html("legend", {}, legend),
    ...labels.map(([name, label]) => controls.toggle({ name, label })),
  );

/**
 * Return what is folded away under a heading.
 *
 * @param {string} heading
 * @param {...(Node | string)} nodes
 */
export const fold = (heading, ...nodes) =>
  html("details", {}, html("summary", {}, heading), ...nodes);

/** @param {Controls<Traits>} controls */
export const speedChoice = (controls) =>
  controls.choice({ name: "speed", label: "Speed", options: SPEED_LABELS });

/**
 * Return the nodes of the network's settings: the KL weight with its marks, what the marks mean,
 * then prior and noise, and the width.
 *
 * @param {Controls<Traits>} controls
 * @param {Model<Traits>} model
 */
export function networkSettings(controls, model) {
  const problem = () => ({
    numData: outsideGap(model.get("points"), model.get("gap")).length,
    numParameters: 3 * model.get("hidden_units") + 1,
    noise_std: model.get("noise_std"),
  });
  /**
   * @param {keyof Numbers} name
   * @param {string} label
   * @param {boolean} logarithmic
   */
  const slider = (name, label, logarithmic) => {
    const [min, max] = RANGES[name];
    return controls.slider({ name, label, min, max, logarithmic });
  };
  const names = /** @type {const} */ (["points", "gap", "hidden_units", "noise_std"]);
  return {
    ...klSlider(controls, model, problem, [...names]),
    priorAndNoise: html(
      "div",
      { class: "controls" },
      slider("prior_std", "Prior σ", true),
      slider("noise_std", "Noise s", true),
    ),
    width: slider("hidden_units", "Hidden units H", false),
  };
}

/**
 * Return switches for what is laid over the network's picture, and for its own parts.
 *
 * @param {Controls<Traits>} controls
 */
export const drawnParts = (controls) => [
  switches(controls, "Compare with, mean and ±3σ of the curve", COMPARISONS),
  switches(controls, "Draw the network's", DRAWN),
];

/** @param {Controls<Traits>} controls */
export const estimatorChoice = (controls) =>
  controls.choice({ name: "estimator", label: "The loss is", options: ESTIMATOR_LABELS });
