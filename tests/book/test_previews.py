"""What a reader sees of what a link leads to: on hover, on focus, on a tap, and then itself."""

import pytest
from helpers.layout import LAID_OUT
from playwright.sync_api import Locator, Page, expect

PAGE = "book/other_roads.html"
LINKS = {
    "term": "a.term",
    "formula of the page": ".bd-article p a.internal[href^='#equation-']",
    "formula of another page": ".bd-article p a.internal[href*='.html#equation-']",
    "source": ".bd-article .bibtex-citation a",
    "page": ".bd-article p a.internal[href='sampling.html']",
}


@pytest.fixture(params=[1280, 375])
def page(browser, server, request):
    """A page with links of every kind, wide and narrow."""
    with browser.new_context(viewport={"width": request.param, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{server}/{PAGE}")
        yield page


@pytest.fixture(params=LINKS)
def selector(request):
    """Where a link of each kind is."""
    return f"{LINKS[request.param]} >> visible=true"


def expect_shown(page: Page, link: Locator) -> None:
    """What the link leads to is in sight, within the window, beside the link."""
    box = page.locator(".preview")
    expect(box).to_be_visible()
    if (described_by := link.get_attribute("aria-describedby")) is not None:
        expect(box).to_have_text(page.locator(f"[id='{described_by}']").text_content())
    else:
        expect(box.locator(".katex-html")).to_be_visible()
    # Both at one moment, since the page may still be scrolling to a link that got the focus.
    place, line = link.evaluate(
        """(link) => [document.querySelector(".preview"), link]
            .map((node) => node.getBoundingClientRect().toJSON())"""
    )
    assert place["left"] >= 0
    assert place["right"] <= page.viewport_size["width"]
    gap = min(abs(place["bottom"] - line["top"]), abs(place["top"] - line["bottom"]))
    assert gap < 2 + line["height"]  # a link may break into two lines


def test_preview_shows_on_hover_stays_under_the_pointer_and_goes(page, selector):
    page.wait_for_function(LAID_OUT)  # a page that moves takes the link from under the pointer
    link, box = page.locator(selector).first, page.locator(".preview")
    expect(box).to_be_hidden()
    link.hover()
    expect_shown(page, link)
    assert link.get_attribute("title") is None  # which would show beside it
    box.hover()
    expect_shown(page, link)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    link.hover()
    expect_shown(page, link)
    page.mouse.move(1, 1)
    expect(box).to_be_hidden()


def test_preview_shows_on_focus_and_the_link_leads_to_its_place(page, selector):
    link, box = page.locator(selector).first, page.locator(".preview")
    link.focus()
    expect_shown(page, link)
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(link).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect_shown(page, link)
    target = link.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{target}")


def test_a_first_tap_shows_the_preview_and_a_second_follows(browser, server, selector):
    phone = {"viewport": {"width": 375, "height": 700}, "has_touch": True, "is_mobile": True}
    with browser.new_context(**phone) as context:
        page = context.new_page()
        page.goto(f"{server}/{PAGE}")
        page.wait_for_function(LAID_OUT)
        link, box = page.locator(selector).first, page.locator(".preview")
        link.tap()
        expect_shown(page, link)
        assert page.url.endswith(PAGE)
        page.locator("article h1").tap()
        expect(box).to_be_hidden()
        link.tap()
        expect_shown(page, link)
        target = link.get_attribute("href")
        link.tap()
        page.wait_for_url(f"**{target}")


@pytest.mark.parametrize("kind", ["formula of the page", "formula of another page"])
def test_the_formula_is_the_one_that_the_link_leads_to(page, kind):
    link = page.locator(f"{LINKS[kind]} >> visible=true").first
    link.hover()
    shown = page.locator(".preview .katex-html").text_content()
    assert len(shown) > 3
    anchor = link.get_attribute("href").partition("#")[2]
    link.click()
    page.wait_for_url(f"**#{anchor}")
    expect(page.locator(f"[id='{anchor}'] .katex-html")).to_have_text(shown)
