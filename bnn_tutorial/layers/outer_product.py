"""A linear map of single numbers as an outer product, in place of a matrix product.

A fast path of :class:`bnn_tutorial.BayesianLinear` for draws of a network with one input, as in the
row "10,000 draws of the regression" of the page "How fast, how accurate".
"""

import torch
from torch import Tensor


def pays(x: Tensor, bias: Tensor | None) -> bool:
    """Return whether rows of ``x`` are single numbers and no gradient is summed over them."""
    return (
        bias is not None
        and x.dim() > 1
        and x.shape[-1] == 1
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled(x.device.type)
    )


def outer_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x @ weight.T + bias`` for ``x`` of shape (..., 1) and ``weight`` (K, 1)."""
    assert bias is not None
    return torch.addcmul(bias, x, weight.T)
