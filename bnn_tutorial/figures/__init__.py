"""Interactive figures, which run on the page itself and as widgets in a live notebook."""

from bnn_tutorial.figures.bayes_by_counting import BayesByCounting
from bnn_tutorial.figures.cover import Cover
from bnn_tutorial.figures.decide import Decide
from bnn_tutorial.figures.draw_digit import DrawDigit
from bnn_tutorial.figures.gaussian_process import GaussianProcess
from bnn_tutorial.figures.gradient_noise import GradientNoise
from bnn_tutorial.figures.posterior_gallery import PosteriorGallery
from bnn_tutorial.figures.posterior_playground import PosteriorPlayground
from bnn_tutorial.figures.question import Question
from bnn_tutorial.figures.reliability import Reliability
from bnn_tutorial.figures.two_gaussians import TwoGaussians
from bnn_tutorial.figures.two_kinds import TwoKinds

__all__ = [
    "BayesByCounting",
    "Cover",
    "Decide",
    "DrawDigit",
    "GaussianProcess",
    "GradientNoise",
    "PosteriorGallery",
    "PosteriorPlayground",
    "Question",
    "Reliability",
    "TwoGaussians",
    "TwoKinds",
]
