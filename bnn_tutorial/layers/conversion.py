"""Making a deterministic network Bayesian.

Explained in the chapter "A Bayesian CNN on MNIST".
"""

import operator
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from bnn_tutorial.argument_checks import require_positive
from bnn_tutorial.layers.bayesian import Bayesian, BayesianLayer, bayesian_layers
from bnn_tutorial.layers.convolutions import (
    BayesianConv1d,
    BayesianConv2d,
    BayesianConv3d,
    BayesianConvTranspose1d,
    BayesianConvTranspose2d,
    BayesianConvTranspose3d,
)
from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.layers.whole_module import BayesianModule, deep_copy, require_shapes

_CONVOLUTIONS = {
    nn.Conv1d: BayesianConv1d,
    nn.Conv2d: BayesianConv2d,
    nn.Conv3d: BayesianConv3d,
    nn.ConvTranspose1d: BayesianConvTranspose1d,
    nn.ConvTranspose2d: BayesianConvTranspose2d,
    nn.ConvTranspose3d: BayesianConvTranspose3d,
}
_OF_EVERY_MODULE = vars(nn.Module()).keys()


@dataclass(frozen=True)
class EmpiricalPrior:
    r"""The prior and the start that MOPED takes from a trained network's weights.

    .. math:: p(w_i) = \mathcal N(\hat w_i, s^2), \qquad
        q(w_i) = \mathcal N\big(\hat w_i, (\delta\, |\hat w_i|)^2\big) \text{ at the start}

    It uses the training data twice, once for :math:`\hat w` and once for the posterior, so that
    the KL is no longer the price of all that was learnt.

    Args:
        delta: :math:`\delta`, the posterior's first standard deviation relative to each weight.
        std: s, the prior's standard deviation.

    Raises:
        ValueError: ``delta`` or ``std`` is not positive and finite.

    Source: Krishnan et al. (2020), MOPED.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> network = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(network.weight, 2.0)
        >>> layer = bt.to_bayesian(network, prior=bt.EmpiricalPrior(delta=0.1))
        >>> layer.prior.mean.item(), round(layer.weight_std.item(), 3)
        (2.0, 0.2)
    """

    delta: float = 0.1
    std: float = 1.0

    def __post_init__(self):
        require_positive(delta=self.delta, std=self.std)

    def apply(self, layer: Bayesian) -> None:
        """Give ``layer`` this prior around its means, and this start.

        Args:
            layer: its means are the trained weights.
        """
        priors = []
        for mean, rho, _ in layer.gaussians():
            priors.append(Normal(mean.detach(), torch.full_like(mean, self.std)))
            # A weight of exactly 0 would have no width, whose rho is minus infinity.
            std = (self.delta * mean.detach().double().abs()).clamp_min(1e-12)
            with torch.no_grad():
                rho.copy_(std + torch.log(-torch.expm1(-std)))
        layer.set_priors(priors)


PriorsByName = dict[str, Distribution | EmpiricalPrior | None]


