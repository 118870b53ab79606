"""The numbered equations of the chapter "polynomial_regression" and their checks.

Symbols: N data y_n, a network's values f_n at them, noise of standard deviation s, a KL divergence
of K nats over P parameters. Where a posterior must be known exactly, the model is one weight w with
the prior N(0, sigma_p^2) and the data are w plus noise.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

import sympy
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal

from bnn_tutorial.derivations.distributions import (
    COUNT,
    DATA,
    GRID,
    NOISE,
    SIGMA_PRIOR,
    W,
    binomial_std,
    gaussian,
    integral,
    kl_integral,
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
from bnn_tutorial.layers.conversion import to_bayesian
from bnn_tutorial.likelihoods import GaussianLikelihood
from bnn_tutorial.models import regression_network
from bnn_tutorial.prediction.closed_form import exact_moments, exact_nll
from bnn_tutorial.prediction.predict import predict
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.elbo import elbo_loss

BETA, KL, MEAN_WEIGHT, PARAMETERS = sympy.symbols("beta K c P", positive=True)
TARGETS = sympy.symbols("y1:4", real=True)
OUTPUTS = sympy.symbols("f1:4", real=True)

# In units of the pre-activation's standard deviation, of which z is its mean.
Z = sympy.Symbol("z", real=True)
BELL = gaussian(Z, 0, 1)
ON, OFF = sympy.erfc(-Z / sympy.sqrt(2)) / 2, sympy.erfc(Z / sympy.sqrt(2)) / 2


def _rectified_moment(power: int) -> sympy.Expr:
    """E[max(0, a)^power] for a Gaussian a of mean z and standard deviation 1, by integration."""
    u = sympy.Symbol("u", real=True)
    return sympy.integrate((Z + u) ** power * gaussian(u, 0, 1), (u, -Z, sympy.oo))


def _rectified_mean() -> Expressions:
    return _rectified_moment(1), Z * ON + BELL


def _rectified_variance() -> Expressions:
    right = ON + Z**2 * ON * OFF + Z * BELL * (OFF - ON) - BELL**2
    return _rectified_moment(2) - _rectified_moment(1) ** 2, right


EQ_POLY_RELU = Identity(
    label="eq-poly-relu",
    chapter="polynomial_regression",
    name="A rectified Gaussian",
    formula=r"""\begin{aligned}
\mathbb E[h] &= m\, p_{\text{on}} + \sigma_a\, g(z), \\
\frac{\operatorname{Var}[h]}{\sigma_a^2} &= p_{\text{on}} + z^2\, p_{\text{on}}\, p_{\text{off}} \\
&\quad {} + z\, g(z) \left( p_{\text{off}} - p_{\text{on}} \right) \\
&\quad {} - g(z)^2
\end{aligned}""",
    checks=(
        symbolic("the mean, by integration", _rectified_mean, scope="general"),
        symbolic("the variance, by integration", _rectified_variance, scope="general"),
    ),
)


def _average(values: Sequence[Fraction | int]) -> Fraction:
    return Fraction(sum(values)) / len(values)


def _variance(values: Sequence[Fraction | int]) -> Fraction:
    return _average([(value - _average(values)) ** 2 for value in values])


def _finite_products() -> Numbers:
    """The variance of a bias plus two products of factors that take two values, in fractions."""
    third, half = Fraction(1, 3), Fraction(1, 2)
    weights, units, bias = ((-third, 2), (1, half)), ((0, 1), (half, 3)), (-half, half)
    outputs = [
        first * on_first + second * on_second + b
        for first, on_first, second, on_second, b in product(
            weights[0], units[0], weights[1], units[1], bias
        )
    ]
    right = _variance(bias)
    for w, h in zip(weights, units, strict=True):
        right += (_average(w) ** 2 + _variance(w)) * _variance(h) + _variance(w) * _average(h) ** 2
    return _variance(outputs), right


def _small_network() -> tuple[nn.Module, Tensor]:
    """A 1-5-1 network with wide posteriors, and an input."""
    with seeded(0):
        model = to_bayesian(regression_network(5), estimator="weight", init_std=0.5)
    return model, torch.tensor([[0.8]])


def _output_draws() -> Draws:
    """Squared deviations of the outputs of drawn networks, and the exact variance."""
    model, x = _small_network()
    moments = exact_moments(model, x)
    samples = predict(model, x, 10_000, seed=0).samples
    return (samples - moments.mean).flatten().square(), moments.std.item() ** 2


EQ_POLY_PRODUCTS = Identity(
    label="eq-poly-products",
    chapter="polynomial_regression",
    name="Variances of products add up",
    formula=r"""\begin{aligned}
