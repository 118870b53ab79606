import math

import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance
from sklearn.isotonic import IsotonicRegression

import bnn_tutorial as bt


@pytest.mark.parametrize(("k", "nominal"), [(1.0, 0.3173105), (2.0, 0.0455003), (3.0, 0.0026998)])
def test_a_true_gaussian_band_leaves_the_nominal_share_outside(k, nominal):
    y = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    edge = torch.full_like(y, k)
    audit = bt.audit_band(y, -edge, edge, k=k)
    assert audit.nominal == pytest.approx(nominal, abs=1e-6)
    outside = (y.abs() > k).double()
    assert audit.share == pytest.approx(outside.mean().item())
    assert_mean(outside, audit.nominal)


def test_audit_counts_both_sides_and_not_the_edge():
    y = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])
    audit = bt.audit_band(y, torch.full((5,), -1.0), torch.full((5,), 1.0))
    assert (audit.outside, audit.total, audit.share) == (2, 5, 0.4)
    assert str(audit) == ("2 of 5 held-out points outside the 3-sigma band: 40.00%, nominal 0.27%")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.zeros(3, 1), torch.zeros(3), torch.zeros(3)), r"\(3, 1\), \(3,\)"),
        ((torch.zeros(0), torch.zeros(0), torch.zeros(0)), "empty"),
        ((torch.zeros(1), torch.ones(1), -torch.ones(1)), "low <= high"),
        ((torch.zeros(1), torch.tensor([torch.nan]), torch.ones(1)), "without NaN"),
    ],
)
def test_wrong_bands_are_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        bt.audit_band(*arguments)


def test_ranks_of_observations_from_the_prediction_itself_are_uniform():
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(10, 20_000, generator=generator)  # nine draws and an observation
    pit = bt.probability_integral_transform(draws[1:], draws[0])
    assert pit.unique().tolist() == pytest.approx([(k + 0.5) / 10 for k in range(10)])
    assert_mean(pit, 0.5)
    assert_variance(pit, (10**2 - 1) / 12 / 10**2)  # of ten equally likely values


def test_the_transform_is_the_distribution_function_of_the_prediction():
    generator = torch.Generator().manual_seed(0)
    samples = 3 + 2 * torch.randn(40_000, 4, generator=generator, dtype=torch.float64)
    target = torch.tensor([0.0, 2.0, 3.0, 8.0], dtype=torch.float64)
    expected = torch.distributions.Normal(3.0, 2.0).cdf(target)
    error = (expected * (1 - expected) / len(samples)).sqrt()
    pit = bt.probability_integral_transform(samples, target)
    assert ((pit - expected).abs() < 5 * error).all()


def test_ties_count_half():
    samples = torch.tensor([[1.0], [2.0], [2.0]])
    assert bt.probability_integral_transform(samples, torch.tensor([2.0])).item() == 2.5 / 4


def test_coverage_counts_the_central_bands():
    pit = torch.linspace(0, 1, 101)[1:-1:2].view(5, 10)  # 0.01, 0.03, ... 0.99
    levels = torch.tensor([0.0, 0.501, 0.901, 1.0])
    # Of 50 values; of level 0.501 those from 0.2495 to 0.7505 are inside: 26.
    assert bt.coverage_by_level(pit, levels).tolist() == pytest.approx([0, 0.52, 0.92, 1])


def test_recalibrated_levels_are_the_inverse_of_the_isotonic_fit():
    """Against scikit-learn: the fit of the ranks, solved for its argument by bisection."""
    generator = torch.Generator().manual_seed(0)
    pit = torch.rand(60, generator=generator, dtype=torch.float64).square()
    ranks = torch.arange(60, dtype=torch.float64) / 59
    curve = IsotonicRegression().fit(pit.sort().values.numpy(), ranks.numpy())
    levels = torch.tensor([0.1, 0.33, 0.5, 0.9], dtype=torch.float64)
    found = bt.recalibrated_levels(pit, levels)
    torch.testing.assert_close(torch.as_tensor(curve.predict(found.numpy())), levels)


def test_recalibrated_bands_cover_their_level_on_new_data():
    """Bands that are too narrow by the factor 2, mended on one sample and counted on another."""
    generator = torch.Generator().manual_seed(0)
    samples = 0.5 * torch.randn(2000, 4000, generator=generator)
    target = torch.randn(4000, generator=generator)
    pit = bt.probability_integral_transform(samples, target)
    levels = torch.tensor([0.1, 0.9])
    assert bt.coverage_by_level(pit, torch.tensor([0.8])).item() < 0.6
    asked = bt.recalibrated_levels(pit[:2000], levels)
    low, high = samples[:, 2000:].quantile(asked, dim=0)
    covered = ((target[2000:] >= low) & (target[2000:] <= high)).double().mean().item()
    # Each of the two ends is a quantile of 2,000 values, and 2,000 others are counted.
    assert abs(covered - 0.8) < 5 * (2 * 0.1 * 0.9 / 2000 + 0.8 * 0.2 / 2000) ** 0.5


def test_values_that_are_no_levels_are_errors():
    with pytest.raises(ValueError, match=r"\(3, 2\), target \(3,\)"):
        bt.probability_integral_transform(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(ValueError, match="S >= 1"):
        bt.probability_integral_transform(torch.zeros(0, 2), torch.zeros(2))
    for function in (bt.coverage_by_level, bt.recalibrated_levels):
        with pytest.raises(ValueError, match="pit="):
            function(torch.tensor([1.5]), torch.tensor([0.5]))
        with pytest.raises(ValueError, match="levels="):
            function(torch.tensor([0.5]), torch.tensor([-0.1]))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_target_that_is_not_finite_is_neither_inside_nor_outside(value):
    target = torch.tensor([0.0, value])
    with pytest.raises(ValueError, match=r"target: expected finite numbers, not .* at \[1\]"):
        bt.audit_band(target, target - 1, target + 1)
    with pytest.raises(ValueError, match="target: expected finite numbers"):
        bt.probability_integral_transform(torch.zeros(3, 2), target)
    with pytest.raises(ValueError, match="samples: expected finite numbers"):
        bt.probability_integral_transform(target.expand(3, 2), torch.zeros(2))
