"""The posterior gallery: one small posterior that is known exactly, and nine ways to approach it.

Shown in the chapter "Sampling the posterior". What it computes is in
``javascript/posterior_gallery``.
"""

import torch
import traitlets
from torch import Tensor

from bnn_tutorial.figures.figure import Figure, Float
from bnn_tutorial.figures.points import Points

X_DOMAIN = (-3.0, 3.0)
Y_DOMAIN = (-3.0, 3.0)
MOST_POINTS = 12
POINTS = [[-1.2, -0.9], [-0.7, -0.8], [-0.3, -0.1], [0.4, 0.5], [0.8, 0.6], [1.1, 1.2]]


class PosteriorGallery(Figure):
    r"""The exact posterior of a network with two weights, and what each method makes of it.

    .. math:: f_w(x) = w_2 \tanh(w_1 x), \qquad y \sim \mathcal N(f_w(x), s^2), \qquad
        w_1, w_2 \sim \mathcal N(0, \tau^2)

    The weights w and -w give one function, so that the posterior has two modes. Given w₁ the
    posterior of w₂ is Gaussian: the evidence, the moments of f and the regions that hold 50, 90 and
    99 % are integrals over w₁ alone, by the trapezoidal rule. So are, for a Gaussian q, KL(q ||
    posterior) in nats and the moments of f. A band is the mean of f ± 3 of its standard deviations,
    without the noise of an observation.

    The methods are the mode (MAP); the Gaussians with the highest ELBO, without and with a
    covariance (Opper and Archambeau, 2009); Laplace's; SWAG's (Maddox et al., 2019); an ensemble
    of modes uphill from draws of the prior; the four networks that dropout on the input and on the
    hidden unit leaves; Hamiltonian Monte Carlo (Neal, 2011); and unadjusted Langevin dynamics.

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.PosteriorGallery(method="laplace", noise_std=0.2)
        >>> figure.points = [[-1.0, -0.8], [1.0, 0.9]]
        >>> x, y = figure.training_data()
        >>> x.flatten().tolist(), figure.method
        ([-1.0, 1.0], 'laplace')
    """

    method = traitlets.Enum(
        [
            "map",
            "mean field",
            "full covariance",
            "laplace",
            "ensemble",
            "swag",
            "dropout",
            "hmc",
            "langevin",
        ],
        "mean field",
        help="what approaches the posterior",
    ).tag(sync=True)
    points = Points(
        x_domain=X_DOMAIN,
        y_domain=Y_DOMAIN,
        fewest=1,
        most=MOST_POINTS,
        help="the data, a list of 1 to 12 [x, y], both within [-3, 3]",
    ).tag(sync=True)
    prior_std = Float(
        1.5, min=0.5, max=3.0, help="τ, the standard deviation of the prior of both weights"
    ).tag(sync=True)
    noise_std = Float(
        0.3, min=0.1, max=1.0, help="s, the standard deviation of an observation's noise"
    ).tag(sync=True)
    place = Float(2.5, min=-3.0, max=3.0, help="x at which the bands are compared").tag(sync=True)
    members = traitlets.Int(5, min=1, max=20, help="of the ensemble").tag(sync=True)
    learning_rate = Float(
        0.05,
        min=0.001,
        max=0.2,
        help="of SWAG's gradient descent on -log p(y, w) / N, one datum a step, each step at most "
        "0.2 long, for 200 epochs from the mode on",
    ).tag(sync=True)
    dropout_rate = Float(
        0.2, min=0.05, max=0.8, help="the probability to drop the input, and the hidden unit"
    ).tag(sync=True)
    step_size = Float(
        0.1, min=0.01, max=0.5, help="ε of HMC's leapfrog and of Langevin's steps"
    ).tag(sync=True)
    leapfrog_steps = traitlets.Int(
        20, min=1, max=50, help="steps of HMC, or of Langevin, from one draw to the next"
    ).tag(sync=True)
    seed = traitlets.Int(
        0, min=0, help="of the draws, of SWAG's path, of the ensemble's starts and of the walks"
    ).tag(sync=True)
    running = traitlets.Bool(
        True, help="whether HMC or Langevin walks, while in sight, up to 1,000 draws"
    ).tag(sync=True)

    draws = traitlets.Int(
        0, help="how many draws HMC or Langevin has made, written by the figure"
    ).tag(sync=True)
    kl = Float(
        None,
        allow_none=True,
        help="KL(q || posterior) in nats, None where q has no density, written by the figure",
    ).tag(sync=True)
    width_ratio = Float(
        None,
        allow_none=True,
        help="width of the method's band over that of the exact one at `place`, written by the "
        "figure",
    ).tag(sync=True)

    def training_data(self) -> tuple[Tensor, Tensor]:
        """Return the points as inputs and targets, each of shape (N, 1)."""
        x, y = torch.tensor(self.points).split(1, dim=1)
        return x, y

    @traitlets.default("points")
    def _default_points(self) -> list[list[float]]:
        return [[*point] for point in POINTS]
