"""What to do, given a prediction and what each mistake costs.

Explained in the chapter "Decisions".
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bnn_tutorial.tensor_checks import require_finite, require_probabilities


@dataclass(frozen=True)
class Decision:
    """The action of least expected cost for each of N predictions, both fields of shape (N,).

    ``action`` is its index, ``expected_cost`` what it costs on average if the predictive
    distribution is right, in the units of the costs.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> decision = bt.Decision(torch.tensor([0, 1]), torch.tensor([0.5, 1.0]))
        >>> decision.expected_cost.sum().item()  # what the two are expected to cost together
        1.5
    """

    action: Tensor
    expected_cost: Tensor


def decide(probabilities: Tensor, costs: Tensor) -> Decision:
    r"""Return the action of least expected cost under class probabilities.

    .. math:: a^* = \operatorname{arg\,min}_a \sum_c p_c\, C_{a c}

    Of actions that cost the same the first is taken. To ask somebody else is an action like any
    other: a row of the costs.

    Args:
        probabilities: p, averaged over the draws, shape (N, C).
        costs: C, shape (A, C): a row is an action, a column the true class.

    Raises:
        ValueError: the shapes don't fit, there is no action, a cost is not finite, or a row of
            ``probabilities`` is not a distribution.

    Source: Berger (1985); with a referral, Chow (1970).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> ill = torch.tensor([0.02, 0.30, 0.90])
        >>> # What it costs, for the well and for the ill, to send home, to treat, to refer.
        >>> costs = torch.tensor([[0.0, 20.0], [5.0, 0.0], [1.0, 1.0]])
        >>> bt.decide(torch.stack([1 - ill, ill], dim=1), costs).action.tolist()
        [0, 2, 1]
    """
    if probabilities.ndim != 2 or costs.ndim != 2 or probabilities.shape[1] != costs.shape[1]:
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}, costs {tuple(costs.shape)}: "
            "expected (N, C) and (A, C)"
        )
    if not (len(costs) and costs.isfinite().all()):
        raise ValueError(f"costs={costs.tolist()}: expected at least one row and finite numbers")
    require_probabilities(probabilities=probabilities)
    expected = probabilities @ costs.to(probabilities).T
    return _least(expected)


def decide_from_draws(
    draws: Tensor, actions: Tensor, cost: Callable[[Tensor, Tensor], Tensor]
) -> Decision:
    r"""Return the action of least expected cost under draws of a continuous outcome.

    .. math:: a^* = \operatorname{arg\,min}_a \frac1S \sum_s C(a, y_s)

    Of actions that cost the same the first is taken.

    Args:
        draws: y, of the predictive distribution, shape (S, N): with the noise in them, not the
            network's means alone.
        actions: the numbers to choose from, shape (A,).
        cost: C; called with one action and all draws, it returns a cost for each draw.

    Returns:
        The decision, whose ``action`` is a place in ``actions``.

    Raises:
        ValueError: ``draws`` is not finite and (S, N) with S of 1 or more, ``actions`` is not (A,)
            with A of 1 or more, or an expected cost is not finite.

    Source: Berger (1985).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> demand = torch.arange(1.0, 101.0)[:, None]  # any of 1 to 100 loaves, equally likely
        >>> def cost(baked, asked):  # a loaf too many costs 1, one too few 3
        ...     return (baked - asked).clamp_min(0) + 3 * (asked - baked).clamp_min(0)
        >>> actions = torch.arange(0.0, 101.0)
        >>> actions[bt.decide_from_draws(demand, actions, cost).action].item()  # 3 / (1 + 3)
        75.0
    """
    if draws.ndim != 2 or len(draws) == 0:
        raise ValueError(f"draws have shape {tuple(draws.shape)}: expected (S, N), S >= 1")
    if actions.ndim != 1 or len(actions) == 0:
        raise ValueError(f"actions have shape {tuple(actions.shape)}: expected (A,), A >= 1")
    require_finite(draws=draws)
    # One action at a time: all at once would hold S times N times A costs.
    expected = torch.stack([cost(action, draws).mean(dim=0) for action in actions], dim=1)
    if not expected.isfinite().all():
        raise ValueError("cost: expected a finite mean over the draws for every action")
    return _least(expected)


def _least(expected: Tensor) -> Decision:
    """Return the first action of least expected cost, of costs (N, A)."""
    least, action = expected.min(dim=1)
    return Decision(action, least)
