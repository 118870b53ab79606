"""Predicting with a posterior: many draws of the network, their mean, width and bands.

Explained in the chapters "Polynomial regression with 3-sigma bands" and "A Bayesian CNN on MNIST".
"""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.batches import (
    Data,
    Inputs,
    Rows,
    Source,
    call,
    count_rows,
    map_tensors,
    open_data,
    rows_of,
    tensors_of,
)
from bnn_tutorial.layers.bayesian import BayesianLayer, bayesian_layers, drawing_with
from bnn_tutorial.layers.network import NetworkPosterior
from bnn_tutorial.layers.shared_moments import MomentsOfOneInput
from bnn_tutorial.prediction.moments import Moments
from bnn_tutorial.prediction.posterior import Posterior
from bnn_tutorial.prediction.shared_trunk import split_at_first_draw
from bnn_tutorial.randomness import generator_states, same_states, seeded


@dataclass(frozen=True)
class Prediction(Moments):
    """Outputs of ``num_samples`` networks drawn from the posterior.

    ``samples`` has shape (S, N, ...): samples, data, outputs.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> draws = torch.tensor([[[2.0]], [[3.0]], [[4.0]]])
        >>> prediction = bt.Prediction(draws)
        >>> prediction.mean.item(), prediction.std.item()
        (3.0, 1.0)
    """

    samples: Tensor

    @property
    def mean(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The average over the draws, shape (N, ...)."""
        return self.samples.mean(dim=0)

    @property
    def std(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The epistemic standard deviation, which is the spread of the draws, shape (N, ...).

        Raises:
            ValueError: there is one draw, which has no spread.
        """
        if len(self.samples) < 2:
            raise ValueError(
                f"samples hold {len(self.samples)} draw: expected two or more, for their spread"
            )
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


def _rows_at_once(model: nn.Module, rows: Inputs, memory_limit: int) -> int:
    """Return how many rows a forward pass may take: six tensors of the largest output at a time.

    As many are alive inside a layer with local reparameterization.
    """
    largest = max(tensor[:1].nbytes for tensor in tensors_of(rows))

    def measure(module, inputs, output):
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.nbytes)

    handles = [module.register_forward_hook(measure) for module in model.modules()]
    try:
        call(model, rows_of(rows, 0, 1))
        count = 1
    except ValueError:  # batch norm without statistics of its own needs two
        call(model, rows)
        count = count_rows(rows)
    finally:
        for handle in handles:
            handle.remove()
    return max(1, memory_limit * count // (6 * largest))


def _versions(tensors: list[Tensor]) -> list[object]:
    """Return what changes when ``tensors`` are written into."""
    # Those of torch.inference_mode are not counted: each look at them is taken as a change.
    return [object() if tensor.is_inference() else tensor._version for tensor in tensors]


def _outputs_of_networks(
    posterior: Posterior, rows: Inputs, num_samples: int, seed: int
) -> Generator[tuple[int, Tensor], None, None]:
    """Yield (draw, output) of networks that are the same for the same ``seed``."""
    with seeded(seed, tensors_of(rows)[0].device):
        networks = posterior.networks(num_samples)
        yield from enumerate(call(network, rows) for network in networks)


def _outputs_of_layers(
    model: nn.Module, before, after, rows: Inputs, num_samples: int, seed: int
) -> Generator[tuple[int, Tensor], None, None]:
    """Yield (draw, output) of a ``model`` with Bayesian layers, from its two parts."""
    layers = [layer for layer in bayesian_layers(model) if isinstance(layer, BayesianLayer)]
    draws = NetworkPosterior(model).draws(num_samples, seed)
    with drawing_with(layers, "shared_moments") as use, contextlib.closing(draws):
        use(map(MomentsOfOneInput, layers))
        yield from _outputs(before, after, rows, draws)


def _outputs(before, after, rows: Inputs, draws: Iterable[int]) -> Iterator[tuple[int, Tensor]]:
    """Yield (draw, output) with what lies before the first draw run once, where that is safe."""
    device = tensors_of(rows)[0].device
    states = generator_states(device)
    shared = before(rows)
    # A network may be random without Bayesian layers, or write into what all draws share.
    safe = same_states(states, generator_states(device))
    tensors = [value for value in shared if isinstance(value, Tensor)]
    versions = _versions(tensors)
    for draw in draws:
        if draw > 0 and not safe:
            shared = before(rows)
        yield draw, after(*shared)
        if draw == 0:
            safe = safe and versions == _versions(tensors)


def predict(
    model: nn.Module,
    x: Inputs | Data,
    num_samples: int = 100,
    *,
    transform: Callable[[Tensor], Tensor] | None = None,
    memory_limit: int = 2**27,
    seed: int | None = None,
    progress: bool = False,
) -> Prediction:
    """Draw ``num_samples`` networks and return their outputs at ``x``.

    Runs in ``eval()`` without gradients and leaves the model as it was. What lies before the first
    Bayesian layer runs once, and so do the mean and the variance of a first layer with
    ``estimator="local"``: the draws have the distribution of so many forward passes on all of
    ``x``, at a fraction of the work.

    Args:
        model: any module, or a :class:`Posterior`; a module that draws nothing gives S equal rows.
        x: inputs, shape (N, ...), moved to the model's device; several in a tuple or a dict, which
            become the model's arguments; or a Dataset or a DataLoader, in whose order the outputs
            are. Of what :func:`fit` takes, its targets are left out.
        num_samples: S, the number of draws, 1 or more. Of a :class:`Posterior` with a finite number
            of networks, such as an ensemble, each is taken once, and S is at most that number.
        transform: applied to the output of each draw, some rows at a time, before anything is
            averaged, such as ``torch.nn.Softmax(dim=-1)`` for class probabilities.
        memory_limit: bytes to use, about, beside the result; the data pass in portions that fit.
            With ``estimator="weight"`` a draw of the weights is the same for all portions.
        seed: makes the draws repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Raises:
        TypeError: ``x`` is something else.
        ValueError: ``num_samples`` or ``memory_limit`` is below 1, ``x`` has no rows, or an output
            has not as many.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> model = bt.to_bayesian(bt.regression_network(20))
        >>> prediction = bt.predict(model, torch.zeros(5, 1), num_samples=30)
        >>> prediction.samples.shape, prediction.mean.shape
        (torch.Size([30, 5, 1]), torch.Size([5, 1]))
    """
    if memory_limit < 1:
        raise ValueError(f"memory_limit={memory_limit}: expected a number of bytes, 1 or more")
    settings = {"transform": transform, "memory_limit": memory_limit, "progress": progress}
    samples, _ = outputs_of_draws(model, _source(x), num_samples, seed=seed, **settings)
    return Prediction(samples)


def _source(x: Inputs | Data) -> Source:
    """Return ``x`` as a source of inputs.

    Raises:
        TypeError: it is neither tensors nor data.
        ValueError: it has no rows.
    """
    if isinstance(x, Dataset | DataLoader):
        return open_data(x, "x")
    tensors = tensors_of(x)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"x has a {type(tensor).__name__}: expected a tensor, several in a tuple or a "
                "dict, a Dataset or a DataLoader"
            )
        if tensor.ndim == 0 or len(tensor) == 0:
            raise ValueError(f"x has shape {tuple(tensor.shape)}: expected at least one row")
        if len(tensor) != len(tensors[0]):
            raise ValueError(
                f"x has {len(tensors[0])} and {len(tensor)} rows: expected as many in each tensor"
            )
    return Rows("x", x, None)


