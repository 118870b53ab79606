"""What holds for all tests: warnings are errors, and the browser may be slowed down."""

import pytest

# Not in pyproject.toml, where it would hold for readers who run `pytest --nbmake book` as well.
WARNINGS = (
    "error",
    # torch says once a process how it computes a convolution with an even kernel.
    "ignore:Using padding='same' with even kernel lengths:UserWarning",
    # torchvision leaves the sockets of a download that failed to the garbage collector.
    "ignore:unclosed <socket.socket .closed.:ResourceWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    for line in WARNINGS:
        config.addinivalue_line("filterwarnings", line)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--throttle",
        type=float,
        default=1,
        metavar="FACTOR",
        help="slow the processor of Chromium's pages down by this factor",
    )
