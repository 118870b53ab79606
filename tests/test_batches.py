"""Whatever PyTorch calls data trains, is evaluated and predicted like the tensors themselves."""

import random

import numpy
import pytest
import torch
from helpers.saved_files import states_equal
from torch import nn
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import bnn_tutorial as bt
from bnn_tutorial.batches import call, open_data

N = 10
X = torch.linspace(-1, 1, N)[:, None]
TENSORS = TensorDataset(X, X.square())


class Items(Dataset):
    """The same rows, one at a time, in numpy as many data sets have them."""

    def __len__(self):
        return N

    def __getitem__(self, row):
        return X[row].numpy(), X[row].square().numpy()


class Doubled(TensorDataset):
    """A TensorDataset that is more than its tensors."""

    def __getitem__(self, row):
        x, y = super().__getitem__(row)
        return 2 * x, y


class Stream(IterableDataset):
    """The rows in an order of their own, of a number that nobody knows."""

    def __iter__(self):
        return zip(X, X.square(), strict=True)


def network():
    with bt.seeded(0):
        return nn.Sequential(bt.BayesianLinear(1, 4), nn.Tanh(), bt.BayesianLinear(4, 1))


def trained(data, **keywords):
    model = network()
    settings = {"epochs": 3, "seed": 1, "progress": False} | keywords
    history = bt.fit(model, data, bt.GaussianLikelihood(0.3), **settings)
    return model, history


def shuffled(dataset, **keywords):
    return DataLoader(dataset, batch_size=4, shuffle=True, **keywords)


def in_order(dataset, **keywords):
    return DataLoader(dataset, batch_size=4, **keywords)


@pytest.mark.parametrize(
    "data",
    [Items(), Subset(TENSORS, range(N)), Subset(Items(), [*range(N)])],
    ids=["items", "subset", "subset of items"],
)
@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_data_set_gives_the_numbers_of_its_tensors(data, batch_size):
    expected, history = trained(TENSORS, batch_size=batch_size, validation=TENSORS)
    model, found = trained(data, batch_size=batch_size, validation=data)
    assert states_equal(model, expected)
    for name in ("loss", "nll", "kl", "validation_nll", "validation_rmse"):
        assert found[name] == history[name]


@pytest.mark.parametrize(
    "loader",
    [
        in_order(TENSORS),
        in_order(Items(), num_workers=1),
        DataLoader(TENSORS, batch_sampler=BatchSampler(SequentialSampler(TENSORS), 4, False)),
        in_order(Stream()),
        DataLoader([[X[:4], X[:4] ** 2], [X[4:8], X[4:8] ** 2], [X[8:], X[8:] ** 2]], None),
    ],
    ids=["plain", "workers", "batch sampler", "stream", "ready batches"],
)
def test_a_loader_gives_the_numbers_of_its_batches(loader):
    # One epoch by hand, at the means, is the reference: plain gradient descent over the batches.
    expected, likelihood = network(), bt.GaussianLikelihood(0.3, learn=False)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
    with bt.posterior_mean(expected):
        for start in range(0, N, 4):
            rows = slice(start, start + 4)
            optimizer.zero_grad()
            nll = likelihood(expected(X[rows]), X[rows].square())
            bt.elbo_loss(nll, bt.kl_divergence(expected), num_data=N).backward()
            optimizer.step()
    model = network()
    with bt.posterior_mean(model):
        bt.fit(
            model,
            loader,
            likelihood,
            epochs=1,
            num_data=N,
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            progress=False,
        )
        scores = bt.evaluate(model, loader, likelihood, num_samples=1)
        outputs = bt.predict(model, loader, 1).samples[0]
        assert scores == likelihood.metrics(model(X)[None], X.square())
        torch.testing.assert_close(outputs, model(X))
    torch.testing.assert_close(dict(model.named_parameters()), dict(expected.named_parameters()))


class Flat(nn.Module):
    """No likelihood information: the loss is the KL's share, so that it tells N."""

    def forward(self, output, target):
        return 0 * output.sum()

    def metrics(self, samples, target):
        return {}


@pytest.mark.parametrize(
    ("data", "keywords", "num_data"),
    [
        (Items(), {"batch_size": 3}, N),
        (shuffled(TENSORS, drop_last=True), {}, N),
        (DataLoader(TENSORS, sampler=SubsetRandomSampler([1, 3, 5]), batch_size=2), {}, 3),
        (DataLoader(TENSORS, sampler=WeightedRandomSampler([1.0] * N, 25), batch_size=5), {}, N),
        (DataLoader(TENSORS, sampler=RandomSampler(TENSORS, True, 30), batch_size=5), {}, N),
        (in_order(Stream()), {"num_data": 70}, 70),
        (TENSORS, {"num_data": 1000}, 1000),
    ],
    ids=["items", "drop_last", "subset sampler", "weighted", "replacement", "stream", "given"],
)
def test_the_kl_is_divided_by_the_number_of_data(data, keywords, num_data):
    layer = bt.BayesianLinear(1, 1)
    still = torch.optim.SGD(layer.parameters(), lr=0.0)
    history = bt.fit(layer, data, Flat(), epochs=1, optimizer=still, progress=False, **keywords)
    assert history["loss"] == [pytest.approx(layer.kl_divergence().item() / num_data, rel=1e-5)]


def test_a_data_set_that_changes_its_rows_is_obeyed():
    seen = bt.predict(nn.Identity(), Doubled(X, X), 1).samples[0]
    assert torch.equal(seen, 2 * X)
    assert torch.equal(bt.predict(nn.Identity(), TensorDataset(X, X), 1).samples[0], X)


