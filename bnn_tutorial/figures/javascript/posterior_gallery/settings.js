// What the settings of the figure PosteriorGallery are and may be. posterior_gallery.py has the same
// bounds, to which the sliders lead.

/**
 * @import { Model } from "../shared/page_model.js"
 * @import { Interval } from "../shared/plot.js"
 * @import { Point } from "../shared/points.js"
 * @import { Problem } from "./network.js"
 */

/**
 * @typedef {"map" | "mean field" | "full covariance" | "laplace" | "ensemble" | "swag" | "dropout"
 *   | "hmc" | "langevin"} Method
 * @typedef {{ method: Method, points: Point[], prior_std: number, noise_std: number,
 *   place: number, members: number, learning_rate: number, dropout_rate: number,
 *   step_size: number, leapfrog_steps: number, seed: number, running: boolean, draws: number,
 *   kl: number | null, width_ratio: number | null }} Traits
 * @typedef {Pick<Traits, "method" | "members" | "learning_rate" | "dropout_rate" | "step_size"
 *   | "leapfrog_steps" | "seed">} MethodSettings
 */

/** @type {Record<Method, string>} */
export const METHODS = {
  map: "MAP",
  "mean field": "mean field",
  "full covariance": "full covariance",
  laplace: "Laplace",
  ensemble: "ensemble",
  swag: "SWAG",
  dropout: "dropout",
  hmc: "HMC",
  langevin: "Langevin",
};

/** @type {Interval} */
export const X_DOMAIN = [-3, 3];
/** @type {Interval} */
export const Y_DOMAIN = [-3, 3];
export const MOST_POINTS = 12;

/** Where functions are drawn and their bands compared. */
export const GRID = Float64Array.from({ length: 81 }, (_, i) =>
  X_DOMAIN[0] + ((X_DOMAIN[1] - X_DOMAIN[0]) * i) / 80);

/**
 * Return the problem as the traits have it.
 *
 * @param {Model<Traits>} model
 * @returns {Problem}
 */
export const problemOf = (model) => ({
  x: Float64Array.from(model.get("points"), ([x]) => x),
  y: Float64Array.from(model.get("points"), ([, y]) => y),
  prior_std: model.get("prior_std"),
  noise_std: model.get("noise_std"),
});

/**
 * Return the method with what it goes by, as the traits have them.
 *
 * @param {Model<Traits>} model
 * @returns {MethodSettings}
 */
export const methodOf = (model) => ({
  method: model.get("method"),
  members: model.get("members"),
  learning_rate: model.get("learning_rate"),
  dropout_rate: model.get("dropout_rate"),
  step_size: model.get("step_size"),
  leapfrog_steps: model.get("leapfrog_steps"),
  seed: model.get("seed"),
});
