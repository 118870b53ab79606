"""Predicting with a posterior: many draws of the network, their mean, width and bands.

Explained in the chapters "Polynomial regression with 3-sigma bands" and "A Bayesian CNN on MNIST".
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from bnn_tutorial.randomness import seeded


class Moments:
    """The mean and the epistemic standard deviation of a network's output, and their bands.

    What :class:`Prediction` estimates from draws and :class:`ExactMoments` holds in closed form.
    """

    mean: Tensor
    std: Tensor

    def total_std(self, noise_std: Tensor | float) -> Tensor:
        r"""Return the standard deviation of a new observation, epistemic and noise together.

        .. math:: \sqrt{\mathrm{std}^2 + s^2}

        Args:
            noise_std: s, the noise's standard deviation in the units of the output.
        """
        return (self.std.square() + noise_std**2).sqrt()

    def interval(self, k: float = 3.0, *, noise_std: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
        r"""Return the band (low, high) of k standard deviations around the mean.

        .. math:: \mathrm{mean} \pm k \sqrt{\mathrm{std}^2 + s^2}

        Without ``noise_std`` the band is epistemic: it holds the network's function, not the next
        observation.

        Raises:
            ValueError: ``k`` or ``noise_std`` is negative.
        """
        if k < 0 or noise_std < 0:
            raise ValueError(f"k={k}, noise_std={noise_std}: expected 0 or more")
        half = k * self.total_std(noise_std)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Prediction(Moments):
    """Outputs of ``num_samples`` networks drawn from the posterior.

    ``samples`` has shape (S, N, ...): samples, data, outputs.
    """

    samples: Tensor

    @property
    def mean(self) -> Tensor:
        """The average over the draws, shape (N, ...)."""
        return self.samples.mean(dim=0)

    @property
    def std(self) -> Tensor:
        """The epistemic standard deviation, which is the spread of the draws, shape (N, ...)."""
        return self.samples.std(dim=0)


@contextlib.contextmanager
def evaluation_mode(model: nn.Module):
    """Put ``model`` in eval() without gradients and give back every submodule's own mode."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, training in modes.items():
            module.training = training


def predict(
    model: nn.Module,
    x: Tensor,
    num_samples: int = 100,
    *,
    transform: Callable[[Tensor], Tensor] | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    progress: bool = False,
) -> Prediction:
    """Draw ``num_samples`` networks and return their outputs at ``x``.

    Runs in ``eval()`` without gradients and leaves the model as it was.

    Args:
        model: any module; without Bayesian layers all draws are equal.
        x: inputs, shape (N, ...), moved to the model's device.
        num_samples: S, the number of draws, 1 or more.
        transform: applied to each draw's output before anything is averaged, such as
            ``torch.nn.Softmax(dim=-1)`` for class probabilities.
        batch_size: data a forward pass; None passes all at once. With ``estimator="weight"``
            a draw of the weights is shared only inside such a batch.
        seed: makes the draws repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Raises:
        ValueError: ``num_samples`` or ``batch_size`` is below 1, or ``x`` has no rows.
    """
    if num_samples < 1:
        raise ValueError(f"num_samples={num_samples}: expected 1 or more")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: expected 1 or more, or None for all at once")
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}: expected at least one row of inputs")
    parameter = next(model.parameters(), x)
    x = x.to(parameter.device)
    batches = x.split(batch_size or len(x))
    samples = None
    with evaluation_mode(model), seeded(seed, x.device):
        bar = tqdm(range(num_samples), desc="drawing", unit="draw", disable=not progress)
        for draw in bar:
            output = torch.cat([model(batch) for batch in batches])
            output = output if transform is None else transform(output)
            if samples is None:
                # One block for all draws: many small tensors, kept between the large ones that a
                # pass frees, would hinder their reuse, and memory would grow with every draw.
                samples = output.new_empty(num_samples, *output.shape)
            samples[draw] = output
    return Prediction(samples)
