"""Where a class prediction's uncertainty comes from.

Explained in the chapter "Turned digits".
"""

from dataclasses import dataclass

from torch import Tensor
from torch.special import entr

from bnn_tutorial.tensor_checks import require_probabilities


@dataclass(frozen=True)
class EntropyDecomposition:
    """The entropy of a prediction and its two parts, each of shape (N,), in nats.

    ``total`` is the entropy of the averaged prediction, ``aleatoric`` what the draws share and
    ``epistemic`` what they disagree about.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> agreed = torch.full((10, 1, 2), 0.5)  # ten draws say: a fair coin
        >>> parts = bt.decompose_entropy(agreed)
        >>> print(f"{parts.aleatoric.item():.3f}, {parts.epistemic.item():.3f}")
        0.693, 0.000
    """

    total: Tensor
    aleatoric: Tensor
    epistemic: Tensor


def decompose_entropy(probabilities: Tensor) -> EntropyDecomposition:
    r"""Split predictive entropy into what the draws share and what they disagree about.

    .. math:: \underbrace{\mathbb H\big[\tfrac1S \textstyle\sum_s p_s\big]}_{\text{total}} =
        \underbrace{\tfrac1S \textstyle\sum_s \mathbb H[p_s]}_{\text{aleatoric}} +
        \underbrace{\mathbb I[y; w]}_{\text{epistemic}}

    The epistemic part of S draws is at most log S and, on average, below the mutual information of
    label and weights, to which it tends: compare only predictions with equally many draws.

    Args:
        probabilities: shape (S, N, C), one predictive distribution a draw and datum.

    Raises:
        ValueError: ``probabilities`` does not have three dimensions or has no draw, or a row is not
            a distribution; logits, which :func:`predict` returns, need a softmax first.

    Source: Depeweg et al. (2018).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> opposed = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # two certain draws
        >>> parts = bt.decompose_entropy(opposed)  # their mixture has log 2 nats
        >>> print(f"{parts.aleatoric.item():.3f}, {parts.epistemic.item():.3f}")
        0.000, 0.693
    """
    if probabilities.ndim != 3 or len(probabilities) == 0:
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}: expected (S, N, C), S >= 1"
        )
    require_probabilities(probabilities=probabilities)
    total = entr(probabilities.mean(dim=0)).sum(dim=-1)
    aleatoric = entr(probabilities).sum(dim=-1).mean(dim=0)
    return EntropyDecomposition(total, aleatoric, (total - aleatoric).clamp_min(0))
