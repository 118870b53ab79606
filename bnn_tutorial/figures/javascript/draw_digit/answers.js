// How "Draw a digit" shows what the networks say: thirty votes, the average and the twin's answer
// as bars, and how much doubt is in them.

import { html } from "../shared/controls.js";
import { setAttributes, svg } from "../shared/plot.js";
import { average, decomposeEntropy, entropy, topClass } from "./network.js";

const CLASSES = [...Array(10).keys()];
const LISTED = 4; // classes whose votes a sentence counts, that it keeps to its lines
const NEARLY = 0.8; // of the networks, with one vote
const SURE = 0.2; // twice a uniform guess; a network that gives no class as much does not vote

/** @param {number} share */
export const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
/** @param {number} value */
export const nats = (value) => value.toFixed(2);

/**
 * Return the class that a network votes for, or null where it is not sure of any.
 *
 * @param {number[]} probabilities
 */
export function vote(probabilities) {
  const top = topClass(probabilities);
  return probabilities[top] < SURE ? null : top;
}

/**
 * Return how many of the answers vote for each class.
 *
 * @param {number[][]} answers
 */
export const countVotes = (answers) =>
  CLASSES.map((digit) => answers.filter((answer) => vote(answer) === digit).length);

/**
 * Say how many of `numDraws` networks voted for what, the most votes first.
 *
 * @param {number[]} votes for each class
 * @param {number} numDraws
 */
export function verdict(votes, numDraws) {
  const order = CLASSES.filter((digit) => votes[digit]).sort((a, b) => votes[b] - votes[a]);
  const unsure = numDraws - votes.reduce((a, b) => a + b);
  if (unsure === numDraws) return "none\u00a0is\u00a0sure";
  if (votes[order[0]] === numDraws) return `all\u00a0say\u00a0${order[0]}`;
  const listed = order.slice(0, order.length > LISTED ? LISTED - 1 : LISTED);
  const others = order.slice(listed.length).reduce((sum, digit) => sum + votes[digit], 0);
  const parts = listed.map((digit) => [votes[digit], votes[digit] > 1 ? "say" : "says", `${digit}`]);
  if (others) parts.push([others, "say", "other\u00a0digits"]);
  if (unsure) parts.push([unsure, unsure > 1 ? "are" : "is", "unsure"]);
  return parts.map((part) => part.join("\u00a0")).join(", ");
}

/**
 * Say how far `numDraws` networks agree about what they see, whose name is to follow.
 *
 * @param {number[]} votes for each class
 * @param {number} numDraws
 */
export function agreement(votes, numDraws) {
  const most = Math.max(...votes);
  if (most === 0) return "have no answer to";
  if (most === numDraws) return "agree about";
  return most >= NEARLY * numDraws ? "nearly agree about" : "are divided over";
}

/** Return ten upright bars between 0 and 1, and the function that sets them. */
function bars() {
  const rects = CLASSES.map((digit) => svg("rect", { x: `${digit}.1`, width: 0.8 }));
  const node = svg("svg", { viewBox: "0 0 10 1", preserveAspectRatio: "none" }, ...rects);
  /** @param {number[]} shares */
  const set = (shares) =>
    rects.forEach((rect, i) => {
      setAttributes(rect, { y: (1 - shares[i]).toFixed(3), height: shares[i].toFixed(3) });
    });
  return { node, set };
}

/** One network: the class it votes for, or a question mark, above its ten probabilities. */
function tile() {
  const title = html("b");
  const strip = bars();
  const node = html("div", { class: "tile" }, title, strip.node);
  /**
   * @param {number[]} probabilities
   * @param {number} majority the class with the most votes
   */
  const show = (probabilities, majority) => {
    const choice = vote(probabilities);
    title.textContent = String(choice ?? "?");
    node.classList.toggle("unsure", choice === null);
    node.classList.toggle("dissent", choice !== null && choice !== majority);
    strip.set(probabilities);
  };
  return { node, show };
}

/**
 * One answer in full: what it says and how surely, ten bars, and the classes below them.
 *
 * @param {string} name
 * @param {string} className
 */
