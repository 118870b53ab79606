// The figure TwoGaussians: two densities that the reader moves and widens, and where the nats of
// both KL divergences between them come from. Shown in the chapter "KL divergence".

import { Controls, beginFigure, button, html, prefersStill } from "./shared/controls.js";
import { linePath, Plot, setAttributes, svg } from "./shared/plot.js";
import * as mathematics from "./two_gaussians/divergence.js";
import {
  BOUNDS,
  Density,
  Integrand,
  natsText,
  QUANTITIES,
  swatch,
  X,
  X_AXIS,
} from "./two_gaussians/views.js";

export { PageModel } from "./shared/page_model.js";
export { mathematics };

/**
 * @import { Place } from "./shared/page_model.js"
 * @import { Direction, Distribution } from "./two_gaussians/divergence.js"
 * @import { Kind, Quantity } from "./two_gaussians/views.js"
 */

const { areas, bestFits, divergenceOf, gaussian, logDensity, slide, TWO_PEAKS } = mathematics;

/**
 * @typedef {{ q_mean: number, q_std: number, p_mean: number, p_std: number,
 *   target: "gaussian" | "two peaks", target_choice: boolean }} Traits
 */

/** @type {Kind[]} */
const DIRECTIONS = [
  { direction: "reverse", name: "KL(q‖p)", integrand: "q log(q/p)" },
  { direction: "forward", name: "KL(p‖q)", integrand: "p log(p/q)", xLabel: "weight w" },
];
const LEGEND = {
  gaussian: [
    ["curve q", "q: drag ● to move it, ◆ to widen it"],
    ["curve p", "p, likewise"],
  ],
  "two peaks": [
    ["curve q", "q: drag ● to move it, ◆ to widen it"],
    ["curve p", "p, the target"],
    ["fit reverse", "lowest KL(q‖p), one at each peak"],
    ["fit forward", "lowest KL(p‖q), over both"],
  ],
};

const STEP_TIME = 16; // milliseconds of a slide's step

/**
 * @param {{ min: number, max: number }} bounds
 * @param {number} value
 */
const within = ({ min, max }, value) => Math.min(Math.max(value, min), max);

/** @param {Distribution} gaussian */
const peakDensity = ([{ mean, std }]) => Math.exp(logDensity(gaussian(mean, std), mean));

/**
 * Return in words what both divergences say.
 *
 * @param {Record<Direction, number>} nats
 * @param {Record<Direction, Distribution[]> | null} fits the closest Gaussians to two peaks
 */
