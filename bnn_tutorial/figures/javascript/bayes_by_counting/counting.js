// Bayes' theorem for a test that is taken once or more often: as a chain of beliefs, and as the people
// of 1,000 that it expects in each group. BayesByCounting in bayes_by_counting.py has the formula.

/**
 * @typedef {{ prevalence: number, sensitivity: number, specificity: number,
 *   positive_tests: number }} Setting
 * @typedef {{ illPositive: number, illNegative: number, healthyPositive: number,
 *   healthyNegative: number }} Counts of people in the four groups
 */

export const PEOPLE = 1000;

/**
 * Return p(ill | positive) from p(ill), by Bayes' theorem; sensitivity and prior are above 0.
 *
 * @param {number} prior
 * @param {number} sensitivity
 * @param {number} specificity
 */
export function posterior(prior, sensitivity, specificity) {
  const ill = sensitivity * prior;
  const healthy = (1 - specificity) * (1 - prior);
  return ill / (ill + healthy);
}

/**
 * Return p(ill) before and after each positive test: every posterior is the next test's prior.
 *
 * @param {Setting} setting
 */
export function beliefs({ prevalence, sensitivity, specificity, positive_tests }) {
  const chain = [prevalence];
  while (chain.length <= positive_tests)
    chain.push(posterior(chain[chain.length - 1], sensitivity, specificity));
  return chain;
}

/**
 * Return how many of 1,000 people are expected in each group; positive means in every test.
 *
 * @param {Setting} setting
 * @returns {Counts}
 */
export function expectedCounts({ prevalence, sensitivity, specificity, positive_tests }) {
  const ill = PEOPLE * prevalence;
  const healthy = PEOPLE - ill;
  const illPositive = ill * sensitivity ** positive_tests;
  const healthyPositive = healthy * (1 - specificity) ** positive_tests;
  return {
    illPositive,
    illNegative: ill - illPositive,
    healthyPositive,
    healthyNegative: healthy - healthyPositive,
  };
}

/**
 * Return the groups in whole people: the ill and the positive go to the nearest number.
 *
 * @param {Counts} expected
 * @returns {Counts}
 */
export function wholeCounts(expected) {
  const ill = Math.round(expected.illPositive + expected.illNegative);
  const illPositive = Math.round(expected.illPositive);
  const healthyPositive = Math.round(expected.healthyPositive);
  return {
    illPositive,
    illNegative: ill - illPositive,
    healthyPositive,
    healthyNegative: PEOPLE - ill - healthyPositive,
  };
}
