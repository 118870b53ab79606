"""The posterior of a whole network: all weights drawn at once, the KL divergence along with them.

A small network's training step spends its time on starting operations, not on numbers. Here all
weights are one vector, so that a draw and the KL with their gradients take some twenty operations
for any number of layers. Explained in the chapter "Reparameterization".
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal

from bnn_tutorial.divergence import (
    Gaussian,
    closed_form,
    cross_entropy_estimate,
    draw_weights,
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
    """Return the KL of all weights to one Normal prior and a draw of the first of them.

    Inputs are the prior's mean and standard deviation as numbers, the layouts of the drawn tensors
    and of all means, then all means and all rhos. One node for the whole network: the gradients of
    the draw and of the KL share what forward has worked out, in as few passes over the weights.
    """

    @staticmethod
    def forward(ctx, prior_mean, prior_std, drawn, layout, *parameters):
        mean, rho = flatten(parameters).chunk(2)
        std = F.softplus(rho)
        offset = mean - prior_mean if prior_mean else mean
        squares = std.dot(std) + offset.dot(offset)
        ctx.precision = prior_std**-2
        constant = layout.size * (math.log(prior_std) - 0.5)
        kl = torch.add(constant - std.log().sum(), squares, alpha=0.5 * ctx.precision)
        epsilon = torch.randn_like(mean[: drawn.size])
        ctx.save_for_backward(offset, rho, std, epsilon)
        ctx.layout = layout
        weights = torch.addcmul(mean[: drawn.size], std[: drawn.size], epsilon)
        return kl, *drawn.split(weights)

    @staticmethod
    def backward(ctx, kl_gradient, *weight_gradients):
        if torch.is_grad_enabled():
            raise RuntimeError(
                "a second derivative through NetworkPosterior.draw(): expected first ones; the "
                "layers' own draws and bnn_tutorial.kl_divergence have all"
            )
        offset, rho, std, epsilon = ctx.saved_tensors
        slope = kl_gradient * ctx.precision
        mean_gradient = offset * slope
        rho_gradient = (std * slope).addcdiv_(-kl_gradient, std)
        if weight_gradients:
            weight_gradient = flatten(weight_gradients)
            mean_gradient[: len(epsilon)] += weight_gradient
            rho_gradient[: len(epsilon)].addcmul_(weight_gradient, epsilon)
        rho_gradient.mul_(rho.sigmoid())
        gradients = ctx.layout.split(mean_gradient) + ctx.layout.split(rho_gradient)
        return None, None, None, None, *gradients


def _noise(count: int, like: Tensor, generators: dict[torch.device, torch.Generator]) -> Tensor:
    shape = (count, *like.shape)
    generator = generators[like.device]
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def _one_normal_prior(parts: list[Gaussian]) -> tuple[float, float] | None:
    """Return the mean and standard deviation of the Normal that is every weight's prior, if any."""
    if len({part.mean.device for part in parts}) != 1:
        return None
    values = set()
    for part in parts:
        prior = part.prior.distribution
        if part.prior.family is not Normal or prior.batch_shape.numel() != 1:
            return None
        values.add((prior.loc.item(), prior.scale.item()))
    return values.pop() if len(values) == 1 else None


class NetworkPosterior:
    r"""All weights of a network's Bayesian layers, drawn together.

    Make it anew after the network's layers, priors, precision or device have changed. It draws for
    the layers whose estimator is ``"weight"``; the others draw as they do without it.

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
        self._one_prior = _one_normal_prior(parts)
        means = [part.mean for part in parts]
        self._layouts = _Layout(means[: len(self._drawn)]), _Layout(means)
        self._parameters = means + [part.rho for part in parts]

    @contextlib.contextmanager
    def draw(self) -> Iterator[Tensor]:
        """Use one draw of the weights inside the ``with`` block; its target is the KL in nats.

        Where a prior leaves no closed form, the KL is estimated from the very weights of the draw
        (from fresh ones in layers with another estimator), as
        :func:`bnn_tutorial.kl_divergence` does with ``num_samples=1``. Gradients are of first
        order.

        Raises:
            RuntimeError: a gradient of a gradient is taken.
        """
        if not self._drawn and not self._others:
            yield self._no_kl
            return
        if self._one_prior is not None:
            kl, *weights = _DrawAndDivergence.apply(
                *self._one_prior, *self._layouts, *self._parameters
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
                    torch.addcmul(part.mean, std, _noise(count, part.mean, generators)).unbind()
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
            drawn = None
            if weights is not None:
                drawn = next(remaining), next(remaining) if has_bias else None
            # Past nn.Module's assignment, which first looks for a parameter of that name: a tenth
            # of a small network's time.
            vars(layer)["drawn"] = drawn
