"""The numbered equations of the chapter "polynomial_regression" and their checks."""

from bnn_tutorial.derivations.identity import Identity

IDENTITIES: tuple[Identity, ...] = ()
