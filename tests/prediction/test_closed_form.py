import math

import numpy as np
import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance
from torch import nn
from torch.distributions import MultivariateNormal, Normal

import bnn_tutorial as bt


def network(inputs=3, hidden=4, outputs=2, *, bias=True, plain=(), dtype=None):
    """A small network with wide posteriors; ``plain`` names the layers that stay deterministic."""
    sizes = {"0": (inputs, hidden), "2": (hidden, outputs)}
    with bt.seeded(0):
        model = nn.Sequential(
            nn.Linear(*sizes["0"], bias=bias), nn.ReLU(), nn.Linear(*sizes["2"], bias=bias)
        )
        model = bt.to_bayesian(model, estimator="weight", init_std=0.4, skip=plain)
        # No two widths are equal: a sum over the wrong index would show.
        for name, parameter in model.named_parameters():
            if name.endswith("rho"):
                nn.init.uniform_(parameter, -2.0, 0.5)
    return model.to(dtype)


def inputs(rows=5, features=3, dtype=None):
    """Inputs; one row is zero, so that units without a bias have no width there."""
    x = torch.randn(rows, features, generator=torch.Generator().manual_seed(1)).to(dtype)
    x[0] = 0
    return x


NETWORKS = [
    {},
    {"bias": False},
    {"plain": ("0",)},
    {"plain": ("2",)},
    {"inputs": 1, "hidden": 9, "outputs": 1},
]


@pytest.mark.parametrize("keywords", NETWORKS)
def test_moments_agree_with_draws(keywords):
    model = network(**keywords)
    x = inputs(features=model[0].in_features)[1:]
    samples = bt.predict(model, x, 10_000, seed=2).samples
    moments = bt.exact_moments(model, x)
    assert moments.mean.shape == moments.std.shape == (4, model[2].out_features)
    assert_mean(samples, moments.mean)
    assert_variance(samples, moments.std.square())


def rectified_moments(z: float) -> tuple[float, float]:
    """E and Var of max(0, a) for a ~ N(z, 1), by Gauss-Legendre quadrature on the positive side."""
    nodes, weights = np.polynomial.legendre.leggauss(300)
    nodes, weights = torch.from_numpy(nodes), torch.from_numpy(weights)
    low, high = max(0.0, z - 13), max(0.0, z) + 13
    a = low + (high - low) * (nodes + 1) / 2
    density = weights * (high - low) / 2 * Normal(z, 1.0).log_prob(a).exp()
    mean = (density * a).sum().item()
    off = math.erfc(z / math.sqrt(2)) / 2
    return mean, (density * (a - mean).square()).sum().item() + off * mean**2


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 5e-7)], ids=str
)
def test_a_hidden_unit_agrees_with_quadrature(dtype, tolerance):
    std = 0.37
    z = torch.linspace(-10, 10, 81, dtype=dtype)
    hidden = bt.BayesianLinear(1, 81, bias=False, init_std=std, dtype=dtype)
    output = nn.Linear(81, 81, bias=False, dtype=dtype)
    with torch.no_grad():
        hidden.weight_mean.copy_(std * z.unsqueeze(1))
        output.weight.copy_(torch.eye(81))
    model = nn.Sequential(hidden, nn.ReLU(), output)
    moments = bt.exact_moments(model, torch.ones(1, 1, dtype=dtype))
    expected = [rectified_moments(value) for value in z.tolist()]
    mean, variance = torch.tensor(expected, dtype=torch.float64).unbind(dim=1)
    # The mean of a unit that is on grows with z, and its rounding error with it.
    rounding = tolerance * z.double().abs().clamp_min(1)
    assert ((moments.mean[0].double() / std - mean).abs() < rounding).all()
    assert ((moments.std[0].double() / std).square() - variance).abs().max() < tolerance
    # Where a unit is almost always off, its variance is small and still has its digits.
    likely = z > -6
    relative = (moments.std[0].double() / std).square() / variance - 1
    assert relative[likely].abs().max() < 1e4 * tolerance


@pytest.mark.filterwarnings("ignore:nothing in this Sequential became Bayesian")
@pytest.mark.parametrize("plain", [("0", "2"), ()])
def test_without_width_the_moments_are_the_networks_output_and_zero(plain):
    model = network(plain=plain)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("rho"):
                parameter.fill_(-40)
    moments = bt.exact_moments(model, inputs())
    with torch.no_grad(), bt.posterior_mean(model):
        torch.testing.assert_close(moments.mean, model(inputs()))
    assert moments.std.max() < 1e-15


def test_bands_add_the_noise_and_reach_k_standard_deviations():
    moments = bt.exact_moments(network(), inputs())
    low, high = moments.interval(2.0, noise_std=0.6)
    torch.testing.assert_close((low + high) / 2, moments.mean)
    torch.testing.assert_close((high - low) / 4, (moments.std.square() + 0.36).sqrt())
    torch.testing.assert_close(moments.total_std(0.0), moments.std)
    with pytest.raises(ValueError, match="0 or more"):
        moments.interval(-1.0)


def test_moments_keep_no_gradients():
    moments = bt.exact_moments(network(), inputs())
    assert not moments.mean.requires_grad
    assert not moments.std.requires_grad


