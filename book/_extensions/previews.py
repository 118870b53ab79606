"""What a link leads to shows beside it, so that a reader needs not go there.

A formula of another page, a source of the bibliography, a page, a section, a
figure, an exercise: each stands once, hidden, at the end of a page that leads
to it, and `_static/previews.js` shows it on hover, focus and tap. A formula
of the page itself that script finds where it is. The definitions of terms
come from the extension `terms`.
"""

import posixpath
from functools import cache
from html import escape
from typing import Any

from docutils import nodes
from formulas import displayed
from plain_text import CITED, plain, summary
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

EQUATION = "equation-"


@cache
def parts(
    environment: BuildEnvironment, page: str
) -> dict[str, nodes.Element]:
    """Everything on a page that an anchor leads to."""
    document = environment.get_doctree(page)
    found: dict[str, nodes.Element] = {}
    for node in document.findall(nodes.Element):
        found |= dict.fromkeys(node.get("ids", ()), node)
        if isinstance(node, nodes.math_block) and node.get("label"):
            found[nodes.make_id(EQUATION + node["label"])] = node
    whole = next(document.findall(nodes.section))
    return found | dict.fromkeys(["", *whole["ids"]], document)


def page_name(environment: BuildEnvironment, page: str) -> str:
    """The title of a page, with its number where it is a chapter."""
    numbers = environment.toc_secnumbers.get(page, {}).get("", ())
    title = plain(environment.titles[page])
    return f"{numbers[0]}. {title}" if numbers else title


def in_words(part: nodes.Element, page: str) -> str:
    """The name of a page or of a part of one, and how it begins, as HTML."""
    if isinstance(part, nodes.document):
        lines = [f"<b>{escape(page)}</b>"]
    else:
        kinds = (nodes.title, nodes.caption)
        titles = [each for each in part.children if isinstance(each, kinds)]
        if not titles:
            return ""
        lines = [f"<b>{escape(plain(titles[0]))}</b>", escape(page)]
    lines.append(escape(summary(part)))
    return "".join(f"<p>{line}</p>" for line in lines if line)


def preview(
    app: Sphinx, page: str, reference: nodes.reference
) -> tuple[str, str]:
    """The address of a link and what to show beside it, as HTML."""
    address = reference.get("refuri") or f"#{reference.get('refid', '')}"
    if not reference.get("internal"):
        return address, ""
    if CITED in reference.parent.get("classes", ()):
        source = reference.attributes.pop("reftitle")
        return address, f"<p>{escape(source.partition(' URL: ')[0])}</p>"
    path, _, anchor = address.partition("#")
    target = page
    if path:
        folder = posixpath.dirname(page)
        target = posixpath.normpath(posixpath.join(folder, path))
        target = target.removesuffix(app.builder.out_suffix)  # pyright: ignore
    if target not in app.env.found_docs:
        return address, ""
    part = parts(app.env, target).get(anchor)
    name = page_name(app.env, target)
    if isinstance(part, nodes.math_block):
        if target == page:
            return address, ""
        return address, f"<p>{escape(name)}</p>{displayed(part)}"
    return address, in_words(part, name) if part else ""


def collect(app: Sphinx, document: nodes.document, page: str) -> None:
    """Keep with a page what its links show."""
    if app.builder.format != "html":
        return
    previews: dict[str, str] = document.setdefault("previews", {})
    for reference in document.findall(nodes.reference):
        address, shown = preview(app, page, reference)
        if shown:
            previews[address] = shown


def append(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    document: nodes.document | None,
) -> None:
    """Write them below the page, where the search does not look for words."""
    if document is not None and document.get("previews"):
        texts = "".join(
            f'<div id="preview-of-{escape(address)}">{shown}</div>'
            for address, shown in document["previews"].items()
        )
        context["body"] += f'<div class="previews" hidden>{texts}</div>'


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", collect)
    app.connect("html-page-context", append)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
