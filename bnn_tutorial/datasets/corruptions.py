"""Images made worse by a stated amount: how far from its data can a network be led?

Explained in the chapter "Unfamiliar inputs". Each function takes images in [0, 1] of shape
(N, C, H, W) and a strength with a unit, and returns images of the same shape in [0, 1]. Strength 0
changes nothing, and of the contrast the factor 1. The corruptions are among those by which
Hendrycks and Dietterich (2019) test a classifier, here one at a time and in units that can be
checked on the picture.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from bnn_tutorial.argument_checks import require_not_negative

# A Gaussian holds all but 0.3 % of its mass within three standard deviations.
BLUR_RADIUS = 3  # standard deviations


def add_noise(images: Tensor, std: float, *, generator: torch.Generator | None = None) -> Tensor:
    r"""Add Gaussian noise to each pixel, then cut off what leaves [0, 1].

    .. math:: \tilde x = \min(\max(x + \sigma \varepsilon, 0), 1), \qquad
        \varepsilon \sim \mathcal N(0, 1)

    Args:
        images: x, shape (N, C, H, W), values in [0, 1].
        std: :math:`\sigma`, in the units of the pixels, so that 1 is the step from paper to ink.
        generator: of the noise; None means torch's global generator.

    Raises:
        ValueError: ``images`` have another shape or other values, or ``std`` is negative.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> grey = torch.full((1, 1, 100, 100), 0.5)
        >>> print(f"{bt.corruptions.add_noise(grey, std=0.1).std().item():.1f}")
        0.1
    """
    _require_images(images)
    require_not_negative(std=std)
    noise = torch.empty_like(images).normal_(generator=generator)
    return (images + std * noise).clamp(0, 1)


def blur(images: Tensor, std: float) -> Tensor:
    r"""Blur with a Gaussian kernel.

    .. math:: \tilde x_{ij} = \sum_{kl} g_k\, g_l\, x_{i+k,\,j+l}, \qquad
        g_k \propto e^{-k^2 / (2 \sigma^2)}

    The kernel reaches three standard deviations to each side; beyond the border the image is
    mirrored.

    Args:
        images: x, shape (N, C, H, W), values in [0, 1].
        std: :math:`\sigma`, in pixels, less than a third of the image's sides.

    Raises:
        ValueError: ``images`` have another shape or other values, or ``std`` is negative or too
            large.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> point = torch.zeros(1, 1, 9, 9)
        >>> point[0, 0, 4, 4] = 1.0
        >>> blurred = bt.corruptions.blur(point, std=1.0)
        >>> print(f"{blurred.sum().item():.2f}, {blurred.max().item():.2f}")  # 1 / (2π) = 0.16
        1.00, 0.16
    """
    _require_images(images)
    require_not_negative(std=std)
    radius = math.ceil(BLUR_RADIUS * std)
    if radius >= min(images.shape[2:]):
        raise ValueError(
            f"std={std}: expected less than a third of the sides {tuple(images.shape[2:])}"
        )
    if std == 0:
        return images.clone()
    from torchvision.transforms.v2 import functional

    return functional.gaussian_blur(images, [2 * radius + 1] * 2, [float(std)] * 2)


def rotate(images: Tensor, degrees: float) -> Tensor:
    r"""Rotate about the centre, counter-clockwise, with empty paper, 0, at the corners.

    .. math:: \tilde x(u) = x(R_{-\theta}\, u)

    Pixels are interpolated linearly; at multiples of 90 degrees a square image keeps its values.

    Args:
        images: x, shape (N, C, H, W), values in [0, 1].
        degrees: :math:`\theta`; negative ones are clockwise.

    Raises:
        ValueError: ``images`` have another shape or other values, or ``degrees`` is not finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> image = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
        >>> bt.corruptions.rotate(image, 90).round().tolist()  # from top left to bottom left
        [[[[0.0, 0.0], [1.0, 0.0]]]]
    """
    _require_images(images)
    if not math.isfinite(degrees):
        raise ValueError(f"degrees={degrees!r}: expected a finite number")
    from torchvision.transforms.v2 import InterpolationMode, functional

    rotated = functional.rotate(images, degrees, interpolation=InterpolationMode.BILINEAR)
    return rotated.clamp(0, 1)


def shift(images: Tensor, pixels: float, *, generator: torch.Generator | None = None) -> Tensor:
    r"""Move each image by the same length, in a random direction of its own.

    .. math:: \tilde x(u) = x\big(u - d\, (\cos\varphi, \sin\varphi)^\top\big), \qquad
        \varphi \sim \mathrm{Uniform}[0, 2\pi)

    Pixels are interpolated linearly, and empty paper, 0, moves in.

    Args:
        images: x, shape (N, C, H, W), values in [0, 1].
        pixels: d, 0 or more.
        generator: of the directions; None means torch's global generator.

    Raises:
        ValueError: ``images`` have another shape or other values, or ``pixels`` is negative.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> images = torch.rand(5, 1, 28, 28)
        >>> bt.corruptions.shift(images, pixels=40).max().item()  # out of the frame
        0.0
    """
    _require_images(images)
    require_not_negative(pixels=pixels)
    angle = images.new_empty(len(images)).uniform_(0, 2 * math.pi, generator=generator)
    height, width = images.shape[2:]
    # affine_grid measures in half sides: -1 and 1 are the borders.
    move = torch.stack([angle.cos() * 2 / width, angle.sin() * 2 / height], dim=1) * pixels
    straight = torch.eye(2, dtype=images.dtype, device=images.device).expand(len(images), 2, 2)
    matrix = torch.cat([straight, -move.unsqueeze(2)], dim=2)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False).clamp(0, 1)


def change_contrast(images: Tensor, factor: float) -> Tensor:
    r"""Bring each image's pixels nearer to their mean, or take them farther from it.

    .. math:: \tilde x = \bar x + c\, (x - \bar x)

    What leaves [0, 1] is cut off.

    Args:
        images: x, shape (N, C, H, W), values in [0, 1].
        factor: c; 1 changes nothing and 0 leaves one grey.

    Raises:
        ValueError: ``images`` have another shape or other values, or ``factor`` is negative.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> image = torch.tensor([[[[0.0, 1.0]]]])
        >>> bt.corruptions.change_contrast(image, factor=0.5).tolist()
        [[[[0.25, 0.75]]]]
    """
    _require_images(images)
    require_not_negative(factor=factor)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    # lerp returns its end exactly, so that the factor 1 is the identity.
    return torch.lerp(mean, images, factor).clamp(0, 1)


def occlude(images: Tensor, share: float, *, generator: torch.Generator | None = None) -> Tensor:
    r"""Cover a part of each image by an empty rectangle, of 0, at a random place.

    .. math:: \tilde x = x\, (1 - m), \qquad \text{sides of } m \approx \sqrt a\, H,\ \sqrt a\, W

    The rectangle has the image's proportions, lies wholly inside, and its sides are rounded to
    pixels.

    Args:
        images: x, shape (N, C, H, W), values in [0, 1].
        share: a, of the image's area, from 0 to 1.
        generator: of the places; None means torch's global generator.

    Raises:
        ValueError: ``images`` have another shape or other values, or ``share`` is outside [0, 1].

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> white = torch.ones(1, 1, 28, 28)
        >>> bt.corruptions.occlude(white, share=0.25).mean().item()
        0.75
    """
    _require_images(images)
    if not 0 <= share <= 1:
        raise ValueError(f"share={share!r}: expected a number from 0 to 1")
    covered = torch.ones(len(images), 1, 1, 1, dtype=torch.bool, device=images.device)
    for axis in (2, 3):
        size = images.shape[axis]
        side = round(size * math.sqrt(share))
        corner = torch.randint(
            size - side + 1, (len(images), 1), generator=generator, device=images.device
        )
        position = torch.arange(size, device=images.device)
        inside = (position >= corner) & (position < corner + side)
        covered = covered & inside.view(len(images), 1, *((size, 1) if axis == 2 else (1, size)))
    return images.masked_fill(covered, 0.0)


def _require_images(images: Tensor) -> None:
    if images.ndim != 4 or images.numel() == 0 or not images.is_floating_point():
        raise ValueError(
            f"images have shape {tuple(images.shape)} and type {images.dtype}: expected "
            "(N, C, H, W) of a floating point type, at least one image"
        )
    # NaN fails the comparison, too.
    if not ((images >= 0) & (images <= 1)).all():
        low, high = images.aminmax()
        raise ValueError(f"images reach from {low:g} to {high:g}: expected values in [0, 1]")
