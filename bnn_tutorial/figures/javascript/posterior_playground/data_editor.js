// The playground's data in the reader's hand: add, move and erase points, and cut a gap, by mouse,
// finger or keys. The data are the traits `points` and `gap`.

import { button, html } from "../shared/controls.js";
import { clamp, setAttributes, svg } from "../shared/plot.js";
import { ARROWS, emptiestPlace, NEIGHBOURS, pointAttributes } from "../shared/points.js";
import { GapEditor } from "./gap.js";
import {
  FIRST_GAP,
  MOST_POINTS,
  outsideGap,
  pointAt,
  SMALLEST_GAP,
  X_DOMAIN,
  Y_DOMAIN,
} from "./limits.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Plot } from "../shared/plot.js"
 * @import { Point } from "../shared/points.js"
 * @import { Gap, Traits } from "./limits.js"
 */

/**
 * @typedef {{ points: Point[], gap: Gap }} Data
 * @typedef {"edit" | "erase" | "gap"} Tool
 * @typedef {string | object} Gesture that may change the data several times, and is undone as one
 */

/** @type {{ value: Tool, label: string, hint: string, touchHint?: string }[]} */
const TOOLS = [
  {
    value: "edit",
    label: "Add or move",
    hint:
      "Click the plot to add a point, drag a point to move it, double-click it to remove it. By " +
      "keys: Tab to a point, arrows move it, Page Down goes to the next, Delete removes it.",
    touchHint: "Tap the plot to add a point, drag a point to move it; Erase removes points.",
  },
  {
    value: "erase",
    label: "Erase",
    hint: "Click or tap points to remove them, or drag over them.",
  },
  {
    value: "gap",
    label: "Cut a gap",
    hint: "Drag across the plot: the points between don't train. Move the gap by its edges.",
  },
];
const STEP = { x: 0.05, y: 0.5 };
/** @type {Record<string, number>} */
const REACH = { mouse: 12, touch: 20, pen: 14 }; // of a pointer, in pixels
const TAP = 8; // pixels that a tap may move
const MOST_UNDO = 100;

export class DataEditor {
  #plot;
  #controls;
  #model;
  /** @type {Data[]} */
  #undo = [];
  /** @type {SVGElement[]} */
  #nodes = [];
  #current = 0; // the point that the Tab key reaches
  /**
   * The pointer's, while it is down; `near` is the point that it took, and `from` where that was.
   *
   * @type {{ kind: Tool | "add" | "move", near: number | null, at: { x: number, y: number },
   *   from: Point | null, clientX: number, clientY: number } | null}
   */
  #gesture = null;
  /** @type {Gesture | null} */
  #lastGesture = null;
  /** @type {(number | null)[]} */
  #grips = [null, null]; // the points that the last two presses took
  /** @type {Tool} */
  #tool = "edit";
  gapButton = button("", () => this.#change({ gap: this.#gap.length ? [] : FIRST_GAP }));
  undoButton = button("Undo", () => {
    this.#lastGesture = null;
    this.#controls.set(this.#undo.pop() ?? {});
  });
  hint = html("p", { class: "hint" });

  /**
   * @param {Plot} plot
   * @param {Controls<Traits>} controls
   * @param {Model<Traits>} model
   */
  constructor(plot, controls, model) {
    this.#plot = plot;
    this.#controls = controls;
    this.#model = model;
    this.gap = new GapEditor(plot, {
      get: () => this.#gap,
      set: (gap, gesture) => {
        this.#change({ gap }, gesture);
        if (!gap.length) this.#keepFocus(); // the edge that had it is gone
      },
    });
    this.layer = plot.layer("data");
    this.toolbar = this.#makeToolbar();
    controls.onChange(["points", "gap"], () => this.draw());
    this.#listen();
  }

  get #points() {
    return this.#model.get("points");
  }

