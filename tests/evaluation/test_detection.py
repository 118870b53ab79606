import math

import pytest
import torch
from sklearn import metrics
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

import bnn_tutorial as bt


def gaussian_scores(num_in, num_out, shift, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores_in = torch.randn(num_in, generator=generator, dtype=torch.float64)
    return scores_in, torch.randn(num_out, generator=generator, dtype=torch.float64) + shift


def tied_scores(levels):
    generator = torch.Generator().manual_seed(0)
    inside = torch.randint(levels, (57,), generator=generator).double()
    outside = torch.randint(levels, (83,), generator=generator).double() + (levels + 4) // 5
    return inside, outside


def labelled(scores_in, scores_out):
    """All scores, and 1 for the foreign."""
    foreign = torch.cat([torch.zeros(len(scores_in)), torch.ones(len(scores_out))]).long()
    return torch.cat([scores_in, scores_out]), foreign


# The measures


@pytest.mark.parametrize("levels", [2, 10, 10_000])
def test_auroc_is_the_count_of_ordered_pairs_with_ties_counted_half(levels):
    inside, outside = tied_scores(levels)
    won = (inside[:, None] < outside).double() + 0.5 * (inside[:, None] == outside).double()
    expected = won.mean().item()
    assert 0.55 < expected < 0.95
    assert bt.auroc(inside, outside) == pytest.approx(expected, rel=1e-12)
    assert bt.auroc(outside, inside) == pytest.approx(1 - expected, rel=1e-12)


@pytest.mark.parametrize("levels", [2, 10, 10_000])
def test_measures_are_those_of_scikit_learn_and_torchmetrics(levels):
    inside, outside = tied_scores(levels)
    scores, foreign = labelled(inside, outside)
    assert bt.auroc(inside, outside) == pytest.approx(metrics.roc_auc_score(foreign, scores))
    expected = metrics.average_precision_score(foreign, scores)
    assert bt.average_precision(inside, outside) == pytest.approx(expected)
    between = scores / scores.max()  # torchmetrics takes other scores for logits
    found = [binary_auroc(between, foreign), binary_average_precision(between, foreign)]
    expected = [bt.auroc(inside, outside), bt.average_precision(inside, outside)]
    assert [value.item() for value in found] == pytest.approx(expected, abs=1e-6)
    rates_in, rates_out, _ = metrics.roc_curve(foreign, scores, drop_intermediate=False)
    for wished in (0.3, 0.95, 1.0):
        expected = rates_in[rates_out >= wished][0]
        found = bt.false_positive_rate(inside, outside, true_positive_rate=wished)
        assert found == pytest.approx(expected)


def test_measures_of_two_gaussians_are_the_normal_distribution_s():
    """s_out - s_in is N(d, 2): the AUROC is Phi(d / sqrt 2). 95 % of the foreign lie above
    d - 1.645, and of the model's own the share Phi(1.645 - d)."""
    shift, size = 1.5, 20_000
    inside, outside = gaussian_scores(size, size, shift, seed=1)
    expected = 0.5 * (1 + math.erf(shift / 2))
    # Hanley and McNeil's bound on the standard error: sqrt(A (1 - A) / min(N, M)).
    standard_error = math.sqrt(expected * (1 - expected) / size)
    assert bt.auroc(inside, outside) == pytest.approx(expected, abs=5 * standard_error)
    normal = torch.distributions.Normal(0.0, 1.0)
    quantile = normal.icdf(torch.tensor(0.95)).item()
    expected = normal.cdf(torch.tensor(quantile - shift)).item()
    density = normal.log_prob(torch.tensor(quantile)).exp().item()
    slope = normal.log_prob(torch.tensor(quantile - shift)).exp().item()
    error = math.sqrt(expected * (1 - expected) / size + (slope / density) ** 2 * 0.0475 / size)
    assert bt.false_positive_rate(inside, outside) == pytest.approx(expected, abs=5 * error)


def test_measures_of_separated_and_of_equal_scores():
    low, high = torch.zeros(3), torch.ones(5)
    assert bt.auroc(low, high) == bt.average_precision(low, high) == 1.0
    assert bt.auroc(high, low) == bt.false_positive_rate(low, high) == 0.0
    assert bt.false_positive_rate(high, low) == 1.0
    # A score that knows nothing: half of the pairs, the share of the foreign, all alarms.
    assert bt.auroc(low, torch.zeros(5)) == 0.5
    assert bt.average_precision(low, torch.zeros(5)) == 5 / 8
    assert bt.false_positive_rate(low, torch.zeros(5)) == 1.0


def test_the_other_positive_is_the_measure_with_both_swapped():
    inside, outside = gaussian_scores(400, 300, 1.0)
    threshold = inside.sort().values[380 - 1]  # 95 % of 400 pass
    expected = (outside <= threshold).double().mean().item()
    assert bt.false_positive_rate(-outside, -inside) == pytest.approx(expected)


MEASURES = (bt.auroc, bt.average_precision, bt.false_positive_rate, bt.measure_detection)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
@pytest.mark.parametrize("wrong", [torch.zeros(2, 1), torch.zeros(0), torch.tensor([torch.nan])])
def test_wrong_scores_are_errors_that_name_them(measure, wrong):
    with pytest.raises(ValueError, match="scores_in have shape"):
        measure(wrong, torch.zeros(2))
    with pytest.raises(ValueError, match="scores_out have shape"):
        measure(torch.zeros(2), wrong)


@pytest.mark.parametrize("wished", [0.0, 1.1, math.nan])
def test_a_wrong_rate_is_an_error(wished):
    with pytest.raises(ValueError, match=f"true_positive_rate={wished}"):
        bt.false_positive_rate(torch.zeros(2), torch.zeros(2), true_positive_rate=wished)


# Their intervals


def test_the_values_are_the_measures_and_lie_in_their_intervals():
    inside, outside = gaussian_scores(200, 150, 1.0)
    generator = torch.Generator().manual_seed(0)
    found = bt.measure_detection(inside, outside, num_resamples=300, generator=generator)
    assert found.auroc.value == bt.auroc(inside, outside)
    assert found.average_precision.value == bt.average_precision(inside, outside)
    assert found.false_positive_rate.value == bt.false_positive_rate(inside, outside)
    for interval in vars(found).values():
        assert interval.low < interval.value < interval.high


def test_the_interval_of_the_auroc_is_as_wide_as_delong_s():
    """DeLong et al. (1988): the variance of the placements of either side, divided by its size."""
    inside, outside = gaussian_scores(300, 500, 1.2)
    won = (inside[:, None] < outside).double()
    variance = won.mean(1).var() / len(inside) + won.mean(0).var() / len(outside)
    generator = torch.Generator().manual_seed(0)
    found = bt.measure_detection(inside, outside, num_resamples=2000, generator=generator).auroc
    width = 2 * 1.96 * variance.sqrt().item()
    # A quantile's own error is 1.1 % of the width at 2,000 resamples, for each end.
    assert found.high - found.low == pytest.approx(width, rel=0.06)


def test_nine_of_ten_intervals_at_90_percent_hold_the_truth():
    truth = 0.5 * (1 + math.erf(1.0 / 2))
    generator = torch.Generator().manual_seed(0)
    num_trials, hits = 60, 0
    for trial in range(num_trials):
        scores = gaussian_scores(80, 80, 1.0, seed=100 + trial)
        found = bt.measure_detection(*scores, level=0.9, num_resamples=80, generator=generator)
        hits += found.auroc.low <= truth <= found.auroc.high
    assert hits / num_trials == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / num_trials))


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"level": 1.0}, "level=1.0"), ({"num_resamples": 0}, "num_resamples=0")],
)
def test_wrong_settings_are_errors(settings, words):
    with pytest.raises(ValueError, match=words):
        bt.measure_detection(torch.zeros(2), torch.ones(2), **settings)


# The scores
