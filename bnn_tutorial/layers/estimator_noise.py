"""The noise of the estimators ``local`` and ``flipout``.

Explained in the chapter "Quieter gradients".
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def add_noise(mean: Tensor, variance: Tensor) -> Tensor:
    r"""Return draws from Gaussians of given moments, differentiable in both.

    .. math:: y = \mathrm{mean} + \sqrt{\mathrm{variance}}\, \epsilon, \qquad
        \epsilon \sim \mathcal N(0, 1)

    Args:
        mean: of any shape and floating-point type, which the result has.
        variance: of the same shape; where it is 0, the noise and its gradient are 0.
    """
    half_epsilon = torch.empty_like(variance).normal_(std=0.5)
    return GaussianNoise.apply(mean, variance, half_epsilon)[0]


class GaussianNoise(torch.autograd.Function):
    """The fast path of :func:`add_noise`: its gradient with a third of the passes over the noise.

    Half of epsilon over the square root is the derivative with respect to the variance: kept from
    forward, it is all that backward needs. The slope of the square root is infinite at 0, where an
    all-zero input meets no bias; there the noise and the gradient are 0.
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
    def backward(ctx, *gradients):
        gradient, _ = gradients
        slope, variance, half_epsilon = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient is to be differentiated in its turn
            slope = _slope(variance, half_epsilon)
        return gradient, gradient * slope, None


def _slope(variance: Tensor, half_epsilon: Tensor) -> Tensor:
    """Return the derivative of ``sqrt(variance) * epsilon`` with respect to the variance."""
    # A variance of 0, or below by rounding, becomes infinite, so that its inverse is 0.
    smallest = torch.finfo(variance.dtype).tiny
    return F.threshold(variance, smallest, math.inf).rsqrt() * half_epsilon


def random_signs(like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return +1 and -1 with equal probability, of ``like``'s dtype and device."""
    # Drawn from uniform numbers: several times faster than bernoulli_ on a CPU.
    uniform = torch.rand(shape, dtype=like.dtype, device=like.device)
    return torch.copysign(torch.ones_like(uniform), uniform - 0.5)
