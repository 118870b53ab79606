"""A folder of images: every mode, size and depth is read, and what can't be read is named."""

import numpy as np
import pytest
import torch
from PIL import Image

import bnn_tutorial as bt
from bnn_tutorial.datasets import image_folder

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16")


def save(path, mode="RGB", size=(40, 30), shade=200):
    """One image of one shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "I;16":
        image = Image.fromarray(np.full(size[::-1], 257 * shade, dtype=np.uint16))
    else:
        image = Image.new("L", size, shade)
        if mode in ("LA", "RGBA"):
            image.putalpha(0)
        image = image.convert(mode)
    image.save(path, **({"quality": 100} if path.suffix == ".jpg" else {}))
    return path


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "cat" / "first.png", shade=0)
    save(tmp_path / "dog" / "first.png", shade=255)
    return tmp_path


def load(folder, **options):
    return bt.load_image_folder(folder, progress=False, **options).tensors


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_keeps_its_shade(mode, channels, tmp_path):
    ending = {"CMYK": ".tif", "YCbCr": ".jpg"}.get(mode, ".png")
    save(tmp_path / "only" / f"image{ending}", mode)
    images, labels = load(tmp_path, image_shape=(channels, 8, 6))
    assert images.dtype == torch.float32
    assert images.shape == (1, channels, 8, 6)
    assert labels.tolist() == [0]
    if mode == "1":  # which dithers: so many of the pixels are white
        assert images.mean() == pytest.approx(200 / 255, abs=0.05)
    else:
        torch.testing.assert_close(images, torch.full_like(images, 200 / 255), rtol=0, atol=0.01)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (28, 28), (1200, 900)])
def test_every_size_becomes_the_one_asked_for(size, tmp_path):
    save(tmp_path / "only" / "image.png", size=size)
    assert load(tmp_path)[0].shape == (1, 3, 32, 32)


def test_an_image_is_cropped_around_its_middle(tmp_path):
    pixels = np.zeros((4, 8), dtype=np.uint8)
    pixels[:, 2:6] = np.array([[0, 0, 100, 100], [0, 0, 200, 200]]).repeat(2, axis=0)
    (tmp_path / "only").mkdir()
    Image.fromarray(pixels).save(tmp_path / "only" / "image.png")
    images, _ = load(tmp_path, image_shape=(1, 4, 4))
    torch.testing.assert_close(255 * images[0, 0], torch.from_numpy(pixels[:, 2:6]).float())


def test_a_smaller_image_averages_the_pixels(tmp_path):
    pixels = 255 * (np.indices((32, 32)).sum(axis=0) % 2).astype(np.uint8)  # a chessboard
    (tmp_path / "only").mkdir()
    Image.fromarray(pixels).save(tmp_path / "only" / "image.png")
    images, _ = load(tmp_path, image_shape=(1, 8, 8))
    assert images.std() < 0.02
    assert images.mean() == pytest.approx(0.5, abs=0.01)


def test_an_image_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((8, 8), dtype=np.uint8)
    pixels[:4] = 255  # the upper half
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise by a quarter to see it upright
    (tmp_path / "only").mkdir()
    image.save(tmp_path / "only" / "image.png", exif=exif)
    images, _ = load(tmp_path, image_shape=(1, 8, 8))
    assert images[0, 0, :, 4:].min() == 1
    assert images[0, 0, :, :4].max() == 0


def test_labels_follow_the_classes(folder, capsys):
    save(folder / "dog" / "deep" / "er" / "second.JPG", shade=255)
    (folder / ".hidden").mkdir()
    (folder / "dog" / "notes.txt").write_text("not an image")
    (folder / "dog" / "._first.png").write_text("what another system leaves")
    save(folder / "dog" / ".thumbnails" / "first.png")
    assert bt.image_classes(folder) == ["cat", "dog"]
    images, labels = load(folder)
    assert labels.tolist() == [0, 1, 1]
    assert images.amin(dim=(1, 2, 3)).tolist() == [0, 1, 1]
    line = f"Image folder: 3 images of 2 classes in {folder}\n"
    assert capsys.readouterr().out == line
    assert load(folder, classes=("dog", "cat"))[1].tolist() == [0, 0, 1]


@pytest.mark.parametrize("damage", ["empty", "truncated", "no image", "one byte"])
def test_what_cannot_be_read_is_left_out_and_named(damage, folder):
    broken = save(folder / "dog" / "broken.png", size=(300, 200))
    content = broken.read_bytes()
    broken.write_bytes(
        {
            "empty": b"",
            "truncated": content[: len(content) // 2],
            "no image": b"GIF of the cat",
            "one byte": b"\x89",
        }[damage]
    )
    with pytest.warns(UserWarning, match=r"left out 1 files of .*\n  dog/broken.png: ") as warned:
        _, labels = load(folder)
    assert labels.tolist() == [0, 1]
    assert warned[0].filename == __file__


def test_a_link_to_nothing_is_left_out_and_named(folder):
    (folder / "dog" / "link.png").symlink_to(folder / "nowhere.png")
    with pytest.warns(UserWarning, match=r"\n  dog/link.png: .*No such file"):
        assert load(folder)[1].tolist() == [0, 1]


def test_many_broken_files_are_counted(folder):
    for number in range(image_folder.MAX_NAMED_FILES + 2):
        (folder / "cat" / f"broken{number}.png").touch()
    with pytest.warns(UserWarning, match="left out 12 files") as warned:
        load(folder)
    assert str(warned[0].message).count("\n  cat/") == image_folder.MAX_NAMED_FILES
    assert "and 2 more" in str(warned[0].message)


def test_an_image_too_large_for_memory_is_named(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    save(folder / "cat" / "small.png", size=(20, 20))
    with (
        pytest.warns(UserWarning, match=r"cat/first.png: .*decompression bomb"),
        pytest.raises(ValueError, match="dog: expected at least one image"),
    ):
        load(folder)


@pytest.mark.parametrize("content", [{}, {"notes.txt": "no image"}])
def test_a_class_without_images_is_named(content, folder):
    (folder / "fox").mkdir()
    for name, text in content.items():
        (folder / "fox" / name).write_text(text)
    with pytest.raises(ValueError, match="fox: expected at least one image that can be read"):
        load(folder)


def test_a_class_that_is_missing_or_unknown_is_named(folder):
    with pytest.raises(ValueError, match="fox: expected at least one image"):
        load(folder, classes=["cat", "dog", "fox"])
    with pytest.raises(ValueError, match="has the class 'dog': expected cat"):
        load(folder, classes=["cat"])


def test_a_folder_that_is_none_is_named(folder):
    for path in (folder / "nowhere", folder / "cat" / "first.png"):
        with pytest.raises(FileNotFoundError, match=f"{path}: expected a folder of images"):
            load(path)
    with pytest.raises(ValueError, match="cat: expected one subfolder a class, found none"):
        load(folder / "cat")


def test_channels_that_no_image_has_are_refused(folder):
    with pytest.raises(ValueError, match=r"image_shape=\(4, 32, 32\): expected \(C, H, W\)"):
        load(folder, image_shape=(4, 32, 32))
