"""Sliders over a notebook's code: what runs when, what a page shows, what is refused."""

from types import SimpleNamespace

import pytest
from ipywidgets.widgets import widget_output

import bnn_tutorial as bt

LABELS = {"prior_std": "Prior σ", "noise_std": "Noise s"}


@pytest.fixture
def calls():
    """What the code was called with, one entry a call."""
    return []


@pytest.fixture
def sliders(calls):
    """Sliders over code that notes its arguments."""
    figure = bt.figures.PosteriorPlayground(prior_std=0.5, noise_std=2.0)
    return bt.SlidersOverCode(lambda **values: calls.append(values), figure, LABELS)


def slider(sliders, label):
    """The slider with this label."""
    return next(w for w in sliders.children if getattr(w, "description", None) == label)


def test_code_runs_at_once_with_the_figures_values(sliders, calls):
    assert calls == [{"prior_std": 0.5, "noise_std": 2.0}]
    assert sliders.children[0] is sliders.figure


def test_a_move_of_a_slider_moves_the_figure_and_runs_the_code_once(sliders, calls):
    slider(sliders, "Prior σ").value = 4.0
    assert sliders.figure.prior_std == 4.0
    assert calls[1:] == [{"prior_std": 4.0, "noise_std": 2.0}]


def test_a_move_of_the_figure_moves_the_slider_and_runs_the_code_once(sliders, calls):
    sliders.figure.noise_std = 0.25
    assert slider(sliders, "Noise s").value == 0.25
    assert calls[1:] == [{"prior_std": 0.5, "noise_std": 0.25}]


@pytest.mark.parametrize("name", LABELS)
def test_the_ends_of_a_slider_are_the_traits_bounds(sliders, calls, name):
    trait, moved = sliders.figure.traits()[name], slider(sliders, LABELS[name])
    for end, bound in ((moved.min, trait.min), (moved.max, trait.max)):
        moved.value = moved.base**end
        assert getattr(sliders.figure, name) == calls[-1][name] == bound


def test_the_button_runs_the_code_again(sliders, calls):
    row = next(widget for widget in sliders.children if hasattr(widget, "children"))
    row.children[0].click()
    assert calls == 2 * [{"prior_std": 0.5, "noise_std": 2.0}]


def test_a_page_shows_the_figure_alone(sliders, monkeypatch):
    monkeypatch.setattr(sliders.figure, "to_html", lambda: "<p>the figure</p>")
    bundle = sliders._repr_mimebundle_()
    assert bundle["text/html"] == "<p>the figure</p>"
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == sliders.model_id


@pytest.fixture
def notebook(monkeypatch):
    """A shell that shows errors in an output as a notebook's kernel does; holds what it showed."""
    shown = []
    shell = SimpleNamespace(kernel=None, showtraceback=lambda error, **_: shown.append(error[1]))
    monkeypatch.setattr(widget_output, "get_ipython", lambda: shell)
    return shown


def fail_below_one(prior_std):
    if prior_std < 1:
        raise ArithmeticError(f"not with {prior_std}")


def test_code_that_fails_at_once_is_an_error(notebook):
    figure = bt.figures.PosteriorPlayground(prior_std=0.5)
    with pytest.raises(ArithmeticError, match=r"not with 0\.5"):
        bt.SlidersOverCode(fail_below_one, figure, {"prior_std": "Prior σ"})


def test_a_later_failure_is_shown_and_the_next_move_works(notebook):
    figure = bt.figures.PosteriorPlayground()
    sliders = bt.SlidersOverCode(fail_below_one, figure, {"prior_std": "Prior σ"})
    state = sliders.children[2].children[1]
    figure.prior_std = 0.25
    assert str(notebook.pop()) == "not with 0.25"
    assert "Stopped by an error" in state.value
    figure.prior_std = 1.5
    assert notebook == []
    assert "Done in" in state.value


@pytest.mark.parametrize(
    ("figure", "name"),
    [
        (bt.figures.PosteriorPlayground, "width"),
        (bt.figures.PosteriorPlayground, "points"),
        (bt.figures.PosteriorPlayground, "loss"),
        (bt.figures.PosteriorPlayground, "hidden_units"),
        (bt.figures.TwoGaussians, "q_mean"),
    ],
)
def test_a_slider_needs_a_trait_with_bounds_above_zero(figure, name):
    with pytest.raises(ValueError, match=rf"labels='{name}': expected a Float.*{figure.__name__}"):
        bt.SlidersOverCode(print, figure(), {name: "Label"})
