r"""The curvature of the negative log-likelihood at trained weights, as Laplace's method takes it.

All forms are kept as :math:`H = V \operatorname{diag}(\lambda) V^\top` with an orthogonal V: a
prior precision then adds to the eigenvalues, whatever it is. ``kronecker.py`` has the third form.
Explained in the chapter "Other roads to a posterior".
"""

import abc
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from bnn_tutorial.likelihoods import GaussianLikelihood, Likelihood

FactoredLayer = nn.Linear | nn.Conv2d

# The matrix of so many weights takes 800 MB in double precision.
MOST_WEIGHTS_IN_FULL = 10_000
# Of the gradients of some data at a time: 128 MB in single precision.
_NUMBERS_AT_ONCE = 2**25


class Curvature(nn.Module, abc.ABC):
    r"""A symmetric matrix :math:`V \operatorname{diag}(\lambda) V^\top` over P weights.

    The weights are those of ``network.parameters()``, in that order. ``eigenvalues`` is (P,).
    """

    def __init__(self, eigenvalues: Tensor):
        super().__init__()
        # Rounding can take an eigenvalue of 0 below it.
        self.register_buffer("eigenvalues", eigenvalues.clamp_min(0))
        self.eigenvalues: Tensor

    @abc.abstractmethod
    def to_eigenbasis(self, vectors: Tensor) -> Tensor:
        r"""Return :math:`V^\top v` of each vector in ``vectors``, shape (..., P)."""

    @abc.abstractmethod
    def from_eigenbasis(self, vectors: Tensor) -> Tensor:
        """Return :math:`V v` of each vector in ``vectors``, shape (..., P)."""

    @abc.abstractmethod
    def diagonal(self, values: Tensor) -> Tensor:
        r"""Return the diagonal of :math:`V \operatorname{diag}(d) V^\top`, d = ``values`` (P,)."""


class DiagonalCurvature(Curvature):
    """A diagonal alone: each weight is an eigenvector."""

    def to_eigenbasis(self, vectors: Tensor) -> Tensor:
        """Return ``vectors`` as they are."""
        return vectors

    def from_eigenbasis(self, vectors: Tensor) -> Tensor:
        """Return ``vectors`` as they are."""
        return vectors

    def diagonal(self, values: Tensor) -> Tensor:
        """Return ``values`` as they are."""
        return values


class FullCurvature(Curvature):
    """A matrix with all its entries: ``eigenvectors`` (P, P) has one in each column."""

    def __init__(self, eigenvalues: Tensor, eigenvectors: Tensor):
        super().__init__(eigenvalues)
        self.register_buffer("eigenvectors", eigenvectors)
        self.eigenvectors: Tensor

    def to_eigenbasis(self, vectors: Tensor) -> Tensor:
        """Multiply by the transposed matrix of the eigenvectors."""
        return vectors @ self.eigenvectors

    def from_eigenbasis(self, vectors: Tensor) -> Tensor:
        """Multiply by the matrix of the eigenvectors."""
        return vectors @ self.eigenvectors.T

    def diagonal(self, values: Tensor) -> Tensor:
        """Weigh the squares of the eigenvectors."""
        return self.eigenvectors.square() @ values


def root_of_output_hessian(output: Tensor, likelihood: Likelihood) -> Tensor:
    r"""Return R with :math:`R R^\top` the Hessian of a datum's NLL in its output: (N, C, C).

    With the noise s and the class probabilities p,

    .. math:: R_{\text{Gaussian}} = \frac{I}{s}, \qquad
        R_{\text{categorical}} = \operatorname{diag}(\sqrt p) - p \sqrt p^\top

    Args:
        output: shape (N, C).
        likelihood: a :class:`GaussianLikelihood` or a :class:`CategoricalLikelihood`.
    """
    if isinstance(likelihood, GaussianLikelihood):
        identity = torch.eye(output.shape[1], dtype=output.dtype, device=output.device)
        return (identity / likelihood.noise_std.to(identity)).expand(len(output), -1, -1)
    probabilities = output.softmax(dim=1)
    roots = probabilities.sqrt()
    return torch.diag_embed(roots) - probabilities[:, :, None] * roots[:, None, :]


