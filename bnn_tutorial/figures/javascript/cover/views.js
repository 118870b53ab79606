// What the figure Cover draws: digits with their sets, the coverage of each digit, and that of many
// calibration sets.

import { html } from "../shared/controls.js";
import { rotate, show, SIDE } from "../shared/images.js";
import { placePath } from "../shared/place_mark.js";
import { legend, linePath, pathsIn, Plot, setAttributes, svg } from "../shared/plot.js";
import { CLASSES } from "./conformal.js";

/**
 * @typedef {object} Audit
 * @property {number} level
 * @property {number} coverage
 * @property {{ share: number, size: number, mean: number, low: number, high: number }[]} digits of
 *   each class: its coverage, the mean size of its sets, and the mean and the middle 95 % of the
 *   coverage over all calibration sets
 */

/**
 * @typedef {object} Spread
 * @property {number} level
 * @property {number} coverage of the calibration set in use
 * @property {Float64Array} counts of calibration sets, by coverage in whole percent
 * @property {Float64Array | null} promised counts on average; null where they are not known
 */

export const ANGLE = 30; // degrees, of turned digits
const LEAST = 0.1; // probability that has a bar: of less it would be a speck
const HEIGHT = 240;
const MARGIN = { left: 46, right: 8, top: 10, bottom: 40 };
const NAMES_HEIGHT = 18; // of one more line below the plot
const PERCENT = Float64Array.from({ length: 101 }, (_, i) => i / 100);

/**
 * Return the classes in words.
 *
 * @param {number[]} classes
 */
export function listText(classes) {
  if (!classes.length) return "no digit";
  if (classes.length === CLASSES.length) return "all ten digits";
  const [last, ...others] = [...classes].reverse();
  return others.length ? `${others.reverse().join(", ")} and ${last}` : String(last);
}

/** A digit with its set: ten cells, of which those in the set are filled. */
class Card {
  /**
   * @param {Float32Array} image
   * @param {number} label
   */
  constructor(image, label) {
    this.label = label;
    this.images = { upright: image, turned: rotate(image, ANGLE) };
    this.canvas = html("canvas", { width: SIDE, height: SIDE, "aria-label": `A digit ${label}` });
    this.bars = CLASSES.map(() => html("span", { class: "bar" }));
    this.cells = CLASSES.map((k) =>
      html("span", { class: k === label ? "digit true" : "digit" }, String(k), this.bars[k]),
    );
    const cells = html("div", { class: "digits" }, ...this.cells);
    this.node = html("div", { class: "example", role: "img" }, this.canvas, cells);
  }

  /**
   * @param {boolean} turned
   * @param {Float64Array} own probabilities
   * @param {number[]} set
   */
  show(turned, own, set) {
    show(this.images[turned ? "turned" : "upright"], this.canvas);
    const isMissed = !set.includes(this.label);
    this.cells.forEach((cell, k) => cell.classList.toggle("in", set.includes(k)));
    this.bars.forEach((bar, k) => {
      const width = own[k] > LEAST ? own[k] : 0;
      bar.style.width = `${(100 * width).toFixed(0)}%`;
    });
    this.node.classList.toggle("missed", isMissed);
    const words = `A digit ${this.label}${turned ? ", turned" : ""}`;
    const found = `its set holds ${listText(set)}${isMissed ? " and misses it" : ""}`;
    this.node.setAttribute("aria-label", `${words}: ${found}`);
  }
}

export class Cards {
  /**
   * @param {Float32Array[]} images
   * @param {number[]} labels
   */
  constructor(images, labels) {
    this.cards = images.map((image, i) => new Card(image, labels[i]));
    this.node = html("div", { class: "examples" }, ...this.cards.map(({ node }) => node));
  }

  /**
   * @param {boolean} turned
   * @param {{ own: Float64Array, set: number[] }[]} content
   */
  show(turned, content) {
    this.cards.forEach((card, i) => card.show(turned, content[i].own, content[i].set));
  }
}

/** The coverage of the new digits, class by class, beside the level and the coverage of all. */
export class ByDigit {
  /** @type {Audit | null} */
  #audit = null;

  constructor() {
    this.plot = new Plot({
      label: "Coverage of the new digits 0 to 9, with its mean and range over 200 calibration sets",
      x: { domain: [-0.6, 9.6], ticks: 0 },
      y: { domain: [0, 1], label: "coverage" },
      height: HEIGHT + NAMES_HEIGHT,
      margin: { ...MARGIN, bottom: MARGIN.bottom + NAMES_HEIGHT },
      draw: () => this.#draw(),
    });
    this.names = this.plot.layer("names", { clipped: false });
    const path = pathsIn(this.plot.layer("drawing", { clipped: false }));
    this.paths = { all: path("all"), level: path("level"), range: path("range"), dots: path("dots") };
  }

  /** @param {Audit} audit */
  show(audit) {
    this.#audit = audit;
    this.plot.redraw();
  }

