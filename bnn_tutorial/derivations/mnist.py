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

from bnn_tutorial.derivations.distributions import binomial_std, normal, quad, standard_draws
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
from bnn_tutorial.evaluation.entropy import decompose_entropy
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
        symbolic("both sides for three classes, exponentiated", _likelihood_symbolic),
        symbolic("its slope in the true class's logit: probability − 1", _likelihood_gradient),
        exact("CategoricalLikelihood against torch's Categorical", _likelihood_torch),
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
            "its average over all 15 batches of 2 from 6 data: full-data loss",
            lambda: _every_minibatch(6),
        ),
        exact("the error of dividing the KL by B: λ KL (1/B − 1/N)", _wrong_minibatch),
    ),
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
    checks=(monte_carlo("two classes, Gaussian logit: average of draws, integral", _predictive),),
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
        symbolic("three draws with any probabilities", _jensen),
        exact("draws of 1/2 and 1: the gap is ½ ln(9/8) nats", _jensen_gap),
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
        symbolic("two draws, three classes: the odds of two classes", _logits),
        exact("seven draws, ten classes", _logits_torch),
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
        exact("four predictions, by hand", _ece_by_hand),
        exact("400 predictions: the package, one loop over the data", _ece_loop),
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
    checks=(exact("N = 12, a = 9/10: summed over all 13 outcomes", _accuracy_error),),
)


def _entropy_symbolic() -> Expressions:
    a, b = Symbol("a", positive=True), Symbol("b", positive=True)
    draws = [(a, 1 - a), (b, 1 - b)]
    mean = [(p + q) / 2 for p, q in zip(*draws, strict=True)]
    total = -sum(p * log(p) for p in mean)
    aleatoric = sum(-sum(p * log(p) for p in draw) for draw in draws) / 2
    epistemic = (
        sum(sum(p * (log(p) - log(m)) for p, m in zip(draw, mean, strict=True)) for draw in draws)
        / 2
    )
    return sympy.expand(total - aleatoric), sympy.expand(epistemic)


def _entropy_torch() -> Numbers:
    draws = (2 * standard_draws(3, 9, 1, 10)).softmax(dim=-1)
    mean = Categorical(probs=draws.mean(dim=0))
    divergence = torch.distributions.kl_divergence(Categorical(probs=draws), mean)
    return decompose_entropy(draws).epistemic, divergence.mean()


def _entropy_disagreement() -> Numbers:
    # Two sure draws for two classes: no draw is in doubt, and all of ln 2 is disagreement.
    parts = decompose_entropy(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=torch.float64))
    return parts.epistemic, math.log(2)


EQ_MNIST_ENTROPY = Identity(
    label="eq-mnist-entropy",
    chapter="mnist",
    name="Entropy decomposition",
    formula=(
        r"\begin{aligned} \underbrace{\mathbb H[\bar p]}_{\text{total}} ={}"
        r" & \underbrace{\frac1S \sum_{s} \mathbb H[p_s]}_{\text{aleatoric}} \\"
        r" & + \underbrace{\frac1S \sum_{s} \mathrm{KL}(p_s \,\|\, \bar p)}_{\text{epistemic}}"
        r" \end{aligned}"
    ),
    checks=(
        symbolic("two draws, two classes", _entropy_symbolic),
        exact("nine draws, ten classes: decompose_entropy, the mean KL", _entropy_torch),
        exact("two sure draws that contradict each other: ln 2", _entropy_disagreement),
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
        quadrature("m = 4, v = 16, to 0.01", lambda: _mean_network(4, 16), absolute_tolerance=0.01),
        quadrature("m = 1, v = 4, to 0.01", lambda: _mean_network(1, 4), absolute_tolerance=0.01),
    ),
)


IDENTITIES = (
    EQ_MNIST_LIKELIHOOD,
    EQ_MNIST_MINIBATCH,
    EQ_MNIST_PREDICTIVE,
    EQ_MNIST_JENSEN,
    EQ_MNIST_LOGITS,
    EQ_MNIST_ECE,
    EQ_MNIST_ACCURACY_ERROR,
    EQ_MNIST_ENTROPY,
    EQ_MNIST_MEAN_NETWORK,
)
