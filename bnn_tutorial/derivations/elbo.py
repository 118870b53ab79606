"""The numbered equations of the chapter "elbo" and their checks.

Symbols: a weight w has q = N(mu, sigma^2) and the prior N(0, sigma_p^2); a datum y_n is w plus
noise of standard deviation s. Where the Gaussian is too kind a test, the model is a coin whose
weight is a log-odds, with 7 heads in 9 tosses: its evidence has no closed form.
"""

from collections.abc import Sequence

import sympy
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from bnn_tutorial.derivations.distributions import (
    COUNT,
    DATA,
    GRID,
    MU,
    MU_PRIOR,
    NOISE,
    SIGMA,
    SIGMA_PRIOR,
    Real,
    W,
    expectation,
    gaussian_kl,
    integral,
    kl_integral,
    log_evidence,
    log_gaussian,
    log_ratio_draws,
    mean_under,
    normal,
    on_grid,
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
from bnn_tutorial.training.elbo import elbo_loss

DATUM = sympy.Symbol("y", real=True)
TOTAL, SQUARES = sympy.symbols("T Q", real=True)  # the sums of y_n and of y_n^2
WEIGHT = sympy.Symbol("lambda", positive=True)

# A weight of three values: any q, prior and likelihoods of the data.
Q1, Q2 = sympy.symbols("q_1 q_2", positive=True)
ANY_Q = (Q1, Q2, 1 - Q1 - Q2)
PRIORS, LIKELIHOODS = sympy.symbols("p_1:4", positive=True), sympy.symbols("l_1:4", positive=True)


def _under_any_q(values: Sequence[sympy.Expr]) -> sympy.Expr:
    """The average of three values under any q."""
    return sympy.Add(*(q * value for q, value in zip(ANY_Q, values, strict=True)))


def _any_kl(log_p: Sequence[sympy.Expr]) -> sympy.Expr:
    """KL(q || p) of any q over three values."""
    return _under_any_q([sympy.log(q) - p for q, p in zip(ANY_Q, log_p, strict=True)])


def _any_elbo() -> sympy.Expr:
    """Fit minus complexity of any q."""
    fit = _under_any_q([sympy.log(likelihood) for likelihood in LIKELIHOODS])
    return fit - _any_kl([sympy.log(p) for p in PRIORS])


def _coin_log_likelihood() -> Tensor:
    """log p(D | w) of the coin with log-odds w, 7 heads and 2 tails, on the grid."""
    return 7 * logsigmoid(GRID) + 2 * logsigmoid(-GRID)


def _coin_elbo(weight: float = 1.0) -> Tensor:
    """Fit minus weight times complexity of q = N(0.6, 0.5^2), the latter in closed form."""
    fit = mean_under(on_grid(0.6, 0.5), _coin_log_likelihood())
    return fit - weight * float(gaussian_kl(0.6, 0.5, 0, 1))


def _coin_joint() -> Numbers:
    """E_q[log p(D, w) - log q(w)] of the same q, and fit minus complexity."""
    log_q = on_grid(0.6, 0.5)
    log_joint = _coin_log_likelihood() + on_grid(0.0, 1.0)
    return mean_under(log_q, log_joint - log_q), _coin_elbo()


def _any_joint() -> Expressions:
    """E_q[log p(D, w) - log q(w)] of any q over three values, and fit minus complexity."""
    joints = [p * likelihood for p, likelihood in zip(PRIORS, LIKELIHOODS, strict=True)]
    return sympy.expand_log(-_any_kl([sympy.log(joint) for joint in joints])), _any_elbo()


EQ_ELBO = Identity(
    label="eq-elbo",
    chapter="elbo",
    name="The evidence lower bound",
    formula=(
        r"\begin{aligned} & \mathrm{ELBO}(q) \\"
        r" & \quad = \mathbb E_{q}\big[\log p(D, w) - \log q(w)\big] \\"
        r" & \quad = \mathbb E_{q}\big[\log p(D \mid w)\big] \\"
        r" & \qquad {} - \mathrm{KL}\big(q(w) \,\|\, p(w)\big)"
        r" \end{aligned}"
    ),
    checks=(
        symbolic("the two sides", _any_joint, scope="a weight of three values, any model"),
        quadrature(
            "mean of log joint less log q, against fit minus complexity",
            _coin_joint,
            scope="one coin",
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
    elbo = _gaussian_mean_fit() - gaussian_kl(MU, SIGMA, 0, SIGMA_PRIOR)
    gap = gaussian_kl(MU, SIGMA, TOTAL / NOISE**2 / precision, 1 / sympy.sqrt(precision))
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
    evidence = integral((log_likelihood + on_grid(0.0, 2.0)).exp())
    return evidence.log(), _gaussian_mean_evidence().subs(EXAMPLE)


def _coin_posterior(weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """log Z and the log density of p(D | w)^(1/weight) p(w) / Z, with the prior N(0, 1)."""
    log_joint = _coin_log_likelihood() / weight + on_grid(0.0, 1.0)
    log_z = integral(log_joint.exp()).log()
    return log_z, log_joint - log_z


def _any_split() -> Expressions:
    """ELBO + KL(q || posterior) of any q over three values, and log p(D)."""
    joints = [p * likelihood for p, likelihood in zip(PRIORS, LIKELIHOODS, strict=True)]
    log_evidence_of_any = sympy.log(sum(joints))
    log_posterior = [
        sympy.log(p) + sympy.log(likelihood) - log_evidence_of_any
        for p, likelihood in zip(PRIORS, LIKELIHOODS, strict=True)
    ]
    return _any_elbo() + _any_kl(log_posterior), log_evidence_of_any


def _coin_split() -> Numbers:
    """ELBO + KL(q || posterior) of the coin, and log p(D)."""
    log_z, log_posterior = _coin_posterior()
    return _coin_elbo() + kl_integral(on_grid(0.6, 0.5), log_posterior), log_z


EQ_ELBO_SPLIT = Identity(
    label="eq-elbo-split",
    chapter="elbo",
    name="The evidence in two parts",
    formula=(
        r"\begin{aligned} \log p(D) ={} & \mathrm{ELBO}(q) \\"
        r" & + \mathrm{KL}\big(q(w) \,\|\, p(w \mid D)\big) \end{aligned}"
    ),
    checks=(
        symbolic("sum of both parts", _any_split, scope="a weight of three values, any model"),
        symbolic(
            "sum of both parts, against the evidence",
            _gaussian_mean_split,
            scope="a Gaussian mean, any data",
        ),
        exact(
            "that evidence, against the joint Gaussian",
            _evidence_by_joint_gaussian,
            scope="a Gaussian mean, five data",
        ),
        quadrature(
            "that evidence, against the integral",
            _evidence_by_quadrature,
            scope="a Gaussian mean, five data",
        ),
        quadrature(
            "sum of both parts, against the integral",
            _coin_split,
            scope="one coin, which has no closed form",
        ),
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
    chapter="elbo",
    name="The fit of a Gaussian mean",
    formula=(
        r"\begin{aligned} & \mathbb E_{q}\big[\log p(D \mid w)\big] = -\frac N2 \log(2\pi s^2) \\"
        r" & \quad {} - \frac{1}{2 s^2} \sum_{n=1}^{N} \big[(y_n - \mu)^2 + \sigma^2\big]"
        r" \end{aligned}"
    ),
    checks=(
        symbolic("the mean over q, integrated", _fit_of_one_datum, scope="one datum, any value"),
        monte_carlo("average over draws from q", _fit_draws, scope="five given data"),
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
    chapter="elbo",
    name="An epoch counts the KL once",
    formula=(
        r"\begin{aligned} & \sum_{b} B_b \left[\frac{1}{B_b} \sum_{n \in b} \ell_n"
        r" + \frac{\mathrm{KL}}{N}\right] \\"
        r" & \quad = \sum_{n=1}^{N} \ell_n + \mathrm{KL}, \\"
        r" & \ell_n = \mathbb E_{q}\big[-\log p(y_n \mid x_n, w)\big] \end{aligned}"
    ),
    checks=(
        exact("through elbo_loss", _epoch, scope="five given data in batches of 2, 2 and 1"),
        monte_carlo(
            "N times the mean loss", _random_batches, scope="five given data in random batches of 2"
        ),
    ),
)


def _coin_tempered(weight: float) -> Numbers:
    """Both sides of eq-elbo-tempered for the coin."""
    log_z, log_tempered = _coin_posterior(weight)
    distance = kl_integral(on_grid(0.6, 0.5), log_tempered)
    return -_coin_elbo(weight), weight * (distance - log_z)


def _any_tempered() -> Expressions:
    """Both sides of eq-elbo-tempered for any q over three values; Z is any number there."""
    z = sympy.Symbol("Z", positive=True)
    misfit = -_under_any_q([sympy.log(likelihood) for likelihood in LIKELIHOODS])
    log_tempered = [
        sympy.log(likelihood) / WEIGHT + sympy.log(p) - sympy.log(z)
        for p, likelihood in zip(PRIORS, LIKELIHOODS, strict=True)
    ]
    return (
        misfit + WEIGHT * _any_kl([sympy.log(p) for p in PRIORS]),
        WEIGHT * _any_kl(log_tempered) - WEIGHT * sympy.log(z),
    )


def _tempered_variance() -> Expressions:
    """The variance of q that minimizes -fit + lambda KL, and that of p(D | w)^(1/lambda) p(w)."""
    loss = -_gaussian_mean_fit() + WEIGHT * gaussian_kl(MU, SIGMA, 0, SIGMA_PRIOR)
    (best,) = sympy.solve(loss.diff(SIGMA), SIGMA)
    return best**2, 1 / (1 / SIGMA_PRIOR**2 + COUNT / (WEIGHT * NOISE**2))


EQ_ELBO_TEMPERED = Identity(
    label="eq-elbo-tempered",
    chapter="elbo",
    name="What a KL weight other than 1 learns",
    formula=(
        r"\begin{aligned} & \mathbb E_{q}\big[-\log p(D \mid w)\big] \\"
        r" & \quad {} + \lambda\, \mathrm{KL}\big(q(w) \,\|\, p(w)\big) \\"
        r" & = \lambda\, \mathrm{KL}\big(q(w) \,\|\, q_\lambda(w)\big) - \lambda \log Z_\lambda"
        r" \end{aligned}"
    ),
    checks=(
        symbolic("both sides", _any_tempered, scope="a weight of three values, any model and λ"),
        quadrature("both sides, colder", lambda: _coin_tempered(0.2), scope="one coin, λ = 0.2"),
        quadrature("both sides, warmer", lambda: _coin_tempered(5.0), scope="one coin, λ = 5"),
        symbolic(
            "variance at the minimum", _tempered_variance, scope="a Gaussian mean, any data and λ"
        ),
    ),
)


def _log_ratio_variance(mean: Real, std: Real, prior_mean: Real, prior_std: Real) -> Real:
    """The right-hand side of eq-kl-variance."""
    shift = std**2 * (mean - prior_mean) ** 2 / prior_std**4
    return (1 - std**2 / prior_std**2) ** 2 / 2 + shift


def _mean_square_deviation() -> Expressions:
    """E_q of the log ratio's squared deviation from the KL, integrated, and the formula."""
    log_ratio = log_gaussian(W, MU, SIGMA) - log_gaussian(W, MU_PRIOR, SIGMA_PRIOR)
    deviation = log_ratio - gaussian_kl(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)
    return expectation(deviation**2), _log_ratio_variance(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)


def _variance_draws() -> Draws:
    """Squared deviations of the log ratio from its mean, and eq-kl-variance."""
    draws = log_ratio_draws(normal(0.5, 0.4), normal(-0.2, 1.3), seed=4)
    deviations = draws - float(gaussian_kl(0.5, 0.4, -0.2, 1.3))
    return deviations.square(), float(_log_ratio_variance(0.5, 0.4, -0.2, 1.3))


EQ_KL_VARIANCE = Identity(
    label="eq-kl-variance",
    chapter="elbo",
    name="The noise of one draw",
    formula=(
        r"\begin{aligned} \mathrm{Var}_{q}\left[\log\frac{q(w)}{p(w)}\right] ={} &"
        r" \frac12 \left(1 - \frac{\sigma^2}{\sigma_p^2}\right)^2 \\"
        r" & + \frac{\sigma^2 (\mu - \mu_p)^2}{\sigma_p^4} \end{aligned}"
    ),
    checks=(
        symbolic(
            "mean square deviation, integrated from the densities",
            _mean_square_deviation,
            scope="general",
        ),
        monte_carlo(
            "squared deviations of 20,000 draws", _variance_draws, scope="one pair of Gaussians"
        ),
    ),
)

IDENTITIES = (
    EQ_ELBO,
    EQ_ELBO_SPLIT,
    EQ_ELBO_FIT,
    EQ_ELBO_MINIBATCH,
    EQ_ELBO_TEMPERED,
    EQ_KL_VARIANCE,
)
