"""One seed for one piece of work, and the rest of the program's randomness left alone.

Used by training and prediction in every chapter.
"""

import contextlib

import torch
from torch import Tensor


def _generators(device: torch.device | str) -> list:
    device = torch.device(device)
    return [torch.random] + ([] if device.type == "cpu" else [torch.get_device_module(device)])


def generator_states(device: torch.device | str) -> list[Tensor]:
    """Return the states of the CPU's random generator and of the one of ``device``."""
    return [generator.get_rng_state() for generator in _generators(device)]


def set_generator_states(states: list[Tensor], device: torch.device | str) -> None:
    """Continue from ``states``, which :func:`generator_states` returned for ``device``."""
    for generator, state in zip(_generators(device), states, strict=True):
        generator.set_rng_state(state)


@contextlib.contextmanager
def seeded(seed: int | None, device: torch.device | str = "cpu"):
    """Run a block with its own seed, then give the random generators back as they were.

    Args:
        seed: for the CPU's and the device's generator; None draws from them as they stand.
        device: where the block's tensors live: CPU, CUDA or MPS.
    """
    if seed is None:
        yield
        return
    states = generator_states(device)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        set_generator_states(states, device)
