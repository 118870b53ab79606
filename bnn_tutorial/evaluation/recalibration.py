"""Repair a classifier's confidence after training, on data that it was not trained on.

Explained in the chapter "Calibration". Three ways with the same two verbs: ``fit(logits, labels)``
on a validation split, then ``transform(logits)`` on other data, which gives probabilities. The
logits may be any logarithms of unnormalized probabilities. Of a Bayesian prediction, take the
logarithm of the averaged probabilities, never averaged logits:
``samples.log_softmax(-1).logsumexp(0) - math.log(len(samples))``.
"""

import abc
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from bnn_tutorial.evaluation.calibration import (
    bin_edges,
    bin_index,
    group_events,
    require_binning,
)
from bnn_tutorial.tensor_checks import require_labels


class Recalibration(abc.ABC):
    """What the three share: ``fit`` on a validation split, then ``transform``."""

    _num_classes: int | None = None

    def fit(self, logits: Tensor, labels: Tensor) -> Self:
        """Learn from logits (N, C) and labels (N,) of a validation split, and return itself.

        Raises:
            ValueError: the shapes do not fit, there is no datum, logits are not finite, or a label
                is no class.
        """
        if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}, labels {tuple(labels.shape)}: expected "
                "(N, C) and (N,), N >= 1"
            )
        require_labels("labels", labels, logits.shape[1], (len(logits),))
        _require_finite(logits)
        self._learn(logits.detach(), labels)
        self._num_classes = logits.shape[1]
        return self

    def transform(self, logits: Tensor) -> Tensor:
        """Return recalibrated probabilities (N, C), each row summing to 1.

        Raises:
            RuntimeError: ``fit`` has not been called.
            ValueError: the number of classes is not that of ``fit``, or logits are not finite.
        """
        if self._num_classes is None:
            raise RuntimeError(f"{type(self).__name__}: call fit(logits, labels) before transform")
        if logits.ndim != 2 or logits.shape[1] != self._num_classes:
            raise ValueError(
                f"logits have shape {tuple(logits.shape)}: expected (N, {self._num_classes})"
            )
        _require_finite(logits)
        return self._recalibrate(logits)

    @abc.abstractmethod
    def _learn(self, logits: Tensor, labels: Tensor) -> None: ...

    @abc.abstractmethod
    def _recalibrate(self, logits: Tensor) -> Tensor: ...


def _require_finite(logits: Tensor) -> None:
    if not logits.isfinite().all():
        raise ValueError(
            "logits: expected finite numbers; of averaged probabilities take "
            "samples.log_softmax(-1).logsumexp(0)"
        )


class TemperatureScaling(Recalibration):
    r"""Divide all logits by one number, the temperature, that fits the validation labels best.

    .. math:: p = \operatorname{softmax}(z / T), \qquad
        T = \operatorname*{arg\,min}_T -\sum_n \log p_{n, y_n}

    The negative log-likelihood is convex in 1 / T, so there is one minimum; bisection finds where
    its slope is 0. Above 1 the temperature makes a model more modest, below 1 surer. The likeliest
    class never changes. The attribute ``temperature`` holds T.

    ``fit`` raises, beside what all do, a ValueError where no finite T is best: all labels have the
    largest logit, or the logits say less of the labels than chance.

    Source: Guo et al. (2017).

    Example:
        >>> import math, torch
        >>> import bnn_tutorial as bt
        >>> logits = torch.tensor([[2 * math.log(3.0), 0.0]]).expand(4, 2)
        >>> labels = torch.tensor([0, 0, 0, 1])  # right in 3 of 4 cases, said to be in 9 of 10
        >>> scaling = bt.TemperatureScaling().fit(logits, labels)
        >>> print(f"{scaling.temperature:.3f}, {scaling.transform(logits)[0, 0]:.3f}")
        2.000, 0.750
    """

    temperature: float = 1.0

    def _learn(self, logits: Tensor, labels: Tensor) -> None:
        logits = logits.double()
        of_truth = logits.gather(1, labels[:, None])[:, 0]
        differences = logits - of_truth[:, None]

        def slope(inverse: float) -> float:
            """The derivative of the mean NLL with respect to 1 / T."""
            weights = (inverse * logits).softmax(dim=-1)
            return (weights * differences).sum(dim=-1).mean().item()

        if not (differences > 0).any():
            raise ValueError(
                "labels: each has the largest logit, so that the best temperature is 0; expected "
                "at least one mistake"
            )
        if slope(0.0) >= 0:
            raise ValueError(
                "logits say no more of the labels than chance, so that the best temperature is "
                "infinite"
            )
        high = 1.0
        while slope(high) < 0:
            high *= 2
        low = high / 2
        while slope(low) > 0:
            low /= 2
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) < 0 else (low, middle)
        self.temperature = 2 / (low + high)

    def _recalibrate(self, logits: Tensor) -> Tensor:
        return (logits / self.temperature).softmax(dim=-1)


