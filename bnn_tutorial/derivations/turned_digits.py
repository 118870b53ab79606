"""The numbered equations of the chapter "turned_digits" and their checks."""

import itertools
import math

import sympy
import torch
from sympy import Symbol, log
from torch.distributions import Categorical

from bnn_tutorial.derivations.distributions import standard_draws
from bnn_tutorial.derivations.identity import Expressions, Identity, Numbers, exact, symbolic
from bnn_tutorial.evaluation.entropy import decompose_entropy


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


EQ_TURNED_ENTROPY = Identity(
    label="eq-turned-entropy",
    chapter="turned_digits",
    name="Entropy decomposition",
    formula=(
        r"\begin{aligned} \underbrace{\mathbb H[\bar p]}_{\text{total}} ={}"
        r" & \underbrace{\frac1S \sum_{s} \mathbb H[p_s]}_{\text{aleatoric}} \\"
        r" & + \underbrace{\frac1S \sum_{s} \mathrm{KL}(p_s \,\|\, \bar p)}_{\text{epistemic}}"
        r" \end{aligned}"
    ),
    checks=(
        symbolic(
            "the two sides", _entropy_symbolic, scope="two draws, two classes, any probabilities"
        ),
        exact("by decompose_entropy", _entropy_torch, scope="nine draws, ten classes"),
        exact(
            "all of the entropy is between the draws",
            _entropy_disagreement,
            scope="two sure draws that contradict each other",
        ),
    ),
)


def _two_draws() -> tuple[sympy.Expr, sympy.Expr, sympy.Expr]:
    """Return E of the epistemic part of two draws, its limit, and E KL; a draw is a or b."""
    a, b = Symbol("a", positive=True), Symbol("b", positive=True)

    def entropy(p: sympy.Expr) -> sympy.Expr:
        return -p * log(p) - (1 - p) * log(1 - p)

    center = (a + b) / 2
    expected, divergence = [], []
    for pair in itertools.product((a, b), repeat=2):
        mean = sympy.Add(*pair) / 2
        expected.append(entropy(mean) - sum(map(entropy, pair)) / 2)
        divergence.append(
            mean * (log(mean) - log(center)) + (1 - mean) * (log(1 - mean) - log(1 - center))
        )
    limit = entropy(center) - (entropy(a) + entropy(b)) / 2
    return sympy.Add(*expected) / 4, limit, sympy.Add(*divergence) / 4


def _draws_symbolic() -> Expressions:
    expected, limit, divergence = _two_draws()
    return sympy.expand(expected), sympy.expand(limit - divergence)


def _draws_counted() -> Numbers:
    # A draw is sure of one of three classes, each equally likely: three draws, all 27 ways.
    sure = torch.eye(3, dtype=torch.float64)
    ways = list(itertools.product(range(3), repeat=3))
    samples = torch.stack([sure[list(way)] for way in ways], dim=1)
    limit = math.log(3)
    mean = samples.mean(dim=0)
    lost = Categorical(probs=mean), Categorical(probs=torch.full_like(mean, 1 / 3))
    expected = decompose_entropy(samples).epistemic.mean()
    return expected, limit - torch.distributions.kl_divergence(*lost).mean()


def _draws_cap() -> Numbers:
    # As many sure draws as classes, all different: nothing more can be said by four draws.
    samples = torch.eye(10, dtype=torch.float64)[:4, None]
    return decompose_entropy(samples).epistemic, math.log(4)


EQ_TURNED_DRAWS = Identity(
    label="eq-turned-draws",
    chapter="turned_digits",
    name="The epistemic part of S draws",
    formula=(
        r"\begin{aligned} & \mathbb E[\text{epistemic}_S] \\"
        r" &\quad = \mathbb I[y; w] - \mathbb E\, \mathrm{KL}(\bar p_S \,\|\, \bar p), \\"
        r" & \text{epistemic}_S \le \log S \end{aligned}"
    ),
    checks=(
        symbolic(
            "averaged over all draws",
            _draws_symbolic,
            scope="two draws, each one of any two distributions, two classes",
        ),
        exact("averaged over all ways", _draws_counted, scope="three sure draws, three classes"),
        exact("the cap is reached", _draws_cap, scope="four sure draws, all different"),
    ),
)


IDENTITIES = (EQ_TURNED_ENTROPY, EQ_TURNED_DRAWS)
