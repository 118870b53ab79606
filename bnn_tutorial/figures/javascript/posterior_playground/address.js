// The playground's state in the page's address, so that a setting can be shared by its link:
// #KEY?kl_weight=0.1&prior_std=2 holds the traits that differ from the figure's own, and no others.

import { button, html } from "../shared/controls.js";
import { clamp } from "../shared/plot.js";
import {
  MOST_POINTS,
  NUMBERS,
  pointAt,
  RANGES,
  SETTINGS,
  SMALLEST_GAP,
  stateOf,
  SWITCHES,
  X_DOMAIN,
} from "./limits.js";
import { ESTIMATORS } from "./training.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Point } from "../shared/points.js"
 * @import { State, Traits } from "./limits.js"
 */

/**
 * @param {Point} one
 * @param {Point | undefined} other
 */
const isSame = (one, other) => one[0] === other?.[0] && one[1] === other?.[1];

/**
 * Write points in their order: a run of the `original` ones by the numbers of its ends, any other
 * by its coordinates, as in 0-5_0.25*-3_7-59.
 *
 * @param {Point[]} points
 * @param {Point[]} original
 */
function pointsText(points, original) {
  const parts = [];
  for (let i = 0; i < points.length; ) {
    const first = original.findIndex((point) => isSame(point, points[i]));
    let length = 1;
    if (first === -1) parts.push(points[i].join("*"));
    else {
      while (i + length < points.length && isSame(points[i + length], original[first + length]))
        length += 1;
      parts.push(length === 1 ? first : `${first}-${first + length - 1}`);
    }
    i += length;
  }
  return parts.join("_");
}

/**
 * Return the points that `text` describes, without what makes no sense.
 *
 * @param {string} text
 * @param {Point[]} original
 */
function pointsFrom(text, original) {
  /** @type {Point[]} */
  const points = [];
  for (const part of text.split("_")) {
    const run = /^(\d+)(?:-(\d+))?$/.exec(part);
    const [x, y] = part.split("*").map(Number);
    if (run) points.push(...original.slice(Number(run[1]), Number(run[2] ?? run[1]) + 1));
    else if (Number.isFinite(x) && Number.isFinite(y)) points.push(pointAt(x, y));
    if (points.length >= MOST_POINTS) break;
  }
  return points.slice(0, MOST_POINTS);
}

/**
 * Write a setting for an address.
 *
 * @param {State} state
 * @param {keyof State} name
 * @param {State} defaults
 */
function valueText(state, name, defaults) {
  if (name === "points") return pointsText(state.points, defaults.points);
  return name === "gap" ? state.gap.join("_") : String(state[name]);
}

/**
 * Return the part of `state` that differs from `defaults`, as text for an address.
 *
 * @param {State} state
 * @param {State} defaults
 */
export function encodeState(state, defaults) {
  const fields = new URLSearchParams();
  for (const name of SETTINGS) {
    const text = valueText(state, name, defaults);
    if (text !== valueText(defaults, name, defaults)) fields.set(name, text);
  }
  return fields.toString();
}

/**
 * Return the state that `text` describes; whatever in it makes no sense is left at its default.
 *
 * @param {string} text
 * @param {State} defaults
 */
export function decodeState(text, defaults) {
  const fields = new URLSearchParams(text);
  const state = { ...defaults };
  for (const name of NUMBERS) {
    const value = Number.parseFloat(fields.get(name) ?? "");
    if (!Number.isFinite(value)) continue;
    state[name] = clamp(name === "hidden_units" ? Math.round(value) : value, RANGES[name]);
  }
  for (const name of SWITCHES)
    if (/^(true|false)$/.test(fields.get(name) ?? "")) state[name] = fields.get(name) === "true";
  state.estimator =
    ESTIMATORS.find((name) => name === fields.get("estimator")) ?? defaults.estimator;
  const gap = fields.get("gap");
  const [low, high] = (gap ?? "").split("_").map((edge) => clamp(Number(edge), X_DOMAIN));
  if (high - low >= SMALLEST_GAP) state.gap = [low, high];
  else if (gap === "") state.gap = [];
  const listed = fields.get("points");
  const points = pointsFrom(listed ?? "", defaults.points);
  if (points.length || listed === "") state.points = points;
  return state;
}

/**
 * Keep the model's state and the address that begins with #`address_key` the same.
 *
 * The address is changed in place, so that the browser's history has no entry for each move.
 *
 * @param {Controls<Traits>} controls
 * @param {Model<Traits>} model
 * @param {string} address_key
 */
export function shareByAddress(controls, model, address_key) {
  const prefix = `#${address_key}?`;
  const defaults = stateOf(model);
  const read = () => {
    if (location.hash.startsWith(prefix))
      controls.set(decodeState(location.hash.slice(prefix.length), defaults));
  };
  const write = () => {
    const text = encodeState(stateOf(model), defaults);
    if (!text && !location.hash.startsWith(prefix)) return;
    const here = location.pathname + location.search;
    history.replaceState(history.state, "", text ? prefix + text : here);
  };
  read();
  /** @type {number | undefined} */
  let timer;
  // Browsers allow an address to change about three times a second.
  controls.onChange(SETTINGS, () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      write();
    }, 400);
  });
  addEventListener("hashchange", read);
  controls.atEnd(() => {
    removeEventListener("hashchange", read);
    clearTimeout(timer);
  });
  return { write };
}

/**
 * Return a button that copies the page's address, and shows it where copying is not allowed.
 *
 * @param {ReturnType<typeof shareByAddress>} address
 */
export function copyLink(address) {
  const link = html("input", { type: "text", readOnly: true, hidden: true });
  link.setAttribute("aria-label", "Link to this setting");
  const words = "Copy a link to this setting";
  const copy = button(words, async () => {
    address.write();
    link.value = location.href;
    try {
      await navigator.clipboard.writeText(location.href);
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = words), 3000);
    } catch {
      link.hidden = false;
      link.select();
    }
  });
  return html("div", { class: "buttons share", "aria-live": "polite" }, copy, link);
}