def to_bayesian(
    module: nn.Module,
    *,
    prior: Distribution
    | EmpiricalPrior
    | Mapping[str, Distribution | EmpiricalPrior]
    | None = None,
    estimator: str = "local",
    init_std: float = 0.05,
    skip: tuple[str, ...] = (),
    whole: tuple[str, ...] | bool = (),
) -> nn.Module:
    """Return a copy of ``module`` with every Linear, Conv and ConvTranspose made Bayesian.

    The means start at the module's weights, frozen or not; they and the widths are to be trained. A
    layer's hooks are not copied. A layer that occurs in several places, in a list, tuple or dict of
    its parent too, stays one layer, and the module itself may be the layer. All else is copied as
    it is, Bayesian layers with the prior and the estimator that they have;
    :func:`deterministic_parameters` lists what has stayed deterministic, such as recurrent cells,
    batch norms and subclasses of Linear, unless ``whole`` asks for them. A layer whose weight is
    made by a hook or a parametrization, as by pruning or weight norm, stays as it is.

    Args:
        module: the deterministic network; left unchanged.
        prior: of every weight; None means ``Normal(0, 1)``. A dict of submodule names sets the
            prior of all that is inside each, the longest fitting name first; ``""`` names the rest.
        estimator: ``"weight"``, ``"local"`` or ``"flipout"``, as in the layers.
        init_std: the standard deviation that every weight starts with; an
            :class:`EmpiricalPrior` sets its own.
        skip: names of submodules that stay deterministic, with all that is inside them, in every
            place where they occur.
        whole: names of submodules each of which becomes a :class:`BayesianModule`, with all that is
            inside it, such as an LSTM or an embedding. True does that to every module that holds
            parameters of its own and is none of the layers above.

    Warns:
        UserWarning: nothing became Bayesian, or a layer stays deterministic because something else
            makes its weight.

    Raises:
        TypeError: ``skip`` or ``whole`` is one string, or a prior is none.
        ValueError: a name in ``skip``, ``whole`` or ``prior`` is no submodule's, or one in
            ``prior`` holds no layer to convert; a parameter has no shape yet; a layer shares its
            weight or bias with another module, so that a copy would untie them (skip it); a layer
            is compiled by itself, so that its copy would still run the old code; or the layers
            reject ``prior``, ``estimator`` or ``init_std``.

    Example:
        >>> import bnn_tutorial as bt
        >>> network = bt.regression_network(20)
        >>> model = bt.to_bayesian(network)
        >>> type(model[0]).__name__, model[0].weight_mean.equal(network[0].weight)
        ('BayesianLinear', True)
    """
    for argument, given in {"skip": skip, "whole": whole}.items():
        if isinstance(given, str):
            raise TypeError(
                f"{argument}={given!r}: expected a tuple of names, such as ({given!r},)"
            )
    require_shapes(module)
    asked = () if isinstance(whole, bool) else whole
    priors: PriorsByName = dict(prior) if isinstance(prior, Mapping) else {"": prior}
    names = {name for name, _ in module.named_modules(remove_duplicate=False)}
    for argument, given in {"skip": skip, "prior": priors, "whole": asked}.items():
        if unknown := sorted(set(given) - names):
            raise ValueError(
                f"{argument}={unknown}: no such submodule; expected some of {sorted(names)}"
            )
    for name in priors:
        inside = [*module.get_submodule(name).modules()]
        if name and not (whole or any(map(_is_convertible, inside))):
            raise ValueError(
                f"prior={name!r}: expected a submodule with a Linear or ConvNd to convert, this is "
                f"{type(inside[0]).__name__}"
            )
    skipped = {part for name in skip for part in module.get_submodule(name).modules()}
    settings = {"estimator": estimator, "init_std": init_std}
    owners = Counter(p for part in module.modules() for p in part._parameters.values())
    wholes = {module.get_submodule(name) for name in asked}
    twins: dict[nn.Module, nn.Module] = {}
    made_elsewhere: list[str] = []

    def require_own(original: nn.Module, name: str) -> None:
        inside = Counter(p for part in original.modules() for p in part._parameters.values())
        for kind, parameter in original.named_parameters():
            if owners[parameter] > inside[parameter]:
                raise ValueError(
                    f"{name!r} shares its {kind} with another module: expected a {kind} of its "
                    "own, since a Bayesian copy would untie the two; name it in skip"
                )

    def convert(layer: nn.Module, original: nn.Module, name: str) -> nn.Module:
        if original in skipped:
            return layer
        if layer in twins:
            return twins[layer]
        if isinstance(layer, Bayesian):
            twins[layer] = layer
            return layer
        holds_own = whole is True and any(p is not None for p in layer._parameters.values())
        if original in wholes or (holds_own and not _is_convertible(layer)):
            require_own(original, name)
            twins[layer] = _whole_twin(layer, _prior_of(name, priors), init_std)
            return twins[layer]
        if _is_convertible(layer):
            require_own(original, name)
            twins[layer] = _bayesian_twin(layer, _prior_of(name, priors), settings)
            return twins[layer]
        if _weight_is_made(layer):
            twins[layer] = layer
            made_elsewhere.append(f"{name or 'module'} ({type(layer).__name__})")
            return layer
        twins[layer] = layer
        # _modules, because named_children passes over the second place of a shared layer.
        for child_name, child in layer._modules.items():
            if child is not None:
                path = f"{name}.{child_name}" if name else child_name
                twin = convert(child, original.get_submodule(child_name), path)
                if child_name == "_orig_mod" and twin is not child:
                    raise ValueError(
                        f"{path!r} is a compiled layer: expected torch.compile after to_bayesian"
                    )
                setattr(layer, child_name, twin)
        _leave_fast_path(layer)
        return layer

    converted = convert(deep_copy(module), module, "")
    changed = {layer: twin for layer, twin in twins.items() if layer is not twin}
    for part in converted.modules():
        for name in vars(part).keys() - _OF_EVERY_MODULE:
            vars(part)[name] = _with_twins(vars(part)[name], changed, set())
    if made_elsewhere:
        warnings.warn(
            f"{', '.join(made_elsewhere)} stay deterministic: a hook or a parametrization makes "
            "their weight; expected it to be removed before, if they are to be Bayesian",
            stacklevel=2,
        )
    elif not changed:
        warnings.warn(
            f"nothing in this {type(module).__name__} became Bayesian: expected a Linear or a "
            "convolution outside of skip, or whole=True",
            stacklevel=2,
        )
    return converted


