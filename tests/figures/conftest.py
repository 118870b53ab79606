"""How the tests open a figure: its module in Node.js or on a page, or the figure as on a page."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.figure_clock import settle, stop_clock
from helpers.node import Node
from playwright.sync_api import Browser, Page

from bnn_tutorial import figures
from bnn_tutorial.figures.figure import BUNDLES, Figure

IMPORT = """async (source) => {
  const address = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  window.module = await import(address);
}"""


@pytest.fixture(params=figures.__all__)
def cls(request: pytest.FixtureRequest) -> type[Figure]:
    """Each figure's class in turn."""
    return getattr(figures, request.param)


@pytest.fixture
def module(node: Node) -> Callable[[str], Node]:
    """Load a figure's bundle by name into Node.js, for what needs no page.

    ``module("two_gaussians").evaluate("(x) => module.density(x)", x)`` calls one function.
    """
    return lambda name: node.load(BUNDLES / f"{name}.js")


@pytest.fixture
def module_page(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Open a figure's bundle by name on a blank page, whose ``module`` holds what it exports."""
    with browser.new_context() as context:
        stop_clock(context)

        def open_module(name: str) -> Page:
            page = context.new_page()
            page.evaluate(IMPORT, (BUNDLES / f"{name}.js").read_text(encoding="utf-8"))
            return page

        yield open_module


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a blank page whose clock stands still; keywords are those of ``browser.new_context``.

    When the test ends, no error may have been logged, and no request made where ``requests`` is
    False.
    """
    contexts, problems = [], []

    def open_page(*, requests: bool, **settings: Any) -> Page:
        context = browser.new_context(**settings)
        contexts.append(context)
        stop_clock(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda m: m.type == "error" and problems.append(m.text))
        if not requests:
            page.on("request", lambda r: r.url.startswith("blob:") or problems.append(r.url[:200]))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def shown(watched: Callable[..., Page]) -> Callable[..., Page]:
    """Open a figure's HTML form on a page of its own, drawn and ready to be used.

    ``shown(figure, width=375, has_touch=True)``: further keywords are those of
    ``browser.new_context``. The page's ``model`` holds what the reader chose, and its clock stands
    still (``figure_clock``). When the test ends, no error may have been logged and no request made.
    """

    def show(figure: Figure, *, width: int = 800, height: int = 900, **settings: Any) -> Page:
        viewport = {"width": width, "height": height}
        page = watched(requests=False, viewport=viewport, **settings)
        head = '<!doctype html><meta name="viewport" content="width=device-width"><title>.</title>'
        # The page keeps the model, so that a test sees what the reader's moves have set.
        made = "new PageModel(traits)"
        page.set_content(head + figure.to_html().replace(made, f"window.model = {made}"))
        page.wait_for_selector(".bnn-figure[data-ready]")
        settle(page)
        return page

    return show
