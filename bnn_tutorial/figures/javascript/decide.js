// The figure Decide: what mistakes cost sets the thresholds between sending home, treating and
// referring, for cases that were held out. Shown in the chapter "Decisions".

import * as mathematics from "./decide/decisions.js";
import {
  caseLegend,
  CasePlot,
  CostPlot,
  costText,
  percentText,
  probabilityOf,
  RiskPlot,
  ruleLegend,
  RulePlot,
} from "./decide/views.js";
import { beginFigure, Controls, html, numberText } from "./shared/controls.js";
import { readTensors } from "./shared/tensors.js";

export { PageModel } from "./shared/page_model.js";
export { mathematics };

/**
 * @import { Case, Costs } from "./decide/decisions.js"
 * @import { Place } from "./shared/page_model.js"
 */

/**
 * @typedef {"bayesian" | "deterministic"} Predictor
 * @typedef {{ miss_cost: number, alarm_cost: number, referral_cost: number, predictor: Predictor,
 *   num_referred: number | null, mean_cost: number | null, expected_cost: number | null,
 *   threshold_cost: number | null, file: DataView }} Traits
 */

const { bestAction, bestThreshold, expectedCosts, averageCost, riskByCoverage, thresholds } = mathematics;
// What a slider sets: 1, 2, 3, 5, 7, 10 and so on.
const STOPS = [
  0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100,
];

/**
 * Return a network's cases from the figure's file.
 *
 * @param {DataView} file
 * @param {Predictor} predictor
 * @returns {Case[]}
 */
export function readCases(file, predictor) {
  const tensors = readTensors(file);
  const malignant = tensors.malignant.values;
  return Array.from(tensors[predictor].values, (z, n) => ({
    probability: probabilityOf(z),
    malignant: malignant[n] === 1,
  }));
}

/**
 * Return what is seen and what is found with these cases and costs.
 *
 * @param {Case[]} cases
 * @param {Costs} costs
 */
function answer(cases, costs) {
  const decided = cases.map((each) => ({ ...each, action: bestAction(each.probability, costs) }));
  const single = bestThreshold(cases, costs);
  const referred = decided.filter(({ action }) => action === "refer");
  /** @param {Case} each */
  const misleads = ({ probability, malignant }) => probability > 0.5 !== malignant;
  const expected = cases.map(({ probability }) =>
    Math.min(...Object.values(expectedCosts(probability, costs))),
  );
  return {
    decided,
    thresholds: thresholds(costs),
    risks: riskByCoverage(cases, costs),
    referred: referred.length,
    wrong: cases.filter(misleads).length,
    wrongReferred: referred.filter(misleads).length,
    treatAll: averageCost(cases, costs, () => "treat"),
    referAll: averageCost(cases, costs, () => "refer"),
    likelier: averageCost(cases, costs, (p) => (p > 0.5 ? "treat" : "home")),
    single: averageCost(cases, costs, (p) => (p > single ? "treat" : "home")),
    own: averageCost(cases, costs, (p) => bestAction(p, costs)),
    expected: expected.reduce((sum, cost) => sum + cost, 0) / cases.length,
  };
}

/**
 * Return the finding in words.
 *
 * @param {ReturnType<typeof answer>} found
 * @param {Costs} costs
 */
function words(found, costs) {
  const [low, high] = found.thresholds;
  const count = found.decided.length;
  const begin =
    high > low
      ? [
          `Send home below ${percentText(low)}, treat above ${percentText(high)}, refer between: the `,
          "doctor sees ",
          html("b", {}, String(found.referred)),
          ` of ${count} cases, among them ${found.wrongReferred} of the ${found.wrong} for which the `,
          "likelier class is wrong. ",
        ]
      : [
          `Send home below ${percentText(low)}, treat above: a referral pays only where it costs `,
          `less than ${numberText(costs.miss * low)}, and the doctor sees `,
          html("b", {}, "0"),
          ` of ${count} cases. `,
        ];
  return [
    ...begin,
    "A case then costs ",
    html("b", {}, costText(found.own.mean)),
    ` on average, where the network expects ${costText(found.expected)}. The best single threshold, `,
    "chosen afterwards on these cases, costs ",
    html("b", {}, costText(found.single.mean)),
    `, and always taking the likelier class ${costText(found.likelier.mean)}.`,
  ];
}

/** @param {Place<Traits>} place */
function render({ model, el }) {
  beginFigure(el, "decide");
  const controls = new Controls(model);
  const file = model.get("file");
  const casesOf = {
    bayesian: readCases(file, "bayesian"),
    deterministic: readCases(file, "deterministic"),
  };
  const costPlot = new CostPlot();
  const casePlot = new CasePlot();
  const rulePlot = new RulePlot();
  const riskPlot = new RiskPlot();
  const result = controls.liveText();

  function update() {
    const costs = {
      miss: model.get("miss_cost"),
      alarm: model.get("alarm_cost"),
      referral: model.get("referral_cost"),
    };
    const found = answer(casesOf[model.get("predictor")], costs);
    costPlot.show(costs, found.thresholds);
    casePlot.show(found.decided, found.thresholds);
    rulePlot.show([
      { name: "treat everybody", cost: found.treatAll },
      { name: "refer everybody", cost: found.referAll },
      { name: "the likelier class", cost: found.likelier },
      { name: "the best single threshold, afterwards", cost: found.single },
      { name: "least expected cost, with referrals", cost: found.own, expected: found.expected },
    ]);
    riskPlot.show(found.risks, found.decided.length - found.referred);
    result.show(words(found, costs));
    controls.set({
      num_referred: found.referred,
      mean_cost: found.own.mean,
      expected_cost: found.expected,
      threshold_cost: found.single.mean,
    });
  }

  controls.onChange(["miss_cost", "alarm_cost", "referral_cost", "predictor"], update);
  update();
  /**
   * @param {number} least
   * @param {number} most
   */
  const stops = (least, most) => STOPS.filter((stop) => stop >= least && stop <= most);
  el.append(
    result.node,
    html(
      "div",
      { class: "controls" },
      controls.slider({ name: "miss_cost", label: "Cost of a missed case", stops: stops(1, 100) }),
      controls.slider({ name: "alarm_cost", label: "Cost of a false alarm", stops: stops(0.5, 50) }),
      controls.slider({ name: "referral_cost", label: "Cost of a referral", stops: stops(0.05, 20) }),
      controls.choice({
        name: "predictor",
        label: "Probabilities of",
        options: [
          { value: "bayesian", label: "a Bayesian network" },
          { value: "deterministic", label: "a deterministic one" },
        ],
      }),
    ),
    html(
      "div",
      { class: "views" },
      html("div", {}, costPlot.plot.svg, casePlot.plot.svg, caseLegend()),
      html("div", {}, rulePlot.plot.svg, ruleLegend(), riskPlot.plot.svg),
    ),
  );
  return () => {
    controls.end();
    for (const { plot } of [costPlot, casePlot, rulePlot, riskPlot]) plot.end();
  };
}

export default { render };
