// The Gaussian distribution to the last digits of a double, the softplus that widths go through,
// and seeded random numbers. Every figure of the book leans on it.

import { randomLcg, randomNormal as normalFrom } from "d3-random";

const SQRT_TWO_PI = Math.sqrt(2 * Math.PI);

/**
 * Return the standard normal density g(z) = exp(-z²/2) / √(2π).
 *
 * @param {number} z
 */
export function normalDensity(z) {
  const bounded = Math.min(Math.max(z, -40), 40); // beyond, the density underflows to 0
  // z²/2 rounded would cost digits where it is large. The square of z's leading 24 bits is exact,
  // and what it lacks is so small that three terms of its exponential are enough.
  const lead = Math.fround(bounded);
  const rest = ((bounded - lead) * (bounded + lead)) / 2;
  const correction = 1 - rest * (1 - (rest / 2) * (1 - rest / 3));
  return (Math.exp((-lead * lead) / 2) * correction) / SQRT_TWO_PI;
}

/**
 * Return log N(x; mean, std²).
 *
 * @param {number} x
 * @param {number} mean
 * @param {number} std
 */
export function normalLogDensity(x, mean, std) {
  const z = (x - mean) / std;
  return (-z * z) / 2 - Math.log(std * SQRT_TWO_PI);
}

// (z + 5) M(z) as a polynomial in t = (z - 5) / (z + 5), constant term first: its Chebyshev series
// to degree 22, worked out with 60 digits. What is left out is 2e-16 of the value for z in [0, 40].
const MILLS_COEFFICIENTS = Float64Array.of(
  1.9280810471531575, -1.667866595188962, 1.241547061573877, -0.7859110755463842,
  0.41364471573217226, -0.17325473409133701, 0.05212550242182693, -0.007503282770439648,
  -0.0019999620670556138, 0.0013658588260150296, -0.00014883252854029768, -0.00012473429411922815,
  4.181269707272043e-5, 9.971212523126543e-6, -6.9405498481783575e-6, -8.29951776733244e-7,
  1.0865648093633823e-6, 8.984895390080813e-8, -1.6898908396071304e-7, -1.2601401701289641e-8,
  2.324918339616538e-8, 1.2681778133106914e-9, -1.968820796668673e-9,
);

/**
 * Return Mills' ratio M(z) = Φ(-z) / g(z) for z from 0 to 40.
 *
 * One polynomial for the whole half-line, after Shepherd and Laframboise (1981).
 *
 * @param {number} z
 */
export function millsRatio(z) {
  const scale = 1 / (z + 5);
  const t = (z - 5) * scale;
  let sum = 0;
  for (let i = MILLS_COEFFICIENTS.length - 1; i >= 0; i--) sum = sum * t + MILLS_COEFFICIENTS[i];
  return sum * scale;
}

/**
 * Return Φ(z), the standard normal distribution function, with all digits in both tails.
 *
 * @param {number} z
 */
export function normalCdf(z) {
  const tail = normalDensity(z) * millsRatio(Math.min(Math.abs(z), 40));
  return z > 0 ? 1 - tail : tail;
}

/**
 * Return log(1 + exp(rho)), the standard deviation that belongs to rho.
 *
 * @param {number} rho
 */
export const softplus = (rho) => Math.max(rho, 0) + Math.log1p(Math.exp(-Math.abs(rho)));

/**
 * Return the slope of softplus, 1 / (1 + exp(-rho)).
 *
 * @param {number} rho
 */
export const softplusSlope = (rho) => 1 / (1 + Math.exp(-rho));

/**
 * Return the rho whose softplus is `std`.
 *
 * @param {number} std
 */
export const inverseSoftplus = (std) => std + Math.log(-Math.expm1(-std));

/**
 * Return a function that draws uniform numbers from [0, 1), always the same for the same seed.
 *
 * @param {number} seed
 */
export function randomUniform(seed) {
  // The congruential generator starts alike for seeds next to each other; multiples of the golden
  // ratio lie far apart.
  return randomLcg(((seed + 1) * 0.6180339887498949) % 1);
}

/**
 * Return a function that draws standard normal numbers, always the same for the same seed.
 *
 * @param {number} seed
 */
export const randomNormal = (seed) => normalFrom.source(randomUniform(seed))();
