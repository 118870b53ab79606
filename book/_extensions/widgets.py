"""Pages hold each figure once.

A figure's HTML form is all that a page needs of it. myst-nb adds the state
of every widget, for a script that would revive it, and with that a second
copy of each figure's module, style and weights.
"""

from typing import cast

from docutils.nodes import document
from myst_nb.sphinx_ import NbMetadataCollector, SphinxEnvType
from sphinx.application import Sphinx


def forget_state(app: Sphinx, doctree: document) -> None:
    """Take the widgets' state out of what the page just read will load."""
    environment = cast("SphinxEnvType", app.env)
    scripts = NbMetadataCollector.get_js_files(environment, app.env.docname)
    scripts.pop("ipywidgets_state", None)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", forget_state)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
