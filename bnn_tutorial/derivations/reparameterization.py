"""The numbered equations of the chapter "reparameterization" and their checks."""

import functools
import math

import mpmath
import sympy
import torch
import torch.nn.functional as F

from bnn_tutorial.derivations.identity import Identity, exact, monte_carlo, quadrature, symbolic
from bnn_tutorial.layers.convolutions import BayesianConv2d
from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.layers.softplus import inverse_softplus
from bnn_tutorial.prediction.predict import predict
from bnn_tutorial.randomness import seeded

mu, w, t, b = sympy.symbols("mu w t b", real=True)
epsilon = sympy.Symbol("epsilon", real=True)
sigma = sympy.Symbol("sigma", positive=True)
LOG_DENSITY = -sympy.log(sigma * sympy.sqrt(2 * sympy.pi)) - (w - mu) ** 2 / (2 * sigma**2)


def noise_mean(expression: sympy.Expr, *noises: sympy.Symbol) -> sympy.Expr:
    """Return the mean of a polynomial in independent standard normal variables."""
    polynomial = sympy.Poly(sympy.expand(expression), *(noises or (epsilon,)))
    return sum(
        coefficient * math.prod(0 if power % 2 else sympy.factorial2(power - 1) for power in powers)
        for powers, coefficient in polynomial.terms()
    )


def noise_variance(expression: sympy.Expr, *noises: sympy.Symbol) -> sympy.Expr:
    """Return the variance of a polynomial in independent standard normal variables."""
    return noise_mean(expression**2, *noises) - noise_mean(expression, *noises) ** 2


def density_integral(expression: sympy.Expr) -> sympy.Expr:
    """Return the integral of ``expression`` in w against the density of N(mu, sigma^2)."""
    integrand = (expression * sympy.exp(LOG_DENSITY)).subs(w, mu + sigma * epsilon) * sigma
    return sympy.integrate(sympy.expand(integrand), (epsilon, -sympy.oo, sympy.oo))


# Change of variables


def _reparameterize_density():
    distribution_of_noise = (1 + sympy.erf(t / sympy.sqrt(2))) / 2
    return sympy.diff(distribution_of_noise.subs(t, (w - mu) / sigma), w), sympy.exp(LOG_DENSITY)


# Two gradients of an expectation


def _score_function(parameter, f):
    score = sympy.diff(LOG_DENSITY, parameter)
    mean = noise_mean(f.subs(w, mu + sigma * epsilon))
    return sympy.diff(mean, parameter), density_integral(f * score)


def _score_function_of_a_step():
    mean, std, threshold = mpmath.mpf("0.3"), mpmath.mpf("0.8"), mpmath.mpf(1)

    def weighted_score(value):
        return mpmath.npdf(value, mean, std) * (value - mean) / std**2

    return (
        mpmath.quad(weighted_score, [threshold, 3, 6, mpmath.inf]),
        mpmath.diff(lambda shifted: 1 - mpmath.ncdf(threshold, shifted, std), mean),
    )


def _pathwise(parameter):
    drawn = mu + sigma * epsilon
    left = sympy.diff(density_integral(w**4), parameter)
    return left, noise_mean(4 * drawn**3 * sympy.diff(drawn, parameter))


def _pathwise_of_a_sine(parameter):
    mean, std = 0.7, 0.9
    # E[sin(mu + sigma epsilon)] is the imaginary part of a normal's characteristic function.
    closed_form = sympy.exp(-(sigma**2) / 2) * sympy.sin(mu)
    slope = 1 if parameter is mu else epsilon
    integrand = sympy.lambdify(
        epsilon,
        sympy.cos(mean + std * epsilon) * slope * sympy.exp(-(epsilon**2) / 2),
        "mpmath",
    )
    integral = mpmath.quad(integrand, [-mpmath.inf, -2, 0, 2, mpmath.inf])
    return integral / mpmath.sqrt(2 * mpmath.pi), sympy.diff(closed_form, parameter).subs(
        {mu: mean, sigma: std}
    )


def _variance_pathwise():
    return noise_variance(2 * (mu + sigma * epsilon)), 4 * sigma**2


def _variance_score():
    draw = (mu + sigma * epsilon) ** 2 * epsilon / sigma
    return noise_variance(draw), mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2


