"""What is far from the screen waits, and no place on a page is missed for it; nothing moves."""

import pytest
from helpers.layout import LAID_OUT, SHIFT

CHAPTER = "book/kl_divergence.html"
WAITS = "Boolean(document.documentElement.dataset.far)"
# Chromium skips a section in which nothing has been laid out.
SKIPPED = """() => [...document.querySelectorAll(".bd-article .late-layout > p")]
  .some((node) => !node.checkVisibility({contentVisibilityAuto: true}))"""
TOP = "(node) => Math.round(node.getBoundingClientRect().top)"
# The place of the section in sight among the contents beside the page, from 0.
ACTIVE = """[...document.querySelectorAll(".bd-toc-nav a")]
  .findIndex((link) => link.classList.contains("active"))"""
FAR = """() => {
  const far = document.querySelector(".bd-article .late-layout");
  return far && far.getBoundingClientRect().top + scrollY;
}"""
# How what is far stands on the page while its scripts have run and nothing else has.
BEFORE_IT_ANSWERS = """document.addEventListener("DOMContentLoaded", () => {
  window.early = [...document.querySelectorAll(".bd-article .late-layout")]
    .map((part) => getComputedStyle(part).contentVisibility);
}, {capture: true})"""
NO_IDLENESS = "window.requestIdleCallback = () => 0"


@pytest.fixture
def page(browser):
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def test_far_sections_wait_until_the_page_has_nothing_else_to_do(page, server):
    page.goto(f"{server}/{CHAPTER}")
    assert page.evaluate(WAITS)
    page.wait_for_function(LAID_OUT)
    assert not page.evaluate(SKIPPED)


def test_nothing_far_is_laid_out_before_a_page_answers(page, server):
    page.add_init_script(BEFORE_IT_ANSWERS)
    page.goto(f"{server}/{CHAPTER}")
    early = page.evaluate("window.early")
    assert len(early) > 5
    assert {*early} == {"hidden"}


def test_nothing_of_the_first_screen_waits(browser, server, page_path):
    """Not on a screen of 1920 by 1080 either, where a page shows the most."""
    with browser.new_context(viewport={"width": 1920, "height": 1080}) as context:
        page = context.new_page()
        page.goto(f"{server}/{page_path}")
        page.wait_for_function(LAID_OUT)
        far = page.evaluate(FAR)
        assert far is None or far > 1080


def test_a_place_is_reached_while_they_wait(page, server):
    page.add_init_script(NO_IDLENESS)
    page.goto(f"{server}/{CHAPTER}")
    assert page.evaluate(SKIPPED)
    link = page.locator(".bd-toc-nav a").last
    place = page.locator(link.get_attribute("href"))
    link.evaluate("(node) => node.click()")
    page.wait_for_function("!document.documentElement.dataset.far")
    assert not page.evaluate(SKIPPED)
    # It is the last, and may be too short to come to the top of the screen.
    page.wait_for_function("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
    assert 0 < place.evaluate(TOP) < 900


def test_nothing_waits_where_a_place_is_asked_for(page, server):
    page.add_init_script(NO_IDLENESS)
    page.goto(f"{server}/{CHAPTER}#summary")
    assert not page.evaluate(WAITS)
    page.goto(f"{server}/book/glossary.html")
    assert page.evaluate(WAITS)
    page.reload()
    assert not page.evaluate(WAITS)


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (375, "light")])
@pytest.mark.parametrize(
    "name", ["kl_divergence", "glossary", "index", "draw_a_digit", "notation", "api/layers"]
)
def test_nothing_moves_while_a_page_opens(browser, server, name, width, theme):
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme
    ) as context:
        page = context.new_page()
        page.goto(f"{server}/book/{name}.html", wait_until="commit")
        page.wait_for_selector(f"html[data-theme={theme}]")
        page.wait_for_load_state()
        page.wait_for_function(LAID_OUT)
        page.wait_for_function("!document.querySelector('.bnn-figure:not([data-ready])')")
        assert page.evaluate(SHIFT) < 0.01  # half of what a page may


def test_a_page_begins_with_the_theme_that_stays(page, server):
    page.route("**/*.js*", lambda route: route.abort())
    page.goto(f"{server}/book/glossary.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_menus_tooltips_and_copies_come_when_the_page_is_at_rest(page, server):
    page.goto(f"{server}/{CHAPTER}")
    page.locator(".cell_input .copybtn").first.dispatch_event("click")
    page.wait_for_selector(".copybtn.success", state="attached")
    page.hover("[data-bs-toggle=tooltip]:visible")
    page.wait_for_selector(".tooltip.show")
    menu = page.locator(".dropdown-toggle[data-bs-toggle=dropdown]").first
    menu.click()
    assert menu.get_attribute("aria-expanded") == "true"
    page.wait_for_function(LAID_OUT)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function(f"({ACTIVE}) > 4")


def test_a_script_that_fails_stops_no_other(page, server):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script("""const get = Storage.prototype.getItem;
      Storage.prototype.getItem = function (name) {
        if (name.startsWith("bnn")) throw new Error("no storage");
        return get.call(this, name);
      };""")
    page.goto(f"{server}/{CHAPTER}")
    page.keyboard.press("Control+k")
    page.wait_for_selector(".search-button__wrapper.show", state="attached")
    page.wait_for_function(LAID_OUT)
    assert errors
    assert all("no storage" in error for error in errors)


def test_nothing_stays_hidden_where_the_script_does_not_come(page, server):
    page.route("**/*.js*", lambda route: None)
    page.goto(f"{server}/{CHAPTER}", wait_until="commit")
    last = page.locator(".bd-article .late-layout > p").last
    last.wait_for(state="attached")
    last.evaluate("""(node) => new Promise((done) => {
      const look = () => {
        node.scrollIntoView();
        if (node.checkVisibility({contentVisibilityAuto: true})) done();
        else setTimeout(look, 50);
      };
      look();
    })""")


def test_the_bar_covers_a_wide_figure_and_keeps_its_menus(page, server):
    page.goto(f"{server}/book/playground.html")
    page.wait_for_function(LAID_OUT)
    figure = page.locator(".bnn-figure").first.bounding_box()
    right = figure["x"] + figure["width"]
    assert right > page.locator(".bd-header-article").bounding_box()["width"] + 300
    page.evaluate("scrollTo(0, 400)")
    at = "([x, y]) => Boolean(document.elementFromPoint(x, y).closest('.bd-header-article'))"
    assert page.evaluate(at, [right - 5, 20])
    assert not page.evaluate(at, [right - 5, 120])
    page.locator(".bd-header-article .dropdown-toggle").first.hover()
    item = page.locator(".bd-header-article .dropdown-item").last
    item.wait_for(state="visible")
    box = item.bounding_box()
    assert page.evaluate(at, [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