&\operatorname{Var}_q[f_w(x)] = \operatorname{Var}_q[b] \\
&\quad {} + \sum_j \left( \mu_j^2 + \sigma_j^2 \right) \operatorname{Var}[h_j] \\
&\quad {} + \sum_j \sigma_j^2\, \mathbb E[h_j]^2
\end{aligned}""",
    checks=(
        exact(
            "by adding up all cases, in fractions",
            _finite_products,
            scope="two units, two weights and a bias of two values",
        ),
        monte_carlo(
            "squared deviations of drawn networks' outputs",
            _output_draws,
            scope="one network, one input",
        ),
    ),
)


def _mean_over_data(term: Callable[[sympy.Expr, sympy.Expr], sympy.Expr]) -> sympy.Expr:
    """The mean of term(y_n, f_n) over three symbolic data."""
    return sympy.Add(*map(term, TARGETS, OUTPUTS)) / 3


def _squared_error() -> sympy.Expr:
    """The mean squared error of three symbolic data."""
    return _mean_over_data(lambda y, f: (y - f) ** 2)


def _gaussian_nll(std: sympy.Expr) -> sympy.Expr:
    """The mean negative log-likelihood of three symbolic data."""
    return _mean_over_data(lambda y, f: -log_gaussian(y, f, std))


def _recipe() -> Expressions:
    bracket = _gaussian_nll(sympy.sqrt(BETA / 2)) + KL / 3
    return _squared_error() + BETA * KL / 3, BETA * bracket - BETA * sympy.log(sympy.pi * BETA) / 2


def _recipe_in_torch() -> Numbers:
    """Both sides for five data, the right one by torch.distributions and elbo_loss."""
    outputs, beta, kl = DATA.flip(0), 0.37, torch.tensor(2.9, dtype=torch.float64)
    left = (DATA - outputs).square().mean() + beta * kl / len(DATA)
    nll = -Normal(outputs, math.sqrt(beta / 2)).log_prob(DATA).mean()
    loss = elbo_loss(nll, kl, num_data=len(DATA))
    return left, beta * loss - beta / 2 * math.log(math.pi * beta)


EQ_POLY_RECIPE = Identity(
    label="eq-poly-recipe",
    chapter="polynomial_regression",
    name="The likelihood inside the recipe",
    formula=r"""\begin{aligned}
&\frac1N \sum_n (y_n - f_n)^2 + \beta\, \frac{\mathrm{KL}}{N} \\
&\quad = \beta \left[ \mathrm{NLL}_{\beta/2} + \frac{\mathrm{KL}}{N} \right] \\
&\qquad - \frac{\beta}{2} \log(\pi \beta)
\end{aligned}""",
    checks=(
        symbolic("both sides", _recipe, scope="three data, any values"),
        exact(
            "the right side by torch.distributions and elbo_loss",
            _recipe_in_torch,
            scope="five data",
        ),
    ),
)


def _noise_of_equal_price() -> Expressions:
    """The s at which the recipe and the ELBO weigh a squared error against a nat alike."""
    recipe = (1 / COUNT) / (MEAN_WEIGHT / PARAMETERS)
    elbo = (1 / (2 * NOISE**2 * COUNT)) / (1 / COUNT)
    (noise,) = sympy.solve(sympy.Eq(recipe, elbo), NOISE)
    return noise, sympy.sqrt(MEAN_WEIGHT * COUNT / (2 * PARAMETERS))


def _fitted_std(beta: float, prior_std: float) -> float:
    """The sigma at which E_q of the mean squared error + beta KL / N is least, by Newton steps."""
    log_std = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(50):
        std = log_std.exp()
        q = Normal(DATA.new_zeros(()), std)
        kl = torch.distributions.kl_divergence(q, normal(0.0, prior_std))
        loss = std.square() + beta * kl / len(DATA)
        (slope,) = torch.autograd.grad(loss, log_std, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, log_std)
        with torch.no_grad():
            log_std -= slope / curvature
    return log_std.exp().item()


def _recipe_posterior() -> Numbers:
    """The recipe's width of one weight, and the exact posterior's with the implied noise."""
    mean_weight, num_parameters, prior_std = 0.4, 7, 1.3
    beta = mean_weight * len(DATA) / num_parameters
    noise = math.sqrt(mean_weight * len(DATA) / (2 * num_parameters))
    return _fitted_std(beta, prior_std), (len(DATA) / noise**2 + 1 / prior_std**2) ** -0.5


EQ_POLY_IMPLIED_NOISE = Identity(
    label="eq-poly-implied-noise",
    chapter="polynomial_regression",
    name="The noise that the recipe claims",
    formula=r"""\begin{aligned}
