"""Bayes by counting: the formula, the whole people, and the figure as a reader uses it."""

import itertools
import re

import pytest
import torch
from helpers.figure_clock import pass_frames, pass_time
from helpers.figure_model import trait
from torch.testing import assert_close
from traitlets import TraitError

from bnn_tutorial.figures import BayesByCounting

NAME = "bayes_by_counting"
SETTINGS = [
    {"prevalence": p, "sensitivity": sens, "specificity": spec, "positive_tests": tests}
    for p, sens, spec, tests in itertools.product(
        (0.001, 0.0105, 0.01, 0.023, 0.1, 0.3335, 0.5),
        (0.5, 0.605, 0.9, 1.0),
        (0.5, 0.9, 0.995, 1.0),
        (1, 2, 3),
    )
]
GROUPS = ["illPositive", "illNegative", "healthyPositive", "healthyNegative"]


def joint(prevalence, sensitivity, specificity, positive_tests):
    """p(health, positive in every test): a row for the ill and one for the healthy, float64."""
    prior = torch.tensor([prevalence, 1 - prevalence], dtype=torch.float64)
    positive = torch.tensor([sensitivity, 1 - specificity], dtype=torch.float64) ** positive_tests
    return torch.stack([prior * positive, prior * (1 - positive)], dim=1)


def updated(setting):
    """p(ill) before and after each test, by the chapter's update with one test at a time."""
    likelihood = torch.tensor(
        [setting["sensitivity"], 1 - setting["specificity"]], dtype=torch.float64
    )
    belief = torch.tensor([setting["prevalence"], 1 - setting["prevalence"]], dtype=torch.float64)
    chain = [belief[0]]
    for _ in range(setting["positive_tests"]):
        belief = belief * likelihood
        belief = belief / belief.sum()
        chain.append(belief[0])
    return torch.stack(chain)


def test_beliefs_are_the_chapters_updates(module):
    found = module(NAME).evaluate("(settings) => settings.map(module.beliefs)", SETTINGS)
    for setting, chain in zip(SETTINGS, found, strict=True):
        chain = torch.tensor(chain, dtype=torch.float64)
        assert_close(chain, updated(setting), rtol=1e-12, atol=0)


def test_python_reads_the_posterior():
    figure = BayesByCounting()
    assert figure.posterior == pytest.approx(9 / 108, rel=1e-12)
    for setting in SETTINGS:
        figure.set_trait("positive_tests", setting["positive_tests"])
        for name in ("prevalence", "sensitivity", "specificity"):
            figure.set_trait(name, setting[name])
        assert figure.posterior == pytest.approx(updated(setting)[-1].item(), rel=1e-12)
    with pytest.raises(AttributeError):
        figure.posterior = 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [("prevalence", 0.0), ("sensitivity", 0.4), ("specificity", 1.1), ("positive_tests", 4)],
)
def test_a_value_out_of_bounds_is_refused_by_name(name, value):
    with pytest.raises(TraitError, match=name):
        BayesByCounting(**{name: value})


def test_people_are_whole_and_all_there(module):
    found = module(NAME).evaluate(
        """(settings) => settings.map((setting) => {
          const expected = module.expectedCounts(setting);
          return [expected, module.wholeCounts(expected)];
        })""",
        SETTINGS,
    )
    for setting, (expected, counts) in zip(SETTINGS, found, strict=True):
        expected = torch.tensor([expected[group] for group in GROUPS], dtype=torch.float64)
        counts = torch.tensor([counts[group] for group in GROUPS], dtype=torch.float64)
        assert_close(expected, 1000 * joint(**setting).flatten(), rtol=1e-12, atol=1e-10)
        assert counts.sum() == 1000
        assert (counts >= 0).all()
        assert (counts == counts.round()).all()
        error = (counts - expected).abs()
        assert (error[[0, 2]] <= 0.5 + 1e-9).all()  # the two that the posterior is counted from
        assert (error <= 1 + 1e-9).all()
        assert abs(counts[:2].sum() - 1000 * setting["prevalence"]) <= 0.5 + 1e-9


