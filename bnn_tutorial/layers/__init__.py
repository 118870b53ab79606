"""Bayesian layers, their priors and their KL, and how a network gets them."""

from bnn_tutorial.layers.bayesian import BayesianLayer, bayesian_layers, posterior_mean
from bnn_tutorial.layers.conversion import EmpiricalPrior, deterministic_parameters, to_bayesian
from bnn_tutorial.layers.convolutions import (
    BayesianConv1d,
    BayesianConv2d,
    BayesianConv3d,
    BayesianConvTranspose1d,
    BayesianConvTranspose2d,
    BayesianConvTranspose3d,
)
from bnn_tutorial.layers.linear import BayesianLinear
from bnn_tutorial.layers.network import NetworkPosterior, kl_divergence
from bnn_tutorial.layers.priors import scale_mixture
from bnn_tutorial.layers.softplus import inverse_softplus
from bnn_tutorial.layers.whole_module import BayesianModule

__all__ = [
    "BayesianConv1d",
    "BayesianConv2d",
    "BayesianConv3d",
    "BayesianConvTranspose1d",
    "BayesianConvTranspose2d",
    "BayesianConvTranspose3d",
    "BayesianLayer",
    "BayesianLinear",
    "BayesianModule",
    "EmpiricalPrior",
    "NetworkPosterior",
    "bayesian_layers",
    "deterministic_parameters",
    "inverse_softplus",
    "kl_divergence",
    "posterior_mean",
    "scale_mixture",
    "to_bayesian",
]
