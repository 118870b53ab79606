"""The subset in the package against the script that made it and, where they are, the full files.

The tests of the full files read the folder that BNN_TUTORIAL_DATA names, and skip without it.
"""

import os
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from bnn_tutorial.datasets import load_mnist, mnist

REPOSITORY = Path(__file__).parents[2]
script = runpy.run_path(str(REPOSITORY / "scripts" / "make_mnist_subset.py"))
full_data = pytest.mark.skipif(
    "BNN_TUTORIAL_DATA" not in os.environ,
    reason="BNN_TUTORIAL_DATA names no folder with the full MNIST",
)


def test_subset_stays_under_its_size():
    assert mnist.SUBSET_FILE.stat().st_size < 2.5e6


def test_credit_and_licence_ship_beside_the_subset():
    credit = mnist.SUBSET_FILE.with_name("MNIST-LICENSE.md").read_text(encoding="utf-8")
    for words in ("Yann LeCun", "Corinna Cortes", "Burges", "Attribution-Share Alike 3.0", "NIST"):
        assert words in credit


def test_rule_takes_evenly_spaced_images_of_each_digit_in_file_order():
    # Digit d has 7 + d images, digits interleaved; 3 of n images lie at 0, n // 3 and 2n // 3.
    labels = np.array([digit for place in range(16) for digit in range(10) if place < 7 + digit])
    chosen = script["evenly_spaced"](labels, 3)
    assert np.array_equal(chosen, np.sort(chosen))
    for digit in range(10):
        positions = np.flatnonzero(labels == digit)
        n = len(positions)
        expected = positions[[0, n // 3, 2 * n // 3]]
        assert np.array_equal(chosen[labels[chosen] == digit], expected)


@full_data
def test_script_makes_the_shipped_file_byte_for_byte(tmp_path):
    raw = Path(os.environ["BNN_TUTORIAL_DATA"]) / "MNIST" / "raw"
    script["make_subset"](raw, tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == mnist.SUBSET_FILE.read_bytes()


@full_data
@pytest.mark.parametrize("train", [True, False])
def test_full_set_is_what_torchvision_reads(train):
    images, labels = load_mnist(train, full=True).tensors
    reference = torchvision.datasets.MNIST(os.environ["BNN_TUTORIAL_DATA"], train=train)
    assert len(images) == (60_000 if train else 10_000)
    assert torch.equal(images, reference.data.unsqueeze(1).float() / 255)
    assert torch.equal(labels, reference.targets)


@full_data
def test_subset_is_as_hard_as_the_full_test_set_and_its_first_half_is_harder():
    """The reason for even spacing, by the nearest training image of the subset."""
    train_images, train_labels = load_mnist(True).tensors
    test_images, test_labels = load_mnist(False, full=True).tensors
    train_images, test_images = train_images.flatten(1), test_images.flatten(1)
    squares = train_images.square().sum(1)
    nearest = torch.cat(
        [(squares - 2 * part @ train_images.T).argmin(1) for part in test_images.split(1000)]
    )
    wrong = (train_labels[nearest] != test_labels).double()
    first, second = wrong[:5000], wrong[5000:]
    standard_error = (first.var() / 5000 + second.var() / 5000).sqrt()
    assert first.mean() - second.mean() > 4 * standard_error
    in_subset = wrong[script["evenly_spaced"](test_labels.numpy(), 200)]
    assert abs(in_subset.mean() - wrong.mean()) < 3 * (wrong.var() / 2000).sqrt()
