"""The posterior of a whole network: all weights drawn at once, the KL divergence along with them.

A small network's training step spends its time on starting operations, not on numbers. Here all
weights are one vector, so that a draw and the KL with their gradients take some twenty operations
for any number of layers. Explained in the chapter "Reparameterization".
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributions import Normal

from bnn_tutorial.divergence import (
    closed_form,
    cross_entropy_estimate,
    draw_weights,
    expand_normal_priors,
    flatten,
    kl_to_priors,
)
from bnn_tutorial.layers import bayesian_layers

# Numbers drawn at once for several networks: few enough to stay in a processor's cache.
_BLOCK = 2**18


def kl_divergence(module: nn.Module, num_samples: int = 1) -> Tensor:
    r"""Return the KL divergence of all Bayesian layers inside ``module``: a scalar in nats.

    .. math:: \sum_{\text{layers } \ell} \mathrm{KL}\left(q_\ell \,\|\, p_\ell\right)

    A layer that appears in several places counts once. Without any Bayesian layer the result is 0.
    Where the prior leaves no closed form, its part is estimated from fresh draws,

    .. math:: -\mathbb H[q] - \frac1S \sum_{s=1}^S \log p(w_s), \qquad w_s \sim q,

    which is unbiased and has the variance :math:`\frac1S \sum_i \mathrm{Var}_q[\log p(w_i)]`.

    Args:
        module: any module.
        num_samples: S, the draws of such an estimate.

    Raises:
        ValueError: ``num_samples`` is below 1.
    """
    parts = [part for layer in bayesian_layers(module) for part in layer.gaussians()]
    if not parts:
        anchor = next(module.parameters(), torch.zeros(()))
        return torch.zeros((), device=anchor.device, dtype=anchor.dtype)
    return kl_to_priors(parts, num_samples)


class _Layout:
    """Where each of several tensors lies in one vector of all their elements."""

    def __init__(self, tensors: Sequence[Tensor]):
        self.shapes = [tensor.shape for tensor in tensors]
        self.sizes = [tensor.numel() for tensor in tensors]
        self.size = sum(self.sizes)
        self._dtypes = [tensor.dtype for tensor in tensors]
        self._common_dtype = self._dtypes[0] if len(set(self._dtypes)) == 1 else None

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return the tensors as views of ``vector``, or in their own precision where it differs."""
        parts = zip(vector.split(self.sizes), self.shapes, strict=True)
        views = [part.view(shape) for part, shape in parts]
        if self._common_dtype == vector.dtype:
            return views
        return [view.to(dtype) for view, dtype in zip(views, self._dtypes, strict=True)]


class _DrawAndDivergence(torch.autograd.Function):
    """Return the KL of all weights to their Normal priors and a draw of the first of them.

    Inputs are the priors' means and standard deviations, half the number of weights, the layouts
    of the drawn tensors and of all parameters, then all means and all rhos. One node for the whole
    network: the gradients of the draw and of the KL share what forward has worked out.
    """

    @staticmethod
    def forward(ctx, loc, scale, half_size, drawn, layout, *parameters):
        mean, rho = flatten(parameters).chunk(2)
        std = F.softplus(rho)
        ratio, offset = std / scale, (mean - loc) / scale
        squares = ratio.dot(ratio) + offset.dot(offset)
        # 0.5 * squares - log - 0.5 * size; as tensors, which Python's numbers are first made into.
        kl = torch.add(-ratio.log().sum() - half_size, squares, alpha=0.5)
        if drawn.size < len(rho):
            mean, std = mean[: drawn.size], std[: drawn.size]
        epsilon = torch.randn_like(mean)
        ctx.save_for_backward(rho, ratio, offset, scale, epsilon)
        ctx.layout = layout
        return kl, *drawn.split(torch.addcmul(mean, std, epsilon))

    @staticmethod
    @once_differentiable
    def backward(ctx, kl_gradient, *weight_gradients):
        rho, ratio, offset, scale, epsilon = ctx.saved_tensors
        slope = kl_gradient / scale
        gradient = torch.cat([offset * slope, (ratio - ratio.reciprocal()).mul_(slope)])
        mean_gradient, rho_gradient = gradient.chunk(2)
        if weight_gradients:
            weight_gradient = flatten(weight_gradients)
            mean_gradient[: len(epsilon)] += weight_gradient
            rho_gradient[: len(epsilon)].addcmul_(weight_gradient, epsilon)
        rho_gradient.mul_(rho.sigmoid())
        return None, None, None, None, None, *ctx.layout.split(gradient)


