"""Letters A to J in the form of MNIST: drawn from fonts, or notMNIST's from files.

Explained in the chapter "The doubt of a classifier". notMNIST is the work of Yaroslav Bulatov, who
took its letters from fonts found on the web; the package ships none of it.
"""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from bnn_tutorial.argument_checks import require_counts, require_integers, require_not_negative
from bnn_tutorial.datasets.idx_files import read_idx_file
from bnn_tutorial.datasets.image_folder import warn_of_left_out
from bnn_tutorial.datasets.published_files import as_dataset, require_bools
from bnn_tutorial.datasets.rendered_letters import IMAGE_SIZE, LETTERS, render_letters


def load_letters(
    folder: str | os.PathLike | None = None,
    *,
    train: bool = True,
    num_per_letter: int | None = None,
    seed: int = 0,
) -> TensorDataset:
    r"""Return images of letters, float32 of shape (N, 1, 28, 28), and their labels, int64 (N,).

    .. math:: \text{image} = \text{pixel} / 255 \in [0, 1]

    Labels are 0 for A to 9 for J, scale and shape those of :func:`load_mnist`, so that a network
    trained on digits can be shown letters. Without a folder, they are drawn white on black from 23
    fonts that Matplotlib ships and made as MNIST's digits were: shrunk to fit a box, of 17 to 20
    pixels here, and moved so that the centre of mass lies at the image's centre. Each is rotated
    by up to 12 degrees first and shifted by up to one pixel in each direction last.
    Training and test letters share the fonts. The same ``seed`` gives the same images with the
    same version of Pillow. A printed line says where the letters came from. Sources: LeCun,
    Bottou, Bengio and Haffner (1998) for the form; Bulatov (2011) for notMNIST.

    Args:
        folder: None draws the letters. Else the folder of notMNIST, in one of two forms: folders
            ``A`` to ``J`` of PNG files, such as ``notMNIST_small``; or the four files of MNIST's
            names, such as ``train-images-idx3-ubyte``, plain or with ``.gz``.
        train: True for the training images, False for the test images. Folders of PNG files are one
            set without that split, and are read whole.
        num_per_letter: how many images of each letter, 1 or more: of files, the first ones, and
            fewer where there are fewer. None means 1,000 training or 200 test images of each
            letter, as in MNIST's subset, or all that are in the files.
        seed: for drawn letters, 0 or more.

    Warns:
        UserWarning: PNG files were left out, because they can't be read or are not 28 x 28 pixels
            in 8-bit grey; once for all of them, with their number and names.

    Raises:
        TypeError: ``folder`` is not a path, ``train`` is not a bool, or ``num_per_letter`` or
            ``seed`` is not an integer.
        FileNotFoundError: the folder, a letter's folder, a file or a font is missing.
        ValueError: ``num_per_letter`` or ``seed`` is too small, a letter has no image that can be
            read, or an IDX file is damaged or holds something else.

    Example:
        >>> import bnn_tutorial as bt
        >>> images, labels = bt.load_letters(train=False, num_per_letter=2).tensors
        Letters A to J: 20 test images of Matplotlib's fonts
        >>> images.shape, labels.bincount().tolist()
        (torch.Size([20, 1, 28, 28]), [2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    """
    require_bools(train=train)
    require_integers(seed=seed)
    require_not_negative(seed=seed)
    if num_per_letter is not None:
        require_integers(num_per_letter=num_per_letter)
        require_counts(num_per_letter=num_per_letter)
    if folder is None:
        number = num_per_letter or (1_000 if train else 200)
        images, labels = render_letters(train, number, seed)
        split, origin = train, "Matplotlib's fonts"
    elif not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder={folder!r}: expected a path or None")
    else:
        folder = Path(folder)
        if any((folder / letter).is_dir() for letter in LETTERS):
            images, labels = _read_pictures(folder, num_per_letter)
            split, origin = None, f"the folders A to J in {folder}"
        else:
            images, labels = _read_idx_files(folder, train, num_per_letter)
            split, origin = train, f"the IDX files in {folder}"
    return as_dataset(images.unsqueeze(1), labels, split, "Letters A to J", origin)


def _read_pictures(folder: Path, num_per_letter: int | None) -> tuple[Tensor, Tensor]:
    if missing := [letter for letter in LETTERS if not (folder / letter).is_dir()]:
        raise FileNotFoundError(
            f"folder={str(folder)!r}: expected folders A to J, {', '.join(missing)} missing"
        )
    images, labels, left_out = [], [], []
    for label, letter in enumerate(LETTERS):
        num_read = 0
        for file in sorted((folder / letter).glob("*.png")):
            if num_read == num_per_letter:
                break
            try:
                images.append(_read_picture(file))
            except ValueError as error:
                left_out.append(f"{letter}/{file.name}: {error}")
            else:
                num_read += 1
        if num_read == 0:
            why = f"; of those left out, the last was {left_out[-1]}" if left_out else ""
            raise ValueError(f"{folder / letter}: expected PNG files of 28 x 28 pixels{why}")
        labels += num_read * [label]
    # Level 3 is the caller of load_letters.
    warn_of_left_out(folder, left_out, stacklevel=3)
    return torch.from_numpy(np.stack(images)), torch.tensor(labels)


def _read_picture(file: Path) -> np.ndarray:
    """Return the pixels of a PNG file, uint8 (28, 28); raise a ValueError that says what is wrong.

    Pillow reports damage as an OSError, a SyntaxError or a ValueError, by the part that is damaged,
    and a size that no memory holds as a DecompressionBombError.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=["PNG"]) as picture:
            if picture.size != (IMAGE_SIZE, IMAGE_SIZE) or picture.mode != "L":
                width, height = picture.size
                found = f"{width} x {height} pixels, mode {picture.mode}"
                raise ValueError(f"expected 28 x 28 pixels in 8-bit grey, found {found}")
            return np.array(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("not a PNG file, or damaged") from error


def _read_idx_files(folder: Path, train: bool, num_per_letter: int | None) -> tuple[Tensor, Tensor]:
    split = "train" if train else "t10k"
    files = []
    for name in (f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"):
        candidates = [folder / name, folder / f"{name}.gz"]
        existing = [file for file in candidates if file.is_file()]
        if not existing:
            raise FileNotFoundError(
                f"folder={str(folder)!r}: expected folders A to J with PNG files, "
                f"or {name}, plain or with .gz"
            )
        files.append(existing[0])
    images, labels = map(read_idx_file, files)
    if images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE):
        raise ValueError(f"{files[0]}: expected shape (N, 28, 28), found {tuple(images.shape)}")
    if labels.shape != images.shape[:1]:
        found = tuple(labels.shape)
        raise ValueError(f"{files[1]}: expected shape ({len(images)},), found {found}")
    if (counts := labels.bincount(minlength=len(LETTERS))).shape != (len(LETTERS),):
        raise ValueError(f"{files[1]}: expected labels 0 to 9, found {labels.max().item()}")
    if absent := [letter for letter, count in zip(LETTERS, counts, strict=True) if count == 0]:
        raise ValueError(f"{files[1]}: expected all of A to J, {', '.join(absent)} missing")
    rows = [(labels == label).nonzero().flatten()[:num_per_letter] for label in range(len(LETTERS))]
    kept = torch.cat(rows).sort().values
    return images[kept], labels[kept]