def outputs_of_draws(
    model: nn.Module,
    source: Source,
    num_samples: int,
    *,
    transform: Callable[[Tensor], Tensor] | None = None,
    memory_limit: int = 2**27,
    seed: int | None = None,
    progress: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return the outputs of draws at all data of ``source``, (S, N, ...), and their targets.

    The arguments are those of :func:`predict`; the targets are on the outputs' device.
    """
    require_counts(num_samples=num_samples)
    if isinstance(model, Posterior) and model.num_networks is not None:
        num_samples = min(num_samples, model.num_networks)
    parameter = next(model.parameters(), None)
    device = source.device if parameter is None else parameter.device
    to_device = functools.partial(map_tensors, lambda tensor: tensor.to(device))
    blocks: list[Tensor] = []
    targets: list[Tensor] = []
    filled = 0
    with (
        evaluation_mode(model),
        seeded(seed, device),
        tqdm(
            total=None if source.num_rows is None else num_samples * source.num_rows,
            desc="drawing",
            unit="output",
            unit_scale=True,
            disable=not progress,
        ) as bar,
    ):
        if isinstance(model, Posterior):
            outputs_at = functools.partial(_outputs_of_networks, model)
        else:
            outputs_at = functools.partial(_outputs_of_layers, model, *split_at_first_draw(model))
        first = to_device(source.first()[0])
        try:
            num_rows = _rows_at_once(model, first, memory_limit)
        except RuntimeError as error:
            kinds = {tensor.dtype for tensor in tensors_of(first)}
            if parameter is None or kinds == {parameter.dtype}:
                raise
            raise ValueError(
                f"{source.name}: the model, whose parameters are {parameter.dtype}, can't take "
                f"inputs of {', '.join(map(str, kinds))}: {error}"
            ) from error
        weight_seed = int(torch.randint(2**62, ()))
        for portion, target in source.portions(num_rows):
            if target is not None:
                targets.append(target.to(device))
            for start in range(0, count_rows(portion), num_rows):
                rows = to_device(rows_of(portion, start, start + num_rows))
                count = count_rows(rows)
                with contextlib.closing(outputs_at(rows, num_samples, weight_seed)) as outputs:
                    for draw, output in outputs:
                        output = output if transform is None else transform(output)
                        if output.shape[:1] != (count,):
                            raise ValueError(
                                f"the output for {count} rows of x has shape "
                                f"{tuple(output.shape)}: expected as many rows"
                            )
                        if not blocks or filled == blocks[-1].shape[1]:
                            # One block for all draws, and for all data where their number is known:
                            # many small tensors, kept between the large ones that a pass frees,
                            # would hinder their reuse.
                            size = source.num_rows or count
                            blocks.append(output.new_empty(num_samples, size, *output.shape[1:]))
                            filled = 0
                        blocks[-1][draw, filled : filled + count] = output
                        bar.update(count)
                filled += count
    samples = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)
    return samples, torch.cat(targets) if targets else None
