// What five conventions of programs and papers amount to, as the weight λ in the loss
// NLL + λ KL / N. Derived in the chapter "Polynomial regression with 3-sigma bands".

const BATCH = 10;
const RECIPE_WEIGHT = 0.01;

/**
 * Return the conventions with the λ that each of them means for this network and these data.
 *
 * A program that writes NLL + c KL has λ = c N. With c KL beside a mean squared error, which is
 * 2s² NLL and a constant, λ = c N / (2s²).
 *
 * @param {{ numData: number, numParameters: number, noise_std: number }} problem
 */
export function klConventions({ numData, numParameters, noise_std }) {
  return [
    {
      letter: "A",
      name: "the ELBO",
      formula: "λ = 1",
      value: 1,
      meaning: "the KL divided by the number N of data, whatever the batch or the network.",
    },
    {
      letter: "B",
      name: "KL averaged over parameters",
      formula: "N / P",
      value: numData / numParameters,
      meaning: `divided by the P = ${numParameters} parameters: it falls as the network grows.`,
    },
    {
      letter: "C",
      name: `KL over the batch of ${BATCH}`,
      formula: `N / ${BATCH}`,
      value: numData / BATCH,
      meaning: "divided by a batch's data: the KL counts again in every batch.",
    },
    {
      letter: "D",
      name: "KL times 1/10000",
      formula: "N / 10000",
      value: numData / 10000,
      meaning: "a fixed factor on the summed KL: right for 10,000 data alone.",
    },
    {
      letter: "E",
      name: "the printed 0.01",
      formula: "0.01 N / (2 P s²)",
      value: (RECIPE_WEIGHT * numData) / (2 * numParameters * noise_std ** 2),
      meaning: "squared error + 0.01 × averaged KL, the recipe of the chapter on regression.",
    },
  ];
}
