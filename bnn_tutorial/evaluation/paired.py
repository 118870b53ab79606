"""Is one predictor better than another: differences on the same data, with intervals.

Explained in the chapter "Unfamiliar inputs". Two predictors that see the same pictures err on many
of the same ones. The error of their difference is then smaller than their own errors suggest.
"""

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.evaluation.detection import Interval, require_scores


def paired_interval(
    differences: Tensor,
    resampled: Tensor,
    *,
    level: float = 0.95,
    generator: torch.Generator | None = None,
) -> Interval:
    r"""Return the mean difference of two predictors and its interval over data and starts.

    Each of R starts trains both predictors, and each start's pair is measured on the same data.
    With the differences :math:`d_r`, their mean :math:`\bar d`, the same mean
    :math:`\bar d_b^*` on a resample b of the data that all starts and both predictors share, and
    :math:`t_b` from Student's distribution with R - 1 degrees of freedom, the interval holds the
    middle share :math:`\ell` of

    .. math:: \bar d_b^* + t_b \sqrt{\frac{1}{R (R - 1)} \sum_{r=1}^R (d_r - \bar d)^2}

    So data and starts both count. Starts are few, and drawing them anew with replacement would make
    them agree too well: of three starts it finds two thirds of the variance. With one start
    there is no second term, and the interval speaks of these two trained predictors alone.

    Args:
        differences: d, shape (R,).
        resampled: the mean difference on each resample of the data, shape (B,).
        level: :math:`\ell`, between 0 and 1.
        generator: of :math:`t_b`; None means torch's global generator.

    Raises:
        ValueError: one of them is not one-dimensional, is empty or holds NaN, or ``level`` is
            outside (0, 1).

    Source: Efron and Tibshirani (1993) for the bootstrap.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> losses, others = torch.tensor([0.2, 0.1, 0.4, 0.3]), torch.tensor([0.5, 0.4, 0.6, 0.6])
        >>> rows = torch.randint(4, (1000, 4), generator=torch.Generator().manual_seed(0))
        >>> difference = others - losses  # on the same four data
        >>> found = bt.paired_interval(difference.mean()[None], difference[rows].mean(dim=1))
        >>> print(f"{found.value:.3f}, {found.low:.3f} to {found.high:.3f}")
        0.275, 0.225 to 0.300
    """
    for name, values in (("differences", differences), ("resampled", resampled)):
        if values.ndim != 1 or len(values) == 0 or values.isnan().any():
            raise ValueError(
                f"{name} has shape {tuple(values.shape)} and {values.isnan().sum().item()} NaN: "
                "expected one dimension, at least one value and no NaN"
            )
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: expected a number between 0 and 1")
    values, moved = differences.double(), resampled.double()
    if len(values) > 1:
        error = values.std() / len(values) ** 0.5
        moved = moved + error * _student(len(values) - 1, moved, generator)
    ends = moved.new_tensor([(1 - level) / 2, (1 + level) / 2])
    low, high = moved.quantile(ends).tolist()
    return Interval(values.mean().item(), low, high)


def _student(degrees: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return draws from Student's distribution, as many as ``like`` has values."""
    normal = like.new_empty(degrees + 1, len(like)).normal_(generator=generator)
    return normal[0] / normal[1:].square().mean(dim=0).sqrt()


def auroc_difference(
    scores_in: Tensor,
    scores_out: Tensor,
    other_in: Tensor,
    other_out: Tensor,
    *,
    level: float = 0.95,
    num_resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> Interval:
    r"""Return by how much one alarm's AUROC exceeds another's on the same data.

    Row r holds the scores of start r, and n and m count the same data for both alarms. With the
    share of pairs :math:`a_{nm}` in which the first alarm ranks the foreign datum above the model's
    own, ties counted half, the same share :math:`a'_{nm}` of the other alarm, both means over the
    starts, and :math:`w_n` and :math:`w_m` how often a resample draws each datum,

    .. math:: d^* = \frac{1}{NM} \sum_{n,m} w_n\, w_m\, (a_{nm} - a'_{nm})

    is the difference of AUROCs on that resample. :func:`paired_interval` adds the starts. It holds
    N times M numbers in memory.

    Args:
        scores_in: of the model's own data, shape (R, N), or (N,) of one start.
        scores_out: of the foreign data, shape (R, M) or (M,).
        other_in: the other alarm's scores of the same data, of the shape of ``scores_in``.
        other_out: of the shape of ``scores_out``.
        level: the share of the resamples inside the interval, between 0 and 1.
        num_resamples: how often the data are drawn anew.
        generator: of all randomness; None means torch's global generator.

    Raises:
        ValueError: the shapes don't fit, a score is NaN, ``level`` is outside (0, 1), or
            ``num_resamples`` is below 1.

    Source: Efron and Tibshirani (1993) for the bootstrap.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> generator = torch.Generator().manual_seed(0)
        >>> known, foreign = (torch.randn(200, generator=generator) + shift for shift in (0, 1.5))
        >>> noise = torch.randn(2, 200, generator=generator)  # what the second alarm adds
        >>> pair = known + noise[0], foreign + noise[1]
        >>> found = bt.auroc_difference(known, foreign, *pair, generator=generator)
        >>> found.low > 0
        True
    """
    require_counts(num_resamples=num_resamples)
    groups = [s[None] if s.ndim == 1 else s for s in (scores_in, scores_out, other_in, other_out)]
    own, foreign, other_own, other_foreign = groups
    if own.shape != other_own.shape or foreign.shape != other_foreign.shape:
        raise ValueError(
            f"the alarms have scores of shapes {tuple(own.shape)} and {tuple(other_own.shape)} "
            f"of the model's own data, {tuple(foreign.shape)} and {tuple(other_foreign.shape)} of "
            "foreign ones: expected equal shapes, since both see the same data"
        )
    if own.ndim != 2 or len(own) != len(foreign):
        raise ValueError(
            f"scores_in has shape {tuple(scores_in.shape)}, scores_out {tuple(scores_out.shape)}: "
            "expected (R, N) and (R, M) for R starts, or (N,) and (M,)"
        )
    shape = own.shape[1], foreign.shape[1]
    by_start, gain = [], torch.zeros(shape, dtype=torch.float64, device=own.device)
    for rows in zip(*groups, strict=True):
        require_scores(*rows[:2])
        require_scores(*rows[2:])
        won = _order(*rows[:2]) - _order(*rows[2:])  # twice the share that is won
        by_start.append(won.sum() / (2 * won.numel()))
        gain += won
    gain /= 2 * len(own)
    drawn = [_times_drawn(size, num_resamples, gain, generator) for size in gain.shape]
    resampled = ((drawn[0] @ gain) * drawn[1]).sum(dim=1) / gain.numel()
    return paired_interval(torch.stack(by_start), resampled, level=level, generator=generator)


def _order(scores_in: Tensor, scores_out: Tensor) -> Tensor:
    """Return 1 where the foreign datum scores above the own one, -1 below, 0 where they tie."""
    above, below = scores_in[:, None] < scores_out, scores_in[:, None] > scores_out
    return above.to(torch.int8) - below.to(torch.int8)


def _times_drawn(
    size: int, num_resamples: int, like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Return how often each of ``size`` data is in each resample, shape (num_resamples, size)."""
    rows = torch.randint(size, (num_resamples, size), generator=generator, device=like.device)
    return like.new_zeros(num_resamples, size).scatter_add_(
        1, rows, like.new_ones(1, 1).expand_as(rows)
    )
