"""The numbered equations of the chapter "other_roads" and their checks.

Symbols: weights w with the prior N(0, sigma_p^2) each, trained weights w-hat, a dropout rate r, a
curvature h per datum. Where a posterior must be known exactly, the model is linear in its weights.
"""

import math
from fractions import Fraction
from itertools import product

import sympy
import torch
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
from bnn_tutorial.derivations.line import (
    FEATURES,
    NOISE_STD,
    PRIOR_STD,
    TARGETS,
    line_log_joint,
    line_mean,
    line_precision,
)
from bnn_tutorial.randomness import seeded


def _laplace_of_line() -> Numbers:
    """A variance of the line's exact posterior, from the Hessian, and by the formula."""
    x = torch.tensor([1.0, 3.0], dtype=torch.float64)
    exact_covariance = torch.linalg.inv(-jacrev(grad(line_log_joint))(line_mean()))
    jacobian = jacrev(lambda w: FEATURES @ w)(line_mean())
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
        exact(
            "the exact posterior's variance", _laplace_of_line, scope="a line through three points"
        ),
        exact(
            "log det of the Hessian",
            _hessian_without_misfit,
            scope="seven weights that meet all three data",
        ),
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
        exact(
            "both sides equal",
            _kronecker_of_one_output,
            scope="the last layer of one output, six data",
        ),
        exact(
            "equal to 0.05",
            _kronecker_of_many,
            absolute_tolerance=0.05,
            scope="independent inputs and slopes, 4,000 data",
        ),
    ),
)


def _evidence_of_line() -> Numbers:
    joint = line_log_joint(line_mean())
    volume = math.log(2 * math.pi) - line_precision().logdet() / 2
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
        exact("the exact evidence", _evidence_of_line, scope="a line through three points"),
        quadrature(
            "the evidence on a grid, to 0.05 nats",
            _evidence_on_grid,
            absolute_tolerance=0.05,
            scope="a weight behind tanh, five data",
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
        exact("all eight masks, in fractions", _every_mask, scope="three units, r = 1/4"),
        monte_carlo(
            "nn.Dropout: squared deviations of a sum", _dropout_layer, scope="five units, r = 0.3"
        ),
    ),
)


def _anchored_lines(count: int) -> Tensor:
    """The best lines for perturbed data and anchors, shape (count, 2)."""
    noise, anchors = standard_draws(8, count, 3), PRIOR_STD * standard_draws(9, count, 2)
    targets = TARGETS + NOISE_STD * noise
    right = targets @ FEATURES / NOISE_STD**2 + anchors / PRIOR_STD**2
    return torch.linalg.solve(line_precision(), right.T).T


def _anchored_variance() -> Draws:
    covariance = torch.linalg.inv(line_precision())
    slope = (_anchored_lines(20_000) - line_mean())[:, 1]
    return slope.square(), covariance[1, 1].item()


def _anchored_covariance() -> Numbers:
    """The covariance of the perturbed right side, carried through the solution, and Σ."""
    covariance = torch.linalg.inv(line_precision())
    of_targets = FEATURES.T @ (NOISE_STD**2 * torch.eye(3).double()) @ FEATURES / NOISE_STD**4
    of_anchors = PRIOR_STD**2 * torch.eye(2).double() / PRIOR_STD**4
    carried = covariance @ (of_targets + of_anchors) @ covariance
    return carried[0, 1], covariance[0, 1]


EQ_ROADS_ANCHORED = Identity(
    label="eq-roads-anchored",
    chapter="other_roads",
    name="A member that is a posterior draw",
    formula=r"""\begin{aligned}
& \hat w_k = \arg\min_w \sum_n \frac{(\tilde y_n - f_w(x_n))^2}{2 s^2} \\
& \qquad {} + \frac{\lVert w - \tilde w \rVert^2}{2 \sigma_p^2}, \\
& \tilde y_n \sim \mathcal N(y_n, s^2), \quad \tilde w \sim p(w)
\end{aligned}""",
    checks=(
        exact(
            "the members' covariance is the posterior's",
            _anchored_covariance,
            scope="a line through three points",
        ),
        monte_carlo(
            "the slope's squared deviations",
            _anchored_variance,
            scope="20,000 lines through three points",
        ),
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
        symbolic(
            "the ELBO's slope in σ",
            _width_at_rest,
            scope="one weight, a loss of degree four, any q and prior",
        ),
        symbolic(
            "curvature from slopes and noise",
            _curvature_by_noise,
            scope="one weight, a loss of degree four, any q",
        ),
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
        symbolic(
            "h' + δ is (h + δ)/2 times 1 plus a square: positive", _ivon_positive, scope="general"
        ),
        exact(
            "it comes to rest at the exact precision", _ivon_at_rest, scope="a parabola, ten data"
        ),
    ),
)


IDENTITIES = (
    EQ_ROADS_LAPLACE,
    EQ_ROADS_KRONECKER,
    EQ_ROADS_EVIDENCE,
    EQ_ROADS_DROPOUT,
    EQ_ROADS_ANCHORED,
    EQ_ROADS_AT_REST,
    EQ_ROADS_IVON,
)
