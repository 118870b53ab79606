import math

import pytest
import torch
from torch.distributions import Normal

import bnn_tutorial as bt


def two_classes(probability):
    return torch.stack([1 - probability, probability], dim=1)


@pytest.mark.parametrize("num_actions", [1, 2, 5])
def test_a_decision_is_the_cheapest_row_by_brute_force(num_actions):
    generator = torch.Generator().manual_seed(num_actions)
    probabilities = torch.randn(40, 3, generator=generator).softmax(dim=1)
    costs = 10 * torch.randn(num_actions, 3, generator=generator)
    decision = bt.decide(probabilities, costs)
    for n, row in enumerate(probabilities.tolist()):
        sums = [sum(p * c for p, c in zip(row, of, strict=True)) for of in costs.tolist()]
        assert decision.action[n] == sums.index(min(sums))
        assert decision.expected_cost[n].item() == pytest.approx(min(sums), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(("false_alarm", "miss"), [(1.0, 1.0), (1.0, 19.0), (7.0, 0.5)])
def test_two_actions_have_one_threshold_the_share_of_the_false_alarm(false_alarm, miss):
    costs = torch.tensor([[0.0, miss], [false_alarm, 0.0]])
    threshold = false_alarm / (false_alarm + miss)
    probability = torch.linspace(0, 1, 1001)
    probability = probability[(probability - threshold).abs() > 1e-4]
    alarm = bt.decide(two_classes(probability), costs).action == 1
    assert torch.equal(alarm, probability > threshold)


@pytest.mark.parametrize("refer", [0.05, 0.3, 0.6])
def test_referral_follows_chows_rule(refer):
    """An answer is given where its probability is above 1 - refer / wrong."""
    generator = torch.Generator().manual_seed(0)
    probabilities = (3 * torch.randn(2000, 4, generator=generator)).softmax(dim=1)
    wrong = 2.0
    answers = wrong * (1 - torch.eye(4))
    costs = torch.cat([answers, torch.full((1, 4), wrong * refer)])
    decision = bt.decide(probabilities, costs)
    confidence, answer = probabilities.max(dim=1)
    referred = confidence < 1 - refer
    assert 0.01 < referred.float().mean() < 0.99
    assert torch.equal(decision.action, torch.where(referred, 4, answer))
    expected = wrong * torch.minimum(1 - confidence, torch.tensor(refer))
    torch.testing.assert_close(decision.expected_cost, expected, atol=1e-5, rtol=1e-5)


def test_the_first_of_equal_actions_is_taken():
    assert bt.decide(torch.tensor([[0.5, 0.5]]), torch.ones(3, 2)).action.tolist() == [0]


def test_the_promised_cost_is_the_paid_one_if_the_probabilities_are_right():
    generator = torch.Generator().manual_seed(3)
    probability = torch.rand(20_000, generator=generator)
    label = (torch.rand(20_000, generator=generator) < probability).long()
    costs = torch.tensor([[0.0, 20.0], [5.0, 0.0], [1.0, 1.0]])
    decision = bt.decide(two_classes(probability), costs)
    paid = costs[decision.action, label]
    error = paid.std().item() / math.sqrt(len(paid))
    promised = decision.expected_cost.mean().item()
    assert paid.mean().item() == pytest.approx(promised, abs=5 * error)
    others = [costs[action, label].mean() for action in range(3)]
    assert paid.mean() < min(others) - 5 * error


def test_a_squared_cost_is_least_at_the_mean_and_costs_the_variance():
    draws = torch.randn(500, 3, generator=torch.Generator().manual_seed(1)).double()
    actions = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    decision = bt.decide_from_draws(draws, actions, lambda a, y: (a - y).square())
    off = actions[decision.action] - draws.mean(dim=0)
    assert off.abs().max() <= 0.0005 + 1e-9
    excess = decision.expected_cost - draws.var(dim=0, correction=0)
    torch.testing.assert_close(excess, off.square())


@pytest.mark.parametrize(("over", "under"), [(1.0, 1.0), (1.0, 9.0), (4.0, 1.0)])
def test_a_pinball_cost_is_least_at_the_quantile_of_the_costs(over, under):
    def cost(action, outcome):
        return over * (action - outcome).clamp_min(0) + under * (outcome - action).clamp_min(0)

    # Evenly spread quantiles stand for the distribution with no Monte Carlo error.
    share = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    draws = Normal(2.0, 3.0).icdf(share)[:, None]
    actions = torch.linspace(-8, 12, 4001, dtype=torch.float64)
    chosen = actions[bt.decide_from_draws(draws, actions, cost).action].item()
    expected = Normal(2.0, 3.0).icdf(torch.tensor(under / (over + under))).item()
    assert chosen == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("probabilities", "costs", "message"),
    [
        (torch.ones(2), torch.ones(2, 2), r"probabilities have shape \(2,\), costs \(2, 2\)"),
        (torch.ones(2, 3) / 3, torch.ones(2, 2), r"expected \(N, C\) and \(A, C\)"),
        (torch.ones(2, 2), torch.ones(2, 2), "rows of 0 or more that sum to 1"),
        (torch.tensor([[1.5, -0.5]]), torch.ones(2, 2), "rows of 0 or more that sum to 1"),
        (torch.tensor([[math.nan, 1.0]]), torch.ones(2, 2), "rows of 0 or more"),
        (torch.ones(1, 2) / 2, torch.ones(0, 2), r"costs=\[\]: expected at least one row"),
        (torch.ones(1, 2) / 2, torch.tensor([[0.0, math.inf]]), r"costs=\[\[0.0, inf\]\]"),
    ],
)
def test_a_wrong_argument_of_decide_is_named(probabilities, costs, message):
    with pytest.raises(ValueError, match=message):
        bt.decide(probabilities, costs)


@pytest.mark.parametrize(
    ("draws", "actions", "message"),
    [
        (torch.ones(3), torch.ones(2), r"draws have shape \(3,\): expected \(S, N\)"),
        (torch.ones(0, 3), torch.ones(2), r"draws have shape \(0, 3\)"),
        (torch.ones(3, 1), torch.ones(0), r"actions have shape \(0,\): expected \(A,\)"),
        (torch.ones(3, 1), torch.ones(2, 1), r"actions have shape \(2, 1\)"),
        (torch.tensor([[math.nan]]), torch.ones(2), "draws: expected finite"),
    ],
)
def test_a_wrong_argument_of_decide_from_draws_is_named(draws, actions, message):
    with pytest.raises(ValueError, match=message):
        bt.decide_from_draws(draws, actions, lambda a, y: (a - y).square())


def test_a_cost_that_is_not_finite_is_named():
    with pytest.raises(ValueError, match="cost: expected a finite mean"):
        bt.decide_from_draws(torch.ones(3, 1), torch.ones(2), lambda a, y: y / 0)
