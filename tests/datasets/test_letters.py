"""Letters drawn from fonts, and notMNIST's two forms, for which small files stand in."""

import gzip
import io
import struct
import warnings
import zlib

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

import bnn_tutorial as bt
from bnn_tutorial.datasets import image_folder, letters, rendered_letters
from bnn_tutorial.datasets.rendered_letters import render_letters

# Drawn letters


@pytest.fixture(scope="module")
def drawn():
    """Forty images of each letter, uint8, with their labels."""
    return render_letters(True, 40, seed=0)


def test_drawn_letters_have_shape_range_and_labels_of_mnist(capsys):
    images, labels = bt.load_letters(num_per_letter=2).tensors
    assert capsys.readouterr().out == "Letters A to J: 20 training images of Matplotlib's fonts\n"
    digits, digit_labels = bt.load_mnist(train=False).tensors
    assert images.shape == (20, *digits.shape[1:])
    assert (images.dtype, labels.dtype) == (digits.dtype, digit_labels.dtype)
    assert (images.min(), labels.tolist()) == (0, 2 * list(range(10)))
    assert 0.98 < images.max() <= 1


@pytest.mark.parametrize(("train", "number"), [(True, 1_000), (False, 200)])
def test_without_a_number_there_are_as_many_as_in_the_subset_of_mnist(train, number, monkeypatch):
    asked = []

    def render(*arguments):
        asked.append(arguments)
        return render_letters(train, 1, 0)

    monkeypatch.setattr(letters, "render_letters", render)
    bt.load_letters(train=train)
    assert asked == [(train, number, 0)]
    assert bt.load_mnist(train=train).tensors[1].bincount().tolist() == [number] * 10


def test_drawn_letters_are_white_on_black_in_a_box_in_the_middle(drawn):
    images = drawn[0].double() / 255
    assert images.amax((1, 2)).min() > 0.9
    assert images.mean() < 0.25
    for axis in (1, 2):
        inked = images.amax(axis) > 0
        places = torch.arange(28)
        first = torch.where(inked, places, 28).amin(1)
        last = torch.where(inked, places, -1).amax(1)
        assert (last - first + 1).max() == 20
        # Half a pixel of rounding, and one pixel of shift: no letter here meets an edge.
        centre = (images.sum(axis) * (places + 0.5)).sum(1) / images.sum((1, 2))
        assert (centre - 14).abs().max() < 1.5 + 1e-9
        assert (centre - 14).abs().max() > 1


def test_a_letter_that_would_leave_the_image_stays_at_its_edge():
    letter = np.zeros((20, 20), dtype=np.uint8)
    letter[0, 0] = 255
    shift = np.array([1, -1])
    assert rendered_letters._corner(letter, shift).tolist() == [8, 8]
    letter = letter[::-1, ::-1]
    assert rendered_letters._corner(letter, shift).tolist() == [0, 0]


def test_size_and_rotation_vary(drawn, monkeypatch):
    monkeypatch.setattr(rendered_letters, "FONTS", ("DejaVuSans",))
    monkeypatch.setattr(rendered_letters, "MAX_SHIFT", 0)
    images, labels = render_letters(True, 40, seed=0)
    bars = images[labels == "ABCDEFGHIJ".index("I")]
    heights = (bars.amax(2) > 0).sum(1)
    assert heights.unique().tolist() == [17, 18, 19, 20]
    # A bar of two or three pixels that is not rotated is narrower than one that is.
    assert (bars.amax(1) > 0).sum(1).unique().numel() > 2
    monkeypatch.setattr(rendered_letters, "MAX_ROTATION", 0.0)
    monkeypatch.setattr(rendered_letters, "BOX_SIZES", (20, 20))
    images, labels = render_letters(True, 3, seed=0)
    for label in range(10):
        same = images[labels == label]
        assert torch.equal(same, same[:1].expand_as(same))


