"""One seed for one piece of work, and the rest of the program's randomness left alone.

Used by training and prediction in every chapter.
"""

import contextlib

import torch
from torch import Tensor


def generator_states(device: torch.device | str) -> list[Tensor]:
    """Return the states of the CPU's random generator and of the one of ``device``."""
    device = torch.device(device)
    states = [torch.get_rng_state()]
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(device))
    return states


def set_generator_states(states: list[Tensor], device: torch.device | str) -> None:
    """Continue from ``states``, which :func:`generator_states` returned for ``device``."""
    device = torch.device(device)
    torch.set_rng_state(states[0])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[1], device)


@contextlib.contextmanager
def seeded(seed: int | None, device: torch.device | str = "cpu"):
    """Run a block with its own seed, then give the random generators back as they were.

    Args:
        seed: for the CPU's and the device's generator; None draws from them as they stand.
        device: where the block's tensors live: CPU, CUDA or MPS.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> with bt.seeded(0):
        ...     first = torch.randn(3)
        >>> with bt.seeded(0):
        ...     print(torch.randn(3).equal(first))
        True
    """
    if seed is None:
        yield
        return
    states = generator_states(device)
    # torch.manual_seed would seed the generators of all other devices too, for good.
    seeds = [torch.Generator(place).manual_seed(seed).get_state() for place in ("cpu", device)]
    set_generator_states(seeds, device)
    try:
        yield
    finally:
        set_generator_states(states, device)
