// Split conformal prediction in the figure Cover: which digits calibrate, the bounds that follow from
// their scores, the sets, what these cover, and the distribution that the guarantee implies.

import { randomUniform } from "../shared/gaussian.js";

/**
 * @typedef {object} Answers what the classifier says of the test digits
 * @property {Float64Array[]} upright ten probabilities of each digit
 * @property {Float64Array[]} turned the same of the digits turned by 30 degrees
 * @property {Uint8Array} labels
 * @property {number[]} pool those that calibrate or are new; the others are shown
 */

/**
 * @typedef {{ level: number, calibration_size: number, class_conditional: boolean,
 *   turned: boolean }} Settings
 */

export const CLASSES = [...Array(10).keys()];
/** The largest calibration set. */
export const MOST = 1000;

/**
 * Return the softmax of rows of ten logits.
 *
 * @param {Float32Array} logits
 */
export function probabilities(logits) {
  return Array.from({ length: logits.length / CLASSES.length }, (_, row) => {
    const own = Float64Array.from(CLASSES, (k) => logits[row * CLASSES.length + k]);
    const most = Math.max(...own);
    const weights = own.map((logit) => Math.exp(logit - most));
    const total = weights.reduce((sum, weight) => sum + weight);
    return weights.map((weight) => weight / total);
  });
}

/**
 * Return k = ⌈(n + 1) level⌉, the rank of the bound among n scores; above n there is none.
 *
 * @param {number} count
 * @param {number} level
 */
// In floating point 100 × 0.07 lies above 7: rounded up as it is, it would make k = 8.
export const rankOf = (count, level) => Math.ceil((count + 1) * level - 1e-9);

/**
 * Return the k-th smallest of the scores, infinite where they are too few for the level.
 *
 * @param {Float64Array} scores
 * @param {number} level
 */
export function quantile(scores, level) {
  const rank = rankOf(scores.length, level);
  return rank > scores.length ? Infinity : scores.slice().sort()[rank - 1];
}

/**
 * Return the pool in random order, the same for the same seed: those in front calibrate.
 *
 * @param {number[]} pool
 * @param {number} seed
 */
export function deal(pool, seed) {
  const uniform = randomUniform(seed);
  const order = Uint16Array.from(pool);
  for (let i = 0; i < MOST; i++) {
    const other = i + Math.floor(uniform() * (order.length - i));
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}

/**
 * Return for each class the largest score with which it is in a set.
 *
 * @param {Answers} answers
 * @param {Uint16Array} calibration
 * @param {Settings} settings
 */
export function bounds({ upright, labels }, calibration, { level, class_conditional }) {
  /** @param {Uint16Array} digits */
  const bound = (digits) =>
    quantile(Float64Array.from(digits, (i) => 1 - upright[i][labels[i]]), level);
  return class_conditional
    ? CLASSES.map((k) => bound(calibration.filter((i) => labels[i] === k)))
    : Array(CLASSES.length).fill(bound(calibration));
}

/**
 * Return the set of a digit: the classes whose score is within their bound.
 *
 * @param {Float64Array} own probabilities
 * @param {number[]} limits
 */
export const setOf = (own, limits) => CLASSES.filter((k) => 1 - own[k] <= limits[k]);

/**
 * Return the bounds of one calibration set, and the share of the new digits that they cover: of all,
 * and class by class.
 *
 * @param {Answers} answers
 * @param {Uint16Array} order a deal of the pool
 * @param {Settings} settings
 */
export function cover(answers, order, settings) {
  const { labels } = answers;
  const limits = bounds(answers, order.subarray(0, settings.calibration_size), settings);
  const asked = settings.turned ? answers.turned : answers.upright;
  const fresh = order.subarray(settings.calibration_size);
  const hits = CLASSES.map(() => 0);
  const counts = CLASSES.map(() => 0);
  for (const i of fresh) {
    const k = labels[i];
    counts[k] += 1;
    if (1 - asked[i][k] <= limits[k]) hits[k] += 1;
  }
  return {
    limits,
    fresh,
    coverage: hits.reduce((sum, one) => sum + one) / fresh.length,
    shares: hits.map((one, k) => one / counts[k]),
  };
}

/**
 * Return the mean number of classes in the sets of these digits, and the share of empty sets.
 *
 * @param {Float64Array[]} asked probabilities of all
 * @param {Uint16Array} digits
 * @param {number[]} limits
 */
export function sizes(asked, digits, limits) {
  const found = Array.from(digits, (i) => setOf(asked[i], limits).length);
  return {
    mean: found.reduce((sum, size) => sum + size) / found.length,
    empty: found.filter((size) => size === 0).length / found.length,
  };
}

/**
 * Return the probabilities of 0 to `total` hits, beta-binomial: those of the guarantee for new
 * data, with a = k and b = n + 1 - k.
 *
 * @param {number} total
 * @param {number} a
 * @param {number} b
 */
export function betaBinomial(total, a, b) {
  const law = new Float64Array(total + 1);
  // From a hit count of the largest probability on, each follows from its neighbour.
  const middle = Math.round((total * a) / (a + b));
  /** @param {number} hits */
  const ratio = (hits) =>
    ((total - hits) * (a + hits)) / ((hits + 1) * (total - hits - 1 + b)); // to that of hits + 1
  law[middle] = 1;
  for (let hits = middle; hits < total; hits++) law[hits + 1] = law[hits] * ratio(hits);
  for (let hits = middle; hits > 0; hits--) law[hits - 1] = law[hits] / ratio(hits - 1);
  const sum = law.reduce((all, one) => all + one);
  return law.map((one) => one / sum);
}

/**
 * Return the mean of numbers, and the ends between which the middle 95 % of them lie.
 *
 * @param {number[]} values
 */
export function summary(values) {
  const sorted = Float64Array.from(values).sort();
  const tail = Math.round(0.025 * sorted.length);
  return {
    mean: sorted.reduce((sum, value) => sum + value) / sorted.length,
    low: sorted[tail],
    high: sorted[sorted.length - 1 - tail],
  };
}