  get #gap() {
    return this.#model.get("gap");
  }

  /** Draw points and gap where they are now. */
  draw() {
    const points = this.#points;
    const gap = this.#gap;
    this.#nodes.splice(points.length).forEach((node) => node.remove());
    for (let i = this.#nodes.length; i < points.length; i++) this.#nodes.push(this.#makeNode(i));
    this.#current = clamp(this.#current, [0, Math.max(points.length - 1, 0)]);
    const used = new Set(outsideGap(points, gap));
    points.forEach((point, i) => {
      const isUsed = used.has(point);
      const attributes = pointAttributes(this.#plot, point, i, points.length);
      const place = attributes["aria-valuetext"];
      setAttributes(this.#nodes[i], {
        ...attributes,
        class: isUsed ? "handle point" : "handle point unused",
        tabindex: i === this.#current ? 0 : -1,
        "aria-valuetext": isUsed ? place : `${place}, in the gap`,
      });
    });
    this.gap.draw(gap);
    this.gapButton.textContent = gap.length ? "Close the gap" : "Cut a gap in the middle";
    const nothing = !this.#undo.length;
    if (nothing && document.activeElement === this.undoButton) this.#keepFocus();
    this.undoButton.disabled = nothing;
  }

  #makeToolbar() {
    const name = `tool-${Math.random()}`;
    const tools = TOOLS.map((tool) => {
      const { value, label } = tool;
      const input = html("input", { type: "radio", name, value, checked: value === this.#tool });
      input.addEventListener("change", () => this.#choose(tool));
      return html("label", {}, input, html("span", {}, label));
    });
    return html(
      "div",
      { class: "data-tools" },
      html("fieldset", { class: "control choice" }, html("legend", {}, "On the plot"), ...tools),
      this.hint,
      html(
        "div",
        { class: "buttons" },
        button("Add a point", () => this.#addSomewhere()),
        this.gapButton,
        this.undoButton,
      ),
    );
  }

  /** @param {typeof TOOLS[number]} tool */
  #choose({ value, hint, touchHint = hint }) {
    this.#tool = value;
    this.#plot.svg.dataset.tool = value;
    this.hint.textContent = matchMedia("(pointer: coarse)").matches ? touchHint : hint;
  }

  /** Take the focus from what is about to go, to a place near by where Enter does no harm. */
  #keepFocus() {
    const chosen = /** @type {HTMLElement} */ (this.toolbar.querySelector("input:checked"));
    chosen.focus({ preventScroll: true });
  }

  /**
   * Put other data in the place of these; Undo brings these back.
   *
   * @param {Data} data
   */
  replace({ points, gap }) {
    this.#change({ points, gap });
  }

  /**
   * Set points or gap; the changes of one `gesture` are one entry of Undo.
   *
   * @param {Partial<Data>} values
   * @param {Gesture} [gesture]
   */
  #change(values, gesture = {}) {
    const before = { points: this.#points, gap: this.#gap };
    const { points, gap } = { ...before, ...values };
    if (points === before.points && gap === before.gap) return;
    if (gesture !== this.#lastGesture) this.#undo.push(before);
    if (this.#undo.length > MOST_UNDO) this.#undo.shift();
    this.#lastGesture = gesture;
    this.#controls.set(values);
  }

  /** @param {Point} point */
  #add(point) {
    if (this.#points.length >= MOST_POINTS) return;
    this.#change({ points: [...this.#points, point] });
  }

  /** Add a point where the widest stretch of x has none, and take the focus there. */
  #addSomewhere() {
    this.#add(pointAt(emptiestPlace(this.#points, X_DOMAIN), 0));
    this.#nodes.at(-1)?.focus();
  }

  /**
   * @param {number} index
   * @param {Point} point
   */
  #moved(index, point) {
    return this.#points.map((other, i) => (i === index ? point : other));
  }

  /** @param {number} index */
  #without(index) {
    return this.#points.filter((_, i) => i !== index);
  }

  /** @param {number} index */
  #makeNode(index) {
    const node = svg(
      "g",
      {
        role: "slider",
        "aria-valuemin": Y_DOMAIN[0],
        "aria-valuemax": Y_DOMAIN[1],
      },
      svg("circle", { r: 12, class: "reach" }),
      svg("circle", { r: 3.5, class: "dot" }),
    );
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
    const points = this.#points;
    const neighbour = NEIGHBOURS[event.key];
    const arrow = ARROWS[event.key];
    if (neighbour) {
      this.#nodes[(index + neighbour + points.length) % points.length].focus();
    } else if (arrow) {
      const times = event.shiftKey ? 10 : 1;
      const [x, y] = points[index];
      const to = pointAt(x + arrow[0] * STEP.x * times, y + arrow[1] * STEP.y * times);
      this.#change({ points: this.#moved(index, to) }, `point ${index}`);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#change({ points: this.#without(index) });
      if (this.#nodes.length) this.#nodes[Math.min(index, this.#nodes.length - 1)].focus();
      else this.#keepFocus();
    } else return;
    event.preventDefault();
  }

  /**
   * Return the index of the point nearest to the pointer, or null if none is within its reach.
   *
   * @param {PointerEvent} event
   */
  #nearest(event) {
    const plot = this.#plot;
    const { x, y } = plot.position(event);
    const distances = this.#points.map((point) =>
      Math.hypot(plot.x(point[0]) - plot.x(x), plot.y(point[1]) - plot.y(y)));
    const index = distances.indexOf(Math.min(...distances));
    return distances[index] <= (REACH[event.pointerType] ?? REACH.mouse) ? index : null;
  }

  #listen() {
    const { svg: surface } = this.#plot;
    this.#choose(TOOLS[0]);
    surface.addEventListener("pointerdown", (event) => this.#down(event));
    // A finger on a point, or one that erases or cuts, does not scroll the page.
    /** @param {TouchEvent} event */
    const hold = (event) => {
      if (this.#gesture && this.#gesture.kind !== "add") event.preventDefault();
    };
    surface.addEventListener("touchstart", hold, { passive: false });
    surface.addEventListener("pointermove", (event) => this.#move(event));
    surface.addEventListener("pointerup", (event) => {
      if (this.#gesture?.kind === "add") {
        const { at, clientX, clientY } = this.#gesture;
        const moved = Math.hypot(event.clientX - clientX, event.clientY - clientY);
        if (moved < TAP) this.#add(pointAt(at.x, at.y));
      }
      this.#gesture = null;
    });
    surface.addEventListener("pointercancel", () => (this.#gesture = null));
    surface.addEventListener("dblclick", () => {
      const [first] = this.#grips; // null where the first press only added the point
      if (first !== null) this.#change({ points: this.#without(first) });
      this.#grips = [null, null];
    });
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    const at = this.#plot.position(event);
    const within = clamp(at.x, X_DOMAIN) === at.x && clamp(at.y, Y_DOMAIN) === at.y;
    if (!within) return;
    const near = this.#nearest(event);
    const kind = this.#tool === "edit" ? (near === null ? "add" : "move") : this.#tool;
    const from = near === null ? null : this.#points[near];
    this.#gesture = { kind, near, at, from, clientX: event.clientX, clientY: event.clientY };
    this.#grips = [this.#grips[1], kind === "move" ? near : null];
    if (kind === "add") return; // a finger that moves on scrolls the page
    event.preventDefault();
    this.#plot.svg.setPointerCapture(event.pointerId);
    if (kind === "move" && near !== null) this.#nodes[near].focus({ preventScroll: true });
    if (kind === "erase") this.#eraseAt(event);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#gesture) return;
    const { kind, near, at, from } = this.#gesture;
    const to = this.#plot.position(event);
    if (kind === "move" && near !== null && from) {
      const point = pointAt(from[0] + to.x - at.x, from[1] + to.y - at.y);
      this.#change({ points: this.#moved(near, point) }, this.#gesture);
    } else if (kind === "erase") {
      this.#eraseAt(event);
    } else if (kind === "gap") {
      const [low, high] = [at.x, to.x].map((x) => pointAt(x, 0)[0]).sort((a, b) => a - b);
      if (high - low >= SMALLEST_GAP) this.#change({ gap: [low, high] }, this.#gesture);
    }
  }

  /** @param {PointerEvent} event */
  #eraseAt(event) {
    const index = this.#nearest(event);
    if (index === null) return;
    this.#change({ points: this.#without(index) }, this.#gesture ?? undefined);
  }
}
