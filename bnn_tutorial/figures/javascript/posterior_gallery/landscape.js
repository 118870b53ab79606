// The plane of both weights in the figure PosteriorGallery: the exact posterior as a landscape, and
// over it where a method has its weights.

import { areaPath, linePath, pathsIn, Plot, setAttributes, svg } from "../shared/plot.js";

/**
 * @import { Answer } from "./answers.js"
 * @import { Trajectory } from "./chains.js"
 * @import { ExactPosterior } from "./exact.js"
 * @import { Gaussian } from "./gaussians.js"
 * @import { Weights } from "./network.js"
 */

/** Shares of the mass that the regions hold, the exact posterior's and a Gaussian's alike. */
const SHARES = [0.99, 0.9, 0.5];
const REACH = 3.2; // of the axes, in standard deviations of the prior
const COLUMNS = 240;
const CIRCLE = Float64Array.from({ length: 73 }, (_, i) => (i * Math.PI) / 36);

/**
 * Return the outline of the region that holds this share of a Gaussian's mass.
 *
 * @param {Plot} plot
 * @param {Gaussian} gaussian
 * @param {number} share
 */
function ellipse(plot, { mean, covariance: [first, both, second] }, share) {
  const radius = Math.sqrt(-2 * Math.log(1 - share));
  const std = Math.sqrt(first);
  const slope = first > 0 ? both / std : 0;
  const rest = Math.sqrt(Math.max(second - slope * slope, 0));
  const w1 = CIRCLE.map((angle) => mean[0] + radius * std * Math.cos(angle));
  const w2 = CIRCLE.map(
    (angle) => mean[1] + radius * (slope * Math.cos(angle) + rest * Math.sin(angle)),
  );
  return linePath(plot, w1, w2);
}

export class Landscape {
  /** @type {ExactPosterior | null} */
  #posterior = null;
  /** @type {Answer | null} */
  #answer = null;
  /** @type {{ trajectory: Trajectory, share: number } | null} */
  #walk = null;

  constructor() {
    this.plot = new Plot({
      label:
        "Plane of both weights: regions that hold 50, 90 and 99 percent of the exact posterior, " +
        "and where the method has its weights",
      x: { domain: [-1, 1], label: "w₁", ticks: 6 },
      y: { domain: [-1, 1], label: "w₂", ticks: 6 },
      height: 350,
      margin: { left: 40, right: 8, bottom: 38 },
      draw: () => this.#draw(),
    });
    const layer = this.plot.layer("landscape");
    const path = pathsIn(layer);
    this.regions = SHARES.map(() => path("exact region"));
    this.modes = path("modes");
    this.trails = path("trails");
    this.ellipses = SHARES.map(() => path("method ellipse"));
    this.draws = path("draws");
    this.networks = layer.appendChild(svg("g", { class: "networks" }));
    this.walk = path("walk");
    this.end = path("walk-end");
  }

  /**
   * Show a posterior and what a method makes of it.
   *
   * @param {ExactPosterior} posterior
   * @param {Answer} answer
   * @param {{ trajectory: Trajectory, share: number } | null} walk as far as it is to be seen
   */
  show(posterior, answer, walk) {
    const isNew = posterior !== this.#posterior;
    this.#posterior = posterior;
    this.#answer = answer;
    this.#walk = walk;
    if (isNew) {
      const reach = REACH * posterior.problem.prior_std;
      this.plot.rescale("x", [-reach, reach]);
      this.plot.rescale("y", [-reach, reach]);
      this.plot.redraw();
    } else this.#drawAnswer();
  }

  #draw() {
    const posterior = this.#posterior;
    if (!posterior) return;
    const { plot } = this;
    const [from, to] = plot.axes.x.domain;
    SHARES.forEach((share, i) => {
      const outlines = posterior.outlines(posterior.level(share), from, to, COLUMNS);
      const d = outlines.map(({ w1, low, high }) => areaPath(plot, w1, low, high)).join("");
      setAttributes(this.regions[i], { d });
    });
    const crosses = posterior.modes.map(([w1, w2]) => `${this.#at([w1, w2], -6, 0)}h12m-6,-6v12`);
    setAttributes(this.modes, { d: crosses.join("") });
    this.#drawAnswer();
  }

  /**
   * Begin a path near these weights.
   *
   * @param {Weights} weights
   * @param {number} [right] pixels
   * @param {number} [down]
   */
  #at([w1, w2], right = 0, down = 0) {
    return `M${(this.plot.x(w1) + right).toFixed(1)},${(this.plot.y(w2) + down).toFixed(1)}`;
  }

  /** @param {Weights[]} points */
  #line(points) {
    return linePath(this.plot, points.map(([w1]) => w1), points.map(([, w2]) => w2));
  }

  #drawAnswer() {
    if (!this.#answer) return;
    const { plot } = this;
    const { gaussian, draws, networks, trails } = this.#answer;
    SHARES.forEach((share, i) =>
      setAttributes(this.ellipses[i], { d: gaussian && ellipse(plot, gaussian, share) }),
    );
    const dots = networks.length ? [] : draws;
    setAttributes(this.draws, { d: dots.map((each) => `${this.#at(each)}h0`).join("") || null });
    setAttributes(this.trails, { d: trails.map((trail) => this.#line(trail)).join("") || null });
    this.networks.replaceChildren(
      ...networks.map(({ weights, probability }) =>
        svg("circle", {
          cx: plot.x(weights[0]),
          cy: plot.y(weights[1]),
          r: 3 + 5 * Math.sqrt(probability),
          class: "network",
        }),
      ),
    );
    const walk = this.#walk;
    const seen = walk
      ? walk.trajectory.path.slice(0, 1 + Math.round(walk.share * (walk.trajectory.path.length - 1)))
      : [];
    const rejected = walk?.share === 1 && !walk.trajectory.accepted;
    setAttributes(this.walk, {
      d: seen.length ? this.#line(seen) : null,
      class: rejected ? "walk rejected" : "walk",
    });
    const last = seen[seen.length - 1];
    setAttributes(this.end, {
      d: last && (rejected ? `${this.#at(last, -5, -5)}l10,10m0,-10l-10,10` : `${this.#at(last)}h0`),
      class: rejected ? "walk-end rejected" : "walk-end",
    });
  }
}
