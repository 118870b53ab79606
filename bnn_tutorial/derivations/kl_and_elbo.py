"""The numbered equations of the chapter "kl_and_elbo" and their checks."""

from bnn_tutorial.derivations.identity import Identity

IDENTITIES: tuple[Identity, ...] = ()
