"""Saving a training run as it goes on, to a file from which no code is ever executed.

Explained on the page "Run it, cite it". A run is a file of :func:`torch.save`, read with
``weights_only=True``, so that a stranger's file is safe. ``model_files.py`` saves a model alone.
"""

import copy
import io
import os
import pickle
import re
import shutil
import warnings
import zipfile
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.optim.lr_scheduler import LRScheduler

from bnn_tutorial.atomic_write import atomic_write, require_place
from bnn_tutorial.randomness import generator_states, set_generator_states
from bnn_tutorial.training.processes import Processes

CONTENTS = {"settings", "records", "generators", "parts"}


def _describe(setting) -> str:
    """Return what tells a setting from another one, and is the same in another process."""
    if isinstance(setting, torch.optim.Optimizer | LRScheduler):
        if parts := getattr(setting, "_schedulers", None):
            return f"{type(setting).__name__} of {[*map(_describe, parts)]}"
        hyperparameters = getattr(setting, "defaults", None) or setting.state_dict()
        # A scheduler's counters, which change in training, are the names with an underscore and
        # last_epoch; objects are left out, since their names can hold an address.
        plain = {
            name: value
            for name, value in hyperparameters.items()
            if isinstance(value, int | float | str | tuple)
            and not name.startswith("_")
            and name != "last_epoch"
        }
        return f"{type(setting).__name__} {plain}"
    # Without the address in the repr of an object, which is another one in the next process.
    return getattr(setting, "__qualname__", None) or re.sub(" at 0x[0-9a-f]+", "", repr(setting))


def _without_length(schedule: str | None) -> str:
    """Return a schedule's description but for how many steps it takes."""
    return re.sub(r"'(T_max|total_steps|total_iters)': [^,}]+", "", str(schedule))


def _run_on(scheduler: LRScheduler, steps: int, groups: list[dict]) -> None:
    """Bring ``scheduler`` to where it would be had it been there from the first step on.

    Args:
        scheduler: as it was made.
        steps: how many it has to take.
        groups: the hyperparameters of its optimizer as they were when it was made.
    """
    for group, fresh in zip(scheduler.optimizer.param_groups, groups, strict=True):
        group |= {name: value for name, value in fresh.items() if name != "params"}
    with warnings.catch_warnings():
        # That the optimizer has not stepped yet: it did, before the checkpoint.
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(steps):
            scheduler.step()


class Stateful(Protocol):
    """What training changes: a module, an optimizer, a scheduler, a scaler."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Continue from ``state_dict``."""
        ...


