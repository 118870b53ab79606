"""Bayes by counting: the formula, the whole people, and the figure as a reader uses it."""

import itertools
import re

import pytest
import torch
from helpers.figure_clock import pass_time
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
    assert page.locator(".belief").all_text_contents() == [
        "Everyone: 10 of 1,000 are ill, p(ill) = 1%",
        "→ positive once: 9 of 108 are ill, p(ill) = 8.33%",
    ]
    assert [f.get_attribute("aria-label") for f in page.get_by_role("math").all()] == [
        "9 over 9 plus 99 = 8.33%",
        "0.9 times 0.01 over 0.9 times 0.01 plus 0.1 times 0.99 = 8.33%",
    ]


def test_a_second_test_takes_the_posterior_as_its_prior(shown):
    page = shown(BayesByCounting())
    page.get_by_label("two").check()
    assert trait(page, "positive_tests") == 2
    assert titles(page)[1] == "8 of 18 are ill"
    assert page.locator(".belief").all_text_contents() == [
        "Everyone: 10 of 1,000 are ill, p(ill) = 1%",
        "→ positive once: 9 of 108 are ill, p(ill) = 8.33%",
        "→ twice: 8 of 18 are ill, p(ill) = 45%",
    ]
    # 8 of 18 is 44.4%: a rounded count is no fraction beside the formula.
    assert "expected are 8.1 ill of 18 positive twice" in page.inner_text(".note")
    formula = page.get_by_role("math").get_attribute("aria-label")
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
    assert titles(page)[1] == "7 of 7 are ill"


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
    assert titles(page)[1] == "10 of 19 are ill"


def test_a_screen_reader_hears_the_result_once_it_rests(shown):
    page = shown(BayesByCounting())
    page.get_by_label("three").check()
    status = page.locator("p[role=status]")
    pass_time(page, 900)
    assert "7 of 8 are ill" not in status.text_content()
    pass_time(page, 200)
    assert "then three times: 7 of 8 are ill, p(ill) is 88%" in status.text_content()


def test_what_python_sets_is_drawn(shown):
    page = shown(BayesByCounting())
    page.evaluate("() => model.set('sensitivity', 0.5)")
    assert titles(page)[1] == "5 of 104 are ill"
    assert page.get_by_label("Sensitivity").input_value() == "0.5"


@pytest.mark.parametrize(
    ("setting", "share", "sentence"),
    [
        ({"specificity": 1.0}, "9 of 9 are ill", "positive once: 9 of 9 are ill, p(ill) = 100%"),
        ({"prevalence": 0.001, "specificity": 0.5}, "1 of 501 is ill", "p(ill) = 0.18%"),
        ({"prevalence": 0.001}, "1 of 101 is ill", "Counts are rounded"),
        (
            {"prevalence": 0.001, "sensitivity": 0.5, "specificity": 1.0, "positive_tests": 2},
            "nobody is there",
            "Fewer than one in 1,000 is expected there (0.25)",
        ),
        (
            {"prevalence": 0.5, "sensitivity": 1.0, "specificity": 0.995, "positive_tests": 3},
            "500 of 500 are ill",
            "p(ill) = over 99.9%",
        ),
    ],
)
def test_extremes_are_said_plainly(shown, setting, share, sentence):
    page = shown(BayesByCounting(**setting))
    assert titles(page)[1] == share
    assert sentence in page.inner_text(".bnn-figure")
    assert not re.search("NaN|undefined|Infinity|∞", page.inner_html(".bnn-figure"))


@pytest.mark.parametrize("width", [375, 800])
@pytest.mark.parametrize("tests", [1, 2, 3])
def test_nothing_below_moves_while_a_slider_does(shown, width, tests):
    page = shown(BayesByCounting(positive_tests=tests), width=width)
    heights = set()
    for name in ("Prevalence", "Sensitivity", "Specificity"):
        slider = page.get_by_label(name)
        for key in ("Home", *["PageUp"] * 10):
            slider.press(key)
            heights.add(page.locator(".bnn-figure").bounding_box()["height"])
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


@pytest.mark.parametrize("width", [320, 375, 800])
def test_nothing_overflows_and_everything_is_within_reach(shown, width):
    page = shown(BayesByCounting(prevalence=0.0105, positive_tests=3), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for target in page.locator(".slider input, .choice label").all():
        assert target.bounding_box()["height"] >= 24
    for mark in page.locator("svg.people").all():
        assert mark.bounding_box()["x"] + mark.bounding_box()["width"] <= width
