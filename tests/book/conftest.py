"""What the tests of the book share: its chapters, notebooks and pages."""

from pathlib import Path

import pytest
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[2]

TOC = parse_toc_yaml(ROOT / "_toc.yml")
CHAPTERS = [ROOT / f"{document}.ipynb" for document in TOC.root.subtrees[0].items]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
PAGES = [f"{document}.html" for document in TOC] + [
    "index.html",
    "genindex.html",
    "search.html",
    "404.html",
]


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request: pytest.FixtureRequest) -> Path:
    """Each chapter's notebook in turn."""
    return request.param


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    """Each notebook in turn, chapters and others."""
    return request.param


@pytest.fixture(params=PAGES)
def page_path(request: pytest.FixtureRequest) -> str:
    """Each page of the site in turn, as a path below its root."""
    return request.param
