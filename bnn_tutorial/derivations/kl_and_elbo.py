"""The numbered equations of the chapter "kl_and_elbo" and their checks.

Symbols: a weight w has q = N(mu, sigma^2) and the prior N(mu_p, sigma_p^2); a datum y_n is w plus
noise of standard deviation s. Where the Gaussian is too kind a test, the model is a coin whose
weight is a log-odds, with 7 heads in 9 tosses: its evidence has no closed form.
"""

import math

import sympy
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal
from torch.nn.functional import logsigmoid

from bnn_tutorial.derivations.distributions import (
    COUNT,
    DATA,
    GRID,
    MU,
    NOISE,
    SIGMA,
    SIGMA_PRIOR,
    Real,
    W,
    expectation,
    integral,
    kl_integral,
    log_evidence,
    log_gaussian,
    mean_under,
    normal,
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
from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.training.elbo import elbo_loss

MU_PRIOR, DATUM = sympy.symbols("mu_p y", real=True)
TOTAL, SQUARES = sympy.symbols("T Q", real=True)  # the sums of y_n and of y_n^2
WEIGHT = sympy.Symbol("lambda", positive=True)


def _on_grid(mean: float, std: float) -> Tensor:
    """log N(w; mean, std^2) on the grid."""
    return normal(mean, std).log_prob(GRID)


def _kl_draws(q: Normal, p: Normal, seed: int) -> Tensor:
    """Draws of log q(w) - log p(w), w from q."""
    w = q.mean + q.stddev * standard_draws(seed, 20_000)
    return q.log_prob(w) - p.log_prob(w)


def _average_log_ratio() -> Draws:
    draws = _kl_draws(normal(0.5, 0.4), normal(-0.2, 1.3), seed=0)
    return draws, kl_integral(_on_grid(0.5, 0.4), _on_grid(-0.2, 1.3)).item()


def _two_categoricals() -> Numbers:
    """KL by the sum of q log(q/p) over three outcomes, and by torch."""
    q, p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], dtype=torch.float64)
    by_sum = math.fsum(a * math.log(a / b) for a, b in zip(q.tolist(), p.tolist(), strict=True))
    return by_sum, torch.distributions.kl_divergence(Categorical(q), Categorical(p))


EQ_KL = Identity(
    label="eq-kl",
    chapter="kl_and_elbo",
    name="The KL divergence",
    formula=(
        r"\begin{aligned} \mathrm{KL}(q \,\|\, p)"
        r" &= \mathbb E_{q}\left[\log\frac{q(w)}{p(w)}\right] \\"
        r" &= \int q(w)\, \log\frac{q(w)}{p(w)}\, dw \end{aligned}"
    ),
    checks=(
        monte_carlo(
            "Average of the log ratio over draws from q, against the integral", _average_log_ratio
        ),
        exact("Sum over three outcomes, against torch.distributions", _two_categoricals),
    ),
)


def _log_two_peaks() -> Tensor:
    """The log density of a mixture of two Gaussians on the grid."""
    return torch.logaddexp(math.log(0.7) + _on_grid(-2.0, 0.6), math.log(0.3) + _on_grid(2.0, 0.9))


def _gibbs_integral() -> Numbers:
    """E_q[p/q - 1 - log(p/q)], and KL(q || p) by its definition."""
    log_q, log_p = _on_grid(0.5, 1.0), _log_two_peaks()
    excess = torch.expm1(log_p - log_q) - (log_p - log_q)
    return mean_under(log_q, excess), kl_integral(log_q, log_p)


def _tangent() -> Expressions:
    """The only stationary point of r - 1 - log r, and 1."""
    r = sympy.Symbol("r", positive=True)
    (point,) = sympy.solve(sympy.diff(r - 1 - sympy.log(r), r), r)
    return point, 1


def _random_categoricals() -> Numbers:
    """The number of negative KLs among 10,000 random pairs over 4 outcomes, and 0."""
    logits = standard_draws(1, 2, 10_000, 4)
    log_q, log_p = logits.log_softmax(dim=-1)
    return ((log_q.exp() * (log_q - log_p)).sum(dim=-1) < 0).sum(), 0


EQ_KL_GIBBS = Identity(
    label="eq-kl-gibbs",
    chapter="kl_and_elbo",
    name="KL is not negative",
    formula=(
        r"\begin{aligned} \mathrm{KL}(q \,\|\, p)"
        r" &= \mathbb E_{q}\big[r - 1 - \log r\big] \ge 0, \\"
        r" r &= p(w) / q(w) \end{aligned}"
    ),
    checks=(
        quadrature("The rewritten average, against the definition", _gibbs_integral),
        symbolic("r - 1 - log r has its only stationary point at r = 1", _tangent),
        exact("Negative values among 10,000 random pairs, against none", _random_categoricals),
    ),
)


