"""The figure "gradient noise": its gradients, their variances, and its use by hand and by key."""

import itertools
import re

import pytest
import sympy
import torch
from helpers.figure_clock import pass_frames, pass_time
from helpers.figure_model import traits
from helpers.monte_carlo import assert_covariance, assert_mean, assert_variance
from helpers.pointers import by_mouse
from traitlets import TraitError

from bnn_tutorial.derivations.reparameterization import noise_mean
from bnn_tutorial.figures import GradientNoise

ESTIMATORS = ["score", "scoreBaseline", "pathwise", "local"]


def evaluated(page, function, **settings):
    """What an exported function of the module returns for one object of arguments."""
    return page.evaluate(f"(settings) => module.{function}(settings)", settings)


# What it computes


@pytest.mark.parametrize(("data", "weights"), [(1, 1), (7, 5)])
def test_gradients_are_those_of_autograd_for_the_same_noise(module, data, weights):
    generator = torch.Generator().manual_seed(1)
    normal = {"generator": generator, "dtype": torch.float64}
    inputs, std = torch.randn(data, weights, **normal), 0.7
    weight_noise, local_noise = torch.randn(weights, **normal), torch.randn(data, **normal)
    mean = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    means = torch.cat([mean.view(1), torch.zeros(weights - 1, dtype=torch.float64)])

    w = means + std * weight_noise
    loss = (inputs @ w).square().mean()
    own = inputs @ means + inputs.square().sum(dim=1).mul(std**2).sqrt() * local_noise
    log_density = torch.distributions.Normal(means, std).log_prob(w.detach()).sum()
    slopes = [torch.autograd.grad(y, mean)[0] for y in (log_density, loss, own.square().mean())]
    score, pathwise, local = (slope.item() for slope in slopes)
    baseline = mean.item() ** 2 + weights * std**2

    loss = loss.item()
    expected = [loss * score, (loss - baseline) * score, pathwise, local]
    draw = evaluated(
        module("gradient_noise"),
        "gradients",
        mean=mean.item(),
        std=std,
        inputs=inputs.flatten().tolist(),
        weightNoise=weight_noise.tolist(),
        localNoise=local_noise.tolist(),
    )
    assert [draw[name] for name in ESTIMATORS] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def exact_moments(mean, std, weights, data):
    """Each estimator's mean and variance over all inputs of signs, as exact fractions."""
    epsilon, own = sympy.symbols(f"e:{weights}"), sympy.symbols(f"o:{data}")
    sums = {name: [0, 0] for name in ESTIMATORS}
    inputs = list(itertools.product([-1, 1], repeat=data * weights))
    for signs in inputs:
        rows = [signs[n * weights : (n + 1) * weights] for n in range(data)]
        w = [std * e for e in epsilon]
        w[0] += mean
        activations = [sum(x * wi for x, wi in zip(row, w, strict=True)) for row in rows]
        loss = sum(a**2 for a in activations) / sympy.Integer(data)
        baseline = mean**2 + weights * std**2
        local = [
            row[0] * (mean * row[0] + std * sympy.sqrt(weights) * o)
            for row, o in zip(rows, own, strict=True)
        ]
        draws = {
            "score": loss * epsilon[0] / std,
            "scoreBaseline": (loss - baseline) * epsilon[0] / std,
            "pathwise": sympy.diff(loss, epsilon[0]) / std,  # as w_1 = μ + σ ε_1
            "local": 2 * sum(local) / sympy.Integer(data),
        }
        for name, draw in draws.items():
            for power in (1, 2):
                sums[name][power - 1] += noise_mean(draw**power, *epsilon, *own)
    moments = {name: [total / len(inputs) for total in both] for name, both in sums.items()}
    return {name: (first, second - first**2) for name, (first, second) in moments.items()}


@pytest.mark.parametrize(("weights", "data"), [(1, 1), (1, 3), (3, 1), (2, 2), (2, 3)])
def test_variances_are_the_exact_ones_over_all_signs(module, weights, data):
    mean, std = sympy.Rational(-7, 10), sympy.Rational(3, 10)
    settings = {"mean": -0.7, "std": 0.3, "weights": weights, "batch_size": data}
    variances = evaluated(module("gradient_noise"), "variances", **settings)
    for name, (first, variance) in exact_moments(mean, std, weights, data).items():
        assert first == 2 * mean
        assert variances[name] == pytest.approx(float(variance), rel=1e-12)


