// The functions of the figure PosteriorGallery: the data, the exact posterior's band, a method's
// band and functions, and the place at which both bands are compared.

import { PlaceMark, placePath } from "../shared/place_mark.js";
import { areaPath, linePath, pathsIn, Plot, setAttributes } from "../shared/plot.js";
import { output } from "./network.js";
import { Points } from "./points.js";
import { GRID, X_DOMAIN } from "./settings.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Moments, Weights } from "./network.js"
 * @import { Traits } from "./settings.js"
 */

const SIGMAS = 3;
const MOST_FUNCTIONS = 30;

/**
 * @param {Moments} moments
 * @param {number} side
 */
const edge = ({ mean, std }, side) => GRID.map((_, n) => mean[n] + side * SIGMAS * std[n]);

export class FunctionPlot {
  /** @type {{ exact: Moments, own: Moments | null, draws: Weights[] } | null} */
  #content = null;

  /**
   * @param {Model<Traits>} model
   * @param {Controls<Traits>} controls
   */
  constructor(model, controls) {
    this.model = model;
    this.plot = new Plot({
      label: "Data, the exact posterior's 3-sigma band of the function, and the method's",
      x: { domain: X_DOMAIN, label: "x", ticks: 6 },
      y: { domain: [-4, 4], label: "f(x) = w₂ tanh(w₁x)", ticks: 8 },
      height: 350,
      margin: { left: 40, right: 8, bottom: 38 },
      draw: () => this.#draw(),
      interactive: true,
    });
    const path = pathsIn(this.plot.layer("functions"));
    this.paths = {
      exact: path("exact band"),
      exactMean: path("exact mean"),
      functions: path("method function"),
      edges: path("method edges"),
      mean: path("method mean"),
      place: path("place"),
    };
    this.points = new Points(this.plot, {
      get: () => model.get("points"),
      set: (points) => controls.set({ points }),
    });
    this.mark = new PlaceMark(this.plot, {
      label: "Place x at which the bands are compared",
      from: () => model.get("place"),
      move: (place) => controls.set({ place }),
    });
  }

  /**
   * Show the exact band, and of the method its band and functions.
   *
   * @param {Moments} exact
   * @param {Moments | null} own
   * @param {Weights[]} draws of which the last are drawn
   */
  show(exact, own, draws) {
    this.#content = { exact, own, draws: draws.slice(-MOST_FUNCTIONS) };
    this.#draw();
  }

  #draw() {
    if (!this.#content) return;
    const { plot, paths } = this;
    const { exact, own, draws } = this.#content;
    setAttributes(paths.exact, { d: areaPath(plot, GRID, edge(exact, -1), edge(exact, 1)) });
    setAttributes(paths.exactMean, { d: linePath(plot, GRID, exact.mean.slice(0, GRID.length)) });
    /** @param {Weights} weights */
    const curve = (weights) => linePath(plot, GRID, GRID.map((x) => output(weights, x)));
    setAttributes(paths.functions, { d: draws.map(curve).join("") || null });
    const edges = own && [-1, 1].map((side) => linePath(plot, GRID, edge(own, side))).join("");
    setAttributes(paths.edges, { d: edges });
    setAttributes(paths.mean, { d: own && linePath(plot, GRID, own.mean.slice(0, GRID.length)) });
    const place = this.model.get("place");
    setAttributes(paths.place, { d: placePath(plot, place) });
    this.mark.show(place);
    this.points.draw();
  }
}

