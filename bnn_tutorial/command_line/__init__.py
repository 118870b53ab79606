"""The command line: ``python -m bnn_tutorial train | evaluate | uncertainty``.

Explained on the page "Run it, cite it". Each command is a module of its own over the package's
functions; this one reads the arguments and says in one line what went wrong.
"""

import argparse
import sys
from collections.abc import Sequence

import torch

from bnn_tutorial.command_line import evaluate, train, uncertainty
from bnn_tutorial.command_line.folder import NonFiniteScoreError
from bnn_tutorial.optimization import NonFiniteLossError

PROGRAM = "python -m bnn_tutorial"
COMMANDS = {"train": train, "evaluate": evaluate, "uncertainty": uncertainty}

DESCRIPTION = "Train Bayesian neural networks, score them, and see what they don't know."
EPILOG = """\
example, in a minute on a laptop without a network:
  {program} train --model mnist --data mnist --bayesian head --epochs 3 --output digits
  {program} evaluate digits
  {program} uncertainty digits --figure entropy.png

exit codes: 0 done; 1 the run failed, such as by a loss that is not finite; 2 wrong arguments or
files; 130 interrupted. Data that must be downloaded lie in the folder named by the environment
variable BNN_TUTORIAL_DATA, else in ./data.
"""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands, each with an example in its help."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG.format(program=PROGRAM),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.DESCRIPTION,
            usage=f"{PROGRAM} {name} {command.USAGE} [options]",
            description=command.DESCRIPTION,
            epilog=command.EPILOG.format(program=PROGRAM),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments after the program's name; None means those of this process.

    Raises:
        SystemExit: with code 2, by arguments that can't be read; with code 0, by ``--help``.
    """
    arguments = make_parser().parse_args(argv)
    try:
        COMMANDS[arguments.command].run(arguments)
    except KeyboardInterrupt:
        return _fail(arguments, "interrupted", 130)
    except (NonFiniteLossError, NonFiniteScoreError, torch.cuda.OutOfMemoryError) as error:
        return _fail(arguments, error, 1)
    except (ValueError, OSError, ImportError) as error:
        return _fail(arguments, error, 2)
    return 0


def _fail(arguments: argparse.Namespace, error: object, code: int) -> int:
    print(f"{PROGRAM} {arguments.command}: error: {error}", file=sys.stderr)
    return code
