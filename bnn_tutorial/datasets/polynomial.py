"""A curve of degree five with noise: data whose true function and true noise are known.

Explained in the chapter "Polynomial regression with 3-sigma bands".
"""

import math

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_counts, require_integers, require_not_negative

NOISES = ("uniform", "gaussian", "none")
SPACINGS = ("even", "random")


def polynomial(x: Tensor) -> Tensor:
    r"""Return the curve without noise, element by element, in the shape of ``x``.

    .. math:: f(x) = x^5 - 10 x

    Example:
        >>> import torch
        >>> from bnn_tutorial.datasets import polynomial
        >>> polynomial(torch.tensor([0.0, 1.0, 2.0])).tolist()
        [0.0, -9.0, 12.0]
    """
    return x**5 - 10 * x


def polynomial_data(
    num_points: int = 500,
    *,
    low: float = -2.0,
    high: float = 2.0,
    spacing: str = "even",
    noise: str = "uniform",
    noise_scale: float = 2.0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return N noisy points (x, y) of the curve f, two float32 tensors of shape (N, 1).

    .. math:: y = x^5 - 10 x + \varepsilon

    The default is the data of the regression chapters: 500 even points on [-2, 2] with
    :math:`\varepsilon = 2u`, u uniform on [0, 1). That noise has mean 1 and standard deviation
    :math:`2 / \sqrt{12} \approx 0.577`: the best predictor is f(x) + 1, not f.

    Args:
        num_points: N, 1 or more.
        low: the left end of the interval that x comes from.
        high: its right end, above ``low``.
        spacing: ``"even"`` spaces x evenly and includes both ends; ``"random"`` draws x uniformly
            from [low, high) and leaves it in the order drawn.
        noise: ``"uniform"`` on [0, noise_scale), with mean noise_scale / 2 and standard deviation
            noise_scale / sqrt(12); ``"gaussian"`` with mean 0 and standard deviation noise_scale;
            or ``"none"``.
        noise_scale: the size of the noise in the units of y, 0 or more.
        generator: the source of all randomness; None means torch's global generator.

    Raises:
        TypeError: ``num_points`` is not an integer.
        ValueError: ``num_points`` is below 1, ``low`` and ``high`` are not finite and in order,
            ``noise_scale`` is negative or not finite, or ``spacing`` or ``noise`` is unknown.

    Example:
        >>> import bnn_tutorial as bt
        >>> x, y = bt.polynomial_data(5, noise="none")
        >>> x.flatten().tolist(), y.flatten().tolist()
        ([-2.0, -1.0, 0.0, 1.0, 2.0], [-12.0, 9.0, 0.0, -9.0, 12.0])
    """
    require_integers(num_points=num_points)
    require_counts(num_points=num_points)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"low={low}, high={high}: expected two finite numbers with low < high")
    if spacing not in SPACINGS:
        raise ValueError(f"spacing={spacing!r}: expected one of {SPACINGS}")
    if noise not in NOISES:
        raise ValueError(f"noise={noise!r}: expected one of {NOISES}")
    require_not_negative(noise_scale=noise_scale)

    # float32 by name: the caller's torch.set_default_dtype must not change the data.
    float32 = torch.float32
    if spacing == "even":
        x = torch.linspace(low, high, num_points, dtype=float32).unsqueeze(1)
    else:
        x = low + (high - low) * torch.rand(num_points, 1, generator=generator, dtype=float32)
    y = polynomial(x)
    if noise == "uniform":
        y = y + noise_scale * torch.rand(num_points, 1, generator=generator, dtype=float32)
    elif noise == "gaussian":
        y = y + noise_scale * torch.randn(num_points, 1, generator=generator, dtype=float32)
    return x, y
