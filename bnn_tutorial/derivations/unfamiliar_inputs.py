"""The numbered equations of the chapter "unfamiliar_inputs" and their checks."""

import math
from fractions import Fraction

import sympy
import torch
from sympy import symbols
from torch import Tensor
from torch.distributions import MultivariateNormal

from bnn_tutorial.derivations.distributions import GRID, integral, normal, standard_draws
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

SHIFT = 1.5  # between the means of two Gaussian scores


def _ordered_pairs() -> Numbers:
    """All pairs of 40 and 30 scores with ties, and the trapezoids under the curve of rates."""
    scores_in = standard_draws(0, 40).mul(2).round()
    scores_out = standard_draws(1, 30).mul(2).round() + 1
    pairs = torch.sign(scores_out - scores_in[:, None]).add(1).mean() / 2
    thresholds = torch.arange(12.0, -12.0, -0.5, dtype=torch.float64)[:, None]
    rates_in = (scores_in >= thresholds).double().mean(dim=1)
    rates_out = (scores_out >= thresholds).double().mean(dim=1)
    return pairs, torch.trapezoid(rates_out, rates_in)


def _area_of_gaussians() -> Numbers:
    """The rate among foreign scores, integrated over that among the model's own."""
    density = normal(0.0, 1.0).log_prob(GRID).exp()
    area = integral(density * (1 - normal(SHIFT, 1.0).cdf(GRID)))
    return area, (1 + math.erf(SHIFT / 2)) / 2


def _drawn_pairs() -> Draws:
    """Which of two Gaussian scores is higher, of unequal widths: their difference is Gaussian."""
    scores_in, scores_out = standard_draws(2, 2, 20_000) * torch.tensor([[1.0], [2.0]])
    won = (scores_out + SHIFT > scores_in).double()
    return won, (1 + math.erf(SHIFT / math.sqrt(2 * (1 + 4)))) / 2


EQ_UNFAMILIAR_AUROC = Identity(
    label="eq-unfamiliar-auroc",
    chapter="unfamiliar_inputs",
    name="The area under the curve of rates is a chance",
    formula=r"""\begin{aligned}
\mathrm{AUROC} &= \int_0^1 \beta\, d\alpha \\
&= P(s^{\text{out}} > s^{\text{in}}) + \tfrac12 P(s^{\text{out}} = s^{\text{in}})
\end{aligned}""",
    checks=(
        exact("pairs, and trapezoids under the curve", _ordered_pairs, scope="70 scores with ties"),
        quadrature("by the integral", _area_of_gaussians, scope="two Gaussians 1.5 apart"),
        monte_carlo(
            "by pairs that are drawn", _drawn_pairs, scope="two Gaussians of widths 1 and 2"
        ),
    ),
)


def _precision_by_counting() -> Numbers:
    """Ten thousand inputs, one in a hundred of them foreign: alarms counted one by one."""
    num_in, num_out = 9900, 100
    false_alarms, found = Fraction(num_in, 5), Fraction(19 * num_out, 20)
    share, rate_in, rate_out = Fraction(1, 100), Fraction(1, 5), Fraction(19, 20)
    formula = rate_out * share / (rate_out * share + rate_in * (1 - share))
    return found / (found + false_alarms), formula


def _precision_by_bayes() -> Expressions:
    """Bayes' theorem, with the odds of a foreign input before and after the alarm."""
    share, rate_in, rate_out = symbols("pi alpha beta", positive=True)
    odds = share / (1 - share) * rate_out / rate_in
    formula = rate_out * share / (rate_out * share + rate_in * (1 - share))
    return odds / (1 + odds), formula


EQ_UNFAMILIAR_PRECISION = Identity(
    label="eq-unfamiliar-precision",
    chapter="unfamiliar_inputs",
    name="How many alarms are right",
    formula=r"""\text{precision} = \frac{\beta \pi}{\beta \pi + \alpha (1 - \pi)}""",
    checks=(
        exact(
            "alarms counted", _precision_by_counting, scope="one in a hundred foreign, two rates"
        ),
        symbolic("by the odds before and after an alarm", _precision_by_bayes, scope="general"),
    ),
)


