"""Bayesian layers: every weight is an independent Gaussian whose mean and width are learnt.

What all layers share, and the three estimators of a random forward pass. ``linear.py`` and
``convolutions.py`` name the maps. Explained in the chapters "Reparameterization" and "Quieter
gradients".
"""

import abc
import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from bnn_tutorial.argument_checks import require_positive
from bnn_tutorial.layers.estimator_noise import add_noise, random_signs
from bnn_tutorial.layers.priors import Prior, at_least_float32
from bnn_tutorial.layers.shared_moments import MomentsOfOneInput
from bnn_tutorial.layers.softplus import inverse_softplus
from bnn_tutorial.layers.weight_kl import Gaussian, draw_weights, kl_to_priors

ESTIMATORS = ("weight", "local", "flipout")


class Bayesian(nn.Module, abc.ABC):
    """What holds a Gaussian posterior of parameters: a layer, or any module.

    A subclass says in :meth:`gaussians` what the posterior is made of: the draws and the KL of a
    whole network come from there.

    Args:
        estimator: ``"weight"``, ``"local"`` or ``"flipout"``, as in :class:`BayesianLayer`.

    Raises:
        ValueError: an unknown ``estimator``.
    """

    def __init__(self, estimator: str):
        super().__init__()
        if estimator not in ESTIMATORS:
            raise ValueError(f"estimator={estimator!r}: expected one of {', '.join(ESTIMATORS)}")
        self.estimator = estimator
        # How forward draws; only drawing_with changes them.
        self.sampling = True
        self.drawn: tuple[Tensor, ...] | None = None
        self.shared_moments: MomentsOfOneInput | None = None
        self._used_drawn = False

    def _given_weights(self) -> tuple[Tensor, ...] | None:
        """Return the weights that a draw of the whole network has for this forward pass, if any.

        Raises:
            RuntimeError: a backward pass runs it again, for activation checkpointing, when that
                draw is gone.
        """
        # Past nn.Module's assignment, as in drawing_with.
        if self.drawn is not None:
            vars(self)["_used_drawn"] = True
        elif self._used_drawn:
            if torch._C._current_graph_task_id() >= 0:  # inside a backward pass
                raise RuntimeError(
                    f"activation checkpointing runs a {type(self).__name__} again after the draw "
                    "of the whole network that it ran with: expected estimator='local', or no "
                    "checkpoint around it"
                )
            vars(self)["_used_drawn"] = False
        return self.drawn

    @abc.abstractmethod
    def gaussians(self) -> list[Gaussian]:
        """Return the posterior of each tensor of parameters, in an order that stays."""

    @abc.abstractmethod
    def set_priors(self, priors: Sequence[Distribution]) -> None:
        """Replace the priors, one for each of :meth:`gaussians`."""

    def kl_divergence(self, num_samples: int = 1) -> Tensor:
        r"""Return KL(q || prior), summed over all parameters: a scalar in nats.

        .. math:: \sum_i \mathrm{KL}\big(\mathcal N(\mu_i, \sigma_i^2) \,\|\, p_i\big)

        Args:
            num_samples: draws of the estimate where the prior leaves no closed form; see
                :func:`bnn_tutorial.kl_divergence`.
        """
        return kl_to_priors(self.gaussians(), num_samples)


