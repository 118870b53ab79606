"""Reading the values of command-line arguments, and saying what was expected.

Explained on the page "Run it, cite it". Each function is an argparse ``type``, or makes one.
Nothing here imports PyTorch.
"""

import argparse
import ctypes
import math
import os
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from bnn_tutorial.argument_checks import require_positive

# The parameters of each prior, and whether single precision can hold them within their ranges.
PRIORS: dict[str, tuple[str, Callable[..., bool]]] = {
    "normal": ("MEAN,STD", lambda mean, std: std > 0),
    "laplace": ("MEAN,SCALE", lambda mean, scale: scale > 0),
    "mixture": (
        "SHARE,STD,NARROW_STD",
        lambda share, std, narrow_std: 0 < share < 1 and std > 0 and narrow_std > 0,
    ),
}
PRIOR_FORMS = " or ".join(f"{name}:{form}" for name, (form, _) in PRIORS.items())
KL_SCHEDULE_FORMS = "constant or warm-up:EPOCHS or blundell"
LARGEST = 2**63 - 1  # of the whole numbers that PyTorch takes
# matplotlib writes others too; these it writes everywhere.
FIGURE_FORMATS = ("jpg", "pdf", "png", "svg", "tif", "webp")


def integer(minimum: int) -> Callable[[str], int]:
    """Return a type that reads a whole number, ``minimum`` or more, that PyTorch can hold."""

    def read(text: str) -> int:
        if not text.isdecimal() or (len(text) < 20 and int(text) < minimum):
            message = f"{text!r}: expected a whole number, {minimum} or more"
            raise argparse.ArgumentTypeError(message)
        if len(text) > 19 or int(text) > LARGEST:
            message = f"{text[:20]}...: expected a whole number, {minimum} to {LARGEST}"
            raise argparse.ArgumentTypeError(message)
        return int(text)

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


def _single(value: float) -> float:
    """Return ``value`` in single precision, infinite where that does not reach."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def standard_deviation(text: str) -> float:
    """Read a number above 0 that single precision can hold."""
    value = number(above=True)(text)
    if not 0 < _single(value) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of single precision")
    return value


def numbers_of(text: str) -> list[float]:
    """Return the numbers in ``text``, such as 0 and 0.1 in ``"normal:0,0.1"``.

    Raises:
        ValueError: one is no number.
    """
    return [float(number) for number in text.partition(":")[2].split(",")]


def prior(text: str) -> str:
    """Read a prior and keep it as text, for the record."""
    try:
        _, is_within_range = PRIORS[text.partition(":")[0]]
        # Rounded to single precision, in which priors are kept: it has smaller and larger ends.
        rounded = [_single(value) for value in numbers_of(text)]
        valid = is_within_range(*rounded) and all(map(math.isfinite, rounded))
    except (KeyError, TypeError, ValueError):
        valid = False
    if not valid:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {PRIOR_FORMS}, within their ranges")
    return text


def kl_schedule(text: str) -> str:
    """Read a schedule of the KL weight and keep it as text, for the record."""
    try:
        if text.startswith("warm-up:"):
            [epochs] = numbers_of(text)
            require_positive(epochs=epochs)
        elif text not in ("constant", "blundell"):
            raise ValueError
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {KL_SCHEDULE_FORMS}") from error
    return text


def device(text: str) -> str:
    """Read the name of a device that this machine may have."""
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a device, cpu, cuda, cuda:NUMBER or mps"
        )
    if text == "mps" and sys.platform != "darwin":
        raise argparse.ArgumentTypeError("'mps' can't be used here: expected a Mac")
    if text.startswith("cuda") and not _has_gpu_driver():
        raise argparse.ArgumentTypeError(f"{text!r} can't be used here: no GPU has a driver")
    return text


def _has_gpu_driver() -> bool:
    """Whether a driver is there without which PyTorch could use no GPU, of NVIDIA or of AMD."""
    if Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def readable(text: str) -> Path:
    """Read a path at which the system can look, whether or not there is something."""
    if not text:  # which would be the current folder
        raise argparse.ArgumentTypeError("'': expected a path")
    try:
        os.stat(text)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text[:99]!r} can't be used: {error}") from error
    return Path(text)


def image_folder(text: str) -> str:
    """Read the path of a folder with subfolders and make it absolute, for the record."""
    path = readable(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a folder of images")
    try:
        has_classes = any(part.is_dir() for part in path.iterdir())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} can't be used: {error}") from error
    if not has_classes:
        raise argparse.ArgumentTypeError(f"{text!r}: expected one subfolder a class, found none")
    return str(path.resolve())


def new_folder(text: str) -> Path:
    """Read the path of a folder that is there or can be made."""
    path = readable(text)
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise argparse.ArgumentTypeError(f"{text!r}: {str(part)!r} is a file, no folder")
    return path


def new_file(text: str) -> Path:
    """Read the path of a file to write, whose folder exists."""
    path = readable(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: the folder {str(path.parent)!r} is missing")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder, expected a file")
    if path.exists() and not path.is_file():  # a device, such as /dev/null
        raise argparse.ArgumentTypeError(f"{text!r} is no file that can be replaced")
    return path


def new_figure(text: str) -> Path:
    """Read the path of a figure to write, whose ending names a format."""
    path = new_file(text)
    if path.suffix.removeprefix(".") not in FIGURE_FORMATS:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected an ending of {', '.join(FIGURE_FORMATS)}"
        )
    return path
