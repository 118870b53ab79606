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
    except _failures() as error:
        return _fail(arguments, error, 1)
    return 0


def _failures() -> tuple[type[Exception], ...]:
    """Return the errors of a run that had begun: only then is PyTorch there to name them."""
    import torch

    from bnn_tutorial import NonFiniteLossError
    from bnn_tutorial.command_line.load_trained import NonFiniteScoreError

    return NonFiniteLossError, NonFiniteScoreError, torch.cuda.OutOfMemoryError


def _fail(arguments: argparse.Namespace, error: object, code: int) -> int:
    print(f"{PROGRAM} {arguments.command}: error: {error}", file=sys.stderr)
    return code
