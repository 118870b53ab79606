"""The mean and the width of a network's output, and the bands that they make.

Explained in the chapter "Polynomial regression with 3-sigma bands".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_not_negative
from bnn_tutorial.tensor_checks import require_broadcast, require_finite


class Moments:
    """The mean and the epistemic standard deviation of a network's output, and their bands.

    What :class:`Prediction` estimates from draws and :class:`ExactMoments` holds in closed form.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> moments = bt.ExactMoments(torch.tensor(1.0), torch.tensor(3.0))
        >>> isinstance(moments, bt.Moments)
        True
        >>> moments.total_std(noise_std=4.0).item()  # √(3² + 4²)
        5.0
    """

    mean: Tensor
    std: Tensor

    def total_std(self, noise_std: Tensor | float) -> Tensor:
        r"""Return the standard deviation of a new observation, epistemic and noise together.

        .. math:: \sqrt{\mathrm{std}^2 + s^2}

        Args:
            noise_std: s, the noise's standard deviation in the units of the output; a number, or a
                tensor that broadcasts to the shape of the mean.

        Raises:
            ValueError: ``noise_std`` is negative or not finite, or of another shape.
        """
        noise = torch.as_tensor(noise_std)
        require_finite(noise_std=noise)
        if noise.lt(0).any():
            raise ValueError(f"noise_std={noise_std}: expected 0 or more")
        require_broadcast(self.mean, noise_std=noise)
        return (self.std.square() + noise_std**2).sqrt()

    def interval(self, k: float = 3.0, *, noise_std: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        r"""Return the band (low, high) of k standard deviations around the mean.

        .. math:: \mathrm{mean} \pm k \sqrt{\mathrm{std}^2 + s^2}

        Without ``noise_std`` the band is epistemic: it holds the network's function, not the next
        observation.

        Raises:
            ValueError: ``k`` or ``noise_std`` is negative or not finite, or ``noise_std`` of a
                shape that does not broadcast to the mean's.
        """
        require_not_negative(k=k)
        half = k * self.total_std(noise_std)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class ExactMoments(Moments):
    """The exact ``mean`` and standard deviation ``std`` of a function's value, each (N, K).

    Both speak of the function; the noise of an observation is not in them. Only these two are
    exact: where the function's value is no Gaussian, as of a network of finite width, the share
    outside k standard deviations is not the Gaussian's.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> moments = bt.ExactMoments(torch.tensor([[1.0]]), torch.tensor([[2.0]]))
        >>> low, high = moments.interval(k=3.0)
        >>> low.item(), high.item()
        (-5.0, 7.0)
    """

    mean: Tensor
    std: Tensor
