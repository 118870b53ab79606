import json

import pytest
import torch
import unfamiliar

import bnn_tutorial as bt


def test_the_network_is_lenet_with_dropout_behind_its_hidden_layers():
    images = torch.rand(3, 1, 28, 28)
    with bt.seeded(0):
        plain, lenet = unfamiliar.network(), bt.lenet5()
    for own, other in zip(plain.parameters(), lenet.parameters(), strict=True):
        own.data = other.data
    torch.testing.assert_close(plain(images), lenet(images))
    dropouts = [m for m in unfamiliar.network(0.2) if isinstance(m, torch.nn.Dropout)]
    assert [dropout.p for dropout in dropouts] == [0.2, 0.2]
    assert unfamiliar.features(plain, images).shape == (3, 84)


def test_summaries_are_means_and_gains_on_the_twin_s_entropy():
    runs = [
        {"seed": seed, "predictor": predictor, "foreign": "letters", "auroc": {"entropy": area}}
        for seed, areas in enumerate(({"twin": 0.8, "Laplace": 0.9}, {"twin": 0.6, "Laplace": 0.9}))
        for predictor, area in areas.items()
    ]
    twin, laplace = unfamiliar.summaries(runs)
    assert twin["gain"] == 0
    assert twin["auroc"] == pytest.approx(0.7)
    assert twin["error"] == pytest.approx(0.1)
    assert laplace["gain"] == pytest.approx(0.2)
    assert laplace["gain_error"] == pytest.approx(0.1)
    assert unfamiliar.summaries(runs[:2])[1]["gain_error"] is None


def test_the_record_is_of_all_predictors_and_kinds_and_its_summary_is_that_of_its_runs():
    record = json.loads(unfamiliar.RECORD.read_text())
    found = {(run["predictor"], run["foreign"], run["seed"]) for run in record["runs"]}
    kinds = [*unfamiliar.foreign_inputs(torch.zeros(1, 1, 28, 28), None), "clothes"]
    predictors = ("twin", "mean field", "MC dropout", "ensemble", "Laplace")
    seeds = range(record["settings"]["seeds"])
    assert found == {(p, kind, seed) for p in predictors for kind in kinds for seed in seeds}
    assert record["summary"] == unfamiliar.summaries(record["runs"])


def test_the_program_writes_its_record(tmp_path, monkeypatch):
    for name, number in {"MEMBERS": 2, "DRAWS": 2, "OWN": 30, "FOREIGN": 20}.items():
        monkeypatch.setattr(unfamiliar, f"NUM_{name}", number)
    output = tmp_path / "unfamiliar.json"
    options = ["--seeds", "1", "--epochs", "2", "--num-data", "100"]
    unfamiliar.main([*options, "--output", str(output)])
    record = json.loads(output.read_text())
    assert len(record["runs"]) == 5 * 7  # predictors, and kinds without clothes
    assert record["summary"] == unfamiliar.summaries(record["runs"])
