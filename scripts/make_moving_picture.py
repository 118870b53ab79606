"""Film the posterior playground for the README: the weight of the KL moves, and the band answers.

    python scripts/make_moving_picture.py

Needs Chromium (``make browser``). The figure's own button lets it train, some hundred steps a
picture, so that the film is the same wherever it is made.
"""

import io
from pathlib import Path

from chromium import launch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from bnn_tutorial.figures import PosteriorPlayground

TARGET = Path(__file__).parents[1] / "book" / "_static" / "playground.gif"
PICTURE = ".bnn-figure .picture"
STYLE = "<style>html { font-family: sans-serif } .picture { position: static !important }</style>"
STEPS = "button:text-is('100 steps')"
CLICKS = 4
# The weight of the KL and the pictures taken with it.
SCENES = ((1.0, 14), (30.0, 18))
STILL, MOVING = 1200, 120  # milliseconds that the last picture of a scene stands, and any other
SET_WEIGHT = """(weight) => {
  model.set("kl_weight", weight);
  model.save_changes();
  const picture = document.querySelector(".bnn-figure .picture");
  const title = picture.querySelector("h3") ?? document.createElement("h3");
  title.textContent = `weight of the KL divergence: ${weight}`;
  title.style.cssText = "margin: 0 0 0.3em; font-size: 17px; text-align: center";
  picture.prepend(title);
}"""


def pictures(page: Page, count: int) -> list[Image.Image]:
    """Let the figure train on, ``CLICKS`` hundred steps before each of ``count`` pictures."""
    taken = []
    for _ in range(count):
        for _ in range(CLICKS):
            page.click(STEPS)
        page.mouse.move(0, 0)
        taken.append(Image.open(io.BytesIO(page.locator(PICTURE).screenshot())))
    return taken


def main() -> None:
    """Film the figure under one weight of the KL after the other, and save the film."""
    figure = PosteriorPlayground(running=False, show_functions=False, address_key="")
    html = figure.to_html().replace("new PageModel(traits)", "window.model = new PageModel(traits)")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 620, "height": 1200}, color_scheme="light")
        page.set_content(f"<!doctype html><title>playground</title>{STYLE}{html}")
        page.wait_for_selector(".bnn-figure[data-ready]")
        page.eval_on_selector_all("details", "(all) => all.forEach((node) => (node.open = true))")
        film, durations = [], []
        for weight, count in SCENES:
            page.evaluate(SET_WEIGHT, weight)
            film += pictures(page, count)
            durations += [MOVING] * (count - 1) + [STILL]
        browser.close()
    size = max(image.size for image in film)
    colours = [image.convert("RGB").resize(size).quantize(64) for image in film]
    colours[0].save(
        TARGET, save_all=True, append_images=colours[1:], duration=durations, loop=0, optimize=True
    )
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
