import pytest
import torch
from torch.distributions import Normal

import bnn_tutorial as bt


def test_elbo_loss_of_a_conjugate_model_is_minus_log_evidence_at_the_exact_posterior():
    # y_n ~ N(w, 1), w ~ N(0, 1): with q the exact posterior the bound is tight, so that N times
    # the loss is -log p(D), here from the joint Gaussian of the data.
    y = torch.tensor([0.3, -1.2, 0.8, 2.0], dtype=torch.float64)
    n = len(y)
    variance = 1 / (1 + n)
    mean = variance * y.sum()
    q = Normal(mean, variance**0.5)
    kl = torch.distributions.kl_divergence(q, Normal(torch.zeros_like(mean), 1.0))
    expected_nll = -(Normal(mean, 1.0).log_prob(y) - variance / 2).mean()
    covariance = torch.eye(n, dtype=torch.float64) + 1
    evidence = torch.distributions.MultivariateNormal(torch.zeros_like(y), covariance).log_prob(y)
    loss = bt.elbo_loss(expected_nll, kl, num_data=n)
    assert (n * loss).item() == pytest.approx(-evidence.item(), rel=1e-9)


def test_kl_weight_scales_the_kl_alone():
    nll, kl = torch.tensor(1.5), torch.tensor(8.0)
    assert bt.elbo_loss(nll, kl, num_data=4, kl_weight=0.5) == 1.5 + 0.5 * 8 / 4
    assert bt.elbo_loss(nll, kl, num_data=4, kl_weight=0.0) == 1.5


@pytest.mark.parametrize(
    ("arguments", "keywords", "words"),
    [
        ((torch.ones(3), torch.tensor(1.0)), {"num_data": 3}, r"nll has shape \(3,\)"),
        ((torch.tensor(1.0), torch.ones(2)), {"num_data": 3}, r"kl has shape \(2,\)"),
        ((torch.tensor(1.0), torch.tensor(1.0)), {"num_data": 0}, "num_data=0"),
        (
            (torch.tensor(1.0), torch.tensor(1.0)),
            {"num_data": 1, "kl_weight": -1.0},
            "kl_weight=-1.0",
        ),
        (
            (torch.tensor(1.0), torch.tensor(1.0)),
            {"num_data": 1, "kl_weight": float("inf")},
            "kl_weight=inf",
        ),
    ],
)
def test_wrong_arguments_are_errors(arguments, keywords, words):
    with pytest.raises(ValueError, match=words):
        bt.elbo_loss(*arguments, **keywords)
