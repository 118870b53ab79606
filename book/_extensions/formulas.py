"""Formulas are set when the site is built, so that no page waits for them.

KaTeX sets each twice: as MathML, which is what a screen reader speaks and
what is copied, and in HTML, which is what is seen. It runs in QuickJS, a
JavaScript engine that is a Python package. What it can't set is a warning,
and those fail the build.
"""

import html
import re
from functools import cache
from pathlib import Path

import quickjs
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

KATEX = Path(__file__).with_name("katex") / "katex.min.js"
# Joined, since QuickJS hands out a string in pieces and its Python package
# takes whole ones only.
SET = """(tex, displayMode) =>
  [katex.renderToString(tex, {displayMode})].join("")"""
# What a notebook's own HTML asks to be set.
IN_HTML = re.compile(r"\\\[(.*?)\\\]|\\\((.*?)\\\)", re.DOTALL)
SPOKEN = re.compile(
    r'<span class="katex-mathml">.*?</math></span>', re.DOTALL
)
# What a line neither begins nor ends with, beside a formula. A browser sees a
# box there, at either side of which a line may end. A formula of so many
# letters fits a line, so that it need not break either.
CLOSING = re.compile(r"^[,.;:!?)\]”’-]+")
OPENING = re.compile(r"[(\[“‘]+$")
MOST_LETTERS = 25
TAG = re.compile(r"<[^>]*>")
logger = logging.getLogger(__name__)


@cache
def _engine():
    context = quickjs.Context()
    context.eval(KATEX.read_text(encoding="utf-8"))
    return context.eval(SET)


@cache
def formula(tex: str, display: bool) -> str:
    """Return a formula's HTML.

    Raises:
        ValueError: KaTeX can't set it.
    """
    try:
        return _engine()(tex, display)
    except quickjs.JSException as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _set(node: nodes.Element, tex: str, display: bool) -> str:
    try:
        return formula(tex, display)
    except ValueError as error:
        logger.warning("%s: %s", error, tex, location=node)
        return f"<code>{html.escape(tex)}</code>"


def _display_tex(node: nodes.math_block) -> str:
    tex = node.astext().strip()
    if r"\\" in tex and not tex.startswith(r"\begin"):
        return rf"\begin{{split}}{tex}\end{{split}}"
    return tex


def in_line(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula inside a sentence."""
    tag = translator.starttag(node, "span", "", CLASS="math notranslate")
    translator.body.append(tag + _set(node, node.astext(), False) + "</span>")
    raise nodes.SkipNode


def on_its_own(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands alone, with its number where it has one."""
    body = translator.body
    body.append(translator.starttag(node, "div", CLASS="math notranslate"))
    if node["number"]:
        number = get_node_equation_number(translator, node)  # pyright: ignore
        body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        body.append("</span>")
    body.append(_set(node, _display_tex(node), True) + "</div>")
    raise nodes.SkipNode


def displayed(node: nodes.math_block) -> str:
    """Return what is seen of a formula that stands alone.

    What a screen reader speaks, half of the HTML, is left out: this is for a
    copy, from which it is kept.
    """
    return SPOKEN.sub("", _set(node, _display_tex(node), True))


def set_in_html(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Set the formulas of a notebook's own HTML that has the class for it."""

    def replace(found: re.Match) -> str:
        tex = html.unescape(found[1] or found[2])
        return _set(node, tex, found[1] is not None)

    for node in doctree.findall(nodes.raw):
        if "has-formulas" in node.astext():
            text = IN_HTML.sub(replace, node.astext())
            node.children = [nodes.Text(text)]


def keep_punctuation(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Keep the punctuation beside a short formula on its line."""
    for node in [*doctree.findall(nodes.math)]:
        try:
            whole = formula(node.astext(), False)
        except ValueError:  # said where it is written
            continue
        if len(TAG.sub("", SPOKEN.sub("", whole))) > MOST_LETTERS:
            continue
        parent, kept = node.parent, list[nodes.Node]([node])
        place = parent.index(node)
        for pattern, beside in ((OPENING, place - 1), (CLOSING, place + 1)):
            text = parent[beside] if 0 <= beside < len(parent) else None
            if not isinstance(text, nodes.Text):
                continue
            if found := pattern.search(text):
                parent[beside] = nodes.Text(pattern.sub("", text))
                mark = nodes.Text(found[0])
                kept.insert(0 if beside < place else len(kept), mark)
        if len(kept) > 1:
            parent[place] = nodes.inline(
                "", "", *kept, classes=["kept-whole"]
            )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("katex", (in_line, None), (on_its_own, None))
    app.connect("doctree-resolved", set_in_html)
    app.connect("doctree-resolved", keep_punctuation)
    app.add_css_file("katex/katex.min.css")
    app.add_js_file("katex/copy-tex.min.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
