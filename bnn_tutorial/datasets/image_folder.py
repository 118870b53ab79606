"""A folder of images, one subfolder a class: of any size and mode, and every file is looked at.

Explained on the page "Run it, cite it".
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

from bnn_tutorial.datasets.published_files import as_dataset

MODES = {1: "L", 3: "RGB"}
# What a warning names; the others are counted.
MAX_NAMED_FILES = 10


def image_classes(folder: str | os.PathLike) -> list[str]:
    """Return the names of a folder's classes, which are its subfolders, in alphabetical order.

    Names that begin with a dot are left out.

    Args:
        folder: that holds one subfolder a class.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it has no subfolders.

    Example:
        >>> import pathlib, tempfile
        >>> import bnn_tutorial as bt
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("dog", "cat"):
        ...     (folder / name).mkdir()
        >>> bt.image_classes(folder)
        ['cat', 'dog']
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected a folder of images, one subfolder a class")
    names = sorted(part.name for part in path.iterdir() if part.is_dir())
    classes = [name for name in names if not name.startswith(".")]
    if not classes:
        raise ValueError(f"{path}: expected one subfolder a class, found none")
    return classes


def load_image_folder(
    folder: str | os.PathLike,
    *,
    image_shape: tuple[int, int, int] = (3, 32, 32),
    classes: Sequence[str] | None = None,
    progress: bool = True,
) -> TensorDataset:
    r"""Return a folder's images, float32 (N, C, H, W), and their classes' numbers, int64 (N,).

    .. math:: \text{image} = \text{pixel} / 255 \in [0, 1]

    Each image is turned as its camera says, cropped around its middle to the shape's ratio of
    height to width, resized with averaging, and made grey (C = 1) or red, green and blue (C = 3).
    Of a pixel of 16 bits the upper 8 count; transparency is dropped. All images are kept in memory,
    4 C H W bytes each. Files without the ending of an image format are passed over, and names that
    begin with a dot, with all that such a folder holds. A printed line says how many images there
    are.

    Args:
        folder: that holds one subfolder a class; subfolders of these belong to the same class.
        image_shape: (C, H, W).
        classes: their names, in the order of the labels; None means :func:`image_classes`. A test
            folder gets those of the training folder.
        progress: whether to show a progress bar.

    Warns:
        UserWarning: files were left out because they can't be read; once for all of them, with
            their number and names.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a class has no image that can be read, a subfolder is no class, or C is neither
            1 nor 3.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> import bnn_tutorial as bt
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (folder / name).mkdir()
        ...     Image.new("RGB", (60, 40)).save(folder / name / "first.png")
        >>> data = bt.load_image_folder(folder, progress=False)  # doctest: +ELLIPSIS
        Image folder: 2 images of 2 classes in ...
        >>> data.tensors[0].shape, data.tensors[1].tolist()
        (torch.Size([2, 3, 32, 32]), [0, 1])
    """
    if image_shape[0] not in MODES:
        raise ValueError(f"image_shape={image_shape}: expected (C, H, W) with 1 or 3 channels")
    path, found = Path(folder), image_classes(folder)
    classes = found if classes is None else [*classes]
    if unknown := [name for name in found if name not in classes]:
        raise ValueError(f"{path} has the class {unknown[0]!r}: expected {', '.join(classes)}")
    files = [(file, label) for label, name in enumerate(classes) for file in _files(path / name)]
    images = np.empty((len(files), *image_shape), dtype=np.uint8)
    labels, left_out = [], []
    for file, label in tqdm(files, unit="image", disable=not progress):
        try:
            images[len(labels)] = _read(file, image_shape)
        # Pillow's plugins raise whatever they met in a damaged file, a SyntaxError included.
        except Exception as error:
            left_out.append(f"{file.relative_to(path)}: {error}")
        else:
            labels.append(label)
    warn_of_left_out(path, left_out, stacklevel=2)
    for label, name in enumerate(classes):
        if label not in labels:
            raise ValueError(f"{path / name}: expected at least one image that can be read")
    origin = f"{len(classes)} classes in {path}"
    kept = torch.from_numpy(images[: len(labels)])
    return as_dataset(kept, torch.tensor(labels), None, "Image folder", origin)


def warn_of_left_out(folder: Path, left_out: Sequence[str], stacklevel: int) -> None:
    """Warn of the files that a loader left out, each with its reason, where there are some."""
    if not left_out:
        return
    lines = [f"left out {len(left_out):,} files of {folder}:", *left_out[:MAX_NAMED_FILES]]
    if len(left_out) > MAX_NAMED_FILES:
        lines.append(f"and {len(left_out) - MAX_NAMED_FILES:,} more")
    warnings.warn("\n  ".join(lines), stacklevel=stacklevel + 1)


def _files(folder: Path) -> list[Path]:
    """Return the image files of one class, at any depth."""
    # Imported where it is used, as torchvision is: most who import the package read no images.
    from PIL import Image

    endings = Image.registered_extensions()
    found = sorted(folder.rglob("*"))
    return [
        file
        for file in found
        if file.suffix.lower() in endings
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        # A link that leads to no file is one that can't be read.
        and (file.is_file() or file.is_symlink())
    ]


def _read(file: Path, image_shape: tuple[int, int, int]) -> np.ndarray:
    from PIL import Image, ImageOps

    channels, height, width = image_shape
    with Image.open(file) as opened:
        image = ImageOps.exif_transpose(opened)
        # Of 16 bits: Pillow's own conversion would cut them off at 255.
        if image.mode.startswith("I"):
            pixels = np.asarray(image) / 257
            image = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
        image = image.convert(MODES[channels])
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
