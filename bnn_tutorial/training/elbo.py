"""What training minimizes: the negative ELBO per datum and the KL divergence inside it.

Explained in the chapter "The ELBO".
"""

import contextlib
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from bnn_tutorial.argument_checks import require_not_negative
from bnn_tutorial.batches import Inputs, call
from bnn_tutorial.layers.network import NetworkPosterior, kl_divergence
from bnn_tutorial.likelihoods import Likelihood

# From (model, x, y, likelihood) to the expected NLL per datum, in nats.
ExpectedNLL = Callable[[nn.Module, Any, Tensor, Any], Tensor]


@runtime_checkable
class HasExpectedNLL(Protocol):
    """A model that is more than one network, and says itself what its NLL is."""

    def expected_nll(self, x: Any, y: Tensor, likelihood: Likelihood) -> Tensor:
        """Return the NLL per datum of a batch, a scalar in nats."""
        ...


def elbo_loss(nll: Tensor, kl: Tensor, *, num_data: int, kl_weight: float = 1.0) -> Tensor:
    r"""Return the negative ELBO per datum, in nats.

    .. math:: \mathcal L = \mathrm{NLL} + \lambda\, \frac{\mathrm{KL}}{N}

    Args:
        nll: the mean negative log-likelihood per datum of a batch, a scalar.
        kl: the KL divergence summed over parameters, a scalar.
        num_data: N, the number of data in the training set, never in the batch.
        kl_weight: the KL's weight; 1 gives the ELBO, less than 1 a tempered ("cold") posterior.

    Raises:
        ValueError: ``nll`` or ``kl`` is not a scalar, ``num_data`` is not positive, or
            ``kl_weight`` is negative or not finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> nll, kl = torch.tensor(1.0), torch.tensor(50.0)
        >>> bt.elbo_loss(nll, kl, num_data=100).item()  # 1 + 50 / 100
        1.5
    """
    if nll.numel() != 1 or kl.numel() != 1:
        raise ValueError(
            f"nll has shape {tuple(nll.shape)}, kl has shape {tuple(kl.shape)}: expected scalars, "
            "the mean of the NLL and the sum of the KL"
        )
    if num_data < 1:
        raise ValueError(f"num_data={num_data}: expected the size of the training set, 1 or more")
    require_not_negative(kl_weight=kl_weight)
    return nll + kl_weight * kl / num_data


class NegativeElbo(nn.Module):
    r"""The loss of :func:`fit` as one module, so that one forward pass reaches every parameter.

    .. math:: \mathcal L = \rho\, \frac1S \sum_s \mathrm{NLL}(w_s)
        + \lambda\, \frac{\mathrm{KL}}{N}, \qquad w_s \sim q

    The average over draws is the mean of their losses, an unbiased estimate of the expected NLL;
    the loss of the mean output would miss the posterior's width. The KL is computed in the
    parameters' own precision.

    A model that brings a method ``expected_nll(x, y, likelihood)``, such as :class:`DeepEnsemble`,
    says itself what the NLL of a draw is.

    Args:
        model: maps inputs to outputs, on its device.
        likelihood: maps (output, target) to the mean NLL per datum.
        num_data: N, the number of data in the training set.
        num_draws: S; the draws are all kept for the gradient.
        expected_nll: maps (model, x, y, likelihood) to the expected NLL in closed form; None draws.
        mixed_precision: the dtype of autocast around the network; None leaves it off.
    """

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood,
        *,
        num_data: int,
        num_draws: int = 1,
        expected_nll: ExpectedNLL | None = None,
        mixed_precision: torch.dtype | None = None,
    ):
        super().__init__()
        self.model = model
        self.likelihood = likelihood
        self.num_data = num_data
        self.num_draws = num_draws
        self.expected_nll = expected_nll
        self.mixed_precision = mixed_precision
        self.posterior = NetworkPosterior(model)

    def forward(
        self, x: Inputs, y: Tensor, kl_weight: float = 1.0, nll_weight: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        r"""Return the loss, the weighted NLL and the KL, three scalars in nats.

        Args:
            x: a batch of inputs, one tensor or several in a tuple or a dict.
            y: its targets.
            kl_weight: :math:`\lambda`.
            nll_weight: :math:`\rho`, for a part of a batch; 1 for a whole one.
        """
        if self.expected_nll is not None:
            nll = self.expected_nll(self.model, x, y, self.likelihood)
            kl = kl_divergence(self.model)
        elif self.num_draws == 1:
            nll, kl = self._draw(x, y)
        else:
            draws = (self._draw(x, y) for _ in range(self.num_draws))
            nll, kl = (torch.stack(values).mean() for values in zip(*draws, strict=True))
        if nll_weight != 1:
            nll = nll_weight * nll
        return elbo_loss(nll, kl, num_data=self.num_data, kl_weight=kl_weight), nll, kl

    def _draw(self, x: Inputs, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the NLL of one draw of the network and the KL."""
        if self.mixed_precision is None:
            autocast = contextlib.nullcontext()
        else:
            autocast = torch.autocast(y.device.type, dtype=self.mixed_precision)
        with self.posterior.draw() as kl, autocast:
            if isinstance(self.model, HasExpectedNLL):
                return self.model.expected_nll(x, y, self.likelihood), kl
            return self.likelihood(call(self.model, x), y), kl
