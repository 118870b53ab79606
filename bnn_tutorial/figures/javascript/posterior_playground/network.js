// The playground's Bayesian 1-H-1 ReLU network: its parameters, its exact moments, and its loss and
// gradient in closed form. Shown in the chapter "Polynomial regression with 3-sigma bands".
//
// Every weight and bias has the posterior N(mean, softplus(rho)²). A network's parameters lie in
// one vector: the means of the first layer's H weights and H biases, those of the second layer's H
// weights and its bias, then all rhos in the same order.
//
// The settings are the prior N(0, prior_std²) of every weight and bias, the KL's weight λ, and the
// noise s in the units of y. The loss is the expected negative log-likelihood per datum + λ KL / N,
// in nats.

import {
  inverseSoftplus,
  millsRatio,
  normalCdf,
  normalDensity,
  randomNormal,
  randomUniform,
  softplus,
  softplusSlope,
} from "../shared/gaussian.js";
import { meanNll, pointOutputs, startWeights, weightCount } from "./point_network.js";

/** @import { Data } from "./point_network.js" */

/**
 * @typedef {{ prior_std: number, kl_weight: number, noise_std: number }} Settings
 * @typedef {ReturnType<typeof createNetwork>} Network
 * @typedef {{ mean: Float64Array, std: Float64Array }} Moments at each of several inputs
 */

const SMALLEST_NORMAL = 2 ** -1022;

/**
 * Return a network whose means start as torch.nn draws its weights, every width at `initStd`.
 *
 * @param {{ hidden_units: number, seed: number, initStd: number }} options
 */
export function createNetwork({ hidden_units, seed, initStd }) {
  const size = weightCount(hidden_units);
  const parameters = new Float64Array(2 * size);
  const gradient = new Float64Array(2 * size);
  const network = {
    hidden_units,
    size,
    parameters,
    mean: parameters.subarray(0, size),
    rho: parameters.subarray(size),
    // What a step works out, overwritten by the next.
    gradient,
    meanGradient: gradient.subarray(0, size),
    rhoGradient: gradient.subarray(size),
    std: new Float64Array(size),
    units: {
      std: new Float64Array(hidden_units), // of the pre-activations
      on: new Float64Array(hidden_units),
      off: new Float64Array(hidden_units),
      density: new Float64Array(hidden_units),
      mean: new Float64Array(hidden_units), // of the activations
      variance: new Float64Array(hidden_units),
    },
    output: new Float64Array(2), // its mean and variance
  };
  network.mean.set(startWeights(hidden_units, randomUniform(seed)));
  network.rho.fill(inverseSoftplus(initStd));
  return network;
}

/**
 * Set the standard deviations of all weights from their rhos.
 *
 * @param {Network} network
 */
export function updateStds({ rho, std, size }) {
  for (let i = 0; i < size; i++) std[i] = softplus(rho[i]);
}

/**
 * Set the exact mean and variance of the output at `x`, and those of the hidden units on the way.
 *
 * A pre-activation is Gaussian, N(m, v). With z = m / √v, the density g(z) and the probabilities
 * on = Φ(z) and off = Φ(-z), its ReLU h has (Frey and Hinton, 1999)
 *
 *   E[h] = m on + √v g(z),   Var[h] = v (on + z² on off + z g(z) (off - on) - g(z)²).
 *
 * Products with independent weights N(μ, σ²) add (μ² + σ²) Var[h] + σ² E[h]² to the variance.
 *
 * @param {Network} network
 * @param {number} x
 */
function propagate({ hidden_units, mean, std, units, output }, x) {
  const outputBias = 3 * hidden_units;
  let outputMean = mean[outputBias];
  let outputVariance = std[outputBias] ** 2;
  for (let j = 0; j < hidden_units; j++) {
    const m = mean[j] * x + mean[hidden_units + j];
    const v = Math.max((std[j] * x) ** 2 + std[hidden_units + j] ** 2, SMALLEST_NORMAL);
    const unitStd = Math.sqrt(v);
    // Beyond 9 standard deviations a unit is on or off to the last digit of a double.
    const z = m / Math.max(unitStd, Math.abs(m) / 9);
    const density = normalDensity(z);
    // Each tail by itself: a difference from 1 would lose the digits of the small one.
    const tail = density * millsRatio(Math.abs(z));
    const on = z > 0 ? 1 - tail : tail;
    const off = z > 0 ? tail : 1 - tail;
    const unitMean = m * on + unitStd * density;
    const unitVariance =
      v * (on + z * z * on * off + z * density * (off - on) - density * density);
    const weight = mean[2 * hidden_units + j];
    const weightVariance = std[2 * hidden_units + j] ** 2;
    outputMean += weight * unitMean;
    outputVariance +=
      (weight * weight + weightVariance) * unitVariance + weightVariance * unitMean * unitMean;
    units.std[j] = unitStd;
    units.on[j] = on;
    units.off[j] = off;
    units.density[j] = density;
    units.mean[j] = unitMean;
    units.variance[j] = unitVariance;
  }
  output[0] = outputMean;
  output[1] = outputVariance;
}

/**
 * Add the gradient at `x` of a loss with the given slopes in the output's mean and its variance.
 *
 * With a pre-activation N(m, v): ∂E[h]/∂m = on, ∂E[h]/∂v = g(z) / (2√v), ∂E[h²]/∂m = 2 E[h] and
 * ∂E[h²]/∂v = on, as an expectation's slope in v is half that of its second derivative.
 *
 * @param {Network} network
 * @param {number} x
 * @param {number} meanSlope
 * @param {number} varianceSlope
 */
