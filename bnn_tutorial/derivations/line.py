"""A line through three points with a weight and a bias, in which every posterior is Gaussian."""

import torch
from torch import Tensor

from bnn_tutorial.derivations.distributions import normal, posterior_precision

FEATURES = torch.tensor([[1.0, -1.0], [1.0, 0.5], [1.0, 2.0]], dtype=torch.float64)
TARGETS = torch.tensor([0.3, 1.1, 1.2], dtype=torch.float64)
NOISE_STD, PRIOR_STD = 0.6, 1.5


def line_log_joint(w: Tensor) -> Tensor:
    """log p(D | w) + log p(w)."""
    noise, prior = normal(0.0, NOISE_STD), normal(0.0, PRIOR_STD)
    return noise.log_prob(TARGETS - FEATURES @ w).sum() + prior.log_prob(w).sum()


def line_precision() -> Tensor:
    """The posterior's."""
    return posterior_precision(FEATURES, NOISE_STD, PRIOR_STD)


def line_mean() -> Tensor:
    """The posterior's."""
    return torch.linalg.solve(line_precision(), FEATURES.T @ TARGETS / NOISE_STD**2)
