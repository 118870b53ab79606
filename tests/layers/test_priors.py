import copy
import io
import math
from typing import ClassVar

import pytest
import torch
from helpers.prior_cases import PRIORS, SHAPE
from torch import nn
from torch.distributions import (
    AffineTransform,
    Categorical,
    Distribution,
    Exponential,
    HalfNormal,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Poisson,
    TransformedDistribution,
    Uniform,
    constraints,
)

import bnn_tutorial as bt
from bnn_tutorial.layers.priors import Prior

contract = pytest.mark.parametrize("name", PRIORS)


def make(name, dtype=None):
    return Prior(PRIORS[name](), torch.Size(SHAPE), dtype=dtype)


def grid(dtype=torch.float64):
    return torch.linspace(-2, 2, 9, dtype=dtype).reshape(-1, 1, 1).expand(-1, *SHAPE)


def log_density(prior, dtype=torch.float64):
    return prior.distribution.log_prob(grid(dtype)).expand(9, *SHAPE)


def stretch(prior):
    """Change every floating-point buffer to another valid value."""
    for buffer in prior.buffers():
        buffer.mul_(1.25)


@contract
def test_density_is_that_of_the_given_distribution(name):
    prior = make(name)
    expected = PRIORS[name]().log_prob(grid(torch.float32)).expand(9, *SHAPE)
    torch.testing.assert_close(log_density(prior, torch.float32), expected)
    stretch(prior)
    assert not torch.allclose(log_density(prior, torch.float32), expected)


@contract
def test_density_keeps_to_the_precision_of_the_layer_or_better(name):
    prior = make(name)
    expected = log_density(prior)
    for dtype, other, tolerance in (
        (torch.float64, torch.float64, 1e-6),
        (torch.float16, torch.float32, 0.01),
        (torch.bfloat16, torch.float32, 0.05),
    ):
        moved = make(name, dtype=dtype)
        converted = copy.deepcopy(prior).to(dtype)
        for version in (moved, converted):
            assert {buffer.dtype for buffer in version.buffers()} == {dtype}
            density = log_density(version, other)
            assert density.dtype == other
            torch.testing.assert_close(
                density, expected, rtol=tolerance, atol=tolerance, check_dtype=False
            )


@contract
def test_deepcopy_is_a_prior_of_its_own(name):
    prior = make(name)
    before = log_density(prior)
    twin = copy.deepcopy(copy.deepcopy(prior))
    assert torch.equal(log_density(twin), before)
    stretch(twin)
    assert torch.equal(log_density(prior), before)
    assert not torch.allclose(log_density(twin), before)


@contract
def test_prior_moves_with_its_layer(name):
    layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name]()).to("meta")
    assert {buffer.device.type for buffer in layer.weight_prior.buffers()} == {"meta"}
    assert layer.prior.log_prob(grid().to("meta")).device.type == "meta"


@contract
def test_state_dict_goes_through_a_file_and_brings_the_prior(name):
    layer, other = (bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name]()) for _ in range(2))
    stretch(other.weight_prior)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert torch.equal(log_density(other.weight_prior), log_density(layer.weight_prior))


@contract
def test_a_state_dict_of_another_family_does_not_load(name):
    layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name]())
    given = Laplace(0.0, 1.0) if "Normal" in name else Normal(0.0, 1.0)
    other = bt.BayesianLinear(3, 4, bias=False, prior=given)
    family = type(given).__name__
    with pytest.raises(RuntimeError, match=rf"Missing key.*weight_prior\.{family}_loc"):
        other.load_state_dict(layer.state_dict(), strict=True)


@contract
def test_divergence_and_gradient_are_finite_far_away_and_in_half_precision(name):
    for mean, rho in ((0.0, -40.0), (3.0, 0.0), (-3.0, 1.5)):
        layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name](), dtype=torch.float16)
        nn.init.constant_(layer.weight_mean, mean)
        nn.init.constant_(layer.weight_rho, rho)
        kl = layer.kl_divergence()
        kl.backward()
        assert kl.dtype == torch.float32
        assert kl.isfinite()
        assert layer.weight_mean.grad.isfinite().all()
        assert layer.weight_rho.grad.isfinite().all()


@contract
def test_the_prior_is_part_of_the_state_that_functional_call_replaces(name):
    class Divergence(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name]())

        def forward(self):
            return self.layer.kl_divergence()

    module, other = Divergence(), Divergence()
    stretch(other.layer.weight_prior)
    with bt.seeded(1):
        expected = other()
    with bt.seeded(1):
        value = torch.func.functional_call(module, other.state_dict(), ())
    assert torch.equal(value, expected)


@contract
def test_a_diverged_posterior_has_a_divergence_of_nan(name):
    layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name]())
    nn.init.constant_(layer.weight_mean, math.nan)
    assert layer.kl_divergence().isnan()


def test_weights_and_biases_may_have_different_priors():
    layer = bt.BayesianLinear(3, 4)
    layer.set_prior(Normal(0.0, 0.5), Laplace(1.0, 2.0))
    layer.half()
    expected = torch.distributions.kl_divergence(
        Normal(layer.weight_mean.float(), layer.weight_std.float()), Normal(0.0, 0.5)
    ).sum()
    expected += torch.distributions.kl_divergence(
        Normal(layer.bias_mean.float(), layer.bias_std.float()), Laplace(1.0, 2.0)
    ).sum()
    torch.testing.assert_close(layer.kl_divergence(), expected, rtol=2e-3, atol=0)


