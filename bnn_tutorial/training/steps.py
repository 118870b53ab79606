"""The optimizer's steps of an epoch: the gradient of the loss, what limits it, and the way back.

See the API reference; the chapter "The ELBO" explains what is minimized.
"""

import contextlib
import functools
import inspect
import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from bnn_tutorial.batches import Inputs, map_tensors
from bnn_tutorial.training.processes import Processes


class NonFiniteLossError(RuntimeError):
    """The loss, or after a step a parameter or an output, became infinite or NaN.

    ``step`` and ``epoch`` (from 1) say when, ``nll`` and ``kl`` what the loss was made of, in nats.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x, likelihood = torch.zeros(5, 1), bt.GaussianLikelihood(1.0)
        >>> data = torch.utils.data.TensorDataset(x, x + 2.0)
        >>> settings = {"epochs": 3, "learning_rate": 1e30, "progress": False}
        >>> try:
        ...     bt.fit(torch.nn.Linear(1, 1), data, likelihood, **settings)
        ... except bt.NonFiniteLossError as error:
        ...     print(error.step, error.epoch, error.nll)
        2 2 nan
    """

    def __init__(self, step: int, epoch: int, nll: float, kl: float, what: str = "the loss is"):
        super().__init__(
            f"{what} not finite at step {step} (epoch {epoch}): nll={nll:.4g}, kl={kl:.4g}. "
            "Training stopped; the model was put back to its last good state"
        )
        self.step = step
        self.epoch = epoch
        self.nll = nll
        self.kl = kl


def demands_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether ``optimizer`` computes the loss itself, as LBFGS does."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


@dataclass
class Steps:
    """How many steps a run has taken; a checkpoint keeps it."""

    count: int = 0

    def state_dict(self) -> dict[str, int]:
        """Return the number."""
        return {"count": self.count}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue from a number."""
        self.count = state_dict["count"]


class Batch(NamedTuple):
    """This process's part of a batch."""

    inputs: Inputs
    target: Tensor
    share: float  # the weight of its mean, see Processes.part
    size: int  # of the whole batch, over all processes


@contextlib.contextmanager
def training_mode(model: nn.Module) -> Iterator[None]:
    """Put ``model`` in train() unless it is there, and give back every submodule's own mode.

    A submodule in eval() inside a model in train(), such as a batch normalization with statistics
    that are to stay, is so on purpose.
    """
    modes = {module: module.training for module in model.modules()}
    if not model.training:
        model.train()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


