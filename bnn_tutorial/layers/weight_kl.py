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
    # A vector is left as it is, which spares a small network's step an operation.
    return at_least_float32(torch.cat([t if t.dim() == 1 else t.reshape(-1) for t in tensors]))


def closed_form(part: Gaussian) -> Tensor | None:
    """Return the KL of one tensor of weights, or None where torch.distributions has no formula."""
    std = F.softplus(at_least_float32(part.rho))
    # Without validation, so that a diverged posterior gives a NaN, which training reports.
    posterior = Normal(at_least_float32(part.mean), std, validate_args=False)
    try:
        return kl_divergence(posterior, part.prior.distribution).sum()
    except NotImplementedError:
        return None


def kl_to_normals(parts: Sequence[Gaussian], priors: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    r"""Return what :func:`closed_form` returns, summed over parts whose priors are Normals.

    .. math:: \sum_i \frac12 \Big(\frac{\sigma_i^2}{s_i^2} + \frac{(\mu_i - m_i)^2}{s_i^2} - 1\Big)
        - \log\frac{\sigma_i}{s_i}

    A small network's step spends its time on starting operations, not on numbers: here all weights
    are one vector, whatever the number of parts.

    Args:
        parts: on one device.
        priors: for each part, m and s, one number or one for each weight.
    """
    prior_mean, prior_std = (
        torch.cat([_spread(tensor, part.mean) for tensor, part in zip(side, parts, strict=True)])
        for side in zip(*priors, strict=True)
    )
    std = F.softplus(flatten([part.rho for part in parts])) / prior_std
    offset = (flatten([part.mean for part in parts]) - prior_mean) / prior_std
    # Each weight's own value is summed, since sums of squares would cancel near the prior.
    squares = torch.addcmul(torch.addcmul(-std.new_ones(()), std, std), offset, offset)
    return torch.sub(squares, std.log(), alpha=2).sum() / 2


def _spread(value: Tensor, like: Tensor) -> Tensor:
    """Return one number, of any shape, or one for each weight as a vector over all weights."""
    return (value.reshape(()) if value.numel() == 1 else value).expand_as(like).reshape(-1)


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
    normals: dict[torch.device, list[tuple[Gaussian, tuple[Tensor, Tensor]]]] = {}
    with torch.autocast(first.device.type, enabled=False):
        for part in parts:
            if (normal := part.prior.normal) is not None:
                normals.setdefault(part.mean.device, []).append((part, normal))
                continue
            value = closed_form(part)
            if value is None:
                value = cross_entropy_estimate(
                    part, [draw_weights(part) for _ in range(num_samples)]
                )
            total = total + value.to(total.device)
        for alike in normals.values():
            total = total + kl_to_normals(*zip(*alike, strict=True)).to(total.device)
    return total
