"""The roads to a posterior under one budget: problems, and each method as a function of them.

Explained in the chapters "Sampling the posterior" and "Other roads to a posterior", which write
each method out, and used in "Which road?"; `benchmarks/posteriors.py` travels the same roads over
many data sets.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal
from torch.func import functional_call, vmap
from torch.utils.data import TensorDataset

from bnn_tutorial.datasets import load_mnist, two_moons
from bnn_tutorial.layers import to_bayesian
from bnn_tutorial.likelihoods import CategoricalLikelihood, GaussianLikelihood, Likelihood
from bnn_tutorial.posteriors import (
    IVON,
    Chains,
    DeepEnsemble,
    WeightSamples,
    hmc,
    log_posterior,
    mc_dropout,
    sgld,
    swag,
)
from bnn_tutorial.posteriors import laplace as laplace_of_network
from bnn_tutorial.posteriors.weight_samples import weights_by_name
from bnn_tutorial.prediction import Prediction, predict
from bnn_tutorial.training import fit

PRIOR_STD = 1.0  # of every weight and bias
NOISE_STD = 0.3  # of the regression
NUM_DRAWS = 200


@dataclass
class Problem:
    """Data, the network for them, and what training takes."""

    data: TensorDataset
    likelihood: Likelihood
    new_network: Callable[..., nn.Module]  # of a dropout rate, 0 where none is given
    epochs: int
    batch_size: int
    learning_rate: float
    walk_step: float  # of SWAG and Langevin dynamics, in weights squared per nat
    walk_batch: int
    init_hessian: float  # of IVON

    @property
    def steps(self) -> int:
        """How many gradients a training takes."""
        return self.epochs * math.ceil(len(self.data) / self.batch_size)


def curve(x: Tensor) -> Tensor:
    """The regression's truth."""
    return torch.sin(2.5 * x)


def gap_data(generator: torch.Generator) -> TensorDataset:
    """Return 20 points of the curve with noise, and none between -1 and 0.5."""
    left, right = torch.rand(2, 10, 1, generator=generator)
    x = torch.cat([left - 2, right + 0.5])
    noise = NOISE_STD * torch.randn(x.shape, generator=generator)
    return TensorDataset(x, curve(x) + noise)


def perceptron(inputs: int, hidden: int, outputs: int, activation: type[nn.Module]) -> Callable:
    """Return what makes a network with one hidden layer and dropout behind it, of a rate."""

    def new_network(rate: float = 0.0) -> nn.Sequential:
        layers = [nn.Linear(inputs, hidden), activation(), nn.Dropout(rate)]
        return nn.Sequential(*layers, nn.Linear(hidden, outputs))

    return new_network


def gap_problem(data: TensorDataset, epochs: int = 1000) -> Problem:
    """Return the regression with a gap."""
    return Problem(
        data,
        GaussianLikelihood(NOISE_STD, learn=False),
        perceptron(1, 20, 1, nn.Tanh),
        epochs=epochs,
        batch_size=len(data),
        learning_rate=0.02,
        walk_step=0.001,
        walk_batch=5,
        init_hessian=4.0,
    )


def moons_problem(generator: torch.Generator, epochs: int = 400) -> Problem:
    """Return 60 points of two crescents."""
    return Problem(
        TensorDataset(*two_moons(60, generator=generator)),
        CategoricalLikelihood(),
        perceptron(2, 16, 2, nn.Tanh),
        epochs=epochs,
        batch_size=60,
        learning_rate=0.02,
        walk_step=0.005,
        walk_batch=10,
        init_hessian=1.0,
    )


def pixels(images: Tensor) -> Tensor:
    """Return images at half their size, averaged 2 by 2, as rows."""
    return F.avg_pool2d(images, 2).flatten(1)


def digits_problem(epochs: int) -> Problem:
    """Return the subset of MNIST at 14 by 14 pixels."""
    images, labels = load_mnist(train=True).tensors
    return Problem(
        TensorDataset(pixels(images), labels),
        CategoricalLikelihood(),
        perceptron(196, 64, 10, nn.ReLU),
        epochs=epochs,
        batch_size=100,
        learning_rate=1e-2,
        walk_step=2e-5,
        walk_batch=100,
        init_hessian=0.1,
    )


def sample(problem: Problem, **settings: Any) -> Chains:
    """Draw from the exact posterior by HMC, from starts that are draws from the prior.

    Args:
        problem: whose weights are few enough.
        settings: of :func:`bnn_tutorial.hmc`, with ``num_chains``.
    """
    network = problem.new_network()
    density = log_posterior(network, problem.data, problem.likelihood, prior_std=PRIOR_STD)
    size = sum(parameter.numel() for parameter in network.parameters())
    start = PRIOR_STD * torch.randn(settings["num_chains"], size)
    return hmc(density, start, progress=False, **settings)


def train(problem: Problem, model: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
    """Train with a learning rate that falls to 0."""
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, problem.steps)
    settings = {"epochs": problem.epochs, "batch_size": problem.batch_size, "progress": False}
    settings |= {"optimizer": optimizer, "scheduler": falling}
    fit(model, problem.data, problem.likelihood, **settings)
    return model


