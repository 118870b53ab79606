import math

import pytest
import torch
from torch.distributions import Normal

import bnn_tutorial as bt


def alarms(num_starts, num_in, num_out, generator, spread=0.0):
    """Scores of two alarms of the same data, the first with a shift of 1.5, the second of 1.

    Both see a datum's own part, and each adds noise; each start adds to the shifts.
    """
    shared = torch.randn(num_in, generator=generator), torch.randn(num_out, generator=generator)
    scores = []
    for shift in (1.5, 1.0):
        moved = shift + spread * torch.randn(num_starts, 1, generator=generator)
        for part, by in zip(shared, (0, moved), strict=True):
            noise = torch.randn(num_starts, len(part), generator=generator)
            scores.append(part + by + noise)
    return scores


def true_difference(spread=0.0):
    """Of a datum's own part, the noise and the starts' shift in the gap of foreign and own."""
    variance = torch.tensor(4 + spread**2)
    near, far = (Normal(0.0, 1.0).cdf(shift / variance.sqrt()) for shift in (1.0, 1.5))
    return (far - near).item()


def test_the_value_is_the_mean_difference_of_the_areas():
    scores = alarms(3, 41, 57, torch.Generator().manual_seed(0))
    own, foreign, other_own, other_foreign = scores
    pairs = (own, foreign), (other_own, other_foreign)
    areas = torch.tensor([list(map(bt.auroc, *pair)) for pair in pairs])
    found = bt.auroc_difference(*scores)
    assert found.value == pytest.approx((areas[0] - areas[1]).mean().item(), abs=1e-6)
    swapped = bt.auroc_difference(other_own, other_foreign, own, foreign)
    assert swapped.value == pytest.approx(-found.value)
    one = bt.auroc_difference(*(part[0] for part in scores))
    assert one.value == pytest.approx((areas[0] - areas[1])[0].item(), abs=1e-6)


def test_an_alarm_differs_from_itself_by_nothing_and_from_its_opposite_by_all():
    own, foreign = torch.arange(50.0), torch.arange(50.0) + 100
    same = bt.auroc_difference(own, foreign, own, foreign)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    opposite = bt.auroc_difference(own, foreign, -own, -foreign)
    assert (opposite.value, opposite.low, opposite.high) == (1, 1, 1)
    # Ties count half: an alarm that is always silent has an area of one half.
    silent = bt.auroc_difference(own, foreign, 0 * own, 0 * foreign)
    assert (silent.value, silent.low, silent.high) == (0.5, 0.5, 0.5)


def test_resamples_are_those_of_the_areas_computed_anew():
    generator = torch.Generator().manual_seed(0)
    scores = alarms(1, 30, 40, generator)
    found = bt.auroc_difference(*scores, num_resamples=4000, generator=generator)
    own, foreign, other_own, other_foreign = (part[0] for part in scores)
    anew = []
    for _ in range(1000):
        rows, columns = (torch.randint(n, (n,), generator=generator) for n in (30, 40))
        areas = bt.auroc(own[rows], foreign[columns])
        anew.append(areas - bt.auroc(other_own[rows], other_foreign[columns]))
    width = 2 * 1.96 * torch.tensor(anew).std()
    # A deviation from 1,000 draws has a relative error of 2 %, a quantile of 4,000 about as much.
    assert found.high - found.low == pytest.approx(width.item(), rel=0.15)


def test_paired_intervals_are_narrower_than_those_of_each_area_suggest():
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(300, generator=generator), 1 + torch.randn(300, generator=generator)
    other = [part + 0.2 * torch.randn(300, generator=generator) for part in shared]
    paired = bt.auroc_difference(*shared, *other, generator=generator)
    alone = [bt.measure_detection(*pair, generator=generator).auroc for pair in (shared, other)]
    unpaired = math.hypot(*(area.high - area.low for area in alone))
    assert paired.high - paired.low < unpaired / 2


def coverage(num_starts, spread, num_trials=400):
    """How often the interval at 90 % holds the truth, and the bounds of a binomial at 90 %."""
    generator = torch.Generator().manual_seed(0)
    truth, hits = true_difference(spread), 0
    for _ in range(num_trials):
        scores = alarms(num_starts, 60, 60, generator, spread)
        settings = {"level": 0.9, "num_resamples": 300, "generator": generator}
        found = bt.auroc_difference(*scores, **settings)
        hits += found.low < truth < found.high
    return hits / num_trials, 3 * math.sqrt(0.9 * 0.1 / num_trials)


def test_the_interval_of_one_start_covers_as_often_as_it_says():
    share, error = coverage(1, 0.0)
    assert share == pytest.approx(0.9, abs=error)


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_the_interval_over_starts_covers_at_least_as_often_as_it_says(spread):
    # Data and starts add, and what each start does to each datum is in both: never too narrow.
    share, error = coverage(3, spread)
    assert 0.9 - error < share <= 0.99


def test_without_error_of_the_data_starts_give_student_s_interval():
    differences = torch.tensor([0.1, 0.4, 0.2, 0.3])
    resampled = differences.mean().expand(200_000)
    generator = torch.Generator().manual_seed(0)
    found = bt.paired_interval(differences, resampled, level=0.8, generator=generator)
    # The 90 % quantile of Student's distribution with three degrees of freedom, from a table.
    half_width = 1.6377 * differences.std().item() / 2
    assert found.value == pytest.approx(0.25)
    assert found.high - 0.25 == pytest.approx(half_width, rel=0.02)
    assert 0.25 - found.low == pytest.approx(half_width, rel=0.02)


def test_a_wrong_argument_is_named():
    own, foreign = torch.zeros(2, 5), torch.zeros(2, 4)
    with pytest.raises(ValueError, match="expected equal shapes"):
        bt.auroc_difference(own, foreign, own[:, :3], foreign)
    with pytest.raises(ValueError, match=r"expected \(R, N\) and \(R, M\)"):
        bt.auroc_difference(own, foreign[:1], own, foreign[:1])
    with pytest.raises(ValueError, match="NaN"):
        bt.auroc_difference(own, foreign, own, foreign * math.nan)
    with pytest.raises(ValueError, match="level=1"):
        bt.auroc_difference(own, foreign, own, foreign, level=1)
    with pytest.raises(ValueError, match="num_resamples=0"):
        bt.auroc_difference(own, foreign, own, foreign, num_resamples=0)
    with pytest.raises(ValueError, match="differences has shape"):
        bt.paired_interval(torch.zeros(2, 2), torch.zeros(5))
    with pytest.raises(ValueError, match="resampled has shape"):
        bt.paired_interval(torch.zeros(2), torch.zeros(0))
