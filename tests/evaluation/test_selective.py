import math

import pytest
import torch

import bnn_tutorial as bt


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def doubtful_errors(size, seed=0):
    """Doubt s uniform on [0, 1], and an error with probability s / 2: the risk below t is t / 4."""
    generator = seeded(seed)
    doubt = torch.rand(size, generator=generator, dtype=torch.float64)
    return doubt, (torch.rand(size, generator=generator) < doubt / 2).double()


# Risk against coverage


def test_curve_of_a_small_case_by_hand():
    doubt, losses = torch.tensor([0.4, 0.1, 0.3, 0.2]), torch.tensor([4.0, 1.0, 0.0, 2.0])
    curve = bt.risk_coverage(doubt, losses)
    torch.testing.assert_close(curve.coverage, torch.tensor([0.25, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(curve.risk, torch.tensor([1.0, 1.5, 1.0, 1.75]))
    assert curve.area == pytest.approx((1 + 1.5 + 1 + 1.75) / 4)


def test_equal_doubts_count_with_the_mean_over_their_orders():
    doubt = torch.tensor([0.0, 1.0, 1.0, 1.0, 2.0])
    losses = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0])
    orders = [
        bt.risk_coverage(torch.arange(5.0), losses[torch.tensor([0, *order, 4])]).risk
        for order in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1))
    ]
    expected = torch.stack(orders).mean(0)
    torch.testing.assert_close(bt.risk_coverage(doubt, losses).risk, expected)


def test_curve_of_known_errors_is_a_line_and_its_area_an_eighth():
    """The risk at coverage c is c / 4, and the area under it 1 / 8."""
    curve = bt.risk_coverage(*doubtful_errors(100_000))
    for coverage in (0.2, 0.5, 1.0):
        at = round(coverage * 100_000) - 1
        error = math.sqrt(coverage / 4 * (1 - coverage / 4) / (at + 1))
        assert curve.risk[at].item() == pytest.approx(coverage / 4, abs=5 * error)
    assert curve.area == pytest.approx(1 / 8, abs=5 * 0.5 / math.sqrt(100_000))


def test_the_best_order_has_the_known_area_and_none_is_below_it():
    """With a share r of errors answered last, the area is r + (1 - r) log(1 - r)."""
    doubt, errors = doubtful_errors(100_000)
    share = errors.mean().item()
    best = bt.risk_coverage(errors, errors).area
    # Equal losses are as many ties as there can be, and change nothing here.
    assert best == pytest.approx(share + (1 - share) * math.log(1 - share), abs=1e-4)
    assert best < bt.risk_coverage(doubt, errors).area < bt.risk_coverage(-doubt, errors).area


def test_only_the_order_of_the_doubt_counts():
    doubt, errors = doubtful_errors(500)
    torch.testing.assert_close(
        bt.risk_coverage(doubt.log(), errors).risk, bt.risk_coverage(doubt, errors).risk
    )


# The threshold


def test_threshold_answers_most_with_few_enough_errors():
    doubt = torch.arange(100.0)
    errors = doubt >= 60
    # 60 right answers, and of the first 70 a seventh wrong; the next candidate is 75.
    assert bt.selective_threshold(doubt, errors, risk=0.15) == 70.0
    assert bt.selective_threshold(doubt, errors, risk=0.41) == math.inf
    assert bt.selective_threshold(-doubt, errors, risk=0.15) == -math.inf


def test_a_later_dip_below_the_risk_counts():
    doubt = torch.arange(100.0)
    errors = (doubt >= 20) & (doubt < 30)  # the risk rises to a third and falls to a tenth
    assert bt.selective_threshold(doubt, errors, risk=0.1) == math.inf


def test_the_promise_is_kept_where_the_plain_choice_often_breaks_the_wish():
    """The true risk below t is t / 4, or 1 / 4 in all."""
    wished, num_trials = 0.1, 200
    broken = {None: 0, 0.9: 0}
    coverage = dict.fromkeys(broken, 0.0)
    for trial in range(num_trials):
        doubt, errors = doubtful_errors(2000, seed=trial)
        for confidence in broken:
            threshold = bt.selective_threshold(doubt, errors, wished, confidence=confidence)
            broken[confidence] += min(threshold, 1.0) / 4 > wished
            coverage[confidence] += max(0.0, min(threshold, 1.0)) / num_trials
    assert broken[None] / num_trials > 0.2
    assert broken[0.9] / num_trials < 0.1
    # What it costs: the choice without a promise answers about 0.4, where the risk is 0.1.
    assert coverage[None] == pytest.approx(0.4, abs=0.05)
    assert 0.2 < coverage[0.9] < coverage[None]