function answer(name, className) {
  const title = html("p");
  const strip = bars();
  const plot = html("div", { class: "plot", role: "img" }, strip.node);
  const labels = CLASSES.map((digit) => html("span", {}, `${digit}`));
  const classes = html("div", { class: "classes", "aria-hidden": "true" }, ...labels);
  const node = html("div", { class: `answer ${className}` }, title, plot, classes);
  /** @param {number[]} probabilities */
  const show = (probabilities) => {
    const top = topClass(probabilities);
    const sure = `${percent(probabilities[top])} sure`;
    title.replaceChildren(`${name}: `, html("b", {}, `${top}`), `, ${sure}`);
    const words = probabilities.map((share, digit) => `${digit}: ${percent(share)}`).join(", ");
    plot.setAttribute("aria-label", `${name}, the probability of each class. ${words}`);
    labels.forEach((label, digit) => label.classList.toggle("top", digit === top));
    strip.set(probabilities);
  };
  return { node, show };
}

/**
 * A bar of entropy in nats, whose full length is that of a uniform guess.
 *
 * @param {string} name
 * @param {string[]} parts
 */
function doubt(name, parts) {
  const rects = parts.map((part) => svg("rect", { class: part, y: 0, height: 1 }));
  const scale = { viewBox: `0 0 ${Math.log(10)} 1`, preserveAspectRatio: "none" };
  const bar = svg("svg", { ...scale, "aria-hidden": "true" }, ...rects);
  const total = html("b");
  const nodes = [html("span", {}, name), bar, total];
  /** @param {number[]} values of the parts */
  const show = (values) => {
    let from = 0;
    values.forEach((value, i) => {
      setAttributes(rects[i], { x: from.toFixed(3), width: value.toFixed(3) });
      from += value;
    });
    total.textContent = nats(from);
  };
  return { nodes, show };
}

/**
 * A part of the entropy in the legend, with its value.
 *
 * @param {string} part
 * @param {string} name
 */
function entry(part, name) {
  const value = html("b");
  const sample = svg("svg", { width: 14, height: 14, "aria-hidden": "true" });
  sample.append(svg("rect", { class: part, width: 14, height: 14 }));
  return { node: html("li", {}, sample, html("span", {}, name, value)), value };
}

export class Answers {
  /** @param {number} numDraws */
  constructor(numDraws) {
    this.tiles = Array.from({ length: numDraws }, tile);
    this.votes = html("div", { class: "votes", role: "img" }, ...this.tiles.map((t) => t.node));
    this.average = answer("Average", "bayesian");
    this.twin = answer("Twin", "twin");
    this.doubt = doubt("Average", ["aleatoric", "epistemic"]);
    this.twinDoubt = doubt("Twin", ["twin"]);
    this.aleatoric = entry("aleatoric", "within each network, aleatoric: ");
    this.epistemic = entry("epistemic", "disagreement, epistemic: ");
    this.summary = html(
      "div",
      {},
      html("div", { class: "answers" }, this.average.node, this.twin.node),
      html("p", { class: "heading" }, "Entropy in nats, of at most log 10 = 2.30"),
      html("div", { class: "doubts" }, ...this.doubt.nodes, ...this.twinDoubt.nodes),
      html("ul", { class: "legend" }, this.aleatoric.node, this.epistemic.node),
    );
  }

  /**
   * Show the answers and return what they amount to, by the names of the figure's traits.
   *
   * @param {number[][]} answers
   * @param {number[]} twinAnswer
   */
  show(answers, twinAnswer) {
    const mean = average(answers);
    const votes = countVotes(answers);
    const { aleatoric, epistemic } = decomposeEntropy(answers);
    const majority = votes.indexOf(Math.max(...votes));
    this.tiles.forEach((each, i) => each.show(answers[i], majority));
    const said = verdict(votes, answers.length);
    this.votes.setAttribute("aria-label", `The votes of thirty networks: ${said}`);
    this.average.show(mean);
    this.twin.show(twinAnswer);
    this.doubt.show([aleatoric, epistemic]);
    this.twinDoubt.show([entropy(twinAnswer)]);
    this.aleatoric.value.textContent = nats(aleatoric);
    this.epistemic.value.textContent = nats(epistemic);
    return { votes, probabilities: mean, aleatoric, epistemic, twin_probabilities: twinAnswer };
  }
}
