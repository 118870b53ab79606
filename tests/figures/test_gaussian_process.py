"""The Gaussian process: its posterior against the package, its drawn functions, and in use."""

import re

import pytest
import torch
from helpers.figure_clock import pass_time
from helpers.figure_model import said, set_traits, traits
from helpers.monte_carlo import assert_mean, assert_variance
from helpers.pointers import by_mouse, by_touch
from torch.testing import assert_close

import bnn_tutorial as bt
from bnn_tutorial.figures import GaussianProcess

NAME = "gaussian_process"
NOISE_STD = 0.15
SEED, MIDDLE = 7, 0.5  # at first sight
GRID = torch.linspace(-3, 3, 121, dtype=torch.float64)
HALF = 0.9  # of the window
PHONE = {"width": 375, "height": 740, "has_touch": True, "is_mobile": True}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def kernel(x1, x2):
    distance = 5**0.5 * (x1 - x2.T).abs()
    return (1 + distance + distance.square() / 3) * (-distance).exp()


def exact_moments(x, y, inputs):
    """The package's mean and std of f."""
    columns = [values.unsqueeze(1) for values in (x, y, inputs)]
    moments = bt.gaussian_process_posterior(kernel, *columns, noise_std=NOISE_STD)
    return moments.mean.squeeze(1), moments.std.squeeze(1)


def data_of(source, seed=SEED):
    """Inputs and targets of a module in Node.js or on a page."""
    found = source.evaluate(
        """(seed) => {
          const {x, y} = module.mathematics.makeProblem(seed).data;
          return [[...x], [...y]];
        }""",
        seed,
    )
    return double(found).unbind()


def band_of(source, seed, middle):
    """Mean and std at GRID without the data in the window."""
    found = source.evaluate(
        """([seed, middle]) => {
          const {condition, makeProblem, outside} = module.mathematics;
          const problem = makeProblem(seed);
          const {mean, std} = condition(problem, outside(problem.data.x, middle));
          return [[...mean], [...std]];
        }""",
        [seed, middle],
    )
    return double(found)


@pytest.mark.parametrize(("seed", "middle"), [(SEED, MIDDLE), (0, -2.1), (3, 2.1), (11, 0.0)])
def test_the_posterior_is_the_packages_in_a_browser(module_page, seed, middle):
    page = module_page(NAME)
    x, y = data_of(page, seed)
    kept = (x - middle).abs() > HALF
    assert 5 < (~kept).sum() < 10
    expected = torch.stack(exact_moments(x[kept], y[kept], GRID))
    assert_close(band_of(page, seed, middle), expected, rtol=1e-8, atol=1e-10)


def test_drawn_functions_have_the_posteriors_mean_and_covariance(module):
    """They are linear in what is random, whose covariance is known: no draws are needed."""
    found = module(NAME).evaluate(
        """([x, y, grid]) => {
          const {drawPosterior, learn} = module.mathematics;
          const zeros = (values) => Float64Array.from(values, () => 0);
          const data = {x: Float64Array.from(x), y: Float64Array.from(y)};
          const posterior = learn(data);
          const only = learn({x: data.x, y: zeros(y)});
          // The data lie on the grid, where the function of the prior has its values.
          const places = x.map((value) => grid.findIndex((at) => Math.abs(at - value) < 1e-9));
          const unit = (length, i) => Float64Array.from({length}, (_, j) => Number(i === j));
          const ofPrior = grid.map((_, i) => {
            const prior = unit(grid.length, i);
            return [...drawPosterior(only, prior, places.map((place) => prior[place]))];
          });
          const ofNoise = x.map((_, i) => [...drawPosterior(only, zeros(grid), unit(x.length, i))]);
          return {ofPrior, ofNoise, mean: [...drawPosterior(posterior, zeros(grid), zeros(x))]};
        }""",
        [[-2.0, -0.5, 0.05, 1.5], [1.0, -1.0, 0.3, 0.2], GRID.tolist()],
    )
    x, y = double([-2.0, -0.5, 0.05, 1.5]), double([1.0, -1.0, 0.3, 0.2])
    assert_close(double(found["mean"]), exact_moments(x, y, GRID)[0], rtol=1e-8, atol=1e-10)
    of_prior, of_noise = double(found["ofPrior"]), double(found["ofNoise"])
    grid, at = GRID.unsqueeze(1), x.unsqueeze(1)
    covariance = of_prior.T @ kernel(grid, grid) @ of_prior + NOISE_STD**2 * of_noise.T @ of_noise
    cross = kernel(grid, at)
    explained = cross @ torch.linalg.solve(kernel(at, at) + NOISE_STD**2 * torch.eye(4), cross.T)
    assert_close(covariance, kernel(grid, grid) - explained, rtol=1e-6, atol=1e-8)


