// What the playground's settings are and may be: one place for its sliders, its plot, and addresses
// that a stranger may have written. posterior_playground.py has the same bounds; a test compares.

export const RANGES = {
  prior_std: [0.1, 10],
  kl_weight: [1e-4, 100],
  noise_std: [0.05, 5],
  hidden_units: [1, 200],
};

/** The traits that switch something on or off in the picture. */
export const SWITCHES = [
  "show_epistemic",
  "show_total",
  "show_functions",
  "show_truth",
  "show_gaussian_process",
  "show_dropout",
  "show_ensemble",
];

/** The traits with which a reader says what is trained and shown; an address holds them. */
export const SETTINGS = [...Object.keys(RANGES), ...SWITCHES, "estimator", "points", "gap"];

/** The plot's axes; every data point lies on them. */
export const X_DOMAIN = [-3, 3];
export const Y_DOMAIN = [-20, 20];

export const MOST_POINTS = 300;
export const SMALLEST_GAP = 0.1;

/** Return the number within the interval that is nearest to `value`. */
export const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);

/** Return the point on the axes nearest to (x, y), to two decimals. */
export const pointAt = (x, y) => [
  Number(clamp(x, X_DOMAIN).toFixed(2)),
  Number(clamp(y, Y_DOMAIN).toFixed(2)),
];

/** Return the points that train: those outside the gap, which is [] or [low, high]. */
export const outsideGap = (points, gap) =>
  gap.length ? points.filter(([x]) => x < gap[0] || x > gap[1]) : points;
