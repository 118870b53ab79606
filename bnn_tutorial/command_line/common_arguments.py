"""The arguments that every command accepts.

Explained on the page "Run it, cite it". Nothing here imports PyTorch.
"""

import argparse

from bnn_tutorial.command_line import argument_types


def add_common(parser: argparse._ActionsContainer) -> None:
    """Add ``--device`` and ``--quiet`` to a parser or to a group of its arguments."""
    parser.add_argument(
        "--device",
        type=argument_types.device,
        help="cpu, cuda, cuda:NUMBER or mps (default: cuda where there is one, else cpu)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
