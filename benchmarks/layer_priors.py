"""A prior for each layer that keeps the size of what the layer is given.

Explained on the pages "As good as its twin?" and "How fast, how accurate". The prior of a layer's
weights is the wider, the fewer inputs it has, N(0, 1 / inputs), so that draws from it keep the
scale of what they are given.
"""

from torch import nn
from torch.distributions import Normal

import bnn_tutorial as bt

INIT_SHARE = 0.03  # of the prior's standard deviation


def layers_of(network: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return the layers with weights, by name."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    }


def prior_std(layer: nn.Linear | nn.Conv2d, scale: float = 1.0) -> float:
    """Return the standard deviation of a layer's prior, times a scale."""
    return scale * layer.weight[0].numel() ** -0.5


def bayesian(network: nn.Module, scale: float = 1.0, estimator: str = "weight") -> nn.Module:
    """Return the network with a posterior for each weight, and these priors.

    Args:
        network: which has a trunk and a head.
        scale: of all priors.
        estimator: of the trunk. By default it draws its weights once a step, which costs what a
            deterministic step costs. The head, where it is cheap, always draws pre-activations,
            which makes the gradient less noisy.
    """
    layers = layers_of(network)
    for name, layer in layers.items():
        std = prior_std(layer, scale)
        network = bt.to_bayesian(
            network,
            prior=Normal(0.0, std),
            init_std=INIT_SHARE * std,
            estimator="local" if name.startswith("head") else estimator,
            skip=tuple(other for other in layers if other != name),
        )
    return network
