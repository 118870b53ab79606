"""The folder that ``train`` writes and the other commands read: a record and the model.

Explained on the page "Run it, cite it". ``record.json`` holds settings, versions, machine, history
and results; ``model.safetensors`` the model and its likelihood, numbers only. Nothing here imports
PyTorch.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bnn_tutorial.atomic_write import atomic_write
from bnn_tutorial.command_line.experiment import Experiment

RECORD = "record.json"
MODEL = "model.safetensors"
CHECKPOINT = "checkpoint.pt"
# The settings of a training, beside those of the experiment.
TRAINING = (
    "augment",
    "epochs",
    "batch_size",
    "learning_rate",
    "kl_weight",
    "kl_schedule",
    "num_draws",
    "exact",
    "clip_norm",
    "mixed_precision",
    "num_samples",
)


def run_record(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a training, as its record begins."""
    return {
        "experiment": asdict(Experiment.of(arguments)),
        "training": {name: getattr(arguments, name) for name in TRAINING},
    }


def write_json(content: dict, path: Path) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict:
    """Return what :func:`write_json` wrote to ``path``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r} is missing: expected a folder that train wrote")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}") from error
    return content


def check_folder(folder: Path, record: dict, resume: bool) -> None:
    """Raise an error where ``folder`` holds a run that this one would overwrite or can't continue.

    Raises:
        FileExistsError: it holds one, and it is not to be resumed, or has no checkpoint.
        ValueError: the run to resume had other settings.
    """
    if not resume:
        for file in (folder / MODEL, folder / CHECKPOINT):
            if file.exists():
                remedy = ", or --resume" if (folder / CHECKPOINT).exists() else ""
                raise FileExistsError(
                    f"--output {folder}: {file.name} of another run is there; expected another "
                    f"folder{remedy}"
                )
    elif (folder / RECORD).exists():
        saved = read_json(folder / RECORD)
        for part in ("experiment", "training"):
            for name, value in record[part].items():
                before = saved.get(part, {}).get(name)
                if before != value and name not in ("epochs", "num_samples", "num_test"):
                    raise ValueError(
                        f"--resume with {_as_typed(name, value)}: the run in {str(folder)!r} has "
                        f"{_as_typed(name, before)}; expected the same"
                    )
    if resume and (folder / MODEL).exists() and not (folder / CHECKPOINT).exists():
        raise FileExistsError(
            f"--resume: the run in {str(folder)!r} has ended and left no checkpoint; expected "
            "another folder, or a run with --checkpoint-every"
        )


def require_classes(folder: Path, classes: list[str] | None) -> None:
    """Check that a folder of images has the classes that the run in ``folder`` learnt.

    Raises:
        FileNotFoundError: there is no record of it.
        ValueError: they are others, or the record is damaged.
    """
    learnt = read_json(folder / RECORD).get("classes")
    if classes != learnt:
        raise ValueError(f"--images has the classes {classes}: expected those learnt, {learnt}")


def _as_typed(name: str, value: object) -> str:
    """Return a setting as the command line has it."""
    option = "--" + name.replace("_", "-")
    if value in (None, False):
        return f"no {option}"
    return option if value is True else f"{option} {value}"
