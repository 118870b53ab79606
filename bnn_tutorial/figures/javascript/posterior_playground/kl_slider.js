// The playground's slider of the KL weight, with a mark for each convention that programs follow.

import { button, html, numberText } from "../shared/controls.js";
import { klConventions } from "./kl_conventions.js";
import { RANGES } from "./limits.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Traits } from "./limits.js"
 */

const [LOWEST, HIGHEST] = RANGES.kl_weight;
const LETTER = 2.6; // the least distance between two letters, in percent of the track

/** @param {number} weight */
const position = (weight) => (100 * Math.log(weight / LOWEST)) / Math.log(HIGHEST / LOWEST);

/**
 * Return what λ does to the data, in a sentence.
 *
 * @param {number} weight
 */
function effect(weight) {
  if (Math.abs(weight - 1) < 0.005) return "This is the ELBO: every point counts once.";
  if (weight < 1) return `Every point counts as if seen ${numberText(1 / weight)} times.`;
  return `Every point counts for 1/${numberText(weight)} of a point.`;
}

/**
 * Return the slider with its marks, and the list of what the marks mean.
 *
 * @param {Controls<Traits>} controls
 * @param {Model<Traits>} model
 * @param {() => Parameters<typeof klConventions>[0]} problem as it is now
 * @param {(keyof Traits)[]} names of traits whose change may move the marks
 */
export function klSlider(controls, model, problem, names) {
  const slider = controls.slider({
    name: "kl_weight",
    label: "Weight λ of the KL divergence",
    min: LOWEST,
    max: HIGHEST,
    logarithmic: true,
    steps: 240,
  });
  const says = html("p", { class: "effect" });
  const track = html("div", { class: "marks", "aria-hidden": "true" });
  const list = html("ul", { class: "conventions" });
  const rows = klConventions(problem()).map(({ letter, name }, i) => {
    const value = html("b");
    const meaning = html("span", { class: "meaning" });
    const choose = button("", () => controls.set({ kl_weight: conventions()[i].rounded }));
    choose.append(html("b", {}, letter), ` ${name}: λ = `, value);
    list.append(html("li", {}, choose, meaning));
    const tick = html("i");
    const label = html("b", {}, letter);
    track.append(tick, label);
    return { choose, value, meaning, tick, label };
  });
  const conventions = () =>
    klConventions(problem()).map((convention) => ({
      ...convention,
      rounded: Number(convention.value.toPrecision(3)),
    }));

  const show = () => {
    const weight = model.get("kl_weight");
    const current = conventions();
    says.textContent = effect(weight);
    current.forEach(({ rounded, formula, meaning }, i) => {
      const within = rounded >= LOWEST && rounded <= HIGHEST;
      const row = rows[i];
      row.value.textContent = numberText(rounded);
      const end = within ? "" : " Beyond the slider's end.";
      row.meaning.textContent = `${formula}: ${meaning}${end}`;
      row.choose.disabled = !within;
      row.choose.setAttribute("aria-pressed", String(rounded === weight));
      row.tick.hidden = row.label.hidden = !within;
    });
    // Letters that would cover each other stand side by side, in the order of their values.
    let last = -Infinity;
    const order = current.map((_, i) => i).sort((a, b) => current[a].rounded - current[b].rounded);
    for (const i of order) {
      if (rows[i].tick.hidden) continue;
      const at = position(current[i].rounded);
      last = Math.max(at, last + LETTER);
      rows[i].tick.style.left = `${at}%`;
      rows[i].label.style.left = `${last}%`;
    }
  };
  controls.onChange(["kl_weight", ...names], show);
  show();
  slider.append(track);
  return { slider: html("div", { class: "kl" }, slider, says), conventions: list };
}