def _noise(count: int, like: Tensor, generators: dict[torch.device, torch.Generator]) -> Tensor:
    shape = (count, *like.shape)
    generator = generators[like.device]
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


class NetworkPosterior:
    r"""All weights of a network's Bayesian layers, drawn together.

    Make it anew after the network's layers, priors or device have changed. It draws for the layers
    whose estimator is ``"weight"``; the others draw as they do without it.

    Args:
        module: the network; it is not copied.
    """

    def __init__(self, module: nn.Module):
        layers = bayesian_layers(module)
        drawn_layers = [layer for layer in layers if layer.estimator == "weight"]
        self._has_bias = [(layer, layer.bias_mean is not None) for layer in drawn_layers]
        others = [layer for layer in layers if layer.estimator != "weight"]
        self._drawn = [part for layer in drawn_layers for part in layer.gaussians()]
        self._others = [part for layer in others for part in layer.gaussians()]
        parts = self._drawn + self._others
        anchor = next(module.parameters(), torch.zeros(()))
        self._no_kl = torch.zeros((), device=anchor.device)
        one_device = len({part.mean.device for part in parts}) == 1
        self._normal_priors = None
        if one_device and all(part.prior.family is Normal for part in parts):
            loc, scale = expand_normal_priors(parts)
            if (loc == loc[0]).all() and (scale == scale[0]).all():
                loc, scale = loc[0], scale[0]
            size = sum(part.mean.numel() for part in parts)
            self._normal_priors = loc, scale, loc.new_tensor(size / 2)
            self._parameters = [part.mean for part in parts] + [part.rho for part in parts]
            self._layouts = _Layout([part.mean for part in self._drawn]), _Layout(self._parameters)

    @contextlib.contextmanager
    def draw(self) -> Iterator[Tensor]:
        """Use one draw of the weights inside the ``with`` block; its target is the KL in nats.

        Where a prior leaves no closed form, the KL is estimated from the very weights of the draw
        (from fresh ones in layers with another estimator), as
        :func:`bnn_tutorial.kl_divergence` does with ``num_samples=1``.
        """
        if not self._drawn and not self._others:
            yield self._no_kl
            return
        if self._normal_priors is not None:
            kl, *weights = _DrawAndDivergence.apply(
                *self._normal_priors, *self._layouts, *self._parameters
            )
        else:
            weights = [draw_weights(part) for part in self._drawn]
            kl = self._kl_with(weights)
        try:
            self._set(weights)
            yield kl
        finally:
            self._set(None)

    def draws(self, num_samples: int, seed: int) -> Iterator[int]:
        """Yield 0 to ``num_samples`` - 1; at each step the layers use another draw, without KL.

        The weights are the same for the same ``seed``, whatever else is drawn in between. Close the
        iterator (:func:`contextlib.closing`), so that the layers draw for themselves again.

        Args:
            num_samples: how many draws.
            seed: of the weights' own generators, one a device.
        """
        devices = {part.mean.device for part in self._drawn}
        generators = {device: torch.Generator(device).manual_seed(seed) for device in devices}
        stds = [F.softplus(part.rho) for part in self._drawn]
        size = sum(std.numel() for std in stds)
        block = max(1, _BLOCK // max(1, size))
        try:
            for start in range(0, num_samples, block):
                count = min(block, num_samples - start)
                weights = [
                    torch.addcmul(part.mean, std, _noise(count, part.mean, generators))
                    for part, std in zip(self._drawn, stds, strict=True)
                ]
                for index in range(count):
                    self._set([weight[index] for weight in weights])
                    yield start + index
        finally:
            self._set(None)

    def _kl_with(self, weights: list[Tensor]) -> Tensor:
        kl = kl_to_priors(self._others, 1) if self._others else self._no_kl
        for part, weight in zip(self._drawn, weights, strict=True):
            value = closed_form(part)
            if value is None:
                value = cross_entropy_estimate(part, [weight])
            kl = kl + value.to(kl.device)
        return kl

    def _set(self, weights: list[Tensor] | None) -> None:
        remaining = iter(weights or ())
        for layer, has_bias in self._has_bias:
            if weights is None:
                layer.drawn = None
            else:
                layer.drawn = next(remaining), next(remaining) if has_bias else None
