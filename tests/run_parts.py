"""Run everything that ``make test`` tests, part after part whatever fails, and sum up the failures.

The parts run one after the other, each on all cores: two at once would only wait for each other. A
part names what failed in lines that begin with FAILED or ERROR, as pytest's summary does. Those are
shown again at the end, each with the command that repeats it.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = ROOT / "_build" / "test-seconds.json"
PYTEST = [".venv/bin/pytest", "-n", "2", "--dist", "worksteal"]
PARTS = {
    "notebooks": ["make", "--silent", "notebooks"],
    "site": ["make", "--silent", "site"],
    "package": [*PYTEST, "--ignore", "tests/book"],
    "browser": [*PYTEST, "tests/book"],
}
NEEDS = {"site": "notebooks"}  # the others say themselves what they miss
COLOUR = re.compile(r"\x1b\[[\d;]*m")
FAILURE = re.compile(r"(?:FAILED|ERROR) (?P<what>\S+\.(?:py|ipynb)\S*)")
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
            last = plain or last
            if FAILURE.match(plain):
                outcome.failures.append(plain)
    outcome.code, outcome.seconds = process.returncode, time.monotonic() - start
    if outcome.code and not outcome.failures:
        outcome.failures.append(last)
    return outcome


def repeat(failure: str) -> str | None:
    """The command that repeats what a line names, if it names a test or a notebook."""
    found = FAILURE.match(failure)
    if not found:
        return None
    what = found["what"].rstrip(",")
    option = ["--nbmake"] if what.endswith(".ipynb") else []
    return shlex.join([".venv/bin/pytest", *option, what])


def summary(outcomes: dict[str, Outcome]) -> str:
    """A line for each part, and below one that failed what failed in it."""
    total = sum(outcome.seconds for outcome in outcomes.values())
    lines = [f"== All parts: {total:.0f} s"]
    for name, outcome in outcomes.items():
        if outcome.code is None:
            lines.append(f"   {name:<10} not run, since {NEEDS[name]} failed")
            continue
        state = "FAILED" if outcome.code else "passed"
        again = f"   repeat: {shlex.join(PARTS[name])}" if outcome.code else ""
        lines.append(f"   {name:<10} {state} {outcome.seconds:5.0f} s{again}")
        for failure in outcome.failures[:MOST_SHOWN]:
            lines += [f"      {failure}"]
            lines += [f"         {command}" for command in [repeat(failure)] if command]
        if len(outcome.failures) > MOST_SHOWN:
            lines.append(f"      and {len(outcome.failures) - MOST_SHOWN} more")
    return "\n".join(lines)


def main(names: list[str]) -> int:
    """Run the parts of these names, all without any, and return 1 where one failed."""
    outcomes: dict[str, Outcome] = {}
    for name in names or PARTS:
        needed = outcomes.get(NEEDS.get(name, ""))
        if needed and needed.code:
            outcomes[name] = Outcome()
            continue
        print(f"\n== {name}: {shlex.join(PARTS[name])}", flush=True)
        outcomes[name] = run(PARTS[name])
    SECONDS.parent.mkdir(exist_ok=True)
    SECONDS.write_text(json.dumps({name: o.seconds for name, o in outcomes.items()}) + "\n")
    print(f"\n{summary(outcomes)}", flush=True)
    return int(any(outcome.code != 0 for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
