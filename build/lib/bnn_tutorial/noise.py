"""The noise of the estimators ``local`` and ``flipout``.

Explained in the chapter "Reparameterization".
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GaussianNoise(torch.autograd.Function):
    """Add noise of a given variance to a mean: ``mean + sqrt(variance) * epsilon``.

    Written out because autograd's own chain would pass three times more often over tensors of the
    activations' size. The slope of the square root is infinite at 0, where an all-zero input meets
    no bias; there the noise and the gradient are 0.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(mean: Tensor, variance: Tensor, half_epsilon: Tensor) -> tuple[Tensor, Tensor]:
        slope = _slope(variance, half_epsilon)
        return torch.addcmul(mean, variance, slope, value=2).to(mean.dtype), slope

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, variance, half_epsilon = inputs
        _, slope = output
        ctx.mark_non_differentiable(slope)
        ctx.save_for_backward(slope, variance, half_epsilon)

    @staticmethod
    def backward(ctx, gradient, _):
        slope, variance, half_epsilon = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            slope = _slope(variance, half_epsilon)
        return gradient, gradient * slope, None


def _slope(variance: Tensor, half_epsilon: Tensor) -> Tensor:
    """Return the derivative of ``sqrt(variance) * epsilon`` by the variance."""
    # A variance of 0, or below by rounding, becomes infinite, so that its inverse is 0.
    smallest = torch.finfo(variance.dtype).tiny
    return F.threshold(variance, smallest, math.inf).rsqrt() * half_epsilon


def random_signs(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return +1 and -1 with equal probability, of ``like``'s dtype and device."""
    # Drawn from uniform numbers: several times faster than bernoulli_ on a CPU.
    uniform = torch.rand(shape, dtype=like.dtype, device=like.device)
    return torch.copysign(torch.ones_like(uniform), uniform - 0.5)


class MomentsOfOneInput:
    """The output moments of one layer for the first input it meets, worked out once.

    While :func:`bnn_tutorial.predict` gives a layer the same tensor at every draw, only the noise
    is drawn anew.
    """

    def __init__(self):
        self._input: Tensor | None = None
        self._moments: tuple[Tensor, Tensor] | None = None

    def of(self, layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the layer's output moments for ``x``."""
        if self._input is None:
            self._input, self._moments = x, layer.output_moments(x)
        return self._moments if x is self._input else layer.output_moments(x)