def test_curve_noise_and_draws_come_from_the_prior(module):
    found = module(NAME).evaluate(
        """(seeds) => seeds.map((seed) => {
          const {curve, places, data, draws} = module.mathematics.makeProblem(seed);
          const noises = [0, 12, 24].map((n) => data.y[n] - curve[places[n]]);
          const functions = [curve, draws[0].prior, draws[7].prior];
          return [
            ...[...noises, draws[0].noise[0], draws[7].noise[24]].map((value) => value / 0.15),
            ...functions.flatMap((f) => [f[0], f[60], (f[60] - f[70]) / Math.sqrt(2)]),
          ];
        })""",
        list(range(600)),
    )
    draws = double(found)
    near = 1 - kernel(double([[0.0]]), double([[0.5]])).item()  # half the variance of a difference
    assert_mean(draws, 0.0)
    assert_variance(draws, double([1.0] * 5 + [1.0, 1.0, near] * 3))


def test_what_is_drawn_spreads_as_the_band_does(module):
    found = module(NAME).evaluate(
        """(seeds) => seeds.map((seed) => {
          const {condition, makeProblem, outside} = module.mathematics;
          const problem = makeProblem(seed);
          const {mean, std, draws} = condition(problem, outside(problem.data.x, 0.5));
          return [0, 7].flatMap((k) => [5, 30, 70, 100].map(
            (i) => (draws[k][i] - mean[i]) / std[i]));
        })""",
        list(range(600)),
    )
    assert_mean(double(found), 0.0)
    assert_variance(double(found), 1.0)


@pytest.mark.parametrize("middle", [MIDDLE, -2.1])
def test_the_band_holds_the_curve_as_often_as_it_says(module, middle):
    found = module(NAME).evaluate(
        """([seeds, middle]) => seeds.map((seed) => {
          const {condition, makeProblem, outside} = module.mathematics;
          const problem = makeProblem(seed);
          const {mean, std} = condition(problem, outside(problem.data.x, middle));
          const inside = problem.curve.filter((f, i) => Math.abs(f - mean[i]) < 1.96 * std[i]);
          return [inside.length / problem.curve.length];
        })""",
        [list(range(400)), middle],
    )
    assert_mean(double(found), 0.95)


def bands(page):
    """The height in pixels of the band at each place of the grid."""
    path = page.locator("svg.drawing .band").get_attribute("d")
    points = [tuple(map(float, pair)) for pair in re.findall(r"([\d.-]+),([\d.-]+)", path)]
    assert len(points) == 2 * len(GRID)
    return double([low[1] - high[1] for high, low in zip(points, reversed(points), strict=False)])[
        : len(GRID)
    ]


def drawn(page):
    """How many data are drawn as kept, and how many as removed."""
    paths = [page.locator(f"svg.drawing .data.{name}") for name in ("kept", "gone")]
    return [(path.get_attribute("d") or "").count("M") for path in paths]


def spread(page):
    """The distance in pixels between the highest and lowest drawn function at each place."""
    path = page.locator("svg.drawing .draws").get_attribute("d")
    curves = [re.findall(r",([\d.-]+)", part) for part in path.split("M")[1:]]
    heights = double([[float(y) for y in curve] for curve in curves])
    assert heights.shape == (8, len(GRID))
    return heights.amax(dim=0) - heights.amin(dim=0)


