// Confidences sorted and grouped, the error of calibration with its floor, intervals, and the best
// temperature: the mathematics of the figure Reliability, explained in the chapter "Calibration".

import { randomUniform } from "../shared/gaussian.js";

/**
 * @import { Interval } from "../shared/plot.js"
 */

/**
 * @typedef {{ logits: Float32Array[], labels: ArrayLike<number> }} Predictions a row of logits, of
 *   which the largest is 0, and a label each
 * @typedef {{ confidence: Float64Array, hitsBelow: Float64Array, confidenceBelow: Float64Array }}
 *   Sorted confidences in ascending order; of the first i of them the number of hits, and the sum
 * @typedef {"width" | "mass"} Equal what the bins have in common
 * @typedef {{ low: number, high: number, first: number, count: number, confidence: number,
 *   accuracy: number, interval: Interval }} Bin one that holds predictions: its edges, the place of
 *   its first prediction among the sorted ones, its averages, and the interval of its accuracy
 */

export const MOST_BINS = 50;
/** @type {Interval} */
export const TEMPERATURES = [0.5, 8];
const NORMAL_QUANTILE = 1.959963984540054; // of 97.5 %
const NEGLIGIBLE = 1e-13; // mass of a sum that is left out

/**
 * Return the logarithm of the sum of exp(z / T).
 *
 * @param {Float32Array} logits
 * @param {number} temperature
 */
function logNormalizer(logits, temperature) {
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit / temperature);
  return Math.log(sum);
}

/**
 * Return the mean NLL in nats of softmax(z / T).
 *
 * @param {Predictions} predictions
 * @param {number} temperature
 */
export function meanNll({ logits, labels }, temperature) {
  let sum = 0;
  for (let n = 0; n < logits.length; n++)
    sum += logNormalizer(logits[n], temperature) - logits[n][labels[n]] / temperature;
  return sum / logits.length;
}

/**
 * Return the temperature in TEMPERATURES with the least NLL, which is convex in 1/T: its slope there
 * is the mean over the predictions of E[z] - z_label.
 *
 * @param {Predictions} predictions
 */
