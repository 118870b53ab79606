"""The numbered equations of the chapter "bayes" and their checks."""

import mpmath
import sympy
import torch
from torch import Tensor
from torch.distributions import Laplace, MultivariateNormal, Normal

from bnn_tutorial.derivations.identity import Identity, exact, monte_carlo, quadrature, symbolic


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


# eq-bayes


def _shares_of_a_table():
    # Counts of people: a in A and B, b in A only, c in B only, d in neither.
    a, b, c, d = sympy.symbols("a b c d", positive=True)
    people = a + b + c + d
    evidence = a / (a + b) * (a + b) / people + c / (c + d) * (c + d) / people
    return a / (a + c), a / (a + b) * (a + b) / people / evidence


def _simulated_patients():
    generator = _generator()
    ill = torch.rand(1_000_000, generator=generator, dtype=torch.float64) < 0.01
    positive = torch.rand(1_000_000, generator=generator, dtype=torch.float64)
    positive = positive < torch.where(ill, 0.9, 0.1)
    return ill[positive], 0.9 * 0.01 / (0.9 * 0.01 + 0.1 * 0.99)


# eq-bayes-sequential, eq-beta-posterior

_theta = sympy.symbols("theta", positive=True)


def _normalized(density):
    return density / sympy.integrate(sympy.expand(density), (_theta, 0, 1))


def _coin_in_two_steps():
    prior = 6 * _theta * (1 - _theta)
    first, second = _theta**3 * (1 - _theta), _theta * (1 - _theta) ** 2
    return _normalized(prior * first * second), _normalized(_normalized(prior * first) * second)


def _beta_by_integration():
    prior = _theta * (1 - _theta) ** 2
    posterior = _theta**5 * (1 - _theta) ** 4 / sympy.beta(6, 5).rewrite(sympy.gamma)
    return _normalized(prior * _theta**4 * (1 - _theta) ** 2), posterior


def _beta_evidence():
    # The evidence of 7 heads and 3 tails in order, from a Beta(2.5, 1.5) prior.
    likelihood_times_prior = mpmath.quad(
        lambda p: p**7 * (1 - p) ** 3 * p**1.5 * (1 - p) ** 0.5, [0, 0.5, 1]
    )
    return likelihood_times_prior, mpmath.beta(9.5, 4.5)


# eq-bayes-weights, eq-bayes-predictive, eq-predictive-variance: f_w(x) = tanh(w x), w ~ N(0, 2^2)

_inputs, _targets, _noise_std = (0.5, 1.0, -0.7), (0.6, 0.7, -0.4), 0.5


def _one_weight():
    w, x, y = sympy.symbols("w x y", real=True)
    s, prior_std = sympy.symbols("s sigma_p", positive=True)

    def log_normal(value, mean, variance):
        return -(sympy.log(2 * sympy.pi * variance) + (value - mean) ** 2 / variance) / 2

    variance = 1 / (x**2 / s**2 + 1 / prior_std**2)
    joint = log_normal(y, w * x, s**2) + log_normal(w, 0, prior_std**2)
    evidence = log_normal(y, 0, s**2 + x**2 * prior_std**2)
    difference = joint - evidence - log_normal(w, variance * x * y / s**2, variance)
    return sympy.expand_log(sympy.factor(sympy.expand_log(difference), deep=True), force=True), 0


def _joint(w, inputs=_inputs, targets=_targets):
    """Return likelihood times prior of the network tanh(w x), a density in w."""
    density = mpmath.npdf(w, 0, 2)
    for x, y in zip(inputs, targets, strict=True):
        density *= mpmath.npdf(y, mpmath.tanh(w * x), _noise_std)
    return density


def _integral(function) -> float:
    return float(mpmath.quad(function, [-20, -5, 0, 2, 5, 20]))


def _likelihood_of_prior_draws():
    w = 2 * torch.randn(400_000, 1, generator=_generator(), dtype=torch.float64)
    outputs = torch.tanh(w * torch.tensor(_inputs, dtype=torch.float64))
    log_likelihood = (
        Normal(outputs, _noise_std).log_prob(torch.tensor(_targets, dtype=torch.float64)).sum(dim=1)
    )
    return log_likelihood.exp(), _integral(_joint)


def _predictive_of_accepted_draws():
    # A draw from the prior is kept with a probability proportional to its likelihood.
    generator = _generator()
    w = 2 * torch.randn(400_000, 1, generator=generator, dtype=torch.float64)
    error = torch.tensor(_targets, dtype=torch.float64) - torch.tanh(
        w * torch.tensor(_inputs, dtype=torch.float64)
    )
    likelihood = (-error.square().sum(dim=1) / (2 * _noise_std**2)).exp()
    uniform = torch.rand(400_000, generator=generator, dtype=torch.float64)
    accepted = w[uniform < likelihood, 0]
    density = Normal(torch.tanh(2 * accepted), _noise_std).log_prob(torch.tensor(0.9)).exp()
    extended = _integral(lambda w: _joint(w, (*_inputs, 2.0), (*_targets, 0.9)))
    return density, extended / _integral(_joint)


