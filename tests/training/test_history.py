import pytest
from helpers.training_runs import run


def test_history_names_what_it_has():
    history = run(0)[2]
    assert len(history) == 3
    assert history.epochs("loss") == [1, 2, 3]
    loss = [n + k / 40 for n, k in zip(history["nll"], history["kl"], strict=True)]
    assert history["loss"] == pytest.approx(loss, rel=1e-5)
    assert history["kl_weight"] == pytest.approx([1.0] * 3)
    assert history["learning_rate"] == [1e-3] * 3
    with pytest.raises(KeyError, match=r"'accuracy' was not recorded.*learning_rate, loss, nll"):
        history["accuracy"]
