"""How doubtful a classifier is of an input: five scores, of which each can be an alarm.

Explained in the chapter "Unfamiliar inputs"; ``detection.py`` measures what a score is worth.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bnn_tutorial.evaluation.entropy import decompose_entropy
from bnn_tutorial.tensor_checks import require_finite


@dataclass(frozen=True)
class DoubtScores:
    """What the logits of a prediction say about its doubt, each of shape (N,), high for doubt.

    ``entropy`` and ``mutual_information`` are the total and the epistemic part of
    :func:`decompose_entropy`, in nats; ``one_minus_maximum`` is the probability that the predicted
    class is wrong, by the model's own account; ``energy`` is in nats, up to a constant.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> scores = bt.doubt_scores(torch.tensor([[[0.0, 0.0], [0.0, 9.0]]]))
        >>> bool(scores.entropy[0] > scores.entropy[1]), bool(scores.energy[0] > scores.energy[1])
        (True, True)
    """

    entropy: Tensor
    mutual_information: Tensor
    one_minus_maximum: Tensor
    energy: Tensor


def doubt_scores(logits: Tensor) -> DoubtScores:
    r"""Return four scores of doubt from the logits of S draws.

    With :math:`\bar p` the average of the draws' probabilities, beside its entropy and the mutual
    information,

    .. math:: 1 - \max_c \bar p_c, \qquad E = -\frac1S \sum_s \log \sum_c e^{z_{sc}}

    The energy of one network reads :math:`e^{z_c}` as a density of input and class that nobody
    normalized; a constant that is added to all logits changes it, and nothing else here.

    Args:
        logits: z, shape (S, N, C): one draw of one network is S = 1, and has a mutual information
            of 0.

    Raises:
        ValueError: ``logits`` does not have three dimensions, has no draw, or is not finite.

    Source: Hendrycks and Gimpel (2017) for the maximum, Liu et al. (2020) for the energy.

    Example:
        >>> import math, torch
        >>> import bnn_tutorial as bt
        >>> scores = bt.doubt_scores(torch.tensor([[[0.0, math.log(3.0)]]]))  # 1/4 and 3/4
        >>> print(f"{scores.one_minus_maximum.item():.2f}, {scores.energy.item():.3f}")  # -log 4
        0.25, -1.386
    """
    if logits.ndim != 3 or len(logits) == 0:
        raise ValueError(f"logits have shape {tuple(logits.shape)}: expected (S, N, C), S >= 1")
    require_finite(logits=logits)
    probabilities = logits.softmax(dim=-1)
    parts = decompose_entropy(probabilities)
    return DoubtScores(
        parts.total,
        parts.epistemic,
        1 - probabilities.mean(dim=0).amax(dim=-1),
        -logits.logsumexp(dim=-1).mean(dim=0),
    )


def feature_distance(features: Tensor, train_features: Tensor, train_labels: Tensor) -> Tensor:
    r"""Return how far features lie from the nearest class of the training data, shape (N,).

    .. math:: d(f) = \min_c \sqrt{(f - \mu_c)^\top \Sigma^{+} (f - \mu_c)}, \qquad
        \Sigma = \frac1M \sum_m (f_m - \mu_{y_m})(f_m - \mu_{y_m})^\top

    The Mahalanobis distance: in standard deviations of the class, which all classes share. Where
    training features never differ within a class, :math:`\Sigma` has no inverse; the
    pseudo-inverse :math:`\Sigma^{+}` leaves those directions out.

    Args:
        features: f, shape (N, D), such as a network's last hidden layer.
        train_features: of M training data, shape (M, D), of which class means and covariance are
            computed, in double precision.
        train_labels: their classes, int64 (M,).

    Raises:
        ValueError: the shapes do not fit, there are no training data, or a feature is not finite.

    Source: Lee et al. (2018), without their input noise and their sum over layers.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> train_features = torch.tensor([[-1.0], [1.0], [9.0], [11.0]])  # means 0 and 10
        >>> train_labels = torch.tensor([0, 0, 1, 1])
        >>> bt.feature_distance(torch.tensor([[3.0], [12.0]]), train_features, train_labels)
        tensor([3., 2.])
    """
    if (
        features.ndim != 2
        or train_features.shape[1:] != features.shape[1:]
        or train_labels.shape != train_features.shape[:1]
        or len(train_labels) == 0
    ):
        raise ValueError(
            f"features have shape {tuple(features.shape)}, train_features "
            f"{tuple(train_features.shape)}, train_labels {tuple(train_labels.shape)}: expected "
            "(N, D), (M, D) and (M,), M >= 1"
        )
    require_finite(features=features, train_features=train_features)
    classes, row_class = train_labels.unique(return_inverse=True)
    train = train_features.double()
    means = torch.stack([train[row_class == c].mean(dim=0) for c in range(len(classes))])
    within = train - means[row_class]
    inverse = torch.linalg.pinv(within.T @ within / len(within), hermitian=True)
    away = features.double().unsqueeze(1) - means
    squared = torch.einsum("ncd,de,nce->nc", away, inverse, away)
    return squared.amin(dim=1).clamp_min(0).sqrt().to(features.dtype)