class OwnGenerator:
    """A random generator that is a part of a run."""

    def __init__(self, generator: torch.Generator):
        self.generator = generator

    def state_dict(self) -> dict[str, Any]:
        """Return the state as it is now."""
        return {"state": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Continue from ``state_dict``."""
        self.generator.set_state(state_dict["state"])


class TrainingCheckpoint:
    """A training run in a file: from it :func:`fit` continues as if it had never stopped.

    The file holds the settings, the records so far, the state of every part, and every process's
    random generators. It is complete at any moment, and the checkpoint before it stays beside it,
    as ``path`` with ``.previous`` after its name: renamed to ``path``, it can be continued from.

    Args:
        path: the file.
        parts: what has a ``state_dict`` that changes in training, by name; None is left out.
        settings: what must be the same when the run continues, by name: numbers, functions,
            modules, the optimizer.
        processes: process 0 writes, all read.
        device: whose random generator is used, beside the CPU's.

    Raises:
        OSError: ``path`` is a folder, or its own folder does not exist.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        parts: Mapping[str, Stateful | None],
        settings: dict[str, object],
        processes: Processes,
        device: torch.device,
    ):
        self.path = Path(path)
        self.parts = {name: part for name, part in parts.items() if part is not None}
        self.settings = {name: _describe(value) for name, value in settings.items()}
        self.settings["processes"] = str(processes.count)
        self.processes = processes
        self.device = device
        require_place(self.path)

    @property
    def previous(self) -> Path:
        """Where the checkpoint before the last one is."""
        return self.path.with_name(self.path.name + ".previous")

    def save(self, records: list[dict[str, float]]) -> None:
        """Write the run as it stands after ``len(records)`` epochs."""
        generators = self.processes.gather(generator_states(self.device))
        if self.processes.rank > 0:
            return
        state = {
            "settings": self.settings,
            "records": records,
            "generators": generators,
            "parts": {name: part.state_dict() for name, part in self.parts.items()},
        }
        with atomic_write(self.path) as draft:
            torch.save(state, draft)
            if self.path.exists():
                with atomic_write(self.previous) as copy:
                    shutil.copyfile(self.path, copy)

    def start(self, resume: bool, epochs: int) -> list[dict[str, float]]:
        """Put parts and random generators in the state that was saved; return the records.

        Args:
            resume: whether to; where there is no file the run is new and has no records.
            epochs: the number of epochs at the end, as many as were saved or more.

        Raises:
            FileExistsError: there is a file, and ``resume`` is False.
            ValueError: the file is damaged or no checkpoint, the settings differ, or it already
                holds more ``epochs``.
        """
        if not self.path.exists():
            return []
        if not resume:
            raise FileExistsError(
                f"checkpoint={str(self.path)!r} exists: expected resume=True to continue from it, "
                "or another path"
            )
        state = self._read()
        if len(state["records"]) > epochs:
            raise ValueError(
                f"epochs={epochs}: checkpoint={str(self.path)!r} already holds "
                f"{len(state['records'])}, expected as many or more"
            )
        scheduler = self.parts.get("scheduler")
        rescheduled = state["settings"].get("scheduler") != self.settings["scheduler"]
        for name in {**self.settings, **state["settings"]}:
            saved, given = state["settings"].get(name), self.settings.get(name)
            if name == "scheduler" and _without_length(saved) == _without_length(given):
                continue
            if saved != given:
                lines = zip_longest(*(str(value).splitlines() for value in (saved, given)))
                saved, given = next(pair for pair in lines if pair[0] != pair[1])
                raise ValueError(
                    f"checkpoint={str(self.path)!r} was written with {name}={saved}, not {given}: "
                    "expected the same settings, or another path"
                )
        before = {name: copy.deepcopy(part.state_dict()) for name, part in self.parts.items()}
        groups = before["optimizer"]["param_groups"]
        try:
            for name, part in self.parts.items():
                if not (rescheduled and name == "scheduler"):
                    part.load_state_dict(state["parts"][name])
            if rescheduled and isinstance(scheduler, LRScheduler):
                _run_on(scheduler, state["parts"]["scheduler"]["last_epoch"], groups)
        except (KeyError, RuntimeError, ValueError) as error:
            for name, part in self.parts.items():
                part.load_state_dict(before[name])
            raise ValueError(f"checkpoint={str(self.path)!r} is of another run: {error}") from error
        set_generator_states(state["generators"][self.processes.rank], self.device)
        return state["records"]

    def _read(self) -> dict:
        content = io.BytesIO(self.path.read_bytes())
        try:
            # torch.load compares no checksums: a flipped bit would come back as another weight.
            with zipfile.ZipFile(content) as archive:
                if (damaged := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"{damaged} is not what was written")
            content.seek(0)
            state = torch.load(content, map_location="cpu", weights_only=True)
            if not (isinstance(state, dict) and state.keys() == CONTENTS):
                raise ValueError("it holds something else")
        except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, ValueError) as error:
            advice = f"; rename {self.previous.name} to continue from the one before it"
            raise ValueError(
                f"checkpoint={str(self.path)!r} is damaged or no checkpoint: {error}"
                + (advice if self.previous.exists() else "")
            ) from error
        return state
