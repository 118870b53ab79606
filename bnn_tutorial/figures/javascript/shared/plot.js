// Plots drawn as SVG: scales, axes, curves, areas, and handles that a reader drags by mouse, finger
// or arrow keys. A plot draws itself at the width it is given, so that its letters keep their size.

import { ticks, tickStep } from "d3-array";
import { fixedText, html } from "./controls.js";

/**
 * @typedef {[number, number]} Interval
 * @typedef {{ domain: Interval, label?: string, ticks?: number }} Axis `ticks: 0` leaves it out
 */

const NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * Return a new SVG element with these attributes and children.
 *
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number | null | undefined>} [attributes]
 * @param {...(Node | string)} children
 */
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(NAMESPACE, name);
  setAttributes(node, attributes);
  node.append(...children);
  return node;
}

/**
 * Return a function that adds a path named `name` to a layer.
 *
 * @param {Element} layer
 */
export const pathsIn = (layer) => (/** @type {string} */ name) =>
  layer.appendChild(svg("path", { class: name }));

/**
 * Return the list that says what the drawings mean; a sample is a path in a box of 28 by 14.
 *
 * @param {[name: string, sample: string, words: string][]} entries
 */
export const legend = (entries) =>
  html(
    "ul",
    { class: "legend" },
    ...entries.map(([name, d, words]) =>
      html(
        "li",
        {},
        svg("svg", { width: 28, height: 14, "aria-hidden": "true" }, svg("path", { d, class: name })),
        html("span", {}, words),
      ),
    ),
  );

/**
 * Set attributes; null or undefined removes one.
 *
 * @param {Element} node
 * @param {Record<string, string | number | null | undefined>} attributes
 */
export function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes))
    if (value === null || value === undefined) node.removeAttribute(name);
    else node.setAttribute(name, String(value));
}

/**
 * Return the linear map from `domain` to `range`, with `invert` for the way back.
 *
 * @param {Interval} domain
 * @param {Interval} range
 */
export function linearScale(domain, range) {
  const slope = (range[1] - range[0]) / (domain[1] - domain[0]);
  /** @param {number} value */
  const scale = (value) => range[0] + (value - domain[0]) * slope;
  /** @param {number} position */
  scale.invert = (position) => domain[0] + (position - range[0]) / slope;
  scale.domain = domain;
  scale.range = range;
  return scale;
}

/**
 * Write a number with the digits that tell ticks `step` apart, and a true minus sign.
 *
 * @param {number} value
 * @param {number} step
 */
export function tickText(value, step) {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return fixedText(value, Math.min(digits, 6));
}

/** @param {number} value */
const coordinate = (value) => value.toFixed(1);

/**
 * Return the number within the interval that is nearest to `value`.
 *
 * @param {number} value
 * @param {Interval} interval
 */
export const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);

/**
 * Return the path through the points (x[i], y[i]) in the plot's coordinates.
 *
 * @param {Plot} plot
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} y
 */
export function linePath(plot, x, y) {
  let path = "";
  for (let i = 0; i < x.length; i++)
    path += `${i ? "L" : "M"}${coordinate(plot.x(x[i]))},${coordinate(plot.y(y[i]))}`;
  return path;
}

/**
 * Return the closed path between (x[i], low[i]) and (x[i], high[i]).
 *
 * @param {Plot} plot
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} low
 * @param {ArrayLike<number>} high
 */
export function areaPath(plot, x, low, high) {
  let back = "";
  for (let i = x.length - 1; i >= 0; i--)
    back += `L${coordinate(plot.x(x[i]))},${coordinate(plot.y(low[i]))}`;
  return x.length ? `${linePath(plot, x, high)}${back}Z` : "";
}

