"""Letters drawn from the fonts that Matplotlib ships, in the form of MNIST's digits.

Used by ``load_letters``; explained in the chapter "The doubt of a classifier".
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

LETTERS = "ABCDEFGHIJ"

# Each holds A to J; of Matplotlib's others, some hold symbols there, and some nothing.
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
    "cmb10",
    "cmmi10",
    "cmr10",
    "cmss10",
    "cmsy10",
    "cmti10",
    "cmtt10",
)

IMAGE_SIZE = 28  # pixels
# MNIST's digits fill a box of 20 pixels; these fill one of 17 to 20.
BOX_SIZES = (17, 20)
MAX_ROTATION = 12.0  # degrees to either side
MAX_SHIFT = 1  # pixels in each direction
# A letter is drawn this high, rotated, and only then made small.
DRAWN_SIZE = 72  # pixels


def render_letters(train: bool, num_per_letter: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return uint8 images (N, 28, 28), white on black, and int64 labels (N,), 0 for A to 9 for J.

    Letters alternate from A to J. Font, size, rotation and position of each are drawn from
    ``seed`` and ``train``.

    Raises:
        FileNotFoundError: a font of Matplotlib is missing.
    """
    # Imported where they are used: together they take as long as NumPy.
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    upright = {}
    for name in FONTS:
        file = folder / f"{name}.ttf"
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: expected the fonts of Matplotlib's wheel")
        font = ImageFont.truetype(file, DRAWN_SIZE)
        for letter in LETTERS:
            canvas = Image.new("L", (2 * DRAWN_SIZE, 2 * DRAWN_SIZE))
            centre = (DRAWN_SIZE, DRAWN_SIZE)
            ImageDraw.Draw(canvas).text(centre, letter, fill=255, font=font, anchor="mm")
            upright[name, letter] = canvas

    generator = np.random.default_rng([seed, int(train)])
    labels = np.tile(np.arange(len(LETTERS)), num_per_letter)
    images = np.zeros((len(labels), IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        name = FONTS[generator.integers(len(FONTS))]
        angle = generator.uniform(-MAX_ROTATION, MAX_ROTATION)
        box_size = generator.integers(*BOX_SIZES, endpoint=True)
        shift = generator.integers(-MAX_SHIFT, MAX_SHIFT, size=2, endpoint=True)

        letter = upright[name, LETTERS[label]].rotate(angle, Image.Resampling.BICUBIC)
        letter = letter.crop(letter.getbbox())
        scale = box_size / max(letter.size)
        width, height = (max(1, round(scale * side)) for side in letter.size)
        letter = np.asarray(letter.resize((width, height), Image.Resampling.BOX))
        top, left = _corner(letter, shift)
        image[top : top + height, left : left + width] = letter
    return torch.from_numpy(images), torch.from_numpy(labels)


def _corner(letter: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return row and column of the corner that puts the centre of mass at the image's centre."""
    weights = letter / letter.sum()
    rows, columns = np.indices(letter.shape) + 0.5
    centre_of_mass = np.array([(weights * rows).sum(), (weights * columns).sum()])
    corner = np.rint(IMAGE_SIZE / 2 - centre_of_mass).astype(int) + shift
    return corner.clip(0, IMAGE_SIZE - np.array(letter.shape))
