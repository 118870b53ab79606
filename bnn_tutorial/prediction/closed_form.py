"""A one-hidden-layer ReLU network without draws: its exact mean, width, expected NLL and ELBO.

Explained in the chapter "Polynomial regression with 3-sigma bands".
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.layers.network import kl_divergence
from bnn_tutorial.likelihoods import GaussianLikelihood
from bnn_tutorial.prediction.moments import ExactMoments

Linear = BayesianLinear | nn.Linear


def exact_moments(model: nn.Module, x: Tensor) -> ExactMoments:
    r"""Return the mean and the standard deviation of a one-hidden-layer ReLU network's output.

    Given the input, the pre-activations are independent Gaussians
    :math:`a \sim \mathcal N(m, \sigma_a^2)`. With :math:`z = m / \sigma_a`, the probabilities
    :math:`p_{\text{on}} = \Phi(z)` and :math:`p_{\text{off}} = \Phi(-z)` and the standard
    Gaussian's density g, a hidden unit :math:`h = \max(0, a)` has

    .. math:: \mathbb E[h] &= m\, p_{\text{on}} + \sigma_a\, g(z) \\
        \operatorname{Var}[h] &= \sigma_a^2 \left[ p_{\text{on}} + z^2\, p_{\text{on}}\,
        p_{\text{off}} + z\, g(z) \left( p_{\text{off}} - p_{\text{on}} \right) - g(z)^2 \right]

    The output's weights :math:`\mathcal N(\mu_j, \sigma_j^2)` are independent of the units, and the
    variances of the products add up, with that of the bias b:

    .. math:: \operatorname{Var}[f] = \operatorname{Var}[b] + \sum_j
        (\mu_j^2 + \sigma_j^2) \operatorname{Var}[h_j] + \sigma_j^2\, \mathbb E[h_j]^2

    Like :func:`predict` it keeps no gradients and moves ``x`` to the model's device. Source: Frey
    and Hinton (1999) for the moments of a rectified Gaussian, Hernández-Lobato and Adams (2015) for
    passing them through a network.

    Args:
        model: ``nn.Sequential(first, nn.ReLU(), second)``; each layer is a
            :class:`BayesianLinear`, or an ``nn.Linear``, whose weights are certain.
        x: inputs, shape (N, D).

    Raises:
        TypeError: ``model`` is another kind of network.
        ValueError: ``x`` is not of shape (N, D).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> first = bt.BayesianLinear(1, 1, bias=False, init_std=1.0)
        >>> second = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(first.weight_mean)
        >>> _ = torch.nn.init.ones_(second.weight)
        >>> model = torch.nn.Sequential(first, torch.nn.ReLU(), second)
        >>> moments = bt.exact_moments(model, torch.ones(1, 1))  # of max(0, N(0, 1))
        >>> print(f"{moments.mean.item():.3f}")  # 1/√(2π)
        0.399
    """
    with torch.no_grad():
        mean, variance = _output_moments(model, x.to(next(model.parameters(), x).device))
        return ExactMoments(mean, variance.sqrt())


def exact_nll(model: nn.Module, x: Tensor, y: Tensor, likelihood: GaussianLikelihood) -> Tensor:
    r"""Return the expected negative log-likelihood in closed form: a scalar, in nats per datum.

    .. math:: \mathbb E_q\left[ -\log p(y \mid x, w) \right] = \sum_{k=1}^K \tfrac12 \log(2\pi s^2)
        + \frac{(y_k - \mathbb E_q[f_k])^2 + \operatorname{Var}_q[f_k]}{2 s^2}

    averaged over the N data, with s the noise. It is differentiable, so that
    ``fit(..., expected_nll=exact_nll)`` trains without sampling noise.

    Args:
        model: as in :func:`exact_moments`.
        x: inputs, shape (N, D), on the model's device.
        y: targets, shape (N, K).
        likelihood: with the noise s.

    Raises:
        TypeError: ``likelihood`` is not Gaussian, or ``model`` as in :func:`exact_moments`.
        ValueError: ``x`` or ``y`` is of another shape.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> model = bt.to_bayesian(bt.regression_network(20))
        >>> x, y = bt.polynomial_data(50)
        >>> moments, likelihood = bt.exact_moments(model, x), bt.GaussianLikelihood(1.0)
        >>> formula = likelihood(moments.mean, y) + moments.std.square().mean() / 2
        >>> torch.allclose(bt.exact_nll(model, x, y, likelihood), formula)
        True
    """
    if not isinstance(likelihood, GaussianLikelihood):
        raise TypeError(f"likelihood={likelihood!r}: expected a GaussianLikelihood")
    mean, variance = _output_moments(model, x)
    spread = (variance / likelihood.noise_std.square()).sum()
    return likelihood(mean, y) + 0.5 * spread / len(y)


def elbo(model: nn.Module, x: Tensor, y: Tensor, likelihood: GaussianLikelihood) -> Tensor:
    r"""Return the evidence lower bound (ELBO) of all data in closed form: a scalar, in nats.

    .. math:: \sum_n \mathbb E_q\left[ \log p(y_n \mid x_n, w) \right]
        - \mathrm{KL}\left( q \,\|\, p \right)

    Closed as far as the KL is: for a prior without one, its term is estimated (see
    :func:`kl_divergence`). Arguments and errors are those of :func:`exact_nll`; ``x`` and ``y``
    hold all N data.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> model = bt.to_bayesian(bt.regression_network(20))
        >>> (x, y), likelihood = bt.polynomial_data(50), bt.GaussianLikelihood(1.0)
        >>> nll, kl = bt.exact_nll(model, x, y, likelihood), bt.kl_divergence(model)
        >>> loss = bt.elbo_loss(nll, kl, num_data=50)
        >>> torch.allclose(bt.elbo(model, x, y, likelihood), -50 * loss)
        True
    """
    return -len(y) * exact_nll(model, x, y, likelihood) - kl_divergence(model)


def _output_moments(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance of the output, each of shape (N, K)."""
    first, second = _linear_layers(model)
    if x.ndim != 2 or x.shape[1] != first.in_features:
        raise ValueError(f"x has shape {tuple(x.shape)}: expected (N, {first.in_features})")
    weight, weight_variance, bias, bias_variance = _weight_moments(first)
    mean, variance = _relu_moments(
        F.linear(x, weight, bias), F.linear(x.square(), weight_variance, bias_variance)
    )
    weight, weight_variance, bias, bias_variance = _weight_moments(second)
    output_variance = F.linear(variance, weight.square() + weight_variance, bias_variance)
    output_variance = output_variance + F.linear(mean.square(), weight_variance)
    return F.linear(mean, weight, bias), output_variance


