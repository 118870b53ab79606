"""Bayesian convolutions in one, two and three dimensions, and transposed ones.

Explained in the chapter "A Bayesian CNN on MNIST".
"""

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from bnn_tutorial.layers.bayesian import BayesianLayer


class _OfGeometry(BayesianLayer):
    """What convolutions and transposed ones share: a layer of torch.nn says how they are built.

    It validates the arguments and works out the padding; on the meta device it holds no weights.
    """

    _twin: ClassVar[Callable[..., nn.modules.conv._ConvNd]]
    _convolve: ClassVar[Callable[..., Tensor]]
    _shown: ClassVar[tuple[str, ...]]  # of the settings, in a print

    def __init__(self, geometry: nn.modules.conv._ConvNd, **settings):
        super().__init__(
            tuple(geometry.weight.shape),
            geometry.bias is not None,
            num_outputs=geometry.out_channels,
            **settings,
        )
        self.in_channels = geometry.in_channels
        self.out_channels = geometry.out_channels
        self.kernel_size = geometry.kernel_size
        self.stride = geometry.stride
        self.padding = geometry.padding
        self.output_padding = geometry.output_padding
        self.dilation = geometry.dilation
        self.groups = geometry.groups
        self.padding_mode = geometry.padding_mode
        self._border = geometry._reversed_padding_repeated_twice

    def extra_repr(self) -> str:
        """Describe the layer in a print of the model."""
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{self.in_channels}, {self.out_channels}, {shown}, {super().extra_repr()}"


