"""The API reference: every public name, once, and docstrings that speak of what is there."""

import builtins
import inspect
import re
from collections import Counter
from types import FunctionType

import pytest
import torch
from bs4 import BeautifulSoup
from sphinx.ext.napoleon import GoogleDocstring

import bnn_tutorial
from bnn_tutorial import derivations, figures
from bnn_tutorial.chapters import plotting
from bnn_tutorial.datasets import corruptions, polynomial
from bnn_tutorial.derivations import identity
from bnn_tutorial.figures.figure import Figure

DIRECTIVE = re.compile(r"^\.\. (currentmodule|auto\w+):: ([\w.]+)(?:\([^)]*\))?$", re.MULTILINE)
FORMULA = re.compile(r"\.\. math::|:math:`")


def members(owner: object) -> dict[str, object]:
    """The functions, classes and properties that a module or class defines itself and shows.

    Those of a class include what it has from a public class of its module.
    """
    owners = [owner]
    if inspect.isclass(owner):
        name, bases = owner.__module__, owner.__mro__[1:]
        owners += [b for b in bases if b.__module__ == name and not b.__name__.startswith("_")]
    else:
        name = owner.__name__
    shown = {key: value for part in reversed(owners) for key, value in vars(part).items()}
    return {
        f"{owner.__name__}.{key}": value
        for key, value in shown.items()
        if not key.startswith("_")
        if isinstance(value, property | classmethod | staticmethod)
        or (isinstance(value, FunctionType | type) and value.__module__ == name)
    }


def public_objects() -> dict[str, object]:
    """What a reader can use, by its name on the page: exports, their methods and properties."""
    found = {f"bnn_tutorial.{name}": getattr(bnn_tutorial, name) for name in bnn_tutorial.__all__}
    found["bnn_tutorial.datasets.polynomial"] = polynomial
    found["bnn_tutorial.figures.figure.Figure"] = Figure
    found |= {f"bnn_tutorial.figures.{name}": getattr(figures, name) for name in figures.__all__}
    for module in (corruptions, plotting, derivations, identity):
        found |= members(module)
    for name, value in list(found.items()):
        if inspect.isclass(value):
            prefix = name.rpartition(".")[0]
            found |= {f"{prefix}.{member}": object_ for member, object_ in members(value).items()}
    return {name: value for name, value in found.items() if not inspect.ismodule(value)}


EXPORTS = {name: getattr(bnn_tutorial, name) for name in bnn_tutorial.__all__}
OBJECTS = public_objects()
DOCSTRINGS = {name: inspect.cleandoc(value.__doc__ or "") for name, value in OBJECTS.items()}


def parameters(value: object) -> list[str]:
    """The names of the arguments, without self; a property has none."""
    if isinstance(value, property):
        return []
    function = value.__init__ if inspect.isclass(value) else getattr(value, "__func__", value)
    names = inspect.signature(function).parameters
    return [name for name in names if name not in ("self", "cls", "args", "kwargs")]


def fields(docstring: str, kind: str) -> list[str]:
    """The names that the sections "Args" or "Raises" of a docstring describe."""
    text = str(GoogleDocstring(docstring, what="function"))
    return [name.lstrip("\\*") for name in re.findall(rf"^:{kind} ([^:]+):", text, re.MULTILINE)]


def borrowed(docstring: str) -> set[str]:
    """The arguments of the functions of which the docstring says that its own are theirs."""
    sentences = [part for part in re.split(r"\.\s", docstring) if "rguments" in part]
    references = re.findall(r":\w+:`([\w.]+)`", " ".join(sentences))
    scope = {"torch": torch, **EXPORTS}
    return {name for reference in references for name in parameters(eval(reference, scope))}


def test_every_public_name_stands_in_the_reference_once(root):
    found = Counter()
    for page in sorted((root / "book" / "api").glob("*.md")):
        module = ""
        for kind, name in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind == "currentmodule":
                module = name
            else:
                found[name if name.startswith("bnn_tutorial.") else f"{module}.{name}"] += 1
    # A module stands there under the name of its room.
    exported = {name: getattr(bnn_tutorial, name) for name in bnn_tutorial.__all__}
    expected = [
        value.__name__ if inspect.ismodule(value) else f"bnn_tutorial.{name}"
        for name, value in exported.items()
    ]
    expected += [f"bnn_tutorial.figures.{name}" for name in figures.__all__]
    assert {name: found[name] for name in expected} == dict.fromkeys(expected, 1)


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_begins_with_one_sentence(name):
    summary = " ".join(DOCSTRINGS[name].partition("\n\n")[0].split())
    assert re.fullmatch(r"\S.*\.", summary), f"no sentence: {summary!r}"
    assert not re.search(r"[.!?]\s", summary), f"more than one sentence: {summary!r}"


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_names_the_arguments_there_are(name):
    docstring, actual = DOCSTRINGS[name], parameters(OBJECTS[name])
    described = fields(docstring, "param")
    assert described == [parameter for parameter in actual if parameter in described]
    text = re.split(r"\nExamples?:\n", docstring)[0]
    known = set(re.findall(r"\w+", text)) | borrowed(text)
    assert [parameter for parameter in actual if parameter not in known] == []


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_names_errors_there_are(name):
    docstring = DOCSTRINGS[name]
    known = {**vars(builtins), **EXPORTS, **vars(identity)}
    for error in fields(docstring, "raises"):
        assert issubclass(known[error], Exception)
    raises = docstring.partition("\nRaises:\n")[2].partition("\n\n")[0]
    mentioned = re.findall(r"``([a-z_]+)(?:=[^`]*)?``", raises)
    known = {*parameters(OBJECTS[name]), *borrowed(docstring)}
    owner = name.rpartition(".")[0]
    if owner in OBJECTS:  # a method may say which other one has to come first
        known |= {other.rpartition(".")[2] for other in OBJECTS if other.startswith(f"{owner}.")}
    assert [parameter for parameter in mentioned if parameter not in known] == []


def test_pages_show_every_name_with_its_formulas(site, root):
    formulas = Counter()
    for source in sorted((root / "book" / "api").glob("*.md")):
        page = (site / "book" / "api" / f"{source.stem}.html").read_text(encoding="utf-8")
        for entry in BeautifulSoup(page, "html.parser").select("dl.py > dt[id]"):
            rendered = entry.parent.select(":scope > dd .math")
            own = [math for math in rendered if math.find_parent("dl", "py") is entry.parent]
            assert entry["id"] not in formulas
            formulas[entry["id"]] = len(own)
    exported = {f"bnn_tutorial.{name}" for name in bnn_tutorial.__all__}
    exported |= {f"bnn_tutorial.figures.{name}" for name in figures.__all__}
    assert exported & set(OBJECTS) <= set(formulas)
    assert formulas == {name: len(FORMULA.findall(DOCSTRINGS[name])) for name in formulas}
