"""Two Gaussians: divergences, areas and fits against torch; the figure as a reader uses it."""

import itertools
import math
import re

import pytest
import torch
from helpers.figure_clock import pass_frames, pass_time
from helpers.figure_model import traits
from helpers.optimum import minimize
from helpers.pointers import by_mouse, by_touch
from playwright.sync_api import expect
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence
from torch.testing import assert_close
from traitlets import TraitError

from bnn_tutorial.figures import TwoGaussians

NAME = "two_gaussians"
# From 1e-3 to 50 wide and up to 60,000 of the narrow standard deviations apart.
GAUSSIANS = list(itertools.product([-30.0, -5.0, 0.0, 0.3, 30.0], [1e-3, 0.2, 1.0, 4.0, 50.0]))
NEAR_AND_FAR = [(-0.75, 2.5), (0.0, 1.0), (2.5, 0.9), (5.0, 0.2), (-5.0, 4.0), (-30.0, 0.2)]
DIRECTIONS = ["reverse", "forward"]


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def two_peaks():
    """The target of the chapter's section "Two directions, two fits"."""
    peaks = Normal(double(-2.5, 2.5), double(0.6, 0.9))
    return MixtureSameFamily(Categorical(double(0.65, 0.35)), peaks)


def log_ratio_integral(first, second, keep=lambda values: values):
    """∫ first log(first / second), by the trapezoidal rule on a grid far finer than either."""
    w = torch.linspace(-60, 60, 600_001, dtype=torch.float64)
    log_first = first.log_prob(w)
    return torch.trapezoid(keep(log_first.exp() * (log_first - second.log_prob(w))), w)


def divergences(q, p):
    """KL(q‖p) and KL(p‖q)."""
    return log_ratio_integral(q, p), log_ratio_integral(p, q)


def closest_gaussian(direction, mean, std):
    """The chapter's `nearest_gaussian` for the two peaks, on a wider grid and to a tighter end."""
    w = torch.linspace(-25, 25, 10_001, dtype=torch.float64)
    log_target = two_peaks().log_prob(w)
    parameters = double(mean, math.log(std)).requires_grad_()

    def divergence():
        log_q = Normal(parameters[0], parameters[1].exp()).log_prob(w)
        first, second = (log_q, log_target) if direction == "reverse" else (log_target, log_q)
        return torch.trapezoid(first.exp() * (first - second), w)

    minimize(divergence, [parameters])
    return [parameters[0].item(), parameters[1].exp().item()]


def test_between_gaussians_the_closed_form_is_torchs(module):
    pairs = list(itertools.product(GAUSSIANS, GAUSSIANS))
    found = module(NAME).evaluate(
        """(pairs) => pairs.map(([q, p]) => {
          const {gaussian, divergence} = module.mathematics;
          return divergence(gaussian(...q), gaussian(...p));
        })""",
        pairs,
    )
    q, p = torch.tensor(pairs, dtype=torch.float64).unbind(dim=1)
    expected = kl_divergence(Normal(*q.T), Normal(*p.T))
    assert expected.max() > 1e8
    assert_close(double(*found), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("mean", "std"), NEAR_AND_FAR)
def test_against_two_peaks_the_quadrature_is_torchs(module, mean, std):
    found = module(NAME).evaluate(
        """([mean, std]) => {
          const {areas, divergence, gaussian, TWO_PEAKS: p} = module.mathematics;
          const q = gaussian(mean, std);
          const [reverse, forward] = [areas(q, p), areas(p, q)];
          return [divergence(q, p), divergence(p, q), reverse.positive, forward.positive,
                  reverse.positive - reverse.negative, forward.positive - forward.negative];
        }""",
        [mean, std],
    )
    q, p = Normal(double(mean), double(std)), two_peaks()
    expected = torch.stack(divergences(q, p))
    assert_close(double(*found[:2]), expected, rtol=1e-10, atol=0)
    areas = [log_ratio_integral(*pair, lambda v: v.clamp_min(0)) for pair in ((q, p), (p, q))]
    # The integrand's parts have kinks, at which the rule's error is of the order of step².
    assert_close(double(*found[2:4]), torch.stack(areas), rtol=1e-4, atol=0)
    assert_close(double(*found[4:]), expected, rtol=1e-10, atol=0)


