// The posterior gallery: the exact posterior of a network with two weights, and what MAP, Gaussians,
// ensembles, dropout and walks make of it. Shown in the chapter "Other roads to a posterior". The
// mathematics is in the folder's network.js, exact.js, gaussians.js, point_sets.js and chains.js.

import { answerOf, answerOfChain, findingOf } from "./posterior_gallery/answers.js";
import { Chain } from "./posterior_gallery/chains.js";
import { ExactPosterior } from "./posterior_gallery/exact.js";
import { FunctionPlot } from "./posterior_gallery/functions.js";
import { Landscape } from "./posterior_gallery/landscape.js";
import { legendOf } from "./posterior_gallery/legend.js";
import { GRID, methodOf, METHODS, problemOf } from "./posterior_gallery/settings.js";
import { dataSliders, methodSliders } from "./posterior_gallery/sliders.js";
import { Controls, beginFigure, button, html, prefersStill } from "./shared/controls.js";

export * from "./posterior_gallery/chains.js";
export * from "./posterior_gallery/exact.js";
export * from "./posterior_gallery/gaussians.js";
export * from "./posterior_gallery/network.js";
export * from "./posterior_gallery/point_sets.js";
export { PageModel } from "./shared/page_model.js";

/**
 * @import { Answer } from "./posterior_gallery/answers.js"
 * @import { Moments } from "./posterior_gallery/network.js"
 * @import { Method, Traits } from "./posterior_gallery/settings.js"
 * @import { Model, Place } from "./shared/page_model.js"
 */

const MOST_DRAWS = 1000;
const MOST_A_FRAME = 40; // draws
const FASTEST_WATCHED = 8; // draws a second
const WALKING = 0.7; // share of a draw's time in which its path grows; then its end is to be seen
const REPORT_EVERY = 250; // milliseconds, to Python

/** Draws a second: few enough to be watched at first, then ever more. @param {number} count */
const rate = (count) => 0.8 + count / 3;

/** The figure in one place: what the reader sees, and the walk behind it. */
class Gallery {
  /** @type {Chain | null} */
  #chain = null;
  #share = 0; // of the present draw's time
  #reported = -Infinity;
  /** @type {Answer | null} */
  #answer = null; // of a method that does not walk, once it is known
  /** @type {Moments | null} */
  #exact = null; // at GRID, then at the place, once they are known
  walkButton = button("Pause", () => this.#pressWalk(), { class: "walk-button" });
  stepButton = button("1 draw", () => this.#step());
  walkButtons = html(
    "div",
    { class: "buttons walk-buttons" },
    this.walkButton,
    this.stepButton,
    button("Start anew", () => this.#startAnew()),
  );
  ownSettings = html("div", { class: "controls own" });
  legend = html("ul", { class: "legend" });

  /**
   * @param {Model<Traits>} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.controls = new Controls(model);
    this.original = model.get("points");
    this.landscape = new Landscape();
    this.functions = new FunctionPlot(model, this.controls);
    this.result = this.controls.liveText();
    this.sliders = methodSliders(this.controls);
    this.posterior = new ExactPosterior(problemOf(model));
    this.#build();
    this.frames = this.controls.frames(el, (passed) => this.#frame(passed));
    this.#showMethod();
    this.#listen();
    this.#restart();
  }

  end() {
    this.controls.end();
    this.landscape.plot.end();
    this.functions.plot.end();
  }

  #listen() {
    const { controls } = this;
    controls.onChange(["points", "prior_std", "noise_std"], () => {
      this.posterior = new ExactPosterior(problemOf(this.model));
      this.#exact = null;
      this.#restart(this.#chain?.draws.length);
    });
    controls.onChange(
      ["members", "learning_rate", "dropout_rate", "step_size", "leapfrog_steps"],
      () => this.#restart(this.#chain?.draws.length),
    );
    controls.onChange(["seed"], () => this.#restart());
    controls.onChange(["method"], () => {
      this.#showMethod();
      this.#restart();
    });
    controls.onChange(["place"], () => {
      this.#exact = null;
      this.#showAll();
    });
    controls.onChange(["running"], () => {
      if (this.model.get("running") && prefersStill()) this.#walkTo(MOST_DRAWS);
      this.#showAll();
    });
  }

  /**
   * Answer anew; a walk makes so many draws at once, and all of them where nothing is to move.
   *
   * @param {number} [draws]
   */
  #restart(draws = 0) {
    const settings = methodOf(this.model);
    const { method } = settings;
    const walks = method === "hmc" || method === "langevin";
    this.#share = 0;
    this.#answer = null;
    this.#chain = walks ? new Chain(method, this.posterior, settings) : null;
    this.#walkTo(this.model.get("running") && prefersStill() ? MOST_DRAWS : draws);
    this.#showAll();
  }

  /** @param {number} draws */
  #walkTo(draws) {
    const chain = this.#chain;
    while (chain && chain.draws.length < draws) chain.arrive();
  }

  get #isDone() {
    return (this.#chain?.draws.length ?? 0) >= MOST_DRAWS;
  }

  get #isWalking() {
    return this.#chain !== null && this.model.get("running") && !this.#isDone;
  }

