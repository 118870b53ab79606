"""The browser of the tests: a headless Chromium, on a slower processor where that is asked for.

No test may depend on how fast the machine is. ``pytest --throttle 6`` makes every page's processor
six times slower.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from chromium import launch
from helpers.missing import missing
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

PATIENCE = 120_000  # milliseconds; only what never comes is waited for so long


@contextmanager
def chromium(throttle: float = 1) -> Iterator[Browser]:
    """Start a Chromium whose pages wait patiently, slowed down by the factor ``throttle``."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except FileNotFoundError as error:
            missing(str(error))
        new_context = browser.new_context
        browser.new_context = lambda **options: prepared(new_context(**options), throttle)
        yield browser
        browser.close()


def prepared(context: BrowserContext, throttle: float) -> BrowserContext:
    """Give a context its patience, and its pages a slow processor."""
    context.set_default_timeout(PATIENCE)
    new_page = context.new_page

    def slow_page() -> Page:
        page = new_page()
        session = context.new_cdp_session(page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
        return page

    if throttle > 1:
        context.new_page = slow_page
    return context