def test_the_divergence_is_right_where_the_density_underflows(module):
    """Far to the right, log p = log 0.35 + the right peak's: the left one adds e^-1000 of it."""
    found = module(NAME).evaluate(
        """() => {
          const {divergence, gaussian, TWO_PEAKS} = module.mathematics;
          return divergence(gaussian(40, 0.2), TWO_PEAKS);
        }"""
    )
    right = kl_divergence(Normal(double(40.0), 0.2), Normal(double(2.5), 0.9)) - math.log(0.35)
    assert two_peaks().log_prob(double(40.0)).exp() == 0
    assert found == pytest.approx(right.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("direction", "mean", "std"),
    [
        ("forward", 0.0, 1.0),
        ("reverse", -2.0, 1.0),
        ("reverse", 2.5, 1.0),
        ("reverse", 0.0, 3.0),  # the shallow valley over both peaks
        ("reverse", 0.0, 0.8),  # the same, from the gap between them
    ],
)
def test_a_slide_only_falls_and_ends_at_the_chapters_fit(module, direction, mean, std):
    path = module(NAME).evaluate(
        """([direction, mean, std]) => {
          const {divergenceOf, gaussian, slide, TWO_PEAKS} = module.mathematics;
          const path = slide(gaussian(mean, std), TWO_PEAKS, direction), found = [];
          for (let next; !next?.done; ) {
            next = path.next();
            const [{mean, std}] = next.value;
            found.push([mean, std, divergenceOf[direction](next.value, TWO_PEAKS)]);
          }
          return found;
        }""",
        [direction, mean, std],
    )
    assert all(after[2] <= before[2] for before, after in itertools.pairwise(path))
    assert all(abs(after[0] - before[0]) <= 0.05 for before, after in itertools.pairwise(path))
    assert 50 < len(path) < 300  # one to five seconds at 60 steps a second
    assert path[-1][:2] == pytest.approx(closest_gaussian(direction, mean, std), abs=1e-5)


def test_best_fits_are_the_chapters(module):
    fits = module(NAME).evaluate("() => module.mathematics.bestFits()")
    left, right = ([fit[0]["mean"], fit[0]["std"]] for fit in fits["reverse"])
    [[forward]] = fits["forward"]
    assert left == pytest.approx(closest_gaussian("reverse", -2.0, 1.0), abs=1e-5)
    assert right == pytest.approx(closest_gaussian("reverse", 2.5, 1.0), abs=1e-5)
    moments = [two_peaks().mean.item(), two_peaks().stddev.item()]
    assert [forward["mean"], forward["std"]] == pytest.approx(moments, rel=1e-12)


def test_every_slide_to_a_gaussian_ends_there(module):
    corners = list(itertools.product([-3.5, 3.5], [0.2, 3.0]))
    ends = module(NAME).evaluate(
        """(pairs) => pairs.map(([q, p, direction]) => {
          const {gaussian, slide} = module.mathematics;
          const path = slide(gaussian(...q), gaussian(...p), direction);
          for (let next; ; ) if ((next = path.next()).done) return next.value[0];
        })""",
        list(itertools.product(corners, corners, DIRECTIONS)),
    )
    for (_, p, _), end in zip(itertools.product(corners, corners, DIRECTIONS), ends, strict=True):
        assert [end["mean"], end["std"]] == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [("q_mean", 3.6), ("q_std", 0.0), ("p_mean", -4.0), ("p_std", 3.5), ("target", "three peaks")],
)
def test_a_value_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(TraitError, match=name):
        TwoGaussians(**{name: value})


def handle(page, trait):
    return page.locator(f"[data-trait={trait}]")


def middle(page, trait):
    """Where a handle lies, in pixels of the window."""
    box = handle(page, trait).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def one_unit(page):
    """How many pixels one unit of the x axis has: q's mean stands at 1 and p's at 0."""
    return middle(page, "q_mean")[0] - middle(page, "p_mean")[0]


