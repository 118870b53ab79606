"""Weights of the KL divergence that change from step to step.

See the API reference; a constant weight, which the chapters use, is a plain number.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bnn_tutorial.argument_checks import require_not_negative, require_positive

KLSchedule = Callable[[int, Sequence[int]], Sequence[float]]


@dataclass(frozen=True)
class KLWarmup:
    r"""A KL weight that grows linearly from 0 over the first E epochs and stays at its full value.

    .. math:: \lambda_{ei} = \lambda \min\left(1, \frac{(e - 1) + (i - 1) / M}{E}\right)

    for batch i of M in epoch e, both from 1. Until the end of epoch E the loss is no bound on the
    evidence; from there on, with :math:`\lambda = 1`, it is. Source: Sønderby et al. (2016).

    Args:
        epochs: E, above 0; a fraction of an epoch is allowed.
        weight: :math:`\lambda`, 0 or more.

    Raises:
        ValueError: ``epochs`` or ``weight`` is out of its range.

    Example:
        >>> import bnn_tutorial as bt
        >>> warmup, batch_sizes = bt.KLWarmup(epochs=2), [10, 10]
        >>> warmup(1, batch_sizes), warmup(2, batch_sizes), warmup(3, batch_sizes)
        ([0.0, 0.25], [0.5, 0.75], [1.0, 1.0])
    """

    epochs: float
    weight: float = 1.0

    def __post_init__(self):
        require_positive(epochs=self.epochs)
        require_not_negative(weight=self.weight)

    def __call__(self, epoch: int, batch_sizes: Sequence[int]) -> list[float]:
        """Return the weights of the batches of ``epoch``, from 1, given their ``batch_sizes``."""
        num_batches = len(batch_sizes)
        passed = (epoch - 1 + batch / num_batches for batch in range(num_batches))
        return [self.weight * min(1.0, epochs / self.epochs) for epochs in passed]


@dataclass(frozen=True)
class BlundellWeights:
    r"""KL weights that halve from batch to batch, so that the prior speaks first and the data last.

    Batch i of the M in an epoch takes the share :math:`\pi_i` of the KL, and its loss per datum,
    with :math:`B_i` of the N data in it, the weight :math:`\lambda_i`:

    .. math:: \pi_i = \frac{2^{M - i}}{2^M - 1}, \qquad \sum_{i=1}^{M} \pi_i = 1, \qquad
        \lambda_i = \lambda\, \pi_i \frac{N}{B_i}

    The loss of batch i, times :math:`B_i`, is the authors' minibatch cost, and their sum over an
    epoch is the cost of all data, as with the constant weight :math:`\lambda`:
    :math:`\sum_i \frac{B_i}{N} \lambda_i = \lambda`. The first weight is about M/2 and each next
    one half of it: with hundreds of batches the prior is heard in the first dozen of them alone.
    Source: Blundell et al. (2015), section 3.4.

    Args:
        weight: :math:`\lambda`, 0 or more; 1 gives the ELBO over an epoch.

    Raises:
        ValueError: ``weight`` is out of its range.

    Example:
        >>> import bnn_tutorial as bt
        >>> weights = bt.BlundellWeights()(1, [10, 10])  # 2 * 2/3 and 2 * 1/3
        >>> print(", ".join(f"{weight:.3f}" for weight in weights))
        1.333, 0.667
    """

    weight: float = 1.0

    def __post_init__(self):
        require_not_negative(weight=self.weight)

    def __call__(self, epoch: int, batch_sizes: Sequence[int]) -> list[float]:
        """Return the weights of the batches of any ``epoch``, given their ``batch_sizes``."""
        num_data, num_batches = sum(batch_sizes), len(batch_sizes)
        # Divided by 2^M above and below, which would overflow beyond M = 1023.
        shares = (
            math.ldexp(1.0, -batch) / (1.0 - math.ldexp(1.0, -num_batches))
            for batch in range(1, num_batches + 1)
        )
        return [
            self.weight * share * num_data / size
            for share, size in zip(shares, batch_sizes, strict=True)
        ]


def kl_weights(
    kl_weight: float | KLSchedule, epoch: int, batch_sizes: Sequence[int]
) -> list[float]:
    """Return the KL weight of every batch of an epoch.

    Args:
        kl_weight: the weight of all batches, or a schedule such as :class:`KLWarmup`: a callable
            that maps (epoch, batch_sizes) to one weight a batch.
        epoch: from 1.
        batch_sizes: the number of data in each batch.

    Raises:
        ValueError: a weight is negative or not finite, or there is not one for each batch.
    """
    if callable(kl_weight):
        weights = [float(weight) for weight in kl_weight(epoch, batch_sizes)]
        if len(weights) != len(batch_sizes):
            raise ValueError(
                f"kl_weight returned {len(weights)} weights in epoch {epoch}: expected one for "
                f"each of the {len(batch_sizes)} batches"
            )
    else:
        weights = [float(kl_weight)] * len(batch_sizes)
    for weight in set(weights):
        require_not_negative(kl_weight=weight)
    return weights