def test_numbers_of_a_prior_may_be_integers():
    layer = bt.BayesianLinear(2, 2, prior=Normal(torch.tensor(0), torch.tensor(2)))
    expected = bt.BayesianLinear(2, 2, prior=Normal(0.0, 2.0))
    expected.load_state_dict(layer.state_dict(), strict=False)
    assert layer.kl_divergence().isfinite()
    torch.testing.assert_close(layer.kl_divergence(), expected.kl_divergence())


def test_a_prior_that_learns_is_held_fixed():
    # Its tensors are buffers, so that no gradient reaches the ones that it was given.
    scale = torch.tensor(0.5, requires_grad=True)
    layer = bt.BayesianLinear(2, 2, prior=Normal(0.0, scale))
    layer.kl_divergence().backward()
    assert scale.grad is None
    with torch.no_grad():
        scale.fill_(2.0)
    assert layer.prior.scale.item() == 0.5


def test_scale_mixture_is_the_mixture_of_its_two_gaussians():
    w = torch.linspace(-3, 3, 61, dtype=torch.float64)
    wide, narrow = (
        torch.exp(-0.5 * (w / std) ** 2) / (std * math.sqrt(2 * math.pi)) for std in (1.5, 0.1)
    )
    density = bt.scale_mixture(0.3, std=1.5, narrow_std=0.1).log_prob(w).exp()
    torch.testing.assert_close(density, 0.3 * wide + 0.7 * narrow, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_scale_mixture_needs_a_share_of_both(share):
    with pytest.raises(ValueError, match=f"share={share}: expected a number between 0 and 1"):
        bt.scale_mixture(share)


@pytest.mark.parametrize("keywords", [{"std": 0.0}, {"std": math.inf}, {"narrow_std": -0.1}])
def test_scale_mixture_needs_positive_widths(keywords):
    with pytest.raises(ValueError, match=r"std=.*expected a positive finite number"):
        bt.scale_mixture(**keywords)


@pytest.mark.parametrize(
    ("prior", "error", "words"),
    [
        (0.1, TypeError, r"prior=0\.1: expected a torch.distributions.Distribution"),
        (Normal, TypeError, "prior=<class.*expected a torch.distributions.Distribution"),
        (HalfNormal(1.0), ValueError, "prior=HalfNormal.*expected the real line"),
        (Uniform(-1.0, 1.0), ValueError, "prior=Uniform.*expected the real line"),
        (Uniform(-1e9, 1e9), ValueError, "prior=Uniform.*expected the real line"),
        (Exponential(1.0), ValueError, "prior=Exponential.*expected the real line"),
        (LogNormal(0.0, 1.0), ValueError, "prior=LogNormal.*expected the real line"),
        (
            TransformedDistribution(Exponential(1.0), [AffineTransform(0.5, 2.0)]),
            ValueError,
            "prior=TransformedDistribution.*expected the real line",
        ),
        (
            TransformedDistribution(Exponential(1.0), [AffineTransform(-1e9, 1.0)]),
            ValueError,
            "prior=TransformedDistribution.*expected the real line",
        ),
        (Poisson(1.0), ValueError, "prior=Poisson.*expected the real line"),
        (
            MixtureSameFamily(Categorical(torch.ones(2)), HalfNormal(torch.ones(2))),
            ValueError,
            "expected the real line",
        ),
        (
            MultivariateNormal(torch.zeros(3), torch.eye(3)),
            ValueError,
            r"expected a univariate distribution, this one has events of shape \(3,\)",
        ),
        (
            Normal(torch.zeros(3), 1.0),
            ValueError,
            r"batch shape \(3,\): expected one .* of shape \(4, 3\)",
        ),
        (
            Normal(torch.zeros(3, 4), 1.0),
            ValueError,
            r"batch shape \(3, 4\): expected one .* of shape \(4, 3\)",
        ),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_what_is_no_prior_of_the_weights_is_an_error(prior, error, words, validate, monkeypatch):
    # After any torch.compile the process's distributions no longer validate by themselves.
    monkeypatch.setattr(Distribution, "_validate_args", validate)
    with pytest.raises(error, match=words):
        bt.BayesianLinear(3, 4, bias=False, prior=prior)


def test_print_shows_the_family_and_its_numbers():
    assert repr(make("Laplace")) == "Laplace(loc=0.1, scale=0.4)"
    assert repr(make("Normal for each weight")) == "Normal(loc=(4, 3), scale=(4, 3))"


class LaplaceOfANumber(Distribution):
    """A Laplace around 0 whose parameter is a number and no tensor."""

    arg_constraints: ClassVar = {}
    support = constraints.real

    def __init__(self, slope):
        self.slope = slope
        super().__init__(validate_args=False)

    def log_prob(self, value):
        return math.log(self.slope / 2) - self.slope * value.abs()


def test_a_distribution_without_tensors_is_a_prior():
    layer = bt.BayesianLinear(3, 4, prior=LaplaceOfANumber(2.0))
    assert layer.prior.slope == 2.0
    assert not list(layer.buffers())
    assert layer.kl_divergence().isfinite()
