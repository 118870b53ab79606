// The figure TwoGaussians: two densities that the reader moves and widens, and where the nats of
// both KL divergences between them come from. Shown in the chapter "KL divergence".

import { Controls, beginFigure, button, html, prefersStill } from "./shared/controls.js";
import { linePath, Plot, setAttributes, svg } from "./shared/plot.js";
import * as mathematics from "./two_gaussians/divergence.js";
import {
  BOUNDS,
  Density,
  FIXED_AXES,
  Integrand,
  natsText,
  placeText,
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
 *   target: "gaussian" | "two peaks", target_choice: boolean, fit_axes: boolean }} Traits
 */

/** @type {Kind[]} */
const DIRECTIONS = [
  { direction: "reverse", name: "KL(q‖p)", integrand: "q log(q/p)" },
  { direction: "forward", name: "KL(p‖q)", integrand: "p log(p/q)", xLabel: "weight w" },
];
const FITS_LEGEND = [
  ["fit reverse", "lowest KL(q‖p), one at each peak"],
  ["fit forward", "lowest KL(p‖q), over both"],
];

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
 * @param {Kind | null} resting whose bottom q has reached
 */
function words(nats, fits, resting) {
  const [reverse, forward] = [natsText(nats.reverse), natsText(nats.forward)];
  if (!fits)
    return Math.max(nats.reverse, nats.forward) < 5e-4
      ? "q and p agree: both divergences are 0 nats."
      : `On average a draw of q says ${reverse} nats for q, a draw of p ${forward} nats for p.`;
  /** @param {Direction} direction */
  const lowest = (direction) => {
    const values = fits[direction].map((fit) => divergenceOf[direction](fit, TWO_PEAKS));
    const place = direction === "reverse" ? "at the left peak" : "over both peaks";
    return `the lowest is ${natsText(Math.min(...values))}, ${place}`;
  };
  if (resting)
    return (
      `No small move of q lowers ${resting.name}: it is ${natsText(nats[resting.direction])} nats; ` +
      `${lowest(resting.direction)}.`
    );
  return (
    `KL(q‖p) is ${reverse} nats; ${lowest("reverse")}. ` +
    `KL(p‖q) is ${forward} nats; ${lowest("forward")}.`
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
    y: { domain: [0, 1], label: "density", ticks: 5 },
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
      text: placeText,
    });
  const slidersOfQ = [slider("q", "mean"), slider("q", "std")];
  const slidersOfP = [slider("p", "mean"), slider("p", "std")];
  const sliders = html("div", { class: "controls" }, ...slidersOfQ, ...slidersOfP);
  /** @param {string[]} entry */
  const entry = ([name, text]) => html("li", {}, swatch("M1,7H25", name), text);
  const nameOfP = html("span");
  const legendOfFits = FITS_LEGEND.map(entry);
  const legend = html(
    "ul",
    { class: "legend" },
    entry(["curve q", "q: drag ● to move it, ◆ to widen it"]),
    html("li", {}, swatch("M1,7H25", "curve p"), nameOfP),
    ...legendOfFits,
  );
  const result = controls.liveText();
  const buttons = DIRECTIONS.map((kind) =>
    button(`Let q slide down ${kind.name}`, () => press(kind), { "aria-pressed": "false" }),
  );

  function showTarget() {
    const choosable = model.get("target_choice");
    target.hidden = !choosable;
    result.node.classList.toggle("long", choosable || isTwoPeaks());
    nameOfP.textContent = isTwoPeaks() ? "p, the target" : "p, likewise";
    // What may come back keeps its place, so that nothing moves when it does.
    const away = choosable ? "away" : "gone";
    for (const node of slidersOfP) node.classList.remove("away", "gone");
    for (const node of legendOfFits) node.classList.remove("away", "gone");
    for (const node of isTwoPeaks() ? slidersOfP : legendOfFits) node.classList.add(away);
  }

  function update() {
    const [here, there] = [q(), p()];
    const [logQ, logP] = [here, there].map((each) => X.map((w) => logDensity(each, w)));
    const values = [
      logQ.map((log, i) => Math.exp(log) * (log - logP[i])),
      logP.map((log, i) => Math.exp(log) * (log - logQ[i])),
    ];
    const reverse = divergenceOf.reverse(here, there);
    const forward = divergenceOf.forward(here, there);
    // Both integrands on one scale, so that equal areas are equal nats.
    const axes = model.get("fit_axes")
      ? fittedAxes(values, Math.exp(Math.max(...logQ, ...logP)))
      : FIXED_AXES[model.get("target")];
    integrands[0].show(values[0], axes.integrand, areas(here, there), reverse);
    integrands[1].show(values[1], axes.integrand, areas(there, here), forward);
    top.rescale("y", axes.density);
    top.redraw();
    result.show(words({ reverse, forward }, fits(), resting));
  }

  /**
   * Return axes that hold all of the curves.
   *
   * @param {Float64Array[]} integrands
   * @param {number} peak the highest density of q and p
   * @returns {typeof FIXED_AXES["gaussian"]}
   */
  function fittedAxes([first, second], peak) {
    const lowest = Math.min(-0.15, ...first, ...second);
    const highest = Math.max(0.4, ...first, ...second);
    const fitPeaks = Object.values(fits() ?? {}).flat().map(peakDensity);
    return {
      density: [0, 1.15 * Math.max(0.45, peak, ...fitPeaks)],
      integrand: [1.1 * lowest, 1.1 * highest],
    };
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
  controls.onChange(["fit_axes"], update);
  showTarget();
  update();
  el.append(
    result.node,
    target,
    legend,
    top.svg,
    html(
      "div",
      { class: "buttons" },
      ...buttons,
      controls.toggle({ name: "fit_axes", label: "Fit the axes to the curves" }),
    ),
    ...integrands.map(({ node }) => node),
    sliders,
  );
  return () => {
    controls.end();
    for (const plot of [top, ...integrands.map((integrand) => integrand.plot)]) plot.end();
  };
}

export default { render };
