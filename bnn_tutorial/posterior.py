"""The posterior of a whole network: all weights drawn at once, the KL divergence along with them.

A small network's training step spends its time on starting operations, not on numbers. Here all
weights are one vector, so that a draw and the KL with their gradients take some twenty operations
for any number of layers. Explained in the chapter "Reparameterization".
"""

import contextlib
from collections.abc import Iterator

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


def _split(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    sizes = [tensor.numel() for tensor in like]
    return [
        part.view(tensor.shape).to(tensor.dtype)
        for part, tensor in zip(flat.split(sizes), like, strict=True)
    ]


class _DrawAndDivergence(torch.autograd.Function):
    """Return the KL of all weights to their Normal priors and a draw of the first of them.

    Inputs are the priors' means and standard deviations, how many tensors to draw, then all means
    and all rhos. One node for the whole network: the gradients of the draw and of the KL share
    what forward has worked out.
    """

    @staticmethod
    def forward(ctx, loc, scale, num_drawn, *parameters):
        means, rhos = parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]
        mean, rho = flatten(means), flatten(rhos)
        std = F.softplus(rho)
        ratio, offset = std / scale, (mean - loc) / scale
        kl = 0.5 * (ratio.dot(ratio) + offset.dot(offset) - len(rho)) - ratio.log().sum()
        size = sum(tensor.numel() for tensor in means[:num_drawn])
        epsilon = torch.randn_like(mean[:size])
        weights = torch.addcmul(mean[:size], std[:size], epsilon)
        ctx.save_for_backward(rho, ratio, offset, scale, epsilon)
        ctx.parameters = [parameter.detach() for parameter in parameters]
        return kl, *_split(weights, means[:num_drawn])

    @staticmethod
    @once_differentiable
    def backward(ctx, kl_gradient, *weight_gradients):
        rho, ratio, offset, scale, epsilon = ctx.saved_tensors
        slope = kl_gradient / scale
        mean_gradient = offset * slope
        rho_gradient = (ratio - ratio.reciprocal()).mul_(slope)
        if weight_gradients:
            gradient = flatten(weight_gradients)
            mean_gradient[: len(gradient)].add_(gradient)
            rho_gradient[: len(gradient)].addcmul_(gradient, epsilon)
        rho_gradient.mul_(rho.sigmoid())
        gradients = torch.cat([mean_gradient, rho_gradient])
        return None, None, None, *_split(gradients, ctx.parameters)


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
        self._drawn_layers = [layer for layer in layers if layer.estimator == "weight"]
        others = [layer for layer in layers if layer.estimator != "weight"]
        self._drawn = [part for layer in self._drawn_layers for part in layer.gaussians()]
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
            self._normal_priors = loc, scale
            self._parameters = [part.mean for part in parts] + [part.rho for part in parts]

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
                *self._normal_priors, len(self._drawn), *self._parameters
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
        if weights is None:
            for layer in self._drawn_layers:
                layer.drawn = None
            return
        remaining = iter(weights)
        for layer in self._drawn_layers:
            weight = next(remaining)
            layer.drawn = weight, next(remaining) if layer.bias_mean is not None else None
