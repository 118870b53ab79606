"""What the commands accept that study a trained network: ``evaluate`` and ``uncertainty``.

Explained on the page "Run it, cite it". Nothing here imports PyTorch.
"""

import argparse

from bnn_tutorial.command_line import argument_types
from bnn_tutorial.command_line.common_arguments import add_common
from bnn_tutorial.command_line.experiment import IMAGE_SHAPES, PUBLISHED, Experiment
from bnn_tutorial.command_line.read_experiment import read_experiment
from bnn_tutorial.command_line.run_folder import CHECKPOINT, MODEL, RECORD

EVALUATE_EPILOG = """\
example:
  {program} evaluate digits --num-samples 100

The scores are those of the averaged prediction: the negative log-likelihood (nll, in nats per
datum) and, of classes, accuracy and expected calibration error (ece), both as fractions; of the
regression, the root mean squared error (rmse).
"""
UNCERTAINTY_EPILOG = """\
examples:
  {program} uncertainty digits --against fashion-mnist --figure entropy.png
  {program} uncertainty curve --figure band.png

Of classes: the mean entropy of the predictions for the test data, in nats, and its aleatoric and
epistemic parts; how well the entropy tells wrong predictions from right ones and, with --against,
foreign images from the test data (AUROC, 0.5 is chance). Of the regression, in closed form: the
standard deviations of function and noise, and an audit of the band of k standard deviations.
"""
EVALUATION = "evaluation.json"
UNCERTAINTY = "uncertainty.json"


def _add_study(parser: argparse.ArgumentParser, results: str, *, fewest_samples: int = 1) -> None:
    """Add the arguments of a command that reads a folder and writes its ``results`` there."""
    parser.add_argument(
        "folder", type=argument_types.readable, metavar="FOLDER", help="what train wrote"
    )
    parser.add_argument(
        "--num-samples",
        type=argument_types.integer(fewest_samples),
        default=30,
        metavar="S",
        help="posterior draws (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=argument_types.integer(0),
        help="of those draws (default: that of the training)",
    )
    parser.add_argument(
        "--output",
        type=argument_types.new_file,
        metavar="PATH",
        help=f"of the results (default: FOLDER/{results})",
    )
    add_common(parser)


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``evaluate``."""
    _add_study(parser, EVALUATION)


def _read_study(arguments: argparse.Namespace) -> Experiment:
    """Return the settings of the training in the folder, if the results leave its files alone."""
    own = [(arguments.folder / name).resolve() for name in (RECORD, MODEL, CHECKPOINT)]
    if arguments.output is not None and arguments.output.resolve() in own:
        raise ValueError(
            f"--output {arguments.output}: expected none of the files that train wrote"
        )
    return read_experiment(arguments.folder)


def check_evaluation(arguments: argparse.Namespace) -> None:
    """Raise an error where the folder holds no finished training.

    Raises:
        ValueError: its record is damaged, or would be overwritten.
        FileNotFoundError: a file is missing.
    """
    _read_study(arguments)


def add_uncertainty(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``uncertainty``."""
    _add_study(parser, UNCERTAINTY, fewest_samples=2)
    parser.add_argument(
        "--against",
        choices=PUBLISHED,
        help="a set of images that the network is not for; as many are taken as the test data has",
    )
    parser.add_argument(
        "-k",
        type=argument_types.number(above=True),
        default=3.0,
        help="how many standard deviations the regression's band reaches to each side (default: 3)",
    )
    parser.add_argument(
        "--figure", type=argument_types.new_figure, metavar="PATH", help="draw a picture"
    )


def check_uncertainty(arguments: argparse.Namespace) -> None:
    """Raise an error where the folder holds no finished training, or ``--against`` can't be shown.

    Raises:
        ValueError: its record is damaged or would be overwritten, or its network takes no such
            images.
        FileNotFoundError: a file is missing.
    """
    experiment = _read_study(arguments)
    if arguments.against is None:
        return
    if experiment.is_regression:
        raise ValueError(f"--against {arguments.against}: expected a network of classes")
    shape, foreign = experiment.image_shape, IMAGE_SHAPES[arguments.against]
    if shape[0] != foreign[0] or shape[1] < foreign[1]:
        raise ValueError(
            f"--against {arguments.against}: its images have shape {foreign}, expected {shape} or "
            "smaller"
        )
