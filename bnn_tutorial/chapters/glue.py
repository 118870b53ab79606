"""Numbers that a chapter's prose quotes, taken from the run that computed them.

Used by every chapter.
"""

import numpy as np
from IPython.display import display
from torch import Tensor

# The prefix under which myst-nb looks for glued values and hides the output that carries them.
GLUE_PREFIX = "application/papermill.record/"


def glue(**values: float | int | str | Tensor | np.generic) -> None:
    """Make ``values`` available to the prose of the rendered page, each under its own name.

    The page writes them with the role ``{glue:text}``; a live notebook shows ``name = value``.
    Tensors of one element count as numbers.

    Raises:
        TypeError: a value is neither a number nor a string.

    Example:
        >>> import bnn_tutorial as bt
        >>> bt.glue(topic_share=0.25)  # as plain Python shows what is sent
        {'application/papermill.record/text/plain': '0.25', 'text/plain': 'topic_share = 0.25'}
    """
    for name, value in values.items():
        value = value.item() if isinstance(value, Tensor | np.generic) else value
        if not isinstance(value, (int, float, str)):
            raise TypeError(f"{name}={value!r}: expected a number or a string")
        display(
            {f"{GLUE_PREFIX}text/plain": repr(value), "text/plain": f"{name} = {value}"},
            raw=True,
            metadata={"scrapbook": {"name": name, "mime_prefix": GLUE_PREFIX}},
        )
