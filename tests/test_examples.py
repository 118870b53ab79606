"""The examples in the docstrings: every public name has one, and each prints what it says."""

import doctest
import importlib
import inspect
import io
import pkgutil
from types import ModuleType

import pytest

import bnn_tutorial as bt
from bnn_tutorial.chapters import plotting
from bnn_tutorial.datasets import corruptions, polynomial
from bnn_tutorial.derivations import identity
from bnn_tutorial.figures.figure import Figure


def found_in(module: ModuleType) -> dict[str, object]:
    """The public functions and classes of a module that lists them, by name."""
    values = {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in values.items()
        if inspect.isfunction(value) or inspect.isclass(value)
    }


def public() -> dict[str, object]:
    """What must have an example, by the name under which a reader finds it."""
    own = {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in (corruptions, plotting)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
    }
    checking = ("symbolic", "exact", "quadrature", "monte_carlo", "Identity", "CheckTable")
    found = found_in(bt) | {"datasets.polynomial": polynomial, "figures.Figure": Figure}
    found |= {f"figures.{name}": value for name, value in found_in(bt.figures).items()}
    found |= own
    found |= {f"derivations.{name}": getattr(identity, name) for name in checking}
    return found | {"derivations.check": bt.derivations.check}


def examples() -> list[doctest.DocTest]:
    """Every example of the package, to be run with what it imports itself and nothing else."""
    modules = [bt]
    for module in pkgutil.walk_packages(bt.__path__, "bnn_tutorial."):
        modules.append(importlib.import_module(module.name))
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for module in modules for test in finder.find(module, globs={})]
    return [test for test in found if test.examples]


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_an_example(name):
    has_example = ">>> " in (PUBLIC[name].__doc__ or "")
    assert has_example, f"{name}: no example in its docstring"


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_example_prints_what_it_says(example):
    said = io.StringIO()
    result = doctest.DocTestRunner(verbose=False).run(example, out=said.write)
    assert result.failed == 0, said.getvalue()
