import json
import math

import digits
import pytest
import torch

import bnn_tutorial as bt


def test_all_networks_of_a_seed_have_one_start():
    models = {}
    for name in digits.NETWORKS:
        with bt.seeded(3):
            models[name] = digits.network(name)
    plain = models["MAP"]
    for model in models.values():
        with bt.posterior_mean(model):
            torch.testing.assert_close(
                model(torch.ones(1, 1, 28, 28)), plain(torch.ones(1, 1, 28, 28))
            )
    layers = {name: len(bt.bayesian_layers(model)) for name, model in models.items()}
    assert layers["MAP"] == layers["maximum likelihood"] == 0
    assert layers["Bayesian head"] == 3
    assert layers["Bayesian throughout"] == layers["weight 1"] == layers["twice as long"] == 5


def test_summaries_are_means_and_gains_on_the_map_twin():
    scores = dict.fromkeys(("accuracy", "nll", "ece", "confidence"), 0.5)
    runs = [
        {"seed": seed, "network": name, "scores": {"one pass": scores | {"nll": nll}}}
        for seed, pair in enumerate(({"MAP": 0.3, "head": 0.1}, {"MAP": 0.5, "head": 0.1}))
        for name, nll in pair.items()
    ]
    twin, head = digits.summaries(runs)
    assert twin["nll"] == pytest.approx(0.4)
    assert twin["nll_error"] == pytest.approx(0.1)
    assert twin["nll_gain"] == 0
    assert head["nll_gain"] == pytest.approx(0.3)
    assert head["nll_gain_error"] == pytest.approx(0.1)
    assert digits.summaries(runs[:2])[0]["nll_error"] is None


def test_an_image_s_nll_is_that_of_the_average_over_draws():
    samples = torch.tensor([[[0.2, 0.8]], [[0.6, 0.4]]]).log()
    found = digits.image_nll(samples, torch.tensor([0]))
    assert found == [round(-1000 * math.log(0.4))]


def test_the_summary_of_the_record_is_that_of_its_runs():
    record = json.loads(digits.RECORD.read_text())
    assert record["summary"] == digits.summaries(record["runs"])
    found = {(run["seed"], run["network"]) for run in record["runs"]}
    assert len(found) == len(record["runs"])
    for run in record["runs"]:
        nll = next(iter(run["scores"].values()))["nll"]
        assert sum(run["image_nll"]) / 2000 == pytest.approx(1000 * nll, abs=0.1)


def test_the_program_does_not_repeat_what_it_recorded(tmp_path, monkeypatch):
    output = tmp_path / "digits.json"
    monkeypatch.setattr(digits, "NUM_DRAWS", 2)
    monkeypatch.setattr(digits, "NUM_TURNED", 20)
    options = ["--epochs", "5", "--num-data", "100", "--output", str(output), "--networks"]
    digits.main([*options, "MAP", "--seeds", "1"])
    first = json.loads(output.read_text())["runs"]
    digits.main([*options, "Bayesian head", "MAP", "--seeds", "1"])
    record = json.loads(output.read_text())
    assert [run["network"] for run in record["runs"]] == ["MAP", "Bayesian head"]
    assert record["runs"][0] == first[0]
    assert [len(rows) for rows in record["runs"][1]["turned"].values()] == [7, 7, 7]
