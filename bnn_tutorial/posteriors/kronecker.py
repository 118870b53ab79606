"""The curvature as a Kronecker product for each layer: between a matrix and its diagonal.

Explained in the chapter "Other roads to a posterior".
"""

from collections.abc import Iterable
from typing import TypeGuard, cast

import torch
from torch import Tensor, nn

from bnn_tutorial.likelihoods import Likelihood
from bnn_tutorial.posteriors.curvature import (
    Curvature,
    FactoredLayer,
    double_precision,
    eigendecomposition,
    layer_inputs,
    root_of_output_hessian,
    rows_of_layer,
)


class KroneckerBlock(nn.Module):
    r"""The part of one layer: :math:`B \otimes A`, from the factors' eigenvectors.

    ``rows`` (O, I) says where each entry of the layer's matrix lies among all weights.
    """

    def __init__(self, rows: Tensor, of_outputs: Tensor, of_inputs: Tensor):
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("of_outputs", of_outputs)
        self.register_buffer("of_inputs", of_inputs)
        self.rows: Tensor
        self.of_outputs: Tensor
        self.of_inputs: Tensor


class KroneckerCurvature(Curvature):
    """A block for each layer, and nothing between two layers."""

    def __init__(self, eigenvalues: Tensor, blocks: Iterable[KroneckerBlock]):
        super().__init__(eigenvalues)
        self.blocks = cast(list[KroneckerBlock], nn.ModuleList(blocks))

    def _in_blocks(self, vectors: Tensor, factors: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Multiply each layer's matrix in ``vectors`` from both sides."""
        result = torch.empty_like(vectors)
        for block, (left, right) in zip(self.blocks, factors, strict=True):
            result[..., block.rows] = left @ vectors[..., block.rows] @ right.T
        return result

    def to_eigenbasis(self, vectors: Tensor) -> Tensor:
        """Multiply by the transposed eigenvectors of each layer's factors."""
        return self._in_blocks(vectors, [(b.of_outputs.T, b.of_inputs.T) for b in self.blocks])

    def from_eigenbasis(self, vectors: Tensor) -> Tensor:
        """Multiply by the eigenvectors of each layer's factors."""
        return self._in_blocks(vectors, [(b.of_outputs, b.of_inputs) for b in self.blocks])

    def diagonal(self, values: Tensor) -> Tensor:
        """Weigh the squares of the eigenvectors of each layer's factors."""
        squares = [(b.of_outputs.square(), b.of_inputs.square()) for b in self.blocks]
        return self._in_blocks(values, squares)


def kronecker_curvature(
    network: nn.Module, batches: Iterable[Tensor], likelihood: Likelihood
) -> KroneckerCurvature:
    r"""Return the Kronecker-factored generalized Gauss-Newton matrix, a block for each layer.

    A layer is one matrix, its bias the last column, and a its input with a 1 behind; g is the
    gradient of :math:`r_{nc}^\top f(x_n)` with respect to the layer's output. The mean over the
    data, and over the T positions of a convolution, is taken of A, the sum of B:

    .. math:: A = \frac{1}{N T} \sum_{n, t} a_{nt} a_{nt}^\top, \qquad
        B = \sum_{n, t} \sum_c g_{ntc}\, g_{ntc}^\top, \qquad H = B \otimes A

    Arguments are those of :func:`full_curvature`.

    Raises:
        ValueError: a layer with weights is neither Linear nor Conv2d, has groups, shares its
            weights with another or is used more than once.
    """
    layers = _layers_with_factors(network)
    of_inputs: dict[FactoredLayer, Tensor] = {}
    of_outputs: dict[FactoredLayer, Tensor] = {}
    num_rows = dict.fromkeys(layers, 0)
    for layer, rows in layers.items():
        kwargs = {"dtype": double_precision(layer.weight), "device": layer.weight.device}
        of_outputs[layer], of_inputs[layer] = (torch.zeros(n, n, **kwargs) for n in rows.shape)
    for x in batches:
        used: dict[FactoredLayer, tuple[Tensor, Tensor]] = {}

        def keep(layer, inputs, output, used=used):
            if layer in used:
                raise ValueError(
                    f"covariance='kronecker': a {layer} is used more than once in a forward pass, "
                    "expected once; choose covariance='diagonal'"
                )
            # A gradient of its own, which an activation that works in place leaves alone.
            anchor = torch.zeros_like(output, requires_grad=True)
            used[layer] = layer_inputs(layer, inputs[0].detach()), anchor
            return output + anchor

        handles = [layer.register_forward_hook(keep) for layer in layers]
        try:
            with torch.enable_grad():
                output = network(x)
        finally:
            for handle in handles:
                handle.remove()
        anchors = [anchor for _, anchor in used.values()]
        for column in root_of_output_hessian(output.detach(), likelihood).unbind(dim=2):
            pulled = torch.autograd.grad(
                output, anchors, column, retain_graph=True, materialize_grads=True
            )
            for layer, gradient in zip(used, pulled, strict=True):
                if gradient.ndim == 4:
                    gradient = gradient.movedim(1, -1)
                rows = gradient.flatten(end_dim=-2).to(of_outputs[layer].dtype)
                of_outputs[layer] += rows.T @ rows
        for layer, (inputs, _) in used.items():
            inputs = inputs.to(of_inputs[layer].dtype)
            of_inputs[layer] += inputs.T @ inputs
            num_rows[layer] += len(inputs)
    eigenvalues = next(network.parameters()).new_empty(sum(r.numel() for r in layers.values()))
    blocks = []
    for layer, rows in layers.items():
        input_factor = of_inputs[layer] / max(1, num_rows[layer])
        outer, output_vectors = eigendecomposition(of_outputs[layer], eigenvalues)
        inner, input_vectors = eigendecomposition(input_factor, eigenvalues)
        eigenvalues[rows] = outer[:, None] * inner
        blocks.append(KroneckerBlock(rows, output_vectors, input_vectors))
    return KroneckerCurvature(eigenvalues, blocks)


def _layers_with_factors(network: nn.Module) -> dict[FactoredLayer, Tensor]:
    """Return the layers that have weights, each with its :func:`rows_of_layer`."""
    layers: dict[FactoredLayer, Tensor] = {}
    seen: set[nn.Parameter] = set()
    for name, layer in network.named_modules():
        parameters = {*layer.parameters(recurse=False)}
        if not parameters:
            continue
        if not _has_factors(layer):
            raise ValueError(
                f"covariance='kronecker': {name!r} is a {layer}, expected Linear and Conv2d "
                "without groups; choose covariance='diagonal' or weights='last_layer'"
            )
        if seen & parameters:
            raise ValueError(
                f"covariance='kronecker': {name!r} shares its weights with another layer, expected "
                "weights of its own; choose covariance='diagonal'"
            )
        seen |= parameters
        layers[layer] = rows_of_layer(network, layer)
    return layers


def _has_factors(layer: nn.Module) -> TypeGuard[FactoredLayer]:
    return type(layer) is nn.Linear or (type(layer) is nn.Conv2d and layer.groups == 1)
