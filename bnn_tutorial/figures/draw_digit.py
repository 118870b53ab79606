"""The figure "Draw a digit": thirty networks drawn from a posterior vote, beside their one twin.

The chapter "Turned digits" shows it.
"""

import functools

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from bnn_tutorial.datasets.mnist import SUBSET_FILE
from bnn_tutorial.figures.digit_networks import WEIGHTS_FILE, read_digit_networks
from bnn_tutorial.figures.figure import Figure, Float
from bnn_tutorial.figures.handwriting import LETTERS, SIDE, rasterize
from bnn_tutorial.models import ImageClassifier


@functools.cache
def _first_of_each_digit() -> bytes:
    with np.load(SUBSET_FILE) as arrays:
        images, labels = arrays["test_images"], arrays["test_labels"]
    return b"".join(images[np.argmax(labels == digit)].tobytes() for digit in range(10))


class DrawDigit(Figure):
    """Thirty draws of a Bayesian CNN answer what the reader draws, beside the deterministic twin.

    The networks are :meth:`networks`; the browser draws thirty sets of weights and keeps them.

    Example:
        >>> import bnn_tutorial as bt
        >>> network, twin = bt.figures.DrawDigit.networks()
        >>> sum(p.numel() for p in twin.parameters())
        32826
        >>> len(bt.bayesian_layers(network))
        4
    """

    example = traitlets.Enum(
        ["", *"0123456789", *LETTERS],
        default_value="X",
        help="the sample that is shown until the first stroke clears it: the first test digit of a "
        "class, or a letter; '' for the strokes",
    ).tag(sync=True)
    strokes = traitlets.List(
        traitlets.List(traitlets.List(Float(min=0, max=1), minlen=2, maxlen=2), minlen=1),
        help="the reader's drawing: strokes of points [x, y] between 0 and 1, y downwards",
    ).tag(sync=True)
    angle = traitlets.Int(
        0, min=0, max=360, help="how far the image is turned counterclockwise, in degrees"
    ).tag(sync=True)
    seed = traitlets.Int(0, min=0, help="of the thirty draws from the posterior").tag(sync=True)

    image = traitlets.List(
        Float(),
        help="what the networks see: 28 x 28 pixels, row by row; empty before they answer",
    ).tag(sync=True)
    votes = traitlets.List(
        traitlets.Int(),
        help="how many of the thirty networks vote for each class, their most probable one; "
        "a network that gives it less than 0.2 does not vote",
    ).tag(sync=True)
    probabilities = traitlets.List(
        Float(), help="of the ten classes, averaged over the thirty networks"
    ).tag(sync=True)
    aleatoric = Float(0.0, help="the mean entropy of the thirty answers, in nats").tag(sync=True)
    epistemic = Float(
        0.0, help="what the average's entropy has on top: the disagreement, in nats"
    ).tag(sync=True)
    twin_probabilities = traitlets.List(
        Float(), help="of the ten classes, by the deterministic twin"
    ).tag(sync=True)

    weights = traitlets.Bytes(read_only=True, help="the file of both networks").tag(sync=True)
    digit_pixels = traitlets.Bytes(
        read_only=True, help="the ten test digits, 28 x 28 bytes each"
    ).tag(sync=True)
    letters = traitlets.Dict(
        LETTERS, read_only=True, help="the strokes of each letter, by its name"
    ).tag(sync=True)

    @traitlets.default("weights")
    def _weights(self) -> bytes:
        return WEIGHTS_FILE.read_bytes()

    @traitlets.default("digit_pixels")
    def _digit_pixels(self) -> bytes:
        return _first_of_each_digit()

    @staticmethod
    def networks() -> tuple[nn.Module, ImageClassifier]:
        """Return the figure's Bayesian network and its deterministic twin, anew at every call."""
        return read_digit_networks()

    @staticmethod
    def letter_images() -> Tensor:
        """Return the figure's letters as the networks see them, float32 of shape (N, 1, 28, 28)."""
        return torch.stack([rasterize(strokes) for strokes in LETTERS.values()]).unsqueeze(1)

    def input_image(self) -> Tensor:
        """Return what the networks see now, float32 of shape (1, 1, 28, 28).

        Raises:
            ValueError: the figure has not been shown yet.
        """
        if not self.image:
            raise ValueError("image is empty: expected a figure that was shown in a live notebook")
        return torch.tensor(self.image).view(1, 1, SIDE, SIDE)
