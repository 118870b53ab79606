"""SWAG: a Gaussian around the weights that gradient descent passes through at a constant rate.

Explained in the chapter "Sampling the posterior".
"""

import copy
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parameters_to_vector
from tqdm.auto import tqdm

from bnn_tutorial.argument_checks import require_counts, require_positive
from bnn_tutorial.batches import Data, open_data
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.posteriors.weight_samples import network_with_weights, require_deterministic
from bnn_tutorial.prediction.posterior import Posterior
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.fit import fit


class SWAGPosterior(Posterior):
    r"""A Gaussian over a network's weights, with a diagonal and a low-rank part.

    .. math:: w = \bar w + \frac{1}{\sqrt2} \sqrt{v} \odot z_1
        + \frac{1}{\sqrt{2 (K - 1)}} \sum_{k=1}^K d_k z_{2, k},
        \qquad z_1, z_2 \sim \mathcal N(0, I)

    so that the covariance is
    :math:`\frac12 \left( \operatorname{diag} v + \frac{1}{K - 1} \sum_k d_k d_k^\top \right)`.
    Source: Maddox et al. (2019), section 3.2.

    Args:
        network: the architecture, copied; its weights' values are not used.
        mean: :math:`\bar w`, shape (P,).
        variance: v, shape (P,).
        deviations: :math:`d_k`, shape (K, P), K at least 2.

    Raises:
        ValueError: the shapes are others, or a variance is negative.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> mean, variance = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0])
        >>> deviations = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])  # the slope alone varies
        >>> posterior = bt.SWAGPosterior(torch.nn.Linear(1, 1), mean, variance, deviations)
        >>> samples = bt.predict(posterior, torch.zeros(5, 1), 30).samples
        >>> samples.shape, samples.abs().max().item()
        (torch.Size([30, 5, 1]), 0.0)
    """

    mean: Tensor
    variance: Tensor
    deviations: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, variance: Tensor, deviations: Tensor):
        super().__init__()
        shape = (sum(parameter.numel() for parameter in network.parameters()),)
        shapes = tuple(mean.shape), tuple(variance.shape), tuple(deviations.shape[1:])
        if shapes != (shape, shape, shape) or len(deviations) < 2:
            raise ValueError(
                f"mean has shape {tuple(mean.shape)}, variance {tuple(variance.shape)}, deviations "
                f"{tuple(deviations.shape)}: expected {shape}, {shape} and (K, {shape[0]}), "
                "K at least 2"
            )
        if not (variance >= 0).all():
            raise ValueError("variance is negative or NaN in places: expected 0 or more")
        self.network = copy.deepcopy(network).requires_grad_(False)
        for name, value in (("mean", mean), ("variance", variance), ("deviations", deviations)):
            self.register_buffer(name, value.detach().clone())

    def draw_weights(self) -> Tensor:
        """Return one draw of all weights, shape (P,)."""
        rank = len(self.deviations)
        diagonal = (self.variance / 2).sqrt() * torch.randn_like(self.mean)
        low_rank = self.mean.new_empty(rank).normal_() @ self.deviations / math.sqrt(2 * (rank - 1))
        return self.mean + diagonal + low_rank

    def networks(self, num_samples: int) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield ``num_samples`` networks, each with a draw of the weights."""
        for _ in range(num_samples):
            yield network_with_weights(self.network, self.draw_weights())


class IterateMoments:
    r"""The running moments of weight vectors, and how far the last ones lay from the running mean.

    .. math:: \bar w_n = \bar w_{n - 1} + \frac{w_n - \bar w_{n - 1}}{n}, \qquad
        v_n = \frac1n \sum_{i \le n} (w_i - \bar w_n)^2, \qquad d_n = w_n - \bar w_n

    The variance is that of Maddox et al. (2019), the mean square less the square of the mean,
    without the difference of large numbers: Welford's recurrence.

    Args:
        max_rank: how many of the last deviations are kept.
    """

    def __init__(self, max_rank: int):
        self.max_rank = max_rank
        self.count = 0
        self.mean = self.sum_of_squares = torch.zeros(())
        self.deviations: list[Tensor] = []

    def add(self, weights: Tensor) -> None:
        """Take account of one more vector, shape (P,)."""
        self.count += 1
        from_old_mean = weights - self.mean
        self.mean = self.mean + from_old_mean / self.count
        deviation = weights - self.mean
        self.sum_of_squares = self.sum_of_squares + from_old_mean * deviation
        self.deviations = [*self.deviations, deviation][-self.max_rank :]

    @property
    def variance(self) -> Tensor:
        """The variance of the vectors so far, shape (P,)."""
        return self.sum_of_squares / self.count


def swag(
    model: nn.Module,
    data: Data,
    likelihood: Likelihood,
    *,
    prior_std: float,
    epochs: int,
    learning_rate: float,
    batch_size: int | None = None,
    momentum: float = 0.9,
    collect_every: int = 1,
    max_rank: int = 20,
    seed: int | None = None,
    progress: bool = True,
) -> SWAGPosterior:
    r"""Go on from a trained network at a constant rate and fit a Gaussian to where it passes.

    Stochastic gradient descent minimizes the negative log posterior per datum,

    .. math:: \mathrm{NLL}(w) + \frac{\lVert w \rVert^2}{2 N \tau^2}

    and after every ``collect_every`` epochs its weights count in their running mean and variance;
    the last ``max_rank`` deviations from the running mean give the low-rank part. The width comes
    from the gradient's noise, so that it depends on ``learning_rate`` and ``batch_size``: with all
    rows in one batch there is none. Source: Maddox et al. (2019).

    Args:
        model: a trained network without Bayesian layers; it is left as it is.
        data: inputs and targets of N rows, as in :func:`fit`.
        likelihood: maps (output, target) to the mean NLL in nats; its parameters stay fixed.
        prior_std: :math:`\tau`, of every weight and bias; its density is the weight decay
            :math:`1 / (N \tau^2)`.
        epochs: passes over the data.
        learning_rate: of the gradient descent, constant.
        batch_size: rows a step; None takes all N rows at once.
        momentum: of the gradient descent.
        collect_every: epochs between two weight vectors that count.
        max_rank: K, the most deviations that are kept, at least 2.
        seed: makes the run repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Raises:
        NonFiniteLossError: the loss or the weights become infinite or NaN.
        TypeError: ``data`` is no data set, or has no targets.
        ValueError: a number is out of its range, ``data`` is empty or does not tell N, ``epochs``
            gives fewer than two weight vectors, or ``model`` has Bayesian layers or batch
            normalization, whose statistics would belong to other weights than a draw's.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> import bnn_tutorial as bt
        >>> data, likelihood = TensorDataset(*bt.polynomial_data(100)), bt.GaussianLikelihood(0.6)
        >>> model = bt.regression_network(20)
        >>> history = bt.fit(model, data, likelihood, epochs=3, progress=False)
        >>> settings = {"epochs": 5, "learning_rate": 1e-4, "batch_size": 20, "seed": 0}
        >>> posterior = bt.swag(model, data, likelihood, prior_std=1.0, **settings, progress=False)
        >>> posterior.deviations.shape
        torch.Size([5, 61])
    """
    num_data = open_data(data, "data").num_data
    if num_data is None:
        raise ValueError(
            "data don't tell how many they are: expected a data set of N rows, or its DataLoader"
        )
    require_positive(prior_std=prior_std, learning_rate=learning_rate)
    require_counts(epochs=epochs, collect_every=collect_every)
    if max_rank < 2:
        raise ValueError(f"max_rank={max_rank}: expected 2 or more")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum={momentum}: expected 0 or more, and less than 1")
    if epochs // collect_every < 2:
        raise ValueError(
            f"epochs={epochs} with collect_every={collect_every}: expected at least twice as many "
            "epochs, for two weight vectors"
        )
    require_deterministic(model=model)
    _require_no_batch_norm(model)
    network, likelihood = copy.deepcopy(model), copy.deepcopy(likelihood).requires_grad_(False)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=learning_rate,
        momentum=momentum,
        weight_decay=1 / (num_data * prior_std**2),
    )
    moments = IterateMoments(max_rank)
    device = next(network.parameters()).device
    collections = range(epochs // collect_every)
    with seeded(seed, device):
        for _ in tqdm(collections, unit="weight vector", disable=not progress):
            fit(
                network,
                data,
                likelihood,
                epochs=collect_every,
                batch_size=batch_size,
                optimizer=optimizer,
                progress=False,
            )
            moments.add(parameters_to_vector(network.parameters()).detach())
    return SWAGPosterior(model, moments.mean, moments.variance, torch.stack(moments.deviations))


def _require_no_batch_norm(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            raise ValueError(
                f"model has batch normalization in {name!r}: expected none, since its statistics "
                "would have to be computed anew for each draw of the weights"
            )
