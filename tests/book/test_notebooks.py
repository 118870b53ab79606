"""What every notebook keeps to, read from its source: no outputs, short cells, the frame."""

import ast
import re
from collections import Counter
from pathlib import Path
from statistics import median

import nbformat
import reading_times
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


def test_notebook_states_the_minutes_that_the_script_measures(notebook):
    stated = reading_times.STATED.findall(notebook.read_text(encoding="utf-8"))
    measured = f"{reading_times.minutes(reading_times.measure(notebook))} minutes to read"
    assert stated in ([], [measured]), "run scripts/reading_times.py --write"


def test_no_chapter_needs_a_rest(chapter):
    """A chapter longer than that is two."""
    assert reading_times.minutes(reading_times.measure(chapter)) <= reading_times.LONGEST


def test_what_is_read_is_counted_and_what_is_folded_is_not(tmp_path):
    def counted(*parts: NotebookNode) -> dict[str, int]:
        path = tmp_path / "counted.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[*parts]), path)
        return {kind: count for kind, count in reading_times.measure(path).items() if count}

    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    prose = (
        "# Two words\n\nOne $a + b$ and [a link](page.ipynb#place), {glue:text}`some_number:.2f`."
    )
    assert counted(markdown(prose)) == {"words": 8}
    assert counted(markdown("Then\n\n$$ a = b $$ (eq-a)\n\nso")) == {"words": 2, "equations": 1}
    exercise = "```{exercise}\n:label: one\nCompute it.\n```"
    assert counted(markdown(f"Try it.\n\n{exercise}")) == {"words": 2}
    assert counted(code("a = 1\n\nb = 2")) == {"lines of code": 2}
    assert counted(code("a = 1", metadata={"tags": ["hide-input"]})) == {}
    assert counted(code("check('?')", metadata={"tags": ["remove-input"]})) == {"questions": 1}
    figure = {"tags": ["hide-input"], "mystnb": {"figure": {"caption": "one"}}}
    assert counted(code("draw()", metadata=figure)) == {"figures": 1}
    table = {"tags": ["hide-input"], "mystnb": {"markdown_format": "myst"}}
    assert counted(code("rows()", metadata=table)) == {"tables": 1}
    dynamic = code("bt.figures.TwoKinds()", metadata={"tags": ["hide-input"]})
    assert counted(dynamic) == {"figures to play with": 1}
    assert reading_times.minutes(Counter(words=400, figures=2)) == 4
