"""Bayesian layers: every weight is an independent Gaussian whose mean and width are learnt.

Explained in the chapters "Reparameterization" (the estimators) and "A Bayesian CNN on MNIST" (the
convolution).
"""

import abc
import contextlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.modules.utils import _pair

ESTIMATORS = ("weight", "local")


def inverse_softplus(std: float) -> float:
    r"""Return the rho whose softplus is ``std``.

    .. math:: \rho = \log(e^{\sigma} - 1) = \sigma + \log(1 - e^{-\sigma})

    Args:
        std: a standard deviation, above 0.

    Raises:
        ValueError: ``std`` is not a positive finite number.
    """
    if not (std > 0 and math.isfinite(std)):
        raise ValueError(f"std={std!r}: a standard deviation must be a positive finite number")
    return std + math.log(-math.expm1(-std))


class BayesianLayer(nn.Module, abc.ABC):
    r"""A layer whose weights have the posterior :math:`q(w) = \mathcal N(\mu, \sigma^2)`.

    .. math:: \sigma = \log(1 + e^{\rho}), \qquad w = \mu + \sigma \epsilon, \quad
        \epsilon \sim \mathcal N(0, 1)

    Forward always samples, in ``train()`` and in ``eval()`` alike; only
    :func:`posterior_mean` replaces the draw by the means.

    Subclasses name their linear map in :meth:`linear_map`. Source: Blundell et al. (2015) for the
    parameterization, Kingma et al. (2015) for the ``"local"`` estimator.

    Args:
        weight_shape: the shape of ``weight_mean``, outputs first.
        bias: whether there is a bias, of shape ``(weight_shape[0],)``.
        prior: a univariate :class:`torch.distributions.Normal`; None means ``Normal(0, 1)``.
        estimator: ``"weight"`` draws the weights once a forward pass, so that all data of a batch
            share them; ``"local"`` draws each pre-activation from its own Gaussian.
        init_std: the standard deviation that every weight starts with.

    Raises:
        TypeError: ``prior`` is not a Normal.
        ValueError: an unknown ``estimator``, an ``init_std`` that is not positive and finite, or a
            prior whose parameters are not scalars.
    """

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        bias: bool,
        *,
        prior: Normal | None,
        estimator: str,
        init_std: float,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if estimator not in ESTIMATORS:
            raise ValueError(f"estimator={estimator!r}: expected one of {', '.join(ESTIMATORS)}")
        prior = Normal(0.0, 1.0) if prior is None else prior
        if not isinstance(prior, Normal):
            raise TypeError(f"prior={prior!r}: expected a torch.distributions.Normal")
        if prior.batch_shape.numel() != 1:
            raise ValueError(f"prior={prior!r}: expected one mean and one standard deviation")
        self.estimator = estimator
        self.sampling = True
        factory = {"device": device, "dtype": dtype}
        self.weight_mean = nn.Parameter(torch.empty(weight_shape, **factory))
        self.weight_rho = nn.Parameter(torch.empty(weight_shape, **factory))
        if bias:
            self.bias_mean = nn.Parameter(torch.empty(weight_shape[0], **factory))
            self.bias_rho = nn.Parameter(torch.empty(weight_shape[0], **factory))
        else:
            self.register_parameter("bias_mean", None)
            self.register_parameter("bias_rho", None)
        # Buffers, so that the prior moves with the layer and is saved with it.
        reference = self.weight_mean.detach()
        self.register_buffer("prior_mean", reference.new_full((), float(prior.loc)))
        self.register_buffer("prior_std", reference.new_full((), float(prior.scale)))
        self.reset_parameters(init_std)

    def reset_parameters(self, init_std: float) -> None:
        """Draw the means as torch.nn draws its weights and set every width to ``init_std``."""
        nn.init.kaiming_uniform_(self.weight_mean, a=math.sqrt(5))
        nn.init.constant_(self.weight_rho, inverse_softplus(init_std))
        if self.bias_mean is not None:
            bound = 1 / math.sqrt(self.weight_mean[0].numel())
            nn.init.uniform_(self.bias_mean, -bound, bound)
            nn.init.constant_(self.bias_rho, inverse_softplus(init_std))

    @property
    def weight_std(self) -> Tensor:
        """The posterior standard deviations of the weights, softplus(weight_rho)."""
        return F.softplus(self.weight_rho)

    @property
    def bias_std(self) -> Tensor | None:
        """The posterior standard deviations of the biases; None without a bias."""
        return None if self.bias_rho is None else F.softplus(self.bias_rho)

    @property
    def prior(self) -> Normal:
        """The prior of every weight and bias."""
        return Normal(self.prior_mean, self.prior_std)

    def kl_divergence(self) -> Tensor:
        r"""Return KL(q || prior), summed over weights and biases: a scalar in nats.

        .. math:: \sum_i \log\frac{\sigma_p}{\sigma_i}
            + \frac{\sigma_i^2 + (\mu_i - \mu_p)^2}{2 \sigma_p^2} - \frac12
        """
        kl = torch.distributions.kl_divergence(
            Normal(self.weight_mean, self.weight_std), self.prior
        ).sum()
        if self.bias_mean is not None:
            kl = (
                kl
                + torch.distributions.kl_divergence(
                    Normal(self.bias_mean, self.bias_std), self.prior
                ).sum()
            )
        return kl

    @abc.abstractmethod
    def linear_map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply the layer's linear map with the given weight and bias."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` with one draw from the posterior, or with its means in posterior_mean."""
        if not self.sampling:
            return self.linear_map(x, self.weight_mean, self.bias_mean)
        if self.estimator == "weight":
            return self._forward_weight(x)
        return self._forward_local(x)

    def _forward_weight(self, x: Tensor) -> Tensor:
        weight = self.weight_mean + self.weight_std * torch.randn_like(self.weight_mean)
        bias = self.bias_mean
        if bias is not None:
            bias = bias + self.bias_std * torch.randn_like(bias)
        return self.linear_map(x, weight, bias)

    def _forward_local(self, x: Tensor) -> Tensor:
        mean = self.linear_map(x, self.weight_mean, self.bias_mean)
        bias_variance = None if self.bias_std is None else self.bias_std.square()
        variance = self.linear_map(x.square(), self.weight_std.square(), bias_variance)
        # sqrt has an infinite slope at 0, where an all-zero input meets no bias: the smallest
        # normal number there keeps the gradient finite and adds nothing that float can show.
        std = variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt()
        return mean + std * torch.randn_like(mean)


