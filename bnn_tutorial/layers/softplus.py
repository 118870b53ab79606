"""From a standard deviation to the parameter that is trained, rho.

Explained in the chapter "Reparameterization".
"""

import math

from bnn_tutorial.argument_checks import require_positive


def inverse_softplus(std: float) -> float:
    r"""Return the rho whose softplus is ``std``.

    .. math:: \rho = \log(e^{\sigma} - 1) = \sigma + \log(1 - e^{-\sigma})

    Args:
        std: a standard deviation, above 0.

    Raises:
        ValueError: ``std`` is not a positive finite number.

    Example:
        >>> import math
        >>> import bnn_tutorial as bt
        >>> rho = bt.inverse_softplus(0.05)
        >>> round(math.log(1 + math.exp(rho)), 6)
        0.05
    """
    require_positive(std=std)
    return std + math.log(-math.expm1(-std))