function backpropagate(network, x, meanSlope, varianceSlope) {
  const { hidden_units, mean, std, units, meanGradient, rhoGradient: stdGradient } = network;
  for (let j = 0; j < hidden_units; j++) {
    const weight = mean[2 * hidden_units + j];
    const weightStd = std[2 * hidden_units + j];
    const unitMean = units.mean[j];
    const unitVariance = units.variance[j];
    const on = units.on[j];
    meanGradient[2 * hidden_units + j] +=
      meanSlope * unitMean + 2 * varianceSlope * weight * unitVariance;
    stdGradient[2 * hidden_units + j] +=
      2 * varianceSlope * weightStd * (unitVariance + unitMean * unitMean);

    const unitMeanSlope = meanSlope * weight + 2 * varianceSlope * weightStd ** 2 * unitMean;
    const unitVarianceSlope = varianceSlope * (weight * weight + weightStd * weightStd);
    const meanByVariance = units.density[j] / (2 * units.std[j]);
    const mSlope = unitMeanSlope * on + 2 * unitVarianceSlope * unitMean * units.off[j];
    const vSlope =
      unitMeanSlope * meanByVariance + unitVarianceSlope * (on - 2 * unitMean * meanByVariance);
    meanGradient[j] += mSlope * x;
    meanGradient[hidden_units + j] += mSlope;
    stdGradient[j] += 2 * vSlope * std[j] * x * x;
    stdGradient[hidden_units + j] += 2 * vSlope * std[hidden_units + j];
  }
  meanGradient[3 * hidden_units] += meanSlope;
  stdGradient[3 * hidden_units] += 2 * varianceSlope * std[3 * hidden_units];
}

/**
 * Turn the gradient of `fit` in means and standard deviations into the loss's in means and rhos.
 *
 * Returns { loss, fit, complexity, kl, gradient }: complexity = λ KL / N is the KL's part of the
 * loss, `kl` the divergence itself in nats, and `gradient` is overwritten by the network's next
 * loss. Without data N counts as 1.
 *
 * @param {Network} network
 * @param {number} numData
 * @param {Settings} settings
 * @param {number} fit
 */
export function withDivergence(network, numData, { prior_std, kl_weight }, fit) {
  const { size, mean, rho, std, gradient, meanGradient, rhoGradient } = network;
  const scale = kl_weight / Math.max(numData, 1);
  const precision = 1 / (prior_std * prior_std);
  let kl = size * (Math.log(prior_std) - 0.5);
  for (let i = 0; i < size; i++) {
    kl += 0.5 * precision * (std[i] * std[i] + mean[i] * mean[i]) - Math.log(std[i]);
    meanGradient[i] += scale * precision * mean[i];
    rhoGradient[i] += scale * (precision * std[i] - 1 / std[i]);
    rhoGradient[i] *= softplusSlope(rho[i]);
  }
  return { loss: fit + scale * kl, fit, complexity: scale * kl, kl, gradient };
}

/**
 * Return the loss and its gradient without a draw, in the form of `withDivergence`.
 *
 * The fit is the mean over the data of E[-log p(y | x, w)] =
 * log(2πs²) / 2 + ((y - E[f])² + Var[f]) / (2s²).
 *
 * @param {Network} network
 * @param {Data} data
 * @param {Settings} settings
 */
export function exactLoss(network, { x, y }, settings) {
  const { output } = network;
  const noiseVariance = settings.noise_std ** 2;
  const varianceSlope = 0.5 / (noiseVariance * x.length);
  let squares = 0;
  updateStds(network);
  network.gradient.fill(0);
  for (let n = 0; n < x.length; n++) {
    propagate(network, x[n]);
    const error = output[0] - y[n];
    squares += error * error + output[1];
    backpropagate(network, x[n], 2 * varianceSlope * error, varianceSlope);
  }
  return withDivergence(network, x.length, settings, meanNll(squares, x.length, noiseVariance));
}

/**
 * Return the exact mean and standard deviation of the network's function at each of `x`.
 *
 * @param {Network} network
 * @param {ArrayLike<number>} x
 * @returns {Moments}
 */
export function exactMoments(network, x) {
  const moments = { mean: new Float64Array(x.length), std: new Float64Array(x.length) };
  updateStds(network);
  for (let n = 0; n < x.length; n++) {
    propagate(network, x[n]);
    moments.mean[n] = network.output[0];
    moments.std[n] = Math.sqrt(network.output[1]);
  }
  return moments;
}

/**
 * Return `count` functions drawn from the posterior, each an array of its values at `x`.
 *
 * The same seed gives the same standard normal noise, so that the functions move smoothly while
 * the network trains.
 *
 * @param {Network} network
 * @param {ArrayLike<number>} x
 * @param {{ count: number, seed: number }} options
 */
export function drawFunctions(network, x, { count, seed }) {
  const { size, mean, std } = network;
  const normal = randomNormal(seed);
  const weights = new Float64Array(size);
  updateStds(network);
  return Array.from({ length: count }, () => {
    for (let i = 0; i < size; i++) weights[i] = mean[i] + std[i] * normal();
    return pointOutputs(weights, x);
  });
}

/**
 * Count the held-out targets `y` outside k total standard deviations, √(std² + noise²).
 *
 * Returns { outside, total, share, nominal }; `nominal` is the share a Gaussian leaves outside.
 *
 * @param {ArrayLike<number>} y
 * @param {{ mean: ArrayLike<number>, std: ArrayLike<number> }} moments
 * @param {{ noise_std: number, k: number }} band
 */
export function auditBand(y, { mean, std }, { noise_std, k }) {
  let outside = 0;
  for (let n = 0; n < y.length; n++)
    if (Math.abs(y[n] - mean[n]) > k * Math.hypot(std[n], noise_std)) outside += 1;
  return { outside, total: y.length, share: outside / y.length, nominal: 2 * normalCdf(-k) };
}
