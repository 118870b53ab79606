"""The numbered equations of the chapter "polynomial_regression" and their checks.

Symbols: N data y_n, a network's values f_n at them, noise of standard deviation s, a KL divergence
of K nats over P parameters. Where a posterior must be known exactly, the model is one weight w with
the prior N(0, tau^2) and the data are w plus noise.
"""

import math
from fractions import Fraction
from itertools import product

import sympy
import torch
from torch import Tensor
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from bnn_tutorial.derivations.identity import Identity, exact, monte_carlo, quadrature, symbolic
from bnn_tutorial.layers.conversion import to_bayesian
from bnn_tutorial.likelihoods import GaussianLikelihood
from bnn_tutorial.models import regression_network
from bnn_tutorial.prediction.closed_form import exact_moments, exact_nll
from bnn_tutorial.prediction.predict import predict
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.elbo import elbo_loss

BETA, NOISE, KL, PRIOR = sympy.symbols("beta s K tau", positive=True)
MEAN_WEIGHT, COUNT, PARAMETERS = sympy.symbols("c N P", positive=True)
TARGETS = sympy.symbols("y1:4", real=True)
OUTPUTS = sympy.symbols("f1:4", real=True)

DATA = torch.tensor([1.9, 0.4, 1.1, 2.3, 0.8], dtype=torch.float64)
GRID = torch.linspace(-9, 9, 20_001, dtype=torch.float64)


def log_gaussian(value, mean, variance):
    """log N(value; mean, variance), for symbols."""
    return -sympy.log(2 * sympy.pi * variance) / 2 - (value - mean) ** 2 / (2 * variance)


def mean_over_data(term):
    """The mean of term(y_n, f_n) over three symbolic data."""
    return sum(term(y, f) for y, f in zip(TARGETS, OUTPUTS, strict=True)) / 3


def squared_error():
    """The mean squared error of three symbolic data."""
    return mean_over_data(lambda y, f: (y - f) ** 2)


def gaussian_nll(variance):
    """The mean negative log-likelihood of three symbolic data."""
    return mean_over_data(lambda y, f: -log_gaussian(y, f, variance))


# eq-poly-relu and eq-poly-products: the exact mean and variance of a one-hidden-layer network.

Z = sympy.Symbol("z", real=True)
BELL = sympy.exp(-(Z**2) / 2) / sympy.sqrt(2 * sympy.pi)
ON, OFF = sympy.erfc(-Z / sympy.sqrt(2)) / 2, sympy.erfc(Z / sympy.sqrt(2)) / 2


def rectified_moment(power: int):
    """E[max(0, a)^power] for a Gaussian a of mean z and standard deviation 1, by integration."""
    u = sympy.Symbol("u", real=True)
    return sympy.integrate((Z + u) ** power * BELL.subs(Z, u), (u, -Z, sympy.oo))


def mean_sides():
    """The mean of a hidden unit in units of its pre-activation's standard deviation."""
    return rectified_moment(1), Z * ON + BELL


def variance_sides():
    """The variance of a hidden unit in the same units, squared."""
    right = ON + Z**2 * ON * OFF + Z * BELL * (OFF - ON) - BELL**2
    return rectified_moment(2) - rectified_moment(1) ** 2, right


def finite_products():
    """The variance of a bias plus two products of factors that take two values, in fractions."""
    third, half = Fraction(1, 3), Fraction(1, 2)
    weights, units, bias = ((-third, 2), (1, half)), ((0, 1), (half, 3)), (-half, half)
    outputs = [
        first * on_first + second * on_second + b
        for first, on_first, second, on_second, b in product(
            weights[0], units[0], weights[1], units[1], bias
        )
    ]

    def mean(values):
        return Fraction(sum(values)) / len(values)

    def variance(values):
        return mean([(value - mean(values)) ** 2 for value in values])

    right = variance(bias)
    for w, h in zip(weights, units, strict=True):
        right += (mean(w) ** 2 + variance(w)) * variance(h) + variance(w) * mean(h) ** 2
    return variance(outputs), right


def small_network():
    """A 1-5-1 network with wide posteriors, and an input."""
    with seeded(0):
        model = to_bayesian(regression_network(5), estimator="weight", init_std=0.5)
    return model, torch.tensor([[0.8]])


def output_draws():
    """Squared deviations of the outputs of drawn networks, and the exact variance."""
    model, x = small_network()
    moments = exact_moments(model, x)
    samples = predict(model, x, 10_000, seed=0).samples
    return (samples - moments.mean).flatten().square(), moments.std.item() ** 2


