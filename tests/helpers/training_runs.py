"""Small trainings that several tests look at, and what may happen to one on its way."""

import os
import signal

import torch
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


def line(num_points=40, noise_std=0.5):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(num_points, 1, generator=generator) * 4 - 2
    noise = noise_std * torch.randn(x.shape, generator=generator)
    return TensorDataset(x, 1.5 * x - 0.5 + noise)


def run(seed, **keywords):
    with bt.seeded(0):
        model = nn.Sequential(bt.BayesianLinear(1, 8), nn.ReLU(), bt.BayesianLinear(8, 1))
    likelihood = bt.GaussianLikelihood()
    history = bt.fit(
        model, line(), likelihood, epochs=3, batch_size=16, seed=seed, progress=False, **keywords
    )
    return model, likelihood, history


class Likelihood(bt.GaussianLikelihood):
    """A Gaussian likelihood that does something at a given step."""

    def __init__(self, at=None, action=None, noise_std=1.0):
        super().__init__(noise_std)
        self.at, self.action, self.calls = at, action, 0

    def forward(self, output, target):
        self.calls += 1
        nll = super().forward(output, target)
        return self.action(nll) if self.calls == self.at else nll


def kill(nll):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_the_middle_of_the_third_file():
    save, count = torch.save, 0

    def half(state, path):
        nonlocal count
        count += 1
        save(state, path)
        if count == 3:
            path.write_bytes(path.read_bytes()[:1000])
            kill(None)

    torch.save = half


def train(
    path=None,
    *,
    init=0,
    epochs=6,
    num_data=40,
    noise_std=1.0,
    prior=None,
    learning_rate=0.01,
    hook=None,
    **keywords,
):
    """Train a network in which everything has a state: draws, dropout, batch norm, the noise."""
    with bt.seeded(init):
        model = nn.Sequential(
            bt.BayesianLinear(1, 8, prior=prior),
            nn.BatchNorm1d(8),
            nn.ReLU(),
            nn.Dropout(0.1),
            bt.BayesianLinear(8, 1, estimator="weight"),
        )
    if hook is not None:
        model.register_forward_pre_hook(hook)
    x = torch.linspace(-1, 1, 40)[:num_data, None]
    data = TensorDataset(x, x.square())
    likelihood = keywords.pop("likelihood", None) or Likelihood(noise_std=noise_std)
    parameters = [*model.parameters(), *likelihood.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    if "scheduler" in keywords:
        keywords["scheduler"] = keywords["scheduler"](optimizer)
    settings = {"epochs": epochs, "batch_size": 16, "seed": 4, "progress": False}
    settings |= {"checkpoint": path, "optimizer": optimizer} | keywords
    history = bt.fit(model, data, likelihood, **settings)
    return model, likelihood, history
