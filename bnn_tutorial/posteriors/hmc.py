"""Hamiltonian Monte Carlo: the reference that approximate posteriors are held against.

All chains advance together, as rows of one tensor. Explained in the chapter "Sampling the
posterior".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.randomness import seeded

# From positions (C, P) to the gradients (C, P) and the log densities (C,).
Gradient = Callable[[Tensor], tuple[Tensor, Tensor]]
# A trajectory that keeps the energy within so many nats counts as stable, as in Stan.
LARGEST_ENERGY_ERROR = 1000.0


@dataclass(frozen=True)
class Chains:
    """What :func:`hmc` returns: the samples of all chains, and how the run went.

    ``samples`` has shape (C, S, P): chains, samples, weights. ``acceptance_rate`` is the mean
    probability of acceptance after the warm-up, ``step_size`` the one that the warm-up found,
    ``scales`` the units in which it counts, shape (P,), and ``num_divergences`` the number of
    trajectories after the warm-up whose energy error exceeded 1,000 nats.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> chains = bt.Chains(torch.zeros(4, 100, 3), 0.8, 0.1, torch.ones(3), 0)
        >>> chains.samples.flatten(0, 1).shape  # as bt.WeightSamples takes them
        torch.Size([400, 3])
    """

    samples: Tensor
    acceptance_rate: float
    step_size: float
    scales: Tensor
    num_divergences: int


class StepSizeAdaptation:
    r"""Dual averaging, which moves the logarithm of the step size to a target acceptance rate.

    .. math:: \log \varepsilon_{t + 1} = \mu - \frac{\sqrt t}{0.05\, (t + 10)}
        \sum_{i \le t} (\delta - \alpha_i)

    The step size that stays is the average of :math:`\log \varepsilon_t` with weights
    :math:`t^{-0.75}`, in which early steps fade. Source: Nesterov (2009); Hoffman and Gelman
    (2014), section 3.2, with their constants.

    Args:
        step_size: the first one; :math:`\mu` is the logarithm of ten times it.
        target_acceptance: :math:`\delta`.
    """

    def __init__(self, step_size: float, target_acceptance: float):
        self.step_size = self.average = step_size
        self.center = math.log(10 * step_size)
        self.target_acceptance = target_acceptance
        self.count = 0
        self.missing = 0.0

    def update(self, acceptance: float) -> None:
        """Take account of the mean probability of acceptance of one more trajectory."""
        self.count += 1
        self.missing += self.target_acceptance - acceptance
        shift = math.sqrt(self.count) / (0.05 * (self.count + 10)) * self.missing
        self.step_size = math.exp(self.center - shift)
        weight = self.count**-0.75
        self.average = self.step_size**weight * self.average ** (1 - weight)


def leapfrog(
    gradient: Gradient,
    position: Tensor,
    momentum: Tensor,
    slope: Tensor,
    step: Tensor,
    num_steps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Follow Hamilton's equations for ``num_steps`` steps.

    .. math:: p \leftarrow p + \tfrac\varepsilon2 \nabla \log p(w), \qquad
        w \leftarrow w + \varepsilon p, \qquad p \leftarrow p + \tfrac\varepsilon2 \nabla \log p(w)

    It preserves volume and retraces its way when the momentum is reversed; the energy's error is of
    the order of the squared step. Source: Neal (2011), section 2.3.

    Args:
        gradient: maps positions to gradients of the log density and its values.
        position: w, shape (C, P).
        momentum: p, shape (C, P), of unit mass in the units of ``step``.
        slope: the gradient at ``position``.
        step: the step in each weight, shape (P,).
        num_steps: how many.

    Returns:
        The position, momentum, gradient and log density at the end.
    """
    momentum = momentum + step / 2 * slope
    for _ in range(num_steps - 1):
        position = position + step * momentum
        # Two half steps between two positions are one whole step.
        momentum = momentum + step * gradient(position)[0]
    position = position + step * momentum
    slope, log_density = gradient(position)
    return position, momentum + step / 2 * slope, slope, log_density