class Optimization:
    """Steps of an optimizer on an objective, an epoch at a time.

    Args:
        objective: maps (x, y, kl_weight, nll_weight) to loss, NLL and KL, such as
            :class:`NegativeElbo`.
        optimizer: over its parameters. One that brings a context ``sampled_parameters()``, such as
            :class:`IVON`, has each gradient computed inside it.
        processes: among which each batch is split and each gradient averaged.
        scheduler: of the optimizer's learning rate, advanced after every step.
        clip_norm: the largest norm of a gradient; None leaves it free.
        loss_scaling: multiply the loss before the gradient is taken and divide it out afterwards,
            so that small gradients survive in float16; steps that overflow are left out.

    Raises:
        TypeError: ``scheduler`` is no LRScheduler, or one that waits for a metric.
        ValueError: ``scheduler`` is of another optimizer, ``clip_norm`` is not above 0, or
            ``optimizer`` holds other parameters only, or samples them in several processes, or
            demands a closure beside several processes or clipping.
    """

    def __init__(
        self,
        objective: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        processes: Processes,
        scheduler: LRScheduler | None = None,
        clip_norm: float | None = None,
        loss_scaling: bool = False,
    ):
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"clip_norm={clip_norm}: expected a number above 0, or None")
        if scheduler is not None:
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                raise TypeError(
                    f"scheduler={scheduler!r}: expected a torch.optim.lr_scheduler that needs no "
                    "metric, since it advances after every step"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError("scheduler is of another optimizer: expected your optimizer's own")
        theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if theirs.isdisjoint(map(id, objective.parameters())):
            raise ValueError("optimizer holds none of the model's parameters: expected some")
        self._takes_closure = demands_closure(optimizer)
        if self._takes_closure and (clip_norm is not None or processes.count > 1):
            raise ValueError(
                f"optimizer={type(optimizer).__name__} computes the loss itself, several times a "
                "step: expected one process and clip_norm=None"
            )
        sampled_parameters = getattr(optimizer, "sampled_parameters", None)
        if sampled_parameters is not None and processes.count > 1:
            raise ValueError(
                f"optimizer={type(optimizer).__name__} in {processes.count} processes, whose draws "
                "would differ: expected one process"
            )
        self._sampled_parameters = sampled_parameters or contextlib.nullcontext
        self.objective = objective
        self.optimizer = optimizer
        self.processes = processes
        self.scheduler = scheduler
        self.clip_norm = clip_norm
        device = next(objective.parameters()).device
        self.device = device
        self.steps = Steps()
        self.parallel = processes.parallel(objective, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=loss_scaling)
        self._parameters = list(objective.parameters())
        self._state = [tensor.detach() for tensor in (*self._parameters, *objective.buffers())]
        self._good_state: list[Tensor] = []
        self._last: tuple[int, int, float, float] = 0, 0, math.nan, math.nan

    def epoch(
        self,
        epoch: int,
        batches: Iterable[Batch],
        kl_weights: Iterable[float],
    ) -> dict[str, float]:
        """Take one step a batch and return the epoch's record (see :class:`History`).

        Args:
            epoch: its number, from 1.
            batches: of each this process's part; as many in all processes.
            kl_weights: the KL's weight in each batch.

        Raises:
            NonFiniteLossError: the objective's parameters and buffers are then as they were at the
                start of the last epoch that began with a finite loss.
        """
        names = ("loss", "nll", "kl", "kl_weight")
        record = {"epoch": epoch, **dict.fromkeys(names, 0.0)}
        record["learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        gradient_norms = []
        # Not before the first epoch: a checkpoint may have been loaded until then.
        self._good_state = self._good_state or [tensor.clone() for tensor in self._state]
        count = 0
        for batch, kl_weight in zip(batches, kl_weights, strict=False):
            x = map_tensors(lambda tensor: tensor.to(self.device), batch.inputs)
            y = batch.target.to(self.device)
            loss, nll, kl = self._gradient(x, y, kl_weight, batch.share)
            # Moved to the CPU together, and while a GPU is still busy with the gradient.
            values = self.processes.mean(torch.stack([loss, nll, kl]).detach()).tolist()
            self.steps.count += 1
            self._last = (self.steps.count, epoch, values[1], values[2])
            if not math.isfinite(values[0]):
                self._stop("the loss is")
            if count == 0:
                for kept, tensor in zip(self._good_state, self._state, strict=True):
                    kept.copy_(tensor)
            if self.clip_norm is not None:
                self.scaler.unscale_(self.optimizer)
                norm = nn.utils.clip_grad_norm_(self._parameters, self.clip_norm).item()
                if math.isfinite(norm):  # else loss scaling leaves this step out
                    gradient_norms.append(norm)
            if self._takes_closure:
                again = functools.partial(self._gradient, x, y, kl_weight, batch.share)
                self.optimizer.step(lambda again=again: again()[0].item())
            else:
                self.scaler.step(self.optimizer)
                self.scaler.update()
            if self.scheduler is not None:
                self.scheduler.step()
            for name, value in zip(names, (*values, kl_weight), strict=True):
                record[name] += value * batch.size
            count += batch.size
        if count == 0:
            raise ValueError(f"data gave no batch in epoch {epoch}: expected at least one")
        record |= {name: record[name] / count for name in names}
        if gradient_norms:
            record["gradient_norm"] = statistics.fmean(gradient_norms)
        self.processes.share_buffers(self.objective)
        return record

    def _gradient(
        self, x: Inputs, y: Tensor, kl_weight: float, share: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the gradient of a batch; return loss, NLL and KL."""
        self.optimizer.zero_grad()
        with self._sampled_parameters():
            loss, nll, kl = self.parallel(x, y, kl_weight, share)
            self.scaler.scale(loss).backward()
        return loss, nll, kl

    def check_parameters(self) -> None:
        """Stop if the last step made a parameter infinite or NaN, which its loss cannot show.

        Raises:
            NonFiniteLossError: as in :meth:`epoch`.
        """
        if not all(torch.isfinite(parameter).all() for parameter in self._parameters):
            self._stop("the parameters are")

    def check_outputs(self, samples: Tensor) -> None:
        """Stop if the network's outputs on held-out data are infinite or NaN.

        Raises:
            NonFiniteLossError: as in :meth:`epoch`.
        """
        if not torch.isfinite(samples).all():
            self._stop("the outputs on the validation data are")

    def _stop(self, what: str) -> NoReturn:
        for kept, tensor in zip(self._good_state, self._state, strict=True):
            tensor.copy_(kept)
        raise NonFiniteLossError(*self._last, what)