def _gaussian_kl(mean: Real, std: Real, prior_mean: Real, prior_std: Real) -> sympy.Expr:
    """The right-hand side of eq-kl-gaussian."""
    squares = std**2 + (mean - prior_mean) ** 2
    return sympy.log(prior_std / std) + squares / (2 * prior_std**2) - sympy.Rational(1, 2)


def _moment_split(mean: float, std: float) -> Numbers:
    """KL(p || N(mean, std^2)) of the two peaks, and the sum through their moments."""
    log_p = _log_two_peaks()
    m = mean_under(log_p, GRID).item()
    root = mean_under(log_p, (GRID - m).square()).sqrt().item()
    through_moments = kl_integral(log_p, _on_grid(m, root)) + float(
        _gaussian_kl(m, root, mean, std)
    )
    return kl_integral(log_p, _on_grid(mean, std)), through_moments


EQ_KL_MOMENTS = Identity(
    label="eq-kl-moments",
    chapter="kl_and_elbo",
    name="The forward fit matches moments",
    formula=(
        r"\begin{aligned} & \mathrm{KL}\big(p \,\|\, \mathcal N(\mu, \sigma^2)\big) \\"
        r" & \quad = \mathrm{KL}\big(p \,\|\, \mathcal N(m, v)\big) \\"
        r" & \quad {} + \mathrm{KL}\big(\mathcal N(m, v) \,\|\, \mathcal N(\mu, \sigma^2)\big)"
        r" \end{aligned}"
    ),
    checks=(
        quadrature("Two peaks against a narrow Gaussian", lambda: _moment_split(-1.0, 0.9)),
        quadrature("Two peaks against a wide Gaussian", lambda: _moment_split(1.0, 3.0)),
    ),
)


def _log_ratio() -> sympy.Expr:
    """log q(w) - log p(w), from the two densities."""
    return log_gaussian(W, MU, SIGMA) - log_gaussian(W, MU_PRIOR, SIGMA_PRIOR)


def _line_1() -> sympy.Expr:
    """log q(w) - log p(w) as the derivation's first line writes it."""
    return (
        sympy.log(SIGMA_PRIOR / SIGMA)
        - (W - MU) ** 2 / (2 * SIGMA**2)
        + (W - MU_PRIOR) ** 2 / (2 * SIGMA_PRIOR**2)
    )


def _stationary_point() -> Expressions:
    """The sum of |dKL/dmu| and |dKL/dsigma| at q = p, and 0."""
    kl = _gaussian_kl(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)
    at_prior = {MU: MU_PRIOR, SIGMA: SIGMA_PRIOR}
    slopes = [sympy.simplify(kl.diff(symbol).subs(at_prior)) for symbol in (MU, SIGMA)]
    return sum(map(abs, slopes)), 0


def _kl_of_two_gaussians() -> Numbers:
    by_definition = kl_integral(_on_grid(0.5, 0.4), _on_grid(-0.2, 1.3))
    return by_definition, _gaussian_kl(0.5, 0.4, -0.2, 1.3)


