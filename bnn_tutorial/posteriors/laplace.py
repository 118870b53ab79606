"""Laplace's method: a Gaussian around the weights of a network that is trained already.

``laplace_posterior.py`` has the Gaussian, ``curvature.py`` and ``kronecker.py`` the curvature.
Explained in the chapter "Other roads to a posterior".
"""

import copy
import math

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from bnn_tutorial.argument_checks import require_counts, require_positive
from bnn_tutorial.batches import Data
from bnn_tutorial.likelihoods import CategoricalLikelihood, GaussianLikelihood, Likelihood
from bnn_tutorial.posteriors.curvature import (
    MOST_WEIGHTS_IN_FULL,
    diagonal_curvature,
    full_curvature,
)
from bnn_tutorial.posteriors.kronecker import kronecker_curvature
from bnn_tutorial.posteriors.laplace_posterior import (
    ROWS_AT_ONCE,
    LaplacePosterior,
    input_of_layer,
)
from bnn_tutorial.posteriors.weight_samples import require_deterministic
from bnn_tutorial.training.data import in_memory

WEIGHTS = ("last_layer", "all")
COVARIANCES = {
    "full": full_curvature,
    "kronecker": kronecker_curvature,
    "diagonal": diagonal_curvature,
}


def laplace(
    model: nn.Module,
    data: Data,
    likelihood: Likelihood,
    *,
    weights: str = "last_layer",
    covariance: str = "full",
    prior_std: float | None = None,
    linearized: bool = True,
    batch_size: int = ROWS_AT_ONCE,
    progress: bool = False,
) -> LaplacePosterior:
    r"""Return the Gaussian around a trained network's weights that its curvature makes.

    The log posterior is replaced by its second-order expansion at :math:`\hat w`, with the
    generalized Gauss-Newton matrix in place of the Hessian: with the Jacobian :math:`J_n` of the
    output at datum n, and :math:`\Lambda_n` the Hessian of the NLL in the output,

    .. math:: H = \sum_{n=1}^N J_n^\top \Lambda_n J_n, \qquad
        w \sim \mathcal N\left( \hat w, \left( H + \tau^{-2} I \right)^{-1} \right)

    The prior is :math:`\mathcal N(0, \tau^2)` for every random weight. The expansion drops the
    gradient, so that :math:`\hat w` has to be an optimum of the log posterior: train with a weight
    decay that matches :math:`\tau` (of all data's NLL, :math:`\lVert w \rVert^2 / (2 \tau^2)`), and
    until it is at rest. Nothing here can tell whether it is one.

    Source: MacKay (1992) for the method and the evidence, Daxberger et al. (2021) for its forms,
    Martens and Grosse (2015), Grosse and Martens (2016) and Ritter et al. (2018) for
    ``"kronecker"``.

    Args:
        model: a trained network from inputs (N, ...) to outputs (N, C); it is copied, and used in
            ``eval()``.
        data: what it was trained on, inputs and targets: any data that :func:`fit` takes, read
            once.
        likelihood: a :class:`GaussianLikelihood`, with its noise, or a
            :class:`CategoricalLikelihood`.
        weights: which are random: those of the ``"last_layer"``, a Linear that is found as the last
            to be called, or ``"all"``, frozen ones too.
        covariance: ``"full"``; ``"kronecker"``, a block for each layer that is the product of a
            factor of its inputs and one of its outputs (for Linear and Conv2d); or ``"diagonal"``,
            which inverts the curvature's diagonal.
        prior_std: :math:`\tau`; None takes the one of the largest
            :meth:`LaplacePosterior.log_evidence`, which is unique.
        linearized: whether the draws are of the linearized network, as in
            :class:`LaplacePosterior`.
        batch_size: data in a forward pass.
        progress: show a progress bar.

    Raises:
        TypeError: ``data`` is no data set, or has no targets or several inputs; ``likelihood`` is
            neither Gaussian nor categorical.
        ValueError: an unknown ``weights`` or ``covariance``; ``prior_std`` is not positive and
            finite, or it is None and the evidence has no maximum; ``batch_size`` is below 1;
            ``data`` is empty, or not finite, or an output is not; ``model`` has Bayesian layers,
            or no weights, or another output than (N, C), or it does not end in a Linear, or has
            layers that ``covariance`` does not know, or more than 10,000 random weights for a full
            one.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x, y = bt.polynomial_data(50)
        >>> data, likelihood = torch.utils.data.TensorDataset(x, y), bt.GaussianLikelihood(1.0)
        >>> network = bt.regression_network(20)
        >>> _ = bt.fit(network, data, likelihood=likelihood, epochs=50)
        >>> posterior = bt.laplace(network, data, likelihood)
        >>> bt.predict(posterior, x, num_samples=30).samples.shape
        torch.Size([30, 50, 1])
        >>> posterior.log_evidence() >= posterior.log_evidence(prior_std=2 * posterior.prior_std)
        True
    """
    for name, value, known in (
        ("weights", weights, WEIGHTS),
        ("covariance", covariance, tuple(COVARIANCES)),
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r}: expected one of {', '.join(known)}")
    if not isinstance(likelihood, (GaussianLikelihood, CategoricalLikelihood)):
        raise TypeError(
            f"likelihood={likelihood!r}: expected a GaussianLikelihood or a CategoricalLikelihood"
        )
    if prior_std is not None:
        require_positive(prior_std=prior_std)
    require_counts(batch_size=batch_size)
    require_deterministic(model=model)
    rows = in_memory(data, model, likelihood)
    network = copy.deepcopy(model).eval()
    batches = list(zip(*(tensor.split(batch_size) for tensor in rows.tensors), strict=True))
    device = next(network.parameters()).device
    log_likelihood, features = 0.0, []
    with torch.no_grad():
        likelihood = copy.deepcopy(likelihood).to(device)
        layer_name = "" if weights == "all" else _last_layer(network, batches[0][0][:1].to(device))
        layer = network.get_submodule(layer_name)
        _require_size(layer, covariance)
        for x, y in tqdm(batches, desc="outputs", disable=not progress):
            inputs, output = input_of_layer(network, layer, x.to(device))
            _require_output(output, inputs, layer, layer_name)
            log_likelihood -= len(y) * likelihood(output, y.to(device)).item()
            features.append(inputs)
        if not math.isfinite(log_likelihood):
            raise ValueError(
                f"data has the log-likelihood {log_likelihood} at the trained weights: expected a "
                "finite one, of finite weights"
            )
        curvature = COVARIANCES[covariance](
            layer, tqdm(features, desc="curvature", disable=not progress), likelihood
        )
    return LaplacePosterior(
        network,
        layer_name,
        curvature,
        log_likelihood=log_likelihood,
        prior_std=prior_std,
        linearized=linearized,
    )


