import json

import accuracy
import accuracy_table
import pytest
import torch
from accuracy import NETWORKS, SEARCH, Settings
from records import PAGE, table_in, with_table
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

BAYESIAN = {"prior_std": 0.1, "init_std": 0.02, "kl_weight": 0.01}
SCORES = {"accuracy": 0.99, "nll": 0.03, "ece": 0.003, "auroc": 0.99}


def recorded(settings, nll):
    return {"settings": accuracy.asdict(settings), "scores": SCORES | {"nll": nll}}


def test_search_chooses_the_lowest_nll_of_the_longest_runs():
    runs = [recorded(Settings("twin", epochs=5), 0.001)]
    for variant in ("twin", "head", "all"):
        for learning_rate, nll in ((1e-3, 0.03), (3e-3, 0.02), (1e-2, 0.04)):
            settings = Settings(variant, epochs=8, learning_rate=learning_rate)
            runs.append(recorded(settings, nll))
    chosen = accuracy.chosen({"runs": runs})
    assert chosen == {
        variant: Settings(variant, epochs=8, learning_rate=3e-3)
        for variant in ("twin", "head", "all")
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_variants_are_bayesian_where_they_say(name):
    network = NETWORKS[name]()
    twin = accuracy.made_bayesian(network, Settings("twin", epochs=1))
    head = accuracy.made_bayesian(network, Settings("head", epochs=1, **BAYESIAN))
    throughout = accuracy.made_bayesian(network, Settings("all", epochs=1, **BAYESIAN))
    assert twin is network
    assert bt.bayesian_layers(head.trunk) == []
    for part in (head.head, throughout.trunk, throughout.head):
        assert not any(isinstance(layer, nn.Linear | nn.Conv2d) for layer in part.modules())
    estimators = {layer.estimator for layer in bt.bayesian_layers(throughout.trunk)}
    assert estimators == {"weight"}
    for layer in bt.bayesian_layers(head) + bt.bayesian_layers(throughout):
        torch.testing.assert_close(layer.weight_std, torch.full_like(layer.weight_std, 0.02))
    for layer in bt.bayesian_layers(head.head) + bt.bayesian_layers(throughout.head):
        assert layer.estimator == "local"


def test_scores_of_known_probabilities():
    # Two right at 0.8 and one wrong at 0.6, in separate bins; foreign images at 0.5, the highest
    # entropy that two classes have, and at 0.7, between the entropies of 0.8 and 0.6.
    inside = torch.tensor([[0.8, 0.2], [0.2, 0.8], [0.6, 0.4]])
    outside = torch.tensor([[0.5, 0.5], [0.7, 0.3]])
    scores = accuracy.scores(
        nn.Identity(),
        TensorDataset(inside.log(), torch.tensor([0, 1, 1])),
        TensorDataset(outside.log(), torch.zeros(2, dtype=torch.long)),
        num_samples=2,
    )
    nll = -(2 * torch.tensor(0.8).log() + torch.tensor(0.4).log()).item() / 3
    expected = {"accuracy": 2 / 3, "nll": nll, "ece": (2 * 0.2 + 0.6) / 3, "auroc": 5 / 6}
    assert scores == pytest.approx(expected)


def test_summaries_are_means_and_standard_deviations_over_seeds():
    runs = [
        {"network": "mnist", "settings": {"variant": variant}, "scores": {"nll": nll}}
        for variant, values in {"twin": (1.0, 2.0, 6.0), "all": (5.0,)}.items()
        for nll in values
    ]
    twin, throughout = accuracy.summaries(runs)
    assert (twin["network"], twin["variant"], twin["seeds"]) == ("mnist", "twin", 3)
    assert twin["mean"] == {"nll": pytest.approx(3.0)}
    assert twin["std"] == {"nll": pytest.approx(7**0.5)}
    assert (throughout["mean"], throughout["std"]) == ({"nll": 5.0}, {"nll": None})


@pytest.mark.parametrize(
    ("change", "reached"),
    [
        ({}, ["yes", "no", "yes"]),  # all as the twin: nothing is lower
        ({"nll": 0.029}, ["yes"] * 3),
        ({"accuracy": 0.989}, ["yes", "no", "yes"]),
        ({"accuracy": 0.9889}, ["no", "no", "yes"]),
        ({"auroc": 0.9899}, ["yes", "no", "no"]),
    ],
)
def test_targets(change, reached):
    lines = accuracy_table.target_lines("mnist", SCORES, SCORES | change)
    assert [line.split(" | ")[-1].removesuffix(" |") for line in lines] == reached


@pytest.fixture
def small_data(monkeypatch):
    """The packaged digits in place of the full set, and noise in place of clothes."""

    def fashion(train):
        images = torch.rand(80, 1, 28, 28, generator=torch.Generator().manual_seed(int(train)))
        return TensorDataset(images, torch.zeros(80, dtype=torch.long))

    subset = {train: bt.load_mnist(train) for train in (True, False)}
    monkeypatch.setattr(bt, "load_mnist", lambda train, full: subset[train])
    monkeypatch.setattr(bt, "load_fashion_mnist", fashion)
    return subset


def test_search_never_sees_a_test_image(small_data):
    pool = small_data[True].tensors[0]
    training, inside, _ = accuracy.split_data(search=True, images=None)
    assert (len(training), len(inside)) == (5000, 5000)
    parts = torch.cat([training.tensors[0], inside.tensors[0]])
    # The same images, each once: their sums and variances agree, in order.
    for statistic in (torch.sum, torch.var):
        ours, theirs = (statistic(x.double().flatten(1), 1).sort().values for x in (parts, pool))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    again, _, _ = accuracy.split_data(search=True, images=None)
    assert torch.equal(training.tensors[0], again.tensors[0])


def test_final_runs_score_on_the_test_images(small_data):
    training, inside, _ = accuracy.split_data(search=False, images=7)
    assert torch.equal(training.tensors[0], small_data[True].tensors[0][:7])
    assert torch.equal(inside.tensors[0], small_data[False].tensors[0][:7])


def test_the_program_runs_every_network(small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(accuracy, "TEST_DRAWS", 2)
    output = tmp_path / "accuracy.json"
    options = ["--models", *NETWORKS, "--seeds", "3", "--epochs", "1", "--device", "cpu"]
    accuracy.main([*options, "--images", "40", "--date", "2026-01-01", "--output", str(output)])
    record = json.loads(output.read_text())
    done = [(run["network"], run["settings"]["variant"], run["seed"]) for run in record["runs"]]
    variants = accuracy_table.VARIANTS
    assert done == [(name, variant, 3) for name in NETWORKS for variant in variants]
    assert all(run["settings"]["epochs"] == 1 for run in record["runs"])
    assert record["images"] == [40, 40, 40]
    search = json.loads(accuracy_table.SEARCH_RECORD.read_text())
    table = accuracy_table.table(record, search)
    assert len([line for line in table.splitlines() if line.startswith("| ")]) == 2 + 9 + 2 + 9


def test_recorded_search_is_the_one_in_the_program():
    search = json.loads(accuracy_table.SEARCH_RECORD.read_text())
    assert [Settings(**run["settings"]) for run in search["runs"]] == list(SEARCH)


def test_recorded_results_are_those_of_the_chosen_settings():
    search = json.loads(accuracy_table.SEARCH_RECORD.read_text())
    record = json.loads(accuracy_table.RECORD.read_text())
    chosen = accuracy.chosen(search)
    runs = [run for run in record["runs"] if run["network"] == "mnist"]
    done = {(run["settings"]["variant"], run["seed"]) for run in runs}
    assert done == {(variant, seed) for variant in chosen for seed in range(3)}
    for run in runs:
        assert Settings(**run["settings"]) == chosen[run["settings"]["variant"]]
    assert record["images"] == [60_000, 10_000, 10_000]
    assert record["summary"] == accuracy.summaries(record["runs"])


def test_the_page_has_the_table_of_the_recorded_results():
    files = (accuracy_table.RECORD, accuracy_table.SEARCH_RECORD)
    record, search = (json.loads(file.read_text()) for file in files)
    page = PAGE.read_text()
    assert table_in(page, "accuracy") == accuracy_table.table(record, search)


def test_a_table_replaces_only_what_stands_between_its_marks():
    readme = "a\n<!-- x table: start -->\nold\n<!-- x table: end -->\nb"
    replaced = with_table(readme, "x", "new")
    assert replaced == "a\n<!-- x table: start -->\n\nnew\n\n<!-- x table: end -->\nb"
    assert with_table(replaced, "x", "new") == replaced
    assert table_in(replaced, "x") == "new"
    with pytest.raises(ValueError, match="expected the marks"):
        with_table("a\n<!-- x table: start -->\nb", "x", "new")
