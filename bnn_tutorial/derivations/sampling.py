"""The numbered equations of the chapter "sampling" and their checks.

Symbols: weights w with the prior N(0, sigma_p^2) each, a step of size eta with velocity v. Where a
posterior must be known exactly, the model is linear in its weights.
"""

import math
from fractions import Fraction
from typing import cast

import sympy
import torch
from sympy import Rational
from torch import Tensor, nn
from torch.func import grad

from bnn_tutorial.derivations.distributions import (
    DATA,
    GRID,
    SIGMA,
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
from bnn_tutorial.derivations.line import (
    FEATURES,
    NOISE_STD,
    PRIOR_STD,
    TARGETS,
    line_log_joint,
)

ETA = sympy.Symbol("eta", positive=True)


def _leapfrog_symbolic() -> tuple[sympy.Symbol, sympy.Symbol, sympy.Expr, sympy.Expr]:
    """A step from (w, v) in a landscape of which nothing is known."""
    w, v = sympy.symbols("w v", real=True)
    slope = sympy.Function("g")  # of log p(w | D)
    halfway = v + ETA / 2 * slope(w)
    w_new = w + ETA * halfway
    return w, v, w_new, halfway + ETA / 2 * slope(w_new)


def _leapfrog_volume() -> Expressions:
    w, v, w_new, v_new = _leapfrog_symbolic()
    jacobian = sympy.Matrix([w_new, v_new]).jacobian([w, v])
    return jacobian.det().doit(), 1


def _leapfrog_back() -> Expressions:
    """The starting w, found again by turning the velocity round and stepping once more."""
    w, v, w_new, v_new = _leapfrog_symbolic()
    back = [(w, w_new), (v, -v_new)]
    return w_new.subs(back, simultaneous=True), w


EQ_ROADS_LEAPFROG = Identity(
    label="eq-roads-leapfrog",
    chapter="sampling",
    name="A leapfrog step",
    formula=r"""\begin{aligned}
\tilde v &= v + \tfrac\eta2 \nabla \log p(w \mid D), \\
w' &= w + \eta\, \tilde v, \\
v' &= \tilde v + \tfrac\eta2 \nabla \log p(w' \mid D)
\end{aligned}""",
    checks=(
        symbolic(
            "it keeps volumes, in any landscape: determinant 1",
            _leapfrog_volume,
            scope="one weight, any landscape and step",
        ),
        symbolic(
            "with the velocity turned it leads back",
            _leapfrog_back,
            scope="one weight, any landscape and step",
        ),
    ),
)


def _accepted(*, corrected: bool) -> Draws:
    """Squares of draws from N(0, 1) after one coarse step, with acceptance or without."""
    w, v = standard_draws(0, 2, 100_000)
    step = 1.4
    halfway = v - step / 2 * w
    w_new = w + step * halfway
    v_new = halfway - step / 2 * w_new
    chance = ((w**2 + v**2 - w_new**2 - v_new**2) / 2).exp()
    generator = torch.Generator().manual_seed(1)
    accepted = torch.rand(len(w), generator=generator, dtype=torch.float64) < chance
    moved = torch.where(accepted, w_new, w) if corrected else w_new
    # Without acceptance one step leaves (1 - step² / 2)² + step² in place of 1.
    expected = 1.0 if corrected else (1 - step**2 / 2) ** 2 + step**2
    return moved.square(), expected


EQ_ROADS_ACCEPT = Identity(
    label="eq-roads-accept",
    chapter="sampling",
    name="Acceptance",
    formula=r"""\begin{aligned}
E(w, v) &= -\log p(w \mid D) + \tfrac12 \lVert v \rVert^2, \\
\text{chance} &= \min\left( 1,\; e^{E(w, v) - E(w', v')} \right)
\end{aligned}""",
    checks=(
        monte_carlo(
            "after a coarse step: variance 1",
            lambda: _accepted(corrected=True),
            scope="N(0, 1), one weight, η = 1.4",
        ),
        monte_carlo(
            "the same without it: (1 − η²/2)² + η²",
            lambda: _accepted(corrected=False),
            scope="N(0, 1), one weight, η = 1.4",
        ),
    ),
)


def _rhat_of(chains: list[list[Fraction]]) -> Fraction:
    """The square of R-hat, by its definition."""
    length = len(chains[0])
    means = [sum(chain, Fraction(0)) / length for chain in chains]
    within = [
        sum(((value - mean) ** 2 for value in chain), Fraction(0)) / (length - 1)
        for chain, mean in zip(chains, means, strict=True)
    ]
    centre = sum(means, Fraction(0)) / len(means)
    between = sum(((mean - centre) ** 2 for mean in means), Fraction(0)) / (len(means) - 1)
    average = sum(within, Fraction(0)) / len(within)
    return (Fraction(length - 1, length) * average + between) / average


def _rhat_of_apart() -> Numbers:
    """Two chains of which the second is the first, moved by d: 1 − 1/n + d²/(2 W)."""
    chain = [Fraction(value) for value in (0, 1, 2, 5)]
    moved = [value + 3 for value in chain]
    within = Fraction(sum((value - 2) ** 2 for value in chain), 3)
    return _rhat_of([chain, moved]), 1 - Fraction(1, 4) + Fraction(9, 2) / within


def _rhat_of_pooled() -> Numbers:
    """The estimate of the variance, by the sum of squares around the common mean."""
    chains = [[Fraction(v) for v in chain] for chain in ((0, 1, 2, 5), (1, 1, 4, 6), (2, 0, 3, 3))]
    pooled = [value for chain in chains for value in chain]
    centre = sum(pooled) / len(pooled)
    total = sum((value - centre) ** 2 for value in pooled) / len(pooled)
    means = [sum(chain) / 4 for chain in chains]
    between = sum((mean - centre) ** 2 for mean in means) / 2
    within = sum(
        (value - mean) ** 2 for chain, mean in zip(chains, means, strict=True) for value in chain
    ) / Fraction(9)
    # The pooled variance divides the spread of the three means by 3, the estimate by 2.
    return _rhat_of(chains) * within, total + between - between * Fraction(2, 3)


EQ_ROADS_RHAT = Identity(
    label="eq-roads-rhat",
    chapter="sampling",
    name="R-hat",
    formula=r"\hat R = \sqrt{\frac{\frac{n - 1}{n}\, W + B}{W}}",
    checks=(
        exact(
            "by the distance of two chains, in fractions",
            _rhat_of_apart,
            scope="a chain of four draws and its copy, moved by 3",
        ),
        exact(
            "by the variance of all draws, in fractions",
            _rhat_of_pooled,
            scope="three chains of four draws",
        ),
    ),
)


def _correlated_mean() -> Numbers:
    """The variance of the mean of 20,000 draws that remember 0.8 of the last, summed exactly."""
    memory, size = 0.8, 20_000
    lags = torch.arange(1, size, dtype=torch.float64)
    variance = (1 + 2 * ((1 - lags / size) * memory**lags).sum()) / size
    return 1 / variance, size / (1 + 2 * memory / (1 - memory))


def _correlated_series() -> Expressions:
    lag = sympy.Symbol("t", integer=True, positive=True)
    series = sympy.Sum(Rational(4, 5) ** lag, (lag, 1, sympy.oo))
    return cast(sympy.Expr, series), sympy.Integer(4)


EQ_ROADS_ESS = Identity(
    label="eq-roads-ess",
    chapter="sampling",
    name="Effective sample size",
    formula=r"S_{\text{eff}} = \frac{S}{1 + 2 \sum_{t \ge 1} \rho_t}",
    checks=(
        exact(
            "variance of the draws' mean, to 1",
            _correlated_mean,
            absolute_tolerance=1.0,
            scope="20,000 draws that remember 0.8 of the last",
        ),
        symbolic(
            "the correlations add up to 4: nine draws count as one",
            _correlated_series,
            scope="draws that remember 0.8 of the last",
        ),
    ),
)


def _decayed_gradient() -> Numbers:
    """A weight after a step of SGD with weight decay, and with the log posterior's gradient."""
    size, rate, start = len(TARGETS), 0.1, torch.tensor([0.4, -0.7], dtype=torch.float64)
    w = nn.Parameter(start.clone())
    optimizer = torch.optim.SGD([w], lr=rate, weight_decay=1 / (size * PRIOR_STD**2))
    (-normal(0.0, NOISE_STD).log_prob(TARGETS - FEATURES @ w).mean()).backward()
    optimizer.step()
    by_hand = start + rate / size * grad(line_log_joint)(start)
    return w[1].detach(), by_hand[1]


def _log_posterior_on_grid() -> Numbers:
    """log p(w | D) of a mean, normalized on the grid, at w = 1 less at w = -1, and the formula."""
    prior, size = normal(0.0, PRIOR_STD), len(DATA)
    nll = -normal(0.0, 1.0).log_prob(DATA[:, None] - GRID).mean(dim=0)
    weights = prior.log_prob(GRID) - size * nll
    posterior = weights - torch.logsumexp(weights, dim=0)
    first, second = (int((GRID - at).abs().argmin()) for at in (1.0, -1.0))

    def objective(at: int) -> Tensor:
        return nll[at] + GRID[at] ** 2 / (2 * size * PRIOR_STD**2)

    return posterior[first] - posterior[second], -size * (objective(first) - objective(second))


EQ_ROADS_MAP = Identity(
    label="eq-roads-map",
    chapter="sampling",
    name="The posterior as a loss",
    formula=r"""\begin{aligned}
-\frac1N \log p(w \mid D) ={}& \mathrm{NLL}(w) + \frac{\lVert w \rVert^2}{2 N \sigma_p^2} \\
& + \text{constant}
\end{aligned}""",
    checks=(
        quadrature(
            "log posterior at two weights, by a grid",
            _log_posterior_on_grid,
            scope="one weight, five data, two of its values",
        ),
        exact(
            "a step of SGD with weight decay 1/(N σ_p²)",
            _decayed_gradient,
            scope="a line through three points, one step",
        ),
    ),
)


def _swag_draws() -> Draws:
    """Products of two weights' deviations in draws from the last four of some visited weights."""
    visited = standard_draws(10, 4, 2) @ torch.tensor([[1.0, 0.6], [0.0, 0.5]]).double()
    deviations = visited - visited.mean(dim=0)
    variance = deviations.square().mean(dim=0)
    covariance = (deviations.T @ deviations / 3)[0, 1] / 2
    diagonal, low_rank = standard_draws(11, 40_000, 2), standard_draws(12, 40_000, 4)
    drawn = (variance / 2).sqrt() * diagonal + low_rank @ deviations / math.sqrt(2 * 3)
    return drawn.prod(dim=1), covariance.item()


def _swag_variance() -> Draws:
    visited = standard_draws(13, 4)
    deviations = visited - visited.mean()
    variance = deviations.square().mean()
    diagonal, low_rank = standard_draws(14, 40_000), standard_draws(15, 40_000, 4)
    drawn = (variance / 2).sqrt() * diagonal + low_rank @ deviations / math.sqrt(2 * 3)
    return drawn.square(), (variance / 2 + deviations.square().sum() / 6).item()


EQ_ROADS_SWAG = Identity(
    label="eq-roads-swag",
    chapter="sampling",
    name="SWAG's Gaussian",
    formula=r"""q(w) = \mathcal N\left( \bar w,\; \tfrac12 \operatorname{diag}(u)
+ \frac{A A^\top}{2 (K - 1)} \right)""",
    checks=(
        monte_carlo(
            "the covariance of two weights in draws", _swag_draws, scope="two weights, four visits"
        ),
        monte_carlo(
            "the variance of one weight in draws", _swag_variance, scope="one weight, four visits"
        ),
    ),
)


def _langevin_variance() -> Expressions:
    """The variance that a step leaves as it was, for the posterior N(0, σ²)."""
    variance = sympy.Symbol("V", positive=True)
    kept = (1 - ETA / (2 * SIGMA**2)) ** 2 * variance + ETA
    (stationary,) = sympy.solve(sympy.Eq(kept, variance), variance)
    return stationary, SIGMA**2 / (1 - ETA / (4 * SIGMA**2))


def _langevin_draws() -> Draws:
    """Squares after 60 steps of 0.8 in 40,000 chains that start at 0: too wide, by 1/(1 − η/4)."""
    w = torch.zeros(40_000, dtype=torch.float64)
    for noise in standard_draws(16, 60, 40_000):
        w = w - 0.4 * w + math.sqrt(0.8) * noise
    return w.square(), 1 / (1 - 0.8 / 4)


EQ_ROADS_LANGEVIN = Identity(
    label="eq-roads-langevin",
    chapter="sampling",
    name="A Langevin step",
    formula=r"w' = w + \frac\eta2 \nabla \log p(w \mid D) + \sqrt\eta\, \epsilon",
    checks=(
        symbolic(
            "the variance at rest σ²/(1 − η/(4σ²))",
            _langevin_variance,
            scope="N(0, σ²), any σ and η",
        ),
        monte_carlo("40,000 chains: variance 1.25", _langevin_draws, scope="N(0, 1), η = 0.8"),
    ),
)


IDENTITIES = (
    EQ_ROADS_MAP,
    EQ_ROADS_LEAPFROG,
    EQ_ROADS_ACCEPT,
    EQ_ROADS_RHAT,
    EQ_ROADS_ESS,
    EQ_ROADS_SWAG,
    EQ_ROADS_LANGEVIN,
)
