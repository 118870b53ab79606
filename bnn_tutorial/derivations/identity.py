"""What it takes to call an equation verified: a label, the formula, and checks that can fail.

Used by every chapter; the page "Verified equations" lists all of them.
"""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

import sympy
from torch import Tensor

STANDARD_ERRORS = 5.0
GENERAL = "general"

# The two sides of a check.
Expressions = tuple[sympy.Expr | float, sympy.Expr | float]
Numbers = tuple[SupportsFloat, SupportsFloat]
Draws = tuple[Tensor, float]


@dataclass(frozen=True)
class Outcome:
    """One check that was run.

    Its ``left`` and ``right`` side as text, their ``difference``, and the ``tolerance``, which is
    the largest that is allowed.
    """

    left: str
    right: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance, and the tolerance finite."""
        return abs(self.difference) <= self.tolerance < math.inf


@dataclass(frozen=True)
class Check:
    """One way to test an identity.

    Its ``statement`` says what is compared, its ``method`` how; ``run`` compares. Its ``scope`` is
    "general" where it covers every case of which the equation speaks, for all values of the
    symbols, and otherwise says in words which instance it covers.
    """

    statement: str
    method: str
    run: Callable[[], Outcome]
    scope: str

    @property
    def coverage(self) -> str:
        """What the check covers, in a reader's words, general or an instance and which."""
        return GENERAL if self.scope == GENERAL else f"instance: {self.scope}"

    def __str__(self) -> str:
        return f"{self.statement} ({self.method}; {self.coverage})"


# The sides are Expressions, of which the API reference would look for SymPy's own page.
def symbolic(statement: str, sides: Callable[[], tuple[Any, Any]], *, scope: str) -> Check:
    """Return a check that two SymPy expressions are equal for every value of their symbols.

    Args:
        statement: what is compared, a sentence or a step of a derivation.
        sides: returns the two expressions.
        scope: "general", or the instance that is checked, such as "three data, any noise".

    Examples:
        >>> import sympy
        >>> from bnn_tutorial.derivations.identity import symbolic
        >>> x = sympy.Symbol("x")
        >>> def square():
        ...     return (x + 1) ** 2, x**2 + 2 * x + 1
        >>> symbolic("a square", square, scope="general").run().passed
        True
    """

    def run() -> Outcome:
        left, right = (sympy.sympify(side) for side in sides())
        equal = sympy.simplify(left - right) == 0
        return Outcome(str(left), str(right), 0.0 if equal else math.nan, 0.0)

    return Check(statement, "symbolic", run, scope)


def exact(
    statement: str,
    sides: Callable[[], Numbers],
    absolute_tolerance: float = 0.0,
    *,
    scope: str,
) -> Check:
    """Return a check that two numbers are equal up to rounding, 1e-9 of the larger one.

    Args:
        statement: what is compared.
        sides: returns the two numbers, computed in double precision or as fractions.
        absolute_tolerance: a difference that is allowed whatever the size of the numbers, as in
            ``math.isclose``; needed where one is 0 and the other 0 up to rounding.
        scope: the instance that is checked; "general" only where all cases are counted.

    Examples:
        >>> from bnn_tutorial.derivations.identity import exact
        >>> exact("a third", lambda: (1 / 3, 1 - 2 / 3), scope="one third").run().passed
        True
        >>> exact("two small numbers", lambda: (1e-12, 2e-12), scope="one pair").run().passed
        False
        >>> settings = {"absolute_tolerance": 1e-9, "scope": "one sum"}
        >>> exact("a rounded 0", lambda: (0.1 + 0.2 - 0.3, 0), **settings).run().passed
        True
    """
    return _numeric(statement, "exact arithmetic", sides, 1e-9, absolute_tolerance, scope)


def quadrature(
    statement: str,
    sides: Callable[[], Numbers],
    absolute_tolerance: float = 0.0,
    *,
    scope: str,
) -> Check:
    """Return a check of a numerical integral against a formula, to 1e-8 of the larger one.

    Args:
        statement: what is compared.
        sides: returns the integral and the formula's value.
        absolute_tolerance: a difference that is allowed whatever the size of the numbers; needed
            where the formula is an approximation or the integral a coarse one.
        scope: the instance that is checked, such as "one weight, two data".

    Examples:
        >>> import math
        >>> import torch
        >>> from bnn_tutorial.derivations.identity import quadrature
        >>> w = torch.linspace(-9, 9, 1001, dtype=torch.float64)
        >>> integral = torch.trapezoid(torch.exp(-(w**2) / 2), w)
        >>> sides = integral, math.sqrt(2 * math.pi)
        >>> quadrature("a bell", lambda: sides, scope="one grid").run().passed
        True
    """
    return _numeric(statement, "quadrature", sides, 1e-8, absolute_tolerance, scope)


def _numeric(
    statement: str,
    method: str,
    sides: Callable[[], Numbers],
    relative_tolerance: float,
    absolute_tolerance: float,
    scope: str,
) -> Check:
    def run() -> Outcome:
        left, right = (float(side) for side in sides())
        tolerance = max(relative_tolerance * max(abs(left), abs(right)), absolute_tolerance)
        return Outcome(f"{left:.6g}", f"{right:.6g}", left - right, tolerance)

    return Check(statement, method, run, scope)


