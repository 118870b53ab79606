// Gradient noise, the figure of the chapter "Quieter gradients": draws of the score
// function's gradient, the pathwise and the local one on a common axis, their variances beside the
// closed forms. GradientNoise in gradient_noise.py states the problem and its formulas.

import { Histogram, sampler, variances } from "./gradient_noise/estimators.js";
import {
  Controls,
  beginFigure,
  button,
  fixedText,
  html,
  numberText,
  prefersStill,
} from "./shared/controls.js";
import { Plot, setAttributes, svg } from "./shared/plot.js";

export * from "./gradient_noise/estimators.js";
export { PageModel } from "./shared/page_model.js";

/**
 * @import { Estimates } from "./gradient_noise/estimators.js"
 * @import { Place } from "./shared/page_model.js"
 */

/**
 * @typedef {{ std: number, weights: number, batch_size: number, baseline: boolean,
 *   hold_axis: boolean, draws: number, seed: number }} Traits
 * @typedef {{ key: keyof Estimates, name: string, color: string }} Row of the plot and the table
 */

const TRUTH = 2; // the gradient 2μ at μ = 1
const MOST_DRAWS = 100_000;
const AT_ONCE = 1000; // draws; what is more comes in the next frames
const FRAME_BUDGET = 8; // milliseconds of a frame that draws may take: the page stays quick
const BINS_PER_STD = 10; // of each estimator by itself, so that a narrow histogram has its shape
const AXIS_STDS = 2.5; // standard deviations of the widest estimator, to either side
const WIDEST_NUMBER = 60; // pixels from the end of a spread to that of its number

/** @param {number} number */
const whole = (number) => number.toLocaleString("en");

/**
 * Write a variance with three digits, or a dash where there is none yet.
 *
 * @param {number} value
 */
