"""Likelihoods: what a network's output says about the data, as a loss and as a predictive score.

Explained in the chapters "Polynomial regression with 3-sigma bands" (Gaussian), "A Bayesian CNN on
MNIST" (categorical) and "Two kinds of uncertainty" (heteroscedastic Gaussian, Student's t).
Bernoulli and Poisson: see the API reference.
"""

import abc
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_tutorial.argument_checks import require_positive
from bnn_tutorial.evaluation.calibration import expected_calibration_error
from bnn_tutorial.layers.softplus import inverse_softplus
from bnn_tutorial.tensor_checks import require_finite, require_labels


def _rho(name: str, std: float) -> float:
    require_positive(**{name: std})
    return inverse_softplus(std)


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

    def check(self, output: Tensor, target: Tensor) -> None:
        """Check that targets can be scored, before training begins.

        A subclass says here what its own targets have to be; this one asks for finite numbers.

        Args:
            output: of the network, for some rows.
            target: what was observed, as many rows as there are.

        Raises:
            ValueError: a target is not what is expected.
        """
        require_finite(target=target)


class _LikelihoodOfValues(Likelihood):
    """What those share in which a datum's values are independent: the log-density of one value."""

    @abc.abstractmethod
    def _log_density(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the log-density of each value of ``target``, of the shape they broadcast to."""

    def _require_matching_shapes(self, output: Tensor, target: Tensor) -> None:
        if output.shape != target.shape:
            raise ValueError(
                f"output has shape {tuple(output.shape)}, target {tuple(target.shape)}: "
                "expected equal shapes, since broadcasting would pair the wrong values"
            )

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean negative log-likelihood, in nats per datum.

        Shapes (N, ...): the values of one datum are independent given the network, and their
        log-densities add up.

        Raises:
            ValueError: the shapes of ``output`` and ``target`` don't match.
        """
        self._require_matching_shapes(output, target)
        return -self._log_density(output, target).sum() / len(output)

    def check(self, output: Tensor, target: Tensor) -> None:
        """Check that ``target`` has finite values, one for each that ``output`` describes.

        Raises:
            ValueError: it has not.
        """
        self._require_matching_shapes(output[:1].expand(len(target), *output.shape[1:]), target)
        require_finite(target=target)

    def _predictive_nll(self, samples: Tensor, target: Tensor) -> float:
        """Return the mean NLL of the average over draws, in nats per datum."""
        self._require_matching_shapes(samples[0], target)
        self.check(samples[0], target)
        of_values = self._log_density(samples, target)
        of_data = of_values.reshape(*samples.shape[:2], -1).sum(dim=2)
        return (math.log(len(samples)) - torch.logsumexp(of_data, dim=0)).mean().item()


class _RegressionLikelihood(_LikelihoodOfValues):
    """What the regressions share: besides, the centre of each value, and an error from it."""

    def _center(self, output: Tensor) -> Tensor:
        """Return what ``output`` says is the middle of the target, in the target's shape."""
        return output

    def metrics(self, samples: Tensor, target: Tensor) -> dict[str, float]:
        r"""Score the predictive distribution of ``samples`` (S, N, ...) on ``target``, N rows.

        .. math:: \mathrm{nll} = -\frac1N \sum_n \log \frac1S \sum_s p(y_n \mid x_n, w_s), \qquad
            \mathrm{rmse} = \sqrt{\tfrac1N \textstyle\sum_n (y_n - \bar f(x_n))^2}

        where f is the mean, or the centre of Student's t.

        Raises:
            ValueError: the shapes of a draw and ``target`` don't match, or a value is not one that
                the likelihood allows.
        """
        nll = self._predictive_nll(samples, target)
        error = self._center(samples).mean(dim=0) - target
        return {"nll": nll, "rmse": error.square().mean().sqrt().item()}


class GaussianLikelihood(_RegressionLikelihood):
    r"""The likelihood :math:`y \mid x, w \sim \mathcal N(f_w(x), s^2)` with one noise, or K.

    .. math:: -\log p(y \mid x, w) = \sum_k \tfrac12 \log(2\pi s_k^2)
        + \frac{(y_k - f_w(x)_k)^2}{2 s_k^2}

    Args:
        noise_std: s, a standard deviation in the units of y; the starting value where learnt. A
            number for all outputs, or a tensor (K,) with one for each of K.
        learn: whether s is a parameter, s = softplus(noise_rho), for the optimizer to move.

    Raises:
        ValueError: ``noise_std`` is not positive and finite, or of another shape.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> likelihood, zeros = bt.GaussianLikelihood(1.0), torch.zeros(5, 1)
        >>> print(f"{likelihood(zeros, zeros).item():.3f}")  # log(2π) / 2
        0.919
    """

    def __init__(self, noise_std: float | Tensor = 1.0, *, learn: bool = True):
        super().__init__()
        std = torch.as_tensor(noise_std, dtype=torch.get_default_dtype())
        if std.ndim > 1:
            raise ValueError(f"noise_std has shape {tuple(std.shape)}: expected a number or (K,)")
        rho = torch.tensor([_rho("noise_std", value) for value in std.flatten().tolist()])
        self.noise_rho = nn.Parameter(rho.reshape(std.shape), requires_grad=learn)

    @property
    def noise_std(self) -> Tensor:
        """The noise's standard deviation, a scalar, or (K,) where each output has its own."""
        return F.softplus(self.noise_rho)

    def _require_matching_shapes(self, output: Tensor, target: Tensor) -> None:
        super()._require_matching_shapes(output, target)
        if self.noise_rho.ndim and output.shape[1:] != self.noise_rho.shape:
            raise ValueError(
                f"output has shape {tuple(output.shape)}: expected (N, {len(self.noise_rho)}), as "
                "there are noise levels"
            )

    def _log_density(self, output: Tensor, target: Tensor) -> Tensor:
        variance = self.noise_std.square()
        return -0.5 * ((2 * math.pi * variance).log() + (target - output).square() / variance)


class HeteroscedasticGaussianLikelihood(_RegressionLikelihood):
    r"""The likelihood :math:`y \mid x, w \sim \mathcal N(m_w(x), s_w(x)^2)`: noise that varies.

    Of an output (N, 2K), the first K columns are the means m and the others the log variances z of
    a target (N, K).

    .. math:: -\log p(y \mid x, w) = \tfrac12 \big(\log 2\pi + v + (y - m)^2 e^{-v}\big), \qquad
        v = \log s^2 = c + h \tanh\frac{z - c}{h}

    With c the middle and h half the length of the interval between the log variances of the two
    bounds, v stays in it whatever z is, and is close to z around the middle. So a z far out,
    as of a network that extrapolates, neither overflows the loss nor divides it by 0.

    Args:
        min_std: the least noise that can be said, in the units of y.
        max_std: the most.

    Raises:
        ValueError: ``min_std`` or ``max_std`` is not positive and finite, or they are not in order.

    Source: Nix and Weigend (1994); in a Bayesian network, Kendall and Gal (2017).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> likelihood = bt.HeteroscedasticGaussianLikelihood()
        >>> output = torch.tensor([[3.0, 0.0], [3.0, 60.0]])  # one mean, two log variances
        >>> mean, std = likelihood.moments(output)
        >>> print([f"{value:.1f}" for value in std.squeeze(1)])  # e^30 is bounded to max_std
        ['1.0', '100.0']
    """

    def __init__(self, *, min_std: float = 0.01, max_std: float = 100.0):
        super().__init__()
        require_positive(min_std=min_std, max_std=max_std)
        if min_std >= max_std:
            raise ValueError(
                f"min_std={min_std!r}, max_std={max_std!r}: expected min_std < max_std"
            )
        self.min_std, self.max_std = min_std, max_std

    def _mean_and_log_variance(self, output: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = output.chunk(2, dim=-1)
        middle = math.log(self.max_std) + math.log(self.min_std)
        half = math.log(self.max_std) - math.log(self.min_std)
        return mean, middle + half * torch.tanh((log_variance - middle) / half)

    def moments(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviation of y, each (..., K), of an output (..., 2K).

        The standard deviation is of the noise alone, bounded as in the loss.

        Raises:
            ValueError: ``output`` has an odd number of columns.
        """
        if output.shape[-1] % 2:
            raise ValueError(
                f"output has shape {tuple(output.shape)}: expected (..., 2K), K means and then "
                "K log variances"
            )
        mean, log_variance = self._mean_and_log_variance(output)
        return mean, (0.5 * log_variance).exp()

    def _center(self, output: Tensor) -> Tensor:
        return output.chunk(2, dim=-1)[0]

    def _require_matching_shapes(self, output: Tensor, target: Tensor) -> None:
        if target.ndim == 0 or output.shape != (*target.shape[:-1], 2 * target.shape[-1]):
            raise ValueError(
                f"output has shape {tuple(output.shape)}, target {tuple(target.shape)}: expected "
                "(N, 2K), K means and then K log variances, and (N, K)"
            )

    def _log_density(self, output: Tensor, target: Tensor) -> Tensor:
        mean, log_variance = self._mean_and_log_variance(output)
        scaled = (target - mean).square() * (-log_variance).exp()
        return -0.5 * (math.log(2 * math.pi) + log_variance + scaled)


class StudentTLikelihood(_RegressionLikelihood):
    r"""The likelihood :math:`y = f_w(x) + s\,t` with t of Student's distribution.

    .. math:: -\log p(y \mid x, w) = \log \frac{\Gamma(\nu/2)\, \sqrt{\nu\pi}\, s}
        {\Gamma((\nu + 1)/2)} + \frac{\nu + 1}{2} \log\Big(1 + \frac{(y - f_w(x))^2}{\nu s^2}\Big)

    Outliers weigh less: a residual far beyond s pulls on the network less the larger it is, where a
    Gaussian's pull grows with it. The noise's standard deviation is s √(ν / (ν - 2)), finite for
    ν above 2 only.

    Args:
        scale: s, in the units of y; the starting value where learnt.
        degrees_of_freedom: ν, fixed: the smaller, the heavier the tails.
        learn: whether s is a parameter, s = softplus(scale_rho), for the optimizer to move.

    Raises:
        ValueError: ``scale`` or ``degrees_of_freedom`` is not positive and finite.

    Source: Lange, Little and Taylor (1989).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> outlier, zero = torch.tensor([[10.0]]), torch.zeros(1, 1)
        >>> for likelihood in (bt.StudentTLikelihood(), bt.GaussianLikelihood()):
        ...     print(f"{likelihood(zero, outlier).item():.1f}")
        9.1
        50.9
    """

    def __init__(self, scale: float = 1.0, degrees_of_freedom: float = 4.0, *, learn: bool = True):
        super().__init__()
        require_positive(degrees_of_freedom=degrees_of_freedom)
        self.degrees_of_freedom = degrees_of_freedom
        self.scale_rho = nn.Parameter(torch.tensor(_rho("scale", scale)), requires_grad=learn)

    @property
    def scale(self) -> Tensor:
        """The scale s, a scalar; the standard deviation is larger."""
        return F.softplus(self.scale_rho)

    def _log_density(self, output: Tensor, target: Tensor) -> Tensor:
        freedom, scale = self.degrees_of_freedom, self.scale
        log_constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
        log_constant = log_constant - 0.5 * math.log(freedom * math.pi) - scale.log()
        squared = ((target - output) / scale).square() / freedom
        return log_constant - (freedom + 1) / 2 * squared.log1p()


class PoissonLikelihood(_RegressionLikelihood):
    r"""The likelihood :math:`y \mid x, w \sim \mathrm{Poisson}(e^{f_w(x)})` of counts.

    .. math:: -\log p(y \mid x, w) = e^{f_w(x)} - y f_w(x) + \log y!

    The output is the logarithm of the rate, of any sign; rates above :math:`e^{88}` overflow single
    precision.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> log_rate, count = torch.zeros(5, 1), torch.ones(5, 1)
        >>> bt.PoissonLikelihood()(log_rate, count).item()  # rate 1, one event: 1 - 0 + log 1
        1.0
    """

    def _center(self, output: Tensor) -> Tensor:
        return output.exp()

    def check(self, output: Tensor, target: Tensor) -> None:
        """Check that ``target`` has counts, one for each value of ``output``.

        Raises:
            ValueError: it has not.
        """
        super().check(output, target)
        if (target < 0).any() or (target != target.round()).any():
            wrong = target[(target < 0) | (target != target.round())][0].item()
            raise ValueError(f"target has {wrong}: expected counts, 0, 1, 2, ...")

    def _log_density(self, output: Tensor, target: Tensor) -> Tensor:
        return target * output - output.exp() - (target + 1.0).lgamma()


class BernoulliLikelihood(_LikelihoodOfValues):
    r"""The likelihood :math:`y \mid x, w \sim \mathrm{Bernoulli}(\mathrm{sigmoid} f_w(x))`.

    .. math:: -\log p(y \mid x, w) = \log(1 + e^{f_w(x)}) - y f_w(x)

    One logit says how probable a 1 is, where two classes would need two in
    :class:`CategoricalLikelihood`. Several outputs are as many yes-or-no questions, independent
    given the network.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> likelihood, target = bt.BernoulliLikelihood(), torch.ones(5, 1)
        >>> print(f"{likelihood(torch.zeros(5, 1), target).item():.3f}")  # log 2
        0.693
    """

    def check(self, output: Tensor, target: Tensor) -> None:
        """Check that ``target`` has zeros and ones, one for each value of ``output``.

        Raises:
            ValueError: it has not.
        """
        super().check(output, target)
        wrong = target[(target != 0) & (target != 1)]
        if len(wrong):
            raise ValueError(f"target has {wrong[0].item()}: expected 0 or 1")

    def _log_density(self, output: Tensor, target: Tensor) -> Tensor:
        return target * output - F.softplus(output)

    def metrics(self, samples: Tensor, target: Tensor) -> dict[str, float]:
        r"""Score the predictive distribution of logits ``samples`` (S, N, ...) on ``target``.

        .. math:: \mathrm{nll} = -\frac1N \sum_n \log \frac1S \sum_s p(y_n \mid x_n, w_s)

        The accuracy and the expected calibration error, both fractions, are of the probabilities
        averaged over the draws, over all values of all data.

        Raises:
            ValueError: the shapes of a draw and ``target`` don't match, or a target is not 0 or 1.
        """
        nll = self._predictive_nll(samples, target)
        of_one = samples.sigmoid().mean(dim=0).flatten()
        labels = target.flatten().long()
        return {
            "nll": nll,
            "accuracy": ((of_one > 0.5) == labels.bool()).float().mean().item(),
            "ece": expected_calibration_error(torch.stack([1 - of_one, of_one], dim=1), labels),
        }


class CategoricalLikelihood(Likelihood):
    r"""The likelihood :math:`y \mid x, w \sim \mathrm{Categorical}(\mathrm{softmax} f_w(x))`.

    .. math:: -\log p(y \mid x, w) = \log \sum_c e^{f_w(x)_c} - f_w(x)_y

    With class weights a and smoothing :math:`\epsilon` training minimizes, in its place,

    .. math:: -(1 - \epsilon)\, a_y \log p(y \mid x, w)
        - \frac{\epsilon}{C} \sum_c a_c \log p(c \mid x, w),

    which is no likelihood any more; the scores stay those of the plain one. Where a datum has a
    label at each of several positions, as in a segmented image, the positions are independent given
    the network and their logarithms add up.

    Args:
        class_weights: a, shape (C,), 0 or more; None weighs all alike.
        label_smoothing: :math:`\epsilon`, from 0 to 1.

    Raises:
        ValueError: ``class_weights`` or ``label_smoothing`` is out of its range.

    Source: Szegedy et al. (2016) for the smoothing.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> likelihood, labels = bt.CategoricalLikelihood(), torch.arange(10)
        >>> print(f"{likelihood(torch.zeros(10, 10), labels).item():.3f}")  # log 10
        2.303
    """

    def __init__(self, *, class_weights: Tensor | None = None, label_smoothing: float = 0.0):
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing}: expected a number from 0 to 1")
        if class_weights is not None:
            class_weights = torch.as_tensor(class_weights, dtype=torch.get_default_dtype())
            finite = torch.isfinite(class_weights).all()
            if class_weights.ndim != 1 or not finite or class_weights.min() < 0:
                raise ValueError(
                    f"class_weights={class_weights.tolist()}: expected one finite number, 0 or "
                    "more, for each class"
                )
        self.label_smoothing = label_smoothing
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights)

    def check(self, output: Tensor, target: Tensor) -> None:
        """Check that ``target`` has a label for each logit vector of ``output``, from 0 to C - 1.

        Raises:
            ValueError: it has not.
        """
        if output.ndim < 2:
            raise ValueError(f"output has shape {tuple(output.shape)}: expected logits (N, C)")
        num_classes = output.shape[1]
        if self.class_weights is not None and len(self.class_weights) != num_classes:
            raise ValueError(
                f"output has {num_classes} classes: expected {len(self.class_weights)}, as there "
                "are class_weights"
            )
        require_labels("target", target, num_classes, (len(target), *output.shape[2:]))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean NLL, in nats per datum.

        Args:
            output: logits, shape (N, C), or (N, C, ...) with a logit vector at each position.
            target: labels, shape (N,) or (N, ...).
        """
        if self.class_weights is None:
            loss = F.cross_entropy(output, target.long(), label_smoothing=self.label_smoothing)
            return loss * (target.numel() / len(target))
        weights = self.class_weights.to(output.dtype)
        settings = {"weight": weights, "label_smoothing": self.label_smoothing}
        return F.cross_entropy(output, target.long(), reduction="sum", **settings) / len(target)

    def metrics(self, samples: Tensor, target: Tensor) -> dict[str, float]:
        r"""Score the predictive distribution of logits ``samples`` (S, N, C) on ``target`` (N,).

        Probabilities are averaged over the draws, never logits; from the average come the negative
        log-likelihood in nats per datum, the accuracy and the expected calibration error, both as
        fractions. With positions, ``samples`` (S, N, C, ...) and ``target`` (N, ...), the NLL is
        that of a datum's labels together, the other two are over all positions.

        .. math:: \mathrm{nll} = -\frac1N \sum_n \log \frac1S \sum_s p(y_n \mid x_n, w_s)

        Raises:
            ValueError: ``target`` has no label for each logit vector, or one outside the classes.
        """
        self.check(samples[0], target)
        of_classes = samples.log_softmax(dim=2)
        index = target.long().expand(len(samples), *target.shape).unsqueeze(2)
        of_data = of_classes.gather(2, index).reshape(*samples.shape[:2], -1).sum(dim=2)
        probabilities = of_classes.exp().mean(dim=0).movedim(1, -1).flatten(0, -2)
        labels = target.flatten()
        return {
            "nll": (math.log(len(samples)) - torch.logsumexp(of_data, dim=0)).mean().item(),
            "accuracy": (probabilities.argmax(dim=-1) == labels).float().mean().item(),
            "ece": expected_calibration_error(probabilities, labels),
        }
