// The walks of the figure PosteriorGallery: Hamiltonian Monte Carlo (Neal, 2011) and unadjusted
// Langevin dynamics, each a step of the same size in the same landscape.

import { randomNormal, randomUniform } from "../shared/gaussian.js";
import { expand } from "./network.js";

/**
 * @import { ExactPosterior } from "./exact.js"
 * @import { Problem, Weights } from "./network.js"
 */

/**
 * @typedef {{ path: Weights[], accepted: boolean }} Trajectory
 * @typedef {{ step_size: number, leapfrog_steps: number, seed: number }} Settings
 */

/**
 * Return the leapfrog integrator's path from `start` with a momentum, and the energy's error at its
 * end: that of -log p(y, w) + |r|² / 2.
 *
 * @param {Problem} problem
 * @param {Weights} start
 * @param {Weights} momentum
 * @param {{ step_size: number, leapfrog_steps: number }} settings
 */
export function leapfrog(problem, start, momentum, { step_size, leapfrog_steps }) {
  let here = expand(problem, ...start);
  let [w1, w2] = start;
  let [r1, r2] = momentum;
  const energy = (r1 * r1 + r2 * r2) / 2 - here.value;
  /** @type {Weights[]} */
  const path = [start];
  for (let i = 0; i < leapfrog_steps; i++) {
    r1 += (step_size / 2) * here.gradient[0];
    r2 += (step_size / 2) * here.gradient[1];
    w1 += step_size * r1;
    w2 += step_size * r2;
    here = expand(problem, w1, w2);
    r1 += (step_size / 2) * here.gradient[0];
    r2 += (step_size / 2) * here.gradient[1];
    path.push([w1, w2]);
  }
  return { path, energyError: (r1 * r1 + r2 * r2) / 2 - here.value - energy };
}

const FARTHEST = 20; // standard deviations of the prior; a walk that is beyond will not come back

/** A walk, and the draws that it has left. */
export class Chain {
  /** @type {Weights[]} */
  draws = [];
  accepted = 0;
  escapes = 0; // how often it went off, and began anew
  /** @type {Trajectory | null} */
  trajectory = null; // the last, or the one that is under way

  /**
   * @param {"hmc" | "langevin"} kind
   * @param {ExactPosterior} posterior where it walks, from one of the modes on
   * @param {Settings} settings
   */
  constructor(kind, { problem, mode }, settings) {
    this.kind = kind;
    this.problem = problem;
    this.settings = settings;
    this.normal = randomNormal(settings.seed);
    this.uniform = randomUniform(settings.seed + 0.5);
    const side = this.uniform() < 0.5 ? -1 : 1;
    /** @type {Weights} */
    this.start = [side * mode[0], side * mode[1]];
    this.here = this.start;
    this.underWay = false;
  }

  /** Set out for the next draw, unless it is under way. */
  setOut() {
    if (this.underWay) return;
    this.trajectory = this.kind === "hmc" ? this.#hamiltonian() : this.#langevin();
    this.underWay = true;
  }

  /** Arrive at the next draw. */
  arrive() {
    this.setOut();
    const { path, accepted } = /** @type {Trajectory} */ (this.trajectory);
    this.underWay = false;
    if (accepted) this.here = path[path.length - 1];
    if (!(Math.hypot(...this.here) < FARTHEST * this.problem.prior_std)) {
      this.escapes += 1;
      this.here = this.start;
    }
    this.accepted += Number(accepted);
    this.draws.push(this.here);
  }

  /** @returns {Trajectory} */
  #hamiltonian() {
    const { problem, here, settings } = this;
    const { path, energyError } = leapfrog(problem, here, [this.normal(), this.normal()], settings);
    // Where the energy has overflowed there is no probability to stay.
    return { path, accepted: this.uniform() < Math.exp(-energyError) };
  }

  /**
   * w' = w + ε²/2 ∇ log p(y, w) + ε z, as often as a trajectory of HMC has steps. Nothing is rejected:
   * what it walks over is the posterior only as ε goes to 0.
   *
   * @returns {Trajectory}
   */
  #langevin() {
    const { step_size, leapfrog_steps } = this.settings;
    let here = this.here;
    const path = [here];
    for (let i = 0; i < leapfrog_steps; i++) {
      const { gradient } = expand(this.problem, ...here);
      here = /** @type {Weights} */ (
        here.map((w, k) => w + (step_size ** 2 / 2) * gradient[k] + step_size * this.normal())
      );
      path.push(here);
    }
    return { path, accepted: true };
  }
}
