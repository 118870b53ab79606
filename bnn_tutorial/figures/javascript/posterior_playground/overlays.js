// What the playground lays over its network: the exact posterior of the Gaussian process with the
// network's prior mean and covariance, dropout at prediction, and an ensemble. Shown in the chapter
// "Polynomial regression with 3-sigma bands". Data and settings are those of network.js.

import { randomUniform } from "../shared/gaussian.js";
import { pointFit, pointOutputs, startWeights, weightCount } from "./point_network.js";
import { adamStep, createAdam } from "./training.js";

/**
 * @import { Moments, Settings } from "./network.js"
 * @import { Data } from "./point_network.js"
 */

/**
 * @typedef {ReturnType<typeof createMember>} Member
 * @typedef {ReturnType<typeof createDropout>} Dropout
 */

/**
 * Return k(x1, x2), the prior covariance of a 1-H-1 ReLU network's outputs at two inputs.
 *
 * Exact at every width; see `bnn_tutorial.relu_network_kernel` (Cho and Saul, 2009).
 *
 * @param {number} x1
 * @param {number} x2
 * @param {{ hidden_units: number, prior_std: number }} settings
 */
export function reluKernel(x1, x2, { hidden_units, prior_std }) {
  const norms = Math.hypot(1, x1) * Math.hypot(1, x2);
  // The angle between (1, x1) and (1, x2), from its tangent: near 0 a cosine would lose digits.
  const angle = Math.abs(Math.atan2(x2 - x1, 1 + x1 * x2));
  const share = (Math.sin(angle) + (Math.PI - angle) * Math.cos(angle)) / (2 * Math.PI);
  return prior_std ** 2 + hidden_units * prior_std ** 4 * norms * share;
}

/**
 * Return { mean, std } at `xNew` of the Gaussian process with the network's prior covariance.
 *
 * The network of H units becomes this process when its width grows from H on while the prior of its
 * output weights shrinks, so that the covariance stays (Neal, 1996).
 *
 * mean = k* (K + s²I)⁻¹ y and std² = k** - k* (K + s²I)⁻¹ k*, by Cholesky (Rasmussen and Williams,
 * 2006, algorithm 2.1).
 *
 * @param {Data} data
 * @param {ArrayLike<number>} xNew
 * @param {{ hidden_units: number, prior_std: number, noise_std: number }} settings
 * @returns {Moments}
 */
export function gaussianProcess({ x, y }, xNew, settings) {
  const size = x.length;
  const factor = Array.from(x, (of, row) => {
    const values = Float64Array.from({ length: row + 1 }, (_, i) => reluKernel(of, x[i], settings));
    values[row] += settings.noise_std ** 2;
    return values;
  });
  for (let row = 0; row < size; row++)
    for (let column = 0; column <= row; column++) {
      let rest = factor[row][column];
      for (let k = 0; k < column; k++) rest -= factor[row][k] * factor[column][k];
      factor[row][column] = row === column ? Math.sqrt(rest) : rest / factor[column][column];
    }
  /** @param {Float64Array} values */
  const solve = (values) => {
    for (let row = 0; row < size; row++) {
      for (let k = 0; k < row; k++) values[row] -= factor[row][k] * values[k];
      values[row] /= factor[row][row];
    }
    return values;
  };
  const whitened = solve(Float64Array.from(y));
  const mean = new Float64Array(xNew.length);
  const std = new Float64Array(xNew.length);
  for (let n = 0; n < xNew.length; n++) {
    const at = xNew[n];
    const cross = solve(Float64Array.from(x, (of) => reluKernel(of, at, settings)));
    let variance = reluKernel(at, at, settings);
    for (let i = 0; i < size; i++) {
      mean[n] += cross[i] * whitened[i];
      variance -= cross[i] * cross[i];
    }
    // Rounding can take the difference of nearly equal variances below 0.
    std[n] = Math.sqrt(Math.max(variance, 0));
  }
  return { mean, std };
}

/**
 * Return the mean and the standard deviation, at each input, of several functions' values.
 *
 * @param {ArrayLike<number>[]} functions
 * @param {number} size
 * @returns {Moments}
 */
