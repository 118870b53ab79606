"""The numbered equations of the chapter "doubt_of_a_classifier" and their checks."""

import sympy
import torch
from sympy import log, symbols
from torch import Tensor
from torch.distributions import Categorical, Normal

from bnn_tutorial.derivations.distributions import (
    DATA,
    GRID,
    integral,
    mean_under,
    normal,
    posterior_precision,
    standard_draws,
)
from bnn_tutorial.derivations.identity import (
    Expressions,
    Identity,
    Numbers,
    exact,
    quadrature,
    symbolic,
)
from bnn_tutorial.evaluation.entropy import decompose_entropy


def _doubt(entropy: bool) -> Expressions:
    """Both sides for two draws of three classes, the divergence by Bregman's definition."""
    classes = symbols("r1:4", positive=True)
    terms = [-r * log(r) if entropy else r * (1 - r) for r in classes]
    doubt = sympy.Add(*terms)
    draws = [symbols(f"{name}1:4", positive=True) for name in "ab"]
    mean = [(a + b) / 2 for a, b in zip(*draws, strict=True)]

    def at(point):
        return doubt.subs(dict(zip(classes, point, strict=True)), simultaneous=True)

    slopes = [sympy.diff(doubt, r).subs(r, m) for r, m in zip(classes, mean, strict=True)]

    def divergence(draw):
        line = sum(s * (p - m) for s, p, m in zip(slopes, draw, mean, strict=True))
        return at(mean) - at(draw) + line

    right = sum(at(draw) + divergence(draw) for draw in draws) / 2
    return sympy.expand(at(mean)), sympy.expand(right)


def _probabilities() -> Tensor:
    """Nine draws of four classes, shape (9, 4)."""
    return standard_draws(3, 9, 4).softmax(dim=-1)


def _entropy_divergence() -> Numbers:
    """The Bregman divergence of the entropy is the KL: the package's part against torch's KL."""
    draws = _probabilities()
    mean = Categorical(probs=draws.mean(dim=0))
    divergence = torch.distributions.kl_divergence(Categorical(probs=draws), mean)
    return decompose_entropy(draws[:, None]).epistemic, divergence.mean()


def _variance_divergence() -> Numbers:
    """That of the summed variances is the squared distance."""
    draws = _probabilities()
    mean = draws.mean(dim=0)
    epistemic = (mean * (1 - mean)).sum() - (draws * (1 - draws)).sum(dim=-1).mean()
    return epistemic, (draws - mean).square().sum(dim=-1).mean()


EQ_KINDS_DOUBT = Identity(
    label="eq-kinds-doubt",
    chapter="doubt_of_a_classifier",
    name="Any concave doubt splits",
    formula=r"""U(\bar p) = \frac1S \sum_s U(p_s) + \frac1S \sum_s D_U(p_s, \bar p)""",
    checks=(
        symbolic(
            "entropy, by Bregman's definition",
            lambda: _doubt(entropy=True),
            scope="two draws, three classes, any probabilities",
        ),
        symbolic(
            "variance, by Bregman's definition",
            lambda: _doubt(entropy=False),
            scope="two draws, three classes, any probabilities",
        ),
        exact(
            "entropy: the excess is the mean KL",
            _entropy_divergence,
            scope="nine draws, four classes",
        ),
        exact(
            "variance: the excess is the mean squared distance",
            _variance_divergence,
            scope="nine draws, four classes",
        ),
    ),
)


def _one_hot_covariance() -> Numbers:
    """An entry off the diagonal, by adding up the one-hot outcomes, and by the two matrices."""
    draws = _probabilities()
    outcomes, mean = torch.eye(4, dtype=torch.float64), draws.mean(dim=0)
    deviations = outcomes - mean
    by_outcomes = (mean[:, None] * deviations).T @ deviations
    aleatoric = torch.diag(mean) - draws.T @ draws / len(draws)
    epistemic = (draws - mean).T @ (draws - mean) / len(draws)
    weights = standard_draws(4, 4, 4)
    return (weights * by_outcomes).sum(), (weights * (aleatoric + epistemic)).sum()


EQ_KINDS_KWON = Identity(
    label="eq-kinds-kwon",
    chapter="doubt_of_a_classifier",
    name="The covariance of a one-hot class",
    formula=r"""\begin{aligned}
\operatorname{Cov}[y] ={} & \frac1S \sum_s \big( \operatorname{diag}(p_s) - p_s p_s^\top \big) \\
& + \frac1S \sum_s (p_s - \bar p)(p_s - \bar p)^\top
\end{aligned}""",
    checks=(exact("the outcomes added up", _one_hot_covariance, scope="nine draws, four classes"),),
)


def _one_class() -> Expressions:
    draws = symbols("p1:4", real=True)
    mean = sum(draws) / 3
    aleatoric = sum(p * (1 - p) for p in draws) / 3
    epistemic = sum((p - mean) ** 2 for p in draws) / 3
    return sympy.expand(mean * (1 - mean)), sympy.expand(aleatoric + epistemic)


