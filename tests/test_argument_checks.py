import math

import pytest

from bnn_tutorial.argument_checks import (
    require_counts,
    require_integers,
    require_not_negative,
    require_positive,
)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (require_positive, [1e-300, 1], [0.0, -1, math.inf, math.nan]),
        (require_not_negative, [0, 0.0, 2.5], [-1e-300, math.inf, math.nan]),
        (require_counts, [1, 10**9], [0, -1]),
    ],
)
def test_a_wrong_number_is_named_as_the_caller_wrote_it(check, good, bad):
    for value in good:
        check(width=value)
    for value in bad:
        with pytest.raises(ValueError, match=f"^width={value}: expected"):
            check(depth=good[0], width=value)


@pytest.mark.parametrize("value", [1.0, True, "1", None])
def test_what_is_no_integer_is_named_as_the_caller_wrote_it(value):
    require_integers(depth=0, width=-1)
    with pytest.raises(TypeError, match=f"^width={value!r}: expected an integer"):
        require_integers(depth=0, width=value)
