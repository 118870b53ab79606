"""The book's numbered equations, each an identity that is checked when its chapter runs.

One module a chapter; the page "Verified equations" explains how to read the checks.
"""

from bnn_tutorial.derivations import (
    bayes,
    calibration,
    conformal,
    decisions,
    doubt_of_a_classifier,
    elbo,
    estimators,
    kl_divergence,
    mean_field,
    mnist,
    one_best_network,
    other_roads,
    polynomial_regression,
    reparameterization,
    sampling,
    selective_prediction,
    turned_digits,
    two_kinds,
    unfamiliar_inputs,
)
from bnn_tutorial.derivations.identity import CheckTable, Identity, IdentityError

CHAPTERS = (
    bayes,
    one_best_network,
    kl_divergence,
    elbo,
    reparameterization,
    estimators,
    polynomial_regression,
    mean_field,
    mnist,
    turned_digits,
    two_kinds,
    doubt_of_a_classifier,
    sampling,
    other_roads,
    calibration,
    conformal,
    unfamiliar_inputs,
    selective_prediction,
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
        >>> derivations.check("eq-decide-threshold", "eq-kinds-class")
        eq-decide-threshold: where both cost the same (symbolic; general): identical
        eq-kinds-class: both sides expanded (symbolic; instance: three draws, any p): identical
    """
    unknown = [label for label in labels if label not in IDENTITIES]
    if unknown:
        raise KeyError(f"labels={unknown}: no such identity; expected some of {[*IDENTITIES]}")
    identities = [IDENTITIES[label] for label in labels or IDENTITIES]
    return CheckTable(identities, folded=bool(labels))
