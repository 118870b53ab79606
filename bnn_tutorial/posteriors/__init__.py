"""Other ways to a posterior than variational layers."""

from bnn_tutorial.posteriors.conjugate import (
    LinearRegressionPosterior,
    gaussian_process_posterior,
    linear_regression_posterior,
    relu_network_kernel,
)

__all__ = [
    "LinearRegressionPosterior",
    "gaussian_process_posterior",
    "linear_regression_posterior",
    "relu_network_kernel",
]