# eq-poly-expected-nll: the closed form of what training estimates with draws.


def two_point_nll():
    """The expected NLL of an output that is f - d or f + d, by adding up and by the formula."""
    f, d, y = sympy.symbols("f d y", real=True)
    left = -sum(log_gaussian(y, f + sign * d, NOISE**2) for sign in (-1, 1)) / 2
    right = sympy.log(2 * sympy.pi * NOISE**2) / 2 + ((y - f) ** 2 + d**2) / (2 * NOISE**2)
    return left, right


def nll_draws():
    """The NLL of one datum under drawn networks, and its expectation by exact_nll."""
    model, x = small_network()
    y, likelihood = torch.tensor([[0.3]]), GaussianLikelihood(0.6)
    samples = predict(model, x, 10_000, seed=0).samples.flatten()
    draws = -Normal(samples, likelihood.noise_std.detach()).log_prob(y.flatten())
    return draws, exact_nll(model, x, y, likelihood).item()


# eq-poly-recipe and eq-poly-implied-noise: which noise a weighted squared error claims.


def recipe_in_torch():
    """Both sides for five data, the right one by torch.distributions and elbo_loss."""
    outputs, beta, kl = DATA.flip(0), 0.37, torch.tensor(2.9, dtype=torch.float64)
    left = (DATA - outputs).square().mean() + beta * kl / len(DATA)
    nll = -Normal(outputs, math.sqrt(beta / 2)).log_prob(DATA).mean()
    loss = elbo_loss(nll, kl, num_data=len(DATA))
    return left, beta * loss - beta / 2 * math.log(math.pi * beta)


def noise_of_equal_minimum():
    """The s at which the recipe and the ELBO weigh a squared error against a nat alike."""
    recipe = (1 / COUNT) / (MEAN_WEIGHT / PARAMETERS)
    elbo = (1 / (2 * NOISE**2 * COUNT)) / (1 / COUNT)
    return sympy.solve(sympy.Eq(recipe, elbo), NOISE)[0]


def fitted_std(beta: float, prior_std: float) -> float:
    """The sigma at which E_q of the mean squared error + beta KL / N is least, by Newton steps."""
    log_std = torch.zeros((), dtype=torch.float64, requires_grad=True)
    for _ in range(50):
        std = log_std.exp()
        kl = torch.distributions.kl_divergence(
            Normal(DATA.new_zeros(()), std), Normal(0.0, prior_std)
        )
        loss = std.square() + beta * kl / len(DATA)
        (slope,) = torch.autograd.grad(loss, log_std, create_graph=True)
        (curvature,) = torch.autograd.grad(slope, log_std)
        with torch.no_grad():
            log_std -= slope / curvature
    return log_std.exp().item()


def recipe_posterior():
    """The recipe's width of one weight, and the exact posterior's with the implied noise."""
    mean_weight, num_parameters, prior_std = 0.4, 7, 1.3
    beta = mean_weight * len(DATA) / num_parameters
    noise = math.sqrt(mean_weight * len(DATA) / (2 * num_parameters))
    return fitted_std(beta, prior_std), (len(DATA) / noise**2 + 1 / prior_std**2) ** -0.5


# eq-poly-tempered and eq-poly-copies: what the weight of the KL does to the posterior.


def tempered_sides():
    """The recipe against the ELBO with the noise known and the KL weighted by beta / (2 s^2)."""
    weight = BETA / (2 * NOISE**2)
    constant = NOISE**2 * sympy.log(2 * sympy.pi * NOISE**2)
    bracket = gaussian_nll(NOISE**2) + weight * KL / 3
    return squared_error() + BETA * KL / 3, 2 * NOISE**2 * bracket - constant


def integral(values: Tensor) -> Tensor:
    """The integral of values on GRID."""
    return torch.trapezoid(values, GRID)


def weighted_objective_differences(kl_weight: float = 0.3):
    """Objective and lambda KL to the tempered posterior, each as q1's value minus q2's.

    The likelihood is a coin whose log-odds are w: no Gaussian, so that no closed form helps.
    """
    prior = Normal(DATA.new_zeros(()), DATA.new_tensor(1.5))
    tosses = DATA.new_tensor([1, 1, 0, 1])
    log_likelihood = Bernoulli(logits=GRID[:, None]).log_prob(tosses).sum(dim=1)
    log_tempered = prior.log_prob(GRID) + log_likelihood / kl_weight
    log_tempered = log_tempered - integral(log_tempered.exp()).log()
    left, right = [], []
    for mean, std in ((0.4, 0.6), (-0.3, 0.9)):
        q = Normal(DATA.new_tensor(mean), DATA.new_tensor(std))
        density = q.log_prob(GRID).exp()
        kl = torch.distributions.kl_divergence(q, prior)
        left.append(kl_weight * kl - integral(density * log_likelihood))
        right.append(kl_weight * integral(density * (q.log_prob(GRID) - log_tempered)))
    return left[0] - left[1], right[0] - right[1]


