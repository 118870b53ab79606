"""Checks of arguments that several rooms make, each with an error that names the argument.

Nothing here imports PyTorch.
"""

import math


def require_positive(**settings: float) -> None:
    """Check that numbers are above 0 and finite.

    Raises:
        ValueError: one is not; the message names it as the caller wrote it.
    """
    for name, value in settings.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name}={value!r}: expected a positive finite number")


def require_not_negative(**settings: float) -> None:
    """Check that numbers are 0 or more and finite.

    Raises:
        ValueError: one is not.
    """
    for name, value in settings.items():
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name}={value!r}: expected a finite number, 0 or more")


def require_integers(**numbers: int) -> None:
    """Check that numbers are integers.

    Raises:
        TypeError: one is not, or is a bool.
    """
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"{name}={number!r}: expected an integer")


def require_counts(**counts: int) -> None:
    """Check that numbers are 1 or more.

    Raises:
        ValueError: one is not.
    """
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}={count}: expected 1 or more")
