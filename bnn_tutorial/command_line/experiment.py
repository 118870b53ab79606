"""What a run is about: a network, its posterior, and the data for it.

Explained on the page "Run it, cite it".
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from bnn_tutorial import models
from bnn_tutorial.command_line import values
from bnn_tutorial.conversion import to_bayesian
from bnn_tutorial.datasets import load_cifar10, load_fashion_mnist, load_mnist, polynomial_data
from bnn_tutorial.layers import ESTIMATORS
from bnn_tutorial.likelihoods import CategoricalLikelihood, GaussianLikelihood
from bnn_tutorial.prediction import predict
from bnn_tutorial.randomness import seeded

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
MODELS = ("regression", *IMAGE_NETWORKS)
DATA = ("polynomial", *IMAGE_SETS)
NUM_POINTS = {True: 500, False: 1000}
# No training seed is negative: the test points are never those of a training set.
TEST_SEED = -1


@dataclass(frozen=True)
class Experiment:
    """The settings that decide on the model and its data; the command line's own names."""

    model: str
    data: str
    full: bool
    num_train: int | None
    num_test: int | None
    hidden_features: int
    bayesian: str
    estimator: str
    prior: str
    init_std: float
    seed: int

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        """Add an argument for each of the settings."""
        group = parser.add_argument_group("model and data")
        group.add_argument("--model", required=True, choices=MODELS, help="the network")
        group.add_argument(
            "--data",
            required=True,
            choices=DATA,
            help="polynomial: the curve of chapter 4, made on the spot; mnist: the subset of "
            "12,000 images that ships with the package, or with --full all 70,000; "
            "fashion-mnist and cifar10 are downloaded",
        )
        group.add_argument("--full", action="store_true", help="all of MNIST")
        group.add_argument(
            "--num-train",
            type=values.integer(1),
            metavar="N",
            help="training rows: points of the polynomial (default: 500), or the first images of a "
            "set (default: all)",
        )
        group.add_argument(
            "--num-test",
            type=values.integer(1),
            metavar="N",
            help="test rows, likewise (default: 1,000 points or all images)",
        )
        group.add_argument(
            "--hidden-features",
            type=values.integer(1),
            default=1000,
            metavar="H",
            help="width of the regression network (default: %(default)s)",
        )
        group = parser.add_argument_group("posterior and prior")
        group.add_argument(
            "--bayesian",
            choices=("all", "head", "none"),
            default="all",
            help="which layers get a posterior: all, those of the head (on a deterministic trunk), "
            "or none, which trains the deterministic twin by maximum likelihood (default: all)",
        )
        group.add_argument(
            "--estimator",
            choices=ESTIMATORS,
            default="local",
            help="of the gradient: draw weights, pre-activations (local), or weights with random "
            "signs (flipout) (default: %(default)s)",
        )
        group.add_argument(
            "--prior",
            type=values.prior,
            default="normal:0,1",
            metavar="PRIOR",
            help=f"of every weight: {values.PRIOR_FORMS}, such as mixture:0.5,1,0.0025 for the "
            "scale mixture of Blundell et al. (2015) (default: %(default)s)",
        )
        group.add_argument(
            "--init-std",
            type=values.number(above=True),
            default=0.05,
            metavar="STD",
            help="the standard deviation that every weight starts with (default: %(default)s)",
        )
        group.add_argument(
            "--seed",
            type=values.integer(0),
            default=0,
            help="of the data's noise, the first weights, the batches and the draws (default: 0)",
        )

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Experiment":
        """Return the settings that ``arguments`` holds.

        Raises:
            ValueError: they don't go together.
        """
        experiment = cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})
        if (experiment.model == "regression") != (experiment.data == "polynomial"):
            raise ValueError(
                f"--model {experiment.model} --data {experiment.data}: expected regression with "
                "polynomial, or a network for images with a set of images"
            )
        if experiment.full and experiment.data != "mnist":
            raise ValueError(f"--full --data {experiment.data}: expected --data mnist")
        if experiment.bayesian == "head" and experiment.model == "regression":
            raise ValueError("--bayesian head --model regression: expected all or none")
        return experiment

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers, not classes."""
        return self.data == "polynomial"

    def dataset(self, train: bool) -> TensorDataset:
        """Return the training or the test data.

        Raises:
            ValueError: fewer rows exist than were asked for, or a file is damaged.
            OSError: a file is missing and could not be downloaded.
        """
        num_rows = self.num_train if train else self.num_test
        if self.is_regression:
            generator = torch.Generator().manual_seed(self.seed if train else TEST_SEED)
            spacing = "even" if train else "random"
            num_points = num_rows or NUM_POINTS[train]
            return TensorDataset(*polynomial_data(num_points, spacing=spacing, generator=generator))
        data = load_images(self.data, train, full=self.full)
        if num_rows is not None and num_rows > len(data):
            option = "--num-train" if train else "--num-test"
            raise ValueError(f"{option} {num_rows}: expected at most {len(data)}, all there are")
        return TensorDataset(*(tensor[:num_rows] for tensor in data.tensors))

    def build(self, data: TensorDataset) -> nn.ModuleDict:
        """Return the network before training as ``model`` and its ``likelihood``.

        Raises:
            ValueError: the rows of ``data`` don't fit the network.
        """
        inputs = data.tensors[0]
        with seeded(self.seed):
            if self.is_regression:
                network: nn.Module = models.regression_network(self.hidden_features)
                likelihood: nn.Module = GaussianLikelihood()
            else:
                network = IMAGE_NETWORKS[self.model](inputs.shape[1:])
                likelihood = CategoricalLikelihood()
        require_fit(network, inputs, f"--model {self.model} --data {self.data}")
        if self.bayesian != "none":
            network = to_bayesian(
                network,
                prior=values.parse_prior(self.prior),
                estimator=self.estimator,
                init_std=self.init_std,
                skip=("trunk",) if self.bayesian == "head" else (),
            )
        return nn.ModuleDict({"model": network, "likelihood": likelihood})


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


def require_fit(network: nn.Module, rows: Tensor, options: str) -> None:
    """Raise a ValueError that names ``options`` where ``network`` does not take ``rows``."""
    try:
        predict(network, rows[:1], num_samples=1)
    except ValueError as error:
        raise ValueError(f"{options}: {error}") from error