def _last_layer(network: nn.Module, x: Tensor) -> str:
    """Return the name of the layer with weights that a forward pass calls last."""
    called: list[str] = []
    handles = [
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, layer in network.named_modules()
        if next(layer.parameters(recurse=False), None) is not None
    ]
    try:
        network(x)
    finally:
        for handle in handles:
            handle.remove()
    name = called[-1]
    layer = network.get_submodule(name)
    if not isinstance(layer, nn.Linear) or called.count(name) > 1:
        raise ValueError(
            f"weights='last_layer': the last layer with weights is {name!r}, a {layer}, expected a "
            "Linear that is used once; choose weights='all'"
        )
    return name


def _require_size(layer: nn.Module, covariance: str) -> None:
    num_weights = sum(weight.numel() for weight in layer.parameters())
    if covariance == "full" and num_weights > MOST_WEIGHTS_IN_FULL:
        raise ValueError(
            f"covariance='full' of {num_weights:,} weights: expected at most "
            f"{MOST_WEIGHTS_IN_FULL:,}; choose 'kronecker' or 'diagonal'"
        )


def _require_output(output: Tensor, inputs: Tensor, layer: nn.Module, layer_name: str) -> None:
    if output.ndim != 2:
        raise ValueError(f"the output has shape {tuple(output.shape)}: expected (N, C)")
    same = {"rtol": 0.0, "atol": 0.0, "equal_nan": True}
    if layer_name and not (inputs.ndim == 2 and torch.allclose(layer(inputs), output, **same)):
        raise ValueError(
            f"weights='last_layer': the output is not that of {layer_name!r}, the last layer with "
            "weights, expected a network that ends in it; choose weights='all'"
        )
