"""The training loop and its measurements, for Bayesian networks and their deterministic twins.

Explained in the chapters "Polynomial regression with 3-sigma bands" and "A Bayesian CNN on MNIST".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)
from tqdm.auto import tqdm

from bnn_tutorial.objectives import elbo_loss, kl_divergence, sampled_nll
from bnn_tutorial.prediction import predict
from bnn_tutorial.randomness import seeded


class NonFiniteLossError(RuntimeError):
    """The loss became infinite or NaN; ``step`` and ``epoch`` (from 1) say when."""

    def __init__(self, step: int, epoch: int, nll: float, kl: float):
        super().__init__(
            f"the loss is not finite at step {step} (epoch {epoch}): nll={nll:.4g}, kl={kl:.4g}. "
            "Training stopped; the model was put back to its last good state"
        )
        self.step = step
        self.epoch = epoch
        self.nll = nll
        self.kl = kl


@dataclass
class History:
    """What :func:`fit` measured: one record an epoch, a dict of names and numbers.

    Every record has ``epoch``, ``loss``, ``nll``, ``kl`` (means over the epoch's batches, in nats)
    and ``seconds`` since the start; those of a validated epoch also have ``validation_`` and the
    names that :func:`evaluate` returns.
    """

    records: list[dict[str, float]] = field(default_factory=list)

    def __getitem__(self, name: str) -> list[float]:
        """Return the values called ``name``, of the epochs that have it.

        Raises:
            KeyError: no epoch recorded it.
        """
        values = [record[name] for record in self.records if name in record]
        if not values:
            known = sorted({key for record in self.records for key in record})
            raise KeyError(f"{name!r} was not recorded: expected one of {', '.join(known)}")
        return values

    def epochs(self, name: str) -> list[float]:
        """Return the epochs, from 1, that belong to ``self[name]``."""
        return [record["epoch"] for record in self.records if name in record]

    def __len__(self) -> int:
        return len(self.records)


def _loader(data: TensorDataset, batch_size: int, *, shuffle: bool) -> DataLoader:
    # The sampler hands whole index lists to the data set, which then slices its tensors at once
    # instead of stacking single rows.
    sampler = RandomSampler(data) if shuffle else SequentialSampler(data)
    return DataLoader(
        data, sampler=BatchSampler(sampler, batch_size, drop_last=False), batch_size=None
    )


def _state(*modules: nn.Module) -> list[dict[str, Tensor]]:
    return [
        {name: value.detach().clone() for name, value in module.state_dict().items()}
        for module in modules
    ]


def fit(
    model: nn.Module,
    data: TensorDataset,
    likelihood: nn.Module,
    *,
    epochs: int,
    batch_size: int | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    learning_rate: float = 1e-3,
    kl_weight: float = 1.0,
    num_draws: int = 1,
    expected_nll: Callable[[nn.Module, Tensor, Tensor, nn.Module], Tensor] | None = None,
    validation: TensorDataset | None = None,
    validate_every: int = 1,
    num_samples: int = 10,
    seed: int | None = None,
    progress: bool = True,
) -> History:
    r"""Minimize the negative ELBO per datum with posterior draws, or with none.

    .. math:: \frac1S \sum_s \frac1B \sum_b -\log p(y_b \mid x_b, w_s)
        + \lambda \frac{\mathrm{KL}}{N}, \qquad w_s \sim q

    A model without Bayesian layers has KL 0 and is trained by maximum likelihood.

    Args:
        model: maps a batch of inputs to outputs; stays on its device, to which batches move.
        data: inputs and targets as a TensorDataset of N rows.
        likelihood: a module that maps (output, target) to the mean NLL in nats and has
            ``metrics(samples, target)``; its parameters are trained along.
        epochs: passes over the data.
        batch_size: B; None takes all N rows at once.
        optimizer: over the model's and the likelihood's parameters; None means Adam.
        learning_rate: of that Adam; not used with your own ``optimizer``.
        kl_weight: :math:`\lambda`; 1 is the ELBO.
        num_draws: S, the posterior draws a step; not used with ``expected_nll``.
        expected_nll: maps (model, x, y, likelihood) to the expected NLL per datum in closed form;
            None estimates it with draws.
        validation: a data set to :func:`evaluate` on while training.
        validate_every: epochs between two validations; the last epoch is always validated.
        num_samples: posterior draws a validation.
        seed: makes the run repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Returns:
        The history, one record an epoch.

    Raises:
        NonFiniteLossError: at the first loss that is infinite or NaN. Model and likelihood then
            hold the state from the start of the last epoch that began with a finite loss.
        ValueError: ``data`` is empty, or a count is below 1.
    """
    if len(data) == 0:
        raise ValueError("data is empty: expected at least one row")
    batch_size = len(data) if batch_size is None else batch_size
    for name, count in {
        "epochs": epochs,
        "batch_size": batch_size,
        "num_draws": num_draws,
        "validate_every": validate_every,
    }.items():
        if count < 1:
            raise ValueError(f"{name}={count}: expected 1 or more")
    if optimizer is None:
        parameters = [*model.parameters(), *likelihood.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    device = next(model.parameters()).device
    likelihood.to(device)
    loader = _loader(data, batch_size, shuffle=batch_size < len(data))
    history = History()
    good_state = _state(model, likelihood)
    start = time.perf_counter()
    step = 0
    with seeded(seed, device), tqdm(total=epochs, unit="epoch", disable=not progress) as bar:
        for epoch in range(1, epochs + 1):
            model.train()
            sums = {"loss": 0.0, "nll": 0.0, "kl": 0.0}
            for batch, (x, y) in enumerate(loader):
                step += 1
                optimizer.zero_grad()
                x, y = x.to(device), y.to(device)
                if expected_nll is None:
                    nll = sampled_nll(model, x, y, likelihood, num_draws)
                else:
                    nll = expected_nll(model, x, y, likelihood)
                kl = kl_divergence(model)
                loss = elbo_loss(nll, kl, num_data=len(data), kl_weight=kl_weight)
                values = {"loss": loss.item(), "nll": nll.item(), "kl": kl.item()}
                if not torch.isfinite(loss):
                    for module, state in zip((model, likelihood), good_state, strict=True):
                        module.load_state_dict(state)
                    raise NonFiniteLossError(step, epoch, values["nll"], values["kl"])
                if batch == 0:
                    good_state = _state(model, likelihood)
                loss.backward()
                optimizer.step()
                for name, value in values.items():
                    sums[name] += value / len(loader)
            record = {"epoch": epoch, **sums, "seconds": time.perf_counter() - start}
            if validation is not None and (epoch % validate_every == 0 or epoch == epochs):
                # Its own seed keeps the training the same with and without validation.
                scores = evaluate(
                    model, validation, likelihood, num_samples=num_samples, seed=epoch
                )
                record |= {f"validation_{name}": value for name, value in scores.items()}
            history.records.append(record)
            bar.set_postfix({"loss": f"{sums['loss']:.4g}"}, refresh=False)
            bar.update()
    return history


def evaluate(
    model: nn.Module,
    data: TensorDataset,
    likelihood: nn.Module,
    *,
    num_samples: int = 10,
    batch_size: int = 1000,
    seed: int | None = None,
) -> dict[str, float]:
    """Score the posterior predictive distribution on held-out data.

    Args:
        model: as in :func:`fit`; it runs in ``eval()`` and comes back as it was.
        data: inputs and targets as a TensorDataset, not empty.
        likelihood: its ``metrics`` name and define the scores.
        num_samples: posterior draws that are averaged.
        batch_size: data a forward pass.
        seed: makes the draws repeatable and leaves the global generator untouched.

    Returns:
        The scores by name, ``nll`` and ``rmse`` for a Gaussian likelihood; ``nll``, ``accuracy``
        and ``ece`` for a categorical one.
    """
    x, y = data.tensors
    prediction = predict(model, x, num_samples, batch_size=batch_size, seed=seed)
    with torch.no_grad():
        return likelihood.metrics(prediction.samples, y.to(prediction.samples.device))
