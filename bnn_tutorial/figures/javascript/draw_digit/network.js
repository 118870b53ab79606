// The small convolutional network of "Draw a digit": the twin, draws from its posterior, its forward
// pass, and the entropy of several answers in its two parts.

import { randomNormal, softplus } from "../shared/gaussian.js";

/**
 * @import { Tensors } from "../shared/tensors.js"
 */

/** @typedef {{ shape: number[], weight: Float32Array, bias: Float32Array }} Layer */

// The layers with weights, in order, by their names in the file (figures/digit_networks.py).
const LAYERS = ["trunk.0", "trunk.3", "head.1", "head.3"];

/**
 * Return the deterministic twin.
 *
 * @param {Tensors} tensors
 * @returns {Layer[]}
 */
export function twinNetwork(tensors) {
  return LAYERS.map((name) => {
    const { shape, values } = tensors[`twin.${name}.weight`];
    return { shape, weight: values, bias: tensors[`twin.${name}.bias`].values };
  });
}

/**
 * Return `count` networks drawn from the posterior, the same for the same seed.
 *
 * @param {Tensors} tensors
 * @param {number} count
 * @param {number} seed
 * @returns {Layer[][]}
 */
export function drawNetworks(tensors, count, seed) {
  const normal = randomNormal(seed);
  const posterior = LAYERS.map((layer) => {
    /** @param {"weight" | "bias"} name */
    const part = (name) => {
      const means = tensors[`bayesian.${layer}.${name}_mean`].values;
      return { means, widths: tensors[`bayesian.${layer}.${name}_rho`].values.map(softplus) };
    };
    const { shape } = tensors[`bayesian.${layer}.weight_mean`];
    return { shape, weight: part("weight"), bias: part("bias") };
  });
  /** @param {{ means: Float32Array, widths: Float32Array }} part */
  const draw = ({ means, widths }) => {
    const values = new Float32Array(means.length);
    for (let i = 0; i < values.length; i++) values[i] = means[i] + widths[i] * normal();
    return values;
  };
  return Array.from({ length: count }, () =>
    posterior.map(({ shape, weight, bias }) => ({ shape, weight: draw(weight), bias: draw(bias) })),
  );
}

/**
 * Return the convolution of square feature maps (channels, side, side) by kernels of 5x5, without
 * padding.
 *
 * @param {Float32Array} maps
 * @param {number} side
 * @param {Layer} layer
 */
function convolve(maps, side, { shape: [outputs, inputs], weight, bias }) {
  const outSide = side - 4;
  const area = outSide * outSide;
  const result = new Float32Array(outputs * area);
  let next = 0;
  for (let output = 0; output < outputs; output++) {
    const start = output * area;
    result.fill(bias[output], start, start + area);
    for (let input = 0; input < inputs; input++)
      for (let row = 0; row < 5; row++) {
        // A row of the kernel at a time: thirty networks are to answer while a finger moves.
        const a = weight[next++];
        const b = weight[next++];
        const c = weight[next++];
        const d = weight[next++];
        const e = weight[next++];
        for (let y = 0; y < outSide; y++) {
          let from = (input * side + y + row) * side;
          let to = start + y * outSide;
          for (const end = to + outSide; to < end; to++, from++)
            result[to] +=
              a * maps[from] +
              b * maps[from + 1] +
              c * maps[from + 2] +
              d * maps[from + 3] +
              e * maps[from + 4];
        }
      }
  }
  return result;
}

/**
 * Return the largest of each 2x2 pixels, and 0 where it is negative: pooling and ReLU in one.
 *
 * @param {Float32Array} maps
 * @param {number} side
 */
function poolAndRectify(maps, side) {
  const half = side / 2;
  const result = new Float32Array(maps.length / 4);
  for (let i = 0; i < result.length; i++) {
    const at = Math.floor(i / half) * 2 * side + (i % half) * 2;
    result[i] = Math.max(maps[at], maps[at + 1], maps[at + side], maps[at + side + 1], 0);
  }
  return result;
}

/**
 * Return weight × input + bias.
 *
 * @param {Float32Array} input
 * @param {Layer} layer
 */
function multiply(input, { shape: [outputs], weight, bias }) {
  const result = new Float32Array(outputs);
  for (let output = 0; output < outputs; output++) {
    let sum = bias[output];
    const from = output * input.length;
    for (let i = 0; i < input.length; i++) sum += weight[from + i] * input[i];
    result[output] = sum;
  }
  return result;
}

/**
 * Return the probabilities of the ten classes that one network gives an image of 28x28.
 *
 * @param {Layer[]} network
 * @param {Float32Array} image
 */
export function classify(network, image) {
  const [first, second, third, last] = network;
  const small = poolAndRectify(convolve(image, 28, first), 24);
  const smaller = poolAndRectify(convolve(small, 12, second), 8);
  const hidden = multiply(smaller, third).map((value) => Math.max(value, 0));
  const logits = Array.from(multiply(hidden, last));
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

/**
 * Return the class of the largest probability.
 *
 * @param {number[]} probabilities
 */
export const topClass = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

/**
 * Return the average of several answers, class by class.
 *
 * @param {number[][]} answers
 */
export function average(answers) {
  return answers[0].map((_, i) => answers.reduce((sum, p) => sum + p[i], 0) / answers.length);
}

/**
 * Return −Σ p log p in nats.
 *
 * @param {number[]} probabilities
 */
export function entropy(probabilities) {
  return -probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0);
}

/**
 * Return the entropy of the average and its two parts in nats (Depeweg et al. 2018).
 *
 * @param {number[][]} answers
 */
export function decomposeEntropy(answers) {
  const total = entropy(average(answers));
  const aleatoric = answers.reduce((sum, p) => sum + entropy(p), 0) / answers.length;
  return { total, aleatoric, epistemic: Math.max(total - aleatoric, 0) };
}
