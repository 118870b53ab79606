"""Fashion-MNIST, pictures of clothes in the format of MNIST: what a network of digits never saw.

See the API reference. Fashion-MNIST is the work of Han Xiao, Kashif Rasul and Roland Vollgraf
(Zalando), under the MIT licence; the package ships none of it.
"""

import os

from torch.utils.data import TensorDataset

from bnn_tutorial.datasets.published_files import PublishedFiles, as_dataset, require_bools

# As Xiao, Rasul and Vollgraf published them.
FILES = PublishedFiles(
    title="Fashion-MNIST",
    subfolder="FashionMNIST/raw",
    checksums={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    download="FashionMNIST",
    offline="from Debian's package dataset-fashion-mnist, or name the root folder that holds them "
    "with root= or BNN_TUTORIAL_DATA",
)


def load_fashion_mnist(
    train: bool = True, *, root: str | os.PathLike | None = None, download: bool = True
) -> TensorDataset:
    r"""Return Fashion-MNIST images, float32 (N, 1, 28, 28), and their labels, int64 (N,).

    .. math:: \text{image} = \text{pixel} / 255 \in [0, 1]

    60,000 training and 10,000 test images of ten kinds of clothes, without standardization, in the
    scale of :func:`load_mnist`, so that a network trained on digits can be shown clothes. A printed
    line says where they came from. Source: Xiao, Rasul and Vollgraf (2017).

    Args:
        train: True for the training images, False for the test images.
        root: the folder that holds or will hold ``FashionMNIST/raw``, as
            :class:`torchvision.datasets.FashionMNIST` lays it out; None means the environment
            variable ``BNN_TUTORIAL_DATA`` where set, else ``data`` in the working directory.
        download: whether files that are missing may be downloaded.

    Raises:
        TypeError: ``train`` or ``download`` is not a bool.
        FileNotFoundError: a file is missing, with ``download=False``.
        ValueError: a file differs from its checksum.
        RuntimeError: the download failed.

    Example:
        >>> import bnn_tutorial as bt
        >>> bt.load_fashion_mnist(root="here", download=False)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        FileNotFoundError: here/FashionMNIST/raw/train-images-idx3-ubyte is missing: ...
    """
    require_bools(train=train, download=download)
    folder = FILES.folder(root, download)
    images, labels = FILES.read_idx(folder, train)
    return as_dataset(images.unsqueeze(1), labels, train, FILES.title, f"the full set in {folder}")
