"""The Bayesian fully connected layer.

Explained in the chapter "Reparameterization".
"""

import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from bnn_tutorial.layers.bayesian import BayesianLayer
from bnn_tutorial.layers.outer_product import outer_product, pays


class BayesianLinear(BayesianLayer):
    r"""A fully connected layer with a Gaussian posterior over its weights.

    .. math:: y = x W^\top + b, \qquad W \sim q(W),\; b \sim q(b)

    Shapes: ``x`` is (..., in_features), the result (..., out_features); ``weight_mean`` is
    (out_features, in_features). Arguments are those of :class:`torch.nn.Linear`, then those of
    :class:`BayesianLayer`, which also lists the errors raised.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer, x = bt.BayesianLinear(3, 2), torch.ones(5, 3)
        >>> layer(x).shape
        torch.Size([5, 2])
        >>> layer(x).equal(layer(x))  # each forward pass is a draw of its own
        False
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        prior: Distribution | None = None,
        estimator: str = "local",
        init_std: float = 0.05,
        device=None,
        dtype=None,
    ):
        super().__init__(
            (out_features, in_features),
            bias,
            prior=prior,
            estimator=estimator,
            init_std=init_std,
            device=device,
            dtype=dtype,
        )
        self.in_features = in_features
        self.out_features = out_features

    def linear_map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return ``x @ weight.T + bias``."""
        if self.in_features == 1 and self.drawn is not None and pays(x, bias):
            return outer_product(x, weight, bias)
        return F.linear(x, weight, bias)

    def extra_repr(self) -> str:
        """Describe the layer in a print of the model."""
        return f"{self.in_features}, {self.out_features}, {super().extra_repr()}"
