"""The files of a data set as its authors published them: found on disk or downloaded, and checked.

Shared by the loaders of MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100. See the API reference.
"""

import hashlib
import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from torch import Tensor
from torch.utils.data import TensorDataset

from bnn_tutorial.datasets.idx_files import read_idx_file


@dataclass(frozen=True)
class PublishedFiles:
    """Names, sizes and checksums of a data set's files, and where they lie.

    Args:
        title: the data set's name, such as ``"Fashion-MNIST"``.
        subfolder: of a root folder, where torchvision keeps the files.
        checksums: a file's MD5, by name.
        download: the name of torchvision's data set, which fetches and unpacks the files.
        offline: what to do without a network, after "put it there yourself, unpacked, ...".
    """

    title: str
    subfolder: str
    checksums: dict[str, str]
    download: str
    offline: str

    def folder(self, root: str | os.PathLike | None, download: bool) -> Path:
        """Return the folder of the files; where one is missing, ``download`` fetches them all.

        Args:
            root: the root folder; None means the environment variable ``BNN_TUTORIAL_DATA`` where
                set, else ``data`` in the working directory.
            download: whether a missing file may be downloaded.

        Raises:
            RuntimeError: the download failed.
        """
        root = Path(root or os.environ.get("BNN_TUTORIAL_DATA") or "data")
        folder = root / self.subfolder
        if download and not all((folder / name).exists() for name in self.checksums):
            print(f"{self.title}: downloading the full set to {folder}")
            try:
                # Imported where it is used: torchvision takes about as long as PyTorch itself.
                import torchvision

                getattr(torchvision.datasets, self.download)(root, download=True)
            except (OSError, RuntimeError, HTTPException) as error:
                raise RuntimeError(
                    f"the full {self.title} could not be downloaded to {folder}: {error}\n"
                    f"Either put {', '.join(self.checksums)} there yourself, unpacked, "
                    f"{self.offline}"
                ) from error
        return folder

    def check(self, file: Path) -> Path:
        """Return ``file`` if it is the published one of its name.

        Raises:
            FileNotFoundError: it is missing.
            ValueError: its MD5 is another.
        """
        md5 = self.checksums[file.name]
        expected = f"expected {self.title}'s {file.name}, unpacked, with MD5 {md5}"
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing: {expected}. With download=True it is downloaded; without a "
                f"network, put it there yourself, unpacked, {self.offline}"
            )
        with open(file, "rb") as content:
            found = hashlib.file_digest(content, "md5").hexdigest()
        if found != md5:
            raise ValueError(
                f"{file} is damaged or another file: {expected}, found {file.stat().st_size:,} "
                f"bytes, MD5 {found}. Delete it and load again to download it anew"
            )
        return file

    def read_idx(self, folder: Path, train: bool) -> tuple[Tensor, Tensor]:
        """Return images (N, 28, 28) and labels (N,), uint8, in the file format of MNIST."""
        split = "train" if train else "t10k"
        images = self.check(folder / f"{split}-images-idx3-ubyte")
        labels = self.check(folder / f"{split}-labels-idx1-ubyte")
        return read_idx_file(images), read_idx_file(labels)


def require_bools(**arguments: bool) -> None:
    """Raise a TypeError that names the first argument that is not a bool."""
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name}={value!r}: expected True or False")


def as_dataset(
    images: Tensor, labels: Tensor, train: bool | None, title: str, origin: str
) -> TensorDataset:
    r"""Return uint8 images (N, C, H, W) and labels as a data set, and print a line that says which.

    .. math:: \text{image} = \text{pixel} / 255 \in [0, 1]

    ``train`` is None for a set that is not split.
    """
    kind = {True: "training images", False: "test images", None: "images"}[train]
    print(f"{title}: {len(images):,} {kind} of {origin}")
    return TensorDataset(images.float() / 255, labels.long())
