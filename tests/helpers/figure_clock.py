"""The clock of a page with figures: it stands still until a test lets time pass.

Timers, frames and ``performance.now()`` run on this clock alone, so that a test sees the same
states in the same order on a machine of any speed. What is in sight and how wide a plot is the
browser tells in its own time: each function here waits for that first.
"""

from playwright.sync_api import BrowserContext, Page

FRAME = 16  # milliseconds from one frame of the clock to the next
LONGEST_TRAINING = 60_000  # milliseconds; the most steps that a network takes need 8,000

# An observer is told after those before it; the second, after all that the first turn has moved.
OBSERVED = """async () => {
  for (let turn = 0; turn < 2; turn++)
    await new Promise((done) => {
      const observer = new IntersectionObserver(() => (observer.disconnect(), done()));
      observer.observe(document.documentElement);
    });
}"""


def stop_clock(page: BrowserContext | Page) -> None:
    """Give the pages that are opened from now on a clock that stands still."""
    page.clock.install(time=0)
    page.clock.pause_at(1)


def settle(page: Page) -> None:
    """Wait until the page's observers have told what is in sight and how wide it is."""
    page.evaluate(OBSERVED)


def pass_time(page: Page, milliseconds: float) -> None:
    """Let the clock run on, with every frame and timer on the way."""
    settle(page)
    page.clock.run_for(milliseconds)


def pass_frames(page: Page, number: int = 1) -> None:
    """Let so many frames pass."""
    pass_time(page, FRAME * number)


def rest(page: Page) -> None:
    """Let time pass until no figure trains, and all have spoken: a second after the last news."""
    for _ in range(LONGEST_TRAINING // 1000):
        at_rest = page.locator(".bnn-figure[data-training]").count() == 0
        pass_time(page, 1000)
        if at_rest:
            return
    raise AssertionError("the figure still trains")
