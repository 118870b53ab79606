"""Saving a model to a file from which no code is ever executed: safetensors, names and raw numbers.

Explained in the chapter "A Bayesian CNN on MNIST".
"""

import errno
import os
from pathlib import Path
from typing import TypeVar

import safetensors
import safetensors.torch
from torch import nn

from bnn_tutorial.atomic_write import atomic_write

Model = TypeVar("Model", bound=nn.Module)


def save_model(model: nn.Module, path: str | os.PathLike) -> None:
    """Write the parameters and buffers of ``model``, priors included, to ``path``.

    The file is complete or absent: it is written beside ``path`` and then moved there.

    Raises:
        OSError: it can't be written; the error names ``path``, and what was there before stays.

    Example:
        >>> import tempfile
        >>> import safetensors.torch
        >>> import bnn_tutorial as bt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/network.safetensors"
        ...     bt.save_model(bt.regression_network(20), path)
        ...     sorted(safetensors.torch.load_file(path))
        ['0.bias', '0.weight', '2.bias', '2.weight']
    """
    with atomic_write(Path(path)) as draft:
        try:
            safetensors.torch.save_model(model, str(draft))
        except safetensors.SafetensorError as error:
            raise OSError(errno.EIO, str(error)) from error


def load_model(model: Model, path: str | os.PathLike) -> Model:
    """Read into ``model`` what :func:`save_model` wrote, and return it.

    Args:
        model: of the same architecture; its parameters are overwritten in place.
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its names and shapes are not the model's; the message
            says which, and the model stays as it was.

    Example:
        >>> import tempfile
        >>> import bnn_tutorial as bt
        >>> network, other = bt.regression_network(20), bt.regression_network(20)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/network.safetensors"
        ...     bt.save_model(network, path)
        ...     bt.load_model(other, path)[0].weight.equal(network[0].weight)
        True
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r}: expected a file that save_model wrote")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        safetensors.torch.load_model(model, str(path))
    except safetensors.SafetensorError as error:
        raise ValueError(f"path={str(path)!r}: the file is damaged: {error}") from error
    except RuntimeError as error:
        model.load_state_dict(before)
        raise ValueError(f"path={str(path)!r}: the file is of another model: {error}") from error
    return model
