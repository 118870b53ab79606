// The playground's loss as it falls, split into the fit to the data and the KL's share.

import { html, numberText } from "../shared/controls.js";
import { linePath, pathsIn, Plot, setAttributes, svg } from "../shared/plot.js";

/** @import { Session } from "./session.js" */

/**
 * @typedef {"fit" | "complexity"} Part of the loss
 * @typedef {Record<Part | "step", number>[]} History
 */

const JITTER_RECORDS = 50; // the latest, over which the jitter is told

/**
 * Return the standard deviation of independent noise in `values`, whatever straight line they
 * follow.
 *
 * The second difference of three values has no trend, and 1 + 4 + 1 times one value's variance.
 *
 * @param {number[]} values
 */
export function jitter(values) {
  const bends = values.slice(2).map((value, i) => value - 2 * values[i + 1] + values[i]);
  const squares = bends.reduce((sum, bend) => sum + bend * bend, 0);
  return Math.sqrt(squares / (6 * Math.max(bends.length, 1)));
}

export class LossPlot {
  /** @type {History} */
  #history = [];

  constructor() {
    this.plot = new Plot({
      label: "The two parts of the loss over the latest training steps",
      x: { domain: [0, 1], label: "training step", ticks: 4 },
      y: { domain: [0, 1], label: "nats", ticks: 3 },
      height: 150,
      draw: () => this.#draw(),
    });
    const path = pathsIn(this.plot.layer("losses"));
    this.paths = { fit: path("fit"), complexity: path("complexity") };
    this.numbers = { fit: html("b"), complexity: html("b") };
    /**
     * @param {Part} name
     * @param {string} words
     */
    const entry = (name, words) => {
      const sample = svg("svg", { width: 28, height: 14, "aria-hidden": "true", class: "losses" });
      sample.append(svg("path", { d: "M1,7h26", class: name }));
      return html("li", {}, sample, html("span", {}, `${words} = `, this.numbers[name]));
    };
    this.total = html("b");
    this.kl = html("b");
    this.jitter = html("b");
    const sum = html("li", {}, html("span", {}, "loss = fit + complexity = ", this.total));
    const whole = html("li", {}, html("span", {}, "KL = ", this.kl, " nats"));
    const noise = html("li", {}, html("span", {}, "jitter of the fit = ±", this.jitter));
    this.node = html(
      "div",
      { class: "loss" },
      this.plot.svg,
      html(
        "ul",
        { class: "legend" },
        entry("fit", "fit: expected −log p(y | x, w) per point"),
        entry("complexity", "complexity: λ KL / N"),
        sum,
        whole,
        noise,
      ),
    );
  }

  /**
   * @param {History} history
   * @param {Session["now"]} now
   */
  show(history, { loss, fit, complexity, kl }) {
    this.numbers.fit.textContent = numberText(fit);
    this.numbers.complexity.textContent = numberText(complexity);
    this.total.textContent = numberText(loss);
    this.kl.textContent = numberText(kl);
    const latest = history.slice(-JITTER_RECORDS).map((record) => record.fit);
    this.jitter.textContent = `${jitter(latest).toFixed(3)} nats`;
    this.#history = history;
    // The first steps after a change may be off the scale, so that what follows can be read.
    const settling = history.slice(Math.floor(history.length / 4));
    const values = [fit, complexity, ...settling.flatMap((of) => [of.fit, of.complexity])];
    const [low, high] = [Math.min(0, ...values), Math.max(...values)];
    const first = history[0]?.step ?? 0;
    this.plot.setDomain("x", [first, Math.max(history.at(-1)?.step ?? 0, first + 100)]);
    this.plot.setDomain("y", [low, Math.max(high * 1.05, low + 1)]);
    this.plot.redraw();
  }

  /**
   * Draw at the width that it will have: while it is folded away it has none.
   *
   * @param {number} width
   */
  fit(width) {
    if (width < 1 || width === this.plot.width) return;
    this.plot.width = width;
    this.plot.redraw();
  }

  #draw() {
    const steps = this.#history.map(({ step }) => step);
    /** @param {number[]} values */
    const line = (values) => ({ d: linePath(this.plot, steps, values) || null });
    setAttributes(this.paths.fit, line(this.#history.map(({ fit }) => fit)));
    setAttributes(this.paths.complexity, line(this.#history.map(({ complexity }) => complexity)));
  }
}
