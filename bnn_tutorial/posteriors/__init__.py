"""Other ways to a posterior than variational layers."""

from bnn_tutorial.posteriors.conjugate import (
    LinearRegressionPosterior,
    gaussian_process_posterior,
    linear_regression_posterior,
    relu_network_kernel,
)
from bnn_tutorial.posteriors.diagnostics import effective_sample_size, r_hat
from bnn_tutorial.posteriors.ensembles import DeepEnsemble
from bnn_tutorial.posteriors.hmc import Chains, hmc
from bnn_tutorial.posteriors.ivon import IVON
from bnn_tutorial.posteriors.laplace import laplace
from bnn_tutorial.posteriors.laplace_posterior import LaplacePosterior
from bnn_tutorial.posteriors.log_posterior import log_posterior
from bnn_tutorial.posteriors.mc_dropout import mc_dropout
from bnn_tutorial.posteriors.sgld import sgld
from bnn_tutorial.posteriors.swag import SWAGPosterior, swag
from bnn_tutorial.posteriors.weight_samples import WeightSamples

__all__ = [
    "IVON",
    "Chains",
    "DeepEnsemble",
    "LaplacePosterior",
    "LinearRegressionPosterior",
    "SWAGPosterior",
    "WeightSamples",
    "effective_sample_size",
    "gaussian_process_posterior",
    "hmc",
    "laplace",
    "linear_regression_posterior",
    "log_posterior",
    "mc_dropout",
    "r_hat",
    "relu_network_kernel",
    "sgld",
    "swag",
]
