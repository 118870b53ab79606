"""Selective prediction: answer where doubt is low, and hand the rest to somebody else.

Explained in the chapter "Selective prediction".
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Binomial

from bnn_tutorial.argument_checks import require_counts


@dataclass(frozen=True)
class RiskCoverage:
    """The risk of answering only the least doubtful data, for each number of answers.

    ``coverage`` is the share that is answered, 1/N to 1, ``risk`` the mean loss of those, each of
    shape (N,); ``area`` is the area under the curve, the mean of the risks.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> curve = bt.risk_coverage(torch.tensor([0.1, 0.9]), torch.tensor([0.0, 1.0]))
        >>> curve.coverage.tolist(), curve.risk.tolist(), curve.area
        ([0.5, 1.0], [0.0, 0.5], 0.25)
    """

    coverage: Tensor
    risk: Tensor
    area: float


def risk_coverage(doubt: Tensor, losses: Tensor) -> RiskCoverage:
    r"""Return the risk against the coverage when the least doubtful data are answered first.

    With the data in the order of their doubt,

    .. math:: r_k = \frac1k \sum_{n=1}^k \ell_n, \qquad c_k = \frac kN, \qquad
        \mathrm{AURC} = \frac1N \sum_{k=1}^N r_k

    Data of equal doubt count with their mean loss, which is what a random order among them gives on
    average. No order has a lower curve than that of the losses themselves,
    ``risk_coverage(losses, losses)``, which itself rises with the mean loss: areas of models that
    err differently often compare more than their orders.

    Args:
        doubt: shape (N,), in any units: only its order counts.
        losses: :math:`\ell`, shape (N,), such as 1 for a wrong answer and 0 for a right one.

    Raises:
        ValueError: the shapes do not fit, there are no data, or a number is NaN.

    Source: El-Yaniv and Wiener (2010) for risk and coverage, Geifman et al. (2019) for the area.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> doubt, errors = torch.tensor([0.3, 0.1, 0.2]), torch.tensor([0.0, 0.0, 1.0])
        >>> bt.risk_coverage(doubt, errors).risk  # 0, 1/2, 1/3
        tensor([0.0000, 0.5000, 0.3333])
    """
    _require_pairs(doubt, "losses", losses)
    _, place, size = doubt.unique(return_inverse=True, return_counts=True)
    losses = losses.to(torch.promote_types(losses.dtype, torch.float32))
    mean_loss = place.bincount(losses, minlength=len(size)) / size
    number = torch.arange(1, len(losses) + 1, device=losses.device)
    risk = (mean_loss.repeat_interleave(size).cumsum(0) / number).to(losses.dtype)
    return RiskCoverage(number / len(losses), risk, risk.mean().item())


def selective_threshold(
    doubt: Tensor,
    errors: Tensor,
    risk: float,
    *,
    confidence: float | None = None,
    num_candidates: int = 20,
) -> float:
    r"""Choose on validation data below which doubt to answer, for a wished risk.

    Of K thresholds at the coverages 1/K, 2/K, ..., 1 it takes the one that answers most and has few
    enough errors: of its n answers, e are wrong. Without a confidence that is :math:`e / n \le r`,
    which promises nothing: on new data the risk is often above r, the more so as the luckiest of
    many thresholds is chosen. With a confidence :math:`1 - \delta` it is

    .. math:: \mathrm P\big( \mathrm{Binomial}(n, r) \le e \big) \le \frac\delta K

    A threshold whose true risk is above r passes this with at most that probability, and any of the
    K with at most :math:`\delta`. So the chosen one keeps the wished risk with probability
    :math:`1 - \delta`, on new data of the same kind.

    Args:
        doubt: shape (N,), of validation data that neither training nor tuning has seen.
        errors: shape (N,), 1 for a wrong answer and 0 for a right one, or True and False.
        risk: r, the wished share of errors among the answers, between 0 and 1.
        confidence: :math:`1 - \delta`, between 0 and 1; None promises nothing.
        num_candidates: K.

    Returns:
        The threshold, below which to answer. It is infinite where everything may be answered, and
        minus infinity where nothing may.

    Raises:
        ValueError: the shapes do not fit, there are no data, a number is NaN, errors are neither 0
            nor 1, ``risk`` or ``confidence`` is outside (0, 1), or ``num_candidates`` is below 1.

    Source: Geifman and El-Yaniv (2017), who find the threshold by bisection; here its candidates
    are named before the errors are seen, as a sum over tests needs.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> doubt = torch.linspace(0, 1, 1000)
        >>> errors = doubt > 0.5
        >>> print(f"{bt.selective_threshold(doubt, errors, risk=0.1):.2f}")
        0.55
        >>> print(f"{bt.selective_threshold(doubt, errors, risk=0.1, confidence=0.95):.2f}")
        0.50
    """
    _require_pairs(doubt, "errors", errors)
    if not ((errors == 0) | (errors == 1)).all():
        raise ValueError("errors: expected 0 or 1, or True or False")
    for name, value in (("risk", risk), ("confidence", confidence)):
        if value is not None and not 0 < value < 1:
            raise ValueError(f"{name}={value!r}: expected a number between 0 and 1")
    require_counts(num_candidates=num_candidates)
    order = doubt.argsort()
    ordered, errors_up_to = doubt[order], errors[order].long().cumsum(0)
    ranks = torch.arange(1, num_candidates, device=doubt.device) * len(doubt) // num_candidates
    for threshold in [math.inf, *reversed(ordered[ranks].tolist())]:
        num_answers = int((ordered < threshold).sum())
        if num_answers == 0:
            break
        num_errors = int(errors_up_to[num_answers - 1])
        if confidence is None:
            passes = num_errors <= risk * num_answers
        else:
            passes = _binomial_cdf(num_errors, num_answers, risk) <= (
                (1 - confidence) / num_candidates
            )
        if passes:
            return threshold
    return -math.inf


def _binomial_cdf(most: int, number: int, probability: float) -> float:
    values = torch.arange(most + 1, dtype=torch.float64)
    binomial = Binomial(number, torch.tensor(probability, dtype=torch.float64))
    return binomial.log_prob(values).logsumexp(0).exp().item()


@dataclass(frozen=True)
class SelectiveRisk:
    """What answering below a threshold gives on data, with standard errors.

    ``coverage`` is the share that is answered and ``risk`` the mean loss of the ``num_answers``;
    ``coverage_error`` and ``risk_error`` are their standard errors. Without an answer the risk is
    NaN, and with fewer than two its error.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> found = bt.selective_risk(torch.tensor([0.1, 0.9]), torch.tensor([0.0, 1.0]), 0.5)
        >>> found.coverage, found.risk, found.num_answers
        (0.5, 0.0, 1)
    """

    coverage: float
    coverage_error: float
    risk: float
    risk_error: float
    num_answers: int


def selective_risk(doubt: Tensor, losses: Tensor, threshold: float) -> SelectiveRisk:
    r"""Return coverage and risk of the answers whose doubt is below a threshold.

    .. math:: \hat c = \frac nN, \quad \mathrm{se} = \sqrt{\frac{\hat c (1 - \hat c)}{N}}, \qquad
        \hat r = \frac1n \sum_{n:\, u_n < t} \ell_n, \quad
        \mathrm{se} = \frac{\mathrm{std}(\ell)}{\sqrt n}

    Args:
        doubt: u, shape (N,), of data that the threshold was not chosen on.
        losses: :math:`\ell`, shape (N,).
        threshold: t, such as :func:`selective_threshold` returns.

    Raises:
        ValueError: the shapes do not fit, there are no data, or a number is NaN.

    Source: El-Yaniv and Wiener (2010).

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> doubt, errors = torch.arange(100.0), torch.arange(100) % 10 == 0
        >>> found = bt.selective_risk(doubt, errors, threshold=50)
        >>> print(f"{found.risk:.2f} ± {found.risk_error:.2f} at {found.coverage:.2f}")
        0.10 ± 0.04 at 0.50
    """
    _require_pairs(doubt, "losses", losses)
    answered = losses[doubt < threshold].double()
    coverage = len(answered) / len(losses)
    return SelectiveRisk(
        coverage,
        math.sqrt(coverage * (1 - coverage) / len(losses)),
        answered.mean().item(),
        answered.std().item() / math.sqrt(len(answered)) if len(answered) > 1 else math.nan,
        len(answered),
    )


def _require_pairs(doubt: Tensor, name: str, values: Tensor) -> None:
    if doubt.ndim != 1 or values.shape != doubt.shape or len(doubt) == 0:
        raise ValueError(
            f"doubt has shape {tuple(doubt.shape)}, {name} {tuple(values.shape)}: expected (N,) "
            "both, N >= 1"
        )
    if doubt.isnan().any() or values.isnan().any():
        raise ValueError(f"doubt or {name} hold NaN: expected numbers")