def _baseline():
    score = sympy.diff(LOG_DENSITY, mu)
    return density_integral((w**3 - b) * score), sympy.diff(density_integral(w**3), mu)


def _dimension(d, with_baseline):
    noises = sympy.symbols(f"epsilon1:{d + 1}", real=True)
    mean_square = mu**2 + sigma**2
    baseline = d * mean_square if with_baseline else 0
    f = sum((mu + sigma * noise) ** 2 for noise in noises)
    formula = (4 * d + 4) * mu**2 + (2 * d + 8) * sigma**2
    if not with_baseline:
        formula += 4 * d * mean_square + d**2 * mean_square**2 / sigma**2
    return noise_variance((f - baseline) * noises[0] / sigma, *noises), formula


# Softplus

rho = sympy.Symbol("rho", real=True)
SOFTPLUS = sympy.log(1 + sympy.exp(rho))


def _softplus_inverse():
    return sympy.exp(SOFTPLUS) * (1 - sympy.exp(-SOFTPLUS)), sympy.exp(rho)


def _softplus_slope():
    return sympy.diff(SOFTPLUS, rho), 1 - sympy.exp(-SOFTPLUS)


def _softplus_round_trip():
    std = 0.05
    return F.softplus(torch.tensor(inverse_softplus(std), dtype=torch.float64)).item(), std


# Local reparameterization


def _local_generating_function():
    x, means = sympy.symbols("x1:4", real=True), sympy.symbols("mu1:5", real=True)
    stds = sympy.symbols("sigma1:5", positive=True)
    inputs = (*x, sympy.Integer(1))
    noise_mgf = sympy.simplify(
        sympy.integrate(
            sympy.exp(t * epsilon - epsilon**2 / 2) / sympy.sqrt(2 * sympy.pi),
            (epsilon, -sympy.oo, sympy.oo),
        )
    )
    product = sympy.prod(
        sympy.exp(t * x_i * m) * noise_mgf.subs(t, t * x_i * s)
        for x_i, m, s in zip(inputs, means, stds, strict=True)
    )
    mean = sum(x_i * m for x_i, m in zip(inputs, means, strict=True))
    variance = sum(x_i**2 * s**2 for x_i, s in zip(inputs, stds, strict=True))
    return product, sympy.exp(t * mean + t**2 * variance / 2)


@functools.cache
def _draws(estimator):
    """A layer, two inputs, and 4,000 outputs there with one estimator, mean taken off: (S, 2)."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(2, 6, generator=generator)
    with seeded(3):
        layer = BayesianLinear(6, 1, estimator=estimator, init_std=0.4)
    mean = (inputs @ layer.weight_mean[0] + layer.bias_mean[0]).detach()
    return layer, inputs, predict(layer, inputs, 4_000, seed=4).samples.squeeze(-1) - mean


def _variances(layer, inputs):
    """Each weight's part in the variance of an output, the bias last: (2, 7)."""
    products = inputs.square() * layer.weight_std[0].square()
    return torch.cat([products, layer.bias_std.square().expand(2, 1)], dim=1).detach()


def _mean(estimator):
    layer, inputs, centred = _draws(estimator)
    mean = (inputs[0] @ layer.weight_mean[0] + layer.bias_mean[0]).item()
    return centred[:, 0] + mean, mean


