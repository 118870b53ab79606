// The playground's settings as controls: of the network and its loss, and of what is drawn.

import { html } from "../shared/controls.js";
import { klSlider } from "./kl_slider.js";
import { outsideGap, RANGES } from "./limits.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Numbers, Switch, Traits } from "./limits.js"
 * @import { Estimator } from "./training.js"
 */

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
 * Return the nodes of the sliders: the KL weight with its marks, then prior, noise and width.
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
  return [
    klSlider(controls, model, problem, ["points", "gap", "hidden_units", "noise_std"]),
    html(
      "div",
      { class: "controls" },
      slider("prior_std", "Prior σ of every weight", true),
      slider("noise_std", "Noise s of the likelihood", true),
      slider("hidden_units", "Hidden units H", false),
    ),
  ];
}

/**
 * Return switches for what can be laid over the network's picture.
 *
 * @param {Controls<Traits>} controls
 */
export const comparisons = (controls) => switches(controls, "Compare with", COMPARISONS);

/**
 * Return what few readers look for, folded away.
 *
 * @param {Controls<Traits>} controls
 */
export const moreSettings = (controls) =>
  html(
    "details",
    { class: "live" },
    html("summary", {}, "More: the estimator, and what is drawn"),
    controls.choice({ name: "estimator", label: "The loss is", options: ESTIMATOR_LABELS }),
    switches(controls, "Drawn", DRAWN),
  );
