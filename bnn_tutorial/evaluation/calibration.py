"""Does a classifier's confidence hold: how often it is right, by how sure it is.

Explained in the chapter "Calibration"; first met in "A Bayesian CNN on MNIST".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.tensor_checks import require_labels, require_probabilities

BINNINGS = ("width", "mass")


@dataclass(frozen=True)
class ReliabilityBins:
    """Predictions grouped by confidence: the data of a reliability diagram.

    ``edges``, of shape (num_bins,), are the upper edges of the bins, which include them; ``count``
    is the predictions in each, ``confidence`` and ``accuracy`` their averages (0 where a bin is
    empty). These three have shape (num_bins,), or (R, num_bins) of R resamples.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> labels = torch.tensor([0, 0])
        >>> bins = bt.reliability_bins(probabilities, labels, num_bins=2)
        >>> bins.edges.tolist(), bins.count.tolist()
        ([0.5, 1.0], [0, 2])
    """

    edges: Tensor
    count: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def ece(self) -> Tensor:
        r"""The mean gap between confidence and accuracy, a fraction, or R of them.

        .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{N}
            \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right|
        """
        gap = (self.accuracy - self.confidence).abs()
        return (self.count * gap).sum(dim=-1) / self.count.sum(dim=-1)

    def interval(self, level: float = 0.95) -> tuple[Tensor, Tensor]:
        """Return (low, high), between which the accuracy of a bin lies in a share of resamples.

        Equal shares of the R resamples lie below and above. Resamples in which a bin is empty don't
        count; where it always is, both ends are NaN.

        Raises:
            ValueError: these bins are not of resamples, or ``level`` does not lie between 0 and 1.

        Example:
            >>> import torch
            >>> import bnn_tutorial as bt
            >>> probabilities = torch.tensor([[0.75, 0.25]]).expand(400, 2)
            >>> generator = torch.Generator().manual_seed(0)
            >>> low, high = bt.calibrated_bins(probabilities, 1, generator=generator).interval()
            >>> print(f"{low.item():.2f} to {high.item():.2f}")  # 0.75 ± 1.96 √(0.75 · 0.25 / 400)
            0.71 to 0.79
        """
        if self.accuracy.ndim < 2:
            raise ValueError(
                "these bins hold one sample: expected resamples, of bootstrap_bins or "
                "calibrated_bins"
            )
        if not 0 < level < 1:
            raise ValueError(f"level={level}: expected a number between 0 and 1")
        filled = torch.where(self.count > 0, self.accuracy, torch.nan)
        ends = self.accuracy.new_tensor([(1 - level) / 2, (1 + level) / 2])
        low, high = filled.nanquantile(ends, dim=0)
        return low, high


def require_predictions(probabilities: Tensor, labels: Tensor) -> None:
    """Check that there are probabilities (N, C) with labels (N,), N >= 1.

    Raises:
        ValueError: the shapes do not fit, there is no prediction, a row is not a distribution, or a
            label is no class.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}, labels {tuple(labels.shape)}: "
            "expected (N, C) and (N,)"
        )
    if len(labels) == 0:
        raise ValueError("labels are empty: calibration needs at least one prediction")
    require_probabilities(probabilities=probabilities)
    require_labels("labels", labels, probabilities.shape[1], (len(labels),))


def class_events(
    probabilities: Tensor, labels: Tensor, of_class: int | None
) -> tuple[Tensor, Tensor]:
    """Return how probable each event is said to be, and whether it came, as 0 or 1, each (N,).

    Raises:
        ValueError: ``of_class`` is neither None nor a class.
    """
    if of_class is None:
        confidence, prediction = probabilities.max(dim=-1)
        return confidence, (prediction == labels).to(confidence.dtype)
    if not 0 <= of_class < probabilities.shape[1]:
        raise ValueError(
            f"of_class={of_class}: expected None or a class from 0 to {probabilities.shape[1] - 1}"
        )
    return probabilities[:, of_class], (labels == of_class).to(probabilities.dtype)


def require_binning(num_bins: int, equal: str) -> None:
    """Check how bins are asked for.

    Raises:
        ValueError: ``num_bins`` is not positive, or ``equal`` is unknown.
    """
    require_counts(num_bins=num_bins)
    if equal not in BINNINGS:
        raise ValueError(f"equal={equal!r}: expected one of {BINNINGS}")


