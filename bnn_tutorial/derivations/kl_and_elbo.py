"""The numbered equations of the chapter "kl_and_elbo" and their checks.

Symbols: a weight w has q = N(mu, sigma^2) and the prior N(mu_p, sigma_p^2); a datum y_n is w plus
noise of standard deviation s. Where the Gaussian is too kind a test, the model is a coin whose
weight is a log-odds, with 7 heads in 9 tosses: its evidence has no closed form.
"""

import math

import sympy
import torch
from torch import Tensor
from torch.distributions import Categorical, MultivariateNormal, Normal
from torch.nn.functional import logsigmoid

from bnn_tutorial.derivations.identity import Identity, exact, monte_carlo, quadrature, symbolic
from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.training.elbo import elbo_loss

W, EPSILON = sympy.symbols("w epsilon", real=True)
MU, MU_PRIOR = sympy.symbols("mu mu_p", real=True)
SIGMA, SIGMA_PRIOR, NOISE, WEIGHT = sympy.symbols("sigma sigma_p s lambda", positive=True)
COUNT = sympy.Symbol("N", positive=True, integer=True)
DATUM, TOTAL, SQUARES = sympy.symbols("y T Q", real=True)  # T and Q: sums of y_n and of y_n^2
HALF = sympy.Rational(1, 2)

DATA = torch.tensor([1.9, 0.4, 1.1, 2.3, 0.8], dtype=torch.float64)
HEADS, TAILS = 7, 2


# Symbolic: Gaussians as SymPy expressions.


def log_gaussian(value, mean, std):
    """log N(value; mean, std^2)."""
    return -sympy.log(2 * sympy.pi * std**2) / 2 - (value - mean) ** 2 / (2 * std**2)


def expectation(expression):
    """E_q of a polynomial in w, integrated power by power after w = mu + sigma epsilon."""
    polynomial = sympy.Poly(sympy.expand(expression).subs(W, MU + SIGMA * EPSILON), EPSILON)
    density = sympy.exp(-(EPSILON**2) / 2) / sympy.sqrt(2 * sympy.pi)
    return sum(
        coefficient * sympy.integrate(EPSILON**power * density, (EPSILON, -sympy.oo, sympy.oo))
        for (power,), coefficient in polynomial.terms()
    )


def closed_form(mean, std, prior_mean, prior_std, log=sympy.log):
    """The right-hand side of eq-kl-gaussian, for symbols or for numbers."""
    return log(prior_std / std) + (std**2 + (mean - prior_mean) ** 2) / (2 * prior_std**2) - HALF


def log_ratio():
    """log q(w) - log p(w), from the two densities."""
    return log_gaussian(W, MU, SIGMA) - log_gaussian(W, MU_PRIOR, SIGMA_PRIOR)


def line_1():
    """log q(w) - log p(w) as the derivation's first line writes it."""
    return (
        sympy.log(SIGMA_PRIOR / SIGMA)
        - (W - MU) ** 2 / (2 * SIGMA**2)
        + (W - MU_PRIOR) ** 2 / (2 * SIGMA_PRIOR**2)
    )


def stationary_point():
    """The sum of |dKL/dmu| and |dKL/dsigma| at q = p."""
    kl = closed_form(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)
    at_prior = {MU: MU_PRIOR, SIGMA: SIGMA_PRIOR}
    return sum(abs(sympy.simplify(kl.diff(symbol).subs(at_prior))) for symbol in (MU, SIGMA))


def gaussian_mean_fit():
    """eq-elbo-fit for N data, in their sums T and Q."""
    squares = SQUARES - 2 * MU * TOTAL + COUNT * (MU**2 + SIGMA**2)
    return -COUNT * sympy.log(2 * sympy.pi * NOISE**2) / 2 - squares / (2 * NOISE**2)


def gaussian_mean_evidence():
    """log p(D) of the Gaussian mean, in the sums T and Q."""
    shrunk = SIGMA_PRIOR**2 * TOTAL**2 / (NOISE**2 + COUNT * SIGMA_PRIOR**2)
    return (
        -COUNT * sympy.log(2 * sympy.pi * NOISE**2) / 2
        - sympy.log(1 + COUNT * SIGMA_PRIOR**2 / NOISE**2) / 2
        - (SQUARES - shrunk) / (2 * NOISE**2)
    )


