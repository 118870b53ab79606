"""Proper scores of class probabilities: best on average for who states the true ones.

Explained in the chapter "Calibration".
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from bnn_tutorial.evaluation.calibration import reliability_bins, require_predictions


def log_score(probabilities: Tensor, labels: Tensor) -> float:
    r"""Return the mean surprise at the true classes, in nats; smaller is better.

    .. math:: \mathrm{log\ score} = -\frac1N \sum_n \log p_{n, y_n}

    It is infinite once a true class was given the probability 0.

    Args:
        probabilities: shape (N, C), each row summing to 1.
        labels: the true classes, shape (N,).

    Raises:
        ValueError: the shapes do not fit, there is no prediction, or a row is not a distribution.

    Source: Gneiting and Raftery (2007).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
        >>> print(f"{bt.log_score(probabilities, torch.tensor([0, 1])):.3f}")  # (log 2 + 0) / 2
        0.347
    """
    require_predictions(probabilities, labels)
    return F.nll_loss(probabilities.log(), labels).item()


def brier_score(probabilities: Tensor, labels: Tensor) -> float:
    r"""Return the mean squared distance of the probabilities from the true classes.

    .. math:: \mathrm{Brier} = \frac1N \sum_n \sum_c \big( p_{n,c} - \mathbb 1[y_n = c] \big)^2

    From 0, certain and right, to 2, certain and wrong; smaller is better. (For two classes some
    count only one of them, which is half of this.)

    Args:
        probabilities: shape (N, C), each row summing to 1.
        labels: the true classes, shape (N,).

    Raises:
        ValueError: the shapes do not fit, there is no prediction, or a row is not a distribution.

    Source: Brier (1950).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
        >>> bt.brier_score(probabilities, torch.tensor([0, 1]))  # (1/4 + 1/4 + 0) / 2
        0.25
    """
    require_predictions(probabilities, labels)
    outcomes = F.one_hot(labels, probabilities.shape[1])
    return (probabilities - outcomes).square().sum(dim=-1).mean().item()


@dataclass(frozen=True)
class BrierDecomposition:
    """The Brier score and its parts: reliability - resolution + uncertainty + within_bins.

    ``total`` is the score, ``reliability`` what the gaps between confidence and accuracy cost,
    ``resolution`` what telling cases apart earns, ``uncertainty`` the score of who always states
    the shares of the classes. ``within_bins`` is what the bins hide: it is 0 where all
    probabilities in a bin are equal.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> parts = bt.decompose_brier(probabilities, torch.tensor([0, 1]), num_bins=2)
        >>> parts.total, parts.reliability, parts.resolution, parts.uncertainty
        (0.0, 0.0, 0.5, 0.5)
    """

    total: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float


def decompose_brier(
    probabilities: Tensor, labels: Tensor, num_bins: int = 15, *, equal: str = "width"
) -> BrierDecomposition:
    r"""Split the Brier score into reliability, resolution and uncertainty.

    .. math:: \mathrm{Brier} = \sum_c \Big[
        \underbrace{\sum_b \tfrac{n_b}{N} (\bar p_b - \bar o_b)^2}_{\text{reliability}}
        - \underbrace{\sum_b \tfrac{n_b}{N} (\bar o_b - \bar o)^2}_{\text{resolution}}
        + \underbrace{\bar o (1 - \bar o)}_{\text{uncertainty}} \Big] + \text{within bins}

    Each class c has its own bins b of its probability: of the :math:`n_b` data in one,
    :math:`\bar p_b` is the mean probability and :math:`\bar o_b` the share that is of the class, of
    all data :math:`\bar o`. Reliability and resolution are too large by the noise in
    :math:`\bar o_b`, as the ECE is.

    Args:
        probabilities: shape (N, C), each row summing to 1.
        labels: the true classes, shape (N,).
        num_bins: how many bins each class has.
        equal: ``"width"`` or ``"mass"``, as in :func:`reliability_bins`.

    Raises:
        ValueError: as :func:`reliability_bins` does.

    Source: Murphy (1973); within bins, Stephenson et al. (2008).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.75, 0.25]]).expand(4, 2)
        >>> parts = bt.decompose_brier(probabilities, torch.tensor([0, 0, 1, 1]))
        >>> parts.reliability, parts.resolution, parts.uncertainty  # 2 · 0.25², 0, 2 · 0.5²
        (0.125, 0.0, 0.5)
    """
    probabilities = probabilities.double()  # the last part is a small difference
    total = brier_score(probabilities, labels)
    reliability = resolution = uncertainty = 0.0
    for label in range(probabilities.shape[1]):
        bins = reliability_bins(probabilities, labels, num_bins, equal=equal, of_class=label)
        weight, share = bins.count / len(labels), (labels == label).double().mean()
        reliability += (weight * (bins.confidence - bins.accuracy).square()).sum().item()
        resolution += (weight * (bins.accuracy - share).square()).sum().item()
        uncertainty += (share * (1 - share)).item()
    within_bins = total - (reliability - resolution + uncertainty)
    return BrierDecomposition(total, reliability, resolution, uncertainty, within_bins)
