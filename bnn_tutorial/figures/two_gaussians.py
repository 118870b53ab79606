"""The figure of the chapter "KL divergence": two densities, and the nats between."""

import traitlets

from bnn_tutorial.figures.figure import Figure, Float


class TwoGaussians(Figure):
    r"""Two densities that the reader moves and widens, and the KL divergence in both directions.

    .. math::

        \mathrm{KL}(q \,\|\, p) &= \int q(w) \log\frac{q(w)}{p(w)}\, dw \\
        \mathrm{KL}(p \,\|\, q) &= \int p(w) \log\frac{p(w)}{q(w)}\, dw

    Both integrands are drawn as areas, whose sums are the divergences in nats: in closed form
    between two Gaussians, by quadrature where p has two peaks. What lies beyond the axis, outside
    [-7, 7], counts too, and is named where it is more than 1 % of the sum. The axes stay as
    they are, so that equal areas are equal nats at every setting; what is higher than they are
    is cut off, and its height is written there. Beside a p with two peaks stand the Gaussians
    with the lowest divergences, and q slides down either divergence when it is asked to.
    Source: Kullback and Leibler (1951).

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.TwoGaussians(q_mean=-2.5)
        >>> figure.target = "two peaks"
        >>> figure.q_mean, figure.q_std, figure.target
        (-2.5, 0.8, 'two peaks')
    """

    q_mean = Float(1.0, min=-3.5, max=3.5, help="Mean of q.").tag(sync=True)
    q_std = Float(0.8, min=0.2, max=3.0, help="Standard deviation of q.").tag(sync=True)
    p_mean = Float(0.0, min=-3.5, max=3.5, help="Mean of a Gaussian p.").tag(sync=True)
    p_std = Float(1.5, min=0.2, max=3.0, help="Standard deviation of a Gaussian p.").tag(sync=True)
    target = traitlets.Enum(
        ["gaussian", "two peaks"],
        "gaussian",
        help="What p is: a Gaussian, or 0.65 N(-2.5, 0.6²) + 0.35 N(2.5, 0.9²).",
    ).tag(sync=True)
    fit_axes = traitlets.Bool(
        False, help="Whether the axes follow the highest curve, or stay as they are."
    ).tag(sync=True)
    target_choice = traitlets.Bool(True, help="Whether the reader may choose what p is.").tag(
        sync=True
    )
