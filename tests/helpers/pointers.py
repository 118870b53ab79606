"""What a reader's hand does on a page: drag something by mouse, or with a finger."""

import itertools

from playwright.sync_api import Page

Place = tuple[float, float]


def by_mouse(page: Page, start: Place, end: Place) -> None:
    """Press the button at the first place and let it go at the second."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=10)
    page.mouse.up()


def by_touch(page: Page, *places: Place, steps: int = 10) -> None:
    """Put a finger on the first place, move it to each other in so many steps, and lift it."""
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: Place) -> None:
        touch_points = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touch_points})

    touch("touchStart", places[0])
    for (x1, y1), (x2, y2) in itertools.pairwise(places):
        for step in range(1, steps + 1):
            part = step / steps
            touch("touchMove", (x1 + part * (x2 - x1), y1 + part * (y2 - y1)))
    touch("touchEnd")
