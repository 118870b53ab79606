"""The environment that is tested is the one that ``requirements.txt`` describes."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def foreign(pins: list[str]) -> list[str]:
    """What is installed in another version than these lines of requirements pin, or not at all."""
    found = []
    for line in pins:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            installed = "missing"
        if installed == "missing" or not requirement.specifier.contains(
            installed, prereleases=True
        ):
            found.append(f"{requirement.name} is {installed}, pinned {requirement.specifier}")
    return found


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="another environment than .venv")
def test_every_package_has_the_version_that_is_pinned():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and line[0] not in "# "]
    assert len(pins) > 100
    assert foreign(pins) == [], "remove .venv/installed and run `make book`"


def test_another_version_and_a_missing_package_are_named():
    here = version("pytest")
    assert foreign([f"pytest=={here}", "nothing-of-the-kind==1 ; sys_platform == 'nowhere'"]) == []
    assert foreign(["pytest==1.0", "nothing-of-the-kind==1"]) == [
        f"pytest is {here}, pinned ==1.0",
        "nothing-of-the-kind is missing, pinned ==1",
    ]
