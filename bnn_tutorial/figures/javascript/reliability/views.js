// What the figure Reliability draws: the diagram with its counts, the error over the number of bins,
// and the NLL over the temperature.

import { numberText } from "../shared/controls.js";
import { placePath } from "../shared/place_mark.js";
import { legend, linePath, pathsIn, Plot, setAttributes, svg } from "../shared/plot.js";
import { MOST_BINS, TEMPERATURES } from "./calibration.js";

/**
 * @import { Interval } from "../shared/plot.js"
 * @import { Bin } from "./calibration.js"
 */

const MARGIN = { left: 54, right: 10, top: 10, bottom: 38 };
const HEADROOM = 1.15;
const NUMBER_ROOM = 1.45; // the same where a number stands on the highest bar
const DIGIT = 7; // pixels, about its width
const SEAM = 0.7; // pixels, half of what parts two bars
const CAP = 3; // pixels, half the end of an interval
const DOT = 5; // pixels, its radius

/** The numbers of bins for which the error is drawn. */
export const BIN_COUNTS = Array.from({ length: MOST_BINS }, (_, i) => i + 1);
const STEPS = 48; // of the curve over the temperature, of equal ratio
/** The temperatures at which the NLL is drawn. */
export const TEMPERATURE_GRID = Array.from(
  { length: STEPS + 1 },
  (_, i) => TEMPERATURES[0] * (TEMPERATURES[1] / TEMPERATURES[0]) ** (i / STEPS),
);

export const diagramLegend = () =>
  legend([
    ["accuracy", "M1,7h26", "share of a bin that is right"],
    ["gap", "M1,1h26v12h-26z", "its distance from the mean confidence"],
    ["interval", "M14,1v12m-3,0h6m-6,-12h6", "95 % interval of that share"],
    ["diagonal", "M1,13L27,1", "as often right as sure"],
  ]);

export const errorLegend = () =>
  legend([
    ["error", "M1,7h26", "ECE"],
    ["error best", "M1,7h26", "ECE at the temperature with the least NLL"],
    ["error calibrated", "M1,7h26", "ECE of a perfectly calibrated model"],
  ]);

/**
 * Return the path of the rectangles between two heights over each bin's stretch of confidences.
 *
 * @param {Plot} plot
 * @param {Bin[]} bins
 * @param {(bin: Bin) => Interval} heights
 */
const bars = (plot, bins, heights) =>
  bins
    .map((bin) => {
      const [begin, end] = [bin.low, bin.high].map(plot.x);
      const inset = Math.min(SEAM, (end - begin) / 8);
      const [left, right] = [begin + inset, end - inset].map((x) => x.toFixed(1));
      const [from, to] = heights(bin).map((y) => plot.y(y).toFixed(1));
      return `M${left},${from}V${to}H${right}V${from}Z`;
    })
    .join("");

/** Each bin's accuracy with its interval, and how far it is from the confidence. */
export class Diagram {
  /** @type {Bin[]} */
  #bins = [];

  constructor() {
    this.plot = new Plot({
      label: "Reliability diagram: the share that is right over the confidence, for each bin",
      x: { domain: [0, 1] },
      y: { domain: [0, 1], label: "share that is right" },
      height: 290,
      margin: { ...MARGIN, bottom: 22 },
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = {
      filled: path("filled"),
      gap: path("gap"),
      accuracy: path("accuracy"),
      diagonal: path("diagonal"),
      interval: this.plot
        .layer("intervals", { clipped: false })
        .appendChild(svg("path", { class: "interval" })),
    };
  }

  /** @param {Bin[]} bins */
  show(bins) {
    this.#bins = bins;
    this.plot.redraw();
  }

  #draw() {
    const { plot, paths } = this;
    const intervals = this.#bins.map(({ confidence, interval }) => {
      const x = plot.x(confidence);
      const [low, high] = interval.map((y) => plot.y(y).toFixed(1));
      const cap = `${(x - CAP).toFixed(1)},`;
      return `M${x.toFixed(1)},${low}V${high}M${cap}${low}h${2 * CAP}M${cap}${high}h${2 * CAP}`;
    });
    const tops = this.#bins.map(
      ({ low, high, accuracy }) =>
        `M${plot.x(low).toFixed(1)},${plot.y(accuracy).toFixed(1)}H${plot.x(high).toFixed(1)}`,
    );
    setAttributes(paths.filled, {
      d: bars(plot, this.#bins, ({ accuracy, confidence }) => [0, Math.min(accuracy, confidence)]),
    });
    setAttributes(paths.accuracy, { d: tops.join("") });
    setAttributes(paths.gap, {
      d: bars(plot, this.#bins, ({ accuracy, confidence }) => [accuracy, confidence]),
    });
    setAttributes(paths.diagonal, { d: linePath(plot, [0, 1], [0, 1]) });
    setAttributes(paths.interval, { d: intervals.join("") });
  }
}

/** How many predictions each bin holds. */
export class Counts {
  /** @type {Bin[]} */
  #bins = [];

