"""The posterior playground, used as a reader would: by mouse, finger, keys and address."""

import json
import math
import re
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
import torch
import traitlets
from helpers.figure_clock import pass_frames, pass_time, rest, settle
from helpers.figure_model import said, trait
from helpers.monte_carlo import assert_mean, assert_variance
from helpers.pointers import by_mouse, by_touch
from torch.distributions import Normal

import bnn_tutorial as bt
from bnn_tutorial.datasets import polynomial
from bnn_tutorial.figures import PosteriorPlayground
from bnn_tutorial.figures.posterior_playground import NOISE_STD

LINE = [[x / 4, x / 2] for x in range(-6, 7)]
SMALL = {"points": LINE, "hidden_units": 4, "noise_std": 1.0}


def width(page, x):
    """The height of the epistemic band at ``x``, in pixels."""
    d = page.locator(".picture path.epistemic").get_attribute("d")
    points = [tuple(map(float, point.split(","))) for point in re.findall(r"[-\d.]+,[-\d.]+", d)]
    high, low = points[: len(points) // 2], points[: len(points) // 2 - 1 : -1]
    index = round((x + 3) / 6 * (len(high) - 1))
    return low[index][1] - high[index][1]


def heights(path):
    """How far down the points of a path lie, in pixels."""
    return [float(point.split(",")[1]) for point in path[1:].split("L")]


def place(page, x, y):
    """Where the point (x, y) of the plot lies on the page."""
    page.locator(".picture").scroll_into_view_if_needed()
    box = page.locator(".picture > svg").bounding_box()
    left, top, right, bottom = box["x"] + 52, box["y"] + 10, 12, 40  # the plot's margins
    across, down = box["width"] - 52 - right, box["height"] - 10 - bottom
    return [left + across * (x + 3) / 6, top + down * (20 - y) / 40]


def unfold(page):
    page.eval_on_selector_all("details", "(all) => all.forEach((node) => (node.open = true))")
    return page


def mark(page, letter):
    return page.locator(f".conventions button:has(b:text-is('{letter}'))")


# What Python gives and reads


def test_data_lie_around_the_chapters_curve():
    x, y = torch.tensor(PosteriorPlayground().points).T
    residuals = y - polynomial(x)
    assert len(residuals) == 60
    assert_mean(residuals, 0.0)
    assert_variance(residuals, NOISE_STD**2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("prior_std", 0.0, "prior_std"),
        ("kl_weight", 1000.0, "kl_weight"),
        ("noise_std", -1.0, "noise_std"),
        ("hidden_units", 0, "hidden_units"),
        ("estimator", "flipout", "estimator"),
        ("points", [[0, 0], [0, math.nan]], r"points\[1\]"),
        ("points", [[4, 0]], r"points\[0\]=\[4, 0\]"),
        ("points", [0.5], r"points\[0\]=0.5"),
        ("points", [[0, 0]] * 301, "301"),
        ("gap", [1.0, 0.0], "gap"),
        ("gap", [0.0, 9.0], "gap"),
        ("gap", [0.0], "gap"),
        ("address_key", "two words", "address_key"),
    ],
)
def test_a_setting_out_of_bounds_is_an_error_that_names_it(name, value, message):
    with pytest.raises(traitlets.TraitError, match=message):
        PosteriorPlayground(**{name: value})


def test_module_and_class_have_the_same_bounds(module):
    page = module("posterior_playground")
    ranges = page.evaluate("module.RANGES")
    traits = PosteriorPlayground.class_traits()
    assert ranges == {name: [traits[name].min, traits[name].max] for name in ranges}
    for (x, y), valid in {(3, -20): True, (3.01, 0): False, (0, 20.1): False}.items():
        assert (page.evaluate("([x, y]) => module.pointAt(x, y)", [x, y]) == [x, y]) is valid


@pytest.mark.parametrize("gap", [[], [-0.5, 0.5], [-3.0, 3.0]])
def test_python_and_module_train_on_the_same_points(module, gap):
    points = [[-2.0, 1.0], [-0.5, 3.0], [0.0, 4.0], [0.5, -1.0], [0.51, 2.0]]
    x, y = PosteriorPlayground(points=points, gap=gap).training_data()
    assert x.shape == y.shape == (len(x), 1)
    used = module("posterior_playground").evaluate(
        "([points, gap]) => module.outsideGap(points, gap)", [points, gap]
    )
    assert torch.equal(torch.cat([x, y], dim=1), torch.tensor(used).reshape(-1, 2))


def test_shows_the_setting_it_was_given(shown):
    narrow = shown(PosteriorPlayground(prior_std=0.5, kl_weight=1.0, running=False))
    assert narrow.get_by_label("Prior σ").get_attribute("aria-valuetext") == "0.5"
    page = shown(PosteriorPlayground(prior_std=0.5, **SMALL))
    rest(page)
    other = shown(PosteriorPlayground(prior_std=5.0, **SMALL))
    rest(other)
    assert width(other, 2.5) > 1.5 * width(page, 2.5)


def test_writes_back_what_it_computed(shown):
    page = shown(PosteriorPlayground(kl_weight=0.5, **SMALL))
    rest(page)
    values = {name: trait(page, name) for name in ("loss", "fit", "kl", "steps")}
    assert values["steps"] >= 1000
    assert values["loss"] == pytest.approx(values["fit"] + 0.5 * values["kl"] / len(LINE))
    outside = trait(page, "outside_total")
    counted = f"{2000 * outside:,.0f} of 2,000 ({outside:.2%}, nominal 0.27%)"
    audit = page.locator(".of-outsiders").inner_text().replace("\u00a0", "")
    assert audit == f"new points outside it: {counted}"
    assert f"{200 * trait(page, 'curve_outside_epistemic'):.0f} of 200 places" in said(page)