class BayesianLayer(Bayesian):
    r"""A layer whose weights have the posterior :math:`q(w) = \mathcal N(\mu, \sigma^2)`.

    .. math:: \sigma = \log(1 + e^{\rho}), \qquad w = \mu + \sigma \epsilon, \quad
        \epsilon \sim \mathcal N(0, 1)

    Forward always samples, in ``train()`` and in ``eval()`` alike; only :func:`posterior_mean`
    replaces the draw by the means. The three estimators agree in the mean and the variance of each
    output and differ in what the data of a batch share:

    - ``"weight"`` draws the weights once a forward pass, for all data: :math:`y = x w^\top`.
    - ``"local"`` draws each output from its own Gaussian:
      :math:`y \sim \mathcal N(x \mu^\top,\; x^2 (\sigma^2)^\top)`.
    - ``"flipout"`` draws the weights once and gives every datum its own random signs r and s:
      :math:`y = x \mu^\top + \big((x \circ s) (\sigma \epsilon)^\top\big) \circ r`.

    Subclasses name their linear map in :meth:`linear_map` and may change what :meth:`gaussians`
    returns, from which draws, means, widths and KL are made.

    Source: Blundell et al. (2015) for the parameterization and ``"weight"``, Kingma et al. (2015)
    for ``"local"``, Wen et al. (2018) for ``"flipout"``.

    Args:
        weight_shape: the shape of ``weight_mean``, outputs first unless ``num_outputs`` is given.
        bias: whether there is a bias, of shape ``(num_outputs,)``.
        num_outputs: of the layer's linear map; None means ``weight_shape[0]``.
        prior: of every weight and bias, any univariate distribution on the real line; None means
            ``Normal(0, 1)``. It is kept as the submodules ``weight_prior`` and ``bias_prior``.
        estimator: ``"weight"``, ``"local"`` or ``"flipout"``.
        init_std: the standard deviation that every weight starts with.
        device: where the parameters live.
        dtype: their floating-point type.

    Raises:
        TypeError: ``prior`` is not a distribution.
        ValueError: an unknown ``estimator``, an ``init_std`` that is not positive and finite, or a
            ``prior`` that is not univariate or not on the whole real line.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> class Dense(bt.BayesianLayer):
        ...     def linear_map(self, x, weight, bias):
        ...         return torch.nn.functional.linear(x, weight, bias)
        >>> layer = Dense((2, 3), True, prior=None, estimator="local", init_std=0.05)
        >>> layer(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        for name in ("kl_divergence", "weight_std", "bias_std"):
            if name in vars(cls):
                raise TypeError(
                    f"{cls.__name__} overrides {name}: expected gaussians() in its place, from "
                    "which the draws and the KL of a whole network are made"
                )

    # How many of an input's last dimensions are positions that share the weights.
    spatial_dims = 0

    def __init__(
        self,
        weight_shape: tuple[int, ...],
        bias: bool,
        *,
        num_outputs: int | None = None,
        prior: Distribution | None,
        estimator: str,
        init_std: float,
        device=None,
        dtype=None,
    ):
        super().__init__(estimator)
        factory = {"device": device, "dtype": dtype}
        self.weight_mean = nn.Parameter(torch.empty(weight_shape, **factory))
        self.weight_rho = nn.Parameter(torch.empty(weight_shape, **factory))
        if bias:
            count = weight_shape[0] if num_outputs is None else num_outputs
            self.bias_mean = nn.Parameter(torch.empty(count, **factory))
            self.bias_rho = nn.Parameter(torch.empty(count, **factory))
        else:
            self.register_parameter("bias_mean", None)
            self.register_parameter("bias_rho", None)
        prior = Normal(0.0, 1.0) if prior is None else prior
        self.set_prior(prior, prior)
        self.reset_parameters(init_std)

    def set_prior(self, weight: Distribution, bias: Distribution) -> None:
        """Replace the priors of the weights and of the biases.

        Args:
            weight: one distribution for all weights, or one each, of ``weight_mean``'s shape.
            bias: the same for the biases; not used without them.

        Raises:
            TypeError: one of them is not a distribution.
            ValueError: one is not univariate, not on the real line, or of another shape.
        """
        mean = self.weight_mean
        self.weight_prior = Prior(weight, mean.shape, device=mean.device, dtype=mean.dtype)
        self.bias_prior: Prior | None = None
        if self.bias_mean is not None:
            shape = self.bias_mean.shape
            self.bias_prior = Prior(bias, shape, device=mean.device, dtype=mean.dtype)

    def set_priors(self, priors: Sequence[Distribution]) -> None:
        """Replace the priors of the weights and, where there is one, of the bias."""
        self.set_prior(priors[0], priors[-1])

    def reset_parameters(self, init_std: float) -> None:
        """Draw the means as torch.nn draws its weights and set every width to ``init_std``.

        Args:
            init_std: a standard deviation.

        Raises:
            ValueError: it is not positive and finite.
        """
        require_positive(init_std=init_std)
        nn.init.kaiming_uniform_(self.weight_mean, a=math.sqrt(5))
        nn.init.constant_(self.weight_rho, inverse_softplus(init_std))
        if self.bias_mean is not None:
            fan_in = self.weight_mean.shape[1:].numel()
            bound = 1 / math.sqrt(fan_in) if fan_in else 0
            nn.init.uniform_(self.bias_mean, -bound, bound)
            nn.init.constant_(self.bias_rho, inverse_softplus(init_std))

    @property
    def weight_std(self) -> Tensor:
        """The posterior standard deviations of the weights."""
        return F.softplus(self.gaussians()[0].rho)

    @property
    def bias_std(self) -> Tensor | None:
        """The posterior standard deviations of the biases; None without a bias."""
        _, *bias = self.gaussians()
        return F.softplus(bias[0].rho) if bias else None

    @property
    def prior(self) -> Distribution:
        """The prior of every weight; a bias has the same, unless :meth:`set_prior` gave another."""
        return self.weight_prior.distribution

    def gaussians(self) -> list[Gaussian]:
        """Return the posterior of the weights and, where there is one, of the bias."""
        parts = [Gaussian(self.weight_mean, self.weight_rho, self.weight_prior)]
        if self.bias_prior is not None:
            parts.append(Gaussian(self.bias_mean, self.bias_rho, self.bias_prior))
        return parts

    @abc.abstractmethod
    def linear_map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Apply to ``x`` the layer's linear map with the given ``weight`` and ``bias``."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` with one draw from the posterior, or with its means in posterior_mean."""
        if not self.sampling:
            return self._map_means(x, self.gaussians())
        if (given := self._given_weights()) is not None:
            weight, *bias = given
            return self.linear_map(x, weight, bias[0] if bias else None)
        if self.estimator == "weight":
            return self._forward_weight(x)
        if self.estimator == "local":
            return self._forward_local(x)
        return self._forward_flipout(x)

    def _map_means(self, x: Tensor, parts: Sequence[Gaussian]) -> Tensor:
        weight, *bias = parts
        return self.linear_map(x, weight.mean, bias[0].mean if bias else None)

    def _forward_weight(self, x: Tensor) -> Tensor:
        draws = [draw_weights(part) for part in self.gaussians()]
        return self.linear_map(x, draws[0], draws[1] if len(draws) > 1 else None)

    def _forward_local(self, x: Tensor) -> Tensor:
        mean, variance = (self.shared_moments or self).output_moments(x)
        return add_noise(mean, variance)

    def output_moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return the mean and the variance of each output, given ``x``.

        .. math:: \mathbb E[y] = x \mu^\top + \mu_b, \qquad
            \mathrm{Var}[y] = x^2 (\sigma^2)^\top + \sigma_b^2

        The variance is in single precision or better, under autocast too: the squares of half
        precision run out of range.

        Args:
            x: the layer's input.
        """
        parts = self.gaussians()
        mean = self._map_means(x, parts)
        with torch.autocast(x.device.type, enabled=False):
            variances = [F.softplus(at_least_float32(p.rho)).square() for p in parts]
            bias = variances[1] if len(variances) > 1 else None
            square = at_least_float32(x).square()
            variance = self.linear_map(square, variances[0].to(square.dtype), bias)
        return mean, variance

    def _forward_flipout(self, x: Tensor) -> Tensor:
        parts = self.gaussians()
        mean = self._map_means(x, parts)
        deviations = [F.softplus(p.rho) * torch.randn_like(p.mean) for p in parts]
        bias = deviations[1] if len(deviations) > 1 else None
        positions = (1,) * self.spatial_dims
        channels = x.shape[: x.dim() - self.spatial_dims]
        signed = x * random_signs(x, (*channels, *positions))
        deviation = self.linear_map(signed, deviations[0], bias)
        channels = deviation.shape[: deviation.dim() - self.spatial_dims]
        return torch.addcmul(mean, deviation, random_signs(mean, (*channels, *positions)))

    def extra_repr(self) -> str:
        """Describe the layer in a print of the model."""
        return (
            f"bias={self.bias_mean is not None}, prior={self.weight_prior}, "
            f"estimator={self.estimator!r}"
        )

    def __repr__(self) -> str:
        # In one line: the priors are submodules, but part of the layer to a reader.
        return f"{type(self).__name__}({self.extra_repr()})"


def bayesian_layers(module: nn.Module) -> list[Bayesian]:
    """Return every Bayesian layer inside ``module``, each once, the module itself included.

    A :class:`BayesianModule` counts as one layer.

    Example:
        >>> import bnn_tutorial as bt
        >>> model = bt.to_bayesian(bt.regression_network(20))
        >>> [layer.weight_mean.shape for layer in bt.bayesian_layers(model)]
        [torch.Size([20, 1]), torch.Size([1, 20])]
    """
    return [layer for layer in module.modules() if isinstance(layer, Bayesian)]


@contextlib.contextmanager
def drawing_with(
    layers: Sequence[Bayesian],
    name: Literal["sampling", "drawn", "shared_moments"],
) -> Iterator[Callable[[Iterable[object]], None]]:
    """Let ``layers`` draw in another way inside the ``with`` block, then as they did before.

    The block's target is a function that takes what is to be used, one value for each layer.

    Args:
        layers: those that change.
        name: of what changes: ``"sampling"``, whether a layer draws or uses its means;
            ``"drawn"``, the weight and bias that it uses instead of drawing; ``"shared_moments"``,
            the moments of its output that several draws share.
    """
    # Past nn.Module's assignment, which first looks for a parameter of that name: a tenth of a
    # small network's time.
    states = [vars(layer) for layer in layers]
    before = [state[name] for state in states]

    def use(values: Iterable[object]) -> None:
        for state, value in zip(states, values, strict=True):
            state[name] = value

    try:
        yield use
    finally:
        use(before)


@contextlib.contextmanager
def posterior_mean(module: nn.Module) -> Iterator[nn.Module]:
    """Make every Bayesian layer inside ``module`` use its means instead of a draw.

    A context manager; on leaving, each layer samples or not as it did before, after an error too.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer, x = bt.BayesianLinear(3, 2), torch.ones(5, 3)
        >>> with bt.posterior_mean(layer):
        ...     print(layer(x).equal(layer(x)))
        True
    """
    layers = bayesian_layers(module)
    with drawing_with(layers, "sampling") as use:
        use([False] * len(layers))
        yield module