const varianceText = (value) =>
  Number.isNaN(value)
    ? "–"
    : value.toLocaleString("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });

/**
 * Write a mean with the digits that its error leaves, and the error.
 *
 * @param {{ mean: number, error: number }} histogram
 */
function meanText({ mean, error }) {
  if (!(error > 0)) return "–";
  const digits = Math.min(Math.max(1 - Math.floor(Math.log10(error)), 0), 6);
  return `${fixedText(mean, digits)} ± ${fixedText(error, digits)}`;
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  const controls = new Controls(model);
  const settings = () => ({
    std: model.get("std"),
    weights: model.get("weights"),
    batch_size: model.get("batch_size"),
    seed: model.get("seed"),
  });
  /** @returns {Row[]} */
  const rows = () => [
    model.get("baseline")
      ? { key: "scoreBaseline", name: "score function, baseline", color: "vermilion" }
      : { key: "score", name: "score function", color: "vermilion" },
    { key: "pathwise", name: "pathwise, weight", color: "purple" },
    { key: "local", name: "pathwise, local", color: "blue" },
  ];

  // The draws

  /** @type {() => Estimates} */
  let next;
  /** @type {Record<keyof Estimates, Histogram>} */
  let histograms;
  /** @type {Estimates} */
  let exact;
  let wanted = 0; // draws; there are fewer while the frames still fill them in
  let playing = false;
  const count = () => histograms.local.count;
  const isSpent = () => count() >= MOST_DRAWS;
  /** @param {number} variance */
  const binWidth = (variance) => Math.sqrt(variance) / BINS_PER_STD;
  const restart = () => {
    exact = variances(settings());
    next = sampler(settings());
    /** @param {number} variance */
    const empty = (variance) => new Histogram(TRUTH, binWidth(variance));
    histograms = {
      score: empty(exact.score),
      scoreBaseline: empty(exact.scoreBaseline),
      pathwise: empty(exact.pathwise),
      local: empty(exact.local),
    };
  };
  const draw = () => {
    const { score, scoreBaseline, pathwise, local } = next();
    histograms.score.add(score);
    histograms.scoreBaseline.add(scoreBaseline);
    histograms.pathwise.add(pathwise);
    histograms.local.add(local);
  };
  /** @param {number} draws */
  const drawTo = (draws) => {
    if (draws < count()) restart();
    wanted = draws;
    const atOnce = Math.min(count() + AT_ONCE, wanted);
    while (count() < atOnce) draw();
    show();
    if (count() < wanted) loop.start();
  };
  /** @param {number} draws */
  const choose = (draws) => controls.set({ draws: Math.min(draws, MOST_DRAWS) });

  // The plot

  const axisLabel = () =>
    `one draw of the gradient with respect to μ${model.get("hold_axis") ? "" : ", axis fitted"}`;
  // The axis fits the widest of all, so that the baseline is seen to narrow it.
  /** @returns {[number, number]} */
  const fittedAxis = () => {
    const reach = AXIS_STDS * BINS_PER_STD * binWidth(variances(settings()).score);
    return [TRUTH - reach, TRUTH + reach];
  };
  const redraw = () => {
    plot.rescale("x", model.get("hold_axis") ? plot.axes.x.domain : fittedAxis());
    plot.axes.x.label = axisLabel();
    plot.redraw();
  };
  const plot = new Plot({
    label:
      "Histograms of single draws of three gradient estimators, one above the other on one axis, " +
      "with a line at the true gradient.",
    x: { domain: fittedAxis(), label: axisLabel() },
    y: { domain: [0, 3], ticks: 0 },
    height: 330,
    margin: { top: 24, left: 12 },
    draw: () => show(),
  });
  const bars = plot.layer("bars");
  const spreads = plot.layer("spreads");
  const marks = plot.layer("marks", { clipped: false });
  const truth = svg("line", { class: "truth" });
  const truthName = svg("text", { class: "middle" }, `true gradient: ${TRUTH}`);
  marks.append(truth, truthName);
  const drawings = [0, 1, 2].map(() => {
    const parts = {
      area: svg("path"),
      spread: svg("path", { class: "spread" }),
      mean: svg("circle", { r: 4 }),
      name: svg("text", { class: "name" }),
      width: svg("text"),
      beyond: svg("text", { class: "end" }),
    };
    bars.append(parts.area);
    spreads.append(parts.spread, parts.mean);
    marks.append(parts.name, parts.width, parts.beyond);
    return parts;
  });

  /**
   * Draw a histogram to its own height, and below it its mean and standard deviation.
   *
   * @param {typeof drawings[number]} parts
   * @param {Row} row
   * @param {number} i
   */
  const drawRow = ({ area, spread, mean, name, width, beyond }, row, i) => {
    const histogram = histograms[row.key];
    const floor = 2.22 - i;
    const [least, most] = plot.axes.x.domain;
    const bars = histogram.bars.filter(({ from, to }) => to > least && from < most);
    const peak = Math.max(4, ...bars.map(({ draws }) => draws));
    const path = bars.map(({ from, to, draws }) => {
      const [left, right] = [from, to].map((edge) => plot.x(edge).toFixed(2));
      const [low, high] = [floor, floor + (0.56 * draws) / peak].map((y) => plot.y(y).toFixed(1));
      return `M${left},${low}V${high}H${right}V${low}Z`;
    });
    setAttributes(area, { d: path.join(""), class: row.color });
    setAttributes(name, { x: plot.margin.left + 6, y: plot.y(2.86 - i) });
    name.textContent = row.name;
    const unseen = histogram.count - bars.reduce((sum, { draws }) => sum + draws, 0);
    setAttributes(beyond, { x: plot.x.range[1], y: plot.y(2.86 - i) });
    beyond.textContent = unseen ? `${whole(unseen)} beyond` : "";
    const std = Math.sqrt(histogram.variance);
    const nodes = [spread, mean, width];
    nodes.forEach((node) => setAttributes(node, { display: std >= 0 ? null : "none" }));
    if (!(std >= 0)) return; // one draw has a place and no spread
    const at = plot.y(floor - 0.11);
    const [left, right] = [histogram.mean - std, histogram.mean + std].map(plot.x);
    const line = `M${left},${at - 4}v8m0,-4H${right}m0,-4v8`;
    setAttributes(spread, { class: `spread ${row.color}`, d: line });
    setAttributes(mean, { class: row.color, cx: plot.x(histogram.mean), cy: at });
    // A few draws may have a mean and a spread beyond the axis: their number stays within it.
    const edge = plot.x.range[1];
    const place =
      right + WIDEST_NUMBER < edge
        ? { x: right + 8, y: at + 4, class: null }
        : { x: edge, y: at + 18, class: "end" };
    setAttributes(width, place);
    width.textContent = `± ${numberText(std, 2)}`;
  };

  // Numbers and words

  const cells = [0, 1, 2].map(() => [
    html("th", { scope: "row" }),
    html("td"),
    html("td"),
    html("td"),
  ]);
  const table = html(
    "table",
    {},
    html(
      "thead",
      {},
      html(
        "tr",
        {},
        ...["gradient with respect to μ", "mean", "variance", "exact variance"].map((text) =>
          html("th", { scope: "col" }, text),
        ),
      ),
    ),
    html("tbody", {}, ...cells.map((row) => html("tr", {}, ...row))),
  );
  const result = controls.liveText();
  const drawnSoFar = html("p", { class: "count" });

  const finding = () => {
    const [score, pathwise, local] = rows().map(({ key }) => exact[key]);
    const [weight, all] = [pathwise, score].map((variance) => numberText(variance / local, 2));
    return (
      `One local draw is as precise as ${weight} weight ${weight === "1" ? "draw" : "draws"} or ` +
      `${all} score-function draws${model.get("baseline") ? " with the baseline" : ""}.`
    );
  };
  const countWords = () => {
    const drawn = `${whole(count())} ${count() === 1 ? "draw" : "draws"} of each`;
    return isSpent() ? `${drawn}: enough. Reset to start again.` : `${drawn}.`;
  };

  const show = () => {
    const shown = rows();
    shown.forEach((row, i) => {
      const histogram = histograms[row.key];
      drawRow(drawings[i], row, i);
      const both = [histogram.variance, exact[row.key]].map(varianceText);
      const texts = [row.name, meanText(histogram), ...both];
      texts.forEach((text, k) => (cells[i][k].textContent = text));
    });
    const x = plot.x(TRUTH);
    setAttributes(truth, { x1: x, x2: x, y1: plot.margin.top, y2: plot.y(0) });
    setAttributes(truthName, { x, y: 16 });
    drawnSoFar.textContent = countWords();
    result.show(finding(), `${finding()} ${countWords()}`);
    // A button that is disabled would lose the focus: this one keeps it, and does nothing.
    for (const node of [play, one, thousand]) node.ariaDisabled = String(isSpent());
    reset.ariaDisabled = String(wanted === 0);
  };

  // Play: the rate grows with the number of draws, so that the errors shrink at an even pace.

  const loop = controls.frames(el, (passed) => {
    const end = performance.now() + FRAME_BUDGET;
    if (playing) wanted = Math.min(wanted + (passed / 1000) * (15 + count()), MOST_DRAWS);
    while (count() < wanted && performance.now() < end) draw();
    if (count() >= wanted || !prefersStill()) show();
    if (isSpent()) pause();
    if (count() >= wanted && !playing) loop.stop();
  });
  const pause = () => {
    if (!playing) return;
    playing = false;
    loop.stop();
    play.textContent = "Play";
    wanted = count();
    choose(wanted);
  };
  const play = button(
    "Play",
    () => {
      if (playing) return pause();
      if (isSpent()) return;
      playing = true;
      play.textContent = "Pause";
      loop.start();
    },
    { class: "play" },
  );
  /** @param {number} more */
  const add = (more) => choose((playing ? count() : wanted) + more);
  const one = button("1 draw", () => add(1));
  const thousand = button("1,000 draws", () => add(1000));
  const reset = button("Reset", () => {
    pause();
    choose(0);
  });

  controls.onChange(["draws"], () => drawTo(model.get("draws")));
  controls.onChange(["std", "weights", "batch_size", "seed"], () => {
    // Python may have set `draws` together with the setting.
    const draws = Math.min(playing ? count() : model.get("draws"), AT_ONCE);
    restart();
    redraw();
    drawTo(draws);
    if (!playing) choose(draws);
  });
  controls.onChange(["baseline"], show);
  controls.onChange(["hold_axis"], redraw);
  controls.atEnd(() => plot.end());

  const integer = { min: 1, max: 100 };
  const width = { min: 0.1, max: 1, step: 0.05 };
  beginFigure(el, "gradient_noise");
  el.append(
    html("p", { class: "asked" }, "Which estimator finds the gradient with the fewest draws?"),
    result.node,
    html(
      "div",
      { class: "controls" },
      controls.slider({ name: "std", label: "standard deviation σ", ...width }),
      controls.slider({ name: "weights", label: "number of weights d", ...integer }),
      controls.slider({ name: "batch_size", label: "batch size B", ...integer }),
      html(
        "div",
        { class: "switches" },
        controls.toggle({ name: "baseline", label: "baseline for the score function" }),
        controls.toggle({ name: "hold_axis", label: "hold the axis" }),
      ),
    ),
    plot.svg,
    html("div", { class: "buttons" }, play, one, thousand, reset),
    drawnSoFar,
    table,
  );
  restart();
  drawTo(model.get("draws"));
  plot.redraw();
  return () => controls.end();
}

export default { render };
