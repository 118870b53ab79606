"""Executed notebooks are kept until the package or its environment changes.

jupyter-cache knows a notebook by its code cells alone. Here its folder is
named by a digest of what those cells import, so that a change there executes
every notebook again.
"""

import hashlib
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config


def digest(root: Path) -> str:
    """A digest of the package's files and of the pinned requirements."""
    paths = (root / "bnn_tutorial").rglob("*")
    files = [path for path in paths if path.is_file()]
    sources = [path for path in files if "__pycache__" not in path.parts]
    summary = hashlib.sha256()
    for path in [root / "requirements.txt", *sorted(sources)]:
        summary.update(f"{path.relative_to(root)} ".encode())
        summary.update(hashlib.sha256(path.read_bytes()).digest())
    return summary.hexdigest()[:16]


def choose_cache(app: Sphinx, config: Config) -> None:
    """Use the cache of the present sources; remove those of earlier ones."""
    caches = Path(app.outdir).parent / "execution"
    current = caches / digest(Path(app.srcdir))
    for stale in set(caches.glob("*")) - {current}:
        shutil.rmtree(stale)
    config.nb_execution_cache_path = str(current)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
