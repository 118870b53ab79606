"""Loading MNIST: the subset that ships with the package."""

import hashlib
import socket

import pytest
import torch

from bnn_tutorial.datasets import load_mnist, mnist


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# The subset


@pytest.mark.parametrize(("train", "per_digit"), [(True, 1000), (False, 200)])
def test_default_is_the_balanced_subset(train, per_digit, no_network, capsys):
    images, labels = load_mnist(train).tensors
    assert images.shape == (10 * per_digit, 1, 28, 28)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert torch.bincount(labels).tolist() == [per_digit] * 10
    assert (images.min(), images.max()) == (0, 1)
    kind = "10,000 training" if train else "2,000 test"
    expected = f"MNIST: {kind} images of the subset that ships with bnn_tutorial\n"
    assert capsys.readouterr().out == expected


def test_digits_are_mixed_through_the_subset():
    """In the order of the file, so that any stretch of 500 images holds every digit."""
    labels = load_mnist().tensors[1]
    assert all(len(stretch.unique()) == 10 for stretch in labels.split(500))


def test_no_image_is_in_both_splits_or_twice():
    images = torch.cat([load_mnist(True).tensors[0], load_mnist(False).tensors[0]])
    distinct = {hashlib.sha256(image.numpy().tobytes()).digest() for image in images}
    assert len(distinct) == 12_000


def test_missing_subset_is_named(tmp_path, monkeypatch):
    file = tmp_path / "mnist_subset.npz"
    monkeypatch.setattr(mnist, "SUBSET_FILE", file)
    with pytest.raises(FileNotFoundError) as error:
        load_mnist()
    assert f"{file} is missing" in str(error.value)
    assert mnist.SUBSET_SHA256 in str(error.value)


@pytest.mark.parametrize("position", [0, 1_000_000, -1])
def test_damaged_subset_is_named(position, tmp_path, monkeypatch):
    content = bytearray(mnist.SUBSET_FILE.read_bytes())
    content[position] ^= 1
    file = tmp_path / "mnist_subset.npz"
    file.write_bytes(content)
    monkeypatch.setattr(mnist, "SUBSET_FILE", file)
    with pytest.raises(ValueError, match="is damaged: expected the subset") as error:
        load_mnist()
    assert str(file) in str(error.value)
    assert mnist.SUBSET_SHA256 in str(error.value)
    assert hashlib.sha256(content).hexdigest() in str(error.value)


# The full set, whose loading test_published_files.py proves


def test_files_on_disk_do_not_change_the_default(tmp_path, no_network, monkeypatch):
    folder = tmp_path / mnist.FILES.subfolder
    folder.mkdir(parents=True)
    for name in mnist.FILES.checksums:
        (folder / name).write_bytes(b"damaged")
    monkeypatch.setenv("BNN_TUTORIAL_DATA", str(tmp_path))
    assert len(load_mnist(root=tmp_path)) == 10_000
    with pytest.raises(ValueError, match="is damaged"):
        load_mnist(full=True)


def test_missing_full_set_names_the_subset(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load_mnist\(full=False\)"):
        load_mnist(full=True, root=tmp_path, download=False)


@pytest.mark.parametrize("name", ["train", "full", "download"])
def test_argument_that_is_not_a_bool_is_named(name):
    with pytest.raises(TypeError, match=f"{name}='test': expected True or False"):
        load_mnist(**{name: "test"})
