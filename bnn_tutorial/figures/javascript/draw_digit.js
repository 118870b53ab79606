// "Draw a digit" (chapter "Turned digits"): what the reader draws is answered by thirty networks
// drawn from a posterior, each with its vote, by their average with its entropy in two parts, and by
// the twin.

import { agreement, Answers, countVotes, nats, percent, verdict, vote } from "./draw_digit/answers.js";
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
export { agreement, classify, countVotes, decomposeEntropy, drawNetworks, verdict };
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
 * Say the finding in one sentence, in pieces of which every second one matters most.
 *
 * @param {string} name of what is on the paper
 * @param {Results} results
 */
function finding(name, { votes, twin_probabilities }) {
  const choice = vote(twin_probabilities);
  return [
    `Thirty networks ${agreement(votes, NUM_DRAWS)} ${name}: `,
    verdict(votes, NUM_DRAWS),
    "; their twin ",
    choice === null
      ? "is not sure of any class"
      : `says\u00a0${choice}, ${percent(twin_probabilities[choice])}\u00a0sure`,
    ".",
  ];
}

/**
 * Say in words what the bars show.
 *
 * @param {Results} results
 */
function words({ probabilities, aleatoric, epistemic }) {
  const top = topClass(probabilities);
  return (
    `The average of the thirty: ${top}, ${percent(probabilities[top])} sure. ` +
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
  const caption = html("p", { class: "heading" }, "What the networks see");
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
    const [name, angle] = [paper.name(), model.get("angle")];
    const picture = name + (angle % 360 ? `, turned by ${angle}°` : "");
    paper.canvas.setAttribute("aria-label", `Drawing area, with ${picture}`);
    paper.paint();
    show(image, seen);
    seen.setAttribute("aria-label", `In the networks' 28 × 28 pixels: ${picture}`);
    if (!paper.canUndo() && undo.matches(":focus")) paper.canvas.focus({ preventScroll: true });
    undo.disabled = !paper.canUndo();
    const sentence = finding(name, results);
    live.show(
      sentence.map((text, i) => (i % 2 ? html("b", {}, text) : text)),
      `${sentence.join("")} ${words(results)}`,
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
  const undo = button("Undo", () => paper.undo());
  const buttons = html(
    "div",
    { class: "buttons" },
    button("Next digit", () => next([..."0123456789"])),
    button("Next letter", () => next(Object.keys(model.get("letters")))),
    undo,
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
  const papers = html("div", { class: "papers" }, paper.canvas, html("div", {}, seen, caption));
  const sliders = html("div", { class: "controls" }, turn);
  const input = html("div", { class: "input" }, paper.hint, paper.keys, papers, buttons, sliders);
  const again = html("div", { class: "buttons" }, others);
  const output = html("div", { class: "output" }, live.node, answers.votes, again);
  el.append(html("div", { class: "desk" }, input, output), answers.summary);
  return () => controls.end();
}

export default { render };
