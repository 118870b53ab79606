"""The numbered equations of the chapter "two_kinds" and their checks."""

import math
from fractions import Fraction

import sympy
import torch
from sympy import log, symbols
from torch import Tensor
from torch.distributions import Categorical, Normal, StudentT

from bnn_tutorial.derivations.distributions import (
    COUNT,
    DATA,
    EPSILON,
    GRID,
    MU,
    NOISE,
    SIGMA_PRIOR,
    W,
    gaussian,
    integral,
    log_gaussian,
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
from bnn_tutorial.evaluation.entropy import decompose_entropy


def _nll(y: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    squares = (y - mean).square() * torch.exp(-log_variance)
    return (math.log(2 * math.pi) + log_variance + squares) / 2


def _nll_torch() -> Numbers:
    mean, log_variance = standard_draws(0, 2, 5)
    by_torch = -Normal(mean, torch.exp(log_variance / 2)).log_prob(DATA)
    return _nll(DATA, mean, log_variance).sum(), by_torch.sum()


def _best_noise() -> Expressions:
    """The variance that the NLL of one datum asks for: its squared residual."""
    residual, log_variance = symbols("r ell", positive=True)
    nll = log_variance / 2 + residual**2 * sympy.exp(-log_variance) / 2
    (best,) = sympy.solve(sympy.diff(nll, log_variance), log_variance)
    return sympy.exp(best), residual**2


EQ_KINDS_NLL = Identity(
    label="eq-kinds-nll",
    chapter="two_kinds",
    name="A Gaussian whose noise is predicted",
    formula=r"""\begin{aligned}
& -\log p(y \mid x, w) = \tfrac12 \log 2\pi \\
&\quad {} + \tfrac12\, \ell_w(x) + \tfrac12\, (y - m_w(x))^2\, e^{-\ell_w(x)}
\end{aligned}""",
    checks=(
        exact("five data, against torch's Normal", _nll_torch),
        symbolic("the variance at its minimum is the squared residual", _best_noise),
    ),
)


def _repeated_measurements() -> Expressions:
    """The precision of w by the curvature of the log posterior of three data."""
    targets = symbols("y1:4", real=True)
    log_density = log_gaussian(W, 0, SIGMA_PRIOR)
    log_density += sympy.Add(*(log_gaussian(y, W, NOISE) for y in targets))
    return -1 / sympy.diff(log_density, W, 2), 1 / (3 / NOISE**2 + 1 / SIGMA_PRIOR**2)


def _rate() -> Expressions:
    variance = 1 / (COUNT / NOISE**2 + 1 / SIGMA_PRIOR**2)
    return sympy.limit(COUNT * variance, COUNT, sympy.oo), NOISE**2


def _repeated_on_a_grid() -> Numbers:
    noise_std, prior_std = 0.7, 1.3
    log_density = normal(0.0, prior_std).log_prob(GRID)
    log_density = log_density + Normal(GRID[:, None], noise_std).log_prob(DATA).sum(dim=1)
    log_density = log_density - integral(log_density.exp()).log()
    mean = mean_under(log_density, GRID)
    variance = mean_under(log_density, (GRID - mean).square())
    return variance, 1 / (len(DATA) / noise_std**2 + 1 / prior_std**2)


EQ_KINDS_RATE = Identity(
    label="eq-kinds-rate",
    chapter="two_kinds",
    name="The width of a weight that is measured N times",
    formula=r"""\operatorname{Var}[w \mid D]
= \Big( \frac{N}{s^2} + \frac1{\sigma_p^2} \Big)^{-1}""",
    checks=(
        symbolic("three data: curvature of the log posterior", _repeated_measurements),
        quadrature("five data: variance of the posterior on a grid", _repeated_on_a_grid),
        symbolic("times N, for N without end: s²", _rate),
    ),
)


def _log_normal() -> Expressions:
    """The integral of exp(l) times the density of l, over its standardized value."""
    spread = symbols("b", positive=True)
    integrand = sympy.exp(MU + spread * EPSILON) * gaussian(EPSILON, 0, 1)
    mean = sympy.integrate(integrand, (EPSILON, -sympy.oo, sympy.oo))
    return sympy.powsimp(mean), sympy.exp(MU + spread**2 / 2)


def _log_normal_draws() -> Draws:
    return (0.3 + 0.5 * standard_draws(1, 100_000)).exp(), math.exp(0.3 + 0.5**2 / 2)


EQ_KINDS_EXPLOSION = Identity(
    label="eq-kinds-explosion",
    chapter="two_kinds",
    name="The mean of a log-normal variance",
    formula=r"""\mathbb E_q\big[ e^{\ell} \big] = e^{a + b^2/2}""",
    checks=(
        symbolic("any a and b, by integration", _log_normal),
        monte_carlo("a = 0.3, b = 0.5: draws", _log_normal_draws),
    ),
)


def _pull(nll: sympy.Expr, residual: sympy.Expr) -> sympy.Expr:
    return sympy.simplify(sympy.diff(nll, residual))


def _gaussian_pull() -> Expressions:
    residual = symbols("r", real=True)
    return _pull(-log_gaussian(residual, 0, NOISE), residual), residual / NOISE**2


def _student_pull() -> Numbers:
    """The slope of torch's StudentT by autograd, at five residuals, and the formula."""
    freedom, scale = 4.0, 0.7
    residual = (4 * DATA - 3).clone().requires_grad_()
    zero = residual.new_zeros(())
    nll = -StudentT(freedom, zero, scale + zero).log_prob(residual)
    (slope,) = torch.autograd.grad(nll.sum(), residual)
    residual = residual.detach()
    formula = (freedom + 1) * residual / (freedom * scale**2 + residual.square())
    return (slope * DATA).sum(), (formula * DATA).sum()


def _student_peak() -> Expressions:
    residual, freedom = symbols("r nu", positive=True)
    pull = (freedom + 1) * residual / (freedom * NOISE**2 + residual**2)
    (peak,) = sympy.solve(sympy.diff(pull, residual), residual)
    return peak, sympy.sqrt(freedom) * NOISE


EQ_KINDS_STUDENT = Identity(
    label="eq-kinds-student",
    chapter="two_kinds",
    name="The pull of a residual",
    formula=r"""\begin{aligned}
\text{Gaussian:}\quad & \frac{r}{s^2}, \\
\text{Student's } t\text{:}\quad & \frac{(\nu + 1)\, r}{\nu s^2 + r^2}
\end{aligned}""",
    checks=(
        symbolic("Gaussian: slope of the NLL", _gaussian_pull),
        exact("Student's t: slope of torch's StudentT by autograd", _student_pull),
        symbolic("its peak, at √ν s", _student_peak),
    ),
)


def _mixture_variance() -> Numbers:
    """Two Gaussians mixed: the variance by moments in fractions, and by the law."""
    means = (Fraction(1), Fraction(3))
    variances = (Fraction(1, 4), Fraction(9, 4))
    mean = sum(means) / 2
    second = sum(v + m**2 for m, v in zip(means, variances, strict=True)) / 2
    aleatoric = sum(variances) / 2
    epistemic = sum((m - mean) ** 2 for m in means) / 2
    return second - mean**2, aleatoric + epistemic


def _drawn_observations() -> Draws:
    """Squared deviations of observations whose mean and noise both depend on a drawn weight."""
    weight, noise = standard_draws(2, 2, 100_000)
    observed = 0.4 * weight + (0.5 + 0.2 * weight) * noise
    return observed.square(), 0.4**2 + 0.5**2 + 0.2**2


EQ_KINDS_VARIANCE = Identity(
    label="eq-kinds-variance",
    chapter="two_kinds",
    name="The law of total variance",
    formula=r"""\operatorname{Var}[y \mid x] =
\underbrace{\mathbb E_q\big[ s_w^2(x) \big]}_{\text{aleatoric}}
+ \underbrace{\operatorname{Var}_q\big[ m_w(x) \big]}_{\text{epistemic}}""",
    checks=(
        exact("two Gaussians mixed, in fractions", _mixture_variance),
        monte_carlo("weight and noise drawn, the noise by the weight", _drawn_observations),
    ),
)


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
    chapter="two_kinds",
    name="Any concave doubt splits",
    formula=r"""U(\bar p) = \frac1S \sum_s U(p_s) + \frac1S \sum_s D_U(p_s, \bar p)""",
    checks=(
        symbolic("entropy, two draws, three classes", lambda: _doubt(entropy=True)),
        symbolic("variance, two draws, three classes", lambda: _doubt(entropy=False)),
        exact("entropy: the excess is the mean KL", _entropy_divergence),
        exact("variance: the excess is the mean squared distance", _variance_divergence),
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
    chapter="two_kinds",
    name="The covariance of a one-hot class",
    formula=r"""\begin{aligned}
\operatorname{Cov}[y] ={} & \frac1S \sum_s \big( \operatorname{diag}(p_s) - p_s p_s^\top \big) \\
& + \frac1S \sum_s (p_s - \bar p)(p_s - \bar p)^\top
\end{aligned}""",
    checks=(exact("nine draws, four classes: the outcomes added up", _one_hot_covariance),),
)


def _one_class() -> Expressions:
    draws = symbols("p1:4", real=True)
    mean = sum(draws) / 3
    aleatoric = sum(p * (1 - p) for p in draws) / 3
    epistemic = sum((p - mean) ** 2 for p in draws) / 3
    return sympy.expand(mean * (1 - mean)), sympy.expand(aleatoric + epistemic)


EQ_KINDS_CLASS = Identity(
    label="eq-kinds-class",
    chapter="two_kinds",
    name="The split for one class",
    formula=r"""\begin{aligned}
\bar p_c (1 - \bar p_c) ={} & \frac1S \sum_s p_{s,c} (1 - p_{s,c}) \\
& + \frac1S \sum_s (p_{s,c} - \bar p_c)^2
\end{aligned}""",
    checks=(symbolic("three draws with any probabilities", _one_class),),
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
    chapter="two_kinds",
    name="Scores from a softplus",
    formula=r"""p_c = \frac{\log(1 + e^{f_c})}{\sum_k \log(1 + e^{f_k})}""",
    checks=(quadrature("three logits, softplus as the area under a sigmoid", _softplus),),
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
    chapter="two_kinds",
    name="Softplus scores of raised logits",
    formula=r"""p_c \to
\begin{cases}
e^{f_c} / \sum_k e^{f_k} & a \to -\infty \\
1 / C & a \to +\infty
\end{cases}""",
    checks=(
        symbolic("odds of two classes, logits 3/2 and 0, down", lambda: _shift(-1)),
        symbolic("the same, up", lambda: _shift(1)),
        exact("ten logits lowered by 30: the softmax", _shift_down),
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
    chapter="two_kinds",
    name="The width under a tempered likelihood",
    formula=r"""\operatorname{Var}_\lambda[w \mid D] =
\Big( \frac{N}{\lambda s^2} + \frac1{\sigma_p^2} \Big)^{-1}""",
    checks=(
        quadrature("five data, λ = 0.1: variance on a grid", _tempered),
        exact("each datum ten times: the exact posterior", _tempered_rate),
    ),
)


IDENTITIES = (
    EQ_KINDS_NLL,
    EQ_KINDS_RATE,
    EQ_KINDS_EXPLOSION,
    EQ_KINDS_STUDENT,
    EQ_KINDS_VARIANCE,
    EQ_KINDS_DOUBT,
    EQ_KINDS_KWON,
    EQ_KINDS_CLASS,
    EQ_KINDS_SOFTPLUS,
    EQ_KINDS_SHIFT,
    EQ_KINDS_TEMPERED,
)
