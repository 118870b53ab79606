// The action of least expected cost for each case, what it turns out to cost, and other rules beside
// it: the mathematics of the figure Decide, explained in the chapter "Decisions".

/**
 * @import { Interval } from "../shared/plot.js"
 */

/**
 * @typedef {{ miss: number, alarm: number, referral: number }} Costs
 * @typedef {"home" | "treat" | "refer"} Action
 * @typedef {{ probability: number, malignant: boolean }} Case one that is predicted: how probable it
 *   is that it is malignant, and whether it is
 * @typedef {{ mean: number, error: number }} Mean of a cost over the cases, and its standard error
 */

/**
 * Return what each action is expected to cost where p is the probability of malignant.
 *
 * @param {number} p
 * @param {Costs} costs
 * @returns {Record<Action, number>}
 */
export const expectedCosts = (p, { miss, alarm, referral }) => ({
  home: miss * p,
  treat: alarm * (1 - p),
  refer: referral,
});

/**
 * Return the action of least expected cost: of equals, the first in this order.
 *
 * @param {number} p
 * @param {Costs} costs
 * @returns {Action}
 */
export function bestAction(p, costs) {
  const { home, treat, refer } = expectedCosts(p, costs);
  if (refer < Math.min(home, treat)) return "refer";
  return treat < home ? "treat" : "home";
}

/**
 * Return the probabilities between which a referral pays; where it never does, both are the one
 * from which on it is cheaper to treat.
 *
 * @param {Costs} costs
 * @returns {Interval}
 */
export function thresholds({ miss, alarm, referral }) {
  const single = alarm / (alarm + miss);
  return referral < miss * single ? [referral / miss, 1 - referral / alarm] : [single, single];
}

/**
 * Return what an action turns out to cost.
 *
 * @param {Action} action
 * @param {boolean} malignant
 * @param {Costs} costs
 */
export function costOf(action, malignant, { miss, alarm, referral }) {
  if (action === "refer") return referral;
  if (action === "treat") return malignant ? 0 : alarm;
  return malignant ? miss : 0;
}

/**
 * @param {number[]} values
 * @returns {Mean}
 */
function meanOf(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (values.length - 1) / values.length) };
}

/**
 * Return what a case costs on average where each gets the action that `choose` has for its p.
 *
 * @param {Case[]} cases
 * @param {Costs} costs
 * @param {(p: number) => Action} choose
 */
export const averageCost = (cases, costs, choose) =>
  meanOf(cases.map(({ probability, malignant }) => costOf(choose(probability), malignant, costs)));

/**
 * Return the single threshold above which to treat that would have cost least on these very cases:
 * in the middle between two of them, or where nobody or everybody is treated.
 *
 * @param {Case[]} cases
 * @param {Costs} costs
 */
export function bestThreshold(cases, costs) {
  const sorted = [...cases].sort((a, b) => a.probability - b.probability);
  let cost = sorted.filter(({ malignant }) => !malignant).length * costs.alarm;
  let [threshold, least] = [-Infinity, cost]; // all are treated
  sorted.forEach(({ probability, malignant }, i) => {
    cost += malignant ? costs.miss : -costs.alarm; // one more is sent home
    const next = i + 1 < sorted.length ? sorted[i + 1].probability : Infinity;
    if (cost < least && next > probability) [threshold, least] = [(probability + next) / 2, cost];
  });
  return threshold;
}

/**
 * Return how costly it is to decide on the cases with the least expected costs alone, for every
 * number of them: what they cost on average, and what they were expected to. Cases with equal
 * expected costs count with their mean cost.
 *
 * @param {Case[]} cases
 * @param {Costs} costs
 */
export function riskByCoverage(cases, costs) {
  const alone = { ...costs, referral: Infinity };
  const sorted = cases
    .map(({ probability, malignant }) => ({
      expected: Math.min(costs.miss * probability, costs.alarm * (1 - probability)),
      cost: costOf(bestAction(probability, alone), malignant, costs),
    }))
    .sort((a, b) => a.expected - b.expected);
  for (let first = 0, end = 0; first < sorted.length; first = end) {
    while (end < sorted.length && sorted[end].expected === sorted[first].expected) end++;
    const equals = sorted.slice(first, end);
    const { mean } = meanOf(equals.map(({ cost }) => cost));
    for (const each of equals) each.cost = mean;
  }
  let [sum, expectedSum] = [0, 0];
  return sorted.map(({ cost, expected }, i) => {
    sum += cost;
    expectedSum += expected;
    return { coverage: (i + 1) / sorted.length, risk: sum / (i + 1), expected: expectedSum / (i + 1) };
  });
}