  #draw() {
    if (!this.#audit) return;
    const { plot, paths } = this;
    const { level, coverage, digits } = this.#audit;
    const [left, right] = plot.x.range;
    /** @param {number} y */
    const across = (y) => `M${left},${plot.y(y).toFixed(1)}H${right}`;
    setAttributes(paths.level, { d: across(level) });
    setAttributes(paths.all, { d: across(coverage) });
    const at = CLASSES.map((k) => plot.x(k).toFixed(1));
    const ranges = digits.map((digit, k) => {
      const [low, mean, high] = [digit.low, digit.mean, digit.high].map((y) => plot.y(y).toFixed(1));
      return `M${at[k]},${low}V${high}M${at[k]},${mean}m-7,0h14`;
    });
    setAttributes(paths.range, { d: ranges.join("") });
    const dots = digits.map(({ share }, k) => `M${at[k]},${plot.y(share).toFixed(1)}h0`);
    setAttributes(paths.dots, { d: dots.join("") });
    const floor = plot.y.range[0];
    /**
     * @param {string[]} texts
     * @param {number} drop
     * @param {string} name
     */
    const line = (texts, drop, name) =>
      texts.map((text, k) =>
        svg("text", { x: at[k], y: floor + drop, class: `${name} middle` }, text));
    this.names.replaceChildren(
      ...line(CLASSES.map(String), 16, "class"),
      ...line(digits.map(({ size }) => size.toFixed(1)), 34, "tick"),
      svg("text", { x: (left + right) / 2, y: floor + 52, class: "middle" },
        "the digit, and the mean size of its sets"),
    );
  }
}

/** How many of the calibration sets reach which coverage, and how many would on average. */
export class BySet {
  /** @type {Spread | null} */
  #spread = null;

  constructor() {
    this.plot = new Plot({
      label: "Histogram of the coverage of 200 calibration sets, and the distribution promised",
      x: { domain: [0.4, 1.01], label: "coverage of all new digits", ticks: 5 },
      y: { domain: [0, 60], label: "calibration sets", ticks: 4 },
      height: HEIGHT,
      margin: MARGIN,
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = {
      counts: path("counts"),
      level: path("level"),
      promised: path("promised"),
      now: path("now"),
    };
  }

  /** @param {Spread} spread */
  show(spread) {
    this.#spread = spread;
    const least = spread.counts.findIndex((count) => count > 0) / 100;
    this.plot.rescale("x", [least < 0.4 ? 0 : 0.4, 1.01]);
    this.plot.rescale("y", [0, 1.1 * Math.max(...spread.counts, ...(spread.promised ?? []))]);
    this.plot.redraw();
  }

  #draw() {
    if (!this.#spread) return;
    const { plot, paths } = this;
    const { level, coverage, counts, promised } = this.#spread;
    const bars = Array.from(counts, (count, i) => {
      if (!count) return "";
      const [left, right] = [PERCENT[i] - 0.0045, PERCENT[i] + 0.0045].map(plot.x);
      const [low, high] = [plot.y(0), plot.y(count)];
      return `M${left.toFixed(1)},${low}V${high.toFixed(1)}H${right.toFixed(1)}V${low}Z`;
    });
    setAttributes(paths.counts, { d: bars.join("") });
    setAttributes(paths.promised, { d: promised && linePath(plot, PERCENT, promised) });
    setAttributes(paths.level, { d: placePath(plot, level) });
    const [x, floor] = [plot.x(coverage).toFixed(1), plot.y(0)];
    setAttributes(paths.now, { d: `M${x},${floor - 1}l-6,-11h12Z` });
  }
}

/** @type {[name: string, d: string, words: string][]} */
const LEGEND = [
  ["dots", "M14,7h0", "coverage of a digit"],
  ["range", "M14,1v12M7,7h14", "its average over the calibration sets, and where 95\u00a0% of them lie"],
  ["all", "M1,7h26", "coverage of all new digits"],
  ["level", "M1,7h26", "the level asked for"],
  ["counts", "M4,13v-6h6v6ZM11,13v-11h6v11ZM18,13v-4h6v4Z", "calibration sets"],
  ["promised", "M1,12Q14,-8 27,12", "as many as the guarantee implies"],
  ["now", "M14,13l-6,-11h12Z", "the calibration set in use"],
];

/** Return the lists that say what the drawings mean. */
export function legends() {
  /** @param {string} classes */
  const cell = (classes) => html("span", { class: `digit ${classes}`, "aria-hidden": "true" }, "3");
  const cells = [
    html("li", {}, cell("in"), html("span", {}, "in the set; the bar is its probability, from 0.1 on")),
    html("li", {}, cell("true in"), html("span", {}, "the true digit")),
    html("li", {}, cell("true missing"), html("span", {}, "the true digit, missed")),
  ];
  return {
    cells: html("ul", { class: "legend" }, ...cells),
    lines: legend(LEGEND),
  };
}
