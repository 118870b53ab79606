import math

import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance

from bnn_tutorial.datasets import corruptions


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def images():
    return torch.rand(6, 1, 28, 28, generator=seeded(1))


IDENTITIES = {
    "add_noise": lambda x: corruptions.add_noise(x, 0.0),
    "blur": lambda x: corruptions.blur(x, 0.0),
    "rotate": lambda x: corruptions.rotate(x, 0.0),
    "shift": lambda x: corruptions.shift(x, 0.0),
    "change_contrast": lambda x: corruptions.change_contrast(x, 1.0),
    "occlude": lambda x: corruptions.occlude(x, 0.0),
}
STRONG = {
    "add_noise": lambda x, generator=None: corruptions.add_noise(x, 2.0, generator=generator),
    "blur": lambda x: corruptions.blur(x, 3.0),
    "rotate": lambda x: corruptions.rotate(x, 33.0),
    "shift": lambda x, generator=None: corruptions.shift(x, 5.5, generator=generator),
    "change_contrast": lambda x: corruptions.change_contrast(x, 3.0),
    "occlude": lambda x, generator=None: corruptions.occlude(x, 0.3, generator=generator),
}
RANDOM = ("add_noise", "shift", "occlude")


@pytest.mark.parametrize("name", IDENTITIES)
def test_no_strength_changes_nothing(name, images):
    torch.testing.assert_close(IDENTITIES[name](images), images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", STRONG)
@pytest.mark.parametrize("shape", [(6, 1, 28, 28), (2, 3, 20, 32)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_type_and_range_stay(name, shape, dtype):
    images = torch.rand(shape, generator=seeded(), dtype=dtype)
    original = images.clone()
    corrupted = STRONG[name](images)
    assert corrupted.shape == images.shape
    assert corrupted.dtype == dtype
    assert ((corrupted >= 0) & (corrupted <= 1)).all()
    assert torch.equal(images, original)
    assert not torch.allclose(corrupted, images, atol=0.1)


@pytest.mark.parametrize("name", RANDOM)
def test_the_generator_decides(name, images):
    first, again = (STRONG[name](images, generator=seeded(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, STRONG[name](images, generator=seeded(4)))


def test_noise_has_the_stated_deviation_in_every_pixel():
    grey = torch.full((4000, 1, 2, 2), 0.5)
    noise = corruptions.add_noise(grey, 0.08, generator=seeded()) - grey
    assert_mean(noise, 0.0)
    assert_variance(noise, 0.08**2)


def test_noise_on_black_is_cut_off_at_black():
    """max(sigma e, 0) has the mean sigma / sqrt(2 pi) and the second moment sigma^2 / 2."""
    noisy = corruptions.add_noise(torch.zeros(20_000, 1, 1, 1), 0.1, generator=seeded())
    assert_mean(noisy, 0.1 / math.sqrt(2 * math.pi))
    assert_mean(noisy.square(), 0.1**2 / 2)


@pytest.mark.parametrize("std", [0.8, 2.0])
def test_blur_spreads_a_point_with_the_stated_variance(std):
    point = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    point[0, 0, 20, 20] = 1.0
    blurred = corruptions.blur(point, std)[0, 0]
    assert blurred.sum().item() == pytest.approx(1.0)
    offset = torch.arange(-20.0, 21.0, dtype=torch.float64)
    radius = math.ceil(3 * std)
    weights = torch.exp(-offset.square() / (2 * std**2)).where(offset.abs() <= radius, 0.0)
    weights /= weights.sum()
    torch.testing.assert_close(blurred, torch.outer(weights, weights))
    # The cut at three deviations costs less than 3 % of the variance.
    assert (blurred.sum(0) * offset.square()).sum().item() == pytest.approx(std**2, rel=0.03)


def test_rotation_is_counter_clockwise_and_exact_at_right_angles(images):
    turned = corruptions.rotate(images, 90)
    torch.testing.assert_close(turned, images.rot90(1, dims=(2, 3)), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        corruptions.rotate(images, -90), images.rot90(-1, dims=(2, 3)), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("degrees", [20.0, -75.0])
def test_rotation_turns_a_spot_by_the_stated_angle(degrees):
    y, x = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
    spot = torch.exp(-((x - 30).square() + (y - 20).square()) / 8)[None, None]  # right of centre
    turned = corruptions.rotate(spot, degrees)[0, 0]
    right, up = (turned * (x - 20)).sum().item(), (turned * (20 - y)).sum().item()
    assert math.degrees(math.atan2(up, right)) == pytest.approx(degrees, abs=0.5)


def centres(images):
    """The centre of mass of each image as (right, down), shape (N, 2), in pixels."""
    mass = images.sum(dim=(1, 2, 3))
    rows, columns = images.sum(dim=3)[:, 0], images.sum(dim=2)[:, 0]
    position = torch.arange(images.shape[-1], dtype=images.dtype)
    return torch.stack([columns @ position, rows @ position], dim=1) / mass.unsqueeze(1)


def test_shift_moves_each_image_as_far_in_directions_all_around():
    spot = torch.zeros(4000, 1, 28, 28, dtype=torch.float64)
    spot[:, :, 13:16, 13:16] = 1.0
    moved = centres(corruptions.shift(spot, 4.3, generator=seeded())) - 14.0
    torch.testing.assert_close(moved.norm(dim=1), torch.full((4000,), 4.3).double())
    # A direction all around has the mean 0, and each coordinate's square the mean d^2 / 2.
    assert_mean(moved, 0.0)
    assert_mean(moved.square(), 4.3**2 / 2)


def test_contrast_keeps_the_mean_and_scales_the_deviation(images):
    changed = corruptions.change_contrast(images, 0.3)
    mean, std = (images.mean(dim=(1, 2, 3)), images.std(dim=(1, 2, 3)))
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), mean)
    torch.testing.assert_close(changed.std(dim=(1, 2, 3)), 0.3 * std)
    grey = corruptions.change_contrast(images, 0.0)
    torch.testing.assert_close(grey, mean.view(-1, 1, 1, 1).expand_as(images))


@pytest.mark.parametrize(("share", "side"), [(0.25, 14), (0.1, 9), (1.0, 28)])
def test_occlusion_covers_one_square_of_the_stated_share(share, side):
    black = corruptions.occlude(torch.ones(3000, 1, 28, 28), share, generator=seeded()) == 0
    assert (black.sum(dim=(1, 2, 3)) == side**2).all()
    rows, columns = black[:, 0].any(dim=2), black[:, 0].any(dim=1)
    for covered in (rows, columns):
        assert (covered.sum(dim=1) == side).all()
        corner = covered.int().argmax(dim=1)
        after = torch.arange(28) - corner.unsqueeze(1)
        assert torch.equal(covered, (after >= 0) & (after < side))
        if side < 28:
            # Uniform on 0 .. 28 - side.
            assert_mean(corner, (28 - side) / 2)
            assert_variance(corner, ((28 - side + 1) ** 2 - 1) / 12)


WRONG_IMAGES = {
    "three dimensions": torch.zeros(2, 28, 28),
    "no image": torch.zeros(0, 1, 28, 28),
    "bytes": torch.zeros(2, 1, 28, 28, dtype=torch.uint8),
    "above 1": torch.full((2, 1, 28, 28), 1.5),
    "NaN": torch.full((2, 1, 28, 28), torch.nan),
}


@pytest.mark.parametrize("name", STRONG)
@pytest.mark.parametrize("wrong", WRONG_IMAGES)
def test_wrong_images_are_errors(name, wrong):
    with pytest.raises(ValueError, match=r"images (have shape|reach)"):
        STRONG[name](WRONG_IMAGES[wrong])


@pytest.mark.parametrize(
    ("corrupt", "words"),
    [
        (lambda x: corruptions.add_noise(x, -0.1), "std=-0.1"),
        (lambda x: corruptions.blur(x, -1.0), "std=-1.0"),
        (lambda x: corruptions.blur(x, 10.0), r"std=10.0: expected less than a third"),
        (lambda x: corruptions.rotate(x, math.inf), "degrees=inf"),
        (lambda x: corruptions.shift(x, -1.0), "pixels=-1.0"),
        (lambda x: corruptions.change_contrast(x, -1.0), "factor=-1.0"),
        (lambda x: corruptions.occlude(x, 1.1), "share=1.1"),
        (lambda x: corruptions.occlude(x, math.nan), "share=nan"),
    ],
)
def test_wrong_strengths_are_errors(corrupt, words, images):
    with pytest.raises(ValueError, match=words):
        corrupt(images)
