"""One seed for one piece of work, and the rest of the program's randomness left alone.

Used by training and prediction in every chapter.
"""

import contextlib

import torch


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
    device = torch.device(device)
    modules = [torch.random]
    if device.type != "cpu":
        modules.append(torch.get_device_module(device))
    states = [module.get_rng_state() for module in modules]
    torch.manual_seed(seed)
    try:
        yield
    finally:
        for module, state in zip(modules, states, strict=True):
            module.set_rng_state(state)
