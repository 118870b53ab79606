// Regression with a Gaussian process, exact for any choice of the data: the mathematics of the
// figure GaussianProcess.

import { cholesky, solveLower, solveUpper } from "../shared/cholesky.js";
import { randomNormal, randomUniform } from "../shared/gaussian.js";

/**
 * @import { Interval } from "../shared/plot.js"
 */

/**
 * @typedef {{ x: Float64Array, y: Float64Array }} Data
 * @typedef {{ mean: Float64Array, std: Float64Array }} Moments of f at some inputs
 * @typedef {{ prior: Float64Array, noise: Float64Array }} Draw a function of the prior at GRID, and
 *   the noise of its own observations of all data
 *
 * @typedef {object} Problem
 * @property {Float64Array} curve that the data come from, at GRID
 * @property {Int32Array} places of the data in GRID
 * @property {Data} data
 * @property {Draw[]} draws
 *
 * @typedef {object} Posterior
 * @property {Float64Array} x of the data
 * @property {Float64Array} y
 * @property {Float64Array} factor of the covariance of the data, noise included
 */

/** @type {Interval} */
export const X_DOMAIN = [-3, 3];
export const WIDTH = 1.8; // of the window
export const NUM_DATA = 25;
export const NOISE_STD = 0.15;
const NUM_DRAWS = 8;
const INTERVALS = 120;

/** Where curves are drawn; the data's inputs are among them, so that a drawn function has a value there. */
export const GRID = Float64Array.from(
  { length: INTERVALS + 1 },
  (_, i) => X_DOMAIN[0] + ((X_DOMAIN[1] - X_DOMAIN[0]) * i) / INTERVALS,
);

/**
 * Return the prior covariance of f at two inputs: the Matérn kernel of smoothness 5/2, whose
 * functions can be differentiated twice, with variance and length scale 1.
 *
 * @param {number} x1
 * @param {number} x2
 */
export function kernel(x1, x2) {
  const d = Math.sqrt(5) * Math.abs(x1 - x2);
  return (1 + d + (d * d) / 3) * Math.exp(-d);
}

/**
 * Return the covariance matrix of f at these inputs, observed with noise, row by row.
 *
 * @param {Float64Array} x
 * @param {number} noiseStd
 */
function covariance(x, noiseStd) {
  const matrix = new Float64Array(x.length ** 2);
  for (let i = 0; i < x.length; i++) {
    for (let j = 0; j < x.length; j++) matrix[i * x.length + j] = kernel(x[i], x[j]);
    matrix[i * x.length + i] += noiseStd ** 2;
  }
  return matrix;
}

const priorFactor = cholesky(covariance(GRID, 0));

/**
 * Return a function of the prior at GRID.
 *
 * @param {() => number} normal
 */
function drawPrior(normal) {
  const z = GRID.map(normal);
  return GRID.map((_, i) => {
    let sum = 0;
    for (let j = 0; j <= i; j++) sum += priorFactor[i * GRID.length + j] * z[j];
    return sum;
  });
}

/**
 * Return a curve drawn from the prior, so that the model's assumptions hold, and what is observed
 * of it; and what the drawn functions are made from.
 *
 * @param {number} seed
 * @returns {Problem}
 */
export function makeProblem(seed) {
  const uniform = randomUniform(seed);
  const normal = randomNormal(seed);
  // The first draws of neighbouring seeds are not independent.
  for (let i = 0; i < 50; i++) normal();
  const curve = drawPrior(normal);
  // One in each of equal parts of the axis, off its middle by less than half: none meets another.
  const places = Int32Array.from({ length: NUM_DATA }, (_, n) =>
    Math.round(((n + 0.5 + 0.6 * (uniform() - 0.5)) * INTERVALS) / NUM_DATA),
  );
  const x = Float64Array.from(places, (place) => GRID[place]);
  const y = Float64Array.from(places, (place) => curve[place] + NOISE_STD * normal());
  const draws = Array.from({ length: NUM_DRAWS }, () => ({
    prior: drawPrior(normal),
    noise: x.map(() => NOISE_STD * normal()),
  }));
  return { curve, places, data: { x, y }, draws };
}

/**
 * Return the exact posterior (Rasmussen and Williams, 2006, algorithm 2.1).
 *
 * @param {Data} data
 * @returns {Posterior}
 */
export const learn = ({ x, y }) => ({ x, y, factor: cholesky(covariance(x, NOISE_STD)) });

/**
 * Return the posterior's mean of f at `inputs` where these `values` are observed in place of y.
 *
 * @param {Posterior} posterior
 * @param {Float64Array} values
 * @param {Float64Array} inputs
 */
function meanGiven({ x, factor }, values, inputs) {
  const weights = solveUpper(factor, solveLower(factor, values));
  return inputs.map((input) => weights.reduce((sum, weight, n) => sum + weight * kernel(input, x[n]), 0));
}

/**
 * Return the posterior's mean and standard deviation of f, the epistemic one, at each input.
 *
 * @param {Posterior} posterior
 * @param {Float64Array} inputs
 * @returns {Moments}
 */
export function moments(posterior, inputs) {
  const { x, y, factor } = posterior;
  const std = inputs.map((input) => {
    const explained = solveLower(factor, x.map((other) => kernel(input, other)));
    return Math.sqrt(kernel(input, input) - explained.reduce((sum, z) => sum + z * z, 0));
  });
  return { mean: meanGiven(posterior, y, inputs), std };
}

/**
 * Return a function of the posterior at GRID: one of the prior, moved by what the data differ from
 * its own observations (Matheron's rule; Wilson et al., 2020).
 *
 * @param {Posterior} posterior
 * @param {Float64Array} prior at GRID
 * @param {Float64Array} observed of that function where the data are, with noise
 */
export function drawPosterior(posterior, prior, observed) {
  const moves = meanGiven(posterior, posterior.y.map((y, n) => y - observed[n]), GRID);
  return prior.map((value, i) => value + moves[i]);
}

/**
 * Return which data are outside the window.
 *
 * @param {Float64Array} x
 * @param {number} middle
 */
export const outside = (x, middle) => Array.from(x, (input) => Math.abs(input - middle) > WIDTH / 2);

/**
 * Return the moments at GRID and the drawn functions that are left of a problem's data, and how
 * wide the band is at other inputs.
 *
 * @param {Problem} problem
 * @param {boolean[]} isKept for each datum
 */
export function condition({ places, data, draws }, isKept) {
  /** @param {Float64Array} values */
  const kept = (values) => values.filter((_, n) => isKept[n]);
  const posterior = learn({ x: kept(data.x), y: kept(data.y) });
  return {
    ...moments(posterior, GRID),
    draws: draws.map(({ prior, noise }) => {
      const observed = noise.map((value, n) => prior[places[n]] + value);
      return drawPosterior(posterior, prior, kept(observed));
    }),
    /** @param {number} x */
    stdAt: (x) => moments(posterior, Float64Array.of(x)).std[0],
  };
}
