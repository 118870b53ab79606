"""The draw of all weights and their KL divergence in one step, for the prior that is one Normal.

A small network's training step spends its time on starting operations, not on numbers. Here all
weights are one vector, so that a draw and the KL with their gradients take some twenty operations
for any number of layers. ``network.py`` has the plain form, which the tests hold this one to.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal

from bnn_tutorial.layers.weight_kl import Gaussian, flatten


class VectorLayout:
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


class DrawAndKL(torch.autograd.Function):
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
        ctx.precision = prior_std**-2
        # Each weight's own value is summed, since sums of squares would cancel near the prior.
        values = std.square().sub_(prior_std**2).addcmul_(offset, offset)
        kl = values.mul_(0.5 * ctx.precision).sub_((std / prior_std).log_()).sum()
        epsilon = torch.randn_like(mean[: drawn.size])
        ctx.save_for_backward(offset, rho, std, epsilon)
        ctx.layout = layout
        weights = torch.addcmul(mean[: drawn.size], std[: drawn.size], epsilon)
        return kl, *drawn.split(weights)

    @staticmethod
    def backward(ctx, *gradients):
        kl_gradient, *weight_gradients = gradients
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
        split = ctx.layout.split
        return None, None, None, None, *split(mean_gradient), *split(rho_gradient)


def one_normal_prior(parts: list[Gaussian]) -> tuple[float, float] | None:
    """Return the mean and standard deviation of the Normal that is every weight's prior, if any."""
    if len({part.mean.device for part in parts}) != 1:
        return None
    values: set[tuple[float, float]] = set()
    for part in parts:
        prior = part.prior.distribution
        if part.prior.family is not Normal or prior.batch_shape.numel() != 1:
            return None
        values.add((float(prior.mean), float(prior.stddev)))
    return values.pop() if len(values) == 1 else None
