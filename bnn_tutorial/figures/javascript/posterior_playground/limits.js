// What the playground's settings are and may be: one place for its sliders, its plot, and addresses
// that a stranger may have written. posterior_playground.py has the same bounds; a test compares.

import { clamp } from "../shared/plot.js";

/**
 * @import { Model } from "../shared/page_model.js"
 * @import { Interval } from "../shared/plot.js"
 * @import { Point } from "../shared/points.js"
 * @import { Speed } from "./session.js"
 * @import { Estimator } from "./training.js"
 */

/**
 * @typedef {[] | [low: number, high: number]} Gap
 * @typedef {{ prior_std: number, kl_weight: number, noise_std: number,
 *   hidden_units: number }} Numbers
 * @typedef {"show_epistemic" | "show_total" | "show_functions" | "show_truth"
 *   | "show_gaussian_process" | "show_dropout" | "show_ensemble"} Switch
 * @typedef {Numbers & Record<Switch, boolean> & { estimator: Estimator,
 *   points: Point[], gap: Gap }} State that the reader sets, and that an address holds
 * @typedef {State & { running: boolean, speed: Speed, address_key: string, steps: number,
 *   loss: number, fit: number, kl: number, outside_total: number, outside_epistemic: number,
 *   curve_outside_epistemic: number }} Traits
 */

/** @type {Record<keyof Numbers, Interval>} */
export const RANGES = {
  prior_std: [0.1, 10],
  kl_weight: [1e-4, 100],
  noise_std: [0.05, 5],
  hidden_units: [1, 200],
};

/**
 * The traits that switch something on or off in the picture.
 *
 * @type {Switch[]}
 */
export const SWITCHES = [
  "show_epistemic",
  "show_total",
  "show_functions",
  "show_truth",
  "show_gaussian_process",
  "show_dropout",
  "show_ensemble",
];

export const NUMBERS = /** @type {(keyof Numbers)[]} */ (Object.keys(RANGES));

/**
 * The traits with which a reader says what is trained and shown; an address holds them.
 *
 * @type {(keyof State)[]}
 */
export const SETTINGS = [...NUMBERS, ...SWITCHES, "estimator", "points", "gap"];

/**
 * The plot's axes; every data point lies on them.
 *
 * @type {Interval}
 */
export const X_DOMAIN = [-3, 3];
/** @type {Interval} */
export const Y_DOMAIN = [-20, 20];

/**
 * The gap that is cut without a pointer.
 *
 * @type {Gap}
 */
export const FIRST_GAP = [-0.75, 0.75];

/**
 * Return the settings as they are now.
 *
 * @param {Model<Traits>} model
 */
export const stateOf = (model) =>
  /** @type {State} */ (Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)])));

export const MOST_POINTS = 300;
export const SMALLEST_GAP = 0.1;

/**
 * Return the point on the axes nearest to (x, y), to two decimals.
 *
 * @param {number} x
 * @param {number} y
 * @returns {Point}
 */
export const pointAt = (x, y) => [
  Number(clamp(x, X_DOMAIN).toFixed(2)),
  Number(clamp(y, Y_DOMAIN).toFixed(2)),
];

/**
 * Return the points that train: those outside the gap.
 *
 * @param {Point[]} points
 * @param {Gap} gap
 */
export const outsideGap = (points, gap) =>
  gap.length ? points.filter(([x]) => x < gap[0] || x > gap[1]) : points;
