import math

import pytest
import torch

import bnn_tutorial as bt


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_noise_each_point_lies_on_its_half_circle():
    inputs, labels = bt.two_moons(1_001, noise_std=0.0, generator=seeded())
    assert inputs.shape == (1_001, 2)
    assert (inputs.dtype, labels.dtype) == (torch.float32, torch.int64)
    upper, lower = inputs[labels == 0], inputs[labels == 1]
    assert (len(upper), len(lower)) == (501, 500)
    torch.testing.assert_close(upper.norm(dim=1), torch.ones(501))
    torch.testing.assert_close((lower - torch.tensor([1.0, 0.5])).norm(dim=1), torch.ones(500))
    assert upper[:, 1].min() > -1e-6
    assert lower[:, 1].max() < 0.5 + 1e-6
    # The left end of the lower one lies inside the upper one, which is what makes the moons.
    assert upper.norm(dim=1).min() > lower.norm(dim=1).min()


def test_moments_are_those_of_uniform_angles_and_gaussian_noise():
    num_data, noise_std = 200_000, 0.3
    inputs, labels = bt.two_moons(num_data, noise_std, generator=seeded())
    # Of cos t and sin t with t uniform on [0, pi).
    variances = torch.tensor([1 / 2, 1 / 2 - 4 / math.pi**2]).double() + noise_std**2
    means = torch.tensor([[0.0, 2 / math.pi], [1.0, 0.5 - 2 / math.pi]]).double()
    for label, mean in enumerate(means):
        points = inputs[labels == label].double()
        errors = (variances / len(points)).sqrt()
        assert ((points.mean(0) - mean).abs() < 4 * errors).all()
        fourth = ((points - points.mean(0)) ** 4).mean(0)
        errors = ((fourth - variances**2) / len(points)).sqrt()
        assert ((points.var(0) - variances).abs() < 4 * errors).all()


def test_the_labels_alternate():
    assert bt.two_moons(5)[1].tolist() == [0, 1, 0, 1, 0]


def test_the_generator_alone_decides_the_data():
    inputs, _ = bt.two_moons(20, generator=seeded(3))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(inputs, bt.two_moons(20, generator=seeded(3))[0])
    assert not torch.equal(inputs, bt.two_moons(20, generator=seeded(4))[0])
    assert torch.equal(state, torch.get_rng_state())


def test_data_are_float32_under_another_default_dtype():
    inputs, _ = bt.two_moons(20, generator=seeded())
    torch.set_default_dtype(torch.float64)
    try:
        other, _ = bt.two_moons(20, generator=seeded())
    finally:
        torch.set_default_dtype(torch.float32)
    assert other.dtype == torch.float32
    assert torch.equal(inputs, other)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_data": 0}, ValueError, "num_data=0: expected 1 or more"),
        ({"num_data": 2.0}, TypeError, "num_data=2.0: expected an integer"),
        ({"num_data": 2, "noise_std": -1.0}, ValueError, "noise_std=-1.0: expected a finite"),
        ({"num_data": 2, "noise_std": math.nan}, ValueError, "noise_std=nan: expected a finite"),
    ],
)
def test_a_bad_argument_is_named(arguments, error, message):
    with pytest.raises(error, match=f"^{message}"):
        bt.two_moons(**arguments)
