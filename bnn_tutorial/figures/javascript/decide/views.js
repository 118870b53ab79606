// What the figure Decide draws: expected costs over the probability with the cases below them, what
// each rule costs, and the risk by coverage.

import { numberText } from "../shared/controls.js";
import { clamp, legend, linePath, pathsIn, Plot, setAttributes, svg } from "../shared/plot.js";
import { expectedCosts } from "./decisions.js";

/**
 * @import { Interval } from "../shared/plot.js"
 * @import { Action, Case, Costs, Mean } from "./decisions.js"
 */

/** @typedef {{ coverage: number, risk: number, expected: number }} Risk */

const MARGIN = { left: 54, right: 16, top: 10, bottom: 38 }; // half of "99.9 %" on the right
const HEADROOM = 1.15;
const DOT = 5; // pixels, its radius
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;

/** @type {Interval} */
const LOG_ODDS = [-7.2, 7.2];
const TICKS = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999];
const GRID = Array.from(
  { length: 145 },
  (_, i) => LOG_ODDS[0] + ((LOG_ODDS[1] - LOG_ODDS[0]) * i) / 144,
);

/** @param {number} p */
const logOdds = (p) => Math.log(p / (1 - p));

/** @param {number} z */
export const probabilityOf = (z) => 1 / (1 + Math.exp(-z));

/** @param {number} p */
export const percentText = (p) => `${numberText(100 * p)} %`;

/** @param {number} cost */
export const costText = (cost) => cost.toFixed(2);

/** @type {{ action: Action, name: string }[]} */
const ACTIONS = [
  { action: "home", name: "send home" },
  { action: "refer", name: "refer" },
  { action: "treat", name: "treat" },
];

/** @typedef {[name: string, sample: string, words: string]} Sample */

/** @type {Sample[]} */
const CASE_SAMPLES = [
  ["line home", "M1,7h26", "expected cost of sending home"],
  ["line refer", "M1,7h26", "of referring"],
  ["line treat", "M1,7h26", "of treating"],
  ["least", "M1,7h26", "the least of these"],
  ["case", "M6,9h0M14,4h0M22,8h0", "decided and right"],
  ["case wrong", "M6,9h0M14,4h0M22,8h0", "wrong"],
  ["case referred", "M6,9h0M14,4h0M22,8h0", "referred"],
];
/** @type {Sample[]} */
const RULE_SAMPLES = [
  ["interval", "M2,7h24m0,-4v8m-24,0v-8", "95 % interval of the mean"],
  ["expected", "M1,7h26", "what the network expects"],
];

export const caseLegend = () => legend(CASE_SAMPLES);
export const ruleLegend = () => legend(RULE_SAMPLES);

/** The stretches of the probability in which each action is best, and ticks in percent. */
class Stretches {
  #plot;
  #ticks;
  #paths;

  /** @param {Plot} plot */
  constructor(plot) {
    this.#plot = plot;
    const path = pathsIn(plot.layer("drawing"));
    this.#paths = ACTIONS.map(({ action }) => path(`stretch ${action}`));
    this.#ticks = plot.layer("ticks", { clipped: false });
  }

  /**
   * Draw them, and return the ends of each stretch in pixels.
   *
   * @param {Interval} thresholds
   * @param {boolean} withNumbers
   * @returns {Interval[]}
   */
  draw(thresholds, withNumbers) {
    const plot = this.#plot;
    const [bottom, top] = plot.y.range;
    const [low, high] = thresholds.map((p) => plot.x(clamp(logOdds(p), LOG_ODDS)));
    const [left, right] = plot.x.range;
    /** @type {Interval[]} */
    const ends = [
      [left, low],
      [low, high],
      [high, right],
    ];
    ends.forEach(([from, to], i) =>
      setAttributes(this.#paths[i], {
        d: to > from ? `M${from.toFixed(1)},${top}H${to.toFixed(1)}V${bottom}H${from.toFixed(1)}Z` : null,
      }),
    );
    this.#ticks.replaceChildren(
      ...TICKS.flatMap((p) => {
        const x = plot.x(logOdds(p));
        const line = svg("line", { x1: x, x2: x, y1: top, y2: bottom, class: "grid" });
        const text = svg("text", { x, y: bottom + 16, class: "tick middle" }, percentText(p));
        return withNumbers ? [line, text] : [line];
      }),
    );
    return ends;
  }
}

/** What each action is expected to cost, over the probability of malignant. */
export class CostPlot {
  /** @type {{ costs: Costs, thresholds: Interval } | null} */
  #content = null;