def gaussian_mean_split():
    """ELBO + KL(q || posterior) of the Gaussian mean, and its log evidence."""
    precision = 1 / SIGMA_PRIOR**2 + COUNT / NOISE**2
    elbo = gaussian_mean_fit() - closed_form(MU, SIGMA, 0, SIGMA_PRIOR)
    gap = closed_form(MU, SIGMA, TOTAL / NOISE**2 / precision, 1 / sympy.sqrt(precision))
    return elbo + gap, gaussian_mean_evidence()


def tempered_std():
    """The variance of q that minimizes -fit + lambda KL, and that of p(D | w)^(1/lambda) p(w)."""
    loss = -gaussian_mean_fit() + WEIGHT * closed_form(MU, SIGMA, 0, SIGMA_PRIOR)
    (best,) = sympy.solve(loss.diff(SIGMA), SIGMA)
    return best**2, 1 / (1 / SIGMA_PRIOR**2 + COUNT / (WEIGHT * NOISE**2))


# Numeric: log densities on a grid, integrals by the trapezoid rule, whose error falls faster than
# any power of the spacing for these smooth functions that vanish at both ends.

GRID = torch.linspace(-12, 12, 4801, dtype=torch.float64)


def normal(mean: float, std: float) -> Normal:
    """A Gaussian in double precision."""
    return Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64))


def log_normal(mean: float, std: float) -> Tensor:
    """log N(w; mean, std^2) on the grid."""
    return normal(mean, std).log_prob(GRID)


def log_two_peaks() -> Tensor:
    """The log density of a mixture of two Gaussians on the grid."""
    return torch.logaddexp(
        math.log(0.7) + log_normal(-2.0, 0.6), math.log(0.3) + log_normal(2.0, 0.9)
    )


def mean_under(log_density: Tensor, values: Tensor) -> Tensor:
    """The expectation of ``values`` under a density, both on the grid."""
    return torch.trapezoid(log_density.exp() * values, GRID)


def kl_integral(log_q: Tensor, log_p: Tensor) -> Tensor:
    """KL(q || p) by the integral of its definition."""
    return mean_under(log_q, log_q - log_p)


