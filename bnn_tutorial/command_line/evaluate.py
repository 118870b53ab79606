"""The command ``evaluate``: score a trained network on the test data.

Explained on the page "Run it, cite it".
"""

import argparse

from bnn_tutorial import training
from bnn_tutorial.command_line.folder import (
    add_reader_arguments,
    describe_machine,
    load_trained,
    print_table,
    require_finite,
    write_json,
)

USAGE = "FOLDER"
DESCRIPTION = "score a trained network on the test data"
EPILOG = """\
example:
  {program} evaluate digits --num-samples 100

The scores are those of the averaged prediction: the negative log-likelihood (nll, in nats per
datum) and, of classes, accuracy and expected calibration error (ece), both as fractions; of the
regression, the root mean squared error (rmse).
"""
RESULTS = "evaluation.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    add_reader_arguments(parser, RESULTS)


def run(arguments: argparse.Namespace) -> None:
    """Score the network and write the scores.

    Raises:
        ValueError: a file is damaged.
        OSError: a file is missing, or the results can't be written.
        NonFiniteScoreError: a score is infinite or NaN.
    """
    trained = load_trained(arguments)
    scores = require_finite(
        training.evaluate(
            trained.model,
            trained.data,
            trained.likelihood,
            num_samples=arguments.num_samples,
            seed=trained.seed,
            progress=not arguments.quiet,
        )
    )
    content = {
        "rows": len(trained.data),
        "num_samples": arguments.num_samples,
        "seed": trained.seed,
        "machine": describe_machine(trained.device),
        "results": scores,
    }
    write_json(content, arguments.output or arguments.folder / RESULTS)
    print_table(f"{arguments.folder}: test data, {arguments.num_samples} draws", scores)
