import math
from fractions import Fraction

import pytest
import sympy
import torch

from bnn_tutorial.derivations.identity import (
    CheckTable,
    Identity,
    IdentityError,
    exact,
    monte_carlo,
    quadrature,
    symbolic,
)

x = sympy.Symbol("x", real=True)


def draws(mean):
    return torch.randn(1000, generator=torch.Generator().manual_seed(0)) + mean


RIGHT = {
    "symbolic": symbolic("square", lambda: ((x + 1) ** 2, x**2 + 2 * x + 1)),
    "exact": exact("thirds", lambda: (Fraction(1, 3), 1 / 3)),
    "quadrature": quadrature("integral", lambda: (0.5 + 1e-10, 0.5)),
    "monte_carlo": monte_carlo("mean", lambda: (draws(2.0), 2.0)),
}
WRONG = {
    "symbolic": symbolic("square", lambda: ((x + 1) ** 2, x**2 + 1)),
    "symbolic sign": symbolic("sign", lambda: (sympy.log(x), -sympy.log(x))),
    "exact": exact("thirds", lambda: (Fraction(1, 3), 0.3333)),
    "quadrature": quadrature("integral", lambda: (0.51, 0.5)),
    "quadrature, NaN": quadrature("integral", lambda: (math.nan, 0.5)),
    "monte_carlo": monte_carlo("mean", lambda: (draws(2.0), 2.3)),
    "monte_carlo, NaN": monte_carlo("mean", lambda: (torch.full((9,), torch.nan), 0.0)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_true_statement_passes(name):
    assert RIGHT[name].run().passed


@pytest.mark.parametrize("name", WRONG)
def test_a_false_statement_fails(name):
    assert not WRONG[name].run().passed


def identity(*checks):
    return Identity("eq-test", "chapter", "test < name", "a = b", checks)


def test_a_table_shows_every_check_and_the_formula():
    table = CheckTable([identity(*RIGHT.values())])
    html = table._repr_html_()
    assert html.count("<td>✓") == len(RIGHT)
    assert 'href="chapter.html#equation-eq-test"' in html
    assert "test &lt; name" in html
    assert r"\[a = b\]" in html
    assert "eq-test: thirds (exact arithmetic): 0.333333 ≈ 0.333333" in repr(table)


def test_a_folded_table_is_one_line_and_still_runs_its_checks():
    html = CheckTable([identity(*RIGHT.values())], folded=True)._repr_html_()
    assert html.startswith('<details class="check-table"><summary>')
    assert "Verified by 4 checks: test &lt; name</summary>" in html
    assert html.count("<td>✓") == len(RIGHT)
    with pytest.raises(IdentityError):
        CheckTable([identity(WRONG["exact"])], folded=True)


def test_a_table_with_a_failing_check_is_an_error_that_names_it():
    with pytest.raises(IdentityError, match=r"eq-test: integral \(quadrature\): 0.51 against 0.5"):
        CheckTable([identity(RIGHT["exact"], WRONG["quadrature"])])