def sums(page):
    """The two divergences as the figure writes them: total, positive and negative area."""
    found = []
    for text in page.locator(".sum").all_inner_texts():
        positive, negative, total, *_ = re.findall(r"\d+(?:\.\d+)?", text)
        found.append((float(total), float(positive), float(negative)))
    return found


@pytest.mark.parametrize(
    ("drag", "settings"),
    [(by_mouse, {}), (by_touch, {"has_touch": True, "width": 375})],
    ids=["mouse", "touch"],
)
def test_drag_the_peak_and_the_shoulder(shown, drag, settings):
    page = shown(TwoGaussians(), **settings)
    unit = one_unit(page)
    for trait, by in (("q_mean", -2.0), ("q_std", 1.2), ("p_mean", 1.5), ("p_std", -0.7)):
        [before] = traits(page, trait)
        x, y = middle(page, trait)
        drag(page, (x, y), (x + by * unit, y + 30))  # a hand doesn't keep to the line
        assert traits(page, trait)[0] == pytest.approx(before + by, abs=1.5 / unit)
        assert middle(page, trait)[0] == pytest.approx(x + by * unit, abs=2)
    assert page.evaluate("scrollY") == 0
    q, p = (Normal(*double(*traits(page, f"{of}_mean", f"{of}_std"))) for of in "qp")
    expected = [kl_divergence(q, p).item(), kl_divergence(p, q).item()]
    assert [total for total, _, _ in sums(page)] == pytest.approx(expected, rel=1e-3)


def test_a_drag_stops_at_the_bounds(shown):
    page = shown(TwoGaussians())
    unit = one_unit(page)
    for trait, by, bound in (("q_mean", 30, 3.5), ("q_std", -30, 0.2), ("p_std", 30, 3.0)):
        x, y = middle(page, trait)
        by_mouse(page, (x, y), (x + by * unit, y))
        assert traits(page, trait) == [bound]


def test_the_keyboard_alone_does_it_all(shown):
    page = shown(TwoGaussians())
    focused = "document.activeElement"
    for name in ("p", "q"):
        for quantity, step in (("mean", 0.1), ("std", 0.05)):
            trait = f"{name}_{quantity}"
            [before] = traits(page, trait)
            while page.evaluate(f"{focused}.dataset.trait") != trait:
                page.keyboard.press("Tab")
            page.keyboard.press("ArrowRight")
            assert traits(page, trait) == pytest.approx([before + step])
            page.keyboard.press("Shift+ArrowLeft")
            [after] = traits(page, trait)
            assert after == pytest.approx(max(before - 9 * step, 0.2 if quantity == "std" else -4))
            said = page.evaluate(f"{focused}.getAttribute('aria-valuetext')")
            assert float(said.replace("−", "-")) == after
    while page.evaluate(f"{focused}.type") != "range":
        page.keyboard.press("Tab")
    for _ in range(4):
        page.keyboard.press("Home")
        page.keyboard.press("Tab")
    assert traits(page, "q_mean", "q_std", "p_mean", "p_std") == [-3.5, 0.2, -3.5, 0.2]


@pytest.mark.parametrize("direction", [-1, 1])
@pytest.mark.parametrize("quantity", ["mean", "std"])
def test_a_drag_snaps_q_onto_p_but_the_keys_do_not(shown, quantity, direction):
    trait, other = f"q_{quantity}", f"p_{quantity}"
    page = shown(TwoGaussians(q_mean=1.0, q_std=0.8, p_mean=0.1234567, p_std=1.2345678))
    unit = (middle(page, "q_mean")[0] - middle(page, "p_mean")[0]) / (1 - 0.1234567)
    before, equal = traits(page, trait, other)
    x, y = middle(page, trait)
    end = x + (equal - before) * unit
    by_mouse(page, (x, y), (end + 8 * direction, y))
    assert traits(page, trait)[0] == pytest.approx(equal + 8 * direction / unit, abs=1.5 / unit)
    by_mouse(page, middle(page, trait), (end + 3 * direction, y))
    assert traits(page, trait) == [equal]
    handle(page, trait).press("ArrowRight" if direction > 0 else "ArrowLeft")
    assert traits(page, trait) != [equal]
    page.evaluate("model.set('target', 'two peaks')")
    by_mouse(page, middle(page, trait), (end + 3 * direction, middle(page, trait)[1]))
    assert traits(page, trait) != [equal]  # the Gaussian p is not there