FILLED = """([name, shares]) => {
  const path = (name) => document.querySelector(`.picture path.${name}`);
  const places = path("epistemic").getAttribute("d").match(/[-.0-9]+,[-.0-9]+/g);
  const at = (i) => places[i].split(",").map(Number);
  const [x, top] = at(60), [, bottom] = at(181); // there and back again: the two ends at x = 0
  const place = (share) => new DOMPoint(x, ((top + bottom) + share * (bottom - top)) / 2);
  return shares.map((share) => path(name).isPointInFill(place(share)));
}"""


def test_bands_lie_side_by_side_and_their_colours_do_not_mix(shown):
    page = unfold(shown(PosteriorPlayground(running=False, **SMALL)))
    for _ in range(5):
        page.get_by_role("button", name="100 steps").click()
    shares = [0, 0.9, -0.9, 1.1, -1.1]  # of the epistemic band's half width, from its middle
    inside = [True, True, True, False, False]
    assert page.evaluate(FILLED, ["epistemic", shares]) == inside
    assert page.evaluate(FILLED, ["total", shares]) == [not share for share in inside]
    hole = page.locator(".picture path.epistemic").get_attribute("d")
    page.get_by_label("Epistemic band").uncheck()
    assert hole not in page.locator(".picture path.total").get_attribute("d")


# What it computes (loss, gradient and moments: test_playground_mathematics.py)


def test_held_out_points_are_the_curve_and_its_noise(module):
    page = module("posterior_playground")
    x, y = page.evaluate("() => Object.values(module.heldOut()).map((values) => [...values])")
    x, y = torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    assert (x[0], x[-1], len(x), len(y)) == (-1.5, 1.5, 200, 2000)
    residuals = y - polynomial(x).repeat_interleave(10)
    assert_mean(residuals, 0.0)
    assert_variance(residuals, NOISE_STD**2)


def test_audit_counts_what_each_band_leaves_out(module):
    page = module("posterior_playground")
    audit, x, y, mean, std = page.evaluate(
        """() => {
          const network = module.createNetwork({ hidden_units: 5, seed: 1, initStd: 1 });
          const { total, epistemic, curve, outsiders } = module.createAudit()(network, 0.9);
          const { x, y } = module.heldOut();
          const { mean, std } = module.exactMoments(network, x);
          const counts = [total.outside, epistemic.outside, curve.outside, outsiders.length];
          return [counts, [...x], [...y], [...mean], [...std]];
        }"""
    )
    x, y, mean, std = (torch.tensor(values, dtype=torch.float64) for values in (x, y, mean, std))
    off = (y.view(200, 10) - mean[:, None]).abs()
    total = (off > 3 * (std**2 + 0.9**2).sqrt()[:, None]).sum().item()
    epistemic = (off > 3 * std[:, None]).sum().item()
    curve = ((polynomial(x) - mean).abs() > 3 * std).sum().item()
    assert audit == [total, epistemic, curve, total]
    assert 0 < total < epistemic
    assert curve > 0


def test_marks_stand_where_each_convention_puts_the_elbo(module):
    num_data, hidden, noise = 40, 7, 0.8
    num_parameters = 3 * hidden + 1
    page = module("posterior_playground")
    problem = {"numData": num_data, "numParameters": num_parameters, "noise_std": noise}
    weights = page.evaluate("(p) => module.klConventions(p).map((one) => one.value)", problem)
    y, f, kl = torch.randn(num_data, 1), torch.randn(num_data, 1), torch.tensor(123.0)
    nll = -Normal(f, noise).log_prob(y).mean()
    squares = (y - f).square().mean()
    programs = [
        nll + kl / num_data,
        nll + kl / num_parameters,
        nll + kl / 10,
        nll + kl / 10_000,
        # 2 s² NLL = squared error + s² log(2πs²), the chapter's eq-poly-tempered
        (squares + 0.01 * kl / num_parameters) / (2 * noise**2)
        + math.log(2 * math.pi * noise**2) / 2,
    ]
    losses = [bt.elbo_loss(nll, kl, num_data=num_data, kl_weight=weight) for weight in weights]
    torch.testing.assert_close(torch.stack(losses), torch.stack(programs))


# How it begins, and what it says


def shares_of_prior(page):
    """The epistemic band's heights at three places, in those of the network's prior."""
    hidden, prior = 30, 2.0
    priors = [math.sqrt(hidden / 2 * prior**4 * (1 + x**2) + prior**2) for x in (-2, 0, 2)]
    unit = page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('.view "
        "svg')).getPropertyValue('--plot-height'))"
    )
    pixels = (unit - 50) / 40  # of one unit of y
    return [width(page, x) / (6 * std * pixels) for x, std in zip((-2, 0, 2), priors, strict=True)]


def test_it_begins_at_the_prior_and_slowly_then_folds_onto_the_points(shown):
    page = shown(PosteriorPlayground())
    assert shares_of_prior(page) == pytest.approx([1, 1, 1], abs=0.15)  # and what its means add
    assert said(page).startswith("This is the prior, before training:")
    pass_time(page, 1000)
    assert 40 <= trait(page, "steps") < 150
    shares = shares_of_prior(page)
    assert 0.02 < min(shares) <= max(shares) < 0.8, shares
    rest(page)
    assert all(
        after < 0.5 * before for after, before in zip(shares_of_prior(page), shares, strict=True)
    )


@pytest.mark.parametrize(("speed", "steps"), [("slow", 60), ("fast", 1200)])
def test_speed_is_of_steps_in_a_frame(shown, speed, steps):
    page = shown(PosteriorPlayground(running=False))
    page.get_by_label(speed).check()
    assert trait(page, "speed") == speed
    page.get_by_role("button", name="Play").click()
    pass_frames(page, 60)
    page.get_by_role("button", name="Pause").click()
    assert trait(page, "steps") == steps


def test_wider_priors_than_two_begin_at_two(shown):
    page = shown(PosteriorPlayground(running=False, prior_std=10.0))
    assert shares_of_prior(page) == pytest.approx([1, 1, 1], abs=0.15)  # and what its means add
    assert said(page).startswith("Before training:")


