// The playground's picture: the mean, its two 3-sigma bands, functions drawn from the posterior,
// and other methods' bands as dashed lines over it.

import { html } from "../shared/controls.js";
import { areaPath, linePath, pathsIn, Plot, setAttributes, svg } from "../shared/plot.js";
import { auditText, truth } from "./audit.js";
import { X_DOMAIN, Y_DOMAIN } from "./limits.js";

/** @import { auditBand, Moments } from "./network.js" */

/**
 * @typedef {"gaussian_process" | "dropout" | "ensemble"} Overlay
 * @typedef {"epistemic" | "total" | "functions" | "truth"} Part that can be left out
 */

/**
 * What the picture shows.
 *
 * @typedef {object} Content
 * @property {Float64Array} mean of the network on the grid
 * @property {Float64Array} std
 * @property {number} noise_std
 * @property {Record<Part, boolean>} show
 * @property {Float64Array[]} functions drawn from the posterior
 * @property {Partial<Record<Overlay, Moments | false | null>>} overlays
 */

const INTERVALS = 120;
const HEIGHT = 320; // where no style says another

/** Where the picture evaluates functions. */
export const GRID = Float64Array.from(
  { length: INTERVALS + 1 },
  (_, i) => X_DOMAIN[0] + ((X_DOMAIN[1] - X_DOMAIN[0]) * i) / INTERVALS,
);

/** @type {Overlay[]} */
const OVERLAYS = ["gaussian_process", "dropout", "ensemble"];

// The words are short, so that the legend takes no further line where something is laid over.
const LEGEND = {
  mean: "posterior mean",
  truth: "true curve",
  functions: "functions drawn from the posterior",
  epistemic: "epistemic band, ±3σ: where the curve may run",
  total: "total band, ±3σ: where a new point may fall",
  outsiders: "new points outside it: ",
  gaussian_process: "Gaussian process, ±3σ",
  dropout: "MC dropout, ±3σ",
  ensemble: "ensemble of five, ±3σ",
};

/**
 * @param {Moments} moments
 * @param {number} k
 * @param {number} [extra] standard deviation, of the noise
 */
const around = ({ mean, std }, k, extra = 0) => {
  const sigma = std.map((value) => k * Math.hypot(value, extra));
  return { low: mean.map((m, i) => m - sigma[i]), high: mean.map((m, i) => m + sigma[i]) };
};

export class BandPlot {
  /** @type {Content | null} */
  #content = null;
  /** @type {{ x: number, y: number }[]} */
  #outsiders = [];
  #legendEntries;

  /** @param {() => void} drawOver draws what else lies in the plot */
  constructor(drawOver) {
    this.drawOver = drawOver;
    this.plot = new Plot({
      label: "Data, the network's mean and its 3-sigma bands",
      x: { domain: X_DOMAIN, label: "x" },
      y: { domain: Y_DOMAIN, label: "y" },
      height: HEIGHT,
      interactive: true,
      draw: () => {
        if (this.#fitHeight()) return;
        this.#draw();
        this.drawOver();
      },
    });
    const path = pathsIn(this.plot.layer("bands"));
    this.paths = {
      total: path("total"),
      epistemic: path("epistemic"),
      functions: path("functions"),
      truth: path("truth"),
      mean: path("mean"),
      outsiders: path("outsiders"),
    };
    this.overlays = OVERLAYS.map((name) => ({
      name,
      mean: path(`overlay ${name}`),
      edges: path(`overlay edges ${name}`),
    }));
    this.audited = html("b");
    this.legend = html("ul", { class: "legend" });
    this.#legendEntries = Object.fromEntries(
      Object.entries(LEGEND).map(([name, words]) => [
        name,
        html("li", { class: `of-${name}` }, swatch(name), html("span", {}, words)),
      ]),
    );
    this.#legendEntries.outsiders.lastElementChild?.append(this.audited);
  }

  /** Draw again at the height that the style gives the plot at this width, if it is another one. */
  #fitHeight() {
    const { svg } = this.plot;
    const height = parseFloat(getComputedStyle(svg).getPropertyValue("--plot-height")) || HEIGHT;
    if (height === this.plot.height) return false;
    this.plot.height = height;
    this.plot.redraw();
    return true;
  }

  /**
   * Show `content`; the outsiders stay as `showAudit` left them.
   *
   * @param {Content} content
   */
  show(content) {
    this.#content = content;
    this.#draw();
  }

  /**
   * Show the audit of the total band: its outsiders as crosses, and how many they are.
   *
   * @param {{ total: ReturnType<typeof auditBand>, outsiders: { x: number, y: number }[] }} audit
   */
  showAudit({ total, outsiders }) {
    this.#outsiders = outsiders;
    this.audited.textContent = auditText(total);
    this.#drawOutsiders();
  }

  #draw() {
    if (!this.#content) return;
    const { mean, std, noise_std, show, functions, overlays } = this.#content;
    const { plot, paths } = this;
    /**
     * @param {SVGElement} node
     * @param {string | false | null | undefined} d
     */
    const put = (node, d) => setAttributes(node, { d: d || null });
    /** @param {ReturnType<typeof around>} edges */
    const area = ({ low, high }) => areaPath(plot, GRID, low, high);
    const epistemic = show.epistemic ? area(around({ mean, std }, 3)) : "";
    put(paths.epistemic, epistemic);
    // With the epistemic band as a hole (by the rule evenodd), so that the colours don't mix.
    put(paths.total, show.total && area(around({ mean, std }, 3, noise_std)) + epistemic);
    put(paths.functions, functions.map((values) => linePath(plot, GRID, values)).join(""));
    put(paths.truth, show.truth && linePath(plot, GRID, GRID.map(truth)));
    put(paths.mean, linePath(plot, GRID, mean));
    for (const { name, mean, edges } of this.overlays) {
      const moments = overlays[name];
      const band = moments && around(moments, 3);
      put(mean, moments && linePath(plot, GRID, moments.mean));
      put(edges, band && linePath(plot, GRID, band.low) + linePath(plot, GRID, band.high));
    }
    this.#drawOutsiders();
    /** @type {Record<string, unknown>} */
    const shown = { mean: true, ...show, outsiders: show.total, ...overlays };
    const entries = Object.keys(LEGEND).filter((name) => shown[name]).map((name) =>
      this.#legendEntries[name]);
    const same = entries.length === this.legend.children.length;
    if (!same || entries.some((entry, i) => entry !== this.legend.children[i]))
      this.legend.replaceChildren(...entries);
  }

  #drawOutsiders() {
    const { plot } = this;
    const shown = this.#content?.show.total ? this.#outsiders : [];
    /** @param {{ x: number, y: number }} point */
    const cross = ({ x, y }) =>
      `M${(plot.x(x) - 3).toFixed(1)},${(plot.y(y) - 3).toFixed(1)}l6,6m0,-6l-6,6`;
    setAttributes(this.paths.outsiders, { d: shown.map(cross).join("") || null });
  }
}

/** @type {Record<string, string>} */
const SAMPLES = {
  epistemic: "M1,1h26v12h-26z",
  total: "M1,1h26v12h-26z",
  outsiders: "M11,4l6,6m0,-6l-6,6",
};

/**
 * Return a sample of how `name` is drawn.
 *
 * @param {string} name
 */
function swatch(name) {
  const style = OVERLAYS.some((overlay) => overlay === name) ? `overlay ${name}` : name;
  return svg(
    "svg",
    { width: 28, height: 14, class: "bands", "aria-hidden": "true" },
    svg("path", { d: SAMPLES[name] ?? "M1,7h26", class: style }),
  );
}
