"""A figure's module in Node.js, whose engine is Chromium's: what needs no page is tested here."""

import json
import subprocess
from pathlib import Path
from typing import Any

EVALUATION = Path(__file__).with_name("node_evaluation.mjs")


def _numbers(value: dict) -> Any:
    """The numbers for which JSON has no words."""
    return float(value["number"]) if value.keys() == {"number"} else value


class Node:
    """A running Node.js, in which one module at a time is called ``module``.

    ``node.load(path)``, then ``node.evaluate("(x) => module.density(x)", x)``, as with a page.
    """

    def __init__(self, program: str):
        self.process = subprocess.Popen(
            [program, EVALUATION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def load(self, path: Path) -> "Node":
        """Import a module."""
        self._ask(load=path.as_uri())
        return self

    def evaluate(self, expression: str, argument: object = None) -> Any:
        """Return a JavaScript expression's value, or what it gives for ``argument`` if a function.

        Raises:
            RuntimeError: it raised an error.
        """
        # As text of JavaScript, which has words for NaN and the infinities.
        return self._ask(expression=expression, argument=json.dumps(argument))

    def end(self) -> None:
        """Stop Node.js."""
        with self.process:
            self.process.stdin.close()

    def _ask(self, **task: str) -> Any:
        print(json.dumps(task), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"Node.js ended with {self.process.wait()}")
        reply = json.loads(line, object_hook=_numbers)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply["value"]
