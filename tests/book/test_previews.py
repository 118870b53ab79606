"""What a reader sees of a term: its definition on hover, on focus and on a tap, and its entry."""

import pytest
from playwright.sync_api import Page, expect

PAGE = "book/by_symptom.html"


@pytest.fixture(params=[1280, 375])
def page(browser, server, request):
    """A page with terms, wide and narrow."""
    with browser.new_context(viewport={"width": request.param, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{server}/{PAGE}")
        yield page


def definition(page: Page) -> str:
    """What the first term is described by."""
    anchor = page.locator("a.term").first.get_attribute("aria-describedby")
    return page.locator(f"[id='{anchor}']").text_content()


def expect_shown(page: Page) -> None:
    """The definition of the first term is in sight, within the window, beside its term."""
    box, term = page.locator(".term-definition"), page.locator("a.term").first
    expect(box).to_be_visible()
    expect(box).to_have_text(definition(page))
    # Both at one moment, since the page may still be scrolling to a term that got the focus.
    place, line = term.evaluate(
        """(term) => [document.querySelector(".term-definition"), term]
            .map((node) => node.getBoundingClientRect().toJSON())"""
    )
    assert place["left"] >= 0
    assert place["right"] <= page.viewport_size["width"]
    gap = min(abs(place["bottom"] - line["top"]), abs(place["top"] - line["bottom"]))
    assert gap < 2 + line["height"]  # a term may break into two lines


def test_definition_shows_on_hover_stays_under_the_pointer_and_goes(page):
    term, box = page.locator("a.term").first, page.locator(".term-definition")
    expect(box).to_be_hidden()
    term.hover()
    expect_shown(page)
    box.hover()
    expect_shown(page)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    term.hover()
    expect_shown(page)
    page.mouse.move(1, 1)
    expect(box).to_be_hidden()


def test_definition_shows_on_focus_and_the_term_leads_to_its_entry(page):
    term, box = page.locator("a.term").first, page.locator(".term-definition")
    term.focus()
    expect_shown(page)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(term).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect_shown(page)
    target = term.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{target}")


def test_a_first_tap_shows_the_definition_and_a_second_follows(browser, server):
    phone = {"viewport": {"width": 375, "height": 700}, "has_touch": True, "is_mobile": True}
    with browser.new_context(**phone) as context:
        page = context.new_page()
        page.goto(f"{server}/{PAGE}")
        term, box = page.locator("a.term").first, page.locator(".term-definition")
        term.tap()
        expect_shown(page)
        assert page.url.endswith(PAGE)
        page.locator("article h1").tap()
        expect(box).to_be_hidden()
        term.tap()
        expect_shown(page)
        target = term.get_attribute("href")
        term.tap()
        page.wait_for_url(f"**/{target}")
