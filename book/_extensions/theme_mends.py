"""The theme's scripts don't lay a page out a second time.

A page begins with the theme "auto", which a script at its end replaces by
"light" or "dark": every element is styled twice, and the header moves. Here
the page begins with the one that will stay.

Once all is loaded, and after each change, another script measures every block
of code on the page, those far below too, so that keys can scroll the wide
ones. `_static/accessibility.js` does so when they are first shown. A third
looks at all elements for 28 kinds of notes in the margin, which nobody wrote.
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
SCRIPTS = "_static/scripts"
# What a script does, and what it does here.
MENDS = {
    "pydata-sphinx-theme.js": (
        '"complete"===document.readyState?T():'
        'window.addEventListener("load",T)',
        "void 0",
    ),
    "sphinx-book-theme.js": ('document.querySelectorAll(n.join(", "))', "[]"),
}


def mend(site: Path) -> None:
    """Change the theme's scripts in a built site.

    Raises:
        ExtensionError: a script is another than the one known here.
    """
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(
            BEGIN.sub(lambda _: BEGIN_AS_SHOWN, text), encoding="utf-8"
        )
    for name, (done, instead) in MENDS.items():
        path = site / SCRIPTS / name
        script = path.read_text(encoding="utf-8")
        if done not in script:
            raise ExtensionError(
                f"{name} does not measure as it did: see {__file__}"
            )
        path.write_text(script.replace(done, instead), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    once_built(app, mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
