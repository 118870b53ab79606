import math

import pytest
import torch
from sklearn.isotonic import IsotonicRegression

import bnn_tutorial as bt

ALL = (bt.TemperatureScaling, bt.HistogramBinning, bt.IsotonicCalibration)


def too_sure(size, temperature=2.5, num_classes=5, seed=0):
    """Logits that are too large by the factor ``temperature``, and labels, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(size, num_classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)[:, 0]
    return temperature * logits, labels


@pytest.fixture(params=ALL, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def test_probabilities_come_out_and_the_error_falls(kind):
    logits, labels = too_sure(2000)
    other, other_labels = too_sure(2000, seed=1)
    recalibration = kind()
    assert recalibration.fit(logits, labels) is recalibration
    probabilities = recalibration.transform(other)
    assert probabilities.shape == other.shape
    assert (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones(2000).double())
    before = bt.expected_calibration_error(other.softmax(dim=-1), other_labels)
    assert before > 0.1
    assert bt.expected_calibration_error(probabilities, other_labels) < before / 2
    assert bt.brier_score(probabilities, other_labels) < bt.brier_score(
        other.softmax(dim=-1), other_labels
    )


def test_the_dtype_stays_and_a_second_fit_forgets_the_first(kind):
    logits, labels = too_sure(500)
    recalibration = kind().fit(logits[:50], labels[:50]).fit(logits.float(), labels)
    probabilities = recalibration.transform(logits.float())
    assert probabilities.dtype == torch.float32
    again = kind().fit(logits.float(), labels).transform(logits.float())
    torch.testing.assert_close(probabilities, again)


def test_a_shift_of_a_row_changes_nothing(kind):
    logits, labels = too_sure(500)
    shift = torch.linspace(-3, 3, 500)[:, None]
    recalibration = kind().fit(logits, labels)
    moved = kind().fit((logits + shift), labels).transform(logits - shift)
    torch.testing.assert_close(moved, recalibration.transform(logits))


def test_what_does_not_fit_is_an_error(kind):
    logits, labels = too_sure(50)
    with pytest.raises(RuntimeError, match=f"{kind.__name__}: call fit"):
        kind().transform(logits)
    with pytest.raises(ValueError, match=r"\(50, 5\), labels \(49,\)"):
        kind().fit(logits, labels[1:])
    with pytest.raises(ValueError, match=r"N >= 1"):
        kind().fit(logits[:0], labels[:0])
    with pytest.raises(ValueError, match="label 5: expected 0 to 4"):
        kind().fit(logits, labels.clamp_min(0) + 1)
    with pytest.raises(ValueError, match="logsumexp"):
        kind().fit(logits - math.inf, labels)
    fitted = kind().fit(logits, labels)
    with pytest.raises(ValueError, match=r"expected \(N, 5\)"):
        fitted.transform(logits[:, 1:])
    with pytest.raises(ValueError, match="finite"):
        fitted.transform(logits * math.nan)


def test_the_temperature_is_found_again():
    logits, labels = too_sure(20_000)
    # The inverse temperature has the standard error 1 / sqrt(N * Fisher information per datum).
    calibrated = (logits / 2.5).softmax(dim=-1)
    mean = (calibrated * logits).sum(dim=-1, keepdim=True)
    information = (calibrated * (logits - mean).square()).sum(dim=-1).mean().item()
    error = (20_000 * information) ** -0.5
    found = bt.TemperatureScaling().fit(logits, labels).temperature
    assert abs(1 / found - 1 / 2.5) < 5 * error


def test_the_temperature_is_where_the_likelihood_is_largest():
    logits, labels = too_sure(300)
    scaling = bt.TemperatureScaling().fit(logits, labels)
    inverse = torch.tensor(1 / scaling.temperature, dtype=torch.float64, requires_grad=True)
    nll = torch.nn.functional.cross_entropy(logits * inverse, labels)
    (slope,) = torch.autograd.grad(nll, inverse)
    assert abs(slope.item()) < 1e-9
    assert torch.equal(scaling.transform(logits).argmax(-1), logits.argmax(-1))


def test_no_finite_temperature_is_an_error():
    logits, _ = too_sure(50)
    with pytest.raises(ValueError, match="temperature is 0"):
        bt.TemperatureScaling().fit(logits, logits.argmax(dim=-1))
    with pytest.raises(ValueError, match="infinite"):
        bt.TemperatureScaling().fit(logits, logits.argmin(dim=-1))


def test_isotonic_curves_are_those_of_scikit_learn_for_each_class():
    logits, labels = too_sure(300)
    new, _ = too_sure(100, seed=1)
    columns = []
    for label in range(5):
        curve = IsotonicRegression(out_of_bounds="clip")
        curve.fit(logits.softmax(dim=-1)[:, label].numpy(), (labels == label).numpy())
        columns.append(torch.as_tensor(curve.predict(new.softmax(dim=-1)[:, label].numpy())))
    rows = torch.stack(columns, dim=-1)
    ours = bt.IsotonicCalibration().fit(logits, labels).transform(new)
    torch.testing.assert_close(ours, rows / rows.sum(dim=-1, keepdim=True))


@pytest.mark.parametrize("equal", ["width", "mass"])
def test_histogram_binning_gives_the_shares_of_the_bins(equal):
    logits, labels = too_sure(300, num_classes=2)
    ours = bt.HistogramBinning(6, equal=equal).fit(logits, labels).transform(logits)
    probabilities = logits.softmax(dim=-1)
    columns = []
    for label in range(2):
        bins = bt.reliability_bins(probabilities, labels, 6, equal=equal, of_class=label)
        index = (probabilities[:, label, None] > bins.edges).sum(dim=1)
        columns.append(bins.accuracy[index])
    raw = torch.stack(columns, dim=-1)
    torch.testing.assert_close(ours, raw / raw.sum(dim=-1, keepdim=True))


def test_an_empty_bin_gives_its_middle_and_a_row_of_zeros_becomes_uniform():
    def logits_of(chance):
        return torch.tensor([[chance, 1 - chance]], dtype=torch.float64).log()

    # No datum lies in (0.2, 0.4], nor in (0.6, 0.8]: the two give their middles.
    binning = bt.HistogramBinning(5).fit(
        torch.cat([logits_of(0.05), logits_of(0.95)]), torch.tensor([1, 0])
    )
    expected = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    torch.testing.assert_close(binning.transform(logits_of(0.35)), expected)
    # Bins of 0.05: the first datum is not of class 0, which has 0.92; and of the two data that have
    # up to 0.05 for the classes 1 and 2, none is of the class.
    rows = torch.tensor([[0.92, 0.06, 0.02], [0.06, 0.02, 0.92]]).log()
    binning = bt.HistogramBinning(20).fit(rows, torch.tensor([1, 2]))
    found = binning.transform(torch.tensor([[0.92, 0.04, 0.04]]).log())
    torch.testing.assert_close(found, torch.full((1, 3), 1 / 3))


def test_settings_of_histogram_binning_are_checked():
    with pytest.raises(ValueError, match="num_bins=0"):
        bt.HistogramBinning(0)
    with pytest.raises(ValueError, match="equal='area'"):
        bt.HistogramBinning(equal="area")
