"""Sets and intervals that hold the truth as often as they say: split conformal prediction.

Explained in the chapter "Conformal prediction".
"""

import math
from typing import Literal

import torch
from torch import Tensor

from bnn_tutorial.tensor_checks import require_finite, require_labels, require_probabilities


def conformal_quantile(scores: Tensor, level: float) -> Tensor:
    r"""Return the bound that a new score stays below with probability ``level`` or more.

    .. math:: \hat q = s_{(k)}, \qquad k = \lceil (n + 1)\, \mathrm{level} \rceil

    the k-th smallest of the n scores of a calibration set. If a new datum is exchangeable with
    theirs, its score is equally likely to fall into each of the n + 1 gaps between them:

    .. math:: \mathrm{level} \le \Pr(s_{n+1} \le \hat q) = \frac{k}{n + 1}
        < \mathrm{level} + \frac{1}{n + 1}

    without ties; with ties the probability may be larger. It is an average over calibration sets
    and new data. With one calibration set at hand, the share of new data that it covers is a draw
    from :math:`\mathrm{Beta}(k, n + 1 - k)`.

    Args:
        scores: one score a calibration datum, shape (n,); larger is stranger.
        level: the probability asked for, between 0 and 1.

    Returns:
        The bound, a tensor without dimensions. It is infinite if k > n, as n is then too small to
        promise ``level`` and only a set that holds everything keeps the promise.

    Raises:
        ValueError: ``scores`` do not have one dimension or hold NaN, or ``level`` is not between 0
            and 1.
        TypeError: ``scores`` are not of floating point.

    Source: Vovk et al. (2005); the upper bound, Lei et al. (2018); the beta distribution,
    Angelopoulos and Bates (2023).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> scores = torch.arange(1.0, 20.0)  # 1, 2, ..., 19
        >>> bt.conformal_quantile(scores, 0.9).item()  # the 18th of 19, as 20 x 0.9 = 18
        18.0
        >>> bt.conformal_quantile(scores, 0.99).item()
        inf
    """
    if scores.ndim != 1 or scores.isnan().any():
        raise ValueError(
            f"scores have shape {tuple(scores.shape)} and {scores.isnan().sum().item()} NaN: "
            "expected one dimension and no NaN"
        )
    if not scores.is_floating_point():
        raise TypeError(f"scores are {scores.dtype}: expected floating point")
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: expected a number between 0 and 1, neither of them")
    # In floating point 100 x 0.07 lies above 7: rounded up as it is, it would make k = 8.
    rank = max(1, math.ceil((len(scores) + 1) * level - 1e-9))
    if rank > len(scores):
        return scores.new_tensor(math.inf)
    return scores.kthvalue(rank).values


def conformal_sets(
    calibration_probabilities: Tensor,
    calibration_labels: Tensor,
    probabilities: Tensor,
    *,
    level: float = 0.9,
    score: Literal["probability", "adaptive"] = "probability",
    class_conditional: bool = False,
) -> Tensor:
    r"""Return for each row of ``probabilities`` the set of classes that a level asks for.

    .. math:: C(x) = \{ y : s(x, y) \le \hat q \}

    with :math:`\hat q` the :func:`conformal_quantile` of the scores :math:`s(x_n, y_n)` of the
    calibration data, which no part of the classifier may have seen. If they and the new data are
    exchangeable, the sets hold the true class with a probability of ``level`` or more, on average
    over calibration sets and inputs, however poor the classifier. That is no promise for one kind
    of input, and none for data from elsewhere.

    Two scores of a class y with the probability :math:`p_y`:

    - ``"probability"``: :math:`s = 1 - p_y`. These sets are the smallest on average if the
      probabilities are right; where no class is probable enough the set is empty. Source: Sadinle
      et al. (2019).
    - ``"adaptive"``: :math:`s = \sum_k p_k \mathbb 1[p_k > p_y]`, the probability of the classes
      before y. The set takes the likeliest classes until they pass :math:`\hat q` together: one
      class where the classifier is sure, several where it is not, never none. Source: Romano et al.
      (2020), here without their random number, so that an input has the same set every time. For
      that, a set covers more than asked wherever the likeliest class is right more often than
      ``level``: the scores are then tied at 0.

    Args:
        calibration_probabilities: predictive probabilities of the calibration data, shape (N, C).
        calibration_labels: their true classes, integers of shape (N,).
        probabilities: of new data, shape (M, C).
        level: the coverage asked for, between 0 and 1.
        score: how strange a class is for an input.
        class_conditional: whether each class has a quantile of its own, from its own calibration
            data, which promises ``level`` for the data of each class (Mondrian). Source: Vovk et
            al. (2005).

    Returns:
        Which classes are in each set, bool, shape (M, C). With too few calibration data for
        ``level``, or none, every set holds all classes; if class-conditional, it holds each class
        that has too few.

    Raises:
        ValueError: the shapes do not fit, a row is not a distribution, a label is no class,
            ``level`` is not between 0 and 1, or there is no such ``score``.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> known = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
        >>> labels = torch.tensor([0, 0, 1, 1])  # scores 0.1, 0.2, 0.3 and 0.6
        >>> new = torch.tensor([[0.95, 0.05], [0.55, 0.45]])
        >>> bt.conformal_sets(known, labels, new, level=0.8)  # the 4th: p must reach 0.4
        tensor([[ True, False],
                [ True,  True]])
    """
    for name, rows in (
        ("calibration_probabilities", calibration_probabilities),
        ("probabilities", probabilities),
    ):
        if rows.ndim != 2:
            raise ValueError(f"{name} have shape {tuple(rows.shape)}: expected (N, C), C >= 1")
        require_probabilities(**{name: rows})
    num_classes = probabilities.shape[1]
    if (
        calibration_probabilities.shape[1] != num_classes
        or calibration_labels.shape != calibration_probabilities.shape[:1]
    ):
        raise ValueError(
            f"calibration_probabilities have shape {tuple(calibration_probabilities.shape)}, "
            f"calibration_labels {tuple(calibration_labels.shape)}, probabilities "
            f"{tuple(probabilities.shape)}: expected (N, C), (N,) and (M, C)"
        )
    require_labels(
        "calibration_labels", calibration_labels, num_classes, (len(calibration_labels),)
    )
    calibration_scores = (
        _class_scores(calibration_probabilities, score)
        .gather(1, calibration_labels.long().unsqueeze(1))
        .squeeze(1)
    )
    if class_conditional:
        bounds = [
            conformal_quantile(calibration_scores[calibration_labels == label], level)
            for label in range(num_classes)
        ]
        bound = torch.stack(bounds)
    else:
        bound = conformal_quantile(calibration_scores, level)
    return _class_scores(probabilities, score) <= bound


