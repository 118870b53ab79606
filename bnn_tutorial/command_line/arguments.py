"""What each command accepts: its arguments, its help, and which arguments contradict each other.

Explained on the page "Run it, cite it". Nothing here imports PyTorch.
"""

import argparse
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass

from bnn_tutorial.command_line import values
from bnn_tutorial.command_line.experiment import DATA, IMAGE_SHAPES, MODELS, Experiment
from bnn_tutorial.command_line.run_folder import (
    CHECKPOINT,
    check_folder,
    read_experiment,
    run_record,
)

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
TRAIN_EPILOG = """\
examples:
  {program} train --model regression --data polynomial --hidden-features 50 \\
      --prior normal:0,2 --init-std 0.01 --exact --epochs 3000 --batch-size 500 \\
      --learning-rate 0.01 --output curve
  {program} train --model mnist --data mnist --estimator weight --prior normal:0,0.1 \\
      --kl-weight 0.1 --learning-rate 0.003 --epochs 12 --checkpoint-every 1 --output digits
  torchrun --nproc-per-node 2 -m bnn_tutorial train --model lenet5 --data mnist --output lenet

The folder holds record.json, with settings, versions, machine, history and the scores on the test
data, and model.safetensors. The same command gives the same numbers on the same machine.
"""
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
ESTIMATORS = ("weight", "local", "flipout")
EVALUATION = "evaluation.json"
UNCERTAINTY = "uncertainty.json"


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


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``train``; those of :class:`Experiment` have its fields' names."""
    group = parser.add_argument_group("model and data")
    group.add_argument("--model", required=True, choices=MODELS, help="the network")
    group.add_argument(
        "--data",
        required=True,
        choices=DATA,
        help="polynomial: the curve of chapter 4, made on the spot; mnist: the subset of "
        "12,000 images that ships with the package, or with --full all 70,000; "
        "fashion-mnist and cifar10 are downloaded",
    )
    group.add_argument("--full", action="store_true", help="all of MNIST")
    group.add_argument(
        "--num-train",
        type=values.integer(1),
        metavar="N",
        help="training rows: points of the polynomial (default: 500), or the first images of a "
        "set (default: all)",
    )
    group.add_argument(
        "--num-test",
        type=values.integer(1),
        metavar="N",
        help="test rows, likewise (default: 1,000 points or all images)",
    )
    group.add_argument(
        "--hidden-features",
        type=values.integer(1),
        default=1000,
        metavar="H",
        help="width of the regression network (default: %(default)s)",
    )
    group = parser.add_argument_group("posterior and prior")
    group.add_argument(
        "--bayesian",
        choices=("all", "head", "none"),
        default="all",
        help="which layers get a posterior: all, those of the head (on a deterministic trunk), "
        "or none, which trains the deterministic twin by maximum likelihood (default: all)",
    )
    group.add_argument(
        "--estimator",
        choices=ESTIMATORS,
        default="local",
        help="of the gradient: draw weights, pre-activations (local), or weights with random "
        "signs (flipout) (default: %(default)s)",
    )
    group.add_argument(
        "--prior",
        type=values.prior,
        default="normal:0,1",
        metavar="PRIOR",
        help=f"of every weight: {values.PRIOR_FORMS}, such as mixture:0.5,1,0.0025 for the "
        "scale mixture of Blundell et al. (2015) (default: %(default)s)",
    )
    group.add_argument(
        "--init-std",
        type=values.number(above=True),
        default=0.05,
        metavar="STD",
        help="the standard deviation that every weight starts with (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=values.integer(0),
        default=0,
        help="of the data's noise, the first weights, the batches and the draws (default: 0)",
    )
    group = parser.add_argument_group("training")
    group.add_argument(
        "--epochs",
        type=values.integer(1),
        default=10,
        help="passes over the training data (default: %(default)s)",
    )
    group.add_argument(
        "--batch-size",
        type=values.integer(1),
        default=128,
        metavar="B",
        help="rows a step (default: %(default)s)",
    )
    group.add_argument(
        "--learning-rate",
        type=values.number(above=True),
        default=1e-3,
        metavar="RATE",
        help="of the optimizer, Adam (default: %(default)s)",
    )
    group.add_argument(
        "--kl-weight",
        type=values.number(),
        default=1.0,
        metavar="WEIGHT",
        help="of the KL divergence: 1 is the ELBO, less a tempered posterior (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--kl-schedule",
        type=values.kl_schedule,
        default="constant",
        metavar="SCHEDULE",
        help=f"how that weight is reached or spread over an epoch: {values.KL_SCHEDULE_FORMS} "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--num-draws",
        type=values.integer(1),
        default=1,
        metavar="S",
        help="posterior draws a step, the mean of whose losses is minimized (default: %(default)s)",
    )
    group.add_argument(
        "--exact",
        action="store_true",
        help="train the regression network on its closed-form ELBO, with no draws",
    )
    group.add_argument(
        "--clip-norm",
        type=values.number(above=True),
        metavar="NORM",
        help="the gradient's largest norm (default: no limit)",
    )
    group.add_argument(
        "--mixed-precision",
        choices=("bfloat16", "float16"),
        help="the half precision in which the network is computed (default: single precision)",
    )
    group.add_argument(
        "--num-samples",
        type=values.integer(1),
        default=30,
        metavar="S",
        help="posterior draws that the final test averages (default: %(default)s)",
    )
    group = parser.add_argument_group("where it runs and what it writes")
    _add_device(group)
    group.add_argument(
        "--output",
        type=values.new_folder,
        required=True,
        metavar="FOLDER",
        help="made where it is missing",
    )
    group.add_argument(
        "--checkpoint-every",
        type=values.integer(1),
        metavar="N",
        help=f"write FOLDER/{CHECKPOINT} every N epochs (default: never)",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="continue from the checkpoint, where there is one, as if the run had never stopped; "
        "the other arguments must be the same, but for more epochs; saves every epoch unless "
        "--checkpoint-every says otherwise",
    )
    group.add_argument(
        "--tensorboard",
        action="store_true",
        help="write FOLDER/tensorboard too (needs the package tensorboard)",
    )
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def check_training(arguments: argparse.Namespace) -> None:
    """Raise an error where the arguments of ``train`` don't go together or with the folder.

    Raises:
        ValueError: they don't go together, or the run to resume had others.
        OSError: the folder holds another run.
        ImportError: TensorBoard was asked for and is not installed.
    """
    experiment = Experiment.of(arguments)
    if arguments.exact and not experiment.is_regression:
        raise ValueError(f"--exact --model {experiment.model}: expected --model regression")
    if arguments.exact and arguments.mixed_precision:
        raise ValueError(
            f"--exact --mixed-precision {arguments.mixed_precision}: expected one of them, since "
            "the closed form is computed in full precision"
        )
    started_by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if arguments.device is not None and started_by_torchrun and os.environ["WORLD_SIZE"] != "1":
        raise ValueError(
            f"--device {arguments.device} with torchrun: expected none, since each process "
            "takes a GPU of its own, or all the CPU"
        )
    if arguments.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "--tensorboard: expected the package tensorboard to be installed: "
            "pip install 'bnn-tutorial[tensorboard]'"
        )
    check_folder(arguments.output, run_record(arguments), arguments.resume)


