"""A chapter on paper: solutions are open, and nothing is there only to be pressed."""

from playwright.sync_api import expect

PRESSED = ".bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, button, details.hide"


def test_paper_shows_solutions_and_neither_menu_nor_buttons(browser, server):
    # As wide as paper that lies on its side, on which the menu would have room.
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{server}/book/sampling.html")
        answer = page.locator(".solution .admonition-title + *").first
        expect(answer).to_be_hidden()
        expect(page.locator(".bd-sidebar-primary")).to_be_visible()
        page.emulate_media(media="print")
        expect(answer).to_be_visible()
        assert answer.evaluate("(node) => getComputedStyle(node).opacity") == "1"
        assert answer.bounding_box()["height"] > 10
        assert page.locator(PRESSED).count() > 10
        expect(page.locator(f":is({PRESSED}) >> visible=true")).to_have_count(0)
        expect(page.locator("article p >> visible=true")).not_to_have_count(0)