def test_every_number_of_marks_has_its_place(module):
    every = "() => Array.from({length: 1001}, (_, count) => module.columnsFor(count))"
    columns = module(NAME).evaluate(every)
    places = [c * (c * 25 // 40) for c in columns]
    assert all(count <= place for count, place in enumerate(places))
    fewer = [(c - 1) * ((c - 1) * 25 // 40) for c in columns]
    assert all(c == 8 or count > f for count, (c, f) in enumerate(zip(columns, fewer, strict=True)))


def titles(page):
    """What stands above the two panels."""
    return page.locator(".title strong").all_text_contents()


def drawn(page):
    """How many marks of each group each of the two panels shows, all in different places."""
    panels = []
    for panel in page.locator("svg.people").all():
        paths = [path.get_attribute("d") for path in panel.locator("path").all()]
        places = [re.findall(r"M(\d+) (\d+)", path) for path in paths]
        assert len(set(itertools.chain(*places))) == sum(map(len, places))
        panels.append([len(group) for group in places])
    return panels


def test_at_rest_it_tells_the_chapters_story(shown):
    page = shown(BayesByCounting())
    assert titles(page) == ["10 of 1,000 are ill", "9 of 108 are ill"]
    assert drawn(page) == [[9, 1, 99, 891], [9, 0, 99, 0]]
    assert page.locator(".legend li").all_text_contents() == [
        "9 ill, positive",
        "1 ill, negative",
        "99 healthy, positive",
        "891 healthy, negative",
    ]
    headline = "Of 108 people who test positive, 9 are ill: p(ill | positive) = 8.33%."
    assert page.inner_text(".result") == page.inner_text("[role=status]") == headline
    assert page.inner_text(".chain") == "p(ill), test by test: 1% → 8.33%"
    assert page.inner_text(".note") == "Each mark is a person."
    assert [f.get_attribute("aria-label") for f in page.get_by_role("math").all()] == [
        "9 over 9 plus 99 = 8.33%",
        "0.9 times 0.01 over 0.9 times 0.01 plus 0.1 times 0.99 = 8.33%",
    ]


def test_a_second_test_takes_the_posterior_as_its_prior(shown):
    page = shown(BayesByCounting())
    page.get_by_label("two").check()
    assert trait(page, "positive_tests") == 2
    # 8 of 18 would be 44.4%.
    assert titles(page)[1] == "8.1 of 18 expected ill"
    assert page.inner_text(".chain") == "p(ill), test by test: 1% → 8.33% → 45%"
    assert page.inner_text(".note") == "Expected values; the marks are the nearest whole people."
    counted, formula = (f.get_attribute("aria-label") for f in page.get_by_role("math").all())
    assert counted == "8.1 over 8.1 plus 9.9 = 45%"
    assert formula.startswith("0.9 times 0.08333 over")
    assert formula.endswith("= 45%")


def test_dragging_by_mouse(shown):
    page = shown(BayesByCounting())
    box = page.get_by_label("Prevalence").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.376 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 20, y, steps=4)
    assert trait(page, "prevalence") == 0.5
    assert titles(page) == ["500 of 1,000 are ill", "450 of 500 are ill"]
    assert drawn(page) == [[450, 50, 50, 450], [450, 0, 50, 0]]
    page.mouse.up()


def test_touching(shown):
    page = shown(BayesByCounting(), width=375, has_touch=True, is_mobile=True)
    page.get_by_text("three").tap()
    assert trait(page, "positive_tests") == 3
    box = page.get_by_label("Specificity").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    assert trait(page, "specificity") == 1
    assert titles(page)[1] == "7.29 of 7.29 expected ill"


def test_keyboard_alone(shown):
    page = shown(BayesByCounting())
    page.keyboard.press("Tab")
    slider = page.get_by_label("Prevalence")
    assert slider.evaluate("(node) => node === document.activeElement")
    page.keyboard.press("ArrowRight")
    assert trait(page, "prevalence") == 0.015
    assert slider.get_attribute("aria-valuetext") == "1.5%"
    page.keyboard.press("ArrowLeft")
    assert trait(page, "prevalence") == 0.01
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    assert trait(page, "sensitivity") == 1
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert trait(page, "specificity") == 0.905
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert trait(page, "positive_tests") == 2
    assert titles(page)[1] == "10 of 18.93 expected ill"


def test_a_screen_reader_hears_the_result_once_it_rests(shown):
    page = shown(BayesByCounting())
    page.get_by_label("three").check()
    status = page.locator("p[role=status]")
    pass_time(page, 900)
    assert "three times" not in status.text_content()
    pass_time(page, 200)
    said = "Of 8.28 people expected to test positive three times, 7.29 are ill: p(ill | positive"
    assert status.text_content() == f"{said} three times) = 88%."


def test_what_python_sets_is_drawn(shown):
    page = shown(BayesByCounting())
    page.evaluate("() => model.set('sensitivity', 0.5)")
    assert titles(page)[1] == "5 of 104 are ill"
    assert page.get_by_label("Sensitivity").input_value() == "0.5"


@pytest.mark.parametrize(
    ("setting", "share", "sentence"),
    [
        ({"specificity": 1.0}, "9 of 9 are ill", "9 are ill: p(ill | positive) = 100%"),
        ({"prevalence": 0.001, "specificity": 0.5}, "0.9 of 500.4 expected ill", "= 0.18%"),
        ({"prevalence": 0.001}, "0.9 of 100.8 expected ill", "nearest whole people"),
        (
            {"prevalence": 0.001, "sensitivity": 0.5, "specificity": 1.0, "positive_tests": 2},
            "0.25 of 0.25 expected ill",
            "Expected values: too few for a mark.",
        ),
        (
            {"prevalence": 0.5, "sensitivity": 1.0, "specificity": 0.995, "positive_tests": 3},
            "500 of 500 expected ill",
            "p(ill | positive three times) > 99.9%",
        ),
    ],
)
def test_extremes_are_said_plainly(shown, setting, share, sentence):
    page = shown(BayesByCounting(**setting))
    assert titles(page)[1] == share
    assert sentence in page.inner_text(".bnn-figure")
    assert not re.search("NaN|undefined|Infinity|∞", page.inner_html(".bnn-figure"))


SHOWN = """(settings) => settings.map((setting) => {
  for (const [name, value] of Object.entries(setting)) model.set(name, value);
  const text = (selector) => document.querySelector(selector).textContent;
  const [everyone, positives] = [...document.querySelectorAll(".title strong")];
  const [counted, formula] = [...document.querySelectorAll("[role=math]")];
  return {
    headline: text(".result"), positives: positives.textContent, chain: text(".chain"),
    legend: [...document.querySelectorAll(".legend li")].map((node) => node.textContent),
    counted: counted.getAttribute("aria-label"), formula: formula.getAttribute("aria-label"),
  };
})"""
NUMBER = r"[\d,.]+(?: × 10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)?"


def number(text):
    mantissa, _, power = text.replace(",", "").partition(" × 10")
    exponent = power.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    return float(mantissa) * 10 ** int(exponent or 0)


def test_headline_titles_legend_and_formula_agree_at_every_setting(shown):
    page = shown(BayesByCounting(), reduced_motion="reduce")
    for setting, found in zip(SETTINGS, page.evaluate(SHOWN, SETTINGS), strict=True):
        ill, healthy = 1000 * joint(**setting)[:, 0]
        all_positive, exact = (ill + healthy).item(), (ill / (ill + healthy)).item()
        value = re.search(r"[=>] ([\d.]+)%\.$", found["headline"])[1]
        percent = pytest.approx(100 * exact, rel=0.006)
        assert float(value) == percent
        assert found["chain"].removeprefix("over ").endswith(f"{value}%")
        assert found["counted"].endswith(f" {value}%")
        assert found["formula"].endswith(f" {value}%")
        # None of the counts is rounded by more than its three digits: "1 of 11" for 0.81 would be.
        first, second = re.findall(NUMBER, found["positives"])
        assert number(first) == pytest.approx(ill.item(), rel=0.006)
        assert number(second) == pytest.approx(all_positive, rel=0.006)
        assert 100 * number(first) / number(second) == pytest.approx(100 * exact, rel=0.012)
        said = re.match(rf"Of ({NUMBER}) people .*, ({NUMBER}) (?:is|are) ill", found["headline"])
        assert said.groups() == (second, first)
        assert found["counted"].startswith(f"{first} over {first} plus ")
        assert found["legend"][0].startswith(f"{first} ill")


@pytest.mark.parametrize("width", [320, 375, 800])
@pytest.mark.parametrize("tests", [1, 2, 3])
def test_nothing_below_moves_while_a_slider_does(shown, width, tests):
    page = shown(BayesByCounting(positive_tests=tests), width=width)
    heights = set()
    for name in ("Prevalence", "Sensitivity", "Specificity"):
        slider = page.get_by_label(name)
        for key in ("Home", *["PageUp"] * 10):
            slider.press(key)
            heights.add(round(page.locator(".bnn-figure").bounding_box()["height"]))
    assert len(heights) == 1


def test_prevalence_stops_at_round_numbers(shown):
    page = shown(BayesByCounting(prevalence=0.0234))
    slider = page.get_by_label("Prevalence")
    assert slider.get_attribute("aria-valuetext") == "2.34%"
    slider.press("ArrowLeft")
    assert trait(page, "prevalence") == 0.015  # the thumb stood at 2%, the nearest
    slider.press("Home")
    found = [trait(page, "prevalence")]
    for _ in range(19):
        slider.press("ArrowRight")
        found.append(trait(page, "prevalence"))
    assert found[-1] == 0.5
    assert found == sorted(set(found))
    assert all(float(f"{value:.1g}") == value or "15" in f"{value}" for value in found)


AIR = """() => [...document.querySelectorAll(".air path")].map((path) => {
  const boxes = path.getAttribute("d") ? path.getBoundingClientRect() : null;
  const marks = (path.getAttribute("d").match(/M/g) ?? []).length;
  return [path.getAttribute("class"), marks, boxes && [boxes.x, boxes.y]];
})"""


def in_the_air(page):
    """How many marks of each kind are on their way, and where the first of them is."""
    return {kind: (marks, place) for kind, marks, place in page.evaluate(AIR) if marks}


def visibility(page):
    """Whether those who test positive are to be seen in their panel."""
    marks = page.locator("svg.people").nth(1).locator("path").first
    return marks.evaluate("(path) => getComputedStyle(path).visibility")


def test_who_changes_the_panel_is_seen_on_the_way(shown):
    page = shown(BayesByCounting())
    everyone, positives = (panel.bounding_box() for panel in page.locator("svg.people").all())
    assert in_the_air(page) == {}
    page.evaluate("model.set('sensitivity', 0.5)")  # 4 of the ill go back to the first panel
    begin = in_the_air(page)
    assert {kind: marks for kind, (marks, _) in begin.items()} == {
        "ill-positive leave": 4,
        "ill-positive stay": 5,
        "healthy-positive stay": 99,
    }
    assert visibility(page) == "hidden"
    assert begin["ill-positive leave"][1][0] > positives["x"]
    pass_frames(page, 30)
    middle = in_the_air(page)["ill-positive leave"][1][0]
    assert everyone["x"] < middle < begin["ill-positive leave"][1][0] - 20
    pass_time(page, 1000)
    assert in_the_air(page) == {}
    assert drawn(page)[1] == [5, 0, 99, 0]
    assert visibility(page) == "visible"
    page.get_by_label("Specificity").press("Home")  # 396 more of the healthy come over
    marks, place = in_the_air(page)["healthy-positive join"]
    assert marks == 396
    assert place[0] < positives["x"]
    pass_time(page, 1000)
    assert in_the_air(page) == {}


def test_with_reduced_motion_nobody_is_on_the_way(shown):
    page = shown(BayesByCounting(), reduced_motion="reduce")
    page.get_by_label("three").check()
    assert in_the_air(page) == {}
    assert visibility(page) == "visible"


@pytest.mark.parametrize("width", [320, 375, 800])
def test_nothing_overflows_and_everything_is_within_reach(shown, width):
    page = shown(BayesByCounting(prevalence=0.0105, positive_tests=3), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for target in page.locator(".slider input, .choice label").all():
        assert target.bounding_box()["height"] >= 24
    for mark in page.locator("svg.people").all():
        assert mark.bounding_box()["x"] + mark.bounding_box()["width"] <= width
