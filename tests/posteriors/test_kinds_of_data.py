"""What the methods that need a trained network take as its data: whatever ``fit`` takes."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import bnn_tutorial as bt

NUM_ROWS = 12


def rows(num_rows=NUM_ROWS):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(num_rows, 3, generator=generator, dtype=torch.float64)
    return inputs, torch.arange(num_rows) % 3


class Items(Dataset):
    """Rows that a user's own class gives one by one, all or without the targets."""

    def __init__(self, inputs, labels):
        self.inputs, self.labels = inputs, labels

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        return self.inputs[row] if self.labels is None else (self.inputs[row], self.labels[row])


class Drawn(Items):
    """Rows with noise that is drawn anew each time."""

    def __getitem__(self, row):
        return self.inputs[row] + torch.randn(3), self.labels[row]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(*rows(), strict=True))


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3).double()

    def forward(self, left, right):
        return self.linear(left + right)


def network():
    with bt.seeded(0):
        return nn.Linear(3, 3).double()


def of_laplace(data, likelihood, model=None):
    return bt.laplace(model or network(), data, likelihood, prior_std=1.0).covariance


def of_log_posterior(data, likelihood, model=None):
    density = bt.log_posterior(model or network(), data, likelihood, prior_std=1.0)
    return density(torch.ones(12, dtype=torch.float64))


def of_sgld(data, likelihood, model=None):
    settings = {"num_samples": 3, "burn_in": 0, "learning_rate": 1e-3, "progress": False}
    return bt.sgld(model or network(), data, likelihood, prior_std=1.0, seed=0, **settings).samples


def of_swag(data, likelihood):
    settings = {"epochs": 3, "learning_rate": 0.1, "seed": 0, "progress": False}
    return bt.swag(network(), data, likelihood, prior_std=1.0, **settings).mean


READING = [of_laplace, of_log_posterior, of_sgld]
METHODS = [*READING, of_swag]


KINDS = {
    "items": Items(*rows()),
    "subset": Subset(
        TensorDataset(*(part.repeat_interleave(2, 0) for part in rows())), range(0, 24, 2)
    ),
    "loader": DataLoader(TensorDataset(*rows()), batch_size=NUM_ROWS),
    "stream": DataLoader(Stream(), batch_size=5),
}


@pytest.mark.parametrize(
    ("method", "kind"),
    # SWAG trains on the data as they come, and refuses a stream below.
    [(m, kind) for m in METHODS for kind in KINDS if (m, kind) != (of_swag, "stream")],
)
def test_every_kind_of_data_gives_what_tensors_give(method, kind):
    likelihood = bt.CategoricalLikelihood()
    expected = method(TensorDataset(*rows()), likelihood)
    torch.testing.assert_close(method(KINDS[kind], likelihood), expected)


@pytest.mark.parametrize("method", READING)
def test_drawn_rows_are_read_once_and_draw_from_nobody(method):
    state = torch.get_rng_state()
    results = [method(Drawn(*rows()), bt.CategoricalLikelihood()) for _ in range(2)]
    torch.testing.assert_close(*results)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([1, 2], TypeError, r"data=\[1, 2\]: expected a Dataset"),
        (Stream(), TypeError, "data is an IterableDataset: expected a DataLoader around it"),
        (Items(rows()[0], None), TypeError, "data gives inputs alone: expected inputs and targets"),
        (TensorDataset(rows()[0]), TypeError, "data gives inputs alone"),
        (TensorDataset(*rows(0)), ValueError, "data is empty"),
        (Items(rows()[0], rows()[1] + 1), ValueError, "data: target"),
        (Items(rows()[0].float(), rows()[1]), ValueError, "data: the model, .* can't take inputs"),
        (Items(rows()[0] / 0, rows()[1]), ValueError, "data: inputs: expected finite numbers"),
    ],
)
def test_what_cannot_be_scored_is_named(method, data, error, message):
    with pytest.raises(error, match=message):
        method(data, bt.CategoricalLikelihood())


@pytest.mark.parametrize("method", READING)
def test_each_row_comes_once(method):
    loader = DataLoader(TensorDataset(*rows()), batch_size=5, drop_last=True)
    with pytest.raises(ValueError, match="data give 10 rows in one pass, and have 12"):
        method(loader, bt.CategoricalLikelihood())


@pytest.mark.parametrize("method", READING)
def test_several_inputs_are_named(method):
    inputs, labels = rows()
    data, likelihood = TensorDataset(inputs, inputs, labels), bt.CategoricalLikelihood()
    with pytest.raises(TypeError, match="data give several inputs: expected one tensor"):
        method(data, likelihood, Sum())


def test_swag_has_to_know_how_many_data_there_are():
    with pytest.raises(ValueError, match="data don't tell how many they are"):
        of_swag(DataLoader(Stream(), batch_size=5), bt.CategoricalLikelihood())
