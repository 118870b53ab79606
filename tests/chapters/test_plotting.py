import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.colors import to_rgb

import bnn_tutorial as bt
from bnn_tutorial.chapters import plotting


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(("notebook", "formats"), [(True, ["svg"]), (False, [])])
def test_only_a_notebook_is_told_the_format_of_its_figures(monkeypatch, notebook, formats):
    told = []
    monkeypatch.setattr(InteractiveShell, "initialized", lambda: notebook)
    monkeypatch.setattr(plotting, "set_matplotlib_formats", lambda name, **_: told.append(name))
    with plt.rc_context():
        plotting.use_style()
        assert plt.rcParams["axes.grid"]
    assert told == formats


def test_a_band_is_filled_between_its_edges_and_labelled():
    _, ax = plt.subplots()
    x = torch.linspace(0, 1, 5)[:, None]
    plotting.plot_band(ax, x, (x - 1, x + 2), label="epistemic, 3 standard deviations")
    vertices = ax.collections[0].get_paths()[0].vertices
    for position in (0.0, 1.0):
        heights = vertices[np.isclose(vertices[:, 0], position), 1]
        assert (heights.min(), heights.max()) == pytest.approx((position - 1, position + 2))
    assert ax.get_legend_handles_labels()[1] == ["epistemic, 3 standard deviations"]


def test_a_band_keeps_its_colour_over_another():
    def seen(*colors):
        figure, ax = plt.subplots()
        x = torch.linspace(0, 1, 5)
        for color in colors:
            plotting.plot_band(ax, x, (-x - 1, x + 1), label="band", color=color, alpha=0.5)
        figure.canvas.draw()
        pixels = np.asarray(figure.canvas.buffer_rgba())
        return tuple(pixels[pixels.shape[0] // 2, pixels.shape[1] // 3])

    assert seen(plotting.ORANGE, plotting.BLUE) == seen(plotting.BLUE) != seen(plotting.ORANGE)


def test_a_band_without_a_label_or_of_other_sizes_is_an_error():
    _, ax = plt.subplots()
    x = torch.zeros(3)
    with pytest.raises(ValueError, match="label is empty"):
        plotting.plot_band(ax, x, (x, x), label="")
    with pytest.raises(ValueError, match="3, 3, 2 values"):
        plotting.plot_band(ax, x, (x, x[:2]), label="band")


def test_a_history_is_drawn_over_its_epochs():
    history = bt.History([{"epoch": 1, "nll": 2.0}, {"epoch": 2, "nll": 1.0, "validation_nll": 3}])
    figure = plotting.plot_history(history, ("nll", "validation_nll"))
    lines = figure.axes[0].lines
    assert [list(line.get_xdata()) for line in lines] == [[1, 2], [2]]
    assert [list(line.get_ydata()) for line in lines] == [[2.0, 1.0], [3]]


def test_images_stand_in_order_and_empty_places_stay_blank():
    images = torch.stack([torch.full((1, 2, 2), value) for value in (0.0, 0.5, 1.0)])
    figure = plotting.plot_images(images, ["a", "b", "c"], columns=2)
    shown = [ax.images[0].get_array().mean() for ax in figure.axes if ax.images]
    assert shown == [0.0, 0.5, 1.0]
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", ""]


@pytest.mark.parametrize(
    ("images", "titles", "words"),
    [
        (torch.zeros(0, 1, 2, 2), None, r"\(0, 1, 2, 2\)"),
        (torch.zeros(2, 3, 2, 2), None, r"\(2, 3, 2, 2\)"),
        (torch.zeros(2, 2), None, r"\(2, 2\)"),
        (torch.zeros(2, 1, 2, 2), ["one"], "1 titles for 2 images"),
    ],
)
def test_wrong_images_are_errors(images, titles, words):
    with pytest.raises(ValueError, match=words):
        plotting.plot_images(images, titles)


# What a viewer without one kind of cone sees, on linear RGB: Machado, Oliveira, Fernandes (2009).
DEFICIENCIES = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Linear RGB to CIE XYZ, each row divided by the white point's D65 coordinate.
RGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.0890]])


def seen(color, deficiency):
    """The colour as such a viewer sees it, in CIELAB, where distances are perceived differences."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(RGB_TO_XYZ @ np.clip(DEFICIENCIES[deficiency] @ linear, 0, 1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(left, right, deficiency):
    return np.linalg.norm(seen(left, deficiency) - seen(right, deficiency))


# A difference of 2.3 is just noticeable; ten times that is plain at a glance.
PLAIN = 23


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_bands_and_lines_stay_apart_for_colour_blind_readers(deficiency):
    for left, right in [
        (plotting.BLUE, plotting.ORANGE),
        (plotting.BLUE, plotting.VERMILION),
        (plotting.BLUE, plotting.BLACK),
        (plotting.ORANGE, plotting.BLACK),
    ]:
        assert difference(left, right, deficiency) > PLAIN, (left, right)


def test_a_red_and_a_green_of_equal_brightness_would_not():
    assert difference("#cc4444", "#7f7a33", "deuteranopia") < PLAIN
