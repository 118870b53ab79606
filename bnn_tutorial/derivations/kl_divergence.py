"""The numbered equations of the chapter "kl_divergence" and their checks.

Symbols: a weight w has q = N(mu, sigma^2) and the prior N(mu_p, sigma_p^2).
"""

import math

import sympy
import torch
from torch import Tensor
from torch.distributions import Categorical

from bnn_tutorial.derivations.distributions import (
    GRID,
    MU,
    MU_PRIOR,
    SIGMA,
    SIGMA_PRIOR,
    W,
    expectation,
    gaussian_kl,
    kl_integral,
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
from bnn_tutorial.layers.linear import BayesianLinear


def _average_log_ratio() -> Draws:
    draws = log_ratio_draws(normal(0.5, 0.4), normal(-0.2, 1.3), seed=0)
    return draws, kl_integral(on_grid(0.5, 0.4), on_grid(-0.2, 1.3)).item()


def _two_categoricals() -> Numbers:
    """KL by the sum of q log(q/p) over three outcomes, and by torch."""
    q, p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], dtype=torch.float64)
    by_sum = math.fsum(a * math.log(a / b) for a, b in zip(q.tolist(), p.tolist(), strict=True))
    return by_sum, torch.distributions.kl_divergence(Categorical(q), Categorical(p))


EQ_KL = Identity(
    label="eq-kl",
    chapter="kl_divergence",
    name="The KL divergence",
    formula=(
        r"\begin{aligned} \mathrm{KL}(q \,\|\, p)"
        r" &= \mathbb E_{q}\left[\log\frac{q(w)}{p(w)}\right] \\"
        r" &= \int q(w)\, \log\frac{q(w)}{p(w)}\, dw \end{aligned}"
    ),
    checks=(
        monte_carlo(
            "average of the log ratio over draws, against the integral",
            _average_log_ratio,
            scope="one pair of Gaussians",
        ),
        exact(
            "the sum, against torch.distributions",
            _two_categoricals,
            scope="one pair over three outcomes",
        ),
    ),
)


def _log_two_peaks() -> Tensor:
    """The log density of a mixture of two Gaussians on the grid."""
    return torch.logaddexp(math.log(0.7) + on_grid(-2.0, 0.6), math.log(0.3) + on_grid(2.0, 0.9))


def _gibbs_integral() -> Numbers:
    """E_q[p/q - 1 - log(p/q)], and KL(q || p) by its definition."""
    log_q, log_p = on_grid(0.5, 1.0), _log_two_peaks()
    excess = torch.expm1(log_p - log_q) - (log_p - log_q)
    return mean_under(log_q, excess), kl_integral(log_q, log_p)


def _gibbs_of_any_three() -> Expressions:
    """The sum of q (r - 1 - log r) over three outcomes of any probabilities, and of q log(q/p)."""
    q1, q2, p1, p2 = sympy.symbols("q_1 q_2 p_1 p_2", positive=True)
    pairs = [(q1, p1), (q2, p2), (1 - q1 - q2, 1 - p1 - p2)]
    return (
        sum(q * (p / q - 1 - sympy.log(p / q)) for q, p in pairs),
        sum(q * -sympy.log(p / q) for q, p in pairs),
    )


def _tangent() -> Expressions:
    """The only stationary point of r - 1 - log r, and 1."""
    r = sympy.Symbol("r", positive=True)
    (point,) = sympy.solve(sympy.diff(r - 1 - sympy.log(r), r), r)
    return point, 1


def _curvature() -> Expressions:
    """The second derivative of r - 1 - log r, and 1 / r^2."""
    r = sympy.Symbol("r", positive=True)
    return sympy.diff(r - 1 - sympy.log(r), r, 2), 1 / r**2


def _random_categoricals() -> Numbers:
    """The number of negative KLs among 10,000 random pairs over 4 outcomes, and 0."""
    logits = standard_draws(1, 2, 10_000, 4)
    log_q, log_p = logits.log_softmax(dim=-1)
    return ((log_q.exp() * (log_q - log_p)).sum(dim=-1) < 0).sum(), 0


EQ_KL_GIBBS = Identity(
    label="eq-kl-gibbs",
    chapter="kl_divergence",
    name="KL is not negative",
    formula=(
        r"\begin{aligned} \mathrm{KL}(q \,\|\, p)"
        r" &= \mathbb E_{q}\big[r - 1 - \log r\big] \ge 0, \\"
        r" r &= p(w) / q(w) \end{aligned}"
    ),
    checks=(
        quadrature(
            "the rewritten average, against the definition",
            _gibbs_integral,
            scope="one pair of densities",
        ),
        symbolic(
            "the rewritten average, against the definition, by symbols",
            _gibbs_of_any_three,
            scope="any two distributions over three outcomes",
        ),
        symbolic(
            "r - 1 - log r has its only stationary point at r = 1",
            _tangent,
            scope="the step for one value, any r",
        ),
        symbolic(
            "its second derivative is 1 / r², never negative",
            _curvature,
            scope="the step for one value, any r",
        ),
        exact("negative values, against none", _random_categoricals, scope="10,000 random pairs"),
    ),
)