def test_one_weight_and_one_datum_are_the_square_of_the_chapter(module):
    settings = {"mean": 1, "std": 0.5, "weights": 1, "batch_size": 1}
    variances = evaluated(module("gradient_noise"), "variances", **settings)
    assert variances["score"] == pytest.approx(1 / 0.5**2 + 14 + 15 * 0.5**2, rel=1e-12)
    assert variances["pathwise"] == variances["local"] == pytest.approx(4 * 0.5**2, rel=1e-12)


@pytest.mark.parametrize(
    ("std", "weights", "batch_size"), [(0.5, 10, 50), (0.2, 1, 1), (1.0, 30, 4)]
)
def test_draws_have_the_mean_and_the_variances_of_the_formulas(module, std, weights, batch_size):
    page = module("gradient_noise")
    settings = {"std": std, "weights": weights, "batch_size": batch_size}
    variances = evaluated(page, "variances", **settings)
    draws = page.evaluate(
        "(settings) => { const next = module.sampler(settings);"
        " return Array.from({ length: 20_000 }, () => Object.values(next())); }",
        settings | {"seed": 5},
    )
    draws = torch.tensor(draws, dtype=torch.float64)
    assert list(variances) == ESTIMATORS
    assert_mean(draws, 2.0)
    assert_variance(draws, torch.tensor(list(variances.values()), dtype=torch.float64))


def test_signs_are_random_one_by_one_and_in_pairs(module):
    rows = module("gradient_noise").evaluate(
        """() => {
          const fill = module.randomSigns(4);
          const signs = new Float64Array(96); // three words
          return Array.from({ length: 10_000 }, () => (fill(signs), [...signs]));
        }"""
    )
    signs = torch.tensor(rows)
    assert set(signs.unique().tolist()) == {-1, 1}
    assert_mean(signs, 0.0)
    assert_covariance(signs, torch.eye(96))
    assert_covariance(signs[:, :64] * signs[:, 32:], torch.eye(64))  # four at a time


def test_histogram_keeps_moments_and_counts(module):
    generator = torch.Generator().manual_seed(2)
    values = 1e6 + torch.randn(1000, generator=generator, dtype=torch.float64)
    kept = module("gradient_noise").evaluate(
        """([values, origin, width]) => {
          const histogram = new module.Histogram(origin, width);
          for (const value of values) histogram.add(value);
          const { count, mean, variance, error, bars } = histogram;
          return { count, mean, variance, error, bars };
        }""",
        [values.tolist(), 1e6, 0.25],
    )
    variance = values.var().item()
    assert kept["count"] == 1000
    assert kept["mean"] == pytest.approx(values.mean().item(), rel=1e-12)
    assert kept["variance"] == pytest.approx(variance, rel=1e-9)  # 1e6 takes 6 digits
    assert kept["error"] == pytest.approx((variance / 1000) ** 0.5, rel=1e-9)
    counts = torch.histc(values, 40, 1e6 - 5, 1e6 + 5)
    bars = sorted(kept["bars"], key=lambda bar: bar["from"])
    starts = [1e6 - 5 + 0.25 * k for k in counts.nonzero().flatten().tolist()]
    assert [bar["from"] for bar in bars] == starts
    assert [bar["to"] for bar in bars] == [start + 0.25 for start in starts]
    assert [bar["draws"] for bar in bars] == counts[counts > 0].int().tolist()


# What it shows


def table(page):
    """The numbers of the table: estimator, mean with its error, variance, exact variance."""
    return [row.locator("th, td").all_inner_texts() for row in page.locator("tbody tr").all()]


def test_a_question_stands_at_the_top_and_its_answer_below(shown):
    page = shown(GradientNoise())
    first, second = page.locator(".bnn-figure > *").all()[:2]
    assert first.inner_text() == "Which estimator finds the gradient with the fewest draws?"
    score, weight, local = (float(row[3]) for row in table(page))
    answer = second.locator(".result").inner_text()
    ratios = [float(number) for number in re.findall(r"[\d.]*\d", answer)]
    assert ratios == pytest.approx([weight / local, score / local], rel=0.05)  # two digits
    pass_time(page, 1100)
    assert page.locator("[role=status]").text_content() == f"{answer} 1,000 draws of each."
    page.get_by_label("baseline").click()
    assert second.locator(".result").inner_text().endswith("with the baseline.")


