"""The training loop and its measurements, for Bayesian networks and their deterministic twins.

Explained in the chapters "Polynomial regression with 3-sigma bands" and "A Bayesian CNN on MNIST".
"""

import itertools
import os
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, DistributedSampler

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.batches import Data, Source, open_data
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.prediction.predict import outputs_of_draws
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.checkpoints import OwnGenerator, TrainingCheckpoint
from bnn_tutorial.training.data import CheckedData
from bnn_tutorial.training.elbo import ExpectedNLL, NegativeElbo
from bnn_tutorial.training.history import History
from bnn_tutorial.training.kl_schedules import KLSchedule, kl_weights
from bnn_tutorial.training.processes import Processes
from bnn_tutorial.training.progress import Recorder
from bnn_tutorial.training.steps import (
    Batch,
    Optimization,
    demands_closure,
    training_mode,
)


def fit(
    model: nn.Module,
    data: Data,
    likelihood: Likelihood,
    *,
    epochs: int,
    batch_size: int | None = None,
    num_data: int | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    learning_rate: float = 1e-3,
    scheduler: LRScheduler | None = None,
    clip_norm: float | None = None,
    mixed_precision: torch.dtype | None = None,
    kl_weight: float | KLSchedule = 1.0,
    num_draws: int = 1,
    expected_nll: ExpectedNLL | None = None,
    validation: Data | None = None,
    validate_every: int = 1,
    num_samples: int = 10,
    seed: int | None = None,
    progress: bool = True,
    tensorboard: str | os.PathLike | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 1,
    resume: bool = False,
) -> History:
    r"""Minimize the negative ELBO per datum with posterior draws, or with none.

    .. math:: \frac1S \sum_s \frac1B \sum_b -\log p(y_b \mid x_b, w_s)
        + \lambda \frac{\mathrm{KL}}{N}, \qquad w_s \sim q

    A model without Bayesian layers has KL 0 and is trained by maximum likelihood. In several
    processes (:func:`process_group`) each draws its own weights and takes its part of each batch;
    the gradients are averaged, and the history is the same in all.

    Args:
        model: maps a batch of inputs to outputs; stays on its device, to which batches move. Of a
            :class:`DeepEnsemble` all members are trained.
        data: a Dataset whose items are (x, y), or a DataLoader. Several inputs (x_1, ..., x_k, y),
            or a tuple or a dict in the place of x, become the model's arguments. The tensors of a
            TensorDataset are checked whole before the first step, of other data the first rows
            then and each batch when it comes. Of a DataLoader the sampler, the workers and the
            collate_fn are used; several processes share its batches out.
        likelihood: a module that maps (output, target) to the mean NLL in nats and has
            ``metrics(samples, target)``; its parameters are trained along.
        epochs: passes over the data.
        batch_size: B, over all processes; None takes all N rows at once, or what a DataLoader says.
        num_data: N, which divides the KL; None takes the length of the data set, or of the subset
            that a SubsetRandomSampler draws from. It is needed where ``data`` is a DataLoader of an
            iterable set, or one that forms no batches itself.
        optimizer: over the model's and the likelihood's parameters; None means Adam, and with
            :class:`IVON` its state is a posterior.
        learning_rate: of that Adam; not used with your own ``optimizer``.
        scheduler: of your own ``optimizer``'s learning rate; it counts in steps, not in epochs.
        clip_norm: the largest norm of a step's gradient, which is scaled down to it; None is free.
        mixed_precision: ``torch.bfloat16`` or ``torch.float16``, in which autocast computes the
            network; the loss stays in single precision, and float16 gradients are scaled.
        kl_weight: :math:`\lambda`; 1 is the ELBO. A number, or a schedule such as
            :class:`KLWarmup` or :class:`BlundellWeights`.
        num_draws: S, the posterior draws a step; not used with ``expected_nll``.
        expected_nll: maps (model, x, y, likelihood) to the expected NLL per datum in closed form,
            such as :func:`exact_nll`; None estimates it with draws.
        validation: data to :func:`evaluate` on while training.
        validate_every: epochs between two validations; the last epoch is always validated.
        num_samples: posterior draws a validation.
        seed: makes the run repeatable and leaves the global generator untouched; several processes
            need one, from which each derives its own.
        progress: show a progress bar.
        tensorboard: a folder in which TensorBoard finds the records; None writes none.
        checkpoint: a file to continue from, complete at any moment, the one before it beside it
            with ``.previous`` after its name; None writes none.
        checkpoint_every: epochs between two checkpoints; the last epoch always has one.
        resume: continue from ``checkpoint`` where the file exists, with the same numbers as a run
            that never stopped; the settings must be the same, but for more ``epochs`` and for a
            ``scheduler`` of another length, which goes on as if it had been there from the start.
            Of a DataLoader this holds where its order and its items draw from torch's,
            Python's or numpy's global generators, or from its own.

    Returns:
        The history, one record an epoch.

    Raises:
        NonFiniteLossError: at the first loss that is infinite or NaN, and where the parameters, or
            the outputs on ``validation``, are so before a validation, a checkpoint or the end.
            Model and likelihood then hold the state from the start of the last epoch that began
            with a finite loss, and the last checkpoint stays.
        TypeError: ``data`` or ``validation`` is no data set, or has no targets, or ``scheduler`` is
            none that a step can drive.
        ValueError: ``data`` or ``validation`` is empty or not finite, the model can't take its
            inputs or the likelihood score its targets, N is unknown, ``optimizer`` lacks a
            parameter of the likelihood, a number is out of its range, settings contradict each
            other, or the checkpoint is damaged or of another run.
        FileExistsError: there is a ``checkpoint`` that nobody asked to resume.
        ImportError: TensorBoard is asked for and not installed.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> import bnn_tutorial as bt
        >>> data = TensorDataset(*bt.polynomial_data(100))
        >>> model = bt.to_bayesian(bt.regression_network(20))
        >>> likelihood = bt.GaussianLikelihood(noise_std=0.6)
        >>> history = bt.fit(model, data, likelihood, epochs=3, progress=False)
        >>> history.epochs("loss")
        [1, 2, 3]
    """
    source = open_data(data, "data", num_data=num_data)
    held_out = None if validation is None else open_data(validation, "validation")
    num_data = _num_data(source, num_data)
    if batch_size is not None and isinstance(data, DataLoader):
        raise ValueError(
            f"batch_size={batch_size} with a DataLoader, which has its own: expected None"
        )
    require_counts(
        epochs=epochs,
        num_data=num_data,
        batch_size=1 if batch_size is None else batch_size,
        num_draws=num_draws,
        validate_every=validate_every,
        num_samples=num_samples,
        checkpoint_every=checkpoint_every,
    )
    _check_combinations(
        mixed_precision=mixed_precision,
        expected_nll=expected_nll,
        scheduler=scheduler,
        optimizer=optimizer,
        resume=resume,
        checkpoint=checkpoint,
    )
    device = next(model.parameters()).device
    processes = Processes.current()
    objective = NegativeElbo(
        model,
        likelihood.to(device),
        num_data=num_data,
        num_draws=num_draws,
        expected_nll=expected_nll,
        mixed_precision=mixed_precision,
    )
    if optimizer is None:
        # One kernel for all parameters takes half the time of Adam's step, or less.
        fused = device.type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(objective.parameters(), lr=learning_rate, fused=fused)
    for group in optimizer.param_groups:
        if group.get("num_data", num_data) != num_data:
            raise ValueError(
                f"optimizer has num_data={group['num_data']}: expected {num_data}, as of data"
            )
    _check_optimizer(optimizer, likelihood, exact=expected_nll is not None)
    optimization = Optimization(
        objective,
        optimizer,
        processes=processes,
        scheduler=scheduler,
        clip_norm=clip_norm,
        loss_scaling=mixed_precision == torch.float16,
    )
    saved = None
    if checkpoint is not None:
        saved = _checkpoint(
            checkpoint,
            optimization,
            model=model,
            likelihood=likelihood,
            generators=source.generators(),
            num_data=num_data,
            batch_size=batch_size,
            mixed_precision=mixed_precision,
            kl_weight=kl_weight,
            num_draws=num_draws,
            expected_nll=expected_nll,
            seed=seed,
        )
    with seeded(0, device):  # a data set may draw its rows
        source = CheckedData(source, model, likelihood)
        if held_out is not None:
            held_out = CheckedData(held_out, model, likelihood)
    with training_mode(model), seeded(processes.seed(seed), device):
        history = History(saved.start(resume, epochs) if saved else [])
        start = time.perf_counter() - (history["seconds"][-1] if len(history) else 0.0)
        with Recorder(
            history,
            epochs=epochs,
            progress=progress and processes.rank == 0,
            tensorboard=tensorboard if processes.rank == 0 else None,
        ) as recorder:
            for epoch in range(len(history) + 1, epochs + 1):
                order = processes.share(source.order(batch_size))
                weights = _kl_weights(kl_weight, epoch, order)
                batches = _batches(source, order, processes)
                record = optimization.epoch(epoch, batches, weights)
                last = epoch == epochs
                if held_out is not None and (last or epoch % validate_every == 0):
                    optimization.check_parameters()
                    # Its own seed keeps the training the same with and without validation.
                    found = outputs_of_draws(model, held_out, num_samples, seed=epoch)
                    optimization.check_outputs(found[0])
                    scores = _scores(likelihood, *found)
                    record |= {f"validation_{name}": value for name, value in scores.items()}
                record["seconds"] = time.perf_counter() - start
                recorder.add(processes.share(record))
                if last or (saved and epoch % checkpoint_every == 0):
                    optimization.check_parameters()
                    if saved:
                        saved.save(history.records)
    return history


