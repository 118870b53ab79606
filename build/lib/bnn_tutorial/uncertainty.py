"""Where a class prediction's uncertainty comes from, and whether it tells foreign data apart.

Explained in the chapter "A Bayesian CNN on MNIST".
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import entr


@dataclass(frozen=True)
class EntropyDecomposition:
    """The entropy of a prediction and its two parts, each of shape (N,), in nats.

    ``total`` is the entropy of the averaged prediction, ``aleatoric`` what the draws share and
    ``epistemic`` what they disagree about.
    """

    total: Tensor
    aleatoric: Tensor
    epistemic: Tensor


def decompose_entropy(probabilities: Tensor) -> EntropyDecomposition:
    r"""Split predictive entropy into what the draws share and what they disagree about.

    .. math:: \underbrace{\mathbb H\big[\tfrac1S \textstyle\sum_s p_s\big]}_{\text{total}} =
        \underbrace{\tfrac1S \textstyle\sum_s \mathbb H[p_s]}_{\text{aleatoric}} +
        \underbrace{\mathbb I[y; w]}_{\text{epistemic}}

    Args:
        probabilities: shape (S, N, C), one predictive distribution a draw and datum.

    Raises:
        ValueError: ``probabilities`` does not have three dimensions or has no draw.

    Source: Depeweg et al. (2018).
    """
    if probabilities.ndim != 3 or len(probabilities) == 0:
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}: expected (S, N, C), S >= 1"
        )
    total = entr(probabilities.mean(dim=0)).sum(dim=-1)
    aleatoric = entr(probabilities).sum(dim=-1).mean(dim=0)
    return EntropyDecomposition(total, aleatoric, (total - aleatoric).clamp_min(0))


def auroc(scores_in: Tensor, scores_out: Tensor) -> float:
    r"""Return how well a score tells out-of-distribution data (high) from the model's own (low).

    .. math:: \mathrm{AUROC} = \frac1{NM} \sum_{n,m} \mathbb 1[s^{\text{in}}_n < s^{\text{out}}_m]
        + \tfrac12\, \mathbb 1[s^{\text{in}}_n = s^{\text{out}}_m]

    The area under the receiver operating characteristic: the probability that a datum from outside
    scores above one from inside, ties counted half. 1 tells all apart, 0.5 none. It is computed
    exactly, from ranks, in O((N + M) log N). The usual score is the predictive entropy,
    ``decompose_entropy(probabilities).total``.

    Args:
        scores_in: of the data that the model is for, shape (N,).
        scores_out: of the data that it is not for, shape (M,).

    Raises:
        ValueError: one of them is not one-dimensional, is empty or holds NaN.

    Source: Hanley and McNeil (1982); as a test of uncertainty, Hendrycks and Gimpel (2017).
    """
    for name, scores in (("scores_in", scores_in), ("scores_out", scores_out)):
        if scores.ndim != 1 or len(scores) == 0 or scores.isnan().any():
            raise ValueError(
                f"{name} have shape {tuple(scores.shape)} and {scores.isnan().sum().item()} NaN: "
                "expected one dimension, at least one score and no NaN"
            )
    ordered = scores_in.sort().values
    below = torch.searchsorted(ordered, scores_out)
    not_above = torch.searchsorted(ordered, scores_out, right=True)
    # Integers to the last step: their sum is exact for any number of pairs below 2^63.
    return (below + not_above).sum().item() / (2 * len(scores_in) * len(scores_out))
