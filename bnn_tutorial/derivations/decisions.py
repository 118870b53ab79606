"""The numbered equations of the chapter "decisions" and their checks."""

import itertools

import sympy
import torch
from sympy import symbols
from torch import Tensor

from bnn_tutorial.derivations.distributions import standard_draws
from bnn_tutorial.derivations.identity import (
    Draws,
    Expressions,
    Identity,
    Numbers,
    exact,
    monte_carlo,
    quadrature,
    symbolic,
)

# What the three actions "send home", "treat" and "refer" cost for the well and for the ill.
COSTS = torch.tensor([[0.0, 50.0], [5.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
P, ALARM, MISS, REFER = symbols("p c_alarm c_miss c_refer", positive=True)
POSITION, PREMIUM, AVERSION, SECOND = symbols("a m gamma v", positive=True)


def _all_rules() -> Numbers:
    """Of all ways to assign three actions to five patients, the least expected cost."""
    probabilities = standard_draws(0, 5, 2).softmax(dim=1)
    expected = (probabilities @ COSTS.T).tolist()
    sums = (
        sum(row[action] for row, action in zip(expected, rule, strict=True))
        for rule in itertools.product(range(3), repeat=5)
    )
    return min(sums), (probabilities @ COSTS.T).min(dim=1).values.sum()


def _promise() -> Draws:
    """What the rule pays over what it promised, with labels drawn from the probabilities."""
    generator = torch.Generator().manual_seed(1)
    probability = torch.rand(100_000, generator=generator, dtype=torch.float64)
    label = (torch.rand(100_000, generator=generator, dtype=torch.float64) < probability).long()
    expected = torch.stack([1 - probability, probability], dim=1) @ COSTS.T
    promised, action = expected.min(dim=1)
    return COSTS[action, label] - promised, 0.0


EQ_DECIDE_RULE = Identity(
    label="eq-decide-rule",
    chapter="decisions",
    name="The action of least expected cost",
    formula=r"a^* = \arg\min_a \sum_c p_c\, C_{ac}",
    checks=(
        exact(
            "the best of all 243 assignments", _all_rules, scope="five patients, one table of costs"
        ),
        monte_carlo(
            "what is paid is what was promised, on average", _promise, scope="one table of costs"
        ),
    ),
)


def _threshold() -> Expressions:
    """The probability at which an alarm and none cost the same."""
    (equal,) = sympy.solve((1 - P) * ALARM - P * MISS, P)
    return equal, ALARM / (ALARM + MISS)


EQ_DECIDE_THRESHOLD = Identity(
    label="eq-decide-threshold",
    chapter="decisions",
    name="The threshold of two actions",
    formula=r"p > \frac{c_{\text{alarm}}}{c_{\text{alarm}} + c_{\text{miss}}}",
    checks=(symbolic("where both cost the same", _threshold, scope="general"),),
)


def _send_home_or_refer() -> Expressions:
    (equal,) = sympy.solve(P * MISS - REFER, P)
    return equal, REFER / MISS


def _treat_or_refer() -> Expressions:
    (equal,) = sympy.solve((1 - P) * ALARM - REFER, P)
    return equal, 1 - REFER / ALARM


def _referred_share() -> Numbers:
    """The share of a fine grid that the table of costs refers."""
    probability = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    action = (torch.stack([1 - probability, probability], dim=1) @ COSTS.T).argmin(dim=1)
    return (action == 2).double().mean(), (1 - 1 / 5) - 1 / 50


EQ_DECIDE_REFER = Identity(
    label="eq-decide-refer",
    chapter="decisions",
    name="Between two limits: a referral",
    formula=r"""\text{refer if} \quad \frac{c_{\text{refer}}}{c_{\text{miss}}} < p
< 1 - \frac{c_{\text{refer}}}{c_{\text{alarm}}}""",
    checks=(
        symbolic(
            "lower limit: to send home costs as much",
            _send_home_or_refer,
            scope="any costs; the lower limit alone",
        ),
        symbolic(
            "upper limit: to treat costs as much",
            _treat_or_refer,
            scope="any costs; the upper limit alone",
        ),
        exact("on a grid of probabilities", _referred_share, scope="the chapter's costs"),
    ),
)


def _chow() -> Numbers:
    """How many of 1,000 answers the full table refers, and how many Chow's rule does."""
    probabilities = (2 * standard_draws(2, 1000, 4)).softmax(dim=1)
    wrong, refer = 10.0, 1.5
    answers = wrong * (1 - torch.eye(4, dtype=torch.float64))
    table = torch.cat([answers, torch.full((1, 4), refer, dtype=torch.float64)])
    by_table = (probabilities @ table.T).argmin(dim=1) == 4
    by_chow = 1 - probabilities.max(dim=1).values > refer / wrong
    return (by_table == by_chow).sum(), 1000


EQ_DECIDE_CHOW = Identity(
    label="eq-decide-chow",
    chapter="decisions",
    name="Chow's rule",
    formula=r"""\text{refer if} \quad 1 - \max_c p_c > \frac{c_{\text{refer}}}{c_{\text{wrong}}}""",
    checks=(
        exact(
            "by the table of costs", _chow, scope="1,000 answers of four classes, one pair of costs"
        ),
    ),
)


def _mean_first() -> Numbers:
    draws = standard_draws(3, 50, 4, 2).softmax(dim=-1)
    costs_first = (draws @ COSTS.T).mean(dim=0)
    return costs_first.norm(), (draws.mean(dim=0) @ COSTS.T).norm()


EQ_DECIDE_MEAN = Identity(
    label="eq-decide-mean",
    chapter="decisions",
    name="Only the averaged probability counts",
    formula=r"\mathbb E_w\Big[ \sum_c p_c(w)\, C_{ac} \Big] = \sum_c \bar p_c\, C_{ac}",
    checks=(exact("costs first, average first", _mean_first, scope="50 draws, four patients"),),
)


def _expected_costs(probability: Tensor) -> Tensor:
    return torch.stack([1 - probability, probability], dim=-1) @ COSTS.T


def _worth_of_nothing() -> Numbers:
    """Draws that agree: nothing could be learnt about w."""
    agreed = torch.full((7,), 0.3, dtype=torch.float64)
    best_after = _expected_costs(agreed).min(dim=-1).values.mean()
    return _expected_costs(agreed.mean()).min() - best_after, 0.0


def _worth_by_quadrature() -> Numbers:
    """With p uniform over the draws the least cost is three straight pieces."""
    probability = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    after = torch.trapezoid(_expected_costs(probability).min(dim=-1).values, probability)
    before = _expected_costs(torch.tensor(0.5, dtype=torch.float64)).min()
    low, high = 1 / 50, 4 / 5  # between them a referral, which costs 1
    return before - after, 1 - (low / 2 + (high - low) + (1 - high) / 2)


EQ_DECIDE_WORTH = Identity(
    label="eq-decide-worth",
    chapter="decisions",
    name="What knowing the weights would be worth",
    formula=r"""\begin{aligned}
V ={}& \min_a \sum_c \bar p_c\, C_{ac} \\
& - \mathbb E_w\Big[ \min_a \sum_c p_c(w)\, C_{ac} \Big] \ge 0
\end{aligned}""",
    checks=(
        exact(
            "nothing to learn: 0",
            _worth_of_nothing,
            absolute_tolerance=1e-12,
            scope="draws that agree",
        ),
        quadrature(
            "by areas", _worth_by_quadrature, scope="p uniform over the draws, one table of costs"
        ),
    ),
)


def _best_position() -> Expressions:
    cost = -PREMIUM * POSITION + AVERSION / 2 * POSITION**2 * SECOND
    (best,) = sympy.solve(sympy.diff(cost, POSITION), POSITION)
    return best, PREMIUM / (AVERSION * SECOND)


def _best_of_draws() -> Numbers:
    """The cheapest of many positions, by its mean cost over drawn returns."""
    returns = 1.3 * standard_draws(4, 5000)
    positions = torch.linspace(0, 3, 3001, dtype=torch.float64)
    second = returns.square().mean()
    means = -0.03 * positions + 0.02 / 2 * positions.square() * second
    return positions[means.argmin()], 0.03 / (0.02 * second)


EQ_DECIDE_POSITION = Identity(
    label="eq-decide-position",
    chapter="decisions",
    name="The position that balances premium and risk",
    formula=r"""\begin{aligned}
C(a, r) &= -m\, a + \tfrac\gamma2\, (a r)^2, \\
a^* &= \frac{m}{\gamma\, \mathbb E[r^2]}
\end{aligned}""",
    checks=(
        symbolic("the slope of the expected cost is 0", _best_position, scope="general"),
        quadrature(
            "the best of 3,001 positions",
            _best_of_draws,
            absolute_tolerance=1e-3,
            scope="5,000 returns, one premium and aversion",
        ),
    ),
)


def _held_back(held: float) -> tuple[Tensor, Tensor]:
    """The best position on a fine grid with a price for trading, and the formula's."""
    premium, aversion, second, trade = 0.03, 0.02, 1.5, 0.004
    positions = torch.linspace(0, 2, 200_001, dtype=torch.float64)
    cost = -premium * positions + aversion / 2 * positions.square() * second
    best = positions[(cost + trade * (positions - held).abs()).argmin()]
    low, high = ((premium + sign * trade) / (aversion * second) for sign in (-1, 1))
    return best, torch.tensor(held, dtype=torch.float64).clamp(low, high)


EQ_DECIDE_BAND = Identity(
    label="eq-decide-band",
    chapter="decisions",
    name="Trade only from outside of a band",
    formula=r"""\begin{aligned}
a_\pm &= \frac{m \pm \kappa / h}{\gamma\, \mathbb E[r^2]}, \\
a^* &= \min(\max(a_0,\; a_-),\; a_+)
\end{aligned}""",
    checks=(
        quadrature(
            "up to the edge",
            lambda: _held_back(0.2),
            1e-5,
            scope="too little held, one set of costs",
        ),
        quadrature(
            "nothing is traded",
            lambda: _held_back(1.05),
            1e-5,
            scope="a position inside, one set of costs",
        ),
        quadrature(
            "down to the edge",
            lambda: _held_back(1.9),
            1e-5,
            scope="too much held, one set of costs",
        ),
    ),
)


IDENTITIES = (
    EQ_DECIDE_RULE,
    EQ_DECIDE_THRESHOLD,
    EQ_DECIDE_REFER,
    EQ_DECIDE_CHOW,
    EQ_DECIDE_MEAN,
    EQ_DECIDE_WORTH,
    EQ_DECIDE_POSITION,
    EQ_DECIDE_BAND,
)
