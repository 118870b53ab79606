"""The settings of a run: which network, which posterior, which data, and what goes together.

Explained on the page "Run it, cite it". Nothing here imports PyTorch; ``building`` makes what the
settings name.
"""

import argparse
from dataclasses import dataclass, fields

FOLDER = "folder"  # the data set that is a user's own
IMAGE_SHAPES = {
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    FOLDER: (3, 32, 32),
}
PUBLISHED = tuple(name for name in IMAGE_SHAPES if name != FOLDER)
NUM_CLASSES = {"mnist": 10, "fashion-mnist": 10, "cifar10": 10, "cifar100": 100}
NUM_POINTS = {True: 500, False: 1000}  # of the polynomial, to train and to test
NUM_IMAGES = {  # to train and to test; of MNIST, those of the subset
    "mnist": {True: 10_000, False: 2_000},
    "fashion-mnist": {True: 60_000, False: 10_000},
    "cifar10": {True: 50_000, False: 10_000},
    "cifar100": {True: 50_000, False: 10_000},
}
NUM_FULL_MNIST = {True: 60_000, False: 10_000}
# Each takes all sets of images, of the sizes named here; smaller images get a frame.
IMAGE_SIZES = {
    "mnist": (28, 32),
    "lenet5": (28, 32),
    "alexnet": (32,),
    "3conv3fc": (32,),
    "resnet20": (32,),
}
MODELS = ("regression", *IMAGE_SIZES)
DATA = ("polynomial", *IMAGE_SHAPES)


@dataclass(frozen=True)
class Experiment:
    """The settings that decide on the model and its data; the command line's own names."""

    model: str
    data: str
    full: bool
    images: str | None
    num_train: int | None
    num_test: int | None
    hidden_features: int
    bayesian: str
    estimator: str
    prior: str
    init_std: float
    seed: int

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Experiment":
        """Return the settings that ``arguments`` holds.

        Raises:
            ValueError: they don't go together.
        """
        experiment = cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})
        model, data = experiment.model, experiment.data
        if (model == "regression") != experiment.is_regression:
            sets = IMAGE_SHAPES if experiment.is_regression else ("polynomial",)
            raise ValueError(f"--model {model} --data {data}: expected --data {' or '.join(sets)}")
        if experiment.full and data != "mnist":
            raise ValueError(f"--full --data {data}: expected --data mnist")
        if experiment.images is not None and data != FOLDER:
            raise ValueError(f"--images --data {data}: expected --data {FOLDER}")
        if experiment.images is None and data == FOLDER:
            raise ValueError(f"--data {FOLDER}: expected --images PATH, one subfolder a class")
        if experiment.bayesian == "head" and experiment.is_regression:
            raise ValueError("--bayesian head --model regression: expected all or none")
        for train, option in {True: "--num-train", False: "--num-test"}.items():
            num_rows, most = experiment.num_rows(train), experiment.most_rows(train)
            if most is not None and num_rows is not None and num_rows > most:
                raise ValueError(f"{option} {num_rows}: expected at most {most}, all there are")
        return experiment

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of the images that the network takes."""
        channels, size, _ = IMAGE_SHAPES[self.data]
        size = next(larger for larger in IMAGE_SIZES[self.model] if larger >= size)
        return channels, size, size

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers, not classes."""
        return self.data == "polynomial"

    def most_rows(self, train: bool) -> int | None:
        """Return how many rows of data there are to train or to test with, if that is known."""
        if self.data not in NUM_IMAGES:
            return None
        return (NUM_FULL_MNIST if self.full else NUM_IMAGES[self.data])[train]

    def num_rows(self, train: bool) -> int | None:
        """Return how many rows of data are to train or to test with; None takes all."""
        asked = self.num_train if train else self.num_test
        return asked or (NUM_POINTS[train] if self.is_regression else self.most_rows(train))
