"""What a trained network says about new inputs: draws, moments, bands."""

from bnn_tutorial.prediction.closed_form import elbo, exact_moments, exact_nll
from bnn_tutorial.prediction.moments import ExactMoments, Moments
from bnn_tutorial.prediction.posterior import Posterior
from bnn_tutorial.prediction.predict import Prediction, predict

__all__ = [
    "ExactMoments",
    "Moments",
    "Posterior",
    "Prediction",
    "elbo",
    "exact_moments",
    "exact_nll",
    "predict",
]
