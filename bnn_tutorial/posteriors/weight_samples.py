"""A posterior that is a list of weight vectors, as a chain leaves it.

Explained in the chapter "Sampling the posterior".
"""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from bnn_tutorial.batches import Inputs, arguments
from bnn_tutorial.layers.bayesian import Bayesian
from bnn_tutorial.prediction.posterior import Posterior, evenly_spaced


def require_deterministic(**networks: nn.Module) -> None:
    """Check that each network has weights and none of them drawn by Bayesian layers.

    Raises:
        ValueError: one is otherwise; the message names it as the caller wrote it.
    """
    for name, network in networks.items():
        if next(network.parameters(), None) is None:
            raise ValueError(f"{name} has no parameters: expected at least one")
        drawn = [path for path, m in network.named_modules() if isinstance(m, Bayesian)]
        if drawn:
            raise ValueError(
                f"{name} has Bayesian layers, {drawn[0]!r} the first: expected a deterministic "
                "network, which has no posterior already"
            )


def weights_by_name(network: nn.Module, weights: Tensor) -> dict[str, Tensor]:
    """Return views of a vector of all weights, shape (P,), under the names of the parameters.

    The order is that of ``torch.nn.utils.parameters_to_vector``.
    """
    parameters = dict(network.named_parameters())
    parts = weights.split([parameter.numel() for parameter in parameters.values()])
    return {
        name: part.view(parameter.shape)
        for (name, parameter), part in zip(parameters.items(), parts, strict=True)
    }


def network_with_weights(network: nn.Module, weights: Tensor) -> Callable[[Inputs], Tensor]:
    """Return ``network`` as a function of its inputs alone, with all weights from one vector."""
    parameters = weights_by_name(network, weights)
    return lambda x: torch.func.functional_call(network, parameters, *arguments(network, x))


class WeightSamples(Posterior):
    """The networks of one architecture with S vectors of weights, such as a chain's samples.

    ``num_networks`` is S. Fewer are taken evenly spaced, so that every chain has its part where
    the chains lie one after the other. The vectors are in the order of
    ``torch.nn.utils.parameters_to_vector``.

    Args:
        network: the architecture, copied; its weights' values are not used.
        samples: shape (S, P); of a :class:`Chains`, ``chains.samples.flatten(0, 1)``.

    Raises:
        ValueError: ``samples`` is empty or not of shape (S, P).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> samples = torch.tensor([[1.0, 0.0], [3.0, 0.0]])  # two slopes, no bias
        >>> posterior = bt.WeightSamples(torch.nn.Linear(1, 1), samples)
        >>> prediction = bt.predict(posterior, torch.ones(5, 1))
        >>> prediction.samples.shape, prediction.mean[0].item()
        (torch.Size([2, 5, 1]), 2.0)
    """

    def __init__(self, network: nn.Module, samples: Tensor):
        super().__init__()
        num_weights = sum(parameter.numel() for parameter in network.parameters())
        if samples.ndim != 2 or samples.shape[1] != num_weights or len(samples) == 0:
            raise ValueError(
                f"samples has shape {tuple(samples.shape)}: expected (S, {num_weights}), "
                "one row or more, each with all weights of the network"
            )
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.samples: Tensor
        self.register_buffer("samples", samples.detach().clone())
        self.num_networks = len(samples)

    def networks(self, num_samples: int) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield ``num_samples`` of the networks, evenly spaced and each once."""
        for index in evenly_spaced(num_samples, len(self.samples)):
            yield network_with_weights(self.network, self.samples[index])
