"""Take the picture at the head of the README: the built book's first page, in headless Chromium.

    python scripts/make_cover.py

Needs the built site (``make book``) and Chromium (``make browser``).
"""

from pathlib import Path

from chromium import launch
from playwright.sync_api import sync_playwright
from site_server import served

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Serve the site, open its first page and save what a wide window shows of it."""
    with served(ROOT / "_build" / "html") as address, sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(f"{address}/book/index.html")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ROOT / "book" / "_static" / "cover.png")
        browser.close()


if __name__ == "__main__":
    main()
