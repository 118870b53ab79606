"""Decide: what mistakes cost sets the thresholds, and a doctor sees the cases between them.

Shown in the chapter "Decisions". What it computes is in ``javascript/decide``.
"""

from pathlib import Path

import safetensors.torch
import torch
import traitlets
from torch import Tensor

from bnn_tutorial.figures.figure import Figure, Float

PREDICTIONS_FILE = Path(__file__).with_name("decide.safetensors")
PREDICTORS = ("bayesian", "deterministic")


def read_predictions(predictor: str, path: Path = PREDICTIONS_FILE) -> tuple[Tensor, Tensor]:
    """Return probabilities of benign and malignant, float64 (569, 2), and labels, int64 (569,)."""
    tensors = safetensors.torch.load_file(path)
    log_odds = tensors[predictor].double()
    return torch.stack([-log_odds, log_odds], dim=1).sigmoid(), tensors["malignant"].long()


class Decide(Figure):
    r"""Send home, treat or refer: the action of least expected cost, for 569 cases held out.

    .. math:: a^* = \operatorname{arg\,min} \begin{cases}
        C_{\text{miss}}\, p & \text{send home} \\
        C_{\text{alarm}}\, (1 - p) & \text{treat} \\
        C_{\text{referral}} & \text{refer} \end{cases}

    with p the predictive probability that a case is malignant. The doctor to whom it is referred
    makes no mistake. A referral pays for p between :math:`C_{\text{referral}} / C_{\text{miss}}`
    and :math:`1 - C_{\text{referral}} / C_{\text{alarm}}`, where there is such a p; otherwise the
    threshold is :math:`C_{\text{alarm}} / (C_{\text{alarm}} + C_{\text{miss}})`.

    The cases are those of scikit-learn's breast cancer data (Street, Wolberg and Mangasarian,
    1993), each predicted by networks that had not seen it (``scripts/predict_breast_cancer.py``): a
    Bayesian one, and a deterministic one of the same architecture. The best single threshold on p,
    without referrals, is chosen afterwards on these very cases. Source: Chow (1970).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities, malignant = bt.figures.Decide.predictions("bayesian")
        >>> costs = torch.tensor([[0.0, 20.0], [5.0, 0.0], [1.0, 1.0]])  # home, treat, refer
        >>> decision = bt.decide(probabilities, costs)
        >>> decision.action.shape
        torch.Size([569])
        >>> figure = bt.figures.Decide(miss_cost=50.0, predictor="deterministic")
        >>> figure.miss_cost, figure.alarm_cost, figure.referral_cost
        (50.0, 5.0, 1.0)
    """

    miss_cost = Float(
        20.0, min=1.0, max=100.0, help="what it costs to send somebody with a malignant tumour home"
    ).tag(sync=True)
    alarm_cost = Float(
        5.0, min=0.5, max=50.0, help="what it costs to treat somebody with a benign one"
    ).tag(sync=True)
    referral_cost = Float(
        1.0, min=0.05, max=20.0, help="what it costs to refer somebody to a doctor"
    ).tag(sync=True)
    predictor = traitlets.Enum(
        PREDICTORS, PREDICTORS[0], help="the network whose probabilities are used"
    ).tag(sync=True)

    num_referred = traitlets.Int(
        None, allow_none=True, help="how many cases are referred, written by the figure"
    ).tag(sync=True)
    mean_cost = Float(
        None, allow_none=True, help="what a case cost on average, written by the figure"
    ).tag(sync=True)
    expected_cost = Float(
        None,
        allow_none=True,
        help="what a case was expected to cost on average, written by the figure",
    ).tag(sync=True)
    threshold_cost = Float(
        None,
        allow_none=True,
        help="what a case cost on average with the best single threshold, written by the figure",
    ).tag(sync=True)

    file = traitlets.Bytes(
        read_only=True, help="the file of log odds and labels, in half precision"
    ).tag(sync=True)

    @traitlets.default("file")
    def _file(self) -> bytes:
        return PREDICTIONS_FILE.read_bytes()

    @staticmethod
    def predictions(predictor: str = "bayesian") -> tuple[Tensor, Tensor]:
        """Return probabilities of benign and malignant, float64 (569, 2), and labels (569,).

        Args:
            predictor: ``"bayesian"`` or ``"deterministic"``.
        """
        return read_predictions(predictor)
