"""Cover: sets and bounds against the package, coverage against its exact distribution; in use."""

import math
import re

import pytest
import torch
from classify_digits import ANGLE, TRAINING_DIGITS, classify
from helpers.figure_model import said, set_traits, traits
from helpers.monte_carlo import STANDARD_ERRORS, assert_mean
from helpers.node import Node
from playwright.sync_api import expect
from torch.testing import assert_close
from torchvision.transforms.functional import InterpolationMode, rotate
from traitlets import TraitError

import bnn_tutorial as bt
from bnn_tutorial.figures import Cover
from bnn_tutorial.figures.digit_logits import read_digit_logits, write_digit_logits

UPRIGHT, TURNED, LABELS = Cover.probabilities()
SETTING = {"level": 0.9, "calibration_size": 200, "class_conditional": False, "turned": False}
SETTINGS = [
    SETTING,
    SETTING | {"level": 0.55, "calibration_size": 99},  # 100 x 0.55 lies above 55 as floats
    SETTING | {"class_conditional": True},
    SETTING | {"turned": True, "level": 0.99, "calibration_size": 1000},
    SETTING | {"turned": True, "class_conditional": True, "calibration_size": 500},
    SETTING | {"level": 0.95, "class_conditional": True},  # some digits have too few
    SETTING | {"level": 0.95, "calibration_size": 10},  # too few for all
]
OPEN = """(traits) => {
  window.answers = module.answersOf(new module.PageModel(traits));
}"""
COVER = """([settings, seeds]) => seeds.map((seed) => {
  const {cover, deal, setOf} = module.mathematics;
  const order = deal(answers.pool, seed);
  const asked = settings.turned ? answers.turned : answers.upright;
  const found = cover(answers, order, settings);
  return {...found, order, sets: [...found.fresh].map((i) => setOf(asked[i], found.limits))};
})"""


@pytest.fixture
def figure(module) -> Node:
    """The figure's module, with the ``answers`` of the classifier read."""
    loaded = module("cover")
    loaded.evaluate(OPEN, Cover()._page_traits())
    return loaded


def package_sets(order, setting):
    """The new digits, and their sets by the package."""
    n = setting["calibration_size"]
    known, new = torch.tensor(order[:n]), torch.tensor(order[n:])
    asked = TURNED if setting["turned"] else UPRIGHT
    return new, bt.conformal_sets(
        UPRIGHT[known],
        LABELS[known],
        asked[new],
        level=setting["level"],
        class_conditional=setting["class_conditional"],
    )


def covered(sets, labels):
    return sets.gather(1, labels.unsqueeze(1)).squeeze(1).double()


def order_of(node, seed=0):
    return node.evaluate("(seed) => module.mathematics.deal(answers.pool, seed)", seed)


def test_the_shipped_answers_are_those_of_the_script(tmp_path):
    write_digit_logits(*classify(), tmp_path / "logits")
    for shipped, made in zip(
        read_digit_logits(), read_digit_logits(tmp_path / "logits"), strict=True
    ):
        assert_close(shipped, made, rtol=0, atol=0.02)
    upright, turned = (
        (each.argmax(dim=-1) == LABELS).double().mean().item() for each in (UPRIGHT, TURNED)
    )
    assert TRAINING_DIGITS == 500
    assert 0.84 < upright < 0.87
    assert turned < 0.5


def test_the_probabilities_are_those_of_the_package(figure):
    for name, expected in (("upright", UPRIGHT), ("turned", TURNED)):
        found = torch.tensor(figure.evaluate(f"answers.{name}"), dtype=torch.float64)
        assert_close(found, expected, rtol=1e-12, atol=0)
    assert figure.evaluate("answers.labels") == LABELS.tolist()


@pytest.mark.parametrize("setting", SETTINGS)
def test_sets_and_coverage_are_the_packages(figure, setting):
    for found in figure.evaluate(COVER, [setting, [0, 5]]):
        new, sets = package_sets(found["order"], setting)
        assert found["fresh"] == new.tolist()
        members = [[k for k in range(10) if row[k]] for row in sets.tolist()]
        assert found["sets"] == members
        hits = covered(sets, LABELS[new])
        assert found["coverage"] == pytest.approx(hits.mean().item(), rel=1e-12)
        shares = [hits[LABELS[new] == k].mean().item() for k in range(10)]
        assert found["shares"] == pytest.approx(shares, rel=1e-12)


