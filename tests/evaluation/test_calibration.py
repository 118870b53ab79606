import pytest
import torch

import bnn_tutorial as bt


def test_reliability_bins_of_a_small_case_by_hand():
    probabilities = torch.tensor([[0.95, 0.05], [0.9, 0.1], [0.3, 0.7], [0.45, 0.55]])
    labels = torch.tensor([0, 1, 1, 1])
    bins = bt.reliability_bins(probabilities, labels, num_bins=5)
    torch.testing.assert_close(bins.edges, torch.tensor([0.2, 0.4, 0.6, 0.8, 1.0]))
    assert bins.count.tolist() == [0, 0, 1, 1, 2]
    torch.testing.assert_close(bins.confidence, torch.tensor([0, 0, 0.55, 0.7, 0.925]))
    torch.testing.assert_close(bins.accuracy, torch.tensor([0, 0, 1.0, 1.0, 0.5]))
    error = (0.45 + 0.3 + 2 * 0.425) / 4
    assert bt.expected_calibration_error(probabilities, labels, 5) == pytest.approx(error)


def test_calibrated_predictions_have_an_error_near_zero_and_overconfident_ones_do_not():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(100_000, generator=generator, dtype=torch.float64) / 2 + 0.5
    labels = (torch.rand(len(p), generator=generator) > p).long()
    calibrated = torch.stack([p, 1 - p], dim=-1)
    # A bin's gap is about sqrt(p (1 - p) / n_b), with n_b a tenth of the data in ten bins of 20.
    assert bt.expected_calibration_error(calibrated, labels, 20) < 5 * 0.5 / 10_000**0.5
    sure = torch.stack([torch.full_like(p, 0.999), torch.full_like(p, 0.001)], dim=-1)
    hits = (labels == 0).float().mean().item()
    assert bt.expected_calibration_error(sure, labels) == pytest.approx(0.999 - hits, abs=1e-5)


@pytest.mark.parametrize(
    ("probabilities", "labels", "num_bins", "words"),
    [
        (torch.ones(3), torch.zeros(3), 15, r"\(3,\)"),
        (torch.ones(3, 1), torch.zeros(2), 15, r"\(2,\)"),
        (torch.ones(0, 2), torch.zeros(0), 15, "empty"),
        (torch.tensor([[3.0, -1.0]]), torch.zeros(1), 15, "softmax"),
        (torch.tensor([[0.5, 0.5]]), torch.zeros(1), 0, "num_bins=0"),
    ],
)
def test_wrong_predictions_are_errors(probabilities, labels, num_bins, words):
    with pytest.raises(ValueError, match=words):
        bt.expected_calibration_error(probabilities, labels, num_bins)