def standard_draws(seed: int, *shape: int) -> Tensor:
    """Standard normal draws in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def kl_draws(q: Normal, p: Normal, seed: int, count: int = 20_000):
    """Draws of log q(w) - log p(w), w from q."""
    w = q.mean + q.stddev * standard_draws(seed, count)
    return q.log_prob(w) - p.log_prob(w)


def two_categoricals():
    """KL by the sum of q log(q/p) over three outcomes, and by torch."""
    q, p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], dtype=torch.float64)
    by_sum = math.fsum(a * math.log(a / b) for a, b in zip(q.tolist(), p.tolist(), strict=True))
    return by_sum, torch.distributions.kl_divergence(Categorical(q), Categorical(p))


def random_categoricals():
    """The number of negative KLs among 10,000 random pairs over 4 outcomes, and 0."""
    logits = standard_draws(1, 2, 10_000, 4)
    log_q, log_p = logits.log_softmax(dim=-1)
    return ((log_q.exp() * (log_q - log_p)).sum(dim=-1) < 0).sum(), 0


def gibbs_integral():
    """E_q[p/q - 1 - log(p/q)], and KL(q || p) by its definition."""
    log_q, log_p = log_normal(0.5, 1.0), log_two_peaks()
    excess = torch.expm1(log_p - log_q) - (log_p - log_q)
    return mean_under(log_q, excess), kl_integral(log_q, log_p)


def tangent():
    """The only stationary point of r - 1 - log r, and 1."""
    r = sympy.Symbol("r", positive=True)
    (point,) = sympy.solve(sympy.diff(r - 1 - sympy.log(r), r), r)
    return point, 1


def moment_split(mean: float, std: float):
    """KL(p || N(mean, std^2)) of the two peaks, and the sum through their moments."""
    log_p = log_two_peaks()
    m = mean_under(log_p, GRID)
    v = mean_under(log_p, (GRID - m).square())
    m, root = m.item(), v.sqrt().item()
    through_moments = kl_integral(log_p, log_normal(m, root)) + closed_form(
        m, root, mean, std, math.log
    )
    return kl_integral(log_p, log_normal(mean, std)), through_moments


def layer_kl():
    """The KL of a layer's 12 weights and 4 biases, and the closed form summed over them."""
    layer = BayesianLinear(3, 4, prior=Normal(0.2, 0.7), init_std=0.3, dtype=torch.float64)
    means = torch.linspace(-1, 1, 16, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_mean.copy_(means[:12].reshape(4, 3))
        layer.bias_mean.copy_(means[12:])
    prior_mean, prior_std = layer.prior.loc.item(), layer.prior.scale.item()
    std = layer.weight_std[0, 0].item()
    summed = math.fsum(
        closed_form(mean, std, prior_mean, prior_std, math.log) for mean in means.tolist()
    )
    return layer.kl_divergence().detach(), summed


def coin_log_likelihood() -> Tensor:
    """log p(D | w) of the coin with log-odds w, on the grid."""
    return HEADS * logsigmoid(GRID) + TAILS * logsigmoid(-GRID)


def coin_posterior(weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """log Z and the log density of p(D | w)^(1/weight) p(w) / Z, with the prior N(0, 1)."""
    log_joint = coin_log_likelihood() / weight + log_normal(0.0, 1.0)
    log_z = torch.trapezoid(log_joint.exp(), GRID).log()
    return log_z, log_joint - log_z


def coin_elbo(weight: float = 1.0) -> Tensor:
    """Fit minus weight times complexity of q = N(0.6, 0.5^2), the latter in closed form."""
    fit = mean_under(log_normal(0.6, 0.5), coin_log_likelihood())
    return fit - weight * closed_form(0.6, 0.5, 0, 1, math.log)


def coin_joint():
    """E_q[log p(D, w) - log q(w)] of the same q, and fit minus complexity."""
    log_q = log_normal(0.6, 0.5)
    integral = mean_under(log_q, coin_log_likelihood() + log_normal(0.0, 1.0) - log_q)
    return integral, coin_elbo()


def coin_split():
    """ELBO + KL(q || posterior) of the coin, and log p(D), by quadrature."""
    log_evidence, log_posterior = coin_posterior()
    return coin_elbo() + kl_integral(log_normal(0.6, 0.5), log_posterior), log_evidence


def coin_tempered(weight: float):
    """Both sides of eq-elbo-tempered for the coin."""
    log_z, log_tempered = coin_posterior(weight)
    distance = kl_integral(log_normal(0.6, 0.5), log_tempered)
    return -coin_elbo(weight), weight * (distance - log_z)


def fit_draws():
    """Draws of log p(D | w), w from N(0.8, 0.3^2), noise 1.5, and eq-elbo-fit."""
    w = 0.8 + 0.3 * standard_draws(2, 20_000)
    draws = normal(0.0, 1.5).log_prob(DATA - w[:, None]).sum(dim=-1)
    values = {MU: 0.8, SIGMA: 0.3, NOISE: 1.5, COUNT: 5}
    sums = {TOTAL: DATA.sum().item(), SQUARES: DATA.square().sum().item()}
    return draws, float(gaussian_mean_fit().subs(values | sums))


def evidence_value():
    """The same for five data, noise 1.5 and a prior of width 2."""
    values = {SIGMA_PRIOR: 2, NOISE: 1.5, COUNT: 5}
    sums = {TOTAL: DATA.sum().item(), SQUARES: DATA.square().sum().item()}
    return float(gaussian_mean_evidence().subs(values | sums))


def evidence_by_joint_gaussian():
    """The data's density under their joint Gaussian, noise I plus prior 1 1^T."""
    covariance = 1.5**2 * torch.eye(5, dtype=torch.float64) + 2.0**2
    return MultivariateNormal(torch.zeros_like(DATA), covariance).log_prob(DATA), evidence_value()


def evidence_by_quadrature():
    """log of the integral of p(D | w) p(w)."""
    log_likelihood = normal(0.0, 1.5).log_prob(DATA[:, None] - GRID).sum(dim=0)
    log_joint = log_likelihood + log_normal(0.0, 2.0)
    return torch.trapezoid(log_joint.exp(), GRID).log(), evidence_value()


def epoch():
    """The sum of B_b elbo_loss over unequal batches, and the negative ELBO's two terms."""
    kl = torch.tensor(3.7, dtype=torch.float64)
    losses = [
        len(batch) * elbo_loss(batch.mean(), kl, num_data=len(DATA)) for batch in DATA.split(2)
    ]
    return sum(losses), DATA.sum() + kl


def random_batches():
    """N times the loss of random batches of 2, and the sum over all the data."""
    generator = torch.Generator().manual_seed(3)
    kl = torch.tensor(3.7, dtype=torch.float64)
    order = torch.rand(4_000, len(DATA), generator=generator, dtype=torch.float64).argsort(dim=-1)[
        :, :2
    ]
    draws = len(DATA) * (DATA[order].mean(dim=-1) + kl / len(DATA))
    return draws, (DATA.sum() + kl).item()


def log_ratio_variance(mean, std, prior_mean, prior_std):
    """The right-hand side of eq-kl-variance."""
    shift = std**2 * (mean - prior_mean) ** 2 / prior_std**4
    return HALF * (1 - std**2 / prior_std**2) ** 2 + shift


def variance_draws():
    """Squared deviations of the log ratio from its mean, and eq-kl-variance."""
    draws = kl_draws(normal(0.5, 0.4), normal(-0.2, 1.3), seed=4)
    deviations = draws - float(closed_form(0.5, 0.4, -0.2, 1.3, math.log))
    return deviations.square(), float(log_ratio_variance(0.5, 0.4, -0.2, 1.3))


KL = Identity(
    "eq-kl",
    "kl_and_elbo",
    "The KL divergence",
    r"\begin{aligned} \mathrm{KL}(q \,\|\, p) &= \mathbb E_{q}\left[\log\frac{q(w)}{p(w)}\right] \\"
    r" &= \int q(w)\, \log\frac{q(w)}{p(w)}\, dw \end{aligned}",
    (
        monte_carlo(
            "Average of the log ratio over draws from q, against the integral",
            lambda: (
                kl_draws(normal(0.5, 0.4), normal(-0.2, 1.3), seed=0),
                float(kl_integral(log_normal(0.5, 0.4), log_normal(-0.2, 1.3))),
            ),
        ),
        exact("Sum over three outcomes, against torch.distributions", two_categoricals),
    ),
)

GIBBS = Identity(
    "eq-kl-gibbs",
    "kl_and_elbo",
    "KL is not negative",
    r"\begin{aligned} \mathrm{KL}(q \,\|\, p) &= \mathbb E_{q}\big[r - 1 - \log r\big] \ge 0, \\"
    r" r &= p(w) / q(w) \end{aligned}",
    (
        quadrature("The rewritten average, against the definition", gibbs_integral),
        symbolic("r - 1 - log r has its only stationary point at r = 1", tangent),
        exact("Negative values among 10,000 random pairs, against none", random_categoricals),
    ),
)

MOMENTS = Identity(
    "eq-kl-moments",
    "kl_and_elbo",
    "The forward fit matches moments",
    r"\begin{aligned} & \mathrm{KL}\big(p \,\|\, \mathcal N(\mu, \sigma^2)\big) \\"
    r" & \quad = \mathrm{KL}\big(p \,\|\, \mathcal N(m, v)\big) \\"
    r" & \quad {} + \mathrm{KL}\big(\mathcal N(m, v) \,\|\, \mathcal N(\mu, \sigma^2)\big)"
    r" \end{aligned}",
    (
        quadrature("Two peaks against a narrow Gaussian", lambda: moment_split(-1.0, 0.9)),
        quadrature("Two peaks against a wide Gaussian", lambda: moment_split(1.0, 3.0)),
    ),
)

GAUSSIAN = Identity(
    "eq-kl-gaussian",
    "kl_and_elbo",
    "KL between two Gaussians",
    r"\begin{aligned} & \mathrm{KL}\big(\mathcal N(\mu, \sigma^2) \,\|\,"
    r" \mathcal N(\mu_p, \sigma_p^2)\big) \\ & \quad = \log\frac{\sigma_p}{\sigma}"
    r" + \frac{\sigma^2 + (\mu - \mu_p)^2}{2 \sigma_p^2} - \frac12 \end{aligned}",
    (
        symbolic("Line 1: log of the two densities' ratio", lambda: (log_ratio(), line_1())),
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
            lambda: (expectation(log_ratio()), closed_form(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)),
        ),
        symbolic(
            "At q = p the value is 0",
            lambda: (closed_form(MU_PRIOR, SIGMA_PRIOR, MU_PRIOR, SIGMA_PRIOR), 0),
        ),
        symbolic("At q = p both slopes are 0", lambda: (stationary_point(), 0)),
        quadrature(
            "Integral of the definition, against the closed form",
            lambda: (
                kl_integral(log_normal(0.5, 0.4), log_normal(-0.2, 1.3)),
                closed_form(0.5, 0.4, -0.2, 1.3, math.log),
            ),
        ),
        exact("A layer's kl_divergence(), against the sum over its parameters", layer_kl),
    ),
)

ELBO = Identity(
    "eq-elbo",
    "kl_and_elbo",
    "The evidence lower bound",
    r"\begin{aligned} & \mathrm{ELBO}(q) \\"
    r" & \quad = \mathbb E_{q}\big[\log p(D, w) - \log q(w)\big] \\"
    r" & \quad = \mathbb E_{q}\big[\log p(D \mid w)\big] \\"
    r" & \qquad {} - \mathrm{KL}\big(q(w) \,\|\, p(w)\big)"
    r" \end{aligned}",
    (
        quadrature(
            "A coin: mean of log joint less log q, against fit minus complexity",
            coin_joint,
        ),
    ),
)

SPLIT = Identity(
    "eq-elbo-split",
    "kl_and_elbo",
    "The evidence in two parts",
    r"\begin{aligned} \log p(D) ={} & \mathrm{ELBO}(q) \\"
    r" & + \mathrm{KL}\big(q(w) \,\|\, p(w \mid D)\big) \end{aligned}",
    (
        symbolic("A Gaussian mean: sum of both parts, against its evidence", gaussian_mean_split),
        exact("That evidence, against the data's joint Gaussian", evidence_by_joint_gaussian),
        quadrature("That evidence, against the integral", evidence_by_quadrature),
        quadrature("A coin, which has no closed form", coin_split),
    ),
)

FIT = Identity(
    "eq-elbo-fit",
    "kl_and_elbo",
    "The fit of a Gaussian mean",
    r"\begin{aligned} & \mathbb E_{q}\big[\log p(D \mid w)\big] = -\frac N2 \log(2\pi s^2) \\"
    r" & \quad {} - \frac{1}{2 s^2} \sum_{n=1}^{N} \big[(y_n - \mu)^2 + \sigma^2\big]"
    r" \end{aligned}",
    (
        symbolic(
            "One datum: the mean over q integrated",
            lambda: (
                expectation(log_gaussian(DATUM, W, NOISE)),
                gaussian_mean_fit().subs({COUNT: 1, TOTAL: DATUM, SQUARES: DATUM**2}),
            ),
        ),
        monte_carlo("Five data: average over draws from q", fit_draws),
    ),
)

MINIBATCH = Identity(
    "eq-elbo-minibatch",
    "kl_and_elbo",
    "An epoch counts the KL once",
    r"\begin{aligned} & \sum_{b} B_b \left[\frac{1}{B_b} \sum_{n \in b} \ell_n"
    r" + \frac{\mathrm{KL}}{N}\right] \\"
    r" & \quad = \sum_{n=1}^{N} \ell_n + \mathrm{KL}, \\"
    r" & \ell_n = \mathbb E_{q}\big[-\log p(y_n \mid x_n, w)\big] \end{aligned}",
    (
        exact("Batches of 2, 2 and 1 through elbo_loss", epoch),
        monte_carlo("Random batches of 2: N times the mean loss", random_batches),
    ),
)

TEMPERED = Identity(
    "eq-elbo-tempered",
    "kl_and_elbo",
    "What a KL weight other than 1 learns",
    r"\begin{aligned} & \mathbb E_{q}\big[-\log p(D \mid w)\big] \\"
    r" & \quad {} + \lambda\, \mathrm{KL}\big(q(w) \,\|\, p(w)\big) \\"
    r" & = \lambda\, \mathrm{KL}\big(q(w) \,\|\, q_\lambda(w)\big) - \lambda \log Z_\lambda"
    r" \end{aligned}",
    (
        quadrature("A coin with weight 0.2", lambda: coin_tempered(0.2)),
        quadrature("A coin with weight 5", lambda: coin_tempered(5.0)),
        symbolic("A Gaussian mean: variance at the minimum", tempered_std),
    ),
)

VARIANCE = Identity(
    "eq-kl-variance",
    "kl_and_elbo",
    "The noise of one draw",
    r"\begin{aligned} \mathrm{Var}_{q}\left[\log\frac{q(w)}{p(w)}\right] ={} &"
    r" \frac12 \left(1 - \frac{\sigma^2}{\sigma_p^2}\right)^2 \\"
    r" & + \frac{\sigma^2 (\mu - \mu_p)^2}{\sigma_p^4} \end{aligned}",
    (
        symbolic(
            "Mean square deviation, integrated from the densities",
            lambda: (
                expectation((line_1() - closed_form(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)) ** 2),
                log_ratio_variance(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR),
            ),
        ),
        monte_carlo("Squared deviations of 20,000 draws", variance_draws),
    ),
)

IDENTITIES: tuple[Identity, ...] = (
    KL,
    GIBBS,
    MOMENTS,
    GAUSSIAN,
    ELBO,
    SPLIT,
    FIT,
    MINIBATCH,
    TEMPERED,
    VARIANCE,
)
