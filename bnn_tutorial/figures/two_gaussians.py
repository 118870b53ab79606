"""The figure of the chapter "KL divergence and the ELBO": two densities, and the nats between."""

import traitlets

from bnn_tutorial.figures.figure import Figure


class TwoGaussians(Figure):
    r"""Two densities that the reader moves and widens, and the KL divergence in both directions.

    .. math::

        \mathrm{KL}(q \,\|\, p) &= \int q(w) \log\frac{q(w)}{p(w)}\, dw \\
        \mathrm{KL}(p \,\|\, q) &= \int p(w) \log\frac{p(w)}{q(w)}\, dw

    Both integrands are drawn as areas, whose sums are the divergences in nats: in closed form
    between two Gaussians, by quadrature where p has two peaks. What lies beyond the plot, outside
    [-7, 7], counts too. There the Gaussians with the lowest
    divergences stand beside q, and q slides down to one of them when it is asked to. Source:
    Kullback and Leibler (1951).
    """

    q_mean = traitlets.Float(1.0, min=-5.0, max=5.0, help="Mean of q.").tag(sync=True)
    q_std = traitlets.Float(0.8, min=0.2, max=4.0, help="Standard deviation of q.").tag(sync=True)
    p_mean = traitlets.Float(0.0, min=-5.0, max=5.0, help="Mean of a Gaussian p.").tag(sync=True)
    p_std = traitlets.Float(1.5, min=0.2, max=4.0, help="Standard deviation of a Gaussian p.").tag(
        sync=True
    )
    target = traitlets.Enum(
        ["gaussian", "two peaks"],
        "gaussian",
        help="What p is: a Gaussian, or 0.65 N(-2.5, 0.6²) + 0.35 N(2.5, 0.9²).",
    ).tag(sync=True)