def window_box(page):
    return page.locator("svg.drawing .window").bounding_box()


def test_at_first_sight_data_are_missing_and_the_band_is_open_there(shown, module):
    page = shown(GaussianProcess())
    x, y = data_of(module(NAME))
    kept = (x - MIDDLE).abs() > HALF
    at = double([MIDDLE])
    ratio = (exact_moments(x[kept], y[kept], at)[1] / exact_moments(x, y, at)[1]).item()
    assert ratio > 5
    assert traits(page, "times_wider") == [pytest.approx(ratio, rel=1e-6)]
    gone = int((~kept).sum())
    text = said(page)
    assert text == (
        f"Without {gone} of the 25 points the band is {ratio:.1f} times as wide in the middle "
        "of the gap."
    )
    assert page.locator("[role=status]").inner_text() == text
    assert drawn(page) == [25 - gone, gone]
    inside = (GRID - MIDDLE).abs() < 0.5
    far = (GRID - MIDDLE).abs() > 1.5
    for size in (bands(page), spread(page)):
        assert size[inside].mean() > 3 * size[far].mean()
    assert page.locator("svg.drawing text").is_visible()


def test_the_button_gives_the_data_back_and_takes_them_again(shown):
    page = shown(GaussianProcess(), reduced_motion="reduce")
    before, open_band = drawn(page), bands(page)
    page.get_by_role("button", name="Give the 8 points back").click()
    assert traits(page, "removed") == [False]
    assert drawn(page) == [25, 0]
    inside = (GRID - MIDDLE).abs() < 0.5
    assert bands(page)[inside].max() < open_band[inside].min() / 3
    assert said(page) == (
        "With all 25 points the band is narrow. Without these 8 it is 7.1 times as wide."
    )
    assert not page.locator("svg.drawing text").is_visible()
    pass_time(page, 1100)
    assert page.locator("[role=status]").inner_text() == said(page)
    page.get_by_role("button", name="Remove the data here").click()
    assert drawn(page) == before
    assert_close(bands(page), open_band)


def test_where_the_data_stay_a_drawn_function_stays(shown):
    page = shown(GaussianProcess(), reduced_motion="reduce")
    path = page.locator("svg.drawing .draws")

    def heights():
        return double([float(y) for y in re.findall(r",([\d.-]+)", path.get_attribute("d"))])

    one = heights().reshape(8, -1)
    page.get_by_role("button").click()
    moved = (heights().reshape(8, -1) - one).abs()
    assert moved[:, GRID < -1.5].max() < 2  # pixels
    assert moved[:, (GRID - MIDDLE).abs() < 0.5].mean() > 10


@pytest.mark.parametrize(
    ("drag", "settings"), [(by_mouse, {}), (by_touch, PHONE | {"reduced_motion": "no-preference"})]
)
@pytest.mark.parametrize("start", ["knob", "window", "elsewhere"])
def test_a_drag_moves_the_window_and_the_points_below_it_go(shown, module, drag, settings, start):
    page = shown(GaussianProcess(removed=False), **settings)
    x, _ = data_of(module(NAME))
    box = window_box(page)
    unit = box["width"] / (2 * HALF)
    place = {
        "knob": (box["x"] + box["width"] / 2, box["y"] + box["height"]),
        "window": (box["x"] + box["width"] / 4, box["y"] + 60),
        "elsewhere": (box["x"] + box["width"] + 20, box["y"] + 100),
    }[start]
    drag(page, place, (place[0] - 1.5 * unit, place[1] + 4))
    middle = traits(page, "window_middle")[0]
    assert middle == pytest.approx(MIDDLE - 1.5, abs=16 / unit)  # a finger slips before it drags
    assert traits(page, "removed") == [True]
    gone = int(((x - middle).abs() < HALF).sum())
    assert drawn(page) == [25 - gone, gone]
    assert window_box(page)["x"] == pytest.approx(box["x"] + (middle - MIDDLE) * unit, abs=1)
    pass_time(page, 500)
    size = bands(page)
    assert size.argmax() == pytest.approx(20 * (middle + 3), abs=8)


