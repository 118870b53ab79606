"""The numbered equations of the chapter "mnist" and their checks."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import mpmath
import sympy
import torch
from sympy import Rational, Symbol, exp, log, symbols
from torch.distributions import Categorical

from bnn_tutorial.derivations.distributions import (
    COUNT,
    binomial_std,
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
    exact,
    monte_carlo,
    quadrature,
    symbolic,
)
from bnn_tutorial.evaluation.calibration import expected_calibration_error
from bnn_tutorial.likelihoods import CategoricalLikelihood


def _softmax(logits: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    total = sympy.Add(*map(exp, logits))
    return [exp(logit) / total for logit in logits]


def _likelihood_symbolic() -> Expressions:
    logits = symbols("f1:4", real=True)
    log_probability = log(_softmax(logits)[0])
    return exp(-log_probability), exp(log(sum(map(exp, logits))) - logits[0])


def _likelihood_gradient() -> Expressions:
    logits = symbols("f1:4", real=True)
    nll = log(sum(map(exp, logits))) - logits[0]
    return sympy.diff(nll, logits[0]), _softmax(logits)[0] - 1


def _likelihood_torch() -> Numbers:
    logits, labels = 3 * standard_draws(0, 5, 10), torch.arange(5)
    log_probability = Categorical(logits=logits).log_prob(labels)
    return CategoricalLikelihood()(logits, labels), -log_probability.mean()


EQ_MNIST_LIKELIHOOD = Identity(
    label="eq-mnist-likelihood",
    chapter="mnist",
    name="Categorical likelihood",
    formula=(
        r"\begin{aligned} & -\log p(y \mid x, w) \\"
        r" &\quad = \log \sum_{c} e^{f_w(x)_c} - f_w(x)_y \end{aligned}"
    ),
    checks=(
        symbolic(
            "both sides, exponentiated", _likelihood_symbolic, scope="three classes, any logits"
        ),
        symbolic(
            "the slope in the true logit is its probability − 1",
            _likelihood_gradient,
            scope="three classes, any logits",
        ),
        exact(
            "CategoricalLikelihood, against torch's Categorical",
            _likelihood_torch,
            scope="one set of logits",
        ),
    ),
)


def _fan_in_symbolic() -> Expressions:
    value, std = Symbol("a", positive=True), Symbol("v", positive=True)
    positive_half = value**2 * exp(-(value**2) / (2 * std**2)) / sympy.sqrt(2 * sympy.pi) / std
    return sympy.integrate(positive_half, (value, 0, sympy.oo)), std**2 / 2


def _fan_in_draws() -> Draws:
    inputs = torch.tensor([0.3, 1.2, 0.0, 2.0, 0.7], dtype=torch.float64)
    weights = 0.4 * standard_draws(5, 20_000, 5)
    return (weights @ inputs).relu().square(), 0.4**2 * inputs.square().sum().item() / 2


EQ_MNIST_FAN_IN = Identity(
    label="eq-mnist-fan-in",
    chapter="mnist",
    name="What a layer's prior does to its signal",
    formula=(
        r"\begin{aligned} & \mathbb E\Big[\mathrm{relu}\Big(\sum_{i=1}^{n} w_i h_i\Big)^2\Big] \\"
        r" &\quad = \frac{n s^2}{2} \cdot \frac1n \sum_{i=1}^{n} h_i^2,"
        r" \quad w_i \sim \mathcal N(0, s^2) \end{aligned}"
    ),
    checks=(
        symbolic(
            "half the variance lies above 0",
            _fan_in_symbolic,
            scope="the step for one unit, any Gaussian of mean 0",
        ),
        monte_carlo("outputs of drawn weights", _fan_in_draws, scope="five inputs, s = 0.4"),
    ),
)


def _every_minibatch(divisor: int) -> tuple[Rational, Rational]:
    """Return the loss averaged over all minibatches, its KL over ``divisor``, and the full loss."""
    # Exact fractions: N = 6 data, batches of B = 2, weight and KL chosen freely.
    nll = [Rational(n * n + 1, 7) for n in range(6)]
    kl, kl_weight = Rational(5, 3), Rational(1, 2)
    batches = list(itertools.combinations(nll, 2))
    losses = [sum(batch) / 2 + kl_weight * kl / divisor for batch in batches]
    return sum(losses) / len(losses), (sum(nll) + kl_weight * kl) / 6


def _wrong_minibatch() -> Numbers:
    wrong, correct = _every_minibatch(divisor=2)
    return wrong - correct, Rational(1, 2) * Rational(5, 3) * (Rational(1, 2) - Rational(1, 6))


EQ_MNIST_MINIBATCH = Identity(
    label="eq-mnist-minibatch",
    chapter="mnist",
    name="Minibatch loss",
    formula=(
        r"\begin{aligned} \mathcal L ={} & \frac1B \sum_{i=1}^{B} -\log p(y_i \mid x_i, w) \\"
        r" & + \lambda \frac{\mathrm{KL}(q \,\|\, p)}{N} \end{aligned}"
    ),
    checks=(
        exact(
            "all batches average to the full loss",
            lambda: _every_minibatch(6),
            scope="15 batches of 2 from 6 data",
        ),
        exact(
            "KL over B: too much by λ KL (1/B − 1/N)",
            _wrong_minibatch,
            scope="15 batches of 2 from 6 data",
        ),
    ),
)


def _map_gradient() -> Expressions:
    w, kl_weight, std = symbols("w lambda s", positive=True)
    penalty = -kl_weight / COUNT * log_gaussian(w, 0, std)
    return sympy.diff(penalty, w), kl_weight * w / (COUNT * std**2)


EQ_MNIST_MAP = Identity(
    label="eq-mnist-map",
    chapter="mnist",
    name="A Gaussian prior as weight decay",
    formula=(
        r"\frac{\partial}{\partial w} \Big(-\frac{\lambda}{N} \log \mathcal N(w; 0, s^2)\Big)"
        r" = \frac{\lambda}{N s^2}\, w"
    ),
    checks=(symbolic("slope of the loss, and of the decay", _map_gradient, scope="general"),),
)


def _mean_sigmoid(mean: float, std: float) -> float:
    """Return the integral of sigmoid(f) N(f; mean, std^2)."""
    return quad(
        lambda f: mpmath.npdf(f, mean, std) / (1 + mpmath.exp(-f)), [-mpmath.inf, mean, mpmath.inf]
    )


def _predictive() -> Draws:
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(20_000, generator=generator, dtype=torch.float64)
    draws = normal(0.8, 1.5).icdf(uniform)
    logits = torch.stack([draws, torch.zeros_like(draws)], dim=-1)
    return logits.softmax(dim=-1)[:, 0], _mean_sigmoid(0.8, 1.5)


EQ_MNIST_PREDICTIVE = Identity(
    label="eq-mnist-predictive",
    chapter="mnist",
    name="Predictive distribution",
    formula=(
        r"\begin{aligned} p(y \mid x, D)"
        r" & \approx \int p(y \mid x, w)\, q(w)\, \mathrm dw \\"
        r" & \approx \frac1S \sum_{s=1}^{S} p(y \mid x, w_s), \\ & \quad w_s \sim q(w)"
        r" \end{aligned}"
    ),
    checks=(monte_carlo("the second step", _predictive, scope="a Gaussian logit"),),
)


def _jensen() -> Expressions:
    draws = symbols("p1:4", positive=True)
    size = len(draws)
    of_average = -log(sum(draws) / size)
    average_of = sum(-log(p) for p in draws) / size
    ratios = [p / sum(draws) for p in draws]
    divergence = sum(Rational(1, size) * log(Rational(1, size) / r) for r in ratios)
    return sympy.expand_log(of_average), sympy.expand_log(average_of - divergence)


def _jensen_gap() -> Numbers:
    # A fair and a sure draw: the gap is the KL of (1/2, 1/2) from (1/3, 2/3).
    draws = torch.tensor([0.5, 1.0], dtype=torch.float64)
    return -draws.log().mean() + draws.mean().log(), math.log(9 / 8) / 2


EQ_MNIST_JENSEN = Identity(
    label="eq-mnist-jensen",
    chapter="mnist",
    name="Averaging helps the NLL",
    formula=(
        r"\begin{aligned} & -\log \frac1S \sum_{s} p_{s,y} \\"
        r" &\quad = \frac1S \sum_{s} -\log p_{s,y} \\"
        r" &\qquad - \mathrm{KL}\Big(\tfrac1S \,\Big\|\, \tfrac{p_{s,y}}{\sum_{t} p_{t,y}}\Big)"
        r" \end{aligned}"
    ),
    checks=(
        symbolic(
            "the difference of the two sides", _jensen, scope="three draws, any probabilities"
        ),
        exact("a gap of ½ ln(9/8) nats", _jensen_gap, scope="draws of 1/2 and 1"),
    ),
)


def _logits() -> Expressions:
    first, second = symbols("a1:4", real=True), symbols("b1:4", real=True)
    of_mean = _softmax([(a + b) / 2 for a, b in zip(first, second, strict=True)])
    roots = [sympy.sqrt(a * b) for a, b in zip(_softmax(first), _softmax(second), strict=True)]
    return sympy.powsimp(of_mean[0] / of_mean[1]), sympy.simplify(roots[0] / roots[1])


def _logits_torch() -> Numbers:
    logits = 2 * standard_draws(2, 7, 10)
    geometric = logits.softmax(dim=-1).prod(dim=0) ** (1 / 7)
    return logits.mean(dim=0).softmax(dim=-1)[3], geometric[3] / geometric.sum()


EQ_MNIST_LOGITS = Identity(
    label="eq-mnist-logits",
    chapter="mnist",
    name="Averaged logits",
    formula=(
        r"\mathrm{softmax}\Big(\frac1S \sum_{s} f_s\Big)_c"
        r" = \frac{\prod_s p_{s,c}^{1/S}}{\sum_{k} \prod_s p_{s,k}^{1/S}}"
    ),
    checks=(
        symbolic("the odds of two classes", _logits, scope="two draws, three classes, any logits"),
        exact("by softmax", _logits_torch, scope="seven draws, ten classes"),
    ),
)


def _mean_network(mean: float, variance: float) -> Numbers:
    shrunk = mean / math.sqrt(1 + math.pi * variance / 8)
    return _mean_sigmoid(mean, math.sqrt(variance)), 1 / (1 + math.exp(-shrunk))


EQ_MNIST_MEAN_NETWORK = Identity(
    label="eq-mnist-mean-network",
    chapter="mnist",
    name="Confidence lost in averaging",
    formula=(
        r"\begin{aligned} & \int \mathrm{sigmoid}(f)\, \mathcal N(f; m, v)\, \mathrm df \\"
        r" &\quad \approx \mathrm{sigmoid}\bigg(\frac{m}{\sqrt{1 + \pi v / 8}}\bigg) \end{aligned}"
    ),
    checks=(
        quadrature(
            "against the integral, to 0.01, far out",
            lambda: _mean_network(4, 16),
            absolute_tolerance=0.01,
            scope="m = 4, v = 16",
        ),
        quadrature(
            "against the integral, to 0.01",
            lambda: _mean_network(1, 4),
            absolute_tolerance=0.01,
            scope="m = 1, v = 4",
        ),
    ),
)


def _ece_by_hand() -> Numbers:
    # Two classes, sorted by hand: three predictions at 0.95, of which two hit, and one hit at 0.65.
    first = torch.tensor([0.95, 0.95, 0.95, 0.65], dtype=torch.float64)
    probabilities = torch.stack([first, 1 - first], dim=-1)
    labels = torch.tensor([0, 0, 1, 0])
    by_hand = Rational(3, 4) * abs(Rational(2, 3) - Rational(95, 100)) + Rational(1, 4) * abs(
        1 - Rational(65, 100)
    )
    return expected_calibration_error(probabilities, labels, num_bins=10), by_hand


def _ece_loop() -> Numbers:
    generator = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(400, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 10, (400,), generator=generator)
    probabilities = logits.softmax(dim=-1)
    gaps = [0.0] * 15
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        confidence = max(row)
        gaps[math.ceil(15 * confidence) - 1] += (row.index(confidence) == label) - confidence
    return expected_calibration_error(probabilities, labels), sum(map(abs, gaps)) / 400


EQ_MNIST_ECE = Identity(
    label="eq-mnist-ece",
    chapter="mnist",
    name="Expected calibration error",
    formula=(
        r"\begin{aligned} & \mathrm{ECE} = \\ &\quad \sum_{b} \frac{n_b}{N}"
        r" \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right| \end{aligned}"
    ),
    checks=(
        exact("by hand", _ece_by_hand, scope="four predictions"),
        exact("the package, and a loop", _ece_loop, scope="400 predictions"),
    ),
)


def _accuracy_error() -> Numbers:
    num_data, accuracy = 12, Fraction(9, 10)
    formula = math.sqrt(accuracy * (1 - accuracy) / num_data)
    return binomial_std(num_data, accuracy), formula


EQ_MNIST_ACCURACY_ERROR = Identity(
    label="eq-mnist-accuracy-error",
    chapter="mnist",
    name="Standard error of an accuracy",
    formula=r"\mathrm{se}(a) = \sqrt{\frac{a\,(1 - a)}{N}}",
    checks=(exact("summed over all 13 outcomes", _accuracy_error, scope="N = 12, a = 9/10"),),
)


def _paired_error() -> Numbers:
    # All samples of three from a population of four: the square is right on average.
    population = [Fraction(value) for value in (0, 1, -2, 5)]
    samples = list(itertools.product(population, repeat=3))
    means = [sum(sample) / 3 for sample in samples]
    squares = [
        sum((value - mean) ** 2 for value in sample) / (3 * 2)
        for sample, mean in zip(samples, means, strict=True)
    ]
    center = sum(means) / len(means)
    variance = sum((mean - center) ** 2 for mean in means) / len(means)
    return sum(squares) / len(squares), variance


def _paired_less() -> Expressions:
    # On 0/1 scores: a images only the first gets right, b only the second, of N.
    first, second, count = symbols("a b N", positive=True)
    mean = (first - second) / count
    squares = (
        first * (1 - mean) ** 2 + second * (1 + mean) ** 2 + (count - first - second) * mean**2
    )
    return squares / count, (first + second) / count - mean**2


EQ_MNIST_PAIRED_ERROR = Identity(
    label="eq-mnist-paired-error",
    chapter="mnist",
    name="Standard error of a mean difference",
    formula=(r"\mathrm{se}(\bar d) = \sqrt{\frac{\sum_{n} (d_n - \bar d)^2}{N (N - 1)}}"),
    checks=(
        exact(
            "its square, averaged over all samples: the variance",
            _paired_error,
            scope="64 samples of 3",
        ),
        symbolic(
            "only images that one network gets count", _paired_less, scope="scores of 0 and 1"
        ),
    ),
)


IDENTITIES = (
    EQ_MNIST_LIKELIHOOD,
    EQ_MNIST_FAN_IN,
    EQ_MNIST_MINIBATCH,
    EQ_MNIST_MAP,
    EQ_MNIST_PREDICTIVE,
    EQ_MNIST_JENSEN,
    EQ_MNIST_LOGITS,
    EQ_MNIST_MEAN_NETWORK,
    EQ_MNIST_ECE,
    EQ_MNIST_ACCURACY_ERROR,
    EQ_MNIST_PAIRED_ERROR,
)
