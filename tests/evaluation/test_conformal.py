import math

import numpy as np
import pytest
import torch
from crepes import ConformalClassifier, ConformalRegressor
from helpers.monte_carlo import STANDARD_ERRORS, assert_mean

import bnn_tutorial as bt


def draw_classes(count, generator, num_classes=4, strength=2.0):
    """Rows of probabilities (count, C) in double precision, and labels drawn from other ones.

    The classifier is overconfident: the labels come from logits half as large.
    """
    shape = (count, num_classes)
    logits = strength * torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.multinomial((logits / 2).softmax(-1), 1, generator=generator).squeeze(1)
    return logits.softmax(-1), labels


def draw_regression(count, generator):
    """Means, standard deviations and targets, the noise twice what the deviations say."""
    mean = torch.randn(count, generator=generator, dtype=torch.float64)
    std = 0.1 + torch.rand(count, generator=generator, dtype=torch.float64)
    return mean, std, mean + 2 * std * torch.randn(count, generator=generator, dtype=torch.float64)


def covered(sets, labels):
    return sets.gather(1, labels.unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize(
    ("level", "rank"),
    # In floating point 100 x 0.07 and 100 x 0.55 lie above 7 and 55.
    [(0.9, 90), (0.07, 7), (0.55, 55), (0.551, 56), (0.549, 55), (1e-12, 1), (0.99, 99)],
)
def test_the_quantile_is_the_kth_smallest_of_99_scores(level, rank):
    order = torch.randperm(99, generator=torch.Generator().manual_seed(0))
    assert bt.conformal_quantile(torch.arange(1.0, 100.0)[order], level).item() == rank


@pytest.mark.parametrize(("count", "level"), [(0, 0.1), (8, 0.9), (19, 0.951), (98, 0.99)])
def test_too_few_scores_have_an_infinite_quantile_and_one_more_has_not(count, level):
    assert bt.conformal_quantile(torch.zeros(count), level).item() == math.inf
    assert bt.conformal_quantile(torch.zeros(count + 1), level).isfinite()


@pytest.mark.parametrize("score", ["probability", "adaptive"])
def test_sets_of_a_small_case_by_hand(score):
    known = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    labels = torch.tensor([0, 2, 0, 2])
    # 1 - p: 0.4, 0.6, 0.8, 0.3; before the class: 0, 0.5, 0.7, 0. At 0.6 the third smallest of 4.
    new = torch.tensor([[0.45, 0.35, 0.2], [0.9, 0.06, 0.04], [0.4, 0.15, 0.45]])
    sets = bt.conformal_sets(known, labels, new, level=0.6, score=score)
    expected = {
        "probability": [[True, False, False], [True, False, False], [True, False, True]],
        "adaptive": [[True, True, False], [True, False, False], [True, False, True]],
    }
    assert sets.tolist() == expected[score]


@pytest.mark.parametrize("level", [0.51, 0.83, 0.9, 0.97])
@pytest.mark.parametrize("class_conditional", [False, True])
def test_sets_are_those_of_crepes(level, class_conditional):
    generator = torch.Generator().manual_seed(0)
    # crepes keeps a class whose p-value is 1 - level, which is one score more where (n + 1) level
    # is an integer.
    known, labels = draw_classes(138, generator)
    counts = torch.bincount(labels, minlength=4)
    assert all(abs(x - round(x)) > 1e-6 for x in [139 * level, *((counts + 1) * level).tolist()])
    new, _ = draw_classes(500, generator)
    sets = bt.conformal_sets(known, labels, new, level=level, class_conditional=class_conditional)
    categories = labels.numpy() if class_conditional else np.zeros(138, dtype=int)
    scores = 1 - known[torch.arange(138), labels].numpy()
    classifier = ConformalClassifier().fit(scores, bins=categories)
    columns = [
        classifier.predict_set(
            1 - new[:, [label]].numpy(),
            bins=np.full(500, label if class_conditional else 0),
            confidence=level,
            smoothing=False,
        )
        for label in range(4)
    ]
    assert np.array_equal(sets.numpy(), np.concatenate(columns, axis=1).astype(bool))
    assert 0.05 < sets.double().mean() < 0.95


def test_adaptive_sets_are_the_shortest_lists_that_pass_the_quantile():
    generator = torch.Generator().manual_seed(1)
    known, labels = draw_classes(200, generator, num_classes=6)
    new, _ = draw_classes(100, generator, num_classes=6)
    before = torch.stack(
        [row[row > row[label]].sum() for row, label in zip(known, labels, strict=True)]
    )
    bound = bt.conformal_quantile(before, 0.9).item()
    sets = bt.conformal_sets(known, labels, new, level=0.9, score="adaptive")
    for row, members in zip(new.tolist(), sets.tolist(), strict=True):
        ranked = sorted(range(6), key=row.__getitem__, reverse=True)
        size = next(k for k in range(1, 7) if sum(row[c] for c in ranked[:k]) > bound or k == 6)
        assert {c for c in range(6) if members[c]} == set(ranked[:size])


@pytest.mark.parametrize("level", [0.6, 0.9, 0.95])
def test_intervals_are_those_of_crepes_and_a_constant_std_gives_plain_ones(level):
    generator = torch.Generator().manual_seed(2)
    mean, std, targets = draw_regression(138, generator)
    new_mean, new_std, _ = draw_regression(50, generator)
    residuals = (targets - mean).numpy()
    low, high = bt.conformal_intervals(mean, std, targets, new_mean, new_std, level=level)
    reference = ConformalRegressor().fit(residuals, sigmas=std.numpy())
    expected = reference.predict_int(new_mean.numpy(), sigmas=new_std.numpy(), confidence=level)
    np.testing.assert_allclose(torch.stack([low, high], 1), expected, rtol=1e-12)
    plain = ConformalRegressor().fit(residuals)
    expected = plain.predict_int(new_mean.numpy(), confidence=level)
    for constant in (1.0, 0.01):  # whatever it is
        ends = bt.conformal_intervals(mean, constant, targets, new_mean, constant, level=level)
        np.testing.assert_allclose(torch.stack(ends, 1), expected, rtol=1e-12)


def hits_by_calibration_set(kind, *, sets_of_data, n, m, level):
    """How many of m new data are covered, for many calibration sets of n."""
    generator = torch.Generator().manual_seed(3)
    hits = []
    for _ in range(sets_of_data):
        if kind == "intervals":
            mean, std, targets = draw_regression(n + m, generator)
            low, high = bt.conformal_intervals(
                mean[:n], std[:n], targets[:n], mean[n:], std[n:], level=level
            )
            hits.append(((low <= targets[n:]) & (targets[n:] <= high)).sum())
        else:
            p, labels = draw_classes(n + m, generator)
            sets = bt.conformal_sets(p[:n], labels[:n], p[n:], level=level, score=kind)
            hits.append(covered(sets, labels[n:]).sum())
    return torch.stack(hits)


def beta_binomial(hits, total, a, b):
    """The probability of so many hits among ``total``, for integers a and b.

    It counts how the ranks of ``total`` new scores can lie among a + b - 1 known ones.
    """
    below, above = math.comb(hits + a - 1, hits), math.comb(total - hits + b - 1, total - hits)
    return below * above / math.comb(total + a + b - 1, total)


@pytest.mark.parametrize("kind", ["probability", "intervals"])
def test_coverage_has_the_beta_binomial_distribution_over_calibration_sets(kind):
    n, m, level, repeats = 23, 10, 0.8, 4000
    hits = hits_by_calibration_set(kind, sets_of_data=repeats, n=n, m=m, level=level)
    rank = math.ceil((n + 1) * level)  # 20 of 24: between level and level + 1 / (n + 1)
    mean = m * rank / (n + 1)
    assert level <= mean / m <= level + 1 / (n + 1)
    assert_mean(hits, mean)
    observed = torch.bincount(hits, minlength=m + 1).double() / repeats
    expected = torch.tensor([beta_binomial(j, m, rank, n + 1 - rank) for j in range(m + 1)])
    error = (expected * (1 - expected) / repeats).sqrt()
    assert ((observed - expected).abs() <= STANDARD_ERRORS * error + 1 / repeats).all()


def test_ties_and_adaptive_sets_cover_at_least_the_level():
    n, m, level, repeats = 23, 10, 0.8, 1000
    hits = hits_by_calibration_set("adaptive", sets_of_data=repeats, n=n, m=m, level=level)
    rank = math.ceil((n + 1) * level)
    error = hits.double().std().item() / repeats**0.5
    assert hits.double().mean().item() >= m * rank / (n + 1) - STANDARD_ERRORS * error
    # Everything tied: each set holds all classes that score as the tied one does.
    halves = torch.full((30, 2), 0.5)
    for score in ("probability", "adaptive"):
        sets = bt.conformal_sets(halves, torch.zeros(30).long(), halves, level=0.5, score=score)
        assert sets[:, 0].all()


def test_an_adaptive_set_is_never_empty_and_one_by_probability_may_be():
    generator = torch.Generator().manual_seed(4)
    sure = torch.tensor([[0.99, 0.01]]).repeat(50, 1)
    labels = torch.zeros(50).long()
    doubtful = torch.tensor([[0.6, 0.4]])
    assert not bt.conformal_sets(sure, labels, doubtful, level=0.8).any()
    assert bt.conformal_sets(sure, labels, doubtful, level=0.8, score="adaptive").tolist() == [
        [True, False]
    ]
    known, labels = draw_classes(60, generator)
    new, _ = draw_classes(1000, generator)
    for level in (0.01, 0.5, 0.9):
        sets = bt.conformal_sets(known, labels, new, level=level, score="adaptive")
        assert sets.gather(1, new.argmax(-1, keepdim=True)).all()


def test_class_conditional_sets_cover_each_class_and_plain_ones_only_on_average():
    generator = torch.Generator().manual_seed(5)
    # Class 2 is rare, and the classifier seldom believes in it.
    prior = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)

    def draw(count):
        labels = torch.multinomial(prior, count, replacement=True, generator=generator)
        logits = torch.randn(count, 3, generator=generator, dtype=torch.float64)
        logits += 2 * torch.nn.functional.one_hot(labels, 3)
        return (logits + 2 * prior.log()).softmax(-1), labels

    known, labels = draw(4000)
    new, truth = draw(40_000)
    # Given the calibration set, coverage is Beta(k, n + 1 - k) of a class's n: within 5 deviations.
    plain = covered(bt.conformal_sets(known, labels, new), truth).double()
    per_class = covered(
        bt.conformal_sets(known, labels, new, class_conditional=True), truth
    ).double()
    assert abs(plain.mean() - 0.9) < 5 * (0.9 * 0.1 * (1 / 4000 + 1 / 40_000)) ** 0.5
    assert plain[truth == 2].mean() < 0.7
    for label in range(3):
        n, m = (labels == label).sum(), (truth == label).sum()
        error = (0.9 * 0.1 * (1 / n + 1 / m)) ** 0.5
        assert abs(per_class[truth == label].mean() - 0.9) < 5 * error


