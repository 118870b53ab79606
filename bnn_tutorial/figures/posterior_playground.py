"""The posterior playground: a Bayesian network that trains in the browser while you watch.

Shown in the chapter "What mean field knows" and on a page of its own. What it computes is in
``javascript/posterior_playground``.
"""

import math
import re

import torch
import traitlets
from torch import Tensor

from bnn_tutorial.datasets import polynomial_data
from bnn_tutorial.figures.figure import Figure, Float
from bnn_tutorial.figures.points import Points

NUM_POINTS = 60
EDGE = 1.5  # of the inputs; beyond them the plot shows what the network makes of no data
NOISE_STD = 2 / math.sqrt(12)  # of the chapter's data
X_DOMAIN = (-3.0, 3.0)
Y_DOMAIN = (-20.0, 20.0)
MOST_POINTS = 300


def _data() -> list[list[float]]:
    """Return the chapter's curve with Gaussian noise, so that the band's nominal share holds."""
    generator = torch.Generator().manual_seed(4)
    options = {"low": -EDGE, "high": EDGE, "noise": "gaussian", "noise_scale": NOISE_STD}
    x, y = polynomial_data(NUM_POINTS, generator=generator, **options)
    return [[round(a, 2), round(b, 2)] for a, b in torch.cat([x, y], dim=1).tolist()]


class PosteriorPlayground(Figure):
    r"""A Bayesian 1-H-1 ReLU network that trains in the browser, with its data in your hand.

    .. math:: \mathrm{loss} = \frac1N \sum_n \mathbb E_q\left[ -\log p(y_n \mid x_n, w) \right]
        + \lambda\, \frac{\mathrm{KL}(q \,\|\, p)}{N}

    with the likelihood :math:`\mathcal N(f_w(x), s^2)` and the prior :math:`\mathcal N(0,
    \sigma_p^2)` of every weight and bias. Training begins with every weight as wide as the
    prior, or at 2 where that is wider. Every trait can be given when the figure is made, and read
    or set later where a kernel runs. The audit counts how many of 2,000 new observations of
    :math:`x^5 - 10 x` on [-1.5, 1.5], with Gaussian noise of standard deviation :math:`2 /
    \sqrt{12}`, lie outside a 3-sigma band.

    Example:
        >>> import bnn_tutorial as bt
        >>> points = [[-1.0, 9.0], [0.0, 0.0], [1.0, -9.0]]
        >>> figure = bt.figures.PosteriorPlayground(points=points, gap=[-0.5, 0.5])
        >>> x, y = figure.training_data()
        >>> x.flatten().tolist(), y.flatten().tolist()
        ([-1.0, 1.0], [9.0, -9.0])
    """

    prior_std = Float(
        2.0, min=0.1, max=10.0, help="standard deviation of the prior of every weight and bias"
    ).tag(sync=True)
    kl_weight = Float(
        1.0, min=1e-4, max=100.0, help="the weight λ of the KL divergence; 1 is the ELBO"
    ).tag(sync=True)
    noise_std = Float(
        round(NOISE_STD, 3), min=0.05, max=5.0, help="the likelihood's noise s, in the units of y"
    ).tag(sync=True)
    hidden_units = traitlets.Int(30, min=1, max=200, help="H, the number of hidden units").tag(
        sync=True
    )
    estimator = traitlets.Enum(
        ["exact", "weight", "local"],
        "exact",
        help='the loss in closed form ("exact"), or by draws of the weights ("weight") or of the '
        'pre-activations ("local")',
    ).tag(sync=True)
    points = Points(
        x_domain=X_DOMAIN,
        y_domain=Y_DOMAIN,
        fewest=0,
        most=MOST_POINTS,
        help="the data, a list of [x, y]: x within [-3, 3], y within [-20, 20], 300 at most",
    ).tag(sync=True)
    gap = traitlets.List(
        Float(), help="[low, high], between which no point trains; [] for none"
    ).tag(sync=True)
    running = traitlets.Bool(True, help="whether it trains while in sight").tag(sync=True)
    speed = traitlets.Enum(
        ["slow", "normal", "fast"],
        "normal",
        help='how fast it trains: "normal" begins as slowly as "slow", so that the band is seen to '
        'fold, and becomes as fast as "fast"',
    ).tag(sync=True)
    address_key = traitlets.Unicode(
        "",
        help="the first word of the page's address, after #, in which the state is kept; empty "
        "for none. A live notebook's address is never touched.",
    ).tag(sync=True)

    show_epistemic = traitlets.Bool(True, help="the 3-sigma band of the curve").tag(sync=True)
    show_total = traitlets.Bool(True, help="the 3-sigma band of an observation").tag(sync=True)
    show_functions = traitlets.Bool(True, help="functions drawn from the posterior").tag(sync=True)
    show_truth = traitlets.Bool(False, help="the curve that the data came from").tag(sync=True)
    show_gaussian_process = traitlets.Bool(
        False,
        help="the exact posterior of the Gaussian process with the network's prior covariance",
    ).tag(sync=True)
    show_dropout = traitlets.Bool(False, help="Monte Carlo dropout").tag(sync=True)
    show_ensemble = traitlets.Bool(False, help="an ensemble of five networks").tag(sync=True)

    steps = traitlets.Int(0, help="training steps taken, written by the figure").tag(sync=True)
    loss = Float(None, allow_none=True, help="nats per datum").tag(sync=True)
    fit = Float(
        None, allow_none=True, help="the expected negative log-likelihood, nats per datum"
    ).tag(sync=True)
    kl = Float(None, allow_none=True, help="KL(q || p) in nats").tag(sync=True)
    outside_total = Float(
        None, allow_none=True, help="share of held-out points outside the total band"
    ).tag(sync=True)
    outside_epistemic = Float(
        None, allow_none=True, help="share of held-out points outside the epistemic band"
    ).tag(sync=True)

    curve_outside_epistemic = Float(
        None, allow_none=True, help="share of places where the true curve is outside that band"
    ).tag(sync=True)

    def training_data(self) -> tuple[Tensor, Tensor]:
        """Return the points outside the gap as inputs and targets, each of shape (N, 1)."""
        low, high = self.gap or (math.inf, -math.inf)
        used = [point for point in self.points if not low <= point[0] <= high]
        x, y = torch.tensor(used).reshape(-1, 2).split(1, dim=1)
        return x, y

    @traitlets.default("points")
    def _default_points(self) -> list[list[float]]:
        return _data()

    @traitlets.validate("address_key")
    def _valid_address_key(self, proposal: traitlets.Bunch) -> str:
        if not re.fullmatch("[A-Za-z0-9_-]*", proposal.value):
            raise traitlets.TraitError(
                f"address_key={proposal.value!r}: expected letters, digits, - and _ alone"
            )
        return proposal.value

    @traitlets.validate("gap")
    def _valid_gap(self, proposal: traitlets.Bunch) -> list[float]:
        gap = proposal.value
        low, high = X_DOMAIN
        if gap and not (len(gap) == 2 and low <= gap[0] < gap[1] <= high):
            raise traitlets.TraitError(
                f"gap={gap!r}: expected [] or [low, high] within {list(X_DOMAIN)}"
            )
        return gap
