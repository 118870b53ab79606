"""The Gaussian around trained weights that Laplace's method makes, and what it predicts.

``laplace.py`` takes it from a network and data. Explained in the chapter "Other roads to a
posterior".
"""

import functools
import math
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from bnn_tutorial.argument_checks import require_positive
from bnn_tutorial.posteriors.curvature import Curvature, gradients
from bnn_tutorial.posteriors.weight_samples import weights_by_name
from bnn_tutorial.prediction.moments import ExactMoments
from bnn_tutorial.prediction.posterior import Posterior
from bnn_tutorial.prediction.predict import evaluation_mode

# Inputs in a forward pass, unless said otherwise.
ROWS_AT_ONCE = 100


class LaplacePosterior(Posterior):
    r"""The Gaussian around trained weights that :func:`laplace` returns.

    With the curvature :math:`H = V \operatorname{diag}(\lambda) V^\top` of the data's NLL and the
    prior's standard deviation :math:`\tau`,

    .. math:: q(w) = \mathcal N(\hat w, S), \qquad
        S = \left( H + \tau^{-2} I \right)^{-1}
        = V \operatorname{diag}\left( \frac{1}{\lambda_i + \tau^{-2}} \right) V^\top

    The networks that it yields are drawn as follows. ``linearized`` ones are the network's tangent,
    for which the curvature stands; the others are the network itself with other weights, which for
    weights of all layers is worse (Immer et al., 2021). Where only the weights of the last layer
    are random, the two are the same. The tangent needs torch's forward-mode differentiation of
    every random layer, which :class:`torch.nn.MultiheadAttention` lacks in ``eval()``.

    .. math:: f_{\text{linearized}}(x) = f_{\hat w}(x) + J(x) (w - \hat w), \qquad w \sim q

    All of P weights are one vector, in the order of ``parameter_names``; :meth:`by_name` tells them
    apart. :func:`laplace` makes it, and says what the arguments mean.

    Args:
        network: trained; its mode is set to ``eval()``.
        layer_name: of the layer whose weights are random; ``""`` means all of the network's.
        curvature: of the negative log-likelihood of all data, without the prior.
        log_likelihood: of all data, at the trained weights, in nats.
        prior_std: :math:`\tau`; None means the one of the largest evidence.
        linearized: whether the networks drawn are the tangent.

    Raises:
        ValueError: ``prior_std`` is not positive and finite, or it is None and the evidence has no
            maximum.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x, y = bt.polynomial_data(50)
        >>> data, likelihood = torch.utils.data.TensorDataset(x, y), bt.GaussianLikelihood(1.0)
        >>> network = bt.regression_network(20)
        >>> posterior = bt.laplace(network, data, likelihood, prior_std=1.0)
        >>> posterior.parameter_names, posterior.covariance.shape
        (('2.weight', '2.bias'), torch.Size([21, 21]))
        >>> posterior.by_name(posterior.std)["2.weight"].shape
        torch.Size([1, 20])
    """

    def __init__(
        self,
        network: nn.Module,
        layer_name: str,
        curvature: Curvature,
        *,
        log_likelihood: float,
        prior_std: float | None,
        linearized: bool = True,
    ):
        super().__init__()
        self.network = network
        self.curvature = curvature
        self.layer_name = layer_name
        self.log_likelihood = log_likelihood
        self.linearized = linearized
        self.eval()
        if prior_std is None:
            prior_std = _most_evident_prior_std(self.mean, curvature.eigenvalues)
        require_positive(prior_std=prior_std)
        self.prior_std = prior_std

    @property
    def _layer(self) -> nn.Module:
        """The part whose weights are random: a layer, or the network."""
        return self.network.get_submodule(self.layer_name)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of the random parameters in ``network``, in the order of the vectors."""
        prefix = f"{self.layer_name}." if self.layer_name else ""
        return tuple(prefix + name for name, _ in self._layer.named_parameters())

    @property
    def mean(self) -> Tensor:
        """The trained weights, shape (P,)."""
        return parameters_to_vector(self._layer.parameters()).detach()

    @property
    def std(self) -> Tensor:
        """The standard deviation of each weight, shape (P,)."""
        return self.curvature.diagonal(self._variances).sqrt()

    @property
    def covariance(self) -> Tensor:
        """The covariance S of shape (P, P), a large matrix of many weights whatever its form."""
        root = self.curvature.from_eigenbasis(torch.diag(self._variances.sqrt()))
        return root.T @ root

    @property
    def _variances(self) -> Tensor:
        """The variances along the eigenvectors of the curvature, shape (P,)."""
        return 1 / (self.curvature.eigenvalues + self.prior_std**-2)

    def by_name(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the parts of ``vector`` (P,), in the shapes of the parameters, by their names.

        Args:
            vector: such as ``std``.
        """
        parts = weights_by_name(self._layer, vector).values()
        return dict(zip(self.parameter_names, parts, strict=True))

    def log_evidence(self, prior_std: float | None = None) -> float:
        r"""Return Laplace's approximation of the log marginal likelihood, in nats.

        .. math:: \log p(D) \approx \log p(D \mid \hat w)
            - \frac{\lVert \hat w \rVert^2}{2 \tau^2}
            - \frac12 \sum_i \log\left( 1 + \tau^2 \lambda_i \right)

        It compares values of :math:`\tau`, and networks, without held-out data. Weights that are
        not random count as given. Source: MacKay (1992), Immer et al. (2021).

        Args:
            prior_std: :math:`\tau`; None means that of the posterior.

        Raises:
            ValueError: ``prior_std`` is not positive and finite.
        """
        prior_std = self.prior_std if prior_std is None else prior_std
        require_positive(prior_std=prior_std)
        square = self.mean.cpu().double().square().sum()
        eigenvalues = self.curvature.eigenvalues.cpu().double()
        log_ratio = (prior_std**2 * eigenvalues).log1p().sum()
        return (self.log_likelihood - square / (2 * prior_std**2) - log_ratio / 2).item()

    def networks(self, num_samples: int) -> Iterator[Callable[[Tensor], Tensor]]:
        """Yield ``num_samples`` networks, each with weights drawn from the Gaussian.

        What lies below random weights of the last layer is computed once for the same ``x``.

        Args:
            num_samples: how many.
        """
        layer, features_of = self._layer, _Remembered(self._features)
        mean = weights_by_name(layer, self.mean)

        def network(x: Tensor, deviation: dict[str, Tensor]) -> Tensor:
            features = features_of(x)

            def output(weights: dict[str, Tensor]) -> Tensor:
                return torch.func.functional_call(layer, weights, (features,))

            if not self.linearized:
                return output({name: mean[name] + deviation[name] for name in mean})
            with warnings.catch_warnings():
                # torch 2.15 warns of what it does itself.
                warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated")
                at_mean_and_change = torch.func.jvp(output, (mean,), (deviation,))
            return at_mean_and_change[0] + at_mean_and_change[1]

        for _ in range(num_samples):
            noise = self._variances.sqrt() * torch.randn_like(self._variances)
            deviation = weights_by_name(layer, self.curvature.from_eigenbasis(noise))
            yield functools.partial(network, deviation=deviation)

    def _features(self, x: Tensor) -> Tensor:
        """Return what the part with random weights takes."""
        return x if self.layer_name == "" else input_of_layer(self.network, self._layer, x)[0]

    def moments(self, x: Tensor) -> ExactMoments:
        r"""Return the exact mean and standard deviation of the linearized network at ``x``.

        .. math:: f_{\hat w}(x), \qquad \sqrt{\operatorname{diag} J(x)\, S\, J(x)^\top}

        Args:
            x: inputs, shape (N, ...), moved to the network's device.
        """
        mean, covariance = self.output_moments(x)
        return ExactMoments(mean, covariance.diagonal(dim1=1, dim2=2).sqrt())

    def output_moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return the mean (N, C) and the covariance (N, C, C) of the linearized outputs at ``x``.

        .. math:: f_{\hat w}(x), \qquad J(x)\, S\, J(x)^\top

        Args:
            x: inputs, shape (N, ...), moved to the network's device.

        Raises:
            ValueError: ``x`` has no rows.
        """
        if len(x) == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}: expected at least one row of inputs")
        layer, scale = self._layer, self._variances.sqrt()
        means, covariances = [], []
        with evaluation_mode(self):
            for portion in x.to(scale.device).split(ROWS_AT_ONCE):
                features = self._features(portion)
                mean = layer(features)
                outputs = torch.eye(mean.shape[1], dtype=mean.dtype, device=mean.device)
                for rows in gradients(layer, features, outputs.expand(len(mean), -1, -1)):
                    roots = self.curvature.to_eigenbasis(rows) * scale
                    covariances.append(roots @ roots.mT)
                means.append(mean)
        return torch.cat(means), torch.cat(covariances)

    def probit(self, x: Tensor) -> Tensor:
        r"""Return class probabilities (N, C) without draws, where the outputs are logits.

        With the mean m and the variance v of each logit, from :meth:`moments`,

        .. math:: p = \operatorname{softmax}\left( \frac{m}{\sqrt{1 + \frac\pi8 v}} \right)

        The logistic function stands for a probit, whose mean under a Gaussian is known; for several
        classes the covariances are ignored, and the result is an approximation that draws can be
        held against. Source: Spiegelhalter and Lauritzen (1990), MacKay (1992) for two classes, Lu
        et al. (2020) for several.

        Args:
            x: inputs, shape (N, ...), moved to the network's device.
        """
        moments = self.moments(x)
        scale = (1 + math.pi / 8 * moments.std.square()).rsqrt()
        return (scale * moments.mean).softmax(dim=1)

    def extra_repr(self) -> str:
        """Describe the prior in a print of the posterior."""
        return f"prior_std={self.prior_std:.4g}, linearized={self.linearized}"


def input_of_layer(network: nn.Module, layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what ``layer`` takes in a forward pass of ``network``, and the output.

    Args:
        network: any module.
        layer: inside it, or the network itself.
        x: the network's input.
    """
    taken = []
    with layer.register_forward_pre_hook(lambda layer, inputs: taken.append(inputs[0])):
        output = network(x)
    return taken[-1], output