PLACES = [(1.0, 0.8), (0.5, 2.2), (0.0, 0.2), (3.5, 3.0), (-3.5, 0.2)]
PAIRS = list(itertools.product(PLACES, repeat=2))


def test_every_printed_sum_is_right_to_its_last_digit(shown):
    page = shown(TwoGaussians())
    for q, p in PAIRS:
        settings = dict(zip(("q_mean", "q_std", "p_mean", "p_std"), (*q, *p), strict=True))
        page.evaluate("(all) => Object.entries(all).forEach((one) => model.set(...one))", settings)
        for total, positive, negative in sums(page):
            assert total == pytest.approx(positive - negative, abs=1e-9)


@pytest.mark.parametrize("target", ["gaussian", "two peaks"])
def test_what_lies_beyond_the_axis_is_named_where_it_counts(shown, target):
    page = shown(TwoGaussians(target=target))
    named = []
    for q, p in PAIRS:
        settings = dict(zip(("q_mean", "q_std", "p_mean", "p_std"), (*q, *p), strict=True))
        page.evaluate("(all) => Object.entries(all).forEach((one) => model.set(...one))", settings)
        first = Normal(*double(*q))
        second = Normal(*double(*p)) if target == "gaussian" else two_peaks()
        w = torch.linspace(-7, 7, 14_001, dtype=torch.float64)
        texts = page.locator(".sum").all_inner_texts()
        for text, (a, b) in zip(texts, ((first, second), (second, first)), strict=True):
            inside = torch.trapezoid(a.log_prob(w).exp() * (a.log_prob(w) - b.log_prob(w)), w)
            whole = log_ratio_integral(a, b)
            beyond = (whole - inside).item()
            found = re.search(r"nats, (−?)([\d.]+) beyond the axis", text)
            assert bool(found) == (abs(beyond) > max(0.01 * whole.item(), 5e-4)), (q, p)
            if found:
                named.append((q, p))
                digits = len(found[2].partition(".")[2])
                assert float(f"{found[1] and '-'}{found[2]}") == pytest.approx(
                    beyond, abs=0.51 * 10**-digits
                )
    assert 4 <= len(named) <= len(PAIRS)


def test_sums_are_the_divergences_and_vanish_where_the_densities_agree(shown):
    page = shown(TwoGaussians(p_mean=0.4, p_std=1.1))
    q, p = Normal(double(1.0), 0.8), Normal(double(0.4), 1.1)
    expected = [kl_divergence(q, p).item(), kl_divergence(p, q).item()]
    assert [total for total, _, _ in sums(page)] == pytest.approx(expected, abs=5e-4)
    page.evaluate("model.set('q_mean', 0.4); model.set('q_std', 1.1)")
    assert sums(page) == [(0, 0, 0), (0, 0, 0)]
    said = "q and p agree: both divergences are 0 nats."
    expect(page.locator(".result")).to_have_text(said)
    pass_time(page, 1100)  # it is spoken once it has been the same for a second
    expect(page.locator("[role=status]")).to_have_text(said)


