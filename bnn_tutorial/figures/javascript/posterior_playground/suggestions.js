// What a reader of the playground may begin with: three sets of data, and experiments that set all
// that they need and say what will be seen.

import { button, html } from "../shared/controls.js";
import { klConventions } from "./kl_conventions.js";
import { FIRST_GAP, pointAt } from "./limits.js";

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Model } from "../shared/page_model.js"
 * @import { Gap, State, Traits } from "./limits.js"
 * @import { Point } from "../shared/points.js"
 */

const FEW = 6;
const PROMISE = "Each sets the figure up; what to look for appears here.";

/**
 * Return about six points, evenly taken from among these as they lie from left to right.
 *
 * @param {Point[]} points
 */
function someOf(points) {
  const sorted = [...points].sort(([a], [b]) => a - b);
  const stride = Math.max((sorted.length - 1) / (FEW - 1), 1);
  return sorted.filter((_, i) => Math.floor(i / stride) > Math.floor((i - 1) / stride));
}

/**
 * The presets: what each makes of the data that the figure was made with.
 *
 * @type {[label: string, data: (original: State) => { points: Point[], gap: Gap }][]}
 */
const DATA = [
  ["All points", ({ points, gap }) => ({ points, gap })],
  ["With a gap", ({ points }) => ({ points, gap: FIRST_GAP })],
  ["Few points", ({ points }) => ({ points: someOf(points), gap: [] })],
];

/**
 * Return the λ of a convention, by its letter.
 *
 * @param {string} letter
 * @param {State} state
 */
function weightOf(letter, { points, hidden_units, noise_std }) {
  const numParameters = 3 * hidden_units + 1;
  const all = klConventions({ numData: points.length, numParameters, noise_std });
  return Number(all.find((one) => one.letter === letter)?.value.toPrecision(3));
}

/**
 * The experiments: what differs from the figure as it was made, and what is to be seen.
 *
 * @type {[label: string, change: (original: State) => Partial<State>, see: string][]}
 */
export const EXPERIMENTS = [
  [
    "Watch it lie",
    (original) => ({ kl_weight: weightOf("D", original), show_truth: true }),
    "λ at D, a KL that is far too light: the fan folds up, and the true curve, dotted, " +
      "leaves the blue band.",
  ],
  [
    "Make it shy",
    (original) => ({ kl_weight: weightOf("C", original) }),
    "λ at C, a KL divided by the batch: the bands are so wide that nothing lies outside. Safe, " +
      "and of little use.",
  ],
  [
    "Open a gap",
    () => ({ gap: FIRST_GAP, show_gaussian_process: true }),
    "In the gap the exact posterior, dashed in green, grows wide. The network's band hardly does.",
  ],
  [
    "Far points",
    ({ points }) => ({ points: [...points, pointAt(2.5, 5), pointAt(-2.5, -5)] }),
    "The fan is tied at the two new points, far out. Drag one of them up or down.",
  ],
  [
    "Deny the noise",
    () => ({ noise_std: 0.1 }),
    "s = 0.1 says that the points are exact: thin bands, which miss many of the held-out points.",
  ],
  [
    "Blame the noise",
    () => ({ noise_std: 3 }),
    "s = 3 calls much of the curve noise: the network hardly bends, and nothing lies outside.",
  ],
];

/**
 * @param {Point[]} some
 * @param {Point[]} others
 */
const areSame = (some, others) => some.length === others.length && String(some) === String(others);

/**
 * Return the presets' buttons; that of the data as they are now is pressed.
 *
 * @param {Controls<Traits>} controls
 * @param {Model<Traits>} model
 * @param {State} original
 * @param {(data: { points: Point[], gap: Gap }) => void} replace
 */
export function dataPresets(controls, model, original, replace) {
  const presets = DATA.map(([label, make]) => {
    const data = make(original);
    return { data, node: button(label, () => replace(data)) };
  });
  const show = () => {
    for (const { data, node } of presets) {
      const isShown =
        areSame(data.points, model.get("points")) && String(data.gap) === String(model.get("gap"));
      node.setAttribute("aria-pressed", String(isShown));
    }
  };
  controls.onChange(["points", "gap"], show);
  show();
  const nodes = presets.map(({ node }) => node);
  return group("Data, which you can also draw on the plot", nodes);
}

/**
 * Return the experiments' buttons, and the line that says what will be seen.
 *
 * @param {State} original
 * @param {(state: State) => void} begin
 */
export function experiments(original, begin) {
  const note = html("p", { class: "note", role: "status" }, PROMISE);
  const nodes = EXPERIMENTS.map(([label, change, see]) =>
    button(label, () => {
      note.textContent = see;
      begin({ ...original, ...change(original) });
    }));
  const all = group("Things to try", nodes);
  all.append(note);
  return { node: all, forget: () => (note.textContent = PROMISE) };
}

/**
 * @param {string} label
 * @param {HTMLElement[]} nodes
 */
function group(label, nodes) {
  const words = html("p", { class: "label", "aria-hidden": "true" }, label);
  const row = html("div", { class: "buttons" }, ...nodes);
  return html("div", { class: "suggestions", role: "group", "aria-label": label }, words, row);
}
