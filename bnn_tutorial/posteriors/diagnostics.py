"""Whether chains agree, and how many independent draws they are worth.

Explained in the chapter "Sampling the posterior".
"""

import torch
from torch import Tensor


def _halves(traces: Tensor) -> Tensor:
    """Return each chain's two halves as chains of their own, shape (2 C, S // 2, ...)."""
    if traces.ndim < 2 or traces.shape[1] < 4:
        raise ValueError(
            f"traces has shape {tuple(traces.shape)}: expected (chains, samples, ...) "
            "with 4 samples or more"
        )
    if not torch.isfinite(traces).all():
        raise ValueError("traces is infinite or NaN in places: expected finite numbers")
    half = traces.shape[1] // 2
    return torch.cat([traces[:, :half], traces[:, -half:]]).double()


def _variances(halves: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean variance within chains, and the estimate of the posterior's variance."""
    num_samples = halves.shape[1]
    within = halves.var(dim=1).mean(dim=0)
    between = halves.mean(dim=1).var(dim=0)
    return within, (num_samples - 1) / num_samples * within + between


def r_hat(traces: Tensor) -> Tensor:
    r"""Return the split potential scale reduction factor of quantities that chains have traced.

    Each chain is cut in two halves of n samples. With the mean W of the variances within the 2C
    halves and the variance B / n of their means,

    .. math:: \hat R = \sqrt{\frac{\frac{n - 1}{n} W + \frac1n B}{W}}

    1 means that no chain can be told from another, nor its start from its end; above 1.01 the
    samples are not to be trusted yet. A network's weights can trade places without changing the
    function, so ask about outputs of the network and not about its weights. It is infinite where
    no chain moves, and NaN where all hold one value. Source: Vehtari et al. (2021), section 3,
    without their ranks: the traced quantity should have a finite variance.

    Args:
        traces: shape (chains, samples, ...).

    Returns:
        Shape (...), in float64.

    Raises:
        ValueError: ``traces`` has another shape or fewer than 4 samples, or is not finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> steps = torch.tensor([[0.0, 1.0, 0.0, 1.0], [5.0, 6.0, 5.0, 6.0]])
        >>> print(f"{bt.r_hat(steps).item():.2f}")  # two chains that never meet
        4.14
    """
    within, total = _variances(_halves(traces))
    return (total / within).sqrt()


def effective_sample_size(traces: Tensor) -> Tensor:
    r"""Return how many independent draws would give the mean of the traces the same error.

    .. math:: \mathrm{ESS} = \frac{C S}{1 + 2 \sum_{t \ge 1} \hat\rho_t}, \qquad
        \hat\rho_t = 1 - \frac{W - \frac{1}{2C} \sum_c \hat\gamma_{c, t}}{\hat V}

    with the autocovariances :math:`\hat\gamma_{c, t}` of the 2C halves of the chains, and W and
    :math:`\hat V = \frac{n - 1}{n} W + \frac1n B` as in :func:`r_hat`: chains that disagree count
    as correlated. The sum is Geyer's initial monotone sequence: pairs
    :math:`\hat\rho_{2k} + \hat\rho_{2k + 1}` up to the first that is not positive, none larger
    than the one before. The ESS may exceed C S where draws alternate, up to
    :math:`C S \log_{10}(C S)`. The standard error of a mean is the standard deviation divided by
    :math:`\sqrt{\mathrm{ESS}}`. Source: Geyer (1992), section 3.3; Vehtari et al. (2021),
    section 3.

    Args:
        traces: shape (chains, samples, ...), as in :func:`r_hat`.

    Returns:
        Shape (...), in float64; NaN where all samples are equal.

    Raises:
        ValueError: ``traces`` has another shape or fewer than 4 samples, or is not finite.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> traces = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
        >>> print(round(bt.effective_sample_size(traces).item(), -3))  # of 4,000 independent draws
        4000.0
    """
    halves = _halves(traces)
    num_samples = halves.shape[1]
    within, total = _variances(halves)
    deviations = halves - halves.mean(dim=1, keepdim=True)
    # Padded with zeros, or the Fourier transform would join the end of a chain to its start.
    spectrum = torch.fft.rfft(deviations, n=2 * num_samples, dim=1).abs().square()
    covariances = torch.fft.irfft(spectrum, n=2 * num_samples, dim=1)[:, :num_samples]
    # Divided by n - 1 as the variances are, so that lag 0 has correlation 1 where chains agree.
    covariance = covariances.mean(dim=0) / (num_samples - 1)
    correlation = 1 - (within - covariance) / total
    correlation[0] = 1
    even = num_samples // 2 * 2
    pairs = correlation[:even].unflatten(0, (-1, 2)).sum(dim=1)
    positive = (pairs > 0).cumprod(dim=0)
    initial = (pairs * positive).cummin(dim=0).values
    autocorrelation_time = 2 * initial.sum(dim=0) - 1
    count = torch.tensor(float(traces.shape[0] * traces.shape[1]), device=traces.device).double()
    return count / autocorrelation_time.clamp_min(1 / count.log10())
