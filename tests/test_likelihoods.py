import math

import pytest
import torch
from torch.distributions import Categorical, Independent, Normal

import bnn_tutorial as bt


def test_gaussian_nll_is_that_of_torch_distributions():
    output, target = torch.randn(7, 1), torch.randn(7, 1)
    likelihood = bt.GaussianLikelihood(0.7)
    expected = -Normal(output, 0.7).log_prob(target).mean()
    torch.testing.assert_close(likelihood(output, target), expected)


def test_gaussian_nll_is_that_of_a_datum_however_many_values_it_has():
    # The KL in the loss is divided by the number of data, so that the two must count alike.
    output, target = torch.randn(7, 3, 2), torch.randn(7, 3, 2)
    likelihood = bt.GaussianLikelihood(0.7)
    joint = Independent(Normal(output, 0.7), 2)
    torch.testing.assert_close(likelihood(output, target), -joint.log_prob(target).mean())
    samples = torch.randn(5, 7, 3, 2)
    density = Independent(Normal(samples, 0.7), 2).log_prob(target).exp().mean(dim=0)
    nll = likelihood.metrics(samples, target)["nll"]
    assert nll == pytest.approx(-density.log().mean().item(), rel=1e-5)


def test_learnt_noise_ends_at_the_residuals_standard_deviation():
    residual = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)) * 0.3
    likelihood = bt.GaussianLikelihood(1.0)
    optimizer = torch.optim.LBFGS(likelihood.parameters(), max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = likelihood(torch.zeros_like(residual), residual)
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = residual.square().mean().sqrt().item()
    assert likelihood.noise_std.item() == pytest.approx(expected, rel=1e-3)


def test_known_noise_is_not_trained():
    likelihood = bt.GaussianLikelihood(0.5, learn=False)
    assert not likelihood.noise_rho.requires_grad
    assert likelihood.noise_std.item() == pytest.approx(0.5)


def test_gaussian_metrics_score_the_mixture_of_the_draws():
    samples, target = torch.randn(5, 3, 1), torch.randn(3, 1)
    metrics = bt.GaussianLikelihood(0.4).metrics(samples, target)
    density = Normal(samples, 0.4).log_prob(target).exp().mean(dim=0)
    assert metrics["nll"] == pytest.approx(-density.log().mean().item(), rel=1e-5)
    error = samples.mean(dim=0) - target
    assert metrics["rmse"] == pytest.approx(math.sqrt((error**2).mean().item()), rel=1e-5)


def test_categorical_nll_is_that_of_torch_distributions():
    output, target = torch.randn(6, 4), torch.randint(4, (6,))
    expected = -Categorical(logits=output).log_prob(target).mean()
    torch.testing.assert_close(bt.CategoricalLikelihood()(output, target), expected)


def test_categorical_metrics_average_probabilities_not_logits():
    # Two draws, sure of opposite classes with unequal logits: averaged logits would be sure too.
    samples = torch.tensor([[[20.0, 0.0]], [[0.0, 4.0]]])
    metrics = bt.CategoricalLikelihood().metrics(samples, torch.tensor([1]))
    probability = samples.softmax(-1).mean(dim=0)[0, 1].item()
    assert metrics["nll"] == pytest.approx(-math.log(probability), rel=1e-5)
    assert metrics["accuracy"] == 0.0
    assert metrics["ece"] == pytest.approx(1 - probability, rel=1e-4)


def test_categorical_metrics_stay_finite_for_extreme_logits():
    samples = torch.tensor([[[1000.0, 0.0]], [[1000.0, 0.0]]])
    assert bt.CategoricalLikelihood().metrics(samples, torch.tensor([1]))["nll"] == 1000.0


def test_shapes_that_would_broadcast_are_an_error():
    with pytest.raises(ValueError, match=r"output has shape \(5, 1\), target \(5,\)"):
        bt.GaussianLikelihood()(torch.zeros(5, 1), torch.zeros(5))
    with pytest.raises(ValueError, match=r"output has shape \(5, 1\), target \(5,\)"):
        bt.GaussianLikelihood().metrics(torch.zeros(2, 5, 1), torch.zeros(5))


@pytest.mark.parametrize("std", [0.0, -1.0, float("inf")])
def test_noise_that_is_not_positive_is_an_error(std):
    with pytest.raises(ValueError, match="positive finite"):
        bt.GaussianLikelihood(std)
