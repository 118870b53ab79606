"""The two data sets of the core chapters."""

from bnn_tutorial.datasets.mnist import load_mnist
from bnn_tutorial.datasets.polynomial import polynomial, polynomial_data

__all__ = ["load_mnist", "polynomial", "polynomial_data"]
