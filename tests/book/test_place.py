"""The reader's place: where the first page goes on, and which chapters the menu marks as read."""

import re

import pytest
from helpers.layout import SHIFT
from playwright.sync_api import expect

CHAPTER = "book/mnist.html"


@pytest.fixture(params=[1280, 375])
def page(browser, server, request):
    """A reader who comes for the first time, to a wide or a narrow window."""
    with browser.new_context(viewport={"width": request.param, "height": 900}) as context:
        yield context.new_page()


def test_the_first_page_goes_on_where_the_reader_was(page, server):
    page.goto(f"{server}/book/index.html")
    line = page.locator(".go-on")
    expect(line).to_be_hidden()
    page.goto(f"{server}/{CHAPTER}")
    section = page.locator("article section:has(> h2)").nth(5)
    section.evaluate('(section) => section.scrollIntoView({behavior: "instant"})')
    anchor = section.get_attribute("id")
    title = section.locator("h2").first.text_content().removesuffix("#")
    page.goto(f"{server}/book/glossary.html")  # no chapter: the place stays
    page.goto(f"{server}/book/index.html")
    expect(line).to_be_visible()
    expect(line).to_contain_text(f"A Bayesian CNN on MNIST, {title}")
    assert page.evaluate(SHIFT) < 0.02
    line.locator("a").click()
    page.wait_for_url(f"**/{CHAPTER}#{anchor}")


def test_a_chapter_that_was_only_opened_is_named_alone(page, server):
    page.goto(f"{server}/{CHAPTER}")
    page.goto(f"{server}/book/index.html")
    name = re.compile(r"^\d+\. A Bayesian CNN on MNIST$")
    expect(page.locator(".go-on a")).to_have_text(name)


def test_a_chapter_is_marked_once_its_end_was_reached(page, server):
    link = page.locator(".bd-docs-nav a").filter(has_text="A Bayesian CNN on MNIST")
    for path in (CHAPTER, "book/glossary.html"):
        page.goto(f"{server}/{path}")
        assert "(read)" not in link.text_content()
    page.goto(f"{server}/{CHAPTER}")
    page.locator(".prev-next-footer").scroll_into_view_if_needed()
    page.wait_for_function("localStorage['bnn-tutorial:read']")
    assert "(read)" in link.text_content()
    page.goto(f"{server}/book/glossary.html")
    page.locator(".prev-next-footer").scroll_into_view_if_needed()
    page.goto(f"{server}/book/index.html")
    marked = page.locator(".bd-docs-nav a:has(.fa-check)")
    expect(marked).to_have_count(1)
    assert "A Bayesian CNN on MNIST (read)" in marked.text_content()
    if page.viewport_size["width"] > 1000:
        expect(marked.locator(".fa-check")).to_be_visible()
    assert page.evaluate(SHIFT) < 0.02
