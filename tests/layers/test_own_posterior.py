"""A posterior that a subclass, a pruning or a parametrization makes is obeyed everywhere."""

import pytest
import torch
import torch.nn.functional as F
from helpers.monte_carlo import assert_mean, assert_variance
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn.utils import parametrize, prune
from torch.utils.data import TensorDataset

import bnn_tutorial as bt
from bnn_tutorial.layers.bayesian import ESTIMATORS
from bnn_tutorial.layers.weight_kl import Gaussian

X = torch.linspace(-1, 1, 8)[:, None].repeat(1, 3) * torch.tensor([1.0, -0.5, 2.0])


class Halved(bt.BayesianLinear):
    """Half the mean, and a smaller width, of every weight."""

    def gaussians(self):
        weight, *bias = super().gaussians()
        return [Gaussian(weight.mean / 2, weight.rho - 1.0, weight.prior), *bias]


class Doubled(nn.Module):
    def forward(self, mean):
        return 2 * mean


def subclass(*sizes, **settings):
    return Halved(*sizes, init_std=0.5, **settings)


def pruned(*sizes, **settings):
    layer = bt.BayesianLinear(*sizes, init_std=0.5, **settings)
    mask = torch.ones(sizes[1], sizes[0])
    mask[:, 0] = 0
    prune.custom_from_mask(layer, "weight_mean", mask)
    return layer


def parametrized(*sizes, **settings):
    layer = bt.BayesianLinear(*sizes, init_std=0.5, **settings)
    parametrize.register_parametrization(layer, "weight_mean", Doubled())
    return layer


KINDS = {"subclass": subclass, "pruned": pruned, "parametrized": parametrized}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


def make(kind, *sizes, **settings):
    with bt.seeded(0):
        return KINDS[kind](*sizes, **settings)


def moments(layer):
    """The mean and the standard deviation of the weights, from the layer's own parameters."""
    if isinstance(layer, Halved):
        return layer.weight_mean / 2, F.softplus(layer.weight_rho - 1.0)
    if hasattr(layer, "weight_mean_orig"):
        return layer.weight_mean_orig * layer.weight_mean_mask, F.softplus(layer.weight_rho)
    original = layer.parametrizations.weight_mean.original
    return 2 * original, F.softplus(layer.weight_rho)


@every_kind
@every_estimator
def test_draws_means_and_widths_are_those_of_the_posterior(kind, estimator):
    layer = make(kind, 3, 2, estimator=estimator)
    mean, std = (part.detach() for part in moments(layer))
    x = X[:1]
    with bt.posterior_mean(layer):
        torch.testing.assert_close(layer(x), F.linear(x, mean, layer.bias_mean))
    torch.testing.assert_close(layer.weight_std, std)
    variance = F.linear(x.square(), std.square(), layer.bias_std.square()).detach()
    expected = F.linear(x, mean, layer.bias_mean).detach()
    for draws in (
        bt.predict(layer, x, 4000, seed=1).samples,
        torch.stack([layer(x).detach() for _ in range(4000)]),
    ):
        assert_mean(draws, expected)
        assert_variance(draws, variance)


@every_kind
@every_estimator
def test_the_kl_is_that_of_the_posterior(kind, estimator):
    layer = make(kind, 3, 2, estimator=estimator)
    mean, std = moments(layer)
    of_weight = kl_divergence(Normal(mean, std), Normal(0.0, 1.0)).sum()
    of_bias = kl_divergence(Normal(layer.bias_mean, layer.bias_std), Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(bt.kl_divergence(layer), of_weight + of_bias)
    with bt.NetworkPosterior(layer).draw() as kl:
        torch.testing.assert_close(kl, of_weight + of_bias)


@every_kind
def test_the_closed_forms_are_those_of_the_posterior(kind):
    model = nn.Sequential(make(kind, 3, 5), nn.ReLU(), make(kind, 5, 1)).double()
    x = X.double()
    draws = bt.predict(model, x, 40_000, seed=1).samples
    exact = bt.exact_moments(model, x)
    assert_mean(draws, exact.mean)
    assert_variance(draws, exact.std.square())


@every_kind
@every_estimator
def test_it_trains_on_and_every_draw_is_of_the_parameters_as_they_are(kind, estimator):
    layer = make(kind, 3, 1, estimator=estimator)
    before = moments(layer)[0].detach().clone()
    likelihood = bt.GaussianLikelihood(0.1, learn=False)
    data = TensorDataset(X, X.sum(dim=1, keepdim=True))
    settings = {"epochs": 300, "learning_rate": 0.02, "seed": 1, "progress": False}
    history = bt.fit(layer, data, likelihood, **settings)
    assert sum(history["nll"][-20:]) < 0.5 * sum(history["nll"][:20])
    after = moments(layer)[0].detach()
    assert (after - before).abs().max() > 0.05
    if kind == "pruned":
        assert (after[:, 0] == 0).all()
        with bt.posterior_mean(layer):
            far = torch.tensor([[100.0, 0.0, 0.0]])
            torch.testing.assert_close(layer(far)[0], layer.bias_mean)
    posterior = bt.NetworkPosterior(layer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1.0)
    with posterior.draw() as kl:
        torch.testing.assert_close(kl, bt.kl_divergence(layer))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_prediction_inside_a_draw_does_not_end_it(estimator):
    model = nn.Sequential(
        bt.BayesianLinear(3, 4, estimator="weight"),
        bt.BayesianModule(nn.Linear(4, 4)),
        bt.BayesianLinear(4, 1, estimator=estimator),
    )
    for inside in (
        lambda: bt.predict(model, X, 3),
        lambda: bt.evaluate(model, TensorDataset(X, X[:, :1]), bt.GaussianLikelihood()),
    ):
        with bt.NetworkPosterior(model).draw():
            first = model[:2](X)
            inside()
            assert torch.equal(model[:2](X), first)
        with bt.posterior_mean(model):
            means = model(X)
            inside()
            assert torch.equal(model(X), means)
