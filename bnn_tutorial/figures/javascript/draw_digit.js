// "Draw a digit" (chapter "Turned digits"): what the reader draws is answered by thirty networks
// drawn from a posterior, each with its vote, by their average with its entropy in two parts, and by
// the twin.

import { Answers, countVotes, nats, percent, verdict } from "./draw_digit/answers.js";
import { rasterize } from "./draw_digit/drawing.js";
import {
  classify,
  decomposeEntropy,
  drawNetworks,
  topClass,
  twinNetwork,
} from "./draw_digit/network.js";
import { Paper } from "./draw_digit/paper.js";
import { Controls, beginFigure, button, html } from "./shared/controls.js";
import { rotate, show } from "./shared/images.js";
import { readTensors } from "./shared/tensors.js";

export { PageModel } from "./shared/page_model.js";
export { classify, countVotes, decomposeEntropy, drawNetworks, verdict };
export { rasterize, readTensors, rotate, twinNetwork };

/**
 * @import { Stroke } from "./draw_digit/drawing.js"
 * @import { Place } from "./shared/page_model.js"
 */

/**
 * @typedef {{ votes: number[], probabilities: number[], twin_probabilities: number[],
 *   aleatoric: number, epistemic: number }} Results
 * @typedef {Results & { example: string, strokes: Stroke[],
 *   angle: number, seed: number, image: number[], weights: DataView, digit_pixels: DataView,
 *   letters: Record<string, Stroke[]> }} Traits
 */

const NUM_DRAWS = 30;
const REST = 200; // milliseconds without a change after which Python is told

/**
 * Say in words what is seen.
 *
 * @param {string} name of what is on the paper
 * @param {Results} results
 */
function words(name, results) {
  const { votes, probabilities, twin_probabilities, aleatoric, epistemic } = results;
  const [top, twinTop] = [topClass(probabilities), topClass(twin_probabilities)];
  return (
    `${name}. Of thirty networks ${verdict(votes, NUM_DRAWS)}. ` +
    `Their average: ${top}, ${percent(probabilities[top])} sure. ` +
    `The twin: ${twinTop}, ${percent(twin_probabilities[twinTop])} sure. ` +
    `Entropy ${nats(aleatoric + epistemic)} nats, of which disagreement ${nats(epistemic)}.`
  );
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "draw_digit");
  const controls = new Controls(model);
  const tensors = readTensors(model.get("weights"));
  const twin = twinNetwork(tensors);
  /** @type {ReturnType<typeof drawNetworks>} */
  let networks;
  const drawAgain = () => (networks = drawNetworks(tensors, NUM_DRAWS, model.get("seed")));

  const answers = new Answers(NUM_DRAWS);
  const live = controls.liveText();
  const name = html("p", { class: "heading" });
  const seen = html("canvas", { class: "seen", width: 28, height: 28, role: "img" });

  /** @type {number | undefined} */
  let telling;
  /** @param {Partial<Traits>} results */
  const tell = (results) => {
    clearTimeout(telling);
    telling = setTimeout(() => controls.set(results), REST);
  };
  const update = () => {
    const image = paper.image();
    const given = networks.map((network) => classify(network, image));
    const results = answers.show(given, classify(twin, image));
    name.textContent = paper.name();
    paper.canvas.setAttribute("aria-label", `Drawing area. ${paper.name()}`);
    paper.paint();
    show(image, seen);
    seen.setAttribute("aria-label", `${paper.name()}, in the 28 × 28 pixels the networks see`);
    live.show(
      ["Thirty draws of the network: ", html("b", {}, verdict(results.votes, NUM_DRAWS))],
      words(paper.name(), results),
    );
    tell({ image: Array.from(image), ...results });
  };
  /** @type {number | undefined} */
  let frame;
  const changed = () => {
    frame ??= requestAnimationFrame(() => {
      frame = undefined;
      update();
    });
  };
  controls.atEnd(() => {
    cancelAnimationFrame(frame ?? 0);
    clearTimeout(telling);
  });

  const paper = new Paper(model, controls, changed);
  /** @param {string[]} names */
  const next = (names) =>
    paper.turnTo(names[(names.indexOf(model.get("example")) + 1) % names.length]);
  const buttons = html(
    "div",
    { class: "buttons" },
    button("Next digit", () => next([..."0123456789"])),
    button("Next letter", () => next(Object.keys(model.get("letters")))),
    button("Clear", () => paper.turnTo("")),
  );
  const turn = controls.slider({
    name: "angle",
    label: "Turn",
    min: 0,
    max: 360,
    step: 5,
    text: (angle) => `${angle}°`,
  });
  const others = button("Draw thirty others", () => controls.set({ seed: model.get("seed") + 1 }));

  controls.onChange(["example", "strokes", "angle"], changed);
  controls.onChange(["seed"], () => {
    drawAgain();
    changed();
  });
  drawAgain();
  update();
  const papers = html("div", { class: "papers" }, paper.canvas, html("div", {}, seen, name));
  const sliders = html("div", { class: "controls" }, turn);
  const input = html("div", { class: "input" }, papers, paper.keys, buttons, sliders);
  const again = html("div", { class: "buttons" }, others);
  const output = html("div", {}, live.node, answers.votes, again);
  el.append(html("div", { class: "desk" }, input, output), answers.summary);
  return () => controls.end();
}

export default { render };
