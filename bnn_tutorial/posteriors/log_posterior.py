"""The log density of a network's weights given data, which the samplers climb and walk over.

Explained in the chapter "Sampling the posterior".
"""

import copy
import math
from collections.abc import Callable

from torch import Tensor, nn

from bnn_tutorial.argument_checks import require_positive
from bnn_tutorial.batches import Data
from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.posteriors.weight_samples import network_with_weights, require_deterministic
from bnn_tutorial.training.data import in_memory


def log_posterior(
    network: nn.Module, data: Data, likelihood: Likelihood, *, prior_std: float
) -> Callable[..., Tensor]:
    r"""Return the function from weights to their log posterior density up to a constant, in nats.

    .. math:: \log p(D, w) = \sum_{n=1}^N \log p(y_n \mid x_n, w)
        - \frac{\lVert w \rVert^2}{2 \tau^2} - \frac P2 \log(2 \pi \tau^2)

    The constant that is missing is the log evidence. The function takes all P weights as one
    vector, in the order of ``torch.nn.utils.parameters_to_vector``, and works under
    ``torch.func.grad`` and ``torch.vmap``. Called with the indices ``rows`` of a batch of B data
    it returns an unbiased estimate, in which the batch's sum is multiplied by N / B.

    The network and the likelihood are copied as they are; the copies run in ``eval()``, and the
    likelihood's own parameters, such as the noise, stay fixed. Source: Neal (1996).

    Args:
        network: the architecture, without Bayesian layers; its weights' values are not used.
        data: inputs and targets of N rows: any data that :func:`fit` takes, read once.
        likelihood: maps (output, target) to the mean NLL in nats.
        prior_std: :math:`\tau`, of every weight and bias.

    Raises:
        TypeError: ``data`` is no data set, or has no targets or several inputs.
        ValueError: ``data`` is empty or not finite, the network can't take its inputs or the
            likelihood score its targets, ``prior_std`` is not positive and finite, ``network`` has
            no parameters or has Bayesian layers; later, the weights are not one vector of P
            numbers.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> data = torch.utils.data.TensorDataset(torch.zeros(1, 1), torch.zeros(1, 1))
        >>> likelihood = bt.GaussianLikelihood(1.0)
        >>> log_density = bt.log_posterior(torch.nn.Linear(1, 1), data, likelihood, prior_std=1.0)
        >>> print(f"{log_density(torch.zeros(2)).item():.3f}")  # 3 times -log(2π) / 2
        -2.757
    """
    require_positive(prior_std=prior_std)
    require_deterministic(network=network)
    rows_in_memory = in_memory(data, network, likelihood)
    parameters = list(network.parameters())
    num_weights = sum(parameter.numel() for parameter in parameters)
    device = parameters[0].device
    network = copy.deepcopy(network).eval().requires_grad_(False)
    likelihood = copy.deepcopy(likelihood).to(device).eval().requires_grad_(False)
    inputs, targets = (tensor.to(device) for tensor in rows_in_memory.tensors)
    log_normalizer = num_weights * math.log(prior_std * math.sqrt(2 * math.pi))

    def log_density(weights: Tensor, rows: Tensor | None = None) -> Tensor:
        if weights.shape != (num_weights,):
            raise ValueError(
                f"weights has shape {tuple(weights.shape)}: expected ({num_weights},), "
                "all weights of the network as one vector"
            )
        x, y = (inputs, targets) if rows is None else (inputs[rows], targets[rows])
        log_likelihood = -len(inputs) * likelihood(network_with_weights(network, weights)(x), y)
        return log_likelihood - weights.square().sum() / (2 * prior_std**2) - log_normalizer

    return log_density
