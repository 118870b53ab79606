// How the playground's network trains: by its closed-form loss or by draws, and Adam's steps.
// The estimators are those of the chapter "Reparameterization".

import { exactLoss, updateStds, withDivergence } from "./network.js";
import { meanNll, pointFit } from "./point_network.js";

/**
 * @import { Network, Settings } from "./network.js"
 * @import { Data } from "./point_network.js"
 */

/**
 * @typedef {"exact" | "weight" | "local"} Estimator
 * @typedef {ReturnType<typeof createAdam>} Adam
 */

/** @type {Estimator[]} */
export const ESTIMATORS = ["exact", "weight", "local"];

/**
 * Return the loss and its gradient, estimated by `estimator`, as `exactLoss` does.
 *
 * "exact" draws nothing; "weight" draws one network for all data, and "local" draws the
 * pre-activations of both layers for each datum. `normal` draws the standard normal numbers.
 *
 * @param {Network} network
 * @param {Data} data
 * @param {Settings} settings
 * @param {{ estimator: Estimator, normal: () => number }} options
 */
export function estimatedLoss(network, data, settings, { estimator, normal }) {
  if (estimator === "exact") return exactLoss(network, data, settings);
  updateStds(network);
  const fit = (estimator === "weight" ? weightFit : localFit)(network, data, settings, normal);
  return withDivergence(network, data.x.length, settings, fit);
}

/**
 * Set the gradient of one draw of the weights, w = μ + σε, and return its fit.
 *
 * @param {Network} network
 * @param {Data} data
 * @param {Settings} settings
 * @param {() => number} normal
 */
function weightFit(network, data, { noise_std }, normal) {
  const { size, mean, std, meanGradient, rhoGradient: stdGradient } = network;
  // ε waits where the gradient in σ, its product with that in w, will be.
  const weights = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    stdGradient[i] = normal();
    weights[i] = mean[i] + std[i] * stdGradient[i];
  }
  const fit = pointFit(weights, data, noise_std, meanGradient);
  for (let i = 0; i < size; i++) stdGradient[i] *= meanGradient[i];
  return fit;
}

/**
 * Set the gradient of one draw of both layers' pre-activations at each datum, return its fit.
 *
 * @param {Network} network
 * @param {Data} data
 * @param {Settings} settings
 * @param {() => number} normal
 */
function localFit(network, { x, y }, { noise_std }, normal) {
  const { hidden_units, mean, std, units, meanGradient, rhoGradient: stdGradient } = network;
  const noiseVariance = noise_std ** 2;
  let squares = 0;
  network.gradient.fill(0);
  for (let n = 0; n < x.length; n++) {
    let outputMean = mean[3 * hidden_units];
    let outputVariance = std[3 * hidden_units] ** 2;
    for (let j = 0; j < hidden_units; j++) {
      const unitStd = Math.sqrt((std[j] * x[n]) ** 2 + std[hidden_units + j] ** 2);
      const epsilon = normal();
      const unit = Math.max(mean[j] * x[n] + mean[hidden_units + j] + unitStd * epsilon, 0);
      // What the way back needs: the draw, and ∂a/∂v = ε / (2√v).
      units.mean[j] = unit;
      units.density[j] = epsilon / (2 * unitStd);
      outputMean += mean[2 * hidden_units + j] * unit;
      outputVariance += (std[2 * hidden_units + j] * unit) ** 2;
    }
    const outputStd = Math.sqrt(outputVariance);
    const epsilon = normal();
    const error = outputMean + outputStd * epsilon - y[n];
    squares += error * error;
    const meanSlope = error / (noiseVariance * x.length);
    const varianceSlope = (meanSlope * epsilon) / (2 * outputStd);
    for (let j = 0; j < hidden_units; j++) {
      const unit = units.mean[j];
      if (unit === 0) continue;
      const weight = mean[2 * hidden_units + j];
      const weightStd = std[2 * hidden_units + j];
      meanGradient[2 * hidden_units + j] += meanSlope * unit;
      stdGradient[2 * hidden_units + j] += 2 * varianceSlope * weightStd * unit * unit;
      const mSlope = meanSlope * weight + 2 * varianceSlope * weightStd * weightStd * unit;
      const vSlope = mSlope * units.density[j];
      meanGradient[j] += mSlope * x[n];
      meanGradient[hidden_units + j] += mSlope;
      stdGradient[j] += 2 * vSlope * std[j] * x[n] * x[n];
      stdGradient[hidden_units + j] += 2 * vSlope * std[hidden_units + j];
    }
    meanGradient[3 * hidden_units] += meanSlope;
    stdGradient[3 * hidden_units] += 2 * varianceSlope * std[3 * hidden_units];
  }
  return meanNll(squares, x.length, noiseVariance);
}

/**
 * Return the state of Adam for a vector of `size` parameters.
 *
 * @param {number} size
 */
export const createAdam = (size) => ({
  step: 0,
  first: new Float64Array(size),
  second: new Float64Array(size),
});

/**
 * Take one step of Adam (Kingma and Ba, 2015) with its usual constants, in place.
 *
 * @param {Adam} adam
 * @param {Float64Array} parameters
 * @param {Float64Array} gradient
 * @param {number} learningRate
 */
export function adamStep(adam, parameters, gradient, learningRate) {
  const { first, second } = adam;
  adam.step += 1;
  const stride = learningRate / (1 - 0.9 ** adam.step);
  const correction = Math.sqrt(1 - 0.999 ** adam.step);
  for (let i = 0; i < parameters.length; i++) {
    first[i] += 0.1 * (gradient[i] - first[i]);
    second[i] += 0.001 * (gradient[i] ** 2 - second[i]);
    parameters[i] -= (stride * first[i]) / (Math.sqrt(second[i]) / correction + 1e-8);
  }
}