def test_a_click_or_tap_brings_the_window_and_a_finger_scrolls_past_it(shown):
    page = shown(GaussianProcess(removed=False))
    box = page.locator("svg.plot").first.bounding_box()
    page.mouse.click(box["x"] + 100, box["y"] + 100)
    assert traits(page, "window_middle")[0] < -1.5
    assert traits(page, "removed") == [True]
    phone = shown(GaussianProcess(removed=False), **PHONE)
    box = phone.locator("svg.plot").first.bounding_box()
    phone.touchscreen.tap(box["x"] + box["width"] - 60, box["y"] + 100)
    assert traits(phone, "window_middle")[0] > 1.5
    phone.add_style_tag(content="body { padding-bottom: 2000px }")
    before = traits(phone, "window_middle")
    x = box["x"] + box["width"] / 2
    by_touch(phone, (x, box["y"] + 200), (x + 3, box["y"] + 20))
    phone.wait_for_function("scrollY > 50")
    assert traits(phone, "window_middle") == pytest.approx(before, abs=0.05)


def test_the_keys_move_the_window_within_the_plot(shown):
    page = shown(GaussianProcess(removed=False))
    handle = page.get_by_role("slider")
    handle.press("ArrowRight")
    assert traits(page, "window_middle", "removed") == [0.6, True]
    assert handle.get_attribute("aria-valuetext") == "x from −0.3 to 1.5"
    handle.press("PageDown")
    assert traits(page, "window_middle") == [-0.4]
    for key, end in [("Home", -2.1), ("End", 2.1)]:
        handle.press(key)
        assert traits(page, "window_middle") == [end]
        handle.press("ArrowLeft" if end < 0 else "ArrowRight")
        assert traits(page, "window_middle") == [end]


def test_the_band_opens_step_by_step_and_at_once_with_reduced_motion(shown):
    at = 70  # x = 0.5
    page = shown(GaussianProcess())
    heights = [bands(page)[at].item()]
    set_traits(page, removed=False)
    for _ in range(4):
        heights.append(bands(page)[at].item())
        pass_time(page, 100)
    pass_time(page, 100)
    heights.append(bands(page)[at].item())
    assert heights[0] == heights[1]
    assert heights[1:] == sorted(heights[1:], reverse=True)
    assert len(set(heights)) >= 4
    still = shown(GaussianProcess(), reduced_motion="reduce")
    set_traits(still, removed=False)
    assert bands(still)[at].item() == heights[-1]


@pytest.mark.parametrize("width", [800, 600, 375, 320])
def test_nothing_shifts_whatever_is_said(shown, width):
    page = shown(GaussianProcess(), width=width)
    tops = """[...document.querySelectorAll("svg.plot, button, .legend")]
      .map((node) => Math.round(node.getBoundingClientRect().y))"""
    before = page.evaluate(tops)
    for settings in ({"removed": False}, {"removed": True, "window_middle": 2.1}, {"seed": 12}):
        set_traits(page, **settings)
        assert page.evaluate(tops) == before, settings


PLACES = """() => [".result", "svg.plot", ".legend"].map((part) => {
  const {y, height} = document.querySelector(part).getBoundingClientRect();
  return [y, height];
})"""


@pytest.mark.parametrize("width", [800, 375])
def test_the_still_keeps_the_place_of_what_comes(shown, browser, width):
    """A page does not move when the figure's script has run."""
    live = shown(GaussianProcess(), width=width).evaluate(PLACES)
    still = browser.new_page(viewport={"width": width, "height": 900})
    still.set_content(f"<!doctype html>{GaussianProcess().to_html().split('<script')[0]}")
    assert not any(button.is_visible() for button in still.locator("button").all())
    assert still.evaluate(PLACES) == [pytest.approx(place, abs=0.6) for place in live]
    still.close()


def test_it_fits_one_screen(shown):
    page = shown(GaussianProcess())
    assert page.locator(".bnn-figure").bounding_box()["height"] < 460
    phone = shown(GaussianProcess(), **PHONE)
    assert phone.locator(".bnn-figure").bounding_box()["height"] < 600
