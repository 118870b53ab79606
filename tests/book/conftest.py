"""What the tests of the book share: its sources, the built site behind a server, and a browser."""

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers.chromium import chromium
from helpers.missing import missing
from helpers.node import Node
from playwright.sync_api import Browser
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
TOC = parse_toc_yaml(ROOT / "_toc.yml")
CHAPTERS = [ROOT / f"{document}.ipynb" for document in TOC.root.subtrees[0].items]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
PAGES = [f"{document}.html" for document in TOC] + ["index.html", "genindex.html", "search.html"]


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


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request: pytest.FixtureRequest) -> Path:
    """Each chapter's notebook in turn."""
    return request.param


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    """Each notebook in turn, chapters and others."""
    return request.param


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site."""
    if not (SITE / "index.html").exists():
        missing("the book is not built: run `make book`")
    return SITE


@pytest.fixture(params=PAGES)
def page_path(request: pytest.FixtureRequest) -> str:
    """Each page of the site in turn, as a path below its root."""
    return request.param


@pytest.fixture(scope="session")
def server(site: Path) -> Iterator[str]:
    """The address at which the built site is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