def _add_device(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--device",
        type=values.device,
        help="cpu, cuda, cuda:NUMBER or mps (default: cuda where there is one, else cpu)",
    )


def _add_study(parser: argparse.ArgumentParser, results: str, *, fewest_samples: int = 1) -> None:
    """Add the arguments of a command that reads a folder and writes its ``results`` there."""
    parser.add_argument("folder", type=values.readable, metavar="FOLDER", help="what train wrote")
    parser.add_argument(
        "--num-samples",
        type=values.integer(fewest_samples),
        default=30,
        metavar="S",
        help="posterior draws (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=values.integer(0), help="of those draws (default: that of the training)"
    )
    _add_device(parser)
    parser.add_argument(
        "--output",
        type=values.new_file,
        metavar="PATH",
        help=f"of the results (default: FOLDER/{results})",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def add_evaluation(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``evaluate``."""
    _add_study(parser, EVALUATION)


def check_evaluation(arguments: argparse.Namespace) -> None:
    """Raise an error where the folder holds no finished training.

    Raises:
        ValueError: its record is damaged.
        FileNotFoundError: a file is missing.
    """
    read_experiment(arguments.folder)


def add_uncertainty(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``uncertainty``."""
    _add_study(parser, UNCERTAINTY, fewest_samples=2)
    parser.add_argument(
        "--against",
        choices=tuple(IMAGE_SHAPES),
        help="a set of images that the network is not for; as many are taken as the test data has",
    )
    parser.add_argument(
        "-k",
        type=values.number(above=True),
        default=3.0,
        help="how many standard deviations the regression's band reaches to each side (default: 3)",
    )
    parser.add_argument("--figure", type=values.new_figure, metavar="PATH", help="draw a picture")


def check_uncertainty(arguments: argparse.Namespace) -> None:
    """Raise an error where the folder holds no finished training, or ``--against`` can't be shown.

    Raises:
        ValueError: its record is damaged, or its network takes no such images.
        FileNotFoundError: a file is missing.
    """
    experiment = read_experiment(arguments.folder)
    if arguments.against is None:
        return
    if experiment.is_regression:
        raise ValueError(f"--against {arguments.against}: expected a network of classes")
    shape, foreign = (IMAGE_SHAPES[name] for name in (experiment.data, arguments.against))
    if shape != foreign:
        raise ValueError(
            f"--against {arguments.against}: its images have shape {foreign}, expected {shape}"
        )


COMMANDS = {
    "train": Command(
        "--model MODEL --data DATA --output FOLDER",
        "train a network and write its folder",
        TRAIN_EPILOG,
        add_training,
        check_training,
    ),
    "evaluate": Command(
        "FOLDER",
        "score a trained network on the test data",
        EVALUATE_EPILOG,
        add_evaluation,
        check_evaluation,
    ),
    "uncertainty": Command(
        "FOLDER",
        "measure what a trained network doesn't know",
        UNCERTAINTY_EPILOG,
        add_uncertainty,
        check_uncertainty,
    ),
}
