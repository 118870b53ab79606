"""The command line: ``python -m bnn_tutorial train | evaluate | uncertainty``.

Explained on the page "Run it, cite it". Arguments are read and checked before PyTorch is imported,
so that help and errors answer at once; then the module that is named like the command runs it.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from bnn_tutorial.command_line.arguments import COMMANDS, PROGRAM, make_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments after the program's name; None means those of this process.

    Raises:
        SystemExit: with code 2, by arguments that can't be read; with code 0, by ``--help``.
    """
    arguments = make_parser().parse_args(argv)
    try:
        COMMANDS[arguments.command].check(arguments)
        import_module(f"{__name__}.{arguments.command}").run(arguments)
    except KeyboardInterrupt:
        return _fail(arguments, "interrupted", 130)
    except (ValueError, OSError, ImportError) as error:
        return _fail(arguments, error, 2)
    except (MemoryError, RuntimeError, TypeError, ArithmeticError) as error:
        if isinstance(error, _failures()):
            return _fail(arguments, error, 1)
        if _lacks_memory(error):
            reason = str(error).partition("\n")[0] or "MemoryError"
            return _fail(arguments, f"{TOO_LARGE} ({reason})", 1)
        raise
    return 0


TOO_LARGE = (
    "there is not enough memory: expected less of --hidden-features, --num-train, --num-test, "
    "--batch-size, --num-draws or --num-samples"
)


def _lacks_memory(error: Exception) -> bool:
    """Whether memory ran out, or the size of a tensor the numbers; PyTorch has no class for it."""
    signs = ("can't allocate", "not enough memory", "out of memory", "overflow")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors of a run that had begun: only then is PyTorch there to name them."""
    from bnn_tutorial import NonFiniteLossError, ProcessLostError
    from bnn_tutorial.command_line.load_trained import NonFiniteScoreError

    return NonFiniteLossError, NonFiniteScoreError, ProcessLostError


def _fail(arguments: argparse.Namespace, error: object, code: int) -> int:
    # PyTorch's messages have several lines.
    lines = map(str.strip, str(error).splitlines())
    print(f"{PROGRAM} {arguments.command}: error:", *lines, file=sys.stderr)
    return code
