"""What the code imports, ``pyproject.toml`` declares, for the part that needs it."""

import ast
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PYTHONPATH = [ROOT / name for name in PYPROJECT["tool"]["pytest"]["ini_options"]["pythonpath"]]
# Beside the package's own dependencies: the extras, and the dependency groups.
PARTS = {
    "bnn_tutorial/**/*.py": (),
    "book/*.ipynb": ("book",),
    "book/_extensions/*.py": ("book",),
    "benchmarks/**/*.py": ("book", "dev", "benchmark"),
    "scripts/**/*.py": ("book", "dev"),
    "tests/**/*.py": ("book", "dev"),
}
# Of the group "benchmark", which is in an environment of its own.
ELSEWHERE = {"blitz": ["blitz-bayesian-pytorch"]}
DISTRIBUTIONS = ELSEWHERE | packages_distributions()


def declared(names: Iterable[str]) -> set[str]:
    """The distributions that the package and these extras or groups declare, and the package."""
    more = PROJECT["optional-dependencies"] | PYPROJECT["dependency-groups"]
    lines = [PROJECT["name"], *PROJECT["dependencies"]]
    lines += [line for name in names for line in more[name]]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports, except Python's own and the modules beside it."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(source, as_version=4).cells
        source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module)
    own = {file.stem for folder in (path.parent, *PYTHONPATH) for file in folder.iterdir()}
    return {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names


def undeclared(files: Iterable[Path], allowed: set[str]) -> list[str]:
    """A line for each file and package that it imports, of which no distribution is allowed."""
    return [
        f"{file} imports {name}, which is of {' or '.join(distributions)}"
        for file in sorted(files)
        for name in sorted(imported(file))
        if (distributions := DISTRIBUTIONS.get(name, [name]))
        if not allowed & {*map(canonicalize_name, distributions)}
    ]


@pytest.mark.parametrize("part", PARTS)
def test_what_is_imported_is_declared(part):
    files = [*ROOT.glob(part)]
    assert files
    assert undeclared(files, declared(PARTS[part])) == [], f"missing in pyproject.toml for {part}"


def test_an_import_that_is_not_declared_is_named(tmp_path):
    (tmp_path / "beside.py").touch()
    file = tmp_path / "analysis.py"
    file.write_text("import beside, os, numpy.linalg\ndef f():\n    from bs4.dammit import x\n")
    assert undeclared([file], {"numpy"}) == [f"{file} imports bs4, which is of beautifulsoup4"]