\beta &= \frac{c N}{P}, \\
s_{\text{claimed}} &= \sqrt{\frac{\beta}{2}} = \sqrt{\frac{c N}{2 P}}
\end{aligned}""",
    checks=(
        symbolic(
            "the s at which recipe and ELBO price a squared error alike",
            _noise_of_equal_price,
            scope="general",
        ),
        exact(
            "width that the recipe fits, and the exact posterior's",
            _recipe_posterior,
            scope="one linear model",
        ),
    ),
)


def _tempered_recipe() -> Expressions:
    """The recipe against the ELBO with the noise known and the KL weighted by beta / (2 s^2)."""
    weight = BETA / (2 * NOISE**2)
    constant = NOISE**2 * sympy.log(2 * sympy.pi * NOISE**2)
    bracket = _gaussian_nll(NOISE) + weight * KL / 3
    return _squared_error() + BETA * KL / 3, 2 * NOISE**2 * bracket - constant


EQ_POLY_TEMPERED = Identity(
    label="eq-poly-tempered",
    chapter="polynomial_regression",
    name="The recipe at a known noise",
    formula=r"""\begin{aligned}
&\frac1N \sum_n (y_n - f_n)^2 + \beta\, \frac{\mathrm{KL}}{N} \\
&\quad = 2 s^2 \left[ \mathrm{NLL}_{s^2} + \lambda\, \frac{\mathrm{KL}}{N} \right] \\
&\qquad - s^2 \log(2 \pi s^2), \\
&\lambda = \frac{\beta}{2 s^2}
\end{aligned}""",
    checks=(symbolic("both sides", _tempered_recipe, scope="three data, any values"),),
)


def _weighted_objective_differences() -> Numbers:
    """Objective and lambda KL to the tempered posterior, each as q1's value minus q2's.

    The likelihood is a coin whose log-odds are w: no Gaussian, so that no closed form helps.
    """
    kl_weight, prior = 0.3, normal(0.0, 1.5)
    tosses = DATA.new_tensor([1, 1, 0, 1])
    log_likelihood = Bernoulli(logits=GRID[:, None]).log_prob(tosses).sum(dim=1)
    log_tempered = prior.log_prob(GRID) + log_likelihood / kl_weight
    log_tempered = log_tempered - integral(log_tempered.exp()).log()
    left, right = [], []
    for q in (normal(0.4, 0.6), normal(-0.3, 0.9)):
        log_q = q.log_prob(GRID)
        kl = torch.distributions.kl_divergence(q, prior)
        left.append(kl_weight * kl - mean_under(log_q, log_likelihood))
        right.append(kl_weight * kl_integral(log_q, log_tempered))
    return left[0] - left[1], right[0] - right[1]


def _posterior_of_copies() -> Expressions:
    """The weight's precision from the tempered density, and from each datum counted 4 times."""
    kl_weight = sympy.Rational(1, 4)
    log_likelihood = sympy.Add(*(log_gaussian(y, W, NOISE) for y in TARGETS))
    tempered = log_gaussian(W, 0, SIGMA_PRIOR) + log_likelihood / kl_weight
    return -sympy.diff(tempered, W, 2), 1 / SIGMA_PRIOR**2 + 4 * len(TARGETS) / NOISE**2


