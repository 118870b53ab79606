// A 1-H-1 ReLU network whose weights are certain: its outputs, its fit to data and the gradient.
// Draws of the playground's posterior are such networks, and so are what dropout and an ensemble
// train. A network is one vector: H weights and H biases, then H weights and the output's bias.

/** @typedef {{ x: ArrayLike<number>, y: ArrayLike<number> }} Data */

/** @param {ArrayLike<number>} weights */
const hiddenCount = (weights) => (weights.length - 1) / 3;

/**
 * Return how many weights and biases a network with so many hidden units has.
 *
 * @param {number} hidden_units
 */
export const weightCount = (hidden_units) => 3 * hidden_units + 1;

/**
 * Return weights as torch.nn.Linear draws them: uniform within 1 / √(inputs of the layer).
 *
 * @param {number} hidden_units
 * @param {() => number} uniform draws from [0, 1)
 */
export function startWeights(hidden_units, uniform) {
  return Float64Array.from({ length: weightCount(hidden_units) }, (_, i) => {
    const bound = i < 2 * hidden_units ? 1 : 1 / Math.sqrt(hidden_units);
    return bound * (2 * uniform() - 1);
  });
}

/**
 * Return the outputs at `x`; `scales`, if given, multiply the H hidden units.
 *
 * @param {ArrayLike<number>} weights
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number> | null} [scales]
 */
export function pointOutputs(weights, x, scales = null) {
  const hidden_units = hiddenCount(weights);
  const outputs = new Float64Array(x.length);
  for (let n = 0; n < x.length; n++) {
    let output = weights[3 * hidden_units];
    for (let j = 0; j < hidden_units; j++) {
      const unit = Math.max(weights[j] * x[n] + weights[hidden_units + j], 0);
      output += weights[2 * hidden_units + j] * (scales ? scales[j] * unit : unit);
    }
    outputs[n] = output;
  }
  return outputs;
}

/**
 * Return log(2πs²) / 2 + squares / (2s²N), a mean negative log-likelihood; 0 without data.
 *
 * @param {number} squares
 * @param {number} numData
 * @param {number} noiseVariance
 */
export function meanNll(squares, numData, noiseVariance) {
  if (numData === 0) return 0;
  return (Math.log(2 * Math.PI * noiseVariance) + squares / (noiseVariance * numData)) / 2;
}

/**
 * Set `gradient` to that of the mean Gaussian negative log-likelihood, and return this mean.
 *
 * `scales`, if given, multiply each datum's hidden units: N times H factors, datum by datum.
 *
 * @param {ArrayLike<number>} weights
 * @param {Data} data
 * @param {number} noise_std
 * @param {Float64Array} gradient
 * @param {ArrayLike<number> | null} [scales]
 */
export function pointFit(weights, { x, y }, noise_std, gradient, scales = null) {
  const hidden_units = hiddenCount(weights);
  const noiseVariance = noise_std ** 2;
  let squares = 0;
  gradient.fill(0);
  for (let n = 0; n < x.length; n++) {
    let error = weights[3 * hidden_units] - y[n];
    for (let j = 0; j < hidden_units; j++) {
      const unit = Math.max(weights[j] * x[n] + weights[hidden_units + j], 0);
      const scaled = scales ? scales[n * hidden_units + j] * unit : unit;
      error += weights[2 * hidden_units + j] * scaled;
    }
    squares += error * error;
    const slope = error / (noiseVariance * x.length);
    for (let j = 0; j < hidden_units; j++) {
      const unit = weights[j] * x[n] + weights[hidden_units + j];
      if (unit <= 0) continue;
      const scaled = scales ? slope * scales[n * hidden_units + j] : slope;
      const unitSlope = scaled * weights[2 * hidden_units + j];
      gradient[j] += unitSlope * x[n];
      gradient[hidden_units + j] += unitSlope;
      gradient[2 * hidden_units + j] += scaled * unit;
    }
    gradient[3 * hidden_units] += slope;
  }
  return meanNll(squares, x.length, noiseVariance);
}