function words({ reverse, forward }, fits) {
  if (!fits && Math.max(reverse, forward) < 5e-4)
    return "q and p agree: no draw can tell them apart.";
  if (!fits)
    return (
      `On average, a draw of q says ${natsText(reverse)} nats for q and against p; ` +
      `a draw of p says ${natsText(forward)} nats for p and against q.`
    );
  /** @param {Direction} direction */
  const lowest = (direction) =>
    natsText(Math.min(...fits[direction].map((fit) => divergenceOf[direction](fit, TWO_PEAKS))));
  return (
    `KL(q‖p) is ${natsText(reverse)} nats; the lowest is ${lowest("reverse")}, at the left peak. ` +
    `KL(p‖q) is ${natsText(forward)} nats; the lowest is ${lowest("forward")}, over both peaks.`
  );
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "two_gaussians");
  const controls = new Controls(model);
  /** @param {"q" | "p"} name */
  const own = (name) => ({ mean: model.get(`${name}_mean`), std: model.get(`${name}_std`) });
  const isTwoPeaks = () => model.get("target") === "two peaks";
  const q = () => gaussian(own("q").mean, own("q").std);
  const p = () => (isTwoPeaks() ? TWO_PEAKS : gaussian(own("p").mean, own("p").std));
  /** @type {ReturnType<typeof bestFits> | null} */
  let knownFits = null;
  const fits = () => (isTwoPeaks() ? (knownFits ??= bestFits()) : null);

  // The plots
  const top = new Plot({
    label: "Densities of q and p",
    x: X_AXIS,
    y: { domain: [0, 1], label: "density", ticks: 4 },
    height: 236,
    margin: { top: 14, bottom: 22 },
    draw: drawDensities,
    interactive: true,
  });
  /** @param {"q" | "p"} name */
  const density = (name) =>
    new Density(name, top, {
      get: () => own(name),
      other: () => (isTwoPeaks() ? null : own(name === "q" ? "p" : "q")),
      change: (quantity, value) =>
        controls.set({ [`${name}_${quantity}`]: within(BOUNDS[quantity], value) }),
    });
  const [densityOfP, densityOfQ] = [density("p"), density("q")];
  const fitCurves = DIRECTIONS.map(({ direction }) => svg("path", { class: `fit ${direction}` }));
  const { area, curve } = densityOfP;
  top.layer("curves").append(area, curve, ...fitCurves, densityOfQ.area, densityOfQ.curve);
  const marks = top.layer("marks", { clipped: false });
  marks.append(...densityOfP.marks, ...densityOfQ.marks);
  const integrands = DIRECTIONS.map((kind) => new Integrand(kind));

  function drawDensities() {
    /** @param {Distribution} distribution */
    const values = (distribution) => X.map((w) => Math.exp(logDensity(distribution, w)));
    /** @param {Distribution} fit */
    const path = (fit) => linePath(top, X, values(fit));
    densityOfP.draw(values(p()), isTwoPeaks());
    densityOfQ.draw(values(q()), false);
    DIRECTIONS.forEach(({ direction }, i) => {
      setAttributes(fitCurves[i], { d: fits()?.[direction].map(path).join("") });
    });
  }

  // The controls
  const target = controls.choice({
    name: "target",
    label: "p is",
    options: [
      { value: "gaussian", label: "a Gaussian" },
      { value: "two peaks", label: "two peaks" },
    ],
  });
  /**
   * @param {"q" | "p"} name
   * @param {Quantity} quantity
   */
  const slider = (name, quantity) =>
    controls.slider({
      name: `${name}_${quantity}`,
      label: `${QUANTITIES[quantity]} of ${name}`,
      ...BOUNDS[quantity],
      text: (value) => value.toFixed(2).replace("-", "−"),
    });
  const slidersOfQ = [slider("q", "mean"), slider("q", "std")];
  const slidersOfP = [slider("p", "mean"), slider("p", "std")];
  const sliders = html("div", { class: "controls" });
  const legend = html("ul", { class: "legend" });
  const result = controls.liveText();
  const buttons = DIRECTIONS.map((kind) =>
    button(`Let q slide down ${kind.name}`, () => press(kind), { "aria-pressed": "false" }),
  );

  function showTarget() {
    target.hidden = !model.get("target_choice");
    sliders.replaceChildren(...slidersOfQ, ...(isTwoPeaks() ? [] : slidersOfP));
    const entries = LEGEND[model.get("target")];
    legend.replaceChildren(
      ...entries.map(([name, text]) => html("li", {}, swatch("M1,7H25", name), text)),
    );
  }

  function update() {
    const [here, there] = [q(), p()];
    const [logQ, logP] = [here, there].map((each) => X.map((w) => logDensity(each, w)));
    const values = [
      logQ.map((log, i) => Math.exp(log) * (log - logP[i])),
      logP.map((log, i) => Math.exp(log) * (log - logQ[i])),
    ];
    // Both on one scale, so that equal areas are equal nats.
    const lowest = Math.min(-0.15, ...values[0], ...values[1]);
    const highest = Math.max(0.4, ...values[0], ...values[1]);
    /** @type {[number, number]} */
    const domain = [1.1 * lowest, 1.1 * highest];
    const reverse = divergenceOf.reverse(here, there);
    const forward = divergenceOf.forward(here, there);
    integrands[0].show(values[0], domain, areas(here, there), reverse);
    integrands[1].show(values[1], domain, areas(there, here), forward);
    const fitPeaks = Object.values(fits() ?? {}).flat().map(peakDensity);
    const highestDensity = Math.max(0.45, Math.exp(Math.max(...logQ, ...logP)), ...fitPeaks);
    top.setDomain("y", [0, 1.15 * highestDensity]);
    top.redraw();
    const rest = resting ? `No small move of q lowers ${resting.name}. ` : "";
    result.show(rest + words({ reverse, forward }, fits()));
  }

  // The slide
  /** @type {{ kind: Kind, path: ReturnType<typeof slide> } | null} */
  let sliding = null;
  /** @type {Kind | null} */
  let resting = null; // whose bottom q has reached
  let waiting = 0; // milliseconds that its next step has waited
  let placing = false;
  const frames = controls.frames(el, (passed) => {
    waiting = Math.min(waiting + passed, 4 * STEP_TIME);
    const steps = Math.floor(waiting / STEP_TIME);
    waiting -= steps * STEP_TIME;
    advance(steps);
  });

  /** @param {Kind} kind */
  function press(kind) {
    const again = sliding?.kind === kind;
    stop();
    if (again) return;
    resting = null;
    sliding = { kind, path: slide(q(), p(), kind.direction) };
    showButtons();
    if (prefersStill()) advance(Infinity);
    else frames.start();
  }

  /** @param {number} steps */
  function advance(steps) {
    if (!sliding) return;
    const { kind, path } = sliding;
    let next = null;
    for (; steps > 0 && !next?.done; steps--) next = path.next();
    if (!next) return;
    if (next.done) resting = kind;
    place(next.value);
    if (next.done) stop();
  }

  /** @param {Distribution} gaussian */
  function place([{ mean, std }]) {
    placing = true;
    model.set("q_mean", within(BOUNDS.mean, mean));
    model.set("q_std", within(BOUNDS.std, std));
    placing = false;
    update();
  }

  function stop() {
    if (!sliding) return;
    sliding = null;
    frames.stop();
    showButtons();
    model.save_changes();
  }

  function showButtons() {
    DIRECTIONS.forEach((kind, i) =>
      setAttributes(buttons[i], { "aria-pressed": String(sliding?.kind === kind) }),
    );
  }

  controls.onChange(["target", "target_choice"], showTarget);
  controls.onChange(["target", "q_mean", "q_std", "p_mean", "p_std"], () => {
    if (placing) return;
    stop();
    resting = null;
    update();
  });
  showTarget();
  update();
  el.append(
    target,
    legend,
    top.svg,
    html("div", { class: "buttons" }, ...buttons),
    ...integrands.map(({ node }) => node),
    sliders,
    result.node,
  );
  return () => {
    controls.end();
    for (const plot of [top, ...integrands.map((integrand) => integrand.plot)]) plot.end();
  };
}

export default { render };
