// The exact posterior of the figure PosteriorGallery, by quadrature. Given w₁ the posterior of w₂ is
// Gaussian, so that one integral over w₁ is left, and w and -w have the same density, so that half
// of it is enough.

import { normalCdf } from "../shared/gaussian.js";
import { climb, conditional } from "./network.js";

/** @import { Moments, Problem, Weights } from "./network.js" */

// The integrand is analytic and vanishes at the far end, and is even: the trapezoidal rule converges
// geometrically (Trefethen and Weideman, 2014).
const INTERVALS = 1600;
const REACH = 8; // standard deviations of the prior; beyond lies 1e-15 of its mass

/** @typedef {{ w1: number[], low: number[], high: number[] }} Outline between low and high w₂ */

export class ExactPosterior {
  /** @param {Problem} problem */
  constructor(problem) {
    this.problem = problem;
    const step = (REACH * problem.prior_std) / INTERVALS;
    this.w1 = Float64Array.from({ length: INTERVALS + 1 }, (_, i) => i * step);
    this.conditionals = Array.from(this.w1, (w1) => conditional(problem, w1));
    const highest = Math.max(...this.conditionals.map(({ logMarginal }) => logMarginal));
    const densities = this.conditionals.map(({ logMarginal }) => Math.exp(logMarginal - highest));
    densities[0] /= 2;
    const sum = densities.reduce((total, density) => total + density, 0);
    /** The posterior's mass at each w₁ and its mirror image together. */
    this.masses = Float64Array.from(densities, (density) => density / sum);
    this.logEvidence = highest + Math.log(2 * step * sum);
    const peaks = this.conditionals.map(({ peak }) => peak);
    const top = peaks.indexOf(Math.max(...peaks));
    /** @type {Weights} */
    this.mode = climb(problem, [this.w1[top], this.conditionals[top].mean]);
  }

  /** The highest points of the posterior: a mode and its mirror image, or one at the origin. */
  get modes() {
    const [w1, w2] = this.mode;
    return Math.hypot(w1, w2) < 1e-3 ? [this.mode] : [this.mode, [-w1, -w2]];
  }

  /**
   * Return the posterior's mean and standard deviation of f at each input.
   *
   * @param {ArrayLike<number>} x
   * @returns {Moments}
   */
  moments(x) {
    const mean = new Float64Array(x.length);
    const square = new Float64Array(x.length);
    this.masses.forEach((mass, i) => {
      if (mass < 1e-18) return;
      const { mean: middle, std } = this.conditionals[i];
      for (let n = 0; n < x.length; n++) {
        const h = Math.tanh(this.w1[i] * x[n]);
        mean[n] += mass * middle * h;
        square[n] += mass * (middle * middle + std * std) * h * h;
      }
    });
    return { mean, std: square.map((value, n) => Math.sqrt(Math.max(value - mean[n] ** 2, 0))) };
  }

  /**
   * Return the mean and the covariance of the weights over the half with w₁ > 0.
   *
   * @returns {{ mean: Weights, covariance: [number, number, number] }}
   */
  halfMoments() {
    let [m1, m2, s11, s12, s22] = [0, 0, 0, 0, 0];
    this.masses.forEach((mass, i) => {
      const { mean, std } = this.conditionals[i];
      m1 += mass * this.w1[i];
      m2 += mass * mean;
      s11 += mass * this.w1[i] ** 2;
      s12 += mass * this.w1[i] * mean;
      s22 += mass * (mean ** 2 + std ** 2);
    });
    return { mean: [m1, m2], covariance: [s11 - m1 * m1, s12 - m1 * m2, s22 - m2 * m2] };
  }

  /**
   * Return the posterior's mass where the log joint density is above `level`.
   *
   * @param {number} level
   */
  massAbove(level) {
    let sum = 0;
    this.masses.forEach((mass, i) => {
      const above = this.conditionals[i].peak - level;
      if (mass > 1e-12 && above > 0) sum += mass * (2 * normalCdf(Math.sqrt(2 * above)) - 1);
    });
    return sum;
  }

  /**
   * Return the level above which lies this share of the posterior's mass.
   *
   * @param {number} share
   */
  level(share) {
    let high = Math.max(...this.conditionals.map(({ peak }) => peak));
    let low = high - 40;
    for (let i = 0; i < 34; i++) {
      const middle = (low + high) / 2;
      if (this.massAbove(middle) > share) low = middle;
      else high = middle;
    }
    return low;
  }

  /**
   * Return where the log joint density is above `level`, with w₁ from `from` to `to`: the areas in
   * which w₂ lies between `low` and `high`.
   *
   * @param {number} level
   * @param {number} from
   * @param {number} to
   * @param {number} intervals
   */
  outlines(level, from, to, intervals) {
    /** @type {Outline[]} */
    const found = [];
    /** @type {Outline | null} */
    let open = null;
    let [last, lastAbove] = [from, -1];
    /** @param {number} w1 */
    const put = (w1) => {
      const { mean, std, peak } = conditional(this.problem, w1);
      const reach = std * Math.sqrt(2 * Math.max(peak - level, 0));
      open?.w1.push(w1);
      open?.low.push(mean - reach);
      open?.high.push(mean + reach);
    };
    for (let i = 0; i <= intervals; i++) {
      const w1 = from + ((to - from) * i) / intervals;
      const above = conditional(this.problem, w1).peak - level;
      const crosses = i > 0 && above > 0 !== lastAbove > 0;
      const edge = crosses ? this.#crossing(level, last, w1) : w1;
      if (above > 0 && !open) {
        open = { w1: [], low: [], high: [] };
        found.push(open);
        if (crosses) put(edge);
      }
      if (above > 0) put(w1);
      else if (open) {
        put(edge);
        open = null;
      }
      [last, lastAbove] = [w1, above];
    }
    return found;
  }

  /**
   * @param {number} level
   * @param {number} from
   * @param {number} to
   */
  #crossing(level, from, to) {
    /** @param {number} w1 */
    const isAbove = (w1) => conditional(this.problem, w1).peak > level;
    const begins = isAbove(from);
    for (let i = 0; i < 30; i++) {
      const middle = (from + to) / 2;
      if (isAbove(middle) === begins) from = middle;
      else to = middle;
    }
    return begins ? from : to;
  }
}
