"""The numbered equations of the chapter "reparameterization" and their checks."""

import math
from typing import Any

import mpmath
import sympy
import torch
import torch.nn.functional as F

from bnn_tutorial.derivations.distributions import (
    EPSILON,
    MU,
    SIGMA,
    W,
    expectation,
    gaussian,
    log_gaussian,
    quad,
)
from bnn_tutorial.derivations.identity import (
    Expressions,
    Identity,
    Numbers,
    exact,
    quadrature,
    symbolic,
)
from bnn_tutorial.layers.softplus import inverse_softplus

T, B, RHO = sympy.symbols("t b rho", real=True)
DRAW = MU + SIGMA * EPSILON
LOG_DENSITY = log_gaussian(W, MU, SIGMA)


def noise_mean(expression: sympy.Expr, *noises: sympy.Symbol) -> sympy.Expr:
    """Return the mean of a polynomial in independent standard normal variables, by their moments.

    The variables are ``noises``, without any epsilon alone.
    """
    polynomial = sympy.Poly(sympy.expand(expression), *(noises or (EPSILON,)))
    return sympy.Add(
        *(
            coefficient
            * math.prod(0 if power % 2 else sympy.factorial2(power - 1) for power in powers)
            for powers, coefficient in polynomial.terms()
        )
    )


def _noise_variance(expression: sympy.Expr, *noises: sympy.Symbol) -> sympy.Expr:
    return noise_mean(expression**2, *noises) - noise_mean(expression, *noises) ** 2


def _reparameterized_density() -> Expressions:
    distribution_of_noise = (1 + sympy.erf(T / sympy.sqrt(2))) / 2
    return sympy.diff(distribution_of_noise.subs(T, (W - MU) / SIGMA), W), sympy.exp(LOG_DENSITY)


EQ_REPARAMETERIZE = Identity(
    label="eq-reparameterize",
    chapter="reparameterization",
    name="Gaussian from standard noise",
    formula=(
        r"\begin{aligned} w &= \mu + \sigma\epsilon, \quad \epsilon \sim \mathcal N(0, 1) \\ "
        r"&\Longrightarrow\quad w \sim \mathcal N(\mu, \sigma^2) \end{aligned}"
    ),
    checks=(
        symbolic(
            "slope of the distribution function of w, and the density of N(μ, σ²)",
            _reparameterized_density,
            scope="general",
        ),
    ),
)


def _score_function(parameter: sympy.Symbol, f: sympy.Expr) -> Expressions:
    score = sympy.diff(LOG_DENSITY, parameter)
    return sympy.diff(noise_mean(f.subs(W, DRAW)), parameter), expectation(f * score)


def _score_function_of_a_step() -> Numbers:
    mean, std, threshold = mpmath.mpf("0.3"), mpmath.mpf("0.8"), mpmath.mpf(1)

    def weighted_score(value: Any) -> Any:
        return mpmath.npdf(value, mean, std) * (value - mean) / std**2

    return (
        quad(weighted_score, [threshold, 3, 6, mpmath.inf]),
        mpmath.diff(lambda shifted: 1 - mpmath.ncdf(threshold, shifted, std), mean),
    )


EQ_SCORE_FUNCTION = Identity(
    label="eq-score-function",
    chapter="reparameterization",
    name="Score-function gradient",
    formula=(
        r"\begin{aligned} &\frac{\partial}{\partial\theta}\, \mathbb E_{q_\theta}[f(w)] \\ "
        r"&\quad = \mathbb E_{q_\theta}"
        r"\left[f(w)\, \frac{\partial}{\partial\theta} \log q_\theta(w)\right] \end{aligned}"
    ),
    checks=(
        symbolic(
            "both sides, by integration",
            lambda: _score_function(MU, W**3),
            scope="θ = μ, f(w) = w³",
        ),
        symbolic(
            "both sides, by integration, for σ",
            lambda: _score_function(SIGMA, W**4),
            scope="θ = σ, f(w) = w⁴",
        ),
        quadrature(
            "both sides, where f has no slope",
            _score_function_of_a_step,
            scope="θ = μ, f a step at 1",
        ),
    ),
)


def _pathwise(parameter: sympy.Symbol) -> Expressions:
    slope = sympy.diff(DRAW, parameter)
    return sympy.diff(expectation(W**4), parameter), noise_mean(4 * DRAW**3 * slope)


def _pathwise_of_a_sine(parameter: sympy.Symbol) -> Numbers:
    at = {MU: 0.7, SIGMA: 0.9}
    # E[sin(mu + sigma epsilon)] is the imaginary part of a normal's characteristic function.
    closed_form = sympy.exp(-(SIGMA**2) / 2) * sympy.sin(MU)
    slope = sympy.cos(DRAW) * sympy.diff(DRAW, parameter) * gaussian(EPSILON, 0, 1)
    integrand = sympy.lambdify(EPSILON, slope.subs(at), "mpmath")
    integral = quad(integrand, [-mpmath.inf, -2, 0, 2, mpmath.inf])
    return integral, sympy.diff(closed_form, parameter).subs(at)


EQ_PATHWISE = Identity(
    label="eq-pathwise",
    chapter="reparameterization",
    name="Pathwise gradient",
    formula=(
        r"\begin{aligned} \frac{\partial}{\partial\mu}\, \mathbb E[f(w)] &= \mathbb E[f'(w)] \\ "
        r"\frac{\partial}{\partial\sigma}\, \mathbb E[f(w)] &= \mathbb E[\epsilon\, f'(w)] "
        r"\end{aligned}"
    ),
    checks=(
        symbolic("with respect to μ, by integration", lambda: _pathwise(MU), scope="f(w) = w⁴"),
        symbolic("with respect to σ, by integration", lambda: _pathwise(SIGMA), scope="f(w) = w⁴"),
        quadrature(
            "with respect to μ, on a grid",
            lambda: _pathwise_of_a_sine(MU),
            scope="f(w) = sin w, one Gaussian",
        ),
        quadrature(
            "with respect to σ, on a grid",
            lambda: _pathwise_of_a_sine(SIGMA),
            scope="f(w) = sin w, one Gaussian",
        ),
    ),
)


