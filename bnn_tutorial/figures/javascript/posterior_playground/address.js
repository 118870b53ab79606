// The playground's state in the page's address, so that a setting can be shared by its link:
// #KEY?kl_weight=0.1&prior_std=2 holds the traits that differ from the figure's own, and no others.

import { button, html } from "../shared/controls.js";
import {
  clamp,
  MOST_POINTS,
  pointAt,
  RANGES,
  SETTINGS,
  SMALLEST_GAP,
  SWITCHES,
  X_DOMAIN,
} from "./limits.js";
import { ESTIMATORS } from "./training.js";

const numbers = (text) => (text ? text.split("_").map(Number) : []);
const key = (point) => point.join("_");

/** Return the part of `state` that differs from `defaults`, as text for an address. */
export function encodeState(state, defaults) {
  const fields = new URLSearchParams();
  for (const name of [...Object.keys(RANGES), ...SWITCHES, "estimator"])
    if (state[name] !== defaults[name]) fields.set(name, state[name]);
  if (key(state.gap) !== key(defaults.gap)) fields.set("gap", key(state.gap));
  const present = new Set(state.points.map(key));
  const original = new Set(defaults.points.map(key));
  const dropped = defaults.points.flatMap((point, i) => (present.has(key(point)) ? [] : [i]));
  if (dropped.length) fields.set("drop", dropped.join("_"));
  const added = state.points.filter((point) => !original.has(key(point)));
  if (added.length) fields.set("add", added.map(key).join("_"));
  return fields.toString();
}

/** Return the state that `text` describes; whatever in it makes no sense is left at its default. */
export function decodeState(text, defaults) {
  const fields = new URLSearchParams(text);
  const state = { ...defaults };
  for (const [name, range] of Object.entries(RANGES)) {
    const value = Number.parseFloat(fields.get(name));
    if (!Number.isFinite(value)) continue;
    state[name] = clamp(name === "hidden_units" ? Math.round(value) : value, range);
  }
  for (const name of SWITCHES)
    if (["true", "false"].includes(fields.get(name))) state[name] = fields.get(name) === "true";
  if (ESTIMATORS.includes(fields.get("estimator"))) state.estimator = fields.get("estimator");
  if (fields.has("gap")) {
    const [low, high] = numbers(fields.get("gap")).map((edge) => clamp(edge, X_DOMAIN));
    if (high - low >= SMALLEST_GAP) state.gap = [low, high];
    else if (fields.get("gap") === "") state.gap = [];
  }
  const dropped = new Set(numbers(fields.get("drop")));
  const points = defaults.points.filter((_, i) => !dropped.has(i));
  const added = numbers(fields.get("add"));
  for (let i = 0; i + 1 < added.length && points.length < MOST_POINTS; i += 2)
    if (Number.isFinite(added[i]) && Number.isFinite(added[i + 1]))
      points.push(pointAt(added[i], added[i + 1]));
  if (dropped.size || added.length) state.points = points;
  return state;
}

/**
 * Keep the model's state and the address that begins with #`address_key` the same.
 *
 * The address is changed in place, so that the browser's history has no entry for each move.
 */
export function shareByAddress(controls, model, address_key) {
  const stateOf = () => Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]));
  const prefix = `#${address_key}?`;
  const defaults = stateOf();
  const read = () => {
    if (location.hash.startsWith(prefix))
      controls.set(decodeState(location.hash.slice(prefix.length), defaults));
  };
  const write = () => {
    const text = encodeState(stateOf(), defaults);
    if (!text && !location.hash.startsWith(prefix)) return;
    const here = location.pathname + location.search;
    history.replaceState(history.state, "", text ? prefix + text : here);
  };
  read();
  let timer = null;
  // Browsers allow an address to change about three times a second.
  controls.onChange(SETTINGS, () => (timer ??= setTimeout(() => ((timer = null), write()), 400)));
  addEventListener("hashchange", read);
  controls.atEnd(() => {
    removeEventListener("hashchange", read);
    clearTimeout(timer);
  });
  return { write };
}

/** Return a button that copies the page's address, and shows it where copying is not allowed. */
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