def _variance_of_three_networks():
    outputs, noise = sympy.symbols("f_1:4", real=True), sympy.symbols("s", positive=True)
    first, second = sympy.symbols("p_1 p_2", positive=True)
    weights = (first, second, 1 - first - second)
    y = sympy.symbols("y", real=True)

    def moment(power):
        density = [sympy.exp(-((y - f) ** 2) / (2 * noise**2)) for f in outputs]
        return sum(
            p * sympy.integrate(y**power * d, (y, -sympy.oo, sympy.oo))
            for p, d in zip(weights, density, strict=True)
        ) / (sympy.sqrt(2 * sympy.pi) * noise)

    mean = sum(p * f for p, f in zip(weights, outputs, strict=True))
    spread = sum(p * (f - mean) ** 2 for p, f in zip(weights, outputs, strict=True))
    return sympy.simplify(moment(2)) - sympy.simplify(moment(1)) ** 2, noise**2 + spread


# eq-map-gaussian, eq-map-laplace, eq-posterior-linear, eq-evidence-linear, eq-band-linear: a
# regression on 6 data with 3 features


def _regression() -> tuple[Tensor, Tensor, float, float]:
    generator = _generator()
    features = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(6, generator=generator, dtype=torch.float64)
    return features, targets, 0.7, 1.3


def _gaussian_prior() -> Normal:
    features, _, _, prior_std = _regression()
    return Normal(features.new_zeros(()), prior_std)


def _log_joint(weights: Tensor, prior) -> Tensor:
    features, targets, noise_std, _ = _regression()
    log_likelihood = Normal(features @ weights, noise_std).log_prob(targets).sum()
    return log_likelihood + prior.log_prob(weights).sum()


def _two_weight_vectors() -> tuple[Tensor, Tensor]:
    return (
        torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64),
        torch.tensor([-0.5, 0.1, 0.4], dtype=torch.float64),
    )


def _difference(prior, penalized):
    """Return the objective's difference between two w, by torch.distributions and by formula."""
    first, second = _two_weight_vectors()
    return _log_joint(second, prior) - _log_joint(first, prior), penalized(first) - penalized(
        second
    )


def _l2_difference():
    features, targets, noise_std, prior_std = _regression()

    def penalized(w):
        penalty = (noise_std / prior_std) ** 2 * w.square().sum()
        return ((targets - features @ w).square().sum() + penalty) / (2 * noise_std**2)

    return _difference(_gaussian_prior(), penalized)


def _l1_difference():
    features, targets, noise_std, scale = _regression()

    def penalized(w):
        penalty = noise_std**2 / scale * w.abs().sum()
        return ((targets - features @ w).square().sum() / 2 + penalty) / noise_std**2

    return _difference(Laplace(features.new_zeros(()), scale), penalized)


_distance, _tau, _margin = sympy.symbols("u tau m", positive=True)


def _excess(w, z):
    """Return by how much the penalized square at w exceeds that at the soft threshold of z."""
    claimed = sympy.sign(z) * sympy.Max(sympy.Abs(z) - _tau, 0)

    def penalized(w):
        return (w - z) ** 2 / 2 + _tau * sympy.Abs(w)

    return penalized(w) - penalized(claimed)


def _excess_same_side():
    return _excess(_distance, _tau + _margin), (_distance - _margin) ** 2 / 2


def _excess_other_side():
    excess = (_distance + _margin) ** 2 / 2 + 2 * _tau * _distance
    return _excess(-_distance, _tau + _margin), excess


def _excess_at_zero():
    # z > 0, and tau exceeds it by m; w is on the side of z, on which the excess is smaller.
    z = sympy.symbols("z", positive=True)
    excess = _excess(_distance, z).subs(_tau, z + _margin)
    return excess, _distance**2 / 2 + _distance * _margin


def _linear_posterior() -> tuple[Tensor, Tensor]:
    features, targets, noise_std, prior_std = _regression()
    identity = torch.eye(3, dtype=torch.float64)
    covariance = torch.linalg.inv(features.T @ features / noise_std**2 + identity / prior_std**2)
    return covariance @ features.T @ targets / noise_std**2, covariance


