"""The numbered equations of the chapter "bayes" and their checks."""

from typing import Any

import mpmath
import sympy
import torch
from torch import Tensor
from torch.distributions import Normal

from bnn_tutorial.derivations.distributions import (
    NOISE,
    SIGMA_PRIOR,
    W,
    gaussian,
    log_gaussian,
    normal,
    quad,
    standard_draws,
)
from bnn_tutorial.derivations.identity import (
    Draws,
    Expressions,
    Identity,
    Numbers,
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
        symbolic("Share of A within B in any table of counts", _shares_of_a_table, scope="general"),
        monte_carlo(
            "Share of the ill among simulated positive tests",
            _simulated_patients,
            scope="the test of this chapter",
        ),
    ),
)

THETA = sympy.Symbol("theta", positive=True)


def _normalized(density: sympy.Expr) -> sympy.Expr:
    return density / sympy.integrate(sympy.expand(density), (THETA, 0, 1))


def _three_hypotheses() -> Expressions:
    prior, first, second = (sympy.symbols(f"{name}_1:4", positive=True) for name in "pqr")

    def update(prior: list[sympy.Expr], likelihood: tuple[sympy.Expr, ...]) -> list[sympy.Expr]:
        joint = [p * q for p, q in zip(prior, likelihood, strict=True)]
        return [product / sympy.Add(*joint) for product in joint]

    at_once = tuple(q * r for q, r in zip(first, second, strict=True))
    return update([*prior], at_once)[0], update(update([*prior], first), second)[0]


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
    checks=(
        symbolic(
            "Both data at once, and one after the other",
            _three_hypotheses,
            scope="three hypotheses, any priors and likelihoods",
        ),
        symbolic(
            "Seven coin tosses at once, and four then three",
            _coin_in_two_steps,
            scope="one coin with one prior",
        ),
    ),
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
        symbolic(
            "Likelihood times prior, divided by its integral",
            _beta_by_integration,
            scope="a = 2, b = 3, h = 4, t = 2, any θ",
        ),
        quadrature(
            "The normalizer, by integration",
            _beta_evidence,
            scope="a = 2.5, b = 1.5, h = 7, t = 3",
        ),
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
        symbolic(
            "Log of both sides, the evidence in closed form",
            _one_weight,
            scope="y = wx + noise, one weight and one datum, any numbers",
        ),
        monte_carlo(
            "The evidence: draws from the prior against quadrature",
            _likelihood_of_prior_draws,
            scope="f = tanh(wx), three data",
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
            "Average over accepted draws against a ratio of two evidences",
            _predictive_of_accepted_draws,
            scope="f = tanh(wx), three data, one new observation",
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
        symbolic(
            "The variance of a mixture, by its moments",
            _variance_of_three_networks,
            scope="three networks, any outputs and probabilities",
        ),
    ),
)

IDENTITIES = (
    EQ_BAYES,
    EQ_BAYES_SEQUENTIAL,
    EQ_BETA_POSTERIOR,
    EQ_BAYES_WEIGHTS,
    EQ_BAYES_PREDICTIVE,
    EQ_PREDICTIVE_VARIANCE,
)