def test_a_deal_is_a_random_order_of_all_but_the_examples(figure):
    pool = sorted(set(range(2000)) - set(Cover().examples))
    orders = [order_of(figure, seed) for seed in range(300)]
    assert all(sorted(order) == pool for order in orders[:5])
    assert orders[0] == order_of(figure, 0) != orders[1]
    # Each digit is as often among the first thousand as another, and the first has each rank.
    among = torch.zeros(300, 2000)
    for row, order in zip(among, orders, strict=True):
        row[order[:1000]] = 1
    assert_mean(among[:, pool[::50]], 1000 / len(pool))
    first = torch.tensor([float(pool.index(order[0])) for order in orders])
    assert_mean(first, (len(pool) - 1) / 2)


@pytest.mark.parametrize(("total", "a", "b"), [(10, 3, 2), (1788, 181, 20), (988, 1, 1000)])
def test_the_beta_binomial_distribution_is_exact(figure, total, a, b):
    law = figure.evaluate("(of) => module.mathematics.betaBinomial(...of)", [total, a, b])
    ways = [math.comb(j + a - 1, j) * math.comb(total - j + b - 1, b - 1) for j in range(total + 1)]
    expected = [each / math.comb(total + a + b - 1, total) for each in ways]
    assert law == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("level", "size"), [(0.9, 50), (0.57, 20)])
def test_over_calibration_sets_coverage_has_that_distribution(figure, level, size):
    """Of 2,000 random splits of one pool: exactly, as no two digits have the same score."""
    setting = SETTING | {"level": level, "calibration_size": size}
    repeats, total, rank = 2000, 1988 - size, math.ceil((size + 1) * level)
    coverage = torch.tensor(
        figure.evaluate(
            """([settings, repeats]) => Array.from({length: repeats}, (_, seed) => {
              const {cover, deal} = module.mathematics;
              return cover(answers, deal(answers.pool, seed), settings).coverage;
            })""",
            [setting, repeats],
        ),
        dtype=torch.float64,
    )
    assert_mean(coverage, rank / (size + 1))
    law = torch.tensor(
        figure.evaluate(
            "(of) => module.mathematics.betaBinomial(...of)", [total, rank, size + 1 - rank]
        ),
        dtype=torch.float64,
    ).cumsum(0)
    for hits in range(0, total, 40):
        share = (coverage * total <= hits + 0.5).double().mean()
        error = (law[hits] * (1 - law[hits]) / repeats).sqrt()
        assert abs(share - law[hits]) <= STANDARD_ERRORS * error + 1 / repeats


def test_the_examples_go_from_sure_to_vague_at_equal_steps():
    entropy = torch.special.entr(UPRIGHT).sum(dim=-1)
    ranks = [(entropy < entropy[i]).sum().item() for i in Cover().examples]
    assert ranks == [int((i + 0.5) * 2000 / 12) for i in range(12)]
    pixels = torch.frombuffer(bytearray(Cover().pixels), dtype=torch.uint8).view(12, 28, 28)
    images = bt.load_mnist(train=False).tensors[0][Cover().examples].squeeze(1)
    assert_close(pixels / 255, images)


@pytest.mark.parametrize(
    ("name", "value"),
    [("level", 0.49), ("level", 1.0), ("calibration_size", 9), ("calibration_size", 1001)],
)
def test_a_value_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(TraitError, match=name):
        Cover(**{name: value})


def percent(share):
    return f"{100 * share:.1f} %"


def averages(node, setting):
    """The coverage of each digit, averaged over the 200 calibration sets."""
    shares = node.evaluate(
        f"(of) => ({COVER})(of).map(({{shares}}) => shares)", [setting, list(range(200))]
    )
    return torch.tensor(shares, dtype=torch.float64).mean(dim=0)