function momentsOf(functions, size) {
  const mean = new Float64Array(size);
  const std = new Float64Array(size);
  for (let n = 0; n < size; n++) {
    for (const values of functions) mean[n] += values[n] / functions.length;
    for (const values of functions) std[n] += (values[n] - mean[n]) ** 2;
    std[n] = Math.sqrt(std[n] / (functions.length - 1));
  }
  return { mean, std };
}

/**
 * A point network with its own Adam.
 *
 * @param {number} hidden_units
 * @param {() => number} uniform
 */
const createMember = (hidden_units, uniform) => ({
  weights: startWeights(hidden_units, uniform),
  gradient: new Float64Array(weightCount(hidden_units)),
  adam: createAdam(weightCount(hidden_units)),
});

/**
 * Take one step down the loss of a point network, mean NLL + λ Σw² / (2τ²N).
 *
 * With λ = 1 this is -log p(w, data) / N up to a constant, so the weight decay is the prior's.
 *
 * @param {Member} member
 * @param {Data} data
 * @param {Settings} settings
 * @param {number} learningRate
 * @param {ArrayLike<number> | null} [scales]
 */
function memberStep({ weights, gradient, adam }, data, settings, learningRate, scales) {
  pointFit(weights, data, settings.noise_std, gradient, scales);
  const decay = settings.kl_weight / (Math.max(data.x.length, 1) * settings.prior_std ** 2);
  for (let i = 0; i < weights.length; i++) gradient[i] += decay * weights[i];
  adamStep(adam, weights, gradient, learningRate);
}

/**
 * Return an ensemble of point networks from different starts (Lakshminarayanan et al., 2017).
 *
 * @param {{ hidden_units: number, members: number, seed: number }} options
 */
export function createEnsemble({ hidden_units, members, seed }) {
  const uniform = randomUniform(seed);
  return Array.from({ length: members }, () => createMember(hidden_units, uniform));
}

/**
 * Take one step with every member.
 *
 * @param {Member[]} ensemble
 * @param {Data} data
 * @param {Settings} settings
 * @param {number} learningRate
 */
export function ensembleStep(ensemble, data, settings, learningRate) {
  for (const member of ensemble) memberStep(member, data, settings, learningRate);
}

/**
 * Return the mean and the standard deviation across the members at `x`.
 *
 * @param {Member[]} ensemble
 * @param {ArrayLike<number>} x
 */
export const ensembleMoments = (ensemble, x) =>
  momentsOf(ensemble.map(({ weights }) => pointOutputs(weights, x)), x.length);

/**
 * Return a network whose hidden units are dropped with probability `rate`.
 *
 * @param {{ hidden_units: number, rate: number, seed: number }} options
 */
export function createDropout({ hidden_units, rate, seed }) {
  const uniform = randomUniform(seed);
  return { ...createMember(hidden_units, uniform), hidden_units, rate, uniform };
}

/**
 * Return factors of hidden units: 0 for the dropped ones, 1 / (1 - rate) for the others.
 *
 * @param {number} count
 * @param {number} rate
 * @param {() => number} uniform
 */
const dropped = (count, rate, uniform) =>
  Float64Array.from({ length: count }, () => (uniform() < rate ? 0 : 1 / (1 - rate)));

/**
 * Take one step in which every datum drops its own units.
 *
 * @param {Dropout} dropout
 * @param {Data} data
 * @param {Settings} settings
 * @param {number} learningRate
 */
export function dropoutStep(dropout, data, settings, learningRate) {
  const { hidden_units, rate, uniform } = dropout;
  const scales = dropped(data.x.length * hidden_units, rate, uniform);
  memberStep(dropout, data, settings, learningRate, scales);
}

/**
 * Return the mean and the standard deviation over `count` passes that drop units, at `x`.
 *
 * A pass drops the same units at all inputs and so is one function (Gal and Ghahramani, 2016). The
 * same seed drops the same units.
 *
 * @param {{ weights: ArrayLike<number>, hidden_units: number, rate: number }} dropout
 * @param {ArrayLike<number>} x
 * @param {{ count: number, seed: number }} options
 */
export function dropoutMoments({ weights, hidden_units, rate }, x, { count, seed }) {
  const uniform = randomUniform(seed);
  const passes = Array.from({ length: count }, () =>
    pointOutputs(weights, x, dropped(hidden_units, rate, uniform)));
  return momentsOf(passes, x.length);
}