def conformal_intervals(
    calibration_mean: Tensor,
    calibration_std: Tensor | float,
    calibration_targets: Tensor,
    mean: Tensor,
    std: Tensor | float,
    *,
    level: float = 0.9,
) -> tuple[Tensor, Tensor]:
    r"""Return for each prediction the interval that a level asks for, symmetric about its mean.

    .. math:: C(x) = [\, m(x) - \hat q\, s(x),\; m(x) + \hat q\, s(x) \,]

    with :math:`\hat q` the :func:`conformal_quantile` of the scores :math:`|y_n - m(x_n)| / s(x_n)`
    of calibration data that no part of the predictor has seen. If they and the new data are
    exchangeable, the intervals hold the target with a probability of ``level`` or more, on average
    over calibration sets and inputs, whatever m and s. How wide each interval is depends on s: a
    good s makes them wide where the target is hard to predict, a constant makes all equally wide.

    Args:
        calibration_mean: m, the predictions for the calibration data, shape (N,) or (N, 1).
        calibration_std: s, their standard deviations, in units of the target: a tensor of that
            shape, or one number for all.
        calibration_targets: y, of that shape too.
        mean: predictions for new data, shape (M,) or (M, 1).
        std: their standard deviations, a tensor of that shape or one number.
        level: the coverage asked for, between 0 and 1.

    Returns:
        The lower and the upper ends, each of the shape of ``mean``. With too few calibration data
        for ``level``, or none, they are infinite.

    Raises:
        ValueError: the shapes do not fit, a value is not finite, a standard deviation is not
            positive, or ``level`` is not between 0 and 1.

    Source: Lei et al. (2018), section 5.2.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> targets = torch.tensor([1.0, -2.0, 3.0, -4.0])
        >>> mean, std = torch.zeros(4), torch.tensor([1.0, 1.0, 2.0, 2.0])  # scores 1, 2, 1.5, 2
        >>> low, high = bt.conformal_intervals(
        ...     mean, std, targets, torch.tensor([10.0]), torch.tensor([0.5]), level=0.8
        ... )
        >>> low.item(), high.item()
        (9.0, 11.0)
    """
    calibration_std = _require_predictions(
        calibration_mean, calibration_std, "calibration_mean", "calibration_std"
    )
    std = _require_predictions(mean, std, "mean", "std")
    if calibration_targets.shape != calibration_mean.shape:
        raise ValueError(
            f"calibration_targets have shape {tuple(calibration_targets.shape)}, calibration_mean "
            f"{tuple(calibration_mean.shape)}: expected equal shapes"
        )
    require_finite(calibration_targets=calibration_targets)
    scores = (calibration_targets - calibration_mean).abs() / calibration_std
    reach = conformal_quantile(scores.flatten(), level) * std
    return mean - reach, mean + reach


def _class_scores(probabilities: Tensor, score: str) -> Tensor:
    """Return the score of every class of every row, shape (N, C)."""
    if score == "probability":
        return 1 - probabilities
    if score == "adaptive":
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        return torch.zeros_like(probabilities).scatter(-1, order, ordered.cumsum(-1) - ordered)
    raise ValueError(f"score={score!r}: expected 'probability' or 'adaptive'")


def _require_predictions(
    mean: Tensor, std: Tensor | float, mean_name: str, std_name: str
) -> Tensor:
    """Return the standard deviations in the shape of the means, after a check of both."""
    if mean.ndim not in (1, 2) or (mean.ndim == 2 and mean.shape[1] != 1):
        raise ValueError(f"{mean_name} has shape {tuple(mean.shape)}: expected (N,) or (N, 1)")
    std = torch.as_tensor(std, dtype=mean.dtype, device=mean.device)
    if std.ndim > 0 and std.shape != mean.shape:
        raise ValueError(
            f"{std_name} has shape {tuple(std.shape)}, {mean_name} {tuple(mean.shape)}: expected "
            "equal shapes, or one number"
        )
    if not (std > 0).all() or not std.isfinite().all():
        raise ValueError(f"{std_name}: expected positive finite values")
    require_finite(**{mean_name: mean})
    return std.broadcast_to(mean.shape)
