"""Two half circles that reach into each other: two classes in a plane that can be drawn whole.

Explained in the chapter "The doubt of a classifier".
"""

import math

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_counts, require_integers, require_not_negative


def two_moons(
    num_data: int, noise_std: float = 0.2, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    r"""Return N points in a plane, float32 of shape (N, 2), and their labels 0 or 1, int64 (N,).

    .. math:: x = (1 - 2 y) \begin{pmatrix} \cos t \\ \sin t \end{pmatrix}
        + y \begin{pmatrix} 1 \\ 1/2 \end{pmatrix} + \sigma \varepsilon

    with t uniform on :math:`[0, \pi)` and :math:`\varepsilon` standard normal in both coordinates.
    Label 0 is the upper half of the unit circle around (0, 0), label 1 the lower half of that
    around (1, 1/2). The labels alternate, so that every even number of first points has as many of
    one as of the other. The curves are those of scikit-learn's ``make_moons``, which spaces t
    evenly. Source: Pedregosa et al. (2011).

    Args:
        num_data: N, 1 or more.
        noise_std: :math:`\sigma`, the noise's standard deviation in each coordinate, 0 or more.
        generator: the source of all randomness; None means torch's global generator.

    Raises:
        TypeError: ``num_data`` is not an integer.
        ValueError: ``num_data`` is below 1, or ``noise_std`` is negative or not finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> generator = torch.Generator().manual_seed(0)
        >>> inputs, labels = bt.two_moons(6, noise_std=0.0, generator=generator)
        >>> labels.tolist(), inputs[labels == 0].norm(dim=1).tolist()
        ([0, 1, 0, 1, 0, 1], [1.0, 1.0, 1.0])
    """
    require_integers(num_data=num_data)
    require_counts(num_data=num_data)
    require_not_negative(noise_std=noise_std)

    # float32 by name: the caller's torch.set_default_dtype must not change the data.
    float32 = torch.float32
    labels = torch.arange(num_data) % 2
    y = labels.unsqueeze(1)
    angle = math.pi * torch.rand(num_data, 1, generator=generator, dtype=float32)
    half_circle = torch.cat([angle.cos(), angle.sin()], dim=1)
    noise = torch.randn(num_data, 2, generator=generator, dtype=float32)
    shift = torch.tensor([1.0, 0.5], dtype=float32)
    return (1 - 2 * y) * half_circle + y * shift + noise_std * noise, labels