  constructor() {
    this.plot = new Plot({
      label: "The expected cost of each action over the probability that a case is malignant",
      x: { domain: LOG_ODDS, ticks: 0 },
      y: { domain: [0, 1], label: "expected cost", ticks: 4 },
      height: 210,
      margin: { ...MARGIN, top: 24, bottom: 8 },
      draw: () => this.#draw(),
    });
    this.stretches = new Stretches(this.plot);
    const path = pathsIn(this.plot.layer("drawing"));
    this.lines = ACTIONS.map(({ action }) => path(`line ${action}`));
    this.least = path("least");
    this.names = ACTIONS.map(({ action, name }) =>
      svg("text", { class: `middle name ${action}` }, name),
    );
    this.plot.layer("names", { clipped: false }).append(...this.names);
  }

  /**
   * @param {Costs} costs
   * @param {Interval} thresholds
   */
  show(costs, thresholds) {
    this.#content = { costs, thresholds };
    // The highest least cost without referrals, or what a referral costs where that is more.
    const peak = (costs.alarm * costs.miss) / (costs.alarm + costs.miss);
    this.plot.rescale("y", [0, 1.25 * Math.max(peak, Math.min(costs.referral, 1.5 * peak))]);
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot } = this;
    const { costs, thresholds } = this.#content;
    const ends = this.stretches.draw(thresholds, false);
    const expected = GRID.map((z) => expectedCosts(probabilityOf(z), costs));
    ACTIONS.forEach(({ action, name }, i) => {
      const heights = expected.map((each) => each[action]);
      setAttributes(this.lines[i], { d: linePath(plot, GRID, heights) });
      const [from, to] = ends[i];
      const fits = to - from > 7 * name.length;
      setAttributes(this.names[i], { x: (from + to) / 2, y: 16, display: fits ? null : "none" });
    });
    const least = expected.map(({ home, treat, refer }) => Math.min(home, treat, refer));
    setAttributes(this.least, { d: linePath(plot, GRID, least) });
  }
}

/** Every case at its probability: the malignant ones above, the benign ones below. */
export class CasePlot {
  /** @typedef {Case & { action: Action }} Decided */
  /** @type {{ cases: Decided[], thresholds: Interval } | null} */
  #content = null;

  constructor() {
    this.plot = new Plot({
      label: "The cases at the probability that each is malignant: decided, wrong and referred ones",
      x: { domain: LOG_ODDS, label: "predicted probability of malignant", ticks: 0 },
      y: { domain: [0, 2], ticks: 0 },
      height: 176,
      margin: { ...MARGIN, top: 4 },
      draw: () => this.#draw(),
    });
    this.stretches = new Stretches(this.plot);
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = { right: path("case"), refer: path("case referred"), wrong: path("case wrong") };
    this.names = ["malignant", "benign"].map((name) => svg("text", { class: "middle" }, name));
    this.plot.layer("names", { clipped: false }).append(...this.names);
  }

  /**
   * @param {Decided[]} cases
   * @param {Interval} thresholds
   */
  show(cases, thresholds) {
    this.#content = { cases, thresholds };
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths } = this;
    const { cases, thresholds } = this.#content;
    this.stretches.draw(thresholds, true);
    this.names.forEach((name, i) =>
      setAttributes(name, { transform: `translate(40 ${plot.y(1.5 - i)}) rotate(-90)` }),
    );
    const d = { right: "", wrong: "", refer: "" };
    cases.forEach(({ probability, malignant, action }, i) => {
      const x = plot.x(clamp(logOdds(probability), LOG_ODDS));
      const y = plot.y((malignant ? 1.12 : 0.12) + 0.76 * ((i * GOLDEN_RATIO) % 1));
      const isRight = action === (malignant ? "treat" : "home");
      const kind = action === "refer" ? "refer" : isRight ? "right" : "wrong";
      d[kind] += `M${x.toFixed(1)},${y.toFixed(1)}h0`;
    });
    setAttributes(paths.right, { d: d.right });
    setAttributes(paths.refer, { d: d.refer });
    setAttributes(paths.wrong, { d: d.wrong });
  }
}

const ROW = 36; // pixels
const BAR = 12;
const NORMAL_QUANTILE = 1.959963984540054; // of 97.5 %

/** What a case costs on average by one rule and another. */
export class RulePlot {
  /** @typedef {{ name: string, cost: Mean, expected?: number }} Rule */
  /** @type {Rule[]} */
  #rules = [];

