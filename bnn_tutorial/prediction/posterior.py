"""A posterior that is not made of Bayesian layers, in the one form that :func:`predict` asks for.

Explained in the chapter "Other roads to a posterior".
"""

import abc
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from bnn_tutorial.batches import Inputs, call


def evenly_spaced(num_samples: int, num_networks: int) -> list[int]:
    """Return which networks to take, each in the middle of an equal part of all of them."""
    return [(2 * index + 1) * num_networks // (2 * num_samples) for index in range(num_samples)]


class Posterior(nn.Module, abc.ABC):
    """A distribution over networks: an ensemble, a chain's samples, a Gaussian around a network.

    A subclass says in :meth:`networks` how a network is drawn. :func:`predict`, :func:`evaluate`
    and all that works on a :class:`Prediction` then work on it. ``num_networks`` is the number of
    networks where it is finite, and None where there is always another draw.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> class TwoLines(bt.Posterior):
        ...     num_networks = 2
        ...     def networks(self, num_samples):
        ...         yield from (lambda x: x, lambda x: 3 * x)[:num_samples]
        >>> prediction = bt.predict(TwoLines(), torch.ones(5, 1))
        >>> prediction.samples.shape, prediction.mean[0].item()
        (torch.Size([2, 5, 1]), 2.0)
    """

    num_networks: int | None = None

    @abc.abstractmethod
    def networks(self, num_samples: int) -> Iterator[Callable[..., Tensor]]:
        """Yield ``num_samples`` networks, each a function from inputs (N, ...) to outputs (N, ...).

        Where the number of networks is finite, ``num_samples`` is at most that number, and each is
        yielded once; fewer are taken evenly. The draws come from torch's global generators.

        Args:
            num_samples: how many.
        """

    def forward(self, x: Inputs) -> Tensor:
        """Return the output of one network at ``x``, shape (N, ...)."""
        return call(next(self.networks(1)), x)
