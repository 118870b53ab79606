"""Does a classifier's confidence hold: how often it is right, by how sure it is.

Explained in the chapter "A Bayesian CNN on MNIST".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_counts


@dataclass(frozen=True)
class ReliabilityBins:
    """Predictions grouped by confidence: the data of a reliability diagram.

    Each field has shape (num_bins,): ``edges`` are the upper edges of the bins, ``count`` the
    predictions in each, ``confidence`` and ``accuracy`` their averages (0 where a bin is empty).

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


def reliability_bins(probabilities: Tensor, labels: Tensor, num_bins: int = 15) -> ReliabilityBins:
    """Group predictions (N, C) with labels (N,) by the probability of their likeliest class.

    Args:
        probabilities: predictive probabilities, each row summing to 1.
        labels: the true classes.
        num_bins: how many bins of equal width divide (0, 1].

    Raises:
        ValueError: the shapes do not fit, there is no prediction, a row is not a distribution, or
            ``num_bins`` is not positive.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.75, 0.25], [0.25, 0.75]])
        >>> labels = torch.tensor([0, 0])  # the first is right, the second wrong
        >>> bins = bt.reliability_bins(probabilities, labels, num_bins=2)
        >>> bins.confidence[1].item(), bins.accuracy[1].item()
        (0.75, 0.5)
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
    require_counts(num_bins=num_bins)
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

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> certain = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
        >>> labels = torch.tensor([0, 1])  # the first is right, the second wrong
        >>> bt.expected_calibration_error(certain, labels)  # 1 - 1/2
        0.5
    """
    bins = reliability_bins(probabilities, labels, num_bins)
    gap = (bins.accuracy - bins.confidence).abs()
    return (bins.count * gap).sum().item() / len(labels)