  /** @param {number} passed */
  #frame(passed) {
    const chain = this.#chain;
    if (!chain) return;
    this.#share += (rate(chain.draws.length) * passed) / 1000;
    for (let i = 0; this.#share >= 1 && i < MOST_A_FRAME && !this.#isDone; i++) {
      this.#share -= 1;
      chain.arrive();
    }
    // Faster than that nobody sees a path grow: the last is shown as it ended.
    if (rate(chain.draws.length) < FASTEST_WATCHED) chain.setOut();
    this.#share = Math.min(this.#share, 1);
    if (this.#isDone) this.#showAll();
    else this.#show();
  }

  #showAll() {
    const walking = this.#isWalking;
    if (walking) this.frames.start();
    else this.frames.stop();
    this.el.toggleAttribute("data-training", walking);
    this.walkButton.textContent = walking ? "Pause" : "Walk";
    // A button that is disabled would lose the focus: these keep it, and do nothing.
    for (const node of [this.walkButton, this.stepButton])
      node.ariaDisabled = String(this.#isDone);
    this.#reported = -Infinity;
    this.#show();
  }

  /** Draw the picture as things are now, and say what is found. */
  #show() {
    const { model, posterior } = this;
    const chain = this.#chain;
    const settings = methodOf(model);
    const answer = chain ? answerOfChain(chain) : (this.#answer ??= answerOf(posterior, settings));
    const place = model.get("place");
    const x = Float64Array.of(...GRID, place);
    const exact = (this.#exact ??= posterior.moments(x));
    const own = chain && chain.draws.length < 2 ? null : answer.moments(x);
    const trajectory = chain?.trajectory;
    const seen = chain?.underWay ? Math.min(this.#share / WALKING, 1) : 1;
    this.landscape.show(posterior, answer, trajectory ? { trajectory, share: seen } : null);
    this.functions.show(exact, own, answer.draws);
    const finding = findingOf(posterior, answer, settings, place, { exact, own, chain });
    this.result.show(finding.words);
    if (performance.now() - this.#reported < REPORT_EVERY) return;
    this.#reported = performance.now();
    const { kl, width_ratio } = finding;
    this.controls.set({ kl, width_ratio, draws: chain?.draws.length ?? 0 });
  }

  #pressWalk() {
    if (!this.#isDone) this.controls.set({ running: !this.#isWalking });
  }

  #step() {
    if (this.#isDone) return;
    this.controls.set({ running: false });
    this.#chain?.arrive();
    this.#showAll();
  }

  #startAnew() {
    this.controls.set({ running: true, seed: this.model.get("seed") + 1 });
  }

  /** Show the controls that the method has, and no others. */
  #showMethod() {
    const method = this.model.get("method");
    const walks = method === "hmc" || method === "langevin";
    this.walkButtons.hidden = !walks;
    this.ownSettings.replaceChildren(...(this.sliders[method] ?? []));
    this.legend.replaceChildren(...legendOf(method));
  }

  #build() {
    const { controls, el, model } = this;
    const options = /** @type {{ value: Method, label: string }[]} */ (
      Object.entries(METHODS).map(([value, label]) => ({ value, label }))
    );
    const { points } = this.functions;
    el.append(
      controls.choice({ name: "method", label: "Method", options }),
      this.result.node,
      html(
        "div",
        { class: "views" },
        this.landscape.plot.svg,
        this.walkButtons,
        this.functions.plot.svg,
      ),
      this.legend,
      html(
        "details",
        { class: "live" },
        html("summary", {}, "Data, noise, prior, and the method's own settings"),
        html("div", { class: "controls" }, ...dataSliders(controls)),
        this.ownSettings,
        html(
          "div",
          { class: "buttons" },
          button("Add a point", () => points.add()),
          button("Remove a point", () => points.remove()),
          button("Reset the points", () => controls.set({ points: this.original })),
          button("Draw anew", () => controls.set({ seed: model.get("seed") + 1 })),
        ),
      ),
    );
  }
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "posterior_gallery");
  const gallery = new Gallery(model, el);
  return () => gallery.end();
}

export default { render };