def _with_twins(value: Any, twins: dict[nn.Module, nn.Module], seen: set[int]) -> Any:
    """Return ``value`` with the twins in the place of their layers, wherever it holds them.

    Lists and dicts keep being the objects that they are; tuples are made anew.
    """
    if isinstance(value, nn.Module):
        return twins.get(value, value)
    if not isinstance(value, list | tuple | dict) or id(value) in seen:
        return value
    seen.add(id(value))
    if isinstance(value, tuple):
        parts = [_with_twins(part, twins, seen) for part in value]
        if all(map(operator.is_, parts, value)):
            return value
        return getattr(value, "_make", tuple)(parts)  # a named tuple's own way
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        value[key] = _with_twins(part, twins, seen)
    return value


def _is_convertible(layer: nn.Module) -> TypeGuard[nn.Linear | nn.modules.conv._ConvNd]:
    kinds = nn.Linear, *_CONVOLUTIONS
    return type(layer) in kinds and {"weight", "bias"} <= layer._parameters.keys()


def _weight_is_made(layer: nn.Module) -> bool:
    """Return whether something makes the weight that is a parameter by nature."""
    return isinstance(layer, (nn.Linear, *_CONVOLUTIONS)) and "weight" not in layer._parameters


def _prior_of(name: str, priors: PriorsByName) -> Distribution | EmpiricalPrior | None:
    fitting = [key for key in priors if key in ("", name) or name.startswith(f"{key}.")]
    return priors[max(fitting, key=len)] if fitting else None


def _bayesian_twin(
    layer: nn.Linear | nn.modules.conv._ConvNd,
    prior: Distribution | EmpiricalPrior | None,
    settings: dict,
) -> BayesianLayer:
    settings = settings | {
        "prior": None if isinstance(prior, EmpiricalPrior) else prior,
        "device": layer.weight.device,
        "dtype": layer.weight.dtype,
    }
    has_bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        twin: BayesianLayer = BayesianLinear(
            layer.in_features, layer.out_features, has_bias, **settings
        )
    else:
        if layer.transposed:
            settings["output_padding"] = layer.output_padding
        twin = _CONVOLUTIONS[type(layer)](
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=has_bias,
            padding_mode=layer.padding_mode,
            **settings,
        )
    with torch.no_grad():
        twin.weight_mean.copy_(layer.weight)
        if layer.bias is not None:
            twin.bias_mean.copy_(layer.bias)
    if isinstance(prior, EmpiricalPrior):
        prior.apply(twin)
    return twin.train(layer.training)


def _whole_twin(
    module: nn.Module, prior: Distribution | EmpiricalPrior | None, init_std: float
) -> BayesianModule:
    own_prior = None if isinstance(prior, EmpiricalPrior) else prior
    twin = BayesianModule(module, prior=own_prior, init_std=init_std)
    if isinstance(prior, EmpiricalPrior):
        prior.apply(twin)
    return twin


def _leave_fast_path(layer: nn.Module) -> None:
    # In eval() torch's transformer layers hand the weights of their Linears to one fused
    # operation, past the Linears' forward; without these flags they call the layers.
    if isinstance(layer, nn.TransformerEncoderLayer) and bayesian_layers(layer):
        layer.activation_relu_or_gelu = 0
    if isinstance(layer, nn.TransformerEncoder) and bayesian_layers(layer):
        layer.use_nested_tensor = False


def deterministic_parameters(module: nn.Module) -> dict[str, Tensor]:
    """Return, by name, the parameters of ``module`` that belong to no Bayesian layer.

    What :func:`to_bayesian` has left deterministic: skipped submodules and those of other kinds.

    Args:
        module: any module.

    Example:
        >>> import bnn_tutorial as bt
        >>> model = bt.to_bayesian(bt.regression_network(20), skip=("2",))
        >>> list(bt.deterministic_parameters(model))
        ['2.weight', '2.bias']
    """
    bayesian = {p for layer in bayesian_layers(module) for p in layer.parameters()}
    return {name: p for name, p in module.named_parameters() if p not in bayesian}