def _log_ratio_by_moments() -> Expressions:
    """E_p[log N(w; m, v) - log N(w; mu, sigma^2)] from p's moments alone, and the Gaussians' KL."""
    m, root = sympy.Symbol("m", real=True), sympy.Symbol("r", positive=True)  # v = r^2
    log_ratio = log_gaussian(W, m, root) - log_gaussian(W, MU, SIGMA)
    polynomial = sympy.Poly(sympy.expand(log_ratio), W)
    moments = (1, m, root**2 + m**2)
    average = sum(polynomial.coeff_monomial(W**k) * moments[k] for k in range(3))
    return average, gaussian_kl(m, root, MU, SIGMA)


def _moment_split(mean: float, std: float) -> Numbers:
    """KL(p || N(mean, std^2)) of the two peaks, and the sum through their moments."""
    log_p = _log_two_peaks()
    m = mean_under(log_p, GRID).item()
    root = mean_under(log_p, (GRID - m).square()).sqrt().item()
    through_moments = kl_integral(log_p, on_grid(m, root)) + float(gaussian_kl(m, root, mean, std))
    return kl_integral(log_p, on_grid(mean, std)), through_moments


EQ_KL_MOMENTS = Identity(
    label="eq-kl-moments",
    chapter="kl_divergence",
    name="The forward fit matches moments",
    formula=(
        r"\begin{aligned} & \mathrm{KL}\big(p \,\|\, \mathcal N(\mu, \sigma^2)\big) \\"
        r" & \quad = \mathrm{KL}\big(p \,\|\, \mathcal N(m, v)\big) \\"
        r" & \quad {} + \mathrm{KL}\big(\mathcal N(m, v) \,\|\, \mathcal N(\mu, \sigma^2)\big)"
        r" \end{aligned}"
    ),
    checks=(
        symbolic(
            "its second term needs m and v alone",
            _log_ratio_by_moments,
            scope="the second term, any target",
        ),
        quadrature(
            "both sides, against a narrow Gaussian",
            lambda: _moment_split(-1.0, 0.9),
            scope="one target of two peaks",
        ),
        quadrature(
            "both sides, against a wide Gaussian",
            lambda: _moment_split(1.0, 3.0),
            scope="one target of two peaks",
        ),
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
    kl = gaussian_kl(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)
    at_prior = {MU: MU_PRIOR, SIGMA: SIGMA_PRIOR}
    slopes = [sympy.simplify(kl.diff(symbol).subs(at_prior)) for symbol in (MU, SIGMA)]
    return sum(map(abs, slopes)), 0


def _kl_of_two_gaussians() -> Numbers:
    by_definition = kl_integral(on_grid(0.5, 0.4), on_grid(-0.2, 1.3))
    return by_definition, gaussian_kl(0.5, 0.4, -0.2, 1.3)


def _layer_kl() -> Numbers:
    """The KL of a layer's 12 weights and 4 biases, and the closed form summed over them."""
    prior = normal(0.2, 0.7)
    layer = BayesianLinear(3, 4, prior=prior, init_std=0.3, dtype=torch.float64)
    means = torch.linspace(-1, 1, 16, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_mean.copy_(means[:12].reshape(4, 3))
        layer.bias_mean.copy_(means[12:])
    std = layer.weight_std[0, 0].item()
    summed = math.fsum(gaussian_kl(mean, std, 0.2, 0.7) for mean in means.tolist())
    return layer.kl_divergence().detach(), summed


EQ_KL_GAUSSIAN = Identity(
    label="eq-kl-gaussian",
    chapter="kl_divergence",
    name="KL between two Gaussians",
    formula=(
        r"\begin{aligned} & \mathrm{KL}\big(\mathcal N(\mu, \sigma^2) \,\|\,"
        r" \mathcal N(\mu_p, \sigma_p^2)\big) \\ & \quad = \log\frac{\sigma_p}{\sigma}"
        r" + \frac{\sigma^2 + (\mu - \mu_p)^2}{2 \sigma_p^2} - \frac12 \end{aligned}"
    ),
    checks=(
        symbolic(
            "line 1: log of the two densities' ratio",
            lambda: (_log_ratio(), _line_1()),
            scope="line 1, any two Gaussians",
        ),
        symbolic(
            "line 2: mean square of w about its own mean",
            lambda: (expectation((W - MU) ** 2), SIGMA**2),
            scope="line 2, any two Gaussians",
        ),
        symbolic(
            "line 3: mean square of w about the prior's mean",
            lambda: (expectation((W - MU_PRIOR) ** 2), SIGMA**2 + (MU - MU_PRIOR) ** 2),
            scope="line 3, any two Gaussians",
        ),
        symbolic(
            "line 4: mean of the log ratio, integrated from the densities",
            lambda: (expectation(_log_ratio()), gaussian_kl(MU, SIGMA, MU_PRIOR, SIGMA_PRIOR)),
            scope="general",
        ),
        symbolic(
            "at q = p the value is 0",
            lambda: (gaussian_kl(MU_PRIOR, SIGMA_PRIOR, MU_PRIOR, SIGMA_PRIOR), 0),
            scope="q = p, any p",
        ),
        symbolic("at q = p both slopes are 0", _stationary_point, scope="q = p, any p"),
        quadrature(
            "integral of the definition, against the closed form",
            _kl_of_two_gaussians,
            scope="one pair of Gaussians",
        ),
        exact(
            "kl_divergence() of a layer, against the sum over its parameters",
            _layer_kl,
            scope="one layer",
        ),
    ),
)

IDENTITIES = (
    EQ_KL,
    EQ_KL_GIBBS,
    EQ_KL_MOMENTS,
    EQ_KL_GAUSSIAN,
)
