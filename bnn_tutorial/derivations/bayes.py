"""The numbered equations of the chapter "bayes" and their checks."""

from bnn_tutorial.derivations.identity import Identity

IDENTITIES: tuple[Identity, ...] = ()
