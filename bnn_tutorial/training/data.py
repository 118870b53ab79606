"""The data that training takes, and the order in which an epoch goes through them.

See the API reference of :func:`bnn_tutorial.fit`.
"""

import torch
from torch import Tensor
from torch.utils.data import TensorDataset


def require_dataset(**datasets: TensorDataset) -> None:
    """Check that each is a data set of inputs and targets with at least one row.

    Raises:
        TypeError: one is something else; the message names it as the caller wrote it.
        ValueError: one is empty.
    """
    for name, data in datasets.items():
        if not isinstance(data, TensorDataset) or len(data.tensors) != 2:
            raise TypeError(f"{name}={data!r}: expected a TensorDataset of inputs and targets")
        if len(data) == 0:
            raise ValueError(f"{name} is empty: expected at least one row")


def shuffled_rows(num_rows: int, batch_size: int) -> Tensor:
    """Return the rows of an epoch in a random order, or as they are where one batch takes all."""
    return torch.arange(num_rows) if batch_size >= num_rows else torch.randperm(num_rows)