def test_the_switch_shows_the_two_peaks_and_their_fits(shown):
    page = shown(TwoGaussians(q_mean=-1.0, q_std=1.5))
    expect(page.locator(".fit.reverse").last).not_to_have_attribute("d", re.compile("M"))
    page.get_by_label("two peaks").check()
    assert traits(page, "target") == ["two peaks"]
    expect(handle(page, "p_mean")).to_be_hidden()
    expect(handle(page, "p_std")).to_be_hidden()
    expect(page.get_by_label("Mean of p", exact=True)).to_be_hidden()
    q = Normal(double(-1.0), 1.5)
    expected = [value.item() for value in divergences(q, two_peaks())]
    assert [total for total, _, _ in sums(page)] == pytest.approx(expected, abs=5e-4)
    left = Normal(*double(*closest_gaussian("reverse", -2.0, 1.0)))
    forward = Normal(two_peaks().mean, two_peaks().stddev)
    lowest = [divergences(left, two_peaks())[0], divergences(forward, two_peaks())[1]]
    text = page.locator(".result").inner_text()
    assert re.findall(r"lowest is (\d+\.\d+)", text) == [f"{value:.3f}" for value in lowest]
    curves = page.locator("svg.plot .fit")
    assert [curve.get_attribute("d").count("M") for curve in curves.all()] == [2, 1]
    page.get_by_label("a Gaussian").check()
    expect(handle(page, "p_mean")).to_be_visible()


def test_python_may_keep_the_switch_to_itself(shown):
    page = shown(TwoGaussians(target="two peaks", target_choice=False))
    expect(page.get_by_role("radio")).to_have_count(0)
    page.evaluate("model.set('target_choice', true)")
    expect(page.get_by_role("radio", name="two peaks")).to_be_checked()


SLIDE = 20_000  # milliseconds; the longest slide takes less


def test_q_slides_to_the_peak_it_started_at(shown):
    page = shown(TwoGaussians(target="two peaks", q_mean=-1.5, q_std=0.7))
    button = page.get_by_role("button", name="KL(q‖p)")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    pass_time(page, SLIDE)
    assert "No small move of q lowers KL(q‖p): " in page.locator(".result").inner_text()
    assert button.get_attribute("aria-pressed") == "false"
    end = closest_gaussian("reverse", -2.0, 1.0)
    assert traits(page, "q_mean", "q_std") == pytest.approx(end, abs=1e-5)
    page.get_by_role("button", name="KL(p‖q)").click()
    pass_frames(page, 5)
    assert traits(page, "q_mean")[0] > end[0] + 1e-3
    assert "No small move" not in page.locator(".result").inner_text()
    pass_time(page, SLIDE)
    assert "No small move of q lowers KL(p‖q): " in page.locator(".result").inner_text()
    by_mouse(page, middle(page, "q_mean"), (400, 300))
    assert "No small move" not in page.locator(".result").inner_text()


INTERRUPTED = """(byKey) => {
  const button = [...document.querySelectorAll("button")].find((b) => /KL.p‖q/.test(b.textContent));
  const key = new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true});
  button.click();
  const states = [button.getAttribute("aria-pressed")];
  if (byKey) document.querySelector("[data-trait=q_mean]").dispatchEvent(key);
  else button.click();
  states.push(button.getAttribute("aria-pressed"));
  return states;
}"""


@pytest.mark.parametrize("by_key", [True, False], ids=["in hand", "pressed again"])
def test_who_takes_q_in_hand_or_presses_again_ends_its_slide(shown, by_key):
    page = shown(TwoGaussians(target="two peaks", q_mean=3.0, q_std=3.0))
    assert page.evaluate(INTERRUPTED, by_key) == ["true", "false"]
    place = traits(page, "q_mean")
    pass_frames(page, 2)
    assert traits(page, "q_mean") == place


def test_with_reduced_motion_q_is_at_the_bottom_at_once(shown):
    page = shown(TwoGaussians(target="two peaks"), reduced_motion="reduce")
    page.get_by_role("button", name="KL(p‖q)").click()
    moments = [two_peaks().mean.item(), two_peaks().stddev.item()]
    assert traits(page, "q_mean", "q_std") == pytest.approx(moments, abs=1e-5)


