"""The numbered equations of the chapter "other_roads" and their checks.

Symbols: weights w with the prior N(0, sigma_p^2) each, a step of size eta with velocity v, trained
weights w-hat, a dropout rate r, a curvature h per datum. Where a posterior must be known exactly,
the model is linear in its weights.
"""

import math
from fractions import Fraction
from itertools import product
from typing import cast

import sympy
import torch
from sympy import Rational
from torch import Tensor, nn
from torch.func import grad, jacrev

from bnn_tutorial.derivations.distributions import (
    DATA,
    EPSILON,
    GRID,
    MU,
    SIGMA,
    SIGMA_PRIOR,
    W,
    expectation,
    log_evidence,
    mean_under,
    normal,
    posterior_precision,
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
from bnn_tutorial.randomness import seeded

ETA = sympy.Symbol("eta", positive=True)

# A line through three points with a weight and a bias, in which all is Gaussian.
FEATURES = torch.tensor([[1.0, -1.0], [1.0, 0.5], [1.0, 2.0]], dtype=torch.float64)
TARGETS = torch.tensor([0.3, 1.1, 1.2], dtype=torch.float64)
NOISE_STD, PRIOR_STD = 0.6, 1.5


def _line_log_joint(w: Tensor) -> Tensor:
    """log p(D | w) + log p(w) of the line through three points."""
    noise, prior = normal(0.0, NOISE_STD), normal(0.0, PRIOR_STD)
    return noise.log_prob(TARGETS - FEATURES @ w).sum() + prior.log_prob(w).sum()


def _line_precision() -> Tensor:
    return posterior_precision(FEATURES, NOISE_STD, PRIOR_STD)


def _line_mean() -> Tensor:
    return torch.linalg.solve(_line_precision(), FEATURES.T @ TARGETS / NOISE_STD**2)


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
    chapter="other_roads",
    name="A leapfrog step",
    formula=r"""\begin{aligned}
\tilde v &= v + \tfrac\eta2 \nabla \log p(w \mid D), \\
w' &= w + \eta\, \tilde v, \\
v' &= \tilde v + \tfrac\eta2 \nabla \log p(w' \mid D)
\end{aligned}""",
    checks=(
        symbolic("it keeps volumes, in any landscape: determinant 1", _leapfrog_volume),
        symbolic("with the velocity turned it leads back, in any landscape", _leapfrog_back),
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
    chapter="other_roads",
    name="Acceptance",
    formula=r"""\begin{aligned}
E(w, v) &= -\log p(w \mid D) + \tfrac12 \lVert v \rVert^2, \\
\text{chance} &= \min\left( 1,\; e^{E(w, v) - E(w', v')} \right)
\end{aligned}""",
    checks=(
        monte_carlo(
            "draws of N(0, 1) after a coarse step: variance 1", lambda: _accepted(corrected=True)
        ),
        monte_carlo("the same without it: (1 − η²/2)² + η²", lambda: _accepted(corrected=False)),
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
    chapter="other_roads",
    name="R-hat",
    formula=r"\hat R = \sqrt{\frac{\frac{n - 1}{n}\, W + B}{W}}",
    checks=(
        exact("a chain and its copy, moved by 3, in fractions", _rhat_of_apart),
        exact("three chains: the variance of all draws, in fractions", _rhat_of_pooled),
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
    chapter="other_roads",
    name="Effective sample size",
    formula=r"S_{\text{eff}} = \frac{S}{1 + 2 \sum_{t \ge 1} \rho_t}",
    checks=(
        exact(
            "draws that remember 0.8 of the last: variance of their mean, to 1",
            _correlated_mean,
            absolute_tolerance=1.0,
        ),
        symbolic(
            "their correlations add up to 4, so that nine draws count as one", _correlated_series
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
    by_hand = start + rate / size * grad(_line_log_joint)(start)
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
    chapter="other_roads",
    name="The posterior as a loss",
    formula=r"""\begin{aligned}
-\frac1N \log p(w \mid D) ={}& \mathrm{NLL}(w) + \frac{\lVert w \rVert^2}{2 N \sigma_p^2} \\
& + \text{constant}
\end{aligned}""",
    checks=(
        quadrature("log posterior at two weights, by a grid", _log_posterior_on_grid),
        exact("a step of SGD with weight decay 1/(N σ_p²)", _decayed_gradient),
    ),
)


def _laplace_of_line() -> Numbers:
    """A variance of the line's exact posterior, from the Hessian, and by the formula."""
    x = torch.tensor([1.0, 3.0], dtype=torch.float64)
    exact_covariance = torch.linalg.inv(-jacrev(grad(_line_log_joint))(_line_mean()))
    jacobian = jacrev(lambda w: FEATURES @ w)(_line_mean())
    covariance = torch.linalg.inv(posterior_precision(jacobian, NOISE_STD, PRIOR_STD))
    return x @ exact_covariance @ x, x @ covariance @ x


def _curved_outputs(w: Tensor) -> Tensor:
    """The outputs of two tanh units at three inputs, seven weights."""
    hidden = torch.tanh(FEATURES[:, 1:] * w[:2] + w[2:4])
    return hidden @ w[4:6] + w[6]


def _hessian_without_misfit() -> Numbers:
    """The trace of the Hessian where each datum is met exactly, and of the formula's precision."""
    w = standard_draws(3, 7)
    targets = _curved_outputs(w)

    def loss(at: Tensor) -> Tensor:
        misfit = (targets - _curved_outputs(at)).square().sum() / (2 * NOISE_STD**2)
        return misfit + at.square().sum() / (2 * PRIOR_STD**2)

    jacobian = jacrev(_curved_outputs)(w)
    formula = posterior_precision(jacobian, NOISE_STD, PRIOR_STD)
    return jacrev(grad(loss))(w).logdet(), formula.logdet()


EQ_ROADS_LAPLACE = Identity(
    label="eq-roads-laplace",
    chapter="other_roads",
    name="Laplace's Gaussian",
    formula=r"""\begin{aligned}
\Sigma^{-1} &= \frac{1}{s^2} \sum_n J(x_n)^\top J(x_n) + \frac{I}{\sigma_p^2}, \\
\operatorname{Var}[f(x)] &\approx J(x)\, \Sigma\, J(x)^\top
\end{aligned}""",
    checks=(
        exact("a line: the exact posterior's variance", _laplace_of_line),
        exact("seven weights that meet all data: log det of the Hessian", _hessian_without_misfit),
    ),
)


def _kronecker(inputs: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
    """Norms of the sum over data, and of the product of the two sums over N."""
    outer = torch.einsum("ni,nj->nij", inputs, inputs)
    slope_outer = torch.einsum("ni,nj->nij", slopes, slopes)
    pairs = zip(outer, slope_outer, strict=True)
    left = torch.stack([torch.kron(a, g) for a, g in pairs]).sum(dim=0)
    right = torch.kron(outer.sum(dim=0), slope_outer.sum(dim=0)) / len(inputs)
    return torch.linalg.matrix_norm(left), torch.linalg.matrix_norm(right)


def _kronecker_of_one_output() -> Numbers:
    """The last layer of a network with one output: its slope is the same for each datum."""
    return _kronecker(standard_draws(4, 6, 3), torch.full((6, 1), 1 / NOISE_STD).double())


def _kronecker_of_many() -> Numbers:
    """Inputs and slopes that know nothing of each other, many data: near, to 2 percent."""
    inputs, slopes = standard_draws(5, 4000, 3), standard_draws(6, 4000, 2)
    left, right = _kronecker(inputs, slopes)
    return left / right, 1.0


EQ_ROADS_KRONECKER = Identity(
    label="eq-roads-kronecker",
    chapter="other_roads",
    name="A layer's curvature as a product",
    formula=r"""\begin{aligned}
&\sum_n \left( a_n a_n^\top \right) \otimes \left( g_n g_n^\top \right) \\
&\quad \approx \frac1N \sum_n a_n a_n^\top \otimes \sum_n g_n g_n^\top
\end{aligned}""",
    checks=(
        exact("one output and the last layer: equal", _kronecker_of_one_output),
        exact(
            "independent inputs and slopes, 4,000 data: equal to 0.05",
            _kronecker_of_many,
            absolute_tolerance=0.05,
        ),
    ),
)


def _evidence_of_line() -> Numbers:
    joint = _line_log_joint(_line_mean())
    volume = math.log(2 * math.pi) - _line_precision().logdet() / 2
    return joint + volume, log_evidence(FEATURES, TARGETS, NOISE_STD, PRIOR_STD)


def _evidence_on_grid() -> Numbers:
    """The evidence of a weight seen through tanh with five data, and Laplace's, which is near."""

    def log_joint(w: Tensor) -> Tensor:
        misfit = normal(0.0, 0.3).log_prob(torch.tanh(w)[..., None] - 0.2 * DATA).sum(dim=-1)
        return misfit + normal(0.0, 1.0).log_prob(w)

    values = log_joint(GRID)
    peak = GRID[values.argmax()]
    precision = -grad(grad(log_joint))(peak)
    laplace = log_joint(peak) + math.log(2 * math.pi) / 2 - precision.log() / 2
    return mean_under(values, torch.ones_like(GRID)).log(), laplace


EQ_ROADS_EVIDENCE = Identity(
    label="eq-roads-evidence",
    chapter="other_roads",
    name="Laplace's evidence",
    formula=r"""\begin{aligned}
\log p(D) \approx{}& \log p(D \mid \hat w) + \log p(\hat w) \\
& + \tfrac P2 \log 2\pi + \tfrac12 \log \det \Sigma
\end{aligned}""",
    checks=(
        exact("a line: the exact evidence", _evidence_of_line),
        quadrature(
            "a weight behind tanh, to 0.05 nats", _evidence_on_grid, absolute_tolerance=0.05
        ),
    ),
)


def _every_mask() -> Numbers:
    """The expected squared error of three dropped-out units, over all eight masks."""
    rate, target = Fraction(1, 4), Fraction(2, 3)
    units = (Fraction(1, 2), Fraction(-3), Fraction(5, 4))  # each a weight times a unit
    left = Fraction(0)
    for mask in product((0, 1), repeat=3):
        chance = math.prod(1 - rate if kept else rate for kept in mask)
        output = sum(kept * unit / (1 - rate) for kept, unit in zip(mask, units, strict=True))
        left += chance * (target - output) ** 2
    right = (target - sum(units)) ** 2 + rate / (1 - rate) * sum(unit**2 for unit in units)
    return left, right


def _dropout_layer() -> Draws:
    """Squared deviations of the sum behind PyTorch's own dropout, and the formula's variance."""
    rate, units = 0.3, standard_draws(7, 5)
    with seeded(0):
        dropped = nn.Dropout(rate)(units.expand(40_000, 5)).sum(dim=1)
    variance = rate / (1 - rate) * units.square().sum()
    return (dropped - units.sum()).square(), variance.item()


EQ_ROADS_DROPOUT = Identity(
    label="eq-roads-dropout",
    chapter="other_roads",
    name="The width that dropout makes",
    formula=r"""\begin{aligned}
\mathbb E_m\left[ (y - f)^2 \right] ={}& \left( y - \mathbb E_m[f] \right)^2 \\
& + \underbrace{\frac{r}{1 - r} \sum_j (v_j h_j)^2}_{\operatorname{Var}_m[f]}
\end{aligned}""",
    checks=(
        exact("three units, all eight masks, in fractions", _every_mask),
        monte_carlo("nn.Dropout: squared deviations of a sum of five units", _dropout_layer),
    ),
)


def _anchored_lines(count: int) -> Tensor:
    """The best lines for perturbed data and anchors, shape (count, 2)."""
    noise, anchors = standard_draws(8, count, 3), PRIOR_STD * standard_draws(9, count, 2)
    targets = TARGETS + NOISE_STD * noise
    right = targets @ FEATURES / NOISE_STD**2 + anchors / PRIOR_STD**2
    return torch.linalg.solve(_line_precision(), right.T).T


def _anchored_variance() -> Draws:
    covariance = torch.linalg.inv(_line_precision())
    slope = (_anchored_lines(20_000) - _line_mean())[:, 1]
    return slope.square(), covariance[1, 1].item()


def _anchored_covariance() -> Numbers:
    """The covariance of the perturbed right side, carried through the solution, and Σ."""
    covariance = torch.linalg.inv(_line_precision())
    of_targets = FEATURES.T @ (NOISE_STD**2 * torch.eye(3).double()) @ FEATURES / NOISE_STD**4
    of_anchors = PRIOR_STD**2 * torch.eye(2).double() / PRIOR_STD**4
    carried = covariance @ (of_targets + of_anchors) @ covariance
    return carried[0, 1], covariance[0, 1]


EQ_ROADS_ANCHORED = Identity(
    label="eq-roads-anchored",
    chapter="other_roads",
    name="A member that is a posterior draw",
    formula=r"""\begin{aligned}
& \hat w_k = \arg\min_w \sum_n \frac{(\tilde y_n - f_w(x_n))^2}{2 s^2} + \frac{\lVert w - \tilde
w \rVert^2}{2 \sigma_p^2}, \\
& \tilde y_n \sim \mathcal N(y_n, s^2), \quad \tilde w \sim p(w)
\end{aligned}""",
    checks=(
        exact("a line: the members' covariance is the posterior's", _anchored_covariance),
        monte_carlo("20,000 lines: the slope's squared deviations", _anchored_variance),
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
    chapter="other_roads",
    name="SWAG's Gaussian",
    formula=r"""q(w) = \mathcal N\left( \bar w,\; \tfrac12 \operatorname{diag}(u)
+ \frac{D D^\top}{2 (K - 1)} \right)""",
    checks=(
        monte_carlo("the covariance of two weights in draws", _swag_draws),
        monte_carlo("the variance of one weight in draws", _swag_variance),
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
    chapter="other_roads",
    name="A Langevin step",
    formula=r"w' = w + \frac\eta2 \nabla \log p(w \mid D) + \sqrt\eta\, \epsilon",
    checks=(
        symbolic("on N(0, σ²): the variance σ²/(1 − η/(4σ²))", _langevin_variance),
        monte_carlo("40,000 chains on N(0, 1) with η = 0.8: variance 1.25", _langevin_draws),
    ),
)

# A loss that is no parabola, as a stand-in for N times the mean NLL.
LOSS = W**4 / 4 - W**3 + 2 * W


def _curvature_by_noise() -> Expressions:
    """E_q[loss''], and E[loss' ε] / σ, both integrated."""
    curvature = expectation(sympy.diff(LOSS, W, 2))
    slope = sympy.diff(LOSS, W).subs(W, MU + SIGMA * EPSILON)
    bell = sympy.exp(-(EPSILON**2) / 2) / sympy.sqrt(2 * sympy.pi)
    by_noise = sympy.integrate(sympy.expand(slope * EPSILON) * bell, (EPSILON, -sympy.oo, sympy.oo))
    return curvature, by_noise / SIGMA


def _width_at_rest() -> Expressions:
    """The slope of the negative ELBO in σ, times σ: 0 where 1/σ² is the formula's."""
    divergence = sympy.log(SIGMA_PRIOR / SIGMA) + (SIGMA**2 + MU**2) / (2 * SIGMA_PRIOR**2)
    objective = expectation(LOSS) + divergence
    precision = expectation(sympy.diff(LOSS, W, 2)) + 1 / SIGMA_PRIOR**2
    return sympy.diff(objective, SIGMA) * SIGMA, SIGMA**2 * precision - 1


EQ_ROADS_AT_REST = Identity(
    label="eq-roads-at-rest",
    chapter="other_roads",
    name="Mean field at rest",
    formula=r"""\begin{aligned}
\frac{1}{\sigma^2} &= \frac{1}{\sigma_p^2} + N\, \mathbb E_q\left[ \partial_w^2\, \mathrm{NLL}
\right], \\
\mathbb E_q\left[ \partial_w^2\, \mathrm{NLL} \right] &= \mathbb E_q\left[ \frac{\epsilon}{\sigma}\,
\partial_w \mathrm{NLL} \right]
\end{aligned}""",
    checks=(
        symbolic("a loss of degree four: the ELBO's slope in σ", _width_at_rest),
        symbolic("the same loss: curvature from slopes and noise", _curvature_by_noise),
    ),
)


def _ivon_positive() -> Expressions:
    """The new curvature plus the prior's, as a product that can't be negative."""
    h, estimate, mixing = sympy.symbols("h e m", real=True)
    decay = sympy.Symbol("d", positive=True)
    left = h + mixing * (estimate - h) + mixing**2 * (estimate - h) ** 2 / (2 * (h + decay)) + decay
    share = mixing * (estimate - h) / (h + decay)
    return left, (h + decay) / 2 * (1 + (1 + share) ** 2)


def _ivon_at_rest() -> Numbers:
    """Where the update of one weight of the linear model comes to rest, and the posterior's."""
    # A loss with constant curvature 2 per datum, ten data, prior precision 3.
    curvature, size, decay, mixing = 2.0, 10, 0.3, 0.01
    h = torch.tensor(0.1, dtype=torch.float64)
    for _ in range(5000):
        h = h + mixing * (curvature - h) + (mixing * (curvature - h)) ** 2 / (2 * (h + decay))
    return size * (h + decay), size * curvature + 3.0


EQ_ROADS_IVON = Identity(
    label="eq-roads-ivon",
    chapter="other_roads",
    name="IVON's curvature",
    formula=r"""\begin{aligned}
h' &= h + b\, (\hat h - h) + \frac{b^2 (\hat h - h)^2}{2\, (h + \delta)}, \\
\sigma^2 &= \frac{1}{N\, (h + \delta)}, \quad \delta = \frac{1}{N \sigma_p^2}
\end{aligned}""",
    checks=(
        symbolic("h' + δ is (h + δ)/2 times 1 plus a square: positive", _ivon_positive),
        exact("a parabola: it comes to rest at the exact precision", _ivon_at_rest),
    ),
)


IDENTITIES = (
    EQ_ROADS_LEAPFROG,
    EQ_ROADS_ACCEPT,
    EQ_ROADS_RHAT,
    EQ_ROADS_ESS,
    EQ_ROADS_MAP,
    EQ_ROADS_LAPLACE,
    EQ_ROADS_KRONECKER,
    EQ_ROADS_EVIDENCE,
    EQ_ROADS_DROPOUT,
    EQ_ROADS_ANCHORED,
    EQ_ROADS_SWAG,
    EQ_ROADS_LANGEVIN,
    EQ_ROADS_AT_REST,
    EQ_ROADS_IVON,
)
