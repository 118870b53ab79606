"""Run everything that ``make test`` tests, part after part whatever fails, and sum up the failures.

The parts run one after the other, each on all cores: two at once would only wait for each other. A
part names what failed in lines that begin with FAILED or ERROR, as pytest's summary does. Those are
shown again at the end, each with the command that repeats it.
"""

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = ROOT / "_build" / "test-seconds.json"
# nbmake, which these parts don't use, takes two seconds in every process to be imported.
PYTEST = [".venv/bin/pytest", "-n", "2", "--dist", "worksteal", "-p", "no:nbmake"]
BROWSER = [*PYTEST, "tests/book", "tests/figures"]
PARTS = {
    "notebooks": ["make", "--silent", "notebooks"],
    "site": ["make", "--silent", "book"],
    "package": [*PYTEST, "--ignore", "tests/book", "--ignore", "tests/figures"],
    "browser": BROWSER,
}
# The browser's part once more, on a processor that is six times slower, where it is asked for.
COMMANDS = PARTS | {"throttled": [*BROWSER, "--throttle", "6"]}
NEEDS = {"site": "notebooks"}  # the others say themselves what they miss
COLOUR = re.compile(r"\x1b\[[\d;]*m")
# A file, and of a test also its name, which may have arguments with blanks in them.
FAILURE = re.compile(
    r"(?:FAILED|ERROR) (?P<what>[^\s:]+\.(?:py|ipynb)(?:::[^\s\[]+(?:\[.*?\](?= - |$))?)?)"
)
WARNING = re.compile(
    r"\.(?:ipynb|md|py|yml)\S*: (?:WARNING|ERROR): "
)  # Sphinx, which takes both as one
MAKE = re.compile(r"make(?:\[\d+\])?: ")
MOST_SHOWN = 20


@dataclass
class Outcome:
    """How a part ended; ``code`` is None where it did not run, and 0 where all of it passed."""

    code: int | None = None
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


def run(command: list[str]) -> Outcome:
    """Run a part in the repository's folder and show its output while it comes."""
    start = time.monotonic()
    outcome = Outcome()
    last = ""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            plain = COLOUR.sub("", line).strip()
            if plain and not MAKE.match(plain):
                last = plain
            if FAILURE.match(plain) or WARNING.search(plain):
                outcome.failures.append(plain)
    outcome.code, outcome.seconds = process.returncode, time.monotonic() - start
    if outcome.code == 0:
        outcome.failures = []
    elif not outcome.failures:
        outcome.failures = [last]
    return outcome


def repeat(failure: str) -> str | None:
    """The command that repeats what a line names, if it names a test or a notebook."""
    found = FAILURE.match(failure)
    if not found:
        return None
    what = found["what"]
    option = ["--nbmake"] if what.endswith(".ipynb") else []
    return shlex.join([".venv/bin/pytest", *option, what])


def summary(outcomes: list[tuple[str, Outcome]]) -> str:
    """A line for each part, and below one that failed what failed in it."""
    total = sum(outcome.seconds for _, outcome in outcomes)
    lines = [f"== All parts: {total:.0f} s"]
    for name, outcome in outcomes:
        if outcome.code is None:
            lines.append(f"   {name:<10} not run, since {NEEDS[name]} failed")
            continue
        state = "FAILED" if outcome.code else "passed"
        again = f"   repeat: {shlex.join(COMMANDS[name])}" if outcome.code else ""
        lines.append(f"   {name:<10} {state} {outcome.seconds:5.0f} s{again}")
        for failure in outcome.failures[:MOST_SHOWN]:
            lines.append(f"      {failure}")
            if command := repeat(failure):
                lines.append(f"         {command}")
        if len(outcome.failures) > MOST_SHOWN:
            lines.append(f"      and {len(outcome.failures) - MOST_SHOWN} more")
    return "\n".join(lines)


def run_all(names: Sequence[str]) -> list[tuple[str, Outcome]]:
    """Run the parts of these names in turn."""
    outcomes: list[tuple[str, Outcome]] = []
    for name in names:
        failed = {name for name, outcome in outcomes if outcome.code != 0}
        if NEEDS.get(name) in failed:
            shutil.rmtree(ROOT / "_build" / "html", ignore_errors=True)  # it would be an old one
            outcomes.append((name, Outcome()))
            continue
        print(f"\n== {name}: {shlex.join(COMMANDS[name])}", flush=True)
        outcomes.append((name, run(COMMANDS[name])))
    return outcomes


def main() -> int:
    """Run the parts that the command line names, all without any; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(COMMANDS)}")
    parser.add_argument("--busy", action="store_true", help="beside a process that keeps one core")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.parts if name not in COMMANDS]:
        parser.error(f"{', '.join(unknown)}: expected some of {', '.join(COMMANDS)}")
    with contextlib.ExitStack() as stack:
        if arguments.busy:
            busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy.kill)
        outcomes = run_all(arguments.parts or [*PARTS])
    SECONDS.parent.mkdir(exist_ok=True)
    SECONDS.write_text(json.dumps({name: outcome.seconds for name, outcome in outcomes}) + "\n")
    print(f"\n{summary(outcomes)}", flush=True)
    return int(any(outcome.code != 0 for _, outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
