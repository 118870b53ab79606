"""The numbered equations of the chapter "two_kinds" and their checks."""

import math
from fractions import Fraction

import sympy
import torch
from sympy import symbols
from torch import Tensor
from torch.distributions import Normal, StudentT

from bnn_tutorial.derivations.distributions import (
    COUNT,
    DATA,
    EPSILON,
    GRID,
    MU,
    NOISE,
    SIGMA_PRIOR,
    W,
    gaussian,
    integral,
    log_gaussian,
    mean_under,
    normal,
    standard_draws,
)
from bnn_tutorial.derivations.identity import (
    Draws,
    Expressions,
    Identity,
    Numbers,
    exact,
    monte_carlo,
    quadrature,
    symbolic,
)


def _nll(y: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    squares = (y - mean).square() * torch.exp(-log_variance)
    return (math.log(2 * math.pi) + log_variance + squares) / 2


def _nll_torch() -> Numbers:
    mean, log_variance = standard_draws(0, 2, 5)
    by_torch = -Normal(mean, torch.exp(log_variance / 2)).log_prob(DATA)
    return _nll(DATA, mean, log_variance).sum(), by_torch.sum()


def _best_noise() -> Expressions:
    """The variance that the NLL of one datum asks for: its squared residual."""
    residual, log_variance = symbols("r ell", positive=True)
    nll = log_variance / 2 + residual**2 * sympy.exp(-log_variance) / 2
    (best,) = sympy.solve(sympy.diff(nll, log_variance), log_variance)
    return sympy.exp(best), residual**2


EQ_KINDS_NLL = Identity(
    label="eq-kinds-nll",
    chapter="two_kinds",
    name="A Gaussian whose noise is predicted",
    formula=r"""\begin{aligned}
& -\log p(y \mid x, w) = \tfrac12 \log 2\pi \\
&\quad {} + \tfrac12\, \ell_w(x) + \tfrac12\, (y - m_w(x))^2\, e^{-\ell_w(x)}
\end{aligned}""",
    checks=(
        exact("against torch's Normal", _nll_torch, scope="five data"),
        symbolic(
            "the variance at its minimum is the squared residual",
            _best_noise,
            scope="one datum, any residual",
        ),
    ),
)


def _repeated_measurements() -> Expressions:
    """The precision of w by the curvature of the log posterior of three data."""
    targets = symbols("y1:4", real=True)
    log_density = log_gaussian(W, 0, SIGMA_PRIOR)
    log_density += sympy.Add(*(log_gaussian(y, W, NOISE) for y in targets))
    return -1 / sympy.diff(log_density, W, 2), 1 / (3 / NOISE**2 + 1 / SIGMA_PRIOR**2)


def _rate() -> Expressions:
    variance = 1 / (COUNT / NOISE**2 + 1 / SIGMA_PRIOR**2)
    return sympy.limit(COUNT * variance, COUNT, sympy.oo), NOISE**2


def _repeated_on_a_grid() -> Numbers:
    noise_std, prior_std = 0.7, 1.3
    log_density = normal(0.0, prior_std).log_prob(GRID)
    log_density = log_density + Normal(GRID[:, None], noise_std).log_prob(DATA).sum(dim=1)
    log_density = log_density - integral(log_density.exp()).log()
    mean = mean_under(log_density, GRID)
    variance = mean_under(log_density, (GRID - mean).square())
    return variance, 1 / (len(DATA) / noise_std**2 + 1 / prior_std**2)


EQ_KINDS_RATE = Identity(
    label="eq-kinds-rate",
    chapter="two_kinds",
    name="The width of a weight that is measured N times",
    formula=r"""\operatorname{Var}[w \mid D]
= \Big( \frac{N}{s^2} + \frac1{\sigma_p^2} \Big)^{-1}""",
    checks=(
        symbolic(
            "curvature of the log posterior",
            _repeated_measurements,
            scope="N = 3, any noise and prior",
        ),
        quadrature(
            "variance of the posterior on a grid",
            _repeated_on_a_grid,
            scope="five data, one noise and one prior",
        ),
        symbolic("times N: s²", _rate, scope="the limit of many data, any noise and prior"),
    ),
)


def _log_normal() -> Expressions:
    """The integral of exp(l) times the density of l, over its standardized value."""
    spread = symbols("b", positive=True)
    integrand = sympy.exp(MU + spread * EPSILON) * gaussian(EPSILON, 0, 1)
    mean = sympy.integrate(integrand, (EPSILON, -sympy.oo, sympy.oo))
    return sympy.powsimp(mean), sympy.exp(MU + spread**2 / 2)


def _log_normal_draws() -> Draws:
    return (0.3 + 0.5 * standard_draws(1, 100_000)).exp(), math.exp(0.3 + 0.5**2 / 2)


EQ_KINDS_EXPLOSION = Identity(
    label="eq-kinds-explosion",
    chapter="two_kinds",
    name="The mean of a log-normal variance",
    formula=r"""\mathbb E_q\big[ e^{\ell} \big] = e^{a + b^2/2}""",
    checks=(
        symbolic("by integration", _log_normal, scope="general"),
        monte_carlo("the mean of draws", _log_normal_draws, scope="a = 0.3, b = 0.5"),
    ),
)


def _pull(nll: sympy.Expr, residual: sympy.Expr) -> sympy.Expr:
    return sympy.simplify(sympy.diff(nll, residual))


def _gaussian_pull() -> Expressions:
    residual = symbols("r", real=True)
    return _pull(-log_gaussian(residual, 0, NOISE), residual), residual / NOISE**2


def _student_pull() -> Numbers:
    """The slope of torch's StudentT by autograd, at five residuals, and the formula."""
    freedom, scale = 4.0, 0.7
    residual = (4 * DATA - 3).clone().requires_grad_()
    zero = residual.new_zeros(())
    nll = -StudentT(freedom, zero, scale + zero).log_prob(residual)
    (slope,) = torch.autograd.grad(nll.sum(), residual)
    residual = residual.detach()
    formula = (freedom + 1) * residual / (freedom * scale**2 + residual.square())
    return (slope * DATA).sum(), (formula * DATA).sum()


def _student_peak() -> Expressions:
    residual, freedom = symbols("r nu", positive=True)
    pull = (freedom + 1) * residual / (freedom * NOISE**2 + residual**2)
    (peak,) = sympy.solve(sympy.diff(pull, residual), residual)
    return peak, sympy.sqrt(freedom) * NOISE


EQ_KINDS_STUDENT = Identity(
    label="eq-kinds-student",
    chapter="two_kinds",
    name="The pull of a residual",
    formula=r"""\begin{aligned}
\text{Gaussian:}\quad & \frac{r}{s^2}, \\
\text{Student's } t\text{:}\quad & \frac{(\nu + 1)\, r}{\nu s^2 + r^2}
\end{aligned}""",
    checks=(
        symbolic("Gaussian: slope of the NLL", _gaussian_pull, scope="general"),
        exact(
            "Student's t: slope of torch's StudentT by autograd",
            _student_pull,
            scope="ν = 4, s = 0.7, five residuals",
        ),
        symbolic("its peak, at √ν s", _student_peak, scope="general"),
    ),
)


def _mixture_variance() -> Numbers:
    """Two Gaussians mixed: the variance by moments in fractions, and by the law."""
    means = (Fraction(1), Fraction(3))
    variances = (Fraction(1, 4), Fraction(9, 4))
    mean = sum(means) / 2
    second = sum(v + m**2 for m, v in zip(means, variances, strict=True)) / 2
    aleatoric = sum(variances) / 2
    epistemic = sum((m - mean) ** 2 for m in means) / 2
    return second - mean**2, aleatoric + epistemic


def _drawn_observations() -> Draws:
    """Squared deviations of observations whose mean and noise both depend on a drawn weight."""
    weight, noise = standard_draws(2, 2, 100_000)
    observed = 0.4 * weight + (0.5 + 0.2 * weight) * noise
    return observed.square(), 0.4**2 + 0.5**2 + 0.2**2


EQ_KINDS_VARIANCE = Identity(
    label="eq-kinds-variance",
    chapter="two_kinds",
    name="The law of total variance",
    formula=r"""\operatorname{Var}[y \mid x] =
\underbrace{\mathbb E_q\big[ s_w^2(x) \big]}_{\text{aleatoric}}
+ \underbrace{\operatorname{Var}_q\big[ m_w(x) \big]}_{\text{epistemic}}""",
    checks=(
        exact("by moments, in fractions", _mixture_variance, scope="two Gaussians mixed"),
        monte_carlo(
            "squared deviations of what is drawn",
            _drawn_observations,
            scope="one Gaussian weight, noise that depends on it",
        ),
    ),
)


IDENTITIES = (
    EQ_KINDS_VARIANCE,
    EQ_KINDS_NLL,
    EQ_KINDS_RATE,
    EQ_KINDS_EXPLOSION,
    EQ_KINDS_STUDENT,
)