def _layer_kl() -> Numbers:
    """The KL of a layer's 12 weights and 4 biases, and the closed form summed over them."""
    prior = normal(0.2, 0.7)
    layer = BayesianLinear(3, 4, prior=prior, init_std=0.3, dtype=torch.float64)
    means = torch.linspace(-1, 1, 16, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_mean.copy_(means[:12].reshape(4, 3))
        layer.bias_mean.copy_(means[12:])
    std = layer.weight_std[0, 0].item()
    summed = math.fsum(_gaussian_kl(mean, std, 0.2, 0.7) for mean in means.tolist())
    return layer.kl_divergence().detach(), summed


EQ_KL_GAUSSIAN = Identity(
    label="eq-kl-gaussian",
    chapter="kl_and_elbo",
    name="KL between two Gaussians",
    formula=(
        r"\begin{aligned} & \mathrm{KL}\big(\mathcal N(\mu, \sigma^2) \,\|\,"
        r" \mathcal N(\mu_p, \sigma_p^2)\big) \\ & \quad = \log\frac{\sigma_p}{\sigma}"
        r" + \frac{\sigma^2 + (\mu - \mu_p)^2}{2 \sigma_p^2} - \frac12 \end{aligned}"
    ),
    checks=(
        symbolic("Line 1: log of the two densities' ratio", lambda: (_log_ratio(), _line_1())),
        symbolic(
            "Line 2: mean square of w about its own mean",
            lambda: (expectation((W - MU) ** 2), SIGMA**2),
        ),
        symbolic(
            "Line 3: mean square of w about the prior's mean",
            lambda: (expectation((W - MU_PRIOR) ** 2), SIGMA**2 + (MU - MU_PRIOR) ** 2),
        ),
        symbolic(
            "Line 4: mean of the log ratio, integrated from the densities",
            lambda: (expectation(_log_ratio()), _gaussian_kl(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)),
        ),
        symbolic(
            "At q = p the value is 0",
            lambda: (_gaussian_kl(MU_PRIOR, SIGMA_PRIOR, MU_PRIOR, SIGMA_PRIOR), 0),
        ),
        symbolic("At q = p both slopes are 0", _stationary_point),
        quadrature("Integral of the definition, against the closed form", _kl_of_two_gaussians),
        exact("A layer's kl_divergence(), against the sum over its parameters", _layer_kl),
    ),
)


def _coin_log_likelihood() -> Tensor:
    """log p(D | w) of the coin with log-odds w, 7 heads and 2 tails, on the grid."""
    return 7 * logsigmoid(GRID) + 2 * logsigmoid(-GRID)


def _coin_elbo(weight: float = 1.0) -> Tensor:
    """Fit minus weight times complexity of q = N(0.6, 0.5^2), the latter in closed form."""
    fit = mean_under(_on_grid(0.6, 0.5), _coin_log_likelihood())
    return fit - weight * float(_gaussian_kl(0.6, 0.5, 0, 1))


def _coin_joint() -> Numbers:
    """E_q[log p(D, w) - log q(w)] of the same q, and fit minus complexity."""
    log_q = _on_grid(0.6, 0.5)
    log_joint = _coin_log_likelihood() + _on_grid(0.0, 1.0)
    return mean_under(log_q, log_joint - log_q), _coin_elbo()


EQ_ELBO = Identity(
    label="eq-elbo",
    chapter="kl_and_elbo",
    name="The evidence lower bound",
    formula=(
        r"\begin{aligned} & \mathrm{ELBO}(q) \\"
        r" & \quad = \mathbb E_{q}\big[\log p(D, w) - \log q(w)\big] \\"
        r" & \quad = \mathbb E_{q}\big[\log p(D \mid w)\big] \\"
        r" & \qquad {} - \mathrm{KL}\big(q(w) \,\|\, p(w)\big)"
        r" \end{aligned}"
    ),
    checks=(
        quadrature(
            "A coin: mean of log joint less log q, against fit minus complexity", _coin_joint
        ),
    ),
)


def _gaussian_mean_fit() -> sympy.Expr:
    """eq-elbo-fit for N data, in their sums T and Q."""
    squares = SQUARES - 2 * MU * TOTAL + COUNT * (MU**2 + SIGMA**2)
    return -COUNT * sympy.log(2 * sympy.pi * NOISE**2) / 2 - squares / (2 * NOISE**2)


def _gaussian_mean_evidence() -> sympy.Expr:
    """log p(D) of the Gaussian mean, in the sums T and Q."""
    shrunk = SIGMA_PRIOR**2 * TOTAL**2 / (NOISE**2 + COUNT * SIGMA_PRIOR**2)
    return (
        -COUNT * sympy.log(2 * sympy.pi * NOISE**2) / 2
        - sympy.log(1 + COUNT * SIGMA_PRIOR**2 / NOISE**2) / 2
        - (SQUARES - shrunk) / (2 * NOISE**2)
    )


def _gaussian_mean_split() -> Expressions:
    """ELBO + KL(q || posterior) of the Gaussian mean, and its log evidence."""
    precision = 1 / SIGMA_PRIOR**2 + COUNT / NOISE**2
    elbo = _gaussian_mean_fit() - _gaussian_kl(MU, SIGMA, 0, SIGMA_PRIOR)
    gap = _gaussian_kl(MU, SIGMA, TOTAL / NOISE**2 / precision, 1 / sympy.sqrt(precision))
    return elbo + gap, _gaussian_mean_evidence()


# Five data from noise 1.5 and a prior of width 2, with q = N(0.8, 0.3^2).
EXAMPLE = {MU: 0.8, SIGMA: 0.3, SIGMA_PRIOR: 2.0, NOISE: 1.5, COUNT: len(DATA)}
EXAMPLE |= {TOTAL: DATA.sum().item(), SQUARES: DATA.square().sum().item()}


def _evidence_by_joint_gaussian() -> Numbers:
    """The data's density under their joint Gaussian, and the formula."""
    ones = torch.ones(len(DATA), 1, dtype=torch.float64)
    return log_evidence(ones, DATA, 1.5, 2.0), _gaussian_mean_evidence().subs(EXAMPLE)


def _evidence_by_quadrature() -> Numbers:
    """log of the integral of p(D | w) p(w), and the formula."""
    log_likelihood = normal(0.0, 1.5).log_prob(DATA[:, None] - GRID).sum(dim=0)
    evidence = integral((log_likelihood + _on_grid(0.0, 2.0)).exp())
    return evidence.log(), _gaussian_mean_evidence().subs(EXAMPLE)


def _coin_posterior(weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """log Z and the log density of p(D | w)^(1/weight) p(w) / Z, with the prior N(0, 1)."""
    log_joint = _coin_log_likelihood() / weight + _on_grid(0.0, 1.0)
    log_z = integral(log_joint.exp()).log()
    return log_z, log_joint - log_z


def _coin_split() -> Numbers:
    """ELBO + KL(q || posterior) of the coin, and log p(D)."""
    log_z, log_posterior = _coin_posterior()
    return _coin_elbo() + kl_integral(_on_grid(0.6, 0.5), log_posterior), log_z


EQ_ELBO_SPLIT = Identity(
    label="eq-elbo-split",
    chapter="kl_and_elbo",
    name="The evidence in two parts",
    formula=(
        r"\begin{aligned} \log p(D) ={} & \mathrm{ELBO}(q) \\"
        r" & + \mathrm{KL}\big(q(w) \,\|\, p(w \mid D)\big) \end{aligned}"
    ),
    checks=(
        symbolic("A Gaussian mean: sum of both parts, against its evidence", _gaussian_mean_split),
        exact("That evidence, against the data's joint Gaussian", _evidence_by_joint_gaussian),
        quadrature("That evidence, against the integral", _evidence_by_quadrature),
        quadrature("A coin, which has no closed form", _coin_split),
    ),
)


def _fit_of_one_datum() -> Expressions:
    """E_q of the log-likelihood of one datum, integrated, and the formula."""
    one_datum = {COUNT: 1, TOTAL: DATUM, SQUARES: DATUM**2}
    return expectation(log_gaussian(DATUM, W, NOISE)), _gaussian_mean_fit().subs(one_datum)


def _fit_draws() -> Draws:
    """Draws of log p(D | w), w from N(0.8, 0.3^2), noise 1.5, and eq-elbo-fit."""
    w = 0.8 + 0.3 * standard_draws(2, 20_000)
    draws = normal(0.0, 1.5).log_prob(DATA - w[:, None]).sum(dim=-1)
    return draws, float(_gaussian_mean_fit().subs(EXAMPLE))


EQ_ELBO_FIT = Identity(
    label="eq-elbo-fit",
    chapter="kl_and_elbo",
    name="The fit of a Gaussian mean",
    formula=(
        r"\begin{aligned} & \mathbb E_{q}\big[\log p(D \mid w)\big] = -\frac N2 \log(2\pi s^2) \\"
        r" & \quad {} - \frac{1}{2 s^2} \sum_{n=1}^{N} \big[(y_n - \mu)^2 + \sigma^2\big]"
        r" \end{aligned}"
    ),
    checks=(
        symbolic("One datum: the mean over q integrated", _fit_of_one_datum),
        monte_carlo("Five data: average over draws from q", _fit_draws),
    ),
)


def _epoch() -> Numbers:
    """The sum of B_b elbo_loss over unequal batches, and the negative ELBO's two terms."""
    kl = torch.tensor(3.7, dtype=torch.float64)
    losses = [
        len(batch) * elbo_loss(batch.mean(), kl, num_data=len(DATA)) for batch in DATA.split(2)
    ]
    return sum(losses), DATA.sum() + kl


def _random_batches() -> Draws:
    """N times the loss of random batches of 2, and the sum over all the data."""
    generator = torch.Generator().manual_seed(3)
    ranks = torch.rand(4_000, len(DATA), generator=generator, dtype=torch.float64)
    batches = DATA[ranks.argsort(dim=-1)[:, :2]]
    kl = 3.7
    return len(DATA) * (batches.mean(dim=-1) + kl / len(DATA)), DATA.sum().item() + kl


EQ_ELBO_MINIBATCH = Identity(
    label="eq-elbo-minibatch",
    chapter="kl_and_elbo",
    name="An epoch counts the KL once",
    formula=(
        r"\begin{aligned} & \sum_{b} B_b \left[\frac{1}{B_b} \sum_{n \in b} \ell_n"
        r" + \frac{\mathrm{KL}}{N}\right] \\"
        r" & \quad = \sum_{n=1}^{N} \ell_n + \mathrm{KL}, \\"
        r" & \ell_n = \mathbb E_{q}\big[-\log p(y_n \mid x_n, w)\big] \end{aligned}"
    ),
    checks=(
        exact("Batches of 2, 2 and 1 through elbo_loss", _epoch),
        monte_carlo("Random batches of 2: N times the mean loss", _random_batches),
    ),
)


def _coin_tempered(weight: float) -> Numbers:
    """Both sides of eq-elbo-tempered for the coin."""
    log_z, log_tempered = _coin_posterior(weight)
    distance = kl_integral(_on_grid(0.6, 0.5), log_tempered)
    return -_coin_elbo(weight), weight * (distance - log_z)


def _tempered_variance() -> Expressions:
    """The variance of q that minimizes -fit + lambda KL, and that of p(D | w)^(1/lambda) p(w)."""
    loss = -_gaussian_mean_fit() + WEIGHT * _gaussian_kl(MU, SIGMA, 0, SIGMA_PRIOR)
    (best,) = sympy.solve(loss.diff(SIGMA), SIGMA)
    return best**2, 1 / (1 / SIGMA_PRIOR**2 + COUNT / (WEIGHT * NOISE**2))


EQ_ELBO_TEMPERED = Identity(
    label="eq-elbo-tempered",
    chapter="kl_and_elbo",
    name="What a KL weight other than 1 learns",
    formula=(
        r"\begin{aligned} & \mathbb E_{q}\big[-\log p(D \mid w)\big] \\"
        r" & \quad {} + \lambda\, \mathrm{KL}\big(q(w) \,\|\, p(w)\big) \\"
        r" & = \lambda\, \mathrm{KL}\big(q(w) \,\|\, q_\lambda(w)\big) - \lambda \log Z_\lambda"
        r" \end{aligned}"
    ),
    checks=(
        quadrature("A coin with weight 0.2", lambda: _coin_tempered(0.2)),
        quadrature("A coin with weight 5", lambda: _coin_tempered(5.0)),
        symbolic("A Gaussian mean: variance at the minimum", _tempered_variance),
    ),
)


def _log_ratio_variance(mean: Real, std: Real, prior_mean: Real, prior_std: Real) -> Real:
    """The right-hand side of eq-kl-variance."""
    shift = std**2 * (mean - prior_mean) ** 2 / prior_std**4
    return (1 - std**2 / prior_std**2) ** 2 / 2 + shift


def _mean_square_deviation() -> Expressions:
    """E_q of the log ratio's squared deviation from the KL, integrated, and the formula."""
    deviation = _line_1() - _gaussian_kl(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)
    return expectation(deviation**2), _log_ratio_variance(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)


def _variance_draws() -> Draws:
    """Squared deviations of the log ratio from its mean, and eq-kl-variance."""
    draws = _kl_draws(normal(0.5, 0.4), normal(-0.2, 1.3), seed=4)
    deviations = draws - float(_gaussian_kl(0.5, 0.4, -0.2, 1.3))
    return deviations.square(), float(_log_ratio_variance(0.5, 0.4, -0.2, 1.3))


EQ_KL_VARIANCE = Identity(
    label="eq-kl-variance",
    chapter="kl_and_elbo",
    name="The noise of one draw",
    formula=(
        r"\begin{aligned} \mathrm{Var}_{q}\left[\log\frac{q(w)}{p(w)}\right] ={} &"
        r" \frac12 \left(1 - \frac{\sigma^2}{\sigma_p^2}\right)^2 \\"
        r" & + \frac{\sigma^2 (\mu - \mu_p)^2}{\sigma_p^4} \end{aligned}"
    ),
    checks=(
        symbolic("Mean square deviation, integrated from the densities", _mean_square_deviation),
        monte_carlo("Squared deviations of 20,000 draws", _variance_draws),
    ),
)

IDENTITIES = (
    EQ_KL,
    EQ_KL_GIBBS,
    EQ_KL_MOMENTS,
    EQ_KL_GAUSSIAN,
    EQ_ELBO,
    EQ_ELBO_SPLIT,
    EQ_ELBO_FIT,
    EQ_ELBO_MINIBATCH,
    EQ_ELBO_TEMPERED,
    EQ_KL_VARIANCE,
)
