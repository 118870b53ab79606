"""The public names and where each is found: `__init__.py` loads one when it is first used."""

from . import derivations, figures, plotting
from .calibration import (
    BandAudit,
    ReliabilityBins,
    audit_band,
    expected_calibration_error,
    reliability_bins,
)
from .checkpoints import load_model, save_model
from .conversion import EmpiricalPrior, deterministic_parameters, to_bayesian
from .convolutions import BayesianConv1d, BayesianConv2d, BayesianConv3d
from .datasets import (
    load_cifar10,
    load_fashion_mnist,
    load_mnist,
    polynomial_data,
)
from .distributed import process_group
from .exact import ExactMoments, elbo, exact_moments, exact_nll
from .history import History
from .kl_weighting import BlundellWeights, KLWarmup
from .layers import (
    BayesianLayer,
    BayesianLinear,
    bayesian_layers,
    inverse_softplus,
    posterior_mean,
)
from .likelihoods import CategoricalLikelihood, GaussianLikelihood
from .models import (
    ImageClassifier,
    alexnet,
    lenet5,
    mnist_network,
    regression_network,
    resnet20,
    three_conv_three_fc,
)
from .objectives import elbo_loss
from .optimization import NonFiniteLossError
from .posterior import NetworkPosterior, kl_divergence
from .prediction import Moments, Prediction, predict
from .priors import scale_mixture
from .randomness import seeded
from .references import (
    GaussianMoments,
    LinearRegressionPosterior,
    gaussian_process_posterior,
    linear_regression_posterior,
    relu_network_kernel,
)
from .reporting import glue
from .sliders import SlidersOverCode
from .training import evaluate, fit
from .uncertainty import EntropyDecomposition, auroc, decompose_entropy

__version__: str

__all__ = [
    "BandAudit",
    "BayesianConv1d",
    "BayesianConv2d",
    "BayesianConv3d",
    "BayesianLayer",
    "BayesianLinear",
    "BlundellWeights",
    "CategoricalLikelihood",
    "EmpiricalPrior",
    "EntropyDecomposition",
    "ExactMoments",
    "GaussianLikelihood",
    "GaussianMoments",
    "History",
    "ImageClassifier",
    "KLWarmup",
    "LinearRegressionPosterior",
    "Moments",
    "NetworkPosterior",
    "NonFiniteLossError",
    "Prediction",
    "ReliabilityBins",
    "SlidersOverCode",
    "alexnet",
    "audit_band",
    "auroc",
    "bayesian_layers",
    "decompose_entropy",
    "derivations",
    "deterministic_parameters",
    "elbo",
    "elbo_loss",
    "evaluate",
    "exact_moments",
    "exact_nll",
    "expected_calibration_error",
    "figures",
    "fit",
    "gaussian_process_posterior",
    "glue",
    "inverse_softplus",
    "kl_divergence",
    "lenet5",
    "linear_regression_posterior",
    "load_cifar10",
    "load_fashion_mnist",
    "load_mnist",
    "load_model",
    "mnist_network",
    "plotting",
    "polynomial_data",
    "posterior_mean",
    "predict",
    "process_group",
    "regression_network",
    "reliability_bins",
    "relu_network_kernel",
    "resnet20",
    "save_model",
    "scale_mixture",
    "seeded",
    "three_conv_three_fc",
    "to_bayesian",
]