def test_table_shows_the_draws_of_the_seed(shown, module):
    settings = {"std": 0.3, "weights": 4, "batch_size": 8, "seed": 3}
    page = shown(GradientNoise(draws=500, baseline=True, **settings))
    draws = module("gradient_noise").evaluate(
        "(settings) => { const next = module.sampler(settings);"
        " return Array.from({ length: 500 }, () => Object.values(next())); }",
        settings,
    )
    draws = torch.tensor(draws, dtype=torch.float64)[:, 1:]
    rows = table(page)
    names = [name for name, *_ in rows]
    assert names == ["score function, baseline", "pathwise, weight", "pathwise, local"]
    for (_, mean, variance, _), drawn in zip(rows, draws.T, strict=True):
        shown_mean, shown_error = map(float, mean.split(" ± "))
        error = (drawn.var() / 500).sqrt().item()
        assert shown_error == pytest.approx(error, rel=0.05)  # two digits
        assert shown_mean == pytest.approx(drawn.mean().item(), abs=0.05 * error + 1e-12)
        assert float(variance) == pytest.approx(drawn.var().item(), rel=0.005)


def test_means_agree_and_widths_differ(shown):
    page = shown(GradientNoise())
    truth = float(page.locator("line.truth").get_attribute("x1"))
    widths = []
    for row, spread in zip(table(page), page.locator("path.spread").all(), strict=True):
        box = spread.evaluate("(path) => { const b = path.getBBox(); return [b.x, b.width]; }")
        widths.append(box[1] / float(row[2]) ** 0.5)
        assert abs(box[0] + box[1] / 2 - truth) < 5 * box[1] / 2 / 1000**0.5
    assert widths == pytest.approx([widths[0]] * 3, rel=0.005)  # one axis for all
    # The axis takes 2.5 standard deviations of the widest to either side.
    exact = [float(row[3]) for row in table(page)]
    axis = page.locator("svg.plot").evaluate("(svg) => svg.viewBox.baseVal.width - 24")
    assert 5 * exact[0] ** 0.5 * widths[0] / 2 == pytest.approx(axis, rel=0.01)
    assert exact == pytest.approx([79.98, 1.18, 0.2], rel=0.005)


BARS = """(paths) => paths.map((path) => [
  path.getBBox().width, (path.getAttribute("d").match(/M/g) ?? []).length
])"""


@pytest.mark.parametrize("settings", [{"weights": 100, "batch_size": 100}, {"std": 0.1}])
def test_a_narrow_histogram_has_a_shape(shown, settings):
    page = shown(GradientNoise(**settings))
    axis = page.locator(".axis").evaluate("(path) => path.getBBox().width")
    _, weight, local = page.locator(".bars path").evaluate_all(BARS)
    for width, bars in (weight, local):
        assert width < axis / 10
        assert bars > 40  # a tenth of a standard deviation each


def test_axis_is_fitted_or_held(shown):
    page = shown(GradientNoise(weights=1, batch_size=1))

    def axis():
        return page.locator(".tick").all_text_contents()

    def widths():
        return [width for width, _ in page.locator("path.spread").evaluate_all(BARS)]

    fitted = axis()
    before = widths()
    assert traits(page, "hold_axis") == [True]
    page.get_by_label("standard deviation").press("Home")
    assert axis() == fitted
    assert page.locator(".new-scale").count() == 0
    score, weight, _ = (now / then for now, then in zip(widths(), before, strict=True))
    assert score == pytest.approx((114.15 / 21.75) ** 0.5, rel=0.2)  # of 1,000 draws
    assert weight == pytest.approx(0.1 / 0.5, rel=0.2)
    page.get_by_label("hold the axis").click()
    assert axis() != fitted
    assert "axis fitted" in page.locator("svg .label").text_content()
    assert page.locator(".new-scale").all_text_contents() == ["↔ new scale"]


def test_what_lies_beyond_the_axis_is_counted(shown, module):
    settings = {"std": 0.3, "weights": 4, "batch_size": 8, "seed": 3}
    page = shown(GradientNoise(draws=500, **settings))
    beyond = module("gradient_noise").evaluate(
        """(settings) => {
          const next = module.sampler(settings);
          const reach = 2.5 * Math.sqrt(module.variances(settings).score);
          const draws = Array.from({ length: 500 }, () => next().score);
          return draws.filter((draw) => Math.abs(draw - 2) > reach).length;
        }""",
        settings,
    )
    assert beyond > 0
    assert page.locator(".marks .end").all_text_contents() == [f"{beyond} beyond", "", ""]


def test_single_draws_are_shown_without_a_spread(shown):
    page = shown(GradientNoise(draws=0))
    assert [row[1:3] for row in table(page)] == [["–", "–"]] * 3
    assert page.get_by_role("button", name="Reset").is_disabled()
    page.get_by_role("button", name="1 draw", exact=True).click()
    assert page.locator(".count").inner_text().startswith("1 draw of each")
    assert [row[1:3] for row in table(page)] == [["–", "–"]] * 3
    page.get_by_role("button", name="1 draw", exact=True).click()
    assert page.locator(".count").inner_text().startswith("2 draws of each")
    assert "–" not in table(page)[0][1:3]


