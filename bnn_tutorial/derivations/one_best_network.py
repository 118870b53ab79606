"""The numbered equations of the chapter "one_best_network" and their checks."""

import math
from collections.abc import Callable

import mpmath
import sympy
import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, MultivariateNormal, Normal

from bnn_tutorial.derivations.distributions import (
    log_evidence,
    normal,
    posterior_precision,
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

# A regression on 6 data with 3 features, for most of the chapter.


def _regression() -> tuple[Tensor, Tensor, float, float]:
    """Return features, targets, the noise's standard deviation and the prior's."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(6, generator=generator, dtype=torch.float64)
    return features, targets, 0.7, 1.3


def _log_joint(weights: Tensor, prior: Distribution) -> Tensor:
    features, targets, noise_std, _ = _regression()
    log_likelihood = Normal(features @ weights, noise_std).log_prob(targets).sum()
    return log_likelihood + prior.log_prob(weights).sum()


FIRST = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64)
SECOND = torch.tensor([-0.5, 0.1, 0.4], dtype=torch.float64)


def _difference(prior: Distribution, penalized: Callable[[Tensor], Tensor]) -> Numbers:
    """Return log p(w | D) of the second vector minus the first's, by torch and by the formula."""
    by_torch = _log_joint(SECOND, prior) - _log_joint(FIRST, prior)
    return by_torch, penalized(FIRST) - penalized(SECOND)


def _l2_difference() -> Numbers:
    features, targets, noise_std, prior_std = _regression()

    def penalized(w: Tensor) -> Tensor:
        penalty = (noise_std / prior_std) ** 2 * w.square().sum()
        return ((targets - features @ w).square().sum() + penalty) / (2 * noise_std**2)

    return _difference(normal(0.0, prior_std), penalized)


EQ_MAP_GAUSSIAN = Identity(
    label="eq-map-gaussian",
    chapter="one_best_network",
    name="A Gaussian prior is L2",
    formula=(
        r"\begin{aligned} -\log p(w \mid D) &= \frac{1}{2 s^2} \Big( \lVert y - \Phi w \rVert^2 \\ "
        r"&\quad + \alpha \lVert w \rVert^2 \Big) + \text{const}, \\ "
        r"\alpha &= \frac{s^2}{\sigma_p^2} \end{aligned}"
    ),
    checks=(
        exact(
            "Difference between two weight vectors, by torch.distributions",
            _l2_difference,
            scope="6 data, 3 features, one pair of weights",
        ),
    ),
)


def _l1_difference() -> Numbers:
    features, targets, noise_std, scale = _regression()

    def penalized(w: Tensor) -> Tensor:
        penalty = noise_std**2 / scale * w.abs().sum()
        return ((targets - features @ w).square().sum() / 2 + penalty) / noise_std**2

    return _difference(Laplace(features.new_zeros(()), scale), penalized)


EQ_MAP_LAPLACE = Identity(
    label="eq-map-laplace",
    chapter="one_best_network",
    name="A Laplace prior is L1",
    formula=(
        r"\begin{aligned} -\log p(w \mid D) &= \frac{1}{s^2} \Big( "
        r"\tfrac12 \lVert y - \Phi w \rVert^2 \\ "
        r"&\quad + \alpha_1 \lVert w \rVert_1 \Big) + \text{const}, \\ "
        r"\alpha_1 &= \frac{s^2}{c} \end{aligned}"
    ),
    checks=(
        exact(
            "Difference between two weight vectors, by torch.distributions",
            _l1_difference,
            scope="6 data, 3 features, one pair of weights",
        ),
    ),
)

DISTANCE, TAU, MARGIN = sympy.symbols("u tau m", positive=True)


def _excess(w: sympy.Expr, z: sympy.Expr) -> sympy.Expr:
    """Return by how much the penalized square at w exceeds that at the soft threshold of z."""
    claimed = sympy.sign(z) * sympy.Max(sympy.Abs(z) - TAU, 0)

    def penalized(w: sympy.Expr) -> sympy.Expr:
        return (w - z) ** 2 / 2 + TAU * sympy.Abs(w)

    return penalized(w) - penalized(claimed)


def _excess_same_side() -> Expressions:
    return _excess(DISTANCE, TAU + MARGIN), (DISTANCE - MARGIN) ** 2 / 2


def _excess_other_side() -> Expressions:
    excess = (DISTANCE + MARGIN) ** 2 / 2 + 2 * TAU * DISTANCE
    return _excess(-DISTANCE, TAU + MARGIN), excess


def _excess_at_zero() -> Expressions:
    # z > 0, and tau exceeds it by m; w is on the side of z, on which the excess is smaller.
    z = sympy.Symbol("z", positive=True)
    excess = _excess(DISTANCE, z).subs(TAU, z + MARGIN)
    return excess, DISTANCE**2 / 2 + DISTANCE * MARGIN


EQ_SOFT_THRESHOLD = Identity(
    label="eq-soft-threshold",
    chapter="one_best_network",
    name="Soft threshold",
    formula=(
        r"\begin{aligned} &\operatorname*{arg\,min}_{w}\; "
        r"\tfrac12 (w - \tilde w)^2 + \tau \lvert w \rvert \\ "
        r"&\quad = \operatorname{sign}(\tilde w)\, \max(\lvert \tilde w \rvert - \tau,\; 0) "
        r"\end{aligned}"
    ),
    checks=(
        symbolic(
            "Excess over the minimum at w > 0, for w̃ > τ: a square",
            _excess_same_side,
            scope="any w > 0 and w̃ > τ",
        ),
        symbolic(
            "The same at w < 0: a sum of positive terms",
            _excess_other_side,
            scope="any w < 0 and w̃ > τ",
        ),
        symbolic(
            "Excess at w > 0, for 0 < w̃ < τ: a sum of positive terms",
            _excess_at_zero,
            scope="any w > 0 and 0 < w̃ < τ",
        ),
    ),
)


def _posterior() -> tuple[Tensor, Tensor]:
    """Return the mean (3,) and the covariance (3, 3) that the equation states."""
    features, targets, noise_std, prior_std = _regression()
    covariance = torch.linalg.inv(posterior_precision(features, noise_std, prior_std))
    return covariance @ features.T @ targets / noise_std**2, covariance


def _posterior_datum_by_datum() -> Numbers:
    """Return the largest differences of the two means and covariances, added up, and 0."""
    features, targets, noise_std, prior_std = _regression()
    mean = torch.zeros(3, dtype=torch.float64)
    covariance = prior_std**2 * torch.eye(3, dtype=torch.float64)
    for feature, target in zip(features, targets, strict=True):
        gain = covariance @ feature / (feature @ covariance @ feature + noise_std**2)
        mean = mean + gain * (target - feature @ mean)
        covariance = covariance - torch.outer(gain, feature @ covariance)
    full_mean, full_covariance = _posterior()
    return (mean - full_mean).abs().max() + (covariance - full_covariance).abs().max(), 0


EQ_POSTERIOR_LINEAR = Identity(
    label="eq-posterior-linear",
    chapter="one_best_network",
    name="Posterior of a linear model",
    formula=(
        r"\begin{aligned} p(w \mid D) &= \mathcal N(w;\, \mu, \Sigma), \\ "
        r"\Sigma &= \Big( \frac{\Phi^\top \Phi}{s^2} + \frac{I}{\sigma_p^2} \Big)^{-1}, \\ "
        r"\mu &= \frac{\Sigma\, \Phi^\top y}{s^2} \end{aligned}"
    ),
    checks=(
        exact(
            "All data at once, and one datum at a time",
            _posterior_datum_by_datum,
            absolute_tolerance=1e-12,
            scope="6 data, 3 features",
        ),
    ),
)


def _evidence_by_quadrature() -> Numbers:
    # Two data, one feature: y = (0.4, -0.9), phi = (1, 2), s = 0.5, prior N(0, 1.5^2).
    integral = quad(
        lambda w: mpmath.npdf(0.4, w, 0.5) * mpmath.npdf(-0.9, 2 * w, 0.5) * mpmath.npdf(w, 0, 1.5),
        [-15, -2, 0, 2, 15],
    )
    feature = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    targets = torch.tensor([0.4, -0.9], dtype=torch.float64)
    return integral, log_evidence(feature, targets, 0.5, 1.5).exp()


def _evidence_from_bayes() -> Numbers:
    features, targets, noise_std, prior_std = _regression()
    log_posterior = MultivariateNormal(*_posterior()).log_prob(FIRST)
    log_joint = _log_joint(FIRST, normal(0.0, prior_std))
    return log_joint - log_posterior, log_evidence(features, targets, noise_std, prior_std)


EQ_EVIDENCE_LINEAR = Identity(
    label="eq-evidence-linear",
    chapter="one_best_network",
    name="Evidence of a linear model",
    formula=r"p(D) = \mathcal N\big(y;\; 0,\; s^2 I + \sigma_p^2\, \Phi \Phi^\top\big)",
    checks=(
        quadrature(
            "The integral over the weight", _evidence_by_quadrature, scope="one weight, two data"
        ),
        exact(
            "Likelihood times prior over posterior, logs",
            _evidence_from_bayes,
            scope="6 data, 3 features, at one weight vector",
        ),
    ),
)


def _band_from_evidences() -> Numbers:
    # log p(y | x, D) = log p(D, y) - log p(D): the two evidences need no posterior.
    features, targets, noise_std, prior_std = _regression()
    new_feature, new_target = features.new_tensor([0.5, -1.0, 2.0]), targets.new_tensor([0.8])
    log_joint = log_evidence(
        torch.cat([features, new_feature[None]]),
        torch.cat([targets, new_target]),
        noise_std,
        prior_std,
    )
    mean, covariance = _posterior()
    variance = noise_std**2 + new_feature @ covariance @ new_feature
    band = Normal(new_feature @ mean, variance.sqrt())
    log_ratio = log_joint - log_evidence(features, targets, noise_std, prior_std)
    return log_ratio, band.log_prob(new_target)


EQ_BAND_LINEAR = Identity(
    label="eq-band-linear",
    chapter="one_best_network",
    name="Band of a linear model",
    formula=(
        r"\begin{aligned} p(y \mid x, D) &= \mathcal N\big(y;\; \phi(x)^\top \mu, \\ "
        r"&\qquad s^2 + \phi(x)^\top \Sigma\, \phi(x)\big) \end{aligned}"
    ),
    checks=(
        exact(
            "Log density against the ratio of two evidences",
            _band_from_evidences,
            scope="6 data, 3 features, one new observation",
        ),
    ),
)


def _share_of_three_points() -> Expressions:
    # Two fits, with any chances that a point falls outside; three points share the fit.
    chances = sympy.symbols("c_1:3", positive=True)
    first = sympy.Symbol("p", positive=True)
    weights = (first, 1 - first)

    def moment(power: int) -> sympy.Expr:
        shares = [
            (math.comb(3, k) * c**k * (1 - c) ** (3 - k) * p, sympy.Rational(k, 3))
            for c, p in zip(chances, weights, strict=True)
            for k in range(4)
        ]
        return sympy.Add(*(mass * share**power for mass, share in shares))

    mean = sum(p * c for p, c in zip(weights, chances, strict=True))
    within = sum(p * c * (1 - c) for p, c in zip(weights, chances, strict=True)) / 3
    between = sum(p * (c - mean) ** 2 for p, c in zip(weights, chances, strict=True))
    return moment(2) - moment(1) ** 2, within + between


EQ_AUDIT_VARIANCE = Identity(
    label="eq-audit-variance",
    chapter="one_best_network",
    name="Variance of an audit",
    formula=(
        r"\begin{aligned} \operatorname{Var}[\text{share}] &= "
        r"\frac{\mathbb E[\pi (1 - \pi)]}{M} \\ &\quad + \operatorname{Var}[\pi] \end{aligned}"
    ),
    checks=(
        symbolic(
            "The variance of the share, by counting its values",
            _share_of_three_points,
            scope="two fits with any chances, three points",
        ),
    ),
)

IDENTITIES = (
    EQ_MAP_GAUSSIAN,
    EQ_MAP_LAPLACE,
    EQ_SOFT_THRESHOLD,
    EQ_POSTERIOR_LINEAR,
    EQ_EVIDENCE_LINEAR,
    EQ_BAND_LINEAR,
    EQ_AUDIT_VARIANCE,
)
