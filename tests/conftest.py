"""What all tests share: warnings are errors; the built site, a browser and Node.js."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.chromium import chromium
from helpers.missing import missing
from helpers.node import Node
from playwright.sync_api import Browser
from site_server import served

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that look at the built site."""
    for item in items:
        if "site" in getattr(item, "fixturenames", ()):
            item.add_marker("site")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the programs that build and judge the figures."""
    folder = ROOT / "node_modules"
    if not folder.exists():
        missing("no node_modules: run `npm ci`")
    return folder


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site."""
    if not (SITE / "index.html").exists():
        missing("the book is not built: run `make book`")
    return SITE


@pytest.fixture(scope="session")
def server(site: Path) -> Iterator[str]:
    """The address at which the built site is served."""
    with served(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """A headless Chromium, one for each worker."""
    with chromium(pytestconfig.getoption("throttle")) as browser:
        yield browser


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """A Node.js, one for each worker."""
    program = shutil.which("node")
    if program is None:
        missing("no Node.js: `apt-get install nodejs`")
    node = Node(program)
    yield node
    node.end()
