"""Posteriors that are known exactly, for an approximation to be held against.

A regression that is linear in its weights has a Gaussian posterior. A one-hidden-layer ReLU network
becomes a Gaussian process as its width grows, and that process has an exact posterior too. See the
chapter "What mean field knows".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_positive
from bnn_tutorial.prediction.moments import ExactMoments


@dataclass(frozen=True)
class LinearRegressionPosterior:
    """The Gaussian posterior over the weights that :func:`linear_regression_posterior` returns.

    ``mean`` has shape (P,), ``covariance`` (P, P); ``log_evidence`` is log p(y), a scalar in nats.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> mean, identity = torch.tensor([1.0, 2.0]), torch.eye(2)
        >>> posterior = bt.LinearRegressionPosterior(mean, identity, torch.tensor(0.0))
        >>> moments = posterior.predict(torch.tensor([[3.0, 4.0]]))
        >>> moments.mean.item(), moments.std.item()  # 3 * 1 + 4 * 2, √(3² + 4²)
        (11.0, 5.0)
    """

    mean: Tensor
    covariance: Tensor
    log_evidence: Tensor

    def predict(self, features: Tensor) -> ExactMoments:
        r"""Return the function's moments at new features of shape (N, P).

        .. math:: \phi^\top m, \qquad \sqrt{\phi^\top S \phi}
        """
        # With S = L L^T the std is the length of L^T phi, which rounding can't make negative.
        std = (features @ torch.linalg.cholesky(self.covariance)).norm(dim=1, keepdim=True)
        return ExactMoments((features @ self.mean)[:, None], std)


def linear_regression_posterior(
    features: Tensor, y: Tensor, *, prior_std: float, noise_std: float
) -> LinearRegressionPosterior:
    r"""Return the posterior over the weights of a regression that is linear in its weights.

    With features :math:`\Phi`, the prior :math:`w \sim \mathcal N(0, \tau^2 I)` and the likelihood
    :math:`y \sim \mathcal N(\Phi w, s^2 I)`, the posterior is :math:`\mathcal N(m, S)`:

    .. math:: A = S^{-1} &= \frac{\Phi^\top \Phi}{s^2} + \frac{I}{\tau^2}, \qquad
        m = \frac{S\, \Phi^\top y}{s^2} \\
        \log p(y) &= -\frac{\lVert y - \Phi m \rVert^2}{2 s^2}
        - \frac{\lVert m \rVert^2}{2 \tau^2} - \frac12 \log \lvert A \rvert
        - P \log \tau - \frac N2 \log(2 \pi s^2)

    The best factorized Gaussian has the same means, and the standard deviations
    :math:`1 / \sqrt{A_{ii}}`, which are at most those of :math:`S`. Use float64: where the prior is
    much wider than the noise, single precision loses the prior next to the data. Source: Bishop
    (2006), sections 3.3, 3.5 and 10.1.

    Args:
        features: shape (N, P); a column of ones makes a bias.
        y: targets, shape (N, 1).
        prior_std: :math:`\tau`, of every weight.
        noise_std: s, in the units of y.

    Raises:
        ValueError: ``features`` and ``y`` don't have these shapes, or a standard deviation is not
            positive and finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x, y = torch.tensor([[[1.0]], [[2.0]]]).double()  # one point
        >>> stds = {"prior_std": 1.0, "noise_std": 1.0}
        >>> posterior = bt.linear_regression_posterior(x, y, **stds)
        >>> mean, variance = posterior.mean.item(), posterior.covariance.item()
        >>> print(f"{mean:.3f}, {variance:.3f}")  # 2 / (1 + 1), 1 / (1 + 1)
        1.000, 0.500
    """
    require_positive(prior_std=prior_std, noise_std=noise_std)
    _require_pairs("features", features, y)
    num_data, num_weights = features.shape
    identity = torch.eye(num_weights, dtype=features.dtype, device=features.device)
    precision = features.T @ features / noise_std**2 + identity / prior_std**2
    factor = torch.linalg.cholesky(precision)
    mean = torch.cholesky_solve(features.T @ y / noise_std**2, factor)
    log_evidence = (
        -(y - features @ mean).square().sum() / (2 * noise_std**2)
        - mean.square().sum() / (2 * prior_std**2)
        - factor.diagonal().log().sum()
        - num_weights * math.log(prior_std)
        - num_data / 2 * math.log(2 * math.pi * noise_std**2)
    )
    return LinearRegressionPosterior(mean[:, 0], torch.cholesky_inverse(factor), log_evidence)


def relu_network_kernel(
    x1: Tensor, x2: Tensor, *, hidden_features: int, prior_std: float
) -> Tensor:
    r"""Return the prior covariance between the outputs of a D-H-1 ReLU network at two inputs.

    Every weight and bias is drawn from :math:`\mathcal N(0, \tau^2)`. With
    :math:`\tilde x = (1, x)` and the angle :math:`\theta` between :math:`\tilde x` and
    :math:`\tilde x'`,

    .. math:: k(x, x') = \tau^2 + \frac{H \tau^4}{2 \pi}
        \lVert \tilde x \rVert \lVert \tilde x' \rVert
        \left( \sin\theta + (\pi - \theta) \cos\theta \right)

    The mean is 0. The covariance is exact at every width H, since the hidden units are independent;
    only that the output is Gaussian holds in the limit alone. The priors don't shrink with the
    width, so that the variance grows with it. Source: Cho and Saul (2009) for the kernel, the
    arc-cosine kernel of order 1; Neal (1996), Williams (1997) and Lee et al. (2018) for the limit.

    Args:
        x1: inputs, shape (N, D).
        x2: inputs, shape (M, D); the result has shape (N, M).
        hidden_features: H, the number of hidden units.
        prior_std: :math:`\tau`.

    Raises:
        ValueError: ``hidden_features`` or ``prior_std`` is not positive and finite, or the inputs
            don't have these shapes.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x = torch.zeros(1, 1)
        >>> k = bt.relu_network_kernel(x, x, hidden_features=50, prior_std=1.0)
        >>> print(f"{k.item():.3f}")  # 1 + 50 / 2
        26.000
    """
    require_positive(hidden_features=hidden_features, prior_std=prior_std)
    if x1.ndim != 2 or x2.ndim != 2 or x1.shape[1] != x2.shape[1]:
        raise ValueError(
            f"x1 has shape {tuple(x1.shape)}, x2 {tuple(x2.shape)}: expected (N, D) and (M, D)"
        )
    extended1 = torch.cat([torch.ones_like(x1[:, :1]), x1], dim=1)
    extended2 = torch.cat([torch.ones_like(x2[:, :1]), x2], dim=1)
    norms = extended1.norm(dim=1)[:, None] * extended2.norm(dim=1)
    # Rounding can take the cosine of equal inputs above 1.
    cosine = (extended1 @ extended2.T / norms).clamp(-1, 1)
    angle = cosine.acos()
    share = (angle.sin() + (math.pi - angle) * cosine) / (2 * math.pi)
    return prior_std**2 + hidden_features * prior_std**4 * norms * share


def gaussian_process_posterior(
    kernel: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    x_new: Tensor,
    *,
    noise_std: float,
) -> ExactMoments:
    r"""Return the posterior of a Gaussian process with mean 0 at new inputs.

    With the kernel's matrices K between the data, :math:`K_*` between new inputs and data, and
    :math:`K_{**}` between new inputs,

    .. math:: \mathrm{mean} = K_* (K + s^2 I)^{-1} y, \qquad
        \mathrm{std}^2 = \operatorname{diag}\left( K_{**} - K_* (K + s^2 I)^{-1} K_*^\top \right)

    Use float64: the variance is a difference. Source: Rasmussen and Williams (2006), algorithm 2.1.

    Args:
        kernel: from inputs (N, D) and (M, D) to covariances (N, M), such as
            ``functools.partial(relu_network_kernel, hidden_features=50, prior_std=1.0)``.
        x: inputs, shape (N, D).
        y: targets, shape (N, 1).
        x_new: inputs of the prediction, shape (M, D).
        noise_std: s, in the units of y.

    Raises:
        ValueError: ``x`` and ``y`` don't have these shapes, or ``noise_std`` is not positive and
            finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> def kernel(x1, x2):
        ...     return x1 @ x2.T  # of lines through 0
        >>> x, y = torch.tensor([[[1.0]], [[2.0]]]).double()  # one point
        >>> moments = bt.gaussian_process_posterior(kernel, x, y, x, noise_std=1.0)
        >>> mean, std = moments.mean.item(), moments.std.item()
        >>> print(f"{mean:.3f}, {std:.3f}")  # 2 / (1 + 1), √(1 / (1 + 1))
        1.000, 0.707
    """
    require_positive(noise_std=noise_std)
    _require_pairs("x", x, y)
    noise = noise_std**2 * torch.eye(len(x), dtype=x.dtype, device=x.device)
    factor = torch.linalg.cholesky(kernel(x, x) + noise)
    cross = kernel(x_new, x)
    explained = torch.linalg.solve_triangular(factor, cross.T, upper=False).square().sum(dim=0)
    # Rounding can take the difference of nearly equal variances below 0.
    variance = (kernel(x_new, x_new).diagonal() - explained).clamp_min(0)
    return ExactMoments(cross @ torch.cholesky_solve(y, factor), variance.sqrt()[:, None])


def _require_pairs(name: str, inputs: Tensor, y: Tensor) -> None:
    if inputs.ndim != 2 or y.shape != (len(inputs), 1):
        raise ValueError(
            f"{name} has shape {tuple(inputs.shape)}, y {tuple(y.shape)}: "
            "expected two dimensions, and for each row one target, (N, 1)"
        )
