"""Reading the values of command-line arguments, and saying what was expected.

Explained on the page "Run it, cite it". Each function is an argparse ``type``.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch.distributions import Distribution, Laplace, Normal

from bnn_tutorial.kl_weighting import BlundellWeights, KLSchedule, KLWarmup
from bnn_tutorial.priors import scale_mixture

PRIORS = {
    "normal": (Normal, "MEAN,STD"),
    "laplace": (Laplace, "MEAN,SCALE"),
    "mixture": (scale_mixture, "SHARE,STD,NARROW_STD"),
}
PRIOR_FORMS = " or ".join(f"{name}:{form}" for name, (_, form) in PRIORS.items())
KL_SCHEDULE_FORMS = "constant or warm-up:EPOCHS or blundell"


def integer(minimum: int) -> Callable[[str], int]:
    """Return a type that reads a whole number, ``minimum`` or more."""

    def read(text: str) -> int:
        if text.isdecimal() and int(text) >= minimum:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, {minimum} or more")

    return read


def number(minimum: float = 0.0, *, above: bool = False) -> Callable[[str], float]:
    """Return a type that reads a finite number, ``minimum`` or more, or only ``above`` it."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and (value > minimum if above else value >= minimum)):
            bound = f"above {minimum:g}" if above else f"{minimum:g} or more"
            raise argparse.ArgumentTypeError(f"{text!r}: expected a finite number, {bound}")
        return value

    return read


def parse_prior(text: str) -> Distribution:
    """Return the distribution that ``text`` names, such as ``"normal:0,0.1"``.

    Raises:
        ValueError: the name, the number of parameters or one of them is wrong.
    """
    name, _, parameters = text.partition(":")
    try:
        return PRIORS[name][0](*(float(parameter) for parameter in parameters.split(",")))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{text!r}: expected {PRIOR_FORMS}, within their ranges") from error


def prior(text: str) -> str:
    """Read a prior and keep it as text, for the record."""
    try:
        parse_prior(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def parse_kl_schedule(text: str, weight: float) -> float | KLSchedule:
    """Return the KL weights that ``text`` names, up to ``weight``.

    Raises:
        ValueError: it names none.
    """
    name, _, epochs = text.partition(":")
    try:
        if name == "warm-up":
            return KLWarmup(float(epochs), weight)
        return {"constant": weight, "blundell": BlundellWeights(weight)}[text]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{text!r}: expected {KL_SCHEDULE_FORMS}") from error


def kl_schedule(text: str) -> str:
    """Read a schedule of the KL weight and keep it as text, for the record."""
    try:
        parse_kl_schedule(text, 1.0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def device(text: str) -> torch.device:
    """Read a device and try it."""
    try:
        return torch.empty(0, device=text).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise argparse.ArgumentTypeError(
            f"{text!r} can't be used here: {reason}; expected a device such as cpu or cuda"
        ) from error


def new_file(text: str) -> Path:
    """Read the path of a file to write, whose folder exists."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: the folder {str(path.parent)!r} is missing")
    return path


def new_figure(text: str) -> Path:
    """Read the path of a figure to write, whose ending names a format that can be written."""
    path = new_file(text)
    formats = plt.figure().canvas.get_supported_filetypes()
    plt.close()
    if path.suffix.removeprefix(".") not in formats:
        raise argparse.ArgumentTypeError(f"{text!r}: expected an ending of {', '.join(formats)}")
    return path