def _most_evident_prior_std(mean: Tensor, eigenvalues: Tensor) -> float:
    r"""Return the :math:`\tau` of the largest evidence.

    Its derivative with respect to :math:`\alpha = \tau^{-2}` vanishes where (MacKay, 1992)

    .. math:: \alpha \lVert \hat w \rVert^2 = \sum_i \frac{\lambda_i}{\lambda_i + \alpha}

    The left side rises with :math:`\alpha` and the right side falls: there is one such place, and
    it is found by halving an interval.
    """
    square = mean.cpu().double().square().sum().item()
    eigenvalues = eigenvalues.cpu().double()
    eigenvalues = eigenvalues[eigenvalues > 0]

    def effective_weights(precision: float) -> float:
        return (eigenvalues / (eigenvalues + precision)).sum().item()

    if square == 0 or len(eigenvalues) == 0:
        raise ValueError(
            "prior_std=None: the evidence has no maximum, since the random weights are 0 or the "
            "data say nothing about them; expected a number"
        )
    high = len(eigenvalues) / square
    low = effective_weights(high) / square
    # Both ends positive, so by their geometric mean; 60 halvings leave no digit open.
    for _ in range(60):
        middle = math.sqrt(low * high)
        if middle * square < effective_weights(middle):
            low = middle
        else:
            high = middle
    return (low * high) ** -0.25


class _Remembered:
    """A function that remembers its last answer, for the tensor that it was asked about."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.function = function
        self.asked: tuple[Tensor, int] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        # The version tells whether x was written into; tensors of torch.inference_mode have none.
        if x.is_inference():
            return self.function(x)
        if self.asked is None or self.asked[0] is not x or self.asked[1] != x._version:
            self.asked, self.answer = (x, x._version), self.function(x)
        return self.answer