@pytest.mark.parametrize("estimator", ["weight", "local"])
@pytest.mark.parametrize("keywords", NETWORKS)
def test_nll_and_elbo_are_the_averages_of_their_draws(keywords, estimator):
    model = network(**keywords)
    for layer in bt.bayesian_layers(model):
        layer.estimator = estimator
    x = inputs(features=model[0].in_features)
    y = torch.randn(5, model[2].out_features, generator=torch.Generator().manual_seed(3))
    likelihood = bt.GaussianLikelihood(0.7)
    samples = bt.predict(model, x, 5_000, seed=4).samples
    with torch.no_grad():
        log_density = Normal(samples, likelihood.noise_std).log_prob(y)
        assert_mean(-log_density.sum(dim=2).mean(dim=1), bt.exact_nll(model, x, y, likelihood))
        bound = log_density.sum(dim=(1, 2)) - bt.kl_divergence(model)
        assert_mean(bound, bt.elbo(model, x, y, likelihood))


@pytest.mark.parametrize("width", [1.0, 0.8])
def test_elbo_reaches_the_log_evidence_at_the_exact_posterior_only(width):
    # One uncertain weight: the posterior is a Gaussian, so that the bound can be tight.
    double = {"dtype": torch.float64}
    prior_std, likelihood = 1.5, bt.GaussianLikelihood(0.5).double()
    noise = likelihood.noise_std.item()
    second = bt.BayesianLinear(1, 1, bias=False, prior=Normal(0.0, prior_std), **double)
    model = nn.Sequential(nn.Linear(1, 1, **double), nn.ReLU(), second)
    x = torch.linspace(-1, 2, 6, **double).unsqueeze(1)
    y = x.sin() + 0.2
    with torch.no_grad():
        hidden = model[:2](x)
        precision = hidden.square().sum() / noise**2 + prior_std**-2
        second.weight_mean.copy_((hidden * y).sum() / noise**2 / precision)
        second.weight_rho.fill_(bt.inverse_softplus(width * precision.item() ** -0.5))
    covariance = prior_std**2 * hidden @ hidden.T + noise**2 * torch.eye(6, **double)
    evidence = MultivariateNormal(torch.zeros(6, **double), covariance).log_prob(y.flatten())
    gap = evidence - bt.elbo(model, x, y, likelihood)
    # The KL between two Gaussians of one mean, whose widths have this ratio.
    expected = (width**2 - 1) / 2 - math.log(width)
    assert gap.item() == pytest.approx(expected, abs=1e-10)


class Bound(nn.Module):
    """The ELBO as a module, so that functional_call can put parameters into it."""

    def __init__(self, model, likelihood):
        super().__init__()
        self.model, self.likelihood = model, likelihood

    def forward(self, x, y):
        return bt.elbo(self.model, x, y, self.likelihood)


@pytest.mark.parametrize("keywords", NETWORKS)
def test_gradients_agree_with_finite_differences(keywords):
    bound = Bound(network(**keywords), bt.GaussianLikelihood(0.7)).double()
    x = inputs(features=bound.model[0].in_features, dtype=torch.float64)
    y = torch.cos(x.sum(dim=1, keepdim=True)).expand(5, bound.model[2].out_features)
    names, values = zip(*bound.named_parameters(), strict=True)

    def value(*values):
        return torch.func.functional_call(bound, dict(zip(names, values, strict=True)), (x, y))

    assert torch.autograd.gradcheck(value, values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rho", [-40.0, 100.0])
@pytest.mark.parametrize("scale", [0.0, 1e-15, 1.0, 1e15])
def test_gradients_stay_finite_at_the_extremes(dtype, rho, scale):
    bound = Bound(network(bias=False), bt.GaussianLikelihood(0.7)).to(dtype)
    with torch.no_grad():
        for name, parameter in bound.model.named_parameters():
            if name.endswith("rho"):
                parameter.fill_(rho)
            elif name == "0.weight_mean":
                parameter.mul_(scale)
    bound(inputs(dtype=dtype), torch.zeros(5, 2, dtype=dtype)).backward()
    for name, parameter in bound.named_parameters():
        assert parameter.grad.isfinite().all(), name


WRONG_NETWORKS = {
    "a layer": nn.Linear(3, 2),
    "another activation": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
    "deeper": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU()),
    "no second layer": nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout()),
    "a convolution": nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Linear(4, 2)),
}


@pytest.mark.parametrize("model", WRONG_NETWORKS.values(), ids=WRONG_NETWORKS)
def test_another_network_is_an_error(model):
    with pytest.raises(TypeError, match=r"expected nn.Sequential\(first, nn.ReLU\(\), second\)"):
        bt.exact_moments(model, inputs())


@pytest.mark.parametrize("shape", [(3,), (5, 2), (2, 5, 3)])
def test_inputs_of_another_shape_are_an_error(shape):
    with pytest.raises(ValueError, match=r"x has shape .* expected \(N, 3\)"):
        bt.exact_moments(network(), torch.zeros(shape))


def test_targets_of_another_shape_and_another_likelihood_are_errors():
    with pytest.raises(ValueError, match="expected equal shapes"):
        bt.exact_nll(network(), inputs(), torch.zeros(5, 1), bt.GaussianLikelihood())
    with pytest.raises(TypeError, match="expected a GaussianLikelihood"):
        bt.exact_nll(network(), inputs(), torch.zeros(5, 2), bt.CategoricalLikelihood())


def test_a_noise_for_each_output_divides_its_own_spread():
    model = bt.to_bayesian(nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 2)))
    x, y, std = torch.randn(6, 2), torch.randn(6, 2), torch.tensor([0.3, 2.0])
    moments = bt.exact_moments(model, x)
    spread = (moments.std.square() / std.square()).sum() / 6 / 2
    likelihood = bt.GaussianLikelihood(std)
    expected = likelihood(moments.mean, y) + spread
    torch.testing.assert_close(bt.exact_nll(model, x, y, likelihood), expected)
