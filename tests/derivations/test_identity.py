import doctest
import math
from fractions import Fraction

import pytest
import sympy
import torch

from bnn_tutorial import derivations
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
    "symbolic": symbolic("square", lambda: ((x + 1) ** 2, x**2 + 2 * x + 1), scope="one case"),
    "exact": exact("thirds", lambda: (Fraction(1, 3), 1 / 3), scope="one case"),
    "exact, small": exact("small", lambda: (1e-12 * (1 / 3), 1e-12 / 3), scope="one case"),
    "exact, 0": exact("nothing", lambda: (0, 0), scope="one case"),
    "exact, rounded 0": exact(
        "0", lambda: (0.1 + 0.2 - 0.3, 0), absolute_tolerance=1e-15, scope="one case"
    ),
    "quadrature": quadrature("integral", lambda: (0.5 + 1e-10, 0.5), scope="one case"),
    "quadrature, coarse": quadrature(
        "integral", lambda: (0.51, 0.5), absolute_tolerance=0.02, scope="one case"
    ),
    "monte_carlo": monte_carlo("mean", lambda: (draws(2.0), 2.0), scope="one case"),
}
WRONG = {
    "symbolic": symbolic("square", lambda: ((x + 1) ** 2, x**2 + 1), scope="one case"),
    "symbolic sign": symbolic("sign", lambda: (sympy.log(x), -sympy.log(x)), scope="one case"),
    "exact": exact("thirds", lambda: (Fraction(1, 3), 0.3333), scope="one case"),
    "exact, small": exact("small", lambda: (1e-12, 2e-12), scope="one case"),
    "exact, rounded 0": exact("0", lambda: (0.1 + 0.2 - 0.3, 0), scope="one case"),
    "exact, far from 0": exact("0", lambda: (1e-9, 0), absolute_tolerance=1e-10, scope="one case"),
    "exact, infinite": exact("infinite", lambda: (math.inf, 1.0), scope="one case"),
    "quadrature": quadrature("integral", lambda: (0.51, 0.5), scope="one case"),
    "quadrature, small": quadrature("integral", lambda: (2.2e-9, 2.1e-9), scope="one case"),
    "quadrature, NaN": quadrature("integral", lambda: (math.nan, 0.5), scope="one case"),
    "monte_carlo": monte_carlo("mean", lambda: (draws(2.0), 2.3), scope="one case"),
    "monte_carlo, NaN": monte_carlo(
        "mean", lambda: (torch.full((9,), torch.nan), 0.0), scope="one case"
    ),
    "monte_carlo, overflow": monte_carlo(
        "mean", lambda: (1e200 * draws(0.0).double(), 1e250), scope="one case"
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_true_statement_passes(name):
    assert RIGHT[name].run().passed


@pytest.mark.parametrize("name", WRONG)
def test_a_false_statement_fails(name):
    assert not WRONG[name].run().passed


@pytest.mark.parametrize(
    "values",
    [torch.tensor([]), torch.tensor([2.0]), torch.full((9,), 2.0), draws(2.0).view(10, 100)],
    ids=["none", "one", "all equal", "of two dimensions"],
)
def test_draws_that_tell_nothing_of_their_error_are_refused(values):
    with pytest.raises(ValueError, match=r"^mean: draws of .* expected shape \(S,\)"):
        monte_carlo("mean", lambda: (values, 2.0), scope="one case").run()


@pytest.mark.parametrize("module", [derivations, derivations.identity], ids=lambda m: m.__name__)
def test_examples_of_the_docstrings_hold(module):
    failed, attempted = doctest.testmod(module)
    assert attempted > 0
    assert failed == 0


def identity(*checks):
    return Identity("eq-test", "chapter", "test < name", "a = b", checks)


def test_a_table_shows_every_check_and_the_formula():
    table = CheckTable([identity(*RIGHT.values())])
    html = table._repr_html_()
    assert html.count("<td>✓") == len(RIGHT)
    assert 'href="chapter.html#equation-eq-test"' in html
    assert "test &lt; name" in html
    assert r"\[a = b\]" in html
    assert "eq-test: thirds (exact arithmetic; instance: one case): 0.333333 ≈ 0.333333" in repr(
        table
    )


def test_a_table_says_what_is_general_and_what_an_instance():
    checks = (
        symbolic("square", lambda: ((x + 1) ** 2, x**2 + 2 * x + 1), scope="general"),
        exact("thirds", lambda: (Fraction(1, 3), 1 / 3), scope="one <third>"),
    )
    table = CheckTable([identity(*checks)])
    assert "eq-test: square (symbolic; general): identical" in repr(table)
    assert "eq-test: thirds (exact arithmetic; instance: one <third>): 0.33" in repr(table)
    html = table._repr_html_()
    assert "<td>general</td>" in html
    assert "<td>instance: one &lt;third&gt;</td>" in html


def test_a_folded_table_is_one_line_and_still_runs_its_checks():
    html = CheckTable([identity(*RIGHT.values())], folded=True)._repr_html_()
    assert html.startswith('<details class="check-table"><summary>')
    assert f"Verified by {len(RIGHT)} checks: test &lt; name</summary>" in html
    assert html.count("<td>✓") == len(RIGHT)
    with pytest.raises(IdentityError):
        CheckTable([identity(WRONG["exact"])], folded=True)


def test_a_table_with_a_failing_check_is_an_error_that_names_it():
    with pytest.raises(
        IdentityError,
        match=r"eq-test: integral \(quadrature; instance: one case\): 0.51 against 0.5",
    ):
        CheckTable([identity(RIGHT["exact"], WRONG["quadrature"])])