EQ_POLY_COPIES = Identity(
    label="eq-poly-copies",
    chapter="polynomial_regression",
    name="A weighted KL counts the data again",
    formula=r"""\begin{aligned}
&-\mathbb E_q \sum_n \log p(y_n \mid w) + \lambda\, \mathrm{KL}(q \,\|\, p) \\
&\quad = \lambda\, \mathrm{KL}(q \,\|\, q_\lambda) + \text{constant}, \\
&q_\lambda(w) \propto p(w) \prod_n p(y_n \mid w)^{1/\lambda}
\end{aligned}""",
    checks=(
        quadrature(
            "the objective of one q minus that of another",
            _weighted_objective_differences,
            scope="one coin",
        ),
        symbolic(
            "precision at weight 1/4, and with each datum four times",
            _posterior_of_copies,
            scope="a Gaussian mean, weight 1/4",
        ),
    ),
)


def _two_point_nll() -> Expressions:
    """The expected NLL of an output that is f - d or f + d, by adding up and by the formula."""
    f, d, y = sympy.symbols("f d y", real=True)
    left = -sum(log_gaussian(y, f + sign * d, NOISE) for sign in (-1, 1)) / 2
    right = sympy.log(2 * sympy.pi * NOISE**2) / 2 + ((y - f) ** 2 + d**2) / (2 * NOISE**2)
    return left, right


def _nll_draws() -> Draws:
    """The NLL of one datum under drawn networks, and its expectation by exact_nll."""
    model, x = _small_network()
    y, likelihood = torch.tensor([[0.3]]), GaussianLikelihood(0.6)
    samples = predict(model, x, 10_000, seed=0).samples.flatten()
    draws = -Normal(samples, likelihood.noise_std.detach()).log_prob(y.flatten())
    return draws, exact_nll(model, x, y, likelihood).item()


EQ_POLY_EXPECTED_NLL = Identity(
    label="eq-poly-expected-nll",
    chapter="polynomial_regression",
    name="The expected misfit without draws",
    formula=r"""\begin{aligned}
&\mathbb E_q\left[ -\log p(y \mid x, w) \right] = \tfrac12 \log(2\pi s^2) \\
&\quad {} + \frac{(y - \mathbb E_q[f_w(x)])^2}{2 s^2} \\
&\quad {} + \frac{\operatorname{Var}_q[f_w(x)]}{2 s^2}
\end{aligned}""",
    checks=(
        symbolic("the mean over the draws", _two_point_nll, scope="an output of two values, any"),
        monte_carlo(
            "the NLL of a datum under drawn networks", _nll_draws, scope="one datum, one network"
        ),
    ),
)


def _predictive_draws() -> Draws:
    """Squared deviations of observations whose function and noise are both drawn."""
    function, noise = standard_draws(0, 2, 100_000)
    return (0.4 * function + 0.7 * noise).square(), 0.4**2 + 0.7**2


def _finite_total() -> Numbers:
    """The law of total variance for two networks and noise that takes two values, in fractions."""
    functions, noises = (Fraction(1, 3), Fraction(7, 2)), (Fraction(-3, 5), Fraction(3, 5))
    observations = [f + e for f in functions for e in noises]
    return _variance(observations), _variance(functions) + _variance(noises)


EQ_POLY_TOTAL = Identity(
    label="eq-poly-total",
    chapter="polynomial_regression",
    name="Epistemic variance and noise add up",
    formula=r"""\operatorname{Var}_q[y \mid x] =
\underbrace{\operatorname{Var}_q[f_w(x)]}_{\text{epistemic}} + \underbrace{s^2}_{\text{noise}}""",
    checks=(
        monte_carlo(
            "squared deviations, function and noise drawn",
            _predictive_draws,
            scope="one input, one network",
        ),
        exact(
            "by adding up all cases, in fractions",
            _finite_total,
            scope="two functions, noise of two values",
        ),
    ),
)


def _share_outside() -> Numbers:
    """The share outside by adding up the noise's tails over functions, and by the formula."""
    function_std, noise_std, half_width = 0.2, 0.6, 0.6
    noise = normal(0.0, noise_std)
    tails = 1 - noise.cdf(half_width - GRID) + noise.cdf(-half_width - GRID)
    left = mean_under(normal(0.0, function_std).log_prob(GRID), tails)
    return left, math.erfc(half_width / math.sqrt(2 * (function_std**2 + noise_std**2)))


def _three_standard_deviations() -> Numbers:
    return 2 * normal(0.0, 1.0).cdf(DATA.new_tensor(-3.0)), math.erfc(3 / math.sqrt(2))


