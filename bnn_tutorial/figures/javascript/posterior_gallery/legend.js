// What the drawings of the figure PosteriorGallery mean, method by method.

import { html } from "../shared/controls.js";
import { svg } from "../shared/plot.js";
import { METHODS } from "./settings.js";

/** @import { Method } from "./settings.js" */

/**
 * Return a sample of how something is drawn.
 *
 * @param {...[name: string, d: string]} paths
 */
const swatch = (...paths) =>
  svg(
    "svg",
    { width: 28, height: 14, "aria-hidden": "true" },
    ...paths.map(([name, d]) => svg("path", { class: name, d })),
  );

const DOTS = "M6,7h0m8,0h0m8,0h0";
const NETWORK = "M9,7a5,5 0 1 0 10,0a5,5 0 1 0 -10,0";
const BAND = "M1,2h26M1,12h26";

/** @type {Record<Method, [swatch: [name: string, d: string][], words: string][]>} */
const OWN = {
  map: [[[["network", NETWORK]], "the highest point, and its function"]],
  "mean field": gaussianEntries(METHODS["mean field"]),
  "full covariance": gaussianEntries("full covariance"),
  laplace: gaussianEntries(METHODS.laplace),
  swag: [
    ...gaussianEntries(METHODS.swag),
    [[["trails", "M1,10L8,4L14,9L20,3L27,8"]], "path of SGD, a corner each epoch"],
  ],
  ensemble: [
    [[["trails", "M1,7h8"], ["network", NETWORK]], "from each start to its member"],
    [[["method edges", BAND]], "the members' mean ± 3σ"],
  ],
  dropout: [
    [[["network", NETWORK]], "what the masks leave, larger if more probable"],
    [[["method edges", BAND]], "their mean ± 3σ"],
  ],
  hmc: [
    [[["walk", "M1,10C8,0 18,0 26,7"], ["walk-end", "M26,7h0"]], "a trajectory, leapfrog by leapfrog"],
    [[["walk rejected", "M1,10C8,0 14,0 19,7"], ["walk-end rejected", "M18,3l8,8m0,-8l-8,8"]], "a rejected one"],
    [[["draws", DOTS], ["method edges", BAND]], "the draws, and their mean ± 3σ"],
  ],
  langevin: [
    [[["walk", "M1,10L5,3L9,8L14,2L19,9L26,6"], ["walk-end", "M26,6h0"]], "steps to the next draw, unadjusted: none is rejected"],
    [[["draws", DOTS], ["method edges", BAND]], "the draws, and their mean ± 3σ"],
  ],
};

/**
 * @param {string} name
 * @returns {[swatch: [name: string, d: string][], words: string][]}
 */
function gaussianEntries(name) {
  return [
    [
      [["method ellipse", "M2,7a12,5 0 1 0 24,0a12,5 0 1 0 -24,0"]],
      `${name}: 50, 90 and 99 % of it`,
    ],
    [[["draws", DOTS], ["method edges", BAND]], "30 draws, and its mean ± 3σ of f"],
  ];
}

/** @type {[swatch: [name: string, d: string][], words: string]} */
const EXACT = [
  [["exact region", "M1,1h26v12h-26z"]],
  "exact: 50, 90 and 99 % of the posterior; mean ± 3σ of f, without the noise",
];
/** @type {[swatch: [name: string, d: string][], words: string][]} */
const MARKS = [
  [
    [["modes", "M8,7h12m-6,-6v12"]],
    "modes: w and −w give the same function, as tanh(−a) = −tanh(a)",
  ],
  [[["data-sample", "M14,7h0"]], "data: drag them"],
  [[["knob", "M6,7L14,-1L22,7L14,15Z"]], "where the bands are compared: drag it"],
];

/**
 * Return the entries of the legend.
 *
 * @param {Method} method
 */
export const legendOf = (method) =>
  [EXACT, ...OWN[method], ...MARKS].map(([paths, words]) =>
    html("li", {}, swatch(...paths), html("span", {}, words)));
