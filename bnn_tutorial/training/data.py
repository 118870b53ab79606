"""The check that data pass before the first step.

See the API reference of :func:`bnn_tutorial.fit`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from bnn_tutorial.batches import (
    Data,
    Inputs,
    Order,
    Pair,
    Rows,
    Source,
    call,
    map_tensors,
    open_data,
    tensors_of,
)
from bnn_tutorial.layers.bayesian import posterior_mean
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.prediction.predict import evaluation_mode
from bnn_tutorial.randomness import seeded
from bnn_tutorial.tensor_checks import require_finite

_ROWS_AT_ONCE = 1024


class CheckedData(Source):
    """Data that a model takes and a likelihood can score, each batch of them.

    Of tensors in memory all rows are checked at once; of other data the first rows, and each batch
    when it comes.

    Args:
        source: the data.
        model: the network.
        likelihood: one that is no :class:`Likelihood` is not asked what it can score.

    Raises:
        TypeError: the data have no targets.
        ValueError: the model can't take the inputs, the likelihood can't score its output on the
            targets, or a number is not finite.
    """

    def __init__(self, source: Source, model: nn.Module, likelihood: nn.Module):
        super().__init__(source.name, source.num_data)
        self.num_rows, self.device, self.sampler = source.num_rows, source.device, source.sampler
        self.source = source
        self.likelihood = likelihood
        first = source.first()
        self._output = _first_output(model, first[0], source.name)
        self._whole = isinstance(source, Rows)
        self._check(*((source.inputs, source.target) if isinstance(source, Rows) else first))

    def first(self) -> Pair:
        return self.source.first()

    def order(self, batch_size: int | None) -> Order | None:
        return self.source.order(batch_size)

    def load(self, batches: Order | None) -> Iterator[Pair]:
        return map(self._checked, self.source.load(batches))

    def portions(self, num_rows: int) -> Iterator[Pair]:
        return map(self._checked, self.source.portions(num_rows))

    def generators(self) -> list[torch.Generator]:
        return self.source.generators()

    def _checked(self, batch: Pair) -> Pair:
        if not self._whole:
            self._check(*batch)
        return batch

    def _check(self, inputs: Inputs, target: Tensor | None) -> None:
        name = self.name
        if target is None:
            raise TypeError(f"{name} gives inputs alone: expected inputs and targets")
        for tensor in tensors_of(inputs):
            if len(tensor) != len(target):
                raise ValueError(
                    f"{name} has {len(tensor)} rows of inputs and {len(target)} of targets: "
                    "expected as many"
                )
        try:
            for tensor in tensors_of(inputs):
                require_finite(inputs=tensor)
            if isinstance(self.likelihood, Likelihood):
                self.likelihood.check(self._output.to(target.device), target)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def in_memory(data: Data, model: nn.Module, likelihood: Likelihood) -> TensorDataset:
    """Return all inputs and targets, checked, for what has to see every row again and again.

    Args:
        data: what :func:`fit` takes, read once; each row has one tensor of inputs.
        model: the network.
        likelihood: of its outputs.

    Raises:
        TypeError: ``data`` is no data set, or has no targets or several inputs.
        ValueError: ``data`` is empty, does not give each row once, or does not pass
            :class:`CheckedData`.
    """
    source = open_data(data, "data")
    with seeded(0):  # a data set may draw its rows
        checked = CheckedData(source, model, likelihood)
        if type(data) is TensorDataset and len(data.tensors) == 2:
            return data
        batches = [*checked.portions(_ROWS_AT_ONCE)]
    inputs, targets = zip(*batches, strict=True)
    if not all(isinstance(part, Tensor) for part in inputs):
        raise TypeError("data give several inputs: expected one tensor of them, and targets")
    rows = TensorDataset(torch.cat(inputs), torch.cat(targets))
    if source.num_data not in (None, len(rows)):
        raise ValueError(
            f"data give {len(rows)} rows in one pass, and have {source.num_data}: expected each "
            "row once (a DataLoader without drop_last)"
        )
    return rows


def _first_output(model: nn.Module, inputs: Inputs, name: str) -> Tensor:
    """Return the model's output at two rows, drawn from nothing and with nothing changed."""
    parameter = next(model.parameters(), tensors_of(inputs)[0])
    rows = map_tensors(lambda tensor: tensor[:2].to(parameter.device), inputs)
    count = len(tensors_of(rows)[0])
    try:
        with evaluation_mode(model), posterior_mean(model), seeded(0, parameter.device):
            output = call(model, rows)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        kinds = ", ".join(f"{t.dtype} of shape {tuple(t.shape)}" for t in tensors_of(rows))
        raise ValueError(
            f"{name}: the model, whose parameters are {parameter.dtype}, can't take inputs "
            f"{kinds}: {error}"
        ) from error
    if not isinstance(output, Tensor) or output.shape[:1] != (count,):
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"{name}: the model's output for {count} rows is {found}: expected a tensor of as "
            "many rows"
        )
    return output
