"""Where a prediction's variance comes from: noise, or draws that disagree.

Explained in the chapter "Two kinds of uncertainty".
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_tutorial.tensor_checks import require_finite, require_probabilities


@dataclass(frozen=True)
class VarianceDecomposition:
    """The variance of a prediction and its two parts, which add up to it.

    ``total`` is the variance of the mixture of the draws, ``aleatoric`` the variance that a draw
    states, on average, and ``epistemic`` that of the draws' means. Of :func:`decompose_variance`
    each has shape (N, ...); of :func:`decompose_covariance` each holds N matrices, (N, C, C).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> means = torch.tensor([[1.0], [3.0]])  # two draws, one datum
        >>> parts = bt.decompose_variance(means, 0.25)  # noise of standard deviation 0.5
        >>> parts.total.item(), parts.aleatoric.item(), parts.epistemic.item()
        (1.25, 0.25, 1.0)
    """

    total: Tensor
    aleatoric: Tensor
    epistemic: Tensor


def decompose_variance(
    means: Tensor, variances: Tensor | float | None = None
) -> VarianceDecomposition:
    r"""Split the predictive variance by the law of total variance.

    .. math:: \underbrace{\operatorname{Var}[y]}_{\text{total}} =
        \underbrace{\tfrac1S \textstyle\sum_s v_s}_{\text{aleatoric}} +
        \underbrace{\tfrac1S \textstyle\sum_s (m_s - \bar m)^2}_{\text{epistemic}}

    The sum over draws is divided by S, not by S - 1: so the parts add up to the variance of the
    mixture that the S draws are, exactly, and one draw has no epistemic variance.

    Args:
        means: m, shape (S, N, ...), what each draw expects of y.
        variances: v, of the noise, in the squared units of y: a tensor that broadcasts to the shape
            of ``means``, or one number. None is for classes: ``means`` are then probabilities
            (S, N, C), y says of each class whether it is the datum's, and :math:`v = p (1 - p)`.

    Returns:
        The parts, each (N, ...). Of probabilities, one variance a class; that of the predicted
        class stands in column ``probabilities.mean(dim=0).argmax(dim=-1)`` of each row.

    Raises:
        ValueError: ``means`` has fewer than two dimensions or no draw, ``variances`` does not
            broadcast to it or has a negative value, a number is not finite, or there are no
            ``variances`` and ``means`` are not probabilities.

    Source: Kendall and Gal (2017); of classes, Kwon et al. (2020).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[[0.9, 0.1]], [[0.7, 0.3]]])  # two draws, one datum
        >>> parts = bt.decompose_variance(probabilities)
        >>> predicted = probabilities.mean(dim=0).argmax(dim=-1, keepdim=True)
        >>> print(f"{parts.aleatoric.gather(1, predicted).item():.2f}")  # (0.09 + 0.21) / 2
        0.15
        >>> print(f"{parts.epistemic.gather(1, predicted).item():.2f}")  # 0.1²
        0.01
    """
    if means.ndim < 2 or len(means) == 0:
        raise ValueError(f"means have shape {tuple(means.shape)}: expected (S, N, ...), S >= 1")
    if variances is None:
        # NaN fails the comparison, too.
        if not ((means >= 0) & (means <= 1)).all():
            low, high = means.aminmax()
            raise ValueError(
                f"means without variances reach from {low:g} to {high:g}: expected probabilities; "
                "of a regression pass variances too"
            )
        variances = means * (1 - means)
    variances = torch.as_tensor(variances, dtype=means.dtype, device=means.device)
    require_finite(means=means, variances=variances)
    if (variances < 0).any():
        raise ValueError(f"variances reach {variances.min().item():g}: expected 0 or more")
    try:
        variances = variances.broadcast_to(means.shape)
    except RuntimeError as error:
        raise ValueError(
            f"variances have shape {tuple(variances.shape)}, means {tuple(means.shape)}: expected "
            "variances that broadcast to the means"
        ) from error
    aleatoric = variances.mean(dim=0)
    epistemic = means.var(dim=0, correction=0)
    return VarianceDecomposition(aleatoric + epistemic, aleatoric, epistemic)


def decompose_covariance(probabilities: Tensor) -> VarianceDecomposition:
    r"""Split the covariance of the class indicators by the law of total covariance.

    .. math:: \underbrace{\operatorname{diag} \bar p - \bar p \bar p^\top}_{\text{total}} =
        \underbrace{\tfrac1S \textstyle\sum_s
            \big(\operatorname{diag} p_s - p_s p_s^\top\big)}_{\text{aleatoric}} +
        \underbrace{\tfrac1S \textstyle\sum_s
            (p_s - \bar p)(p_s - \bar p)^\top}_{\text{epistemic}}

    The diagonals are what :func:`decompose_variance` returns. As one class is right, the entries
    beside them say between which classes the doubt is: each row of a part adds up to 0.

    Args:
        probabilities: shape (S, N, C), one predictive distribution a draw and datum.

    Returns:
        The parts, each of N symmetric matrices, (N, C, C).

    Raises:
        ValueError: ``probabilities`` does not have three dimensions or has no draw, or a row is not
            a distribution.

    Source: Kwon et al. (2020).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> opposed = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # two certain draws
        >>> parts = bt.decompose_covariance(opposed)
        >>> parts.epistemic.tolist()
        [[[0.25, -0.25], [-0.25, 0.25]]]
        >>> parts.aleatoric.abs().max().item()
        0.0
    """
    if probabilities.ndim != 3 or len(probabilities) == 0:
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}: expected (S, N, C), S >= 1"
        )
    require_probabilities(probabilities=probabilities)
    aleatoric = torch.diag_embed(probabilities.mean(dim=0)) - _mean_outer_product(probabilities)
    epistemic = _mean_outer_product(probabilities - probabilities.mean(dim=0))
    return VarianceDecomposition(aleatoric + epistemic, aleatoric, epistemic)


def _mean_outer_product(rows: Tensor) -> Tensor:
    """Return the mean over draws of the outer products of rows (S, N, C), shape (N, C, C)."""
    return torch.einsum("snc,snd->ncd", rows, rows) / len(rows)


def normalized_softplus(logits: Tensor) -> Tensor:
    r"""Return class probabilities from softplus scores, where softmax takes exponentials.

    .. math:: p_c = \frac{\log(1 + e^{z_c})}{\sum_k \log(1 + e^{z_k})}

    Far below 0 softplus is the exponential and the two agree. Above, it is nearly linear: a large
    logit wins by its ratio to the others, not by its difference from them. A common shift of the
    logits changes these probabilities, but not softmax's.

    Args:
        logits: z, shape (..., C).

    Returns:
        The probabilities, shape (..., C).

    Source: Shridhar et al. (2019).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> logits = torch.tensor([30.0, 10.0])
        >>> print(f"{bt.normalized_softplus(logits)[0]:.2f}, {logits.softmax(-1)[0]:.2f}")
        0.75, 1.00
    """
    # Where e^z is below the rounding error, log softplus(z) is z; softplus itself would underflow
    # there, and scores that are all 0 have no ratio.
    lowest = math.log(torch.finfo(logits.dtype).eps)
    log_scores = F.softplus(logits.clamp_min(lowest)).log()
    return torch.where(logits < lowest, logits, log_scores).softmax(dim=-1)
