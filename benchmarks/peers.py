"""The same network and training loss as each library's documentation writes them.

Used by ``speed.py``; explained on the page "How fast, how accurate". Every library keeps its own
default prior and initialization, which change no step's cost.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Normal

import bnn_tutorial as bt

# As the registry names them.
PACKAGES = ("torchbnn", "bayesian-torch", "blitz-bayesian-pytorch", "torch-uncertainty")
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Contender:
    """A network as one library has it, and ``loss(x, y)``: what a training step minimizes."""

    model: nn.Module
    loss: Loss


def with_layers(
    network: nn.Module,
    linear: Callable[[nn.Linear], nn.Module],
    convolution: Callable[[nn.Conv2d], nn.Module],
) -> nn.Module:
    """Return a copy of ``network`` with every Linear and Conv2d replaced."""
    network = copy.deepcopy(network)
    for name, child in network.named_children():
        if isinstance(child, nn.Linear):
            setattr(network, name, linear(child))
        elif isinstance(child, nn.Conv2d):
            setattr(network, name, convolution(child))
        else:
            setattr(network, name, with_layers(child, linear, convolution))
    return network


def twin(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
    """The deterministic network itself."""
    model = copy.deepcopy(network)
    return Contender(model, lambda x, y: criterion(model(x), y))


def ours(estimator: str) -> Callable[..., Contender]:
    """This package, with one of its estimators, in the step that :func:`bt.fit` takes."""

    def build(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
        model = bt.to_bayesian(network, estimator=estimator)
        posterior = bt.NetworkPosterior(model)

        def loss(x: Tensor, y: Tensor) -> Tensor:
            with posterior.draw() as kl:
                return bt.elbo_loss(criterion(model(x), y), kl, num_data=num_data)

        return Contender(model, loss)

    return build


def ours_in_a_plain_loop(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
    """This package in the loop that a user writes: forward, :func:`bt.kl_divergence`, their sum."""
    model = bt.to_bayesian(network, estimator="weight")
    return Contender(
        model, lambda x, y: criterion(model(x), y) + bt.kl_divergence(model) / num_data
    )


def torchbnn(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
    """torchbnn: its layers and its BKLLoss."""
    import torchbnn  # pyright: ignore[reportMissingImports]

    model = with_layers(
        network,
        lambda layer: torchbnn.BayesLinear(0.0, 0.1, layer.in_features, layer.out_features),
        lambda layer: torchbnn.BayesConv2d(
            0.0,
            0.1,
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            padding=layer.padding,
        ),
    )
    kl = torchbnn.BKLLoss(reduction="sum")
    return Contender(model, lambda x, y: criterion(model(x), y) + kl(model) / num_data)


def bayesian_torch(layers: str) -> Callable[..., Contender]:
    """bayesian-torch: dnn_to_bnn and get_kl_loss; ``layers`` is Reparameterization or Flipout."""

    def build(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
        from bayesian_torch.models.dnn_to_bnn import dnn_to_bnn, get_kl_loss  # pyright: ignore[reportMissingImports]

        model = copy.deepcopy(network)
        dnn_to_bnn(
            model,
            {
                "prior_mu": 0.0,
                "prior_sigma": 1.0,
                "posterior_mu_init": 0.0,
                "posterior_rho_init": -3.0,
                "type": layers,
                "moped_enable": False,
                "moped_delta": 0.5,
            },
        )
        return Contender(model, lambda x, y: criterion(model(x), y) + get_kl_loss(model) / num_data)

    return build


def blitz(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
    """BLiTZ: its layers and the sample_elbo that its decorator adds."""
    from blitz.modules import BayesianConv2d, BayesianLinear  # pyright: ignore[reportMissingImports]
    from blitz.utils import variational_estimator  # pyright: ignore[reportMissingImports]

    # The decorator writes into the class that it is given, so torch's own must not be.
    @variational_estimator
    class Network(nn.Sequential):
        sample_elbo: Callable[..., Tensor]

    model = Network(
        with_layers(
            network,
            lambda layer: BayesianLinear(layer.in_features, layer.out_features),
            lambda layer: BayesianConv2d(
                layer.in_channels, layer.out_channels, layer.kernel_size, padding=layer.padding
            ),
        )
    )
    return Contender(
        model,
        lambda x, y: model.sample_elbo(
            x, y, criterion, sample_nbr=1, complexity_cost_weight=1 / num_data
        ),
    )


def torch_uncertainty(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
    """torch-uncertainty: its layers and its ELBOLoss."""
    from torch_uncertainty.layers.bayesian import BayesConv2d, BayesLinear  # pyright: ignore[reportMissingImports]
    from torch_uncertainty.losses import ELBOLoss  # pyright: ignore[reportMissingImports]

    model = with_layers(
        network,
        lambda layer: BayesLinear(layer.in_features, layer.out_features),
        lambda layer: BayesConv2d(
            layer.in_channels, layer.out_channels, layer.kernel_size, padding=layer.padding
        ),
    )
    return Contender(model, ELBOLoss(model, criterion, kl_weight=1 / num_data, num_samples=1))


class PlainLocal(nn.Module):
    """The local reparameterization written down as its formulas stand (Kingma et al., 2015)."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        # Without its parameters the layer is only its linear map.
        self.map = [copy.deepcopy(layer).requires_grad_(False)]
        self.mean = nn.ParameterDict(dict(copy.deepcopy(layer).named_parameters()))
        self.rho = nn.ParameterDict(
            {name: torch.full_like(value, -3.0) for name, value in layer.named_parameters()}
        )

    def std(self) -> dict[str, Tensor]:
        """The standard deviations by the parameter's name."""
        return {name: nn.functional.softplus(rho) for name, rho in self.rho.items()}

    def kl_divergence(self) -> Tensor:
        """The KL divergence to Normal(0, 1) in nats."""
        prior = Normal(0.0, 1.0)
        return sum(
            (
                torch.distributions.kl_divergence(Normal(self.mean[name], std), prior).sum()
                for name, std in self.std().items()
            ),
            torch.zeros(()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Draw every pre-activation from its Gaussian."""
        variances = {name: std.square() for name, std in self.std().items()}
        mean = torch.func.functional_call(self.map[0], dict(self.mean), x)
        variance = torch.func.functional_call(self.map[0], variances, x.square())
        return mean + variance.sqrt() * torch.randn_like(mean)


def plain_local(network: nn.Module, criterion: Loss, num_data: int) -> Contender:
    """No library: the local reparameterization in a few plain lines, where no peer has it."""
    model = with_layers(network, PlainLocal, PlainLocal)
    layers = [layer for layer in model.modules() if isinstance(layer, PlainLocal)]
    return Contender(
        model,
        lambda x, y: criterion(model(x), y) + sum(la.kl_divergence() for la in layers) / num_data,
    )


# By estimator: what draws weights once a forward pass, what draws pre-activations, and flipout.
WEIGHT = {
    "torchbnn": torchbnn,
    "bayesian-torch": bayesian_torch("Reparameterization"),
    "BLiTZ": blitz,
    "torch-uncertainty": torch_uncertainty,
}
LOCAL = {"plain local": plain_local}
FLIPOUT = {"bayesian-torch flipout": bayesian_torch("Flipout")}
