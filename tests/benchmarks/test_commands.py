import json
import re
from copy import deepcopy

import commands
import pytest
from records import ROOT, table_in

RECORD = json.loads(commands.RECORD.read_text())


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 00 s"), (59.4, "59 s"), (125, "2 min 05 s")]
)
def test_times_in_words(seconds, words):
    assert commands.clock(seconds) == words


@pytest.mark.parametrize("name", commands.TARGETS)
def test_a_target_that_is_missed_by_a_second_is_said_to_be(name):
    for more, reached in ((0, "yes"), (1, "no")):
        record = deepcopy(RECORD)
        record["commands"][name] = commands.TARGETS[name] + more
        [row] = [r for r in commands.table(record).splitlines() if commands.WORDS[name] in r]
        assert row.endswith(f"| {reached} |")


def test_a_command_that_fails_is_no_time(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    (tmp_path / "Makefile").write_text("good:\n\t@true\nbad:\n\t@false\n")
    assert commands.seconds("good", busy=True) > 0
    with pytest.raises(commands.subprocess.CalledProcessError):
        commands.seconds("bad")


def test_contributing_has_the_table_of_the_recorded_results():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert table_in(page, "commands") == commands.table(RECORD)
    assert re.search(r"make test`, nothing executed before \| \d+ min", page)