export function fitTemperature({ logits, labels }) {
  /** @param {number} temperature */
  const slope = (temperature) => {
    let sum = 0;
    for (let n = 0; n < logits.length; n++) {
      const normalizer = logNormalizer(logits[n], temperature);
      for (const logit of logits[n]) sum += logit * Math.exp(logit / temperature - normalizer);
      sum -= logits[n][labels[n]];
    }
    return sum;
  };
  let [low, high] = TEMPERATURES;
  while (high - low > 1e-4) {
    const middle = (low + high) / 2;
    if (slope(middle) > 0) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Return the same logits with labels drawn from softmax(z / T), as of a calibrated model.
 *
 * @param {Predictions} predictions
 * @param {number} temperature
 * @param {number} seed
 * @returns {Predictions}
 */
export function drawLabels({ logits }, temperature, seed) {
  const uniform = randomUniform(seed);
  const labels = logits.map((row) => {
    const normalizer = logNormalizer(row, temperature);
    let rest = uniform();
    let label = 0;
    while (label < row.length - 1 && (rest -= Math.exp(row[label] / temperature - normalizer)) > 0)
      label++;
    return label;
  });
  return { logits, labels };
}

/**
 * Return the probability of the likeliest class of each prediction, in ascending order, and how
 * often it was right.
 *
 * @param {Predictions} predictions
 * @param {number} temperature
 * @returns {Sorted}
 */
export function sortByConfidence({ logits, labels }, temperature) {
  const all = logits.map((row, n) => ({
    confidence: Math.exp(-logNormalizer(row, temperature)),
    hit: Number(row.indexOf(0) === labels[n]),
  }));
  all.sort((a, b) => a.confidence - b.confidence);
  const hitsBelow = new Float64Array(all.length + 1);
  const confidenceBelow = new Float64Array(all.length + 1);
  all.forEach(({ confidence, hit }, i) => {
    hitsBelow[i + 1] = hitsBelow[i] + hit;
    confidenceBelow[i + 1] = confidenceBelow[i] + confidence;
  });
  return { confidence: Float64Array.from(all, ({ confidence }) => confidence), hitsBelow, confidenceBelow };
}

/**
 * Return Wilson's interval (1927) for a probability of which `share` of `count` trials were hits, at
 * 95 %.
 *
 * @param {number} share
 * @param {number} count
 * @returns {Interval}
 */
export function wilsonInterval(share, count) {
  const z = NORMAL_QUANTILE ** 2 / count;
  const middle = (share + z / 2) / (1 + z);
  const half = Math.sqrt(z * share * (1 - share) + (z * z) / 4) / (1 + z);
  return [middle - half, middle + half];
}

/**
 * Return the bins that hold a prediction: those above one edge, up to the next one and with it.
 *
 * @param {Sorted} sorted
 * @param {number} wanted
 * @param {Equal} equal
 * @returns {Bin[]}
 */
export function binsOf({ confidence, hitsBelow, confidenceBelow }, wanted, equal) {
  const total = confidence.length;
  /** @param {number} b */
  const edge = (b) =>
    b === wanted - 1
      ? 1
      : equal === "width"
        ? (b + 1) / wanted
        : confidence[Math.ceil(((b + 1) * total) / wanted) - 1];
  const bins = [];
  // The first bin of equal mass begins where the predictions do.
  let low = equal === "width" ? 0 : confidence[0];
  for (let b = 0, first = 0; b < wanted; b++) {
    const high = edge(b);
    let end = first;
    while (end < total && (confidence[end] <= high || b === wanted - 1)) end++;
    const count = end - first;
    if (count) {
      const accuracy = (hitsBelow[end] - hitsBelow[first]) / count;
      bins.push({
        low,
        high,
        first,
        count,
        confidence: (confidenceBelow[end] - confidenceBelow[first]) / count,
        accuracy,
        interval: wilsonInterval(accuracy, count),
      });
    }
    [low, first] = [high, end];
  }
  return bins;
}

/**
 * Return the expected calibration error of these bins.
 *
 * @param {Bin[]} bins
 */
export function calibrationError(bins) {
  let [sum, total] = [0, 0];
  for (const { count, accuracy, confidence } of bins) {
    sum += count * Math.abs(accuracy - confidence);
    total += count;
  }
  return sum / total;
}

/**
 * Return E|Σ (h - c)| for independent hits h, each with its probability c.
 *
 * One hit after the other is added to the distribution of the sum, without its negligible tails.
 *
 * @param {Float64Array} probabilities
 */
export function meanAbsoluteDeviation(probabilities) {
  const masses = new Float64Array(probabilities.length + 1);
  masses[0] = 1;
  let [least, most, mean] = [0, 0, 0];
  for (const probability of probabilities) {
    mean += probability;
    most += 1;
    for (let sum = most; sum > least; sum--)
      masses[sum] += probability * (masses[sum - 1] - masses[sum]);
    masses[least] *= 1 - probability;
    while (masses[least] < NEGLIGIBLE) masses[least++] = 0;
    while (masses[most] < NEGLIGIBLE) masses[most--] = 0;
  }
  let deviation = 0;
  for (let sum = least; sum <= most; sum++) deviation += masses[sum] * Math.abs(sum - mean);
  return deviation;
}

/**
 * Return the error that a perfectly calibrated model has on average in these bins.
 *
 * @param {Sorted} sorted
 * @param {Bin[]} bins
 */
export function calibratedError({ confidence }, bins) {
  let sum = 0;
  for (const { first, count } of bins)
    sum += meanAbsoluteDeviation(confidence.subarray(first, first + count));
  return sum / confidence.length;
}