def _linear_evidence() -> float:
    features, targets, noise_std, prior_std = _regression()
    covariance = noise_std**2 * torch.eye(6, dtype=torch.float64)
    covariance = covariance + prior_std**2 * features @ features.T
    return MultivariateNormal(torch.zeros(6, dtype=torch.float64), covariance).log_prob(targets)


def _evidence_from_bayes():
    weights, _ = _two_weight_vectors()
    log_posterior = MultivariateNormal(*_linear_posterior()).log_prob(weights)
    return _log_joint(weights, _gaussian_prior()) - log_posterior, _linear_evidence()


def _posterior_datum_by_datum():
    features, targets, noise_std, prior_std = _regression()
    mean = torch.zeros(3, dtype=torch.float64)
    covariance = prior_std**2 * torch.eye(3, dtype=torch.float64)
    for feature, target in zip(features, targets, strict=True):
        gain = covariance @ feature / (feature @ covariance @ feature + noise_std**2)
        mean = mean + gain * (target - feature @ mean)
        covariance = covariance - torch.outer(gain, feature @ covariance)
    full_mean, full_covariance = _linear_posterior()
    return (
        (mean - full_mean).abs().max() + (covariance - full_covariance).abs().max(),
        0,
    )


def _evidence_by_quadrature():
    # Two data, one feature: y = (0.4, -0.9), phi = (1, 2), s = 0.5, prior N(0, 1.5^2).
    integral = mpmath.quad(
        lambda w: mpmath.npdf(0.4, w, 0.5) * mpmath.npdf(-0.9, 2 * w, 0.5) * mpmath.npdf(w, 0, 1.5),
        [-15, -2, 0, 2, 15],
    )
    feature = torch.tensor([1.0, 2.0], dtype=torch.float64)
    covariance = 0.25 * torch.eye(2, dtype=torch.float64) + 2.25 * torch.outer(feature, feature)
    evidence = MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance)
    return integral, evidence.log_prob(torch.tensor([0.4, -0.9], dtype=torch.float64)).exp()


_new_feature = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)


def _band_from_evidences():
    # log p(y | x, D) = log p(D, y) - log p(D): the two evidences need no posterior.
    features, targets, noise_std, prior_std = _regression()
    extended = torch.cat([features, _new_feature[None]])
    covariance = noise_std**2 * torch.eye(7, dtype=torch.float64)
    covariance = covariance + prior_std**2 * extended @ extended.T
    log_joint = MultivariateNormal(torch.zeros(7, dtype=torch.float64), covariance).log_prob(
        torch.cat([targets, targets.new_tensor([0.8])])
    )
    mean, posterior_covariance = _linear_posterior()
    variance = noise_std**2 + _new_feature @ posterior_covariance @ _new_feature
    band = Normal(_new_feature @ mean, variance.sqrt())
    return log_joint - _linear_evidence(), band.log_prob(targets.new_tensor(0.8))


