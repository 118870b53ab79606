"""A table that is wider than a phone becomes a list there, a row at a time.

Each cell brings the name of its column, which is hidden where the table has
room (`book.css`). A table with merged cells stays as it is.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

ROOM = 44  # letters that stand beside each other on a phone, in small print
BETWEEN = 2  # as wide as what is left free between two columns
FORMULA = 6  # letters, of one in a cell: how wide it is nobody knows here


def _least_width(entry: nodes.entry) -> int:
    """Return how many letters wide a cell is that breaks where it can."""
    words = re.split(r"[ \n]", entry.astext())
    if next(iter(entry.findall(nodes.math)), None):
        return min(FORMULA, max(map(len, words)))
    return max(map(len, words))


def _name(title: nodes.entry) -> nodes.inline:
    """Return a column's name, to stand in a cell of it."""
    words = [
        child.deepcopy()
        for paragraph in title.children
        for child in paragraph.children
    ]
    return nodes.inline("", "", *words, classes=["column-name"])


def stack(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Prepare the tables of a page that a phone has no room for."""
    for table in doctree.findall(nodes.table):
        heads = [*table.findall(nodes.thead)]
        rows = [*table.findall(nodes.row)]
        merged = any(
            "morecols" in entry or "morerows" in entry
            for entry in table.findall(nodes.entry)
        )
        if len(heads) != 1 or len(heads[0]) != 1 or merged:
            continue
        columns = [*zip(*rows, strict=True)]
        widths = [max(map(_least_width, column)) for column in columns]
        whole = sum(widths) + BETWEEN * (len(widths) - 1)
        if whole <= ROOM or len(columns) == 2:
            continue
        table["classes"].append("stacks")
        for title, *cells in columns[1:]:
            for cell in cells:
                if title.astext().strip() and cell.astext().strip():
                    cell[0].insert(0, [_name(title), nodes.Text(" ")])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", stack)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