def test_coverage_fails_where_new_data_are_not_exchangeable():
    generator = torch.Generator().manual_seed(6)
    known, labels = draw_classes(2000, generator)
    new, truth = draw_classes(2000, generator)
    shifted = covered(bt.conformal_sets(known, labels, new), (truth + 1) % 4)
    assert shifted.double().mean() < 0.6


def test_too_few_calibration_data_give_whole_sets_and_infinite_intervals():
    known, new = torch.tensor([[0.9, 0.1]]).repeat(8, 1), torch.tensor([[0.9, 0.1]])
    labels = torch.zeros(8).long()
    assert bt.conformal_sets(known, labels, new, level=0.9).all()
    assert bt.conformal_sets(known[:0], labels[:0], new, level=0.1).all()
    # Nine of class 0 are enough for 0.9; of class 1 there is none.
    enough = known[:1].repeat(9, 1)
    sets = bt.conformal_sets(enough, torch.zeros(9).long(), new, level=0.9, class_conditional=True)
    assert sets.tolist() == [[True, True]]
    sure = torch.tensor([[0.1, 0.9]])
    sets = bt.conformal_sets(enough, torch.zeros(9).long(), sure, level=0.9, class_conditional=True)
    assert sets.tolist() == [[False, True]]
    low, high = bt.conformal_intervals(torch.zeros(8), 1.0, torch.ones(8), torch.zeros(2, 1), 0.5)
    assert low.tolist() == [[-math.inf]] * 2
    assert high.tolist() == [[math.inf]] * 2


