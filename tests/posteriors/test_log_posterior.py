import math

import pytest
import torch
from helpers.monte_carlo import assert_mean
from torch import nn
from torch.distributions import Categorical, Normal
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


def network():
    with bt.seeded(0):
        return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def inputs(num_data=7):
    return torch.randn(num_data, 2, generator=torch.Generator().manual_seed(1)).double()


def written_out(model, log_likelihood):
    """The log joint density with torch.distributions, at the weights that ``model`` has."""
    prior = sum(Normal(0.0, 0.75).log_prob(p.detach()).sum() for p in model.parameters())
    return prior + log_likelihood


def test_the_density_of_a_classifier_is_the_sum_of_its_parts():
    model, x, labels = network(), inputs(), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    log_density = bt.log_posterior(
        model, TensorDataset(x, labels), bt.CategoricalLikelihood(), prior_std=0.75
    )
    weights = parameters_to_vector(model.parameters()).detach()
    expected = written_out(model, Categorical(logits=model(x)).log_prob(labels).sum())
    torch.testing.assert_close(log_density(weights), expected)


def test_the_density_of_a_regression_is_the_sum_of_its_parts():
    model, x, y = network(), inputs(), torch.ones(7, 3).double()
    likelihood = bt.GaussianLikelihood(0.5).double()
    log_density = bt.log_posterior(model, TensorDataset(x, y), likelihood, prior_std=0.75)
    weights = parameters_to_vector(model.parameters()).detach()
    noise_std = likelihood.noise_std.detach()
    expected = written_out(model, Normal(model(x), noise_std).log_prob(y).sum())
    torch.testing.assert_close(log_density(weights), expected)


def test_gradients_of_many_weight_vectors_agree_with_backward():
    model, x, labels = network(), inputs(), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    log_density = bt.log_posterior(
        model, TensorDataset(x, labels), bt.CategoricalLikelihood(), prior_std=0.75
    )
    vectors = torch.randn(5, 27, generator=torch.Generator().manual_seed(0)).double()
    gradients, densities = torch.vmap(torch.func.grad_and_value(log_density))(vectors)
    for vector, gradient, density in zip(vectors, gradients, densities, strict=True):
        vector_to_parameters(vector, model.parameters())
        model.zero_grad()
        prior = sum(Normal(0.0, 0.75).log_prob(p).sum() for p in model.parameters())
        value = prior + Categorical(logits=model(x)).log_prob(labels).sum()
        value.backward()
        torch.testing.assert_close(density, value.detach())
        expected = parameters_to_vector([p.grad for p in model.parameters()])
        torch.testing.assert_close(gradient, expected)


def test_a_batch_estimates_the_density_and_its_gradient_without_bias():
    x, labels = inputs(6), torch.tensor([0, 1, 2, 0, 1, 2])
    log_density = bt.log_posterior(
        network(), TensorDataset(x, labels), bt.CategoricalLikelihood(), prior_std=0.75
    )
    weights = torch.randn(27, generator=torch.Generator().manual_seed(0)).double()
    batches = torch.combinations(torch.arange(6), 2)
    value_and_gradient = torch.func.grad_and_value(log_density)
    estimates = [value_and_gradient(weights, rows) for rows in batches]
    gradient, value = value_and_gradient(weights)
    torch.testing.assert_close(torch.stack([part[0] for part in estimates]).mean(dim=0), gradient)
    torch.testing.assert_close(torch.stack([part[1] for part in estimates]).mean(), value)


def test_what_is_given_stays_as_it_is_and_later_changes_do_not_count():
    model, likelihood = network(), bt.GaussianLikelihood(0.5).double()
    data = TensorDataset(inputs(), torch.ones(7, 3).double())
    log_density = bt.log_posterior(model, data, likelihood, prior_std=1.0)
    weights = torch.ones(27).double()
    before = log_density(weights)
    assert not before.requires_grad
    assert likelihood.noise_rho.requires_grad
    assert model.training
    with torch.no_grad():
        likelihood.noise_rho.add_(1)
        model[0].weight.add_(1)
    assert torch.equal(log_density(weights), before)


def test_dropout_is_off():
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 3)).double()
    data = TensorDataset(inputs(), torch.ones(7, 3).double())
    log_density = bt.log_posterior(model, data, bt.GaussianLikelihood(1.0), prior_std=1.0)
    weights = torch.ones(27).double()
    assert torch.equal(log_density(weights), log_density(weights))


def test_data_tell_prior_and_posterior_apart_as_the_evidence_says():
    """E of p(D | w) over the prior is the evidence, here of a linear network."""
    x, y = torch.tensor([[0.5], [1.0]]).double(), torch.tensor([[0.3], [0.9]]).double()
    exact = bt.linear_regression_posterior(x, y, prior_std=1.0, noise_std=0.5)
    log_density = bt.log_posterior(
        nn.Linear(1, 1, bias=False).double(),
        TensorDataset(x, y),
        bt.GaussianLikelihood(0.5).double(),
        prior_std=1.0,
    )
    draws = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0)).double()
    log_prior = Normal(0.0, 1.0).log_prob(draws)[:, 0]
    likelihoods = (torch.vmap(log_density)(draws) - log_prior).exp()
    assert_mean(likelihoods, exact.log_evidence.exp())


@pytest.mark.parametrize(
    ("model", "num_data", "prior_std", "message"),
    [
        (nn.Linear(2, 1), 0, 1.0, "data is empty"),
        (nn.Linear(2, 1), 3, 0.0, "prior_std=0.0"),
        (nn.Linear(2, 1), 3, math.nan, "prior_std=nan"),
        (nn.Tanh(), 3, 1.0, "network has no parameters"),
        (bt.BayesianLinear(2, 1), 3, 1.0, "network has Bayesian layers"),
    ],
)
def test_bad_arguments_are_named(model, num_data, prior_std, message):
    data = TensorDataset(torch.zeros(num_data, 2), torch.zeros(num_data, 1))
    with pytest.raises(ValueError, match=message):
        bt.log_posterior(model, data, bt.GaussianLikelihood(1.0), prior_std=prior_std)


def test_weights_of_another_shape_are_named():
    data = TensorDataset(torch.zeros(3, 2), torch.zeros(3, 1))
    log_density = bt.log_posterior(nn.Linear(2, 1), data, bt.GaussianLikelihood(1.0), prior_std=1.0)
    with pytest.raises(ValueError, match=r"weights has shape \(1, 3\): expected \(3,\)"):
        log_density(torch.zeros(1, 3))


def test_data_of_another_kind_are_named():
    with pytest.raises(TypeError, match="data="):
        bt.log_posterior(nn.Linear(2, 1), [1], bt.GaussianLikelihood(1.0), prior_std=1.0)
