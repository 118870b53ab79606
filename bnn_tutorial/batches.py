"""One door for data: whatever PyTorch calls a data set, as batches of inputs and targets.

See the API reference of :func:`bnn_tutorial.fit`. Nothing here knows of posteriors.
"""

import abc
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    default_collate,
)

# What a model takes: a tensor, or several in a tuple or a dict.
Inputs = Tensor | tuple[Any, ...] | dict[str, Any]
Data = Dataset | DataLoader
# The rows of each batch of an epoch: numbers of rows, in a tensor or a list.
Order = Sequence[Any]
# Of a batch: its inputs, and its targets where it has some.
Pair = tuple[Inputs, Tensor | None]


def map_tensors(function: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Return ``inputs`` with ``function`` applied to each of its tensors."""
    if isinstance(inputs, Mapping):
        return {name: map_tensors(function, part) for name, part in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(map_tensors(function, part) for part in inputs)
    return function(inputs)


def tensors_of(inputs: Inputs) -> list[Tensor]:
    """Return the tensors of ``inputs``, in order."""
    if isinstance(inputs, Mapping):
        inputs = tuple(inputs.values())
    if isinstance(inputs, tuple | list):
        return [tensor for part in inputs for tensor in tensors_of(part)]
    return [inputs]


def rows_of(inputs: Inputs, start: int, stop: int) -> Inputs:
    """Return some rows of ``inputs``."""
    return map_tensors(lambda tensor: tensor[start:stop], inputs)


def count_rows(inputs: Inputs) -> int:
    """Return how many rows ``inputs`` have."""
    return len(tensors_of(inputs)[0])


def call(network: Callable[..., Tensor], inputs: Inputs) -> Tensor:
    """Return the output of ``network`` at ``inputs``."""
    positional, by_name = arguments(network, inputs)
    return network(*positional, **by_name)


def arguments(network: Callable[..., Tensor], inputs: Inputs) -> tuple[tuple, dict[str, Any]]:
    """Return the positional arguments, and those by name, that ``inputs`` are for ``network``.

    A tuple is passed as ``network(*inputs)``, a dict as ``network(**inputs)``; whole to a network
    that has one parameter, unless that is the dict's only name.
    """
    if isinstance(inputs, Tensor):
        return (inputs,), {}
    function = network.forward if isinstance(network, nn.Module) else network
    parameters = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    takes_one = len(parameters) == 1 and kinds.isdisjoint({2, 4})  # neither *args nor **kwargs
    if isinstance(inputs, Mapping):
        whole = takes_one and {*inputs} != {*parameters}
        return ((inputs,), {}) if whole else ((), dict(inputs))
    return ((inputs,) if takes_one else tuple(inputs)), {}


class Source(abc.ABC):
    """A data set as batches, whatever its kind.

    ``num_data`` is N, the number of its data, and None where nobody knows; ``num_rows`` how many
    of them come in one pass, where that is known; ``name`` is what the caller's argument is called.
    """

    num_rows: int | None = None
    device = torch.device("cpu")
    sampler: Any = None

    def __init__(self, name: str, num_data: int | None):
        self.name = name
        self.num_data = num_data

    @abc.abstractmethod
    def first(self) -> Pair:
        """Return the first rows, at most two where they can be chosen, in no random order."""

    @abc.abstractmethod
    def order(self, batch_size: int | None) -> Order | None:
        """Return the rows of each batch of an epoch, or None where only reading them tells."""

    @abc.abstractmethod
    def load(self, batches: Order | None) -> Iterator[Pair]:
        """Yield the batches with these rows, or all of an epoch where the rows are unknown."""

    @abc.abstractmethod
    def portions(self, num_rows: int) -> Iterator[Pair]:
        """Yield all data once, in their own order, in parts of ``num_rows`` where that is free."""

    def generators(self) -> list[torch.Generator]:
        """Return the random generators that the data's own order draws from."""
        return []


class Rows(Source):
    """Tensors in memory: the rows of a batch are picked at once."""

    def __init__(self, name: str, inputs: Inputs, target: Tensor | None):
        self.inputs, self.target = inputs, target
        self.num_rows = count_rows(inputs)
        self.device = tensors_of(inputs)[0].device
        super().__init__(name, self.num_rows)

    def _rows(self, rows: Tensor | slice) -> Pair:
        def pick(tensor: Tensor) -> Tensor:
            return tensor[rows.to(tensor.device) if isinstance(rows, Tensor) else rows]

        return map_tensors(pick, self.inputs), None if self.target is None else pick(self.target)

    def first(self) -> Pair:
        return self._rows(slice(2))

    def order(self, batch_size: int | None) -> Order:
        return shuffled_batches(count_rows(self.inputs), batch_size)

    def load(self, batches: Order | None) -> Iterator[Pair]:
        assert batches is not None  # as order() tells
        return map(self._rows, batches)

    def portions(self, num_rows: int) -> Iterator[Pair]:
        return map(self._rows, _slices(count_rows(self.inputs), num_rows))


# What is the caller's in a DataLoader of our own over the rows of batches.
_OF_LOADING = (
    "num_workers",
    "pin_memory",
    "timeout",
    "worker_init_fn",
    "multiprocessing_context",
    "generator",
    "prefetch_factor",
)


class _Items(Source):
    """A data set whose items have numbers, and what a DataLoader says of how to take them."""

    def __init__(self, data: Data, name: str):
        loader = data if isinstance(data, DataLoader) else None
        self.dataset: Any = data if loader is None else loader.dataset
        self.loader = loader
        of_subset = loader is not None and isinstance(loader.sampler, SubsetRandomSampler)
        super().__init__(name, len(loader.sampler) if of_subset else len(self.dataset))  # pyright: ignore
        self.num_rows = len(self.dataset) if loader is None else None
        self.sampler = None if loader is None else loader.sampler
        self.collate = default_collate if loader is None else loader.collate_fn
        self.settings: dict[str, Any] = {"collate_fn": self.collate}
        if loader is not None:
            self.settings |= {name: getattr(loader, name) for name in _OF_LOADING}
        if not self.settings.get("num_workers"):
            # The seed of workers, which a DataLoader draws without them too.
            self.settings["generator"] = torch.Generator()

    def first(self) -> Pair:
        rows = range(min(2, len(self.dataset)))
        try:
            return split_item(self.collate([self.dataset[row] for row in rows]), self.name)
        except (TypeError, RuntimeError) as error:
            raise TypeError(
                f"{self.name}: its items make no batch ({error}); expected tensors, arrays or "
                "numbers of equal shapes, or a DataLoader with a collate_fn"
            ) from error

    def order(self, batch_size: int | None) -> Order:
        if self.loader is not None:
            return [*self.loader.batch_sampler]  # pyright: ignore
        return [rows.tolist() for rows in shuffled_batches(len(self.dataset), batch_size)]

    def load(self, batches: Order | None) -> Iterator[Pair]:
        loaded = DataLoader(self.dataset, batch_sampler=batches, **self.settings)
        return (split_item(item, self.name) for item in loaded)

    def portions(self, num_rows: int) -> Iterator[Pair]:
        if self.loader is not None:
            return self.load(self.order(None))
        rows = range(len(self.dataset))
        return self.load([rows[part] for part in _slices(len(rows), num_rows)])

    def generators(self) -> list[torch.Generator]:
        if self.loader is None:
            return []
        return _own_generators(self.loader)


class _Stream(Source):
    """Batches that come in an order of their own, and can't be asked for by number."""

    def __init__(self, data: DataLoader, name: str, num_data: int | None):
        super().__init__(name, num_data)
        self.batches = data

    def first(self) -> Pair:
        states = [generator.get_state() for generator in self.generators()]
        item = next(iter(self.batches), None)
        for generator, state in zip(self.generators(), states, strict=True):
            generator.set_state(state)
        if item is None:
            raise ValueError(f"{self.name} is empty: expected at least one batch")
        return split_item(item, self.name)

    def order(self, batch_size: int | None) -> None:
        return None

    def load(self, batches: Order | None) -> Iterator[Pair]:
        return (split_item(item, self.name) for item in self.batches)

    def portions(self, num_rows: int) -> Iterator[Pair]:
        return self.load(None)

    def generators(self) -> list[torch.Generator]:
        return _own_generators(self.batches)


def _own_generators(loader: DataLoader) -> list[torch.Generator]:
    """Return the generators that the loader and its sampler draw from in place of the global."""
    found = (loader.generator, getattr(loader.sampler, "generator", None))
    return [*{id(one): one for one in found if one is not None}.values()]


def split_item(item: Any, name: str) -> Pair:
    """Return a batch's inputs and its targets, from what a data set or a loader gives.

    Of (x, y) or (x_1, ..., x_k, y) the last is the target; a tensor alone, or a dict, is inputs.

    Raises:
        TypeError: a part is neither a tensor nor tensors in a tuple or a dict.
    """
    inputs, target = item, None
    if isinstance(item, tuple | list):
        *parts, last = item
        if parts:
            target = last
            inputs = parts[0] if len(parts) == 1 else tuple(parts)
        else:
            inputs = last
    inputs = map_tensors(lambda tensor: tensor, inputs)  # a collate makes lists of tuples
    for part in (*tensors_of(inputs), *([] if target is None else [target])):
        if not isinstance(part, Tensor) or part.ndim == 0:
            raise TypeError(
                f"{name} gives a batch with {_short(part)}: expected tensors of rows, inputs and "
                "then targets; the inputs may be several in a tuple or a dict"
            )
    return inputs, target


def open_data(data: Data, name: str, *, num_data: int | None = None) -> Source:
    """Return ``data`` as a source of batches.

    Args:
        data: a Dataset or a DataLoader.
        name: of the argument, for errors.
        num_data: N where the data cannot tell.

    Raises:
        TypeError: ``data`` is something else.
        ValueError: it is empty.
    """
    if type(data) is TensorDataset:
        source: Source = Rows(name, *split_item(data.tensors, name))
    elif type(data) is DataLoader and data.batch_sampler is not None and _numbered(data.dataset):
        source = _Items(data, name)
    elif isinstance(data, DataLoader):
        source = _Stream(data, name, num_data)
    elif isinstance(data, IterableDataset):
        raise TypeError(
            f"{name} is an IterableDataset: expected a DataLoader around it, which says how many "
            "data a batch has"
        )
    elif isinstance(data, Dataset) and _numbered(data):
        source = _Items(data, name)
    else:
        raise TypeError(
            f"{name}={_short(data)}: expected a Dataset of inputs and targets, such as a "
            "TensorDataset, or a DataLoader"
        )
    if source.num_data == 0:
        raise ValueError(f"{name} is empty: expected at least one row")
    return source


def shuffled_batches(num_rows: int, batch_size: int | None) -> Sequence[Tensor]:
    """Return the rows of an epoch's batches at random, or as they are where one batch takes all."""
    size = num_rows if batch_size is None else batch_size
    return (torch.arange(num_rows) if size >= num_rows else torch.randperm(num_rows)).split(size)


def _slices(num_rows: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, num_rows, size))


def _numbered(dataset: Any) -> bool:
    return not isinstance(dataset, IterableDataset) and hasattr(dataset, "__len__")


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
