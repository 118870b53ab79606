// Three estimators of one gradient, their draws, and what the figure "gradient noise" keeps of them.
// GradientNoise in gradient_noise.py states the problem and derives the variances; explained in the
// chapter "Quieter gradients".

import { randomNormal } from "../shared/gaussian.js";

/**
 * @typedef {{ mean?: number, std: number, weights: number, batch_size: number }} Problem
 * @typedef {{ score: number, scoreBaseline: number, pathwise: number, local: number }} Estimates a
 *   number for each estimator; the score function has two, without and with its baseline
 */

/**
 * Return the mean of a² over the data and all draws, which is also the baseline.
 *
 * @param {{ mean?: number, std: number, weights: number }} problem
 */
export const expectedLoss = ({ mean = 1, std, weights }) => mean ** 2 + weights * std ** 2;

/**
 * Return the variance of one draw of each estimator, in closed form.
 *
 * @param {Problem} problem
 * @returns {Estimates}
 */
export function variances({ mean = 1, std, weights, batch_size }) {
  const sharing = (weights + batch_size - 1) / batch_size;
  const loss = expectedLoss({ mean, std, weights });
  const withBaseline = 4 * mean ** 2 * (sharing + 1) + 2 * std ** 2 * sharing * (weights + 4);
  return {
    score: withBaseline + 4 * loss + (loss / std) ** 2,
    scoreBaseline: withBaseline,
    pathwise: 4 * std ** 2 * sharing,
    local: (4 * std ** 2 * weights) / batch_size,
  };
}

/**
 * Return one draw of each gradient with respect to the first mean, for the mean of a² over a batch.
 *
 * @param {object} options
 * @param {number} [options.mean]
 * @param {number} options.std
 * @param {ArrayLike<number>} options.inputs of the batch, (B, d) row by row
 * @param {ArrayLike<number>} options.weightNoise (d,) standard normal, for the weights that the
 *   batch shares
 * @param {ArrayLike<number>} options.localNoise (B,) standard normal, for pre-activations of their
 *   own
 * @returns {Estimates}
 */
export function gradients({ mean = 1, std, inputs, weightNoise, localNoise }) {
  const weights = weightNoise.length;
  const batch_size = localNoise.length;
  let loss = 0;
  let pathwise = 0;
  let local = 0;
  for (let n = 0; n < batch_size; n++) {
    const first = inputs[n * weights];
    let deviation = 0;
    let square = 0;
    for (let i = 0; i < weights; i++) {
      const input = inputs[n * weights + i];
      deviation += input * weightNoise[i];
      square += input * input;
    }
    const shared = first * mean + std * deviation;
    const own = first * mean + std * Math.sqrt(square) * localNoise[n];
    loss += shared ** 2 / batch_size;
    pathwise += (2 * first * shared) / batch_size;
    local += (2 * first * own) / batch_size;
  }
  const score = weightNoise[0] / std;
  const baseline = expectedLoss({ mean, std, weights });
  return { score: loss * score, scoreBaseline: (loss - baseline) * score, pathwise, local };
}

/**
 * Return a function that fills an array with random signs, 32 from each word.
 *
 * A counter in steps of the golden ratio, its bits mixed by two multiplications and three shifts,
 * after Steele, Lea and Flood (2014): ten million signs take a fraction of a second.
 *
 * @param {number} seed
 * @returns {(signs: Float64Array) => void}
 */
export function randomSigns(seed) {
  let counter = seed;
  return (signs) => {
    let word = 0;
    for (let i = 0; i < signs.length; i++) {
      if (i % 32 === 0) {
        counter = (counter + 0x9e3779b9) | 0;
        word = Math.imul(counter ^ (counter >>> 16), 0x85ebca6b);
        word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
        word ^= word >>> 16;
      }
      signs[i] = ((word >>> i % 32) & 1) * 2 - 1;
    }
  };
}

/**
 * Return a function that makes one draw after the other, always the same for the same seed.
 *
 * @param {Problem & { seed: number }} problem
 */
export function sampler({ mean = 1, std, weights, batch_size, seed }) {
  const drawSigns = randomSigns(seed);
  const normal = randomNormal(seed);
  const inputs = new Float64Array(batch_size * weights);
  const weightNoise = new Float64Array(weights);
  const localNoise = new Float64Array(batch_size);
  return () => {
    drawSigns(inputs);
    for (let i = 0; i < weights; i++) weightNoise[i] = normal();
    for (let n = 0; n < batch_size; n++) localNoise[n] = normal();
    return gradients({ mean, std, inputs, weightNoise, localNoise });
  };
}

/** What is kept of many draws: how many fell into each bin, their mean and their variance. */
export class Histogram {
  count = 0;
  mean = 0;
  #squares = 0;
  /** @type {Map<number, number>} */
  #bins = new Map(); // a heavy tail has a few draws in bins far out

  /**
   * Begin without draws; the bins lie side by side from `origin`, without an end on either side.
   *
   * @param {number} origin
   * @param {number} width
   */
  constructor(origin, width) {
    this.origin = origin;
    this.width = width;
  }

  /** @param {number} value */
  add(value) {
    this.count++;
    // Welford (1962): the sum of squares about the mean so far, without a difference of large sums.
    const deviation = value - this.mean;
    this.mean += deviation / this.count;
    this.#squares += deviation * (value - this.mean);
    const bin = Math.floor((value - this.origin) / this.width);
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
  }

  /** The bins that hold draws, in no order. */
  get bars() {
    /** @param {number} bin */
    const edge = (bin) => this.origin + bin * this.width;
    return Array.from(this.#bins, ([bin, draws]) => ({
      from: edge(bin),
      to: edge(bin + 1),
      draws,
    }));
  }

  get variance() {
    return this.count > 1 ? this.#squares / (this.count - 1) : NaN;
  }

  /** The standard error of the mean. */
  get error() {
    return Math.sqrt(this.variance / this.count);
  }
}
