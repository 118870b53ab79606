"""The footer says which version of the package the book was built with."""

from sphinx.application import Sphinx
from sphinx.config import Config

from bnn_tutorial import __version__


def add_version(app: Sphinx, config: Config) -> None:
    """Put the version before what else the footer says."""
    words = f"<p>Version {__version__} of the package.</p>"
    footer = config.html_theme_options.get("extra_footer", "")
    config.html_theme_options["extra_footer"] = words + footer


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", add_version)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