def gradients(network: nn.Module, x: Tensor, directions: Tensor) -> Iterator[Tensor]:
    r"""Yield, some data at a time, :math:`J_n^\top r` for the columns r of ``directions``.

    :math:`J_n` is the Jacobian of the output at datum n with respect to all weights.

    Args:
        network: from inputs (N, ...) to outputs (N, C).
        x: inputs, shape (N, ...).
        directions: shape (N, C, K); the result is one of (portion of N, K, P) after the other.
    """
    weights = {name: weight.detach() for name, weight in network.named_parameters()}

    def of_one(x: Tensor, directions: Tensor) -> Tensor:
        def output(weights: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(network, weights, (x[None],))[0]

        pull_back = torch.func.vjp(output, weights)[1]
        (pulled,) = torch.func.vmap(pull_back)(directions.T)
        return torch.cat([pulled[name].reshape(directions.shape[1], -1) for name in weights], dim=1)

    num_numbers = directions.shape[2] * sum(weight.numel() for weight in weights.values())
    portion = max(1, _NUMBERS_AT_ONCE // num_numbers)
    for inputs, columns in zip(x.split(portion), directions.split(portion), strict=True):
        yield torch.func.vmap(of_one)(inputs, columns)


def diagonal_curvature(
    network: nn.Module, batches: Iterable[Tensor], likelihood: Likelihood
) -> DiagonalCurvature:
    r"""Return the diagonal of the generalized Gauss-Newton matrix.

    .. math:: \sum_n \sum_c \left( J_n^\top r_{nc} \right)^2

    Arguments are those of :func:`full_curvature`.
    """
    weights = parameters_to_vector(network.parameters()).detach()
    total = torch.zeros_like(weights, dtype=double_precision(weights))
    for x in batches:
        root = root_of_output_hessian(network(x), likelihood)
        for rows in gradients(network, x, root):
            total += rows.square().sum(dim=(0, 1))
    return DiagonalCurvature(total.to(weights))


def full_curvature(
    network: nn.Module, batches: Iterable[Tensor], likelihood: Likelihood
) -> FullCurvature:
    r"""Return the generalized Gauss-Newton matrix.

    With :math:`R_n R_n^\top` the Hessian of the NLL in the output, and its columns :math:`r_{nc}`,

    .. math:: \sum_n J_n^\top R_n R_n^\top J_n
        = \sum_n \sum_c (J_n^\top r_{nc}) (J_n^\top r_{nc})^\top

    Args:
        network: from inputs (N, ...) to outputs (N, C).
        batches: inputs.
        likelihood: with a :func:`root_of_output_hessian`.
    """
    weight = next(network.parameters())
    num_weights = sum(part.numel() for part in network.parameters())
    # In single precision the rounding of the largest eigenvalues hides the prior beside the others.
    total = weight.new_zeros(num_weights, num_weights, dtype=double_precision(weight))
    for x in batches:
        root = root_of_output_hessian(network(x), likelihood)
        if type(network) is nn.Linear:
            total += _of_linear(network, x, root)
            continue
        for part in gradients(network, x, root):
            flat = part.flatten(end_dim=1).to(total.dtype)
            total += flat.T @ flat
    eigenvalues, eigenvectors = eigendecomposition(total, weight)
    if type(network) is nn.Linear:
        eigenvectors = eigenvectors[rows_of_layer(network, network).flatten().argsort()]
    return FullCurvature(eigenvalues, eigenvectors)


def _of_linear(layer: nn.Linear, x: Tensor, root: Tensor) -> Tensor:
    r"""Return :math:`\sum_n R_n R_n^\top \otimes a_n a_n^\top`, weights in the order of its rows.

    The same matrix for about 1 / C of the work.
    """
    hessian, inputs = root @ root.mT, layer_inputs(layer, x)
    hessian, inputs = (part.to(double_precision(part)) for part in (hessian, inputs))
    size = hessian.shape[1] * inputs.shape[1]
    return torch.einsum("ncd,ni,nj->cidj", hessian, inputs, inputs).reshape(size, size)


def rows_of_layer(network: nn.Module, layer: FactoredLayer) -> Tensor:
    """Return where each entry of the layer's matrix, bias last, lies in ``network.parameters()``.

    Shape (O, I) with the bias in I.
    """
    places, start = {}, 0
    for parameter in network.parameters():
        places[parameter] = start + torch.arange(parameter.numel(), device=parameter.device)
        start += parameter.numel()
    weight = places[layer.weight].reshape(len(layer.weight), -1)
    return weight if layer.bias is None else torch.cat([weight, places[layer.bias][:, None]], dim=1)


def layer_inputs(layer: FactoredLayer, x: Tensor) -> Tensor:
    """Return what the layer's matrix is multiplied with: rows for data and positions, 1 for a bias.

    Shape (N * T, I) with the bias in I.
    """
    if isinstance(layer, nn.Conv2d):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        x = F.pad(x, layer._reversed_padding_repeated_twice, mode=mode)
        patches = F.unfold(x, layer.kernel_size, layer.dilation, stride=layer.stride)
        x = patches.movedim(1, -1)
    x = x.flatten(end_dim=-2)
    return x if layer.bias is None else torch.cat([x, torch.ones_like(x[:, :1])], dim=1)


def eigendecomposition(matrix: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues and eigenvectors, in the precision of ``like``."""
    # MPS has no eigenvalues of its own.
    matrix = matrix.cpu() if matrix.device.type == "mps" else matrix
    eigenvalues, eigenvectors = torch.linalg.eigh(matrix)
    return eigenvalues.to(like), eigenvectors.to(like)


def double_precision(tensor: Tensor) -> torch.dtype:
    """Return double precision, where the device has it."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64
