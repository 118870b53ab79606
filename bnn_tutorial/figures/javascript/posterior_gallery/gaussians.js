// The Gaussians of the figure PosteriorGallery: the optima of the ELBO, with and without a
// covariance, Laplace's and SWAG's, each with its exact divergence from the posterior and its exact
// band. Under a Gaussian too w₂ is Gaussian once w₁ is known, and one integral is left.

import { normalDensity, randomNormal, randomUniform } from "../shared/gaussian.js";
import { expand, newtonStep } from "./network.js";

/**
 * @import { ExactPosterior } from "./exact.js"
 * @import { Expansion, Moments, Problem, Symmetric, Weights } from "./network.js"
 */

/** @typedef {{ mean: Weights, covariance: Symmetric }} Gaussian */

const STEP = 0.05; // standard deviations of w₁ between two nodes
const NODES = Float64Array.from({ length: 321 }, (_, i) => (i - 160) * STEP);
const MASSES = NODES.map((z) => normalDensity(z) * STEP);

/** @param {Symmetric} matrix */
export const determinant = ([first, both, second]) => first * second - both * both;

/**
 * @param {Symmetric} matrix
 * @returns {Symmetric}
 */
export function inverse([first, both, second]) {
  const scale = determinant([first, both, second]);
  return [second / scale, -both / scale, first / scale];
}

/**
 * Call `visit` with each node w₁, its mass, and the mean and variance that it leaves w₂.
 *
 * @param {Gaussian} gaussian
 * @param {(mass: number, w1: number, mean: number, variance: number) => void} visit
 */
function integrate({ mean, covariance: [first, both, second] }, visit) {
  const std = Math.sqrt(first);
  const slope = first > 0 ? both / std : 0;
  const variance = Math.max(second - slope * slope, 0);
  NODES.forEach((z, i) => visit(MASSES[i], mean[0] + std * z, mean[1] + slope * z, variance));
}

/**
 * Return E[log p(y, w)], E[its gradient] and E[its Hessian] over a Gaussian.
 *
 * @param {Problem} problem
 * @param {Gaussian} gaussian
 * @returns {Expansion}
 */
export function expectation(problem, gaussian) {
  /** @type {Expansion} */
  const sum = { value: 0, gradient: [0, 0], hessian: [0, 0, 0] };
  integrate(gaussian, (mass, w1, mean, variance) => {
    const { value, gradient, hessian } = expand(problem, w1, mean, variance);
    sum.value += mass * value;
    for (let i = 0; i < 2; i++) sum.gradient[i] += mass * gradient[i];
    for (let i = 0; i < 3; i++) sum.hessian[i] += mass * hessian[i];
  });
  return sum;
}

/** @param {Gaussian} gaussian */
const entropy = ({ covariance }) =>
  1 + Math.log(2 * Math.PI) + Math.log(Math.max(determinant(covariance), 0)) / 2;

/**
 * Return KL(q ‖ posterior) in nats: log p(y) - E_q[log p(y, w)] - entropy of q.
 *
 * @param {ExactPosterior} posterior
 * @param {Gaussian} gaussian
 */
export const divergence = ({ problem, logEvidence }, gaussian) =>
  logEvidence - expectation(problem, gaussian).value - entropy(gaussian);

/**
 * Return the mean and the standard deviation of f under a Gaussian, at each input.
 *
 * @param {Gaussian} gaussian
 * @param {ArrayLike<number>} x
 * @returns {Moments}
 */
export function functionMoments(gaussian, x) {
  const mean = new Float64Array(x.length);
  const square = new Float64Array(x.length);
  integrate(gaussian, (mass, w1, middle, variance) => {
    for (let n = 0; n < x.length; n++) {
      const h = Math.tanh(w1 * x[n]);
      mean[n] += mass * middle * h;
      square[n] += mass * (middle * middle + variance) * h * h;
    }
  });
  return { mean, std: square.map((value, n) => Math.sqrt(Math.max(value - mean[n] ** 2, 0))) };
}

/**
 * Return draws from a Gaussian.
 *
 * @param {Gaussian} gaussian
 * @param {number} count
 * @param {number} seed
 */
export function draw({ mean, covariance: [first, both, second] }, count, seed) {
  const normal = randomNormal(seed);
  const std = Math.sqrt(first);
  const slope = first > 0 ? both / std : 0;
  const rest = Math.sqrt(Math.max(second - slope * slope, 0));
  return Array.from({ length: count }, () => {
    const z = normal();
    return /** @type {Weights} */ ([
      mean[0] + std * z,
      mean[1] + slope * z + rest * normal(),
    ]);
  });
}

/**
 * Return Laplace's approximation: at the mode, with the inverse of the negative Hessian as covariance.
 *
 * @param {ExactPosterior} posterior
 * @returns {Gaussian}
 */
export function laplace({ problem, mode }) {
  const { hessian } = expand(problem, ...mode);
  return { mean: mode, covariance: inverse(/** @type {Symmetric} */ (hessian.map((h) => -h))) };
}

const MOST_STEPS = 400;
const SMALLEST_GAIN = 1e-13; // nats