def posterior_of_copies():
    """The weight's precision from the tempered density, and from each datum counted 4 times."""
    w = sympy.Symbol("w", real=True)
    kl_weight = sympy.Rational(1, 4)
    tempered = log_gaussian(w, 0, PRIOR**2) + sum(
        log_gaussian(y, w, NOISE**2) / kl_weight for y in TARGETS
    )
    return -sympy.diff(tempered, w, 2), 1 / PRIOR**2 + 4 * len(TARGETS) / NOISE**2


# eq-poly-prior: the functions that a prior holds before it sees data.


def prior_std(x: float, hidden: int, std: float) -> float:
    """The right-hand side of eq-poly-prior, as a standard deviation."""
    return math.sqrt(hidden * std**4 * (1 + x**2) / 2 + std**2)


def prior_draws():
    """Squares of outputs of networks drawn from the prior, at x = 1.5."""
    model = to_bayesian(
        regression_network(30), prior=Normal(0.0, 0.7), estimator="weight", init_std=0.7
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("_mean"):
                parameter.zero_()
    samples = predict(model, torch.tensor([[1.5]]), 10_000, seed=0).samples
    return samples.flatten().square(), prior_std(1.5, 30, 0.7) ** 2


def half_of_second_moment():
    """E[relu(a)^2] for a Gaussian a of mean 0, by integration, and half of its variance."""
    a = sympy.Symbol("a", real=True)
    density = sympy.exp(-(a**2) / (2 * PRIOR**2)) / (PRIOR * sympy.sqrt(2 * sympy.pi))
    return sympy.integrate(a**2 * density, (a, 0, sympy.oo)), PRIOR**2 / 2


# eq-poly-total, eq-poly-outside, eq-poly-uniform, eq-poly-binomial: what a band holds.


def predictive_draws():
    """Squared deviations of observations whose function and noise are both drawn."""
    generator = torch.Generator().manual_seed(0)
    function, noise = torch.randn(2, 100_000, generator=generator, dtype=torch.float64)
    return (0.4 * function + 0.7 * noise).square(), 0.4**2 + 0.7**2


def finite_total():
    """The law of total variance for two networks and noise that takes two values, in fractions."""
    functions, noises = (Fraction(1, 3), Fraction(7, 2)), (Fraction(-3, 5), Fraction(3, 5))
    values = [f + e for f in functions for e in noises]
    mean = sum(values) / 4
    total = sum((v - mean) ** 2 for v in values) / 4
    spread = sum((f - sum(functions) / 2) ** 2 for f in functions) / 2
    return total, spread + sum(e**2 for e in noises) / 2


def outside_sides(function_std: float = 0.2, noise: float = 0.6, half_width: float = 0.6):
    """The share outside by adding up the noise's tails over functions, and by the formula."""
    functions = Normal(DATA.new_zeros(()), DATA.new_tensor(function_std))
    noises = Normal(DATA.new_zeros(()), DATA.new_tensor(noise))
    tails = 1 - noises.cdf(half_width - GRID) + noises.cdf(-half_width - GRID)
    left = integral(functions.log_prob(GRID).exp() * tails)
    return left, math.erfc(half_width / math.sqrt(2 * (function_std**2 + noise**2)))


def uniform_outside(k: float):
    """The share of uniform noise beyond k standard deviations, counted on a fine grid."""
    u = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    std = u.std(correction=0)
    return ((u - 0.5).abs() > k * std).double().mean(), max(0.0, 1 - k / math.sqrt(3))


def binomial_std():
    """The spread of a share by adding up the binomial distribution, and by the formula."""
    n, p = 40, Fraction(3, 10)
    chance = [math.comb(n, m) * p**m * (1 - p) ** (n - m) for m in range(n + 1)]
    variance = sum(c * (Fraction(m, n) - p) ** 2 for m, c in enumerate(chance))
    return math.sqrt(variance), math.sqrt(p * (1 - p) / n)


# eq-poly-last-layer: the exact posterior where the features are fixed.


def last_layer_sides():
    """The variance at a new input from the weights' precision, and by conditioning on the data."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    data, new, noise, prior = features[:5], features[5], 0.4, 1.7
    precision = data.T @ data / noise**2 + torch.eye(3, dtype=torch.float64) / prior**2
    left = new @ torch.linalg.solve(precision, new)
    joint = prior**2 * features @ features.T
    covariance = joint[:5, :5] + noise**2 * torch.eye(5, dtype=torch.float64)
    return left, joint[5, 5] - joint[5, :5] @ torch.linalg.solve(covariance, joint[:5, 5])


def last_layer_draws():
    """Squared deviations of the new output in draws from the weights' posterior."""
    generator = torch.Generator().manual_seed(2)
    data, new = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64).unbind()
    noise, prior = 0.4, 1.7
    precision = data.T @ data / noise**2 + torch.eye(3, dtype=torch.float64) / prior**2
    posterior = MultivariateNormal(torch.zeros(3, dtype=torch.float64), precision_matrix=precision)
    standard = torch.randn(50_000, 3, generator=generator, dtype=torch.float64)
    draws = (standard @ posterior.scale_tril.T) @ new[0]
    conditional = prior**2 * data @ data.T + noise**2 * torch.eye(4, dtype=torch.float64)
    cross = prior**2 * data @ new[0]
    variance = prior**2 * new[0] @ new[0] - cross @ torch.linalg.solve(conditional, cross)
    return draws.square(), variance.item()


