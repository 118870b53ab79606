"""Does a stated uncertainty hold: bands against held-out points, confidences against hits.

Explained in the chapters "Polynomial regression with 3-sigma bands" (the audit of a band) and "A
Bayesian CNN on MNIST" (the expected calibration error).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BandAudit:
    r"""How many of ``total`` held-out points lie outside a band of k standard deviations.

    ``nominal`` is the share that a Gaussian leaves outside, :math:`\mathrm{erfc}(k / \sqrt 2)`:
    0.27 % for k = 3.
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
    outside = ((target < low) | (target > high)).sum().item()
    return BandAudit(outside, target.numel(), k)


@dataclass(frozen=True)
class ReliabilityBins:
    """Predictions grouped by confidence: the data of a reliability diagram.

    Each field has shape (num_bins,): ``edges`` are the upper edges of the bins, ``count`` the
    predictions in each, ``confidence`` and ``accuracy`` their averages (0 where a bin is empty).
    """

    edges: Tensor
    count: Tensor
    confidence: Tensor
    accuracy: Tensor


def reliability_bins(probabilities: Tensor, labels: Tensor, num_bins: int = 15) -> ReliabilityBins:
    """Group predictions (N, C) with labels (N,) by the probability of their likeliest class.

    Args:
        probabilities: predictive probabilities, each row summing to 1.
        labels: the true classes.
        num_bins: how many bins of equal width divide (0, 1].

    Raises:
        ValueError: the shapes do not fit, there is no prediction, a row is not a distribution, or
            ``num_bins`` is not positive.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}, labels {tuple(labels.shape)}: "
            "expected (N, C) and (N,)"
        )
    if len(labels) == 0:
        raise ValueError("labels are empty: calibration needs at least one prediction")
    if not torch.allclose(probabilities.sum(-1), probabilities.new_ones(()), atol=1e-3):
        raise ValueError("probabilities: expected rows that sum to 1; logits need a softmax first")
    if num_bins < 1:
        raise ValueError(f"num_bins={num_bins}: expected 1 or more")
    confidence, prediction = probabilities.max(dim=-1)
    hit = (prediction == labels).to(confidence.dtype)
    edges = torch.linspace(0, 1, num_bins + 1, device=confidence.device)[1:]
    index = torch.bucketize(confidence, edges).clamp_max(num_bins - 1)
    count = torch.bincount(index, minlength=num_bins)
    divisor = count.clamp_min(1)
    return ReliabilityBins(
        edges,
        count,
        torch.bincount(index, confidence, num_bins) / divisor,
        torch.bincount(index, hit, num_bins) / divisor,
    )


def expected_calibration_error(probabilities: Tensor, labels: Tensor, num_bins: int = 15) -> float:
    r"""Return the mean gap between confidence and accuracy, a fraction.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{N}
        \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right|

    The binned estimate has a positive bias that grows with ``num_bins``. Arguments and errors are
    those of :func:`reliability_bins`. Source: Guo et al. (2017).
    """
    bins = reliability_bins(probabilities, labels, num_bins)
    gap = (bins.accuracy - bins.confidence).abs()
    return (bins.count * gap).sum().item() / len(labels)
