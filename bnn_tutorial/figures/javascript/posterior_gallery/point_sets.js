// The methods of the figure PosteriorGallery that answer with a few networks, each with its
// probability: an ensemble of modes, and what dropout leaves of one.

import { randomNormal } from "../shared/gaussian.js";
import { climb, output } from "./network.js";

/**
 * @import { ExactPosterior } from "./exact.js"
 * @import { Moments, Problem, Weights } from "./network.js"
 */

/** @typedef {{ weights: Weights, probability: number }} Network */

/**
 * Return the mean and the standard deviation of f over the networks, at each input.
 *
 * @param {Network[]} networks
 * @param {ArrayLike<number>} x
 * @returns {Moments}
 */
export function setMoments(networks, x) {
  const mean = new Float64Array(x.length);
  const std = new Float64Array(x.length);
  for (let n = 0; n < x.length; n++) {
    const values = networks.map(({ weights }) => output(weights, x[n]));
    networks.forEach(({ probability }, i) => (mean[n] += probability * values[i]));
    networks.forEach(({ probability }, i) =>
      (std[n] += probability * (values[i] - mean[n]) ** 2));
    std[n] = Math.sqrt(std[n]);
  }
  return { mean, std };
}

/**
 * Return the peaks uphill from starts that are drawn from the prior, each as probable as another.
 *
 * @param {Problem} problem
 * @param {{ members: number, seed: number }} options
 */
export function ensemble(problem, { members, seed }) {
  const normal = randomNormal(seed);
  return Array.from({ length: members }, () => {
    /** @type {Weights} */
    const start = [problem.prior_std * normal(), problem.prior_std * normal()];
    return { start, weights: climb(problem, start), probability: 1 / members };
  });
}

/**
 * Return the four networks that dropout on the input and on the hidden unit draws from.
 *
 * What is kept is divided by 1 - rate, so that a mask multiplies a weight by 0 or 1 / (1 - rate).
 * Training maximizes the log-likelihood averaged over the masks, plus the log prior. Wherever a
 * weight is dropped f is 0 whatever the weights are, so that only the mask that keeps both
 * teaches: (1 - rate)² log p(y | u) - |(1 - rate) u|² / 2τ² with u = w / (1 - rate), which is
 * (1 - rate)² times the log joint density of u. The network that keeps both weights is the mode.
 *
 * @param {ExactPosterior} posterior
 * @param {number} dropout_rate
 * @returns {Network[]}
 */
export function dropout({ mode: [w1, w2] }, dropout_rate) {
  const kept = 1 - dropout_rate;
  return [
    { weights: [w1, w2], probability: kept * kept },
    { weights: [w1, 0], probability: kept * dropout_rate },
    { weights: [0, w2], probability: dropout_rate * kept },
    { weights: [0, 0], probability: dropout_rate * dropout_rate },
  ];
}

/**
 * Return how many of the points differ by more than 1e-3.
 *
 * @param {ArrayLike<number>[]} points
 */
export function countDistinct(points) {
  /** @type {ArrayLike<number>[]} */
  const found = [];
  for (const point of points)
    if (!found.some((other) => Array.from(other).every((v, i) => Math.abs(v - point[i]) < 1e-3)))
      found.push(point);
  return found.length;
}
