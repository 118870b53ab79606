"""The settings of a training that has finished, read back from its record.

Explained on the page "Run it, cite it". Nothing here imports PyTorch.
"""

import argparse
from dataclasses import fields
from pathlib import Path

from bnn_tutorial.command_line.experiment import Experiment
from bnn_tutorial.command_line.run_folder import MODEL, RECORD, read_json
from bnn_tutorial.command_line.training_arguments import add_training


class _Parser(argparse.ArgumentParser):
    """A parser that raises what it would print."""

    def error(self, message: str):
        raise ValueError(message)


def read_experiment(folder: Path) -> Experiment:
    """Return the settings of the training that has finished in ``folder``.

    They are read as the command line reads them, so that a record can hold nothing else.

    Raises:
        FileNotFoundError: there is no record, or training did not finish.
        ValueError: the record is damaged.
    """
    record = read_json(folder / RECORD)
    parser = _Parser()
    add_training(parser)
    try:
        saved = record["experiment"]
        words = ["--output", str(folder)]
        for name in (field.name for field in fields(Experiment)):
            # The folder of images may have moved since; who reads them says so.
            if name != "images" and saved[name] not in (None, False):
                value = [] if saved[name] is True else [str(saved[name])]
                words += ["--" + name.replace("_", "-"), *value]
        arguments = parser.parse_args(words)
        if not isinstance(saved["images"], str | None):
            raise ValueError(f"images: {saved['images']!r}")
        arguments.images = saved["images"]
        experiment = Experiment.of(arguments)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(folder / RECORD)!r} is damaged: {error}") from error
    if not (folder / MODEL).is_file():
        raise FileNotFoundError(
            f"{str(folder / MODEL)!r} is missing: expected a training that has finished"
        )
    return experiment
