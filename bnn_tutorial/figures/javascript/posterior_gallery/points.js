// The data of the figure PosteriorGallery in the reader's hand: moved by mouse, finger or arrow keys.

import { clamp, setAttributes, svg } from "../shared/plot.js";
import { ARROWS, emptiestPlace, NEIGHBOURS, pointAttributes } from "../shared/points.js";
import { MOST_POINTS, X_DOMAIN, Y_DOMAIN } from "./settings.js";

/**
 * @import { Plot } from "../shared/plot.js"
 * @import { Point } from "../shared/points.js"
 */

const STEP = 0.1; // of an arrow key

/**
 * @param {number} x
 * @param {number} y
 * @returns {Point}
 */
const pointAt = (x, y) => [
  Number(clamp(x, X_DOMAIN).toFixed(2)),
  Number(clamp(y, Y_DOMAIN).toFixed(2)),
];

export class Points {
  #plot;
  #get;
  #set;
  /** @type {SVGElement[]} */
  #nodes = [];
  #current = 0; // the point that the Tab key reaches

  /**
   * @param {Plot} plot
   * @param {{ get: () => Point[], set: (points: Point[]) => void }} options
   */
  constructor(plot, { get, set }) {
    this.#plot = plot;
    this.#get = get;
    this.#set = set;
    this.layer = plot.layer("data", { clipped: false });
  }

  /** Draw the points where they are now. */
  draw() {
    const points = this.#get();
    this.#nodes.splice(points.length).forEach((node) => {
      this.#plot.handles.delete(node);
      node.remove();
    });
    for (let i = this.#nodes.length; i < points.length; i++) this.#nodes.push(this.#makeNode(i));
    this.#current = clamp(this.#current, [0, points.length - 1]);
    points.forEach((point, i) =>
      setAttributes(this.#nodes[i], {
        ...pointAttributes(this.#plot, point, i, points.length),
        tabindex: i === this.#current ? 0 : -1,
      }),
    );
  }

  /** Add a point where the widest stretch of x has none, and take the focus there. */
  add() {
    const points = this.#get();
    if (points.length >= MOST_POINTS) return;
    this.#set([...points, pointAt(emptiestPlace(points, X_DOMAIN), 0)]);
    this.#nodes.at(-1)?.focus();
  }

  /** @param {number} index */
  remove(index = this.#current) {
    const points = this.#get();
    if (points.length > 1) this.#set(points.filter((_, i) => i !== index));
  }

  /**
   * @param {number} index
   * @param {Point} point
   */
  #move(index, point) {
    this.#set(this.#get().map((other, i) => (i === index ? point : other)));
  }

  /** @param {number} index */
  #makeNode(index) {
    const node = svg(
      "g",
      {
        role: "slider",
        class: "handle point",
        "aria-valuemin": Y_DOMAIN[0],
        "aria-valuemax": Y_DOMAIN[1],
      },
      svg("circle", { r: 14, class: "reach" }),
      svg("circle", { r: 4.5, class: "dot" }),
    );
    const plot = this.#plot;
    /** @type {{ pointerId: number, right: number, up: number } | null} */
    let grip = null;
    plot.handles.set(node, (event) => {
      node.setPointerCapture(event.pointerId);
      node.focus({ preventScroll: true });
      const [x, y] = this.#get()[index];
      const at = plot.position(event);
      grip = { pointerId: event.pointerId, right: x - at.x, up: y - at.y };
    });
    node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      event.preventDefault();
      plot.handles.get(plot.nearestHandle(event, node))?.(event);
    });
    // A finger on a point would scroll the page.
    node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    node.addEventListener("pointermove", (event) => {
      if (event.pointerId !== grip?.pointerId) return;
      const { x, y } = plot.position(event);
      this.#move(index, pointAt(x + grip.right, y + grip.up));
    });
    for (const type of ["pointerup", "pointercancel"])
      node.addEventListener(type, () => (grip = null));
    node.addEventListener("focus", () => {
      this.#nodes[this.#current]?.setAttribute("tabindex", "-1");
      this.#current = index;
      node.setAttribute("tabindex", "0");
    });
    node.addEventListener("keydown", (event) => this.#key(event, index));
    this.layer.append(node);
    return node;
  }

  /**
   * @param {KeyboardEvent} event
   * @param {number} index
   */
  #key(event, index) {
    const { length } = this.#nodes;
    const neighbour = NEIGHBOURS[event.key];
    const arrow = ARROWS[event.key];
    if (neighbour) this.#nodes[(index + neighbour + length) % length].focus();
    else if (arrow) {
      const step = STEP * (event.shiftKey ? 10 : 1);
      const [x, y] = this.#get()[index];
      this.#move(index, pointAt(x + arrow[0] * step, y + arrow[1] * step));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.remove(index);
      this.#nodes[Math.min(index, this.#nodes.length - 1)].focus();
    } else return;
    event.preventDefault();
  }
}
