import pytest
import torch

import bnn_tutorial as bt


@pytest.fixture
def displayed(monkeypatch):
    bundles = []
    # The module has the function's name, by which the room knows the function.
    monkeypatch.setitem(
        bt.glue.__globals__,
        "display",
        lambda bundle, **options: bundles.append((bundle, options["metadata"])),
    )
    return bundles


def test_glued_values_are_what_myst_nb_reads(displayed):
    from myst_nb.ext.glue import extract_glue_data_cell
    from nbformat.v4 import new_code_cell, new_output

    bt.glue(chapter_share=torch.tensor(0.25), chapter_word="few")
    outputs = [
        new_output("display_data", data=data, metadata=metadata) for data, metadata in displayed
    ]
    cell = new_code_cell(outputs=outputs)
    glued = {name: output["data"]["text/plain"] for name, output in extract_glue_data_cell(cell)}
    assert glued == {"chapter_share": "0.25", "chapter_word": "'few'"}
    assert cell.outputs == []


def test_a_live_notebook_shows_name_and_value(displayed):
    bt.glue(chapter_count=3)
    assert displayed[0][0]["text/plain"] == "chapter_count = 3"


def test_other_values_are_errors(displayed):
    with pytest.raises(TypeError, match=r"share=.*expected a number or a string"):
        bt.glue(share=[1, 2])