def test_the_finding_is_what_the_bands_are(shown):
    page = shown(PosteriorPlayground())
    rest(page)
    at_points, at_end = map(float, re.findall(r"±([\d.]+)", said(page))[:2])
    assert at_end > 8 * at_points
    pixels = 270 / 40  # of one unit of y
    assert at_end == pytest.approx(width(page, 3) / pixels / 2, rel=0.06)
    assert said(page).endswith(
        "where there are none; within x = ±1.5 the true curve stays inside this band."
    )
    page.get_by_role("button", name="Watch it lie").click()
    rest(page)
    assert trait(page, "curve_outside_epistemic") > 0.5
    places = round(200 * trait(page, "curve_outside_epistemic"))
    assert said(page).endswith(
        f"but within x = ±1.5 the true curve leaves this band at {places} of 200 places."
    )
    page.get_by_role("button", name="With a gap").click()
    pass_frames(page, 20)  # it is told a few times a second
    assert "at x = 0, in the gap;" in said(page)


def test_presets_bring_data_and_say_which_they_are(shown):
    page = unfold(shown(PosteriorPlayground(running=False)))
    points = trait(page, "points")
    pressed = page.locator(".suggestions [aria-pressed=true]")
    assert pressed.all_inner_texts() == ["All points"]
    page.get_by_role("button", name="Few points").click()
    few = trait(page, "points")
    assert len(few) == 6
    assert all(point in points for point in few)
    assert (few[0][0], few[-1][0]) == (min(points)[0], max(points)[0])
    assert pressed.all_inner_texts() == ["Few points"]
    page.get_by_role("button", name="With a gap").click()
    assert (trait(page, "points"), trait(page, "gap")) == (points, [-0.75, 0.75])
    page.get_by_role("button", name="Undo").click()
    assert trait(page, "points") == few
    page.mouse.click(*place(page, 2.5, 5))
    assert pressed.count() == 0


def test_an_experiment_sets_all_that_it_needs_and_says_what_to_see(shown):
    page = shown(PosteriorPlayground(running=False))
    before = page.evaluate("() => ['points', 'prior_std'].map((name) => model.get(name))")
    note = page.locator(".note")
    promise = note.inner_text()
    page.get_by_label("Prior σ").press("End")
    page.get_by_role("button", name="Far points").click()
    assert len(trait(page, "points")) == 62
    assert note.inner_text().startswith("The fan is tied")
    page.get_by_role("button", name="Watch it lie").click()
    assert [trait(page, "points"), trait(page, "prior_std")] == before
    assert (trait(page, "kl_weight"), trait(page, "show_truth")) == (0.006, True)
    assert trait(page, "running")
    assert "dotted" in note.inner_text()
    page.get_by_role("button", name="Reset").click()
    assert note.inner_text() == promise
    assert (trait(page, "kl_weight"), trait(page, "running")) == (1, False)


# Where it stands


def test_on_a_wide_page_the_plot_is_left_and_all_in_sight(shown):
    # The own page's column at 1280 x 800, and what its header and its first words leave.
    page = shown(PosteriorPlayground(running=False), width=944 + 16, height=800 - 200)
    view, panel = (page.locator(name).bounding_box() for name in (".view", ".panel"))
    assert view["x"] + view["width"] <= panel["x"]
    assert page.evaluate("document.documentElement.scrollHeight") <= 800 - 200
    names = ["Play", "Reset", "All points", "With a gap", "Few points"]
    assert all(page.get_by_role("button", name=name).is_visible() for name in names)
    labels = ["slow", "Weight λ", "Prior σ", "Noise s"]
    assert all(page.get_by_label(label).is_visible() for label in labels)
    folded = [page.get_by_label("Ensemble"), page.get_by_label("by drawn weights"), mark(page, "A")]
    assert not any(node.is_visible() for node in folded)
    unfold(page)
    page.get_by_label("Hidden units").scroll_into_view_if_needed()
    assert page.locator(".picture").bounding_box()["y"] >= 0  # beside what is unfolded


def test_in_a_column_of_text_the_controls_stand_below(shown):
    page = shown(PosteriorPlayground(running=False), width=688 + 16)
    picture, panel = (page.locator(name).bounding_box() for name in (".picture", ".panel"))
    assert picture["y"] + picture["height"] <= panel["y"]


NOTE_SHIFTS = """() => {
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const { value } of list.getEntries()) window.shifts += value;
  }).observe({ type: "layout-shift" });
}"""


@pytest.mark.parametrize("size", [(1280, 800), (976, 1200), (720, 1300), (375, 740), (375, 1600)])
def test_nothing_moves_while_it_loads_and_trains(watched, size):
    page = watched(requests=False, viewport=dict(zip(("width", "height"), size, strict=True)))
    figure = (
        PosteriorPlayground().to_html().replace("new PageModel", "window.model = new PageModel")
    )
    # The script waits until the still was seen.
    begin = figure.replace("<script>beginF", "<script>begin = () => beginF")
    assert begin.count("begin = ") == 1
    head = '<!doctype html><meta name="viewport" content="width=device-width"><title>.</title>'
    page.set_content(f"{head}{begin}<p style='height: 900px'>What follows.</p>")
    page.evaluate(NOTE_SHIFTS)
    page.screenshot()
    page.evaluate("begin()")
    settle(page)
    page.screenshot()
    for _ in range(40):
        pass_frames(page, 5)
        page.screenshot()
    rest(page)
    page.evaluate("""() => {
      for (const name of ["Watch it lie", "Open a gap", "Deny the noise", "Reset"])
        [...document.querySelectorAll("button")].find((b) => b.textContent === name).click();
    }""")
    pass_frames(page, 5)
    page.screenshot()
    assert page.evaluate("shifts") < 0.02


# Used by mouse


