"""CIFAR-10 and CIFAR-100, small colour photographs of ten and of a hundred kinds.

Explained on the page "Run it, cite it". Both are the work of Alex Krizhevsky, Vinod Nair and
Geoffrey Hinton; the package ships none of it.
"""

import os
import pickle

import numpy as np
import torch
from torch.utils.data import TensorDataset

from bnn_tutorial.datasets.published_files import PublishedFiles, as_dataset, require_bools

_OFFLINE = (
    "from {archive}, fetched on another machine, or name the root folder that holds them with "
    "root= or BNN_TUTORIAL_DATA"
)
# As Krizhevsky published them, in the version for Python.
CIFAR10 = PublishedFiles(
    title="CIFAR-10",
    subfolder="cifar-10-batches-py",
    checksums={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    download="CIFAR10",
    offline=_OFFLINE.format(archive="cifar-10-python.tar.gz"),
)
CIFAR100 = PublishedFiles(
    title="CIFAR-100",
    subfolder="cifar-100-python",
    checksums={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
    download="CIFAR100",
    offline=_OFFLINE.format(archive="cifar-100-python.tar.gz"),
)


def load_cifar10(
    train: bool = True, *, root: str | os.PathLike | None = None, download: bool = True
) -> TensorDataset:
    r"""Return CIFAR-10 images, float32 of shape (N, 3, 32, 32), and their labels, int64 (N,).

    .. math:: \text{image} = \text{pixel} / 255 \in [0, 1]

    50,000 training and 10,000 test images, red, green and blue, without standardization, as
    :func:`load_mnist` gives its digits; the training images take 614 MB of memory. A printed line
    says where they came from. Source: Krizhevsky (2009).

    Args:
        train: True for the training images, False for the test images.
        root: the folder that holds or will hold ``cifar-10-batches-py``, as
            :class:`torchvision.datasets.CIFAR10` lays it out; None means the environment variable
            ``BNN_TUTORIAL_DATA`` where set, else ``data`` in the working directory.
        download: whether files that are missing may be downloaded (170 MB).

    Raises:
        TypeError: ``train`` or ``download`` is not a bool.
        FileNotFoundError: a file is missing, with ``download=False``.
        ValueError: a file differs from its checksum.
        RuntimeError: the download failed.

    Example:
        >>> import bnn_tutorial as bt
        >>> bt.load_cifar10(root="here", download=False)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        FileNotFoundError: here/cifar-10-batches-py/data_batch_1 is missing: ...
    """
    return _load(CIFAR10, train, root, download)


def load_cifar100(
    train: bool = True, *, root: str | os.PathLike | None = None, download: bool = True
) -> TensorDataset:
    r"""Return CIFAR-100 images, float32 of shape (N, 3, 32, 32), and their labels, int64 (N,).

    .. math:: \text{image} = \text{pixel} / 255 \in [0, 1]

    50,000 training and 10,000 test images of a hundred kinds, 500 and 100 of each, as
    :func:`load_cifar10` gives those of ten. The labels are those of the kinds, 0 to 99; the twenty
    groups of kinds are left out. Source: Krizhevsky (2009).

    Args:
        train: True for the training images, False for the test images.
        root: the folder that holds or will hold ``cifar-100-python``, as
            :class:`torchvision.datasets.CIFAR100` lays it out; None means the environment variable
            ``BNN_TUTORIAL_DATA`` where set, else ``data`` in the working directory.
        download: whether files that are missing may be downloaded (169 MB).

    Raises:
        TypeError: ``train`` or ``download`` is not a bool.
        FileNotFoundError: a file is missing, with ``download=False``.
        ValueError: a file differs from its checksum.
        RuntimeError: the download failed.

    Example:
        >>> import bnn_tutorial as bt
        >>> bt.load_cifar100(root="here", download=False)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        FileNotFoundError: here/cifar-100-python/train is missing: ...
    """
    return _load(CIFAR100, train, root, download)


def _load(
    files: PublishedFiles, train: bool, root: str | os.PathLike | None, download: bool
) -> TensorDataset:
    require_bools(train=train, download=download)
    folder = files.folder(root, download)
    names = [name for name in files.checksums if name.startswith("test") != train]
    batches = []
    for name in names:
        # A pickle can run code, so that only a file with the published checksum is opened; it was
        # written by Python 2, whose strings pickle reads as bytes or, with latin1, as str.
        content = files.check(folder / name).read_bytes()
        batches.append(pickle.loads(content, encoding="latin1"))
    images = torch.from_numpy(np.concatenate([batch["data"] for batch in batches]))
    kinds = "labels" if "labels" in batches[0] else "fine_labels"
    labels = torch.tensor([label for batch in batches for label in batch[kinds]])
    origin = f"the full set in {folder}"
    return as_dataset(images.view(-1, 3, 32, 32), labels, train, files.title, origin)
