"""What training minimizes: the negative ELBO per datum and the KL divergence inside it.

Explained in the chapter "KL and the ELBO".
"""

import math

import torch
from torch import Tensor, nn

from bnn_tutorial.layers import bayesian_layers


def kl_divergence(module: nn.Module) -> Tensor:
    r"""Return the KL divergence of all Bayesian layers inside ``module``: a scalar in nats.

    .. math:: \sum_{\text{layers } \ell} \mathrm{KL}\left(q_\ell \,\|\, p_\ell\right)

    A layer that appears in several places counts once. Without any Bayesian layer the result is 0.
    """
    layers = bayesian_layers(module)
    if not layers:
        anchor = next(module.parameters(), torch.zeros(()))
        return torch.zeros((), device=anchor.device, dtype=anchor.dtype)
    return torch.stack([layer.kl_divergence() for layer in layers]).sum()


def sampled_nll(
    model: nn.Module, x: Tensor, y: Tensor, likelihood: nn.Module, num_draws: int = 1
) -> Tensor:
    r"""Return the mean NLL per datum, in nats, averaged over posterior draws of the network.

    .. math:: \frac1S \sum_s \mathrm{NLL}(w_s), \qquad w_s \sim q

    It is the mean of the losses, an unbiased estimate of the expected NLL; the loss of the mean
    output would miss the posterior's spread.

    Args:
        model: every forward pass of it is one draw.
        x: a batch of inputs.
        y: its targets.
        likelihood: maps (output, target) to the mean NLL per datum.
        num_draws: S; all S passes are kept for the gradient.
    """
    return sum(likelihood(model(x), y) for _ in range(num_draws)) / num_draws


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
    """
    if nll.numel() != 1 or kl.numel() != 1:
        raise ValueError(
            f"nll has shape {tuple(nll.shape)}, kl has shape {tuple(kl.shape)}: expected scalars, "
            "the mean of the NLL and the sum of the KL"
        )
    if num_data < 1:
        raise ValueError(f"num_data={num_data}: expected the size of the training set, 1 or more")
    if not (kl_weight >= 0 and math.isfinite(kl_weight)):
        raise ValueError(f"kl_weight={kl_weight}: expected a finite number, 0 or more")
    return nll + kl_weight * kl / num_data