def test_nothing_is_wider_than_a_phone(shown):
    page = shown(TwoGaussians(target="two peaks"), width=320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_on_a_phone_the_plots_stay_where_they_are_while_q_moves(shown):
    page = shown(TwoGaussians(target="two peaks", q_mean=-2.5, q_std=0.6), width=375)
    tops = """[...document.querySelectorAll(".plot, input")]
      .map((node) => Math.round(node.getBoundingClientRect().y))"""
    assert "beyond" not in page.locator(".sum").first.inner_text()
    before = page.evaluate(tops)
    page.evaluate("model.set('q_std', 3)")
    assert "beyond" in page.locator(".sum").first.inner_text()
    assert page.evaluate(tops) == pytest.approx(before, abs=1)


AREAS = """(pairs) => pairs.map(([q, p]) => {
  for (const [name, {mean, std}] of Object.entries({q, p})) {
    model.set(`${name}_mean`, mean);
    model.set(`${name}_std`, std);
  }
  return ["reverse", "forward"].map((direction) => {
    const d = document.querySelector(`.areas path.positive.${direction}`).getAttribute("d");
    const points = d.split(/[ML]/).slice(1).map((part) => part.split(",").map(parseFloat));
    const floor = Math.max(...points.map(([, y]) => y));
    let area = 0;
    points.forEach(([x, y], i) => {
      if (i) area += (x - points[i - 1][0]) * (floor - (y + points[i - 1][1]) / 2);
    });
    return area;
  });
})"""


def test_equal_areas_are_equal_nats_at_every_setting_until_the_axes_are_fitted(shown):
    page = shown(TwoGaussians())
    q = {"mean": 0.0, "std": 1.0}
    settings = [(q, {"mean": mean, "std": 1.0}) for mean in (0.75, 1.0, 1.5, 2.0)]  # 0.28 to 2 nats
    expected = [
        torch.relu(Normal(0.0, 1.0).log_prob(w) - Normal(p["mean"], 1.0).log_prob(w))
        for _, p in settings
        for w in [torch.linspace(-7, 7, 14_001, dtype=torch.float64)]
    ]
    density = Normal(0.0, 1.0).log_prob(torch.linspace(-7, 7, 14_001, dtype=torch.float64)).exp()
    nats = [torch.trapezoid(density * each, dx=0.001).item() for each in expected]
    fixed = [
        reverse / size
        for (reverse, _), size in zip(page.evaluate(AREAS, settings), nats, strict=True)
    ]
    assert fixed == pytest.approx([fixed[0]] * 4, rel=0.02)
    assert page.locator(".new-scale").count() == 0
    page.get_by_label("Fit the axes").check()
    assert traits(page, "fit_axes") == [True]
    fitted = [
        reverse / size
        for (reverse, _), size in zip(page.evaluate(AREAS, settings), nats, strict=True)
    ]
    assert max(fitted) > 1.3 * min(fitted)
    assert page.locator(".new-scale").count() > 0


def test_what_the_fixed_axes_cut_off_is_written_there(shown):
    page = shown(TwoGaussians(q_std=0.2, p_mean=-1.0))
    assert page.locator("text.name").last.text_content() == "q ↑ 1.99"
    peak = Normal(double(1.0), 0.2).log_prob(double(1.0)).exp().item()
    assert peak == pytest.approx(1.99, abs=0.006)
    w = torch.linspace(-7, 7, 281, dtype=torch.float64)
    q, p = Normal(1.0, 0.2), Normal(-1.0, 1.5)
    for first, second, direction in ((q, p, 0), (p, q, 1)):
        values = first.log_prob(w).exp() * (first.log_prob(w) - second.log_prob(w))
        written = page.locator(".ends").nth(direction).locator("text").first.text_content()
        assert float(written.removeprefix("↑ ")) == pytest.approx(values.max().item(), rel=0.006)
    page.get_by_label("Fit the axes").check()
    assert set(page.locator(".ends text").all_text_contents()) == {""}
    assert page.locator("text.name").last.text_content() == "q"


def test_zero_has_no_sign(shown):
    page = shown(TwoGaussians(q_mean=-1e-7, p_mean=-0.001, q_std=1.0, p_std=1.0))
    for output in page.locator("output").all():
        assert not re.search(r"[-−]0\.00", output.text_content())
    for node in page.locator("[role=slider]").all():
        assert not re.search(r"[-−]0\.?0*$", node.get_attribute("aria-valuetext"))
    assert "−0" not in page.locator(".bnn-figure").inner_text()
