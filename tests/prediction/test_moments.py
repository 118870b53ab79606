import pytest
import torch
from helpers.monte_carlo import assert_mean

import bnn_tutorial as bt


def test_std_is_a_standard_deviation_and_the_band_reaches_k_of_them():
    # Exact draws of known spread: a variance in its place would be 0.25 or, in the band, 0.75.
    samples = torch.tensor([[[-0.5]], [[0.5]], [[-0.5]], [[0.5]]]) + 2
    prediction = bt.Prediction(samples)
    std = (4 * 0.25 / 3) ** 0.5
    assert prediction.mean.item() == 2
    assert prediction.std.item() == pytest.approx(std)
    low, high = prediction.interval(k=3.0)
    assert (low.item(), high.item()) == pytest.approx((2 - 3 * std, 2 + 3 * std))
    low, high = prediction.interval(k=2.0, noise_std=1.2)
    assert (high - low).item() == pytest.approx(4 * (std**2 + 1.44) ** 0.5)
    low, high = prediction.interval(k=2.0, noise_std=torch.tensor([[1.2]]))
    assert (high - low).item() == pytest.approx(4 * (std**2 + 1.44) ** 0.5)


def test_total_band_of_gaussian_draws_and_noise_leaves_the_nominal_share_outside():
    generator = torch.Generator().manual_seed(0)
    function = torch.randn(400, 5000, 1, generator=generator) * 0.6
    y = torch.randn(5000, 1, generator=generator) * (0.6**2 + 0.8**2) ** 0.5
    low, high = bt.Prediction(function).interval(2.0, noise_std=0.8)
    outside = ((y < low) | (y > high)).flatten().double()
    assert_mean(outside, bt.audit_band(y, low, high, k=2.0).nominal)


@pytest.mark.parametrize(
    "keywords", [{"k": -1.0}, {"noise_std": -0.1}, {"noise_std": torch.tensor([0.1, -0.1])}]
)
def test_negative_widths_are_errors(keywords):
    with pytest.raises(ValueError, match="0 or more"):
        bt.Prediction(torch.zeros(2, 1, 1)).interval(**keywords)


@pytest.mark.parametrize(
    ("noise_std", "words"),
    [
        (torch.ones(4), r"noise_std has shape \(4,\) beside \(4, 1\)"),
        (torch.ones(4, 4), r"noise_std has shape \(4, 4\)"),
        (torch.ones(3, 1), r"noise_std has shape \(3, 1\)"),
        (torch.nan, "noise_std: expected finite numbers"),
        (torch.inf, "noise_std: expected finite numbers"),
    ],
)
def test_a_noise_of_another_shape_would_enlarge_the_band_and_is_an_error(noise_std, words):
    moments = bt.ExactMoments(torch.zeros(4, 1), torch.ones(4, 1))
    for wrong in (moments, bt.Prediction(torch.randn(3, 4, 1))):
        with pytest.raises(ValueError, match=words):
            wrong.total_std(noise_std)
        with pytest.raises(ValueError, match=words):
            wrong.interval(noise_std=noise_std)
    assert moments.total_std(torch.ones(1)).shape == (4, 1)


def test_one_draw_has_no_width():
    prediction = bt.Prediction(torch.zeros(1, 4, 1))
    assert prediction.mean.shape == (4, 1)
    with pytest.raises(ValueError, match="samples hold 1 draw: expected two or more"):
        prediction.interval()