def _moment(estimator, power, factor):
    layer, inputs, centred = _draws(estimator)
    variance = _variances(layer, inputs)[0].sum().item()
    return centred[:, 0] ** power, factor * variance ** (power // 2)


def _gradient_noise():
    size = 4
    covariance = sympy.Matrix(
        size, size, lambda i, j: sympy.Symbol(f"c{min(i, j)}{max(i, j)}", real=True)
    )
    average = sympy.Matrix([[sympy.Rational(1, size)] * size])
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    mean_variance = covariance.trace() / size
    mean_covariance = sum(covariance[pair] for pair in pairs) / sympy.Integer(len(pairs))
    formula = mean_variance / size + (1 - sympy.Rational(1, size)) * mean_covariance
    return (average * covariance * average.T)[0], formula


def _shared_draw_linear():
    layer, inputs, centred = _draws("weight")
    covariance = (layer.weight_std[0].square() * inputs[0] * inputs[1]).sum()
    return centred.prod(dim=1), (covariance + layer.bias_std[0].square()).item()


def _shared_draw_convolution():
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(1, 1, 5, 6, generator=generator, dtype=torch.float64)
    with seeded(5):
        layer = BayesianConv2d(1, 1, 3, padding=1, init_std=0.3, dtype=torch.float64)
    first, second = 8, 15
    with torch.no_grad():
        layer.weight_rho.add_(torch.randn(1, 1, 3, 3, generator=generator, dtype=torch.float64))
        std = torch.cat([layer.weight_std.flatten(), layer.bias_std])

    def output(parameters):
        kernel = parameters[:9].view(1, 1, 3, 3)
        return layer.linear_map(image, kernel, parameters[9:]).flatten()

    jacobian = torch.autograd.functional.jacobian(output, torch.zeros(10, dtype=torch.float64))
    patches = F.unfold(image, 3, padding=1)[0]
    formula = (std[:9].square() * patches[:, first] * patches[:, second]).sum() + std[9] ** 2
    return (jacobian @ std.square().diag() @ jacobian.T)[first, second], formula


def _product(estimator):
    return _draws(estimator)[2].prod(dim=1), 0.0


# Flipout


def sign_mean(expression: sympy.Expr, *signs: sympy.Symbol) -> sympy.Expr:
    """Return the mean of a polynomial in independent random signs, +1 or -1 with equal chance."""
    polynomial = sympy.Poly(sympy.expand(expression), *signs)
    return sum(
        coefficient
        for powers, coefficient in polynomial.terms()
        if all(power % 2 == 0 for power in powers)
    )


def _flipout_generating_function():
    generating_function = sympy.exp(t * mu + t**2 * sigma**2 / 2)
    # The draw with sign +1 is N(mu, sigma^2); that with sign -1 has -sigma in place of sigma.
    both = [generating_function.subs(sigma, sign * sigma) for sign in (1, -1)]
    return sum(both) / 2, generating_function


def _flipout_by_weights():
    """One layer's flipout outputs, and those of the weights that each datum has to itself."""
    generator = torch.Generator().manual_seed(8)
    x, s = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    mean, std, noise = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    s, r = s.sign(), torch.randn(5, generator=generator, dtype=torch.float64).sign()
    deviation = std * noise
    left = x @ mean[:3] + mean[3] + r * ((x * s) @ deviation[:3] + deviation[3])
    weights = mean[:3] + deviation[:3] * s * r.unsqueeze(1)
    return left.square().sum(), ((x * weights).sum(1) + mean[3] + deviation[3] * r).square().sum()


def _flipout_deviations():
    """Two data's deviations from their means, two inputs and a bias; signs, noises, variances."""
    noises = sympy.symbols("epsilon0:3", real=True)
    stds, x = sympy.symbols("sigma0:3", positive=True), sympy.symbols("x1:5", real=True)
    r, s = sympy.symbols("r1:3", real=True), sympy.symbols("s1:5", real=True)
    deviations, variances = [], []
    for n in range(2):
        terms = [(1, 1), (x[2 * n], s[2 * n]), (x[2 * n + 1], s[2 * n + 1])]
        parts = zip(terms, stds, noises, strict=True)
        deviations.append(
            r[n] * sum(value * sign * std * noise for (value, sign), std, noise in parts)
        )
        variances.append([value**2 * std**2 for (value, _), std in zip(terms, stds, strict=True)])
    return deviations, (*r, *s), noises, variances


def _flipout_covariance():
    (first, second), signs, noises, _ = _flipout_deviations()
    return noise_mean(sign_mean(first * second, *signs), *noises), 0


def _flipout_covariance_of_squares():
    (first, second), signs, noises, variances = _flipout_deviations()

    def mean(expression):
        return noise_mean(sign_mean(expression, *signs), *noises)

    covariance = mean(first**2 * second**2) - mean(first**2) * mean(second**2)
    return covariance, 2 * sum(v1 * v2 for v1, v2 in zip(*variances, strict=True))


def _flipout_squares():
    layer, inputs, centred = _draws("flipout")
    variances = _variances(layer, inputs)
    products = (centred.square() - variances.sum(dim=1)).prod(dim=1)
    return products, 2 * variances.prod(dim=0).sum().item()


IDENTITIES: tuple[Identity, ...] = (
    Identity(
        "eq-reparameterize",
        "reparameterization",
        "Gaussian from standard noise",
        r"\begin{aligned} w &= \mu + \sigma\epsilon, \quad \epsilon \sim \mathcal N(0, 1) \\ "
        r"&\Longrightarrow\quad w \sim \mathcal N(\mu, \sigma^2) \end{aligned}",
        (
            symbolic(
                "slope of the distribution function of w, and the density of N(μ, σ²)",
                _reparameterize_density,
            ),
        ),
    ),
    Identity(
        "eq-score-function",
        "reparameterization",
        "Score-function gradient",
        r"\begin{aligned} &\frac{\partial}{\partial\theta}\, \mathbb E_{q_\theta}[f(w)] \\ "
        r"&\quad = \mathbb E_{q_\theta}"
        r"\left[f(w)\, \frac{\partial}{\partial\theta} \log q_\theta(w)\right] \end{aligned}",
        (
            symbolic("θ = μ, f(w) = w³", lambda: _score_function(mu, w**3)),
            symbolic("θ = σ, f(w) = w⁴", lambda: _score_function(sigma, w**4)),
            quadrature("θ = μ, f a step at 1, which has no slope", _score_function_of_a_step),
        ),
    ),
    Identity(
        "eq-pathwise",
        "reparameterization",
        "Pathwise gradient",
        r"\begin{aligned} \frac{\partial}{\partial\mu}\, \mathbb E[f(w)] &= \mathbb E[f'(w)] \\ "
        r"\frac{\partial}{\partial\sigma}\, \mathbb E[f(w)] &= \mathbb E[\epsilon\, f'(w)] "
        r"\end{aligned}",
        (
            symbolic("by μ, f(w) = w⁴", lambda: _pathwise(mu)),
            symbolic("by σ, f(w) = w⁴", lambda: _pathwise(sigma)),
            quadrature("by μ, f(w) = sin w", lambda: _pathwise_of_a_sine(mu)),
            quadrature("by σ, f(w) = sin w", lambda: _pathwise_of_a_sine(sigma)),
        ),
    ),
    Identity(
        "eq-gradient-variances",
        "reparameterization",
        "Variances of the two gradients of w²",
        r"\begin{aligned} \operatorname{Var}[2w] &= 4\sigma^2 \\ "
        r"\operatorname{Var}\left[\frac{\epsilon}{\sigma}\, w^2\right] &= "
        r"\frac{\mu^4}{\sigma^2} + 14\mu^2 + 15\sigma^2 \end{aligned}",
        (
            symbolic("pathwise, from the moments of the noise", _variance_pathwise),
            symbolic("score function, from the moments of the noise", _variance_score),
        ),
    ),
    Identity(
        "eq-baseline",
        "reparameterization",
        "Baseline",
        r"\begin{aligned} "
        r"&\mathbb E_q\left[(f(w) - b)\, \frac{\partial}{\partial\mu} \log q(w)\right] \\ "
        r"&\quad = \frac{\partial}{\partial\mu}\, \mathbb E_q[f(w)] \end{aligned}",
        (symbolic("f(w) = w³ and any b, by integration", _baseline),),
    ),
    Identity(
        "eq-dimension",
        "reparameterization",
        "Variance of the score function in d dimensions",
        r"\begin{aligned} "
        r"\operatorname{Var}_{b = dm} &= (4d + 4)\,\mu^2 + (2d + 8)\,\sigma^2 \\ "
        r"\operatorname{Var}_{b = 0} &= \operatorname{Var}_{b = dm} + 4dm + "
        r"\frac{d^2 m^2}{\sigma^2} "
        r"\end{aligned}",
        tuple(
            symbolic(f"d = {d}, {name} baseline", functools.partial(_dimension, d, with_baseline))
            for with_baseline, name in ((True, "with"), (False, "without"))
            for d in (1, 3)
        ),
    ),
    Identity(
        "eq-softplus",
        "reparameterization",
        "Softplus, its inverse and its slope",
        r"\begin{aligned} \sigma &= \log(1 + e^\rho) \\ \rho &= \sigma + \log(1 - e^{-\sigma}) \\ "
        r"\frac{d\sigma}{d\rho} &= 1 - e^{-\sigma} \end{aligned}",
        (
            symbolic("the inverse of softplus(ρ), and ρ (exponentials)", _softplus_inverse),
            symbolic("slope by differentiation, and the formula", _softplus_slope),
            exact("softplus of the package's inverse at 0.05, and 0.05", _softplus_round_trip),
        ),
    ),
    Identity(
        "eq-local",
        "reparameterization",
        "Local reparameterization",
        r"\begin{aligned} a &= \sum_i x_i w_i + w_0 \\ "
        r"&\sim \mathcal N\Big(\sum_i x_i \mu_i + \mu_0, \\ "
        r"&\qquad\quad \sum_i x_i^2 \sigma_i^2 + \sigma_0^2\Big) \end{aligned}",
        (
            symbolic(
                "moment generating functions, three inputs and a bias", _local_generating_function
            ),
            monte_carlo("mean of a layer that draws weights", lambda: _mean("weight")),
            monte_carlo("variance of a layer that draws weights", lambda: _moment("weight", 2, 1)),
            monte_carlo(
                "its fourth central moment, and 3 variances squared",
                lambda: _moment("weight", 4, 3),
            ),
        ),
    ),
    Identity(
        "eq-gradient-noise",
        "reparameterization",
        "Noise of a batch's gradient",
        r"\operatorname{Var}\Big[\frac1B \sum_{n=1}^{B} g_n\Big] = "
        r"\frac{V}{B} + \Big(1 - \frac1B\Big)\, C",
        (symbolic("any covariance matrix of four gradients", _gradient_noise),),
    ),
    Identity(
        "eq-shared-draw",
        "reparameterization",
        "Covariance through a shared draw",
        r"\begin{aligned} &\operatorname{Cov}[a(x), a(x')] \\ "
        r"&\quad = \sum_i \sigma_i^2\, x_i\, x_i' + \sigma_0^2 \end{aligned}",
        (
            monte_carlo("two inputs of a layer that draws weights", _shared_draw_linear),
            monte_carlo("the same under local draws, and 0", lambda: _product("local")),
            exact(
                "two pixels of a convolution: Jacobian, and patches in the formula",
                _shared_draw_convolution,
            ),
        ),
    ),
    Identity(
        "eq-flipout",
        "reparameterization",
        "Flipout",
        r"\begin{aligned} w_i^{(n)} &= \mu_i + \sigma_i \epsilon_i\, s_{ni}\, r_n \\ "
        r"&\sim \mathcal N(\mu_i, \sigma_i^2) \\ "
        r"a_n &= \sum_i x_{ni}\, \mu_i + \mu_0 \\ "
        r"&\quad + r_n \Big(\sum_i x_{ni}\, s_{ni}\, \sigma_i \epsilon_i + "
        r"\sigma_0 \epsilon_0\Big) \end{aligned}",
        (
            symbolic(
                "moment generating function with a random sign, and without",
                _flipout_generating_function,
            ),
            exact("five outputs, and those of each datum's own weights", _flipout_by_weights),
            monte_carlo("mean of a flipout layer", lambda: _mean("flipout")),
            monte_carlo("its variance", lambda: _moment("flipout", 2, 1)),
            monte_carlo(
                "its fourth central moment, and 3 variances squared",
                lambda: _moment("flipout", 4, 3),
            ),
        ),
    ),
    Identity(
        "eq-flipout-covariance",
        "reparameterization",
        "Two data under flipout",
        r"\begin{aligned} \operatorname{Cov}[a_n, a_m] &= 0 \\ "
        r"\operatorname{Cov}[\tilde a_n^2, \tilde a_m^2] &= 2 \sum_i v_{ni}\, v_{mi} \end{aligned}",
        (
            symbolic("covariance, two inputs and a bias", _flipout_covariance),
            symbolic("covariance of the squares", _flipout_covariance_of_squares),
            monte_carlo("two outputs of a flipout layer, and 0", lambda: _product("flipout")),
            monte_carlo("their squares, and the formula", _flipout_squares),
        ),
    ),
)
