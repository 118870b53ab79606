"""A paragraph of a page as plain text, for what is said about the page.

A formula becomes its symbols, without TeX; a citation in brackets goes.
"""

import re
from html import unescape

from docutils import nodes
from formulas import formula
from sphinx.addnodes import pending_xref

TAG = re.compile(r"<[^>]+>")
SYMBOLS = re.compile(r"<semantics>(.*?)<annotation", re.DOTALL)
INVISIBLE = re.compile("[\u200b\u2061-\u2064]")
CITED = "bibtex-citation"
BRACKETS = re.compile(r"\s*\[[^\]]*\]")
SENTENCES = re.compile(r".*[.?!](?= )")


def symbols(tex: str) -> str:
    """The letters and signs of a formula, one after the other."""
    found = SYMBOLS.search(formula(tex, False))
    return INVISIBLE.sub("", unescape(TAG.sub("", found[1]))) if found else ""


def plain(node: nodes.Node) -> str:
    """What a reader sees of a node, as text."""
    if isinstance(node, nodes.Text):
        return str(node)
    if isinstance(node, nodes.math):
        return symbols(node.astext())
    if isinstance(node, nodes.raw):  # a term's link
        return unescape(TAG.sub("", node.astext()))
    if isinstance(node, pending_xref) and node["refdomain"] == "cite":
        return ""
    text = "".join(map(plain, node.children))
    cited = isinstance(node, nodes.inline) and CITED in node["classes"]
    return BRACKETS.sub("", text) if cited else text


def shortened(text: str, length: int = 160) -> str:
    """Whole sentences of a text, or its first words where one is longer."""
    text = re.sub(r" (?=[.,;:?!])", "", " ".join(text.split()))
    if len(text) <= length:
        return text
    sentences = SENTENCES.match(text[: length + 1])
    if sentences and len(sentences[0]) > length / 3:
        return sentences[0]
    return text[:length].rpartition(" ")[0].rstrip(",;:") + "…"


def summary(part: nodes.Element) -> str:
    """The first paragraph of a page or of one of its parts, shortened.

    There is none where a name in it is that of a source which the
    bibliography has not given yet.
    """
    paragraphs = [*part.findall(nodes.paragraph)]
    own = (p for p in paragraphs if isinstance(p.parent, nodes.section))
    first = next(own, paragraphs[0] if paragraphs else None)
    if first is None or any(map(_named_later, first.findall(pending_xref))):
        return ""
    return shortened(plain(first))


def _named_later(reference: pending_xref) -> bool:
    return reference["refdomain"] == "cite" and reference["reftype"] == "t"
