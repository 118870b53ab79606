"""A page answers before what stands far below is laid out.

A chapter has ten thousand elements, most of them in formulas and code. To
style them and lay them out takes most of the time until the page answers.
Sections that are far from the screen wait: the browser knows them, finds
words in them and reads them aloud, but lays them out only when they come
near, or when nothing else is to be done (`_static/far_sections.js`,
`book.css`).

Where a place on the page is asked for, by an address or by going back, the
whole page is laid out at once, since a place is exact only then. So it is on
paper, and where scripts are off.
"""

from sphinx.application import Sphinx

WAIT = """if (!location.hash
  && performance.getEntriesByType("navigation")[0]?.type === "navigate")
  document.documentElement.dataset.far = "waits";"""


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_js_file(None, body=WAIT)
    app.add_js_file("far_sections.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
