// What the figure TwoGaussians draws: a density with its two handles, and the integrand of a KL
// divergence as areas.

import { fixedText, html, numberText } from "../shared/controls.js";
import { linePath, movable, Plot, setAttributes, svg } from "../shared/plot.js";

/**
 * @import { Axis, Interval } from "../shared/plot.js"
 * @import { Direction } from "./divergence.js"
 */

/**
 * @typedef {"mean" | "std"} Quantity
 * @typedef {Record<Quantity, number>} Gaussian
 * @typedef {{ direction: Direction, name: string, integrand: string, xLabel?: string }} Kind of
 *   divergence
 */

/** The places on the x axis at which curves are drawn. */
const STEP = 0.05;
export const X = Float64Array.from({ length: 281 }, (_, i) => -7 + i * STEP);

/** @type {Axis} */
export const X_AXIS = { domain: [-7, 7], ticks: 7 };
export const BOUNDS = {
  mean: { min: -3.5, max: 3.5, step: 0.1 },
  std: { min: 0.2, max: 3, step: 0.05 },
};
const SNAP = 5; // pixels

/**
 * The axes that stay as they are: they hold the densities and integrands of most settings, those at
 * the best fits among them. What goes beyond is cut off, and its height is written there.
 *
 * @type {Record<"gaussian" | "two peaks", { density: Interval, integrand: Interval }>}
 */
export const FIXED_AXES = {
  gaussian: { density: [0, 1], integrand: [-0.4, 1.2] },
  "two peaks": { density: [0, 1], integrand: [-0.7, 7] },
};

/** @type {Record<Quantity, string>} */
export const QUANTITIES = { mean: "Mean", std: "Standard deviation" };

/**
 * Return the closed path between zero and the curve through `values`.
 *
 * @param {Plot} plot
 * @param {Float64Array} values
 */
const underPath = (plot, values) =>
  `${linePath(plot, X, values)}V${plot.y(0).toFixed(1)}H${plot.x(X[0]).toFixed(1)}Z`;

/**
 * Return the integral over the x axis of a function with these values at X.
 *
 * @param {Float64Array} values
 */
const onAxis = (values) =>
  STEP *
  (values.reduce((sum, value) => sum + value, 0) - (values[0] + values[values.length - 1]) / 2);

/**
 * Write nats with the decimals that fit the `largest` number beside it.
 *
 * @param {number} value
 * @param {number} [largest]
 */
export const natsText = (value, largest = value) =>
  fixedText(value, largest < 10 ? 3 : largest < 100 ? 1 : 0);

/**
 * Write a mean or a standard deviation.
 *
 * @param {number} value
 */
export const placeText = (value) => fixedText(value, 2);

/**
 * Return a small picture of a curve or an area, for a legend or a sum.
 *
 * @param {string} path
 * @param {string} name
 */
export function swatch(path, name) {
  const shape = svg("path", { d: path, class: name });
  return svg("svg", { width: 26, height: 14, "aria-hidden": "true" }, shape);
}

const AREA_SWATCHES = {
  positive: "M1,1h24v12h-24Z",
  negative: [3, 8, 13, 18, 23].map((x) => `M${x},1v12`).join(""),
};

/** A density with a handle at its peak and one a standard deviation to the right of it. */
export class Density {
  /**
   * @param {"q" | "p"} name
   * @param {Plot} plot
   * @param {object} options
   * @param {() => Gaussian} options.get
   * @param {() => Gaussian | null} options.other the other density, unless it has two peaks
   * @param {(quantity: Quantity, value: number) => void} options.change called by the reader's hand
   */
  constructor(name, plot, { get, other, change }) {
    this.name = name;
    this.plot = plot;
    this.get = get;
    this.area = svg("path", { class: `under ${name}` });
    this.curve = svg("path", { class: `curve ${name}` });
    this.bracket = svg("path", { class: `bracket ${name}` });
    this.letter = svg("text", { class: name === "q" ? "end name" : "name" });
    /**
     * @param {Quantity} quantity
     * @param {SVGElement} knob
     */
    const handle = (quantity, knob) => {
      const reach = svg("circle", { r: 15, class: "reach" });
      const { min, max, step } = BOUNDS[quantity];
      const node = svg("g", {
        role: "slider",
        "data-trait": `${name}_${quantity}`,
        "aria-label": `${QUANTITIES[quantity]} of ${name}, on the plot`,
        "aria-valuemin": min,
        "aria-valuemax": max,
      });
      node.append(reach, knob);
      const origin = () => (quantity === "mean" ? 0 : get().mean);
      return movable(node, plot, {
        from: () => origin() + get()[quantity],
        move: (x, dragged) => {
          const value = x - origin();
          const equal = other()?.[quantity] ?? NaN;
          // No hand puts one density onto the other to the last digit.
          const snaps = dragged && Math.abs(plot.x(value) - plot.x(equal)) < SNAP;
          change(quantity, snaps ? equal : Number(value.toFixed(2)));
        },
        step,
      });
    };
    this.handles = {
      mean: handle("mean", svg("circle", { r: 7, class: `knob ${name}` })),
      std: handle("std", svg("path", { d: "M-9,0L0,-9L9,0L0,9Z", class: `knob ${name}` })),
    };
  }

  /** The parts that lie over the curves. */
  get marks() {
    return [this.bracket, this.letter, this.handles.mean, this.handles.std];
  }

