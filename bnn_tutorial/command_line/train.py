"""The command ``train``: train a network and write the folder that the other commands read.

Explained on the page "Run it, cite it".
"""

import argparse
import contextlib
import os

import torch
from torch.utils.data import TensorDataset

from bnn_tutorial.command_line.building import (
    build,
    make_classes,
    make_dataset,
    make_kl_schedule,
    open_device,
)
from bnn_tutorial.command_line.experiment import Experiment
from bnn_tutorial.command_line.load_trained import (
    averaged,
    describe_machine,
    print_table,
    require_finite,
)
from bnn_tutorial.command_line.run_folder import (
    CHECKPOINT,
    MODEL,
    RECORD,
    require_classes,
    run_record,
    write_json,
)
from bnn_tutorial.command_line.training_arguments import SHIFT_AND_FLIP
from bnn_tutorial.datasets import AugmentedImages
from bnn_tutorial.model_files import save_model
from bnn_tutorial.prediction.closed_form import exact_nll
from bnn_tutorial.training.fit import evaluate, fit
from bnn_tutorial.training.processes import Processes, process_group


def run(arguments: argparse.Namespace) -> None:
    """Train, alone or as one of the processes that ``torchrun`` started.

    Raises:
        ValueError: a file is damaged, or the device can't be used.
        OSError: a file is missing, or the folder can't be written.
        NonFiniteLossError: the loss became infinite or NaN.
        NonFiniteScoreError: a score on the test data did.
    """
    experiment, record = Experiment.of(arguments), run_record(arguments)
    folder, precision = arguments.output, arguments.mixed_precision
    saving = arguments.checkpoint_every is not None or arguments.resume
    with contextlib.ExitStack() as stack:
        try:
            own_device = stack.enter_context(process_group())
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        processes = Processes.current()
        if processes.rank > 0:
            silence = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(silence))
        device = open_device(arguments.device) if arguments.device else own_device
        record["machine"] = {**describe_machine(device), "processes": processes.count}
        data = load_in_turn(experiment, processes, progress=not arguments.quiet)
        # Before the training, so that what is wrong with them is not found out after it.
        test = None
        if processes.rank == 0:
            test = make_dataset(experiment, train=False, progress=not arguments.quiet)
        modules = build(experiment).to(device)
        record["classes"] = make_classes(experiment)
        if arguments.augment is not None:
            shift, flip = data.tensors[0].shape[-1] // 8, arguments.augment == SHIFT_AND_FLIP
            data = AugmentedImages(data, max_shift=shift, flip=flip)
        if processes.rank == 0:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # Until a resumed run has ended, the record is that of the model beside it.
                if arguments.resume and (folder / RECORD).exists():
                    require_classes(folder, record["classes"])
                else:
                    write_json(record, folder / RECORD)
            except OSError as error:
                raise OSError(f"--output {folder}: {error}") from error
        processes.share(None)  # waits until the folder exists
        history = fit(
            modules.model,
            data,
            modules.likelihood,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            kl_weight=make_kl_schedule(arguments.kl_schedule, arguments.kl_weight),
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
        if test is not None:
            record["history"] = history.records
            write_json(record, folder / RECORD)
            save_model(modules, folder / MODEL)
            scores = evaluate(
                modules.model,
                test,
                modules.likelihood,
                num_samples=arguments.num_samples,
                seed=experiment.seed,
                progress=not arguments.quiet,
            )
            record["results"] = require_finite(scores)
            write_json(record, folder / RECORD)
            how = averaged(experiment, arguments.num_samples)
            print_table(f"{folder}: test data, {how}", scores)


def load_in_turn(experiment: Experiment, processes: Processes, progress: bool) -> TensorDataset:
    """Return the training data, which process 0 downloads where needed before the others look."""
    data = None
    if processes.rank == 0:
        data = make_dataset(experiment, train=True, progress=progress)
    processes.share(None)
    return make_dataset(experiment, train=True, progress=False) if data is None else data
