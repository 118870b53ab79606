"""What a run is made of: the network, its posterior and likelihood, and the data for it.

Explained on the page "Run it, cite it".
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.distributions import Distribution, Laplace, Normal
from torch.utils.data import TensorDataset

from bnn_tutorial import models
from bnn_tutorial.command_line.argument_types import numbers_of
from bnn_tutorial.command_line.experiment import NUM_CLASSES, Experiment
from bnn_tutorial.datasets import (
    framed,
    image_classes,
    load_cifar10,
    load_cifar100,
    load_fashion_mnist,
    load_image_folder,
    load_mnist,
    polynomial_data,
)
from bnn_tutorial.layers.conversion import to_bayesian
from bnn_tutorial.layers.priors import scale_mixture
from bnn_tutorial.likelihoods import CategoricalLikelihood, GaussianLikelihood, Likelihood
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.kl_schedules import BlundellWeights, KLSchedule, KLWarmup

PRIORS = {"normal": Normal, "laplace": Laplace, "mixture": scale_mixture}
# Each from channels and size of an image and the number of classes.
IMAGE_NETWORKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "mnist": lambda c, size, classes: models.mnist_network(c, classes, image_size=size),
    "lenet5": lambda c, size, classes: models.lenet5(c, classes, image_size=size),
    "alexnet": lambda c, size, classes: models.alexnet(c, classes),
    "3conv3fc": lambda c, size, classes: models.three_conv_three_fc(c, classes),
    "resnet20": lambda c, size, classes: models.resnet20(c, classes),
}
IMAGE_SETS: dict[str, Callable[[bool, bool], TensorDataset]] = {
    "mnist": lambda train, full: load_mnist(train, full=full),
    "fashion-mnist": lambda train, full: load_fashion_mnist(train),
    "cifar10": lambda train, full: load_cifar10(train),
    "cifar100": lambda train, full: load_cifar100(train),
}
# Of a folder of images that is not split: each fifth image, in an order drawn once.
TEST_SHARE = 0.2
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


def make_dataset(experiment: Experiment, train: bool, *, progress: bool = True) -> TensorDataset:
    """Return the training or the test data, with a progress bar while a folder is read.

    Raises:
        ValueError: a file is damaged, or there are fewer images than were asked for.
        OSError: a file is missing and could not be downloaded.
    """
    num_rows = experiment.num_rows(train)
    if experiment.is_regression:
        assert num_rows is not None
        generator = torch.Generator().manual_seed(experiment.seed if train else TEST_SEED)
        spacing = "even" if train else "random"
        return TensorDataset(*polynomial_data(num_rows, spacing=spacing, generator=generator))
    if experiment.images is None:
        data = load_images(experiment.data, train, full=experiment.full)
    else:
        data = _load_folder(Path(experiment.images), train, experiment.image_shape, progress)
    if num_rows is not None and num_rows > len(data):
        option = "--num-train" if train else "--num-test"
        raise ValueError(f"{option} {num_rows}: expected at most {len(data)}, all there are")
    return framed(TensorDataset(*data[:num_rows]), experiment.image_shape[-1])


def _load_folder(
    folder: Path, train: bool, image_shape: tuple[int, int, int], progress: bool
) -> TensorDataset:
    """Return the images of ``train`` or ``test`` in a folder, or of a part where it has neither."""
    parts = split_folders(folder)
    data = load_image_folder(
        parts[train],
        image_shape=image_shape,
        classes=image_classes(parts[True]),
        progress=progress,
    )
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    if parts[True] == parts[False]:
        num_test = max(1, round(TEST_SHARE * len(data)))
        if num_test == len(data):
            raise ValueError(f"--images {folder}: expected two images or more")
        order = order[num_test:] if train else order[:num_test]
    return TensorDataset(*data[order])


def split_folders(folder: Path) -> dict[bool, Path]:
    """Return the folders of the training and of the test images, which may be the same.

    Raises:
        ValueError: there is one of the two, with classes inside, which would pass for a class.
    """
    parts = {True: folder / "train", False: folder / "test"}
    if all(map(Path.is_dir, parts.values())):
        return parts
    for name in image_classes(folder):
        has_classes = any(map(Path.is_dir, (folder / name).iterdir()))
        if has_classes and name.lower() in ("train", "test"):
            raise ValueError(
                f"--images {folder}: {name!r} has subfolders: expected both train and test, or one "
                "subfolder a class"
            )
    return {True: folder, False: folder}


def make_classes(experiment: Experiment) -> list[str] | None:
    """Return the names of a folder's classes; None of other data."""
    if experiment.images is None:
        return None
    classes = image_classes(split_folders(Path(experiment.images))[True])
    if len(classes) < 2:
        raise ValueError(f"--images {experiment.images}: expected two classes or more")
    return classes


class ModelAndLikelihood(nn.Module):
    """A network and its likelihood, which are moved, saved and loaded together."""

    def __init__(self, model: nn.Module, likelihood: Likelihood):
        super().__init__()
        self.model = model
        self.likelihood = likelihood


def build(experiment: Experiment) -> ModelAndLikelihood:
    """Return the network before training, and its likelihood."""
    with seeded(experiment.seed):
        if experiment.is_regression:
            network: nn.Module = models.regression_network(experiment.hidden_features)
            likelihood: Likelihood = GaussianLikelihood()
        else:
            channels, size, _ = experiment.image_shape
            classes = make_classes(experiment)
            num_classes = len(classes) if classes else NUM_CLASSES[experiment.data]
            network = IMAGE_NETWORKS[experiment.model](channels, size, num_classes)
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
