// The posterior playground: a Bayesian network that trains in the browser while the reader moves
// its settings and its data. Shown in the chapter "What mean field knows" and on a page of its own.
// The mathematics is in the folder's network.js, training.js and overlays.js.

import {
  Controls,
  beginFigure,
  button,
  html,
  numberText,
  prefersStill,
} from "./shared/controls.js";
import { PageModel } from "./shared/page_model.js";
import { copyLink, shareByAddress } from "./posterior_playground/address.js";
import { createAudit } from "./posterior_playground/audit.js";
import { BandPlot, GRID } from "./posterior_playground/band_plot.js";
import { DataEditor } from "./posterior_playground/data_editor.js";
import { findingText } from "./posterior_playground/finding.js";
import { outsideGap, stateOf, SWITCHES } from "./posterior_playground/limits.js";
import { LossPlot } from "./posterior_playground/loss_plot.js";
import { drawFunctions, exactMoments } from "./posterior_playground/network.js";
import { dropoutMoments, ensembleMoments, gaussianProcess } from "./posterior_playground/overlays.js";
import { Session } from "./posterior_playground/session.js";
import {
  drawnParts,
  estimatorChoice,
  fold,
  networkSettings,
  speedChoice,
} from "./posterior_playground/settings.js";
import { dataPresets, experiments } from "./posterior_playground/suggestions.js";

export { decodeState, encodeState } from "./posterior_playground/address.js";
export { createAudit, heldOut } from "./posterior_playground/audit.js";
export { klConventions } from "./posterior_playground/kl_conventions.js";
export * from "./posterior_playground/limits.js";
export { jitter } from "./posterior_playground/loss_plot.js";
export * from "./posterior_playground/network.js";
export * from "./posterior_playground/point_network.js";
export * from "./posterior_playground/overlays.js";
export { Session } from "./posterior_playground/session.js";
export { EXPERIMENTS } from "./posterior_playground/suggestions.js";
export * from "./posterior_playground/training.js";
export * from "./shared/gaussian.js";
export { PageModel } from "./shared/page_model.js";

/**
 * @import { State, Traits } from "./posterior_playground/limits.js"
 * @import { Moments } from "./posterior_playground/network.js"
 * @import { Model, Place } from "./shared/page_model.js"
 */

const TRAINING_MILLISECONDS = 8; // of a frame's 16
const REPORT_EVERY = 250; // milliseconds, for numbers
const OVERLAY_EVERY = 100; // milliseconds, for the bands of overlays
const STILL_EVERY = 3000; // between two pictures, for those who want no motion
export const FIRST_SEED = 5; // of the network; each new start takes the next
const FUNCTIONS = { count: 6, seed: 3 };
const PASSES = { count: 100, seed: 1 };

/** @type {(keyof Traits)[]} */
const PROBLEM = ["prior_std", "kl_weight", "noise_std", "estimator", "points", "gap"];

/** The figure in one place: what the reader sees, and the session that trains behind it. */
class Playground {
  #seed = FIRST_SEED;
  /** @type {Moments | null} */
  #process = null;
  /** @type {{ dropout?: Moments | false, ensemble?: Moments | false }} */
  #overlays = {};
  #overlaid = -Infinity; // when the overlays were worked out
  #drawn = 0;
  #reported = 0;
  trainButton = button("Play", () => this.#toggleTraining(), { class: "train" });
  stepText = html("span", { class: "steps" });

  /**
   * @param {Model<Traits>} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.controls = new Controls(model);
    // As Python made the figure, before the page's address has its say.
    this.original = stateOf(model);
    this.originalPlay = { running: model.get("running"), speed: model.get("speed") };
    const address_key = model instanceof PageModel && model.get("address_key");
    this.address = address_key ? shareByAddress(this.controls, model, address_key) : null;
    this.still = prefersStill();
    this.panel = html("div", { class: "panel live" });
    this.picture = new BandPlot(() => {
      this.editor.draw();
      this.losses.fit(this.panel.clientWidth);
    });
    this.losses = new LossPlot();
    this.audit = createAudit();
    this.editor = new DataEditor(this.picture.plot, this.controls, model);
    this.experiments = experiments(this.original, (state) => this.#begin(state));
    this.result = this.controls.liveText();
    this.problem = this.#read();
    this.session = this.#newSession();
    this.#build();
    this.picture.plot.redraw(); // at its height
    this.frames = this.controls.frames(el, (passed) => this.#frame(passed));
    this.#showAll();
    this.controls.onChange(PROBLEM, () => this.#answer());
    this.controls.onChange(["hidden_units"], () => this.reset());
    this.controls.onChange(SWITCHES, () => this.#show());
    this.controls.onChange(["running"], () => this.#startOrStop());
  }

  end() {
    this.controls.end();
    this.picture.plot.end();
    this.losses.plot.end();
  }

  /** Start anew with a network that has learnt nothing. */
  reset() {
    this.problem = this.#read();
    this.session = this.#newSession();
    this.#showAll();
  }

  #newSession() {
    return new Session(() => this.problem, this.#seed);
  }

  #showAll() {
    this.draw();
    this.report();
    this.#showState();
  }

