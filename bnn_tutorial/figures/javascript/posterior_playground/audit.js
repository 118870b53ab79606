// The playground's audit: new observations of the true curve, and which of them a band leaves out.

import { randomNormal } from "../shared/gaussian.js";
import { auditBand, exactMoments } from "./network.js";

/** @import { Network } from "./network.js" */

export const TRUE_NOISE = 2 / Math.sqrt(12);
const EDGE = 1.5; // of the data
const POSITIONS = 200;
const OBSERVATIONS = 10; // at each position
const SEED = 2026;

/**
 * Return the chapter's curve, x⁵ - 10x.
 *
 * @param {number} x
 */
export const truth = (x) => x ** 5 - 10 * x;

/** Return held-out inputs on [-1.5, 1.5], and ten targets for each of them, one after the other. */
export function heldOut() {
  const normal = randomNormal(SEED);
  const x = Float64Array.from({ length: POSITIONS }, (_, i) =>
    EDGE * ((2 * i) / (POSITIONS - 1) - 1));
  const y = Float64Array.from({ length: POSITIONS * OBSERVATIONS }, (_, n) =>
    truth(x[Math.floor(n / OBSERVATIONS)]) + TRUE_NOISE * normal());
  return { x, y };
}

/**
 * Return a function from a network and its noise to the audit of its 3-sigma bands.
 *
 * `total` counts the held-out points outside the total band, which promises them; `epistemic`
 * those outside the epistemic band, which does not and is not blamed for them; `curve` the places
 * where the true curve, which that one promises, lies outside it. Each is one of `auditBand`.
 * `outsiders` are the points outside the total band.
 */
export function createAudit() {
  const { x, y } = heldOut();
  const mean = new Float64Array(y.length);
  const std = new Float64Array(y.length);
  const curve = x.map(truth);
  /**
   * @param {Network} network
   * @param {number} noise_std
   */
  return (network, noise_std) => {
    const moments = exactMoments(network, x);
    for (let n = 0; n < y.length; n++) {
      mean[n] = moments.mean[Math.floor(n / OBSERVATIONS)];
      std[n] = moments.std[Math.floor(n / OBSERVATIONS)];
    }
    /** @type {{ x: number, y: number }[]} */
    const outsiders = [];
    for (let n = 0; n < y.length; n++)
      if (Math.abs(y[n] - mean[n]) > 3 * Math.hypot(std[n], noise_std))
        outsiders.push({ x: x[Math.floor(n / OBSERVATIONS)], y: y[n] });
    return {
      total: auditBand(y, { mean, std }, { noise_std, k: 3 }),
      epistemic: auditBand(y, { mean, std }, { noise_std: 0, k: 3 }),
      curve: auditBand(curve, moments, { noise_std: 0, k: 3 }),
      outsiders,
    };
  };
}

/**
 * Return what an audit counted, in words.
 *
 * @param {ReturnType<typeof auditBand>} audit
 */
export function auditText({ outside, total, share, nominal }) {
  /** @param {number} value */
  const percent = (value) => `${(100 * value).toFixed(2)}\u00a0%`;
  const counted = `${outside.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  return `${counted} (${percent(share)}, nominal ${percent(nominal)})`;
}
