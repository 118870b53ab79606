import json
import math
import statistics

import comparison
import comparison_scores
import comparison_table
import pytest
import torch
from comparison_competitors import COMPETITORS, NETWORKS, Task, next_place, train_members
from comparison_scores import difference, scores
from records import PAGE, table_in
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

OWN = {name for name, competitor in COMPETITORS.items() if competitor.regularizer}


def start_of(name):
    """The setting with which the search of a competitor begins."""
    regularizer = COMPETITORS[COMPETITORS[name].settings_of or name].regularizer
    assert regularizer is not None
    return regularizer.setting((0, 0))


def logits(num_draws, num_rows, seed):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(num_draws, num_rows, 10, generator=generator)


def labels(num_rows):
    return torch.arange(num_rows) % 10


# Scores.


def test_scores_are_the_package_s():
    own, odd = logits(4, 300, 0), logits(4, 120, 1)
    found = scores(own, labels(300), {"odd": odd})["scores"]
    probabilities, of_odd = own.softmax(-1), odd.softmax(-1)
    expected = bt.CategoricalLikelihood().metrics(own, labels(300))
    expected["brier"] = bt.brier_score(probabilities.mean(dim=0), labels(300))
    for name, part in (("entropy", "total"), ("information", "epistemic")):
        ours, theirs = (getattr(bt.decompose_entropy(p), part) for p in (probabilities, of_odd))
        expected[f"{name}_odd"] = bt.auroc(ours, theirs)
    assert found == pytest.approx(expected, rel=1e-5)


def test_resamples_vary_as_the_images_do():
    own = logits(1, 4000, 0)
    found = scores(own, labels(4000), {})["resampled"]["nll"]
    moved = comparison_scores.UNIT * torch.tensor([*map(float, found.split())])
    assert len(moved) == comparison_scores.NUM_RESAMPLES
    nll = nn.functional.cross_entropy(own[0], labels(4000), reduction="none")
    error = nll.std().item() / 4000**0.5
    assert abs(moved.mean().item()) < 4 * error / len(moved) ** 0.5
    # The standard deviation of R normal values is known to one part in √(2 R).
    assert moved.std().item() == pytest.approx(error, rel=4 / (2 * len(moved)) ** 0.5)


def test_a_difference_is_paired():
    own = logits(1, 2000, 0)
    better = own.clone()
    better[0, :, :] += 0.2 * nn.functional.one_hot(labels(2000), 10)
    first, second = (scores(each, labels(2000), {}) for each in (own, better))
    interval = difference([second], [first], "nll")
    alone = difference([second], [scores(logits(1, 2000, 9), labels(2000), {})], "nll")
    assert interval.low > 0
    assert interval.value == pytest.approx(first["scores"]["nll"] - second["scores"]["nll"])
    # Against other predictions of the same images most of the noise is not shared.
    assert interval.high - interval.low < 0.2 * (alone.high - alone.low)
    assert difference([second], [first], "information_letters") is None


def test_starts_count_in_a_difference():
    images = labels(500)
    starts = [scores(logits(1, 500, seed), images, {}) for seed in range(3)]
    others = [scores(logits(1, 500, seed), images, {}) for seed in range(3, 6)]
    one, three = (difference(starts[:n], others[:n], "nll") for n in (1, 3))
    values = [b["scores"]["nll"] - a["scores"]["nll"] for a, b in zip(starts, others, strict=True)]
    spread = torch.tensor(values).std().item() / 3**0.5
    assert three.value == pytest.approx(sum(values) / 3)
    assert three.high - three.low > 4.3 * spread  # Student's with 2 degrees of freedom: 2 times 4.3
    assert one.high - one.low > 0


# Competitors.


@pytest.fixture
def digits(monkeypatch):
    """The packaged digits in place of the full set, noise in place of clothes and letters."""
    subset = {train: bt.load_mnist(train) for train in (True, False)}

    def noise(train=False):
        images = torch.rand(30, 1, 28, 28, generator=torch.Generator().manual_seed(1))
        return TensorDataset(images, torch.zeros(30, dtype=torch.long))

    monkeypatch.setattr(bt, "load_mnist", lambda train, full: subset[train])
    monkeypatch.setattr(bt, "load_fashion_mnist", noise)
    monkeypatch.setattr(bt, "load_letters", noise)
    monkeypatch.setattr(comparison_scores, "NUM_ODD", 30)
    monkeypatch.setattr(comparison, "EPOCHS", {100: 5})
    for cached in (comparison.training_images, comparison.test_images):
        cached.cache_clear()
    yield subset
    for cached in (comparison.training_images, comparison.test_images):
        cached.cache_clear()


def task(network, num_rows=100, epochs=1, seed=0):
    images, targets = bt.load_mnist(True, full=True).tensors
    return Task(network, TensorDataset(images[:num_rows], targets[:num_rows]), epochs, seed)


