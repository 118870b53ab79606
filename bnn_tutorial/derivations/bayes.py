"""The numbered equations of the chapter "bayes" and their checks."""

from collections.abc import Callable
from typing import Any

import mpmath
import sympy
import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, MultivariateNormal, Normal

from bnn_tutorial.derivations.distributions import (
    NOISE,
    SIGMA_PRIOR,
    W,
    gaussian,
    log_evidence,
    log_gaussian,
    normal,
    posterior_precision,
    quad,
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


def _shares_of_a_table() -> Expressions:
    # Counts of people: a in A and B, b in A only, c in B only, d in neither.
    a, b, c, d = sympy.symbols("a b c d", positive=True)
    people = a + b + c + d
    evidence = a / (a + b) * (a + b) / people + c / (c + d) * (c + d) / people
    return a / (a + c), a / (a + b) * (a + b) / people / evidence


def _simulated_patients() -> Draws:
    generator = torch.Generator().manual_seed(1)
    ill = torch.rand(1_000_000, generator=generator, dtype=torch.float64) < 0.01
    positive = torch.rand(1_000_000, generator=generator, dtype=torch.float64)
    positive = positive < torch.where(ill, 0.9, 0.1)
    return ill[positive], 0.9 * 0.01 / (0.9 * 0.01 + 0.1 * 0.99)


EQ_BAYES = Identity(
    label="eq-bayes",
    chapter="bayes",
    name="Bayes' theorem",
    formula=(
        r"\begin{aligned} p(A \mid B) &= \frac{p(B \mid A)\, p(A)}{p(B)}, \\ "
        r"p(B) &= p(B \mid A)\, p(A) \\ &\quad + p(B \mid \bar A)\, p(\bar A) \end{aligned}"
    ),
    checks=(
        symbolic("Share of A within B in any table of counts", _shares_of_a_table),
        monte_carlo("Share of the ill among simulated positive tests", _simulated_patients),
    ),
)

THETA = sympy.Symbol("theta", positive=True)


def _normalized(density: sympy.Expr) -> sympy.Expr:
    return density / sympy.integrate(sympy.expand(density), (THETA, 0, 1))


def _coin_in_two_steps() -> Expressions:
    prior = 6 * THETA * (1 - THETA)
    first, second = THETA**3 * (1 - THETA), THETA * (1 - THETA) ** 2
    return _normalized(prior * first * second), _normalized(_normalized(prior * first) * second)


EQ_BAYES_SEQUENTIAL = Identity(
    label="eq-bayes-sequential",
    chapter="bayes",
    name="Learning in steps",
    formula=(
        r"\begin{aligned} &p(\theta \mid D_1, D_2) \\ "
        r"&\quad = \frac{p(D_2 \mid \theta)\, p(\theta \mid D_1)}"
        r"{\int p(D_2 \mid \theta')\, p(\theta' \mid D_1)\, \mathrm{d}\theta'} \end{aligned}"
    ),
    checks=(symbolic("Seven coin tosses at once, and four then three", _coin_in_two_steps),),
)


def _beta_by_integration() -> Expressions:
    prior = THETA * (1 - THETA) ** 2
    posterior = THETA**5 * (1 - THETA) ** 4 / sympy.beta(6, 5).rewrite(sympy.gamma)
    return _normalized(prior * THETA**4 * (1 - THETA) ** 2), posterior


def _beta_evidence() -> Numbers:
    # The evidence of 7 heads and 3 tails in order, from a Beta(2.5, 1.5) prior.
    likelihood_times_prior = quad(
        lambda p: p**7 * (1 - p) ** 3 * p**1.5 * (1 - p) ** 0.5, [0, 0.5, 1]
    )
    return likelihood_times_prior, mpmath.beta(9.5, 4.5)


EQ_BETA_POSTERIOR = Identity(
    label="eq-beta-posterior",
    chapter="bayes",
    name="Posterior of a coin",
    formula=(
        r"p(\theta \mid h, t) = \frac{\theta^{a + h - 1}\, (1 - \theta)^{b + t - 1}}"
        r"{\mathrm{B}(a + h,\; b + t)}"
    ),
    checks=(
        symbolic("Likelihood times prior, divided by its integral", _beta_by_integration),
        quadrature("The normalizer for a = 2.5, b = 1.5, h = 7, t = 3", _beta_evidence),
    ),
)

# A network of one weight, f_w(x) = tanh(w x), with the prior w ~ N(0, 2^2).

INPUTS, TARGETS, NOISE_STD = (0.5, 1.0, -0.7), (0.6, 0.7, -0.4), 0.5


def _one_weight() -> Expressions:
    x, y = sympy.symbols("x y", real=True)
    std = 1 / sympy.sqrt(x**2 / NOISE**2 + 1 / SIGMA_PRIOR**2)
    joint = log_gaussian(y, W * x, NOISE) + log_gaussian(W, 0, SIGMA_PRIOR)
    evidence = log_gaussian(y, 0, sympy.sqrt(NOISE**2 + x**2 * SIGMA_PRIOR**2))
    difference = joint - evidence - log_gaussian(W, std**2 * x * y / NOISE**2, std)
    return sympy.expand_log(sympy.factor(sympy.expand_log(difference), deep=True), force=True), 0


def _joint(w: Any, inputs: tuple[float, ...] = INPUTS, targets: tuple[float, ...] = TARGETS) -> Any:
    """Return likelihood times prior, a density in w."""
    density = mpmath.npdf(w, 0, 2)
    for x, y in zip(inputs, targets, strict=True):
        density *= mpmath.npdf(y, mpmath.tanh(w * x), NOISE_STD)
    return density


def _evidence(inputs: tuple[float, ...] = INPUTS, targets: tuple[float, ...] = TARGETS) -> float:
    return quad(lambda w: _joint(w, inputs, targets), [-20, -5, 0, 2, 5, 20])


def _log_likelihood(w: Tensor) -> Tensor:
    """Return log p(D | w) of draws (S,)."""
    outputs = torch.tanh(w[:, None] * torch.tensor(INPUTS, dtype=torch.float64))
    return Normal(outputs, NOISE_STD).log_prob(torch.tensor(TARGETS, dtype=torch.float64)).sum(1)


def _likelihood_of_prior_draws() -> Draws:
    return _log_likelihood(2 * standard_draws(1, 400_000)).exp(), _evidence()


EQ_BAYES_WEIGHTS = Identity(
    label="eq-bayes-weights",
    chapter="bayes",
    name="Posterior of the weights",
    formula=(
        r"\begin{aligned} p(w \mid D) &= \frac{p(D \mid w)\, p(w)}{p(D)}, \\ "
        r"p(D) &= \int p(D \mid w)\, p(w)\, \mathrm{d}w \end{aligned}"
    ),
    checks=(
        symbolic("One weight, y = wx + noise: log of both sides", _one_weight),
        monte_carlo(
            "Evidence of tanh(wx): draws from the prior against quadrature",
            _likelihood_of_prior_draws,
        ),
    ),
)


def _predictive_of_accepted_draws() -> Draws:
    # A draw from the prior is kept with a probability proportional to its likelihood.
    generator = torch.Generator().manual_seed(1)
    w = 2 * torch.randn(400_000, generator=generator, dtype=torch.float64)
    uniform = torch.rand(400_000, generator=generator, dtype=torch.float64)
    log_greatest = len(TARGETS) * normal(0.0, NOISE_STD).log_prob(w.new_zeros(()))
    accepted = w[uniform < (_log_likelihood(w) - log_greatest).exp()]
    density = Normal(torch.tanh(2 * accepted), NOISE_STD).log_prob(w.new_tensor(0.9)).exp()
    return density, _evidence((*INPUTS, 2.0), (*TARGETS, 0.9)) / _evidence()


EQ_BAYES_PREDICTIVE = Identity(
    label="eq-bayes-predictive",
    chapter="bayes",
    name="Predictive distribution",
    formula=(
        r"\begin{aligned} &p(y \mid x, D) \\ "
        r"&\quad = \int p(y \mid x, w)\, p(w \mid D)\, \mathrm{d}w \\ "
        r"&\quad \approx \frac1S \sum_{j=1}^{S} p(y \mid x, w_j) \end{aligned}"
    ),
    checks=(
        monte_carlo(
            "f = tanh(wx): average over accepted draws against a ratio of two evidences",
            _predictive_of_accepted_draws,
        ),
    ),
)


def _variance_of_three_networks() -> Expressions:
    outputs = sympy.symbols("f_1:4", real=True)
    first, second = sympy.symbols("p_1 p_2", positive=True)
    weights = (first, second, 1 - first - second)
    y = sympy.Symbol("y", real=True)

    def moment(power: int) -> sympy.Expr:
        densities = [gaussian(y, f, NOISE) for f in outputs]
        return sympy.simplify(
            sympy.Add(
                *(
                    p * sympy.integrate(y**power * density, (y, -sympy.oo, sympy.oo))
                    for p, density in zip(weights, densities, strict=True)
                )
            )
        )

    mean = sum(p * f for p, f in zip(weights, outputs, strict=True))
    spread = sum(p * (f - mean) ** 2 for p, f in zip(weights, outputs, strict=True))
    return moment(2) - moment(1) ** 2, NOISE**2 + spread


EQ_PREDICTIVE_VARIANCE = Identity(
    label="eq-predictive-variance",
    chapter="bayes",
    name="Total variance",
    formula=(
        r"\begin{aligned} \underbrace{\operatorname{Var}[y \mid x, D]}_{\text{total}} &= "
        r"\underbrace{s^2}_{\text{noise}} \\ "
        r"&\quad + \underbrace{\operatorname{Var}[f_w(x) \mid D]}_{\text{epistemic}} \end{aligned}"
    ),
    checks=(
        symbolic("Three networks with any outputs and probabilities", _variance_of_three_networks),
    ),
)

# A regression on 6 data with 3 features, for the rest of the chapter.


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
    chapter="bayes",
    name="A Gaussian prior is L2",
    formula=(
        r"\begin{aligned} -\log p(w \mid D) &= \frac{1}{2 s^2} \Big( \lVert y - \Phi w \rVert^2 \\ "
        r"&\quad + \alpha \lVert w \rVert^2 \Big) + \text{const}, \\ "
        r"\alpha &= \frac{s^2}{\sigma_p^2} \end{aligned}"
    ),
    checks=(
        exact("Difference between two weight vectors, by torch.distributions", _l2_difference),
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
    chapter="bayes",
    name="A Laplace prior is L1",
    formula=(
        r"\begin{aligned} -\log p(w \mid D) &= \frac{1}{s^2} \Big( "
        r"\tfrac12 \lVert y - \Phi w \rVert^2 \\ "
        r"&\quad + \alpha_1 \lVert w \rVert_1 \Big) + \text{const}, \\ "
        r"\alpha_1 &= \frac{s^2}{c} \end{aligned}"
    ),
    checks=(
        exact("Difference between two weight vectors, by torch.distributions", _l1_difference),
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
    chapter="bayes",
    name="Soft threshold",
    formula=(
        r"\begin{aligned} &\operatorname*{arg\,min}_{w}\; "
        r"\tfrac12 (w - z)^2 + \tau \lvert w \rvert \\ "
        r"&\quad = \operatorname{sign}(z)\, \max(\lvert z \rvert - \tau,\; 0) \end{aligned}"
    ),
    checks=(
        symbolic("Excess over the minimum at w > 0, for z > tau: a square", _excess_same_side),
        symbolic("The same at w < 0: a sum of positive terms", _excess_other_side),
        symbolic("Excess at w > 0, for 0 < z < tau: a sum of positive terms", _excess_at_zero),
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
    chapter="bayes",
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
    chapter="bayes",
    name="Evidence of a linear model",
    formula=r"p(D) = \mathcal N\big(y;\; 0,\; s^2 I + \sigma_p^2\, \Phi \Phi^\top\big)",
    checks=(
        quadrature("The integral over one weight, two data", _evidence_by_quadrature),
        exact("Likelihood times prior over posterior, logs", _evidence_from_bayes),
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
    chapter="bayes",
    name="Band of a linear model",
    formula=(
        r"\begin{aligned} p(y \mid x, D) &= \mathcal N\big(y;\; \phi(x)^\top \mu, \\ "
        r"&\qquad s^2 + \phi(x)^\top \Sigma\, \phi(x)\big) \end{aligned}"
    ),
    checks=(exact("Log density against the ratio of two evidences", _band_from_evidences),),
)

IDENTITIES = (
    EQ_BAYES,
    EQ_BAYES_SEQUENTIAL,
    EQ_BETA_POSTERIOR,
    EQ_BAYES_WEIGHTS,
    EQ_BAYES_PREDICTIVE,
    EQ_PREDICTIVE_VARIANCE,
    EQ_MAP_GAUSSIAN,
    EQ_MAP_LAPLACE,
    EQ_SOFT_THRESHOLD,
    EQ_POSTERIOR_LINEAR,
    EQ_EVIDENCE_LINEAR,
    EQ_BAND_LINEAR,
)