export class Plot {
  /**
   * @param {object} options
   * @param {string} options.label what a screen reader says of the plot
   * @param {Axis} options.x
   * @param {Axis} options.y
   * @param {number} [options.height] in pixels; the width is the place's
   * @param {{ top?: number, right?: number, bottom?: number, left?: number }} [options.margin]
   * @param {() => void} options.draw called whenever the plot must be drawn again
   * @param {boolean} [options.interactive] it holds handles, which a screen reader must find inside
   */
  constructor({ label, x, y, height = 300, margin = {}, draw, interactive = false }) {
    this.axes = { x: { ticks: 6, ...x }, y: { ticks: 5, ...y } };
    this.margin = { top: 10, right: 12, bottom: 40, left: 52, ...margin };
    this.height = height;
    this.width = 640;
    this.draw = draw;
    /** @type {SVGElement[]} */
    this.windows = [];
    /** @type {Map<SVGElement, (event: PointerEvent) => void>} */
    this.handles = new Map(); // each with what takes it into the hand
    /** @type {Partial<Record<"x" | "y", Interval>>} */
    this.seen = {}; // the domains that were last drawn
    this.grid = svg("g", { class: "axes", "aria-hidden": "true" });
    this.newScales = { x: svg("text", { class: "new-scale end" }), y: svg("text", { class: "new-scale" }) };
    this.svg = svg(
      "svg",
      { class: "plot", role: interactive ? "group" : "img", "aria-label": label },
      this.grid,
    );
    this.x = this.#scale("x");
    this.y = this.#scale("y");
    this.observer = new ResizeObserver(([entry]) => {
      const width = Math.round(entry.contentRect.width);
      if (width < 1 || width === this.width) return;
      this.width = width;
      this.redraw();
    });
    this.observer.observe(this.svg);
  }

  /**
   * Return a new layer above the others; what leaves the axes is cut off unless `clipped` is false.
   *
   * @param {string} name
   */
  layer(name, { clipped = true } = {}) {
    // An inner svg cuts off by itself; a clip path would need a name that no other figure has.
    const layer = svg(clipped ? "svg" : "g", { class: name });
    if (clipped) this.windows.push(layer);
    this.svg.append(layer);
    return layer;
  }

  /**
   * Set the domain of an axis; the next `redraw` shows it.
   *
   * @param {"x" | "y"} axis
   * @param {Interval} domain
   */
  setDomain(axis, domain) {
    this.axes[axis].domain = domain;
    this[axis] = this.#scale(axis);
  }

  /**
   * Set the domain of an axis that follows the reader's settings; where its scale is another than the
   * one last seen, the plot says so until a setting moves without it.
   *
   * @param {"x" | "y"} axis
   * @param {Interval} domain
   */
  rescale(axis, domain) {
    const isOther = this.seen[axis]?.some((end, i) => end !== domain[i]);
    this.newScales[axis].textContent = isOther ? `${axis === "x" ? "↔" : "↕"} new scale` : "";
    this.setDomain(axis, domain);
  }

  redraw() {
    this.x = this.#scale("x");
    this.y = this.#scale("y");
    this.seen = { x: this.axes.x.domain, y: this.axes.y.domain };
    this.#drawAxes();
    this.draw();
  }

  /**
   * Return where a pointer's event lies, in the units of the axes.
   *
   * @param {MouseEvent} event
   */
  position(event) {
    const box = this.svg.getBoundingClientRect();
    const stretch = this.width / box.width;
    return {
      x: this.x.invert((event.clientX - box.left) * stretch),
      y: this.y.invert((event.clientY - box.top) * stretch),
    };
  }

  /**
   * Return the handle in sight that is nearest to a pointer: `node` where none is nearer.
   *
   * @param {PointerEvent} event
   * @param {SVGElement} node
   */
  nearestHandle({ clientX, clientY }, node) {
    /** @param {Element} handle */
    const distance = (handle) => {
      const { x, y, width, height } = handle.getBoundingClientRect();
      return Math.hypot(clientX - x - width / 2, clientY - y - height / 2);
    };
    return [...this.handles.keys()]
      .filter((handle) => handle.getClientRects().length)
      .reduce((best, handle) => (distance(handle) < distance(best) ? handle : best), node);
  }

  end() {
    this.observer.disconnect();
  }

