"""Take the picture at the head of the README: the built book's first page, in headless Chromium.

    python scripts/make_cover.py

Needs the built site (``make book``) and Chromium or Chrome on the PATH.
"""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "chromium-headless-shell",
)


def main() -> None:
    """Serve the site, open its first page and save what a wide window shows of it."""
    browser_path = next(path for path in map(shutil.which, BROWSERS) if path)
    handler = partial(SimpleHTTPRequestHandler, directory=ROOT / "_build" / "html")
    server = ThreadingHTTPServer(("localhost", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(f"http://localhost:{server.server_port}/book/index.html")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=ROOT / "book" / "_static" / "cover.png")
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main()
