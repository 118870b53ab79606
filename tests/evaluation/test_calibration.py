import pytest
import torch
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import multiclass_calibration_error

import bnn_tutorial as bt


def predictions(size=500, num_classes=4, seed=0, sharpness=2.0):
    """Probabilities in double precision, and labels that they only half explain."""
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(size, num_classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits / 2).softmax(dim=-1), 1, generator=generator)[:, 0]
    return logits.softmax(dim=-1), labels


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
        (torch.tensor([[0.5, 0.5]]), torch.zeros(1).long(), 0, "num_bins=0"),
        (torch.tensor([[torch.nan, 0.5]]), torch.zeros(1).long(), 15, "softmax"),
        (torch.tensor([[1.5, -0.5]]), torch.zeros(1).long(), 15, "softmax"),
        (torch.tensor([[0.5, 0.5]]), torch.zeros(1), 15, "labels is torch.float32"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([2]), 15, "the label 2: expected 0 to 1"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([-1]), 15, "the label -1"),
    ],
)
def test_wrong_predictions_are_errors(probabilities, labels, num_bins, words):
    with pytest.raises(ValueError, match=words):
        bt.expected_calibration_error(probabilities, labels, num_bins)
    if num_bins:
        for score in (bt.log_score, bt.brier_score, bt.bootstrap_bins, bt.decompose_brier):
            with pytest.raises(ValueError, match=words):
                score(probabilities, labels)


@pytest.mark.parametrize("num_bins", [5, 15])
def test_the_error_is_that_of_torchmetrics(num_bins):
    probabilities, labels = predictions()
    theirs = multiclass_calibration_error(probabilities, labels, 4, n_bins=num_bins, norm="l1")
    ours = bt.expected_calibration_error(probabilities, labels, num_bins)
    assert ours == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize(("equal", "strategy"), [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("label", [0, 3])
def test_bins_of_a_class_are_those_of_scikit_learn(equal, strategy, label):
    # 491 = 7 * 70 + 1 predictions: scikit-learn's interpolated quantiles then are data.
    probabilities, labels = predictions(size=491)
    bins = bt.reliability_bins(probabilities, labels, 7, equal=equal, of_class=label)
    share, confidence = calibration_curve(
        labels == label, probabilities[:, label], n_bins=7, strategy=strategy
    )
    filled = bins.count > 0
    if equal == "mass":
        # It counts an edge to the bin above, we to the one below: each bin has one other datum.
        assert (bins.count - 70).abs().max() <= 1
        torch.testing.assert_close(bins.confidence, torch.as_tensor(confidence), atol=6e-3, rtol=0)
        return
    torch.testing.assert_close(bins.confidence[filled], torch.as_tensor(confidence))
    torch.testing.assert_close(bins.accuracy[filled], torch.as_tensor(share))


def test_bins_of_equal_mass_hold_equal_numbers_and_keep_ties_together():
    probabilities, labels = predictions(size=600)
    bins = bt.reliability_bins(probabilities, labels, 6, equal="mass")
    assert bins.count.tolist() == [100] * 6
    confidence = probabilities.max(dim=-1).values.sort().values
    assert bins.edges[:-1].tolist() == confidence[99:-1:100].tolist()
    assert bins.edges[-1] == 1
    ten = bt.reliability_bins(probabilities[:10], labels[:10], 3, equal="mass")
    assert ten.count.tolist() == [4, 3, 3]  # up to the 4th, the 7th and the 10th
    tied = torch.tensor([[0.9, 0.1]] * 5 + [[0.6, 0.4]])
    bins = bt.reliability_bins(tied, torch.zeros(6).long(), 3, equal="mass")
    # The sorted confidences 0.6, 0.9 * 5 end in thirds at 0.9, 0.9 and 1.
    assert bins.count.tolist() == [6, 0, 0]


def test_the_classwise_error_is_the_mean_over_classes():
    probabilities, labels = predictions(num_classes=3)
    total = 0.0
    for label in range(3):
        index = torch.ceil(10 * probabilities[:, label]).long() - 1
        is_class = (labels == label).double()
        excess = probabilities[:, label] - is_class
        total += sum(excess[index == b].sum().abs().item() for b in range(10))
    ours = bt.expected_calibration_error(probabilities, labels, 10, classwise=True)
    assert ours == pytest.approx(total / len(labels) / 3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"equal": "size"}, "equal='size'"),
        ({"of_class": 4}, "of_class=4"),
        ({"of_class": -1}, "-1"),
    ],
)
def test_unknown_bins_and_classes_are_errors(settings, words):
    with pytest.raises(ValueError, match=words):
        bt.reliability_bins(*predictions(), **settings)
