"""Does a score tell foreign data from the model's own.

Used by the command ``uncertainty --against``, told on the page "Run it, cite it".
"""

import torch
from torch import Tensor


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

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> scores_in, scores_out = torch.tensor([0.1, 0.4]), torch.tensor([0.4, 0.9])
        >>> bt.auroc(scores_in, scores_out)  # (1 + 1 + 1/2 + 1) / 4
        0.875
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
