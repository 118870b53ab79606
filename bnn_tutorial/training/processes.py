"""Training in several processes, one a GPU or a core, with PyTorch's DistributedDataParallel.

See the API reference. Each process draws its own weights and takes its own part of every batch;
their gradients are averaged, so that all hold the same parameters at every step.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def _started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


class ProcessLostError(RuntimeError):
    """Another process of a training ended, or can't be reached.

    Example:
        >>> import bnn_tutorial as bt
        >>> try:
        ...     with bt.process_group() as device:
        ...         pass  # a training
        ... except bt.ProcessLostError as error:
        ...     print(f"{error}: start all of them again")
    """


@contextlib.contextmanager
def process_group() -> Iterator[torch.device]:
    """Join the processes that ``torchrun`` started and give this one its device.

    A context manager around a whole program: ``with bt.process_group() as device: ...``. Each
    process has a GPU of its own where there are GPUs, else all share the CPU. Without torchrun
    there is one process and nothing to join.

    Raises:
        RuntimeError: torchrun started more processes on this machine than it has GPUs.
        ProcessLostError: inside the block, another process ended or can't be reached. Started
            again, a training with a checkpoint resumes.

    Example:
        >>> import bnn_tutorial as bt
        >>> with bt.process_group() as device:
        ...     layer = bt.BayesianLinear(3, 2, device=device)
        >>> layer.weight_mean.device == device
        True
    """
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        if local_rank >= torch.cuda.device_count():
            raise RuntimeError(
                f"process {local_rank} has no GPU: expected at most {torch.cuda.device_count()} "
                "processes on this machine (torchrun --nproc-per-node)"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    if not _started_by_torchrun():
        yield device
        return
    dist.init_process_group("gloo" if device.type == "cpu" else "nccl")
    try:
        yield device
    except RuntimeError as error:
        # Where several processes meet, gloo raises no class of its own.
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise ProcessLostError(
                f"another of the {dist.get_world_size()} processes ended, or can't be reached: "
                "expected all of them until the end. Started again with resume, the training goes "
                f"on from its checkpoint, if it had one ({str(error).splitlines()[0]})"
            ) from error
        raise
    finally:
        dist.destroy_process_group()


@dataclass(frozen=True)
class Processes:
    """The processes that train together: this one is number ``rank``, from 0, of ``count``.

    With one process every method is the identity.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> "Processes":
        """Return the processes that joined, or the one that runs alone.

        Raises:
            RuntimeError: torchrun started several processes and they did not join.
        """
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        if _started_by_torchrun() and int(os.environ["WORLD_SIZE"]) > 1:
            raise RuntimeError(
                "torchrun started several processes that would each train alone: expected the "
                "program inside `with bnn_tutorial.process_group() as device:`"
            )
        return cls()

    def seed(self, seed: int | None) -> int | None:
        """Return this process's own seed: ``seed`` itself in process 0, drawn from it elsewhere.

        Raises:
            ValueError: ``seed`` is None, with which the processes may draw the same weights.
        """
        if self.count > 1 and seed is None:
            raise ValueError(f"seed=None in {self.count} processes: expected a number")
        if self.rank == 0 or seed is None:
            return seed
        generator = torch.Generator().manual_seed(seed)
        return int(torch.randint(2**62, (self.rank,), generator=generator)[-1])

    def parallel(self, objective: nn.Module, device: torch.device) -> nn.Module:
        """Return ``objective`` with its gradients averaged over the processes."""
        if self.count == 1:
            return objective
        return DistributedDataParallel(
            objective, device_ids=None if device.type == "cpu" else [device]
        )

    def part(self, rows: Tensor) -> tuple[Tensor, float]:
        r"""Return this process's rows of a batch and the weight of their mean.

        Of B rows, process r of R takes :math:`B_r`, and none twice. The weight
        :math:`R B_r / B` makes the average of the processes' means the mean of the batch; it is 0,
        with a row to compute on, where there are fewer rows than processes.
        """
        if self.count == 1:
            return rows, 1.0
        mine = rows[self.rank :: self.count]
        return (mine if len(mine) else rows[:1]), self.count * len(mine) / len(rows)

    def mean(self, values: Tensor) -> Tensor:
        """Return the average of ``values`` over the processes."""
        if self.count > 1:
            dist.all_reduce(values)
            values = values / self.count
        return values

    def share(self, value):
        """Return process 0's ``value``, any object, in every process."""
        if self.count > 1:
            box = [value]
            dist.broadcast_object_list(box)
            value = box[0]
        return value

    def share_buffers(self, module: nn.Module) -> None:
        """Copy process 0's buffers, such as the averages of batch normalization, to all."""
        if self.count > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)

    def gather(self, value) -> list:
        """Return the ``value`` of every process, in the order of their ranks."""
        values = [value]
        if self.count > 1:
            values = [None] * self.count
            dist.all_gather_object(values, value)
        return values
