"""Strokes of a pen: letters to show a network of digits, and how strokes become an image of MNIST.

Explained in the chapter "Turned digits". The browser draws in the same way
(``figures/javascript/draw_digit/drawing.js``).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

Strokes = Sequence[Sequence[Sequence[float]]]

SIDE = 28
BOX = 20
BRUSH = 1.4
LARGEST_SCALE = 84


def _bow(x: float, y: float, width: float, height: float, start: int, end: int) -> list:
    """Return points on an ellipse about (x, y), the angles in degrees clockwise from the right."""
    angles = [math.radians(start + (end - start) * i / 12) for i in range(13)]
    return [[round(x + width * math.cos(a), 3), round(y + height * math.sin(a), 3)] for a in angles]


# Points [x, y] between 0 and 1, y downwards. None of them is a letter that is written like a digit.
LETTERS: dict[str, list] = {
    "A": [[[0.2, 0.85], [0.5, 0.15], [0.8, 0.85]], [[0.31, 0.6], [0.69, 0.6]]],
    "E": [[[0.75, 0.15], [0.28, 0.16], [0.28, 0.85], [0.77, 0.84]], [[0.28, 0.5], [0.66, 0.49]]],
    "F": [[[0.74, 0.15], [0.3, 0.16], [0.29, 0.87]], [[0.3, 0.5], [0.65, 0.49]]],
    "H": [[[0.24, 0.15], [0.25, 0.86]], [[0.76, 0.15], [0.77, 0.86]], [[0.25, 0.5], [0.76, 0.49]]],
    "K": [[[0.28, 0.15], [0.28, 0.86]], [[0.74, 0.15], [0.29, 0.55]], [[0.43, 0.43], [0.77, 0.86]]],
    "M": [[[0.15, 0.85], [0.21, 0.15], [0.5, 0.62], [0.79, 0.15], [0.85, 0.85]]],
    "R": [
        [[0.28, 0.86], [0.28, 0.15], *_bow(0.5, 0.33, 0.24, 0.18, -90, 90), [0.28, 0.51]],
        [[0.48, 0.51], [0.76, 0.86]],
    ],
    "T": [[[0.2, 0.16], [0.8, 0.15]], [[0.5, 0.16], [0.49, 0.86]]],
    "W": [[[0.13, 0.16], [0.3, 0.85], [0.5, 0.34], [0.7, 0.85], [0.87, 0.15]]],
    "X": [[[0.22, 0.15], [0.78, 0.86]], [[0.78, 0.15], [0.22, 0.86]]],
}


def rasterize(strokes: Strokes) -> Tensor:
    r"""Return strokes as an image (28, 28) in [0, 1], prepared as MNIST's digits are.

    .. math:: \text{pixel} = \min(\max(r + \tfrac12 - d, 0), 1)

    with r = 1.4 pixels, the pen's radius, and d the distance of the pixel's centre from the nearest
    stroke. Before that, strokes are scaled into a box of 20 pixels and moved until the centre of
    mass lies in the middle. Source: LeCun, Bottou, Bengio and Haffner (1998), for box and centre.

    Args:
        strokes: each a sequence of points (x, y) between 0 and 1, y downwards; none give an empty
            image.
    """
    points = [torch.tensor(stroke, dtype=torch.float64) for stroke in strokes]
    if not points:
        return torch.zeros(SIDE, SIDE)
    every = torch.cat(points)
    low, high = every.amin(dim=0), every.amax(dim=0)
    scale = ((BOX - 2 * BRUSH) / (high - low).max()).clamp_max(LARGEST_SCALE)
    placed = [(stroke - (low + high) / 2) * scale + SIDE / 2 for stroke in points]
    # Each begins with a segment without length, its first point: a dot is a stroke too.
    starts = torch.cat([torch.cat([stroke[:1], stroke[:-1]]) for stroke in placed])
    ends = torch.cat(placed)
    image = _ink(starts, ends)
    centers = torch.arange(SIDE, dtype=torch.float64) + 0.5
    middle = torch.stack([image.sum(dim=0) @ centers, image.sum(dim=1) @ centers]) / image.sum()
    return _ink(starts + SIDE / 2 - middle, ends + SIDE / 2 - middle).float()


def _ink(starts: Tensor, ends: Tensor) -> Tensor:
    """Return the pixels (28, 28) that a pen covers on segments of shape (segments, 2)."""
    centers = torch.arange(SIDE, dtype=torch.float64) + 0.5
    pixels = torch.stack(torch.meshgrid(centers, centers, indexing="xy"), dim=-1).unsqueeze(-2)
    along = ends - starts
    share = ((pixels - starts) * along).sum(dim=-1) / along.square().sum(dim=-1).clamp_min(1e-12)
    nearest = starts + share.clamp(0, 1).unsqueeze(-1) * along
    distance = (pixels - nearest).norm(dim=-1).amin(dim=-1)
    return (BRUSH + 0.5 - distance).clamp(0, 1)