def test_a_search_goes_on_beside_the_best_and_settles_there():
    """On a bowl whose lowest place is two steps away it is found within six tries, and not left."""

    def bowl(place):
        return (place[0] - 0.2) ** 2 + (place[1] - 1.8) ** 2

    tried = {}
    for _ in range(6):
        place = next_place(tried)
        assert place not in tried
        tried[place] = bowl(place)
    assert min(tried, key=tried.__getitem__) == (0, 2)
    assert [*tried][:3] == [(0, 0), (0, 1), (0, 2)]
    # One that diverges everywhere is tried elsewhere each time, and a tie ends nothing.
    lost = {}
    for _ in range(6):
        lost[next_place(lost)] = float("inf")
    assert len(lost) == 6


def test_a_step_of_the_search_multiplies():
    regularizer = COMPETITORS["twin"].regularizer
    assert regularizer.setting((0, 0)) == {"learning_rate": 0.01, "weight_decay": 0.3}
    assert regularizer.setting((1, -2)) == pytest.approx(
        {"learning_rate": 0.03, "weight_decay": 0.3 / 9}
    )


def test_who_has_no_search_takes_the_settings_of_one_that_has():
    for name, competitor in COMPETITORS.items():
        assert (competitor.settings_of in OWN) == (name not in OWN)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", COMPETITORS)
def test_every_competitor_predicts_in_as_many_draws_as_it_says(digits, name, network):
    competitor = COMPETITORS[name]
    models = train_members(name, task(network, 64), start_of(name))
    assert len(models) == competitor.members
    images = digits[False].tensors[0][:4]
    for num_draws in competitor.draws:
        drawn = comparison.draw(name, models, images, num_draws)
        assert drawn.shape == (num_draws, 4, 10)
        assert torch.equal(drawn, comparison.draw(name, models, images, num_draws))
        distinct = len({tuple(each.flatten().tolist()) for each in drawn})
        assert distinct == num_draws


