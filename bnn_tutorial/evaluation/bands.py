"""Does a band hold: its audit against held-out points.

Explained in the chapter "Polynomial regression with 3-sigma bands".
"""

import math
from dataclasses import dataclass

from torch import Tensor

from bnn_tutorial.tensor_checks import require_finite


@dataclass(frozen=True)
class BandAudit:
    r"""How many of ``total`` held-out points lie outside a band of k standard deviations.

    ``nominal`` is the share that a Gaussian leaves outside, :math:`\mathrm{erfc}(k / \sqrt 2)`:
    0.27 % for k = 3.

    Example:
        >>> import bnn_tutorial as bt
        >>> print(bt.BandAudit(outside=30, total=1000, k=3.0))
        30 of 1000 held-out points outside the 3-sigma band: 3.00%, nominal 0.27%
    """

    outside: int
    total: int
    k: float

    @property
    def share(self) -> float:
        """The fraction of the points that lie outside."""
        return self.outside / self.total

    @property
    def nominal(self) -> float:
        """The fraction that would lie outside if the band told the truth."""
        return math.erfc(self.k / math.sqrt(2))

    def __str__(self) -> str:
        return (
            f"{self.outside} of {self.total} held-out points outside the {self.k:g}-sigma band: "
            f"{self.share:.2%}, nominal {self.nominal:.2%}"
        )


def audit_band(target: Tensor, low: Tensor, high: Tensor, *, k: float = 3.0) -> BandAudit:
    """Count the held-out targets outside the band from ``low`` to ``high``, all of one shape.

    Args:
        target: held-out observations.
        low: the band's lower edge at each of them.
        high: the band's upper edge.
        k: how many standard deviations the band claims to reach to each side.

    Raises:
        ValueError: the shapes differ, there is no point, one is not finite, or a lower edge lies
            above its upper one.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> target, mean = torch.tensor([0.0, 1.0, 2.0, 4.0]), torch.zeros(4)
        >>> audit = bt.audit_band(target, mean - 3.0, mean + 3.0)
        >>> audit.outside, audit.total, audit.share
        (1, 4, 0.25)
    """
    if not (target.shape == low.shape == high.shape):
        raise ValueError(
            f"target, low and high have shapes {tuple(target.shape)}, {tuple(low.shape)} and "
            f"{tuple(high.shape)}: expected equal shapes"
        )
    if target.numel() == 0:
        raise ValueError("target is empty: an audit needs at least one held-out point")
    require_finite(target=target)
    if not (low <= high).all():
        raise ValueError("low and high: expected low <= high at every point, without NaN")
    outside = int(((target < low) | (target > high)).sum())
    return BandAudit(outside, target.numel(), k)


def probability_integral_transform(samples: Tensor, target: Tensor) -> Tensor:
    r"""Return where each observation lies among draws of it: its predictive distribution function.

    .. math:: u_n = \frac{\#\{s : y_{s,n} < y_n\} + \tfrac12 \#\{s : y_{s,n} = y_n\} + \tfrac12}
        {S + 1}

    If the predictions are calibrated, the values are uniform: each of the S + 1 ranks is as likely
    as any other. Too narrow bands heap them at 0 and 1, too wide ones in the middle.

    Args:
        samples: draws of the observation, its noise included, shape (S, N, ...).
        target: the held-out observations, shape (N, ...).

    Returns:
        The values u, between 0 and 1, in the shape of ``target``.

    Raises:
        ValueError: the shapes do not fit, there is no draw, or a number is not finite.

    Source: Dawid (1984), Gneiting et al. (2007).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> samples = torch.tensor([[1.0], [2.0], [3.0]])  # three draws, one datum
        >>> bt.probability_integral_transform(samples, torch.tensor([2.5])).item()  # (2 + ½) / 4
        0.625
    """
    if samples.ndim < 1 or samples.shape[1:] != target.shape or len(samples) == 0:
        raise ValueError(
            f"samples have shape {tuple(samples.shape)}, target {tuple(target.shape)}: expected "
            "(S, N, ...) and (N, ...), S >= 1"
        )
    require_finite(samples=samples, target=target)
    below = (samples < target).sum(dim=0)
    equal = (samples == target).sum(dim=0)
    return (below + equal / 2 + 0.5).to(target.dtype) / (len(samples) + 1)


def coverage_by_level(pit: Tensor, levels: Tensor) -> Tensor:
    r"""Return the share of observations inside the central band of each level.

    .. math:: \mathrm{coverage}(\ell) = \frac1N \sum_n \mathbb 1\big[ |2 u_n - 1| \le \ell \big]

    The band of level :math:`\ell` leaves :math:`(1 - \ell)/2` of the prediction out on each side.
    A calibrated one covers its level.

    Args:
        pit: u, values of :func:`probability_integral_transform`, of any shape.
        levels: shape (L,), between 0 and 1.

    Returns:
        The shares, shape (L,).

    Raises:
        ValueError: there is no value, or values or levels do not lie between 0 and 1.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> pit = torch.tensor([0.05, 0.4, 0.6, 0.95])
        >>> bt.coverage_by_level(pit, torch.tensor([0.5, 0.95])).tolist()
        [0.5, 1.0]
    """
    _require_levels(pit=pit, levels=levels)
    distance = (2 * pit.flatten() - 1).abs()
    return (distance <= levels[:, None]).to(levels.dtype).mean(dim=1)


def recalibrated_levels(pit: Tensor, levels: Tensor) -> Tensor:
    r"""Return which quantile to ask of the prediction, so that the observations obey ``levels``.

    .. math:: \ell \mapsto R^{-1}(\ell), \qquad R(p) = \frac1N \sum_n \mathbb 1[u_n \le p]

    On held-out data a share R(p) lies below the prediction's quantile p; to have a share
    :math:`\ell` below, ask for :math:`R^{-1}(\ell)`: for a band, both its ends. It is the empirical
    quantile of the values u, with lines between neighbours: the isotonic regression of their ranks
    on them, which passes through all of them. One map serves all inputs, so bands change their
    level and not the places at which they are wide.

    Args:
        pit: u, values of :func:`probability_integral_transform` on a validation split.
        levels: what share of the observations is to lie below, shape (L,), between 0 and 1.

    Returns:
        The levels to ask for, shape (L,).

    Raises:
        ValueError: there is no value, or values or levels do not lie between 0 and 1.

    Source: Kuleshov et al. (2018).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> pit = torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])  # too many near both ends
        >>> bt.recalibrated_levels(pit, torch.tensor([0.25, 0.75])).tolist()
        [0.10000000149011612, 0.8999999761581421]
    """
    _require_levels(pit=pit, levels=levels)
    return pit.flatten().quantile(levels.to(pit.dtype))


def _require_levels(**shares: Tensor) -> None:
    for name, values in shares.items():
        if values.numel() == 0 or not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{name}={values}: expected at least one number, all from 0 to 1")