def _confidence_and_energy() -> Numbers:
    logits = 3 * standard_draws(3, 7, 10)
    confidence = logits.softmax(dim=-1).amax(dim=-1).log()
    energy = -logits.exp().sum(dim=-1).log()
    return confidence.sum(), (logits.amax(dim=-1) + energy).sum()


def _raised_logits() -> Expressions:
    """The energy of two logits that are raised by a, less that of the two as they were."""
    first, second, shift = symbols("z1 z2 a", real=True)

    def energy(*logits: sympy.Expr) -> sympy.Expr:
        return -sympy.log(sympy.Add(*map(sympy.exp, logits)))

    raised = energy(first + shift, second + shift) - energy(first, second)
    return sympy.simplify(sympy.exp(raised)), sympy.exp(-shift)


EQ_UNFAMILIAR_ENERGY = Identity(
    label="eq-unfamiliar-energy",
    chapter="unfamiliar_inputs",
    name="Confidence is the largest logit plus the energy",
    formula=r"""\begin{aligned}
\log \max_c p_c &= \max_c z_c + E, \\
E &= -\log \sum_c e^{z_c}
\end{aligned}""",
    checks=(
        exact(
            "by torch's softmax", _confidence_and_energy, scope="seven predictions of ten logits"
        ),
        symbolic(
            "logits raised by a: the energy falls by a", _raised_logits, scope="two logits, any a"
        ),
    ),
)


def _distance_and_density() -> Numbers:
    """The density of torch's MultivariateNormal at nine places, and the squared distance."""
    factor = standard_draws(4, 3, 3)
    covariance = factor @ factor.T + torch.eye(3, dtype=torch.float64)
    mean, features = standard_draws(5, 3), standard_draws(6, 9, 3)
    log_density = MultivariateNormal(mean, covariance).log_prob(features)
    away = features - mean
    squared = torch.einsum("nd,de,ne->n", away, covariance.inverse(), away)
    constant = torch.logdet(2 * math.pi * covariance)
    return squared.sum(), (-2 * log_density - constant).sum()


def _whitened() -> Numbers:
    """The same distance as a plain length, after the coordinates are made uncorrelated."""
    factor = standard_draws(4, 3, 3)
    covariance = factor @ factor.T + torch.eye(3, dtype=torch.float64)
    away = standard_draws(6, 3)
    white = torch.linalg.solve(torch.linalg.cholesky(covariance), away)
    return white.square().sum(), away @ covariance.inverse() @ away


EQ_UNFAMILIAR_DISTANCE = Identity(
    label="eq-unfamiliar-distance",
    chapter="unfamiliar_inputs",
    name="Mahalanobis distance and Gaussian density",
    formula=r"""\begin{aligned}
d_c^2(f) &= (f - \mu_c)^\top \Sigma^{-1} (f - \mu_c) \\
&= -2 \log \mathcal N(f; \mu_c, \Sigma) \\
&\quad {} - \log \det(2 \pi \Sigma)
\end{aligned}""",
    checks=(
        exact("by torch's MultivariateNormal", _distance_and_density, scope="nine features, d = 3"),
        exact("a plain length in uncorrelated coordinates", _whitened, scope="one feature, d = 3"),
    ),
)


def _relu_logits(x: Tensor, seed: int = 7) -> Tensor:
    """Logits (N, 3) of a random network with eight ReLUs at points x (N, 2)."""
    first, offset = standard_draws(seed, 8, 2), standard_draws(seed + 10, 8)
    last, bias = standard_draws(seed + 20, 3, 8), standard_draws(seed + 30, 3)
    return (x @ first.T + offset).relu() @ last.T + bias


def _far_along_a_ray() -> tuple[Tensor, Tensor]:
    """A direction of the plane, and the slope that the logits of the network have far along it."""
    direction = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
    at, beyond = _relu_logits(torch.cat([1e3 * direction, 2e3 * direction]))
    return direction, (beyond - at) / 1e3


def _straight() -> Numbers:
    direction, slope = _far_along_a_ray()
    far = _relu_logits(5e4 * direction)[0]
    near = _relu_logits(1e3 * direction)[0]
    return far[0], (near + 4.9e4 * slope)[0]