# How it is used


def slider_place(slider, value):
    """Where on the page the thumb of a slider stands for this value."""
    box = slider.bounding_box()
    least, most = (float(slider.get_attribute(name)) for name in ("min", "max"))
    thumb = 16
    share = (value - least) / (most - least)
    return box["x"] + thumb / 2 + share * (box["width"] - thumb), box["y"] + box["height"] / 2


def variances(page):
    """The exact variances of the score function, of weight draws and of local draws."""
    return [float(row[3].replace(",", "")) for row in table(page)]


def test_used_by_mouse(shown):
    page = shown(GradientNoise())
    score, weight, local = variances(page)
    slider = page.get_by_label("batch size B")
    by_mouse(page, slider_place(slider, 50), slider_place(slider, 99))
    assert traits(page, "batch_size") == [pytest.approx(99, abs=1)]
    assert variances(page)[2] < 0.6 * local  # V / B
    assert weight > variances(page)[1] > 1  # never less than C = 4σ²

    page.get_by_label("baseline").click()
    assert traits(page, "baseline", "draws") == [True, 1000]
    assert variances(page)[0] < score / 4
    assert table(page)[0][0] == "score function, baseline"
    page.get_by_role("button", name="1,000 draws").click()
    assert traits(page, "draws") == [2000]
    page.get_by_role("button", name="Reset").click()
    assert traits(page, "draws") == [0]