  constructor() {
    this.plot = new Plot({
      label: "How many predictions each bin holds",
      x: { domain: [0, 1], label: "confidence: probability of the likeliest class" },
      y: { domain: [0, 1], label: "count", ticks: 2 },
      height: 110,
      margin: MARGIN,
      draw: () => this.#draw(),
    });
    this.path = pathsIn(this.plot.layer("drawing"))("count");
    this.numbers = this.plot.layer("numbers");
  }

  /** @param {Bin[]} bins */
  show(bins) {
    this.#bins = bins;
    this.plot.rescale("y", [0, NUMBER_ROOM * Math.max(...bins.map(({ count }) => count))]);
    this.plot.redraw();
  }

  #draw() {
    const { plot } = this;
    setAttributes(this.path, { d: bars(plot, this.#bins, ({ count }) => [0, count]) });
    const numbers = this.#bins.flatMap(({ low, high, count }) => {
      const text = String(count);
      if (plot.x(high) - plot.x(low) < DIGIT * text.length) return [];
      const at = { x: plot.x((low + high) / 2), y: plot.y(count) - 3 };
      return [svg("text", { ...at, class: "tick middle" }, text)];
    });
    this.numbers.replaceChildren(...numbers);
  }
}

/** The calibration error over the number of bins, with what it would be for a calibrated model. */
export class OverBins {
  /** @type {{ count: number, now: number[], best: number[], calibrated: number[] } | null} */
  #content = null;

  constructor() {
    this.plot = new Plot({
      label: "The ECE over the number of bins: now, at the best temperature, and of a calibrated model",
      x: { domain: [1, MOST_BINS], label: "number of bins" },
      y: { domain: [0, 1], label: "ECE", ticks: 4 },
      height: 180,
      margin: MARGIN,
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = {
      place: path("place"),
      calibrated: path("error calibrated"),
      best: path("error best"),
      now: path("error"),
    };
    this.dot = svg("circle", { r: DOT, class: "dot error" });
    this.plot.layer("marks", { clipped: false }).append(this.dot);
  }

  /**
   * @param {number} count
   * @param {{ now: number[], best: number[], calibrated: number[] }} errors for each of BIN_COUNTS
   */
  show(count, errors) {
    this.#content = { count, ...errors };
    this.plot.rescale("y", [0, HEADROOM * Math.max(...Object.values(errors).flat())]);
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths, dot } = this;
    const { count, now, best, calibrated } = this.#content;
    setAttributes(paths.place, { d: placePath(plot, count) });
    setAttributes(paths.calibrated, { d: linePath(plot, BIN_COUNTS, calibrated) });
    setAttributes(paths.best, { d: linePath(plot, BIN_COUNTS, best) });
    setAttributes(paths.now, { d: linePath(plot, BIN_COUNTS, now) });
    setAttributes(dot, { cx: plot.x(count), cy: plot.y(now[count - 1]) });
  }
}

/** The NLL over the temperature. */
export class OverTemperature {
  /**
   * @typedef {{ temperature: number, nll: number }} Place
   * @type {{ now: Place, best: Place, curve: number[] } | null}
   */
  #content = null;

  constructor() {
    this.plot = new Plot({
      label: "The NLL over the temperature, with its least value",
      x: {
        domain: [Math.log2(TEMPERATURES[0]), Math.log2(TEMPERATURES[1])],
        label: "temperature T",
        ticks: 0,
      },
      y: { domain: [0, 1], label: "NLL in nats", ticks: 4 },
      height: 180,
      margin: MARGIN,
      draw: () => this.#draw(),
    });
    this.ticks = this.plot.layer("ticks", { clipped: false });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = { place: path("place"), curve: path("nll") };
    this.least = svg("circle", { r: DOT, class: "dot least" });
    this.dot = svg("circle", { r: DOT, class: "dot nll" });
    this.name = svg("text", { class: "middle" });
    this.plot.layer("marks", { clipped: false }).append(this.least, this.dot, this.name);
  }

  /**
   * @param {Place} now
   * @param {Place} best
   * @param {number[]} curve the NLL at each of TEMPERATURE_GRID
   */
  show(now, best, curve) {
    this.#content = { now, best, curve };
    this.plot.rescale("y", [0, HEADROOM * Math.max(...curve)]);
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths, least, dot, name } = this;
    const { now, best, curve } = this.#content;
    const [bottom, top] = plot.y.range;
    this.ticks.replaceChildren(
      ...[0.5, 1, 2, 4, 8].flatMap((tick) => {
        const x = plot.x(Math.log2(tick));
        return [
          svg("line", { x1: x, x2: x, y1: top, y2: bottom, class: "grid" }),
          svg("text", { x, y: bottom + 16, class: "tick middle" }, numberText(tick)),
        ];
      }),
    );
    /** @param {Place} place */
    const centre = ({ temperature, nll }) => ({
      cx: plot.x(Math.log2(temperature)),
      cy: plot.y(nll),
    });
    setAttributes(paths.place, { d: placePath(plot, Math.log2(now.temperature)) });
    setAttributes(paths.curve, { d: linePath(plot, TEMPERATURE_GRID.map(Math.log2), curve) });
    setAttributes(least, centre(best));
    setAttributes(dot, centre(now));
    name.textContent = `least at ${numberText(best.temperature, 2)}`;
    setAttributes(name, { x: plot.x(Math.log2(best.temperature)), y: plot.y(best.nll) + 20 });
  }
}
