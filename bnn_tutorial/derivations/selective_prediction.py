"""The numbered equations of the chapter "selective_prediction" and their checks."""

import math

import mpmath
import sympy
import torch
from sympy import symbols

from bnn_tutorial.derivations.identity import (
    Expressions,
    Identity,
    Numbers,
    exact,
    quadrature,
    symbolic,
)


def _best_area() -> Expressions:
    """Right answers first: no risk up to the coverage 1 - r, then errors alone."""
    share, coverage = symbols("r c", positive=True)
    area = sympy.integrate(1 - (1 - share) / coverage, (coverage, 1 - share, 1))
    return sympy.simplify(area), share + (1 - share) * sympy.log(1 - share)


def _best_area_by_counting() -> Numbers:
    number, errors = 400_000, 20_000
    wrong = torch.arange(1, number + 1, dtype=torch.float64) - (number - errors)
    risk = wrong.clamp_min(0) / torch.arange(1, number + 1)
    share = errors / number
    return risk.mean(), share + (1 - share) * math.log(1 - share)


EQ_SELECTIVE_AREA = Identity(
    label="eq-selective-area",
    chapter="selective_prediction",
    name="The area under the best order",
    formula=r"""\int_{1-r}^{1} \frac{c - (1 - r)}{c}\, dc = r + (1 - r) \log(1 - r)""",
    checks=(
        symbolic("by integration", _best_area, scope="general"),
        # The sum over answers is a coarse integral.
        quadrature("counted", _best_area_by_counting, 1e-6, scope="400,000 answers, 5 % wrong"),
    ),
)


def _tail() -> Numbers:
    """The binomial masses added up, and the incomplete beta function."""
    number, errors, risk = 500, 3, 0.02
    masses = [
        math.comb(number, k) * risk**k * (1 - risk) ** (number - k) for k in range(errors + 1)
    ]
    beta = mpmath.betainc(number - errors, errors + 1, 0, 1 - risk, regularized=True)
    return math.fsum(masses), float(beta)


EQ_SELECTIVE_PROMISE = Identity(
    label="eq-selective-promise",
    chapter="selective_prediction",
    name="How seldom so few errors come by luck",
    formula=r"""\begin{aligned}
& P\big( \mathrm{Binomial}(n, r) \le e \big) \\
&\quad = \sum_{k=0}^{e} \binom nk r^k (1 - r)^{n - k} \le \frac\delta K
\end{aligned}""",
    checks=(
        exact(
            "by the incomplete beta function",
            _tail,
            scope="500 answers, 3 errors, r = 2 %; the inequality is a rule, not checked",
        ),
    ),
)


IDENTITIES = (EQ_SELECTIVE_AREA, EQ_SELECTIVE_PROMISE)
