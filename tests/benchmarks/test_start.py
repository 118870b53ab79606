import json
from copy import deepcopy

import pytest
import start
from records import PAGE, table_in

RECORD = json.loads(start.RECORD.read_text())


def reached(record):
    rows = [row for row in start.table(record).splitlines() if row.startswith("|")][3:]
    return [row.split(" | ")[-1].removesuffix(" |") for row in rows]


def test_a_start_is_measured():
    used, passed = start.start(["-c", "sum(range(3_000_000))"])
    assert 0 < used < passed + 0.1
    with pytest.raises(RuntimeError, match="ended with 1"):
        start.start(["-c", "1 / 0"])


def test_every_start_is_compared_with_pytorchs_in_its_round(monkeypatch):
    times = {"import torch": [2.0, 4.0], "import bnn_tutorial": [1.0, 1.0]}
    counts = {}

    def once(arguments):
        code = " ".join(arguments[1:])
        number = counts[code] = counts.get(code, -2) + 1
        if number < 0:  # the first start only warms up
            return 9.0, 9.0
        return times.get(code, [3.0, 3.0])[number], 0.5

    monkeypatch.setattr(start, "start", once)
    found = start.measure(2)
    assert found["imports"]["`import bnn_tutorial`"]["ratio"]["median"] == pytest.approx(0.375)
    assert found["imports"][start.BASE]["ratio"]["median"] == 1
    assert {answer["seconds"]["median"] for answer in found["answers"].values()} == {0.5}


def test_a_target_that_is_missed_is_said_to_be():
    for kind, key, name, value in (
        ("imports", "ratio", "`import bnn_tutorial`", 1.16),
        ("answers", "seconds", "`train --help`", 1.01),
    ):
        record = deepcopy(RECORD)
        record[kind][name][key]["median"] = value
        assert sorted(reached(record)) == sorted(["no", *reached(RECORD)[1:]])


def test_the_page_has_the_table_of_the_recorded_results():
    assert table_in(PAGE.read_text(), "start") == start.table(RECORD)
