import math

import pytest
import torch
import torch.nn.functional as F
from helpers.monte_carlo import assert_mean, assert_variance
from helpers.prior_cases import CLOSED_FORM, PRIORS
from torch import nn
from torch.distributions import Laplace, Normal

import bnn_tutorial as bt
from bnn_tutorial.layers.priors import Prior
from bnn_tutorial.layers.weight_kl import Gaussian, closed_form, kl_to_priors

ESTIMATED = tuple(name for name in PRIORS if name not in CLOSED_FORM)
# Fine and wide enough that the sums below are integrals to about nine digits.
Z = torch.linspace(-12, 12, 40_001, dtype=torch.float64)
PHI = torch.exp(-0.5 * Z.square()) / math.sqrt(2 * math.pi) * (Z[1] - Z[0])


def make(name):
    """The posterior of SHAPE weights and its prior, in double precision."""
    with bt.seeded(3):
        layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name](), dtype=torch.float64)
        nn.init.normal_(layer.weight_mean)
        nn.init.uniform_(layer.weight_rho, -3, 0.5)
    return layer


def weight_priors(name):
    """The prior of each single weight, from the distributions as they are given."""
    prior = Prior(PRIORS[name](), torch.Size((4, 3)), dtype=torch.float64).distribution
    return lambda w, i, j: prior.log_prob(w[:, None, None].expand(-1, 4, 3))[:, i, j]


def quadrature(name, layer):
    """KL, and the variance of one draw's log p(w), summed over all weights."""
    log_density = weight_priors(name)
    kl, variance = torch.zeros(()), torch.zeros(())
    for i in range(4):
        for j in range(3):
            mean, std = layer.weight_mean[i, j], F.softplus(layer.weight_rho[i, j])
            log_p = log_density(mean + std * Z, i, j)
            log_q = -0.5 * Z.square() - std.log() - 0.5 * math.log(2 * math.pi)
            kl = kl + (PHI * (log_q - log_p)).sum()
            expected = (PHI * log_p).sum()
            variance = variance + (PHI * (log_p - expected).square()).sum().detach()
    return kl, variance


def gradients(value, layer):
    return torch.cat(
        [
            gradient.flatten()
            for gradient in torch.autograd.grad(value, [layer.weight_mean, layer.weight_rho])
        ]
    )


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_closed_form_is_the_integral_and_so_is_its_gradient(name):
    layer = make(name)
    kl = layer.kl_divergence()
    expected, _ = quadrature(name, layer)
    # The integrand of a Laplace prior has a corner between two points of the grid, its gradient a
    # jump.
    torch.testing.assert_close(kl, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        gradients(kl, layer), gradients(expected, layer), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_closed_form_is_the_sum_that_torch_distributions_gives(name):
    layer = make(name)
    posterior = Normal(layer.weight_mean, layer.weight_std)
    expected = torch.distributions.kl_divergence(posterior, layer.prior).sum()
    torch.testing.assert_close(layer.kl_divergence(), expected)
    assert torch.equal(layer.kl_divergence(num_samples=7), layer.kl_divergence())


@pytest.mark.parametrize("name", ESTIMATED)
@pytest.mark.parametrize("num_samples", [1, 4])
def test_estimate_has_the_mean_the_variance_and_the_gradient_of_the_integral(name, num_samples):
    layer = make(name)
    part = layer.gaussians()[0]
    assert closed_form(part) is None
    expected, variance = quadrature(name, layer)

    def estimate(_, mean, rho):
        def value(mean, rho):
            return kl_to_priors([Gaussian(mean, rho, part.prior)], num_samples)

        return torch.func.grad_and_value(value, argnums=(0, 1))(mean, rho)

    with bt.seeded(4):
        slopes, values = torch.func.vmap(estimate, (0, None, None), randomness="different")(
            torch.zeros(4000), part.mean.detach(), part.rho.detach()
        )
    assert_mean(values, expected.detach())
    assert_variance(values, variance / num_samples)
    slopes = torch.cat([slope.flatten(1) for slope in slopes], dim=1)
    assert_mean(slopes, gradients(expected, layer))


def test_normal_closed_form_is_the_written_formula():
    layer = make("Normal")
    expected = 0.0
    for mu, sigma in zip(
        layer.weight_mean.flatten().tolist(), layer.weight_std.flatten().tolist(), strict=True
    ):
        expected += math.log(0.5 / sigma) - 0.5 + (sigma**2 + (mu - 0.3) ** 2) / (2 * 0.5**2)
    assert layer.kl_divergence().item() == pytest.approx(expected, rel=1e-6)


def test_divergence_is_zero_at_the_prior_and_above_elsewhere():
    layer = bt.BayesianLinear(3, 2, prior=Normal(0.0, 0.4), init_std=0.4)
    for mean in (layer.weight_mean, layer.bias_mean):
        nn.init.zeros_(mean)
    assert layer.kl_divergence().item() == pytest.approx(0, abs=1e-6)
    nn.init.constant_(layer.bias_mean, 0.1)
    assert layer.kl_divergence().item() > 0


@pytest.mark.parametrize("bayesian", [bt.BayesianLinear, bt.BayesianConv1d, bt.BayesianConv3d])
def test_a_layer_adds_its_weights_and_its_biases(bayesian):
    arguments = (2, 3) if bayesian is bt.BayesianLinear else (2, 3, 2)
    layer = bayesian(*arguments, prior=Laplace(0.5, 0.1))
    expected = sum(
        torch.distributions.kl_divergence(Normal(mean, std), Laplace(0.5, 0.1)).sum()
        for mean, std in (
            (layer.weight_mean, layer.weight_std),
            (layer.bias_mean, layer.bias_std),
        )
    )
    torch.testing.assert_close(layer.kl_divergence(), expected)


def test_parts_with_and_without_a_closed_form_add_up():
    parts = [make(name).gaussians()[0] for name in ("Normal", "Laplace", "scale mixture")]
    with bt.seeded(5):
        together = kl_to_priors(parts, 2)
    with bt.seeded(5):
        separate = sum(kl_to_priors([part], 2) for part in parts)
    torch.testing.assert_close(together, separate)


@pytest.mark.parametrize("name", ["Normal", "scale mixture"])
def test_autocast_leaves_the_divergence_in_single_precision(name):
    layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name]())
    with bt.seeded(6):
        plain = layer.kl_divergence()
    with torch.autocast("cpu", dtype=torch.bfloat16), bt.seeded(6):
        assert torch.equal(layer.kl_divergence(), plain)


