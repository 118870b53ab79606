"""The numbered equations of the chapter "mnist" and their checks."""

from bnn_tutorial.derivations.identity import Identity

IDENTITIES: tuple[Identity, ...] = ()