class _BayesianConv(_OfGeometry):
    r"""A convolution with a Gaussian posterior over its kernels.

    .. math:: y_{o} = b_o + \sum_i W_{oi} \star x_i, \qquad W \sim q(W),\; b \sim q(b)

    With ``estimator="local"`` every output position has its own noise: the marginals are exact,
    the correlation between positions that share a kernel is not. With ``"flipout"`` the signs
    differ between data and channels and are shared by the positions.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of each dimension, or one for all.
        stride: as in torch.nn.
        padding: as in torch.nn, ``"same"`` and ``"valid"`` included.
        dilation: as in torch.nn.
        groups: as in torch.nn.
        bias: whether there is a bias.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        prior: see :class:`BayesianLayer`.
        estimator: see :class:`BayesianLayer`.
        init_std: see :class:`BayesianLayer`.
        device: where the parameters live.
        dtype: their floating-point type.

    Raises:
        TypeError: see :class:`BayesianLayer`.
        ValueError: besides, channels that ``groups`` does not divide, an unknown ``padding_mode``,
            or ``padding="same"`` with a stride.
    """

    _shown = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        prior: Distribution | None = None,
        estimator: str = "local",
        init_std: float = 0.05,
        device=None,
        dtype=None,
    ):
        geometry = self._twin(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device="meta",
        )
        settings = {"prior": prior, "estimator": estimator, "init_std": init_std}
        super().__init__(geometry, **settings, device=device, dtype=dtype)

    def linear_map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of ``x`` with ``weight``, plus ``bias``."""
        padding = self.padding
        if self.padding_mode != "zeros":
            x = F.pad(x, self._border, mode=self.padding_mode)
            padding = 0
        return self._convolve(x, weight, bias, self.stride, padding, self.dilation, self.groups)


class BayesianConv1d(_BayesianConv):
    __doc__ = (
        f"{_BayesianConv.__doc__}"
        """
    Shapes: ``x`` is (N, in_channels, L) or (in_channels, L), as in :class:`torch.nn.Conv1d`.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer = bt.BayesianConv1d(1, 4, kernel_size=3)
        >>> layer(torch.zeros(2, 1, 10)).shape
        torch.Size([2, 4, 8])
    """
    )
    spatial_dims = 1
    _twin = nn.Conv1d
    _convolve = staticmethod(F.conv1d)


class BayesianConv2d(_BayesianConv):
    __doc__ = (
        f"{_BayesianConv.__doc__}"
        """
    Shapes: ``x`` is (N, in_channels, H, W) or (in_channels, H, W), as in :class:`torch.nn.Conv2d`.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer = bt.BayesianConv2d(1, 8, kernel_size=3, padding=1)
        >>> layer(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 8, 28, 28])
    """
    )
    spatial_dims = 2
    _twin = nn.Conv2d
    _convolve = staticmethod(F.conv2d)


class BayesianConv3d(_BayesianConv):
    __doc__ = (
        f"{_BayesianConv.__doc__}"
        """
    Shapes: ``x`` is (N, in_channels, D, H, W) or (in_channels, D, H, W), as in
    :class:`torch.nn.Conv3d`.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer = bt.BayesianConv3d(1, 2, kernel_size=2)
        >>> layer(torch.zeros(2, 1, 4, 5, 6)).shape
        torch.Size([2, 2, 3, 4, 5])
    """
    )
    spatial_dims = 3
    _twin = nn.Conv3d
    _convolve = staticmethod(F.conv3d)


class _BayesianConvTranspose(_OfGeometry):
    r"""A transposed convolution with a Gaussian posterior over its kernels.

    .. math:: y_{o} = b_o + \sum_i W_{io} \star^\top x_i, \qquad W \sim q(W),\; b \sim q(b)

    With :math:`\star^\top` the linear map whose matrix is a convolution's, transposed. What the
    estimators share is as in :class:`BayesianConv2d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: of each dimension, or one for all.
        stride: as in torch.nn.
        padding: as in torch.nn.
        output_padding: as in torch.nn.
        groups: as in torch.nn.
        bias: whether there is a bias.
        dilation: as in torch.nn.
        padding_mode: ``"zeros"``, the only one that torch.nn has.
        prior: see :class:`BayesianLayer`.
        estimator: see :class:`BayesianLayer`.
        init_std: see :class:`BayesianLayer`.
        device: where the parameters live.
        dtype: their floating-point type.

    Raises:
        TypeError: see :class:`BayesianLayer`.
        ValueError: besides, channels that ``groups`` does not divide, or another ``padding_mode``.
    """

    _shown = ("kernel_size", "stride", "padding", "output_padding", "dilation", "groups")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        *,
        prior: Distribution | None = None,
        estimator: str = "local",
        init_std: float = 0.05,
        device=None,
        dtype=None,
    ):
        geometry = self._twin(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            groups,
            bias,
            dilation,
            padding_mode,
            device="meta",
        )
        settings = {"prior": prior, "estimator": estimator, "init_std": init_std}
        super().__init__(geometry, **settings, device=device, dtype=dtype)

    def linear_map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the transposed convolution of ``x`` with ``weight``, plus ``bias``."""
        return self._convolve(
            x,
            weight,
            bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


class BayesianConvTranspose1d(_BayesianConvTranspose):
    __doc__ = (
        f"{_BayesianConvTranspose.__doc__}"
        """
    Shapes: ``x`` is (N, in_channels, L) or (in_channels, L), as in
    :class:`torch.nn.ConvTranspose1d`.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer = bt.BayesianConvTranspose1d(4, 1, kernel_size=3)
        >>> layer(torch.zeros(2, 4, 8)).shape
        torch.Size([2, 1, 10])
    """
    )
    spatial_dims = 1
    _twin = nn.ConvTranspose1d
    _convolve = staticmethod(F.conv_transpose1d)


class BayesianConvTranspose2d(_BayesianConvTranspose):
    __doc__ = (
        f"{_BayesianConvTranspose.__doc__}"
        """
    Shapes: ``x`` is (N, in_channels, H, W) or (in_channels, H, W), as in
    :class:`torch.nn.ConvTranspose2d`.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer = bt.BayesianConvTranspose2d(4, 1, kernel_size=3)
        >>> layer(torch.zeros(2, 4, 8, 8)).shape
        torch.Size([2, 1, 10, 10])
    """
    )
    spatial_dims = 2
    _twin = nn.ConvTranspose2d
    _convolve = staticmethod(F.conv_transpose2d)


class BayesianConvTranspose3d(_BayesianConvTranspose):
    __doc__ = (
        f"{_BayesianConvTranspose.__doc__}"
        """
    Shapes: ``x`` is (N, in_channels, D, H, W) or (in_channels, D, H, W), as in
    :class:`torch.nn.ConvTranspose3d`.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer = bt.BayesianConvTranspose3d(4, 1, kernel_size=3)
        >>> layer(torch.zeros(2, 4, 3, 3, 3)).shape
        torch.Size([2, 1, 5, 5, 5])
    """
    )
    spatial_dims = 3
    _twin = nn.ConvTranspose3d
    _convolve = staticmethod(F.conv_transpose3d)
