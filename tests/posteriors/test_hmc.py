import math

import pytest
import torch
from numpy.polynomial.legendre import leggauss
from torch import nn
from torch.distributions import MultivariateNormal
from torch.utils.data import TensorDataset

import bnn_tutorial as bt
from bnn_tutorial.posteriors.hmc import StepSizeAdaptation, leapfrog

STANDARD_ERRORS = 5.0


def standard_normal(w):
    return -w.square().sum() / 2


def assert_mean_of_chains(traces, expected):
    """Assert that traces (C, S, ...) have the mean ``expected`` within 5 standard errors.

    The error of a mean of correlated draws follows from their effective sample size.
    """
    traces = traces.double()
    draws = traces.flatten(0, 1)
    standard_error = draws.std(dim=0) / bt.effective_sample_size(traces).sqrt()
    difference = (draws.mean(dim=0) - torch.as_tensor(expected).double()).abs()
    assert (difference <= STANDARD_ERRORS * standard_error).all(), (difference, standard_error)


def assert_gaussian(chains, mean, covariance):
    """Assert the means and all second central moments of the samples."""
    deviations = chains.samples.double() - mean
    assert_mean_of_chains(deviations, torch.zeros_like(mean))
    products = deviations[..., :, None] * deviations[..., None, :]
    assert_mean_of_chains(products, covariance)


def sample(log_density, start, **settings):
    """64 chains after a warm-up of 100, the same in each run."""
    counts = {"num_chains": 64, "num_samples": 100, "num_warmup": 100, "seed": 0}
    return bt.hmc(log_density, start, **counts | settings, progress=False)


@pytest.mark.parametrize("adapt_scales", [True, False])
def test_samples_of_a_gaussian_have_its_moments(adapt_scales):
    mean = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    factor = torch.tensor([[2.0, 0, 0], [0.3, 0.2, 0], [-1, 0.1, 0.5]], dtype=torch.float64)
    target = MultivariateNormal(mean, scale_tril=factor, validate_args=False)
    start = torch.zeros(3).double()
    # After fewer trajectories the step size may still be on its way, as rounding has it.
    settings = {"num_leapfrog_steps": 15, "num_warmup": 400, "adapt_scales": adapt_scales}
    chains = sample(target.log_prob, start, **settings)
    assert (bt.r_hat(chains.samples) < 1.02).all()
    assert bt.effective_sample_size(chains.samples).min() > 1000
    assert_gaussian(chains, mean, factor @ factor.T)
    assert chains.acceptance_rate == pytest.approx(0.8, abs=0.15)
    assert chains.num_divergences == 0


def test_samples_of_a_density_that_is_not_gaussian_agree_with_quadrature():
    def log_density(w):  # a double well, its sides unequal
        return -(w**4).sum() + 2 * w.square().sum() + 0.5 * w.sum()

    nodes, node_weights = (torch.as_tensor(values) for values in leggauss(200))
    points = 4 * nodes
    density = torch.vmap(log_density)(points[:, None]).exp() * node_weights
    density = density / density.sum()
    start = torch.randn(64, 1, generator=torch.Generator().manual_seed(0)).double()
    chains = sample(log_density, start, num_samples=200, num_leapfrog_steps=6, seed=1)
    for statistic in (torch.square, torch.exp, torch.sin, lambda w: (w > 0).double()):
        exact = (statistic(points) * density).sum()
        assert_mean_of_chains(statistic(chains.samples[..., 0]), exact)


