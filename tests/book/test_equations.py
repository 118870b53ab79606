"""Every numbered equation of the book is a verified identity, and the other way round."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from bnn_tutorial.derivations import IDENTITIES

LABELLED = re.compile(r"\$\$((?:(?!\$\$).)+)\$\$[ \t]*\(([^)\s]+)\)", re.DOTALL)
NUMBERED = re.compile(
    r"\\begin\{(?:equation|align|alignat|eqnarray|flalign|gather|multline)\}|\\tag|\{math\}"
)


def without_spaces(formula: str) -> str:
    """The formula without the white space that TeX ignores, which is all but that of `\\log x`."""
    spaces = re.compile(r"(\\[A-Za-z]+)\s+(?=[A-Za-z])|\s+")
    return spaces.sub(lambda match: f"{match[1]} " if match[1] else "", formula)


def identities() -> list[tuple[str, str, str]]:
    """Chapter, label and formula of every identity."""
    return [(i.chapter, i.label, without_spaces(i.formula)) for i in IDENTITIES.values()]


def text(path: Path) -> str:
    """The Markdown of a page or of a notebook's cells."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def sources(root) -> dict[str, str]:
    """The Markdown of every source of the book, by its name."""
    return {p.stem: text(p) for p in (root / "book").iterdir() if p.suffix in (".ipynb", ".md")}


@pytest.fixture(scope="module")
def equations(sources) -> list[tuple[str, str, str]]:
    """Chapter, label and formula of every labelled equation, page by page as they stand there."""
    return [
        (name, label, without_spaces(formula))
        for name, source in sources.items()
        for formula, label in LABELLED.findall(source)
    ]


def test_every_numbered_equation_is_an_identity(equations):
    assert [equation for equation in equations if equation not in identities()] == []


def test_every_identity_is_an_equation_of_its_chapter(equations):
    assert [identity for identity in identities() if identity not in equations] == []


def test_identities_stand_in_the_order_of_their_chapter(equations):
    for chapter in {name for name, _, _ in equations}:
        labels = [
            [label for name, label, _ in found if name == chapter]
            for found in (equations, identities())
        ]
        assert labels[0] == labels[1]


def test_labels_are_unique(equations):
    labels = [label for _, label, _ in equations]
    assert len(labels) == len(set(labels))


def test_no_equation_is_numbered_without_a_label(sources):
    """`$$ ... $$ (label)` is the one way to a number; no environment numbers itself."""
    numbered = {name: NUMBERED.findall(source) for name, source in sources.items()}
    assert {name: found for name, found in numbered.items() if found} == {}


def test_pages_number_what_is_verified_and_nothing_else(site, chapter, equations):
    page = BeautifulSoup((site / "book" / f"{chapter.stem}.html").read_text(), "html.parser")
    numbered = [number.find_parent("div")["id"] for number in page.select("div.math .eqno")]
    labels = [f"equation-{label}" for name, label, _ in equations if name == chapter.stem]
    assert sorted(numbered) == sorted(labels)