def test_dragging_the_kl_weight_widens_the_band(shown):
    page = shown(PosteriorPlayground(**SMALL))
    rest(page)
    before = width(page, 2.5)
    slider = page.get_by_label("Weight λ")
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    thumb = box["x"] + 8 + (box["width"] - 16) * 4 / 6
    by_mouse(page, (thumb, middle), (thumb + box["width"] / 6, middle))
    assert trait(page, "kl_weight") == pytest.approx(10, rel=0.1)
    rest(page)
    wide = width(page, 2.5)
    assert wide > 1.5 * before
    by_mouse(page, (thumb + box["width"] / 6, middle), (thumb - box["width"] / 3, middle))
    assert trait(page, "kl_weight") < 0.02
    rest(page)
    assert width(page, 2.5) < before / 2


def test_marks_set_the_weight_and_move_with_the_settings(shown):
    page = unfold(shown(PosteriorPlayground(running=False)))
    noise = trait(page, "noise_std")
    for letter, weight in {"D": 0.006, "C": 6, "B": 60 / 91, "E": 0.3 / 91 / noise**2}.items():
        mark(page, letter).click()
        assert trait(page, "kl_weight") == float(f"{weight:.3g}")
        assert mark(page, letter).get_attribute("aria-pressed") == "true"
    page.get_by_label("Hidden units").press("Home")
    assert "λ = 15" in mark(page, "B").inner_text()  # 60 data, 4 parameters
    page.get_by_role("button", name="Cut a gap").click()
    assert "λ = 7.5" in mark(page, "B").inner_text()  # 30 data
    assert mark(page, "E").get_attribute("aria-pressed") == "false"
    empty = unfold(shown(PosteriorPlayground(points=[], running=False)))
    assert mark(empty, "B").is_disabled()
    assert mark(empty, "A").is_enabled()


def test_a_clicked_point_is_answered(shown):
    page = shown(PosteriorPlayground(**SMALL))
    rest(page)
    before = width(page, 2.5)
    steps = trait(page, "steps")
    page.mouse.click(*place(page, 2.5, 5))
    assert len(trait(page, "points")) == len(LINE) + 1
    assert trait(page, "points")[-1] == pytest.approx([2.5, 5], abs=0.15)
    rest(page)
    assert trait(page, "steps") > steps
    assert width(page, 2.5) < before


def test_points_are_dragged_removed_and_brought_back(shown):
    page = unfold(shown(PosteriorPlayground(running=False, **SMALL)))
    by_mouse(page, place(page, 0, 0), place(page, 0.5, -10))
    moved = trait(page, "points")
    assert moved[6] == pytest.approx([0.5, -10], abs=0.15)
    assert moved[:6] + moved[7:] == LINE[:6] + LINE[7:]
    page.get_by_role("button", name="Undo").click()
    assert trait(page, "points") == LINE
    assert page.get_by_role("button", name="Undo").is_disabled()
    page.mouse.dblclick(*place(page, *LINE[2]))
    assert trait(page, "points") == LINE[:2] + LINE[3:]
    page.get_by_label("Erase").check()
    by_mouse(page, place(page, -1.5, -3), place(page, -1.25, -2.5))
    page.mouse.click(*place(page, 2.5, 5))  # there is nothing
    assert trait(page, "points") == LINE[3:]
    page.get_by_role("button", name="All points").click()
    assert trait(page, "points") == LINE


def test_a_double_click_on_the_empty_plot_adds_one_point(shown):
    page = unfold(shown(PosteriorPlayground(running=False, **SMALL)))
    page.mouse.dblclick(*place(page, 2.5, 5))
    assert len(trait(page, "points")) == len(LINE) + 1
    page.get_by_role("button", name="Undo").click()
    assert trait(page, "points") == LINE


def test_a_gap_is_cut_moved_and_closed(shown):
    page = unfold(shown(PosteriorPlayground(**SMALL)))
    rest(page)
    fit = trait(page, "fit")
    page.get_by_label("Cut a gap", exact=True).check()
    by_mouse(page, place(page, -0.9, 12), place(page, 0.6, 12))
    assert trait(page, "gap") == pytest.approx([-0.9, 0.6], abs=0.02)
    assert page.locator(".point.unused").count() == 6
    assert "λ = 0.538" in mark(page, "B").inner_text()  # 7 data, 13 parameters
    rest(page)
    assert trait(page, "fit") != fit
    edge = page.get_by_role("slider", name="Right edge of the gap")
    edge.press("ArrowRight")
    assert trait(page, "gap")[1] == pytest.approx(0.65, abs=0.02)
    by_mouse(page, place(page, trait(page, "gap")[1], 12), place(page, -2, 12))
    low, high = trait(page, "gap")
    assert high == pytest.approx(low + 0.1)  # no edge passes the other
    page.get_by_role("button", name="Close the gap").click()
    assert trait(page, "gap") == []
    assert page.locator(".point.unused").count() == 0


# Used by touch


def test_a_finger_adds_moves_and_erases_points(shown):
    page = shown(PosteriorPlayground(running=False, **SMALL), width=375, has_touch=True)
    page.touchscreen.tap(*place(page, 2.5, 5))
    assert trait(page, "points")[-1] == pytest.approx([2.5, 5], abs=0.3)
    start, end = place(page, 2.5, 5), place(page, 2, -10)
    by_touch(page, start, [(a + b) / 2 for a, b in zip(start, end, strict=True)], end)
    page.wait_for_function("model.get('points').at(-1)[1] < -9")
    assert trait(page, "points")[:-1] == LINE
    assert trait(page, "points")[-1] == pytest.approx([2, -10], abs=0.3)
    unfold(page).get_by_label("Erase").check()
    page.touchscreen.tap(*place(page, 2, -10))
    assert trait(page, "points") == LINE


def test_a_swipe_over_the_plot_scrolls_the_page(shown):
    page = shown(PosteriorPlayground(running=False, **SMALL), width=375, has_touch=True)
    x, y = place(page, 2.5, 0)
    by_touch(page, *[(x, y - distance) for distance in range(0, 110, 10)])
    page.wait_for_function("scrollY > 20")
    assert trait(page, "points") == LINE


