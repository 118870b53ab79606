import json
import math

import pytest
import records
import torch


def complete(path, plan, settings, made=None):
    def run(row, seed):
        if made is not None:
            made.append((row, seed))
        return {"row": row, "seed": seed, "value": 10 * row + seed}

    records.complete_record(
        path,
        plan,
        run=run,
        key=lambda made: (made["row"], made["seed"]),
        summaries=lambda runs: [{"sum": sum(run["value"] for run in runs)}],
        settings=settings,
    )


def test_a_record_is_completed_and_what_it_has_is_kept(tmp_path):
    path, made = tmp_path / "record.json", []
    complete(path, [(1, 0)], {"epochs": 2}, made)
    complete(path, [(0, 0), (1, 0), (0, 1)], {"epochs": 2}, made)
    assert made == [(1, 0), (0, 0), (0, 1)]
    record = json.loads(path.read_text())
    assert [(run["row"], run["seed"]) for run in record["runs"]] == [(0, 0), (0, 1), (1, 0)]
    assert record["summary"] == [{"sum": 11}]
    assert record["settings"] == {"epochs": 2}


def test_runs_under_other_settings_are_not_mixed(tmp_path):
    path = tmp_path / "record.json"
    complete(path, [(0, 0)], {"cases": (1, 2)})
    complete(path, [(0, 0)], {"cases": (1, 2)})  # a tuple, which JSON holds as a list
    before = path.read_text()
    with pytest.raises(ValueError, match=r"was made under .*\[1, 2\].*: expected .*\[1, 3\]"):
        complete(path, [(0, 0), (0, 1)], {"cases": (1, 3)})
    assert path.read_text() == before


def product(left, right):
    """A run that another process can be handed."""
    return {
        "left": left,
        "right": right,
        "product": left * right,
        "threads": torch.get_num_threads(),
    }


def test_runs_side_by_side_make_the_same_record(tmp_path):
    plan = [(left, right) for left in range(2) for right in range(2)]
    settings = {
        "run": product,
        "key": lambda made: (made["left"], made["right"]),
        "summaries": lambda runs: [{"sum": sum(run["product"] for run in runs)}],
        "settings": {},
    }
    records.complete_record(tmp_path / "record.json", plan, **settings, jobs=2)
    record = json.loads((tmp_path / "record.json").read_text())
    assert [(run["left"], run["right"]) for run in record["runs"]] == plan
    assert {run["threads"] for run in record["runs"]} == {1}
    assert record["summary"] == [{"sum": 1}]


def test_an_error_is_the_mean_s_and_none_of_one_value():
    assert records.standard_error([1.0, 3.0]) == pytest.approx(math.sqrt(2) / math.sqrt(2))
    assert records.standard_error([1.0]) is None
