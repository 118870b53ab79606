// The playground's data in the reader's hand: add, move and erase points, and cut a gap, by mouse,
// finger or keys. The data are the traits `points` and `gap`.

import { button, html } from "../shared/controls.js";
import { movable, setAttributes, svg, tickText } from "../shared/plot.js";
import { clamp, MOST_POINTS, outsideGap, pointAt, SMALLEST_GAP, X_DOMAIN, Y_DOMAIN } from "./limits.js";

const TOOLS = [
  { value: "edit", label: "Add or move" },
  { value: "erase", label: "Erase" },
  { value: "gap", label: "Cut a gap" },
];
const STEP = { x: 0.05, y: 0.5 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
const REACH = { mouse: 12, touch: 20, pen: 14 }; // of a pointer, in pixels
const FIRST_GAP = [-0.75, 0.75];
const MOST_UNDO = 100;

export class DataEditor {
  #plot;
  #controls;
  #model;
  #original;
  #undo = [];
  #nodes = [];
  #current = 0; // the point that the Tab key reaches
  #gesture = null;
  #tool = "edit";

  /** @param {object[]} original the points and the gap that "Reset data" brings back */
  constructor(plot, controls, model, original) {
    this.#plot = plot;
    this.#controls = controls;
    this.#model = model;
    this.#original = original;
    this.#makeGap();
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
    while (this.#nodes.length > points.length) this.#nodes.pop().remove();
    while (this.#nodes.length < points.length) this.#nodes.push(this.#makeNode(this.#nodes.length));
    this.#current = clamp(this.#current, [0, Math.max(points.length - 1, 0)]);
    const used = new Set(outsideGap(points, gap));
    points.forEach((point, i) => {
      const [x, y] = point;
      const unused = used.has(point) ? "" : " unused";
      setAttributes(this.#nodes[i], {
        transform: `translate(${this.#plot.x(x).toFixed(1)} ${this.#plot.y(y).toFixed(1)})`,
        class: `handle point${unused}`,
        tabindex: i === this.#current ? 0 : -1,
        "aria-label": `Data point ${i + 1} of ${points.length}`,
        "aria-valuenow": y,
        "aria-valuetext": `x ${tickText(x, 0.01)}, y ${tickText(y, 0.01)}${unused && ", in the gap"}`,
      });
    });
    this.#drawGap(gap);
    this.gapButton.textContent = gap.length ? "Close the gap" : "Cut a gap in the middle";
    this.undoButton.disabled = !this.#undo.length;
  }

  #makeToolbar() {
    const name = `tool-${Math.random()}`;
    const tools = TOOLS.map(({ value, label }) => {
      const input = html("input", { type: "radio", name, value, checked: value === this.#tool });
      input.addEventListener("change", () => this.#choose(value));
      return html("label", {}, input, html("span", {}, label));
    });
    this.gapButton = button("", () =>
      this.#change({ gap: this.#gap.length ? [] : FIRST_GAP }));
    this.undoButton = button("Undo", () => {
      this.#controls.set(this.#undo.pop());
      this.draw();
    });
    return html(
      "div",
      { class: "data-tools live" },
      html("fieldset", { class: "control choice" }, html("legend", {}, "On the plot"), ...tools),
      html(
        "div",
        { class: "buttons" },
        button("Add a point", () => this.#addSomewhere()),
        this.gapButton,
        this.undoButton,
        button("Reset data", () => this.#change(this.#original)),
      ),
    );
  }

  #choose(tool) {
    this.#tool = tool;
    this.#plot.svg.dataset.tool = tool;
  }

  /** Remember how the data are, for Undo. */
  #remember() {
    this.#undo.push({ points: this.#points, gap: this.#gap });
    if (this.#undo.length > MOST_UNDO) this.#undo.shift();
  }

  #change(values) {
    this.#remember();
    this.#controls.set(values);
    this.draw();
  }

  #add(point) {
    if (this.#points.length >= MOST_POINTS) return;
    this.#change({ points: [...this.#points, point] });
  }

  /** Add a point where the widest stretch of x has none, and take the focus there. */
  #addSomewhere() {
    const taken = [X_DOMAIN[0], ...this.#points.map(([x]) => x), X_DOMAIN[1]].sort((a, b) => a - b);
    let widest = 0;
    for (let i = 1; i + 1 < taken.length; i++)
      if (taken[i + 1] - taken[i] > taken[widest + 1] - taken[widest]) widest = i;
    this.#add(pointAt((taken[widest] + taken[widest + 1]) / 2, 0));
    this.#nodes.at(-1)?.focus();
  }

  #moved(index, point) {
    return this.#points.map((other, i) => (i === index ? point : other));
  }

  #without(indices) {
    return this.#points.filter((_, i) => !indices.includes(i));
  }

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
      this.#nodes[this.#current]?.setAttribute("tabindex", -1);
      this.#current = index;
      node.setAttribute("tabindex", 0);
    });
    node.addEventListener("keydown", (event) => this.#key(event, index));
    this.layer.append(node);
    return node;
  }

  #key(event, index) {
    const points = this.#points;
    const neighbour = { PageDown: 1, PageUp: -1 }[event.key];
    const arrow = ARROWS[event.key];
    if (neighbour) {
      this.#nodes[(index + neighbour + points.length) % points.length].focus();
    } else if (arrow) {
      const times = event.shiftKey ? 10 : 1;
      const [x, y] = points[index];
      const to = pointAt(x + arrow[0] * STEP.x * times, y + arrow[1] * STEP.y * times);
      this.#change({ points: this.#moved(index, to) });
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#change({ points: this.#without([index]) });
      this.#nodes[Math.min(index, this.#nodes.length - 1)]?.focus();
    } else return;
    event.preventDefault();
  }

  /** Return the index of the point nearest to the pointer, or null if none is within its reach. */
  #nearest(event) {
    const { x, y } = this.#plot.position(event);
    const distances = this.#points.map((point) =>
      Math.hypot(this.#plot.x(point[0]) - this.#plot.x(x), this.#plot.y(point[1]) - this.#plot.y(y)));
    const index = distances.indexOf(Math.min(...distances));
    return distances[index] <= (REACH[event.pointerType] ?? REACH.mouse) ? index : null;
  }

  #listen() {
    const { svg: surface } = this.#plot;
    let lastGrip = null;
    this.#choose(this.#tool);
    surface.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      const at = this.#plot.position(event);
      if (at.x < X_DOMAIN[0] || at.x > X_DOMAIN[1] || at.y < Y_DOMAIN[0] || at.y > Y_DOMAIN[1]) return;
      const near = this.#nearest(event);
      const kind = this.#tool === "edit" ? (near === null ? "add" : "move") : this.#tool;
      this.#gesture = { kind, near, at, clientX: event.clientX, clientY: event.clientY };
      this.#gesture.before = { points: this.#points, gap: this.#gap };
      this.#gesture.again = kind === "move" && near === lastGrip;
      lastGrip = kind === "move" ? near : null;
      if (kind === "add") return;
      event.preventDefault();
      surface.setPointerCapture(event.pointerId);
      if (kind === "move") this.#nodes[near].focus({ preventScroll: true });
      if (kind === "erase") this.#eraseAt(event);
    });
    surface.addEventListener("pointermove", (event) => {
      if (!this.#gesture) return;
      const { kind, near, at, before } = this.#gesture;
      const to = this.#plot.position(event);
      if (kind === "move") {
        const [x, y] = before.points[near];
        const point = pointAt(x + to.x - at.x, y + to.y - at.y);
        this.#controls.set({ points: this.#moved(near, point) });
      } else if (kind === "erase") {
        this.#eraseAt(event);
      } else if (kind === "gap") {
        const edges = [at.x, to.x].map((x) => pointAt(x, 0)[0]).sort((a, b) => a - b);
        if (edges[1] - edges[0] >= SMALLEST_GAP) this.#controls.set({ gap: edges });
      }
    });
    surface.addEventListener("pointerup", (event) => {
      if (this.#gesture?.kind === "add") {
        const { clientX, clientY, at } = this.#gesture;
        const still = Math.hypot(event.clientX - clientX, event.clientY - clientY) < 8;
        if (still) this.#add(pointAt(at.x, at.y));
      }
      this.#endGesture();
    });
    surface.addEventListener("pointercancel", () => this.#endGesture());
    surface.addEventListener("dblclick", () => {
      if (!this.#gestureBefore?.again) return;
      this.#change({ points: this.#without([this.#gestureBefore.near]) });
    });
  }

  #gestureBefore = null;

  /** Make one gesture one entry of Undo. */
  #endGesture() {
    const gesture = this.#gesture;
    this.#gesture = null;
    this.#gestureBefore = gesture;
    if (!gesture || gesture.kind === "add") return;
    if (gesture.before.points === this.#points && gesture.before.gap === this.#gap) return;
    this.#undo.push(gesture.before);
    this.draw();
  }

  #eraseAt(event) {
    const index = this.#nearest(event);
    if (index !== null) this.#controls.set({ points: this.#without([index]) });
  }

  #makeGap() {
    this.gapLayer = this.#plot.layer("gap");
    this.gapArea = svg("rect", { class: "gap-area" });
    this.gapText = svg("text", { class: "middle", y: 26 }, "gap");
    this.gapEdges = [0, 1].map((side) => this.#makeEdge(side));
    this.gapLayer.append(this.gapArea, this.gapText, ...this.gapEdges);
  }

  /** Return the handle of the gap's left (0) or right (1) edge. */
  #makeEdge(side) {
    const name = side ? "Right" : "Left";
    const node = svg(
      "g",
      { role: "slider", "aria-label": `${name} edge of the gap`, class: "edge" },
      svg("rect", { x: -12, width: 24, class: "reach" }),
      svg("line", { class: "dot" }),
    );
    return movable(node, this.#plot, {
      from: () => ({ x: this.#gap[side], y: 0 }),
      move: ({ x }) => {
        const gap = [...this.#gap];
        const room = side ? [gap[0] + SMALLEST_GAP, X_DOMAIN[1]] : [X_DOMAIN[0], gap[1] - SMALLEST_GAP];
        gap[side] = Number(clamp(x, room).toFixed(2));
        this.#controls.set({ gap });
      },
      step: { x: STEP.x, y: 0 },
      remove: () => {
        this.#change({ gap: [] });
        this.gapButton.focus();
      },
    });
  }

  #drawGap(gap) {
    setAttributes(this.gapLayer, { display: gap.length ? null : "none" });
    if (!gap.length) return;
    const [left, right] = gap.map((x) => this.#plot.x(x));
    const [bottom, top] = Y_DOMAIN.map((y) => this.#plot.y(y));
    setAttributes(this.gapArea, { x: left, y: top, width: right - left, height: bottom - top });
    setAttributes(this.gapText, { x: (left + right) / 2 });
    this.gapEdges.forEach((node, side) => {
      setAttributes(node, {
        transform: `translate(${side ? right : left} 0)`,
        "aria-valuemin": side ? gap[0] : X_DOMAIN[0],
        "aria-valuemax": side ? X_DOMAIN[1] : gap[1],
        "aria-valuenow": gap[side],
        "aria-valuetext": `x ${tickText(gap[side], 0.01)}`,
      });
      setAttributes(node.querySelector("rect"), { y: top, height: bottom - top });
      setAttributes(node.querySelector("line"), { y1: top, y2: bottom });
    });
  }
}