@pytest.mark.parametrize("height", [667, 740, 812])
def test_on_a_phone_the_plot_stays_in_sight_and_takes_a_third_at_most(shown, height):
    page = shown(PosteriorPlayground(running=False), width=375, height=height, has_touch=True)
    page.add_style_tag(content="body { padding-bottom: 900px }")
    unfold(page).get_by_label("Hidden units").evaluate("(n) => n.scrollIntoView({block: 'end'})")
    assert page.evaluate("scrollY") > 600
    picture = page.locator(".picture").bounding_box()
    assert (picture["x"], picture["y"]) == (8, 0)
    assert picture["height"] <= height / 3
    # What the keys reach stands below it, and is whole.
    page.get_by_label("Prior σ").focus()
    slider = page.get_by_label("Prior σ").bounding_box()
    assert picture["height"] < slider["y"] < height - slider["height"]


def test_hints_speak_of_the_hand_at_hand(shown):
    hint = unfold(shown(PosteriorPlayground(running=False))).locator(".hint")
    assert hint.inner_text().startswith("Click")
    finger = unfold(shown(PosteriorPlayground(running=False), has_touch=True, is_mobile=True))
    assert finger.locator(".hint").inner_text().startswith("Tap")


def test_fits_a_phone(shown):
    page = unfold(shown(PosteriorPlayground(running=False), width=320))
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for target in page.locator(".bnn-figure :is(button, label, summary, input[type=range])").all():
        box = target.bounding_box()
        inside = target.evaluate("(node) => node.matches('.slider label')")
        assert inside or min(box["width"], box["height"]) >= 24, target.inner_text()


# Used by keys alone


def test_keys_move_and_remove_points(shown):
    page = shown(PosteriorPlayground(running=False, **SMALL))
    page.keyboard.press("Tab")
    focus = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focus) == "Data point 1 of 13"
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowLeft")
    assert trait(page, "points")[1] == [LINE[1][0] - 0.5, LINE[1][1] + 0.5]
    value = page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    assert value == "x −1.75, y −2.00"
    page.keyboard.press("PageUp")
    page.keyboard.press("Delete")
    assert len(trait(page, "points")) == 12
    assert page.evaluate(focus) == "Data point 1 of 12"
    page.keyboard.press("Tab")  # one stop for all points
    assert page.evaluate("document.activeElement.textContent") == "Play"
    unfold(page).get_by_role("button", name="Add a point").press("Enter")
    assert page.evaluate(focus) == "Data point 13 of 13"
    page.keyboard.press("ArrowDown")
    assert trait(page, "points")[-1][1] == -0.5


def test_focus_stays_in_the_figure_when_its_place_goes(shown):
    page = unfold(shown(PosteriorPlayground(running=False, points=[[0, 0]], hidden_units=4)))
    focused = "document.activeElement.closest('label')?.textContent"
    undo = page.get_by_role("button", name="Undo")
    page.get_by_role("button", name="Cut a gap").press("Enter")
    undo.press("Enter")
    assert undo.is_disabled()
    assert page.evaluate(focused) == "Add or move"
    page.keyboard.press("Enter")  # once too often
    assert trait(page, "points") == [[0, 0]]
    page.get_by_role("button", name="Cut a gap").press("Enter")
    page.get_by_role("slider", name="Right edge of the gap").press("Delete")
    assert trait(page, "gap") == []
    assert page.evaluate(focused) == "Add or move"
    page.get_by_role("slider", name="Data point").press("Delete")
    assert trait(page, "points") == []
    assert page.evaluate(focused) == "Add or move"


def test_keys_move_sliders_and_choose(shown):
    page = shown(PosteriorPlayground(running=False, **SMALL))
    slider = page.get_by_label("Noise s")
    slider.press("ArrowRight")
    assert trait(page, "noise_std") > 1.0
    page.get_by_text("Compare, and").press("Enter")
    page.get_by_label("Gaussian process").press("Space")
    assert page.locator(".overlay.gaussian_process:not(.edges)[d]").count() == 2  # and the legend's
    page.get_by_text("Network, estimator").press("Enter")
    page.get_by_label("in closed form").press("ArrowDown")
    assert trait(page, "estimator") == "weight"


# Training


def test_pause_step_and_reset(shown):
    page = unfold(shown(PosteriorPlayground(running=False, speed="fast", **SMALL)))
    assert page.get_by_role("button", name="Play").is_visible()
    start = width(page, 1)
    page.get_by_role("button", name="1 step", exact=True).click()
    assert trait(page, "steps") == 1
    page.get_by_role("button", name="100 steps").click()
    assert trait(page, "steps") == 101
    assert width(page, 1) != start
    page.get_by_role("button", name="Play").click()
    assert trait(page, "running")
    pass_frames(page, 10)
    page.get_by_role("button", name="Pause").click()
    steps = trait(page, "steps")
    assert steps == 101 + 10 * 20  # a frame
    assert f"paused, {steps:,} steps" in page.locator(".steps").inner_text()
    pass_time(page, 300)
    assert trait(page, "steps") == steps
    page.get_by_role("button", name="Another start").click()
    assert trait(page, "steps") == 0
    assert width(page, 1) != start


RESULTS = ("loss", "fit", "kl", "steps", "outside_total", "curve_outside_epistemic")


def test_reset_comes_to_the_same_rest_as_a_fresh_page(shown):
    figure = PosteriorPlayground(prior_std=1.5, **SMALL)
    page = unfold(shown(figure))
    rest(page)
    fresh = {name: trait(page, name) for name in RESULTS}
    page.get_by_label("Prior σ").press("End")
    mark(page, "D").click()
    page.get_by_label("Hidden units").press("Home")
    page.get_by_label("Ensemble").check()
    page.mouse.click(*place(page, 2.5, 5))
    page.get_by_role("button", name="Cut a gap").click()
    page.get_by_label("by drawn weights").check()
    page.get_by_label("Total band").uncheck()
    page.get_by_label("slow").check()
    page.get_by_role("button", name="Another start").click()
    page.get_by_role("button", name="100 steps").click()  # and that pauses
    again = page.get_by_role("button", name="Reset")
    again.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Reset"
    rest(page)
    assert {name: trait(page, name) for name in RESULTS} == fresh
    results = (*RESULTS, "outside_epistemic")
    given = {name: value for name, value in figure.settings().items() if name not in results}
    assert {name: trait(page, name) for name in given} == given


