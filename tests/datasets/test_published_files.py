"""Loading the full data sets: one contract for MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100.

Small files in each set's format stand in for the published ones; the download is torchvision's,
from a local server. Where BNN_TUTORIAL_DATA names a folder with the real files, they are read too.
"""

import dataclasses
import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import socket
import struct
import tarfile
import threading
from pathlib import Path

import pytest
import torch
import torchvision

import bnn_tutorial as bt
from bnn_tutorial.datasets import cifar, fashion_mnist, mnist

SIZES = {"train": 30, "test": 20}


def md5(content):
    return hashlib.md5(content).hexdigest()


def random_arrays(shape):
    """Images and labels, uint8, of each split; the images differ from split to split."""
    generator = torch.Generator().manual_seed(0)
    return {
        split: (
            torch.randint(256, (size, *shape), dtype=torch.uint8, generator=generator),
            torch.randint(10, (size,), dtype=torch.uint8, generator=generator),
        )
        for split, size in SIZES.items()
    }


class IdxSet:
    """A small data set in the file format of MNIST."""

    def __init__(self, module, load, torchvision_class):
        self.module, self.name = module, "FILES"
        self.load = load
        self.torchvision_class = torchvision_class
        self.arrays = random_arrays((1, 28, 28))
        self.content = {}
        for split, stem in (("train", "train"), ("test", "t10k")):
            images, labels = self.arrays[split]
            head = struct.pack(">4i", 2051, len(images), 28, 28)
            self.content[f"{stem}-images-idx3-ubyte"] = head + images.numpy().tobytes()
            head = struct.pack(">2i", 2049, len(labels))
            self.content[f"{stem}-labels-idx1-ubyte"] = head + labels.numpy().tobytes()
        self.train_file, self.test_file = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

    def serve(self, folder, address, monkeypatch):
        packed = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in self.content.items()}
        for name, data in packed.items():
            (folder / name).write_bytes(data)
        resources = [(name, md5(data)) for name, data in packed.items()]
        monkeypatch.setattr(self.torchvision_class, "mirrors", [address])
        monkeypatch.setattr(self.torchvision_class, "resources", resources)


class Python2Pickler(pickle._Pickler):
    """Writes strings and bytes as Python 2 wrote its str, as in the published files."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_python2_str(self, value):
        raw = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)

    dispatch[str] = dispatch[bytes] = save_python2_str


class CifarSet:
    """A small data set in the file format of CIFAR: pickles of a few training and test images."""

    def __init__(self, name, load, torchvision_class, train_files, test_file, kinds):
        self.module, self.name = cifar, name
        self.load = load
        self.torchvision_class = torchvision_class
        self.kinds = kinds
        self.arrays = random_arrays((3, 32, 32))
        self.content = {test_file: self.pickled(*self.arrays["test"])}
        images, labels = self.arrays["train"]
        for file, *part in zip(
            train_files,
            images.chunk(len(train_files)),
            labels.chunk(len(train_files)),
            strict=True,
        ):
            self.content[file] = self.pickled(*part)
        self.train_file, self.test_file = train_files[-1], test_file

    def pickled(self, images, labels):
        batch = {"data": images.flatten(1).numpy(), self.kinds: labels.tolist()}
        buffer = io.BytesIO()
        Python2Pickler(buffer, protocol=2).dump(batch)
        return buffer.getvalue()

    def serve(self, folder, address, monkeypatch):
        meta = self.torchvision_class.meta
        names = pickle.dumps({meta["key"]: list("abcdefghij")})
        members = self.content | {meta["filename"]: names}
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, data in members.items():
                member = tarfile.TarInfo(f"{self.files.subfolder}/{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        packed = f"{self.files.subfolder}.tar.gz"
        (folder / packed).write_bytes(archive.getvalue())
        sums = {name: md5(data) for name, data in members.items()}
        set_class = functools.partial(monkeypatch.setattr, self.torchvision_class)
        set_class("url", f"{address}{packed}")
        set_class("filename", packed)
        set_class("tgz_md5", md5(archive.getvalue()))
        trained = [name for name in self.content if name != self.test_file]
        set_class("train_list", [[name, sums[name]] for name in trained])
        set_class("test_list", [[self.test_file, sums[self.test_file]]])
        set_class("meta", meta | {"md5": sums[meta["filename"]]})


SETS = {
    "MNIST": lambda: IdxSet(
        mnist, functools.partial(bt.load_mnist, full=True), torchvision.datasets.MNIST
    ),
    "Fashion-MNIST": lambda: IdxSet(
        fashion_mnist, bt.load_fashion_mnist, torchvision.datasets.FashionMNIST
    ),
    "CIFAR-10": lambda: CifarSet(
        "CIFAR10",
        bt.load_cifar10,
        torchvision.datasets.CIFAR10,
        [f"data_batch_{part}" for part in range(1, 6)],
        "test_batch",
        "labels",
    ),
    "CIFAR-100": lambda: CifarSet(
        "CIFAR100",
        bt.load_cifar100,
        torchvision.datasets.CIFAR100,
        ["train"],
        "test",
        "fine_labels",
    ),
}


@pytest.fixture(params=SETS)
def small(request, monkeypatch):
    """A small data set whose files are taken for the published ones."""
    small = SETS[request.param]()
    checksums = {name: md5(data) for name, data in small.content.items()}
    small.files = dataclasses.replace(getattr(small.module, small.name), checksums=checksums)
    assert small.files.title == request.param
    monkeypatch.setattr(small.module, small.name, small.files)
    return small


@pytest.fixture
def on_disk(small, tmp_path):
    """A root folder where the small files lie, as torchvision lays them out."""
    folder = tmp_path / "root" / small.files.subfolder
    folder.mkdir(parents=True)
    for name, data in small.content.items():
        (folder / name).write_bytes(data)
    return tmp_path / "root"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server_folder(small, tmp_path, monkeypatch):
    """The folder of a local server that torchvision takes for the only source of the files."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder)
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    small.serve(folder, f"http://127.0.0.1:{server.server_port}/", monkeypatch)
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def assert_holds(dataset, small, split="train"):
    images, labels = dataset.tensors
    expected_images, expected_labels = small.arrays[split]
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert torch.equal(images, expected_images / 255)
    assert torch.equal(labels, expected_labels.long())