def test_used_by_touch_on_a_phone(shown):
    page = shown(GradientNoise(), width=375, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.touchscreen.tap(*slider_place(page.get_by_label("number of weights d"), 60))
    assert traits(page, "weights") == [pytest.approx(60, abs=2)]
    page.get_by_label("baseline").tap()
    page.get_by_role("button", name="1 draw", exact=True).tap()
    assert traits(page, "baseline", "draws") == [True, 1001]
    targets = page.locator("button, .slider input, .check").all()
    assert min(target.bounding_box()["height"] for target in targets) >= 24


def test_used_by_keyboard_alone(shown):
    page = shown(GradientNoise(std=0.5, weights=10, batch_size=50))

    def press(*keys):
        for key in keys:
            page.keyboard.press(key)

    press("Tab", "ArrowRight", "Tab", "End", "Tab", "ArrowLeft", "ArrowLeft", "Tab", "Space")
    assert traits(page, "std", "weights", "batch_size", "baseline") == [0.55, 100, 48, True]
    press("Tab", "Space")
    assert traits(page, "hold_axis") == [False]
    press("Tab", "Tab", "Enter", "Tab", "Space")  # past Play
    assert traits(page, "draws") == [2001]
    press("Tab", "Enter", "Enter")  # a second time it does nothing
    assert traits(page, "draws") == [0]
    press("Shift+Tab", "Shift+Tab", "Enter")  # Reset has kept the focus
    assert traits(page, "draws") == [1]


def drawn(page):
    """How many draws the figure shows."""
    return int(page.locator(".count").inner_text().split()[0].replace(",", ""))


def test_plays_in_sight_only_and_says_where_it_paused(shown):
    page = shown(GradientNoise(draws=0, weights=1, batch_size=1))
    page.evaluate("document.body.style.paddingBottom = '3000px'")
    page.get_by_role("button", name="Play").click()
    pass_time(page, 300)
    before = drawn(page)
    assert before >= 3
    page.evaluate("scrollTo(0, 2500)")
    pass_frames(page, 30)
    assert drawn(page) == before
    page.evaluate("scrollTo(0, 0)")
    pass_time(page, 300)
    paused = drawn(page)
    assert paused > before
    page.get_by_role("button", name="Pause").click()
    assert traits(page, "draws") == [paused]
    pass_frames(page, 10)
    assert drawn(page) == paused


def test_setting_moved_while_it_plays_starts_anew(shown):
    page = shown(GradientNoise(draws=5000, weights=1, batch_size=1))
    page.get_by_role("button", name="Play").click()
    pass_frames(page, 5)
    assert drawn(page) > 5000
    page.evaluate("model.set('std', 0.9)")
    assert drawn(page) == 1000
    pass_frames(page, 5)
    assert 1000 < drawn(page) < 5000  # on from there
    page.get_by_role("button", name="Pause").click()
    assert traits(page, "draws") == [drawn(page)]


def test_nothing_moves_by_itself_where_motion_is_unwanted(shown):
    page = shown(GradientNoise(), reduced_motion="reduce")
    names = page.get_by_role("button").all_inner_texts()
    assert names == ["1 draw", "1,000 draws", "Reset"]


def test_ends_at_the_most_draws(shown):
    page = shown(GradientNoise(draws=99_999, weights=1, batch_size=1))
    pass_frames(page)
    assert drawn(page) == 99_999
    page.get_by_role("button", name="1,000 draws").press("Enter")
    assert traits(page, "draws") == [100_000]
    text = page.locator(".count").inner_text()
    assert text.startswith("100,000 draws of each: enough. Reset to start again.")
    enabled = [b.inner_text() for b in page.get_by_role("button").all() if b.is_enabled()]
    assert enabled == ["Reset"]
    page.keyboard.press("Enter")  # the focus has stayed, and nothing more is drawn
    assert page.evaluate("document.activeElement.textContent") == "1,000 draws"
    assert traits(page, "draws") == [100_000]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert traits(page, "draws") == [0]


MANY = """(traits) => {
  const model = new module.PageModel(traits);
  module.default.render({ model, el: document.body });
  return document.querySelector(".count").textContent;
}"""


def test_many_draws_come_in_portions(module_page, shown):
    figure = GradientNoise(weights=50, batch_size=40, draws=5000)
    first = module_page("gradient_noise").evaluate(MANY, figure._page_traits())
    assert first.startswith("1,000 draws")
    page = shown(figure)
    pass_frames(page, 5)
    assert drawn(page) == 5000
    assert traits(page, "draws") == [5000]
    page.get_by_role("button", name="1,000 draws").click()
    assert traits(page, "draws") == [6000]


@pytest.mark.parametrize("width", [800, 375, 320])
def test_table_stays_in_its_place(shown, width):
    page = shown(GradientNoise(draws=0), width=width)
    tops = [page.locator("table").bounding_box()["y"]]
    page.evaluate("model.set('std', 0.1), model.set('weights', 1), model.set('batch_size', 100)")
    for draws, text in ((1000, "1,000 "), (100_000, "100,000 draws of each: enough")):
        page.evaluate("(draws) => model.set('draws', draws)", draws)
        pass_frames(page)
        assert page.locator(".count").inner_text().startswith(text)
        tops.append(page.locator("table").bounding_box()["y"])
    assert tops == pytest.approx([tops[0]] * 3, abs=0.5)


def test_python_sets_and_the_figure_follows(shown):
    page = shown(GradientNoise(draws=2000))
    page.evaluate("model.set('weights', 3); model.set('seed', 7)")
    assert drawn(page) == 1000  # a new setting starts anew
    page.evaluate("model.set('draws', 30)")
    assert drawn(page) == 30
    fresh = shown(GradientNoise(weights=3, seed=7, draws=30))
    assert table(page) == table(fresh)


# A kernel's message sets all its values before the first of them is announced.
SET_TOGETHER = """([traits, values]) => {
  class Model extends module.PageModel {
    on(event, listener) {
      super.on(event, () => this.held?.push(listener) ?? listener());
    }
  }
  const model = new Model(traits);
  module.default.render({ model, el: document.body });
  model.held = [];
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  const { held } = model;
  model.held = null;
  held.forEach((listener) => listener());
  return [model.get("draws"), document.querySelector(".count").textContent];
}"""


def test_draws_that_python_sets_together_with_a_setting_are_heeded(module_page):
    page = module_page("gradient_noise")
    values = {"std": 0.9, "weights": 3, "draws": 30}
    draws, text = page.evaluate(SET_TOGETHER, [GradientNoise(draws=5000)._page_traits(), values])
    assert draws == 30
    assert text.startswith("30 draws of each")


def test_few_draws_beyond_the_axis_leave_their_number_within_it(shown):
    page = shown(GradientNoise(draws=0), width=320)
    beyond, outside = page.evaluate("""() => {
      const plot = document.querySelector("svg.plot");
      const edge = plot.querySelector(".axis").getBoundingClientRect().right;
      const right = (node) => node.getBoundingClientRect().right;
      let beyond = 0;
      const outside = [];
      for (let seed = 0; seed < 30; seed++) {
        model.set("seed", seed);
        for (const draws of [2, 3, 5, 10]) {
          model.set("draws", draws);
          beyond += right(plot.querySelector(".spread")) > edge;
          for (const text of plot.querySelectorAll(".marks text"))
            if (right(text) > edge + 1) outside.push([seed, draws, text.textContent]);
        }
      }
      return [beyond, outside];
    }""")
    assert beyond > 0
    assert outside == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("std", 0.0), ("weights", 0), ("batch_size", 101), ("draws", -1), ("seed", -1)],
)
def test_invalid_values_are_named(name, value):
    with pytest.raises(TraitError, match=name):
        GradientNoise(**{name: value})
