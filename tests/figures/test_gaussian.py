"""The figures' Gaussian: density, distribution function, softplus and seeded random numbers."""

import mpmath
import pytest
import torch
import torch.nn.functional as F
from helpers.monte_carlo import assert_mean
from torch.distributions import Normal
from torch.testing import assert_close

# Any bundle carries it; this one exports it.
NAME = "posterior_playground"


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(
    ("function", "exact", "end"),
    [("normalCdf", mpmath.ncdf, 9.0), ("normalDensity", mpmath.npdf, 37.5)],
)
def test_all_digits_hold_far_out(module, function, exact, end):
    z = torch.linspace(-37.5, end, 2001, dtype=torch.float64).tolist()
    found = module(NAME).evaluate(f"(z) => z.map(module.{function})", z)
    with mpmath.workdps(40):
        expected = [float(exact(value)) for value in z]
    assert_close(float64(found), float64(expected), rtol=2e-15, atol=0)


def test_the_ends_of_the_line(module):
    functions = "[module.normalCdf, module.normalDensity]"
    ends = "[-Infinity, -1e300, 1e300, Infinity, NaN]"
    cdf, density = module(NAME).evaluate(f"() => {functions}.map((f) => {ends}.map((z) => f(z)))")
    assert cdf[:4] == [0, 0, 1, 1]
    assert density[:4] == [0, 0, 0, 0]
    assert cdf[4] != cdf[4]


def test_log_density_is_that_of_torch(module):
    cases = [(0.3, -1.0, 2.0), (-40.0, 1.0, 0.05), (5.0, 5.0, 1e-3)]
    found = module(NAME).evaluate("(c) => c.map((a) => module.normalLogDensity(...a))", cases)
    x, mean, std = float64(cases).T
    assert_close(float64(found), Normal(mean, std).log_prob(x), rtol=1e-14, atol=1e-14)


def test_softplus_its_slope_and_its_inverse(module):
    # torch's softplus is the identity above 20, where it is exact in float32 only.
    rho = torch.linspace(-40, 19.5, 400, dtype=torch.float64, requires_grad=True)
    found, slopes, back = module(NAME).evaluate(
        """(rho) => [rho.map(module.softplus), rho.map(module.softplusSlope),
            rho.map((r) => module.inverseSoftplus(module.softplus(r)))]""",
        rho.tolist(),
    )
    expected = F.softplus(rho)
    assert_close(float64(found), expected.detach(), rtol=1e-14, atol=0)
    expected.sum().backward()
    assert_close(float64(slopes), rho.grad, rtol=1e-14, atol=0)
    assert_close(float64(back), rho.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("draw", "mean", "square"), [("randomNormal", 0, 1), ("randomUniform", 0.5, 1 / 3)]
)
def test_random_numbers_have_their_moments_and_follow_their_seed(module, draw, mean, square):
    page = module(NAME)
    sequence = f"""([seed, size]) => {{
        const draw = module.{draw}(seed);
        return Array.from({{ length: size }}, () => draw());
    }}"""
    values = float64(page.evaluate(sequence, [1, 50_000]))
    assert_mean(values, mean)
    assert_mean(values.square(), square)
    assert_mean(values[:-1] * values[1:], mean**2)
    assert page.evaluate(sequence, [1, 5]) == values[:5].tolist()
    # Across seeds next to each other the first number is as random as any.
    first = float64([page.evaluate(sequence, [seed, 1])[0] for seed in range(200)])
    assert_mean(first, mean)
    assert_mean(first[:-1] * first[1:], mean**2)
