"""The wheel, built from a clean clone: it works with what it requires and with nothing else."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from helpers.missing import missing
from packaging.requirements import Requirement

import bnn_tutorial as bt

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What the command prints; it must succeed."""
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what a clean clone would hold, once the working tree is committed."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked("."):
        copy = folder / "clone" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    run(sys.executable, "-m", "pip", "wheel", *options, folder / "clone")
    [wheel] = folder.glob("*.whl")
    return wheel


def tracked(folder: str) -> list[str]:
    """The files that git has below a folder, or would have."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        missing("no clone of the repository, or no git")
    options = ["--cached", "--others", "--exclude-standard"]
    names = run("git", "ls-files", *options, folder, cwd=ROOT).splitlines()
    return [name for name in names if (ROOT / name).is_file()]


def required(package: Distribution, found: dict[str, Distribution]) -> None:
    """Add to ``found``, by name, all that a package needs to be installed."""
    for text in package.requires or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            other = distribution(requirement.name)
            if other.name not in found:
                found[other.name] = other
                required(other, found)


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and links to the packages that it requires."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    options = ["--quiet", "--no-deps", "--no-index"]
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    [metadata] = folder.glob("lib/*/site-packages/bnn_tutorial-*.dist-info")
    found: dict[str, Distribution] = {}
    required(Distribution.at(metadata), found)
    assert {"torch", "anywidget", "sympy"} <= found.keys()
    assert not {"pytest", "jupyter-book", "tensorboard"} & found.keys()
    for package in found.values():
        for name in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
            link, target = metadata.parent / name, Path(package.locate_file(name))
            if target.exists() and not link.exists():
                link.symlink_to(target)
    return python


def test_it_has_every_file_of_the_package(wheel):
    names = [name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name]
    sources = "bnn_tutorial/figures/javascript/"  # of which the bundles are made
    expected = [name for name in tracked("bnn_tutorial") if not name.startswith(sources)]
    assert sorted(names) == sorted(expected)


def test_the_readmes_example_runs(python, tmp_path):
    readme = (ROOT / "README.md").read_text()
    [example] = re.findall(r"```python\n(import torch\n.*?)```", readme, re.DOTALL)
    shown = "\nprint(bt.__file__, low.shape, bool((low < high).all()))"
    output = run(python, "-I", "-W", "error", "-c", example + shown, cwd=tmp_path)
    file, rest = output.split(maxsplit=1)
    assert Path(file).is_relative_to(python.parents[1])
    assert rest == "torch.Size([200, 1]) True\n"


def test_every_figure_shows_itself(python, tmp_path):
    program = (
        "import bnn_tutorial as bt\n"
        "for name in bt.figures.__all__:\n"
        "    print(name, 'PageModel' in getattr(bt.figures, name)().to_html())\n"
    )
    output = run(python, "-I", "-c", program, cwd=tmp_path)
    assert output.split() == [word for name in bt.figures.__all__ for word in (name, "True")]


def test_its_names_and_its_command_line_are_there(python, tmp_path):
    program = "import bnn_tutorial as bt; print([getattr(bt, name) for name in bt.__all__])"
    run(python, "-I", "-c", program, cwd=tmp_path)
    command = "-m bnn_tutorial train --model mnist --data mnist --bayesian head --num-train 64"
    rest = ["--num-test", "64", "--epochs", "1", "--quiet", "--output", "digits"]
    assert "accuracy" in run(python, *command.split(), *rest, cwd=tmp_path)
