"""Reliability: a diagram whose number moves with its bins, has a floor, and falls with temperature.

Shown in the chapter "Calibration". What it computes is in ``javascript/reliability``.
"""

from pathlib import Path

import safetensors.torch
import traitlets
from torch import Tensor

from bnn_tutorial.figures.figure import Figure, Float

PREDICTIONS_FILE = Path(__file__).with_name("reliability.safetensors")


def read_predictions(path: Path = PREDICTIONS_FILE) -> tuple[Tensor, Tensor]:
    """Return logits, float32 of shape (2000, 10), and labels, int64 of shape (2000,)."""
    tensors = safetensors.torch.load_file(path)
    return tensors["logits"].float(), tensors["labels"].long()


class Reliability(Figure):
    r"""How sure and how often right: the reliability diagram of 2,000 predictions, and its ECE.

    .. math:: p_n = \mathrm{softmax}(z_n / T), \qquad c_n = \max_k p_{nk}, \qquad
        \mathrm{ECE} = \sum_b \frac{n_b}{N}
        \left| \mathrm{accuracy}_b - \mathrm{confidence}_b \right|

    The logits z are those of a network with one hidden layer of 100 units for the 2,000 test digits
    of the subset (:func:`bnn_tutorial.load_mnist`). It learned 20 images of each digit until its
    loss was about 1e-5, and is far too sure (``scripts/train_overconfident_network.py``).

    The bins of (0, 1] have equal width, or hold equally many predictions. The interval of a bin's
    accuracy is Wilson's (1927), at 95 %. The expected ECE of a perfectly calibrated model is that
    of N independent hits, each with the probability :math:`c_n`, in the same bins:

    .. math:: \sum_b \frac1N\, \mathbb E \Big| \sum_{n \in b} (h_n - c_n) \Big|, \qquad
        h_n \sim \mathrm{Bernoulli}(c_n),

    from the exact distribution of each sum. The best temperature is the one with the least NLL on
    the predictions that are shown. Source: Guo et al. (2017).

    Example:
        >>> import bnn_tutorial as bt
        >>> logits, labels = bt.figures.Reliability.predictions()
        >>> probabilities = (logits / 2).softmax(dim=-1)
        >>> bt.expected_calibration_error(probabilities, labels, num_bins=10) > 0.05
        True
        >>> figure = bt.figures.Reliability(num_bins=10, temperature=2.0)
        >>> figure.equal = "mass"
        >>> figure.num_bins, figure.temperature, figure.equal
        (10, 2.0, 'mass')
    """

    num_bins = traitlets.Int(10, min=1, max=50, help="the number of bins").tag(sync=True)
    equal = traitlets.Enum(["width", "mass"], "width", help="what the bins have in common").tag(
        sync=True
    )
    temperature = Float(1.0, min=0.5, max=8.0, help="T, by which the logits are divided").tag(
        sync=True
    )
    num_predictions = traitlets.Int(
        2000, min=100, max=2000, help="N, how many of the predictions are shown, the first ones"
    ).tag(sync=True)
    calibrated = traitlets.Bool(
        False,
        help="whether the labels are drawn from the predicted probabilities, so that the model is "
        "perfectly calibrated",
    ).tag(sync=True)
    seed = traitlets.Int(0, min=0, help="of the labels that are drawn").tag(sync=True)

    ece = Float(
        None, allow_none=True, help="expected calibration error, written by the figure"
    ).tag(sync=True)
    calibrated_ece = Float(
        None,
        allow_none=True,
        help="the ECE that a perfectly calibrated model would have on average with these "
        "confidences in these bins, written by the figure",
    ).tag(sync=True)
    nll = Float(
        None, allow_none=True, help="mean NLL in nats at this temperature, written by the figure"
    ).tag(sync=True)
    best_temperature = Float(
        None, allow_none=True, help="the temperature with the least NLL, written by the figure"
    ).tag(sync=True)

    file = traitlets.Bytes(
        read_only=True, help="the file of logits and labels, in half precision"
    ).tag(sync=True)

    @traitlets.default("file")
    def _file(self) -> bytes:
        return PREDICTIONS_FILE.read_bytes()

    @staticmethod
    def predictions() -> tuple[Tensor, Tensor]:
        """Return the logits, float32 of shape (2000, 10), and the labels, int64 (2000,)."""
        return read_predictions()
