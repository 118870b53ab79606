"""Priors over weights: any univariate distribution, as a module whose parameters are buffers.

A :class:`torch.distributions.Distribution` is no module: it stays behind when its layer moves to a
GPU and is missing from the ``state_dict``. :class:`Prior` holds its tensors instead and builds the
distribution anew at each use. Explained in the chapter "The ELBO".
"""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal
from torch.distributions.transforms import Transform
from torch.distributions.utils import lazy_property

from bnn_tutorial.argument_checks import require_positive

_POINTS = (-1e38, -1.0, -0.01, 0.0, 0.01, 1.0, 1e38)


def scale_mixture(share: float = 0.5, std: float = 1.0, narrow_std: float = 0.0025) -> Distribution:
    r"""Return the scale mixture of two Gaussians around 0, a wide and a narrow one.

    .. math:: p(w) = \pi\, \mathcal N(w \mid 0, \sigma_1^2) + (1 - \pi)\, \mathcal N(w \mid 0,
        \sigma_2^2)

    The KL from a Gaussian to it has no closed form.

    Args:
        share: :math:`\pi`, the wide Gaussian's share, between 0 and 1.
        std: :math:`\sigma_1`, the wide Gaussian's standard deviation.
        narrow_std: :math:`\sigma_2`, the narrow one's.

    Raises:
        ValueError: ``share`` is not between 0 and 1, or a standard deviation is not positive
            and finite.

    Source: Blundell et al. (2015), equation 7.

    Example:
        >>> import bnn_tutorial as bt
        >>> prior = bt.scale_mixture(0.5, std=1.0, narrow_std=0.1)
        >>> round(prior.variance.item(), 3)  # 0.5 * 1.0**2 + 0.5 * 0.1**2
        0.505
    """
    if not 0 < share < 1:
        raise ValueError(f"share={share}: expected a number between 0 and 1")
    require_positive(std=std, narrow_std=narrow_std)
    return MixtureSameFamily(
        Categorical(probs=torch.tensor([share, 1 - share])),
        Normal(torch.zeros(2), torch.tensor([std, narrow_std])),
    )


def _parts(value: Distribution | Transform) -> dict[str, object]:
    """Return the attributes of a distribution without those that it worked out from others."""
    given = vars(value).get("_param")
    return {
        name: part
        for name, part in vars(value).items()
        if part is given or not isinstance(getattr(type(value), name, None), lazy_property)
    }


def _tensors(value: object, path: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, tensor) for every tensor inside a distribution, each once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{path}_{index}", seen)
    elif isinstance(value, Distribution | Transform):
        for name, part in _parts(value).items():
            yield from _tensors(part, f"{path}_{name.strip('_')}", seen)


def _rebuild(value: Any, parts: dict[int, Any], *, validate: bool) -> Any:
    """Copy a distribution with the parts, named by their id, in the place of its own."""
    if id(value) in parts:
        return parts[id(value)]
    if isinstance(value, list):
        return [_rebuild(item, parts, validate=validate) for item in value]
    if not isinstance(value, Distribution | Transform):
        return value
    twin = parts[id(value)] = object.__new__(type(value))
    for name, part in _parts(value).items():
        vars(twin)[name] = _rebuild(part, parts, validate=validate)
    if isinstance(twin, Distribution):
        twin._validate_args = validate
    return twin


def _covers(distribution: Distribution, tensors: Iterable[Tensor], points: Tensor) -> bool:
    """Whether the density is defined at every one of ``points``."""
    # Validated whatever the default is now: torch.compile switches it off for the whole process.
    validated: Distribution = _rebuild(
        distribution, {id(part): part for part in tensors}, validate=True
    )
    try:
        # Tells more than the support: torch calls that of every affine transform the real line.
        validated.log_prob(points)
    except ValueError:
        return False
    support = distribution.support
    return support is not None and bool(support.check(points).all())


class Prior(nn.Module):
    """A univariate distribution that moves, converts and is saved with the module that holds it.

    The buffers are named after the family, such as ``Laplace_scale``, so that a ``state_dict`` of
    another family does not load.

    Args:
        distribution: over single numbers, its support the whole real line: one for all weights, or
            one for each (batch shape ``shape``).
        shape: of the weights that it is a prior of.
        device: of the buffers.
        dtype: of the buffers, a floating-point type.

    Raises:
        TypeError: ``distribution`` is not a torch.distributions.Distribution.
        ValueError: it is not univariate, its batch shape neither holds one element nor is
            ``shape``, or its support is not the real line.
    """

    def __init__(self, distribution: Distribution, shape: torch.Size, *, device=None, dtype=None):
        super().__init__()
        if not isinstance(distribution, Distribution):
            raise TypeError(
                f"prior={distribution!r}: expected a torch.distributions.Distribution, such as "
                "Normal(0.0, 1.0)"
            )
        if distribution.event_shape != ():
            raise ValueError(
                f"prior={distribution!r}: expected a univariate distribution, this one has events "
                f"of shape {tuple(distribution.event_shape)}"
            )
        batch_shape = distribution.batch_shape
        if batch_shape.numel() != 1 and batch_shape != shape:
            raise ValueError(
                f"prior={distribution!r} has batch shape {tuple(batch_shape)}: expected one "
                f"distribution for all weights or one for each, of shape {tuple(shape)}"
            )
        tensors = dict(_tensors(distribution, type(distribution).__name__, set()))
        anchor = next(iter(tensors.values()), torch.zeros(()))
        points = anchor.new_tensor(_POINTS, dtype=torch.float32)
        points = points.reshape(-1, *[1] * len(batch_shape))
        if not _covers(distribution, tensors.values(), points):
            raise ValueError(
                f"prior={distribution!r} has the support {distribution.support}: expected the real "
                "line, since a Gaussian posterior has mass everywhere"
            )
        self._template = distribution
        self._tensors = tensors
        for name, tensor in tensors.items():
            kind = dtype if tensor.is_floating_point() else tensor.dtype
            self.register_buffer(name, tensor.detach().clone().to(device=device, dtype=kind))

    @property
    def family(self) -> type[Distribution]:
        """The distribution's class."""
        return type(self._template)

    @property
    def normal(self) -> tuple[Tensor, Tensor] | None:
        """The mean and standard deviation of a Normal, in single precision or better, else None."""
        if self.family is not Normal:
            return None
        mean = self.get_buffer("Normal_loc")
        std = self._buffers.get("Normal_scale")
        if std is None:  # one tensor that is both is kept once
            std = mean
        return at_least_float32(mean), at_least_float32(std)

    @property
    def distribution(self) -> Distribution:
        """The distribution, of the buffers as they are now, in single precision or better."""
        buffers = {
            id(tensor): at_least_float32(getattr(self, name))
            for name, tensor in self._tensors.items()
        }
        # A diverged posterior then has a KL of NaN, which training reports, and a GPU never waits.
        return _rebuild(self._template, buffers, validate=False)

    def __deepcopy__(self, memo: dict) -> "Prior":
        # The template is never changed, and torch's transforms lose their inverse in a deepcopy.
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        memo[id(self._template)] = self._template
        memo[id(self._tensors)] = self._tensors
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __repr__(self) -> str:
        values = ", ".join(
            f"{name.removeprefix(self.family.__name__ + '_')}="
            + (f"{value.item():g}" if value.numel() == 1 else f"{tuple(value.shape)}")
            for name, value in self.named_buffers()
        )
        return f"{self.family.__name__}({values})"


def at_least_float32(value: Tensor) -> Tensor:
    """Return ``value`` in single precision where it is in half precision, else as it is."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
