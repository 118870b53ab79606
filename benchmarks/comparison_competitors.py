"""Who takes part in the comparison on MNIST, how each is trained, and what may be chosen for it.

Explained on the page "How fast, how accurate". A competitor has a learning rate and one number that
regularizes it, which a search chooses on images that no training saw: it begins at the same rate
for all and goes on beside what was best so far, so that no grid has an edge. Who is made of others
(an ensemble, Laplace's Gaussian around MAP) takes their settings.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from layer_priors import bayesian, layers_of, prior_std
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

BATCH_SIZE, NUM_MEMBERS = 128, 5
# Where a search begins, how far one of its steps goes, and in which order it tries the neighbours.
START_RATE, RATE_FACTOR = 1e-2, 3.0
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))
LIKELIHOOD = bt.CategoricalLikelihood()


def two_hidden_layers() -> bt.ImageClassifier:
    """Return the network of Blundell et al. (2015): two hidden layers of 1,200 units."""
    head = nn.Sequential(
        nn.Linear(784, 1200), nn.ReLU(), nn.Linear(1200, 1200), nn.ReLU(), nn.Linear(1200, 10)
    )
    return bt.ImageClassifier(nn.Flatten(), head, image_shape=(1, 28, 28))


NETWORKS: dict[str, Callable[[], bt.ImageClassifier]] = {
    "LeNet-5": bt.lenet5,
    "MNIST CNN": bt.mnist_network,
    "2x1200": two_hidden_layers,
}


@dataclass(frozen=True)
class Task:
    """A network, what it learns from, in how many passes, and the start."""

    network: str
    data: TensorDataset
    epochs: int
    seed: int

    def untrained(self) -> bt.ImageClassifier:
        """Return the network at this start, where the data are."""
        with bt.seeded(self.seed):
            network = NETWORKS[self.network]()
        return network.to(self.data.tensors[0].device)


def groups(network: nn.Module, setting: Callable[[float], dict], scale: float) -> list[dict]:
    """Return an optimizer's groups, each layer with what its prior's standard deviation asks."""
    return [
        {"params": [*layer.parameters()], **setting(prior_std(layer, scale))}
        for layer in layers_of(network).values()
    ]


def trained(
    task: Task,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    kl_weight: Any = 0.0,
    passes: int = 1,
) -> nn.Module:
    """Train along one cycle, whose highest rate is the optimizer's."""
    epochs = passes * task.epochs
    steps = epochs * math.ceil(len(task.data) / BATCH_SIZE)
    rate = optimizer.param_groups[0]["lr"]
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, cycle_momentum=False
    )
    bt.fit(
        model,
        task.data,
        LIKELIHOOD,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=optimizer,
        scheduler=scheduler,
        kl_weight=kl_weight,
        seed=task.seed,
        progress=False,
    )
    return model


def train_twin(task: Task, learning_rate: float, weight_decay: float) -> nn.Module:
    """Train the deterministic network; the decay is AdamW's, apart from the gradient."""
    network = task.untrained()
    decay = {"lr": learning_rate, "weight_decay": weight_decay, "fused": True}
    return trained(task, network, torch.optim.AdamW(network.parameters(), **decay))


def train_map(task: Task, learning_rate: float, prior_scale: float) -> nn.Module:
    """Train to a maximum of the posterior density under the prior of ``layer_priors``."""
    network, num_data = task.untrained(), len(task.data)
    parts = groups(network, lambda std: {"weight_decay": 1 / (num_data * std**2)}, prior_scale)
    return trained(task, network, torch.optim.Adam(parts, learning_rate, fused=True))


def train_dropout(task: Task, learning_rate: float, odds: float) -> nn.Module:
    """Train with dropout behind each hidden layer of the head, at a rate of odds / (1 + odds)."""
    network, rate = task.untrained(), odds / (1 + odds)
    layers = (
        (layer, nn.Dropout(rate)) if isinstance(layer, nn.ReLU) else (layer,)
        for layer in network.head.children()
    )
    network.head = nn.Sequential(*(layer for part in layers for layer in part))
    return trained(task, network, torch.optim.Adam(network.parameters(), learning_rate, fused=True))


def train_tempered(task: Task, learning_rate: float, kl_weight: float) -> nn.Module:
    """Train a mean-field Gaussian whose KL counts for less than the ELBO says."""
    model = bayesian(task.untrained())
    optimizer = torch.optim.Adam(model.parameters(), learning_rate, fused=True)
    return trained(task, model, optimizer, kl_weight)


def train_mean_field(task: Task, learning_rate: float, prior_scale: float) -> nn.Module:
    """Train a mean-field Gaussian by the ELBO, in twice the passes, the KL growing over a fifth."""
    model = bayesian(task.untrained(), prior_scale, estimator="local")
    optimizer = torch.optim.Adam(model.parameters(), learning_rate, fused=True)
    return trained(task, model, optimizer, bt.KLWarmup(2 * task.epochs / 5), passes=2)


