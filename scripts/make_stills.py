"""Make the stills that stand in for interactive figures where scripts are off.

    python scripts/make_stills.py [NAME ...]

Each figure is opened at its default settings in headless Chromium, and what it drew is written to
``bnn_tutorial/figures/stills``. Its controls are in it only to keep their room, so that nothing on
the page moves when the figure takes the still's place: nobody sees them or can reach them. `make
figures` runs this once it has built the figures.
"""

import sys

from chromium import launch
from playwright.sync_api import sync_playwright

from bnn_tutorial import figures
from bnn_tutorial.figures.figure import STILLS, Figure

TO_STILL = """(figure) => {
  const still = figure.cloneNode(true);
  const drawn = [...figure.querySelectorAll("canvas")];
  [...still.querySelectorAll("canvas")].forEach((canvas, i) => {
    const image = document.createElement("img");
    image.src = drawn[i].toDataURL("image/webp", 0.8);
    image.alt = canvas.getAttribute("aria-label");
    image.className = canvas.className;
    canvas.replaceWith(image);
  });
  still.querySelectorAll(".spoken").forEach((node) => node.remove());
  const live = "button, input, select, output, fieldset, .controls, .buttons, .live";
  for (const node of still.querySelectorAll(live)) {
    if (node.closest(".room")) continue;
    node.classList.add("room");
    node.inert = true;
    for (const part of [node, ...node.querySelectorAll("*")])
      for (const {name} of [...part.attributes])
        if (/^(id|for|name|role|tabindex|title|aria-.*)$/.test(name)) part.removeAttribute(name);
  }
  for (const node of still.querySelectorAll("[tabindex]"))
    for (const {name} of [...node.attributes])
      if (name === "tabindex" || name === "role" || name.startsWith("aria-"))
        node.removeAttribute(name);
  for (const plot of still.querySelectorAll("svg.plot"))
    if (!plot.closest(".room")) plot.setAttribute("role", "img");
  still.querySelectorAll("div, ul").forEach((node) => node.childNodes.length || node.remove());
  return still.innerHTML;
}"""


def main(names: list[str]) -> None:
    classes: dict[str, type[Figure]] = {
        cls.name: cls
        for cls in (getattr(figures, name) for name in figures.__all__)
        if cls.still is Figure.still  # others write their own
    }
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 800, "height": 900}, reduced_motion="reduce")
        for name in names or classes:
            target = STILLS / f"{name}.html"
            target.touch()  # the figure's HTML holds its still
            page.set_content(f"<!doctype html><title>{name}</title>{classes[name]().to_html()}")
            page.wait_for_selector(".bnn-figure[data-ready]:not([data-training])")
            target.write_text(page.eval_on_selector(".bnn-figure", TO_STILL) + "\n", "utf-8")
            print(f"{target.name}: {target.stat().st_size / 1000:.1f} kB")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
