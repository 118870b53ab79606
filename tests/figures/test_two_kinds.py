"""Two kinds: the exact posterior against the package, the audit against its mean; in use."""

import math
import re

import pytest
import torch
from helpers.figure_model import set_traits, traits
from helpers.monte_carlo import assert_mean, assert_variance
from playwright.sync_api import expect
from torch.distributions import Normal
from torch.testing import assert_close
from traitlets import TraitError

import bnn_tutorial as bt
from bnn_tutorial.figures import TwoKinds

NAME = "two_kinds"
PRIOR_STD = 0.75
NOMINAL = 2 * Normal(0.0, 1.0).cdf(torch.tensor(-3.0)).item()
SOURCE = {"noise_std": 0.3, "noise_grows": False, "gap_width": 1.6, "gap_middle": 0.8, "seed": 1}
SOURCES = [
    SOURCE,
    SOURCE | {"noise_grows": True, "seed": 0},
    SOURCE | {"noise_std": 0.05, "gap_width": 0.0, "seed": 7},
    SOURCE | {"noise_std": 0.6, "noise_grows": True, "gap_width": 3.0, "gap_middle": -1.5},
]
GRID = torch.linspace(-3, 3, 61, dtype=torch.float64)


def double(values):
    return torch.tensor(values, dtype=torch.float64)


def bumps(x):
    """The features, shape (N, 21)."""
    centres = double([0.4 * j for j in range(-10, 11)])
    return (-(x.unsqueeze(1) - centres).square() / (2 * 0.4**2)).exp()


def noise_at(x, source):
    return source["noise_std"] * (1 + x / 4 if source["noise_grows"] else torch.ones_like(x))


def data_of(module, source, function="makeData"):
    """Inputs and targets, shape (1600,) each."""
    found = module(NAME).evaluate(
        f"""(source) => {{
          const {{x, y}} = module.mathematics.{function}(source);
          return [[...x], [...y]];
        }}""",
        source,
    )
    return double(found).unbind()


def exact_posterior(x, y, source):
    """The package's: rows over the noise, so that its noise is 1."""
    noise = noise_at(x, source).unsqueeze(1)
    return bt.linear_regression_posterior(
        bumps(x) / noise, y.unsqueeze(1) / noise, prior_std=PRIOR_STD, noise_std=1.0
    )


def exact_moments(x, y, source, at):
    posterior = exact_posterior(x, y, source)
    variance = torch.einsum("np,pq,nq->n", bumps(at), posterior.covariance, bumps(at))
    return bumps(at) @ posterior.mean, variance.sqrt()