/**
 * Return the Gaussian with the highest ELBO that can be reached from `start`.
 *
 * At the optimum E_q[∇ log p(y, w)] = 0, and the precision is -E_q[∇² log p(y, w)], or its diagonal
 * where the weights are independent (Opper and Archambeau, 2009). Each step goes a part of the way
 * there, halved until the ELBO rises.
 *
 * @param {Problem} problem
 * @param {Gaussian} start
 * @param {{ diagonal: boolean }} options
 */
export function ascend(problem, start, { diagonal }) {
  const [first, both, second] = start.covariance;
  let here = start;
  if (diagonal) here = { mean: start.mean, covariance: [first, 0, second - both ** 2 / first] };
  let at = expectation(problem, here);
  let elbo = at.value + entropy(here);
  for (let count = 0; count < MOST_STEPS; count++) {
    const precision = inverse(here.covariance);
    const move = newtonStep(at.hessian, at.gradient);
    let gained = false;
    for (let part = 1; part > 1e-6 && !gained; part /= 2) {
      const wanted = /** @type {Symmetric} */ (
        precision.map((now, i) => (1 - part) * now - part * at.hessian[i])
      );
      if (diagonal) wanted[1] = 0;
      if (!(wanted[0] > 0 && determinant(wanted) > 0)) continue;
      /** @type {Gaussian} */
      const next = {
        mean: [here.mean[0] + part * move[0], here.mean[1] + part * move[1]],
        covariance: inverse(wanted),
      };
      const found = expectation(problem, next);
      const value = found.value + entropy(next);
      if (!(value > elbo + SMALLEST_GAIN)) continue;
      gained = true;
      [here, at, elbo] = [next, found, value];
    }
    if (!gained) break;
  }
  return { gaussian: here, elbo };
}

/**
 * Return the Gaussian with the highest ELBO, the best of what is reached from Laplace's
 * approximation, from the moments of the posterior's half, and from the prior.
 *
 * @param {ExactPosterior} posterior
 * @param {{ diagonal: boolean }} options
 * @returns {Gaussian}
 */
export function variational(posterior, options) {
  const { problem } = posterior;
  const variance = problem.prior_std ** 2;
  /** @type {Gaussian[]} */
  const starts = [
    laplace(posterior),
    posterior.halfMoments(),
    { mean: [0, 0], covariance: [variance, 0, variance] },
  ];
  const found = starts
    .filter(({ covariance }) => covariance[0] > 0 && determinant(covariance) > 0)
    .map((start) => ascend(problem, start, options));
  return found.reduce((best, other) => (other.elbo > best.elbo ? other : best)).gaussian;
}

const EPOCHS = 200;
const DEVIATIONS = 20;
const LONGEST_STEP = 0.2;

/**
 * Return where stochastic gradient descent stands after each epoch, from the mode on: one datum a
 * step, the loss -log p(y, w) / N, each step at most 0.2 long.
 *
 * @param {ExactPosterior} posterior
 * @param {{ learning_rate: number, seed: number }} options
 */
export function descentPath({ problem, mode }, { learning_rate, seed }) {
  const uniform = randomUniform(seed);
  const size = problem.x.length;
  // One datum stands for all N, so that its step has the prior's N-th part.
  const parts = Array.from(problem.x, (x, n) => ({
    ...problem,
    x: Float64Array.of(x),
    y: Float64Array.of(problem.y[n]),
    prior_std: problem.prior_std * Math.sqrt(size),
  }));
  let [w1, w2] = mode;
  /** @type {Weights[]} */
  const path = [];
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (let n = 0; n < size; n++) {
      const { gradient } = expand(parts[Math.floor(size * uniform())], w1, w2);
      const scale = Math.min(learning_rate, LONGEST_STEP / Math.hypot(...gradient));
      w1 += scale * gradient[0];
      w2 += scale * gradient[1];
    }
    path.push([w1, w2]);
  }
  return path;
}

/**
 * Return the Gaussian that SWAG makes of a path (Maddox et al., 2019): its mean, and half the
 * diagonal of its covariance plus half the covariance of its last 20 deviations from the running
 * mean.
 *
 * @param {Weights[]} path
 * @returns {Gaussian}
 */
export function swag(path) {
  const [sum, squares] = [[0, 0], [0, 0]];
  const deviations = path.map((weights, i) =>
    weights.map((weight, k) => {
      sum[k] += weight;
      squares[k] += weight * weight;
      return weight - sum[k] / (i + 1);
    }));
  const mean = sum.map((total) => total / path.length);
  const diagonal = squares.map((total, k) => Math.max(total / path.length - mean[k] ** 2, 0));
  const last = deviations.slice(-DEVIATIONS);
  /** @param {number} i @param {number} k */
  const recent = (i, k) =>
    last.reduce((total, each) => total + each[i] * each[k], 0) / (last.length - 1);
  return {
    mean: /** @type {Weights} */ (mean),
    covariance: [
      (diagonal[0] + recent(0, 0)) / 2,
      recent(0, 1) / 2,
      (diagonal[1] + recent(1, 1)) / 2,
    ],
  };
}
