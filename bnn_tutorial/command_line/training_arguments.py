"""What the command ``train`` accepts: its arguments, its help, and which of them contradict.

Explained on the page "Run it, cite it". Nothing here imports PyTorch.
"""

import argparse
import importlib.util
import os

from bnn_tutorial.command_line import argument_types
from bnn_tutorial.command_line.common_arguments import add_common
from bnn_tutorial.command_line.experiment import DATA, MODELS, Experiment
from bnn_tutorial.command_line.run_folder import CHECKPOINT, check_folder, run_record

EPILOG = """\
examples:
  {program} train --model regression --data polynomial --hidden-features 50 \\
      --prior normal:0,2 --init-std 0.01 --exact --epochs 3000 --batch-size 500 \\
      --learning-rate 0.01 --output curve
  {program} train --model mnist --data mnist --estimator weight --prior normal:0,0.1 \\
      --kl-weight 0.1 --learning-rate 0.003 --epochs 12 --checkpoint-every 1 --output digits
  {program} train --model resnet20 --data folder --images photographs --augment shift-and-flip \\
      --bayesian head --epochs 30 --output photographs-trained
  torchrun --nproc-per-node 2 -m bnn_tutorial train --model lenet5 --data mnist --output lenet

The folder holds record.json, with settings, versions, machine, history and the scores on the test
data, and model.safetensors. The same command gives the same numbers on the same machine.
"""
ESTIMATORS = ("weight", "local", "flipout")
SHIFT_AND_FLIP = "shift-and-flip"


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``train``; those of :class:`Experiment` have its fields' names."""
    group = parser.add_argument_group("model and data")
    group.add_argument("--model", required=True, choices=MODELS, help="the network")
    group.add_argument(
        "--data",
        required=True,
        choices=DATA,
        help="polynomial: the curve of the polynomial regression, made on the spot; mnist: the "
        "subset of 12,000 images that ships with the package, or with --full all 70,000; "
        "fashion-mnist, cifar10 and cifar100 are downloaded; folder: your own, see --images",
    )
    group.add_argument("--full", action="store_true", help="all of MNIST")
    group.add_argument(
        "--images",
        type=argument_types.image_folder,
        metavar="PATH",
        help="a folder of images, one subfolder a class, of any size and mode: its subfolders "
        "train and test where it has them, else a fifth of the images is the test; each becomes "
        "32 x 32 pixels of three colours",
    )
    group.add_argument(
        "--augment",
        choices=("shift", SHIFT_AND_FLIP),
        help="training images that are shifted by up to an eighth of their size and, if asked, "
        "mirrored left to right, anew each time (default: as they are)",
    )
    group.add_argument(
        "--num-train",
        type=argument_types.integer(1),
        metavar="N",
        help="training rows: points of the polynomial (default: 500), or the first images of a "
        "set (default: all)",
    )
    group.add_argument(
        "--num-test",
        type=argument_types.integer(1),
        metavar="N",
        help="test rows, likewise (default: 1,000 points or all images)",
    )
    group.add_argument(
        "--hidden-features",
        type=argument_types.integer(1),
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
        type=argument_types.prior,
        default="normal:0,1",
        metavar="PRIOR",
        help=f"of every weight: {argument_types.PRIOR_FORMS}, such as mixture:0.5,1,0.0025 for the "
        "scale mixture of Blundell et al. (2015) (default: %(default)s)",
    )
    group.add_argument(
        "--init-std",
        type=argument_types.standard_deviation,
        default=0.05,
        metavar="STD",
        help="the standard deviation that every weight starts with (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        type=argument_types.integer(0),
        default=0,
        help="of the data's noise, the first weights, the batches and the draws (default: 0)",
    )
    group = parser.add_argument_group("training")
    group.add_argument(
        "--epochs",
        type=argument_types.integer(1),
        default=10,
        help="passes over the training data (default: %(default)s)",
    )
    group.add_argument(
        "--batch-size",
        type=argument_types.integer(1),
        default=128,
        metavar="B",
        help="rows a step (default: %(default)s)",
    )
    group.add_argument(
        "--learning-rate",
        type=argument_types.number(above=True),
        default=1e-3,
        metavar="RATE",
        help="of the optimizer, Adam (default: %(default)s)",
    )
    group.add_argument(
        "--kl-weight",
        type=argument_types.number(),
        default=1.0,
        metavar="WEIGHT",
        help="of the KL divergence: 1 is the ELBO, less a tempered posterior (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--kl-schedule",
        type=argument_types.kl_schedule,
        default="constant",
        metavar="SCHEDULE",
        help="how that weight is reached or spread over an epoch: "
        f"{argument_types.KL_SCHEDULE_FORMS} (default: %(default)s)",
    )
    group.add_argument(
        "--num-draws",
        type=argument_types.integer(1),
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
        type=argument_types.number(above=True),
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
        type=argument_types.integer(1),
        default=30,
        metavar="S",
        help="posterior draws that the final test averages (default: %(default)s)",
    )
    group = parser.add_argument_group("where it runs and what it writes")
    group.add_argument(
        "--output",
        type=argument_types.new_folder,
        required=True,
        metavar="FOLDER",
        help="made where it is missing",
    )
    group.add_argument(
        "--checkpoint-every",
        type=argument_types.integer(1),
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
    add_common(group)


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
    if arguments.augment and experiment.is_regression:
        raise ValueError(f"--augment --model {experiment.model}: expected a network of images")
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
