"""What ``import bnn_tutorial`` and its names bring along: nothing before it is used."""

import ast
import json
import subprocess
import sys
from pathlib import Path

from start import SHOWING

import bnn_tutorial as bt

HEAVY = {"torchvision", "anywidget", "ipywidgets", "IPython", "sympy", "matplotlib"}
HEAVY |= {"scipy", "sklearn"}
LOADED = """
import sys, json
import bnn_tutorial
for name in sys.argv[1:]:
    getattr(bnn_tutorial, name)
print(json.dumps(sorted({module.partition(".")[0] for module in sys.modules})))
"""


def loaded(*names: str) -> set[str]:
    """The packages that are loaded once these names of the package have been used."""
    command = [sys.executable, "-c", LOADED, *names]
    return {*json.loads(subprocess.run(command, capture_output=True, check=True).stdout)}


def test_a_plain_import_brings_no_other_package():
    assert loaded() - sys.stdlib_module_names - loaded_by_python() == {
        "bnn_tutorial",
        "lazy_loader",
    }


def loaded_by_python() -> set[str]:
    """What an environment's own start loads, such as the finder of an editable installation."""
    command = [sys.executable, "-c", "import sys; print(*sys.modules)"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in output.split()}


def test_what_trains_and_predicts_brings_pytorch_and_nothing_for_notebooks():
    found = loaded(*(name for name in bt.__all__ if name not in SHOWING))
    assert "torch" in found
    assert not HEAVY & found


def test_data_sets_bring_torchvision_only_to_fetch_them():
    program = "import sys, bnn_tutorial; bnn_tutorial.load_mnist(); print(*sys.modules)"
    command = [sys.executable, "-c", program]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in modules
    assert "torchvision" not in modules


def test_type_checkers_see_the_names_that_there_are():
    stub = ast.parse(Path(bt.__file__).with_suffix(".pyi").read_text())
    [assigned] = [node for node in stub.body if isinstance(node, ast.Assign)]
    # Ruff sorts them, names in capitals first.
    assert sorted(ast.literal_eval(assigned.value)) == sorted(bt.__all__) == sorted(dir(bt))
    for name in bt.__all__:
        assert getattr(bt, name) is not None
