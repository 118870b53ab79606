"""Likelihoods: what a network's output says about the data, as a loss and as a predictive score.

Explained in the chapters "Polynomial regression with 3-sigma bands" (Gaussian) and "A Bayesian CNN
on MNIST" (categorical).
"""

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_tutorial.evaluation.calibration import expected_calibration_error
from bnn_tutorial.layers.softplus import inverse_softplus


class Likelihood(nn.Module, abc.ABC):
    """What a network's output says about a datum: the loss of :func:`fit`, the scores of evaluate.

    A subclass with parameters of its own has them trained along.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> class LaplaceLikelihood(bt.Likelihood):  # of scale 1
        ...     def forward(self, output, target):
        ...         return -torch.distributions.Laplace(output, 1.0).log_prob(target).mean()
        ...     def metrics(self, samples, target):
        ...         return {"error": (target - samples.mean(dim=0)).abs().mean().item()}
        >>> nll = LaplaceLikelihood()(torch.zeros(5, 1), torch.ones(5, 1))
        >>> print(f"{nll.item():.3f}")  # log 2 + |1 - 0|
        1.693
    """

    @abc.abstractmethod
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean negative log-likelihood, a scalar in nats per datum.

        Args:
            output: of the network, shape (N, ...).
            target: what was observed, N rows.
        """

    @abc.abstractmethod
    def metrics(self, samples: Tensor, target: Tensor) -> dict[str, float]:
        """Score the predictive distribution of ``samples`` (S, N, ...) on ``target``, N rows.

        Returns:
            The scores by name.
        """


def _require_equal_shapes(output: Tensor, target: Tensor) -> None:
    if output.shape != target.shape:
        raise ValueError(
            f"output has shape {tuple(output.shape)}, target {tuple(target.shape)}: "
            "expected equal shapes, since broadcasting would pair the wrong values"
        )


class GaussianLikelihood(Likelihood):
    r"""The likelihood :math:`y \mid x, w \sim \mathcal N(f_w(x), s^2)` with one noise level s.

    .. math:: -\log p(y \mid x, w) = \tfrac12 \log(2\pi s^2) + \frac{(y - f_w(x))^2}{2 s^2}

    Args:
        noise_std: s, a standard deviation in the units of y; the starting value where learnt.
        learn: whether s is a parameter, s = softplus(noise_rho), for the optimizer to move.

    Raises:
        ValueError: ``noise_std`` is not positive and finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> likelihood, zeros = bt.GaussianLikelihood(1.0), torch.zeros(5, 1)
        >>> print(f"{likelihood(zeros, zeros).item():.3f}")  # log(2π) / 2
        0.919
    """

    def __init__(self, noise_std: float = 1.0, *, learn: bool = True):
        super().__init__()
        rho = torch.tensor(inverse_softplus(noise_std))
        self.noise_rho = nn.Parameter(rho, requires_grad=learn)

    @property
    def noise_std(self) -> Tensor:
        """The noise's standard deviation, a scalar."""
        return F.softplus(self.noise_rho)

    def _log_density(self, output: Tensor, target: Tensor) -> Tensor:
        variance = self.noise_std.square()
        return -0.5 * ((2 * math.pi * variance).log() + (target - output).square() / variance)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean negative log-likelihood, in nats per datum.

        Shapes (N, ...): the values of one datum are independent given the network, and their
        log-densities add up.

        Raises:
            ValueError: ``output`` and ``target`` differ in shape.
        """
        _require_equal_shapes(output, target)
        return -self._log_density(output, target).sum() / len(output)

    def metrics(self, samples: Tensor, target: Tensor) -> dict[str, float]:
        r"""Score the predictive distribution of ``samples`` (S, N, 1) on ``target`` (N, 1).

        .. math:: \mathrm{nll} = -\frac1N \sum_n \log \frac1S \sum_s p(y_n \mid x_n, w_s), \qquad
            \mathrm{rmse} = \sqrt{\tfrac1N \textstyle\sum_n (y_n - \bar f(x_n))^2}

        Raises:
            ValueError: a draw and ``target`` differ in shape.
        """
        _require_equal_shapes(samples[0], target)
        of_data = self._log_density(samples, target).reshape(*samples.shape[:2], -1).sum(dim=2)
        log_density = torch.logsumexp(of_data, dim=0)
        error = samples.mean(dim=0) - target
        return {
            "nll": (math.log(len(samples)) - log_density).mean().item(),
            "rmse": error.square().mean().sqrt().item(),
        }


class CategoricalLikelihood(Likelihood):
    r"""The likelihood :math:`y \mid x, w \sim \mathrm{Categorical}(\mathrm{softmax} f_w(x))`.

    .. math:: -\log p(y \mid x, w) = \log \sum_c e^{f_w(x)_c} - f_w(x)_y

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> likelihood, labels = bt.CategoricalLikelihood(), torch.arange(10)
        >>> print(f"{likelihood(torch.zeros(10, 10), labels).item():.3f}")  # log 10
        2.303
    """

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean NLL, in nats, of logits ``output`` (N, C) and labels ``target`` (N,)."""
        return F.cross_entropy(output, target)

    def metrics(self, samples: Tensor, target: Tensor) -> dict[str, float]:
        r"""Score the predictive distribution of logits ``samples`` (S, N, C) on ``target`` (N,).

        Probabilities are averaged over the draws, never logits; from the average come the negative
        log-likelihood in nats per datum, the accuracy and the expected calibration error, both as
        fractions.

        .. math:: \mathrm{nll} = -\frac1N \sum_n \log \frac1S \sum_s p(y_n \mid x_n, w_s)
        """
        log_probabilities = torch.logsumexp(samples.log_softmax(dim=-1), dim=0)
        log_probabilities = log_probabilities - math.log(len(samples))
        return {
            "nll": F.nll_loss(log_probabilities, target).item(),
            "accuracy": (log_probabilities.argmax(dim=-1) == target).float().mean().item(),
            "ece": expected_calibration_error(log_probabilities.exp(), target),
        }
