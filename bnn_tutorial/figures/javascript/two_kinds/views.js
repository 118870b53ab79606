// What the figure TwoKinds draws: the band with its two parts, and their standard deviations over x
// and over the number of data.

import { PlaceMark, placePath, placeText } from "../shared/place_mark.js";
import { areaPath, linePath, pathsIn, Plot, setAttributes, svg } from "../shared/plot.js";
import { COUNTS, FEWEST, MOST, SIGMAS, X_DOMAIN } from "./regression.js";

/**
 * @import { Interval } from "../shared/plot.js"
 * @import { Data, Moments } from "./regression.js"
 */

/**
 * What is seen: at GRID the band, its parts with these data and with the fewest and the most, and at
 * one place the epistemic standard deviation for each of COUNTS.
 *
 * @typedef {object} Content
 * @property {Data} data
 * @property {Interval} gap
 * @property {Float64Array} curve that the data come from
 * @property {Moments} band
 * @property {Float64Array} noise
 * @property {{ fewest: Float64Array, most: Float64Array }} bounds of the epistemic part
 * @property {{ x: number, epistemic: number, noise: number, byCount: Float64Array }} at
 */

const INTERVALS = 120;
/** Where curves are drawn. */
export const GRID = Float64Array.from(
  { length: INTERVALS + 1 },
  (_, i) => X_DOMAIN[0] + ((X_DOMAIN[1] - X_DOMAIN[0]) * i) / INTERVALS,
);
const MARGIN = { left: 54, right: 10, top: 10, bottom: 38 };
const HEADROOM = 1.15;
const MANY = 300; // data, from which on they are drawn smaller

/** @param {number} count */
export const countText = (count) => count.toLocaleString("en");

/** @type {[name: string, sample: string, words: string][]} */
export const LEGEND = [
  ["band epistemic", "M1,2h26v10h-26z", "epistemic band, ±3σ: where the curve may run"],
  [
    "band total",
    "M1,2h26v10h-26z",
    "total band, epistemic and noise, ±3σ: where a new observation may fall",
  ],
  ["mean", "M1,7h26", "posterior mean"],
  ["curve", "M1,7h26", "the curve that the data came from"],
  ["data", "M6,9h0M14,4h0M22,8h0", "data"],
  ["bound", "M1,7h26", `epistemic with ${FEWEST} and with ${countText(MOST)} data`],
  ["knob", "M7,7L14,0L21,7L14,14Z", "where both parts are compared: drag it"],
];

/**
 * Return the path of a stretch of x over the plot's whole height.
 *
 * @param {Plot} plot
 * @param {Interval} stretch
 */
function stretchPath(plot, [low, high]) {
  const [bottom, top] = plot.y.range;
  const [left, right] = [plot.x(low).toFixed(1), plot.x(high).toFixed(1)];
  return high > low ? `M${left},${top}H${right}V${bottom}H${left}Z` : null;
}

/** Data, mean and curve in the band, of which the epistemic part lies inside. */
export class BandPlot {
  /** @type {Content | null} */
  #content = null;

  /** @param {(x: number) => void} move is called with the place to which the reader moves the mark */
  constructor(move) {
    this.plot = new Plot({
      label: "Data, the mean, the epistemic 3-sigma band, and that of epistemic and noise around it",
      x: { domain: X_DOMAIN, label: "x" },
      y: { domain: [-4, 4], label: "y", ticks: 8 },
      height: 300,
      margin: MARGIN,
      interactive: true,
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = {
      gap: path("gap"),
      total: path("band total"),
      data: path("data"),
      epistemic: path("band epistemic"),
      curve: path("curve"),
      mean: path("mean"),
      place: path("place"),
    };
    this.mark = new PlaceMark(this.plot, {
      label: "Place x at which both standard deviations are compared",
      from: () => this.#content?.at.x ?? 0,
      move,
    });
  }

  /** @param {Content} content */
  show(content) {
    this.#content = content;
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths } = this;
    const { data, gap, curve, band, noise, at } = this.#content;
    /** @param {(i: number) => number} size of half the band */
    const area = (size) =>
      areaPath(
        plot,
        GRID,
        band.mean.map((mean, i) => mean - SIGMAS * size(i)),
        band.mean.map((mean, i) => mean + SIGMAS * size(i)),
      );
    let dots = "";
    for (let n = 0; n < data.x.length; n++)
      dots += `M${plot.x(data.x[n]).toFixed(1)},${plot.y(data.y[n]).toFixed(1)}h0`;
    setAttributes(paths.gap, { d: stretchPath(plot, gap) });
    setAttributes(paths.total, { d: area((i) => Math.hypot(band.std[i], noise[i])) });
    setAttributes(paths.epistemic, { d: area((i) => band.std[i]) });
    setAttributes(paths.data, { d: dots, class: data.x.length < MANY ? "data" : "data many" });
    setAttributes(paths.curve, { d: linePath(plot, GRID, curve) });
    setAttributes(paths.mean, { d: linePath(plot, GRID, band.mean) });
    setAttributes(paths.place, { d: placePath(plot, at.x) });
    this.mark.show(at.x);
  }
}

/** Both standard deviations over x. */
export class OverInputs {
  /** @type {Content | null} */
  #content = null;