def test_rest_depends_on_the_way_there_and_a_new_network_forgets_it(shown):
    page = unfold(shown(PosteriorPlayground()))
    rest(page)
    fresh = trait(page, "loss")
    noise = page.get_by_label("Noise s")
    noise.fill("178")
    assert trait(page, "noise_std") == pytest.approx(3, abs=0.05)
    rest(page)
    noise.fill("106")
    assert trait(page, "noise_std") == pytest.approx(0.574)
    rest(page)
    assert trait(page, "loss") > fresh + 0.4
    assert trait(page, "curve_outside_epistemic") > 0.1
    page.get_by_role("button", name="Another start").click()
    rest(page)
    assert trait(page, "loss") == pytest.approx(fresh, abs=0.05)
    assert trait(page, "curve_outside_epistemic") < 0.05


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        ("weight", "stopped after 10,000 noisy steps, 10,100 in all"),
        ("exact", "at rest, 10,100 steps"),
    ],
)
def test_the_steps_say_rest_only_of_a_loss_that_settled(shown, estimator, words):
    page = unfold(shown(PosteriorPlayground(running=False, estimator=estimator, **SMALL)))
    page.get_by_role("button", name="100 steps").click()
    page.get_by_label("Prior σ").press("ArrowRight")  # counts anew from here
    page.evaluate(
        """() => {
          const [button] = [...document.querySelectorAll("button")].filter(
            ({textContent}) => textContent === "100 steps");
          for (let i = 0; i < 100; i++) button.click();
        }"""
    )
    assert page.locator(".steps").inner_text() == words


OUT_OF_SIGHT = """() => new Promise((resolve) => {
  document.body.insertAdjacentHTML("afterbegin", '<p style="height: 9000px">');
  new IntersectionObserver((entries) => entries.at(-1).isIntersecting || resolve()).observe(
    document.querySelector(".bnn-figure"));
})"""
COUNT_FRAMES = """() => {
  window.frames_asked = 0;
  const ask = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (callback) => (window.frames_asked++, ask(callback));
}"""


def test_nothing_runs_out_of_sight_or_at_rest(shown):
    page = shown(PosteriorPlayground(running=False, **SMALL))
    page.evaluate(COUNT_FRAMES)
    page.evaluate(OUT_OF_SIGHT)
    page.evaluate("() => { model.set('running', true); }")
    pass_time(page, 300)
    assert (page.evaluate("frames_asked"), trait(page, "steps")) == (0, 0)
    page.evaluate("document.querySelector('body > p').remove()")
    rest(page)
    assert trait(page, "steps") > 0
    asked = page.evaluate("frames_asked")
    pass_time(page, 300)
    assert page.evaluate("frames_asked") == asked > 0
    steps = trait(page, "steps")
    page.get_by_label("Prior σ").press("ArrowRight")  # wakes it
    rest(page)
    assert trait(page, "steps") > steps


def test_jitter_is_the_noises_standard_deviation_whatever_the_trend(module):
    noise = 0.3 * torch.randn(4000, dtype=torch.float64)
    values = noise + torch.linspace(50, 0, 4000)
    page = module("posterior_playground")
    assert page.evaluate("(v) => module.jitter(v)", values.tolist()) == pytest.approx(0.3, rel=0.1)
    assert page.evaluate("module.jitter([1, 3, 5, 7])") == 0
    assert page.evaluate("module.jitter([])") == 0


def jitter_said(page):
    text = page.locator(".loss .legend").inner_text()
    return float(re.search(r"jitter of the fit = ±([\d.]+) nats", text)[1])


def test_jitter_tells_the_estimators_apart(shown):
    jitter = {}
    for estimator in ("weight", "local", "exact"):
        page = unfold(shown(PosteriorPlayground(running=False, estimator=estimator)))
        for _ in range(20):
            page.get_by_role("button", name="100 steps").click()
        jitter[estimator] = jitter_said(page)
    assert jitter["weight"] > 1.5 * jitter["local"] > 15 * jitter["exact"]


@pytest.mark.parametrize("estimator", ["weight", "local"])
def test_draws_train_too_and_jitter(shown, estimator):
    page = unfold(shown(PosteriorPlayground(estimator=estimator, speed="fast", **SMALL)))
    pass_frames(page, 80)
    page.get_by_role("button", name="Pause").click()
    exact = unfold(shown(PosteriorPlayground(speed="fast", **SMALL)))
    pass_frames(exact, 80)
    d = [p.locator(".loss path.fit").first.get_attribute("d") for p in (page, exact)]
    assert trait(page, "loss") == pytest.approx(trait(exact, "loss"), rel=0.2)

    def turns(path):
        steps = [b - a for a, b in pairwise(heights(path))]
        return sum(a * b < 0 for a, b in pairwise(steps)) / len(steps)

    assert turns(d[0]) > 0.4 > 0.2 > turns(d[1])


@pytest.mark.parametrize(("label", "name"), [("MC dropout", "dropout"), ("Ensemble", "ensemble")])
def test_overlays_learn_the_data(shown, label, name):
    page = unfold(shown(PosteriorPlayground(points=LINE, noise_std=1.0, speed="fast")))
    page.get_by_label(label).check()
    edges = page.locator(f".picture .edges.{name}")
    pass_frames(page, 60)
    page.get_by_role("button", name="Pause").click()
    assert edges.get_attribute("d").count("M") == 2
    legend = page.locator(".view > .legend").inner_text()
    assert legend.lower().count(label.lower()) == 1
    mean = page.locator(f".picture .overlay.{name}:not(.edges)").get_attribute("d")
    slope = (heights(mean)[40] - heights(mean)[80]) / 2  # pixels per unit of x, between -1 and 1
    assert slope == pytest.approx(2 * 270 / 40, rel=0.25)
    page.get_by_label(label).uncheck()
    assert edges.get_attribute("d") is None


