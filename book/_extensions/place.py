"""The reader's place, kept in the reader's browser and sent nowhere.

`_static/place.js` keeps the chapter and the section at which a page was left,
and marks in the menu the chapters whose end was reached. The first page then
offers to go on. The line there is filled while the page is parsed, before
anything is painted, so that nothing moves.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

GO_ON = """</h1>
<p class="go-on" hidden>Go on where you were: <a></a></p>
<script>{
  const line = document.currentScript.previousElementSibling;
  const place = JSON.parse(localStorage.getItem("bnn-tutorial:place"));
  if (place) {
    const { chapter, section, path } = place;
    const link = line.querySelector("a");
    link.href = document.documentElement.dataset.content_root + path;
    link.textContent = section ? `${chapter}, ${section}` : chapter;
    line.hidden = false;
  }
}</script>"""


def offer(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    document: nodes.document | None,
) -> None:
    """Put the line below the title of the first page."""
    if page == app.config.root_doc:
        context["body"] = context["body"].replace("</h1>", GO_ON, 1)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", offer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
