"""What training measured, kept in memory.

Explained in the chapter "Polynomial regression with 3-sigma bands".
"""

from dataclasses import dataclass, field


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
