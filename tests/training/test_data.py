"""What data have to be before the first step, each fault named where it is."""

import pytest
import torch
from helpers.saved_files import states_equal
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import bnn_tutorial as bt

X, Y = torch.linspace(-1, 1, 8)[:, None], torch.arange(8) % 3
GAUSSIAN, CATEGORICAL = bt.GaussianLikelihood(learn=False), bt.CategoricalLikelihood()
BERNOULLI, POISSON = bt.BernoulliLikelihood(), bt.PoissonLikelihood()
HETEROSCEDASTIC, STUDENT = bt.HeteroscedasticGaussianLikelihood(), bt.StudentTLikelihood()


def with_value(tensor, value):
    changed = tensor.clone()
    changed[5] = value
    return changed


FAULTS = {
    "float64 inputs": (3, CATEGORICAL, X.double(), Y, "float64 of shape"),
    "uint8 inputs": (3, CATEGORICAL, X.byte(), Y, "uint8 of shape"),
    "inputs of another width": (3, CATEGORICAL, X.expand(8, 2), Y, r"shape \(2, 2\)"),
    "an input of NaN": (
        3,
        CATEGORICAL,
        with_value(X, torch.nan),
        Y,
        "inputs: .* not nan at",
    ),
    "an infinite input": (1, GAUSSIAN, with_value(X, torch.inf), X, "not inf"),
    "labels from 1 to C": (3, CATEGORICAL, X, Y + 1, "label 3: expected 0 to 2"),
    "a label of -100": (3, CATEGORICAL, X, with_value(Y, -100), "label -100: expected 0 to 2"),
    "a column of labels": (3, CATEGORICAL, X, Y[:, None], r"target has shape \(\d, 1\)"),
    "soft labels": (3, CATEGORICAL, X, torch.ones(8, 3) / 3, r"target has shape \(\d, 3\)"),
    "labels as floats": (3, CATEGORICAL, X, Y.float(), "torch.float32: expected labels"),
    "labels as bools": (3, CATEGORICAL, X, Y > 0, "torch.bool: expected labels"),
    "a flat target": (1, GAUSSIAN, X, X[:, 0], r"output has shape \(\d, 1\), target \(\d,\)"),
    "a target of NaN": (1, GAUSSIAN, X, with_value(X, torch.nan), "target.*not nan"),
    "labels for a Gaussian": (3, GAUSSIAN, X, Y, r"output has shape \(\d, 3\)"),
    "one column for two": (1, HETEROSCEDASTIC, X, X, r"expected \(N, 2K\)"),
    "an infinite target": (1, STUDENT, X, with_value(X, -torch.inf), "target.*not -inf"),
    "classes for one logit": (1, BERNOULLI, X, Y[:, None], "target has 2: expected 0 or 1"),
    "a negative count": (1, POISSON, X, with_value(X.round().abs(), -1.0), "target has -1.0"),
    "half a count": (1, POISSON, X, with_value(X.round().abs(), 0.5), "target has 0.5"),
}


def network(num_outputs):
    with bt.seeded(0):
        return bt.BayesianLinear(1, num_outputs)


class Items(Dataset):
    def __init__(self, *tensors):
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors[0])

    def __getitem__(self, row):
        return tuple(tensor[row] for tensor in self.tensors)


@pytest.mark.parametrize("kind", [TensorDataset, Items, lambda *t: DataLoader(Items(*t), 3)])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_before_a_step_is_taken_with_it(fault, kind):
    num_outputs, likelihood, x, y, words = FAULTS[fault]
    sound_y = {CATEGORICAL: Y, GAUSSIAN: X.expand(8, num_outputs)}.get(likelihood)
    data = kind(x, y)
    model = network(num_outputs)
    settings = {"epochs": 1, "progress": False}
    settings |= {} if isinstance(data, DataLoader) else {"batch_size": 8}
    with pytest.raises(ValueError, match=f"data: .*{words}"):
        bt.fit(model, data, likelihood, **settings)
    if kind is TensorDataset:
        assert states_equal(model, network(num_outputs))
        with pytest.raises(ValueError, match=f"data: .*{words}"):
            bt.evaluate(model, data, likelihood)
        if sound_y is not None:
            sound = TensorDataset(X, sound_y)
            with pytest.raises(ValueError, match=f"validation: .*{words}"):
                bt.fit(model, sound, likelihood, validation=data, **settings)
            assert states_equal(model, network(num_outputs))


def test_rows_that_do_not_match_and_outputs_that_are_none_are_named():
    def twice(batch):
        x, y = zip(*batch, strict=True)
        return torch.stack(x).repeat(2, 1), torch.stack(y)

    loader = DataLoader(Items(X, X), 4, collate_fn=twice)
    with pytest.raises(ValueError, match="data has 4 rows of inputs and 2 of targets"):
        bt.fit(network(1), loader, GAUSSIAN, epochs=1, progress=False)

    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(ValueError, match="data: the model's output for 2 rows is tuple"):
        bt.fit(Pair(1, 1), TensorDataset(X, X), GAUSSIAN, epochs=1, progress=False)


def test_items_that_make_no_batch_are_named():
    class Text(Items):
        def __getitem__(self, row):
            return object(), self.tensors[0][row]

    with pytest.raises(TypeError, match="data: its items make no batch"):
        bt.fit(network(1), Text(X), GAUSSIAN, epochs=1, progress=False)
    words = [("left", torch.zeros(()))] * 4
    with pytest.raises(TypeError, match="data gives a batch with"):
        bt.fit(network(1), DataLoader(words, 2), GAUSSIAN, epochs=1, progress=False)


def test_a_likelihood_of_ones_own_says_what_its_targets_are():
    class Masked(bt.GaussianLikelihood):
        def check(self, output, target):
            self._require_matching_shapes(output[:1].expand(len(target), 1), target)

        def forward(self, output, target):
            seen = torch.isfinite(target)
            return super().forward(output[seen][:, None], target[seen][:, None])

    data = TensorDataset(X, with_value(X, torch.nan))
    history = bt.fit(network(1), data, Masked(learn=False), epochs=2, progress=False)
    assert len(history) == 2


def test_the_check_draws_nothing_and_changes_nothing():
    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(x + torch.randn_like(x))

    model = nn.Sequential(Noisy(1, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))
    before, state = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    settings = {"epochs": 0, "progress": False}
    with pytest.raises(ValueError, match="epochs=0"):
        bt.fit(model, TensorDataset(X, X), GAUSSIAN, **settings)
    bt.evaluate(model, TensorDataset(X, X), GAUSSIAN, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(dict(model.state_dict()), state)


@pytest.mark.parametrize("value", [torch.nan, 7.0])
def test_a_fault_far_back_in_data_that_come_by_and_by_is_named_with_the_argument(value):
    faulty = Items(X, Y.clone() if value != value else with_value(Y, 7))
    if value != value:
        faulty.tensors = with_value(X, value), Y
    words = "inputs: .* not nan" if value != value else "label 7"
    model, sound = network(3), TensorDataset(X, Y)
    settings = {"epochs": 1, "progress": False}
    for data in (faulty, DataLoader(faulty, 2)):
        with pytest.raises(ValueError, match=f"validation: .*{words}"):
            bt.fit(model, sound, CATEGORICAL, validation=data, **settings)
        with pytest.raises(ValueError, match=f"data: .*{words}"):
            bt.evaluate(model, data, CATEGORICAL)