def test_reduced_motion_shows_results_and_no_movement(shown):
    page = shown(PosteriorPlayground(**SMALL), reduced_motion="reduce")
    page.evaluate(
        """() => {
          window.pictures = new Set();
          const mean = document.querySelector(".picture path.mean");
          new MutationObserver(() => pictures.add(mean.getAttribute("d"))).observe(mean, {
            attributes: true,
          });
        }"""
    )
    started = page.evaluate("performance.now()")
    rest(page)
    allowed = (page.evaluate("performance.now()") - started) / 3000 + 1
    assert 1 <= page.evaluate("pictures.size") <= allowed
    assert trait(page, "steps") >= 1000


# State in the address


@pytest.fixture
def addressed(watched, tmp_path):
    """Open a file with figures at a fragment: ``addressed("#a?kl=2", figure, ...)``."""

    def show(fragment, *figures):
        made = "new PageModel(traits)"
        kept = f"(window.models ??= []).at(window.models.push({made}) - 1)"
        page_html = "".join(figure.to_html() for figure in figures).replace(made, kept)
        file = tmp_path / f"page-{len([*tmp_path.iterdir()])}.html"
        file.write_text(f"<!doctype html><meta charset=utf-8>{page_html}", encoding="utf-8")
        page = watched(requests=True)
        page.goto(file.as_uri() + fragment)
        for number in range(len(figures)):
            page.locator(".bnn-figure").nth(number).and_(page.locator("[data-ready]")).wait_for()
        page.evaluate("window.model = window.models[0]")
        settle(page)
        return page

    return show


def quiet(**traits):
    return PosteriorPlayground(running=False, address_key="playground", **SMALL | traits)


def test_a_link_brings_the_same_state(addressed):
    page = unfold(addressed("", quiet()))
    assert "#" not in page.url
    page.get_by_label("Prior σ").press("ArrowRight")
    mark(page, "B").click()
    page.get_by_label("MC dropout").check()
    page.get_by_role("button", name="Cut a gap").click()
    page.mouse.click(*place(page, 2.5, 5))
    page.mouse.dblclick(*place(page, *LINE[0]))
    page.get_by_role("button", name="Copy a link").click()
    assert page.get_by_label("Link to this setting").input_value() == page.url
    fragment = page.url.partition("#")[2]
    assert fragment.startswith("playground?")
    names = ["prior_std", "kl_weight", "show_dropout", "gap", "points"]
    state = {name: trait(page, name) for name in names}
    assert state["points"][:-1] == LINE[1:]
    copy = addressed(f"#{fragment}", quiet())
    assert {name: trait(copy, name) for name in names} == state
    copy.get_by_role("button", name="All points").click()
    assert trait(copy, "points") == LINE
    assert trait(copy, "gap") == []
    pass_time(copy, 400)  # after which the address is written
    assert "gap" not in copy.evaluate("location.hash")
    copy.evaluate("location.hash = '#playground?kl_weight=7'")  # a link on the page itself
    copy.wait_for_function("model.get('kl_weight') === 7")
    assert trait(copy, "show_dropout") is False


def test_a_point_moved_onto_another_is_in_the_link(addressed):
    page = unfold(addressed("", quiet()))
    point = page.get_by_role("slider", name="Data point 7 of 13")
    for key in ("ArrowUp", *["ArrowRight"] * 5):
        point.press(key)
    points = trait(page, "points")
    assert points == [*LINE[:6], LINE[7], *LINE[7:]]
    page.get_by_role("button", name="Copy a link").click()
    copy = addressed(f"#{page.url.partition('#')[2]}", quiet())
    assert trait(copy, "points") == points


def test_reset_brings_back_what_python_gave_not_the_link(addressed):
    page = unfold(addressed("#playground?prior_std=7&gap=-1_1&show_truth=true", quiet()))
    assert trait(page, "prior_std") == 7
    page.get_by_role("button", name="Reset").click()
    assert (trait(page, "prior_std"), trait(page, "gap")) == (2, [])
    assert trait(page, "show_truth") is False
    pass_time(page, 400)
    assert page.evaluate("location.hash") == ""
    page.get_by_role("button", name="Undo").click()
    assert trait(page, "gap") == [-1, 1]


def test_an_address_of_nonsense_is_bounded_or_ignored(addressed):
    nonsense = (
        "#playground?prior_std=1e99&kl_weight=-5&noise_std=NaN&hidden_units=7.6&estimator=magic"
        "&gap=2_1&show_total=0&show_truth=maybe&points=2-1e9_11-99_x_-1_99*-99_NaN*1_5_1-0"
        "&__proto__=1&%ff=%&kl_weight=<img src=x onerror=alert(1)>"
    )
    page = unfold(addressed(nonsense, quiet()))
    figure = quiet()
    for name in ("prior_std", "kl_weight", "noise_std", "hidden_units", "estimator"):
        setattr(figure, name, trait(page, name))
    assert (figure.prior_std, figure.kl_weight, figure.noise_std) == (10, 1e-4, 1)
    assert (figure.hidden_units, figure.estimator) == (8, "exact")
    switches = [trait(page, name) for name in ("show_total", "show_truth")]
    assert (trait(page, "gap"), switches) == ([], [True, False])
    assert trait(page, "points") == [*LINE[11:], [3, -20], LINE[5]]
    page.get_by_role("button", name="100 steps").click()
    assert math.isfinite(trait(page, "loss"))
    many = addressed("#playground?points=" + "_".join(["0-12", "1*1"] * 5000), quiet())
    assert len(trait(many, "points")) == 300
    nothing = addressed("#playground?points=all", quiet())
    assert trait(nothing, "points") == LINE


