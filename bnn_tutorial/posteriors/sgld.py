"""Stochastic-gradient Langevin dynamics: gradient steps on batches, with noise that makes draws.

Explained in the chapter "Sampling the posterior".
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from tqdm.auto import tqdm

from bnn_tutorial.argument_checks import require_counts, require_not_negative, require_positive
from bnn_tutorial.batches import Data, shuffled_batches
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.posteriors.log_posterior import log_posterior
from bnn_tutorial.posteriors.weight_samples import WeightSamples
from bnn_tutorial.randomness import seeded
from bnn_tutorial.training.data import in_memory


def sgld(
    model: nn.Module,
    data: Data,
    likelihood: Likelihood,
    *,
    prior_std: float,
    num_samples: int,
    burn_in: int,
    thinning: int = 1,
    batch_size: int | None = None,
    learning_rate: float | Callable[[int], float],
    seed: int | None = None,
    progress: bool = True,
) -> WeightSamples:
    r"""Sample weights by stochastic-gradient Langevin dynamics, one chain from the model's weights.

    .. math:: w \leftarrow w + \varepsilon \nabla \left( \log p(w)
        + \frac NB \sum_{b=1}^B \log p(y_b \mid x_b, w) \right) + \sqrt{2 \varepsilon}\, \xi,
        \qquad \xi \sim \mathcal N(0, I)

    No step is rejected. With a constant :math:`\varepsilon` the samples keep an error of its order,
    and the batches' noise widens them: by about half of :math:`\varepsilon` times the gradient
    noise's covariance in each step. Both vanish as :math:`\varepsilon` falls, and then the chain
    stands still. Source: Welling and Teh (2011), whose :math:`\epsilon_t` is
    :math:`2 \varepsilon`.

    Args:
        model: a network without Bayesian layers, trained or not; it is left as it is.
        data: inputs and targets of N rows: any data that :func:`fit` takes, read once.
        likelihood: maps (output, target) to the mean NLL in nats; its parameters stay fixed.
        prior_std: of every weight and bias, whose prior mean is 0.
        num_samples: how many weight vectors are kept.
        burn_in: steps before the first of them, 0 or more.
        thinning: steps for each that is kept.
        batch_size: B; None takes all N rows at once.
        learning_rate: :math:`\varepsilon`, in weights squared per nat: of the order of the
            smallest posterior variance or below. A number, or a function of the step's number,
            from 0; samples of small steps are then as many as those of large ones.
        seed: makes the run repeatable and leaves the global generator untouched.
        progress: show a progress bar.

    Raises:
        RuntimeError: the log posterior or the weights become infinite or NaN.
        TypeError: ``data`` is no data set, or has no targets or several inputs.
        ValueError: a number is out of its range, ``data`` is empty or not finite, or ``model`` has
            no parameters, has Bayesian layers or can't take the inputs.

    Example:
        >>> from torch.utils.data import TensorDataset
        >>> import bnn_tutorial as bt
        >>> data, likelihood = TensorDataset(*bt.polynomial_data(100)), bt.GaussianLikelihood(0.6)
        >>> settings = {"prior_std": 1.0, "learning_rate": 1e-6, "batch_size": 20, "seed": 0}
        >>> counts = {"num_samples": 30, "burn_in": 10, "progress": False}
        >>> posterior = bt.sgld(bt.regression_network(20), data, likelihood, **settings, **counts)
        >>> posterior.samples.shape
        torch.Size([30, 61])
    """
    require_counts(num_samples=num_samples, thinning=thinning)
    require_not_negative(burn_in=burn_in)
    rows = in_memory(data, model, likelihood)
    density = log_posterior(model, rows, likelihood, prior_std=prior_std)
    batch_size = len(rows) if batch_size is None else batch_size
    require_counts(batch_size=batch_size)
    gradient = torch.func.grad_and_value(density)
    weights = parameters_to_vector(model.parameters()).detach().clone()
    samples = weights.new_empty(num_samples, len(weights))
    num_steps = burn_in + num_samples * thinning
    with seeded(seed, weights.device):
        batches = _batches(len(rows), batch_size)
        for step in tqdm(range(num_steps), unit="step", disable=not progress):
            epsilon = learning_rate(step) if callable(learning_rate) else learning_rate
            require_positive(learning_rate=epsilon)
            slope, value = gradient(weights, next(batches).to(weights.device))
            noise = math.sqrt(2 * epsilon) * torch.randn_like(weights)
            weights = weights + epsilon * slope + noise
            # Of a value and weights that are finite the sum is too.
            if not torch.isfinite(value + weights.sum()):
                raise RuntimeError(
                    f"the log posterior ({value.item():.4g} nats) or the weights are not finite "
                    f"after step {step + 1}: expected a smaller learning_rate than {epsilon:.4g}"
                )
            sample, remainder = divmod(step + 1 - burn_in, thinning)
            if sample > 0 and remainder == 0:
                samples[sample - 1] = weights
    return WeightSamples(model, samples)


def _batches(num_data: int, batch_size: int) -> Iterator[Tensor]:
    """Yield the rows of batches without end, each epoch's in a new order."""
    while True:
        yield from shuffled_batches(num_data, batch_size)