@pytest.mark.parametrize("class_conditional", [False, True])
@pytest.mark.parametrize("score", ["probability", "adaptive"])
def test_one_class_and_no_new_datum(score, class_conditional):
    ones, labels = torch.ones(20, 1), torch.zeros(20, dtype=torch.int32)
    options = {"score": score, "class_conditional": class_conditional}
    assert bt.conformal_sets(ones, labels, torch.ones(3, 1), **options).tolist() == [[True]] * 3
    empty = bt.conformal_sets(ones, labels, torch.ones(0, 1), **options)
    assert empty.shape == (0, 1)
    assert empty.dtype == torch.bool
    low, high = bt.conformal_intervals(ones, 1.0, ones, torch.zeros(0, 1), 1.0)
    assert low.shape == high.shape == (0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_keep_dtype_and_certain_predictions_are_no_trouble(dtype):
    certain = torch.eye(3, dtype=dtype)
    labels = torch.arange(3)
    for score in ("probability", "adaptive"):
        sets = bt.conformal_sets(certain, labels, certain, level=0.5, score=score)
        assert sets.tolist() == torch.eye(3).bool().tolist()
    exact = torch.zeros(9, dtype=dtype)
    low, high = bt.conformal_intervals(exact, 1.0, exact, exact[:1], 1.0)
    assert low.dtype == dtype
    assert (low.item(), high.item()) == (0.0, 0.0)


HALVES, LABELS = torch.full((2, 2), 0.5), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((torch.ones(2), LABELS, HALVES), {}, ValueError, r"calibration_probabilities .*\(2,\)"),
        ((HALVES, LABELS, 2 * HALVES), {}, ValueError, "^probabilities: .* softmax"),
        ((HALVES * torch.nan, LABELS, HALVES), {}, ValueError, "calibration_probabilities: "),
        ((torch.tensor([[1.5, -0.5]]), LABELS[:1], HALVES), {}, ValueError, "0 or more"),
        ((HALVES, LABELS[:1], HALVES), {}, ValueError, r"calibration_labels \(1,\)"),
        ((HALVES, LABELS, torch.ones(2, 1)), {}, ValueError, r"probabilities \(2, 1\)"),
        ((HALVES, LABELS.float(), HALVES), {}, ValueError, "torch.float32: expected labels as"),
        ((HALVES, LABELS + 1, HALVES), {}, ValueError, "label 2: expected 0 to 1"),
        ((HALVES, LABELS, HALVES), {"level": 1.0}, ValueError, "level=1.0"),
        ((HALVES, LABELS, HALVES), {"level": math.nan}, ValueError, "level=nan"),
        ((HALVES, LABELS, HALVES), {"score": "margin"}, ValueError, "score='margin'"),
    ],
)
def test_wrong_arguments_of_sets_are_errors(arguments, options, error, words):
    with pytest.raises(error, match=words):
        bt.conformal_sets(*arguments, **options)


