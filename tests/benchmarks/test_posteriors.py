import json

import posteriors
import pytest
import torch

import bnn_tutorial as bt

FEW = {"num_chains": 4, "num_samples": 8, "num_warmup": 20, "num_leapfrog_steps": 2}


@pytest.mark.parametrize("name", ["regression", "moons"])
def test_every_road_is_travelled_and_scored(name):
    records = posteriors.run(name, seed=3, passes=0.005, chains=FEW)
    expected = ["HMC", *(m for m in posteriors.ROADS if m not in posteriors.NOT_ON[name])]
    assert [record["method"] for record in records] == expected
    for record in records:
        assert all(torch.tensor(value).isfinite() for value in record["scores"].values())
        assert record["numbers_kept"] > 0
    assert records[0]["r_hat_functions"] > 0


def test_scores_of_a_band_that_is_known():
    x = torch.tensor([[-1.5], [0.0], [1.0]])
    samples = torch.tensor([[0.0, -3.0, 0.0], [0.0, 3.0, 0.0]])[:, :, None]
    y = torch.tensor([[0.0, 0.0, 100.0]])
    prediction = bt.Prediction(samples)
    scores = posteriors.regression_scores(prediction, None, x, y)
    assert scores["width_near"] == 0
    assert scores["width_gap"] == pytest.approx(18**0.5)
    assert (scores["outside_near"], scores["outside_gap"]) == (0.5, 0.0)
    narrower = bt.Prediction(samples / 3)
    ratios = posteriors.regression_scores(narrower, prediction, x, y)
    assert ratios["width_ratio_gap"] == pytest.approx(1 / 3)


def test_summaries_compare_with_the_reference_on_the_same_data():
    costs = {"training_seconds": 1.0, "prediction_seconds": 0.1, "numbers_kept": 7}
    runs = [
        {"problem": "moons", "method": method, "seed": seed, "scores": {"nll": nll}} | costs
        for seed, of_seed in enumerate(({"HMC": 1.0, "MAP": 1.5}, {"HMC": 3.0, "MAP": 3.7}))
        for method, nll in of_seed.items()
    ]
    exact, mode = posteriors.summaries(runs)
    assert exact["mean"]["nll_less_than_hmc"] == 0
    assert mode["mean"]["nll_less_than_hmc"] == pytest.approx(-0.6)
    assert mode["error"]["nll_less_than_hmc"] == pytest.approx(0.1)
    assert posteriors.summaries(runs[:2])[1]["error"]["nll"] is None


def test_the_program_writes_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(posteriors, "CHAINS", FEW)
    output = tmp_path / "posteriors.json"
    options = ["--problems", "moons", "--seeds", "1", "--passes", "0.005", "--samples", "4"]
    posteriors.main([*options, "--date", "2026-01-01", "--output", str(output)])
    record = json.loads(output.read_text())
    assert {run["seed"] for run in record["runs"]} == {0}
    assert record["summary"] == posteriors.summaries(record["runs"])


def test_recorded_results_are_of_all_problems_and_roads():
    record = json.loads(posteriors.RECORD.read_text())
    done = {(part["problem"], part["method"]) for part in record["summary"]}
    expected = {
        (name, method)
        for name in posteriors.PROBLEMS
        for method in posteriors.ROADS
        if method not in posteriors.NOT_ON[name]
    }
    assert done == expected | {("regression", "HMC"), ("moons", "HMC")}
    assert record["summary"] == posteriors.summaries(record["runs"])
