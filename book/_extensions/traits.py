"""The reference lists the traits of a figure: first value, bounds, meaning.

Each trait says in its `help` what it is; here this becomes a part of the
class's description, in place of one entry for each trait.
"""

import math
import re

import traitlets
from sphinx.application import Sphinx


def values(trait: traitlets.TraitType) -> str:
    """What the trait is at first, and what it may be, in words."""
    words = []
    if isinstance(trait.default_value, bool | int | float | str):
        words.append(f"``{trait.default_value!r}`` at first")
    ends = getattr(trait, "min", None), getattr(trait, "max", None)
    low, high = (
        None if end is None or math.isinf(end) else end for end in ends
    )
    if isinstance(trait, traitlets.Enum):
        choices = ", ".join(map(repr, trait.values or ()))
        words.append(f"one of ``{choices}``")
    elif low is not None:
        words.append(
            f"{low:g} or more" if high is None else f"{low:g} to {high:g}"
        )
    if trait.read_only:
        words.append("only to be read")
    return "; ".join(words) or type(trait).__name__.lower()


def add_traits(
    app: Sphinx,
    what: str,
    name: str,
    value: object,
    options: object,
    lines: list[str],
) -> None:
    """Put the class's own traits below its description, above an example."""
    if not isinstance(value, type) or not issubclass(
        value, traitlets.HasTraits
    ):
        return
    traits = value.class_own_traits(sync=True)
    entries = []
    for trait_name in filter(traits.__contains__, vars(value)):  # as written
        trait = traits[trait_name]
        meaning = re.sub(r"([\\*`|])", r"\\\1", trait.help)
        entries += [
            f"``{trait_name}`` : {values(trait)}",
            f"    {meaning}",
            "",
        ]
    # As napoleon, which runs before, writes the heading.
    example = ".. rubric:: Example"
    place = lines.index(example) if example in lines else len(lines)
    lines[place:place] = entries


def skip_traits(
    app: Sphinx,
    what: str,
    name: str,
    value: object,
    skip: bool,
    options: object,
) -> bool | None:
    """A trait has no entry of its own."""
    return True if isinstance(value, traitlets.TraitType) else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", add_traits)
    app.connect("autodoc-skip-member", skip_traits)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
