"""A file that is written completely or not at all.

Used wherever the package writes one: models, checkpoints, the records of the command line. Nothing
here imports PyTorch.
"""

import contextlib
import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a draft to write beside ``path``, which then takes its place in one step.

    Raises:
        OSError: it can't be written, for instance since the disk is full or the folder read-only;
            the error names ``path``, and what was there before stays.
    """
    require_place(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            draft = Path(folder) / path.name
            draft.touch()
            mode = draft.stat().st_mode
            yield draft
            draft.chmod(mode)  # some libraries' files can be read by nobody else
            draft.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    except RuntimeError as error:  # what PyTorch and safetensors raise where a write fails
        raise OSError(errno.EIO, str(error), str(path)) from error


def require_place(path: Path) -> None:
    """Check that there is a folder in which ``path`` can be written, and that it is no folder.

    Raises:
        FileExistsError: it is neither a file nor a folder, but a device or the like.
        FileNotFoundError: there is none.
        IsADirectoryError: ``path`` is one.
        NotADirectoryError: a part of the folder's path is a file.
    """
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder: expected a file")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"path={str(path)!r} is a device: expected a file")
    if not path.parent.is_dir():
        wrong = next((part for part in path.parents if part.is_file()), None)
        if wrong is not None:
            raise NotADirectoryError(f"path={str(path)!r}: {str(wrong)!r} is a file, not a folder")
        raise FileNotFoundError(f"path={str(path)!r}: the folder {str(path.parent)!r} is missing")
