"""The version stands in the package; what is written by hand says the same."""

import re
from importlib.metadata import version

import pytest

import bnn_tutorial as bt


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
def test_the_pages_that_name_it_agree(root, page, pattern):
    [written] = re.findall(pattern, (root / page).read_text(), re.MULTILINE)
    assert written == bt.__version__
