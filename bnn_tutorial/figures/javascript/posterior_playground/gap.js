// The playground's gap: a shaded stretch of x whose edges can be dragged or moved by keys.

import { clamp, movable, setAttributes, svg, tickText } from "../shared/plot.js";
import { SMALLEST_GAP, X_DOMAIN, Y_DOMAIN } from "./limits.js";

/**
 * @import { Interval, Plot } from "../shared/plot.js"
 * @import { Gap } from "./limits.js"
 */

const SIDES = ["Left", "Right"];
const STEP = 0.05;

export class GapEditor {
  /**
   * @param {Plot} plot
   * @param {object} options
   * @param {() => Gap} options.get
   * @param {(gap: Gap, gesture?: string) => void} options.set
   */
  constructor(plot, { get, set }) {
    this.plot = plot;
    this.area = svg("rect", { class: "gap-area" });
    this.text = svg("text", { class: "middle", y: 26 }, "gap");
    this.edges = SIDES.map((name, side) => {
      const node = svg(
        "g",
        { role: "slider", "aria-label": `${name} edge of the gap`, class: "edge" },
        svg("rect", { x: -12, width: 24, class: "reach" }),
        svg("line", { class: "dot" }),
      );
      return movable(node, plot, {
        from: () => get()[side] ?? 0,
        move: (x) => {
          const [low, high] = get();
          if (low === undefined || high === undefined) return;
          const edge = Number(clamp(x, this.#room([low, high], side)).toFixed(2));
          set(side ? [low, edge] : [edge, high], `${name} edge`);
        },
        step: STEP,
        remove: () => set([]),
      });
    });
    this.layer = plot.layer("gap");
    this.layer.append(this.area, this.text, ...this.edges);
  }

  /**
   * Return the interval in which an edge may lie.
   *
   * @param {Interval} gap
   * @param {number} side
   * @returns {Interval}
   */
  #room([low, high], side) {
    return side ? [low + SMALLEST_GAP, X_DOMAIN[1]] : [X_DOMAIN[0], high - SMALLEST_GAP];
  }

  /** @param {Gap} gap */
  draw(gap) {
    setAttributes(this.layer, { display: gap.length ? null : "none" });
    if (!gap.length) return;
    const places = gap.map((x) => this.plot.x(x));
    const [bottom, top] = Y_DOMAIN.map((y) => this.plot.y(y));
    const height = bottom - top;
    setAttributes(this.area, { x: places[0], y: top, width: places[1] - places[0], height });
    setAttributes(this.text, { x: (places[0] + places[1]) / 2 });
    this.edges.forEach((node, side) => {
      const [least, most] = this.#room(gap, side);
      setAttributes(node, {
        transform: `translate(${places[side]} 0)`,
        "aria-valuemin": least,
        "aria-valuemax": most,
        "aria-valuenow": gap[side],
        "aria-valuetext": `x ${tickText(gap[side], 0.01)}`,
      });
      const [reach, line] = node.children;
      setAttributes(reach, { y: top, height });
      setAttributes(line, { y1: top, y2: bottom });
    });
  }
}
