"""Terms of the glossary show their definition where a notebook uses them.

On each notebook's page the first use of an entry in the prose, by any of
its names, becomes a link to it. The definition stands in the page as well, as
the link's description; the extension `previews` shows it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import glossary
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

GLOSSARY = "book/glossary"
# Where a word is no prose, or is a link already.
LEFT_ALONE = (
    nodes.title,
    nodes.rubric,
    nodes.caption,
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.table,
)


@dataclass(frozen=True)
class Entry:
    """One definition, the anchor of its first name, and all its names."""

    anchor: str
    names: tuple[str, ...]
    definition: str


def entries(document: nodes.document) -> list[Entry]:
    """The entries of a glossary's page.

    Shown is the first paragraph of a definition; a second one says where to
    read more.
    """
    found = []
    for part in document.findall(glossary):
        for item in part.findall(nodes.definition_list_item):
            terms = [*item.findall(nodes.term)]
            paragraph = next(item.findall(nodes.paragraph))
            names = tuple(term.astext() for term in terms)
            text = " ".join(paragraph.astext().split())
            found.append(Entry(terms[0]["ids"][0], names, text))
    return found


def pattern(name: str) -> str:
    """A name in running text, or its plural; its capitals are its own."""
    words = r"\s+".join(map(re.escape, name.split()))
    if name.islower():
        words = f"(?i:{words})"
    return rf"(?<![\w-]){words}(?:s|es)?(?![\w-])"


def join_texts(element: nodes.Element) -> None:
    """Make one of texts that touch; MyST begins one at each line."""
    children: list[nodes.Node] = []
    for child in element.children:
        last = children[-1] if children else None
        if isinstance(child, nodes.Text) and isinstance(last, nodes.Text):
            children[-1] = nodes.Text(str(last) + str(child))
        else:
            children.append(child)
    element.children = []
    element.extend(children)


def prose(document: nodes.document) -> list[nodes.Text]:
    """The text of paragraphs, in order, without what is left alone."""
    found = []
    for paragraph in document.findall(nodes.paragraph):
        for element in [*paragraph.findall(nodes.TextElement)]:
            join_texts(element)
        for text in paragraph.findall(nodes.Text):
            node: nodes.Node | None = text.parent
            while node is not None and not isinstance(node, LEFT_ALONE):
                node = node.parent
            if node is None:
                found.append(text)
    return found


def linked(text: str, address: str) -> str:
    """The use of a term, as HTML."""
    return (
        f'<a class="term" href="{escape(address)}" '
        f'aria-describedby="preview-of-{escape(address)}">{escape(text)}</a>'
    )


def link_first_uses(
    document: nodes.document, terms: Iterable[Entry], address: str
) -> list[Entry]:
    """Turn the first use of each entry into a link, and return those used.

    Where two names begin at one place the longer one is meant.
    """
    waiting = {name: entry for entry in terms for name in entry.names}
    used: list[Entry] = []
    for text in prose(document):
        parts: list[nodes.Node] = []
        rest = str(text)
        while waiting and rest:
            names = sorted(waiting, key=len, reverse=True)
            union = "|".join(f"({pattern(name)})" for name in names)
            match = re.search(union, rest)
            if match is None:
                break
            entry = waiting[names[(match.lastindex or 0) - 1]]
            link = linked(match[0], f"{address}#{entry.anchor}")
            parts += [nodes.Text(rest[: match.start()])]
            parts += [nodes.raw("", link, format="html")]
            rest = rest[match.end() :]
            used.append(entry)
            for name in entry.names:
                del waiting[name]
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(rest)])
    return used


def is_notebook(environment: BuildEnvironment, page: str) -> bool:
    return Path(environment.doc2path(page)).suffix == ".ipynb"


def add_terms(app: Sphinx, document: nodes.document, page: str) -> None:
    """Link the terms of one page."""
    present = GLOSSARY in app.env.found_docs and is_notebook(app.env, page)
    if not present or app.builder.format != "html":
        return
    terms = entries(app.env.get_doctree(GLOSSARY))
    address = app.builder.get_relative_uri(page, GLOSSARY)
    document["previews"] = {
        f"{address}#{entry.anchor}": f"<p>{escape(entry.definition)}</p>"
        for entry in link_first_uses(document, terms, address)
    }


def outdated(
    app: Sphinx,
    environment: BuildEnvironment,
    added: set[str],
    changed: set[str],
    removed: set[str],
) -> list[str]:
    """A new definition is shown by every notebook."""
    if GLOSSARY not in added | changed:
        return []
    pages = environment.found_docs
    return [page for page in pages if is_notebook(environment, page)]


def setup(app: Sphinx) -> dict[str, bool]:
    # Before the extension previews, which adds to them.
    app.connect("doctree-resolved", add_terms, priority=400)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
