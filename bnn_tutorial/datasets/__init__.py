"""The data sets of the chapters, those of the larger networks, and corruptions of images."""

from bnn_tutorial.datasets import corruptions
from bnn_tutorial.datasets.cifar import load_cifar10, load_cifar100
from bnn_tutorial.datasets.fashion_mnist import load_fashion_mnist
from bnn_tutorial.datasets.image_folder import image_classes, load_image_folder
from bnn_tutorial.datasets.image_transforms import AugmentedImages, framed
from bnn_tutorial.datasets.letters import load_letters
from bnn_tutorial.datasets.mnist import load_mnist
from bnn_tutorial.datasets.polynomial import polynomial, polynomial_data
from bnn_tutorial.datasets.two_moons import two_moons

__all__ = [
    "AugmentedImages",
    "corruptions",
    "framed",
    "image_classes",
    "load_cifar10",
    "load_cifar100",
    "load_fashion_mnist",
    "load_image_folder",
    "load_letters",
    "load_mnist",
    "polynomial",
    "polynomial_data",
    "two_moons",
]
