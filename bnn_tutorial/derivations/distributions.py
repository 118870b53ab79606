"""What the checks of several chapters share: the notation, Gaussians, a linear model, integrals.

Symbols: a weight w has q = N(mu, sigma^2) and the prior N(., sigma_p^2); epsilon is standard normal
noise; s is the standard deviation of the noise of N data.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import sympy
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

W, MU, EPSILON = sympy.symbols("w mu epsilon", real=True)
MU_PRIOR = sympy.Symbol("mu_p", real=True)
SIGMA, SIGMA_PRIOR, NOISE = sympy.symbols("sigma sigma_p s", positive=True)
COUNT = sympy.Symbol("N", positive=True, integer=True)

DATA = torch.tensor([1.9, 0.4, 1.1, 2.3, 0.8], dtype=torch.float64)

# Wide and fine enough for the trapezoid rule, whose error falls faster than any power of the
# spacing for smooth functions that vanish at both ends.
GRID = torch.linspace(-12, 12, 4801, dtype=torch.float64)

Real = sympy.Expr | float  # what SymPy calculates with


# As SymPy expressions


def log_gaussian(value: Real, mean: Real, std: Real) -> sympy.Expr:
    """log N(value; mean, std^2); ``std`` is a standard deviation."""
    return -sympy.log(2 * sympy.pi * std**2) / 2 - (value - mean) ** 2 / (2 * std**2)


def gaussian(value: Real, mean: Real, std: Real) -> sympy.Expr:
    """N(value; mean, std^2); ``std`` is a standard deviation."""
    return sympy.exp(log_gaussian(value, mean, std))


def gaussian_kl(mean: Real, std: Real, prior_mean: Real, prior_std: Real) -> sympy.Expr:
    """KL(N(mean, std^2) || N(prior_mean, prior_std^2)), the right-hand side of eq-kl-gaussian."""
    squares = std**2 + (mean - prior_mean) ** 2
    return sympy.log(prior_std / std) + squares / (2 * prior_std**2) - sympy.Rational(1, 2)


def expectation(expression: sympy.Expr) -> sympy.Expr:
    """E_q of a polynomial in w, integrated power by power after w = mu + sigma epsilon."""
    polynomial = sympy.Poly(sympy.expand(expression).subs(W, MU + SIGMA * EPSILON), EPSILON)
    density = gaussian(EPSILON, 0, 1)
    return sympy.Add(
        *(
            coefficient * sympy.integrate(EPSILON**power * density, (EPSILON, -sympy.oo, sympy.oo))
            for (power,), coefficient in polynomial.terms()
        )
    )


# As tensors in double precision


def normal(mean: float, std: float) -> Normal:
    """The Gaussian of this mean and standard deviation."""
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))


def on_grid(mean: float, std: float) -> Tensor:
    """log N(w; mean, std^2) on GRID."""
    return normal(mean, std).log_prob(GRID)


def standard_draws(seed: int, *shape: int) -> Tensor:
    """Standard normal draws."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def log_ratio_draws(q: Normal, p: Normal, seed: int) -> Tensor:
    """20,000 draws of log q(w) - log p(w), w from q."""
    w = q.mean + q.stddev * standard_draws(seed, 20_000)
    return q.log_prob(w) - p.log_prob(w)


def integral(values: Tensor) -> Tensor:
    """The integral over w of a function with these values on GRID."""
    return torch.trapezoid(values, GRID)


def mean_under(log_density: Tensor, values: Tensor) -> Tensor:
    """The expectation of ``values`` under a density, both on GRID."""
    return integral(log_density.exp() * values)


def kl_integral(log_q: Tensor, log_p: Tensor) -> Tensor:
    """KL(q || p) of two log densities on GRID, by the integral of its definition."""
    return mean_under(log_q, log_q - log_p)


# By adaptive quadrature, where the trapezoid rule would not do


def quad(function: Callable[[Any], Any], points: Sequence[Any]) -> float:
    """The integral from the first to the last point, which may be infinite, in pieces."""
    value, _ = mpmath.quad(function, points, error=True)
    return float(value)


# The linear model y = features w + noise, with the prior N(0, prior_std^2) for each weight


def posterior_precision(features: Tensor, noise_std: float, prior_std: float) -> Tensor:
    """The inverse covariance of the weights' posterior, (K, K), from features (N, K)."""
    identity = torch.eye(features.shape[1], dtype=torch.float64)
    return features.T @ features / noise_std**2 + identity / prior_std**2


def log_evidence(features: Tensor, targets: Tensor, noise_std: float, prior_std: float) -> Tensor:
    """log p(D), from the joint Gaussian of the targets (N,)."""
    covariance = noise_std**2 * torch.eye(len(targets), dtype=torch.float64)
    covariance = covariance + prior_std**2 * features @ features.T
    return MultivariateNormal(torch.zeros_like(targets), covariance).log_prob(targets)


# A share of independent trials


def binomial_std(count: int, chance: Fraction) -> float:
    """The standard deviation of the share of hits, by adding up the binomial distribution."""
    masses = [
        math.comb(count, hits) * chance**hits * (1 - chance) ** (count - hits)
        for hits in range(count + 1)
    ]
    deviations = [Fraction(hits, count) - chance for hits in range(count + 1)]
    return math.sqrt(sum(m * d**2 for m, d in zip(masses, deviations, strict=True)))
