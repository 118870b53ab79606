// KL divergences between a Gaussian and a mixture of Gaussians, and how the Gaussian comes closer:
// the mathematics of the figure TwoGaussians, explained in the chapter "KL divergence".

import { normalDensity, normalLogDensity } from "../shared/gaussian.js";

/**
 * A mixture of Gaussians; a Gaussian has one component.
 *
 * @typedef {{ weight: number, mean: number, std: number }[]} Distribution
 * @typedef {"reverse" | "forward"} Direction
 */

/**
 * @param {number} mean
 * @param {number} std
 * @returns {Distribution}
 */
export const gaussian = (mean, std) => [{ weight: 1, mean, std }];

/**
 * Return log p(x), right where the density itself underflows.
 *
 * @param {Distribution} distribution
 * @param {number} x
 */
export function logDensity(distribution, x) {
  const logs = distribution.map(
    ({ weight, mean, std }) => Math.log(weight) + normalLogDensity(x, mean, std),
  );
  const largest = Math.max(...logs);
  return largest + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - largest), 0));
}

/**
 * Return d log p(x) / dx.
 *
 * @param {Distribution} distribution
 * @param {number} x
 */
function score(distribution, x) {
  const log = logDensity(distribution, x);
  return distribution.reduce((sum, { weight, mean, std }) => {
    const share = Math.exp(Math.log(weight) + normalLogDensity(x, mean, std) - log);
    return sum + (share * (mean - x)) / std ** 2;
  }, 0);
}

// For analytic integrands that vanish at both ends the trapezoidal rule converges geometrically
// (Trefethen and Weideman, 2014). Beyond 10 standard deviations lies 1e-23 of the mass.
const STEP = 0.01;
const NODES = Float64Array.from({ length: 2001 }, (_, i) => (i - 1000) * STEP);
const WEIGHTS = NODES.map((z) => normalDensity(z) * STEP);

/**
 * Return E[f(w)] over the distribution, by quadrature over each of its components.
 *
 * @param {Distribution} distribution
 * @param {(w: number) => number} f
 */
function average(distribution, f) {
  let sum = 0;
  for (const { weight, mean, std } of distribution)
    for (let i = 0; i < NODES.length; i++) sum += weight * WEIGHTS[i] * f(mean + std * NODES[i]);
  return sum;
}

/**
 * Return the mean and the variance of a distribution.
 *
 * @param {Distribution} distribution
 */
export function moments(distribution) {
  const mean = distribution.reduce((sum, part) => sum + part.weight * part.mean, 0);
  const variance = distribution.reduce(
    (sum, part) => sum + part.weight * (part.std ** 2 + (part.mean - mean) ** 2),
    0,
  );
  return { mean, variance };
}

/**
 * Return KL(from ‖ to) in nats: in closed form between two Gaussians, else by quadrature.
 *
 * @param {Distribution} from
 * @param {Distribution} to
 */
export function divergence(from, to) {
  if (from.length === 1 && to.length === 1) {
    const ratio = from[0].std / to[0].std;
    const distance = (from[0].mean - to[0].mean) / to[0].std;
    return (ratio ** 2 + distance ** 2 - 1) / 2 - Math.log(ratio);
  }
  return average(from, (x) => logDensity(from, x) - logDensity(to, x));
}

/**
 * Return the parts of KL(from ‖ to) where the integrand is positive and, as a size, negative.
 *
 * @param {Distribution} from
 * @param {Distribution} to
 */
export function areas(from, to) {
  const positive = average(from, (x) => Math.max(logDensity(from, x) - logDensity(to, x), 0));
  return { positive, negative: Math.max(positive - divergence(from, to), 0) };
}

/**
 * The KL divergence of q that each direction means.
 *
 * @type {Record<Direction, (q: Distribution, p: Distribution) => number>}
 */
export const divergenceOf = {
  reverse: (q, p) => divergence(q, p),
  forward: (q, p) => divergence(p, q),
};

/**
 * The natural gradient (Amari, 1998) of each divergence, downhill, in the mean and in log std.
 *
 * It is the gradient divided by the Fisher information of q, 1/σ² for μ and 2 for log σ. Close to
 * a Gaussian target a step of rate 1 leads onto it.
 *
 * @type {Record<Direction, (q: Distribution, p: Distribution) => { mean: number, logStd: number }>}
 */
const downhill = {
  reverse([{ mean, std }], p) {
    const slope = average(gaussian(mean, std), (x) => score(p, x));
    const curvature = average(gaussian(mean, std), (x) => score(p, x) * (x - mean));
    return { mean: std ** 2 * slope, logStd: (1 + curvature) / 2 };
  },
  forward([{ mean, std }], p) {
    const target = moments(p);
    const second = target.variance + (target.mean - mean) ** 2;
    return { mean: target.mean - mean, logStd: (second / std ** 2 - 1) / 2 };
  },
};

const LONGEST_STEP = 0.05;
const SHORTEST_STEP = 1e-10;

/**
 * Return q after one step down the divergence of this `direction`, or null if no step leads lower.
 *
 * The step is `rate` times the natural gradient, at most 0.05 long, and halved until it leads down.
 *
 * @param {Distribution} q
 * @param {Distribution} p
 * @param {Direction} direction
 * @param {number} rate
 */
export function descend(q, p, direction, rate) {
  const value = divergenceOf[direction](q, p);
  const move = downhill[direction](q, p);
  const size = Math.hypot(move.mean, move.logStd);
  for (let part = Math.min(rate, LONGEST_STEP / size); part * size > SHORTEST_STEP; part /= 2) {
    const next = gaussian(q[0].mean + part * move.mean, q[0].std * Math.exp(part * move.logStd));
    if (divergenceOf[direction](next, p) < value) return next;
  }
  return null;
}

/**
 * Return the bottom of the valley of this divergence in which q lies.
 *
 * @param {Distribution} q
 * @param {Distribution} p
 * @param {Direction} direction
 */
export function settle(q, p, direction) {
  /** @type {Distribution | null} */
  let next = q;
  for (; next; next = descend(q, p, direction, 1)) q = next;
  return q;
}

const SLIDE_RATE = 0.04;
const SLIDE_END = 5e-4;

/**
 * Yield the places of q on its way down this divergence, in steps for the eye; return the last.
 *
 * @param {Distribution} q
 * @param {Distribution} p
 * @param {Direction} direction
 */
export function* slide(q, p, direction) {
  for (let length = Infinity; length > SLIDE_END; ) {
    const next = descend(q, p, direction, SLIDE_RATE);
    if (!next) return q;
    length = Math.hypot(next[0].mean - q[0].mean, Math.log(next[0].std / q[0].std));
    yield (q = next);
  }
  return settle(q, p, direction);
}

/** The target of the chapter's section "Two directions, two fits". */
export const TWO_PEAKS = [
  { weight: 0.65, mean: -2.5, std: 0.6 },
  { weight: 0.35, mean: 2.5, std: 0.9 },
];

/**
 * Return the Gaussians closest to the two peaks: in reverse one at each, forward one over both.
 *
 * @returns {Record<Direction, Distribution[]>}
 */
export function bestFits() {
  const { mean, variance } = moments(TWO_PEAKS);
  return {
    reverse: TWO_PEAKS.map((peak) => settle(gaussian(peak.mean, peak.std), TWO_PEAKS, "reverse")),
    forward: [gaussian(mean, Math.sqrt(variance))],
  };
}
