"""Bayesian neural networks in PyTorch: the package behind the tutorial book."""

from bnn_tutorial import derivations, plotting
from bnn_tutorial.calibration import (
    BandAudit,
    ReliabilityBins,
    audit_band,
    expected_calibration_error,
    reliability_bins,
)
from bnn_tutorial.checkpoints import load_model, save_model
from bnn_tutorial.conversion import to_bayesian
from bnn_tutorial.datasets import load_mnist, polynomial_data
from bnn_tutorial.layers import (
    BayesianConv2d,
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
from bnn_tutorial.objectives import elbo_loss, kl_divergence
from bnn_tutorial.prediction import Prediction, predict
from bnn_tutorial.randomness import seeded
from bnn_tutorial.reporting import glue
from bnn_tutorial.training import History, NonFiniteLossError, evaluate, fit
from bnn_tutorial.uncertainty import EntropyDecomposition, auroc, decompose_entropy

__version__ = "0.1.0"

__all__ = [
    "BandAudit",
    "BayesianConv2d",
    "BayesianLayer",
    "BayesianLinear",
    "CategoricalLikelihood",
    "EntropyDecomposition",
    "GaussianLikelihood",
    "History",
    "ImageClassifier",
    "NonFiniteLossError",
    "Prediction",
    "ReliabilityBins",
    "alexnet",
    "audit_band",
    "auroc",
    "bayesian_layers",
    "decompose_entropy",
    "derivations",
    "elbo_loss",
    "evaluate",
    "expected_calibration_error",
    "fit",
    "glue",
    "inverse_softplus",
    "kl_divergence",
    "lenet5",
    "load_mnist",
    "load_model",
    "mnist_network",
    "plotting",
    "polynomial_data",
    "posterior_mean",
    "predict",
    "regression_network",
    "reliability_bins",
    "resnet20",
    "save_model",
    "seeded",
    "three_conv_three_fc",
    "to_bayesian",
]