def test_a_single_candidate_passes_a_true_risk_above_the_wished_as_seldom_as_promised():
    """Everything is answered or nothing: one binomial test at level 0.1."""
    num_trials, passed = 1000, 0
    generator = seeded()
    for _ in range(num_trials):
        errors = torch.rand(60, generator=generator) < 0.2
        threshold = bt.selective_threshold(
            torch.zeros(60), errors, 0.2, confidence=0.9, num_candidates=1
        )
        passed += threshold == math.inf
    # P(Binomial(60, 0.2) <= 7) = 0.066 is the highest tail below 0.1; at 8 it is 0.132.
    tail = sum(math.comb(60, k) * 0.2**k * 0.8 ** (60 - k) for k in range(8))
    assert tail < 0.1 < tail + math.comb(60, 8) * 0.2**8 * 0.8**52
    error = math.sqrt(tail * (1 - tail) / num_trials)
    assert passed / num_trials == pytest.approx(tail, abs=5 * error)


def test_the_promise_holds_over_all_candidates_where_doubt_knows_nothing():
    """Every threshold has the wished risk itself: any that passes breaks the promise."""
    num_trials, generator = 300, seeded()
    passed = 0
    for _ in range(num_trials):
        doubt = torch.rand(1000, generator=generator)
        errors = torch.rand(1000, generator=generator) < 0.2
        passed += bt.selective_threshold(doubt, errors, 0.2, confidence=0.9) > -math.inf
    assert passed / num_trials < 0.1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"risk": 0.0}, "risk=0.0"),
        ({"risk": 0.1, "confidence": 1.0}, "confidence=1.0"),
        ({"risk": 0.1, "num_candidates": 0}, "num_candidates=0"),
    ],
)
def test_wrong_wishes_are_errors(settings, words):
    with pytest.raises(ValueError, match=words):
        bt.selective_threshold(torch.zeros(3), torch.zeros(3), **settings)


def test_errors_between_0_and_1_are_errors():
    with pytest.raises(ValueError, match="errors: expected 0 or 1"):
        bt.selective_threshold(torch.zeros(2), torch.tensor([0.5, 1.0]), risk=0.1)


# What the threshold gives


def test_risk_and_coverage_below_a_threshold_with_errors_that_tell_their_spread():
    found = [bt.selective_risk(*doubtful_errors(300, seed), 0.6) for seed in range(300)]
    for name, truth in (("coverage", 0.6), ("risk", 0.15)):
        values = torch.tensor([getattr(one, name) for one in found], dtype=torch.float64)
        stated = torch.tensor([getattr(one, f"{name}_error") for one in found]).mean().item()
        assert values.mean().item() == pytest.approx(truth, abs=5 * stated / math.sqrt(300))
        assert values.std().item() == pytest.approx(stated, rel=5 / math.sqrt(2 * 300))


def test_a_threshold_that_lets_nothing_pass_has_no_risk():
    found = bt.selective_risk(torch.zeros(3), torch.ones(3), -math.inf)
    assert found.coverage == found.num_answers == 0
    assert math.isnan(found.risk)
    assert math.isnan(found.risk_error)


FUNCTIONS = {
    "risk_coverage": bt.risk_coverage,
    "selective_threshold": lambda doubt, losses: bt.selective_threshold(doubt, losses, 0.1),
    "selective_risk": lambda doubt, losses: bt.selective_risk(doubt, losses, 0.5),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("doubt", "losses"),
    [
        (torch.zeros(2, 1), torch.zeros(2, 1)),
        (torch.zeros(2), torch.zeros(3)),
        (torch.zeros(0), torch.zeros(0)),
    ],
)
def test_doubt_and_losses_that_do_not_fit_are_errors(name, doubt, losses):
    with pytest.raises(ValueError, match="doubt has shape"):
        FUNCTIONS[name](doubt, losses)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_is_an_error(name):
    wrong = torch.tensor([0.0, torch.nan])
    for arguments in ((wrong, torch.zeros(2)), (torch.zeros(2), wrong)):
        with pytest.raises(ValueError, match="hold NaN"):
            FUNCTIONS[name](*arguments)