def hmc(
    log_density: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    num_chains: int,
    num_samples: int,
    num_warmup: int = 200,
    num_leapfrog_steps: int = 20,
    target_acceptance: float = 0.8,
    adapt_scales: bool = True,
    seed: int | None = None,
    progress: bool = True,
) -> Chains:
    r"""Sample from a density by Hamiltonian Monte Carlo, all chains at once.

    From a position w and a fresh momentum :math:`p \sim \mathcal N(0, M)`, with the diagonal M, a
    trajectory of leapfrog steps leads to :math:`(w', p')`, which is accepted with the
    probability

    .. math:: \min\left(1, e^{H(w, p) - H(w', p')}\right), \qquad
        H(w, p) = -\log p(w) + \tfrac12 p^\top M^{-1} p

    The number of steps is drawn anew for each trajectory, evenly from 1 to
    ``2 * num_leapfrog_steps - 1``: no period can be met every time. In the warm-up, whose samples
    are left out, dual averaging finds the step size; M is the inverse of the weights' variances,
    over all chains, in its second quarter. Neither changes afterwards. The work is
    ``num_leapfrog_steps`` gradients for each chain and sample, on average. Source: Duane et al.
    (1987); Neal (2011).

    Args:
        log_density: maps one position (P,) to the log density in nats, up to a constant, such as
            what :func:`log_posterior` returns; it must work under ``torch.vmap``.
        start: shape (P,) for all chains, or (num_chains, P); chains that start apart, such as at
            draws from the prior, are needed for :func:`r_hat` to show what it can. Its dtype and
            device are those of the samples.
        num_chains: C.
        num_samples: S, of each chain.
        num_warmup: trajectories before them.
        num_leapfrog_steps: the mean number of steps in a trajectory.
        target_acceptance: the mean probability of acceptance to aim at, between 0 and 1.
        adapt_scales: whether M is found in the warm-up; otherwise it is the identity.
        seed: makes the run repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Raises:
        ValueError: a count is below 1, ``num_warmup`` below 20, ``target_acceptance`` not between
            0 and 1, ``start`` of another shape or not a floating point tensor, or the log density
            or its gradient at ``start`` is not finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> def log_density(w):  # of the standard normal distribution in two dimensions
        ...     return -w.square().sum() / 2
        >>> start = torch.zeros(2)
        >>> counts = {"num_chains": 8, "num_samples": 50, "num_warmup": 50}
        >>> chains = bt.hmc(log_density, start, **counts, seed=0, progress=False)
        >>> chains.samples.shape, chains.num_divergences
        (torch.Size([8, 50, 2]), 0)
    """
    require_counts(
        num_chains=num_chains, num_samples=num_samples, num_leapfrog_steps=num_leapfrog_steps
    )
    if num_warmup < 20:
        raise ValueError(f"num_warmup={num_warmup}: expected 20 or more, to find a step size in")
    if not 0 < target_acceptance < 1:
        raise ValueError(f"target_acceptance={target_acceptance}: expected between 0 and 1")
    gradient: Gradient = torch.func.vmap(torch.func.grad_and_value(log_density))
    position = _start(start, num_chains)
    slope, density = gradient(position)
    _require_finite(slope, density)

    samples = position.new_empty(num_chains, num_samples, position.shape[1])
    scales = torch.ones_like(position[0])
    moments: list[Tensor] = []
    acceptance_sum, num_divergences = 0.0, 0
    adaptation = StepSizeAdaptation(0.1, target_acceptance)
    with seeded(seed, position.device):
        for trajectory in tqdm(
            range(-num_warmup, num_samples), unit="sample", disable=not progress
        ):
            warming_up = trajectory < 0
            step_size = adaptation.step_size if warming_up else adaptation.average
            num_steps = int(torch.randint(1, 2 * num_leapfrog_steps, ()))
            momentum = torch.randn_like(position)
            proposal, end_momentum, end_slope, end_density = leapfrog(
                gradient, position, momentum, slope, step_size * scales, num_steps
            )
            kinetic, end_kinetic = (
                value.square().sum(dim=1) / 2 for value in (momentum, end_momentum)
            )
            # Where a trajectory ran away, nothing that it ended in counts.
            gain = (end_density - end_kinetic) - (density - kinetic)
            gain = torch.where(gain.isfinite(), gain, -math.inf)
            probability = gain.exp().clamp(max=1)
            accepted = torch.rand_like(probability) < probability
            position = torch.where(accepted[:, None], proposal, position)
            slope = torch.where(accepted[:, None], end_slope, slope)
            density = torch.where(accepted, end_density, density)
            acceptance = probability.mean().item()
            if warming_up:
                adaptation.update(acceptance)
                done = num_warmup + trajectory + 1
                if adapt_scales and num_warmup // 4 <= done <= num_warmup // 2:
                    moments.append(position)
                if adapt_scales and done == num_warmup // 2:
                    scales = _scales(torch.cat(moments))
                    first = adaptation.average / scales.log().mean().exp().item()
                    adaptation = StepSizeAdaptation(first, target_acceptance)
            else:
                samples[:, trajectory] = position
                acceptance_sum += acceptance
                num_divergences += int((gain < -LARGEST_ENERGY_ERROR).sum())
    return Chains(
        samples, acceptance_sum / num_samples, adaptation.average, scales, num_divergences
    )


def _start(start: Tensor, num_chains: int) -> Tensor:
    """Return the chains' first positions, shape (C, P)."""
    if not start.is_floating_point():
        raise ValueError(f"start has dtype {start.dtype}: expected a floating point type")
    fits = start.ndim == 1 or (start.ndim == 2 and len(start) == num_chains)
    if not fits or start.numel() == 0:
        raise ValueError(
            f"start has shape {tuple(start.shape)} for num_chains={num_chains}: "
            f"expected (P,) or ({num_chains}, P)"
        )
    return start.detach().expand(num_chains, start.shape[-1]).clone()


def _require_finite(slope: Tensor, density: Tensor) -> None:
    bad = ~(density.isfinite() & slope.isfinite().all(dim=1))
    if bad.any():
        chain = int(bad.nonzero()[0])
        raise ValueError(
            f"log_density is {density[chain].item()} at the start of chain {chain}, and its "
            f"gradient's norm {slope[chain].norm().item()}: expected finite numbers"
        )


def _scales(positions: Tensor) -> Tensor:
    """Return the standard deviation of each weight, or 1 for all where some have not moved."""
    scales = positions.std(dim=0)
    return scales if scales.all() else torch.ones_like(scales)