  /**
   * Draw the curve through `values`, and the handles unless it is `fixed`.
   *
   * @param {Float64Array} values
   * @param {boolean} fixed
   */
  draw(values, fixed) {
    const { plot, name, handles, letter } = this;
    setAttributes(this.area, { d: underPath(plot, values) });
    setAttributes(this.curve, { d: linePath(plot, X, values) });
    for (const mark of this.marks) setAttributes(mark, { display: fixed ? "none" : null });
    if (fixed) return;
    const { mean, std } = this.get();
    const peak = 1 / (std * Math.sqrt(2 * Math.PI));
    const top = plot.axes.y.domain[1];
    /** @param {number} height */
    const within = (height) => plot.y(Math.min(height, top));
    const [x, y] = [plot.x(mean), within(peak)];
    const shoulder = { x: plot.x(mean + std), y: within(peak * Math.exp(-0.5)) };
    setAttributes(handles.mean, { transform: `translate(${x} ${y})` });
    setAttributes(handles.std, { transform: `translate(${shoulder.x} ${shoulder.y})` });
    setAttributes(handles.mean, { "aria-valuenow": mean, "aria-valuetext": placeText(mean) });
    setAttributes(handles.std, { "aria-valuenow": std, "aria-valuetext": placeText(std) });
    setAttributes(this.bracket, { d: `M${x},${shoulder.y}H${shoulder.x}` });
    // On different sides, so that both can be read where the densities agree.
    setAttributes(letter, { x: x + (name === "q" ? -12 : 12), y: y + 1 });
    letter.textContent = peak > top ? `${name} ↑ ${placeText(peak)}` : name;
  }
}

/** The integrand of one KL divergence, and above it the sum that its areas make. */
export class Integrand {
  /** @param {Kind} kind */
  constructor({ direction, name, integrand, xLabel }) {
    this.direction = direction;
    this.name = name;
    /** @type {Float64Array} */
    this.values = X.map(() => 0);
    this.sum = html("p", { class: "sum" });
    this.plot = new Plot({
      label: `The integrand ${integrand}: its area above zero less the area below is ${name}`,
      x: { ...X_AXIS, label: xLabel },
      y: { domain: [0, 1], label: integrand, ticks: 3 },
      height: xLabel ? 142 : 124,
      margin: { top: 4, bottom: xLabel ? 40 : 22 },
      draw: () => this.#draw(),
    });
    this.shapes = ["positive", "negative", "outline"].map((part) =>
      svg("path", { class: `${part} ${direction}` }),
    );
    this.plot.layer("areas").append(...this.shapes);
    this.ends = [svg("text", { class: "beyond" }), svg("text", { class: "beyond" })];
    this.plot.layer("ends", { clipped: false }).append(...this.ends);
    this.node = html("div", {}, this.sum, this.plot.svg);
  }

  /**
   * Draw these values at X and write the sum of their areas.
   *
   * @param {Float64Array} values
   * @param {Interval} domain
   * @param {{ positive: number, negative: number }} areas
   * @param {number} nats
   */
  show(values, domain, { positive, negative }, nats) {
    /** @param {"positive" | "negative"} sign */
    const area = (sign) => swatch(AREA_SWATCHES[sign], `${sign} ${this.direction}`);
    /** @param {number} value */
    const text = (value) => natsText(value, positive);
    const beyond = nats - onAxis(values);
    this.sum.replaceChildren(
      `${this.name} = `,
      area("positive"),
      ` ${text(Number(text(nats)) + Number(text(negative)))} − `, // as printed, the sum is right
      area("negative"),
      ` ${text(negative)} = `,
      html("b", {}, `${text(nats)} nats`),
      Math.abs(beyond) > Math.max(0.01 * nats, 5e-4) ? `, ${text(beyond)} beyond the axis` : "",
    );
    this.values = values;
    this.plot.rescale("y", domain);
    this.plot.redraw();
  }

  #draw() {
    const { plot, values } = this;
    const [positive, negative, outline] = this.shapes;
    const above = values.map((value) => Math.max(value, 0));
    setAttributes(positive, { d: underPath(plot, above) });
    const stride = Math.max(1, Math.round(5 / (plot.x(X[1]) - plot.x(X[0]))));
    const zero = plot.y(0);
    let hatching = "";
    for (let i = 0; i < X.length; i += stride) {
      const depth = plot.y(Math.min(values[i], 0)) - zero;
      if (depth > 0.5)
        hatching += `M${plot.x(X[i]).toFixed(1)},${zero.toFixed(1)}v${depth.toFixed(1)}`;
    }
    setAttributes(negative, { d: hatching });
    setAttributes(outline, { d: linePath(plot, X, values) });
    const { domain } = plot.axes.y;
    this.#drawEnd(0, "↑", Math.max(...values), (value) => value > domain[1]);
    this.#drawEnd(1, "↓", Math.min(...values), (value) => value < domain[0]);
  }

  /**
   * Write how far the values go where that is beyond the axis.
   *
   * @param {number} index of the text
   * @param {string} arrow
   * @param {number} value the highest or the lowest
   * @param {(value: number) => boolean} isBeyond
   */
  #drawEnd(index, arrow, value, isBeyond) {
    const { plot, values, ends } = this;
    const at = plot.x(X[values.indexOf(value)]);
    // To the side on which there is more room.
    const isLeft = at < plot.width / 2;
    const y = index ? plot.y.range[0] - 5 : plot.y.range[1] + 13;
    const end = { x: at + (isLeft ? 14 : -14), y, class: isLeft ? "beyond" : "beyond end" };
    setAttributes(ends[index], end);
    ends[index].textContent = isBeyond(value) ? `${arrow} ${numberText(value)}` : "";
  }
}
