"""Every page of the built site, opened in Chromium: complete, legible, and asking nobody else.

axe-core judges it too: it has no finding that is serious or critical.
"""

import itertools
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from helpers.figure_clock import pass_time

from bnn_tutorial.derivations import IDENTITIES

STILL = "* { animation: none !important; transition: none !important }"
FAULTS = Path(__file__).parents[1].joinpath("helpers/page_faults.js").read_text(encoding="utf-8")
FIND = """async ([context, options]) => {
  const all = {resultTypes: ["violations"], ...options};
  const {violations} = await axe.run(context ?? document, all);
  return violations
    .filter(({impact}) => impact === "serious" || impact === "critical")
    .flatMap(({id, nodes}) => nodes.map((node) =>
      `${id}: ${node.target}: ${node.failureSummary.replace(/\\s+/g, " ")}`));
}"""
# Words that a cell of text has on two lines; after a hyphen a line may end.
BROKEN_WORDS = """(cells) => cells.flatMap(({firstChild: text}) =>
  [...text.data.matchAll(/[^\\s-]+/g)].filter(({0: word, index}) => {
    const range = document.createRange();
    range.setStart(text, index);
    range.setEnd(text, index + word.length);
    return range.getClientRects().length > 1;
  }).map(String))"""
# What axe finds depends on the width but, apart from colours, not on the theme; those of an article
# the audit measures in both. Nothing is to be preloaded: that is for the sound of films.
WHOLE = [None, {"preload": False}]
COLOURS = [{"exclude": [["article"]]}, {"runOnly": ["color-contrast"], "preload": False}]


@cache
def parsed(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@pytest.fixture
def opened(browser, server, page_path):
    """The page, opened once for all that is looked at, and the list of what went wrong."""
    problems = []

    def note_request(request):
        if not request.url.startswith((server, "data:", "blob:")):
            problems.append(f"request to another origin: {request.url}")

    def note_response(response):
        if response.status >= 400:
            problems.append(f"{response.status}: {response.url}")

    def note_console(message):
        if message.type == "error":
            problems.append(f"console: {message.text} ({message.location['url']})")

    def note_failure(request):
        if request.failure != "net::ERR_ABORTED":  # as when the first page leads on
            problems.append(f"{request.failure}: {request.url}")

    with browser.new_context(viewport={"width": 375, "height": 900}) as context:
        context.clock.install()
        page = context.new_page()
        page.on("request", note_request)
        page.on("response", note_response)
        page.on("console", note_console)
        page.on("pageerror", lambda error: problems.append(f"error in a script: {error}"))
        page.on("requestfailed", note_failure)
        page.goto(f"{server}/{page_path}?q=posterior")  # a search page then searches
        page.wait_for_selector("html[data-theme]")  # the first page leads on to another
        page.wait_for_load_state()
        page.wait_for_function("!document.querySelector('.bnn-figure:not([data-ready])')")
        page.add_style_tag(content=STILL)
        yield page, problems


def test_page_is_whole_and_open_to_all_wide_and_narrow_in_light_and_in_dark(opened, node_modules):
    page, problems = opened
    page.add_script_tag(path=node_modules / "axe-core" / "axe.min.js")
    for width, theme in itertools.product((375, 1280), ("light", "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        page.wait_for_selector(f"html[data-theme={theme}]")
        pass_time(page, 1000)  # the theme answers a change of width a little later
        audit = page.evaluate(FAULTS)
        problems += [f"{width}, {theme}: {kind}: {what}" for kind in audit for what in audit[kind]]
        found = page.evaluate(FIND, WHOLE if theme == "light" else COLOURS)
        problems += [f"{width}, {theme}: {finding}" for finding in found]
    assert not problems, "\n".join(problems)


def test_links_lead_somewhere(site, page_path):
    dead = []
    for link in parsed(site / page_path).select("a[href]"):
        url = urlsplit(link["href"])
        if url.scheme or link["href"] == "#":
            continue
        target = (site / page_path).parent / unquote(url.path) if url.path else site / page_path
        reached = target.exists()
        if reached and url.fragment and target.suffix == ".html":
            reached = parsed(target.resolve()).find(id=unquote(url.fragment)) is not None
        if not reached:
            dead.append(link["href"])
    assert dead == []


def test_notebooks_can_be_downloaded(site, notebook):
    page = parsed(site / "book" / f"{notebook.stem}.html")
    assert page.select_one(f"a.btn-download-source-button[href$='{notebook.name}']")


def test_on_a_phone_each_check_shows_its_result(browser, server):
    with browser.new_context(viewport={"width": 375, "height": 740}) as context:
        page = context.new_page()
        ends = []
        for name in ("verified_equations", "verified_equations_from_the_cnn"):
            page.goto(f"{server}/book/{name}.html")
            results = page.locator(".check-table td:nth-child(4)")
            ends += results.evaluate_all(
                "(cells) => cells.map((cell) => cell.getBoundingClientRect().right)"
            )
            assert not results.evaluate_all(BROKEN_WORDS)
            size = "(cell) => parseFloat(getComputedStyle(cell).fontSize)"
            assert results.first.evaluate(size) >= 11
        assert len(ends) == sum(len(identity.checks) for identity in IDENTITIES.values())
        assert max(ends) <= 375
