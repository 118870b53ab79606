"""A trained network as the commands study it, and what they write about it.

Explained on the page "Run it, cite it".
"""

import argparse
import importlib.metadata
import math
import platform
from dataclasses import dataclass

import numpy
import torch
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial
from bnn_tutorial.command_line.building import build, make_classes, make_dataset, open_device
from bnn_tutorial.command_line.experiment import Experiment
from bnn_tutorial.command_line.read_experiment import read_experiment
from bnn_tutorial.command_line.run_folder import MODEL, require_classes
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.model_files import load_model


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
            **{module.__name__: module.__version__ for module in (bnn_tutorial, numpy, torch)},
            "torchvision": importlib.metadata.version("torchvision"),
        },
    }


@dataclass(frozen=True)
class Trained:
    """A trained network, its likelihood, the test data, and how they are to be studied."""

    experiment: Experiment
    model: nn.Module
    likelihood: Likelihood
    data: TensorDataset
    device: torch.device
    seed: int


def load_trained(arguments: argparse.Namespace) -> Trained:
    """Return what ``train`` left in the folder that ``arguments`` names, on the device it names.

    Raises:
        FileNotFoundError: there is no record, or training did not finish.
        ValueError: a file is damaged, or the device can't be used.
    """
    experiment, device = read_experiment(arguments.folder), open_device(arguments.device)
    require_classes(arguments.folder, make_classes(experiment))
    data = make_dataset(experiment, train=False, progress=not arguments.quiet)
    modules = load_model(build(experiment), arguments.folder / MODEL).to(device)
    return Trained(
        experiment,
        modules.model,
        modules.likelihood,
        data,
        device,
        experiment.seed if arguments.seed is None else arguments.seed,
    )


def require_finite(scores: dict[str, float]) -> dict[str, float]:
    """Return ``scores`` if all are finite.

    Raises:
        NonFiniteScoreError: one is not.
    """
    for name, value in scores.items():
        if not math.isfinite(value):
            raise NonFiniteScoreError(f"{name}={value}: the model's output is not finite")
    return scores


def averaged(experiment: Experiment, num_samples: int) -> str:
    """Return, in words, what a score averages."""
    return "one pass" if experiment.bayesian == "none" else f"{num_samples} draws"


def print_table(title: str, scores: dict[str, float]) -> None:
    """Print names and numbers below a title, one a line."""
    # A path may hold bytes that are no text here.
    print(title.encode(errors="backslashreplace").decode())
    width = max(len(name) for name in scores)
    for name, value in scores.items():
        print(f"  {name:<{width}}  {value:.5g}")