IDENTITIES: tuple[Identity, ...] = (
    Identity(
        "eq-bayes",
        "bayes",
        "Bayes' theorem",
        r"\begin{aligned} p(A \mid B) &= \frac{p(B \mid A)\, p(A)}{p(B)}, \\ "
        r"p(B) &= p(B \mid A)\, p(A) \\ &\quad + p(B \mid \bar A)\, p(\bar A) \end{aligned}",
        (
            symbolic("Share of A within B in any table of counts", _shares_of_a_table),
            monte_carlo("Share of the ill among simulated positive tests", _simulated_patients),
        ),
    ),
    Identity(
        "eq-bayes-sequential",
        "bayes",
        "Learning in steps",
        r"\begin{aligned} &p(\theta \mid D_1, D_2) \\ "
        r"&\quad = \frac{p(D_2 \mid \theta)\, p(\theta \mid D_1)}"
        r"{\int p(D_2 \mid \theta')\, p(\theta' \mid D_1)\, \mathrm{d}\theta'} \end{aligned}",
        (symbolic("Seven coin tosses at once, and four then three", _coin_in_two_steps),),
    ),
    Identity(
        "eq-beta-posterior",
        "bayes",
        "Posterior of a coin",
        r"p(\theta \mid h, t) = \frac{\theta^{a + h - 1}\, (1 - \theta)^{b + t - 1}}"
        r"{\mathrm{B}(a + h,\; b + t)}",
        (
            symbolic("Likelihood times prior, divided by its integral", _beta_by_integration),
            quadrature("The normalizer for a = 2.5, b = 1.5, h = 7, t = 3", _beta_evidence),
        ),
    ),
    Identity(
        "eq-bayes-weights",
        "bayes",
        "Posterior of the weights",
        r"\begin{aligned} p(w \mid D) &= \frac{p(D \mid w)\, p(w)}{p(D)}, \\ "
        r"p(D) &= \int p(D \mid w)\, p(w)\, \mathrm{d}w \end{aligned}",
        (
            symbolic("One weight, y = wx + noise: log of both sides", _one_weight),
            monte_carlo(
                "Evidence of tanh(wx): draws from the prior against quadrature",
                _likelihood_of_prior_draws,
            ),
        ),
    ),
    Identity(
        "eq-bayes-predictive",
        "bayes",
        "Predictive distribution",
        r"\begin{aligned} &p(y \mid x, D) \\ "
        r"&\quad = \int p(y \mid x, w)\, p(w \mid D)\, \mathrm{d}w \\ "
        r"&\quad \approx \frac1S \sum_{j=1}^{S} p(y \mid x, w_j) \end{aligned}",
        (
            monte_carlo(
                "f = tanh(wx): average over accepted draws against a ratio of two evidences",
                _predictive_of_accepted_draws,
            ),
        ),
    ),
    Identity(
        "eq-predictive-variance",
        "bayes",
        "Total variance",
        r"\begin{aligned} \underbrace{\operatorname{Var}[y \mid x, D]}_{\text{total}} &= "
        r"\underbrace{s^2}_{\text{noise}} \\ "
        r"&\quad + \underbrace{\operatorname{Var}[f_w(x) \mid D]}_{\text{epistemic}} \end{aligned}",
        (
            symbolic(
                "Three networks with any outputs and probabilities", _variance_of_three_networks
            ),
        ),
    ),
    Identity(
        "eq-map-gaussian",
        "bayes",
        "A Gaussian prior is L2",
        r"\begin{aligned} -\log p(w \mid D) &= \frac{1}{2 s^2} \Big( \lVert y - \Phi w \rVert^2 \\ "
        r"&\quad + \alpha \lVert w \rVert^2 \Big) + \text{const}, \\ "
        r"\alpha &= \frac{s^2}{\sigma_p^2} \end{aligned}",
        (exact("Difference between two weight vectors, by torch.distributions", _l2_difference),),
    ),
    Identity(
        "eq-map-laplace",
        "bayes",
        "A Laplace prior is L1",
        r"\begin{aligned} -\log p(w \mid D) &= \frac{1}{s^2} \Big( "
        r"\tfrac12 \lVert y - \Phi w \rVert^2 \\ "
        r"&\quad + \alpha_1 \lVert w \rVert_1 \Big) + \text{const}, \\ "
        r"\alpha_1 &= \frac{s^2}{c} \end{aligned}",
        (exact("Difference between two weight vectors, by torch.distributions", _l1_difference),),
    ),
    Identity(
        "eq-soft-threshold",
        "bayes",
        "Soft threshold",
        r"\begin{aligned} &\operatorname*{arg\,min}_{w}\; "
        r"\tfrac12 (w - z)^2 + \tau \lvert w \rvert \\ "
        r"&\quad = \operatorname{sign}(z)\, \max(\lvert z \rvert - \tau,\; 0) \end{aligned}",
        (
            symbolic("Excess over the minimum at w > 0, for z > tau: a square", _excess_same_side),
            symbolic("The same at w < 0: a sum of positive terms", _excess_other_side),
            symbolic("Excess at w > 0, for 0 < z < tau: a sum of positive terms", _excess_at_zero),
        ),
    ),
    Identity(
        "eq-posterior-linear",
        "bayes",
        "Posterior of a linear model",
        r"\begin{aligned} p(w \mid D) &= \mathcal N(w;\, \mu, \Sigma), \\ "
        r"\Sigma &= \Big( \frac{\Phi^\top \Phi}{s^2} + \frac{I}{\sigma_p^2} \Big)^{-1}, \\ "
        r"\mu &= \frac{\Sigma\, \Phi^\top y}{s^2} \end{aligned}",
        (exact("All data at once, and one datum at a time", _posterior_datum_by_datum),),
    ),
    Identity(
        "eq-evidence-linear",
        "bayes",
        "Evidence of a linear model",
        r"p(D) = \mathcal N\big(y;\; 0,\; s^2 I + \sigma_p^2\, \Phi \Phi^\top\big)",
        (
            quadrature("The integral over one weight, two data", _evidence_by_quadrature),
            exact("Likelihood times prior over posterior, logs", _evidence_from_bayes),
        ),
    ),
    Identity(
        "eq-band-linear",
        "bayes",
        "Band of a linear model",
        r"\begin{aligned} p(y \mid x, D) &= \mathcal N\big(y;\; \phi(x)^\top \mu, \\ "
        r"&\qquad s^2 + \phi(x)^\top \Sigma\, \phi(x)\big) \end{aligned}",
        (exact("Log density against the ratio of two evidences", _band_from_evidences),),
    ),
)
