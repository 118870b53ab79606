"""The numbered equations of the chapter "reparameterization" and their checks."""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import mpmath
import sympy
import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_tutorial.derivations.distributions import (
    EPSILON,
    MU,
    SIGMA,
    W,
    expectation,
    gaussian,
    log_gaussian,
    quad,
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
from bnn_tutorial.layers.bayesian import BayesianLayer
from bnn_tutorial.layers.convolutions import BayesianConv2d
from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.layers.softplus import inverse_softplus
from bnn_tutorial.prediction.predict import predict
from bnn_tutorial.randomness import seeded

T, B, RHO = sympy.symbols("t b rho", real=True)
DRAW = MU + SIGMA * EPSILON
LOG_DENSITY = log_gaussian(W, MU, SIGMA)


def noise_mean(expression: sympy.Expr, *noises: sympy.Symbol) -> sympy.Expr:
    """Return the mean of a polynomial in independent standard normal variables, by their moments.

    The variables are ``noises``, without any epsilon alone.
    """
    polynomial = sympy.Poly(sympy.expand(expression), *(noises or (EPSILON,)))
    return sympy.Add(
        *(
            coefficient
            * math.prod(0 if power % 2 else sympy.factorial2(power - 1) for power in powers)
            for powers, coefficient in polynomial.terms()
        )
    )


def _noise_variance(expression: sympy.Expr, *noises: sympy.Symbol) -> sympy.Expr:
    return noise_mean(expression**2, *noises) - noise_mean(expression, *noises) ** 2


def _reparameterized_density() -> Expressions:
    distribution_of_noise = (1 + sympy.erf(T / sympy.sqrt(2))) / 2
    return sympy.diff(distribution_of_noise.subs(T, (W - MU) / SIGMA), W), sympy.exp(LOG_DENSITY)


EQ_REPARAMETERIZE = Identity(
    label="eq-reparameterize",
    chapter="reparameterization",
    name="Gaussian from standard noise",
    formula=(
        r"\begin{aligned} w &= \mu + \sigma\epsilon, \quad \epsilon \sim \mathcal N(0, 1) \\ "
        r"&\Longrightarrow\quad w \sim \mathcal N(\mu, \sigma^2) \end{aligned}"
    ),
    checks=(
        symbolic(
            "slope of the distribution function of w, and the density of N(μ, σ²)",
            _reparameterized_density,
        ),
    ),
)


def _score_function(parameter: sympy.Symbol, f: sympy.Expr) -> Expressions:
    score = sympy.diff(LOG_DENSITY, parameter)
    return sympy.diff(noise_mean(f.subs(W, DRAW)), parameter), expectation(f * score)


def _score_function_of_a_step() -> Numbers:
    mean, std, threshold = mpmath.mpf("0.3"), mpmath.mpf("0.8"), mpmath.mpf(1)

    def weighted_score(value: Any) -> Any:
        return mpmath.npdf(value, mean, std) * (value - mean) / std**2

    return (
        quad(weighted_score, [threshold, 3, 6, mpmath.inf]),
        mpmath.diff(lambda shifted: 1 - mpmath.ncdf(threshold, shifted, std), mean),
    )


EQ_SCORE_FUNCTION = Identity(
    label="eq-score-function",
    chapter="reparameterization",
    name="Score-function gradient",
    formula=(
        r"\begin{aligned} &\frac{\partial}{\partial\theta}\, \mathbb E_{q_\theta}[f(w)] \\ "
        r"&\quad = \mathbb E_{q_\theta}"
        r"\left[f(w)\, \frac{\partial}{\partial\theta} \log q_\theta(w)\right] \end{aligned}"
    ),
    checks=(
        symbolic("θ = μ, f(w) = w³", lambda: _score_function(MU, W**3)),
        symbolic("θ = σ, f(w) = w⁴", lambda: _score_function(SIGMA, W**4)),
        quadrature("θ = μ, f a step at 1, which has no slope", _score_function_of_a_step),
    ),
)


def _pathwise(parameter: sympy.Symbol) -> Expressions:
    slope = sympy.diff(DRAW, parameter)
    return sympy.diff(expectation(W**4), parameter), noise_mean(4 * DRAW**3 * slope)


def _pathwise_of_a_sine(parameter: sympy.Symbol) -> Numbers:
    at = {MU: 0.7, SIGMA: 0.9}
    # E[sin(mu + sigma epsilon)] is the imaginary part of a normal's characteristic function.
    closed_form = sympy.exp(-(SIGMA**2) / 2) * sympy.sin(MU)
    slope = sympy.cos(DRAW) * sympy.diff(DRAW, parameter) * gaussian(EPSILON, 0, 1)
    integrand = sympy.lambdify(EPSILON, slope.subs(at), "mpmath")
    integral = quad(integrand, [-mpmath.inf, -2, 0, 2, mpmath.inf])
    return integral, sympy.diff(closed_form, parameter).subs(at)


EQ_PATHWISE = Identity(
    label="eq-pathwise",
    chapter="reparameterization",
    name="Pathwise gradient",
    formula=(
        r"\begin{aligned} \frac{\partial}{\partial\mu}\, \mathbb E[f(w)] &= \mathbb E[f'(w)] \\ "
        r"\frac{\partial}{\partial\sigma}\, \mathbb E[f(w)] &= \mathbb E[\epsilon\, f'(w)] "
        r"\end{aligned}"
    ),
    checks=(
        symbolic("by μ, f(w) = w⁴", lambda: _pathwise(MU)),
        symbolic("by σ, f(w) = w⁴", lambda: _pathwise(SIGMA)),
        quadrature("by μ, f(w) = sin w", lambda: _pathwise_of_a_sine(MU)),
        quadrature("by σ, f(w) = sin w", lambda: _pathwise_of_a_sine(SIGMA)),
    ),
)


def _variance_pathwise() -> Expressions:
    return _noise_variance(2 * DRAW), 4 * SIGMA**2


def _variance_score() -> Expressions:
    variance = _noise_variance(DRAW**2 * EPSILON / SIGMA)
    return variance, MU**4 / SIGMA**2 + 14 * MU**2 + 15 * SIGMA**2


EQ_GRADIENT_VARIANCES = Identity(
    label="eq-gradient-variances",
    chapter="reparameterization",
    name="Variances of the two gradients of w²",
    formula=(
        r"\begin{aligned} \operatorname{Var}[2w] &= 4\sigma^2 \\ "
        r"\operatorname{Var}\left[\frac{\epsilon}{\sigma}\, w^2\right] &= "
        r"\frac{\mu^4}{\sigma^2} + 14\mu^2 + 15\sigma^2 \end{aligned}"
    ),
    checks=(
        symbolic("pathwise, from the moments of the noise", _variance_pathwise),
        symbolic("score function, from the moments of the noise", _variance_score),
    ),
)


def _baseline() -> Expressions:
    score = sympy.diff(LOG_DENSITY, MU)
    return expectation((W**3 - B) * score), sympy.diff(expectation(W**3), MU)


EQ_BASELINE = Identity(
    label="eq-baseline",
    chapter="reparameterization",
    name="Baseline",
    formula=(
        r"\begin{aligned} "
        r"&\mathbb E_q\left[(f(w) - b)\, \frac{\partial}{\partial\mu} \log q(w)\right] \\ "
        r"&\quad = \frac{\partial}{\partial\mu}\, \mathbb E_q[f(w)] \end{aligned}"
    ),
    checks=(symbolic("f(w) = w³ and any b, by integration", _baseline),),
)


def _dimension(d: int, with_baseline: bool) -> Expressions:
    noises = sympy.symbols(f"epsilon1:{d + 1}", real=True)
    mean_square = MU**2 + SIGMA**2
    baseline = d * mean_square if with_baseline else 0
    f = sum((MU + SIGMA * noise) ** 2 for noise in noises)
    formula = (4 * d + 4) * MU**2 + (2 * d + 8) * SIGMA**2
    if not with_baseline:
        formula += 4 * d * mean_square + d**2 * mean_square**2 / SIGMA**2
    return _noise_variance((f - baseline) * noises[0] / SIGMA, *noises), formula


EQ_DIMENSION = Identity(
    label="eq-dimension",
    chapter="reparameterization",
    name="Variance of the score function in d dimensions",
    formula=(
        r"\begin{aligned} "
        r"\operatorname{Var}_{b = dm} &= (4d + 4)\,\mu^2 + (2d + 8)\,\sigma^2 \\ "
        r"\operatorname{Var}_{b = 0} &= \operatorname{Var}_{b = dm} + 4dm + "
        r"\frac{d^2 m^2}{\sigma^2} "
        r"\end{aligned}"
    ),
    checks=(
        symbolic("d = 1, with baseline", lambda: _dimension(1, with_baseline=True)),
        symbolic("d = 3, with baseline", lambda: _dimension(3, with_baseline=True)),
        symbolic("d = 1, without baseline", lambda: _dimension(1, with_baseline=False)),
        symbolic("d = 3, without baseline", lambda: _dimension(3, with_baseline=False)),
    ),
)

SOFTPLUS = sympy.log(1 + sympy.exp(RHO))


def _softplus_inverse() -> Expressions:
    return sympy.exp(SOFTPLUS) * (1 - sympy.exp(-SOFTPLUS)), sympy.exp(RHO)


def _softplus_slope() -> Expressions:
    return sympy.diff(SOFTPLUS, RHO), 1 - sympy.exp(-SOFTPLUS)


def _softplus_round_trip() -> Numbers:
    std = 0.05
    return F.softplus(torch.tensor(inverse_softplus(std), dtype=torch.float64)), std


EQ_SOFTPLUS = Identity(
    label="eq-softplus",
    chapter="reparameterization",
    name="Softplus, its inverse and its slope",
    formula=(
        r"\begin{aligned} \sigma &= \log(1 + e^\rho) \\ \rho &= \sigma + \log(1 - e^{-\sigma}) \\ "
        r"\frac{d\sigma}{d\rho} &= 1 - e^{-\sigma} \end{aligned}"
    ),
    checks=(
        symbolic("the inverse of softplus(ρ), and ρ (exponentials)", _softplus_inverse),
        symbolic("slope by differentiation, and the formula", _softplus_slope),
        exact("softplus of the package's inverse at 0.05, and 0.05", _softplus_round_trip),
    ),
)


def _local_generating_function() -> Expressions:
    x, means = sympy.symbols("x1:4", real=True), sympy.symbols("mu1:5", real=True)
    stds = sympy.symbols("sigma1:5", positive=True)
    inputs = (*x, sympy.Integer(1))
    noise_mgf = sympy.simplify(
        sympy.integrate(
            sympy.exp(T * EPSILON) * gaussian(EPSILON, 0, 1), (EPSILON, -sympy.oo, sympy.oo)
        )
    )
    product = sympy.Mul(
        *(
            sympy.exp(T * x_i * m) * noise_mgf.subs(T, T * x_i * s)
            for x_i, m, s in zip(inputs, means, stds, strict=True)
        )
    )
    mean = sum(x_i * m for x_i, m in zip(inputs, means, strict=True))
    variance = sum(x_i**2 * s**2 for x_i, s in zip(inputs, stds, strict=True))
    return product, sympy.exp(T * mean + T**2 * variance / 2)


# What a layer draws. Its bias counts as the weight of a last input, which is always 1.


class _Outputs(NamedTuple):
    """The outputs of a layer of six inputs and a bias for two data, drawn S = 4,000 times."""

    inputs: Tensor  # (2, 7)
    std: Tensor  # (7,)
    mean: Tensor  # (2,)
    deviations: Tensor  # (S, 2), from the mean


def _std(layer: BayesianLayer) -> Tensor:
    """Return the standard deviations of all weights, and last the bias's."""
    assert layer.bias_std is not None
    return torch.cat([layer.weight_std.flatten(), layer.bias_std]).detach()


@functools.cache
def _outputs(estimator: str) -> _Outputs:
    inputs = torch.randn(2, 6, generator=torch.Generator().manual_seed(3))
    with seeded(3):
        layer = BayesianLinear(6, 1, estimator=estimator, init_std=0.4)
    mean = layer.linear_map(inputs, layer.weight_mean, layer.bias_mean).detach().flatten()
    samples = predict(layer, inputs, 4_000, seed=4).samples.squeeze(-1)
    return _Outputs(torch.cat([inputs, torch.ones(2, 1)], dim=1), _std(layer), mean, samples - mean)


def _mean(estimator: str) -> Draws:
    outputs = _outputs(estimator)
    return outputs.deviations[:, 0] + outputs.mean[0], outputs.mean[0].item()


def _moment(estimator: str, power: int, factor: float) -> Draws:
    outputs = _outputs(estimator)
    variance = (outputs.inputs[0] * outputs.std).square().sum().item()
    return outputs.deviations[:, 0] ** power, factor * variance ** (power // 2)


EQ_LOCAL = Identity(
    label="eq-local",
    chapter="reparameterization",
    name="Local reparameterization",
    formula=(
        r"\begin{aligned} a &= \sum_i x_i w_i + w_0 \\ "
        r"&\sim \mathcal N\Big(\sum_i x_i \mu_i + \mu_0, \\ "
        r"&\qquad\quad \sum_i x_i^2 \sigma_i^2 + \sigma_0^2\Big) \end{aligned}"
    ),
    checks=(
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
)


def _gradient_noise() -> Expressions:
    size = 4
    covariance = sympy.Matrix(
        size, size, lambda i, j: sympy.Symbol(f"c{min(i, j)}{max(i, j)}", real=True)
    )
    average = sympy.Matrix([[sympy.Rational(1, size)] * size])
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    mean_variance = covariance.trace() / size
    mean_covariance = sympy.Add(*(covariance.row(i)[j] for i, j in pairs)) / len(pairs)
    formula = mean_variance / size + (1 - sympy.Rational(1, size)) * mean_covariance
    return (average * covariance * average.T)[0, 0], formula


EQ_GRADIENT_NOISE = Identity(
    label="eq-gradient-noise",
    chapter="reparameterization",
    name="Noise of a batch's gradient",
    formula=(
        r"\operatorname{Var}\Big[\frac1B \sum_{n=1}^{B} g_n\Big] = "
        r"\frac{V}{B} + \Big(1 - \frac1B\Big)\, C"
    ),
    checks=(symbolic("any covariance matrix of four gradients", _gradient_noise),),
)


def _shared_draw_linear() -> Draws:
    outputs = _outputs("weight")
    covariance = (outputs.std.square() * outputs.inputs.prod(dim=0)).sum()
    return outputs.deviations.prod(dim=1), covariance.item()


def _product(estimator: str) -> Draws:
    return _outputs(estimator).deviations.prod(dim=1), 0.0


def _shared_draw_convolution() -> Numbers:
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(1, 1, 5, 6, generator=generator, dtype=torch.float64)
    with seeded(5):
        layer = BayesianConv2d(1, 1, 3, padding=1, init_std=0.3, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_rho.add_(torch.randn(1, 1, 3, 3, generator=generator, dtype=torch.float64))
    variances = _std(layer).square()

    def output(parameters: Tensor) -> Tensor:
        kernel = parameters[:9].view(1, 1, 3, 3)
        return layer.linear_map(image, kernel, parameters[9:]).flatten()

    jacobian = torch.autograd.functional.jacobian(output, torch.zeros(10, dtype=torch.float64))
    first, second = 8, 15
    patches = F.pad(F.unfold(image, 3, padding=1)[0], (0, 0, 0, 1), value=1.0)  # 1: the bias's
    formula = (variances * patches[:, first] * patches[:, second]).sum()
    return (jacobian @ variances.diag() @ jacobian.T)[first, second], formula


EQ_SHARED_DRAW = Identity(
    label="eq-shared-draw",
    chapter="reparameterization",
    name="Covariance through a shared draw",
    formula=(
        r"\begin{aligned} &\operatorname{Cov}[a(x), a(x')] \\ "
        r"&\quad = \sum_i \sigma_i^2\, x_i\, x_i' + \sigma_0^2 \end{aligned}"
    ),
    checks=(
        monte_carlo("two inputs of a layer that draws weights", _shared_draw_linear),
        monte_carlo("the same under local draws, and 0", lambda: _product("local")),
        exact(
            "two pixels of a convolution: Jacobian, and patches in the formula",
            _shared_draw_convolution,
        ),
    ),
)


def _sign_mean(expression: sympy.Expr, signs: Sequence[sympy.Symbol]) -> sympy.Expr:
    """Return the mean of a polynomial in independent random signs, +1 or -1 with equal chance."""
    polynomial = sympy.Poly(sympy.expand(expression), *signs)
    return sympy.Add(
        *(
            coefficient
            for powers, coefficient in polynomial.terms()
            if all(power % 2 == 0 for power in powers)
        )
    )


def _flipout_generating_function() -> Expressions:
    generating_function = sympy.exp(T * MU + T**2 * SIGMA**2 / 2)
    # The draw with sign +1 is N(mu, sigma^2); that with sign -1 has -sigma in place of sigma.
    both = [generating_function.subs(SIGMA, sign * SIGMA) for sign in (1, -1)]
    return sympy.Add(*both) / 2, generating_function


def _flipout_by_weights() -> Numbers:
    """One layer's flipout outputs, and those of the weights that each datum has to itself."""
    generator = torch.Generator().manual_seed(8)
    x, s = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    mean, std, noise = torch.rand(3, 4, generator=generator, dtype=torch.float64)
    s, r = s.sign(), torch.randn(5, generator=generator, dtype=torch.float64).sign()
    deviation = std * noise
    left = x @ mean[:3] + mean[3] + r * ((x * s) @ deviation[:3] + deviation[3])
    weights = mean[:3] + deviation[:3] * s * r.unsqueeze(1)
    return left.square().sum(), ((x * weights).sum(1) + mean[3] + deviation[3] * r).square().sum()


EQ_FLIPOUT = Identity(
    label="eq-flipout",
    chapter="reparameterization",
    name="Flipout",
    formula=(
        r"\begin{aligned} w_i^{(n)} &= \mu_i + \sigma_i \epsilon_i\, s_{ni}\, r_n \\ "
        r"&\sim \mathcal N(\mu_i, \sigma_i^2) \\ "
        r"a_n &= \sum_i x_{ni}\, \mu_i + \mu_0 \\ "
        r"&\quad + r_n \Big(\sum_i x_{ni}\, s_{ni}\, \sigma_i \epsilon_i + "
        r"\sigma_0 \epsilon_0\Big) \end{aligned}"
    ),
    checks=(
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
)


class _Deviations(NamedTuple):
    """Two data's deviations from their means, for a layer of two inputs and a bias."""

    first: sympy.Expr
    second: sympy.Expr
    signs: Sequence[sympy.Symbol]
    noises: Sequence[sympy.Symbol]
    variances: list[list[sympy.Expr]]  # each weight's part in the variance of either

    def mean(self, expression: sympy.Expr) -> sympy.Expr:
        return noise_mean(_sign_mean(expression, self.signs), *self.noises)


def _flipout_deviations() -> _Deviations:
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
    first, second = deviations
    return _Deviations(first, second, (*r, *s), noises, variances)


def _flipout_covariance() -> Expressions:
    deviations = _flipout_deviations()
    return deviations.mean(deviations.first * deviations.second), 0


def _flipout_covariance_of_squares() -> Expressions:
    deviations = _flipout_deviations()
    first, second = deviations.first**2, deviations.second**2
    covariance = deviations.mean(first * second) - deviations.mean(first) * deviations.mean(second)
    return covariance, 2 * sum(v1 * v2 for v1, v2 in zip(*deviations.variances, strict=True))


def _flipout_squares() -> Draws:
    outputs = _outputs("flipout")
    variances = (outputs.inputs * outputs.std).square()
    products = (outputs.deviations.square() - variances.sum(dim=1)).prod(dim=1)
    return products, 2 * variances.prod(dim=0).sum().item()


EQ_FLIPOUT_COVARIANCE = Identity(
    label="eq-flipout-covariance",
    chapter="reparameterization",
    name="Two data under flipout",
    formula=(
        r"\begin{aligned} \operatorname{Cov}[a_n, a_m] &= 0 \\ "
        r"\operatorname{Cov}[\tilde a_n^2, \tilde a_m^2] &= 2 \sum_i v_{ni}\, v_{mi} \end{aligned}"
    ),
    checks=(
        symbolic("covariance, two inputs and a bias", _flipout_covariance),
        symbolic("covariance of the squares", _flipout_covariance_of_squares),
        monte_carlo("two outputs of a flipout layer, and 0", lambda: _product("flipout")),
        monte_carlo("their squares, and the formula", _flipout_squares),
    ),
)

IDENTITIES = (
    EQ_REPARAMETERIZE,
    EQ_SCORE_FUNCTION,
    EQ_PATHWISE,
    EQ_GRADIENT_VARIANCES,
    EQ_BASELINE,
    EQ_DIMENSION,
    EQ_SOFTPLUS,
    EQ_LOCAL,
    EQ_GRADIENT_NOISE,
    EQ_SHARED_DRAW,
    EQ_FLIPOUT,
    EQ_FLIPOUT_COVARIANCE,
)
