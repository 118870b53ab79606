// The playground's picture: the mean, its two 3-sigma bands, functions drawn from the posterior,
// and other methods' bands as dashed lines over it.

import { html } from "../shared/controls.js";
import { areaPath, linePath, Plot, setAttributes, svg } from "../shared/plot.js";
import { truth } from "./audit.js";
import { X_DOMAIN, Y_DOMAIN } from "./limits.js";

const INTERVALS = 120;
const [TALL, LOW] = [340, 260]; // the plot's heights, on a wide page and on a phone

/** Where the picture evaluates functions. */
export const GRID = Float64Array.from(
  { length: INTERVALS + 1 },
  (_, i) => X_DOMAIN[0] + ((X_DOMAIN[1] - X_DOMAIN[0]) * i) / INTERVALS,
);

/** What can be laid over the band: name, words of the legend; the style is the stylesheet's. */
const OVERLAYS = {
  gaussian_process:
    "exact Gaussian process with this network's prior covariance: mean and ±3σ of the curve",
  dropout: "MC dropout: mean and ±3σ of the curve",
  ensemble: "ensemble of five: mean and ±3σ of the curve",
};

const LEGEND = {
  mean: "posterior mean",
  epistemic: "epistemic band, ±3σ: where the curve may run",
  total: "total band, ±3σ: where a new observation may fall",
  functions: "functions drawn from the posterior",
  truth: "the curve that the data came from",
  outsiders: "held-out points outside the total band",
};

const around = ({ mean, std }, k, extra = 0) => {
  const sigma = std.map((value) => k * Math.hypot(value, extra));
  return { low: mean.map((m, i) => m - sigma[i]), high: mean.map((m, i) => m + sigma[i]) };
};

export class BandPlot {
  #content = null;
  #legendEntries;

  /** @param {function} drawOver draws what else lies in the plot */
  constructor(drawOver) {
    this.drawOver = drawOver;
    this.plot = new Plot({
      label: "Data, the network's mean and its 3-sigma bands",
      x: { domain: X_DOMAIN, label: "x" },
      y: { domain: Y_DOMAIN, label: "y" },
      height: TALL,
      interactive: true,
      draw: () => {
        if (this.#fitHeight()) return;
        this.#draw();
        this.drawOver();
      },
    });
    const layer = this.plot.layer("bands");
    const path = (name) => layer.appendChild(svg("path", { class: name }));
    this.paths = Object.fromEntries(
      ["total", "epistemic", "functions", "truth", "mean", "outsiders"].map((n) => [n, path(n)]),
    );
    this.overlays = Object.fromEntries(
      Object.keys(OVERLAYS).map((name) => [
        name,
        { mean: path(`overlay ${name}`), edges: path(`overlay edges ${name}`) },
      ]),
    );
    this.legend = html("ul", { class: "legend" });
    this.#legendEntries = new Map(
      Object.entries({ ...LEGEND, ...OVERLAYS }).map(([name, words]) => [
        name,
        html("li", {}, swatch(name), html("span", {}, words)),
      ]),
    );
  }

  /** Draw again at the height that goes with the width, if that is another one. */
  #fitHeight() {
    const height = this.plot.width < 480 ? LOW : TALL;
    if (height === this.plot.height) return false;
    this.plot.height = height;
    this.plot.redraw();
    return true;
  }

  /**
   * Show `content`: the network's { mean, std } on the grid and its noise_std; `show`, what of its
   * epistemic and total band, functions and truth is wanted; the drawn functions; and by the name
   * of an overlay { mean, std }. The outsiders stay as `showOutsiders` left them.
   */
  show(content) {
    this.#content = content;
    this.#draw();
  }

  /** Show held-out points as crosses. */
  showOutsiders(points) {
    this.outsiders = points;
    this.#drawOutsiders();
  }

  #draw() {
    if (!this.#content) return;
    const { mean, std, noise_std, show, functions, overlays } = this.#content;
    const { plot, paths } = this;
    const put = (node, d) => setAttributes(node, { d: d || null });
    const area = ({ low, high }) => areaPath(plot, GRID, low, high);
    const epistemic = show.epistemic ? area(around({ mean, std }, 3)) : "";
    put(paths.epistemic, epistemic);
    // With the epistemic band as a hole (by the rule evenodd), so that the colours don't mix.
    put(paths.total, show.total && area(around({ mean, std }, 3, noise_std)) + epistemic);
    put(paths.functions, functions.map((values) => linePath(plot, GRID, values)).join(""));
    put(paths.truth, show.truth && linePath(plot, GRID, GRID.map(truth)));
    put(paths.mean, linePath(plot, GRID, mean));
    for (const [name, nodes] of Object.entries(this.overlays)) {
      const moments = overlays[name];
      put(nodes.mean, moments && linePath(plot, GRID, moments.mean));
      const { low, high } = moments ? around(moments, 3) : {};
      put(nodes.edges, moments && linePath(plot, GRID, low) + linePath(plot, GRID, high));
    }
    this.#drawOutsiders();
    const shown = ["mean", ...Object.keys(show).filter((name) => show[name])];
    if (show.total && this.outsiders?.length) shown.push("outsiders");
    shown.push(...Object.keys(overlays).filter((name) => overlays[name]));
    const entries = shown.map((name) => this.#legendEntries.get(name));
    const same = entries.length === this.legend.children.length;
    if (!same || entries.some((entry, i) => entry !== this.legend.children[i]))
      this.legend.replaceChildren(...entries);
  }

  #drawOutsiders() {
    const { plot } = this;
    const shown = this.#content?.show.total ? (this.outsiders ?? []) : [];
    const cross = ({ x, y }) =>
      `M${(plot.x(x) - 3).toFixed(1)},${(plot.y(y) - 3).toFixed(1)}l6,6m0,-6l-6,6`;
    setAttributes(this.paths.outsiders, { d: shown.map(cross).join("") || null });
  }
}

/** Return a sample of how `name` is drawn. */
function swatch(name) {
  const wide = name === "epistemic" || name === "total";
  const d = { outsiders: "M11,4l6,6m0,-6l-6,6" }[name] ?? (wide ? "M1,1h26v12h-26z" : "M1,7h26");
  const style = name in OVERLAYS ? `overlay ${name}` : name;
  return svg(
    "svg",
    { width: 28, height: 14, class: "bands", "aria-hidden": "true" },
    svg("path", { d, class: style }),
  );
}
