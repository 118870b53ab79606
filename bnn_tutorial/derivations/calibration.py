"""The numbered equations of the chapter "calibration" and their checks."""

import math
from fractions import Fraction

import sympy
import torch
from sympy import log, symbols
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from bnn_tutorial.derivations.distributions import (
    EPSILON,
    GRID,
    SIGMA,
    gaussian,
    integral,
    normal,
    standard_draws,
)
from bnn_tutorial.derivations.identity import (
    Expressions,
    Identity,
    Numbers,
    exact,
    quadrature,
    symbolic,
)
from bnn_tutorial.evaluation.recalibration import TemperatureScaling
from bnn_tutorial.evaluation.scores import brier_score, decompose_brier, log_score


def _pit_on_grid() -> Numbers:
    """The chance that F(y) is at most 0.3, for y of the density whose distribution is F."""
    predicted = normal(0.4, 1.3)
    below = (predicted.cdf(GRID) <= 0.3).double()
    return integral(predicted.log_prob(GRID).exp() * below), 0.3


def _pit_exponential() -> Expressions:
    """The distribution of F(y) of an exponential y, through its inverse."""
    level, rate, y = symbols("p lambda y", positive=True)
    quantile = -log(1 - level) / rate
    density = rate * sympy.exp(-rate * y)
    return sympy.integrate(density, (y, 0, quantile)), level


EQ_CAL_PIT = Identity(
    label="eq-cal-pit",
    chapter="calibration",
    name="The probability integral transform",
    formula=r"""P(u \le p) = p \quad\text{for all } p""",
    checks=(
        symbolic(
            "through the inverse", _pit_exponential, scope="exponential distributions, any level"
        ),
        quadrature(
            "the mass below the quantile",
            _pit_on_grid,
            absolute_tolerance=1e-3,
            scope="one Gaussian, level 0.3",
        ),
    ),
)


def _half_normal() -> Expressions:
    """The mean absolute value of a Gaussian, by integration."""
    integrand = sympy.Abs(EPSILON) * gaussian(EPSILON, 0, SIGMA)
    mean = 2 * sympy.integrate(integrand.subs(sympy.Abs(EPSILON), EPSILON), (EPSILON, 0, sympy.oo))
    return mean, sympy.sqrt(2 * SIGMA**2 / sympy.pi)


def _binomial_gap() -> Numbers:
    """The mean gap of 400 draws with the chance 4/5, by adding up the binomial distribution."""
    count, chance = 400, Fraction(4, 5)
    gap = sum(
        math.comb(count, hits)
        * chance**hits
        * (1 - chance) ** (count - hits)
        * abs(Fraction(hits, count) - chance)
        for hits in range(count + 1)
    )
    return gap, math.sqrt(2 * chance * (1 - chance) / (math.pi * count))


EQ_CAL_FLOOR = Identity(
    label="eq-cal-floor",
    chapter="calibration",
    name="The gap of a perfect model",
    formula=r"""\mathbb E\, \big| \mathrm{share}_b - a \big|
\approx \sqrt{\frac{2\, a\, (1 - a)}{\pi\, n_b}}""",
    checks=(
        symbolic(
            "the mean absolute value of a Gaussian",
            _half_normal,
            scope="any deviation; that the gap is about Gaussian is not checked here",
        ),
        exact(
            "by the binomial distribution, within 1 percent",
            _binomial_gap,
            absolute_tolerance=1.6e-4,
            scope="a = 0.8, 400 data",
        ),
    ),
)


def _true_and_stated() -> tuple[Tensor, Tensor]:
    return standard_draws(0, 4).softmax(dim=-1), standard_draws(1, 4).softmax(dim=-1)


def _mean_score(score) -> Tensor:
    """The package's score of one statement, averaged over the classes by their true chances."""
    true, stated = _true_and_stated()
    scores = [score(stated[None], torch.tensor([label])) for label in range(4)]
    return (true * torch.tensor(scores, dtype=torch.float64)).sum()


def _proper_log() -> Numbers:
    true, stated = (Categorical(probs=p) for p in _true_and_stated())
    return _mean_score(log_score), true.entropy() + kl_divergence(true, stated)


def _proper_brier() -> Numbers:
    true, stated = _true_and_stated()
    return _mean_score(brier_score), (true * (1 - true)).sum() + (stated - true).square().sum()


def _proper_best() -> Expressions:
    """Two classes: the statement at which the mean log score has no slope."""
    true, stated = symbols("q p", positive=True)
    mean = -true * log(stated) - (1 - true) * log(1 - stated)
    (best,) = sympy.solve(sympy.diff(mean, stated), stated)
    return best, true


EQ_CAL_PROPER = Identity(
    label="eq-cal-proper",
    chapter="calibration",
    name="Two proper scores",
    formula=r"""\begin{aligned}
\mathbb E[-\log p_Y] &= \mathbb H[p^*] + \mathrm{KL}(p^* \,\|\, p) \\
\mathbb E\, \lVert p - e_Y \rVert^2 &= \sum_c p^*_c (1 - p^*_c) + \lVert p - p^* \rVert^2
\end{aligned}""",
    checks=(
        exact(
            "log score, by torch's entropy and KL",
            _proper_log,
            scope="four classes, one pair of distributions",
        ),
        exact(
            "Brier score, by the package",
            _proper_brier,
            scope="four classes, one pair of distributions",
        ),
        symbolic(
            "the best statement is the truth",
            _proper_best,
            scope="log score, two classes, any chance",
        ),
    ),
)