EQ_KINDS_CLASS = Identity(
    label="eq-kinds-class",
    chapter="doubt_of_a_classifier",
    name="The split for one class",
    formula=r"""\begin{aligned}
\bar p_c (1 - \bar p_c) ={} & \frac1S \sum_s p_{s,c} (1 - p_{s,c}) \\
& + \frac1S \sum_s (p_{s,c} - \bar p_c)^2
\end{aligned}""",
    checks=(symbolic("both sides expanded", _one_class, scope="three draws, any p"),),
)


def _softplus_scores(logits: Tensor) -> Tensor:
    scores = torch.nn.functional.softplus(logits)
    return scores / scores.sum(dim=-1, keepdim=True)


def _softplus() -> Numbers:
    """Softplus by its integral, the sigmoid's area up to the logit, and by the formula."""
    logits = DATA[:3]
    ends = logits[:, None] - torch.linspace(0, 60, 600_001, dtype=torch.float64)
    areas = -torch.trapezoid(torch.sigmoid(ends), ends, dim=1)
    return areas[0] / areas.sum(), _softplus_scores(logits)[0]


EQ_KINDS_SOFTPLUS = Identity(
    label="eq-kinds-softplus",
    chapter="doubt_of_a_classifier",
    name="Scores from a softplus",
    formula=r"""p_c = \frac{\log(1 + e^{f_c})}{\sum_k \log(1 + e^{f_k})}""",
    checks=(quadrature("softplus as the area under a sigmoid", _softplus, scope="three logits"),),
)


def _shift(direction: int) -> Expressions:
    """The odds of two classes in the limit; those of the softmax are exp(f1 - f2)."""
    first, second, shift = symbols("f1 f2 a", real=True)
    # The logits differ by 3/2: SymPy finds limits of one symbol only.
    values = {first: sympy.Rational(3, 2), second: 0}
    odds = log(1 + sympy.exp(first + shift)) / log(1 + sympy.exp(second + shift))
    limit = sympy.limit(odds.subs(values), shift, direction * sympy.oo)
    return limit, sympy.exp(sympy.Rational(3, 2)) if direction < 0 else sympy.Integer(1)


def _shift_down() -> Numbers:
    logits = 2 * standard_draws(5, 10)
    return _softplus_scores(logits - 30)[3], logits.softmax(dim=-1)[3]


EQ_KINDS_SHIFT = Identity(
    label="eq-kinds-shift",
    chapter="doubt_of_a_classifier",
    name="Softplus scores of raised logits",
    formula=r"""p_c \to
\begin{cases}
e^{f_c} / \sum_k e^{f_k} & a \to -\infty \\
1 / C & a \to +\infty
\end{cases}""",
    checks=(
        symbolic(
            "the odds, lowered without end",
            lambda: _shift(-1),
            scope="two classes, logits 3/2 and 0",
        ),
        symbolic(
            "the odds, raised without end", lambda: _shift(1), scope="two classes, logits 3/2 and 0"
        ),
        exact("lowered by 30: the softmax", _shift_down, scope="ten logits"),
    ),
)


def _tempered() -> Numbers:
    """The variance of the tempered density on a grid, and the formula."""
    kl_weight, noise_std, prior_std = 0.1, 1.7, 1.3
    log_density = normal(0.0, prior_std).log_prob(GRID)
    log_likelihood = Normal(GRID[:, None], noise_std).log_prob(DATA).sum(dim=1)
    log_density = log_density + log_likelihood / kl_weight
    log_density = log_density - integral(log_density.exp()).log()
    mean = mean_under(log_density, GRID)
    variance = mean_under(log_density, (GRID - mean).square())
    return variance, 1 / (len(DATA) / (kl_weight * noise_std**2) + 1 / prior_std**2)


def _tempered_rate() -> Numbers:
    """Data that stand ten times in the list: the conjugate posterior of a linear model."""
    ones = torch.ones(10 * len(DATA), 1, dtype=torch.float64)
    copies = posterior_precision(ones, 1.7, 1.3)
    return 1 / copies.squeeze(), 1 / (len(DATA) / (0.1 * 1.7**2) + 1 / 1.3**2)


EQ_KINDS_TEMPERED = Identity(
    label="eq-kinds-tempered",
    chapter="doubt_of_a_classifier",
    name="The width under a tempered likelihood",
    formula=r"""\operatorname{Var}_\lambda[w \mid D] =
\Big( \frac{N}{\lambda s^2} + \frac1{\sigma_p^2} \Big)^{-1}""",
    checks=(
        quadrature("variance on a grid", _tempered, scope="five data, λ = 0.1"),
        exact(
            "each datum ten times: the exact posterior", _tempered_rate, scope="five data, λ = 1/10"
        ),
    ),
)


IDENTITIES = (
    EQ_KINDS_DOUBT,
    EQ_KINDS_KWON,
    EQ_KINDS_CLASS,
    EQ_KINDS_SOFTPLUS,
    EQ_KINDS_SHIFT,
    EQ_KINDS_TEMPERED,
)