def identity(label: str, name: str, formula: str, *checks) -> Identity:
    """An identity of this chapter."""
    return Identity(label, "polynomial_regression", name, formula, checks)


IDENTITIES = (
    identity(
        "eq-poly-relu",
        "A rectified Gaussian",
        r"""\begin{aligned}
\mathbb E[h] &= m\, p_{\text{on}} + \sigma_a\, g(z), \\
\frac{\operatorname{Var}[h]}{\sigma_a^2} &= p_{\text{on}} + z^2\, p_{\text{on}}\, p_{\text{off}} \\
&\quad {} + z\, g(z) \left( p_{\text{off}} - p_{\text{on}} \right) \\
&\quad {} - g(z)^2
\end{aligned}""",
        symbolic("the mean, by integration", mean_sides),
        symbolic("the variance, by integration", variance_sides),
    ),
    identity(
        "eq-poly-products",
        "Variances of products add up",
        r"""\begin{aligned}
&\operatorname{Var}_q[f_w(x)] = \operatorname{Var}_q[b] \\
&\quad {} + \sum_j \left( \mu_j^2 + \sigma_j^2 \right) \operatorname{Var}[h_j] \\
&\quad {} + \sum_j \sigma_j^2\, \mathbb E[h_j]^2
\end{aligned}""",
        exact("two units, two weights and a bias of two values, in fractions", finite_products),
        monte_carlo("squared deviations of drawn networks' outputs", output_draws),
    ),
    identity(
        "eq-poly-recipe",
        "The likelihood inside the recipe",
        r"""\begin{aligned}
&\frac1N \sum_n (y_n - f_n)^2 + \beta\, \frac{\mathrm{KL}}{N} \\
&\quad = \beta \left[ \mathrm{NLL}_{\beta/2} + \frac{\mathrm{KL}}{N} \right] \\
&\qquad - \frac{\beta}{2} \log(\pi \beta)
\end{aligned}""",
        symbolic(
            "both sides for three data",
            lambda: (
                squared_error() + BETA * KL / 3,
                BETA * (gaussian_nll(BETA / 2) + KL / 3) - BETA * sympy.log(sympy.pi * BETA) / 2,
            ),
        ),
        exact("five data, the right side by torch.distributions and elbo_loss", recipe_in_torch),
    ),
    identity(
        "eq-poly-implied-noise",
        "The noise that the recipe claims",
        r"""\begin{aligned}
\beta &= \frac{c N}{P}, \\
s_{\text{claimed}} &= \sqrt{\frac{\beta}{2}} = \sqrt{\frac{c N}{2 P}}
\end{aligned}""",
        symbolic(
            "the s at which recipe and ELBO price a squared error alike",
            lambda: (
                noise_of_equal_minimum(),
                sympy.sqrt(MEAN_WEIGHT * COUNT / (2 * PARAMETERS)),
            ),
        ),
        exact("width that the recipe fits, and the exact posterior's", recipe_posterior),
    ),
    identity(
        "eq-poly-tempered",
        "The recipe at a known noise",
        r"""\begin{aligned}
&\frac1N \sum_n (y_n - f_n)^2 + \beta\, \frac{\mathrm{KL}}{N} \\
&\quad = 2 s^2 \left[ \mathrm{NLL}_{s^2} + \lambda\, \frac{\mathrm{KL}}{N} \right] \\
&\qquad - s^2 \log(2 \pi s^2), \\
&\lambda = \frac{\beta}{2 s^2}
\end{aligned}""",
        symbolic("both sides for three data", tempered_sides),
    ),
    identity(
        "eq-poly-copies",
        "A weighted KL counts the data again",
        r"""\begin{aligned}
&-\mathbb E_q \sum_n \log p(y_n \mid w) + \lambda\, \mathrm{KL}(q \,\|\, p) \\
&\quad = \lambda\, \mathrm{KL}(q \,\|\, q_\lambda) + \text{constant}, \\
&q_\lambda(w) \propto p(w) \prod_n p(y_n \mid w)^{1/\lambda}
\end{aligned}""",
        quadrature(
            "the objective of one q minus that of another: a coin", weighted_objective_differences
        ),
        symbolic("precision at weight 1/4, and with each datum four times", posterior_of_copies),
    ),
    identity(
        "eq-poly-expected-nll",
        "The expected misfit without draws",
        r"""\begin{aligned}
&\mathbb E_q\left[ -\log p(y \mid x, w) \right] = \tfrac12 \log(2\pi s^2) \\
&\quad {} + \frac{(y - \mathbb E_q[f_w(x)])^2}{2 s^2} \\
&\quad {} + \frac{\operatorname{Var}_q[f_w(x)]}{2 s^2}
\end{aligned}""",
        symbolic("an output that takes two values", two_point_nll),
        monte_carlo("the NLL of a datum under drawn networks", nll_draws),
    ),
    identity(
        "eq-poly-prior",
        "The size of the prior's functions",
        r"""\operatorname{Var}_p\left[ f_w(x) \right] = \frac{H}{2}\, \sigma_p^4\, (1 + x^2)
+ \sigma_p^2""",
        symbolic("a ReLU keeps half of the second moment", half_of_second_moment),
        monte_carlo("squared outputs of networks drawn from the prior", prior_draws),
    ),
    identity(
        "eq-poly-total",
        "Epistemic variance and noise add up",
        r"""\operatorname{Var}_q[y \mid x] =
\underbrace{\operatorname{Var}_q[f_w(x)]}_{\text{epistemic}} + \underbrace{s^2}_{\text{noise}}""",
        monte_carlo("squared deviations, function and noise drawn", predictive_draws),
        exact("two functions and noise of two values, in fractions", finite_total),
    ),
    identity(
        "eq-poly-outside",
        "The share outside a band",
        r"""\begin{aligned}
&\Pr\left( |y - m| > b \right) \\
&\quad = \operatorname{erfc}\left( \frac{b}{\sqrt{2\,(\sigma_f^2 + s^2)}} \right)
\end{aligned}""",
        quadrature("the noise's tails added up over the functions", outside_sides),
        exact(
            "three total standard deviations, against Normal.cdf",
            lambda: (
                2 * Normal(DATA.new_zeros(()), 1.0).cdf(DATA.new_tensor(-3.0)),
                math.erfc(3 / math.sqrt(2)),
            ),
        ),
    ),
    identity(
        "eq-poly-binomial",
        "How far an audit can be off",
        r"""\operatorname{std}(\text{share}) = \sqrt{\frac{r\,(1 - r)}{M}}""",
        exact("the binomial distribution added up, in fractions", binomial_std),
    ),
    identity(
        "eq-poly-uniform",
        "Uniform noise outside k standard deviations",
        r"""\begin{aligned}
&\Pr\left( |\varepsilon - \bar\varepsilon| > k s \right) \\
&\quad = \max\left( 0,\; 1 - \frac{k}{\sqrt 3} \right)
\end{aligned}""",
        quadrature("k = 1, counted on a grid", lambda: uniform_outside(1.0), tolerance=1e-5),
        quadrature("k = 2, counted on a grid", lambda: uniform_outside(2.0), tolerance=1e-5),
    ),
    identity(
        "eq-poly-last-layer",
        "The exact last layer",
        r"""\begin{aligned}
&\operatorname{Var}[f(x)] \\
&\quad = \phi(x)^\top \left( \frac{\Phi^\top \Phi}{s^2}
+ \frac{I}{\sigma_p^2} \right)^{-1} \phi(x)
\end{aligned}""",
        exact("weights' posterior, and the data's joint Gaussian conditioned", last_layer_sides),
        monte_carlo("draws of the weights", last_layer_draws),
    ),
)
