"""A file that is written completely or not at all.

Used wherever the package writes one: models, checkpoints, the records of the command line. Nothing
here imports PyTorch.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a draft to write beside ``path``, which then takes its place in one step.

    Raises:
        FileNotFoundError: the folder of ``path`` does not exist.
    """
    require_folder(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        yield draft
        draft.replace(path)


def require_folder(path: Path) -> None:
    """Check that there is a folder in which ``path`` can be written.

    Raises:
        FileNotFoundError: there is none.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r}: the folder {str(path.parent)!r} is missing")
