"""Loading MNIST: the subset, the full set from files, and the download, against a local server."""

import functools
import gzip
import hashlib
import http.server
import socket
import struct
import threading

import pytest
import torch
import torchvision

from bnn_tutorial.datasets import load_mnist, mnist


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def small_files(tmp_path, monkeypatch):
    """Four small files in MNIST's format, taken for the published ones: their names and content."""
    generator = torch.Generator().manual_seed(0)
    content = {}
    for split, num_images in (("train", 30), ("t10k", 20)):
        images = torch.randint(256, (num_images, 28, 28), dtype=torch.uint8, generator=generator)
        labels = torch.randint(10, (num_images,), dtype=torch.uint8, generator=generator)
        content[f"{split}-images-idx3-ubyte"] = (
            struct.pack(">4i", 2051, num_images, 28, 28) + images.numpy().tobytes()
        )
        content[f"{split}-labels-idx1-ubyte"] = (
            struct.pack(">2i", 2049, num_images) + labels.numpy().tobytes()
        )
    monkeypatch.setattr(
        mnist,
        "CANONICAL_FILES",
        {name: (len(data), hashlib.md5(data).hexdigest()) for name, data in content.items()},
    )
    return content


@pytest.fixture
def on_disk(small_files, tmp_path):
    """A root folder where the small files lie, as torchvision lays them out."""
    folder = tmp_path / "root" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, data in small_files.items():
        (folder / name).write_bytes(data)
    return tmp_path / "root"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server_folder(small_files, tmp_path, monkeypatch):
    """The folder of a local server that torchvision takes for its only mirror of MNIST."""
    folder = tmp_path / "server"
    folder.mkdir()
    resources = []
    for name, data in small_files.items():
        packed = gzip.compress(data, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(
        torchvision.datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"]
    )
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    yield folder
    server.shutdown()
    server.server_close()


def pixels_of(content: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=16).view(-1, 1, 28, 28)


def assert_holds_small_files(dataset, content, split="train"):
    images, labels = dataset.tensors
    assert torch.equal(images, pixels_of(content[f"{split}-images-idx3-ubyte"]) / 255)
    assert labels.tolist() == list(content[f"{split}-labels-idx1-ubyte"][8:])


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


def test_the_no_network_guard_would_notice_a_connection(no_network, tmp_path):
    with pytest.raises(RuntimeError, match="a socket was opened"):
        load_mnist(full=True, root=tmp_path)


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


# The full set, from files


@pytest.mark.parametrize(("train", "split"), [(True, "train"), (False, "t10k")])
def test_full_set_from_files(train, split, on_disk, small_files, no_network, capsys):
    dataset = load_mnist(train, full=True, root=on_disk)
    assert_holds_small_files(dataset, small_files, split)
    kind = "30 training" if train else "20 test"
    folder = on_disk / "MNIST" / "raw"
    assert capsys.readouterr().out == f"MNIST: {kind} images of the full set in {folder}\n"


def test_files_on_disk_do_not_change_the_default(on_disk, no_network, monkeypatch):
    monkeypatch.setenv("BNN_TUTORIAL_DATA", str(on_disk))
    assert len(load_mnist(root=on_disk)) == 10_000


def test_root_comes_from_argument_then_environment_then_working_directory(
    on_disk, small_files, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BNN_TUTORIAL_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"^data.MNIST.raw.train-images-idx3-ubyte is"):
        load_mnist(full=True, download=False)
    monkeypatch.setenv("BNN_TUTORIAL_DATA", str(on_disk))
    assert_holds_small_files(load_mnist(full=True, download=False), small_files)
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        load_mnist(full=True, root="elsewhere", download=False)


def test_missing_file_of_the_full_set_is_named(on_disk):
    file = on_disk / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    file.unlink()
    load_mnist(True, full=True, root=on_disk, download=False)
    with pytest.raises(FileNotFoundError) as error:
        load_mnist(False, full=True, root=on_disk, download=False)
    message = str(error.value)
    assert f"{file} is missing" in message
    assert "28 bytes" in message
    assert mnist.CANONICAL_FILES[file.name][1] in message
    assert "load_mnist(full=False)" in message


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("damage", ["one bit", "truncated", "empty"])
def test_damaged_file_of_the_full_set_is_named(name, damage, on_disk, small_files, no_network):
    content = small_files[name]
    damaged = {
        "one bit": content[:-1] + bytes([content[-1] ^ 1]),
        "truncated": content[:-10],
        "empty": b"",
    }[damage]
    file = on_disk / "MNIST" / "raw" / name
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match="is damaged or another file") as error:
        load_mnist(True, full=True, root=on_disk)
    message = str(error.value)
    assert str(file) in message
    assert mnist.CANONICAL_FILES[name][1] in message
    assert f"found {len(damaged):,} bytes" in message