def bin_edges(confidence: Tensor, num_bins: int, equal: str) -> Tensor:
    """Return the upper edges of bins of equal width or mass, in ascending order, the last one 1.

    Raises:
        ValueError: as :func:`require_binning` does.
    """
    require_binning(num_bins, equal)
    if equal == "width":
        return torch.linspace(0, 1, num_bins + 1, dtype=confidence.dtype, device=confidence.device)[
            1:
        ]
    bins = torch.arange(1, num_bins + 1, device=confidence.device)
    last = (bins * len(confidence) + num_bins - 1) // num_bins  # rounded up
    edges = confidence.sort().values[last - 1]
    edges[-1] = 1.0
    return edges


def bin_index(edges: Tensor, confidence: Tensor) -> Tensor:
    """Return the number of the bin in which each probability lies, in the shape of these."""
    return torch.bucketize(confidence.contiguous(), edges).clamp_max(len(edges) - 1)


def group_events(edges: Tensor, confidence: Tensor, hit: Tensor) -> ReliabilityBins:
    """Group events, each with its probability and its outcome, both (N,), by these upper edges."""
    num_bins, index = len(edges), bin_index(edges, confidence)
    count = torch.bincount(index, minlength=num_bins)
    divisor = count.clamp_min(1)
    return ReliabilityBins(
        edges,
        count,
        torch.bincount(index, confidence, num_bins) / divisor,
        torch.bincount(index, hit, num_bins) / divisor,
    )


def reliability_bins(
    probabilities: Tensor,
    labels: Tensor,
    num_bins: int = 15,
    *,
    equal: str = "width",
    of_class: int | None = None,
) -> ReliabilityBins:
    """Group predictions (N, C) with labels (N,) by the probability of one class.

    Args:
        probabilities: predictive probabilities, each row summing to 1.
        labels: the true classes.
        num_bins: how many bins there are.
        equal: ``"width"`` divides (0, 1] evenly; ``"mass"`` puts an equal number of predictions in
            each bin, as far as equal confidences, which stay together, allow.
        of_class: None for the likeliest class of each prediction, its top label; c for the
            probability of class c, with ``accuracy`` the share of data that are of that class.

    Raises:
        ValueError: the shapes do not fit, there is no prediction, a row is not a distribution,
            ``num_bins`` is not positive, or ``equal`` or ``of_class`` is unknown.

    Source: top label, Guo et al. (2017); by class, Kull et al. (2019).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> labels = torch.tensor([0, 0])  # the first is right, the second wrong
        >>> bins = bt.reliability_bins(probabilities, labels, num_bins=2)
        >>> bins.confidence[1].item(), bins.accuracy[1].item()
        (0.75, 0.5)
        >>> bt.reliability_bins(probabilities, labels, num_bins=2, of_class=1).accuracy.tolist()
        [0.0, 0.0]
    """
    require_predictions(probabilities, labels)
    confidence, hit = class_events(probabilities, labels, of_class)
    return group_events(bin_edges(confidence, num_bins, equal), confidence, hit)


def expected_calibration_error(
    probabilities: Tensor,
    labels: Tensor,
    num_bins: int = 15,
    *,
    equal: str = "width",
    classwise: bool = False,
) -> float:
    r"""Return the mean gap between confidence and accuracy, a fraction.

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{N}
        \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right|

    The binned estimate has a positive bias that grows with ``num_bins``: compare it with that of
    :func:`calibrated_bins`. With ``classwise`` it is the mean over the C classes of the error of
    each class's probability, which most data have near 0; so its scale is another. The other
    arguments and the errors are those of :func:`reliability_bins`.

    Source: Guo et al. (2017); classwise, Kull et al. (2019).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> certain = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> labels = torch.tensor([0, 1])  # the first is right, the second wrong
        >>> bt.expected_calibration_error(certain, labels)  # 1 - 1/2
        0.5
    """
    if not classwise:
        return reliability_bins(probabilities, labels, num_bins, equal=equal).ece.item()
    errors = [
        reliability_bins(probabilities, labels, num_bins, equal=equal, of_class=label).ece
        for label in range(probabilities.shape[-1])
    ]
    return torch.stack(errors).mean().item()
