"""The numbered equations of the chapter "reparameterization" and their checks."""

from bnn_tutorial.derivations.identity import Identity

IDENTITIES: tuple[Identity, ...] = ()
