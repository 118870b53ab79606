"""Film two figures for the README: the posterior playground, and the digit that a hand draws.

    python scripts/make_moving_pictures.py

Needs Chromium (``make browser``). The weight of the KL moves, and the playground's band answers:
the figure's own button lets it train, some hundred steps a picture. A hand draws a 7, and goes on.
Both films are the same wherever they are made.
"""

import io
import itertools
from pathlib import Path

from chromium import launch
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from bnn_tutorial.figures import DrawDigit, PosteriorPlayground
from bnn_tutorial.figures.figure import Figure

TARGET = Path(__file__).parents[1] / "book" / "_static"
STYLE = "<style>html { font-family: sans-serif } .picture { position: static !important }</style>"
STILL, MOVING = 1200, 120  # milliseconds that the last picture of a scene stands, and any other
STEPS = "button:text-is('100 steps')"
CLICKS = 4
# The weight of the KL and the pictures taken with it.
SCENES = ((1.0, 14), (30.0, 18))
SET_WEIGHT = """(weight) => {
  model.set("kl_weight", weight);
  model.save_changes();
  const picture = document.querySelector(".bnn-figure .picture");
  const title = picture.querySelector("h3") ?? document.createElement("h3");
  title.textContent = `weight of the KL divergence: ${weight}`;
  title.style.cssText = "margin: 0 0 0.3em; font-size: 17px; text-align: center";
  picture.prepend(title);
}"""
# Strokes on the paper, which is the unit square: a 7, its bar, and a stroke that makes it no digit.
STROKES = (
    ((0.25, 0.2), (0.75, 0.2), (0.45, 0.85)),
    ((0.4, 0.52), (0.7, 0.52)),
    ((0.2, 0.8), (0.8, 0.8), (0.8, 0.35)),
)
PICTURES_OF_A_LINE = 5
DESK = ".bnn-figure .desk"

Film = tuple[list[Image.Image], list[int]]


def opened(browser: Browser, figure: Figure, width: int) -> Page:
    """Return a page that holds nothing but the figure."""
    html = figure.to_html().replace("new PageModel(traits)", "window.model = new PageModel(traits)")
    page = browser.new_page(viewport={"width": width, "height": 1200}, color_scheme="light")
    page.set_content(f"<!doctype html><title>{figure.name}</title>{STYLE}{html}")
    page.wait_for_selector(".bnn-figure[data-ready]")
    return page


def picture(node: Locator) -> Image.Image:
    """Return what the node shows."""
    return Image.open(io.BytesIO(node.screenshot())).convert("RGB")


def film_playground(browser: Browser) -> Film:
    """Let the figure train under one weight of the KL after the other."""
    figure = PosteriorPlayground(running=False, show_functions=False, address_key="")
    page = opened(browser, figure, 620)
    page.eval_on_selector_all("details", "(all) => all.forEach((node) => (node.open = true))")
    film, durations = [], []
    for weight, count in SCENES:
        page.evaluate(SET_WEIGHT, weight)
        for _ in range(count):
            for _ in range(CLICKS):
                page.click(STEPS)
            page.mouse.move(0, 0)
            film.append(picture(page.locator(".bnn-figure .picture")))
        durations += [MOVING] * (count - 1) + [STILL]
    return film, durations


def film_digit(browser: Browser) -> Film:
    """Draw one stroke after the other."""
    page = opened(browser, DrawDigit(), 620)
    paper = page.locator(".paper").bounding_box()
    assert paper is not None
    film, durations = [picture(page.locator(DESK))], [STILL]
    for stroke in STROKES:
        places = [
            (paper["x"] + x * paper["width"], paper["y"] + y * paper["height"]) for x, y in stroke
        ]
        page.mouse.move(*places[0])
        page.mouse.down()
        for (x, y), (next_x, next_y) in itertools.pairwise(places):
            for i in range(1, PICTURES_OF_A_LINE + 1):
                share = i / PICTURES_OF_A_LINE
                page.mouse.move(x + share * (next_x - x), y + share * (next_y - y))
                film.append(picture(page.locator(DESK)))
                durations.append(MOVING)
        page.mouse.up()
        durations[-1] = STILL
    return film, durations


def save(film: Film, path: Path) -> None:
    """Save a film as a GIF of 64 colours, from its first to its last picture and over again."""
    pictures, durations = film
    size = max(each.size for each in pictures)
    first, *rest = (each.resize(size).quantize(64) for each in pictures)
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Film both figures."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        save(film_playground(browser), TARGET / "playground.gif")
        save(film_digit(browser), TARGET / "draw_a_digit.gif")
        browser.close()


if __name__ == "__main__":
    main()