  /** @param {"x" | "y"} axis */
  #scale(axis) {
    const { top, right, bottom, left } = this.margin;
    const { domain } = this.axes[axis];
    return axis === "x"
      ? linearScale(domain, [left, this.width - right])
      : linearScale(domain, [this.height - bottom, top]);
  }

  #drawAxes() {
    const { top, right, bottom, left } = this.margin;
    const width = this.width - left - right;
    const height = this.height - top - bottom;
    setAttributes(this.svg, { viewBox: `0 0 ${this.width} ${this.height}`, height: this.height });
    const inside = { x: left, y: top, width, height, viewBox: `${left} ${top} ${width} ${height}` };
    for (const layer of this.windows) setAttributes(layer, inside);
    setAttributes(this.newScales.x, { x: left + width - 4, y: top + height - 6 });
    setAttributes(this.newScales.y, { x: left + 5, y: top + 12 });
    this.svg.append(...Object.values(this.newScales).filter(({ textContent }) => textContent));
    const { x, y } = this.axes;
    const marks = [];
    const wanted = Math.min(x.ticks, Math.floor(width / 60));
    if (x.ticks) {
      const step = tickStep(...x.domain, wanted);
      for (const value of ticks(...x.domain, wanted)) {
        const at = this.x(value);
        marks.push(
          svg("line", { x1: at, x2: at, y1: top, y2: top + height, class: "grid" }),
          svg("text", { x: at, y: top + height + 16, class: "tick middle" }, tickText(value, step)),
        );
      }
    }
    if (y.ticks) {
      const step = tickStep(...y.domain, y.ticks);
      for (const value of ticks(...y.domain, y.ticks)) {
        const at = this.y(value);
        marks.push(
          svg("line", { x1: left, x2: left + width, y1: at, y2: at, class: "grid" }),
          svg("text", { x: left - 6, y: at + 4, class: "tick end" }, tickText(value, step)),
        );
      }
    }
    marks.push(svg("path", { d: `M${left},${top}v${height}h${width}`, class: "axis" }));
    if (x.label)
      marks.push(
        svg("text", { x: left + width / 2, y: this.height - 6, class: "label middle" }, x.label),
      );
    if (y.label)
      marks.push(
        svg(
          "text",
          { transform: `translate(13 ${top + height / 2}) rotate(-90)`, class: "label middle" },
          y.label,
        ),
      );
    this.grid.replaceChildren(...marks);
  }
}

/** @type {Record<string, number>} */
const KEY_STEPS = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -10,
  PageUp: 10,
};
/** @type {Record<string, string>} */
const KEY_ENDS = { Home: "aria-valuemin", End: "aria-valuemax" };

/**
 * Make `node`, a slider with its ARIA values, movable along x: by dragging it, or focused by the
 * keys of a slider (an arrow with Shift: ten steps).
 *
 * @param {SVGElement} node
 * @param {Plot} plot in whose units of x a place is
 * @param {object} options
 * @param {() => number} options.from returns the present place
 * @param {(place: number, dragged: boolean) => void} options.move called with the new place, and
 *   whether it was `dragged` there
 * @param {number} options.step of the arrow keys
 * @param {() => void} [options.remove] called for Delete and Backspace
 */
export function movable(node, plot, { from, move, step, remove }) {
  setAttributes(node, { tabindex: 0, class: `${node.getAttribute("class") ?? ""} handle`.trim() });
  /** @type {{ pointerId: number, offset: number } | null} */
  let grip = null;
  plot.handles.set(node, (event) => {
    node.setPointerCapture(event.pointerId);
    node.focus({ preventScroll: true });
    grip = { pointerId: event.pointerId, offset: from() - plot.position(event).x };
  });
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    event.stopPropagation();
    plot.handles.get(plot.nearestHandle(event, node))?.(event);
  });
  // Chromium heeds the touch-action of a whole svg, not of what is in it: a finger on the handle
  // would scroll the page.
  node.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  node.addEventListener("pointermove", (event) => {
    if (grip && event.pointerId === grip.pointerId)
      move(plot.position(event).x + grip.offset, true);
  });
  /** @param {PointerEvent} event */
  const release = (event) => {
    if (event.pointerId === grip?.pointerId) grip = null;
  };
  node.addEventListener("pointerup", release);
  node.addEventListener("pointercancel", release);
  node.addEventListener("keydown", (event) => {
    const steps = KEY_STEPS[event.key];
    const end = KEY_ENDS[event.key];
    if (remove && (event.key === "Delete" || event.key === "Backspace")) remove();
    else if (steps) {
      const times = event.shiftKey && event.key.startsWith("Arrow") ? 10 : 1;
      move(from() + steps * times * step, false);
    } else if (end) {
      const [to, now] = [end, "aria-valuenow"].map((name) => Number(node.getAttribute(name)));
      move(from() + to - now, false);
    } else return;
    event.preventDefault();
  });
  return node;
}
