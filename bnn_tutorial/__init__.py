"""Bayesian neural networks in PyTorch: the package behind the tutorial book."""

from bnn_tutorial import derivations, figures, plotting
from bnn_tutorial.calibration import (
    BandAudit,
    ReliabilityBins,
    audit_band,
    expected_calibration_error,
    reliability_bins,
)
from bnn_tutorial.checkpoints import load_model, save_model
from bnn_tutorial.conversion import EmpiricalPrior, deterministic_parameters, to_bayesian
from bnn_tutorial.convolutions import BayesianConv1d, BayesianConv2d, BayesianConv3d
from bnn_tutorial.datasets import (
    load_cifar10,
    load_fashion_mnist,
    load_mnist,
    polynomial_data,
)
from bnn_tutorial.distributed import process_group
from bnn_tutorial.exact import ExactMoments, elbo, exact_moments, exact_nll
from bnn_tutorial.history import History
from bnn_tutorial.kl_weighting import BlundellWeights, KLWarmup
from bnn_tutorial.layers import (
    BayesianLayer,
    BayesianLinear,
    bayesian_layers,
    inverse_softplus,
    posterior_mean,
)
from bnn_tutorial.likelihoods import CategoricalLikelihood, GaussianLikelihood
from bnn_tutorial.models import (
    ImageClassifier,
    alexnet,
    lenet5,
    mnist_network,
    regression_network,
    resnet20,
    three_conv_three_fc,
)
from bnn_tutorial.objectives import elbo_loss
from bnn_tutorial.optimization import NonFiniteLossError
from bnn_tutorial.posterior import NetworkPosterior, kl_divergence
from bnn_tutorial.prediction import Moments, Prediction, predict
from bnn_tutorial.priors import scale_mixture
from bnn_tutorial.randomness import seeded
from bnn_tutorial.references import (
    GaussianMoments,
    LinearRegressionPosterior,
    gaussian_process_posterior,
    linear_regression_posterior,
    relu_network_kernel,
)
from bnn_tutorial.reporting import glue
from bnn_tutorial.sliders import SlidersOverCode
from bnn_tutorial.training import evaluate, fit
from bnn_tutorial.uncertainty import EntropyDecomposition, auroc, decompose_entropy

__version__ = "0.1.0"

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
