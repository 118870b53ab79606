// The figure TwoGaussians: two densities that the reader moves and widens, and where the nats of
// both KL divergences between them come from. Shown in the chapter "KL divergence and the ELBO".

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

const { areas, bestFits, divergenceOf, gaussian, logDensity, slide, TWO_PEAKS } = mathematics;

const DIRECTIONS = {
  reverse: { name: "KL(q‖p)", integrand: "q log(q/p)" },
  forward: { name: "KL(p‖q)", integrand: "p log(p/q)", xLabel: "weight w" },
};
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

const within = ({ min, max }, value) => Math.min(Math.max(value, min), max);

const peakDensity = ([{ mean, std }]) => Math.exp(logDensity(gaussian(mean, std), mean));

/** Return in words what both divergences say; `fits`: the closest Gaussians to two peaks, or null. */
function words({ reverse, forward }, fits) {
  if (!fits && Math.max(reverse, forward) < 5e-4)
    return "q and p agree: no draw can tell them apart.";
  if (!fits)
    return (
      `On average, a draw of q says ${natsText(reverse)} nats for q and against p; ` +
      `a draw of p says ${natsText(forward)} nats for p and against q.`
    );
  const lowest = (direction) =>
    natsText(Math.min(...fits[direction].map((fit) => divergenceOf[direction](fit, TWO_PEAKS))));
  return (
    `KL(q‖p) is ${natsText(reverse)} nats; the lowest is ${lowest("reverse")}, at the left peak. ` +
    `KL(p‖q) is ${natsText(forward)} nats; the lowest is ${lowest("forward")}, over both peaks.`
  );
}

function render({ model, el }) {
  beginFigure(el, "two_gaussians");
  const controls = new Controls(model);
  const own = (name) => ({ mean: model.get(`${name}_mean`), std: model.get(`${name}_std`) });
  const isTwoPeaks = () => model.get("target") === "two peaks";
  const q = () => gaussian(own("q").mean, own("q").std);
  const p = () => (isTwoPeaks() ? TWO_PEAKS : gaussian(own("p").mean, own("p").std));
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
  const change = (name) => (quantity, value) => {
    controls.set({ [`${name}_${quantity}`]: within(BOUNDS[quantity], value) });
  };
  const [densityOfP, densityOfQ] = ["p", "q"].map(
    (name) =>
      new Density(name, top, {
        get: () => own(name),
        other: () => (isTwoPeaks() ? null : own(name === "q" ? "p" : "q")),
        change: change(name),
      }),
  );
  const fitCurves = Object.keys(DIRECTIONS).map((name) => svg("path", { class: `fit ${name}` }));
  const { area, curve } = densityOfP;
  top.layer("curves").append(area, curve, ...fitCurves, densityOfQ.area, densityOfQ.curve);
  const marks = top.layer("marks", { clipped: false });
  marks.append(...densityOfP.marks, ...densityOfQ.marks);
  const integrands = Object.entries(DIRECTIONS).map((entry) => new Integrand(...entry));

  function drawDensities() {
    const density = (distribution) => X.map((w) => Math.exp(logDensity(distribution, w)));
    const path = (fit) => linePath(top, X, density(fit));
    densityOfP.draw(density(p()), isTwoPeaks());
    densityOfQ.draw(density(q()), false);
    Object.keys(DIRECTIONS).forEach((direction, i) => {
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
  const [slidersOfQ, slidersOfP] = ["q", "p"].map((name) =>
    Object.entries(BOUNDS).map(([quantity, bounds]) =>
      controls.slider({
        name: `${name}_${quantity}`,
        label: `${QUANTITIES[quantity]} of ${name}`,
        ...bounds,
        text: (value) => value.toFixed(2).replace("-", "−"),
      }),
    ),
  );
  const sliders = html("div", { class: "controls" });
  const legend = html("ul", { class: "legend" });
  const result = controls.liveText();
  const buttons = Object.entries(DIRECTIONS).map(([direction, { name }]) =>
    button(`Let q slide down ${name}`, () => press(direction), { "aria-pressed": "false" }),
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
    const domain = [1.1 * lowest, 1.1 * highest];
    const reverse = divergenceOf.reverse(here, there);
    const forward = divergenceOf.forward(here, there);
    integrands[0].show(values[0], domain, areas(here, there), reverse);
    integrands[1].show(values[1], domain, areas(there, here), forward);
    const fitPeaks = fits() ? Object.values(fits()).flat().map(peakDensity) : [];
    const highestDensity = Math.max(0.45, Math.exp(Math.max(...logQ, ...logP)), ...fitPeaks);
    top.setDomain("y", [0, 1.15 * highestDensity]);
    top.redraw();
    const rest = resting ? `No small move of q lowers ${DIRECTIONS[resting].name}. ` : "";
    result.show(rest + words({ reverse, forward }, fits()));
  }

  // The slide
  let sliding = null; // `{ direction, path }` while q slides
  let resting = null; // the direction in which it has reached the bottom
  let waiting = 0; // milliseconds that its next step has waited
  let placing = false;
  const frames = controls.frames(el, (passed) => {
    waiting = Math.min(waiting + passed, 4 * STEP_TIME);
    const steps = Math.floor(waiting / STEP_TIME);
    waiting -= steps * STEP_TIME;
    advance(steps);
  });

  function press(direction) {
    const again = sliding?.direction === direction;
    stop();
    if (again) return;
    resting = null;
    sliding = { direction, path: slide(q(), p(), direction) };
    showButtons();
    if (prefersStill()) advance(Infinity);
    else frames.start();
  }

  function advance(steps) {
    const { direction, path } = sliding;
    let next = null;
    for (; steps > 0 && !next?.done; steps--) next = path.next();
    if (!next) return;
    if (next.done) resting = direction;
    place(next.value);
    if (next.done) stop();
  }

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
    Object.keys(DIRECTIONS).forEach((direction, i) =>
      setAttributes(buttons[i], { "aria-pressed": String(sliding?.direction === direction) }),
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
