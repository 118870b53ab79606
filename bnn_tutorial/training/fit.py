"""The training loop and its measurements, for Bayesian networks and their deterministic twins.

Explained in the chapters "Polynomial regression with 3-sigma bands" and "A Bayesian CNN on MNIST".
"""

import os
import time

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import TensorDataset

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.prediction.predict import predict
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.checkpoints import TrainingCheckpoint
from bnn_tutorial.training.data import require_dataset, shuffled_rows
from bnn_tutorial.training.elbo import ExpectedNLL, NegativeElbo
from bnn_tutorial.training.history import History
from bnn_tutorial.training.kl_schedules import KLSchedule, kl_weights
from bnn_tutorial.training.processes import Processes
from bnn_tutorial.training.progress import Recorder
from bnn_tutorial.training.steps import Optimization


def fit(
    model: nn.Module,
    data: TensorDataset,
    likelihood: Likelihood,
    *,
    epochs: int,
    batch_size: int | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    learning_rate: float = 1e-3,
    scheduler: LRScheduler | None = None,
    clip_norm: float | None = None,
    mixed_precision: torch.dtype | None = None,
    kl_weight: float | KLSchedule = 1.0,
    num_draws: int = 1,
    expected_nll: ExpectedNLL | None = None,
    validation: TensorDataset | None = None,
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
        data: inputs and targets as a TensorDataset of N rows.
        likelihood: a module that maps (output, target) to the mean NLL in nats and has
            ``metrics(samples, target)``; its parameters are trained along.
        epochs: passes over the data.
        batch_size: B, over all processes; None takes all N rows at once.
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
        validation: a data set to :func:`evaluate` on while training.
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
            that never stopped; the settings must be the same, but for more ``epochs``.

    Returns:
        The history, one record an epoch.

    Raises:
        NonFiniteLossError: at the first loss that is infinite or NaN, and where the parameters, or
            the outputs on ``validation``, are so before a validation, a checkpoint or the end.
            Model and likelihood then hold the state from the start of the last epoch that began
            with a finite loss, and the last checkpoint stays.
        TypeError: ``data`` or ``validation`` is not a TensorDataset, or ``scheduler`` is none that
            a step can drive.
        ValueError: ``data`` is empty, a number is out of its range, settings contradict each other,
            or the checkpoint is damaged or of another run.
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
    require_dataset(data=data)
    if validation is not None:
        require_dataset(validation=validation)
    batch_size = len(data) if batch_size is None else batch_size
    require_counts(
        epochs=epochs,
        batch_size=batch_size,
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
        num_data=len(data),
        num_draws=num_draws,
        expected_nll=expected_nll,
        mixed_precision=mixed_precision,
    )
    if optimizer is None:
        # One kernel for all parameters takes half the time of Adam's step, or less.
        fused = device.type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(objective.parameters(), lr=learning_rate, fused=fused)
    for group in optimizer.param_groups:
        if group.get("num_data", len(data)) != len(data):
            raise ValueError(
                f"optimizer has num_data={group['num_data']}: expected {len(data)}, "
                "the rows of data"
            )
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
            num_data=len(data),
            batch_size=batch_size,
            mixed_precision=mixed_precision,
            kl_weight=kl_weight,
            num_draws=num_draws,
            expected_nll=expected_nll,
            seed=seed,
        )
    model.train()
    with seeded(processes.seed(seed), device):
        history = History(saved.start(resume, epochs) if saved else [])
        start = time.perf_counter() - (history["seconds"][-1] if len(history) else 0.0)
        with Recorder(
            history,
            epochs=epochs,
            progress=progress and processes.rank == 0,
            tensorboard=tensorboard if processes.rank == 0 else None,
        ) as recorder:
            for epoch in range(len(history) + 1, epochs + 1):
                order = processes.share(shuffled_rows(len(data), batch_size))
                batches = order.split(batch_size)
                weights = kl_weights(kl_weight, epoch, [len(rows) for rows in batches])
                record = optimization.epoch(epoch, data, batches, weights)
                last = epoch == epochs
                if validation is not None and (last or epoch % validate_every == 0):
                    optimization.check_parameters()
                    # Its own seed keeps the training the same with and without validation.
                    samples = predict(model, validation.tensors[0], num_samples, seed=epoch).samples
                    optimization.check_outputs(samples)
                    scores = _scores(likelihood, samples, validation)
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
    data: TensorDataset,
    likelihood: Likelihood,
    *,
    num_samples: int = 10,
    seed: int | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """Score the posterior predictive distribution on held-out data.

    Args:
        model: as in :func:`fit`; it runs in ``eval()`` and comes back as it was.
        data: inputs and targets as a TensorDataset, not empty.
        likelihood: its ``metrics`` name and define the scores.
        num_samples: posterior draws that are averaged.
        seed: makes the draws repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Returns:
        The scores by name, ``nll`` and ``rmse`` for a Gaussian likelihood; ``nll``, ``accuracy``
        and ``ece`` for a categorical one.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x, likelihood = torch.zeros(5, 1), bt.GaussianLikelihood(1.0)
        >>> data = torch.utils.data.TensorDataset(x, x + 2.0)
        >>> scores = bt.evaluate(torch.nn.Identity(), data, likelihood)
        >>> print(f"{scores['rmse']:.3f}, {scores['nll']:.3f}")  # 2, log(2π) / 2 + 2
        2.000, 2.919
    """
    prediction = predict(model, data.tensors[0], num_samples, seed=seed, progress=progress)
    return _scores(likelihood, prediction.samples, data)


def _scores(likelihood: Likelihood, samples: Tensor, data: TensorDataset) -> dict[str, float]:
    with torch.no_grad():
        return likelihood.metrics(samples, data.tensors[1].to(samples.device))


def _checkpoint(
    path: str | os.PathLike, optimization: Optimization, **settings: object
) -> TrainingCheckpoint:
    """Return the file of a run: all that changes in it, and the ``settings`` that must not."""
    changing = {
        "objective": optimization.objective,
        "optimizer": optimization.optimizer,
        "scaler": optimization.scaler,
        "scheduler": optimization.scheduler,
    }
    settings |= {
        "optimizer": optimization.optimizer,
        "scheduler": optimization.scheduler,
        "clip_norm": optimization.clip_norm,
    }
    return TrainingCheckpoint(path, changing, settings, optimization.processes, optimization.device)


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
