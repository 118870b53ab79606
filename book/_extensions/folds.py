"""The bar of a folded cell says what it folds.

Below it a reader sees a figure, a table or nothing. The bar names the code of
the one or the other, or else what the cell defines. A cell of which nothing
is to be seen leaves no gap.
"""

import ast
import html

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

MOST_NAMES = 4


def defined(source: str) -> list[str]:
    """Return what a cell defines: functions and classes, then other names."""
    body = ast.parse(source).body
    made = [
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    targets = (
        target
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (
            node.targets if isinstance(node, ast.Assign) else [node.target]
        )
    )
    for target in targets:
        names = (
            part for part in ast.walk(target) if isinstance(part, ast.Name)
        )
        made += [name.id for name in names if isinstance(name.ctx, ast.Store)]
    return [name for name in dict.fromkeys(made) if not name.startswith("_")]


def label(source: str, shown: str) -> str:
    """Return what the bar of a folded cell says.

    Args:
        source: the cell's code.
        shown: what the cell shows: "figure", "table", "output" or "".
    """
    if shown:
        return f"Code of this {shown}"
    tree = ast.parse(source)
    if any(
        isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body
    ):
        return "Code: imports and settings"
    names = defined(source)
    more = ", …" if len(names) > MOST_NAMES else ""
    return f"Code: {', '.join(names[:MOST_NAMES])}{more}" if names else "Code"


def _shown(output: nodes.Element | None) -> str:
    """Return what a cell's output is, for a reader who sees it."""
    if output is None:
        return ""
    kinds = {
        str(node.get("mime_type", ""))
        for node in output.findall(nodes.Element)
    }
    if any(kind.startswith("image/") for kind in kinds):
        return "figure"
    text = " ".join(node.astext() for node in output.findall(nodes.raw))
    if next(iter(output.findall(nodes.table)), None) or "<table" in text:
        return "table"
    return "output" if output.children else ""


def name_folds(app: Sphinx, doctree: nodes.document) -> None:
    """Give each folded cell its label, and drop the empty ones."""
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code":
            continue
        if not cell.children:
            cell.parent.remove(cell)
        elif cell.get("hide_mode"):
            parts = {
                part.get("nb_element"): part
                for part in cell.children
                if isinstance(part, nodes.Element)
            }
            source = parts["cell_code_source"].astext()
            text = label(source, _shown(parts.get("cell_code_output")))
            cell["prompt_show"] = cell["prompt_hide"] = text


def open_fold(translator: HTML5Translator, node: HideCodeCellNode) -> None:
    """Write the bar, which a screen reader says as it stands."""
    classes = " ".join(["admonition", "hide", *node["classes"]])
    translator.body.append(
        f'<details class="{classes}"><summary><p class="admonition-title">'
        f"{html.escape(node['prompt_show'])}</p></summary>\n"
    )


def close_fold(translator: HTML5Translator, node: HideCodeCellNode) -> None:
    translator.body.append("</details>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", name_folds)
    app.add_node(
        HideCodeCellNode, override=True, html=(open_fold, close_fold)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
