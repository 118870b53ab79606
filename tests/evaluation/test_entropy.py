import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

import bnn_tutorial as bt


def test_parts_agree_with_torch_distributions():
    probabilities = torch.randn(6, 4, 3).softmax(-1)
    parts = bt.decompose_entropy(probabilities)
    mean = Categorical(probs=probabilities.mean(dim=0))
    torch.testing.assert_close(parts.total, mean.entropy())
    torch.testing.assert_close(
        parts.aleatoric, Categorical(probs=probabilities).entropy().mean(dim=0)
    )
    # Mutual information as the mean KL of a draw from the average: another route to the same.
    information = torch.stack(
        [kl_divergence(Categorical(probs=draw), mean) for draw in probabilities]
    ).mean(dim=0)
    torch.testing.assert_close(parts.epistemic, information, atol=1e-6, rtol=1e-4)


def test_draws_that_agree_are_aleatoric_and_draws_that_contradict_are_epistemic():
    agree = torch.full((2, 1, 2), 0.5)
    contradict = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    for probabilities, aleatoric, epistemic in (
        (agree, math.log(2), 0.0),
        (contradict, 0.0, math.log(2)),
    ):
        parts = bt.decompose_entropy(probabilities)
        assert parts.total.item() == pytest.approx(math.log(2))
        assert parts.aleatoric.item() == pytest.approx(aleatoric)
        assert parts.epistemic.item() == pytest.approx(epistemic)


@pytest.mark.parametrize("shape", [(4, 3), (0, 4, 3)])
def test_wrong_shapes_are_errors(shape):
    with pytest.raises(ValueError, match=r"expected \(S, N, C\)"):
        bt.decompose_entropy(torch.ones(shape))


@pytest.mark.parametrize(
    "values", [[2.0, -1.0], [0.5, 0.6], [math.nan, 1.0]], ids=["logits", "no sum of 1", "NaN"]
)
def test_what_is_no_distribution_is_an_error(values):
    with pytest.raises(ValueError, match=r"probabilities: .* logits need a softmax first"):
        bt.decompose_entropy(torch.tensor(values).expand(3, 2, 2))
