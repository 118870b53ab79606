// The two-weight network of the figure PosteriorGallery: its log joint density, what that leaves of
// w₂ once w₁ is known, slopes and curvatures, and the way uphill. Explained in the chapter "Other
// roads to a posterior".

/**
 * @typedef {[w1: number, w2: number]} Weights
 * @typedef {{ x: Float64Array, y: Float64Array, prior_std: number, noise_std: number }} Problem
 * @typedef {{ mean: Float64Array, std: Float64Array }} Moments of the function at several inputs
 * @typedef {[first: number, both: number, second: number]} Symmetric a matrix [[first, both],
 *   [both, second]]
 * @typedef {{ value: number, gradient: Weights, hessian: Symmetric }} Expansion
 */

/**
 * Return f(x) = w₂ tanh(w₁ x).
 *
 * @param {Weights} weights
 * @param {number} x
 */
export const output = ([w1, w2], x) => w2 * Math.tanh(w1 * x);

/**
 * Return sums over the data at one w₁, of h = tanh(w₁ x) and its derivatives by w₁.
 *
 * @param {Problem} problem
 * @param {number} w1
 */
function sums({ x, y }, w1) {
  const total = { yy: 0, hy: 0, hh: 0, dy: 0, hd: 0, dd: 0, cy: 0, hc: 0 };
  for (let n = 0; n < x.length; n++) {
    const h = Math.tanh(w1 * x[n]);
    const d = x[n] * (1 - h * h);
    const c = -2 * x[n] * h * d;
    total.yy += y[n] * y[n];
    total.hy += h * y[n];
    total.hh += h * h;
    total.dy += d * y[n];
    total.hd += h * d;
    total.dd += d * d;
    total.cy += c * y[n];
    total.hc += h * c;
  }
  return total;
}

/** @param {Problem} problem */
const logConstant = ({ x, prior_std, noise_std }) =>
  -x.length * Math.log(noise_std * Math.sqrt(2 * Math.PI)) -
  2 * Math.log(prior_std * Math.sqrt(2 * Math.PI));

/**
 * Return E[log p(y, w)] over a Gaussian w₂ at one w₁, with its slopes and curvatures.
 *
 * log p(y, w) = Σ log N(y; w₂ tanh(w₁ x), s²) + log N(w₁; 0, τ²) + log N(w₂; 0, τ²) is quadratic in
 * w₂ and so are its derivatives: the first two moments of w₂ are all that it takes.
 *
 * @param {Problem} problem
 * @param {number} w1
 * @param {number} mean of w₂
 * @param {number} [variance] of w₂; with 0 it is the log joint density itself
 * @returns {Expansion}
 */
export function expand(problem, w1, mean, variance = 0) {
  const { yy, hy, hh, dy, hd, dd, cy, hc } = sums(problem, w1);
  const noise = problem.noise_std ** 2;
  const prior = problem.prior_std ** 2;
  const square = mean * mean + variance;
  return {
    value:
      logConstant(problem) -
      (yy - 2 * mean * hy + square * hh) / (2 * noise) -
      (w1 * w1 + square) / (2 * prior),
    gradient: [
      (mean * dy - square * hd) / noise - w1 / prior,
      (hy - mean * hh) / noise - mean / prior,
    ],
    hessian: [
      (mean * cy - square * (hc + dd)) / noise - 1 / prior,
      (dy - 2 * mean * hd) / noise,
      -hh / noise - 1 / prior,
    ],
  };
}

/**
 * Return p(w₂ | w₁, y), a Gaussian, with the log joint density at its peak and log p(y, w₁).
 *
 * @param {Problem} problem
 * @param {number} w1
 */
export function conditional(problem, w1) {
  const { yy, hy, hh } = sums(problem, w1);
  const noise = problem.noise_std ** 2;
  const prior = problem.prior_std ** 2;
  const precision = hh / noise + 1 / prior;
  const mean = hy / noise / precision;
  const std = 1 / Math.sqrt(precision);
  const peak =
    logConstant(problem) - (yy / noise + (w1 * w1) / prior - precision * mean * mean) / 2;
  return { mean, std, peak, logMarginal: peak + Math.log(std * Math.sqrt(2 * Math.PI)) };
}

/**
 * Return the solution v of |H| v = g, where |H| has the sizes of H's eigenvalues: uphill by Newton's
 * step at a peak, and away from a saddle point.
 *
 * @param {Symmetric} hessian
 * @param {Weights} gradient
 * @returns {Weights}
 */
export function newtonStep([first, both, second], gradient) {
  const middle = (first + second) / 2;
  const radius = Math.hypot((first - second) / 2, both);
  const angle = Math.atan2(2 * both, first - second) / 2;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const along = (cos * gradient[0] + sin * gradient[1]) / Math.max(Math.abs(middle + radius), 1e-9);
  const across =
    (cos * gradient[1] - sin * gradient[0]) / Math.max(Math.abs(middle - radius), 1e-9);
  return [cos * along - sin * across, sin * along + cos * across];
}

const LONGEST_STEP = 0.25;
const SHORTEST_STEP = 1e-9;
const MOST_STEPS = 300;

/**
 * Return the peak of the log joint density that lies uphill from `start`, by Newton's steps of at
 * most 0.25, halved until they lead up.
 *
 * @param {Problem} problem
 * @param {Weights} start
 * @returns {Weights}
 */
export function climb(problem, start) {
  let here = start;
  for (let count = 0; count < MOST_STEPS; count++) {
    const { value, gradient, hessian } = expand(problem, ...here);
    const step = newtonStep(hessian, gradient);
    const length = Math.hypot(...step);
    let part = Math.min(1, LONGEST_STEP / length);
    /** @param {number} share @returns {Weights} */
    const moved = (share) => [here[0] + share * step[0], here[1] + share * step[1]];
    while (part * length > SHORTEST_STEP && !(expand(problem, ...moved(part)).value > value))
      part /= 2;
    if (!(part * length > SHORTEST_STEP)) break;
    here = moved(part);
  }
  return here;
}
