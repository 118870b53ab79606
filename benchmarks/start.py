"""How soon the package and its command line answer: the CPU time of a start, beside PyTorch's own.

Explained on the page "How fast, how accurate". ``make benchmark-start`` measures and writes the
table there. Each start is a new process; all are started once a round, in a random order, on one
thread.
"""

import argparse
import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

from records import RESULTS, first_line, line, machine, write_record, write_table
from tqdm import trange

import bnn_tutorial as bt

RECORD = RESULTS / "start.json"
IMPORT_TARGET = 1.15  # times the CPU time of `import torch`
ANSWER_TARGET = 1.0  # seconds, on the clock
# The names that are for notebooks, or show something.
SHOWING = {"SlidersOverCode", "derivations", "figures", "glue", "plotting"}
USED = f"import bnn_tutorial as bt; {[f'bt.{n}' for n in bt.__all__ if n not in SHOWING]}"
BASE = "`import torch`"
IMPORTS = {
    BASE: "import torch",
    "`import bnn_tutorial`": "import bnn_tutorial",
    "the same, and every name that trains, predicts, loads or scores": USED.replace("'", ""),
}
PROGRAM = ["-m", "bnn_tutorial"]
ANSWERS = {
    "`python -m bnn_tutorial --help`": [*PROGRAM, "--help"],
    "`train --help`": [*PROGRAM, "train", "--help"],
    "`train` with a wrong argument": [*PROGRAM, "train", "--epochs", "0"],
    "`evaluate` of a folder that is not there": [*PROGRAM, "evaluate", "nothing-is-here"],
}


def start(arguments: list[str]) -> tuple[float, float]:
    """Return the CPU time and the time on the clock, in seconds, of a Python with ``arguments``."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    passed = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 2):
        raise RuntimeError(f"{arguments} ended with {process.returncode}: expected 0 or 2")
    return usage.ru_utime + usage.ru_stime, passed


def quartiles(values: list[float]) -> dict[str, float]:
    """Return the median and the quartiles of two values or more."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def measure(rounds: int) -> dict:
    """Start everything once a round; return CPU times, ratios within a round, and times."""
    starts = {name: ["-c", code] for name, code in IMPORTS.items()} | ANSWERS
    for arguments in starts.values():  # so that no first round reads files from the disk
        start(arguments)
    cpu: dict[str, list[float]] = {name: [] for name in starts}
    clock: dict[str, list[float]] = {name: [] for name in starts}
    for _ in trange(rounds, unit="round"):
        for name in random.sample(list(starts), len(starts)):
            used, passed = start(starts[name])
            cpu[name].append(used)
            clock[name].append(passed)
    return {
        "rounds": rounds,
        "imports": {
            name: {
                "cpu_seconds": quartiles(cpu[name]),
                "ratio": quartiles([a / b for a, b in zip(cpu[name], cpu[BASE], strict=True)]),
            }
            for name in IMPORTS
        },
        "answers": {name: {"seconds": quartiles(clock[name])} for name in ANSWERS},
    }


def table(record: dict) -> str:
    """Return the Markdown that stands between the two marks on the page."""
    computer = record["machine"]
    rows = [line(["start", "measured", "target", "reached"]), line(["---"] * 4)]
    for name, found in record["imports"].items():
        ratio, seconds = found["ratio"], found["cpu_seconds"]["median"]
        words = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f}) of PyTorch's"
        cells = [f"{words} CPU time, {seconds:.2f} s"]
        cells += [f"at most {IMPORT_TARGET}", "yes" if ratio["median"] <= IMPORT_TARGET else "no"]
        rows.append(line([name, *(cells if name != BASE else [f"{seconds:.2f} s", "", ""])]))
    for name, found in record["answers"].items():
        seconds = found["seconds"]
        words = f"{seconds['median']:.2f} s ({seconds['low']:.2f} to {seconds['high']:.2f})"
        reached = "yes" if seconds["median"] <= ANSWER_TARGET else "no"
        rows.append(line([name, words, f"within {ANSWER_TARGET:g} s", reached]))
    intro = (
        f"Measured on {computer['date']}: {computer['cpu']}, one thread, torch "
        f"{computer['versions']['torch']}; medians of {record['rounds']} rounds, with quartiles."
    )
    return "\n\n".join([intro, "\n".join(rows)])


def main() -> None:
    """Measure, or write the page's table from what was measured."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--table", action="store_true", help="only write the page's table")
    parser.add_argument("--rounds", type=int, default=15, help="how often all are started")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, default=RECORD)
    arguments = parser.parse_args()
    if arguments.table:
        write_table("start", table(json.loads(RECORD.read_text())))
        return
    record = {"machine": machine(arguments.date), **measure(arguments.rounds)}
    write_record(record, arguments.output)


if __name__ == "__main__":
    main()
