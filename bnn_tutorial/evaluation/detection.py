"""Does a score tell foreign data from the model's own: measures of scores, with intervals.

Explained in the chapter "Unfamiliar inputs"; ``doubt.py`` has the scores. Everywhere a high score
means foreign, "in" is the model's own data and "out" the foreign, and to call a datum foreign is
the positive decision.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_counts


@dataclass(frozen=True)
class Interval:
    """A number, ``value``, and its interval from ``low`` to ``high``.

    Example:
        >>> import bnn_tutorial as bt
        >>> bt.Interval(value=0.5, low=0.4, high=0.6)
        Interval(value=0.5, low=0.4, high=0.6)
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Detection:
    """How well a score tells foreign data from the model's own, each an :class:`Interval`.

    ``auroc``, ``average_precision`` and ``false_positive_rate``, the last at a true-positive rate
    of 95 %, are what the functions of these names return.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> found = bt.measure_detection(torch.zeros(30), torch.ones(30))
        >>> found.auroc.value, found.average_precision.value, found.false_positive_rate.value
        (1.0, 1.0, 0.0)
    """

    auroc: Interval
    average_precision: Interval
    false_positive_rate: Interval


def measure_detection(
    scores_in: Tensor,
    scores_out: Tensor,
    *,
    level: float = 0.95,
    num_resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> Detection:
    r"""Measure how well a score tells foreign data (high) from the model's own (low).

    The measures are :func:`auroc`, :func:`average_precision` and :func:`false_positive_rate`, the
    last at a true-positive rate of 95 %. The intervals are bootstrap percentiles: both sets are
    drawn anew with replacement, each by itself, and the measures are computed again,

    .. math:: \left[ q_{(1-\ell)/2},\ q_{(1+\ell)/2} \right] \text{ of } m(s^{\text{in}\,*},
        s^{\text{out}\,*})

    They say how far the measures would move with other data of the same two kinds, of one trained
    network. How far they move with another training, other seeds say. Where all resamples tell the
    two apart without a mistake, the interval has no width, and claims too much.

    Args:
        scores_in: of the model's own data, shape (N,).
        scores_out: of the foreign data, shape (M,).
        level: :math:`\ell`, the share of the resamples inside the interval, between 0 and 1.
        num_resamples: how often the data are drawn anew.
        generator: of the resampling; None means torch's global generator.

    Raises:
        ValueError: one of them is not one-dimensional, is empty or holds NaN, ``level`` is outside
            (0, 1), or ``num_resamples`` is below 1.

    Source: Efron and Tibshirani (1993) for the bootstrap.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> generator = torch.Generator().manual_seed(0)
        >>> scores_in = torch.randn(200, generator=generator)
        >>> scores_out = torch.randn(200, generator=generator) + 1.5
        >>> found = bt.measure_detection(scores_in, scores_out)
        >>> found.auroc.low < found.auroc.value < found.auroc.high
        True
    """
    require_scores(scores_in, scores_out)
    require_counts(num_resamples=num_resamples)
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: expected a number between 0 and 1")
    rank_in, rank_out, num_ranks = _ranks(scores_in, scores_out)
    measures = (_auroc, _average_precision, _false_positive_rate)
    resampled = torch.empty(len(measures), num_resamples, dtype=torch.float64)
    for column in range(num_resamples):
        counts_in = _draw_anew(rank_in, num_ranks, generator)
        counts_out = _draw_anew(rank_out, num_ranks, generator)
        for row, measure in enumerate(measures):
            resampled[row, column] = measure(counts_in, counts_out)
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = resampled.quantile(ends, dim=1).tolist()
    counts_in = rank_in.bincount(minlength=num_ranks)
    counts_out = rank_out.bincount(minlength=num_ranks)
    values = [measure(counts_in, counts_out) for measure in measures]
    return Detection(*map(Interval, values, low, high))


def auroc(scores_in: Tensor, scores_out: Tensor) -> float:
    r"""Return how well a score tells out-of-distribution data (high) from the model's own (low).

    .. math:: \mathrm{AUROC} = \frac1{NM} \sum_{n,m} \mathbb 1[s^{\text{in}}_n < s^{\text{out}}_m]
        + \tfrac12\, \mathbb 1[s^{\text{in}}_n = s^{\text{out}}_m]

    The area under the receiver operating characteristic: the probability that a datum from outside
    scores above one from inside, ties counted half. 1 tells all apart, 0.5 none. It is computed
    exactly, from ranks, in O((N + M) log (N + M)). The usual score is the predictive entropy,
    ``doubt_scores(logits).entropy``.

    Args:
        scores_in: of the data that the model is for, shape (N,).
        scores_out: of the data that it is not for, shape (M,).

    Raises:
        ValueError: one of them is not one-dimensional, is empty or holds NaN.

    Source: Hanley and McNeil (1982); as a test of uncertainty, Hendrycks and Gimpel (2017).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> scores_in, scores_out = torch.tensor([0.1, 0.4]), torch.tensor([0.4, 0.9])
        >>> bt.auroc(scores_in, scores_out)  # (1 + 1 + 1/2 + 1) / 4
        0.875
    """
    return _measured(_auroc, scores_in, scores_out)


def average_precision(scores_in: Tensor, scores_out: Tensor) -> float:
    r"""Return the area under precision and recall of finding the foreign data, in steps.

    With the thresholds t at the scores themselves, from the highest down,

    .. math:: \mathrm{AUPR} = \sum_t (R_t - R_{t-1})\, P_t, \qquad
        P = \frac{\mathrm{TP}}{\mathrm{TP} + \mathrm{FP}}, \quad R = \frac{\mathrm{TP}}{M}

    It depends on how many foreign data there are: a score that knows nothing has M / (N + M).

    Arguments and errors are those of :func:`auroc`.

    Source: Davis and Goadrich (2006), who say why the points are joined by steps.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> scores_in, scores_out = torch.tensor([0.1, 0.5]), torch.tensor([0.4, 0.9])
        >>> print(f"{bt.average_precision(scores_in, scores_out):.3f}")  # (1 + 2/3) / 2
        0.833
    """
    return _measured(_average_precision, scores_in, scores_out)


def false_positive_rate(
    scores_in: Tensor, scores_out: Tensor, *, true_positive_rate: float = 0.95
) -> float:
    r"""Return the share of the model's own data that is called foreign so that most foreign is.

    With t the highest threshold that a share :math:`\beta` of the foreign data reaches,

    .. math:: \mathrm{FPR}_\beta = \frac1N \sum_n \mathbb 1[s^{\text{in}}_n \ge t], \qquad
        \frac1M \sum_m \mathbb 1[s^{\text{out}}_m \ge t] \ge \beta

    What it costs in false alarms to find 95 % of the foreign data. Some papers take the model's own
    data for the positive ones; theirs is ``false_positive_rate(-scores_out, -scores_in)``, the
    share of the foreign data that passes where 95 % of the model's own do.

    Args:
        scores_in: of the data that the model is for, shape (N,).
        scores_out: of the data that it is not for, shape (M,).
        true_positive_rate: :math:`\beta`, above 0 and at most 1.

    Raises:
        ValueError: one of them is not one-dimensional, is empty or holds NaN, or
            ``true_positive_rate`` is outside (0, 1].

    Source: Hendrycks et al. (2019); with the other choice of the positive, Liang et al. (2018).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> scores_in, scores_out = torch.tensor([0.1, 0.2, 0.3, 0.5]), torch.tensor([0.4, 0.9])
        >>> bt.false_positive_rate(scores_in, scores_out)
        0.25
    """
    if not 0 < true_positive_rate <= 1:
        raise ValueError(
            f"true_positive_rate={true_positive_rate!r}: expected above 0 and at most 1"
        )

    def measure(counts_in: Tensor, counts_out: Tensor) -> float:
        return _false_positive_rate(counts_in, counts_out, true_positive_rate)

    return _measured(measure, scores_in, scores_out)


def require_scores(scores_in: Tensor, scores_out: Tensor) -> None:
    for name, scores in (("scores_in", scores_in), ("scores_out", scores_out)):
        if scores.ndim != 1 or len(scores) == 0 or scores.isnan().any():
            raise ValueError(
                f"{name} have shape {tuple(scores.shape)} and {scores.isnan().sum().item()} NaN: "
                "expected one dimension, at least one score and no NaN"
            )


def _ranks(scores_in: Tensor, scores_out: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return each score's place among the distinct ones, from the lowest up, and their number."""
    distinct, ranks = torch.cat([scores_in, scores_out]).unique(return_inverse=True)
    return ranks[: len(scores_in)], ranks[len(scores_in) :], len(distinct)


def _draw_anew(ranks: Tensor, num_ranks: int, generator: torch.Generator | None) -> Tensor:
    """Return how often each rank occurs in a resample of ``ranks`` with replacement."""
    rows = torch.randint(len(ranks), ranks.shape, generator=generator, device=ranks.device)
    return ranks[rows].bincount(minlength=num_ranks)


def _measured(
    measure: Callable[[Tensor, Tensor], float], scores_in: Tensor, scores_out: Tensor
) -> float:
    require_scores(scores_in, scores_out)
    rank_in, rank_out, num_ranks = _ranks(scores_in, scores_out)
    return measure(rank_in.bincount(minlength=num_ranks), rank_out.bincount(minlength=num_ranks))


# The measures, each of how many data have each of the distinct scores, from the lowest score up.


def _auroc(counts_in: Tensor, counts_out: Tensor) -> float:
    # Integers to the last step: their sum is exact for any number of pairs below 2^62.
    twice_below = 2 * counts_in.cumsum(0) - counts_in
    pairs = counts_in.sum() * counts_out.sum()
    return (counts_out * twice_below).sum().item() / (2 * pairs.item())


def _average_precision(counts_in: Tensor, counts_out: Tensor) -> float:
    found = counts_out.flip(0).cumsum(0)
    called = found + counts_in.flip(0).cumsum(0)
    # A resample may lack the highest scores: there nothing is called foreign yet.
    precision = found.double() / called.clamp_min(1)
    return (counts_out.flip(0) * precision).sum().item() / found[-1].item()


def _false_positive_rate(
    counts_in: Tensor, counts_out: Tensor, true_positive_rate: float = 0.95
) -> float:
    found = counts_out.flip(0).cumsum(0)
    alarms = counts_in.flip(0).cumsum(0)
    enough = found.double() / found[-1] >= true_positive_rate
    return alarms[enough][0].item() / alarms[-1].item()
