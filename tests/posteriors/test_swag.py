import pytest
import torch
from helpers.monte_carlo import assert_covariance, assert_mean
from torch import nn
from torch.nn.utils import parameters_to_vector
from torch.utils.data import TensorDataset

import bnn_tutorial as bt
from bnn_tutorial.posteriors.swag import IterateMoments


def line():
    x = torch.linspace(-1, 2, 10)[:, None].double()
    return TensorDataset(x, 1.5 * x - 0.5)


def model():
    with bt.seeded(0):
        return nn.Linear(1, 1).double()


def run(network=None, data=None, **settings):
    defaults = {"prior_std": 2.0, "epochs": 8, "learning_rate": 0.05, "seed": 0}
    likelihood = bt.GaussianLikelihood(1.0).double()
    return bt.swag(
        network or model(),
        line() if data is None else data,
        likelihood,
        **defaults | settings,
        progress=False,
    )


def iterates(count=9, size=4):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(0)).double() + 100


def test_the_moments_are_those_of_the_iterates():
    moments = IterateMoments(max_rank=3)
    for weights in iterates():
        moments.add(weights)
    torch.testing.assert_close(moments.mean, iterates().mean(dim=0))
    torch.testing.assert_close(moments.variance, iterates().var(dim=0, correction=0))
    expected = [iterates()[n - 1] - iterates()[:n].mean(dim=0) for n in (7, 8, 9)]
    torch.testing.assert_close(torch.stack(moments.deviations), torch.stack(expected))


def test_the_variance_of_close_iterates_is_not_lost_in_single_precision():
    moments = IterateMoments(max_rank=2)
    close = (1000 + 0.01 * (iterates() - 100)).float()
    for weights in close:
        moments.add(weights)
    expected = close.double().var(dim=0, correction=0).float()
    torch.testing.assert_close(moments.variance, expected, rtol=0.05, atol=0)


def test_draws_have_the_mean_and_the_covariance_of_the_formula():
    mean, variance = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.5, 0.0, 2.0])
    deviations = torch.tensor([[1.0, 0.5, 0.0], [-0.5, 1.0, 1.0], [0.2, 0.0, -1.0]])
    posterior = bt.SWAGPosterior(nn.Linear(2, 1), mean, variance, deviations)
    with bt.seeded(0):
        draws = torch.stack([posterior.draw_weights() for _ in range(10_000)])
    assert_mean(draws, mean)
    assert_covariance(draws, (variance.diag() + deviations.T @ deviations / 2) / 2)


def test_predictions_are_those_of_the_drawn_weights():
    posterior = run(batch_size=2)
    x = torch.tensor([[0.0], [1.0]]).double()
    draws = bt.predict(posterior, x, 10_000, seed=1).samples[..., 0]
    assert posterior.num_networks is None
    features = torch.tensor([[0.0, 1.0], [1.0, 1.0]]).double()
    covariance = (posterior.variance.diag() + posterior.deviations.T @ posterior.deviations / 7) / 2
    assert_mean(draws, features @ posterior.mean)
    assert_covariance(draws, features @ covariance @ features.T)


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_on_a_quadratic_the_iterates_are_those_of_gradient_descent(momentum):
    posterior = run(momentum=momentum, max_rank=3, collect_every=2)
    x, y = line().tensors
    features = torch.cat([x, torch.ones_like(x)], dim=1)
    weights, velocity = parameters_to_vector(model().parameters()).detach(), torch.zeros(2)
    path = []
    for _ in range(8):
        slope = features.T @ (features @ weights - y[:, 0]) / 10 + weights / (10 * 2.0**2)
        velocity = momentum * velocity + slope
        weights = weights - 0.05 * velocity
        path.append(weights)
    collected = torch.stack(path[1::2])
    # The likelihood's noise was made in single precision.
    close = {"rtol": 1e-5, "atol": 1e-7}
    torch.testing.assert_close(posterior.mean, collected.mean(dim=0), **close)
    torch.testing.assert_close(posterior.variance, collected.var(dim=0, correction=0), **close)
    expected = torch.stack([collected[n - 1] - collected[:n].mean(dim=0) for n in (2, 3, 4)])
    torch.testing.assert_close(posterior.deviations, expected, **close)


def test_the_noise_of_batches_makes_the_width():
    at_rest = model()
    likelihood, data = bt.GaussianLikelihood(1.0, learn=False).double(), line()
    data.tensors[1].add_(torch.randn(10, 1, generator=torch.Generator().manual_seed(0)))
    optimizer = torch.optim.SGD(at_rest.parameters(), lr=0.1, weight_decay=1 / 40)
    settings = {"epochs": 400, "optimizer": optimizer, "progress": False}
    bt.fit(at_rest, data, likelihood, **settings)
    whole = run(at_rest, data, epochs=20)
    batches = run(at_rest, data, epochs=20, batch_size=2)
    assert whole.variance.max() < 1e-10
    assert batches.variance.min() > 1e-4


def test_what_is_given_and_the_global_generator_are_left_alone():
    network, likelihood, state = model(), bt.GaussianLikelihood(1.0).double(), torch.get_rng_state()
    before = parameters_to_vector(network.parameters()).detach().clone()
    network.eval()
    bt.swag(
        network,
        line(),
        likelihood,
        prior_std=1.0,
        epochs=2,
        learning_rate=0.1,
        seed=0,
        progress=False,
    )
    assert torch.equal(parameters_to_vector(network.parameters()), before)
    assert likelihood.noise_rho.grad is None
    assert not network.training
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_repeats_the_run():
    first, again, other = (run(batch_size=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.mean, again.mean)
    assert not torch.equal(first.mean, other.mean)


def test_a_loss_that_runs_away_is_named():
    with pytest.raises(bt.NonFiniteLossError):
        run(learning_rate=1e3, epochs=400)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 3, "collect_every": 2}, "epochs=3 with collect_every=2"),
        ({"collect_every": 0}, "collect_every=0"),
        ({"max_rank": 1}, "max_rank=1"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"prior_std": -1.0}, "prior_std=-1.0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"network": bt.BayesianLinear(1, 1)}, "model has Bayesian layers"),
        (
            {"network": nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2))},
            "batch normalization in '1'",
        ),
        ({"data": TensorDataset(torch.zeros(0, 1), torch.zeros(0, 1))}, "data is empty"),
    ],
)
def test_bad_arguments_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        run(**setting)


@pytest.mark.parametrize(
    ("mean", "variance", "deviations", "message"),
    [
        (torch.zeros(3), torch.ones(2), torch.ones(2, 2), r"mean has shape \(3,\)"),
        (torch.zeros(2), torch.ones(2), torch.ones(1, 2), r"deviations \(1, 2\)"),
        (torch.zeros(2), -torch.ones(2), torch.ones(2, 2), "variance is negative"),
    ],
)
def test_moments_that_make_no_gaussian_are_named(mean, variance, deviations, message):
    with pytest.raises(ValueError, match=message):
        bt.SWAGPosterior(nn.Linear(1, 1), mean, variance, deviations)