def test_the_posterior_of_a_linear_network_is_the_exact_one():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(12, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(12, 1, generator=generator, dtype=torch.float64)
    features = torch.cat([x, torch.ones(12, 1)], dim=1)  # the bias comes last
    exact = bt.linear_regression_posterior(features, y, prior_std=0.75, noise_std=0.5)
    likelihood = bt.GaussianLikelihood(0.5).double()
    log_density = bt.log_posterior(
        nn.Linear(2, 1).double(), TensorDataset(x, y), likelihood, prior_std=0.75
    )
    chains = sample(log_density, torch.zeros(3).double(), num_leapfrog_steps=6)
    # The likelihood keeps its noise in single precision.
    assert_gaussian(chains, exact.mean, exact.covariance)


def quartic(position):
    """A chain's log density -w⁴ / 4 - w² / 2 in each weight, and its gradient."""
    density = -(position**4 / 4 + position.square() / 2).sum(dim=1)
    return -(position**3) - position, density


def energy_error(step, length=2.0):
    position = torch.tensor([[1.0, -0.5]], dtype=torch.float64)
    momentum = torch.tensor([[0.3, 0.8]], dtype=torch.float64)
    slope, density = quartic(position)
    _, end_momentum, _, end_density = leapfrog(
        quartic, position, momentum, slope, torch.tensor(step).double(), round(length / step)
    )
    kinetic, end_kinetic = momentum.square().sum() / 2, end_momentum.square().sum() / 2
    return ((end_kinetic - end_density) - (kinetic - density)).abs().item()


def test_the_energy_error_of_leapfrog_falls_with_the_square_of_the_step():
    order = math.log2(energy_error(0.02) / energy_error(0.01))
    assert order == pytest.approx(2, abs=0.02)


def test_leapfrog_retraces_its_way_with_the_momentum_reversed():
    generator = torch.Generator().manual_seed(0)
    position, momentum = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    step = torch.tensor([0.1, 0.2, 0.05], dtype=torch.float64)
    there = leapfrog(quartic, position, momentum, quartic(position)[0], step, 17)
    back = leapfrog(quartic, there[0], -there[1], there[2], step, 17)
    torch.testing.assert_close(back[0], position)
    torch.testing.assert_close(-back[1], momentum)
    assert (there[0] - position).abs().min() > 0.01


def test_leapfrog_preserves_volume():
    position, momentum = torch.tensor([[0.4, -0.9]]).double(), torch.tensor([[0.7, 0.2]]).double()
    step = torch.tensor([0.2, 0.1], dtype=torch.float64)

    def move(state):
        w, p = state.split(2)
        end = leapfrog(quartic, w[None], p[None], quartic(w[None])[0], step, 9)
        return torch.cat([end[0][0], end[1][0]])

    jacobian = torch.autograd.functional.jacobian(move, torch.cat([position[0], momentum[0]]))
    assert jacobian.det().item() == pytest.approx(1, abs=1e-12)
    assert (jacobian - torch.eye(4)).abs().max() > 0.5


def test_dual_averaging_finds_the_step_that_is_accepted_as_often_as_asked():
    adaptation = StepSizeAdaptation(10.0, 0.8)
    for _ in range(3000):
        adaptation.update(1 / (1 + adaptation.step_size))
    assert adaptation.average == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_warm_up_finds_the_scales_of_the_weights(scale):
    scales = scale * torch.tensor([1.0, 3.0, 10.0])
    counts = {"num_chains": 32, "num_samples": 50, "num_warmup": 200}
    chains = sample(lambda w: standard_normal(w / scales), torch.zeros(3), **counts)
    torch.testing.assert_close(chains.scales, scales, rtol=0.5, atol=0)
    assert chains.acceptance_rate == pytest.approx(0.8, abs=0.12)
    torch.testing.assert_close(chains.samples.std(dim=(0, 1)), scales, rtol=0.2, atol=0)


def test_chains_that_never_meet_are_told_apart():
    def log_density(w):  # two narrow modes 20 apart
        return torch.logsumexp(torch.stack([-(w - 10).square(), -(w + 10).square()]), 0).sum()

    start = torch.tensor([[10.0], [-10.0], [10.0], [-10.0]])
    counts = {"num_chains": 4, "num_samples": 50, "num_warmup": 50, "num_leapfrog_steps": 4}
    chains = sample(log_density, start, **counts)
    assert (bt.r_hat(chains.samples) > 1.1).all()
    assert (bt.effective_sample_size(chains.samples) < 10).all()


def test_divergent_trajectories_are_counted_and_rejected():
    def log_density(w):  # a cliff at 0, behind it no density
        return torch.where(w > 0, -w, torch.nan).sum()

    counts = {"num_chains": 16, "num_samples": 50, "num_warmup": 20}
    chains = sample(log_density, torch.ones(1), **counts)
    assert chains.num_divergences > 0
    assert (chains.samples > 0).all()


def test_a_seed_repeats_the_chains_and_leaves_the_global_generator_alone():
    def run(seed):
        counts = {"num_chains": 3, "num_samples": 5, "num_warmup": 20}
        return bt.hmc(standard_normal, torch.zeros(2), **counts, seed=seed, progress=False).samples

    before = torch.get_rng_state()
    first = run(0)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, run(0))
    assert not torch.equal(first, run(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_start_is_not_changed_and_its_dtype_is_the_samples(dtype):
    start = torch.zeros(3, 2, dtype=dtype)
    counts = {"num_chains": 3, "num_samples": 4, "num_warmup": 20}
    chains = bt.hmc(standard_normal, start, **counts, progress=False)
    assert chains.samples.dtype == dtype
    assert start.eq(0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_chains": 0}, "num_chains=0"),
        ({"num_samples": 0}, "num_samples=0"),
        ({"num_warmup": 19}, "num_warmup=19"),
        ({"num_leapfrog_steps": 0}, "num_leapfrog_steps=0"),
        ({"target_acceptance": 1.0}, "target_acceptance=1.0"),
        ({"start": torch.zeros(3, 2)}, r"start has shape \(3, 2\) for num_chains=4"),
        ({"start": torch.zeros(0)}, r"start has shape \(0,\)"),
        ({"start": torch.zeros(4, 2, dtype=torch.int64)}, "start has dtype torch.int64"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    settings = {"start": torch.zeros(2), "num_chains": 4, "num_samples": 5} | arguments
    with pytest.raises(ValueError, match=message):
        bt.hmc(standard_normal, **settings, progress=False)


def test_a_start_without_density_is_named_with_its_chain():
    start = torch.ones(4, 2)
    start[2, 0] = -1
    with pytest.raises(ValueError, match="log_density is nan at the start of chain 2"):
        bt.hmc(lambda w: w.log().sum(), start, num_chains=4, num_samples=5, progress=False)


def test_a_start_without_a_gradient_is_named():
    with pytest.raises(ValueError, match="gradient's norm inf"):
        bt.hmc(
            lambda w: -w.sqrt().sum(), torch.zeros(1), num_chains=2, num_samples=5, progress=False
        )