# From files


@pytest.mark.parametrize("split", ["train", "test"])
def test_files_on_disk_are_loaded_without_a_network(split, small, on_disk, no_network, capsys):
    assert_holds(small.load(split == "train", root=on_disk), small, split)
    kind = "30 training" if split == "train" else "20 test"
    folder = on_disk / small.files.subfolder
    title = small.files.title
    assert capsys.readouterr().out == f"{title}: {kind} images of the full set in {folder}\n"


def test_root_comes_from_argument_then_environment_then_working_directory(
    small, on_disk, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BNN_TUTORIAL_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"^data.* is missing"):
        small.load(download=False)
    monkeypatch.setenv("BNN_TUTORIAL_DATA", str(on_disk))
    assert_holds(small.load(download=False), small)
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        small.load(root="elsewhere", download=False)


def test_missing_file_is_named_with_what_to_do(small, on_disk):
    file = on_disk / small.files.subfolder / small.test_file
    file.unlink()
    small.load(True, root=on_disk, download=False)
    with pytest.raises(FileNotFoundError) as error:
        small.load(False, root=on_disk, download=False)
    message = str(error.value)
    assert f"{file} is missing: expected {small.files.title}'s {small.test_file}" in message
    assert f"unpacked, with MD5 {small.files.checksums[small.test_file]}" in message
    assert "download=True" in message
    assert small.files.offline in message


@pytest.mark.parametrize("damage", ["one bit", "truncated", "empty"])
def test_damaged_file_is_named(damage, small, on_disk, no_network):
    content = small.content[small.train_file]
    damaged = {
        "one bit": content[:-1] + bytes([content[-1] ^ 1]),
        "truncated": content[:-10],
        "empty": b"",
    }[damage]
    file = on_disk / small.files.subfolder / small.train_file
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match="is damaged or another file") as error:
        small.load(True, root=on_disk)
    message = str(error.value)
    assert str(file) in message
    assert small.files.checksums[small.train_file] in message
    assert f"found {len(damaged):,} bytes, MD5 {md5(damaged)}" in message


@pytest.mark.parametrize("name", ["train", "download"])
def test_argument_that_is_not_a_bool_is_named(name, small):
    with pytest.raises(TypeError, match=f"{name}='test': expected True or False"):
        small.load(**{name: "test"})


# The download


