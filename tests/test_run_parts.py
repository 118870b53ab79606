"""``make test``: every part runs, and the end says what failed and how to repeat it."""

import sys

import pytest
import run_parts
from run_parts import Outcome


def printing(*lines: str, code: int = 0) -> list[str]:
    """A command that prints these lines and ends with this code."""
    program = "; ".join(f"print({line!r})" for line in lines)
    return [sys.executable, "-c", f"{program}; raise SystemExit({code})"]


@pytest.fixture
def parts(monkeypatch, tmp_path):
    """Parts in place of the real ones, and what needs what."""

    monkeypatch.setattr(run_parts, "ROOT", tmp_path)
    (tmp_path / "_build" / "html").mkdir(parents=True)

    def replace(commands: dict[str, list[str]], needs: dict[str, str]) -> None:
        monkeypatch.setattr(run_parts, "COMMANDS", commands)
        monkeypatch.setattr(run_parts, "NEEDS", needs)

    return replace


def test_every_part_runs_whatever_failed_but_for_what_needs_it(parts, capfd, tmp_path):
    failing = printing("\x1b[31mFAILED\x1b[0m tests/a.py::b[x y] - no", "the end", code=1)
    parts(
        {"first": failing, "second": printing("never"), "third": printing("3")}, {"second": "first"}
    )
    outcomes = dict(run_parts.run_all(["first", "second", "third"]))
    assert (outcomes["first"].code, outcomes["second"].code, outcomes["third"].code) == (1, None, 0)
    assert outcomes["first"].failures == ["FAILED tests/a.py::b[x y] - no"]
    assert outcomes["third"].failures == []
    assert not (tmp_path / "_build" / "html").exists()  # it would be an old site
    said = capfd.readouterr().out
    assert "the end" in said
    assert "never" not in said.replace("print('never')", "")


def test_a_part_that_names_nothing_is_shown_by_its_last_line(parts, tmp_path):
    (tmp_path / "Makefile").write_text("site:\n\t@echo broken; exit 2\n")
    parts({"site": ["make", "--silent", "-C", str(tmp_path), "site"]}, {})
    [(_, outcome)] = run_parts.run_all(["site"])
    assert outcome.failures == ["broken"]


def test_what_sphinx_warns_of_is_what_failed_in_the_site(parts):
    warning = "/somewhere/book/page.md:3: WARNING: image file not readable"
    for code, failures in ((1, [warning]), (0, [])):
        parts({"site": printing(warning, "build finished", code=code)}, {})
        [(_, outcome)] = run_parts.run_all(["site"])
        assert outcome.failures == failures


@pytest.mark.parametrize(
    ("failure", "command"),
    [
        ("FAILED tests/a.py::b - no", ".venv/bin/pytest tests/a.py::b"),
        ("FAILED tests/a.py::b[x y-z] - no", ".venv/bin/pytest 'tests/a.py::b[x y-z]'"),
        ("FAILED tests/a.py::b[x - y] - no", ".venv/bin/pytest 'tests/a.py::b[x - y]'"),
        ("FAILED tests/a.py::b[x] - assert [1] == [2]", ".venv/bin/pytest 'tests/a.py::b[x]'"),
        ("ERROR tests/a.py", ".venv/bin/pytest tests/a.py"),
        (
            "FAILED book/bayes.ipynb, cell [3] (assert x): AssertionError",
            ".venv/bin/pytest --nbmake book/bayes.ipynb",
        ),
        ("WARNING: document isn't included", None),
    ],
)
def test_what_failed_can_be_repeated(failure, command):
    assert run_parts.repeat(failure) == command


def test_the_summary_says_what_failed_in_each_part(parts):
    parts({"a": ["make", "a"], "b": ["make", "b"], "c": ["make", "c"]}, {"c": "b"})
    failures = [f"FAILED tests/x.py::t{i} - no" for i in range(run_parts.MOST_SHOWN + 2)]
    outcomes = [("a", Outcome(0, 61.0)), ("b", Outcome(1, 2.0, failures)), ("c", Outcome())]
    text = run_parts.summary(outcomes)
    assert "== All parts: 63 s" in text
    assert "a          passed    61 s" in text
    assert "b          FAILED     2 s   repeat: make b" in text
    assert "         .venv/bin/pytest tests/x.py::t0" in text
    assert "and 2 more" in text
    assert "c          not run, since b failed" in text
