// What the figure GaussianProcess draws: data, a band and drawn functions, and the window that the
// reader moves over them.

import { numberText } from "../shared/controls.js";
import {
  areaPath,
  clamp,
  linePath,
  movable,
  pathsIn,
  Plot,
  setAttributes,
  svg,
} from "../shared/plot.js";
import { GRID, WIDTH, X_DOMAIN } from "./regression.js";

/**
 * @import { Interval } from "../shared/plot.js"
 * @import { Data, Moments } from "./regression.js"
 */

/** @typedef {Moments & { draws: Float64Array[] }} Picture what is drawn at GRID */

/**
 * @typedef {object} Content
 * @property {Data} data
 * @property {boolean[]} isKept for each datum
 * @property {number} middle of the window
 * @property {boolean} removed
 */

const SIGMAS = 1.96; // 95 % of a Gaussian
const HALF = WIDTH / 2;
const STEP = 0.1; // of the arrow keys
const TAP = 5; // pixels, within which a press is no drag
/** @type {Interval} */
const MIDDLES = [X_DOMAIN[0] + HALF, X_DOMAIN[1] - HALF];

/** @type {[name: string, sample: string, words: string][]} */
export const LEGEND = [
  ["band", "M1,2h26v10h-26z", "95 % band of the curve (epistemic)"],
  ["draws", "M1,10Q8,-2,14,6T27,5", "curves from the posterior"],
  ["data kept", "M14,7h0", "data"],
  ["data gone", "M10,7a4,4,0,1,0,8,0a4,4,0,1,0,-8,0", "removed"],
];

export class FunctionPlot {
  /** @type {Content | null} */
  #content = null;
  /** @type {Picture | null} */
  #picture = null;

  /** @param {(middle: number) => void} move is called with the place to which the window is moved */
  constructor(move) {
    this.plot = new Plot({
      label: "Data, the 95 % band of the curve and functions drawn from the posterior, with a window",
      x: { domain: X_DOMAIN, label: "x", ticks: 0 },
      y: { domain: [-3.2, 2.6], label: "y", ticks: 0 },
      height: 280,
      margin: { left: 26, right: 4, top: 4, bottom: 34 },
      interactive: true,
      draw: () => this.#draw(),
    });
    const layer = this.plot.layer("drawing");
    const path = pathsIn(layer);
    this.paths = {
      window: path("window"),
      band: path("band"),
      draws: path("draws"),
      gone: path("data gone"),
      kept: path("data kept"),
    };
    this.words = layer.appendChild(svg("text", { class: "middle" }, "no data here"));
    this.handle = this.#makeHandle((middle) => move(Number(clamp(middle, MIDDLES).toFixed(2))));
    this.plot.layer("marks", { clipped: false }).append(this.handle);
  }

  /**
   * Show the data and the window.
   *
   * @param {Content} content
   */
  show(content) {
    this.#content = content;
    const { middle } = content;
    const [from, to] = [middle - HALF, middle + HALF].map((x) => numberText(x, 2));
    setAttributes(this.handle, {
      "aria-valuenow": middle,
      "aria-valuetext": `x from ${from} to ${to}`,
    });
    this.plot.redraw();
  }

  /**
   * Show the band and the functions.
   *
   * @param {Picture} picture
   */
  paint(picture) {
    this.#picture = picture;
    this.#drawPicture();
  }

  /** @param {(middle: number) => void} move */
  #makeHandle(move) {
    const { plot } = this;
    const node = svg(
      "g",
      {
        role: "slider",
        "data-trait": "window_middle",
        "aria-label": "Window in which data are removed",
        "aria-valuemin": MIDDLES[0],
        "aria-valuemax": MIDDLES[1],
      },
      svg("rect", { x: -36, y: -18, width: 72, height: 36, class: "reach" }),
      svg("rect", { x: -26, y: -12, width: 52, height: 24, rx: 12, class: "knob" }),
      svg("path", { d: "M-10,-5L-16,0L-10,5M10,-5L16,0L10,5M-16,0H16", class: "arrows" }),
    );
    movable(node, plot, { from: () => this.#content?.middle ?? 0, move, step: STEP });
    // A finger or mouse moves the window from anywhere on the plot, and a tap brings it.
    let start = NaN;
    plot.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.isPrimary) return;
      start = event.clientX;
      plot.handles.get(node)?.(event);
    });
    plot.svg.addEventListener("click", (event) => {
      const { x } = plot.position(event);
      const isInside = Math.abs(x - (this.#content?.middle ?? 0)) < HALF;
      if (!isInside && Math.abs(event.clientX - start) < TAP) move(x);
    });
    return node;
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths, words, handle } = this;
    const { data, isKept, middle, removed } = this.#content;
    const [bottom, top] = plot.y.range;
    const [left, right] = [middle - HALF, middle + HALF].map((x) => plot.x(x).toFixed(1));
    const dots = { kept: "", gone: "" };
    data.x.forEach((x, n) => {
      const [at, height] = [plot.x(x).toFixed(1), plot.y(data.y[n]).toFixed(1)];
      if (isKept[n]) dots.kept += `M${at},${height}h0`;
      else dots.gone += `M${at},${height}m-4,0a4,4,0,1,0,8,0a4,4,0,1,0,-8,0`;
    });
    setAttributes(paths.window, {
      d: `M${left},${top}H${right}V${bottom}H${left}Z`,
      class: removed ? "window empty" : "window",
    });
    setAttributes(paths.kept, { d: dots.kept });
    setAttributes(paths.gone, { d: dots.gone });
    setAttributes(words, {
      x: plot.x(middle).toFixed(1),
      y: top + 20,
      display: removed ? null : "none",
    });
    setAttributes(handle, { transform: `translate(${plot.x(middle).toFixed(1)} ${bottom})` });
    this.#drawPicture();
  }

  #drawPicture() {
    if (!this.#picture) return;
    const { plot, paths } = this;
    const { mean, std, draws } = this.#picture;
    /** @param {number} side */
    const edge = (side) => mean.map((value, i) => value + side * SIGMAS * std[i]);
    setAttributes(paths.band, { d: areaPath(plot, GRID, edge(-1), edge(1)) });
    setAttributes(paths.draws, { d: draws.map((values) => linePath(plot, GRID, values)).join("") });
  }
}
