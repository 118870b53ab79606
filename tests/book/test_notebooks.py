"""What every notebook keeps to, read from its source: no outputs, short cells, the frame."""

import ast
import re
from pathlib import Path
from statistics import median

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

# The order in which a chapter's parts stand, as patterns over its Markdown.
FRAME = [
    r"^# .+",
    r"^## What you.ll learn$",
    r"^## What you need$",
    r"^\|.+\|.+\|.+\|$",
    r"^## Time$",
    r"\b\d+ minutes to read\b[^#]*\]\(run_times\.md\)",
    r"^## Summary$",
    r"^## Exercises$",
    r"\{exercise\}",
    r"\{solution\}",
    r"^## What to read next$",
]


def cells(path: Path, kind: str) -> list[NotebookNode]:
    """The notebook's cells of one kind."""
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


def syntax(path: Path) -> ast.Module:
    """The notebook's code as one syntax tree, magics turned into calls."""
    source = [TransformerManager().transform_cell(cell.source) for cell in cells(path, "code")]
    return ast.parse("\n".join(source))


def test_every_notebook_is_in_the_table_of_contents(root):
    listed = (root / "_toc.yml").read_text().split()
    assert [p.stem for p in (root / "book").glob("*.ipynb") if f"book/{p.stem}" not in listed] == []


def test_notebook_is_valid_and_every_cell_has_an_id(notebook):
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    assert content.nbformat_minor >= 5  # the first version in which a cell has an id
    assert content.metadata.kernelspec.name == "python3"


def test_no_output_is_stored(notebook):
    stored = [c.id for c in cells(notebook, "code") if c.outputs or c.execution_count is not None]
    assert stored == []


def lengths(path: Path) -> list[int]:
    """How many lines each code cell has."""
    return [len(cell.source.splitlines()) for cell in cells(path, "code")]


def test_no_cell_is_long(notebook):
    assert max(lengths(notebook)) <= 30


def test_cells_of_a_chapter_are_short(chapter):
    assert median(lengths(chapter)) < 10


def test_imports_are_explicit(notebook):
    tree = syntax(notebook)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [i.module for i in imports if any(alias.name == "*" for alias in i.names)] == []
    assert "sys.path" not in ast.unparse(tree)


def test_seeds_are_constants(notebook):
    calls = [node for node in ast.walk(syntax(notebook)) if isinstance(node, ast.Call)]
    seeding = [c for c in calls if re.search(r"seed|default_rng", ast.unparse(c.func))]
    seeds = [argument for call in seeding for argument in call.args]
    seeds += [k.value for call in calls for k in call.keywords if k.arg == "seed"]
    computed = [s for s in seeds if any(isinstance(node, ast.Call) for node in ast.walk(s))]
    assert [ast.unparse(seed) for seed in computed] == []


def test_chapter_has_its_frame_in_order(chapter):
    text = "\n\n".join(cell.source for cell in cells(chapter, "markdown"))
    position = 0
    for part in FRAME:
        found = re.compile(part, re.MULTILINE).search(text, position)
        assert found, f"{part!r} is missing, or stands before what it should follow"
        position = found.end()


def test_every_exercise_has_its_answer(chapter):
    text = "\n\n".join(cell.source for cell in cells(chapter, "markdown"))
    exercises = re.findall(r"\{exercise\}[^\n]*\n:label: (\S+)", text)
    answers = re.findall(r"\{solution\} (\S+)\n:class: dropdown", text)
    assert exercises
    assert exercises == answers