@pytest.mark.parametrize(
    "draw", [torch.rand, random.random, numpy.random.rand], ids=["torch", "python", "numpy"]
)
def test_a_random_data_set_is_repeated_by_the_seed_and_resumed(tmp_path, draw):
    class Augmented(Items):
        def __getitem__(self, row):
            noise = draw(1).numpy() if draw is torch.rand else draw()
            x, y = super().__getitem__(row)
            return (x + noise).astype("float32"), y

    random.seed(3)
    outside = random.getstate()
    once, history = trained(Augmented(), batch_size=4)
    again, _ = trained(Augmented(), batch_size=4)
    assert random.getstate() == outside
    assert states_equal(once, again)
    assert trained(Augmented(), batch_size=4, seed=2)[1]["loss"] != history["loss"]
    settings = {"batch_size": 4, "checkpoint": tmp_path / "run.pt"}
    trained(Augmented(), epochs=1, **settings)
    draw(2) if draw is not random.random else draw()
    resumed, continued = trained(Augmented(), resume=True, **settings)
    assert states_equal(resumed, once)
    assert continued["loss"] == history["loss"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: shuffled(TENSORS),
        lambda: shuffled(Items(), num_workers=1),
        lambda: shuffled(TENSORS, generator=torch.Generator().manual_seed(7)),
        lambda: DataLoader(
            TENSORS,
            batch_size=4,
            sampler=RandomSampler(TENSORS, generator=torch.Generator().manual_seed(7)),
        ),
    ],
    ids=["global", "workers", "own generator", "the sampler's generator"],
)
def test_a_resumed_loader_gives_the_same_numbers(tmp_path, make):
    expected, history = trained(make())
    trained(make(), epochs=1, checkpoint=tmp_path / "run.pt")
    model, found = trained(make(), checkpoint=tmp_path / "run.pt", resume=True)
    assert states_equal(model, expected)
    assert found["loss"] == history["loss"]


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = bt.BayesianLinear(2, 1)

    def forward(self, left, right):
        return self.layer(torch.cat([left, right], dim=1))


class OfAPair(Sum):
    def forward(self, pair):
        return super().forward(*pair)


class OfADict(Sum):
    def forward(self, parts):
        return super().forward(**parts)


class Named(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, row):
        return {"right": -X[row], "left": X[row]}, X[row]


class Paired(Dataset):
    def __len__(self):
        return N

    def __getitem__(self, row):
        return (X[row], -X[row]), X[row]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Sum, TensorDataset(X, -X, X)),
        (Sum, Paired()),
        (Sum, Named()),
        (OfAPair, Paired()),
        (OfADict, Named()),
    ],
    ids=["three tensors", "a tuple", "a dict", "a tuple as one", "a dict as one"],
)
def test_several_inputs_reach_the_model(kind, data):
    with bt.seeded(0):
        expected, model = Sum(), kind()
    model.load_state_dict(expected.state_dict())
    likelihood = bt.GaussianLikelihood(0.3, learn=False)
    settings = {"epochs": 2, "batch_size": 4, "seed": 1, "progress": False}
    for one, its_data in ((expected, TensorDataset(X, -X, X)), (model, data)):
        bt.fit(one, its_data, likelihood, validation=its_data, **settings)
    assert states_equal(model, expected)
    pair = {"left": X, "right": -X} if kind is OfADict else (X, -X)
    samples = bt.predict(model, pair, 3, seed=1).samples
    assert torch.equal(samples, bt.predict(model, data, 3, seed=1).samples)
    ensemble = bt.DeepEnsemble(kind, 2)
    bt.fit(ensemble, data, likelihood, epochs=1, progress=False)
    assert bt.predict(ensemble, data).samples.shape == (2, N, 1)


def test_one_parameter_takes_several_inputs_whole_and_its_own_name_unpacked():
    assert call(lambda pair: pair[1], (1, 2)) == 2
    assert call(lambda *parts: len(parts), (1, 2)) == 2
    assert call(lambda left, right=0: left + right, (1, 2)) == 3
    assert call(lambda x: x, {"x": 5}) == 5
    assert call(lambda parts: sorted(parts), {"x": 5, "y": 6}) == ["x", "y"]


def test_predict_passes_data_in_portions_that_fit():
    sizes = []

    class Counting(nn.Identity):
        def forward(self, x):
            sizes.append(len(x))
            return x

    for data in (X, Items(), in_order(Items())):
        sizes.clear()
        outputs = bt.predict(Counting(), data, 1, memory_limit=6 * 4 * 3).samples[0]
        assert torch.equal(outputs, X)
        assert max(sizes) == 3


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ([1, 2], TypeError, r"data=\[1, 2\]: expected a Dataset"),
        (X, TypeError, "data=tensor.*expected a Dataset"),
        (Stream(), TypeError, "data is an IterableDataset: expected a DataLoader"),
        (TensorDataset(X[:0], X[:0]), ValueError, "data is empty"),
        (Subset(TENSORS, []), ValueError, "data is empty"),
    ],
)
def test_what_is_no_data_is_named(data, error, words):
    with pytest.raises(error, match=words):
        open_data(data, "data")


@pytest.mark.parametrize(
    ("data", "keywords", "words"),
    [
        (in_order(Stream()), {}, "num_data=None, and data"),
        (in_order(TENSORS), {"batch_size": 5}, "batch_size=5 with a DataLoader"),
        (in_order(Stream()), {"num_data": N, "kl_weight": bt.KLWarmup(2)}, "kl_weight=KLWarmup"),
        (DataLoader(TENSORS, batch_size=20, drop_last=True), {}, "data give no batch"),
    ],
)
def test_settings_that_contradict_the_data_are_errors(data, keywords, words):
    with pytest.raises(ValueError, match=words):
        trained(data, **keywords)