def test_download_is_announced_and_loaded(server_folder, small, tmp_path, capsys):
    root = tmp_path / "new"
    assert_holds(small.load(root=root), small)
    first, *_, last = capsys.readouterr().out.splitlines()
    folder, title = root / small.files.subfolder, small.files.title
    assert first == f"{title}: downloading the full set to {folder}"
    assert last == f"{title}: 30 training images of the full set in {folder}"


def test_what_was_downloaded_is_not_fetched_again(server_folder, small, tmp_path):
    small.load(root=tmp_path)
    for file in server_folder.iterdir():
        file.unlink()
    assert_holds(small.load(False, root=tmp_path), small, "test")


def test_a_deleted_file_is_downloaded_anew(server_folder, on_disk, small):
    (on_disk / small.files.subfolder / small.train_file).unlink()
    assert_holds(small.load(root=on_disk), small)


def test_download_false_opens_no_connection(small, no_network, tmp_path):
    with pytest.raises(FileNotFoundError, match="is missing"):
        small.load(root=tmp_path, download=False)


def assert_download_fails(small, root):
    title = small.files.title
    with pytest.raises(RuntimeError, match=f"the full {title} could not be downloaded") as error:
        small.load(root=root)
    message = str(error.value)
    assert str(root / small.files.subfolder) in message
    assert all(name in message for name in small.files.checksums)
    assert small.files.offline in message


def test_the_no_network_guard_would_notice_a_connection(small, no_network, tmp_path):
    with pytest.raises(RuntimeError, match="a socket was opened"):
        small.load(root=tmp_path)


def test_failed_download_says_how_to_go_on(server_folder, small, tmp_path):
    next(server_folder.glob("*.gz")).unlink()
    assert_download_fails(small, tmp_path / "new")


def test_damaged_download_is_refused(server_folder, small, tmp_path):
    file = next(server_folder.glob("*.gz"))
    file.write_bytes(file.read_bytes()[:-1])
    assert_download_fails(small, tmp_path / "new")


def test_unreachable_server_says_how_to_go_on(small, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        small.serve(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}/", monkeypatch)
        assert_download_fails(small, tmp_path / "new")


@pytest.mark.parametrize("answer", [b"", b"not HTTP\r\n"])
def test_server_that_fails_says_how_to_go_on(answer, server_folder, small, tmp_path, monkeypatch):
    monkeypatch.setattr(QuietHandler, "do_GET", lambda handler: handler.wfile.write(answer))
    assert_download_fails(small, tmp_path / "new")


def test_folder_that_cannot_be_made_says_how_to_go_on(server_folder, small, tmp_path):
    (tmp_path / "new").write_text("a file where the folder should be")
    assert_download_fails(small, tmp_path / "new")


def test_wrong_files_under_the_right_names_are_refused(server_folder, small, tmp_path, monkeypatch):
    """Downloaded as the server announced them, but not the published images."""
    wrong = small.files.checksums | {small.train_file: "0" * 32}
    replaced = dataclasses.replace(small.files, checksums=wrong)
    monkeypatch.setattr(small.module, small.name, replaced)
    with pytest.raises(ValueError, match=f"{small.train_file} is damaged or another file"):
        small.load(root=tmp_path / "new")


# The published files


@pytest.mark.parametrize("title", ["Fashion-MNIST", "CIFAR-10", "CIFAR-100"])
def test_published_files_are_what_torchvision_reads(title):
    small = SETS[title]()
    files = getattr(small.module, small.name)
    root = os.environ.get("BNN_TUTORIAL_DATA")
    if root is None or not (Path(root) / files.subfolder).is_dir():
        pytest.skip(f"BNN_TUTORIAL_DATA names no folder with {title}")
    images, labels = small.load(False, download=False).tensors
    reference = small.torchvision_class(root, train=False)
    pixels = torch.as_tensor(reference.data)
    pixels = pixels.unsqueeze(1) if title == "Fashion-MNIST" else pixels.permute(0, 3, 1, 2)
    assert len(images) == 10_000
    assert torch.equal(images, pixels / 255)
    assert labels.tolist() == list(reference.targets)


@pytest.mark.parametrize("title", ["CIFAR-10", "CIFAR-100"])
def test_checksums_of_cifar_are_torchvisions(title):
    small = SETS[title]()
    published = small.torchvision_class.train_list + small.torchvision_class.test_list
    assert getattr(cifar, small.name).checksums == dict(published)