def test_two_figures_and_the_pages_anchors_keep_their_own(addressed):
    other = PosteriorPlayground(running=False, **SMALL)
    page = unfold(addressed("#summary", quiet(), other))
    page.get_by_label("True curve").nth(0).check()
    page.get_by_label("True curve").nth(0).uncheck()
    page.get_by_label("Prior σ").nth(1).press("ArrowRight")
    pass_time(page, 600)
    assert page.url.endswith("#summary")
    assert page.get_by_role("button", name="Copy a link").count() == 1
    page.get_by_label("Prior σ").nth(0).press("ArrowRight")
    pass_time(page, 400)
    assert page.evaluate("location.hash").startswith("#playground?prior_std=")


TWICE = [[-1.0, 2.0], [0.0, 0.5], [0.0, 0.5], [1.0, -2.0]]
FIRST, SECOND, THIRD, LAST = TWICE


@pytest.mark.parametrize(
    "points",
    [
        [],
        [FIRST, SECOND, LAST],
        [SECOND, SECOND, THIRD, LAST],
        [LAST, SECOND, THIRD, LAST],
        [*TWICE, LAST, LAST],
        [[2.5, 5.0], *TWICE, [2.5, 5.0]],
        [FIRST, [2.5, 5.0], THIRD, LAST],
        [LAST, THIRD, SECOND, FIRST],
        [[2.5, -5.0]] * 300,
    ],
)
def test_a_link_keeps_every_point_in_its_place(module, points):
    defaults = PosteriorPlayground(points=TWICE).settings()
    decoded = module("posterior_playground").evaluate(
        """([points, defaults]) => {
          const text = module.encodeState({ ...defaults, points }, defaults);
          return module.decodeState(text, defaults).points;
        }""",
        [points, defaults],
    )
    assert decoded == points


def test_a_link_names_the_settings_as_python_does(module):
    defaults = PosteriorPlayground().settings()
    other = defaults | {
        "prior_std": 1.0,
        "kl_weight": 2.0,
        "noise_std": 1.0,
        "hidden_units": 5,
        "estimator": "local",
        "points": [],
        "gap": [0.0, 1.0],
    }
    other |= {name: not value for name, value in defaults.items() if name.startswith("show_")}
    encode = "([state, defaults]) => module.encodeState(state, defaults)"
    text = module("posterior_playground").evaluate(encode, [other, defaults])
    changed = {name for name, value in other.items() if value != defaults[name]}
    assert set(parse_qs(text, keep_blank_values=True)) == changed
    assert defaults.keys() - changed == {
        *RESULTS,
        *("outside_epistemic", "running", "speed", "address_key"),
    }


def test_an_encoded_state_is_decoded_to_itself(module):
    page = module("posterior_playground")
    defaults = PosteriorPlayground().settings()
    state = defaults | {
        "prior_std": 0.123,
        "kl_weight": 1e-4,
        "hidden_units": 77,
        "estimator": "local",
        "show_total": False,
        "show_truth": True,
        "gap": [-1.25, 0.5],
        "points": [*defaults["points"][3:], [-2.95, -19.99]],
    }
    text, decoded = page.evaluate(
        """([state, defaults]) => {
          const text = module.encodeState(state, defaults);
          return [text, module.decodeState(text, defaults)];
        }""",
        [state, defaults],
    )
    assert decoded == json.loads(json.dumps(state))
    assert len(text) < 150
    assert page.evaluate("(state) => module.encodeState(state, state)", state) == ""


# What the page of the playground tells its readers to try

TRAIN = """([original, runs]) => runs.map((changes) => {
  let problem;
  const set = (change) => {
    const { points, gap, ...settings } = { ...original, ...change };
    const used = module.outsideGap(points, gap);
    const data = { x: used.map(([x]) => x), y: used.map(([, y]) => y) };
    problem = { data, settings, estimator: "exact" };
  };
  set({});
  const session = new module.Session(() => problem, module.FIRST_SEED);
  for (const change of [{}, ...changes]) {
    set(change);
    session.wake();
    session.step(4000);
  }
  const { network } = session;
  const { total, curve } = module.createAudit()(network, problem.settings.noise_std);
  const [middle, end] = module.exactMoments(network, [0, 3]).std;
  const [exact] = module.gaussianProcess(problem.data, [0], problem.settings).std;
  return { total: total.share, curve: curve.share, middle, end, exact };
})"""
CHANGES = """(original) => Object.fromEntries(
  module.EXPERIMENTS.map(([label, change]) => [label, change(original)]))"""


def test_the_suggestions_of_page_and_chapter_do_what_they_say(module):
    page, original = module("posterior_playground"), PosteriorPlayground().settings()
    changes = page.evaluate(CHANGES, original)
    names = ["Watch it lie", "Make it shy", "Open a gap", "Far points"]
    names += ["Deny the noise", "Blame the noise"]
    assert list(changes) == names
    printed = {"kl_weight": 0.01 * 60 / (2 * 91 * NOISE_STD**2)}  # the mark E
    runs = [[], *([changes[name]] for name in names), [printed]]
    results = page.evaluate(TRAIN, [original, runs])
    elbo, cold, warm, gap, far, exact, noisy, printed = results
    assert elbo["total"] < 0.01
    assert elbo["curve"] == 0
    assert elbo["end"] > 10 * elbo["middle"]  # wide where there are no data
    assert cold["curve"] > 0.5
    assert cold["total"] < 0.01
    assert cold["end"] < elbo["end"] / 3
    assert warm["total"] == 0
    assert warm["middle"] > 2 * elbo["middle"]
    assert gap["exact"] > 5 * elbo["exact"]
    assert gap["middle"] < 1.5 * elbo["middle"]
    assert far["end"] < 0.6 * elbo["end"]
    assert exact["total"] > 0.25
    assert noisy["total"] == 0
    assert printed["curve"] > 0.5
    assert elbo["total"] < printed["total"] < 0.01
    assert printed["end"] < elbo["end"] / 3
