"""Priors that every test of the contract over priors runs on, each for weights of shape (4, 3)."""

import torch
from torch.distributions import (
    AffineTransform,
    Categorical,
    Cauchy,
    Gumbel,
    Laplace,
    MixtureSameFamily,
    Normal,
    SigmoidTransform,
    StudentT,
    TransformedDistribution,
    Uniform,
)

import bnn_tutorial as bt

SHAPE = (4, 3)


def _logistic():
    uniform = Uniform(torch.tensor(0.0), torch.tensor(1.0))
    stretch = AffineTransform(torch.tensor(0.1), torch.tensor(0.5))
    return TransformedDistribution(uniform, [SigmoidTransform().inv, stretch])


def _mixture_of_laplaces():
    components = Laplace(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([0.3, 0.2, 0.5]))
    return MixtureSameFamily(Categorical(logits=torch.tensor([0.0, 1.0, 0.5])), components)


def _normal_for_each_weight():
    with bt.seeded(0):
        return Normal(torch.randn(SHAPE), torch.rand(SHAPE) + 0.2)


def _mixture_for_each_weight():
    with bt.seeded(0):
        components = Normal(torch.randn(*SHAPE, 2), torch.rand(*SHAPE, 2) + 0.2)
    return MixtureSameFamily(
        Categorical(probs=torch.tensor([0.3, 0.7]).expand(*SHAPE, 2)), components
    )


PRIORS = {
    "Normal": lambda: Normal(0.3, 0.5),
    "Normal of shape (1,)": lambda: Normal(torch.tensor([0.3]), torch.tensor([0.5])),
    "Normal for each weight": _normal_for_each_weight,
    "Laplace": lambda: Laplace(0.1, 0.4),
    "Gumbel": lambda: Gumbel(0.1, 0.8),
    "StudentT": lambda: StudentT(4.0, 0.1, 0.3),
    "Cauchy": lambda: Cauchy(0.1, 0.3),
    "scale mixture": lambda: bt.scale_mixture(0.25, 1.0, 0.05),
    "mixture of Laplaces": _mixture_of_laplaces,
    "mixture for each weight": _mixture_for_each_weight,
    "logistic": _logistic,
}
CLOSED_FORM = ("Normal", "Normal of shape (1,)", "Normal for each weight", "Laplace", "Gumbel")
