"""Any module with a posterior over all its parameters: a recurrent cell, an embedding, attention.

See the API reference; the layers with estimators of their own are in ``linear.py`` and
``convolutions.py``.
"""

import copy
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from bnn_tutorial.argument_checks import require_positive
from bnn_tutorial.layers.bayesian import Bayesian, bayesian_layers
from bnn_tutorial.layers.priors import Prior
from bnn_tutorial.layers.softplus import inverse_softplus
from bnn_tutorial.layers.weight_kl import Gaussian, draw_weights


class BayesianModule(Bayesian):
    r"""Any module, run with parameters that are drawn: :math:`w \sim \mathcal N(\mu, \sigma^2)`.

    .. math:: \sigma = \log(1 + e^{\rho}), \qquad w = \mu + \sigma \epsilon, \quad
        \epsilon \sim \mathcal N(0, 1)

    All parameters of the module, and of what is inside it, are drawn once a forward pass, the same
    for all data: the estimator ``"weight"``. Buffers stay what they are. The module is called as
    ever, and its attributes are there; one that is a parameter's name is a draw of it.

    Args:
        module: copied; the means start at its parameters.
        prior: of every parameter, any univariate distribution on the real line; None means
            ``Normal(0, 1)``.
        init_std: the standard deviation that every parameter starts with.

    Raises:
        TypeError: ``prior`` is not a distribution.
        ValueError: ``module`` has no parameters, Bayesian layers inside it, or parameters that have
            no shape yet; ``init_std`` is not positive and finite; or ``prior`` is not univariate or
            not on the whole real line.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> lstm = bt.BayesianModule(torch.nn.LSTM(2, 3, batch_first=True))
        >>> outputs, (hidden, cell) = lstm(torch.zeros(5, 7, 2))
        >>> outputs.shape, lstm.hidden_size
        (torch.Size([5, 7, 3]), 3)
    """

    def __init__(
        self, module: nn.Module, *, prior: Distribution | None = None, init_std: float = 0.05
    ):
        super().__init__("weight")
        require_positive(init_std=init_std)
        if bayesian_layers(module):
            raise ValueError("module has Bayesian layers: expected a deterministic one")
        require_shapes(module)
        module = deep_copy(module)
        named = dict(module.named_parameters(remove_duplicate=False))
        if not named:
            raise ValueError(f"module={type(module).__name__} has no parameters: expected some")
        parameters = list(dict.fromkeys(named.values()))
        # A parameter under two names, as tied weights have, is one.
        place = {parameter: index for index, parameter in enumerate(parameters)}
        self._place_of = {name: place[parameter] for name, parameter in named.items()}
        prior = Normal(0.0, 1.0) if prior is None else prior
        self.means, self.rhos = nn.ParameterDict(), nn.ParameterDict()
        self.priors = nn.ModuleList()
        for name, parameter in module.named_parameters():
            mean = nn.Parameter(parameter.detach().clone())
            self.means[_key(name)] = mean
            self.rhos[_key(name)] = torch.full_like(mean, inverse_softplus(init_std))
            self.priors.append(Prior(prior, mean.shape, device=mean.device, dtype=mean.dtype))
        for name in named:
            _make_a_place(module, name)
        self.module = module
        self.train(module.training)

    def gaussians(self) -> list[Gaussian]:
        """Return the posterior of each parameter, in the order of the module's."""
        priors = cast("Iterable[Prior]", self.priors)
        parts = zip(self.means.values(), self.rhos.values(), priors, strict=True)
        return [Gaussian(*part) for part in parts]

    def set_priors(self, priors: Sequence[Distribution]) -> None:
        """Replace the priors of the parameters.

        Args:
            priors: one for each parameter, or one each of its elements, in the module's order.

        Raises:
            TypeError: one of them is not a distribution.
            ValueError: one is not univariate, not on the real line, or of another shape.
        """
        self.priors = nn.ModuleList(
            Prior(prior, mean.shape, device=mean.device, dtype=mean.dtype)
            for prior, mean in zip(priors, self.means.values(), strict=True)
        )

    def forward(self, *arguments, **keywords):
        """Call the module with one draw of its parameters, or with their means.

        Args:
            arguments: the module's own.
            keywords: those by name.
        """
        weights = self._weights()
        parameters = {name: weights[place] for name, place in self._place_of.items()}
        return torch.func.functional_call(
            self.module, parameters, arguments, keywords, tie_weights=False
        )

    def _weights(self) -> Sequence[Tensor]:
        parts = self.gaussians()
        if not self.sampling:
            return [part.mean for part in parts]
        return self._given_weights() or [draw_weights(part) for part in parts]

    def __getattr__(self, name: str):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "module" or name.startswith("__"):
                raise
        if name in self._place_of:
            return self._weights()[self._place_of[name]]
        return getattr(self.module, name)

    def extra_repr(self) -> str:
        """Describe the posterior in a print of the model."""
        return f"{self.module}, prior={self.priors[0]}"

    def __repr__(self) -> str:
        # The priors are submodules, but part of the module to a reader.
        return f"{type(self).__name__}({self.extra_repr()})"


def deep_copy(module: nn.Module) -> nn.Module:
    """Return a copy of ``module``; a weight that a hook makes, which has a graph, is made anew."""
    made = [t for part in module.modules() for t in vars(part).values() if isinstance(t, Tensor)]
    memo = {id(tensor): tensor.detach().clone() for tensor in made if not tensor.is_leaf}
    return copy.deepcopy(module, memo)


def require_shapes(module: nn.Module) -> None:
    """Check that every parameter has a shape.

    Raises:
        ValueError: one waits for the first batch to get it.
    """
    for name, parameter in module.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"{name!r} has no shape yet: expected a batch to be run through the lazy module "
                "before it becomes Bayesian"
            )


def _key(name: str) -> str:
    return name.replace(".", "/")  # a dot would be a submodule's


def _make_a_place(module: nn.Module, name: str) -> None:
    """Put a tensor that is neither trained nor saved where the parameter ``name`` was."""
    path, _, own_name = name.rpartition(".")
    owner = module.get_submodule(path)
    parameter = owner._parameters.pop(own_name)
    assert parameter is not None
    owner.register_buffer(own_name, torch.zeros_like(parameter), persistent=False)
