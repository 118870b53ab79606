"""What training measured, kept in memory and shown while it goes on.

Explained in the chapter "Polynomial regression with 3-sigma bands".
"""

import os
from dataclasses import dataclass, field

from tqdm.auto import tqdm


@dataclass
class History:
    """What :func:`fit` measured: one record an epoch, a dict of names and numbers.

    Each of the ``records`` has ``epoch``; ``loss``, ``nll``, ``kl`` and ``kl_weight``, averages
    over the epoch in which a batch counts by its number of data (nats); the ``learning_rate`` that
    the epoch began with; and ``seconds`` of training so far. With gradient clipping there is
    ``gradient_norm``, the average before clipping; those of a validated epoch also have
    ``validation_`` and the names that :func:`evaluate` returns. ``history["nll"]`` is the list of
    one quantity, over the epochs that have it, and ``len(history)`` the number of epochs.

    Example:
        >>> import bnn_tutorial as bt
        >>> records = [{"epoch": 1, "nll": 2.0}, {"epoch": 2, "nll": 1.5, "kl": 9.0}]
        >>> history = bt.History(records)
        >>> history["nll"], history.epochs("kl")
        ([2.0, 1.5], [2])
    """

    records: list[dict[str, float]] = field(default_factory=list)

    def __getitem__(self, name: str) -> list[float]:
        """Return the values called ``name``, of the epochs that have it.

        Raises:
            KeyError: no epoch recorded it.
        """
        values = [record[name] for record in self.records if name in record]
        if not values:
            known = sorted({key for record in self.records for key in record})
            raise KeyError(f"{name!r} was not recorded: expected one of {', '.join(known)}")
        return values

    def epochs(self, name: str) -> list[float]:
        """Return the epochs, from 1, to which the values of ``history[name]`` belong."""
        return [record["epoch"] for record in self.records if name in record]

    def __len__(self) -> int:
        return len(self.records)


class Recorder:
    """Adds an epoch's record to a history, to the progress bar and, when asked, to TensorBoard.

    Args:
        history: grows by one record an epoch; the records it already has are shown as done.
        epochs: the number of epochs at the end.
        progress: show a progress bar.
        tensorboard: a folder for TensorBoard's files; None writes none.

    Raises:
        ImportError: ``tensorboard`` is a folder and the package is not installed.
    """

    def __init__(
        self,
        history: History,
        *,
        epochs: int,
        progress: bool,
        tensorboard: str | os.PathLike | None = None,
    ):
        self.history = history
        self.writer = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    f"tensorboard={str(tensorboard)!r}: expected the package tensorboard to be "
                    "installed: pip install 'bnn-tutorial[tensorboard]'"
                ) from error
            # What a killed run wrote after its last checkpoint is written again.
            self.writer = SummaryWriter(tensorboard, purge_step=len(history) + 1)
        self.bar = tqdm(total=epochs, initial=len(history), unit="epoch", disable=not progress)

    def add(self, record: dict[str, float]) -> None:
        """Add the ``record`` of the next epoch."""
        self.history.records.append(record)
        self.bar.set_postfix({"loss": f"{record['loss']:.4g}"}, refresh=False)
        self.bar.update()
        if self.writer is not None:
            for name, value in record.items():
                self.writer.add_scalar(name, value, record["epoch"])

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()
        if self.writer is not None:
            self.writer.close()
