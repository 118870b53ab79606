// The figure Reliability: a reliability diagram whose number moves with its bins, has a floor, and
// falls with the temperature. Shown in the chapter "Calibration".

import * as mathematics from "./reliability/calibration.js";
import {
  BIN_COUNTS,
  Counts,
  Diagram,
  diagramLegend,
  errorLegend,
  OverBins,
  OverTemperature,
  TEMPERATURE_GRID,
} from "./reliability/views.js";
import { beginFigure, button, Controls, html, numberText } from "./shared/controls.js";
import { readTensors } from "./shared/tensors.js";

export { PageModel } from "./shared/page_model.js";
export { mathematics, readTensors };

/**
 * @import { Equal, Predictions } from "./reliability/calibration.js"
 * @import { Place } from "./shared/page_model.js"
 */

/**
 * @typedef {{ num_bins: number, equal: Equal, temperature: number, num_predictions: number,
 *   calibrated: boolean, seed: number, ece: number | null, calibrated_ece: number | null,
 *   nll: number | null, best_temperature: number | null, file: DataView }} Traits
 */

const {
  fitTemperature,
  binsOf,
  calibratedError,
  calibrationError,
  drawLabels,
  meanNll,
  MOST_BINS,
  sortByConfidence,
  TEMPERATURES,
} = mathematics;
const COUNTS = [100, 200, 500, 1000, 2000]; // of predictions
const NEARLY = 1.02; // a ratio of temperatures within which one is the other

/**
 * Return the predictions of the figure's file, each row of logits less its largest.
 *
 * @param {DataView} file
 * @returns {Predictions}
 */
export function readPredictions(file) {
  const { logits, labels } = readTensors(file);
  const [count, classes] = logits.shape;
  return {
    logits: Array.from({ length: count }, (_, n) => {
      const row = logits.values.subarray(n * classes, (n + 1) * classes);
      const most = Math.max(...row);
      return row.map((logit) => logit - most);
    }),
    labels: labels.values,
  };
}

/**
 * Return the temperature with the least NLL, with that NLL, and the NLL at others.
 *
 * @param {Predictions} predictions
 */
function overTemperatures(predictions) {
  const temperature = fitTemperature(predictions);
  return {
    best: { temperature, nll: meanNll(predictions, temperature) },
    curve: TEMPERATURE_GRID.map((each) => meanNll(predictions, each)),
  };
}

/**
 * Return what is seen and what is found at these settings.
 *
 * @param {Predictions} predictions
 * @param {number} best the temperature with the least NLL
 * @param {Pick<Traits, "num_bins" | "equal" | "temperature">} settings
 */
function answer(predictions, best, { num_bins, equal, temperature }) {
  const sorted = sortByConfidence(predictions, temperature);
  const sortedAtBest = sortByConfidence(predictions, best);
  const binnings = BIN_COUNTS.map((count) => binsOf(sorted, count, equal));
  const total = predictions.logits.length;
  return {
    bins: binnings[num_bins - 1],
    errors: {
      now: binnings.map(calibrationError),
      best: BIN_COUNTS.map((count) => calibrationError(binsOf(sortedAtBest, count, equal))),
      calibrated: binnings.map((bins) => calibratedError(sorted, bins)),
    },
    confidence: sorted.confidenceBelow[total] / total,
    accuracy: sorted.hitsBelow[total] / total,
    now: { temperature, nll: meanNll(predictions, temperature) },
  };
}

/** @param {number} error */
const errorText = (error) => error.toFixed(3);

/** @param {number} temperature */
const temperatureText = (temperature) => `T = ${numberText(temperature, 2)}`;

/**
 * Return the finding in words.
 *
 * @param {ReturnType<typeof answer>} found
 * @param {ReturnType<typeof overTemperatures>["best"]} best
 * @param {Pick<Traits, "num_bins" | "equal" | "calibrated" | "num_predictions">} settings
 */