def _certain() -> Numbers:
    direction, _ = _far_along_a_ray()
    return _relu_logits(1e4 * direction).softmax(dim=-1).max(), 1.0


def _certain_of_two() -> Expressions:
    """The larger of two logits whose slopes are 3/2 and 0, in the limit."""
    distance, offset = symbols("t a", real=True)
    logit = sympy.Rational(3, 2) * distance + offset
    return sympy.limit(1 / (1 + sympy.exp(-logit)), distance, sympy.oo), sympy.Integer(1)


EQ_UNFAMILIAR_FAR = Identity(
    label="eq-unfamiliar-far",
    chapter="unfamiliar_inputs",
    name="A ReLU network far along a ray",
    formula=r"""\begin{aligned}
& f_w(t x) = t\, v_w + a_w \quad (t \ge t_0), \\
& \max_c p_c(t x) \to 1
\end{aligned}""",
    checks=(
        exact(
            "50 times as far, on the same line",
            _straight,
            scope="one network of eight ReLUs, one ray",
        ),
        exact(
            "the largest probability there", _certain, scope="one network of eight ReLUs, one ray"
        ),
        symbolic("the limit", _certain_of_two, scope="two classes, slopes 3/2 and 0"),
    ),
)


def _votes() -> Numbers:
    """The mean probability of 30 random networks far along a ray, and the share of their votes."""
    direction, _ = _far_along_a_ray()
    far = torch.stack([_relu_logits(1e6 * direction, seed)[0] for seed in range(100, 130)])
    votes = (far.argmax(dim=-1) == 0).double().mean()
    return far.softmax(dim=-1).mean(dim=0)[0], votes


EQ_UNFAMILIAR_VOTES = Identity(
    label="eq-unfamiliar-votes",
    chapter="unfamiliar_inputs",
    name="Far away, draws vote",
    formula=r"""\begin{aligned}
& \frac1S \sum_s p_c(t x \mid w_s) \\
&\quad \to \frac1S \sum_s \mathbb 1\big[ c = \operatorname{arg\,max} v_{w_s} \big]
\end{aligned}""",
    checks=(exact("at the distance 10⁶", _votes, scope="30 random networks, one ray"),),
)


def _probit_limit() -> Expressions:
    distance, mean, variance = symbols("t m v", positive=True)
    argument = distance * mean / sympy.sqrt(1 + sympy.pi * distance**2 * variance / 8)
    limit = sympy.limit(argument, distance, sympy.oo)
    return limit, mean * sympy.sqrt(8 / (sympy.pi * variance))


def _probit_far() -> Numbers:
    """The chance by the formula at the distance 10⁸, and its limit, for a slope of -0.4 ± 0.7."""
    mean, variance, distance = -0.4, 0.49, 1e8
    argument = distance * mean / math.sqrt(1 + math.pi * distance**2 * variance / 8)
    limit = mean * math.sqrt(8 / (math.pi * variance))
    return 1 / (1 + math.exp(-argument)), 1 / (1 + math.exp(-limit))


EQ_UNFAMILIAR_PROBIT = Identity(
    label="eq-unfamiliar-probit",
    chapter="unfamiliar_inputs",
    name="A logit whose spread grows with it",
    formula=r"""\sigma\!\left( \frac{t\, m}{\sqrt{1 + \pi t^2 v / 8}} \right) \to
\sigma\!\left( m \sqrt{\frac{8}{\pi v}} \right)""",
    checks=(
        symbolic("the limit of the argument", _probit_limit, scope="positive slopes, any variance"),
        exact("at the distance 10⁸", _probit_far, scope="a slope of -0.4 ± 0.7"),
    ),
)


IDENTITIES = (
    EQ_UNFAMILIAR_AUROC,
    EQ_UNFAMILIAR_PRECISION,
    EQ_UNFAMILIAR_ENERGY,
    EQ_UNFAMILIAR_DISTANCE,
    EQ_UNFAMILIAR_FAR,
    EQ_UNFAMILIAR_VOTES,
    EQ_UNFAMILIAR_PROBIT,
)
