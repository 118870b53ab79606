"""The KL divergence from Gaussian posteriors to their priors, and its gradient in closed form.

Explained in the chapter "KL divergence".
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.layers.priors import Prior, at_least_float32


class Gaussian(NamedTuple):
    """The posterior of one tensor of weights, with the prior it is compared to.

    ``mean`` and ``rho`` have one shape; the standard deviation is softplus(rho).
    """

    mean: Tensor
    rho: Tensor
    prior: Prior


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Return all elements in one vector, in single precision or better."""
    return at_least_float32(torch.cat([tensor.reshape(-1) for tensor in tensors]))


def closed_form(part: Gaussian) -> Tensor | None:
    """Return the KL of one tensor of weights, or None where torch.distributions has no formula."""
    std = F.softplus(at_least_float32(part.rho))
    # Without validation, so that a diverged posterior gives a NaN, which training reports.
    posterior = Normal(at_least_float32(part.mean), std, validate_args=False)
    try:
        return kl_divergence(posterior, part.prior.distribution).sum()
    except NotImplementedError:
        return None


def cross_entropy_estimate(part: Gaussian, draws: Sequence[Tensor]) -> Tensor:
    r"""Return the KL with the prior's part estimated from draws of the weights.

    .. math:: -\mathbb H[q] - \frac1S \sum_s \log p(w_s), \qquad w_s \sim q

    Args:
        part: the posterior and its prior.
        draws: :math:`w_s`, each of the weights' shape.
    """
    std = F.softplus(at_least_float32(part.rho))
    entropy = (std.log() + Normal(0.0, 1.0).entropy()).sum()
    prior = part.prior.distribution
    log_density = sum(prior.log_prob(at_least_float32(draw)).sum() for draw in draws)
    return -entropy - log_density / len(draws)


def draw_weights(part: Gaussian) -> Tensor:
    """Return one draw of the weights, differentiable in mean and rho."""
    return torch.addcmul(part.mean, F.softplus(part.rho), torch.randn_like(part.mean))


def kl_to_priors(parts: Sequence[Gaussian], num_samples: int) -> Tensor:
    r"""Return :math:`\sum_i \mathrm{KL}(q_i \,\|\, p_i)` over all weights, a scalar in nats.

    Closed form where :func:`torch.distributions.kl_divergence` has one, else
    :func:`cross_entropy_estimate`. In single precision or better, under autocast too.

    Args:
        parts: the posteriors, at least one.
        num_samples: draws of an estimate.

    Raises:
        ValueError: ``num_samples`` is below 1.
    """
    require_counts(num_samples=num_samples)
    first = parts[0].mean
    total = torch.zeros((), device=first.device, dtype=at_least_float32(first).dtype)
    with torch.autocast(first.device.type, enabled=False):
        for part in parts:
            value = closed_form(part)
            if value is None:
                value = cross_entropy_estimate(
                    part, [draw_weights(part) for _ in range(num_samples)]
                )
            total = total + value.to(total.device)
    return total