def test_every_font_draws_ten_different_letters(monkeypatch):
    """In a font without letters all ten would be the same box, or none at all."""
    sheets = []
    for font in rendered_letters.FONTS:
        monkeypatch.setattr(rendered_letters, "FONTS", (font,))
        monkeypatch.setattr(rendered_letters, "MAX_ROTATION", 0.0)
        monkeypatch.setattr(rendered_letters, "MAX_SHIFT", 0)
        monkeypatch.setattr(rendered_letters, "BOX_SIZES", (20, 20))
        sheet, _ = render_letters(True, 1, seed=0)
        assert len(sheet.flatten(1).unique(dim=0)) == 10, font
        sheets.append(sheet)
    assert len(torch.stack(sheets).flatten(1).unique(dim=0)) == 23


def test_the_means_of_any_two_letters_differ(drawn):
    """By much more than the mean of one letter's other images differs from it."""
    images, labels = drawn[0].double() / 255, drawn[1]
    halves = [
        torch.stack([images[labels == label][start::2].mean(0) for label in range(10)])
        for start in (0, 1)
    ]
    distances = torch.cdist(halves[0].flatten(1), halves[1].flatten(1))
    assert distances.argmin(1).tolist() == list(range(10))
    assert distances.argmin(0).tolist() == list(range(10))


def test_the_seed_and_the_split_alone_decide_the_letters(drawn):
    state = torch.get_rng_state()
    again = render_letters(True, 40, seed=0)
    assert torch.equal(drawn[0], again[0])
    assert torch.equal(drawn[1], again[1])
    assert torch.equal(state, torch.get_rng_state())
    # The first are the same however many follow.
    assert torch.equal(drawn[0][:20], render_letters(True, 2, seed=0)[0])
    for other in (render_letters(True, 40, seed=1)[0], render_letters(False, 40, seed=0)[0]):
        assert (drawn[0] == other).all((1, 2)).sum() < 4


def test_a_missing_font_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"DejaVuSans.ttf is missing: expected the fonts"):
        bt.load_letters(num_per_letter=1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train": "test"}, TypeError, "train='test': expected True or False"),
        ({"num_per_letter": 0}, ValueError, "num_per_letter=0: expected 1 or more"),
        ({"num_per_letter": 2.0}, TypeError, "num_per_letter=2.0: expected an integer"),
        ({"num_per_letter": True}, TypeError, "num_per_letter=True: expected an integer"),
        ({"seed": -1}, ValueError, "seed=-1: expected a finite number, 0 or more"),
        ({"seed": 0.5}, TypeError, "seed=0.5: expected an integer"),
        ({"seed": None}, TypeError, "seed=None: expected an integer"),
        ({"folder": 3}, TypeError, "folder=3: expected a path or None"),
        ({"folder": True}, TypeError, "folder=True: expected a path or None"),
    ],
)
def test_a_bad_argument_is_named(arguments, error, message):
    with pytest.raises(error, match=f"^{message}"):
        bt.load_letters(**arguments)