def test_the_first_sight_says_that_the_promise_is_not_for_each_digit(shown, figure):
    page = shown(Cover())
    new, sets = package_sets(order_of(figure), SETTING)
    coverage = percent(covered(sets, LABELS[new]).mean())
    mean = averages(figure, SETTING)
    least = f"{100 * mean.min():.0f} % of the {mean.argmin()}s"
    most = f"{100 * mean.max():.0f} % of the {mean.argmax()}s"
    assert said(page) == (
        f"Of 1,788 new digits {coverage} are in their sets, where 90 % is asked for. But on "
        f"average over calibration sets it is {least} and {most}: the promise is for all digits "
        f"together, not for each. A set holds {sets.sum(dim=1).double().mean():.1f} digits."
    )
    assert mean.min() < 0.75
    assert mean.max() > 0.98
    assert page.locator("[role=status]").inner_text() == page.locator(".result").inner_text()


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_is_told_to_python_is_the_packages(shown, figure, setting):
    page = shown(Cover(**setting, seed=3))
    new, sets = package_sets(order_of(figure, 3), setting)
    hits = covered(sets, LABELS[new])
    coverage, size, by_digit = traits(page, "coverage", "mean_size", "coverage_by_digit")
    assert coverage == pytest.approx(hits.mean().item(), rel=1e-12)
    assert size == pytest.approx(sets.sum(dim=1).double().mean().item(), rel=1e-12)
    shares = [hits[LABELS[new] == k].mean().item() for k in range(10)]
    assert by_digit == pytest.approx(shares, rel=1e-12)


def test_a_bound_for_each_digit_mends_it_and_makes_the_sets_larger(shown, figure):
    page = shown(Cover())
    plain = traits(page, "mean_size")[0]
    page.get_by_label("A bound for each digit").check()
    mean = averages(figure, SETTING | {"class_conditional": True})
    assert mean.min() >= 0.9
    assert f"from {100 * mean.min():.0f} % of the" in said(page)
    assert f"digits, where one bound for all would give {plain:.1f}." in said(page)
    assert traits(page, "mean_size")[0] > plain + 0.3
    expect(page.locator(".plots .promised")).not_to_have_attribute("d", re.compile("M"))


def test_turned_digits_are_covered_less_than_promised_and_shown_turned(shown):
    page = shown(Cover())
    page.get_by_label("New digits turned by").check()
    coverage = traits(page, "coverage")[0]
    assert coverage < 0.7
    text = f"Of 1,788 new digits turned by {ANGLE:.0f}° only {percent(coverage)} are in their sets"
    assert said(page).startswith(text)
    assert page.locator(".example.missed").count() >= 4
    drawn = page.locator(".example canvas").evaluate_all(
        """(all) => all.map((canvas) => [...canvas.getContext("2d").getImageData(0, 0, 28, 28).data]
          .filter((_, i) => i % 4 === 0))"""
    )
    images = bt.load_mnist(train=False).tensors[0][Cover().examples]
    expected = rotate(images, ANGLE, interpolation=InterpolationMode.BILINEAR)
    difference = 255 * (1 - expected.flatten(1)) - torch.tensor(drawn)
    assert difference.abs().max() <= 1


def test_too_few_calibration_digits_give_the_whole_set_and_it_is_said(shown):
    page = shown(Cover(level=0.95, calibration_size=10))
    assert said(page).startswith("10 calibration digits are too few to promise 95 %: every set")
    assert page.locator(".example .digit.in").count() == 120
    set_traits(page, calibration_size=200, class_conditional=True)
    assert re.search(r"There are too few calibration digits of [\d, and]+ to promise", said(page))


def test_sets_grow_with_the_level_and_with_doubt_and_are_spoken(shown, figure):
    page = shown(Cover(level=0.5))
    slider = page.get_by_label("Level asked for")
    count = "(all) => all.map((card) => card.querySelectorAll('.digit.in').length)"
    sizes = []
    for key in ("ArrowRight", "PageUp", "PageUp", "End"):
        slider.press(key)
        sizes.append(page.locator(".example").evaluate_all(count))
    assert traits(page, "level") == [0.99]
    totals = [sum(each) for each in sizes]
    assert totals == sorted(totals)
    assert totals[0] < totals[-1]
    assert sum(sizes[-1][6:]) > sum(sizes[-1][:6]) > 6
    limits = figure.evaluate(COVER, [SETTING | {"level": 0.99}, [0]])[0]["limits"]
    for i, card in zip(Cover().examples, page.locator(".example").all(), strict=True):
        members = [str(k) for k in range(10) if 1 - UPRIGHT[i, k].item() <= limits[k]]
        words = ", ".join(members[:-1]) + " and " + members[-1] if members[1:] else members[0]
        assert card.get_attribute("aria-label") == f"A digit {LABELS[i]}: its set holds {words}"


