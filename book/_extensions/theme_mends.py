"""The theme's scripts don't lay a page out a second time.

A page begins with the theme "auto", which a script at its end replaces by
"light" or "dark": every element is styled twice, and the header moves. Here
the page begins with the one that will stay.

Once all is loaded, and after each change, another script measures every block
of code on the page, those far below too, so that keys can scroll the wide
ones. `_static/accessibility.js` does so when they are first shown.
"""

import re
from pathlib import Path

from built_site import once_built
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

BEGIN = re.compile(
    r'<script data-cfasync="false">[^<]*dataset\.theme = [^<]*</script>'
)
BEGIN_AS_SHOWN = """<script>{
    const mode = localStorage.getItem("mode") || "auto";
    const system = matchMedia("(prefers-color-scheme: dark)").matches;
    const theme = mode === "auto" ? (system ? "dark" : "light") : mode;
    Object.assign(document.documentElement.dataset, { mode, theme });
  }</script>"""
SCRIPT = "_static/scripts/pydata-sphinx-theme.js"
MEASURE = (
    '"complete"===document.readyState?T():window.addEventListener("load",T)'
)


def mend(site: Path) -> None:
    """Change the theme's scripts in a built site.

    Raises:
        ExtensionError: the script is another than the one known here.
    """
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(
            BEGIN.sub(lambda _: BEGIN_AS_SHOWN, text), encoding="utf-8"
        )
    path = site / SCRIPT
    script = path.read_text(encoding="utf-8")
    if MEASURE not in script:
        raise ExtensionError(
            f"{SCRIPT} does not measure as it did: see {__file__}"
        )
    path.write_text(script.replace(MEASURE, "void 0"), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    once_built(app, mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
