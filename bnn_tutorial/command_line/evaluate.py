"""The command ``evaluate``: score a trained network on the test data.

Explained on the page "Run it, cite it".
"""

import argparse

from bnn_tutorial.command_line.load_trained import (
    averaged,
    describe_machine,
    load_trained,
    print_table,
    require_finite,
)
from bnn_tutorial.command_line.run_folder import write_json
from bnn_tutorial.command_line.study_arguments import EVALUATION
from bnn_tutorial.training.fit import evaluate


def run(arguments: argparse.Namespace) -> None:
    """Score the network and write the scores.

    Raises:
        ValueError: a file is damaged, or the device can't be used.
        OSError: a file is missing, or the results can't be written.
        NonFiniteScoreError: a score is infinite or NaN.
    """
    trained = load_trained(arguments)
    scores = require_finite(
        evaluate(
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
    write_json(content, arguments.output or arguments.folder / EVALUATION)
    how = averaged(trained.experiment, arguments.num_samples)
    print_table(f"{arguments.folder}: test data, {how}", scores)
