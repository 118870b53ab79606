"""Two kinds of uncertainty: the part of a band that data shrink, and the part that they leave.

Shown in the chapter "Two kinds of uncertainty". What it computes is in ``javascript/two_kinds``.
"""

import traitlets

from bnn_tutorial.figures.figure import Figure, Float


class TwoKinds(Figure):
    r"""The exact band of a regression, its epistemic part and its noise, for 25 to 1,600 data.

    .. math:: f_w(x) = \sum_{j=1}^{21} w_j\, e^{-(x - c_j)^2 / (2 h^2)}, \qquad
        w_j \sim \mathcal N(0, \tau^2), \qquad y \sim \mathcal N(f_w(x), s(x)^2)

    with bumps of width h = 0.4 at :math:`c_j = -4, -3.6, \dots, 4`, and :math:`\tau = 0.75`. The
    noise is known: ``noise_std``, times 1 + x/4 where it grows. With the bumps :math:`\phi(x)` and
    the data's inputs :math:`x_n`, a new observation has the variance

    .. math:: \underbrace{\phi(x)^\top S\, \phi(x)}_{\text{epistemic}} +
        \underbrace{s(x)^2}_{\text{noise}}, \qquad
        S^{-1} = \sum_{n=1}^N \frac{\phi(x_n) \phi(x_n)^\top}{s(x_n)^2} + \frac{I}{\tau^2}.

    The curve is drawn from the prior. The data are the first N of one sequence, whose inputs spread
    evenly over [-3, 3] but for the gap. The audit counts how many of 2,000 new observations, evenly
    over [-3, 3], fall outside a 3-sigma band: outside the one that holds both parts 0.27 %, exact
    on average over curves and data. Source: Bishop (2006), section 3.3.

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.TwoKinds(num_data=400, gap_width=0.0)
        >>> figure.noise_grows = True
        >>> figure.num_data, figure.noise_std, figure.noise_grows
        (400, 0.3, True)
    """

    num_data = traitlets.Int(100, min=25, max=1600, help="N, the number of data").tag(sync=True)
    noise_std = Float(
        0.3,
        min=0.05,
        max=0.6,
        help="standard deviation of an observation's noise; where it grows, that at x = 0",
    ).tag(sync=True)
    noise_grows = traitlets.Bool(
        False, help="whether the noise grows with x, from a quarter at -3 to 1.75 times at 3"
    ).tag(sync=True)
    gap_width = Float(
        1.6, min=0.0, max=3.0, help="width of the interval without data; 0 for none"
    ).tag(sync=True)
    gap_middle = Float(0.8, min=-1.5, max=1.5, help="x at the middle of the gap").tag(sync=True)
    place = Float(
        -1.5, min=-3.0, max=3.0, help="x at which both standard deviations are compared"
    ).tag(sync=True)
    seed = traitlets.Int(1, min=0, help="of the curve, the data and the new observations").tag(
        sync=True
    )

    epistemic_std = Float(
        None, allow_none=True, help="standard deviation of f at `place`, written by the figure"
    ).tag(sync=True)
    outside_total = Float(
        None,
        allow_none=True,
        help="share of the new observations outside the total band, written by the figure",
    ).tag(sync=True)
    outside_epistemic = Float(
        None,
        allow_none=True,
        help="share of the new observations outside the epistemic band, written by the figure",
    ).tag(sync=True)
