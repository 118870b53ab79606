"""The figures in the built book, used as a reader of the site would: by mouse, finger and keys."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.figure_clock import pass_frames, pass_time, rest
from helpers.pointers import by_mouse, by_touch
from playwright.sync_api import Browser, Locator, expect


@pytest.fixture
def read(browser: Browser, server: str) -> Iterator[Callable[..., Locator]]:
    """Open a page of the book and return one of its figures, ready and in sight."""
    contexts, errors = [], []

    def open_page(name: str, number: int = 0, *, width: int = 1280, **settings: Any) -> Locator:
        viewport = {"width": width, "height": 900}
        contexts.append(browser.new_context(viewport=viewport, **settings))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.clock.install()
        page.goto(f"{server}/book/{name}.html")
        figure = page.locator(".bnn-figure:not(.question)").nth(number)
        if settings.get("java_script_enabled", True):
            figure.and_(page.locator("[data-ready]")).wait_for()
            page.clock.pause_at(time.time() + 3600)  # from here on the tests let time pass
        figure.scroll_into_view_if_needed()
        return figure

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def height_of_band(figure: Locator) -> float:
    """From the lowest to the highest point of the epistemic band at its right end, in pixels."""
    outline = figure.locator(".picture path.epistemic").get_attribute("d")
    points = [
        tuple(map(float, pair.split(","))) for pair in re.findall(r"[-\d.]+,[-\d.]+", outline)
    ]
    right = max(x for x, _ in points)
    ends = [y for x, y in points if x == right]
    return max(ends) - min(ends)


def test_dragging_the_kl_weight_moves_the_band_of_mean_field(read):
    figure = read("mean_field")
    rest(figure.page)
    before = height_of_band(figure)
    slider = figure.get_by_role("slider", name="Weight λ of the KL divergence")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    # The logarithm of λ runs from -4 to 2, so that 1 stands at two thirds.
    by_mouse(figure.page, (box["x"] + 0.667 * box["width"], y), (box["x"] + 0.3 * box["width"], y))
    rest(figure.page)
    assert height_of_band(figure) < 0.5 * before


def test_a_clicked_point_is_answered_and_shared_by_the_address(read):
    figure = read("playground")
    rest(figure.page)
    before, points = height_of_band(figure), figure.locator(".point").count()
    plot = figure.locator(".picture > svg").bounding_box()
    figure.page.mouse.click(plot["x"] + 0.97 * plot["width"], plot["y"] + 0.4 * plot["height"])
    expect(figure.locator(".point")).to_have_count(points + 1)
    rest(figure.page)
    assert height_of_band(figure) < 0.7 * before
    pass_time(figure.page, 400)  # after which the address is written
    expect(figure.page).to_have_url(re.compile("#playground"))
    figure.page.reload()
    expect(figure.locator(".point")).to_have_count(points + 1)


def test_keys_alone_set_the_prevalence(read):
    figure = read("bayes")
    figure.evaluate("(node) => { node.tabIndex = -1; node.focus(); }")
    figure.page.keyboard.press("Tab")
    slider = figure.get_by_role("slider").first
    expect(slider).to_be_focused()
    before = figure.locator(".title strong").all_text_contents()
    figure.page.keyboard.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "50%")
    assert figure.locator(".title strong").all_text_contents() != before
    pass_time(figure.page, 1100)  # it is spoken once it has been the same for a second
    assert "p(ill | positive) = 90%" in figure.locator("p[role=status]").inner_text()


def test_a_finger_moves_a_gaussian_and_the_page_stays(read):
    figure = read("kl_divergence", width=375, has_touch=True, is_mobile=True)
    handle = figure.locator("[data-trait=q_mean]")
    handle.scroll_into_view_if_needed()
    page, box = figure.page, handle.bounding_box()
    sums, scrolled = figure.locator(".sum").all_inner_texts(), page.evaluate("scrollY")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    by_touch(page, (x, y), (x - 32, y + 16))
    assert handle.bounding_box()["x"] < box["x"] - 20
    assert figure.locator(".sum").all_inner_texts() != sums
    assert page.evaluate("scrollY") == scrolled


def test_draws_of_estimators_are_counted(read):
    figure = read("estimators")
    figure.get_by_role("button", name="Reset").click()
    figure.get_by_role("button", name="1 draw", exact=True).click()
    pass_frames(figure.page)
    expect(figure).to_contain_text("1 draw of each")
    figure.get_by_role("button", name="1,000 draws").click()
    pass_frames(figure.page)
    expect(figure).to_contain_text("1,001 draws of each")


@pytest.mark.parametrize("finger", [False, True], ids=["mouse", "finger"])
@pytest.mark.parametrize("name", ["turned_digits", "draw_a_digit"])
def test_a_digit_that_is_drawn_is_read(read, name, finger):
    settings = {"width": 375, "has_touch": True, "is_mobile": True} if finger else {}
    figure = read(name, **settings)
    paper = figure.locator(".paper")
    paper.scroll_into_view_if_needed()
    page, box = figure.page, paper.bounding_box()
    x = box["x"] + box["width"] / 2
    top, bottom = (box["y"] + share * box["height"] for share in (0.15, 0.85))
    (by_touch if finger else by_mouse)(page, (x, top), (x, bottom))
    pass_time(page, 400)
    expect(figure.locator(".result")).to_contain_text(re.compile(r"say\s1"))


@pytest.mark.parametrize(
    "name",
    [
        "bayes",
        "kl_divergence",
        "estimators",
        "mean_field",
        "playground",
        "turned_digits",
        "draw_a_digit",
    ],
)
def test_a_still_stands_in_where_scripts_are_off(read, name):
    figure = read(name, java_script_enabled=False)
    assert figure.get_attribute("data-ready") is None
    expect(figure.locator("svg, img").first).to_be_visible()
    expect(figure.locator("noscript, p").last).to_contain_text("A still")
    assert not any(control.is_visible() for control in figure.locator("button, input").all())
