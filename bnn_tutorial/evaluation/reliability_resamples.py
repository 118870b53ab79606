"""How far a reliability diagram moves by chance: with another sample, and for a perfect model.

Explained in the chapter "Calibration".
"""

from collections.abc import Callable

import torch
from torch import Tensor

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.evaluation.calibration import (
    ReliabilityBins,
    bin_edges,
    class_events,
    group_events,
    require_predictions,
)


def bootstrap_bins(
    probabilities: Tensor,
    labels: Tensor,
    num_bins: int = 15,
    *,
    equal: str = "width",
    of_class: int | None = None,
    num_resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> ReliabilityBins:
    """Group R data sets of N predictions, drawn from these with replacement.

    Their spread says how much another sample of this size could differ. The edges are those of the
    sample itself. A bin in which all are right has an interval of width 0, however few there are;
    and the ECE of resamples lies above that of the sample, since their noise adds to its own.

    Args:
        probabilities: as of :func:`reliability_bins`, with the other arguments and the errors.
        labels: the true classes.
        num_bins: how many bins there are.
        equal: ``"width"`` or ``"mass"``.
        of_class: None for the top label, or a class.
        num_resamples: R.
        generator: the source of all randomness; None means torch's global generator.

    Returns:
        Bins whose fields but ``edges`` have shape (R, num_bins).

    Source: Efron and Tibshirani (1993).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.75, 0.25]]).expand(400, 2)
        >>> labels = torch.arange(400) % 2  # right in every second case
        >>> generator = torch.Generator().manual_seed(0)
        >>> low, high = bt.bootstrap_bins(probabilities, labels, 1, generator=generator).interval()
        >>> print(f"{low.item():.2f} to {high.item():.2f}")  # 0.5 ± 1.96 · 0.5 / √400
        0.45 to 0.55
    """
    require_predictions(probabilities, labels)
    confidence, hit = class_events(probabilities, labels, of_class)
    size, device = (len(labels),), confidence.device

    def resample() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(labels), size, generator=generator, device=device)
        return confidence[rows], hit[rows]

    return _resampled(bin_edges(confidence, num_bins, equal), resample, num_resamples)


def calibrated_bins(
    probabilities: Tensor,
    num_bins: int = 15,
    *,
    equal: str = "width",
    of_class: int | None = None,
    num_resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> ReliabilityBins:
    r"""Group R data sets in which these predictions are perfectly calibrated.

    .. math:: \mathrm{hit}_n \sim \operatorname{Bernoulli}(\mathrm{confidence}_n)

    Confidences and size stay, and the hits are drawn. The mean of ``.ece`` is the error that a
    perfect model would show at this size, its quantiles what would still be no evidence against
    one; ``interval`` is where its accuracies would lie.

    Args:
        probabilities: predictive probabilities (N, C), each row summing to 1.
        num_bins: how many bins there are.
        equal: ``"width"`` or ``"mass"``.
        of_class: None for the top label, or a class.
        num_resamples: R.
        generator: the source of all randomness; None means torch's global generator.

    Returns:
        Bins whose fields but ``edges`` have shape (R, num_bins).

    Raises:
        ValueError: as :func:`reliability_bins` does, or ``num_resamples`` is not positive.

    Source: Bröcker and Smith (2007), Vaicenavicius et al. (2019).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> probabilities = torch.tensor([[0.75, 0.25]]).expand(400, 2)
        >>> generator = torch.Generator().manual_seed(0)
        >>> floor = bt.calibrated_bins(probabilities, 1, generator=generator).ece.mean()
        >>> print(f"{floor:.3f}")  # about √(2 · 0.75 · 0.25 / (400 π))
        0.017
    """
    labels = torch.zeros(len(probabilities), dtype=torch.long, device=probabilities.device)
    require_predictions(probabilities, labels)
    confidence, _ = class_events(probabilities, labels, of_class)

    def resample() -> tuple[Tensor, Tensor]:
        chance = torch.rand(
            confidence.shape, generator=generator, dtype=confidence.dtype, device=confidence.device
        )
        return confidence, (chance < confidence).to(confidence.dtype)

    return _resampled(bin_edges(confidence, num_bins, equal), resample, num_resamples)


def _resampled(
    edges: Tensor, resample: Callable[[], tuple[Tensor, Tensor]], num_resamples: int
) -> ReliabilityBins:
    require_counts(num_resamples=num_resamples)
    samples = [group_events(edges, *resample()) for _ in range(num_resamples)]
    fields = [[bins.count, bins.confidence, bins.accuracy] for bins in samples]
    return ReliabilityBins(edges, *(torch.stack(field) for field in zip(*fields, strict=True)))