function words(found, best, { num_bins, equal, calibrated, num_predictions }) {
  const { errors, now } = found;
  /** @param {number} share */
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  /** @param {number[]} list */
  const at = (list) => errorText(list[num_bins - 1]);
  const [least, most] = [Math.min(...errors.now), Math.max(...errors.now)].map(errorText);
  const ratio = now.temperature / best.temperature;
  return [
    `At ${temperatureText(now.temperature)} the network is sure of ${percent(found.confidence)} and `,
    `right in ${percent(found.accuracy)}`,
    ...(calibrated ? [" of labels drawn from its own probabilities"] : []),
    ": the ECE is ",
    html("b", {}, at(errors.now)),
    ` with ${num_bins} ${num_bins === 1 ? "bin" : `bins of equal ${equal}`}, and `,
    `${least === most ? "the same" : `${least} to ${most}`} with 1 to ${MOST_BINS}. A perfectly calibrated model with these ${num_predictions.toLocaleString("en")} `,
    "confidences would have ",
    html("b", {}, at(errors.calibrated)),
    " on average. The NLL is ",
    html("b", {}, errorText(now.nll)),
    ...(Math.max(ratio, 1 / ratio) < NEARLY
      ? [", which no other temperature makes smaller."]
      : [
          `; it is least at ${temperatureText(best.temperature)}, ${errorText(best.nll)}, where the `,
          `ECE is ${at(errors.best)}.`,
        ]),
  ];
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "reliability");
  const controls = new Controls(model);
  const all = readPredictions(model.get("file"));
  const diagram = new Diagram();
  const counts = new Counts();
  const overBins = new OverBins();
  const overTemperature = new OverTemperature();
  const result = controls.liveText();

  /** @type {Predictions} */
  let predictions;
  /** @type {ReturnType<typeof overTemperatures>} */
  let fitted;
  function choosePredictions() {
    const shown = { ...all, logits: all.logits.slice(0, model.get("num_predictions")) };
    predictions = model.get("calibrated")
      ? drawLabels(shown, model.get("temperature"), model.get("seed"))
      : shown;
    fitted = overTemperatures(predictions);
    update();
  }

  function update() {
    const settings = {
      num_bins: model.get("num_bins"),
      equal: model.get("equal"),
      temperature: model.get("temperature"),
      num_predictions: model.get("num_predictions"),
      calibrated: model.get("calibrated"),
    };
    const { best, curve } = fitted;
    const found = answer(predictions, best.temperature, settings);
    diagram.show(found.bins);
    counts.show(found.bins);
    overBins.show(settings.num_bins, found.errors);
    overTemperature.show(found.now, best, curve);
    result.show(words(found, best, settings));
    controls.set({
      ece: found.errors.now[settings.num_bins - 1],
      calibrated_ece: found.errors.calibrated[settings.num_bins - 1],
      nll: found.now.nll,
      best_temperature: best.temperature,
    });
  }

  controls.onChange(["num_bins", "equal"], update);
  controls.onChange(["num_predictions", "calibrated", "seed"], choosePredictions);
  // Labels that the model draws itself are others at another temperature.
  controls.onChange(["temperature"], () =>
    model.get("calibrated") ? choosePredictions() : update(),
  );
  choosePredictions();
  el.append(
    result.node,
    html(
      "div",
      { class: "controls" },
      controls.slider({
        name: "temperature",
        label: "Temperature T",
        min: TEMPERATURES[0],
        max: TEMPERATURES[1],
        logarithmic: true,
        steps: 80,
        text: (value) => value.toFixed(2),
      }),
      controls.slider({ name: "num_bins", label: "Number of bins", min: 1, max: MOST_BINS }),
      controls.choice({
        name: "equal",
        label: "Bins of equal",
        options: [
          { value: "width", label: "width" },
          { value: "mass", label: "mass" },
        ],
      }),
    ),
    html(
      "div",
      { class: "views" },
      html("div", {}, diagram.plot.svg, counts.plot.svg, diagramLegend()),
      html("div", {}, overBins.plot.svg, errorLegend(), overTemperature.plot.svg),
    ),
    html(
      "details",
      { class: "live" },
      html("summary", {}, "Fewer predictions, or a calibrated model"),
      html(
        "div",
        { class: "controls" },
        controls.slider({ name: "num_predictions", label: "Number of predictions", stops: COUNTS }),
        controls.toggle({
          name: "calibrated",
          label: "Calibrated model: labels drawn from its probabilities",
        }),
      ),
      html(
        "div",
        { class: "buttons" },
        button("Draw other labels", () =>
          controls.set({ calibrated: true, seed: model.get("seed") + 1 }),
        ),
      ),
    ),
  );
  return () => {
    controls.end();
    for (const { plot } of [diagram, counts, overBins, overTemperature]) plot.end();
  };
}

export default { render };