class _OneAgainstTheRest(Recalibration):
    """A map from probability to probability for each class, then rows scaled to sum to 1."""

    def _learn(self, logits: Tensor, labels: Tensor) -> None:
        columns = logits.softmax(dim=-1).T
        self._maps = [
            self._map_of_class(probability, labels == label)
            for label, probability in enumerate(columns)
        ]

    def _recalibrate(self, logits: Tensor) -> Tensor:
        columns = zip(self._maps, logits.softmax(dim=-1).T, strict=True)
        rows = torch.stack([mapping(column) for mapping, column in columns], dim=-1)
        total = rows.sum(dim=-1, keepdim=True)
        return torch.where(total > 0, rows / total, 1 / rows.shape[-1])

    @abc.abstractmethod
    def _map_of_class(self, probability: Tensor, is_class: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the map that was learnt from probabilities (N,) and whether they came true."""


class HistogramBinning(_OneAgainstTheRest):
    r"""Replace each class's probability by the share of its bin that was of the class.

    .. math:: p_c \mapsto \bar o_{c, b(p_c)}, \qquad \text{then rows divided by their sum}

    One class at a time, against the rest. A bin without validation data gives its middle; a row
    whose classes all get 0 becomes uniform. The likeliest class may change, and a share of 0 costs
    an infinite log score where it errs.

    Args:
        num_bins: how many bins each class has.
        equal: ``"width"`` or ``"mass"``, as in :func:`reliability_bins`.

    Raises:
        ValueError: ``num_bins`` is not positive, or ``equal`` is unknown.

    Source: Zadrozny and Elkan (2001); for many classes, Guo et al. (2017).

    Example:
        >>> import math, torch
        >>> import bnn_tutorial as bt
        >>> logits = torch.tensor([[math.log(9.0), 0.0]]).expand(4, 2)
        >>> labels = torch.tensor([0, 0, 0, 1])  # right in 3 of 4 cases, said to be in 9 of 10
        >>> bt.HistogramBinning().fit(logits, labels).transform(logits)[0].tolist()
        [0.75, 0.25]
    """

    def __init__(self, num_bins: int = 15, *, equal: str = "width"):
        require_binning(num_bins, equal)
        self.num_bins, self.equal = num_bins, equal

    def _map_of_class(self, probability: Tensor, is_class: Tensor) -> Callable[[Tensor], Tensor]:
        edges = bin_edges(probability, self.num_bins, self.equal)
        bins = group_events(edges, probability, is_class.to(probability.dtype))
        middle = (edges + torch.cat([edges.new_zeros(1), edges[:-1]])) / 2
        shares = torch.where(bins.count > 0, bins.accuracy, middle)
        return lambda values: shares[bin_index(edges, values)].to(values)


class IsotonicCalibration(_OneAgainstTheRest):
    r"""Replace each class's probability by the monotone curve that fits the labels best.

    .. math:: p_c \mapsto g_c(p_c), \quad g_c = \operatorname*{arg\,min}_{g \text{ rising}}
        \sum_n \big( g(p_{n,c}) - \mathbb 1[y_n = c] \big)^2, \quad
        \text{then rows divided by their sum}

    One class at a time, against the rest, by scikit-learn's isotonic regression: steps, with lines
    between them, constant beyond the ends. A row whose classes all get 0 becomes uniform. The
    likeliest class may change, and a curve that is 0 somewhere costs an infinite log score where it
    errs.

    Source: Zadrozny and Elkan (2002).

    Example:
        >>> import math, torch
        >>> import bnn_tutorial as bt
        >>> logits = torch.tensor([[math.log(9.0), 0.0]]).expand(4, 2)
        >>> labels = torch.tensor([0, 0, 0, 1])  # right in 3 of 4 cases, said to be in 9 of 10
        >>> bt.IsotonicCalibration().fit(logits, labels).transform(logits)[0].tolist()
        [0.75, 0.25]
    """

    def _map_of_class(self, probability: Tensor, is_class: Tensor) -> Callable[[Tensor], Tensor]:
        from sklearn.isotonic import IsotonicRegression

        curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        curve.fit(probability.double().cpu().numpy(), is_class.double().cpu().numpy())

        def mapping(values: Tensor) -> Tensor:
            mapped = curve.predict(values.detach().double().cpu().numpy())
            return torch.as_tensor(mapped).to(values)

        return mapping