def test_a_posterior_without_prior_mass_far_away_keeps_its_digits():
    # 3 million weights whose terms nearly cancel: a sum in half precision would be infinite.
    mean = torch.zeros(1000, 3000, dtype=torch.float16)
    rho = torch.full_like(mean, bt.inverse_softplus(0.5))
    prior = Prior(Normal(0.0, 1.0), mean.shape, dtype=torch.float16)
    kl = kl_to_priors([Gaussian(mean, rho, prior)], 1)
    expected = mean.numel() * (math.log(2) - 0.5 + 0.125)
    assert kl.item() == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("num_samples", [0, -1])
def test_fewer_than_one_draw_is_an_error(num_samples):
    with pytest.raises(ValueError, match=f"num_samples={num_samples}: expected 1 or more"):
        make("Normal").kl_divergence(num_samples)


@pytest.mark.parametrize("drawn", [False, True])
def test_near_the_prior_single_precision_keeps_what_double_has(drawn):
    num_weights = 300_000
    values = {}
    for dtype in (torch.float32, torch.float64):
        layer = bt.BayesianLinear(
            num_weights, 1, bias=False, init_std=0.999, estimator="weight", dtype=dtype
        )
        nn.init.constant_(layer.weight_mean, 0.001)
        if drawn:
            with bt.NetworkPosterior(layer).draw() as kl:
                values[dtype] = kl.item()
        else:
            values[dtype] = bt.kl_divergence(layer).item()
    # Each weight's KL is some 1e-6 and comes from numbers near 1, rounded to 6e-8.
    assert values[torch.float32] == pytest.approx(values[torch.float64], abs=1e-7 * num_weights)


def test_normals_of_every_kind_add_up():
    with bt.seeded(0):
        layers = nn.ModuleList(
            [
                bt.BayesianLinear(3, 4, prior=Normal(0.5, 2.0)),
                bt.BayesianLinear(4, 2, bias=False, dtype=torch.bfloat16),
                bt.BayesianLinear(2, 2, prior=Laplace(0.0, 1.0)),
                bt.BayesianLinear(3, 2, dtype=torch.float64),
            ]
        )
        layers[0].set_prior(Normal(torch.randn(4, 3), 1 + torch.rand(4, 3)), Normal(0.0, 3.0))
    single = sum(
        closed_form(part).double()
        for layer in layers
        if isinstance(layer, bt.BayesianLayer)
        for part in layer.gaussians()
    )
    torch.testing.assert_close(
        bt.kl_divergence(layers).double(), single, rtol=1e-6, atol=0, check_dtype=False
    )


@pytest.mark.parametrize(
    "prior",
    [
        Normal(torch.full((1, 1), 0.5), torch.full((1, 1), 2.0)),
        Normal(torch.full((1,), 0.5), torch.full((1,), 2.0)),
        Normal(*[torch.tensor(0.5)] * 2),
        Normal(0.5, 2.0).expand(torch.Size((1, 1, 1))),
        Normal(torch.tensor(0.5, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)),
    ],
    ids=["matrix", "vector", "one tensor twice", "expanded", "double"],
)
def test_one_normal_of_any_form_is_the_prior_of_weights_and_biases(prior):
    layer = bt.BayesianConv2d(2, 3, 2, prior=prior)
    posteriors = [Normal(part.mean, F.softplus(part.rho)) for part in layer.gaussians()]
    plain = Normal(prior.mean.flatten().float(), prior.stddev.flatten().float())
    expected = sum(torch.distributions.kl_divergence(q, plain).sum() for q in posteriors)
    torch.testing.assert_close(layer.kl_divergence(), expected)
