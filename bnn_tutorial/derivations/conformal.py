"""The numbered equations of the chapter "conformal" and their checks."""

import itertools
import math
from fractions import Fraction

import sympy
import torch
from sympy import symbols
from torch.distributions import Beta, Normal

from bnn_tutorial.derivations.distributions import (
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
    symbolic,
)
from bnn_tutorial.evaluation.bands import recalibrated_levels
from bnn_tutorial.evaluation.conformal import conformal_quantile


def _ranks_counted() -> Numbers:
    """All orders of six scores: how often the last is at most the bound of the first five."""
    level, covered = 0.6, 0
    orders = list(itertools.permutations(range(6)))
    for order in orders:
        scores = torch.tensor(order, dtype=torch.float64)
        covered += int(scores[5] <= conformal_quantile(scores[:5], level))
    return Fraction(covered, len(orders)), Fraction(math.ceil(6 * level), 6)


def _scores_drawn() -> Draws:
    """Skewed scores: the share covered, over calibration sets of 19 and a new datum each."""
    scores = standard_draws(7, 4000, 20).exp()
    hits = [row[19] <= conformal_quantile(row[:19], 0.9) for row in scores]
    return torch.stack(hits).double(), 18 / 20


EQ_CONFORMAL_RANK = Identity(
    label="eq-conformal-rank",
    chapter="conformal",
    name="The promise of a conformal set",
    formula=r"""\begin{aligned}
P\big( s(x_{n+1}, y_{n+1}) \le \hat q \big) &= \frac{k}{n + 1} \\
&\in \Big[ \gamma,\; \gamma + \frac{1}{n + 1} \Big)
\end{aligned}""",
    checks=(
        exact("all 720 orders counted", _ranks_counted, scope="n = 5, level 0.6"),
        monte_carlo(
            "skewed scores drawn", _scores_drawn, scope="n = 19, level 0.9, lognormal scores"
        ),
    ),
)


def _order_statistic() -> Expressions:
    """The density of the second smallest of four uniform scores, from its distribution."""
    share = symbols("v", positive=True)
    at_least_two = sum(
        sympy.binomial(4, hits) * share**hits * (1 - share) ** (4 - hits) for hits in range(2, 5)
    )
    beta = share ** (2 - 1) * (1 - share) ** (3 - 1) / sympy.beta(2, 3)
    return sympy.expand(sympy.diff(at_least_two, share)), sympy.expand(beta.rewrite(sympy.gamma))


def _coverage_of_sets() -> Draws:
    """The variance of the coverage, over 4,000 calibration sets of 19 Gaussian scores."""
    scores = standard_draws(8, 4000, 19)
    bounds = torch.stack([conformal_quantile(row, 0.9) for row in scores])
    coverage = Normal(0.0, 1.0).cdf(bounds)
    law = Beta(18.0, 2.0)
    return (coverage - law.mean).square(), law.variance.item()


EQ_CONFORMAL_BETA = Identity(
    label="eq-conformal-beta",
    chapter="conformal",
    name="Coverage, given the calibration set",
    formula=r"""\mathrm{coverage} \sim \mathrm{Beta}(k,\; n + 1 - k)""",
    checks=(
        symbolic("the density of an order statistic", _order_statistic, scope="n = 4, k = 2"),
        monte_carlo(
            "the variance over calibration sets",
            _coverage_of_sets,
            scope="n = 19, level 0.9, Gaussian scores",
        ),
    ),
)


def _levels_of_narrow_band() -> Numbers:
    """A Gaussian stated half as wide as it is: R in closed form, and the mass below."""
    stated, true = normal(0.0, 0.5), normal(0.0, 1.0)
    level = torch.tensor(0.9, dtype=torch.float64)
    # R(p) is the true mass below the stated quantile; its inverse asks the other way round.
    asked = stated.cdf(true.icdf(level))
    return true.cdf(stated.icdf(asked)), level


def _levels_by_package() -> Draws:
    """New observations below the quantile that the package asks for, from 400,000 others."""
    stated, observed = normal(0.0, 0.5), standard_draws(6, 450_000)
    asked = recalibrated_levels(stated.cdf(observed[:400_000]), torch.tensor([0.9]))
    below = stated.cdf(observed[400_000:]) <= asked
    return below.double(), 0.9


EQ_CONFORMAL_LEVELS = Identity(
    label="eq-conformal-levels",
    chapter="conformal",
    name="Asking for another level",
    formula=r"""P\big( y \le F^{-1}( R^{-1}(p) ) \big) = R\big( R^{-1}(p) \big) = p""",
    checks=(
        exact(
            "in closed form",
            _levels_of_narrow_band,
            scope="a Gaussian stated half as wide as it is, level 0.9",
        ),
        monte_carlo(
            "by the package's levels",
            _levels_by_package,
            scope="a Gaussian stated half as wide as it is, level 0.9",
        ),
    ),
)


IDENTITIES = (
    EQ_CONFORMAL_RANK,
    EQ_CONFORMAL_BETA,
    EQ_CONFORMAL_LEVELS,
)