def _linear_layers(model: nn.Module) -> tuple[Linear, Linear]:
    layers = tuple(model) if isinstance(model, nn.Sequential) else ()
    if len(layers) == 3 and isinstance(layers[1], nn.ReLU):
        first, _, second = layers
        if isinstance(first, Linear) and isinstance(second, Linear):
            return first, second
    raise TypeError(
        f"model={model!r}: expected nn.Sequential(first, nn.ReLU(), second) with BayesianLinear or "
        "nn.Linear for first and second"
    )


def _weight_moments(layer: Linear) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return the mean and variance of a layer's weight, then those of its bias."""
    if isinstance(layer, nn.Linear):
        return layer.weight, torch.zeros_like(layer.weight), layer.bias, None
    weight, *bias = layer.gaussians()
    variance = F.softplus(weight.rho).square()
    if not bias:
        return weight.mean, variance, None, None
    return weight.mean, variance, bias[0].mean, F.softplus(bias[0].rho).square()


def _relu_moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance of max(0, a) for Gaussians a."""
    # sqrt has an infinite slope at 0, where an input is 0 and there is no bias: the smallest normal
    # number there keeps the gradient finite and adds nothing that float can show.
    variance = variance.clamp_min(torch.finfo(variance.dtype).tiny)
    std = variance.sqrt()
    # Beyond 9 standard deviations a unit is on or off to the last digit of a double: the bound
    # keeps z and its slopes finite where the width all but vanishes, and the density normal.
    z = mean / torch.maximum(std, mean.abs() / 9)
    # Each tail by its own erfc: a difference from 1 would lose the digits of the small one.
    on, off = torch.erfc(-z / math.sqrt(2)) / 2, torch.erfc(z / math.sqrt(2)) / 2
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    # E[h^2] - E[h]^2 with the large terms cancelled on paper.
    ratio = on + z.square() * on * off + z * density * (off - on) - density.square()
    return mean * on + std * density, variance * ratio
