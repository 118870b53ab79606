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


def found_scores(shift, num_starts=3):
    """Scores of a twin and of a better alarm on the same pictures, for each start."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for seed in range(num_starts):
        own, foreign = torch.randn(2, 200, generator=generator)
        noise = 0.1 * torch.randn(2, 200, generator=generator)
        found[seed] = {
            "twin": {"own": {"entropy": own}, "letters": {"entropy": foreign + 1}},
            "Laplace": {
                "own": {"entropy": own + noise[0]},
                "letters": {"entropy": foreign + 1 + shift + noise[1]},
            },
        }
    return {
        seed: {name: {"scores": scores, "facts": {}} for name, scores in by_name.items()}
        for seed, by_name in found.items()
    }


def test_summaries_compare_each_alarm_with_the_twin_s_entropy_and_with_the_best():
    found = found_scores(shift=1.0)
    twin, laplace = unfamiliar.summaries(found)
    areas = [
        bt.auroc(*(by_name["Laplace"]["scores"][k]["entropy"] for k in ("own", "letters")))
        for by_name in found.values()
    ]
    assert laplace["auroc"] == pytest.approx(sum(areas) / 3)
    assert twin["gain"] == {"value": 0, "low": 0, "high": 0}
    assert laplace["behind"] == {"value": 0, "low": 0, "high": 0}
    gain = laplace["gain"]["value"]
    assert gain == pytest.approx(laplace["auroc"] - twin["auroc"])
    assert twin["behind"]["value"] == pytest.approx(gain)
    assert 0 < laplace["gain"]["low"] < gain < laplace["gain"]["high"]


def test_equal_alarms_are_not_told_apart():
    twin, laplace = unfamiliar.summaries(found_scores(shift=0.0))
    assert laplace["gain"]["low"] < 0 < laplace["gain"]["high"]
    assert min(twin["behind"]["low"], laplace["behind"]["low"]) <= 0


def test_the_setting_with_the_least_nll_is_chosen():
    choices = [
        {"predictor": "SWAG", "setting": {"learning_rate": rate}, "nll": nll}
        for rate, nll in ((0.1, 0.3), (0.2, 0.2), (0.3, 0.4))
    ]
    assert unfamiliar.chosen(choices, "SWAG") == {"learning_rate": 0.2}
    assert unfamiliar.chosen(choices, "ensemble") == {}


def test_the_record_is_of_all_predictors_and_kinds():
    record = json.loads(unfamiliar.RECORD.read_text())
    kinds = [*unfamiliar.foreign_inputs(torch.zeros(1, 1, 28, 28), None), "clothes"]
    seeds = range(record["settings"]["seeds"])
    runs = {(run["predictor"], run["seed"]): run for run in record["runs"]}
    assert set(runs) == {(name, seed) for name in unfamiliar.PREDICTORS for seed in seeds}
    assert all([*run["auroc"]] == kinds for run in runs.values())
    for name, candidates in unfamiliar.CANDIDATES.items():
        tried = [c["setting"] for c in record["choices"] if c["predictor"] == name]
        assert tried == candidates
    for row in record["summary"]:
        areas = [
            runs[row["predictor"], seed]["auroc"][row["foreign"]][row["score"]] for seed in seeds
        ]
        assert row["auroc"] == pytest.approx(sum(areas) / len(areas))
        base = [runs["twin", seed]["auroc"][row["foreign"]]["entropy"] for seed in seeds]
        gain = (sum(areas) - sum(base)) / len(areas)
        assert row["gain"]["value"] == pytest.approx(gain, abs=1e-6)


def test_the_program_writes_its_record_and_runs_nothing_twice(tmp_path, monkeypatch):
    for name, number in {"MEMBERS": 2, "DRAWS": 2, "OWN": 30, "FOREIGN": 20}.items():
        monkeypatch.setattr(unfamiliar, f"NUM_{name}", number)
    few = {name: settings[:1] for name, settings in unfamiliar.CANDIDATES.items()}
    monkeypatch.setattr(unfamiliar, "CANDIDATES", few)
    chains = {"num_chains": 2, "num_samples": 4, "num_warmup": 20, "num_leapfrog_steps": 2}
    monkeypatch.setattr(unfamiliar, "CHAINS", chains)
    output, runs = tmp_path / "unfamiliar.json", tmp_path / "runs"
    options = ["--seeds", "1", "--num-data", "100", "--runs", str(runs), "--output", str(output)]
    unfamiliar.main([*options, "--epochs", "2"])
    record = json.loads(output.read_text())
    assert [run["predictor"] for run in record["runs"]] == [*unfamiliar.PREDICTORS]
    assert len(record["summary"]) == 7 * (4 * len(unfamiliar.PREDICTORS) + 1)  # and the distance
    last_layer = record["runs"][-1]
    assert last_layer["predictor"] == "HMC, last layer"
    assert last_layer["r_hat"] > 0.9

    def build(*arguments):
        raise AssertionError("what is kept was computed again")

    monkeypatch.setattr(unfamiliar, "build", build)
    output.unlink()
    unfamiliar.main([*options, "--epochs", "2"])
    assert json.loads(output.read_text())["runs"] == record["runs"]
    with pytest.raises(ValueError, match="other settings"):
        unfamiliar.main([*options, "--epochs", "3"])
