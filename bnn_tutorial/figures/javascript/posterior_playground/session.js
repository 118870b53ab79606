// A training session of the playground: its network, the overlays' networks, how far they have come
// and when they may rest. It draws nothing.

import { randomNormal } from "../shared/gaussian.js";
import { createNetwork, exactLoss } from "./network.js";
import { createDropout, createEnsemble, dropoutStep, ensembleStep } from "./overlays.js";
import { adamStep, createAdam, estimatedLoss } from "./training.js";

/**
 * @import { Numbers } from "./limits.js"
 * @import { History } from "./loss_plot.js"
 * @import { Data } from "./point_network.js"
 * @import { Estimator } from "./training.js"
 */

// Training begins at the prior. Where that is wider still, it would end in a poor optimum.
export const WIDEST_START = 2;
const LEARNING_RATE = 0.05;
const OVERLAYS_LEARNING_RATE = 0.02;
const DROPOUT_RATE = 0.1;
const MEMBERS = 5;
// The mean loss of so many steps is compared with that of as many before.
const STRETCH = 500;
const SETTLED = 3e-4; // nats per datum
const MOST_STEPS = 10_000;
const FRAME = 16; // milliseconds
const LONGEST_FRAME = 100; // more time than that was not spent on looking
const FASTEST = 20; // steps in a frame
const GAIN_AFTER = 100; // steps, each time for one more in a frame

/**
 * The most steps in a frame after so many, so that a fast machine too shows how the network learns.
 *
 * @type {Record<Speed, (steps: number) => number>}
 */
const PACES = {
  slow: () => 1,
  normal: (steps) => Math.min(1 + steps / GAIN_AFTER, FASTEST),
  fast: () => FASTEST,
};
const RECORD_EVERY = 10;
const RECORDS = 200;

/** @typedef {"slow" | "normal" | "fast"} Speed */

/**
 * What is learnt and shown now.
 *
 * @typedef {object} Problem
 * @property {Data} data
 * @property {Numbers} settings
 * @property {Estimator} estimator
 * @property {boolean} show_dropout
 * @property {boolean} show_ensemble
 */

/** Takes steps until the loss has settled, or until there were many since something changed. */
class Learner {
  steps = 0;
  settled = false;
  resting = false;
  stepsAwake = 0;
  #sum = 0;
  #before = NaN;

  /** @param {() => number} takeStep returns its loss, or NaN where the loss has noise in it */
  constructor(takeStep) {
    this.takeStep = takeStep;
  }

  wake() {
    this.resting = false;
    this.stepsAwake = 0;
    this.#sum = 0;
    this.#before = NaN;
  }

  step() {
    this.#sum += this.takeStep();
    this.steps += 1;
    this.stepsAwake += 1;
    if (this.stepsAwake % STRETCH) return;
    const mean = this.#sum / STRETCH;
    this.settled = Math.abs(this.#before - mean) < SETTLED;
    this.resting = this.settled || this.stepsAwake >= MOST_STEPS;
    this.#before = mean;
    this.#sum = 0;
  }
}

export class Session {
  /**
   * @param {() => Problem} problem
   * @param {number} seed
   */
  constructor(problem, seed) {
    const { settings } = problem();
    const { hidden_units } = settings;
    this.problem = problem;
    const initStd = Math.min(settings.prior_std, WIDEST_START);
    this.network = createNetwork({ hidden_units, seed, initStd });
    this.ensemble = createEnsemble({ hidden_units, members: MEMBERS, seed });
    this.dropout = createDropout({ hidden_units, rate: DROPOUT_RATE, seed });
    this.adam = createAdam(this.network.parameters.length);
    this.normal = randomNormal(seed);
    /** @type {History} */
    this.history = [];
    this.learners = {
      network: new Learner(() => this.#networkStep()),
      ensemble: new Learner(() => {
        const { data, settings } = this.problem();
        ensembleStep(this.ensemble, data, settings, OVERLAYS_LEARNING_RATE);
        return NaN;
      }),
      dropout: new Learner(() => {
        const { data, settings } = this.problem();
        dropoutStep(this.dropout, data, settings, OVERLAYS_LEARNING_RATE);
        return NaN;
      }),
    };
    this.now = this.#measured();
  }

  get steps() {
    return this.learners.network.steps;
  }

  /** Whether nothing that is shown has anything left to learn. */
  get resting() {
    return this.#active().every((learner) => learner.resting);
  }

  /** The steps after which the network was stopped because its loss did not settle, or null. */
  get stoppedAfter() {
    const { resting, settled, stepsAwake } = this.learners.network;
    return resting && !settled ? stepsAwake : null;
  }

  /** Let everything learn again, after the problem has changed. */
  wake() {
    for (const learner of Object.values(this.learners)) learner.wake();
    // The squares of the old problem's gradients would be the wrong scale for the new one's.
    this.adam = createAdam(this.network.parameters.length);
  }

  /** Work out the loss of the network as it is. */
  measure() {
    this.now = this.#measured();
  }

  #measured() {
    const { data, settings } = this.problem();
    const { loss, fit, complexity, kl } = exactLoss(this.network, data, settings);
    return { loss, fit, complexity, kl };
  }

  /**
   * Take `count` steps with everything that is shown.
   *
   * @param {number} count
   */
  step(count) {
    for (const learner of this.#active()) for (let i = 0; i < count; i++) learner.step();
  }

  /**
   * Take the steps of one frame, for about so many milliseconds.
   *
   * @param {number} milliseconds
   * @param {Speed} speed
   * @param {number} passed milliseconds since the frame before; 0 for the first
   */
  advance(milliseconds, speed, passed) {
    const frames = Math.min(passed || FRAME, LONGEST_FRAME) / FRAME;
    const most = Math.round(PACES[speed](this.steps) * frames);
    const awake = this.#active().filter((learner) => !learner.resting);
    for (const learner of awake) {
      const end = performance.now() + milliseconds / awake.length;
      let steps = 0;
      do learner.step();
      while (!learner.resting && ++steps < most && performance.now() < end);
    }
  }

  #active() {
    const { show_dropout, show_ensemble } = this.problem();
    const { network, ensemble, dropout } = this.learners;
    const shown = [network];
    if (show_ensemble) shown.push(ensemble);
    if (show_dropout) shown.push(dropout);
    return shown;
  }

  #networkStep() {
    const { data, settings, estimator } = this.problem();
    const { network, normal } = this;
    const { loss, fit, complexity, gradient } = estimatedLoss(network, data, settings, {
      estimator,
      normal,
    });
    if (this.steps % RECORD_EVERY === 0) {
      this.history.push({ step: this.steps, fit, complexity });
      if (this.history.length > RECORDS) this.history.shift();
    }
    adamStep(this.adam, network.parameters, gradient, LEARNING_RATE);
    return estimator === "exact" ? loss : NaN;
  }
}
