import math

import pytest
import torch

import bnn_tutorial as bt


@pytest.mark.parametrize("levels", [2, 10, 10_000])
def test_auroc_is_the_count_of_ordered_pairs_with_ties_counted_half(levels):
    generator = torch.Generator().manual_seed(0)
    inside = torch.randint(levels, (57,), generator=generator).double()
    outside = torch.randint(levels, (83,), generator=generator).double() + (levels + 4) // 5
    won = (inside[:, None] < outside).double() + 0.5 * (inside[:, None] == outside).double()
    expected = won.mean().item()
    assert 0.55 < expected < 0.95
    assert bt.auroc(inside, outside) == pytest.approx(expected, rel=1e-12)
    assert bt.auroc(outside, inside) == pytest.approx(1 - expected, rel=1e-12)


def test_auroc_of_two_gaussians_is_the_normal_probability_of_their_order():
    """s_out - s_in is N(d, 2), so that the AUROC is Phi(d / sqrt 2)."""
    generator = torch.Generator().manual_seed(1)
    shift, size = 1.5, 20_000
    inside = torch.randn(size, generator=generator)
    outside = torch.randn(size, generator=generator) + shift
    expected = 0.5 * (1 + math.erf(shift / 2))
    # Hanley and McNeil's bound on the standard error: sqrt(A (1 - A) / min(N, M)).
    standard_error = math.sqrt(expected * (1 - expected) / size)
    assert bt.auroc(inside, outside) == pytest.approx(expected, abs=5 * standard_error)


def test_auroc_of_separated_and_of_equal_scores():
    low, high = torch.zeros(3), torch.ones(5)
    assert bt.auroc(low, high) == 1.0
    assert bt.auroc(high, low) == 0.0
    assert bt.auroc(low, low) == 0.5


@pytest.mark.parametrize("wrong", [torch.zeros(2, 1), torch.zeros(0), torch.tensor([torch.nan])])
def test_wrong_scores_are_errors_that_name_them(wrong):
    with pytest.raises(ValueError, match="scores_in have shape"):
        bt.auroc(wrong, torch.zeros(2))
    with pytest.raises(ValueError, match="scores_out have shape"):
        bt.auroc(torch.zeros(2), wrong)
