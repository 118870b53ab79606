"""Bayesian neural networks in PyTorch: the package behind the tutorial book.

``__init__.pyi`` lists the public names; each is loaded when it is first used, and with it what it
needs: ``import bnn_tutorial`` alone brings not even PyTorch.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
