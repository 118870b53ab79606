"""A page answers before what stands far below is laid out.

A chapter has ten thousand elements, most of them in formulas and code. To
style them and lay them out takes most of the time until the page answers.
Sections wait, entries of the package's pages, and the rest of a section that
begins in the first screen: the browser knows them, finds words in them and
reads them aloud, but lays them out only when they come near, or when nothing
else is to be done (`_static/far_sections.js`, `book.css`). Until the page
answers, or half a second is over, it lays out nothing that is far from the
first screen.

Where a place on the page is asked for, by an address or by going back, the
whole page is laid out at once, since a place is exact only then. So it is on
paper, and where scripts are off.
"""

import math
import re

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx import addnodes
from sphinx.application import Sphinx

FIRST_SCREEN = 45  # lines of text, more than 1,080 pixels hold
LETTERS = 95  # in a line, at the most
GAP = 0.6  # below a paragraph, in lines
FORMULA = 2
PICTURE = 10
CODE = 0.75  # a line of code
UNSEEN = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)
APART = (nodes.section, addnodes.desc)

# In the page itself: where the book's script is late, or lost, all is shown.
WAIT = """if (!location.hash
  && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
  const { dataset } = document.documentElement;
  dataset.far = "waits";
  const layOutNear = () => dataset.far && (dataset.far = "comes near");
  document.addEventListener("DOMContentLoaded", layOutNear);
  setTimeout(layOutNear, 500);
}"""


def lines(node: nodes.Node) -> float:
    """Return how many lines high a part of a page is, at the least."""
    folded = isinstance(node, HideCodeCellNode) or (
        isinstance(node, nodes.Element) and "dropdown" in node["classes"]
    )
    if folded or isinstance(node, nodes.Invisible):
        return 0
    text = node.astext()
    if isinstance(node, nodes.math_block):
        return FORMULA
    if isinstance(node, nodes.literal_block):
        return CODE * len(text.splitlines())
    if isinstance(node, nodes.image):
        return PICTURE
    if isinstance(node, nodes.raw):
        text = UNSEEN.sub("", text).strip()
        return len(text) / LETTERS or PICTURE
    if isinstance(node, nodes.TextElement):
        return math.ceil(len(text) / LETTERS) + GAP
    total = max if isinstance(node, nodes.row) else sum
    return total(map(lines, node.children))


def _mark(parent: nodes.Element, before: float) -> float:
    """Mark what is far in a part of a page.

    Args:
        parent: the part.
        before: the lines that stand before it.

    Returns:
        The lines that stand before its end.
    """
    rest: nodes.compound | None = None
    waits = "late-layout" in parent["classes"]
    begun = isinstance(parent, nodes.section) and not waits
    for child in list(parent.children):
        if isinstance(child, APART):
            rest = None
            if before > FIRST_SCREEN:
                child["classes"].append("late-layout")
            before = _mark(child, before)
        elif isinstance(child, addnodes.desc_content):
            before = _mark(child, before)
        elif before <= FIRST_SCREEN or not begun:
            before += lines(child)
        elif rest is not None:
            parent.remove(child)
            rest += child
        elif not isinstance(child, nodes.Invisible):
            rest = nodes.compound(classes=["late-layout"])
            parent.replace(child, rest)
            rest += child
    return before


def mark_far(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Mark what is far from a page's first screen."""
    if app.builder.format == "html":
        _mark(doctree, 0)


def setup(app: Sphinx) -> dict[str, bool]:
    # While formulas are still as long as they are written.
    app.connect("doctree-resolved", mark_far, priority=300)
    app.add_js_file(None, body=WAIT)
    app.add_js_file("far_sections.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
