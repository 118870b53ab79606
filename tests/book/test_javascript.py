"""The JavaScript of figures, pages and tests: ESLint finds no mistake, TypeScript no wrong type."""

import subprocess

import pytest


@pytest.mark.parametrize("command", ["eslint .", "tsc"])
def test_javascript_is_as_it_should_be(command, root, node_modules):
    program, *arguments = command.split()
    checked = subprocess.run(
        [node_modules / ".bin" / program, *arguments], cwd=root, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