  constructor() {
    this.plot = new Plot({
      label: "What a case costs on average by each rule, with intervals",
      x: { domain: [0, 1], label: "mean cost of a case" },
      y: { domain: [0, 1], ticks: 0 },
      height: 5 * ROW + 42,
      margin: { ...MARGIN, left: 8, top: 2 },
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = {
      others: path("bar"),
      own: path("bar own"),
      intervals: path("interval"),
      expected: path("expected"),
    };
    this.texts = this.plot.layer("texts", { clipped: false });
  }

  /** @param {Rule[]} rules of which the last is the figure's own */
  show(rules) {
    this.#rules = rules;
    // Two treat or refer everybody: where that costs far more, their bars leave the plot.
    const most = Math.max(...rules.slice(2).map(({ cost }) => cost.mean + 2 * cost.error));
    this.plot.rescale("x", [0, HEADROOM * most]);
    this.plot.redraw();
  }

  #draw() {
    const { plot, paths } = this;
    const [zero, end] = plot.x.range;
    const d = { others: "", own: "", intervals: "", expected: "" };
    const texts = this.#rules.flatMap(({ name, cost, expected }, i) => {
      const top = plot.margin.top + i * ROW + 18;
      const middle = top + BAR / 2;
      /** @param {number} value */
      const at = (value) => Math.min(plot.x(Math.max(value, 0)), end).toFixed(1);
      const beyond = plot.x(cost.mean) > end ? " →" : "";
      const isOwn = i === this.#rules.length - 1;
      d[isOwn ? "own" : "others"] += `M${zero},${top}H${at(cost.mean)}v${BAR}H${zero}Z`;
      const [low, high] = [-1, 1].map((side) => cost.mean + side * NORMAL_QUANTILE * cost.error);
      if (plot.x(high) - plot.x(low) > 1 && plot.x(high) <= end)
        d.intervals += `M${at(low)},${middle}H${at(high)}M${at(low)},${middle - 3}v6M${at(high)},${middle - 3}v6`;
      if (expected !== undefined) d.expected += `M${at(expected)},${top - 1}v${BAR + 4}`;
      return [
        svg("text", { x: zero, y: top - 4, class: isOwn ? "own" : null }, name),
        svg("text", { x: end, y: top - 4, class: "end" }, costText(cost.mean) + beyond),
      ];
    });
    setAttributes(paths.others, { d: d.others });
    setAttributes(paths.own, { d: d.own });
    setAttributes(paths.intervals, { d: d.intervals });
    setAttributes(paths.expected, { d: d.expected });
    this.texts.replaceChildren(...texts);
  }
}

/** What the decided cases cost, the surest ones first, over the share that is decided. */
export class RiskPlot {
  /** @type {{ risks: Risk[], decided: number } | null} */
  #content = null;

  constructor() {
    this.plot = new Plot({
      label: "The mean cost of the decided cases over the share that is decided, and the expected one",
      x: { domain: [0, 1], label: "share decided without a doctor" },
      y: { domain: [0, 1], label: "mean cost of those", ticks: 4 },
      height: 170,
      margin: MARGIN,
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("drawing"));
    this.paths = { place: path("place"), expected: path("expected"), risk: path("risk") };
    this.dot = svg("circle", { r: DOT, class: "dot" });
    this.plot.layer("marks", { clipped: false }).append(this.dot);
  }

  /**
   * @param {Risk[]} risks for every number of decided cases, from 1 on
   * @param {number} decided the present number
   */
  show(risks, decided) {
    this.#content = { risks, decided };
    const most = Math.max(...risks.map(({ risk, expected }) => Math.max(risk, expected)));
    this.plot.rescale("y", [0, HEADROOM * most || 1]);
    this.plot.redraw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths, dot } = this;
    const { risks, decided } = this.#content;
    const coverages = risks.map(({ coverage }) => coverage);
    const now = decided ? risks[decided - 1] : { coverage: 0, risk: 0 };
    const x = plot.x(now.coverage);
    setAttributes(paths.place, { d: `M${x.toFixed(1)},${plot.y.range[1]}V${plot.y.range[0]}` });
    const expected = risks.map((each) => each.expected);
    setAttributes(paths.expected, { d: linePath(plot, coverages, expected) });
    setAttributes(paths.risk, { d: linePath(plot, coverages, risks.map(({ risk }) => risk)) });
    setAttributes(dot, { cx: x, cy: plot.y(now.risk) });
  }
}
