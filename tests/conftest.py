"""What pytest is told on the command line."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--throttle",
        type=float,
        default=1,
        metavar="FACTOR",
        help="slow the processor of Chromium's pages down by this factor",
    )
