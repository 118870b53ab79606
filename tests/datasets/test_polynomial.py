import math

import pytest
import torch

from bnn_tutorial.datasets import polynomial, polynomial_data


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_of(**arguments) -> torch.Tensor:
    """Return the noise alone, in float64 (float32 subtraction costs at most 1e-6 on [-2, 2])."""
    x, y = polynomial_data(generator=seeded(), **arguments)
    return (y - polynomial(x)).double().squeeze(1)


def test_curve_has_the_values_worked_out_by_hand():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert polynomial(x).tolist() == [-12.0, 9.0, 0.0, -9.0, 12.0]


def test_default_is_the_tutorials_regression():
    x, y = polynomial_data(generator=seeded())
    assert x.shape == y.shape == (500, 1)
    assert x.dtype == y.dtype == torch.float32
    assert torch.equal(x, torch.linspace(-2, 2, 500).reshape(-1, 1))
    assert (x[0], x[-1]) == (-2, 2)
    noise = y - polynomial(x)
    assert noise.min() > -1e-5
    assert noise.max() < 2 + 1e-5


@pytest.mark.parametrize(
    ("noise", "scale", "mean", "std", "kurtosis"),
    [("uniform", 2.0, 1.0, 2 / math.sqrt(12), 9 / 5), ("gaussian", 0.7, 0.0, 0.7, 3.0)],
)
def test_noise_has_the_stated_moments(noise, scale, mean, std, kurtosis):
    num_points = 100_000
    drawn = noise_of(num_points=num_points, noise=noise, noise_scale=scale)
    standard_error_of_mean = std / math.sqrt(num_points)
    # The sample variance has variance (kurtosis - 1) std^4 / N up to O(1 / N^2).
    standard_error_of_variance = std**2 * math.sqrt((kurtosis - 1) / num_points)
    assert abs(drawn.mean() - mean) < 4 * standard_error_of_mean
    assert abs(drawn.var() - std**2) < 4 * standard_error_of_variance


def test_no_noise_gives_the_curve():
    x, y = polynomial_data(50, noise="none")
    assert torch.equal(y, polynomial(x))


def test_random_points_are_uniform_on_the_interval():
    num_points, low, high = 100_000, -1.0, 3.0
    x, _ = polynomial_data(
        num_points, low=low, high=high, spacing="random", noise="none", generator=seeded()
    )
    assert x.shape == (num_points, 1)
    assert x.min() >= low
    assert x.max() <= high
    variance = (high - low) ** 2 / 12
    assert abs(x.double().mean() - 1.0) < 4 * math.sqrt(variance / num_points)
    assert abs(x.double().var() - variance) < 4 * variance * math.sqrt((9 / 5 - 1) / num_points)


@pytest.mark.parametrize("spacing", ["even", "random"])
@pytest.mark.parametrize("noise", ["uniform", "gaussian"])
def test_the_generator_alone_decides_the_data(spacing, noise):
    torch.manual_seed(1)
    x, y = polynomial_data(spacing=spacing, noise=noise, generator=seeded(3))
    global_state = torch.get_rng_state()
    torch.manual_seed(2)
    again_x, again_y = polynomial_data(spacing=spacing, noise=noise, generator=seeded(3))
    assert torch.equal(x, again_x)
    assert torch.equal(y, again_y)
    assert not torch.equal(y, polynomial_data(spacing=spacing, noise=noise, generator=seeded(4))[1])
    torch.manual_seed(1)
    assert torch.equal(global_state, torch.get_rng_state())


def test_data_are_float32_under_another_default_dtype():
    x, y = polynomial_data(generator=seeded())
    torch.set_default_dtype(torch.float64)
    try:
        other_x, other_y = polynomial_data(generator=seeded())
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(x, other_x)
    assert torch.equal(y, other_y)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_points": 0}, ValueError, "num_points=0: expected 1 or more"),
        ({"num_points": 10.0}, TypeError, "num_points=10.0: expected an integer"),
        ({"num_points": True}, TypeError, "num_points=True: expected an integer"),
        ({"low": 2.0}, ValueError, "low=2.0, high=2.0: expected two finite numbers"),
        ({"high": math.inf}, ValueError, "high=inf: expected two finite numbers"),
        ({"low": math.nan}, ValueError, "low=nan"),
        ({"spacing": "log"}, ValueError, "spacing='log': expected one of"),
        ({"noise": "laplace"}, ValueError, "noise='laplace': expected one of"),
        ({"noise_scale": -1.0}, ValueError, "noise_scale=-1.0: expected a finite number"),
        ({"noise_scale": math.nan}, ValueError, "noise_scale=nan: expected a finite number"),
    ],
)
def test_a_bad_argument_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        polynomial_data(**arguments)