# The download


def test_download_is_announced_and_loaded(server_folder, small_files, tmp_path, capsys):
    root = tmp_path / "new"
    assert_holds_small_files(load_mnist(full=True, root=root), small_files)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == f"MNIST: downloading the full set to {root / 'MNIST' / 'raw'}"
    assert last == f"MNIST: 30 training images of the full set in {root / 'MNIST' / 'raw'}"


def test_what_was_downloaded_is_not_fetched_again(server_folder, small_files, tmp_path):
    load_mnist(full=True, root=tmp_path)
    for file in server_folder.iterdir():
        file.unlink()
    assert_holds_small_files(load_mnist(False, full=True, root=tmp_path), small_files, "t10k")


def test_a_deleted_file_is_downloaded_anew(server_folder, on_disk, small_files):
    (on_disk / "MNIST" / "raw" / "train-images-idx3-ubyte").unlink()
    assert_holds_small_files(load_mnist(full=True, root=on_disk), small_files)


def test_download_false_opens_no_connection(small_files, no_network, tmp_path):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte is missing"):
        load_mnist(full=True, root=tmp_path, download=False)


def assert_download_fails(root):
    with pytest.raises(RuntimeError, match="the full MNIST could not be downloaded to") as error:
        load_mnist(full=True, root=root)
    message = str(error.value)
    assert str(root / "MNIST" / "raw") in message
    assert all(name in message for name in mnist.CANONICAL_FILES)
    assert "load_mnist(full=False)" in message


def test_failed_download_says_how_to_go_on(server_folder, tmp_path):
    (server_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert_download_fails(tmp_path / "new")


def test_damaged_download_is_refused(server_folder, tmp_path):
    file = server_folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1])
    assert_download_fails(tmp_path / "new")


def test_unreachable_server_says_how_to_go_on(small_files, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [f"http://127.0.0.1:{port}/"])
        assert_download_fails(tmp_path / "new")


def test_server_that_hangs_up_says_how_to_go_on(server_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(QuietHandler, "do_GET", lambda handler: None)
    assert_download_fails(tmp_path / "new")


def test_folder_that_cannot_be_made_says_how_to_go_on(server_folder, tmp_path):
    (tmp_path / "new").write_text("a file where the folder should be")
    assert_download_fails(tmp_path / "new")


def test_wrong_files_under_the_right_names_are_refused(server_folder, tmp_path, monkeypatch):
    """Downloaded as the server announced them, but not the published images."""
    monkeypatch.setitem(mnist.CANONICAL_FILES, "train-images-idx3-ubyte", (47_040_016, "0" * 32))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is damaged or another file"):
        load_mnist(full=True, root=tmp_path / "new")


@pytest.mark.parametrize("name", ["train", "full", "download"])
def test_argument_that_is_not_a_bool_is_named(name):
    with pytest.raises(TypeError, match=f"{name}='test': expected True or False"):
        load_mnist(**{name: "test"})