def _variance_pathwise() -> Expressions:
    return _noise_variance(2 * DRAW), 4 * SIGMA**2


def _variance_score() -> Expressions:
    variance = _noise_variance(DRAW**2 * EPSILON / SIGMA)
    return variance, MU**4 / SIGMA**2 + 14 * MU**2 + 15 * SIGMA**2


EQ_GRADIENT_VARIANCES = Identity(
    label="eq-gradient-variances",
    chapter="reparameterization",
    name="Variances of the two gradients of w²",
    formula=(
        r"\begin{aligned} \operatorname{Var}[2w] &= 4\sigma^2 \\ "
        r"\operatorname{Var}\left[\frac{\epsilon}{\sigma}\, w^2\right] &= "
        r"\frac{\mu^4}{\sigma^2} + 14\mu^2 + 15\sigma^2 \end{aligned}"
    ),
    checks=(
        symbolic(
            "pathwise, from the moments of the noise",
            _variance_pathwise,
            scope="f(w) = w², any Gaussian",
        ),
        symbolic(
            "score function, from the moments of the noise",
            _variance_score,
            scope="f(w) = w², any Gaussian",
        ),
    ),
)


def _baseline() -> Expressions:
    score = sympy.diff(LOG_DENSITY, MU)
    return expectation((W**3 - B) * score), sympy.diff(expectation(W**3), MU)


EQ_BASELINE = Identity(
    label="eq-baseline",
    chapter="reparameterization",
    name="Baseline",
    formula=(
        r"\begin{aligned} "
        r"&\mathbb E_q\left[(f(w) - b)\, \frac{\partial}{\partial\mu} \log q(w)\right] \\ "
        r"&\quad = \frac{\partial}{\partial\mu}\, \mathbb E_q[f(w)] \end{aligned}"
    ),
    checks=(symbolic("by integration", _baseline, scope="f(w) = w³, any b"),),
)


def _dimension(d: int, with_baseline: bool) -> Expressions:
    noises = sympy.symbols(f"epsilon1:{d + 1}", real=True)
    mean_square = MU**2 + SIGMA**2
    baseline = d * mean_square if with_baseline else 0
    f = sum((MU + SIGMA * noise) ** 2 for noise in noises)
    formula = (4 * d + 4) * MU**2 + (2 * d + 8) * SIGMA**2
    if not with_baseline:
        formula += 4 * d * mean_square + d**2 * mean_square**2 / SIGMA**2
    return _noise_variance((f - baseline) * noises[0] / SIGMA, *noises), formula


EQ_DIMENSION = Identity(
    label="eq-dimension",
    chapter="reparameterization",
    name="Variance of the score function in d dimensions",
    formula=(
        r"\begin{aligned} "
        r"\operatorname{Var}_{b = dm} &= (4d + 4)\,\mu^2 + (2d + 8)\,\sigma^2 \\ "
        r"\operatorname{Var}_{b = 0} &= \operatorname{Var}_{b = dm} + 4dm + "
        r"\frac{d^2 m^2}{\sigma^2} "
        r"\end{aligned}"
    ),
    checks=(
        symbolic(
            "with baseline, one weight", lambda: _dimension(1, with_baseline=True), scope="d = 1"
        ),
        symbolic(
            "with baseline, three weights", lambda: _dimension(3, with_baseline=True), scope="d = 3"
        ),
        symbolic(
            "without baseline, one weight",
            lambda: _dimension(1, with_baseline=False),
            scope="d = 1",
        ),
        symbolic(
            "without baseline, three weights",
            lambda: _dimension(3, with_baseline=False),
            scope="d = 3",
        ),
    ),
)

SOFTPLUS = sympy.log(1 + sympy.exp(RHO))


def _softplus_inverse() -> Expressions:
    return sympy.exp(SOFTPLUS) * (1 - sympy.exp(-SOFTPLUS)), sympy.exp(RHO)


def _softplus_slope() -> Expressions:
    return sympy.diff(SOFTPLUS, RHO), 1 - sympy.exp(-SOFTPLUS)


def _softplus_round_trip() -> Numbers:
    std = 0.05
    return F.softplus(torch.tensor(inverse_softplus(std), dtype=torch.float64)), std


EQ_SOFTPLUS = Identity(
    label="eq-softplus",
    chapter="reparameterization",
    name="Softplus, its inverse and its slope",
    formula=(
        r"\begin{aligned} \sigma &= \log(1 + e^\rho) \\ \rho &= \sigma + \log(1 - e^{-\sigma}) \\ "
        r"\frac{d\sigma}{d\rho} &= 1 - e^{-\sigma} \end{aligned}"
    ),
    checks=(
        symbolic(
            "the inverse of softplus(ρ), and ρ (exponentials)", _softplus_inverse, scope="general"
        ),
        symbolic("slope by differentiation, and the formula", _softplus_slope, scope="general"),
        exact(
            "softplus of the package's inverse, and where it began",
            _softplus_round_trip,
            scope="a width of 0.05",
        ),
    ),
)


IDENTITIES = (
    EQ_REPARAMETERIZE,
    EQ_SCORE_FUNCTION,
    EQ_PATHWISE,
    EQ_GRADIENT_VARIANCES,
    EQ_BASELINE,
    EQ_DIMENSION,
    EQ_SOFTPLUS,
)
