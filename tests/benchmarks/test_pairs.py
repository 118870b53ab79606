import json

import pairs
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


@pytest.mark.parametrize("pair", pairs.PAIRS, ids=lambda pair: f"{pair.network}-{pair.data}")
def test_both_members_of_a_pair_have_one_start(pair):
    image_shape = torch.Size((1, 28, 28) if pair.data == "MNIST" else (3, 32, 32))
    models = []
    for kl_weight in (None, *pair.kl_weights):
        with bt.seeded(3):
            models.append(pairs.member(pair, kl_weight, image_shape).eval())
    twin, *bayesian = models
    images = torch.ones(1, *twin.image_shape)
    for model in bayesian:
        with bt.posterior_mean(model):
            torch.testing.assert_close(model(images), twin(images))
    layers = [m for m in twin.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert [len(bt.bayesian_layers(model)) for model in models] == [
        0,
        *(len(layers) for _ in bayesian),
    ]
    for model in bayesian:
        for layer in bt.bayesian_layers(model):
            num_inputs = layer.weight_mean[0].numel()
            assert layer.prior.stddev.item() == pytest.approx(num_inputs**-0.5)
            widths = layer.weight_std
            share = pairs.INIT_SHARE * num_inputs**-0.5
            torch.testing.assert_close(widths, torch.full_like(widths, share))


def made(seed, number, accuracy):
    pair, kl_weight = pairs.PAIRS[pairs.MEMBERS[number][0]], pairs.MEMBERS[number][1]
    predictor = "one pass" if kl_weight is None else "average"
    score = dict.fromkeys(("accuracy", "nll", "ece", "confidence"), accuracy)
    return {
        "seed": seed,
        "number": number,
        "network": pair.network,
        "data": pair.data,
        "kl_weight": kl_weight,
        "scores": {predictor: score},
    }


def test_summaries_are_means_and_gains_on_the_twin_of_the_same_start():
    runs = [made(0, 0, 0.9), made(1, 0, 0.7), made(0, 1, 0.8), made(1, 1, 0.4)]
    twin, bayesian = pairs.summaries(runs)
    assert twin["accuracy"] == pytest.approx(0.8)
    assert twin["accuracy_error"] == pytest.approx(0.1)
    assert twin["accuracy_gain"] == 0
    assert bayesian["accuracy_gain"] == pytest.approx(0.2)
    assert bayesian["accuracy_gain_error"] == pytest.approx(0.1)
    assert pairs.summaries(runs[2:])[0]["accuracy_gain"] is None


def test_the_summary_of_the_record_is_that_of_its_runs():
    record = json.loads(pairs.RECORD.read_text())
    assert record["summary"] == pairs.summaries(record["runs"])
    found = {(run["seed"], run["number"]) for run in record["runs"]}
    assert len(found) == len(record["runs"])
    for run in record["runs"]:
        place, kl_weight = pairs.MEMBERS[run["number"]]
        pair = pairs.PAIRS[place]
        expected = (pair.network, pair.data, kl_weight, pair.epochs)
        assert (run["network"], run["data"], run["kl_weight"], run["epochs"]) == expected


@pytest.fixture
def small_digits(monkeypatch):
    """The shipped digits in the place of the full set, and few draws."""
    images, labels = bt.load_mnist(train=False).tensors
    subset = TensorDataset(images[:300], labels[:300])
    monkeypatch.setattr(pairs.bt, "load_mnist", lambda train, full: subset)
    monkeypatch.setattr(pairs, "HELD_OUT", 100)
    monkeypatch.setattr(pairs, "NUM_DRAWS", 2)
    # A training this short may leave a twin no better than chance, which no temperature mends.
    monkeypatch.setattr(pairs.bt.TemperatureScaling, "fit", lambda self, *data: self)
    monkeypatch.setattr(pairs.bt.TemperatureScaling, "temperature", 1.0, raising=False)
    pairs.load.cache_clear()
    yield
    pairs.load.cache_clear()


def test_a_series_that_was_stopped_continues(small_digits, tmp_path, monkeypatch):
    output = tmp_path / "pairs.json"
    options = ["--networks", "LeNet-5", "--epochs", "1", "--images", "200"]
    options += ["--output", str(output)]
    run, stopped = pairs.run, []

    def run_or_stop(*arguments):
        if len(stopped) == 2:
            raise KeyboardInterrupt
        stopped.append(arguments[:2])
        return run(*arguments)

    monkeypatch.setattr(pairs, "run", run_or_stop)
    with pytest.raises(KeyboardInterrupt):
        pairs.main(options)
    first = json.loads(output.read_text())["runs"]
    assert len(first) == 2
    monkeypatch.setattr(pairs, "run", run)
    pairs.main(options)
    record = json.loads(output.read_text())
    assert len(record["runs"]) == 9  # three members, three seeds
    assert all(one in record["runs"] for one in first)
    for one in record["runs"]:
        assert one["images"] == 100  # the others were held out
        assert {*one["scores"]} == (
            {"one pass", "at a temperature"}
            if one["kl_weight"] is None
            else {"average", "posterior means"}
        )


def test_images_that_are_all_held_out_are_refused(capsys):
    with pytest.raises(SystemExit):
        pairs.main(["--images", "5000"])
    assert "--images 5000: expected more than the 5000 held out" in capsys.readouterr().err


def test_without_a_folder_there_is_no_cifar(capsys):
    with pytest.raises(SystemExit):
        pairs.main(["--data", "CIFAR-10"])
    assert "--data CIFAR-10: expected --folder" in capsys.readouterr().err
