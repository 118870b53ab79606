"""The book's numbered equations, each an identity that is checked when its chapter runs.

One module a chapter; the page "Verified equations" explains how to read the checks.
"""

from bnn_tutorial.derivations import (
    bayes,
    calibration,
    decisions,
    kl_and_elbo,
    mnist,
    other_roads,
    polynomial_regression,
    reparameterization,
    two_kinds,
    unfamiliar_inputs,
)
from bnn_tutorial.derivations.identity import CheckTable, Identity, IdentityError

CHAPTERS = (
    bayes,
    kl_and_elbo,
    reparameterization,
    polynomial_regression,
    mnist,
    two_kinds,
    other_roads,
    calibration,
    unfamiliar_inputs,
    decisions,
)
IDENTITIES = {identity.label: identity for chapter in CHAPTERS for identity in chapter.IDENTITIES}

__all__ = ["IDENTITIES", "CheckTable", "Identity", "IdentityError", "check"]


def check(*labels: str) -> CheckTable:
    """Run the checks of the equations with these labels, of all without any, as a table.

    The table of a few labels is folded, since it stands beside the text; that of all is open.

    Raises:
        KeyError: a label is no identity's.
        IdentityError: a check fails.

    Examples:
        >>> from bnn_tutorial import derivations
        >>> derivations.check("eq-baseline", "eq-gradient-noise")
        eq-baseline: f(w) = w³ and any b, by integration (symbolic): identical
        eq-gradient-noise: any covariance matrix of four gradients (symbolic): identical
    """
    unknown = [label for label in labels if label not in IDENTITIES]
    if unknown:
        raise KeyError(f"labels={unknown}: no such identity; expected some of {[*IDENTITIES]}")
    identities = [IDENTITIES[label] for label in labels or IDENTITIES]
    return CheckTable(identities, folded=bool(labels))
