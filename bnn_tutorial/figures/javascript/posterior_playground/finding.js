// What the playground's picture shows, in one sentence: how well the network says it knows the curve
// where there are points and where there are none, and whether it is right.

import { html, numberText } from "../shared/controls.js";
import { exactMoments } from "./network.js";
import { WIDEST_START } from "./session.js";

/**
 * @import { Gap } from "./limits.js"
 * @import { auditBand, Network } from "./network.js"
 */

const END = 3; // where the plot ends, beyond the points
const NEAR = 0.5;

/** @param {number} std */
const reach = (std) => html("b", {}, `±${numberText(3 * std, 2)}`);

/** @param {Float64Array} values */
const median = (values) => values.slice().sort()[Math.floor(values.length / 2)];

/**
 * Return the sentence, as text and nodes.
 *
 * @param {object} now
 * @param {Network} now.network
 * @param {Float64Array} now.x of the points that train
 * @param {Gap} now.gap
 * @param {number} now.prior_std
 * @param {number} now.steps
 * @param {ReturnType<typeof auditBand>} now.curve the audit of the true curve
 */
export function findingText({ network, x, gap, prior_std, steps, curve }) {
  const [low, high] = gap;
  const inGap = low !== undefined && high !== undefined;
  const place = inGap ? (low + high) / 2 : END;
  const there = reach(exactMoments(network, [place]).std[0]);
  const at = ` at x = ${numberText(place, 2)}`;
  if (steps === 0)
    return [
      prior_std > WIDEST_START ? "Before training" : "This is the prior, before training",
      ": for all that the network knows, the curve may run anywhere, within ",
      ...[there, at, "."],
    ];
  if (!x.length) return ["Without points the network learns nothing: ", there, at, "."];
  const among = reach(median(exactMoments(network, x).std));
  const lonely = x.every((other) => Math.abs(other - place) > NEAR);
  return [
    ...["The network says it knows the curve to ", among, " at the points and to ", there, at],
    lonely ? `, ${inGap ? "in the gap" : "where there are none"}` : "",
    curve.outside
      ? "; but within x = ±1.5 the true curve leaves this band at "
      : "; within x = ±1.5 the true curve ",
    curve.outside
      ? html("b", {}, `${curve.outside} of ${curve.total} places`)
      : html("b", {}, "stays inside this band"),
    ".",
  ];
}