  constructor() {
    this.plot = new Plot({
      label: "The epistemic standard deviation and that of the noise over x",
      x: { domain: X_DOMAIN },
      y: { domain: [0, 1], label: "std", ticks: 3 },
      height: 120,
      margin: { ...MARGIN, bottom: 22 },
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = {
      gap: path("gap"),
      fewest: path("bound"),
      most: path("bound"),
      epistemic: path("part epistemic"),
      noise: path("part noise"),
      place: path("place"),
    };
  }

  /** @param {Content} content */
  show(content) {
    this.#content = content;
    const highest = Math.max(...content.bounds.fewest, ...content.noise);
    this.plot.rescale("y", [0, HEADROOM * highest]);
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths } = this;
    const { gap, band, bounds, noise, at } = this.#content;
    setAttributes(paths.gap, { d: stretchPath(plot, gap) });
    setAttributes(paths.fewest, { d: linePath(plot, GRID, bounds.fewest) });
    setAttributes(paths.most, { d: linePath(plot, GRID, bounds.most) });
    setAttributes(paths.epistemic, { d: linePath(plot, GRID, band.std) });
    setAttributes(paths.noise, { d: linePath(plot, GRID, noise) });
    setAttributes(paths.place, { d: placePath(plot, at.x) });
  }
}

const DOT = 6; // pixels, its radius
const LABEL_RISE = 7; // pixels from a line to the foot of its name
const LABEL_HEIGHT = 14;
const LABEL_BEGIN = 16; // among COUNTS

/** Both standard deviations at one place, over the number of data in doublings. */
export class OverCounts {
  /** @type {{ count: number, at: Content["at"] } | null} */
  #content = null;

  constructor() {
    this.plot = new Plot({
      label: "Both standard deviations at the marked place over the number of data",
      x: { domain: [Math.log2(FEWEST), Math.log2(MOST)], label: "number of data N", ticks: 0 },
      y: { domain: [0, 1], ticks: 4 },
      height: 190,
      margin: { ...MARGIN, right: 18 },
      draw: () => this.#draw(),
    });
    this.counts = this.plot.layer("counts", { clipped: false });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = {
      now: path("place"),
      epistemic: path("part epistemic"),
      noise: path("part noise"),
    };
    this.marks = {
      epistemic: svg("circle", { r: DOT, class: "dot epistemic" }),
      noise: svg("circle", { r: DOT, class: "dot noise" }),
    };
    this.names = {
      epistemic: svg("text", { class: "end name epistemic" }, "epistemic"),
      noise: svg("text", { class: "end name noise" }, "noise"),
    };
    this.plot
      .layer("marks", { clipped: false })
      .append(...Object.values(this.marks), ...Object.values(this.names));
  }

  /**
   * @param {number} count
   * @param {Content["at"]} at
   */
  show(count, at) {
    this.#content = { count, at };
    this.plot.axes.y.label = `std at ${placeText(at.x)}`;
    this.plot.rescale("y", [0, HEADROOM * Math.max(at.noise, at.byCount[0])]);
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths, marks, names } = this;
    const { count, at } = this.#content;
    const [bottom, top] = plot.y.range;
    const ticks = COUNTS.filter((_, i) => i % 8 === 0);
    this.counts.replaceChildren(
      ...ticks.flatMap((tick) => {
        const x = plot.x(Math.log2(tick));
        return [
          svg("line", { x1: x, x2: x, y1: top, y2: bottom, class: "grid" }),
          svg("text", { x, y: bottom + 16, class: "tick middle" }, countText(tick)),
        ];
      }),
    );
    const doublings = COUNTS.map(Math.log2);
    const now = Math.log2(count);
    const parts = { epistemic: at.byCount, noise: at.byCount.map(() => at.noise) };
    setAttributes(paths.now, { d: placePath(plot, now) });
    for (const part of /** @type {const} */ (["epistemic", "noise"])) {
      setAttributes(paths[part], { d: linePath(plot, doublings, parts[part]) });
      setAttributes(marks[part], { cx: plot.x(now), cy: plot.y(at[part]) });
    }
    // A name reaches over the last part of its line, which is nowhere higher than where that begins.
    const begin = LABEL_BEGIN;
    const [upper, lower] = /** @type {("epistemic" | "noise")[]} */ (
      parts.epistemic[begin] > at.noise ? ["epistemic", "noise"] : ["noise", "epistemic"]
    );
    const x = plot.x.range[1] - DOT;
    const high = plot.y(parts[upper][begin]) - LABEL_RISE;
    const low = plot.y(parts[lower][begin]) - LABEL_RISE;
    const lowestUpper = plot.y(parts[upper][COUNTS.length - 1]);
    const isFree = low - LABEL_HEIGHT > lowestUpper;
    setAttributes(names[upper], { x, y: high });
    setAttributes(names[lower], { x, y: isFree ? low : high - LABEL_HEIGHT });
  }
}
