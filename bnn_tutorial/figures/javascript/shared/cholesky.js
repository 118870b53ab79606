// Linear equations with a symmetric positive definite matrix, by its Cholesky factor.

/**
 * Return the lower Cholesky factor L of a square matrix, given row by row; its lower half is read.
 *
 * @param {Float64Array} matrix
 */
export function cholesky(matrix) {
  const n = Math.sqrt(matrix.length);
  const factor = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let rest = matrix[i * n + j];
      for (let k = 0; k < j; k++) rest -= factor[i * n + k] * factor[j * n + k];
      factor[i * n + j] = i === j ? Math.sqrt(rest) : rest / factor[j * n + j];
    }
  return factor;
}

/**
 * Return z with L z = vector.
 *
 * @param {Float64Array} factor
 * @param {Float64Array} vector
 */
export function solveLower(factor, vector) {
  const n = vector.length;
  const z = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let rest = vector[i];
    for (let k = 0; k < i; k++) rest -= factor[i * n + k] * z[k];
    z[i] = rest / factor[i * n + i];
  }
  return z;
}

/**
 * Return z with Lᵀ z = vector.
 *
 * @param {Float64Array} factor
 * @param {Float64Array} vector
 */
export function solveUpper(factor, vector) {
  const n = vector.length;
  const z = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    let rest = vector[i];
    for (let k = i + 1; k < n; k++) rest -= factor[k * n + i] * z[k];
    z[i] = rest / factor[i * n + i];
  }
  return z;
}
