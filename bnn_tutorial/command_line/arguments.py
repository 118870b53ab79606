"""The commands and their parser; what each accepts is in the modules beside this one.

Explained on the page "Run it, cite it". Nothing here imports PyTorch.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from bnn_tutorial.command_line import study_arguments, training_arguments

PROGRAM = "python -m bnn_tutorial"
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


@dataclass(frozen=True)
class Command:
    """A command's help, what adds its arguments, and what raises an error where they clash."""

    usage: str
    description: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    check: Callable[[argparse.Namespace], None]


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
            help=command.description,
            usage=f"{PROGRAM} {name} {command.usage} [options]",
            description=command.description,
            epilog=command.epilog.format(program=PROGRAM),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
    return parser


COMMANDS = {
    "train": Command(
        "--model MODEL --data DATA --output FOLDER",
        "train a network and write its folder",
        training_arguments.EPILOG,
        training_arguments.add_training,
        training_arguments.check_training,
    ),
    "evaluate": Command(
        "FOLDER",
        "score a trained network on the test data",
        study_arguments.EVALUATE_EPILOG,
        study_arguments.add_evaluation,
        study_arguments.check_evaluation,
    ),
    "uncertainty": Command(
        "FOLDER",
        "measure what a trained network doesn't know",
        study_arguments.UNCERTAINTY_EPILOG,
        study_arguments.add_uncertainty,
        study_arguments.check_uncertainty,
    ),
}
