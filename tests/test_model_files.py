import pickle

import pytest
import torch
from helpers.saved_files import Payload, states_equal
from torch import nn
from torch.distributions import Normal

import bnn_tutorial as bt


def make(seed, features=4, prior=None):
    with bt.seeded(seed):
        return nn.Sequential(
            bt.BayesianConv2d(1, 2, 3, prior=prior),
            nn.Flatten(),
            bt.BayesianLinear(8, features),
            nn.BatchNorm1d(features),
        )


def test_a_loaded_model_predicts_the_same_numbers(tmp_path):
    model, other = make(0, prior=Normal(0.1, 0.3)), make(1)
    bt.save_model(model, tmp_path / "model.safetensors")
    assert bt.load_model(other, tmp_path / "model.safetensors") is other
    assert states_equal(model, other)
    x = torch.randn(3, 1, 4, 4)
    first, second = (bt.predict(m, x, 4, seed=0).samples for m in (model, other))
    assert torch.equal(first, second)
    assert torch.equal(bt.kl_divergence(model), bt.kl_divergence(other))


def test_a_shared_layer_stays_shared(tmp_path):
    layer, other = bt.BayesianLinear(2, 2), bt.BayesianLinear(2, 2)
    bt.save_model(nn.Sequential(layer, layer), tmp_path / "model.safetensors")
    bt.load_model(nn.Sequential(other, other), tmp_path / "model.safetensors")
    assert torch.equal(layer.weight_mean, other.weight_mean)


def test_a_file_with_code_is_an_error_and_the_code_does_not_run(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "model.safetensors"
    pickle.loads(pickle.dumps(Payload(str(trace)))).close()
    assert trace.exists()
    trace.unlink()
    torch.save(Payload(str(trace)), path)
    with pytest.raises(ValueError, match="damaged"):
        bt.load_model(make(0), path)
    assert not trace.exists()


def test_a_damaged_file_is_an_error_and_the_model_stays(tmp_path):
    model, path = make(0), tmp_path / "model.safetensors"
    bt.save_model(make(1), path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=r"model\.safetensors.*damaged"):
        bt.load_model(model, path)
    assert states_equal(model, make(0))


@pytest.mark.parametrize("other", [make(1, features=5), nn.Sequential(nn.Linear(2, 2))])
def test_a_file_of_another_model_is_an_error_and_the_model_stays(tmp_path, other):
    model, path = make(0), tmp_path / "model.safetensors"
    bt.save_model(other, path)
    with pytest.raises(ValueError, match="of another model"):
        bt.load_model(model, path)
    assert states_equal(model, make(0))


def test_a_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        bt.load_model(make(0), tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="absent"):
        bt.save_model(make(0), tmp_path / "absent" / "model.safetensors")


def test_a_failed_save_leaves_the_file_before_it(tmp_path, monkeypatch):
    model, path = make(0), tmp_path / "model.safetensors"
    bt.save_model(model, path)

    def full_disk(*_):
        raise OSError("no space left")

    monkeypatch.setattr("safetensors.torch.save_model", full_disk)
    with pytest.raises(OSError, match="no space"):
        bt.save_model(make(1), path)
    assert states_equal(bt.load_model(make(2), path), model)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
