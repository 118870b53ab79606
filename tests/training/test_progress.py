import sys

import pytest
from helpers.training_runs import Likelihood, line, run, train
from torch import nn

import bnn_tutorial as bt


def test_progress_bar_counts_the_epochs(capsys):
    bt.fit(nn.Linear(1, 1), line(), bt.GaussianLikelihood(), epochs=3)
    assert "3/3" in capsys.readouterr().err


def test_tensorboard_shows_the_records(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    history = run(0, validation=line(10), validate_every=2, tensorboard=tmp_path / "board")[2]
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    names = set(history.records[-1])
    assert set(board.Tags()["scalars"]) == names
    for name in names:
        events = board.Scalars(name)
        assert [event.step for event in events] == history.epochs(name)
        assert [event.value for event in events] == pytest.approx(history[name])


def test_tensorboard_shows_an_epoch_once_after_a_run_was_resumed(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = {"path": tmp_path / "run.pt", "checkpoint_every": 2, "tensorboard": tmp_path / "b"}
    # Step 11 is in epoch 4: epoch 3 is shown, and then lost for want of a checkpoint.
    with pytest.raises(bt.NonFiniteLossError):
        train(**settings, likelihood=Likelihood(11, lambda nll: nll * float("nan")))
    history = train(**settings, resume=True)[2]
    events = EventAccumulator(str(tmp_path / "b")).Reload().Scalars("loss")
    assert [event.step for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.value for event in events] == pytest.approx(history["loss"])


def test_tensorboard_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"tensorboard='.*board'.*pip install 'bnn-tutorial\[ten"):
        run(0, tensorboard=tmp_path / "board")