  /** Return the problem as the traits have it; what was worked out for another is forgotten. */
  #read() {
    this.#process = null;
    this.#overlaid = -Infinity;
    const { model } = this;
    const used = outsideGap(model.get("points"), model.get("gap"));
    return {
      data: {
        x: Float64Array.from(used, ([x]) => x),
        y: Float64Array.from(used, ([, y]) => y),
      },
      settings: {
        hidden_units: model.get("hidden_units"),
        prior_std: model.get("prior_std"),
        kl_weight: model.get("kl_weight"),
        noise_std: model.get("noise_std"),
      },
      estimator: model.get("estimator"),
      show_dropout: model.get("show_dropout"),
      show_ensemble: model.get("show_ensemble"),
    };
  }

  get #isTraining() {
    return this.model.get("running") && !this.session.resting;
  }

  /** Answer a change of setting or data: at once as the network is, then by training on. */
  #answer() {
    this.session.wake();
    this.#show();
  }

  /** Show what is wanted now; an overlay that is new has to learn. */
  #show() {
    this.problem = this.#read();
    this.draw();
    this.#showState();
    // Where it trains, the frames report, and not as often as a slider moves.
    if (!this.#isTraining) this.report();
  }

  /** @param {number} passed milliseconds since the frame before */
  #frame(passed) {
    // Who wants no motion does not see how the band folds, and need not wait for it.
    const speed = this.still ? "fast" : this.model.get("speed");
    this.session.advance(TRAINING_MILLISECONDS, speed, passed);
    const now = performance.now();
    if (this.still && now - this.#drawn < STILL_EVERY) return;
    this.draw();
    const { resting } = this.session;
    if (resting || this.still || now - this.#reported > REPORT_EVERY) this.report();
    if (resting) this.#showState();
  }

  /** Start or stop the frames, and say which it is. */
  #showState() {
    const training = this.#isTraining;
    if (training) this.frames.start();
    else this.frames.stop();
    this.trainButton.textContent = training ? "Pause" : "Play";
    this.el.toggleAttribute("data-training", training);
    this.#showSteps();
  }

  #showSteps() {
    const { steps, resting, stoppedAfter } = this.session;
    const all = `${numberText(steps, 6)} steps`;
    const noisy = this.problem.estimator === "exact" ? "" : "noisy ";
    const taken = numberText(stoppedAfter ?? 0, 6);
    const stopped = `stopped after ${taken} ${noisy}steps, ${numberText(steps, 6)} in all`;
    if (this.#isTraining) this.stepText.textContent = `training, ${all}`;
    else if (!resting) this.stepText.textContent = `paused, ${all}`;
    else this.stepText.textContent = stoppedAfter === null ? `at rest, ${all}` : stopped;
  }

  /** Draw the picture as the networks are now. */
  draw() {
    const { model, session, problem } = this;
    const { settings, data } = problem;
    /** @param {"epistemic" | "total" | "functions" | "truth" | "gaussian_process"} name */
    const shows = (name) => model.get(`show_${name}`);
    if (shows("gaussian_process")) this.#process ??= gaussianProcess(data, GRID, settings);
    this.picture.show({
      ...exactMoments(session.network, GRID),
      noise_std: settings.noise_std,
      show: {
        epistemic: shows("epistemic"),
        total: shows("total"),
        functions: shows("functions"),
        truth: shows("truth"),
      },
      functions: shows("functions") ? drawFunctions(session.network, GRID, FUNCTIONS) : [],
      overlays: {
        gaussian_process: shows("gaussian_process") && this.#process,
        ...this.#learntOverlays(),
      },
    });
    this.#drawn = performance.now();
  }

  /** Return the moments of the overlays that train, worked out a few times a second. */
  #learntOverlays() {
    const { session, problem } = this;
    if (session.resting || performance.now() - this.#overlaid > OVERLAY_EVERY) {
      const { show_dropout, show_ensemble } = problem;
      this.#overlays = {
        dropout: show_dropout && dropoutMoments(session.dropout, GRID, PASSES),
        ensemble: show_ensemble && ensembleMoments(session.ensemble, GRID),
      };
      this.#overlaid = performance.now();
    }
    return this.#overlays;
  }

  /** Audit, show the numbers, and hand them to Python. */
  report() {
    const { session, problem } = this;
    session.measure();
    const audit = this.audit(session.network, problem.settings.noise_std);
    this.picture.showAudit(audit);
    this.losses.show(session.history, session.now);
    this.result.show(
      findingText({
        network: session.network,
        x: problem.data.x,
        gap: this.model.get("gap"),
        prior_std: problem.settings.prior_std,
        steps: session.steps,
        curve: audit.curve,
      }),
    );
    this.#showSteps();
    this.controls.set({
      steps: session.steps,
      loss: session.now.loss,
      fit: session.now.fit,
      kl: session.now.kl,
      outside_total: audit.total.share,
      outside_epistemic: audit.epistemic.share,
      curve_outside_epistemic: audit.curve.share,
    });
    this.#reported = performance.now();
  }

  #toggleTraining() {
    const start = !this.#isTraining;
    if (start) this.session.wake();
    this.controls.set({ running: start });
    this.#showState(); // where it ran already, and was at rest
  }

  #startOrStop() {
    this.#showState();
    if (!this.#isTraining) this.report();
  }

  #anotherStart() {
    this.#seed += 1;
    this.reset();
  }

  /** Bring everything back to how the figure was made. */
  #resetAll() {
    this.#seed = FIRST_SEED;
    this.editor.replace(this.original);
    this.controls.set({ ...this.original, ...this.originalPlay });
    this.experiments.forget();
    this.reset();
  }

  /**
   * Set all that an experiment needs; the network trains on from where it is.
   *
   * @param {State} state
   */
  #begin(state) {
    this.editor.replace(state);
    this.controls.set({ ...state, running: true });
  }

  /** @param {number} count */
  #step(count) {
    this.controls.set({ running: false });
    this.session.step(count);
    this.#showAll();
  }

  #build() {
    const { controls, model, picture, editor } = this;
    const settings = networkSettings(controls, model);
    const step = html(
      "div",
      { class: "buttons" },
      button("1 step", () => this.#step(1)),
      button("100 steps", () => this.#step(100)),
      button("Another start", () => this.#anotherStart()),
    );
    const view = html(
      "div",
      { class: "view" },
      this.result.node,
      html("div", { class: "picture" }, picture.plot.svg),
      picture.legend,
    );
    this.panel.append(
      html(
        "div",
        { class: "buttons play" },
        this.trainButton,
        button("Reset", () => this.#resetAll()),
        this.stepText,
      ),
      speedChoice(controls),
      settings.slider,
      settings.priorAndNoise,
      dataPresets(controls, model, this.original, (data) => editor.replace(data)),
      this.experiments.node,
      fold("A to E: what five conventions make of λ", settings.conventions),
      fold("Compare, and choose what is drawn", ...drawnParts(controls)),
      fold("Points: tools, undo, a link", editor.toolbar, this.address ? copyLink(this.address) : ""),
      fold("Network, estimator and loss", settings.width, estimatorChoice(controls), step,
        this.losses.node),
    );
    this.el.append(html("div", { class: "layout" }, view, this.panel));
  }
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "posterior_playground");
  const playground = new Playground(model, el);
  return () => playground.end();
}

export default { render };
