"""What extensions do to the pages once all are written."""

from collections.abc import Callable
from pathlib import Path

from sphinx.application import Sphinx


def once_built(
    app: Sphinx, change: Callable[[Path], None], priority: int = 500
) -> None:
    """Call `change` with the folder of a site, if it was built."""

    def run(app: Sphinx, error: Exception | None) -> None:
        if error is None and app.builder.format == "html":
            change(Path(app.outdir))

    app.connect("build-finished", run, priority=priority)