def places(page, name):
    """The numbers of a path in the plots, in pairs."""
    path = page.locator(f".plots .drawing .{name}").get_attribute("d")
    numbers = torch.tensor([float(number) for number in re.findall(r"[\d.]+", path)])
    return numbers.double()


@pytest.mark.parametrize("setting", [SETTING, SETTING | {"turned": True, "calibration_size": 20}])
def test_the_plots_show_what_is_found(shown, figure, setting):
    page = shown(Cover(**setting))
    found = figure.evaluate(
        f"(of) => ({COVER})(of).map(({{coverage, shares}}) => [coverage, ...shares])",
        [setting, list(range(200))],
    )
    coverage, *shares = torch.tensor(found, dtype=torch.float64).unbind(dim=1)
    # Of each bar: left, floor, top, right, floor.
    bars = places(page, "counts").view(-1, 5)
    counts = torch.bincount((100 * coverage).round().long()).double()
    heights = bars[:, 1] - bars[:, 2]
    assert_close(heights / heights.sum(), counts[counts > 0] / 200, rtol=0, atol=0.002)
    low, high = coverage.sort().values[[5, 194]]
    assert page.locator(".note").inner_text().replace("\u00a0", " ") == (
        f"Over 200 calibration sets of {setting['calibration_size']}: {percent(coverage.mean())} "
        f"on average, 95 % of them from {100 * low:.0f} % to {100 * high:.0f} %."
    )
    # The plot of the digits is 190 pixels high, from 0 to 1.
    dots = places(page, "dots").view(10, 3)[:, 1]
    assert_close(dots, 200 - 190 * torch.stack(shares)[:, 0], rtol=0, atol=0.06)
    ranges = places(page, "range").view(10, 8)  # x, low, high, x, mean, and how the dash runs
    shares = torch.stack(shares).sort(dim=1).values
    expected = torch.stack([shares[:, 5], shares[:, 194], shares.mean(dim=1)], dim=1)
    assert_close(ranges[:, [1, 2, 4]], 200 - 190 * expected, rtol=0, atol=0.06)


def test_an_empty_set_is_said_to_hold_no_digit_and_counted(shown):
    page = shown(Cover(level=0.5))
    labels = [card.get_attribute("aria-label") for card in page.locator(".example").all()]
    assert any(label.endswith("its set holds no digit and misses it") for label in labels)
    assert re.search(r"digits; \d+ % of the sets are empty\.$", said(page))


def test_another_calibration_set_has_another_coverage_and_the_histogram_stays(shown):
    page = shown(Cover())
    before = traits(page, "coverage")
    bars = page.locator(".plots .counts").get_attribute("d")
    mark = page.locator(".plots .now").get_attribute("d")
    page.get_by_role("button", name="Another calibration set").press("Enter")
    assert traits(page, "seed") == [1]
    assert traits(page, "coverage") != before
    assert page.locator(".plots .counts").get_attribute("d") == bars
    assert page.locator(".plots .now").get_attribute("d") != mark
    set_traits(page, seed=12345)  # beyond the 200
    assert 0.85 < traits(page, "coverage")[0] < 0.95


def test_the_sliders_stop_at_round_numbers_and_python_sets_any(shown):
    page = shown(Cover(calibration_size=333))
    assert "Over 200 calibration sets of 333:" in page.locator(".note").inner_text()
    slider = page.get_by_label("Calibration digits n")
    slider.press("ArrowRight")
    assert traits(page, "calibration_size") == [500]
    slider.press("Home")
    assert traits(page, "calibration_size") == [10]


@pytest.mark.parametrize("width", [800, 704, 375, 320])
def test_what_follows_the_text_stays_where_it_is(shown, width):
    page = shown(Cover(), width=width)
    top = """[...document.querySelectorAll("svg.plot, .example, input, button")]
      .map((node) => Math.round(node.getBoundingClientRect().y))"""
    before = page.evaluate(top)
    for setting in SETTINGS:
        set_traits(page, **setting)
        assert page.evaluate(top) == pytest.approx(before, abs=1), setting