def train_map(problem: Problem, model: nn.Module) -> nn.Module:
    """Train to a mode of the posterior, whose prior is the weight decay."""
    decay = 1 / (len(problem.data) * PRIOR_STD**2)
    optimizer = torch.optim.Adam(model.parameters(), problem.learning_rate, weight_decay=decay)
    return train(problem, model, optimizer)


def laplace(weights: str, covariance: str) -> Callable[[Problem, nn.Module], nn.Module]:
    """Return the road of one form of Laplace's method."""
    settings = {"weights": weights, "covariance": covariance, "prior_std": PRIOR_STD}
    return lambda problem, mode: laplace_of_network(
        mode, problem.data, problem.likelihood, **settings
    )


def dropout(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train a network that drops a tenth of its units."""
    return train_map(problem, problem.new_network(0.1))


def ensemble(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train five members from different starts."""
    return train_map(problem, DeepEnsemble(problem.new_network, 5))


def anchored_ensemble(problem: Problem, mode: nn.Module) -> WeightSamples:
    """Train 20 members, each with noise on its targets and a draw of the prior to decay to."""
    x, y = problem.data.tensors
    network = problem.new_network().eval()
    size = sum(parameter.numel() for parameter in network.parameters())
    targets = y + NOISE_STD * torch.randn(20, *y.shape)
    anchors = PRIOR_STD * torch.randn(20, size)

    def loss(w: Tensor, target: Tensor, anchor: Tensor) -> Tensor:
        output = functional_call(network, weights_by_name(network, w), (x,))
        pull = (w - anchor).square().sum() / (2 * len(x) * PRIOR_STD**2)
        return problem.likelihood(output, target) + pull

    w = anchors.clone().requires_grad_()
    optimizer = torch.optim.Adam([w], problem.learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, problem.steps)
    for _ in range(problem.steps):
        optimizer.zero_grad()
        vmap(loss)(w, targets, anchors).sum().backward()
        optimizer.step()
        falling.step()
    return WeightSamples(network, w.detach())


def walk_around(problem: Problem, mode: nn.Module) -> nn.Module:
    """SWAG: go on from the trained network with as many steps as its training took."""
    epochs = max(2, problem.steps * problem.walk_batch // len(problem.data))
    return swag(
        mode,
        problem.data,
        problem.likelihood,
        prior_std=PRIOR_STD,
        epochs=epochs,
        learning_rate=problem.walk_step / 2 * len(problem.data),
        batch_size=problem.walk_batch,
        momentum=0.0,
        collect_every=max(1, epochs // 50),
        progress=False,
    )


def langevin(problem: Problem, mode: nn.Module) -> nn.Module:
    """Walk with noise from the trained network, as many steps as its training took."""
    burn_in = problem.steps // 5
    return sgld(
        mode,
        problem.data,
        problem.likelihood,
        prior_std=PRIOR_STD,
        learning_rate=problem.walk_step / 2,
        num_samples=NUM_DRAWS,
        burn_in=burn_in,
        thinning=max(1, (problem.steps - burn_in) // NUM_DRAWS),
        batch_size=problem.walk_batch,
        progress=False,
    )


def ivon(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train a mean-field Gaussian by IVON."""
    model = problem.new_network()
    optimizer = IVON(
        model.parameters(),
        0.03,
        num_data=len(problem.data),
        prior_std=PRIOR_STD,
        init_hessian=problem.init_hessian,
        betas=(0.9, 0.99),
    )
    train(problem, model, optimizer)
    return optimizer.posterior(model)


def mean_field(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train a mean-field Gaussian by Adam on the ELBO."""
    model = to_bayesian(problem.new_network(), prior=Normal(0.0, PRIOR_STD))
    return train(problem, model, torch.optim.Adam(model.parameters(), problem.learning_rate))


ROADS: dict[str, Callable[[Problem, nn.Module], nn.Module]] = {
    "MAP": lambda problem, mode: mode,
    "Laplace, last layer": laplace("last_layer", "full"),
    "Laplace, diagonal": laplace("all", "diagonal"),
    "Laplace, Kronecker": laplace("all", "kronecker"),
    "Laplace, full": laplace("all", "full"),
    "MC dropout": dropout,
    "ensemble": ensemble,
    "anchored ensemble": anchored_ensemble,
    "SWAG": walk_around,
    "Langevin": langevin,
    "IVON": ivon,
    "mean field": mean_field,
}
FROM_A_TRAINED_NETWORK = ("MAP", "Laplace", "SWAG", "Langevin")


def answer(posterior: nn.Module, places: Tensor, num_draws: int = NUM_DRAWS) -> Prediction:
    """Predict with any road's posterior, dropout's included."""
    rates = [m.p for m in posterior.modules() if isinstance(m, nn.Dropout)]
    random = mc_dropout(posterior, shared_mask=True) if any(rates) else contextlib.nullcontext()
    with random:
        return predict(posterior, places, num_draws, seed=1)
