"""The networks of the core chapters, deterministic; :func:`to_bayesian` makes them Bayesian.

Explained in the chapters "Polynomial regression with 3-sigma bands" and "A Bayesian CNN on MNIST".
"""

from torch import nn


def regression_network(hidden_features: int = 1000) -> nn.Sequential:
    """Return the 1-H-1 ReLU network of the regression chapter: inputs and outputs (N, 1)."""
    return nn.Sequential(nn.Linear(1, hidden_features), nn.ReLU(), nn.Linear(hidden_features, 1))


def mnist_network() -> nn.Sequential:
    """Return the CNN of the MNIST chapter: images (N, 1, 28, 28) to logits (N, 10).

    The submodules ``trunk`` (two convolutions) and ``head`` (two fully connected layers) can be
    named in :func:`to_bayesian`.
    """
    trunk = nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    head = nn.Sequential(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))
    model = nn.Sequential()
    model.add_module("trunk", trunk)
    model.add_module("head", head)
    return model
