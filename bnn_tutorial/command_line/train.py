"""The command ``train``: train a network and write the folder that the other commands read.

Explained on the page "Run it, cite it".
"""

import argparse
import contextlib
import os
from dataclasses import asdict
from pathlib import Path

import torch
from torch.utils.data import TensorDataset

from bnn_tutorial.checkpoints import save_model
from bnn_tutorial.command_line import values
from bnn_tutorial.command_line.experiment import Experiment
from bnn_tutorial.command_line.folder import (
    CHECKPOINT,
    MODEL,
    RECORD,
    describe_machine,
    print_table,
    read_json,
    require_finite,
    write_json,
)
from bnn_tutorial.distributed import Processes, process_group
from bnn_tutorial.exact import exact_nll
from bnn_tutorial.training import evaluate, fit

USAGE = "--model MODEL --data DATA --output FOLDER"
DESCRIPTION = "train a network and write its folder"
EPILOG = """\
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
TRAINING = (
    "epochs",
    "batch_size",
    "learning_rate",
    "kl_weight",
    "kl_schedule",
    "num_draws",
    "exact",
    "clip_norm",
    "mixed_precision",
    "num_samples",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    Experiment.add_arguments(parser)
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
    group.add_argument(
        "--device",
        type=values.device,
        help="such as cpu, cuda or mps (default: cuda where there is one, else cpu)",
    )
    group.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="made where it is missing"
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


def run(arguments: argparse.Namespace) -> None:
    """Train, alone or as one of the processes that ``torchrun`` started.

    Raises:
        ValueError: arguments don't go together, or a file is damaged.
        OSError: the folder holds another run, or a file is missing.
        ImportError: TensorBoard was asked for and is not installed.
        NonFiniteLossError: the loss became infinite or NaN.
        NonFiniteScoreError: a score on the test data did.
    """
    experiment = Experiment.of(arguments)
    if arguments.exact and not experiment.is_regression:
        raise ValueError(f"--exact --model {experiment.model}: expected --model regression")
    folder, precision = arguments.output, arguments.mixed_precision
    saving = arguments.checkpoint_every is not None or arguments.resume
    record = {
        "experiment": asdict(experiment),
        "training": {name: getattr(arguments, name) for name in TRAINING},
    }
    check_folder(folder, record, arguments.resume)
    with contextlib.ExitStack() as stack:
        try:
            own_device = stack.enter_context(process_group())
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        processes = Processes.current()
        if processes.count > 1 and arguments.device is not None:
            raise ValueError(
                f"--device {arguments.device} with torchrun: expected none, since each process "
                "takes a GPU of its own, or all the CPU"
            )
        if processes.rank > 0:
            silence = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        device = arguments.device or own_device
        record["machine"] = {**describe_machine(device), "processes": processes.count}
        data = load_in_turn(experiment, processes)
        modules = experiment.build(data).to(device)
        if processes.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(record, folder / RECORD)
        processes.share(None)  # waits until the folder exists
        history = fit(
            modules["model"],
            data,
            modules["likelihood"],
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            kl_weight=values.parse_kl_schedule(arguments.kl_schedule, arguments.kl_weight),
            num_draws=arguments.num_draws,
            expected_nll=exact_nll if arguments.exact else None,
            clip_norm=arguments.clip_norm,
            mixed_precision=precision and getattr(torch, precision),
            seed=experiment.seed,
            progress=not arguments.quiet,
            tensorboard=folder / "tensorboard" if arguments.tensorboard else None,
            checkpoint=folder / CHECKPOINT if saving else None,
            checkpoint_every=arguments.checkpoint_every or 1,
            resume=arguments.resume,
        )
        if processes.rank == 0:
            save_model(modules, folder / MODEL)
            scores = evaluate(
                modules["model"],
                experiment.dataset(train=False),
                modules["likelihood"],
                num_samples=arguments.num_samples,
                seed=experiment.seed,
                progress=not arguments.quiet,
            )
            record |= {"history": history.records, "results": require_finite(scores)}
            write_json(record, folder / RECORD)
            print_table(f"{folder}: test data, {arguments.num_samples} draws", scores)


def check_folder(folder: Path, record: dict, resume: bool) -> None:
    """Raise an error where ``folder`` holds a run that this one would overwrite or can't continue.

    Raises:
        FileExistsError: it holds one, and it is not to be resumed.
        ValueError: the run to resume had other settings.
    """
    if not resume:
        for file in (folder / MODEL, folder / CHECKPOINT):
            if file.exists():
                raise FileExistsError(
                    f"--output {folder}: {file.name} of another run is there; expected another "
                    "folder, or --resume"
                )
    elif (folder / RECORD).exists():
        saved = read_json(folder / RECORD)
        for part in ("experiment", "training"):
            for name, value in record[part].items():
                before = saved.get(part, {}).get(name)
                if before != value and name not in ("epochs", "num_samples", "num_test"):
                    option = "--" + name.replace("_", "-")
                    raise ValueError(
                        f"--resume {option} {value}: the run in {str(folder)!r} has {before}; "
                        "expected the same"
                    )


def load_in_turn(experiment: Experiment, processes: Processes) -> TensorDataset:
    """Return the training data, which process 0 downloads where needed before the others look."""
    data = experiment.dataset(train=True) if processes.rank == 0 else None
    processes.share(None)
    return experiment.dataset(train=True) if data is None else data
