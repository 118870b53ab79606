import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

import bnn_tutorial as bt
from bnn_tutorial import plotting


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_a_band_is_filled_between_its_edges_and_labelled():
    _, ax = plt.subplots()
    x = torch.linspace(0, 1, 5)[:, None]
    plotting.plot_band(ax, x, (x - 1, x + 2), label="epistemic, 3 standard deviations")
    vertices = ax.collections[0].get_paths()[0].vertices
    for position in (0.0, 1.0):
        heights = vertices[np.isclose(vertices[:, 0], position), 1]
        assert (heights.min(), heights.max()) == pytest.approx((position - 1, position + 2))
    assert ax.get_legend_handles_labels()[1] == ["epistemic, 3 standard deviations"]


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


def luminance(color, deficiency):
    """Brightness in [0, 1] as a viewer with full or without red-green discrimination sees it."""
    red, green, blue = (value**2.2 for value in to_rgb(color))
    if deficiency == "deuteranopia":
        red = green = (red + green) / 2
    return np.array([0.2126 * red + 0.7152 * green, 0.0722 * blue * 10])


def test_the_two_bands_differ_without_red_green_discrimination():
    blue, orange = (luminance(c, "deuteranopia") for c in (plotting.BLUE, plotting.ORANGE))
    assert np.linalg.norm(blue - orange) > 0.2
