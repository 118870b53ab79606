"""What `make lint` checks: ruff, ESLint, and the types of the JavaScript and of the Python."""

import subprocess
import sys

import pytest


def assert_passes(command, root):
    checked = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    "command", [["eslint", "."], ["tsc"], ["pyright", "--pythonpath", sys.executable]]
)
def test_the_programs_of_node_find_no_mistake(command, root, node_modules):
    program, *arguments = command
    assert_passes([node_modules / ".bin" / program, *arguments], root)


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_ruff_finds_no_mistake(arguments, root):
    assert_passes([sys.executable, "-m", "ruff", *arguments, "."], root)
