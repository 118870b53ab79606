"""Gradient noise: three estimators of one gradient, drawn live; for "estimators"."""

import traitlets

from bnn_tutorial.figures.figure import Figure, Float


class GradientNoise(Figure):
    r"""Histograms of the score-function, the pathwise and the local gradient, and their variances.

    One unit computes :math:`a_n = \sum_i x_{ni} w_i` for the B data of a batch, whose inputs are
    random signs. Its d weights are independent Gaussians of standard deviation σ; the first has
    the mean μ = 1, the others 0. The loss is the mean of :math:`a_n^2` over the batch, expected to
    be :math:`m = \mu^2 + d\sigma^2`, and its gradient with respect to μ is 2μ whatever the signs
    are: the batch adds no noise of its own. With :math:`r = (B + d - 1) / B`, one draw of the
    gradient has the variance

    .. math::

        \text{score function, baseline } m &:\quad 4\mu^2 (r + 1) + 2\sigma^2 r (d + 4) \\
        \text{score function} &:\quad \text{as above} + 4m + m^2 / \sigma^2 \\
        \text{pathwise, weights drawn} &:\quad 4\sigma^2 r \\
        \text{pathwise, local draws} &:\quad 4\sigma^2 d / B

    The last two are :math:`V/B + (1 - 1/B)\, C` with :math:`V = 4d\sigma^2`, and :math:`C =
    4\sigma^2` for drawn weights or 0 for local draws. For the first, write the loss as
    :math:`w^\top A w` with :math:`A = X^\top X / B`, and :math:`w = \mu e_1 + \sigma\epsilon`.
    It deviates from m by :math:`D = 2\sigma\mu\, \epsilon^\top A e_1 + \sigma^2 (\epsilon^\top A
    \epsilon - d)`. As :math:`A_{11} = 1`, the moments of a Gaussian give
    :math:`\operatorname{Var}[D \epsilon_1] = 4\sigma^2\mu^2 ((A^2)_{11} + 1) + \sigma^4 (2
    \operatorname{tr} A^2 + 8 (A^2)_{11})`. On average over the signs, :math:`(A^2)_{11} = r` and
    :math:`\operatorname{tr} A^2 = dr`. Without a baseline, m stands next to D, and
    :math:`\operatorname{Var}[(m + D)\epsilon_1] = \operatorname{Var}[D\epsilon_1] + 2m
    \operatorname{E}[D\epsilon_1^2] + m^2`, where the middle mean is :math:`2\sigma^2`.
    (Williams, 1992; Kingma, Salimans and Welling, 2015.)

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.GradientNoise(weights=100, baseline=True)
        >>> figure.weights, figure.std, figure.batch_size
        (100, 0.5, 50)
    """

    std = Float(
        0.5, min=0.1, max=1.0, help="Standard deviation σ of every weight, between 0.1 and 1."
    ).tag(sync=True)
    weights = traitlets.Int(10, min=1, max=100, help="Number of weights d, from 1 to 100.").tag(
        sync=True
    )
    batch_size = traitlets.Int(
        50, min=1, max=100, help="Number of data B in the batch, from 1 to 100."
    ).tag(sync=True)
    baseline = traitlets.Bool(
        False, help="Whether the score function's loss is taken less its expectation m."
    ).tag(sync=True)
    hold_axis = traitlets.Bool(
        True,
        help="Whether the axis stays as it is when a setting moves, or fits the widest histogram.",
    ).tag(sync=True)
    draws = traitlets.Int(
        1000,
        min=0,
        max=100_000,
        help="How many draws of each gradient are shown; beyond 1,000 they take a while to appear. "
        "While the figure plays, more are drawn; when it pauses, this says how many. Another "
        "setting starts anew with at most 1,000.",
    ).tag(sync=True)
    seed = traitlets.Int(0, min=0, help="Seed of the draws.").tag(sync=True)
