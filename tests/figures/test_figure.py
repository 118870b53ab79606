"""What every interactive figure inherits: settings, the HTML form, the live widget."""

import base64
import json

import pytest
import traitlets
from bs4 import BeautifulSoup
from helpers.figure_clock import settle

from bnn_tutorial.figures.bayes_by_counting import BayesByCounting
from bnn_tutorial.figures.figure import BUNDLES, FIGURES


class Noted(BayesByCounting):
    """A figure with text and bytes, in the module of the one it derives from."""

    note = traitlets.Unicode("").tag(sync=True)
    data = traitlets.Bytes(b"").tag(sync=True)
    private = traitlets.Int(0)


def read(html, part):
    """What the page's script reads: the "module" or the "traits"."""
    selector = {"module": "[data-module]", "traits": "[id$='-traits']"}[part]
    selector = f"script[type='application/json']{selector}"
    return json.loads(BeautifulSoup(html, "html.parser").select_one(selector).string)


def test_settings_are_the_figures_own_traits():
    figure = Noted(prevalence=0.2, note="one", data=b"two", private=3)
    assert figure.settings() == {
        "prevalence": 0.2,
        "sensitivity": 0.9,
        "specificity": 0.9,
        "positive_tests": 1,
        "note": "one",
        "data": b"two",
    }
    figure.prevalence = 0.1
    assert figure.settings()["prevalence"] == 0.1


def test_page_gets_the_module_and_the_settings_as_they_are():
    data = bytes(range(256))
    figure = Noted(prevalence=0.2, data=data, note="σ ≤ ½")
    module = (BUNDLES / "bayes_by_counting.js").read_text(encoding="utf-8")
    assert read(figure.to_html(), "module") == module
    traits = read(figure.to_html(), "traits")
    assert base64.b64decode(traits.pop("data")["base64"]) == data
    assert traits == {n: v for n, v in figure.settings().items() if n != "data"}


@pytest.mark.parametrize(
    "text", ["</script><script>alert(1)</script>", "<!-- <script>", "]]>", "\u2028'\"\\", "&lt;"]
)
def test_no_text_of_a_setting_ends_the_script(text):
    plain = BeautifulSoup(Noted(note="").to_html(), "html.parser")
    html = Noted(note=text).to_html()
    assert read(html, "traits")["note"] == text
    page = BeautifulSoup(html, "html.parser")
    assert [tag.name for tag in page.find_all()] == [tag.name for tag in plain.find_all()]


def test_html_form_holds_style_still_and_note():
    page = BeautifulSoup(BayesByCounting().to_html(), "html.parser")
    assert "\n".join(style.string for style in page.select("style")) == BayesByCounting._css
    still = (FIGURES / "stills" / "bayes_by_counting.html").read_text(encoding="utf-8")
    place = page.select_one("div.bnn-figure.bayes_by_counting")
    assert still in BayesByCounting().to_html()
    assert place.noscript.get_text().strip()


def test_each_html_form_has_places_of_its_own():
    figure = BayesByCounting()
    pages = [BeautifulSoup(figure.to_html(), "html.parser") for _ in range(2)]
    ids = [node["id"] for page in pages for node in page.select("[id]")]
    assert len(ids) == len(set(ids)) == 4


@pytest.mark.parametrize("what_comes", ["scrollTo(0, 4300)", "atRest()"])
def test_a_figure_far_away_begins_when_the_reader_comes_or_the_page_is_at_rest(browser, what_comes):
    with browser.new_context(viewport={"width": 800, "height": 600}) as context:
        context.add_init_script("window.requestIdleCallback = (begin) => (window.atRest = begin)")
        page = context.new_page()
        above = "<div style='height: 5000px'></div>"
        page.set_content(f"<!doctype html>{above}{BayesByCounting().to_html()}")
        page.wait_for_function("!!window.atRest")
        settle(page)
        assert page.locator(".bnn-figure[data-ready]").count() == 0
        page.evaluate(what_comes)
        page.wait_for_selector(".bnn-figure[data-ready]")


def test_a_notebook_gets_both_forms():
    data, metadata = Noted(prevalence=0.2)._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert read(data["text/html"], "traits")["prevalence"] == 0.2
    assert metadata == {}


def test_a_value_out_of_bounds_is_refused_and_changes_nothing():
    figure = BayesByCounting(prevalence=0.2)
    with pytest.raises(traitlets.TraitError, match=r"prevalence.* 0\.5, .* 0\.7"):
        figure.prevalence = 0.7
    assert figure.prevalence == 0.2
