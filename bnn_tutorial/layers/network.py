"""The posterior of a whole network: all weights drawn at once, the KL divergence along with them.

Where the prior is one Normal, ``draw_and_kl.py`` does both in one step. Explained in the chapter
"Reparameterization".
"""

import contextlib
import itertools
from collections.abc import Generator, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod

from bnn_tutorial.layers.bayesian import Bayesian, bayesian_layers, drawing_with
from bnn_tutorial.layers.draw_and_kl import DrawAndKL, VectorLayout, one_normal_prior
from bnn_tutorial.layers.weight_kl import (
    Gaussian,
    closed_form,
    cross_entropy_estimate,
    draw_weights,
    kl_to_priors,
)

# Numbers drawn at once for several networks: few enough to stay in a processor's cache.
_BLOCK = 2**18


def kl_divergence(module: nn.Module, num_samples: int = 1) -> Tensor:
    r"""Return the KL divergence of all Bayesian layers inside ``module``: a scalar in nats.

    .. math:: \sum_{\text{layers } \ell} \mathrm{KL}\left(q_\ell \,\|\, p_\ell\right)

    A layer that appears in several places counts once. Without any Bayesian layer the result is 0.
    Where the prior leaves no closed form, its part is estimated from fresh draws,

    .. math:: -\mathbb H[q] - \frac1S \sum_{s=1}^S \log p(w_s), \qquad w_s \sim q,

    which is unbiased and has the variance :math:`\frac1S \sum_i \mathrm{Var}_q[\log p(w_i)]`.

    Args:
        module: any module.
        num_samples: S, the draws of such an estimate.

    Raises:
        ValueError: ``num_samples`` is below 1.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> layer = bt.BayesianLinear(2, 2, bias=False, init_std=1.0)
        >>> _ = torch.nn.init.ones_(layer.weight_mean)  # N(1, 1), four times
        >>> print(f"{bt.kl_divergence(layer).item():.3f}")  # 4 * (1 - 0)**2 / 2
        2.000
    """
    parts = _parts(bayesian_layers(module))
    if not parts:
        anchor = next(module.parameters(), torch.zeros(()))
        return torch.zeros((), device=anchor.device, dtype=anchor.dtype)
    return kl_to_priors(parts, num_samples)


def _parts(layers: list[Bayesian]) -> list[Gaussian]:
    """Return the Gaussians of ``layers``, with what a pruning leaves of them."""
    for layer in layers:
        for hook in layer._forward_pre_hooks.values():
            if isinstance(hook, BasePruningMethod):
                hook(layer, None)
    return [part for layer in layers for part in layer.gaussians()]


def _noise(count: int, like: Tensor, generators: dict[torch.device, torch.Generator]) -> Tensor:
    shape = (count, *like.shape)
    generator = generators[like.device]
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


class NetworkPosterior:
    r"""All weights of a network's Bayesian layers, drawn together.

    Make it anew after the network's layers, priors, precision or device have changed. It draws for
    the layers whose estimator is ``"weight"``; the others draw as they do without it.

    Args:
        module: the network; it is not copied.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> model = bt.to_bayesian(bt.regression_network(20), estimator="weight")
        >>> x = torch.ones(5, 1)
        >>> with bt.NetworkPosterior(model).draw() as kl:
        ...     print(model(x).equal(model(x)))  # the same weights both times
        True
        >>> torch.allclose(kl, bt.kl_divergence(model))
        True
    """

    def __init__(self, module: nn.Module):
        layers = bayesian_layers(module)
        self._layers = [layer for layer in layers if layer.estimator == "weight"]
        self._other_layers = [layer for layer in layers if layer.estimator != "weight"]
        self._num_parts = [len(layer.gaussians()) for layer in self._layers]
        self._drawn, self._others = _parts(self._layers), _parts(self._other_layers)
        parts = self._drawn + self._others
        anchor = next(module.parameters(), torch.zeros(()))
        self._no_kl = torch.zeros((), device=anchor.device)
        self._one_prior = one_normal_prior(parts)
        means = [part.mean for part in parts]
        self._layouts = VectorLayout(means[: len(self._drawn)]), VectorLayout(means)
        self._parameters = means + [part.rho for part in parts]
        # What a subclass, a parametrization or a pruning makes of them is made anew each time.
        self._made = any(not isinstance(tensor, nn.Parameter) for tensor in self._parameters)

    def _make_anew(self) -> None:
        if self._made:
            self._drawn, self._others = _parts(self._layers), _parts(self._other_layers)
            parts = self._drawn + self._others
            self._parameters = [part.mean for part in parts] + [part.rho for part in parts]

    @contextlib.contextmanager
    def draw(self) -> Iterator[Tensor]:
        """Use one draw of the weights inside the ``with`` block; its target is the KL in nats.

        Where a prior leaves no closed form, the KL is estimated from the very weights of the draw
        (from fresh ones in layers with another estimator), as
        :func:`bnn_tutorial.kl_divergence` does with ``num_samples=1``. Gradients are of first
        order.

        Raises:
            RuntimeError: a gradient of a gradient is taken.
        """
        if not self._drawn and not self._others:
            yield self._no_kl
            return
        self._make_anew()
        if self._one_prior is not None:
            kl, *weights = DrawAndKL.apply(*self._one_prior, *self._layouts, *self._parameters)
        else:
            weights = [draw_weights(part) for part in self._drawn]
            kl = self._kl_with(weights)
        with drawing_with(self._layers, "drawn") as use:
            use(self._by_layer(weights))
            yield kl

    def draws(self, num_samples: int, seed: int) -> Generator[int, None, None]:
        """Yield 0 to ``num_samples`` - 1; at each step the layers use another draw, without KL.

        The weights are the same for the same ``seed``, whatever else is drawn in between. Close the
        iterator (:func:`contextlib.closing`), so that the layers draw for themselves again.

        Args:
            num_samples: how many draws.
            seed: of the weights' own generators, one a device.
        """
        self._make_anew()
        devices = {part.mean.device for part in self._drawn}
        generators = {device: torch.Generator(device).manual_seed(seed) for device in devices}
        stds = [F.softplus(part.rho) for part in self._drawn]
        size = sum(std.numel() for std in stds)
        block = max(1, _BLOCK // max(1, size))
        with drawing_with(self._layers, "drawn") as use:
            for start in range(0, num_samples, block):
                count = min(block, num_samples - start)
                weights = [
                    torch.addcmul(part.mean, std, _noise(count, part.mean, generators)).unbind()
                    for part, std in zip(self._drawn, stds, strict=True)
                ]
                for index in range(count):
                    use(self._by_layer([weight[index] for weight in weights]))
                    yield start + index

    def _kl_with(self, weights: list[Tensor]) -> Tensor:
        kl = kl_to_priors(self._others, 1) if self._others else self._no_kl
        for part, weight in zip(self._drawn, weights, strict=True):
            value = closed_form(part)
            if value is None:
                value = cross_entropy_estimate(part, [weight])
            kl = kl + value.to(kl.device)
        return kl

    def _by_layer(self, weights: list[Tensor]) -> list[tuple[Tensor, ...]]:
        remaining = iter(weights)
        return [tuple(itertools.islice(remaining, count)) for count in self._num_parts]
