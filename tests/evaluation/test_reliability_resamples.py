import math
from fractions import Fraction

import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance

import bnn_tutorial as bt


def same(confidence, size):
    """One prediction of two classes, ``size`` times."""
    row = torch.tensor([[confidence, 1 - confidence]], dtype=torch.float64)
    return row.expand(size, 2)


def generator():
    return torch.Generator().manual_seed(0)


def test_the_error_of_a_perfect_model_has_the_binomial_mean():
    size, chance = 12, Fraction(3, 4)
    masses = [
        math.comb(size, hits) * chance**hits * (1 - chance) ** (size - hits)
        for hits in range(size + 1)
    ]
    expected = sum(m * abs(Fraction(hits, size) - chance) for hits, m in enumerate(masses))
    bins = bt.calibrated_bins(same(0.75, size), 5, num_resamples=4000, generator=generator())
    assert bins.accuracy.shape == bins.count.shape == (4000, 5)
    assert_mean(bins.ece, float(expected))
    assert_variance(bins.accuracy[:, 3], 0.75 * 0.25 / size)


def test_of_a_class_the_hits_come_with_its_own_probability():
    bins = bt.calibrated_bins(
        same(0.75, 40), 5, of_class=1, num_resamples=2000, generator=generator()
    )
    assert_mean(bins.accuracy[:, 1], 0.25)
    assert bins.count[0].tolist() == [0, 40, 0, 0, 0]


def test_the_bootstrap_has_the_mean_and_the_variance_of_a_share():
    labels = torch.tensor([0] * 30 + [1] * 20)
    bins = bt.bootstrap_bins(same(0.75, 50), labels, 1, num_resamples=4000, generator=generator())
    assert_mean(bins.accuracy[:, 0], 0.6)
    assert_variance(bins.accuracy[:, 0], 0.6 * 0.4 / 50)


def test_resampling_pairs_confidences_with_their_hits():
    probabilities = torch.cat([same(0.9, 20), same(0.6, 20)])
    labels = torch.tensor([0] * 20 + [1] * 20)
    bins = bt.bootstrap_bins(probabilities, labels, 2, equal="mass", generator=generator())
    torch.testing.assert_close(bins.accuracy, torch.tensor([[0.0, 1.0]]).expand(1000, 2).double())
    assert (bins.count.sum(dim=1) == 40).all()
    assert (bins.count[:, 0] != 20).any()
    # Their error lies around the sample's own, (0.6 + 0.1) / 2.
    assert_mean(bins.ece, 0.35)


def test_a_bin_that_is_always_empty_has_no_interval():
    low, high = bt.calibrated_bins(same(0.75, 8), 2, generator=generator()).interval(0.5)
    assert low[0].isnan()
    assert high[0].isnan()
    # The quartiles of Binomial(8, 0.75), whose cumulative masses are 0.11, 0.32, 0.63 and 0.90.
    assert (low[1].item(), high[1].item()) == (5 / 8, 7 / 8)


def test_a_sample_alone_has_no_interval_and_no_level_lies_outside():
    bins = bt.reliability_bins(same(0.75, 4), torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="one sample"):
        bins.interval()
    with pytest.raises(ValueError, match="level=1"):
        bt.calibrated_bins(same(0.75, 4)).interval(1)
    with pytest.raises(ValueError, match="num_resamples=0"):
        bt.calibrated_bins(same(0.75, 4), num_resamples=0)
    with pytest.raises(ValueError, match="softmax"):
        bt.calibrated_bins(torch.ones(2, 3))
    with pytest.raises(ValueError, match="empty"):
        bt.bootstrap_bins(torch.ones(0, 2), torch.zeros(0))