def _brier_parts() -> Numbers:
    """Five data of two classes whose probabilities are equal in each bin, in fractions."""
    stated = [Fraction(1, 5)] * 3 + [Fraction(7, 10)] * 2  # of class 1
    labels = [0, 1, 0, 1, 1]
    brier = sum(2 * (p - y) ** 2 for p, y in zip(stated, labels, strict=True)) / 5
    share = Fraction(sum(labels), 5)
    parts = Fraction(0)
    for p in (Fraction(1, 5), Fraction(7, 10)):
        of_bin = [y for q, y in zip(stated, labels, strict=True) if q == p]
        weight, hits = Fraction(len(of_bin), 5), Fraction(sum(of_bin), len(of_bin))
        parts += weight * ((p - hits) ** 2 - (hits - share) ** 2)
    return brier, 2 * (parts + share * (1 - share))  # the two classes are mirror images


def _brier_package() -> Numbers:
    """The package on 200 data with four statements: score, and the three parts alone."""
    rows = standard_draws(2, 4, 3).softmax(dim=-1)
    generator = torch.Generator().manual_seed(3)
    probabilities = rows[torch.randint(4, (200,), generator=generator)]
    labels = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
    parts = decompose_brier(probabilities, labels, 1000)
    return (
        brier_score(probabilities, labels),
        parts.reliability - parts.resolution + parts.uncertainty,
    )


EQ_CAL_BRIER = Identity(
    label="eq-cal-brier",
    chapter="calibration",
    name="The parts of the Brier score",
    formula=r"""\begin{aligned}
\mathrm{Brier} = \sum_c \Big[
& \underbrace{\textstyle\sum_b \frac{n_b}{N} (\bar p_b - \bar o_b)^2}_{\text{reliability}} \\
& - \underbrace{\textstyle\sum_b \frac{n_b}{N} (\bar o_b - \bar o)^2}_{\text{resolution}}
+ \underbrace{\bar o (1 - \bar o)}_{\text{uncertainty}} \Big]
\end{aligned}""",
    checks=(
        exact("in fractions", _brier_parts, scope="five data of two classes, two statements"),
        exact("by the package", _brier_package, scope="200 data of three classes, four statements"),
    ),
)


def _logits() -> tuple[Tensor, Tensor]:
    logits = 3 * standard_draws(4, 50, 4)
    generator = torch.Generator().manual_seed(5)
    return logits, torch.multinomial((logits / 2).softmax(dim=-1), 1, generator=generator)[:, 0]


def _temperature_slope() -> Numbers:
    """By autograd at beta = 0.7, and the formula."""
    logits, labels = _logits()
    inverse = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    nll = torch.nn.functional.cross_entropy(inverse * logits, labels)
    (slope,) = torch.autograd.grad(nll, inverse)
    expected = ((0.7 * logits).softmax(dim=-1) * logits).sum(dim=-1)
    return slope, (expected - logits[torch.arange(50), labels]).mean()


def _temperature_curvature() -> Numbers:
    logits, labels = _logits()
    inverse = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    nll = torch.nn.functional.cross_entropy(inverse * logits, labels)
    (slope,) = torch.autograd.grad(nll, inverse, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, inverse)
    p = (0.7 * logits).softmax(dim=-1)
    mean = (p * logits).sum(dim=-1, keepdim=True)
    return curvature, (p * (logits - mean).square()).sum(dim=-1).mean()


def _temperature_minimum() -> Numbers:
    """At the package's temperature expected and observed logits agree on average."""
    logits, labels = _logits()
    probabilities = TemperatureScaling().fit(logits, labels).transform(logits)
    return (probabilities * logits).sum() / 50, logits[torch.arange(50), labels].mean()


EQ_CAL_TEMPERATURE = Identity(
    label="eq-cal-temperature",
    chapter="calibration",
    name="The slope and the curvature of the NLL in 1 / T",
    formula=r"""\begin{aligned}
\frac{\partial}{\partial \beta}\, \mathrm{NLL}
&= \frac1N \sum_n \Big( \sum_c p_{n,c}\, z_{n,c} - z_{n,y_n} \Big) \\
\frac{\partial^2}{\partial \beta^2}\, \mathrm{NLL}
&= \frac1N \sum_n \operatorname{Var}_{c \sim p_n}[z_{n,c}] \ge 0
\end{aligned}""",
    checks=(
        exact(
            "the slope, by autograd", _temperature_slope, scope="50 data of four classes, β = 0.7"
        ),
        exact(
            "the curvature, by autograd",
            _temperature_curvature,
            scope="50 data of four classes, β = 0.7",
        ),
        exact(
            "at the package's temperature: no slope",
            _temperature_minimum,
            scope="50 data of four classes",
        ),
    ),
)


IDENTITIES = (
    EQ_CAL_PIT,
    EQ_CAL_FLOOR,
    EQ_CAL_PROPER,
    EQ_CAL_BRIER,
    EQ_CAL_TEMPERATURE,
)