@pytest.mark.parametrize("source", SOURCES)
def test_the_posterior_is_the_packages_for_every_number_of_data(module, source):
    counts = [0, 1, 25, 141, 1600]
    found = module(NAME).evaluate(
        """([source, counts, grid]) => {
          const {learn, makeData, moments} = module.mathematics;
          const posteriors = learn(makeData(source), source, counts);
          return counts.map((count) => {
            const {mean, std} = moments(posteriors.get(count), Float64Array.from(grid));
            return [[...mean], [...std]];
          });
        }""",
        [source, counts, GRID.tolist()],
    )
    x, y = data_of(module, source)
    for count, moments in zip(counts, double(found), strict=True):
        expected = exact_moments(x[:count], y[:count], source, GRID)
        assert_close(moments, torch.stack(expected), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("source", SOURCES)
def test_the_data_keep_out_of_the_gap_and_spread_over_the_rest(module, source):
    x, _ = data_of(module, source)
    low, high = (source["gap_middle"] + side * source["gap_width"] / 2 for side in (-1, 1))
    assert not ((x > low) & (x < high)).any()
    for count in (25, 200, 1600):
        edges = torch.cat([x[:count], double([-3.0, low, high, 3.0])]).sort().values
        steps = edges.diff()[~((edges[:-1] >= low - 1e-9) & (edges[1:] <= high + 1e-9))]
        assert steps.max() < 3 * (6 - source["gap_width"]) / count


def test_a_wider_gap_moves_no_datum(module):
    def data_with(gap_width):
        x, y = data_of(module, SOURCE | {"gap_width": gap_width})
        return dict(zip(x.tolist(), y.tolist(), strict=True))

    before, after = data_with(0.4), data_with(2.0)
    shared = before.keys() & after.keys()
    assert len(shared) > 800
    assert all(before[x] == after[x] for x in shared)
    assert all(not -0.2 < x < 1.8 for x in after)
    assert all(-0.2 < x < 1.8 for x in before.keys() - after.keys())


def test_noise_and_curve_have_the_moments_that_the_text_says(module):
    seeds = range(300)
    found = module(NAME).evaluate(
        """([source, seeds]) => seeds.map((seed) => {
          const {makeData, newObservations, noiseAt, trueCurve} = module.mathematics;
          const curve = trueCurve(seed);
          return [makeData, newObservations].map((make) => {
            const {x, y} = make({...source, seed});
            return [0, 400, 800, 1500].map((n) => (y[n] - curve(x[n])) / noiseAt(source, x[n]));
          }).flat().concat([-3, 0, 1.3].map(curve));
        })""",
        [SOURCE | {"noise_grows": True}, list(seeds)],
    )
    draws = double(found)
    prior = PRIOR_STD**2 * bumps(double([-3.0, 0.0, 1.3])).square().sum(dim=1)
    assert_mean(draws, 0.0)
    assert_variance(draws, torch.cat([torch.ones(8), prior]))
    assert prior == pytest.approx([1.0] * 3, rel=0.01)


@pytest.mark.parametrize("source", SOURCES[:2])
def test_on_average_the_audit_is_what_both_bands_promise(module, source):
    """Over curves and data: 0.27 % outside the total band, and outside the other what follows."""
    count, seeds = 100, range(250)
    found = module(NAME).evaluate(
        """([source, count, seeds]) => seeds.map((seed) => {
          const {audit, learn, makeData, moments, SIGMAS, trueCurve} = module.mathematics;
          const each = {...source, seed};
          const posterior = learn(makeData(each), each, [count]).get(count);
          const places = Float64Array.from({length: 61}, (_, i) => -3 + 0.1 * i);
          const {mean, std} = moments(posterior, places);
          const curve = places.map(trueCurve(seed));
          const outside = curve.filter((f, i) => Math.abs(f - mean[i]) > SIGMAS * std[i]);
          const {total, epistemic} = audit(posterior, each);
          return [total, epistemic, outside.length / places.length];
        })""",
        [source, count, list(seeds)],
    )
    new = -3 + 6 * (torch.arange(2000).double() + 0.5) / 2000
    noise = noise_at(new, source)
    expected = []
    for seed in (0, 1, 2, 3):  # the inputs hardly differ from seed to seed
        x, y = data_of(module, source | {"seed": seed})
        _, std = exact_moments(x[:count], y[:count], source, new)
        z = 3 * std / (std.square() + noise.square()).sqrt()
        expected.append(2 * Normal(0.0, 1.0).cdf(-z).mean().item())
    assert max(expected) - min(expected) < 0.01
    draws = double(found)
    assert_mean(draws[:, 0], NOMINAL)
    assert_mean(draws[:, 2], NOMINAL)
    assert draws[:, 1].mean().item() == pytest.approx(sum(expected) / 4, abs=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_data", 24),
        ("num_data", 1601),
        ("num_data", 50.5),
        ("noise_std", 0.0),
        ("gap_width", 3.5),
        ("gap_middle", -1.6),
        ("place", 4.0),
        ("seed", -1),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(TraitError, match=name):
        TwoKinds(**{name: value})


def numbers(page):
    """The numbers in bold: epistemic std, noise, in the gap unless left out, both shares in %."""
    texts = page.locator(".result b").all_inner_texts()
    return [float(text.removesuffix(" %")) for text in texts]


def test_the_first_sight_says_that_data_shrink_one_part_and_not_the_other(shown, module):
    page = shown(TwoKinds())
    x, y = data_of(module, SOURCE)
    at = double([-1.5, 0.8])
    few, now, all_data = (
        [f"{value:.3f}" for value in exact_moments(x[:n], y[:n], SOURCE, at)[1].tolist()]
        for n in (25, 100, 1600)
    )
    text = page.locator(".result").inner_text()
    assert text.startswith(
        f"With 100 data the epistemic std at x = −1.5 is {now[0]}, on its way from {few[0]} with "
        f"25 to {all_data[0]} with 1,600; the noise stays 0.300. In the middle of the gap the "
        f"epistemic std is {now[1]}. Of 2,000 new observations "
    )
    assert float(all_data[0]) < float(few[0]) / 6
    assert page.locator("[role=status]").inner_text() == text


@pytest.mark.parametrize("settings", [{}, {"num_data": 777, "noise_grows": True, "place": 2.0}])
def test_what_is_said_and_told_to_python_is_what_the_bands_leave_out(shown, module, settings):
    figure = TwoKinds(**settings)
    page = shown(figure)
    source = {name: getattr(figure, name) for name in SOURCE}
    x, y = (values[: figure.num_data] for values in data_of(module, source))
    new_x, new_y = data_of(module, source, "newObservations")
    mean, std = exact_moments(x, y, source, new_x)
    distance = (new_y - mean).abs()
    total = (std.square() + noise_at(new_x, source).square()).sqrt()
    outside = [(distance > 3 * width).double().mean().item() for width in (total, std)]
    _, at = exact_moments(x, y, source, double([figure.place]))
    told = traits(page, "epistemic_std", "outside_total", "outside_epistemic")
    assert told == pytest.approx([at.item(), *outside], abs=1e-9)
    epistemic, noise, _, *shares = numbers(page)
    assert epistemic == pytest.approx(at.item(), abs=5.1e-4)
    assert noise == pytest.approx(noise_at(double([figure.place]), source).item(), abs=5.1e-4)
    assert shares == pytest.approx([100 * share for share in outside], abs=0.51)


def heights(page, band):
    """The height in pixels of a band at the first place of the grid, and in the middle of it."""
    path = page.locator(f".views .band.{band}").get_attribute("d")
    points = [tuple(map(float, pair)) for pair in re.findall(r"([\d.-]+),([\d.-]+)", path)]
    high, low = points[: len(points) // 2], points[: len(points) // 2 - 1 : -1]
    return [b[1] - a[1] for a, b in zip(high, low, strict=True)]


def test_more_data_shrink_the_inner_band_to_a_line_and_leave_the_outer_one(shown):
    page = shown(TwoKinds(num_data=25, gap_width=0.0))
    place = 30  # of 120: x = -1.5
    unit = 252 / 8  # pixels of the plot's height over its domain
    inner, outer = heights(page, "epistemic")[place], heights(page, "total")[place]
    set_traits(page, num_data=1600)
    assert heights(page, "epistemic")[place] < inner / 5
    assert outer / unit > heights(page, "total")[place] / unit == pytest.approx(1.8, rel=0.03)
    set_traits(page, noise_std=0.6)
    assert heights(page, "total")[place] / unit == pytest.approx(3.6, rel=0.03)


def test_in_the_gap_it_stays_wide_and_both_are_said_where_the_mark_is(shown):
    page = shown(TwoKinds(num_data=1600))
    inner = heights(page, "epistemic")
    assert inner[76] > 10 * inner[30]  # x = 0.8, x = -1.5
    assert len(numbers(page)) == 5
    set_traits(page, place=0.8)
    assert "at x = 0.8 in the gap is" in page.locator(".result").inner_text()
    assert len(numbers(page)) == 4
    set_traits(page, gap_width=0.0)
    assert "gap" not in page.locator(".result").inner_text()
    expect(page.locator(".views .bands .gap")).not_to_have_attribute("d", re.compile("M"))


def test_the_sliders_set_doublings_and_python_any_number(shown):
    page = shown(TwoKinds(num_data=333))
    slider = page.get_by_label("Number of data N")
    assert "With 333 data" in page.locator(".result").inner_text()
    slider.press("ArrowRight")
    assert traits(page, "num_data") == [400]
    for _ in range(4):
        slider.press("ArrowRight")
    assert traits(page, "num_data") == [800]
    assert page.locator(".views .data").get_attribute("d").count("M") == 800


def test_the_mark_moves_by_hand_and_by_keys_and_stays_on_the_axis(shown):
    page = shown(TwoKinds())
    mark = page.locator("[data-trait=place]")
    box = mark.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    plot = page.locator(".bands svg").first.bounding_box()
    unit = (plot["width"] - 54 - 10) / 6
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + unit, y + 20, steps=3)
    assert traits(page, "place") == pytest.approx([-0.5], abs=1.5 / unit)
    page.mouse.move(x + 9 * unit, y)
    page.mouse.up()
    assert traits(page, "place") == [3]
    mark.press("ArrowLeft")
    assert traits(page, "place") == [2.9]
    assert mark.get_attribute("aria-valuetext") == "x = 2.9"
    mark.press("Home")
    assert traits(page, "place") == [-3]


def test_other_data_are_another_curve_with_the_same_settings(shown):
    page = shown(TwoKinds())
    page.locator("details").evaluate("(node) => (node.open = true)")
    before = page.locator(".views .curve").get_attribute("d")
    page.get_by_role("button", name="Another curve").click()
    assert traits(page, "seed", "num_data") == [2, 100]
    assert page.locator(".views .curve").get_attribute("d") != before


NAMES_AND_LINES = """() => {
  const box = (name) => {
    const {left, right, top, bottom} = document.querySelector(name).getBoundingClientRect();
    return {left, right, top, bottom};
  };
  return [box("text.name.epistemic"), box("text.name.noise")];
}"""


@pytest.mark.parametrize("width", [800, 390])
def test_the_names_of_both_lines_never_cover_each_other(shown, width):
    page = shown(TwoKinds(), width=width)
    for place in (-3.0, -1.5, 0.2, 0.5, 0.8):
        for noise_std in (0.05, 0.3, 0.45, 0.6):
            set_traits(page, place=place, noise_std=noise_std)
            one, other = page.evaluate(NAMES_AND_LINES)
            apart = max(one["top"] - other["bottom"], other["top"] - one["bottom"])
            assert apart > -4, (place, noise_std)  # a letter's box is higher than the letter
            plot = page.locator(".over-counts svg").first.bounding_box()
            assert min(one["top"], other["top"]) > plot["y"] - 4
            assert max(one["bottom"], other["bottom"]) < plot["y"] + plot["height"] - 38


@pytest.mark.parametrize("width", [800, 390])
def test_the_plots_stay_where_they_are_whatever_is_said(shown, width):
    page = shown(TwoKinds(), width=width)
    top = """[...document.querySelectorAll("svg.plot, .views input")]
      .map((node) => Math.round(node.getBoundingClientRect().y))"""
    before = page.evaluate(top)
    for settings in (
        {"num_data": 1600},
        {"place": 0.85},
        {"place": -2.95, "gap_width": 0.1},
        {"num_data": 25},
        {"noise_grows": True},
    ):
        set_traits(page, **settings)
        assert page.evaluate(top) == before, settings


def test_nothing_is_wider_than_a_phone(shown):
    page = shown(TwoKinds(num_data=1600), width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert math.isfinite(traits(page, "outside_total")[0])
