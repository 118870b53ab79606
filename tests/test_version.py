"""The version stands in the package; what is written by hand says the same."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

import bnn_tutorial as bt

ROOT = Path(__file__).parents[1]


def test_the_installed_package_has_it():
    assert version("bnn-tutorial") == bt.__version__


@pytest.mark.parametrize(
    ("page", "pattern"),
    [
        ("CITATION.cff", r"^version: (\S+)$"),
        ("book/running.md", r"PyTorch\*, version (\S+)\.$"),
        ("book/running.md", r"note   = {Version (\S+)}$"),
    ],
)
def test_the_pages_that_name_it_agree(page, pattern):
    [written] = re.findall(pattern, (ROOT / page).read_text(), re.MULTILINE)
    assert written == bt.__version__
