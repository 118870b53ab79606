"""What it takes to call an equation verified: a label, the formula, and checks that can fail.

Used by every chapter; the page "Verified equations" lists all of them.
"""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import sympy
from torch import Tensor

STANDARD_ERRORS = 5.0

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
        """Whether the difference is within the tolerance (False where either is NaN)."""
        return abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class Check:
    """One way to test an identity.

    Its ``statement`` says what is compared, its ``method`` how; ``run`` compares.
    """

    statement: str
    method: str
    run: Callable[[], Outcome]


def symbolic(statement: str, sides: Callable[[], Expressions]) -> Check:
    """Return a check that two SymPy expressions are equal for every value of their symbols.

    Args:
        statement: what is compared, a sentence or a step of a derivation.
        sides: returns the two expressions.
    """

    def run() -> Outcome:
        left, right = (sympy.sympify(side) for side in sides())
        equal = sympy.simplify(left - right) == 0
        return Outcome(str(left), str(right), 0.0 if equal else math.nan, 0.0)

    return Check(statement, "symbolic", run)


def exact(statement: str, sides: Callable[[], Numbers]) -> Check:
    """Return a check that two numbers are equal up to rounding, 1e-9 of the larger one.

    Args:
        statement: what is compared.
        sides: returns the two numbers, computed in double precision or as fractions.
    """

    def run() -> Outcome:
        left, right = (float(side) for side in sides())
        scale = max(1.0, abs(left), abs(right))
        return Outcome(f"{left:.6g}", f"{right:.6g}", left - right, 1e-9 * scale)

    return Check(statement, "exact arithmetic", run)


def quadrature(statement: str, sides: Callable[[], Numbers], tolerance: float = 1e-8) -> Check:
    """Return a check of a numerical integral against a formula.

    Args:
        statement: what is compared.
        sides: returns the integral and the formula's value.
        tolerance: the largest difference allowed, in the formula's units.
    """

    def run() -> Outcome:
        left, right = (float(side) for side in sides())
        return Outcome(f"{left:.6g}", f"{right:.6g}", left - right, tolerance)

    return Check(statement, "quadrature", run)


def monte_carlo(statement: str, sides: Callable[[], Draws]) -> Check:
    """Return a check that independent draws average to a value, within 5 standard errors.

    Args:
        statement: what is compared.
        sides: returns the draws, shape (S,), and the expected value.
    """

    def run() -> Outcome:
        draws, expected = sides()
        draws = draws.double()
        standard_error = (draws.std() / math.sqrt(len(draws))).item()
        mean = draws.mean().item()
        tolerance = STANDARD_ERRORS * standard_error
        return Outcome(
            f"{mean:.6g} ± {standard_error:.1g}",
            f"{expected:.6g}",
            mean - float(expected),
            tolerance,
        )

    return Check(statement, "Monte Carlo", run)


@dataclass(frozen=True)
class Identity:
    """A numbered equation of the book.

    Args:
        label: the equation's label in its notebook, such as ``eq-bayes``.
        chapter: the notebook's name without its ending.
        name: what the equation is called.
        formula: its LaTeX, as the notebook prints it.
        checks: the ways in which it is tested, at least one.
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

    Raises:
        IdentityError: a check fails; the message names the equation, the check and both sides.
    """

    def __init__(self, identities: Sequence[Identity], *, folded: bool = False):
        self.folded = folded
        self.rows = [
            (identity, check, check.run()) for identity in identities for check in identity.checks
        ]
        for identity, check, outcome in self.rows:
            if not outcome.passed:
                raise IdentityError(
                    f"{identity.label}: {check.statement} ({check.method}): {outcome.left} against "
                    f"{outcome.right}, difference {outcome.difference:.3g}, allowed "
                    f"{outcome.tolerance:.3g}"
                )

    def __repr__(self) -> str:
        return "\n".join(
            f"{identity.label}: {check.statement} ({check.method}): {_verdict(check, outcome)}"
            for identity, check, outcome in self.rows
        )

    def _repr_html_(self) -> str:
        lines = ["<table><thead><tr>"]
        lines += [f"<th>{title}</th>" for title in ("What is compared", "How", "Result")]
        lines.append("</tr></thead><tbody>")
        previous = None
        for identity, check, outcome in self.rows:
            if identity is not previous:
                # The formula is for the page that lists all; a folded table stands beside its own.
                formula = "" if self.folded else f"\\[{html.escape(identity.formula)}\\]"
                link = f"{identity.chapter}.html#equation-{identity.label}"
                lines.append(
                    f'<tr><th colspan="3" scope="rowgroup"><a href="{link}">'
                    f"{html.escape(identity.name)}</a>{formula}</th></tr>"
                )
                previous = identity
            cells = (check.statement, check.method, f"✓ {_verdict(check, outcome)}")
            lines += ["<tr>", *(f"<td>{html.escape(cell)}</td>" for cell in cells), "</tr>"]
        lines.append("</tbody></table>")
        table = "\n".join(lines)
        if not self.folded:
            return f'<div class="check-table mathjax_process">{table}</div>'
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
