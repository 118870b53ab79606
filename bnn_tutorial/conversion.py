"""Making a deterministic network Bayesian.

Explained in the chapter "A Bayesian CNN on MNIST".
"""

import copy

import torch
from torch import nn
from torch.distributions import Normal

from bnn_tutorial.layers import BayesianConv2d, BayesianLayer, BayesianLinear


def to_bayesian(
    module: nn.Module,
    *,
    prior: Normal | None = None,
    estimator: str = "local",
    init_std: float = 0.05,
    skip: tuple[str, ...] = (),
) -> nn.Module:
    """Return a copy of ``module`` with every Linear and Conv2d made Bayesian.

    The means start at the module's weights. A layer that occurs in several places stays one layer,
    and the module itself may be the layer. All else is copied as it is.

    Args:
        module: the deterministic network; left unchanged.
        prior: of every weight; None means ``Normal(0, 1)``.
        estimator: ``"weight"`` or ``"local"``, as in the layers.
        init_std: the standard deviation that every weight starts with.
        skip: names of submodules that stay deterministic, with all that is inside them.

    Raises:
        ValueError: a name in ``skip`` is no submodule's.
        TypeError: a convolution of another kind, such as Conv1d, is neither skipped nor supported.
    """
    if isinstance(skip, str):
        raise TypeError(f"skip={skip!r}: expected a tuple of names, such as ({skip!r},)")
    names = {name for name, _ in module.named_modules(remove_duplicate=False)}
    unknown = sorted(set(skip) - names)
    if unknown:
        raise ValueError(f"skip={unknown}: no such submodule; expected some of {sorted(names)}")
    settings = {"prior": prior, "estimator": estimator, "init_std": init_std}
    converted: dict[nn.Module, nn.Module] = {}

    def convert(layer: nn.Module, name: str) -> nn.Module:
        if name in skip:
            return layer
        if layer not in converted:
            converted[layer] = _to_bayesian_layer(layer, name, settings)
        if converted[layer] is layer:
            # _modules, because named_children passes over the second place of a shared layer.
            for child_name, child in layer._modules.items():
                path = f"{name}.{child_name}" if name else child_name
                setattr(layer, child_name, convert(child, path))
        return converted[layer]

    return convert(copy.deepcopy(module), "")


def _to_bayesian_layer(layer: nn.Module, name: str, settings: dict) -> nn.Module:
    if type(layer) is nn.Linear:
        twin: BayesianLayer = BayesianLinear(
            layer.in_features,
            layer.out_features,
            layer.bias is not None,
            device=layer.weight.device,
            dtype=layer.weight.dtype,
            **settings,
        )
    elif type(layer) is nn.Conv2d:
        twin = BayesianConv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            layer.bias is not None,
            layer.padding_mode,
            device=layer.weight.device,
            dtype=layer.weight.dtype,
            **settings,
        )
    elif isinstance(layer, nn.modules.conv._ConvNd):
        raise TypeError(f"{name!r} is a {type(layer).__name__}: expected Linear or Conv2d, or skip")
    else:
        return layer
    with torch.no_grad():
        twin.weight_mean.copy_(layer.weight)
        if layer.bias is not None:
            twin.bias_mean.copy_(layer.bias)
    return twin.train(layer.training)
