// A Bayesian linear regression on fixed bumps with a known noise, exact for any number of data: the
// mathematics of the figure TwoKinds, explained in the chapter "Two kinds of uncertainty".

import { cholesky, solveLower, solveUpper } from "../shared/cholesky.js";
import { randomNormal, randomUniform } from "../shared/gaussian.js";

/**
 * @import { Interval } from "../shared/plot.js"
 */

/**
 * What the data come from.
 *
 * @typedef {{ noise_std: number, noise_grows: boolean, gap_width: number, gap_middle: number,
 *   seed: number }} Source
 * @typedef {{ x: Float64Array, y: Float64Array }} Data
 * @typedef {{ mean: Float64Array, factor: Float64Array }} Posterior of the weights: their mean, and
 *   the Cholesky factor of their precision, lower, row by row
 * @typedef {{ mean: Float64Array, std: Float64Array }} Moments of f at some inputs
 */

/** @type {Interval} */
export const X_DOMAIN = [-3, 3];
export const SIGMAS = 3;
export const PRIOR_STD = 0.75; // of a weight; of f it is 1.0
const WIDTH = 0.4; // of a bump
const CENTRES = Float64Array.from({ length: 21 }, (_, j) => (j - 10) * 0.4);
const P = CENTRES.length;

/** Numbers of data, four to a doubling. */
export const COUNTS = Array.from({ length: 25 }, (_, i) => Math.round(25 * 2 ** (i / 4)));
export const FEWEST = COUNTS[0];
export const MOST = COUNTS[COUNTS.length - 1];
export const OBSERVATIONS = 2000; // of the audit

const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

/** @param {number} x */
export const features = (x) =>
  CENTRES.map((centre) => Math.exp(-((x - centre) ** 2) / (2 * WIDTH ** 2)));

/**
 * @param {Float64Array} a
 * @param {Float64Array} b
 */
function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/**
 * Return the standard deviation of the noise at x.
 *
 * @param {Pick<Source, "noise_std" | "noise_grows">} source
 * @param {number} x
 */
export const noiseAt = ({ noise_std, noise_grows }, x) => noise_std * (noise_grows ? 1 + x / 4 : 1);

/** @param {Source} source @returns {Interval} */
export const gapOf = ({ gap_middle, gap_width }) => [
  gap_middle - gap_width / 2,
  gap_middle + gap_width / 2,
];

/**
 * Return a function that draws standard normal numbers, of three streams for each seed.
 *
 * The first draws are left out: over many seeds those of the generator are not independent, and
 * their mean is not 0.
 *
 * @param {number} seed
 * @param {0 | 1 | 2} stream
 */
function normalStream(seed, stream) {
  const normal = randomNormal(3 * seed + stream);
  for (let i = 0; i < 50; i++) normal();
  return normal;
}

/**
 * Return the curve that the data come from, drawn from the prior: the model's assumptions hold.
 *
 * @param {number} seed
 */
export function trueCurve(seed) {
  const normal = normalStream(seed, 0);
  const weights = CENTRES.map(() => PRIOR_STD * normal());
  /** @param {number} x */
  return (x) => dot(features(x), weights);
}

/**
 * Return the most data that the figure has. With fewer it has the first of them.
 *
 * They come from one sequence without an end, of which inputs in the gap are left out: a wider gap
 * moves no datum outside it. Multiples of the golden ratio are spread evenly however many there are.
 *
 * @param {Source} source
 * @returns {Data}
 */
export function makeData(source) {
  const curve = trueCurve(source.seed);
  const normal = normalStream(source.seed, 1);
  const start = randomUniform(source.seed)();
  const [low, high] = gapOf(source);
  const x = new Float64Array(MOST);
  const y = new Float64Array(MOST);
  for (let n = 0, i = 0; n < MOST; i++) {
    const share = (start + i * GOLDEN_RATIO) % 1;
    const input = X_DOMAIN[0] + (X_DOMAIN[1] - X_DOMAIN[0]) * share;
    const noise = normal() * noiseAt(source, input);
    if (input > low && input < high) continue;
    x[n] = input;
    y[n++] = curve(input) + noise;
  }
  return { x, y };
}

/**
 * Return new observations, evenly over the whole axis, the gap too.
 *
 * @param {Source} source
 * @returns {Data}
 */
export function newObservations(source) {
  const curve = trueCurve(source.seed);
  const normal = normalStream(source.seed, 2);
  const step = (X_DOMAIN[1] - X_DOMAIN[0]) / OBSERVATIONS;
  const x = Float64Array.from({ length: OBSERVATIONS }, (_, n) => X_DOMAIN[0] + (n + 0.5) * step);
  return { x, y: x.map((input) => curve(input) + normal() * noiseAt(source, input)) };
}

/**
 * Return the exact posterior (Bishop, 2006, section 3.3) after the first `count` data, for each of
 * these counts.
 *
 * @param {Data} data
 * @param {Source} source whose noise is known
 * @param {number[]} counts
 * @returns {Map<number, Posterior>}
 */
export function learn({ x, y }, source, counts) {
  const precision = new Float64Array(P * P);
  const moment = new Float64Array(P);
  for (let i = 0; i < P; i++) precision[i * P + i] = 1 / PRIOR_STD ** 2;
  const wanted = new Set(counts);
  const found = new Map();
  for (let n = 0; found.size < wanted.size; n++) {
    if (wanted.has(n)) {
      const factor = cholesky(precision);
      found.set(n, { mean: solveUpper(factor, solveLower(factor, moment)), factor });
    }
    if (n === x.length) break;
    const phi = features(x[n]);
    const weight = 1 / noiseAt(source, x[n]) ** 2;
    for (let i = 0; i < P; i++) {
      moment[i] += weight * phi[i] * y[n];
      for (let j = 0; j <= i; j++) precision[i * P + j] += weight * phi[i] * phi[j];
    }
  }
  return found;
}

/**
 * Return the posterior's mean and standard deviation of f, the epistemic one, at each input.
 *
 * @param {Posterior} posterior
 * @param {Float64Array} x
 * @returns {Moments}
 */
export function moments({ mean, factor }, x) {
  const phis = Array.from(x, features);
  return {
    mean: Float64Array.from(phis, (phi) => dot(phi, mean)),
    std: Float64Array.from(phis, (phi) => {
      const z = solveLower(factor, phi);
      return Math.sqrt(dot(z, z));
    }),
  };
}

/**
 * Return the share of new observations outside each 3-sigma band: of both parts, and of the curve.
 *
 * @param {Posterior} posterior
 * @param {Source} source
 */
export function audit(posterior, source) {
  const { x, y } = newObservations(source);
  const { mean, std } = moments(posterior, x);
  const outside = { total: 0, epistemic: 0 };
  for (let n = 0; n < x.length; n++) {
    const distance = Math.abs(y[n] - mean[n]);
    if (distance > SIGMAS * Math.hypot(std[n], noiseAt(source, x[n]))) outside.total++;
    if (distance > SIGMAS * std[n]) outside.epistemic++;
  }
  return { total: outside.total / x.length, epistemic: outside.epistemic / x.length };
}
