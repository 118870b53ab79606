"""One seed for one piece of work, and the rest of the program's randomness left alone.

Used by training and prediction in every chapter.
"""

import contextlib
import random
from typing import Any

import numpy
import torch
from torch import Tensor

# Tensors and tuples of numbers, which torch.load reads with weights_only=True.
States = list[Any]


def generator_states(device: torch.device | str) -> States:
    """Return the states of the random generators: Python's, numpy's, torch's CPU, ``device``."""
    device = torch.device(device)
    algorithm, numbers, *rest = numpy.random.get_state()  # noqa: NPY002, what users' code draws from
    of_numpy = algorithm, torch.from_numpy(numpy.asarray(numbers).astype("int64")), *rest
    states = [random.getstate(), of_numpy, torch.get_rng_state()]
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(device))
    return states


def set_generator_states(states: States, device: torch.device | str) -> None:
    """Continue from ``states``, which :func:`generator_states` returned for ``device``."""
    device = torch.device(device)
    of_python, (algorithm, numbers, *rest), of_cpu, *of_device = states
    random.setstate(of_python)
    numpy.random.set_state((algorithm, numbers.numpy().astype("uint32"), *rest))  # noqa: NPY002
    torch.set_rng_state(of_cpu)
    for state in of_device:
        torch.get_device_module(device).set_rng_state(state, device)


def same_states(one: Any, two: Any) -> bool:
    """Return whether nothing was drawn between two results of :func:`generator_states`."""
    if isinstance(one, Tensor):
        return torch.equal(one, two)
    if isinstance(one, list | tuple):
        return all(map(same_states, one, two))
    return one == two


@contextlib.contextmanager
def seeded(seed: int | None, device: torch.device | str = "cpu"):
    """Run a block with its own seed, then give the random generators back as they were.

    Args:
        seed: for the generators of Python, numpy, torch's CPU and the device; None draws from them
            as they stand.
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
    random.seed(seed)
    numpy.random.seed(seed % 2**32)  # noqa: NPY002
    # torch.manual_seed would seed the generators of all other devices too, for good.
    torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    if (device := torch.device(device)).type != "cpu":
        state = torch.Generator(device).manual_seed(seed).get_state()
        torch.get_device_module(device).set_rng_state(state, device)
    try:
        yield
    finally:
        set_generator_states(states, device)