def evaluate(
    model: nn.Module,
    data: Data,
    likelihood: Likelihood,
    *,
    num_samples: int = 10,
    seed: int | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """Score the posterior predictive distribution on held-out data.

    Args:
        model: as in :func:`fit`; it runs in ``eval()`` and comes back as it was.
        data: as in :func:`fit`, not empty.
        likelihood: its ``metrics`` name and define the scores.
        num_samples: posterior draws that are averaged.
        seed: makes the draws repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Returns:
        The scores by name, ``nll`` and ``rmse`` for a Gaussian likelihood; ``nll``, ``accuracy``
        and ``ece`` for a categorical one.

    Raises:
        TypeError: ``data`` is no data set, or has no targets.
        ValueError: ``data`` is empty or not finite, the model can't take its inputs or the
            likelihood score its targets, or ``num_samples`` is below 1.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x, likelihood = torch.zeros(5, 1), bt.GaussianLikelihood(1.0)
        >>> data = torch.utils.data.TensorDataset(x, x + 2.0)
        >>> scores = bt.evaluate(torch.nn.Identity(), data, likelihood)
        >>> print(f"{scores['rmse']:.3f}, {scores['nll']:.3f}")  # 2, log(2π) / 2 + 2
        2.000, 2.919
    """
    source = open_data(data, "data")
    with seeded(0, source.device):
        source = CheckedData(source, model, likelihood)
    found = outputs_of_draws(model, source, num_samples, seed=seed, progress=progress)
    return _scores(likelihood, *found)


def _scores(likelihood: Likelihood, samples: Tensor, target: Tensor | None) -> dict[str, float]:
    assert target is not None  # CheckedData has seen to it
    with torch.no_grad():
        return likelihood.metrics(samples, target)


def _num_data(source: Source, given: int | None) -> int:
    """Return N.

    Raises:
        ValueError: nobody knows it.
    """
    num_data = source.num_data if given is None else given
    if num_data is None:
        raise ValueError(
            "num_data=None, and data don't tell how many they are: expected N, which divides the KL"
        )
    return num_data


def _kl_weights(kl_weight: float | KLSchedule, epoch: int, order: Sequence | None):
    """Return the KL's weight in each batch of an epoch.

    Raises:
        ValueError: it depends on the number of batches, which is unknown.
    """
    if order is not None:
        return kl_weights(kl_weight, epoch, [len(rows) for rows in order])
    if callable(kl_weight):
        raise ValueError(
            f"kl_weight={kl_weight!r} with data that don't tell how many batches they have: "
            "expected a number"
        )
    return itertools.repeat(*kl_weights(kl_weight, epoch, [1]))


def _batches(data: Source, order: Sequence | None, processes: Processes) -> Iterator[Batch]:
    """Yield the batches of an epoch, of each this process's part.

    Raises:
        ValueError: several processes can't share the data out, or there is no batch.
    """
    if order is None:
        if processes.count > 1:
            raise ValueError(
                f"data whose batches have no order of their own in {processes.count} processes: "
                "expected a data set with rows, which they can share out"
            )
        for x, y in data.load(None):
            assert y is not None  # CheckedData has seen to it
            yield Batch(x, y, 1.0, len(y))
        return
    if not order:
        raise ValueError("data give no batch: expected fewer rows in a batch, or drop_last=False")
    if processes.count > 1 and isinstance(data.sampler, DistributedSampler):
        raise ValueError(
            "data has a DistributedSampler: expected another sampler, whose batches fit shares "
            "out among the processes itself"
        )
    parts = [processes.part(rows) for rows in order]
    loaded = data.load([mine for mine, _ in parts])
    for (x, y), (_, share), rows in zip(loaded, parts, order, strict=True):
        assert y is not None
        yield Batch(x, y, share, len(rows))


def _checkpoint(
    path: str | os.PathLike,
    optimization: Optimization,
    generators: list[torch.Generator],
    **settings: object,
) -> TrainingCheckpoint:
    """Return the file of a run: all that changes in it, and the ``settings`` that must not."""
    changing = {
        "objective": optimization.objective,
        "optimizer": optimization.optimizer,
        "scaler": optimization.scaler,
        "scheduler": optimization.scheduler,
        "steps": optimization.steps,
    } | {f"generator {i}": OwnGenerator(generator) for i, generator in enumerate(generators)}
    settings |= {
        "optimizer": optimization.optimizer,
        "scheduler": optimization.scheduler,
        "clip_norm": optimization.clip_norm,
    }
    return TrainingCheckpoint(path, changing, settings, optimization.processes, optimization.device)


def _check_optimizer(
    optimizer: torch.optim.Optimizer, likelihood: nn.Module, *, exact: bool
) -> None:
    theirs = {id(p) for group in optimizer.param_groups for p in group["params"]}
    learnt = {name: p for name, p in likelihood.named_parameters() if p.requires_grad}
    if missing := [name for name, parameter in learnt.items() if id(parameter) not in theirs]:
        raise ValueError(
            f"optimizer lacks {', '.join(missing)} of the {type(likelihood).__name__}: expected "
            "the likelihood's parameters too, or one that learns none, such as with learn=False"
        )
    if demands_closure(optimizer) and not exact:
        raise ValueError(
            f"optimizer={type(optimizer).__name__} needs a loss that is the same at each call: "
            "expected expected_nll, such as bnn_tutorial.exact_nll, or an optimizer that needs "
            "no closure"
        )


def _check_combinations(
    *,
    mixed_precision: torch.dtype | None,
    expected_nll: ExpectedNLL | None,
    scheduler: LRScheduler | None,
    optimizer: torch.optim.Optimizer | None,
    resume: bool,
    checkpoint: str | os.PathLike | None,
) -> None:
    if mixed_precision not in (None, torch.float16, torch.bfloat16):
        raise ValueError(
            f"mixed_precision={mixed_precision}: expected torch.bfloat16, torch.float16 or None"
        )
    if mixed_precision is not None and expected_nll is not None:
        raise ValueError(
            f"mixed_precision={mixed_precision} with expected_nll, which is computed in full "
            "precision: expected only one of them"
        )
    if scheduler is not None and optimizer is None:
        raise ValueError("scheduler without an optimizer: expected the optimizer that it schedules")
    if resume and checkpoint is None:
        raise ValueError("resume=True without a checkpoint: expected the file to continue from")
