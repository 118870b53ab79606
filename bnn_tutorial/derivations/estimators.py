"""The numbered equations of the chapter "estimators" and their checks."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import sympy
import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_tutorial.derivations.distributions import EPSILON, MU, SIGMA, gaussian
from bnn_tutorial.derivations.identity import (
    Draws,
    Expressions,
    Identity,
    Numbers,
    exact,
    monte_carlo,
    symbolic,
)
from bnn_tutorial.derivations.reparameterization import T, noise_mean
from bnn_tutorial.layers.bayesian import BayesianLayer
from bnn_tutorial.layers.convolutions import BayesianConv2d
from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.prediction.predict import predict
from bnn_tutorial.randomness import seeded


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
    chapter="estimators",
    name="Noise of a batch's gradient",
    formula=(
        r"\operatorname{Var}\Big[\frac1B \sum_{n=1}^{B} g_n\Big] = "
        r"\frac{V}{B} + \Big(1 - \frac1B\Big)\, C"
    ),
    checks=(
        symbolic(
            "from the covariance matrix",
            _gradient_noise,
            scope="four gradients, any covariance matrix",
        ),
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
    chapter="estimators",
    name="Local reparameterization",
    formula=(
        r"\begin{aligned} a &= \sum_i x_i w_i + w_0 \\ "
        r"&\sim \mathcal N\Big(\sum_i x_i \mu_i + \mu_0, \\ "
        r"&\qquad\quad \sum_i x_i^2 \sigma_i^2 + \sigma_0^2\Big) \end{aligned}"
    ),
    checks=(
        symbolic(
            "moment generating functions",
            _local_generating_function,
            scope="three inputs and a bias, any values",
        ),
        monte_carlo(
            "mean of a layer that draws weights",
            lambda: _mean("weight"),
            scope="one layer, one input",
        ),
        monte_carlo(
            "variance of a layer that draws weights",
            lambda: _moment("weight", 2, 1),
            scope="one layer, one input",
        ),
        monte_carlo(
            "its fourth central moment, and 3 variances squared",
            lambda: _moment("weight", 4, 3),
            scope="one layer, one input",
        ),
    ),
)


def _weight_slope() -> Expressions:
    x, noise = sympy.symbols("x epsilon_i", real=True)
    return sympy.diff(x * (MU + SIGMA * noise), SIGMA), x * noise


def _local_slope() -> Expressions:
    x, rest = sympy.symbols("x r", positive=True)  # rest: the other weights' variance
    variance = x**2 * SIGMA**2 + rest
    slope = sympy.diff(sympy.sqrt(variance) * EPSILON, SIGMA)
    return slope, x * (x * SIGMA / sympy.sqrt(variance)) * EPSILON


def _noise_given_the_output() -> Numbers:
    """The regression of one weight's noise on the output's, by the covariance of all."""
    generator = torch.Generator().manual_seed(9)
    deviations = torch.rand(2, 7, generator=generator, dtype=torch.float64).prod(dim=0)
    variance = deviations.square().sum()
    # The rows give epsilon_i and the standardized output from seven independent noises.
    map_ = torch.stack([F.one_hot(torch.tensor(2), 7).double(), deviations / variance.sqrt()])
    covariance = map_ @ map_.T
    return covariance[0, 1] / covariance[1, 1], deviations[2] / variance.sqrt()


def _mean_of_the_product() -> Draws:
    outputs = _outputs("weight")
    deviations = outputs.inputs[0] * outputs.std
    shares = deviations / deviations.square().sum().sqrt()
    largest = int(shares.abs().argmax())
    noise = torch.randn(4_000, 7, generator=torch.Generator().manual_seed(11))
    return noise[:, largest] * (noise @ shares), shares[largest].item()


EQ_NOISE_SHARE = Identity(
    label="eq-noise-share",
    chapter="estimators",
    name="Slopes with respect to a width, and what joins them",
    formula=(
        r"\begin{aligned} \text{weight:}\quad \frac{\partial a}{\partial\sigma_i} "
        r"&= x_i\, \epsilon_i \\ "
        r"\text{local:}\quad \frac{\partial a}{\partial\sigma_i} &= x_i\, h_i\, \epsilon, "
        r"\qquad h_i = \frac{x_i \sigma_i}{\sqrt v} \\ "
        r"\mathbb E[\epsilon_i \mid a] &= h_i\, \epsilon \end{aligned}"
    ),
    checks=(
        symbolic("weight draw, by differentiation", _weight_slope, scope="one weight, any values"),
        symbolic(
            "local draw, by differentiation",
            _local_slope,
            scope="one weight, any variance of the others",
        ),
        exact(
            "regression of one noise on the output's",
            _noise_given_the_output,
            scope="seven weights",
        ),
        monte_carlo(
            "mean of the noises' product, and the share",
            _mean_of_the_product,
            scope="one layer, one input",
        ),
    ),
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
    chapter="estimators",
    name="Covariance through a shared draw",
    formula=(
        r"\begin{aligned} &\operatorname{Cov}[a(x), a(x')] \\ "
        r"&\quad = \sum_i \sigma_i^2\, x_i\, x_i' + \sigma_0^2 \end{aligned}"
    ),
    checks=(
        monte_carlo(
            "covariance of the outputs under a weight draw",
            _shared_draw_linear,
            scope="one layer, two inputs",
        ),
        monte_carlo(
            "covariance of the outputs under local draws, and 0",
            lambda: _product("local"),
            scope="one layer, two inputs",
        ),
        exact(
            "by the Jacobian, and by patches in the formula",
            _shared_draw_convolution,
            scope="two pixels of one convolution",
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


def _flipout_with_own_weights() -> Numbers:
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
    chapter="estimators",
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
            scope="one weight, any values",
        ),
        exact(
            "the outputs, and those of each datum's own weights",
            _flipout_with_own_weights,
            scope="one layer, five data",
        ),
        monte_carlo(
            "mean of a flipout layer", lambda: _mean("flipout"), scope="one layer, one input"
        ),
        monte_carlo("its variance", lambda: _moment("flipout", 2, 1), scope="one layer, one input"),
        monte_carlo(
            "its fourth central moment, and 3 variances squared",
            lambda: _moment("flipout", 4, 3),
            scope="one layer, one input",
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
    chapter="estimators",
    name="Two data under flipout",
    formula=(
        r"\begin{aligned} \operatorname{Cov}[a_n, a_m] &= 0 \\ "
        r"\operatorname{Cov}[\tilde a_n^2, \tilde a_m^2] &= 2 \sum_i v_{ni}\, v_{mi} \end{aligned}"
    ),
    checks=(
        symbolic(
            "covariance, by the moments of signs and noise",
            _flipout_covariance,
            scope="two inputs and a bias, any values",
        ),
        symbolic(
            "covariance of the squares",
            _flipout_covariance_of_squares,
            scope="two inputs and a bias, any values",
        ),
        monte_carlo(
            "covariance of two outputs, and 0",
            lambda: _product("flipout"),
            scope="one layer, two inputs",
        ),
        monte_carlo(
            "covariance of their squares, and the formula",
            _flipout_squares,
            scope="one layer, two inputs",
        ),
    ),
)

IDENTITIES = (
    EQ_GRADIENT_NOISE,
    EQ_LOCAL,
    EQ_NOISE_SHARE,
    EQ_SHARED_DRAW,
    EQ_FLIPOUT,
    EQ_FLIPOUT_COVARIANCE,
)