def test_members_start_apart_and_the_first_is_the_twin(digits):
    setting = start_of("twin")
    (twin,) = train_members("twin", task("LeNet-5"), setting)
    members = train_members("ensemble of five", task("LeNet-5"), setting)
    weights = [nn.utils.parameters_to_vector(m.parameters()) for m in (twin, *members)]
    assert torch.equal(weights[0], weights[1])
    assert len({weight.sum().item() for weight in weights[1:]}) == 5
    quick = train_members("five in the time of one", task("LeNet-5", epochs=5), setting)
    alone = train_members("twin", task("LeNet-5", epochs=1), setting)[0]
    for one, two in zip(quick[0].parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("network", NETWORKS)
def test_map_and_mean_field_have_one_prior(digits, network, monkeypatch):
    """The decay's gradient, of the mean NLL, is that of the mean-field prior's density over N."""
    kept = []

    def keep(task, model, optimizer, *rest, **kwargs):
        kept.append((model, optimizer))
        return model

    monkeypatch.setattr("comparison_competitors.trained", keep)
    setting = {"learning_rate": 0.01, "prior_scale": 2.0}
    for name in ("MAP", "mean field, KL weight 1"):
        train_members(name, task(network, num_rows=100), setting)
    (_, optimizer), (model, _) = kept
    decays = {g["params"][0].shape: g["weight_decay"] for g in optimizer.param_groups}
    layers = bt.bayesian_layers(model)
    assert len(layers) == len(decays)
    for layer in layers:
        prior = layer.weight_prior.distribution
        slope = torch.func.grad(lambda w, prior=prior: -prior.log_prob(w).sum())(torch.tensor(0.3))
        decay = decays[layer.weight_mean.shape]
        assert decay * 0.3 == pytest.approx(slope.item() / 100, rel=1e-4)


# The plan.


def test_a_search_never_sees_a_test_image(digits, monkeypatch):
    def refuse(train, full):
        assert train, "the search loads the test images"
        return digits[True]

    monkeypatch.setattr(bt, "load_mnist", refuse)
    monkeypatch.setattr(comparison, "HELD_OUT", 1000)
    for name in OWN:
        comparison.searched("LeNet-5", 100, name, 0, earlier=(), device="cpu")


def test_what_is_chosen_by_is_not_learnt_from(digits, monkeypatch):
    monkeypatch.setattr(comparison, "HELD_OUT", 1000)
    pool = digits[True].tensors[0]
    places = {image.numpy().tobytes(): place for place, image in enumerate(pool)}
    assert len(places) == len(pool)

    def rows(data):
        return {places[image.numpy().tobytes()] for image in data.tensors[0]}

    for size in (100, 10**6):
        learnt, held_out = comparison.training_images(size, True, "cpu")
        assert len(held_out) == 1000
        assert not rows(learnt) & rows(held_out)
    everything, _ = comparison.training_images(10**6, False, "cpu")
    assert len(everything) == len(pool)
    few, held_out = comparison.training_images(100, False, "cpu")
    assert len(few) == 100
    assert not rows(few) & rows(held_out)


def run_of(name, number, nll):
    return {
        "network": "LeNet-5",
        "size": 1000,
        "competitor": name,
        "number": number,
        "setting": {"value": number},
        "scores": {"nll": nll},
    }


def test_a_search_that_diverges_says_so_and_goes_on(digits, monkeypatch):
    monkeypatch.setattr(comparison, "HELD_OUT", 200)
    settings = []

    def diverge(name, task, setting, device):
        settings.append(setting)
        raise bt.NonFiniteLossError("the loss is infinite", 1, 1, math.inf, 0.0)

    monkeypatch.setattr(comparison, "trained", diverge)
    runs = []
    for number in range(2):
        runs.append(comparison.searched("LeNet-5", 100, "twin", number, earlier=runs, device="cpu"))
    assert [run["scores"] for run in runs] == [None, None]
    assert settings[0] != settings[1]


def test_a_twin_is_searched_at_its_best_temperature(digits, monkeypatch):
    monkeypatch.setattr(comparison, "HELD_OUT", 300)
    targets = comparison.training_images(100, True, "cpu")[1].tensors[1]
    noise = torch.randn(1, 300, 10, generator=torch.Generator().manual_seed(0))
    own = 7 * (noise + 2 * nn.functional.one_hot(targets, 10))  # much too sure
    monkeypatch.setattr(comparison, "trained", lambda *arguments: ([], 1.0))
    monkeypatch.setattr(comparison, "draw", lambda *arguments: own)
    run = comparison.searched("LeNet-5", 100, "twin", 0, earlier=(), device="cpu")
    nll = [
        nn.functional.cross_entropy(own[0] / (factor * run["temperature"]), targets).item()
        for factor in (0.98, 1, 1.02)
    ]
    assert run["scores"]["nll"] == pytest.approx(nll[1], rel=1e-5)
    assert nll[1] < min(nll[0], nll[2])
    others = comparison.searched("LeNet-5", 100, "MAP", 0, earlier=(), device="cpu")
    assert "temperature" not in others
    assert others["scores"]["nll"] > run["scores"]["nll"]


def test_the_lowest_nll_is_chosen_when_a_search_has_ended():
    runs = [run_of("twin", number, abs(number - 2.4)) for number in range(6)]
    runs += [run_of("MAP", number, 0.1) for number in range(5)]
    found = comparison.choices(runs)
    assert [*found] == [("LeNet-5", 1000, "twin")]
    assert found["LeNet-5", 1000, "twin"]["setting"] == {"value": 2}


def test_the_program_searches_trains_and_continues(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "HELD_OUT", 200)
    search, output = tmp_path / "search.json", tmp_path / "record.json"
    monkeypatch.setattr(comparison_table, "SEARCH_RECORD", search)
    options = ["--networks", "LeNet-5", "--sizes", "100", "--device", "cpu", "--jobs", "1"]
    few = ["--competitors", "twin", "mean field, tempered"]
    comparison.main(["--search", *options, *few])
    with pytest.raises(SystemExit):
        comparison.main([*options, "--competitors", "MAP", "--output", str(output)])
    for seeds in ("1", "2"):
        arguments = [*options, *few, "five in the time of one", "--seeds", seeds]
        comparison.main([*arguments, "--output", str(output)])
    record = json.loads(output.read_text())
    done = [(run["seed"], run["competitor"]) for run in record["runs"]]
    names = ("five in the time of one", "mean field, tempered", "twin")
    assert done == [(seed, name) for seed in (0, 1) for name in names]
    rows = {(row["competitor"], row["prediction"]): row for row in record["summary"]}
    assert rows["twin", "at its temperature"]["lower"] == {}
    assert rows["twin", "one pass"]["lower"]["accuracy"] == [0, 0, 0]
    value, low, high = rows["mean field, tempered", "30 draws"]["lower"]["nll"]
    assert low < value < high
    assert rows["twin", "one pass"]["std"]["nll"] > 0
    took = [run["training_seconds"] for run in record["runs"] if run["competitor"] == "twin"]
    assert rows["twin", "one pass"]["cost"]["training_seconds"] == statistics.median(took)
    lines = comparison_table.table(record).splitlines()
    table = [line for line in lines if line.startswith("| ")]
    assert len(table) == 2 + len(rows) == 2 + 5
    nlls = [float(line.split("|")[6].split("±")[0]) for line in table[2:]]
    assert nlls == sorted(nlls)
    assert sum(line.startswith("| twin, at its temperature | 1.0 | 1.0 |") for line in table) == 1
    assert "**LeNet-5, 100 training images**, 5 passes, starts: 2." in lines


def test_the_recorded_search_is_the_program_s():
    search = json.loads(comparison_table.SEARCH_RECORD.read_text())
    earlier = {}
    for run in search["runs"]:
        tried = earlier.setdefault((run["network"], run["size"], run["competitor"]), {})
        assert run["number"] == len(tried)
        assert tuple(run["place"]) == next_place(tried)
        regularizer = COMPETITORS[run["competitor"]].regularizer
        assert run["setting"] == pytest.approx(regularizer.setting(tuple(run["place"])))
        tried[tuple(run["place"])] = comparison.nll(run)
    assert search["summary"] == comparison.search_summaries(search["runs"])


def test_the_page_says_what_is_recorded():
    assert table_in(PAGE.read_text(), "comparison") == comparison_table.text()
