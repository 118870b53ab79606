"""What a run is made of: the network, its posterior and likelihood, and the data for it.

Explained on the page "Run it, cite it".
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.distributions import Distribution, Laplace, Normal
from torch.utils.data import TensorDataset

from bnn_tutorial import models
from bnn_tutorial.command_line.argument_types import numbers_of
from bnn_tutorial.command_line.experiment import Experiment
from bnn_tutorial.datasets import load_cifar10, load_fashion_mnist, load_mnist, polynomial_data
from bnn_tutorial.layers.conversion import to_bayesian
from bnn_tutorial.layers.priors import scale_mixture
from bnn_tutorial.likelihoods import CategoricalLikelihood, GaussianLikelihood, Likelihood
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.kl_schedules import BlundellWeights, KLSchedule, KLWarmup

PRIORS = {"normal": Normal, "laplace": Laplace, "mixture": scale_mixture}
# Each from the shape (C, H, W) of an image.
IMAGE_NETWORKS: dict[str, Callable[[torch.Size], nn.Module]] = {
    "mnist": lambda shape: models.mnist_network(),
    "lenet5": lambda shape: models.lenet5(shape[0], image_size=shape[1]),
    "alexnet": lambda shape: models.alexnet(shape[0]),
    "3conv3fc": lambda shape: models.three_conv_three_fc(shape[0]),
    "resnet20": lambda shape: models.resnet20(shape[0]),
}
IMAGE_SETS: dict[str, Callable[[bool, bool], TensorDataset]] = {
    "mnist": lambda train, full: load_mnist(train, full=full),
    "fashion-mnist": lambda train, full: load_fashion_mnist(train),
    "cifar10": lambda train, full: load_cifar10(train),
}
# No training seed is negative: the test points are never those of a training set.
TEST_SEED = -1


def make_prior(text: str) -> Distribution:
    """Return the distribution that ``text``, as ``argument_types.prior`` reads it, names."""
    return PRIORS[text.partition(":")[0]](*numbers_of(text))


def make_kl_schedule(text: str, weight: float) -> float | KLSchedule:
    """Return the KL weights that ``text``, as ``argument_types.kl_schedule`` reads it, names.

    Args:
        text: such as ``"warm-up:3"``.
        weight: the largest weight.
    """
    if text == "constant":
        return weight
    if text == "blundell":
        return BlundellWeights(weight)
    [epochs] = numbers_of(text)
    return KLWarmup(epochs, weight)


def make_dataset(experiment: Experiment, train: bool) -> TensorDataset:
    """Return the training or the test data.

    Raises:
        ValueError: a file is damaged.
        OSError: a file is missing and could not be downloaded.
    """
    num_rows = experiment.num_rows(train)
    if experiment.is_regression:
        generator = torch.Generator().manual_seed(experiment.seed if train else TEST_SEED)
        spacing = "even" if train else "random"
        return TensorDataset(*polynomial_data(num_rows, spacing=spacing, generator=generator))
    data = load_images(experiment.data, train, full=experiment.full)
    return TensorDataset(*(tensor[:num_rows] for tensor in data.tensors))


class ModelAndLikelihood(nn.Module):
    """A network and its likelihood, which are moved, saved and loaded together."""

    def __init__(self, model: nn.Module, likelihood: Likelihood):
        super().__init__()
        self.model = model
        self.likelihood = likelihood


def build(experiment: Experiment, data: TensorDataset) -> ModelAndLikelihood:
    """Return the network before training, and its likelihood."""
    with seeded(experiment.seed):
        if experiment.is_regression:
            network: nn.Module = models.regression_network(experiment.hidden_features)
            likelihood: Likelihood = GaussianLikelihood()
        else:
            network = IMAGE_NETWORKS[experiment.model](data.tensors[0].shape[1:])
            likelihood = CategoricalLikelihood()
    if experiment.bayesian != "none":
        network = to_bayesian(
            network,
            prior=make_prior(experiment.prior),
            estimator=experiment.estimator,
            init_std=experiment.init_std,
            skip=("trunk",) if experiment.bayesian == "head" else (),
        )
    return ModelAndLikelihood(network, likelihood)


def load_images(name: str, train: bool, *, full: bool) -> TensorDataset:
    """Return the training or the test images of a set, all of them or MNIST's subset.

    Raises:
        ValueError: a file is damaged.
        OSError: a file is missing and could not be downloaded.
    """
    try:
        return IMAGE_SETS[name](train, full)
    except RuntimeError as error:
        raise OSError(str(error)) from error


def open_device(name: str | None) -> torch.device:
    """Return the device called ``name``, or without a name a GPU where there is one, else the CPU.

    Raises:
        ValueError: it can't be used here.
    """
    own = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name or own).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"--device {name}: can't be used here: {str(error).splitlines()[0]}"
        ) from error
