"""The settings of a run: which network, which posterior, which data, and what goes together.

Explained on the page "Run it, cite it". Nothing here imports PyTorch; ``building`` makes what the
settings name.
"""

import argparse
from dataclasses import dataclass, fields

IMAGE_SHAPES = {"mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
NUM_POINTS = {True: 500, False: 1000}  # of the polynomial, to train and to test
NUM_IMAGES = {  # to train and to test; of MNIST, those of the subset
    "mnist": {True: 10_000, False: 2_000},
    "fashion-mnist": {True: 60_000, False: 10_000},
    "cifar10": {True: 50_000, False: 10_000},
}
NUM_FULL_MNIST = {True: 60_000, False: 10_000}
# The data that each network takes.
MODEL_DATA = {
    "regression": ("polynomial",),
    "mnist": ("mnist", "fashion-mnist"),
    "lenet5": ("mnist", "fashion-mnist", "cifar10"),
    "alexnet": ("cifar10",),
    "3conv3fc": ("cifar10",),
    "resnet20": ("cifar10",),
}
MODELS = tuple(MODEL_DATA)
DATA = ("polynomial", *IMAGE_SHAPES)


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

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Experiment":
        """Return the settings that ``arguments`` holds.

        Raises:
            ValueError: they don't go together.
        """
        experiment = cls(**{field.name: getattr(arguments, field.name) for field in fields(cls)})
        model, data = experiment.model, experiment.data
        if data not in MODEL_DATA[model]:
            raise ValueError(
                f"--model {model} --data {data}: expected --data {' or '.join(MODEL_DATA[model])}"
            )
        if experiment.full and data != "mnist":
            raise ValueError(f"--full --data {data}: expected --data mnist")
        if experiment.bayesian == "head" and experiment.is_regression:
            raise ValueError("--bayesian head --model regression: expected all or none")
        for train, option in {True: "--num-train", False: "--num-test"}.items():
            num_rows, most = experiment.num_rows(train), experiment.most_rows(train)
            if most is not None and num_rows > most:
                raise ValueError(f"{option} {num_rows}: expected at most {most}, all there are")
        return experiment

    @property
    def is_regression(self) -> bool:
        """Whether the targets are numbers, not classes."""
        return self.data == "polynomial"

    def most_rows(self, train: bool) -> int | None:
        """Return how many rows of data there are to train or to test with; None has no limit."""
        if self.is_regression:
            return None
        return (NUM_FULL_MNIST if self.full else NUM_IMAGES[self.data])[train]

    def num_rows(self, train: bool) -> int:
        """Return how many rows of data are to train or to test with."""
        asked = self.num_train if train else self.num_test
        return asked or self.most_rows(train) or NUM_POINTS[train]