def monte_carlo(statement: str, sides: Callable[[], Draws], *, scope: str) -> Check:
    """Return a check that independent draws average to a value, within 5 standard errors.

    Args:
        statement: what is compared.
        sides: returns the draws, shape (S,), and the expected value.
        scope: the instance that is checked, such as "one coin".

    Raises:
        ValueError: when it runs, the draws are not of shape (S,), or all are equal: their spread
            then says nothing of the average's error.

    Examples:
        >>> import torch
        >>> from bnn_tutorial.derivations.identity import monte_carlo
        >>> draws = torch.randn(1000, generator=torch.Generator().manual_seed(0))
        >>> monte_carlo("noise has mean 0", lambda: (draws, 0.0), scope="one seed").run().passed
        True
        >>> squares = draws.square()
        >>> monte_carlo("variance 2", lambda: (squares, 2.0), scope="one seed").run().passed
        False
    """

    def run() -> Outcome:
        draws, expected = sides()
        if draws.ndim != 1 or not (draws != draws[:1]).any():
            raise ValueError(
                f"{statement}: draws of shape {tuple(draws.shape)} with {len(draws.unique())} "
                "different values; expected shape (S,) and at least 2 different values"
            )
        draws = draws.double()
        standard_error = (draws.std() / math.sqrt(len(draws))).item()
        mean = draws.mean().item()
        return Outcome(
            f"{mean:.6g} ± {standard_error:.1g}",
            f"{expected:.6g}",
            mean - float(expected),
            STANDARD_ERRORS * standard_error,
        )

    return Check(statement, "Monte Carlo", run, scope)


@dataclass(frozen=True)
class Identity:
    """A numbered equation of the book.

    Args:
        label: the equation's label in its notebook, such as ``eq-bayes``.
        chapter: the notebook's name without its ending.
        name: what the equation is called.
        formula: its LaTeX, as the notebook prints it.
        checks: the ways in which it is tested, at least one.

    Examples:
        >>> from bnn_tutorial.derivations.identity import Identity, exact
        >>> halves = exact("two halves", lambda: (1 / 2 + 1 / 2, 1), scope="general")
        >>> Identity("eq-halves", "arithmetic", "Halves", "1/2 + 1/2 = 1", (halves,)).label
        'eq-halves'
    """

    label: str
    chapter: str
    name: str
    formula: str
    checks: tuple[Check, ...]


class IdentityError(AssertionError):
    """A check of an equation failed."""


class CheckTable:
    """The checks of some identities, run, as a table for a notebook, folded or open.

    Args:
        identities: those whose checks are run.
        folded: whether a notebook shows one line that opens, or all of the table.

    Raises:
        IdentityError: a check fails; the message names the equation, the check and both sides.

    Examples:
        >>> from bnn_tutorial.derivations.identity import CheckTable, Identity, exact
        >>> halves = exact("two halves", lambda: (1 / 2 + 1 / 2, 1), scope="general")
        >>> CheckTable([Identity("eq-halves", "arithmetic", "Halves", "1/2 + 1/2 = 1", (halves,))])
        eq-halves: two halves (exact arithmetic; general): 1 ≈ 1 within 1e-09
    """

    def __init__(self, identities: Sequence[Identity], *, folded: bool = False):
        self.folded = folded
        self.rows = [
            (identity, check, check.run()) for identity in identities for check in identity.checks
        ]
        for identity, check, outcome in self.rows:
            if not outcome.passed:
                raise IdentityError(
                    f"{identity.label}: {check}: {outcome.left} against {outcome.right}, "
                    f"difference {outcome.difference:.3g}, allowed {outcome.tolerance:.3g}"
                )

    def __repr__(self) -> str:
        return "\n".join(
            f"{identity.label}: {check}: {_verdict(check, outcome)}"
            for identity, check, outcome in self.rows
        )

    def _repr_html_(self) -> str:
        lines = ["<table><thead><tr>"]
        lines += [f"<th>{title}</th>" for title in ("What is compared", "How", "Scope", "Result")]
        lines.append("</tr></thead><tbody>")
        previous = None
        for identity, check, outcome in self.rows:
            if identity is not previous:
                # The formula is for the page that lists all; a folded table stands beside its own.
                formula = "" if self.folded else f"\\[{html.escape(identity.formula)}\\]"
                link = f"{identity.chapter}.html#equation-{identity.label}"
                lines.append(
                    f'<tr><th colspan="4" scope="rowgroup"><a href="{link}">'
                    f"{html.escape(identity.name)}</a>{formula}</th></tr>"
                )
                previous = identity
            verdict = f"✓ {_verdict(check, outcome)}"
            cells = (check.statement, check.method, check.coverage, verdict)
            lines += ["<tr>", *(f"<td>{html.escape(cell)}</td>" for cell in cells), "</tr>"]
        lines.append("</tbody></table>")
        table = "\n".join(lines)
        if not self.folded:
            return f'<div class="check-table has-formulas">{table}</div>'
        count = f"{len(self.rows)} check{'s' if len(self.rows) > 1 else ''}"
        names = ", ".join(dict.fromkeys(html.escape(row[0].name) for row in self.rows))
        return (
            f'<details class="check-table"><summary>✓ Verified by {count}: '
            f"{names}</summary><div>{table}</div></details>"
        )


def _verdict(check: Check, outcome: Outcome) -> str:
    if check.method == "symbolic":
        return "identical"
    return f"{outcome.left} ≈ {outcome.right} within {outcome.tolerance:.1g}"
