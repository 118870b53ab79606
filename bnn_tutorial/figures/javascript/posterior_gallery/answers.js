// What each method of the figure PosteriorGallery answers: where its weights lie, the band of their
// functions, and the finding in a sentence.

import { fixedText, html, numberText } from "../shared/controls.js";
import { normalCdf } from "../shared/gaussian.js";
import { divergence, descentPath, draw, functionMoments, laplace, swag, variational } from "./gaussians.js";
import { countDistinct, dropout, ensemble, setMoments } from "./point_sets.js";
import { GRID, METHODS } from "./settings.js";

/**
 * @import { Chain } from "./chains.js"
 * @import { ExactPosterior } from "./exact.js"
 * @import { Gaussian } from "./gaussians.js"
 * @import { Moments, Weights } from "./network.js"
 * @import { Network } from "./point_sets.js"
 * @import { Method, MethodSettings } from "./settings.js"
 */

/**
 * What a method answers.
 *
 * @typedef {object} Answer
 * @property {(x: ArrayLike<number>) => Moments} moments of f
 * @property {Weights[]} draws of which each is a function
 * @property {Gaussian | null} gaussian where it is one
 * @property {Network[]} networks where it is a few, of which each has its probability
 * @property {Weights[][]} trails on which it came where it is
 */

/** @typedef {{ kl: number | null, width_ratio: number | null, words: (Node | string)[] }} Finding */

const DRAWS = 30;

/** @type {Partial<Record<Method, (posterior: ExactPosterior) => Gaussian>>} */
const GAUSSIANS = {
  laplace,
  "mean field": (posterior) => variational(posterior, { diagonal: true }),
  "full covariance": (posterior) => variational(posterior, { diagonal: false }),
};

/**
 * Return the answer of a method that does not walk.
 *
 * @param {ExactPosterior} posterior
 * @param {MethodSettings} settings
 * @returns {Answer}
 */
export function answerOf(posterior, settings) {
  const { method, seed } = settings;
  const path = method === "swag" ? descentPath(posterior, settings) : null;
  const gaussian = path ? swag(path) : (GAUSSIANS[method]?.(posterior) ?? null);
  if (gaussian)
    return {
      moments: (x) => functionMoments(gaussian, x),
      draws: draw(gaussian, DRAWS, seed),
      gaussian,
      networks: [],
      trails: path ? [path] : [],
    };
  const members = method === "ensemble" ? ensemble(posterior.problem, settings) : [];
  /** @type {Network[]} */
  const networks =
    method === "ensemble"
      ? members
      : dropout(posterior, method === "dropout" ? settings.dropout_rate : 0);
  const possible = networks.filter(({ probability }) => probability > 0);
  return {
    moments: (x) => setMoments(possible, x),
    draws: possible.map(({ weights }) => weights),
    gaussian: null,
    networks: possible,
    trails: members.map(({ start, weights }) => [start, weights]),
  };
}

/**
 * Return the answer of a walk as far as it has come.
 *
 * @param {Chain} chain
 */
export function answerOfChain({ draws }) {
  const networks = draws.map((weights) => ({ weights, probability: 1 / draws.length }));
  /** @type {Answer} */
  const answer = {
    moments: (x) => setMoments(networks, x),
    draws,
    gaussian: null,
    networks: [],
    trails: [],
  };
  return answer;
}

/** @param {number} value */
const short = (value) => numberText(value, 2);

/** @param {number} share */
const percent = (share) => `${short(100 * share)} %`;

/**
 * Say of a Gaussian how far it is from the posterior.
 *
 * @param {ExactPosterior} posterior
 * @param {Gaussian} gaussian
 * @param {number} kl
 */
function gaussianWords({ modes }, { mean, covariance }, kl) {
  const share = normalCdf(Math.abs(mean[0]) / Math.sqrt(covariance[0]));
  const leavesOut = modes.length === 2 && share > 0.99 && Number.isFinite(kl);
  const half = leavesOut ? ", of which log 2 = 0.69 for the mode it leaves out" : "";
  return `KL(q‖p) = ${Number.isFinite(kl) ? fixedText(kl, 2) : "∞"} nats${half}.`;
}

/**
 * @param {number} count
 * @param {string} name
 */
const counted = (count, name) => `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;

/** @param {Answer} answer */
function ensembleWords({ networks }) {
  const points = networks.map(({ weights }) => weights);
  const functions = points.map(([w1, w2]) => (w1 < 0 ? [-w1, -w2] : [w1, w2]));
  const starts = `${counted(points.length, "start")} ${points.length === 1 ? "leads" : "lead"}`;
  const ends = counted(countDistinct(points), "point");
  return `${starts} to ${ends}, which make ${counted(countDistinct(functions), "function")}.`;
}

/** @param {Chain} chain */
function chainWords({ kind, draws, accepted, escapes }) {
  const right = draws.filter(([w1]) => w1 > 0).length;
  const sides = right === 0 || right === draws.length ? "one mode" : "both modes";
  const taken = kind === "hmc" ? `, ${percent(accepted / draws.length)} accepted` : "";
  const lost = escapes ? ` Its steps are too long: it went astray ${counted(escapes, "time")}.` : "";
  return `${counted(draws.length, "draw")}${taken}, at ${sides} so far.${lost}`;
}

/**
 * Compare an answer with the exact posterior, in numbers and in words.
 *
 * @param {ExactPosterior} posterior
 * @param {Answer} answer
 * @param {MethodSettings} settings
 * @param {number} place x at which the bands' widths are compared
 * @param {{ exact: Moments, own: Moments | null, chain: Chain | null }} known at GRID, then at
 *   `place`; a walk has no moments of its own before its second draw
 * @returns {Finding}
 */
export function findingOf(posterior, answer, { method, dropout_rate }, place, known) {
  const { gaussian } = answer;
  const { exact, own, chain } = known;
  const name = html("b", { class: "own-name" }, METHODS[method][0].toUpperCase() + METHODS[method].slice(1));
  const exactName = html("b", { class: "exact-name" }, "exact one");
  if (!own) return { kl: null, width_ratio: null, words: [name, " starts at one of the modes."] };
  const at = GRID.length;
  const kl = gaussian && divergence(posterior, gaussian);
  const width_ratio = exact.std[at] > 1e-9 ? own.std[at] / exact.std[at] : null;
  /** @param {Moments} moments */
  const total = ({ std }) => std.slice(0, at).reduce((sum, value) => sum + value, 0);
  const overall = (total(own) / total(exact)).toFixed(2);
  /** @type {Partial<Record<Method, () => string>>} */
  const pointWords = {
    ensemble: () => ensembleWords(answer),
    dropout: () =>
      `4 networks; 1 of them, drawn with ${percent((1 - dropout_rate) ** 2)}, is not zero.`,
  };
  const first = gaussian
    ? gaussianWords(posterior, gaussian, kl ?? Infinity)
    : chain
      ? chainWords(chain)
      : pointWords[method]?.();
  const here = `x = ${short(place)}`;
  if (first === undefined) {
    const width = ` at ${here} is ±${short(3 * exact.std[at])}.`;
    return { kl, width_ratio, words: [name, ": one network, and no band; the ", exactName, width] };
  }
  const width =
    width_ratio === null
      ? [` At ${here} every function is 0; over the plot the band is ${overall} times as wide as the `, exactName, "."]
      : [` At ${here} its band is ${width_ratio.toFixed(2)} times as wide as the `, exactName, ` (${overall} over the plot).`];
  const isFinite = kl !== null && Number.isFinite(kl);
  return { kl: isFinite ? kl : null, width_ratio, words: [name, `: ${first}`, ...width] };
}
