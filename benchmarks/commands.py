"""How long ``make book`` and ``make test`` take, and where the time goes.

Explained in CONTRIBUTING, section "Where the time goes". ``make benchmark-commands`` runs both, one
of them more than once, in a quarter of an hour, on a machine that does nothing else, and writes
CONTRIBUTING's table. The environment must be in place; all that was executed and built is removed.
"""

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from records import RESULTS, ROOT, first_line, line, machine, write_record, write_table

RECORD = RESULTS / "commands.json"
BUILD = ROOT / "_build"
# Seconds, on two cores.
TARGETS = {"book": 180, "book beside a busy process": 450, "book again": 15, "test": 480}
WORDS = {
    "book": "`make book`, nothing executed before",
    "book beside a busy process": "the same, beside a process that keeps one core busy",
    "book again": "`make book`, nothing changed",
    "test": "`make test`, nothing executed before",
}


def forget() -> None:
    """Remove what was executed and built."""
    for name in ("execution", "html", ".doctrees", "jupyter_execute"):
        shutil.rmtree(BUILD / name, ignore_errors=True)


def seconds(target: str, *, busy: bool = False) -> float:
    """Return how long a target of make takes, beside a process that is busy if that is wanted.

    Raises:
        CalledProcessError: it fails.
    """
    with ExitStack() as stack:
        if busy:
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"])
            )
            stack.callback(process.kill)
        start = time.perf_counter()
        subprocess.run(["make", "--silent", target], cwd=ROOT, check=True)
        return time.perf_counter() - start


def notebook_seconds() -> dict[str, float]:
    """Return how long each notebook took when it was executed last."""
    from jupyter_cache import get_cache

    [folder] = (BUILD / "execution").iterdir()
    records = get_cache(folder).list_cache_records()
    seconds: dict[str, Any] = {Path(str(r.uri)).stem: r.data["execution_seconds"] for r in records}
    return seconds


def measure() -> dict:
    """Run the commands and return their times, those of the parts, and those of the notebooks."""
    forget()
    commands = {"book": seconds("book"), "book again": seconds("book")}
    notebooks = notebook_seconds()
    forget()
    commands["book beside a busy process"] = seconds("book", busy=True)
    forget()
    commands["test"] = seconds("test")
    parts = json.loads((BUILD / "test-seconds.json").read_text())
    return {"commands": commands, "parts": parts, "notebooks": notebooks}


def clock(value: float) -> str:
    """Return seconds in words."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def table(record: dict) -> str:
    """Return the Markdown that stands between the two marks in CONTRIBUTING."""
    computer, before = record["machine"], record["before"]
    intro = (
        f"Measured on {computer['date']}: {computer['cpu']}, {computer['cores']} cores, torch "
        f'{computer["versions"]["torch"]}. "Before" is commit {before["commit"]} on that machine.'
    )
    commands = [line(["command", "measured", "before", "target", "reached"]), line(["---"] * 5)]
    for name, target in TARGETS.items():
        found = record["commands"][name]
        old = before["commands"].get(name)
        past = "" if old is None else f"{clock(old)} ({found / old:.2f} of it now)"
        reached = "yes" if found <= target else "no"
        commands.append(line([WORDS[name], clock(found), past, clock(target), reached]))
    parts = [line(["part of `make test`", "measured"]), line(["---"] * 2)]
    parts += [line([f"`{name}`", clock(value)]) for name, value in record["parts"].items()]
    notebooks = [line(["notebook, beside another", "measured"]), line(["---"] * 2)]
    slowest_first = sorted(record["notebooks"].items(), key=lambda item: -item[1])
    notebooks += [line([f"`{name}`", clock(value)]) for name, value in slowest_first]
    return "\n\n".join("\n".join(part) for part in ([intro], commands, parts, notebooks))


def main() -> None:
    """Measure, or write CONTRIBUTING's table from what was measured."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--table", action="store_true", help="only write CONTRIBUTING's table")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, default=RECORD)
    arguments = parser.parse_args()
    recorded = json.loads(RECORD.read_text())
    if arguments.table:
        write_table("commands", table(recorded), ROOT / "CONTRIBUTING.md")
        return
    record = {"machine": machine(arguments.date), "before": recorded["before"], **measure()}
    write_record(record, arguments.output)


if __name__ == "__main__":
    main()
