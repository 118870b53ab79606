"""The folder that ``train`` writes and the other commands read: a record and the model.

Explained on the page "Run it, cite it". ``record.json`` holds settings, versions, machine, history
and results; ``model.safetensors`` the model and its likelihood, numbers only.
"""

import argparse
import json
import math
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
import torchvision
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial
from bnn_tutorial.checkpoints import load_model
from bnn_tutorial.command_line import values
from bnn_tutorial.command_line.experiment import Experiment

RECORD = "record.json"
MODEL = "model.safetensors"
CHECKPOINT = "checkpoint.pt"
PACKAGES = (bnn_tutorial, numpy, torch, torchvision)


class NonFiniteScoreError(ArithmeticError):
    """A score of a trained model is infinite or NaN."""


def describe_machine(device: torch.device) -> dict[str, object]:
    """Return what the speed and the last digits of a result depend on."""
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in PACKAGES},
        },
    }


def write_json(content: dict, path: Path) -> None:
    """Write ``content`` to ``path``, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        draft.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        draft.replace(path)


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


@dataclass(frozen=True)
class Trained:
    """A trained network, its likelihood, the test data, and how they are to be studied."""

    experiment: Experiment
    model: nn.Module
    likelihood: nn.Module
    data: TensorDataset
    device: torch.device
    seed: int


def load_trained(arguments: argparse.Namespace) -> Trained:
    """Return what ``train`` left in the folder that ``arguments`` names, on the device it names.

    Raises:
        FileNotFoundError: there is no record, or training did not finish.
        ValueError: a file is damaged.
    """
    folder, device, seed = arguments.folder, arguments.device, arguments.seed
    record = read_json(folder / RECORD)
    try:
        experiment = Experiment(**record["experiment"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{str(folder / RECORD)!r} is damaged: {error}") from error
    if not (folder / MODEL).is_file():
        raise FileNotFoundError(
            f"{str(folder / MODEL)!r} is missing: expected a training that has finished"
        )
    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = experiment.dataset(train=False)
    modules = load_model(experiment.build(data), folder / MODEL).to(device)
    return Trained(
        experiment,
        modules["model"],
        modules["likelihood"],
        data,
        device,
        experiment.seed if seed is None else seed,
    )


def add_reader_arguments(
    parser: argparse.ArgumentParser, results: str, *, fewest_samples: int = 1
) -> None:
    """Add the arguments of a command that reads a folder and writes its ``results`` there."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what train wrote")
    parser.add_argument(
        "--num-samples",
        type=values.integer(fewest_samples),
        default=30,
        metavar="S",
        help="posterior draws (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=values.integer(0), help="of those draws (default: that of the training)"
    )
    parser.add_argument(
        "--device",
        type=values.device,
        help="such as cpu, cuda or mps (default: cuda where there is one, else cpu)",
    )
    parser.add_argument(
        "--output",
        type=values.new_file,
        metavar="PATH",
        help=f"of the results (default: FOLDER/{results})",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def require_finite(scores: dict[str, float]) -> dict[str, float]:
    """Return ``scores`` if all are finite.

    Raises:
        NonFiniteScoreError: one is not.
    """
    for name, value in scores.items():
        if not math.isfinite(value):
            raise NonFiniteScoreError(f"{name}={value}: the model's output is not finite")
    return scores


def print_table(title: str, scores: dict[str, float]) -> None:
    """Print names and numbers below a title, one a line."""
    print(title)
    width = max(len(name) for name in scores)
    for name, value in scores.items():
        print(f"  {name:<{width}}  {value:.5g}")