class BayesianLinear(BayesianLayer):
    r"""A fully connected layer with a Gaussian posterior over its weights.

    .. math:: y = x W^\top + b, \qquad W \sim q(W),\; b \sim q(b)

    Shapes: ``x`` is (..., in_features), the result (..., out_features); ``weight_mean`` is
    (out_features, in_features). Arguments are those of :class:`torch.nn.Linear`, then those of
    :class:`BayesianLayer`, which also lists the errors raised.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        prior: Normal | None = None,
        estimator: str = "local",
        init_std: float = 0.05,
        device=None,
        dtype=None,
    ):
        super().__init__(
            (out_features, in_features),
            bias,
            prior=prior,
            estimator=estimator,
            init_std=init_std,
            device=device,
            dtype=dtype,
        )
        self.in_features = in_features
        self.out_features = out_features

    def linear_map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return ``x @ weight.T + bias``."""
        return F.linear(x, weight, bias)

    def extra_repr(self) -> str:
        """Describe the layer in a print of the model."""
        return (
            f"{self.in_features}, {self.out_features}, bias={self.bias_mean is not None}, "
            f"prior=Normal({self.prior_mean:g}, {self.prior_std:g}), estimator={self.estimator!r}"
        )


class BayesianConv2d(BayesianLayer):
    r"""A two-dimensional convolution with a Gaussian posterior over its kernels.

    .. math:: y_{o} = b_o + \sum_i W_{oi} \star x_i, \qquad W \sim q(W),\; b \sim q(b)

    Shapes: ``x`` is (N, in_channels, H, W) or (in_channels, H, W), as in
    :class:`torch.nn.Conv2d`, whose arguments come first; then those of :class:`BayesianLayer`,
    which also lists the errors raised. With ``estimator="local"`` every output pixel has its own
    noise: the marginals are exact, the correlation between pixels that share a kernel is not.

    Raises:
        ValueError: besides, channels that ``groups`` does not divide, or an unknown
            ``padding_mode``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        prior: Normal | None = None,
        estimator: str = "local",
        init_std: float = 0.05,
        device=None,
        dtype=None,
    ):
        # torch.nn.Conv2d validates the arguments and works out the padding of every mode; on the
        # meta device it holds no weights.
        geometry = nn.Conv2d(
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
        super().__init__(
            tuple(geometry.weight.shape),
            bias,
            prior=prior,
            estimator=estimator,
            init_std=init_std,
            device=device,
            dtype=dtype,
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = geometry.kernel_size
        self.stride = geometry.stride
        self.padding = geometry.padding
        self.dilation = geometry.dilation
        self.groups = groups
        self.padding_mode = padding_mode
        self._border = geometry._reversed_padding_repeated_twice

    def linear_map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return the convolution of ``x`` with ``weight``, plus ``bias``."""
        padding = self.padding
        if self.padding_mode != "zeros":
            x = F.pad(x, self._border, mode=self.padding_mode)
            padding = _pair(0)
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """Describe the layer in a print of the model."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, bias={self.bias_mean is not None}, "
            f"prior=Normal({self.prior_mean:g}, {self.prior_std:g}), estimator={self.estimator!r}"
        )


def bayesian_layers(module: nn.Module) -> list[BayesianLayer]:
    """Return every Bayesian layer inside ``module``, each once, the module itself included."""
    return [layer for layer in module.modules() if isinstance(layer, BayesianLayer)]


@contextlib.contextmanager
def posterior_mean(module: nn.Module):
    """Make every Bayesian layer inside ``module`` use its means instead of a draw.

    A context manager; on leaving, each layer samples or not as it did before, after an error too.
    """
    layers = bayesian_layers(module)
    before = [layer.sampling for layer in layers]
    for layer in layers:
        layer.sampling = False
    try:
        yield module
    finally:
        for layer, sampling in zip(layers, before, strict=True):
            layer.sampling = sampling
