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


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"the folder .*nowhere' is missing"),
        atomic_write(tmp_path / "nowhere" / "file"),
    ):
        pass
