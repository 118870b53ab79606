"""How long a notebook takes to read, from its words and displays; `--write` puts it below "Time".

    python scripts/reading_times.py [--write] [book/bayes.ipynb ...]

Counted is what the page shows: words of prose, displayed equations, lines of code in sight, tables,
figures, figures to play with, questions. Not counted are exercises, their answers and folded code.
The paces are a choice, made so that a reader who stops at each display is not hurried.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter
from pathlib import Path

import nbformat

WORDS_A_MINUTE = 200
MINUTES_EACH = {
    "equations": 0.5,
    "lines of code": 1 / 15,
    "tables": 0.5,
    "figures": 0.75,
    "figures to play with": 2.0,
    "questions": 0.5,
}
LONGEST = 45  # minutes, of a chapter
STATED = re.compile(r"\b\d+ minutes to read\b")
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}


def prose(markdown: str) -> tuple[str, int]:
    """Return the words that are read, without formulas and marks, and the displayed equations."""
    markdown = re.sub(
        r"^(`{3,}|:{3,})\{(exercise|solution)\}.*?^\1$", "", markdown, flags=re.M | re.S
    )
    equations = len(re.findall(r"\$\$.*?\$\$", markdown, flags=re.S))
    markdown = re.sub(r"\$\$.*?\$\$( \([\w-]+\))?", "", markdown, flags=re.S)
    markdown = re.sub(r"\$[^$]+\$", "formula", markdown)
    markdown = re.sub(r"\{glue:text\}`[^`]*`", "number", markdown)
    markdown = re.sub(r"\{[\w:]+\}`([^`<]*)(<[^>]*>)?`", r"\1", markdown)
    markdown = re.sub(r"\]\([^)]*\)", "]", markdown)
    return re.sub(r"^\|[-:| ]+\|$|[|#*`]", " ", markdown, flags=re.M), equations


def measure(path: Path) -> Counter[str]:
    """Return how many of each thing a notebook's page shows."""
    counts: Counter[str] = Counter()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            text, equations = prose(cell.source)
            counts["words"] += len(re.findall(r"\w[\w’'-]*", text))
            counts["equations"] += equations
            continue
        tags = set(cell.metadata.get("tags", []))
        if tags & {"remove-cell"}:
            continue
        if not tags & HIDDEN:
            counts["lines of code"] += sum(bool(line.strip()) for line in cell.source.splitlines())
        if re.search(r"^(ask|check)\(|\bfigures\.Question\b", cell.source, flags=re.M):
            counts["questions"] += 1
        elif re.search(r"\bbt\.figures\.\w+\(", cell.source):
            counts["figures to play with"] += 1
        elif "figure" in cell.metadata.get("mystnb", {}):
            counts["figures"] += 1
        elif "markdown_format" in cell.metadata.get("mystnb", {}):
            counts["tables"] += 1
    return counts


def minutes(counts: Counter[str]) -> int:
    """Return the whole minutes that these counts take."""
    displays = sum(pace * counts[kind] for kind, pace in MINUTES_EACH.items())
    return math.ceil(counts["words"] / WORDS_A_MINUTE + displays)


def main() -> None:
    """Print what each notebook shows and takes, and write the minutes where asked."""
    parser = argparse.ArgumentParser(description="How long a notebook takes to read.")
    parser.add_argument("--write", action="store_true", help="put the minutes into the notebooks")
    parser.add_argument("notebooks", nargs="*", type=Path)
    arguments = parser.parse_args()
    for path in arguments.notebooks or sorted(Path("book").glob("*.ipynb")):
        counts = measure(path)
        shown = ", ".join(f"{counts[kind]} {kind}" for kind in ("words", *MINUTES_EACH))
        print(f"{path.stem}: {minutes(counts)} minutes ({shown})")
        if arguments.write:
            source = path.read_text()
            path.write_text(STATED.sub(f"{minutes(counts)} minutes to read", source, count=1))


if __name__ == "__main__":
    main()
