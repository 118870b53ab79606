// Data points in the reader's hand: what the figures that let them be moved have in common.

import { tickText } from "./plot.js";

/**
 * @import { Interval, Plot } from "./plot.js"
 */

/** @typedef {[x: number, y: number]} Point */

/**
 * Where the arrow keys lead, in steps.
 *
 * @type {Record<string, Point>}
 */
export const ARROWS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowDown: [0, -1],
  ArrowUp: [0, 1],
};

/**
 * How many points on the keys lead that go from one to another.
 *
 * @type {Record<string, number>}
 */
export const NEIGHBOURS = { PageDown: 1, PageUp: -1 };

/**
 * Return the middle of the widest stretch of x that has no point.
 *
 * @param {Point[]} points
 * @param {Interval} domain
 */
export function emptiestPlace(points, [low, high]) {
  const taken = [low, ...points.map(([x]) => x), high].sort((a, b) => a - b);
  let widest = 0;
  for (let i = 1; i + 1 < taken.length; i++)
    if (taken[i + 1] - taken[i] > taken[widest + 1] - taken[widest]) widest = i;
  return (taken[widest] + taken[widest + 1]) / 2;
}

/**
 * Return where a point's node stands, and what a screen reader says of it.
 *
 * @param {Plot} plot
 * @param {Point} point
 * @param {number} index
 * @param {number} count of all points
 */
export const pointAttributes = (plot, [x, y], index, count) => ({
  transform: `translate(${plot.x(x).toFixed(1)} ${plot.y(y).toFixed(1)})`,
  "aria-label": `Data point ${index + 1} of ${count}`,
  "aria-valuenow": y,
  "aria-valuetext": `x ${tickText(x, 0.01)}, y ${tickText(y, 0.01)}`,
});
