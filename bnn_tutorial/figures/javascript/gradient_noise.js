// Gradient noise, the figure of the chapter "The reparameterization trick": draws of the score
// function's gradient, the pathwise and the local one on a common axis, their variances beside the
// closed forms. GradientNoise in gradient_noise.py states the problem and its formulas.

import { Histogram, sampler, variances } from "./gradient_noise/estimators.js";
import {
  Controls,
  beginFigure,
  button,
  html,
  numberText,
  prefersStill,
} from "./shared/controls.js";
import { Plot, areaPath, setAttributes, svg } from "./shared/plot.js";

export * from "./gradient_noise/estimators.js";
export { PageModel } from "./shared/page_model.js";

const TRUTH = 2; // the gradient 2μ at μ = 1
const MOST_DRAWS = 100_000;
const FRAME_BUDGET = 6; // milliseconds of a frame that draws may take: the page stays quick
const WIDEST_NUMBER = 60; // pixels from the end of a spread to that of its number

/** Write a variance with three digits, or a dash where there is none yet. */
const varianceText = (value) =>
  Number.isNaN(value)
    ? "–"
    : value.toLocaleString("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });

/** Write a mean with the digits that its error leaves, and the error. */
function meanText({ mean, error }) {
  if (!(error > 0)) return "–";
  const digits = Math.min(Math.max(1 - Math.floor(Math.log10(error)), 0), 6);
  return `${mean.toFixed(digits).replace("-", "−")} ± ${error.toFixed(digits)}`;
}

function render({ model, el }) {
  const controls = new Controls(model);
  const settings = () =>
    Object.fromEntries(
      ["std", "weights", "batch_size", "seed"].map((name) => [name, model.get(name)]),
    );
  const rows = () => [
    model.get("baseline")
      ? { key: "scoreBaseline", name: "score function, baseline", color: "vermilion" }
      : { key: "score", name: "score function", color: "vermilion" },
    { key: "pathwise", name: "pathwise, weight", color: "purple" },
    { key: "local", name: "pathwise, local", color: "blue" },
  ];

  // The draws

  let next, histograms, exact;
  const count = () => histograms.local.count;
  const restart = () => {
    exact = variances(settings());
    // The axis holds the widest of all, so that the baseline is seen to narrow it.
    const reach = 2.5 * Math.sqrt(exact.score);
    plot.setDomain("x", [TRUTH - reach, TRUTH + reach]);
    next = sampler(settings());
    histograms = Object.fromEntries(
      Object.keys(exact).map((key) => [key, new Histogram(plot.axes.x.domain)]),
    );
  };
  const draw = () => {
    for (const [key, value] of Object.entries(next())) histograms[key].add(value);
  };
  const drawTo = (draws) => {
    if (draws < count()) restart();
    while (count() < draws) draw();
    show();
  };
  const choose = (draws) => controls.set({ draws: Math.min(draws, MOST_DRAWS) });

  // The plot

  const plot = new Plot({
    label:
      "Histograms of single draws of three gradient estimators, one above the other on one axis, " +
      "with a line at the true gradient.",
    x: { domain: [-20, 24], label: "one draw of the gradient by μ" },
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
    };
    bars.append(parts.area);
    spreads.append(parts.spread, parts.mean);
    marks.append(parts.name, parts.width);
    return parts;
  });

  /** Draw a histogram to its own height, and below it its mean and standard deviation. */
  const drawRow = ({ area, spread, mean, name, width }, row, i) => {
    const histogram = histograms[row.key];
    const floor = 2.22 - i;
    const peak = Math.max(4, ...histogram.bins);
    const edges = [];
    const heights = [];
    histogram.bins.forEach((bin, k) => {
      if (bin === 0 && !histogram.bins[k - 1] && !histogram.bins[k + 1]) return;
      edges.push(histogram.from + k * histogram.width, histogram.from + (k + 1) * histogram.width);
      heights.push(floor + (0.56 * bin) / peak, floor + (0.56 * bin) / peak);
    });
    const path = areaPath(plot, edges, heights.map(() => floor), heights);
    setAttributes(area, { d: path, class: row.color });
    setAttributes(name, { x: plot.margin.left + 6, y: plot.y(2.86 - i) });
    name.textContent = row.name;
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

  const cells = [0, 1, 2].map(() => ["th", "td", "td", "td"].map((name) => html(name)));
  cells.forEach(([head]) => head.setAttribute("scope", "row"));
  const table = html(
    "table",
    {},
    html(
      "thead",
      {},
      html(
        "tr",
        {},
        ...["gradient by μ", "mean", "variance", "exact variance"].map((text) =>
          html("th", { scope: "col" }, text),
        ),
      ),
    ),
    html("tbody", {}, ...cells.map((row) => html("tr", {}, ...row))),
  );
  const result = controls.liveText();

  const words = () => {
    const [score, pathwise, local] = rows().map(({ key }) => exact[key]);
    const beyond = histograms[rows()[0].key].beyond;
    const whole = (number) => number.toLocaleString("en");
    const outside = beyond ? `, ${whole(beyond)} of the score function beyond the axis` : "";
    const drawn = `${whole(count())} ${count() === 1 ? "draw" : "draws"} of each${outside}.`;
    const [weight, all] = [pathwise, score].map((variance) => numberText(variance / local, 2));
    return (
      `${drawn} Draws to average for the precision of one local draw: ` +
      `weight ${weight}, score function ${all}.`
    );
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
    result.show(words());
    for (const node of [play, one, thousand]) node.disabled = count() >= MOST_DRAWS;
    reset.disabled = count() === 0;
  };

  // Play: the rate grows with the number of draws, so that the errors shrink at an even pace.

  let goal = null;
  const loop = controls.frames(el, (passed) => {
    const end = performance.now() + FRAME_BUDGET;
    goal += (passed / 1000) * (15 + count());
    while (count() < Math.min(goal, MOST_DRAWS) && performance.now() < end) draw();
    goal = Math.min(goal, count() + 1);
    show();
    if (count() >= MOST_DRAWS) pause();
  });
  const pause = () => {
    if (goal === null) return;
    goal = null;
    loop.stop();
    play.textContent = "Play";
    choose(count());
  };
  const play = button("Play", () => {
    if (goal !== null) return pause();
    goal = count();
    play.textContent = "Pause";
    loop.start();
  });
  const one = button("1 draw", () => choose(count() + 1));
  const thousand = button("1,000 draws", () => choose(count() + 1000));
  const reset = button("Reset", () => {
    pause();
    choose(0);
    one.focus({ preventScroll: true }); // a disabled button would lose the focus
  });

  controls.onChange(["draws"], () => drawTo(model.get("draws")));
  controls.onChange(["std", "weights", "batch_size", "seed"], () => {
    // Python may have set `draws` together with the setting.
    const draws = Math.min(goal === null ? model.get("draws") : count(), 1000);
    restart();
    plot.redraw();
    drawTo(draws);
    if (goal !== null) goal = draws;
    else choose(draws);
  });
  controls.onChange(["baseline"], show);
  controls.atEnd(() => plot.end());

  const integer = { min: 1, max: 100 };
  const width = { min: 0.1, max: 1, step: 0.05 };
  beginFigure(el, "gradient_noise");
  el.append(
    html(
      "div",
      { class: "controls" },
      controls.slider({ name: "std", label: "standard deviation σ", ...width }),
      controls.slider({ name: "weights", label: "number of weights d", ...integer }),
      controls.slider({ name: "batch_size", label: "batch size B", ...integer }),
      controls.toggle({ name: "baseline", label: "baseline for the score function" }),
    ),
    plot.svg,
    html("div", { class: "buttons" }, ...(prefersStill() ? [] : [play]), one, thousand, reset),
    result.node,
    table,
  );
  restart();
  plot.redraw();
  drawTo(model.get("draws"));
  return () => controls.end();
}

export default { render };
