// A place on the x axis that the reader moves: a knob at the foot of the plot.

import { numberText } from "./controls.js";
import { clamp, movable, setAttributes, svg } from "./plot.js";

/**
 * @import { Plot } from "./plot.js"
 */

/** @param {number} x */
export const placeText = (x) => `x = ${numberText(x)}`;

/**
 * Return the path of a line down the plot's whole height.
 *
 * @param {Plot} plot
 * @param {number} x
 */
export const placePath = (plot, x) => `M${plot.x(x).toFixed(1)},${plot.y.range[1]}V${plot.y.range[0]}`;

export class PlaceMark {
  #plot;

  /**
   * @param {Plot} plot
   * @param {object} options
   * @param {string} options.label what a screen reader calls it
   * @param {() => number} options.from returns the present place
   * @param {(x: number) => void} options.move called with the new place, to two decimals
   */
  constructor(plot, { label, from, move }) {
    this.#plot = plot;
    const { domain } = plot.axes.x;
    const node = svg(
      "g",
      {
        role: "slider",
        "data-trait": "place",
        "aria-label": label,
        "aria-valuemin": domain[0],
        "aria-valuemax": domain[1],
      },
      svg("circle", { r: 15, class: "reach" }),
      svg("path", { d: "M-8,0L0,-8L8,0L0,8Z", class: "knob" }),
    );
    this.node = movable(node, plot, {
      from,
      move: (x) => move(Number(clamp(x, domain).toFixed(2))),
      step: 0.1,
    });
    plot.layer("marks", { clipped: false }).append(this.node);
  }

  /** @param {number} x */
  show(x) {
    setAttributes(this.node, {
      transform: `translate(${this.#plot.x(x).toFixed(1)} ${this.#plot.y.range[0]})`,
      "aria-valuenow": x,
      "aria-valuetext": placeText(x),
    });
  }
}
