import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnn_tutorial.atomic_write import atomic_write


def test_a_file_takes_its_place_once_it_is_written(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with atomic_write(path) as draft:
        draft.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert [*tmp_path.iterdir()] == [path]


def test_what_fails_leaves_the_file_before_it_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def fill_the_disk():
        with atomic_write(path) as draft:
            draft.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fill_the_disk()
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_can_be_read_by_whom_the_system_lets_whoever_made_the_draft(tmp_path):
    (tmp_path / "usual").touch()
    with atomic_write(tmp_path / "file") as draft:
        draft.write_text("new")
        draft.chmod(0o600)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(FileExistsError, match="is a device: expected a file"),
        atomic_write(tmp_path / "pipe"),
    ):
        pass
    assert (tmp_path / "pipe").is_fifo()


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"the folder .*nowhere' is missing"),
        atomic_write(tmp_path / "nowhere" / "file"),
    ):
        pass


def test_a_path_that_can_be_no_file_is_named(tmp_path):
    (tmp_path / "file").write_text("before")
    for path, error, words in (
        (tmp_path, IsADirectoryError, "is a folder: expected a file"),
        (tmp_path / "file" / "deeper" / "x", NotADirectoryError, "file' is a file, not a folder"),
    ):
        with pytest.raises(error, match=words), atomic_write(path):
            pass
    assert (tmp_path / "file").read_text() == "before"


WRITERS = {
    "a text": "with atomic_write(path) as draft: draft.write_text('x' * 100_000)",
    "a model": "bt.save_model(torch.nn.Linear(200, 200), path)",
    "a checkpoint": (
        "x = torch.zeros(4, 200); data = torch.utils.data.TensorDataset(x, x); "
        "bt.fit(torch.nn.Linear(200, 200), data, bt.GaussianLikelihood(), epochs=1, "
        "checkpoint=path, progress=False)"
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_an_error_with_the_path_and_the_old_file_stays(tmp_path, writer):
    path = tmp_path / "kept"
    program = f"""
import resource, signal, sys
from pathlib import Path
import torch
import bnn_tutorial as bt
from bnn_tutorial.atomic_write import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
path = Path({str(path)!r})
try:
    {WRITERS[writer]}
except OSError as error:
    print("named" if error.filename == str(path) else error)
"""
    if writer != "a checkpoint":
        path.write_text("before")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("named", 0), done.stderr
    if writer != "a checkpoint":
        assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == ([path] if writer != "a checkpoint" else [])


def test_a_folder_that_cannot_be_written_in_is_an_error_with_the_path():
    with pytest.raises(OSError, match="/proc/kept"), atomic_write(Path("/proc/kept")):
        pass
