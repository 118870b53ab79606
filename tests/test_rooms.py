"""The package's rooms: each uses only what lies below it, and no two modules use each other."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import bnn_tutorial as bt

PACKAGE = Path(bt.__file__).parent
# From the ground up; ARCHITECTURE.md says what lies where.
FLOORS = (
    "argument_checks",
    "atomic_write",
    "tensor_checks",
    "randomness",
    "batches",
    "datasets",
    "models",
    "model_files",
    "evaluation",
    "layers",
    "likelihoods",
    "prediction",
    "training",
    "posteriors",
    "figures",
    "chapters",
    "derivations",
    "command_line",
)


def name_of(file: Path, root: Path) -> str:
    parts = file.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(root: Path = PACKAGE) -> dict[str, set[str]]:
    """The package's own modules that each of its modules imports, wherever in its code."""
    files = {name_of(file, root): file for file in root.rglob("*.py")}
    found: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                wanted = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            found[name] |= {module for module in wanted if module in files} - {name}
    return found


def room(module: str) -> str:
    return module.split(".")[1]


def upward(graph: dict[str, set[str]]) -> list[str]:
    """The imports that lead from a room to one that lies above it."""
    return [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if name.count(".") and other.count(".")
        if FLOORS.index(room(name)) < FLOORS.index(room(other))
    ]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some modules that import one another in a circle, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def without_main(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    return {name: others for name, others in graph.items() if not name.endswith("__main__")}


def test_every_room_has_a_floor_and_a_sentence_about_itself():
    rooms = {name.partition(".")[2] for name in without_main(imports()) if name.count(".") == 1}
    assert rooms == set(FLOORS)
    for name in rooms:
        face = PACKAGE / name / "__init__.py"
        file = face if face.exists() else PACKAGE / f"{name}.py"
        assert ast.get_docstring(ast.parse(file.read_text())), file


def test_no_import_leads_back_up():
    assert upward(without_main(imports())) == []


def test_no_modules_import_one_another_in_a_circle():
    # What lies in a room passes by its face, which imports it all.
    graph = {
        name: {other for other in others if not name.startswith(f"{other}.")}
        for name, others in without_main(imports()).items()
    }
    assert circle(graph) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"layers/a.py": "from package.training import b", "training/b.py": ""}, "upward"),
        (
            {"layers/a.py": "import package.layers.b", "layers/b.py": "import package.layers.a"},
            "circle",
        ),
        (
            {"layers/a.py": "", "training/b.py": "def late():\n    from package.layers import a"},
            None,
        ),
    ],
)
def test_a_wrong_import_is_named(tmp_path, files, expected):
    for name, content in files.items():
        file = tmp_path / "package" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.write_text(content)
    (tmp_path / "package" / "__init__.py").touch()
    graph = imports(tmp_path / "package")
    assert bool(upward(graph)) == (expected == "upward")
    assert bool(circle(graph)) == (expected == "circle")


def test_no_test_imports_another():
    tests = Path(__file__).parent
    found = [
        f"{file.relative_to(tests)} imports {module}"
        for file in tests.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if module.startswith("test_")
    ]
    assert found == []
