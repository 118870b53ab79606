"""What the notebooks show results with: plots, numbers for the prose, sliders over code."""

from bnn_tutorial.chapters import plotting
from bnn_tutorial.chapters.glue import glue
from bnn_tutorial.chapters.sliders import SlidersOverCode

__all__ = ["SlidersOverCode", "glue", "plotting"]
