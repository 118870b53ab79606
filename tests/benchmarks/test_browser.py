import json
import re
from copy import deepcopy

import browser as benchmark
import browser_table
import pytest
from helpers.missing import missing
from records import PAGE, table_in

from bnn_tutorial.figures import BayesByCounting

RECORD = {
    "playground": {
        "hidden_units": 50,
        "points": 60,
        "steps_per_second": {"median": 500, "lowest": 400},
        "frames_per_second": 59.6,
        "frame_milliseconds": {"median": 16.7, "p95": 17.0},
    },
    "digit": {"draws": 30, "answer_milliseconds": {"median": 50, "p95": 100}},
    "figures": {"A": {"script": 60_000, "html": 70_000}, "B": {"script": 1, "html": 2}},
    "pages": {
        "a.html": {"figures": 1, "seconds": 0.5, "bytes": 1_000_000, "shift": 0.01},
        "b.html": {"figures": 0, "seconds": 0.2, "bytes": 1, "shift": 0.02},
    },
    "plain_seconds": 0.5 / 3,
}


@pytest.fixture(scope="module")
def chromium():
    try:
        with benchmark.chromium(one_core=False) as browser:
            yield browser
    except FileNotFoundError as error:
        missing(str(error))


def reached(record):
    return [row.split(" | ")[-1].removesuffix(" |") for row in browser_table.target_lines(record)]


def test_targets_are_reached_at_their_very_values():
    assert reached(RECORD) == ["yes"] * 8


@pytest.mark.parametrize(
    ("path", "value", "row"),
    [
        (("playground", "steps_per_second", "median"), 499, 0),
        (("playground", "frames_per_second"), 59.4, 1),
        (("digit", "answer_milliseconds", "p95"), 101, 2),
        (("figures", "B", "script"), 60_001, 3),
        (("pages", "b.html", "bytes"), 1_000_001, 5),
        (("plain_seconds",), 0.16, 6),
        (("pages", "a.html", "shift"), 0.021, 7),
    ],
)
def test_a_target_that_is_missed_is_said_to_be(path, value, row):
    record = deepcopy(RECORD)
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert [i for i, answer in enumerate(reached(record)) if answer == "no"] == [row]


def test_a_page_that_is_too_slow_is_named():
    record = deepcopy(RECORD)
    record["pages"]["b.html"]["seconds"] = 0.51
    record["plain_seconds"] = 0.17
    assert reached(record) == ["yes"] * 4 + ["no"] + ["yes"] * 3
    assert "b.html" in browser_table.target_lines(record)[4]


def test_a_plain_page_has_six_thousand_words_and_nothing_moves_on_it(chromium, tmp_path):
    page = tmp_path / "plain.html"
    page.write_text(benchmark.PLAIN, encoding="utf-8")
    words = re.sub("<[^>]+>", " ", benchmark.PLAIN.partition("</title>")[2]).split()
    assert len(words) == 6000
    result = benchmark.measure_page(chromium, page, 2)
    assert result["shift"] == 0
    assert 0 < result["seconds"] < 10


def test_a_page_is_weighed_with_all_that_it_loads(chromium, tmp_path):
    (tmp_path / "style.css").write_text("p { color: red }")
    (tmp_path / "unused.css").write_text("p { color: blue }")
    link = '<link rel="stylesheet" href="style.css">'
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html>{link}{BayesByCounting().to_html()}", encoding="utf-8")
    result = benchmark.measure_page(chromium, page, 2)
    assert result["figures"] == 1
    assert result["html_bytes"] == page.stat().st_size
    assert result["bytes"] == page.stat().st_size + (tmp_path / "style.css").stat().st_size
    assert 0 < result["figures_seconds"] <= result["seconds"] < 1000  # no milliseconds


def test_the_playground_trains_while_its_frames_are_counted(chromium):
    result = benchmark.measure_playground(chromium, seconds=1)
    assert (result["hidden_units"], result["points"]) == (50, 60)
    assert result["steps_per_second"]["median"] >= result["steps_per_second"]["lowest"] > 0
    assert result["frames"] >= 2
    assert result["frame_milliseconds"]["median"] > 0


def test_digits_are_answered(chromium):
    result = benchmark.measure_digit(chromium, clicks=2)
    assert 0 < result["answer_milliseconds"]["median"] <= result["answer_milliseconds"]["p95"]


def test_the_page_has_the_table_of_the_recorded_results():
    record = json.loads(browser_table.RECORD.read_text())
    page = PAGE.read_text()
    assert table_in(page, "browser") == browser_table.table(record)
