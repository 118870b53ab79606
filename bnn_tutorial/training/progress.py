"""What training shows of itself while it goes on: a progress bar and, when asked, TensorBoard.

See the API reference of :func:`bnn_tutorial.fit`.
"""

import os

from tqdm.auto import tqdm

from bnn_tutorial.training.history import History


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