EQ_POLY_OUTSIDE = Identity(
    label="eq-poly-outside",
    chapter="polynomial_regression",
    name="The share outside a band",
    formula=r"""\begin{aligned}
&\Pr\left( |y - m| > b \right) \\
&\quad = \operatorname{erfc}\left( \frac{b}{\sqrt{2\,(\sigma_f^2 + s^2)}} \right)
\end{aligned}""",
    checks=(
        quadrature(
            "the noise's tails added up over the functions",
            _share_outside,
            scope="one Gaussian function, one noise",
        ),
        exact(
            "the share outside, against Normal.cdf",
            _three_standard_deviations,
            scope="three total standard deviations",
        ),
    ),
)


def _uniform_outside(k: float) -> Numbers:
    """The share of uniform noise beyond k standard deviations, counted on a fine grid."""
    u = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    std = u.std(correction=0)
    return ((u - 0.5).abs() > k * std).double().mean(), max(0.0, 1 - k / math.sqrt(3))


EQ_POLY_UNIFORM = Identity(
    label="eq-poly-uniform",
    chapter="polynomial_regression",
    name="Uniform noise outside k standard deviations",
    formula=r"""\begin{aligned}
&\Pr\left( |\varepsilon - \bar\varepsilon| > k s \right) \\
&\quad = \max\left( 0,\; 1 - \frac{k}{\sqrt 3} \right)
\end{aligned}""",
    checks=(
        quadrature(
            "counted on a grid, one deviation",
            lambda: _uniform_outside(1.0),
            absolute_tolerance=1e-5,
            scope="k = 1",
        ),
        quadrature(
            "counted on a grid, two deviations",
            lambda: _uniform_outside(2.0),
            absolute_tolerance=1e-5,
            scope="k = 2",
        ),
    ),
)


def _audit_spread() -> Numbers:
    num_points, share = 40, Fraction(3, 10)
    return binomial_std(num_points, share), math.sqrt(share * (1 - share) / num_points)


EQ_POLY_BINOMIAL = Identity(
    label="eq-poly-binomial",
    chapter="polynomial_regression",
    name="How far an audit can be off",
    formula=r"""\operatorname{std}(\text{share}) = \sqrt{\frac{r\,(1 - r)}{M}}""",
    checks=(
        exact(
            "the binomial distribution added up, in fractions",
            _audit_spread,
            scope="one N, one share",
        ),
    ),
)


def _shares_of_refits() -> Numbers:
    """The variance of a share of three points, and its two parts, for two fits, in fractions."""
    num_points, shares = 3, (Fraction(1, 3), Fraction(4, 5))
    masses: dict[Fraction, Fraction] = {}
    for share, *hits in product(shares, *[(0, 1)] * num_points):
        chance = Fraction(1, len(shares))
        for hit in hits:
            chance *= share if hit else 1 - share
        counted = Fraction(sum(hits), num_points)
        masses[counted] = masses.get(counted, Fraction(0)) + chance
    mean = sum(counted * chance for counted, chance in masses.items())
    left = sum(chance * (counted - mean) ** 2 for counted, chance in masses.items())
    return left, _variance(shares) + _average([r * (1 - r) / num_points for r in shares])


EQ_POLY_REFITS = Identity(
    label="eq-poly-refits",
    chapter="polynomial_regression",
    name="The points of an audit share one fit",
    formula=r"""\begin{aligned}
&\operatorname{Var}[\text{share}] = \operatorname{Var}_D[r_D] \\
&\quad {} + \mathbb E_D\left[ \frac{r_D\, (1 - r_D)}{M} \right]
\end{aligned}""",
    checks=(
        exact(
            "by adding up all cases, in fractions",
            _shares_of_refits,
            scope="two fits, three points",
        ),
    ),
)

IDENTITIES = (
    EQ_POLY_RELU,
    EQ_POLY_PRODUCTS,
    EQ_POLY_RECIPE,
    EQ_POLY_IMPLIED_NOISE,
    EQ_POLY_TEMPERED,
    EQ_POLY_COPIES,
    EQ_POLY_EXPECTED_NLL,
    EQ_POLY_TOTAL,
    EQ_POLY_OUTSIDE,
    EQ_POLY_UNIFORM,
    EQ_POLY_BINOMIAL,
    EQ_POLY_REFITS,
)
