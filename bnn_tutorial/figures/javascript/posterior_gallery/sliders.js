// The sliders of the figure PosteriorGallery: of its data and prior, and of each method its own.

/**
 * @import { Controls } from "../shared/controls.js"
 * @import { Method, Traits } from "./settings.js"
 */

const LOGARITHMIC = { logarithmic: true, steps: 60 };

/** @param {Controls<Traits>} controls */
export const dataSliders = (controls) => [
  controls.slider({ name: "noise_std", label: "noise s of the data", min: 0.1, max: 1, step: 0.05 }),
  controls.slider({
    name: "prior_std",
    label: "standard deviation τ of the prior",
    min: 0.5,
    max: 3,
    step: 0.1,
  }),
];

/**
 * Return the sliders of each method that has any.
 *
 * @param {Controls<Traits>} controls
 * @returns {Partial<Record<Method, HTMLElement[]>>}
 */
export function methodSliders(controls) {
  const ofWalks = [
    controls.slider({ name: "step_size", label: "step size ε", min: 0.01, max: 0.5, ...LOGARITHMIC }),
    controls.slider({ name: "leapfrog_steps", label: "steps from draw to draw", min: 1, max: 50 }),
  ];
  return {
    ensemble: [controls.slider({ name: "members", label: "members", min: 1, max: 20 })],
    swag: [
      controls.slider({
        name: "learning_rate",
        label: "learning rate of SGD",
        min: 0.001,
        max: 0.2,
        ...LOGARITHMIC,
      }),
    ],
    dropout: [
      controls.slider({
        name: "dropout_rate",
        label: "dropout rate",
        min: 0.05,
        max: 0.8,
        step: 0.05,
      }),
    ],
    hmc: ofWalks,
    langevin: ofWalks,
  };
}
