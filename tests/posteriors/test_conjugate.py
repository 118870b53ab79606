import functools
import math

import pytest
import torch
from helpers.monte_carlo import assert_mean
from helpers.optimum import minimize
from numpy.polynomial.legendre import leggauss
from torch import nn
from torch.distributions import MultivariateNormal, Normal

import bnn_tutorial as bt

# Both are exact in float32, in which torch.distributions.Normal keeps a Python number.
PRIOR_STD, NOISE_STD = 0.75, 0.5


def regression_data(num_data=8, num_weights=3, seed=0):
    """Correlated features with a column of ones, and targets."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(num_data, num_weights - 1, generator=generator, dtype=torch.float64)
    features = torch.cat([torch.ones(num_data, 1, dtype=torch.float64), x + 0.8], dim=1)
    y = torch.randn(num_data, 1, generator=generator, dtype=torch.float64)
    return features, y


def linear_kernel(x1, x2):
    """The prior covariance of a regression that is linear in its weights."""
    return PRIOR_STD**2 * x1 @ x2.T


def relu_kernel(hidden_features):
    return functools.partial(
        bt.relu_network_kernel, hidden_features=hidden_features, prior_std=PRIOR_STD
    )


def prior_draws(num_samples, hidden_features, x, seed):
    """Outputs (S, N) at ``x`` of networks with every weight and bias drawn from the prior."""
    in_features = x.shape[1]
    network = nn.Sequential(
        nn.Linear(in_features, hidden_features), nn.ReLU(), nn.Linear(hidden_features, 1)
    ).double()
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: PRIOR_STD
        * torch.randn(num_samples, *value.shape, generator=generator, dtype=torch.float64)
        for name, value in network.named_parameters()
    }
    return torch.vmap(lambda draw: torch.func.functional_call(network, draw, x))(weights)[..., 0]


# The regression that is linear in its weights.


def test_the_posterior_of_one_weight_agrees_with_quadrature():
    features, y = regression_data(5, 2)
    features = features[:, 1:]
    posterior = bt.linear_regression_posterior(
        features, y, prior_std=PRIOR_STD, noise_std=NOISE_STD
    )
    grid = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    log_joint = Normal(0.0, PRIOR_STD).log_prob(grid)
    log_joint += Normal(features * grid, NOISE_STD).log_prob(y).sum(dim=0)
    joint = log_joint.exp()
    evidence = torch.trapezoid(joint, grid)
    mean = torch.trapezoid(grid * joint, grid) / evidence
    variance = torch.trapezoid((grid - mean).square() * joint, grid) / evidence
    torch.testing.assert_close(posterior.log_evidence, evidence.log())
    torch.testing.assert_close(posterior.mean, mean[None])
    torch.testing.assert_close(posterior.covariance, variance[None, None])


def test_the_evidence_is_the_density_of_the_targets():
    features, y = regression_data()
    posterior = bt.linear_regression_posterior(
        features, y, prior_std=PRIOR_STD, noise_std=NOISE_STD
    )
    covariance = linear_kernel(features, features) + NOISE_STD**2 * torch.eye(len(y))
    expected = MultivariateNormal(torch.zeros(len(y)).double(), covariance).log_prob(y[:, 0])
    torch.testing.assert_close(posterior.log_evidence, expected)


def test_the_regression_is_the_gaussian_process_with_the_linear_kernel():
    features, y = regression_data()
    new, _ = regression_data(6, seed=1)
    weights = bt.linear_regression_posterior(features, y, prior_std=PRIOR_STD, noise_std=NOISE_STD)
    by_weights = weights.predict(new)
    by_functions = bt.gaussian_process_posterior(
        linear_kernel, features, y, new, noise_std=NOISE_STD
    )
    assert by_weights.mean.shape == by_weights.std.shape == (6, 1)
    torch.testing.assert_close(by_weights.mean, by_functions.mean)
    torch.testing.assert_close(by_weights.std, by_functions.std)


def test_the_best_factorized_gaussian_is_the_optimum_of_the_elbo():
    features, y = regression_data()
    posterior = bt.linear_regression_posterior(
        features, y, prior_std=PRIOR_STD, noise_std=NOISE_STD
    )
    precision = posterior.covariance.inverse()
    layer = bt.BayesianLinear(
        3, 1, bias=False, prior=Normal(0.0, PRIOR_STD), init_std=0.3, dtype=torch.float64
    )

    def negative_elbo():
        residual = y - features @ layer.weight_mean.T
        variance = features.square() @ layer.weight_std.square().T
        expected_square = (residual.square() + variance) / NOISE_STD**2
        nll = 0.5 * (expected_square + math.log(2 * math.pi * NOISE_STD**2)).mean()
        return len(y) * bt.elbo_loss(nll, layer.kl_divergence(), num_data=len(y))

    minimize(negative_elbo, list(layer.parameters()))
    torch.testing.assert_close(layer.weight_mean[0], posterior.mean, rtol=1e-6, atol=1e-8)
    width = precision.diagonal().rsqrt()
    torch.testing.assert_close(layer.weight_std[0], width, rtol=1e-6, atol=1e-8)
    assert (width < posterior.covariance.diagonal().sqrt()).all()
    # What the ELBO lacks to the evidence is KL(q || posterior).
    best = MultivariateNormal(posterior.mean, torch.diag(width.square()))
    exact = MultivariateNormal(posterior.mean, posterior.covariance)
    gap = torch.distributions.kl_divergence(best, exact)
    torch.testing.assert_close(posterior.log_evidence + negative_elbo(), gap)


# The kernel of the ReLU network.


def test_the_kernel_agrees_with_quadrature():
    x1 = torch.tensor([[0.3, -1.2], [2.0, 0.5]], dtype=torch.float64)
    x2 = torch.tensor([[0.3, -1.2], [-30.0, -7.5], [0.0, 0.0]], dtype=torch.float64)
    nodes, weights = (torch.from_numpy(part) for part in leggauss(200))
    u, weights = 5 * (nodes + 1), 5 * weights
    standard = Normal(torch.zeros(()).double(), 1.0)
    expected = torch.empty(2, 3, dtype=torch.float64)
    for i, first in enumerate(x1):
        for j, second in enumerate(x2):
            # Given the first unit's pre-activation, s1 * u, the second's is Gaussian, with the
            # rectified mean m Phi(m / s) + s phi(m / s).
            one, two = (PRIOR_STD * (1 + x.square().sum()).sqrt() for x in (first, second))
            correlation = PRIOR_STD**2 * (1 + first @ second) / (one * two)
            mean = two * correlation * u
            std = two * (1 - correlation**2).clamp_min(1e-30).sqrt()
            rectified = mean * standard.cdf(mean / std) + std * standard.log_prob(mean / std).exp()
            product = (weights * one * u * rectified * standard.log_prob(u).exp()).sum()
            expected[i, j] = PRIOR_STD**2 + 7 * PRIOR_STD**2 * product
    torch.testing.assert_close(relu_kernel(7)(x1, x2), expected, rtol=1e-7, atol=1e-7)


def test_the_kernel_is_the_covariance_of_drawn_networks():
    x = torch.tensor([[-1.0, 0.5], [0.2, 0.1], [2.0, -1.5]], dtype=torch.float64)
    draws = prior_draws(40_000, 5, x, seed=2)
    assert_mean(draws, torch.zeros(3))
    assert_mean(draws[:, :, None] * draws[:, None, :], relu_kernel(5)(x, x))


def test_the_kernel_has_the_exact_variance_of_the_bayesian_network():
    network = bt.to_bayesian(bt.regression_network(30).double(), init_std=PRIOR_STD)
    for layer in bt.bayesian_layers(network):
        nn.init.zeros_(layer.weight_mean)
        nn.init.zeros_(layer.bias_mean)
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    moments = bt.exact_moments(network, x)
    torch.testing.assert_close(relu_kernel(30)(x, x).diagonal()[:, None], moments.std.square())


def test_the_kernel_is_symmetric_and_positive_semi_definite():
    generator = torch.Generator().manual_seed(3)
    x = 3 * torch.randn(60, 2, generator=generator, dtype=torch.float64)
    kernel = relu_kernel(10)(x, x)
    torch.testing.assert_close(kernel, kernel.T)
    eigenvalues = torch.linalg.eigvalsh(kernel)
    assert eigenvalues.min() > -1e-12 * eigenvalues.max()
    # Rounding takes some of these cosines above 1, of which there is no angle.
    assert relu_kernel(10)(x.float(), x.float()).isfinite().all()


@pytest.mark.parametrize("hidden_features", [4, 16, 64])
def test_wide_networks_become_gaussian(hidden_features):
    x = torch.tensor([[1.5]], dtype=torch.float64)
    draws = prior_draws(50_000, hidden_features, x, seed=hidden_features)[:, 0]
    variance = relu_kernel(hidden_features)(x, x).item()
    # One unit is w relu(a). Its kurtosis is that of w, 3, times E[relu(a)^4] / E[relu(a)^2]^2 =
    # (3 / 2) / (1 / 2)^2 = 6: an excess of 15 over the Gaussian's 3. Over H units it falls as
    # 1 / H, and the output's Gaussian bias dilutes it.
    excess = 15 / hidden_features * (1 - PRIOR_STD**2 / variance) ** 2
    assert_mean(draws**4 / variance**2, 3 + excess)


# The posterior of the Gaussian process.


def test_predictions_one_after_another_multiply_to_the_joint_density():
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(6, 1, generator=generator, dtype=torch.float64)
    y = torch.randn(6, 1, generator=generator, dtype=torch.float64)
    kernel = relu_kernel(10)
    total = Normal(0.0, (kernel(x[:1], x[:1]) + NOISE_STD**2).sqrt()).log_prob(y[:1]).sum()
    for n in range(1, 6):
        moments = bt.gaussian_process_posterior(
            kernel, x[:n], y[:n], x[n : n + 1], noise_std=NOISE_STD
        )
        total += Normal(moments.mean, moments.total_std(NOISE_STD)).log_prob(y[n]).sum()
    covariance = kernel(x, x) + NOISE_STD**2 * torch.eye(6)
    joint = MultivariateNormal(torch.zeros(6).double(), covariance).log_prob(y[:, 0])
    torch.testing.assert_close(total, joint)


def test_the_process_passes_through_data_without_noise_and_returns_to_the_prior_with_much():
    x = torch.tensor([[-1.0], [0.0], [1.2]], dtype=torch.float64)
    y = torch.tensor([[0.5], [-1.0], [2.0]], dtype=torch.float64)
    kernel = relu_kernel(10)
    certain = bt.gaussian_process_posterior(kernel, x, y, x, noise_std=1e-5)
    torch.testing.assert_close(certain.mean, y, rtol=0, atol=1e-6)
    assert certain.std.max() < 2e-5
    ignored = bt.gaussian_process_posterior(kernel, x, y, x, noise_std=1e6)
    torch.testing.assert_close(ignored.mean, torch.zeros(3, 1).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(ignored.std, kernel(x, x).diagonal().sqrt()[:, None])


def test_a_variance_that_rounding_would_make_negative_is_zero():
    x = torch.linspace(-2, 2, 30, dtype=torch.float64)[:, None]
    kernel = functools.partial(bt.relu_network_kernel, hidden_features=100_000, prior_std=1.0)
    moments = bt.gaussian_process_posterior(kernel, x, x, x, noise_std=1e-6)
    assert moments.std.isfinite().all()
    assert moments.std.max() < 1e-4


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_width_that_is_not_positive_and_finite_is_an_error(value):
    features, y = regression_data()
    expected = "expected a positive finite number"
    with pytest.raises(ValueError, match=f"prior_std={value}: {expected}"):
        bt.linear_regression_posterior(features, y, prior_std=value, noise_std=1.0)
    with pytest.raises(ValueError, match=f"noise_std={value}: {expected}"):
        bt.linear_regression_posterior(features, y, prior_std=1.0, noise_std=value)
    with pytest.raises(ValueError, match=f"noise_std={value}: {expected}"):
        bt.gaussian_process_posterior(linear_kernel, features, y, features, noise_std=value)
    with pytest.raises(ValueError, match=f"prior_std={value}: {expected}"):
        bt.relu_network_kernel(features, features, hidden_features=1, prior_std=value)
    with pytest.raises(ValueError, match=f"hidden_features={value}: {expected}"):
        bt.relu_network_kernel(features, features, hidden_features=value, prior_std=1.0)


def test_wrong_shapes_are_errors():
    features, y = regression_data()
    for inputs, targets in [(features, y[:, 0]), (features[:, 0], y), (features[:-1], y)]:
        with pytest.raises(ValueError, match=r"features has shape .*, y .*: expected .*\(N, 1\)"):
            bt.linear_regression_posterior(inputs, targets, prior_std=1.0, noise_std=1.0)
        with pytest.raises(ValueError, match=r"x has shape .*, y .*: expected .*\(N, 1\)"):
            bt.gaussian_process_posterior(linear_kernel, inputs, targets, features, noise_std=1.0)
    for other in [features[:, 0], features[:, :2]]:
        with pytest.raises(ValueError, match=r"x1 has shape .*, x2 .*: expected \(N, D\)"):
            bt.relu_network_kernel(features, other, hidden_features=1, prior_std=1.0)