def train_ivon(task: Task, learning_rate: float, prior_scale: float) -> nn.Module:
    """Train a mean-field Gaussian by IVON, also by the ELBO and in twice the passes."""
    network = task.untrained()
    optimizer = bt.IVON(
        groups(network, lambda std: {"prior_std": std}, prior_scale),
        10 * learning_rate,  # a share of a Newton step
        num_data=len(task.data),
        # A wide posterior at the start drowns the weights in noise, and they stay at chance.
        init_hessian=10.0,
        betas=(0.9, 0.999),
    )
    return optimizer.posterior(trained(task, network, optimizer, passes=2))


def last_layer_laplace(task: Task, network: nn.Module) -> nn.Module:
    """Return a Gaussian over the last layer's weights, its prior chosen by the evidence."""
    *_, last = layers_of(network).values()
    covariance = "full" if last.weight.numel() < 10_000 else "kronecker"
    return bt.laplace(network, task.data, LIKELIHOOD, covariance=covariance)


@dataclass(frozen=True)
class Regularizer:
    """The number besides the rate that a search chooses: its start, and the factor of a step."""

    name: str
    start: float
    factor: float

    def setting(self, place: tuple[int, int]) -> dict[str, float]:
        """Return learning rate and regularizer so many steps away from the start."""
        rate, value = place
        return {
            "learning_rate": START_RATE * RATE_FACTOR**rate,
            self.name: self.start * self.factor**value,
        }


def next_place(tried: Mapping[tuple[int, int], float]) -> tuple[int, int]:
    """Return what a search tries next: the first new neighbour of the best that has one.

    Args:
        tried: the NLL at each place so far.
    """
    for rate, value in sorted(tried, key=lambda place: tried[place]):
        for up, right in STEPS:
            if (rate + up, value + right) not in tried:
                return rate + up, value + right
    return 0, 0


@dataclass(frozen=True)
class Competitor:
    """One way to a prediction.

    Its settings are searched along ``regularizer``, or are those of ``settings_of``; ``draws`` is
    how many networks a prediction averages, each number a prediction of its own; ``share`` how much
    of the passes each of ``members`` gets; ``afterwards`` what is made of a trained network, and
    ``context`` that in which it predicts.
    """

    train: Callable[..., nn.Module]
    draws: tuple[int, ...]
    regularizer: Regularizer | None = None
    settings_of: str | None = None
    members: int = 1
    share: float = 1.0
    afterwards: Callable[[Task, nn.Module], nn.Module] = lambda task, network: network
    context: Callable[[nn.Module], AbstractContextManager] = contextlib.nullcontext


COMPETITORS = {
    "twin": Competitor(train_twin, (1,), Regularizer("weight_decay", 0.3, 3.0)),
    # A maximum of the density needs a wider prior than a posterior does: with many weights it falls
    # to zero otherwise.
    "MAP": Competitor(train_map, (1,), Regularizer("prior_scale", 6.0, 2.0)),
    "MC dropout": Competitor(
        train_dropout, (5, 30), Regularizer("odds", 0.25, 2.5), context=bt.mc_dropout
    ),
    "Laplace, last layer": Competitor(
        train_map, (30,), settings_of="MAP", afterwards=last_layer_laplace
    ),
    "five in the time of one": Competitor(
        train_twin, (5,), settings_of="twin", members=NUM_MEMBERS, share=1 / NUM_MEMBERS
    ),
    "ensemble of five": Competitor(train_twin, (5,), settings_of="twin", members=NUM_MEMBERS),
    "mean field, KL weight 1": Competitor(
        train_mean_field, (5, 30), Regularizer("prior_scale", 2.0, 2.0)
    ),
    "IVON, KL weight 1": Competitor(train_ivon, (5, 30), Regularizer("prior_scale", 4.0, 2.0)),
    "mean field, tempered": Competitor(
        train_tempered, (5, 30), Regularizer("kl_weight", 0.03, 3.0)
    ),
    "five mean fields, tempered": Competitor(
        train_tempered, (5, 30), settings_of="mean field, tempered", members=NUM_MEMBERS
    ),
}


def train_members(name: str, task: Task, setting: dict[str, float]) -> list[nn.Module]:
    """Train what a competitor consists of; the first member has the task's own seed."""
    competitor = COMPETITORS[name]
    epochs = max(1, round(competitor.share * task.epochs))
    models = []
    for member in range(competitor.members):
        seed = task.seed if member == 0 else 1000 * (task.seed + 1) + member
        own = Task(task.network, task.data, epochs, seed)
        models.append(competitor.afterwards(own, competitor.train(own, **setting)))
    return models


def draw(name: str, models: list[nn.Module], images: Tensor, num_draws: int) -> Tensor:
    """Return logits (S, N, 10) of a prediction, S equally from each member.

    Each draw is one network for all images, which costs a tenth of pre-activations of their own.
    """
    each = num_draws // len(models)
    context = COMPETITORS[name].context
    samples = []
    for seed, model in enumerate(models):
        for layer in bt.bayesian_layers(model):
            layer.estimator = "weight"
        with context(model):
            samples.append(bt.predict(model, images, each, seed=seed).samples)
    return torch.cat(samples)
