"""Frames, shifts and mirrors, each against the pixels that they move."""

import pytest
import torch
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


def one_bright_pixel(row=2, column=1, size=5):
    images = torch.zeros(1, 1, size, size)
    images[0, 0, row, column] = 1
    return TensorDataset(images, torch.tensor([3]))


def test_a_frame_is_zeros_on_all_sides():
    data = TensorDataset(torch.rand(2, 3, 28, 24), torch.arange(2))
    images, labels = bt.framed(data, 32).tensors
    assert images.shape == (2, 3, 32, 32)
    assert torch.equal(images[:, :, 2:30, 4:28], data.tensors[0])
    assert images.sum() == pytest.approx(data.tensors[0].sum().item())
    assert torch.equal(labels, data.tensors[1])


def test_images_of_the_right_size_stay():
    data = one_bright_pixel()
    assert torch.equal(bt.framed(data, 5).tensors[0], data.tensors[0])


@pytest.mark.parametrize("image_size", [4, 6])
def test_a_frame_that_does_not_fit_is_refused(image_size):
    with pytest.raises(ValueError, match=rf"image_size={image_size}: expected .* \(5, 5\)"):
        bt.framed(one_bright_pixel(), image_size)


def places(data, draws=2000):
    """Where the bright pixel goes, and how often."""
    with bt.seeded(0):
        images = torch.stack([data[0][0] for _ in range(draws)])
    return images.mean(dim=0)[0] * draws


def test_shifts_are_uniform():
    found = places(bt.AugmentedImages(one_bright_pixel(), max_shift=1))
    expected = torch.zeros(5, 5)
    expected[1:4, 0:3] = 2000 / 9
    # Each count is binomial: four standard deviations.
    tolerance = 4 * (2000 / 9 * 8 / 9) ** 0.5
    assert (found - expected).abs().max() < tolerance
    assert found[expected == 0].sum() == 0


def test_half_of_the_images_are_mirrored_only_where_asked():
    data = one_bright_pixel()
    assert places(bt.AugmentedImages(data, max_shift=0))[2, 1] == 2000
    found = places(bt.AugmentedImages(data, max_shift=0, flip=True))
    assert abs(found[2, 1] - 1000) < 4 * 500**0.5
    assert found[2, 1] + found[2, 3] == 2000


def test_what_a_shift_uncovers_is_zero_and_labels_stay():
    data = TensorDataset(torch.ones(1, 3, 8, 8), torch.tensor([7]))
    augmented = bt.AugmentedImages(data, max_shift=8)
    with bt.seeded(1):
        items = [augmented[0] for _ in range(50)]
    assert {label.item() for _, label in items} == {7}
    assert {value for image, _ in items for value in image.unique().tolist()} == {0, 1}
    assert len(augmented) == 1


def test_a_negative_shift_is_refused():
    with pytest.raises(ValueError, match="max_shift=-1: expected 0 or more"):
        bt.AugmentedImages(one_bright_pixel(), max_shift=-1)


def test_training_repeats_under_one_seed():
    images = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    data = bt.AugmentedImages(TensorDataset(images, torch.arange(40) % 10), max_shift=2)

    def losses(seed):
        with bt.seeded(0):
            model = bt.to_bayesian(bt.lenet5())
        history = bt.fit(
            model,
            data,
            bt.CategoricalLikelihood(),
            epochs=2,
            batch_size=8,
            seed=seed,
            progress=False,
        )
        return history["loss"]

    assert losses(0) == losses(0) != losses(1)
