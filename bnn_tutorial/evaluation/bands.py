"""Does a band hold: its audit against held-out points.

Explained in the chapter "Polynomial regression with 3-sigma bands".
"""

import math
from dataclasses import dataclass

from torch import Tensor


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
        ValueError: the shapes differ, there is no point, or a lower edge lies above its upper one.

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
    if not (low <= high).all():
        raise ValueError("low and high: expected low <= high at every point, without NaN")
    outside = int(((target < low) | (target > high)).sum())
    return BandAudit(outside, target.numel(), k)