# Folders of PNG files


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def pixels_of(label: int, number: int) -> np.ndarray:
    return np.random.default_rng([label, number]).integers(256, size=(28, 28), dtype=np.uint8)


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of each letter."""
    folder = tmp_path / "notMNIST_small"
    for label, letter in enumerate("ABCDEFGHIJ"):
        (folder / letter).mkdir(parents=True)
        for number in range(3):
            (folder / letter / f"{number}.png").write_bytes(png(pixels_of(label, number)))
    return folder


HEAD = b"IHDR" + struct.pack(">2I5B", 30_000, 30_000, 8, 0, 0, 0, 0)
PICTURE = png(pixels_of(0, 0))
HUGE = PICTURE[:12] + HEAD + struct.pack(">I", zlib.crc32(HEAD)) + PICTURE[33:]

DAMAGED = {
    "truncated.png": png(pixels_of(0, 0))[:400],
    "head.png": png(pixels_of(0, 0))[:20],
    "checksum.png": png(pixels_of(0, 0)).replace(b"IHDR\0\0\0\x1c", b"IHDR\0\0\0\x1d"),
    # The first block of pixels says that it is shorter: what follows it is no block.
    "length.png": png(pixels_of(0, 0))[:36] + b"\0" + png(pixels_of(0, 0))[37:],
    "empty.png": b"",
    "text.png": b"no picture",
    # Its head says, with a checksum that is right, that it has 30,000 x 30,000 pixels.
    "huge.png": HUGE,
}


@pytest.mark.parametrize("as_type", [str, lambda path: path])
@pytest.mark.parametrize("train", [True, False])
def test_pictures_are_read_in_the_order_of_their_names(as_type, train, pictures, capsys):
    (pictures / "A" / "readme.txt").write_text("not a picture, and not called one")
    (pictures / "K").mkdir()
    images, labels = bt.load_letters(as_type(pictures), train=train).tensors
    out = capsys.readouterr().out
    assert out == f"Letters A to J: 30 images of the folders A to J in {pictures}\n"
    expected = [pixels_of(label, number) for label in range(10) for number in range(3)]
    assert torch.equal(images, torch.from_numpy(np.stack(expected))[:, None] / 255)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert labels.tolist() == [label for label in range(10) for _ in range(3)]


@pytest.mark.parametrize("name", DAMAGED)
def test_a_picture_that_cannot_be_read_is_left_out_and_named(name, pictures):
    (pictures / "F" / name).write_bytes(DAMAGED[name])
    with pytest.warns(UserWarning, match="left out") as caught:
        images, labels = bt.load_letters(pictures).tensors
    (warning,) = caught
    assert str(warning.message) == (
        f"left out 1 files of {pictures}:\n  F/{name}: not a PNG file, or damaged"
    )
    assert warning.filename == __file__
    assert labels.bincount().tolist() == [3] * 10
    assert torch.equal(images[15, 0], torch.from_numpy(pixels_of(5, 0)) / 255)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png(np.zeros((27, 28), np.uint8)), "28 x 27 pixels, mode L"),
        (png(np.zeros((56, 56), np.uint8)), "56 x 56 pixels, mode L"),
        (png(np.zeros((28, 28, 3), np.uint8)), "28 x 28 pixels, mode RGB"),
        (png(np.zeros((28, 28), bool)), "28 x 28 pixels, mode 1"),
    ],
)
def test_a_picture_of_another_size_or_kind_is_left_out(content, found, pictures):
    (pictures / "B" / "1.png").write_bytes(content)
    expected = f"B/1.png: expected 28 x 28 pixels in 8-bit grey, found {found}"
    with pytest.warns(UserWarning, match=expected):
        labels = bt.load_letters(pictures).tensors[1]
    assert labels.bincount().tolist() == [3, 2, *[3] * 8]


def test_a_picture_that_is_no_png_file_is_left_out(pictures):
    Image.fromarray(pixels_of(0, 0)).save(pictures / "A" / "jpeg.png", format="JPEG")
    with pytest.warns(UserWarning, match=r"A/jpeg.png: not a PNG file, or damaged"):
        assert len(bt.load_letters(pictures)) == 30


def test_many_files_left_out_are_counted_in_one_warning(pictures):
    for number in range(image_folder.MAX_NAMED_FILES + 2):
        (pictures / "C" / f"x{number:02}.png").touch()
    with pytest.warns(UserWarning, match="left out") as caught:
        bt.load_letters(pictures)
    (warning,) = caught
    lines = str(warning.message).splitlines()
    assert lines[0] == f"left out 12 files of {pictures}:"
    assert lines[1].startswith("  C/x00.png")
    assert lines[10].startswith("  C/x09.png")
    assert lines[11:] == ["  and 2 more"]


def test_the_first_pictures_that_can_be_read_are_taken(pictures):
    (pictures / "A" / "0.png").write_bytes(b"")
    (pictures / "A" / "9.png").write_bytes(b"")  # behind the second, and never opened
    with pytest.warns(UserWarning, match="left out 1 files"):
        images, labels = bt.load_letters(pictures, num_per_letter=2).tensors
    assert labels.bincount().tolist() == [2] * 10
    assert torch.equal(images[0, 0], torch.from_numpy(pixels_of(0, 1)) / 255)
    assert torch.equal(images[2, 0], torch.from_numpy(pixels_of(1, 0)) / 255)


def test_fewer_pictures_than_asked_for_are_all_taken(pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(bt.load_letters(pictures, num_per_letter=100)) == 30


def test_missing_letters_are_named(pictures):
    for letter in "CJ":
        (pictures / letter).rename(pictures / f"no {letter}")
    with pytest.raises(FileNotFoundError, match="expected folders A to J, C, J missing") as error:
        bt.load_letters(pictures)
    assert str(pictures) in str(error.value)


def test_a_letter_without_a_picture_is_named(pictures):
    for file in (pictures / "D").iterdir():
        file.unlink()
    with pytest.raises(ValueError, match=r"D: expected PNG files of 28 x 28 pixels$"):
        bt.load_letters(pictures)
    (pictures / "D" / "0.png").touch()
    with pytest.raises(ValueError, match=r"the last was D/0.png: not a PNG file, or damaged$"):
        bt.load_letters(pictures)


# IDX files


@pytest.fixture
def arrays():
    """Thirty training and twenty test images, and labels in no order."""
    generator = torch.Generator().manual_seed(0)
    return {
        stem: (
            torch.randint(256, (size, 28, 28), dtype=torch.uint8, generator=generator),
            (torch.randperm(size, generator=generator) % 10).byte(),
        )
        for stem, size in (("train", 30), ("t10k", 20))
    }


def write_idx(folder, arrays, suffix=""):
    for stem, (images, labels) in arrays.items():
        for name, array in ((f"{stem}-images-idx3", images), (f"{stem}-labels-idx1", labels)):
            head = struct.pack(f">{array.dim() + 1}I", 2048 + array.dim(), *array.shape)
            content = head + array.numpy().tobytes()
            file = folder / f"{name}-ubyte{suffix}"
            file.write_bytes(gzip.compress(content) if suffix else content)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("train", "stem"), [(True, "train"), (False, "t10k")])
def test_idx_files_are_read_as_they_are(suffix, train, stem, arrays, tmp_path, capsys):
    write_idx(tmp_path, arrays, suffix)
    images, labels = bt.load_letters(tmp_path, train=train).tensors
    expected_images, expected_labels = arrays[stem]
    assert torch.equal(images, expected_images.unsqueeze(1) / 255)
    assert torch.equal(labels, expected_labels.long())
    kind = "30 training" if train else "20 test"
    assert capsys.readouterr().out == (
        f"Letters A to J: {kind} images of the IDX files in {tmp_path}\n"
    )


def test_the_first_idx_images_of_each_letter_are_taken_in_their_order(arrays, tmp_path):
    write_idx(tmp_path, arrays)
    images, labels = bt.load_letters(tmp_path, num_per_letter=2).tensors
    all_images, all_labels = arrays["train"]
    seen = [0] * 10
    kept = []
    for row, label in enumerate(all_labels.tolist()):
        seen[label] += 1
        if seen[label] <= 2:
            kept.append(row)
    assert labels.tolist() == all_labels[kept].tolist()
    assert torch.equal(images, all_images[kept].unsqueeze(1) / 255)


@pytest.mark.parametrize("name", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_idx_file_is_named(name, arrays, tmp_path):
    write_idx(tmp_path, arrays)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"or {name}, plain or with .gz"):
        bt.load_letters(tmp_path, train=False)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_folder_with_neither_form_is_named_with_both(name, tmp_path):
    expected = "expected folders A to J with PNG files, or train-images-idx3-ubyte"
    with pytest.raises(FileNotFoundError, match=expected) as error:
        bt.load_letters(tmp_path / name)
    assert f"folder={str(tmp_path / name)!r}" in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images, labels: (images[:, :27], labels), r"expected shape \(N, 28, 28\), found"),
        (lambda images, labels: (images[0], labels), r"expected shape \(N, 28, 28\), found"),
        (lambda images, labels: (images, labels[:-1]), r"expected shape \(30,\), found \(29,\)"),
        (lambda images, labels: (images, labels + 1), "expected labels 0 to 9, found 10"),
        (lambda images, labels: (images, labels.clamp(1, 8)), "all of A to J, A, J missing"),
        (lambda images, labels: (images[:0], labels[:0]), "A, B, C, D, E, F, G, H, I, J missing"),
    ],
)
def test_idx_files_that_hold_something_else_are_refused(change, message, arrays, tmp_path):
    write_idx(tmp_path, {"train": change(*arrays["train"])})
    with pytest.raises(ValueError, match=message):
        bt.load_letters(tmp_path)
