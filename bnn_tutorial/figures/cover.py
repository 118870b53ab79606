"""The figure "Cover": conformal sets of digits, what they promise on average, and for which digits.

Shown in the chapter "Conformal prediction". What it computes is in ``javascript/cover``.
"""

import functools

import numpy as np
import torch
import traitlets
from torch import Tensor

from bnn_tutorial.datasets.mnist import SUBSET_FILE
from bnn_tutorial.figures.digit_logits import LOGITS_FILE, read_digit_logits
from bnn_tutorial.figures.figure import Figure, Float

NUM_EXAMPLES = 12


@functools.cache
def _test_digits() -> tuple[np.ndarray, np.ndarray]:
    with np.load(SUBSET_FILE) as arrays:
        return arrays["test_images"], arrays["test_labels"]


@functools.cache
def _examples() -> list[int]:
    """The digits in the middle of twelve equal groups, from the surest answer to the vaguest."""
    probabilities = read_digit_logits()[0].softmax(dim=-1)
    order = torch.special.entr(probabilities).sum(dim=-1).argsort(stable=True)
    size = len(order) / NUM_EXAMPLES
    return [int(order[int((i + 0.5) * size)]) for i in range(NUM_EXAMPLES)]


class Cover(Figure):
    r"""Conformal sets of a small classifier's answers to handwritten digits.

    .. math:: C(x) = \{ y : 1 - p_y(x) \le \hat q \}

    with :math:`\hat q` the :func:`~bnn_tutorial.conformal_quantile` of the scores
    :math:`1 - p_y` of ``calibration_size`` digits. Of the 2,000 test digits twelve are shown, at
    equal steps of the classifier's entropy; of the others a random part calibrates and all the rest
    are new. One plot shows their coverage digit by digit, with its mean and its range over 200
    random calibration sets; the other the coverage of all new digits by these 200, beside the
    beta-binomial distribution that the guarantee implies (Angelopoulos and Bates 2023).

    The classifier is a logistic regression that has learned from 500 training digits
    (``scripts/classify_digits.py``); :meth:`probabilities` returns its answers.

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.Cover(level=0.95)
        >>> figure.class_conditional = True
        >>> upright, turned, labels = figure.probabilities()
        >>> sets = bt.conformal_sets(upright[:500], labels[:500], upright[500:], level=0.95)
        >>> sets.shape
        torch.Size([1500, 10])
    """

    level = Float(0.9, min=0.5, max=0.99, help="the coverage asked for").tag(sync=True)
    calibration_size = traitlets.Int(
        200, min=10, max=1000, help="n, the number of calibration digits"
    ).tag(sync=True)
    class_conditional = traitlets.Bool(
        False, help="whether each digit has a bound of its own, from its own calibration data"
    ).tag(sync=True)
    turned = traitlets.Bool(
        False, help="whether the new digits are turned by 30 degrees, those of calibration not"
    ).tag(sync=True)
    seed = traitlets.Int(0, min=0, help="of the choice of the calibration digits").tag(sync=True)

    coverage = Float(
        None, allow_none=True, help="share of the new digits in their sets, written by the figure"
    ).tag(sync=True)
    mean_size = Float(
        None, allow_none=True, help="mean number of digits in a set, written by the figure"
    ).tag(sync=True)
    coverage_by_digit = traitlets.List(
        Float(), help="the coverage of the new digits 0 to 9, written by the figure"
    ).tag(sync=True)

    logits = traitlets.Bytes(read_only=True, help="the file of the classifier's logits").tag(
        sync=True
    )
    labels = traitlets.Bytes(read_only=True, help="the 2,000 test labels, a byte each").tag(
        sync=True
    )
    examples = traitlets.List(
        traitlets.Int(), read_only=True, help="which of the test digits are shown"
    ).tag(sync=True)
    pixels = traitlets.Bytes(
        read_only=True, help="the digits that are shown, 28 x 28 bytes each"
    ).tag(sync=True)

    @traitlets.default("logits")
    def _logits(self) -> bytes:
        return LOGITS_FILE.read_bytes()

    @traitlets.default("labels")
    def _labels(self) -> bytes:
        return _test_digits()[1].astype(np.uint8).tobytes()

    @traitlets.default("examples")
    def _examples(self) -> list[int]:
        return _examples()

    @traitlets.default("pixels")
    def _pixels(self) -> bytes:
        return _test_digits()[0][_examples()].tobytes()

    @staticmethod
    def probabilities() -> tuple[Tensor, Tensor, Tensor]:
        """Return the classifier's answers to the test digits, upright and turned, and the labels.

        The probabilities are float64 of shape (2000, 10), the labels int64 of shape (2000,).
        """
        upright, turned = read_digit_logits()
        labels = torch.from_numpy(_test_digits()[1].astype(np.int64))
        return upright.softmax(dim=-1), turned.softmax(dim=-1), labels