ONE = torch.ones(2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.ones(2, 2), 1.0, torch.ones(2, 2), ONE, 1.0), r"calibration_mean .*\(2, 2\)"),
        ((ONE, 1.0, torch.ones(2, 1), ONE, 1.0), r"calibration_targets have shape \(2, 1\)"),
        ((ONE, ONE[:1], ONE, ONE, 1.0), r"calibration_std has shape \(1,\)"),
        ((ONE, 1.0, ONE, ONE, 0.0), "^std: expected positive"),
        ((ONE, math.inf, ONE, ONE, 1.0), "calibration_std: expected positive finite"),
        ((ONE, 1.0, ONE * math.nan, ONE, 1.0), "calibration_targets: expected finite"),
        ((ONE, 1.0, ONE, ONE * math.inf, 1.0), "^mean: expected finite"),
    ],
)
def test_wrong_arguments_of_intervals_are_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        bt.conformal_intervals(*arguments)


def test_wrong_scores_are_errors():
    with pytest.raises(ValueError, match=r"shape \(2, 1\)"):
        bt.conformal_quantile(torch.zeros(2, 1), 0.9)
    with pytest.raises(ValueError, match="1 NaN"):
        bt.conformal_quantile(torch.tensor([0.0, math.nan]), 0.9)
    with pytest.raises(TypeError, match=r"torch\.int64"):
        bt.conformal_quantile(torch.tensor([1, 2]), 0.9)
