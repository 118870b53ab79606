"""The figure of the book's first page: take data away, and see the posterior open where they were.

What it computes is in ``javascript/gaussian_process``.
"""

import traitlets

from bnn_tutorial.figures.figure import Figure, Float


class GaussianProcess(Figure):
    r"""The exact posterior of a Gaussian process, from which a window takes data away.

    .. math:: f \sim \mathcal{GP}(0, k), \qquad
        k(x, x') = \left(1 + d + \tfrac{d^2}{3}\right) e^{-d}, \quad d = \sqrt5\, |x - x'|, \qquad
        y \sim \mathcal N(f(x), 0.15^2)

    The curve is drawn from the prior, and 25 points of it are observed. The reader moves a window
    that is 1.8 wide, and the points in it are left out until they are given back. Drawn are
    :math:`\mathrm{mean} \pm 1.96\, \mathrm{std}` of f, the epistemic band, which holds the curve
    with a probability of 95 % at each x, and eight functions of the posterior. They are conditioned
    by Matheron's rule, so that each stays nearly what it was where the data stay. Source: Rasmussen
    and Williams (2006), algorithm 2.1; Wilson et al. (2020).

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.GaussianProcess(window_middle=-1.0)
        >>> figure.removed = False  # in a notebook this gives the data back
        >>> figure.window_middle, figure.removed
        (-1.0, False)
    """

    window_middle = Float(0.5, min=-2.1, max=2.1, help="x at the middle of the window").tag(
        sync=True
    )
    removed = traitlets.Bool(True, help="whether the data in the window are left out").tag(
        sync=True
    )
    seed = traitlets.Int(7, min=0, help="of the curve, the data and the drawn functions").tag(
        sync=True
    )

    times_wider = Float(
        None,
        allow_none=True,
        help="width of the band in the middle of the window without the data there, over its width "
        "with them, written by the figure",
    ).tag(sync=True)
