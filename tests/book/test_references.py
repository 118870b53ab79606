"""What the package's docstrings and the notebooks cite is in the book's bibliography."""

import re
import unicodedata
from pathlib import Path

import nbformat
import pytest
from pybtex.database import parse_file

NAME = r"[A-Z][\w’-]*[a-z]"
# "Blundell et al. (2015)", "Nix and Weigend (1994)", "LeCun, Bottou, Bengio and Haffner (1998)".
NAMES = rf"({NAME}(?:,\s+{NAME})*(?:,?\s+and\s+{NAME}|\s+et\s+al\.)?)"
CITATION = re.compile(rf"{NAMES}(?:['’]s)?\s+\(((?:19|20)\d\d)[a-z]?\)")


def plain(name: str) -> str:
    """A family name in small letters, without accents and LaTeX's way to write them."""
    letters = re.sub(r"\\[^a-zA-Z]|[{}\\]", "", name)
    decomposed = unicodedata.normalize("NFKD", letters.replace("ø", "o"))
    return decomposed.encode("ascii", "ignore").decode().lower()


@pytest.fixture(scope="module")
def works(root) -> set[tuple[str, str]]:
    """The first author's family name and the year of each entry."""
    entries = parse_file(root / "book" / "references.bib").entries.values()
    return {
        (plain(entry.persons["author"][0].last_names[-1]), entry.fields.get("year", ""))
        for entry in entries
    }


def missing(text: str, works: set[tuple[str, str]]) -> list[str]:
    """The citations in ``text`` of which no name, with the year, is an entry's first author."""
    found = []
    for match in CITATION.finditer(" ".join(text.split())):
        names = re.split(r",\s+|\s+and\s+|\s+et\s+al\.", match[1])
        if not any((plain(name), match[2]) in works for name in names):
            found.append(match[0])
    return found


def text_of(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)


def test_what_is_cited_is_in_the_bibliography(root, works):
    paths = [*(root / "bnn_tutorial").rglob("*.py"), *(root / "book").glob("*.ipynb")]
    found = {str(path.relative_to(root)): missing(text_of(path), works) for path in paths}
    assert {name: names for name, names in found.items() if names} == {}


def test_a_citation_is_found_across_lines_and_by_its_first_author(works):
    text = (
        "Blundell et\nal. (2015), LeCun, Bottou, Bengio and Haffner (1998), Nobody\net al. (2015)."
    )
    assert missing(text, works) == ["Nobody et al. (2015)"]
