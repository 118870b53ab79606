import copy
import itertools
import math

import pytest
import torch
from helpers.saved_files import states_equal
from helpers.training_runs import line
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


def network(p=0.0):
    layers = nn.Linear(1, 8), nn.Tanh(), nn.Dropout(p), nn.Linear(8, 1)
    return nn.Sequential(*layers).double()


def with_batch_norm():
    return nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)).double()


class Branching(nn.Sequential):
    """A network with a branch on its data, which vmap can't follow."""

    def forward(self, x):
        hidden = super().forward(x)
        return hidden if hidden.sum() > 1000 else 2 * hidden


def branching():
    return Branching(*network())


class Scaled(nn.Sequential):
    """A network with a setting that is no parameter."""

    def __init__(self, *layers, scale):
        super().__init__(*layers)
        self.scale = scale

    def forward(self, x):
        return self.scale * super().forward(x)


def of_different_scales():
    scales = iter(range(1, 100))
    return lambda: Scaled(*network(), scale=next(scales))


def of_different_widths():
    widths = iter(range(4, 100))

    def make_network():
        width = next(widths)
        return nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, 1)).double()

    return make_network


def of_different_kinds():
    activations = itertools.cycle([nn.Tanh, nn.Sigmoid])
    return lambda: nn.Sequential(nn.Linear(1, 8), next(activations)(), nn.Linear(8, 1)).double()


def of_different_lengths():
    ends = itertools.cycle([[], [nn.Tanh()]])
    return lambda: nn.Sequential(*network(), *copy.deepcopy(next(ends)))


def data():
    return TensorDataset(*(tensor.double() for tensor in line().tensors))


def ensemble(make_network=network, num_members=3, seed=0):
    with bt.seeded(seed):
        return bt.DeepEnsemble(make_network, num_members)


def train(model, optimizer, **keywords):
    likelihood = bt.GaussianLikelihood(0.5, learn=False)
    settings = {"epochs": 5, "batch_size": 16, "seed": 2, "progress": False} | keywords
    return bt.fit(model, data(), likelihood, optimizer=optimizer(model.parameters()), **settings)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.02, momentum=0.9, weight_decay=0.1)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.02, weight_decay=0.1)


def vmap_counted(monkeypatch):
    """Count the calls of torch.vmap."""
    calls, vmap = [], torch.vmap

    def counted(*arguments, **keywords):
        calls.append(arguments)
        return vmap(*arguments, **keywords)

    monkeypatch.setattr(torch, "vmap", counted)
    return calls


@pytest.mark.parametrize("optimizer", [sgd, adam])
@pytest.mark.parametrize(
    ("make", "num_vmaps"),
    [
        # Three batches in each of 5 epochs, and one try.
        (lambda: network, 16),
        (lambda: with_batch_norm, 0),
        (lambda: branching, 1),
        (of_different_scales, 0),
        (of_different_widths, 0),
        (of_different_kinds, 0),
        (of_different_lengths, 0),
    ],
    ids=["at once", "batch norm", "branching", "scales", "widths", "kinds", "lengths"],
)
def test_a_member_is_the_network_trained_alone(monkeypatch, optimizer, make, num_vmaps):
    model = ensemble(make())
    alone = copy.deepcopy(list(model.members))
    vmaps = vmap_counted(monkeypatch)
    history = train(model, optimizer)
    assert len(vmaps) == num_vmaps
    nlls = []
    for member, single in zip(model.members, alone, strict=True):
        nlls.append(train(single, optimizer)["nll"])
        for name, value in single.state_dict().items():
            torch.testing.assert_close(member.state_dict()[name], value, rtol=1e-9, atol=1e-12)
    mean = torch.tensor(nlls, dtype=torch.float64).mean(dim=0)
    torch.testing.assert_close(torch.tensor(history["nll"]).double(), mean)
    assert history["kl"] == [0.0] * 5
    assert history["loss"] == history["nll"]


def test_members_at_once_drop_out_independently_of_each_other():
    model = ensemble(lambda: network(p=0.5), num_members=2)
    model.members[1].load_state_dict(model.members[0].state_dict())
    one, two = model._outputs(data().tensors[0])
    assert not torch.equal(one, two)
    model.eval()
    one, two = model._outputs(data().tensors[0])
    assert torch.equal(one, two)


def test_a_try_that_fails_draws_nothing():
    model = ensemble(lambda: nn.Sequential(nn.Dropout(0.5), branching()))
    x = data().tensors[0]
    with bt.seeded(5):
        expected = [member(x) for member in model.members]
    with bt.seeded(5):
        outputs = list(model._outputs(x))
    assert not model._at_once
    assert all(map(torch.equal, outputs, expected))


def test_bayesian_members_have_the_gradient_of_their_own_elbo():
    def make_network():
        return bt.to_bayesian(network(), init_std=1e-9)

    model = ensemble(make_network)
    alone = copy.deepcopy(list(model.members))

    def one_step(parameters):
        return torch.optim.SGD(parameters, lr=0.1)

    history = train(model, one_step, epochs=1, batch_size=None)
    singles = [train(single, one_step, epochs=1, batch_size=None) for single in alone]
    for member, single in zip(model.members, alone, strict=True):
        for mine, theirs in zip(member.parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    assert history["kl"][0] == pytest.approx(sum(single["kl"][0] for single in singles))
    assert history["nll"][0] == pytest.approx(sum(s["nll"][0] for s in singles) / 3, rel=1e-5)


class StandardNormal(torch.distributions.Distribution):
    """A prior without a number that a layer would keep as a buffer."""

    support = torch.distributions.constraints.real

    def log_prob(self, value):
        return -0.5 * (value.square() + math.log(2 * math.pi))


def test_bayesian_members_are_never_computed_at_once():
    model = ensemble(lambda: bt.to_bayesian(network(), prior=StandardNormal(validate_args=False)))
    assert not list(model.buffers())
    assert not model._at_once


def of_few_digits():
    """Weights of four binary places and ReLUs, whose sums are exact in any order."""
    made = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1)).double()
    for parameter in made.parameters():
        parameter.data = (16 * parameter.data).round() / 16
    return made


def test_a_prediction_has_each_member_once():
    model, x = ensemble(of_few_digits, num_members=4), (16 * data().tensors[0]).round() / 16
    with torch.no_grad():
        expected = torch.stack([member(x) for member in model.members])
    assert torch.equal(bt.predict(model, x).samples, expected)
    assert torch.equal(bt.predict(model, x, memory_limit=100).samples, expected)
    assert torch.equal(bt.predict(model, x, 2).samples, expected[[1, 3]])


def test_the_score_is_that_of_the_average_density():
    model, likelihood = ensemble(num_members=4), bt.GaussianLikelihood(0.5)
    x, y = data().tensors
    with torch.no_grad():
        outputs = torch.stack([member(x) for member in model.members])
    density = torch.distributions.Normal(outputs, 0.5).log_prob(y).exp().mean(dim=0)
    scores = bt.evaluate(model, data(), likelihood)
    assert scores["nll"] == pytest.approx(-density.log().mean().item(), rel=1e-6)


def test_validation_uses_all_members_and_leaves_training_alone():
    plain, validated = ensemble(), ensemble()
    train(plain, adam)
    history = train(validated, adam, validation=data())
    assert states_equal(plain, validated)
    scores = bt.evaluate(validated, data(), bt.GaussianLikelihood(0.5))
    assert history["validation_nll"][-1] == pytest.approx(scores["nll"])


@pytest.mark.parametrize("make_network", [lambda: network(p=0.3), branching])
def test_a_run_that_is_resumed_ends_with_the_same_numbers(tmp_path, make_network):
    path = tmp_path / "run.pt"
    whole, first, second = (ensemble(make_network, seed=seed) for seed in (0, 0, 1))
    records = train(whole, adam)
    train(first, adam, epochs=2, checkpoint=path)
    resumed = train(second, adam, checkpoint=path, resume=True)
    assert states_equal(whole, second)
    assert resumed["loss"] == records["loss"]


def test_an_ensemble_is_saved_and_loaded_by_readable_names(tmp_path):
    model, other = ensemble(), ensemble(seed=1)
    assert "members.2.3.bias" in model.state_dict()
    bt.save_model(model, tmp_path / "ensemble.safetensors")
    assert not states_equal(model, other)
    assert states_equal(model, bt.load_model(other, tmp_path / "ensemble.safetensors"))


def test_mixed_precision_and_several_draws_reach_the_members():
    likelihood = bt.GaussianLikelihood(0.5, learn=False)

    def first_nll(p, **keywords):
        model = ensemble(lambda: network(p).float())
        history = bt.fit(model, line(), likelihood, epochs=1, seed=0, progress=False, **keywords)
        return history["nll"][0]

    exact = first_nll(0.0)
    assert first_nll(0.0, num_draws=2) == pytest.approx(exact, rel=1e-6)
    rounded = first_nll(0.0, mixed_precision=torch.bfloat16)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=2**-6)  # 8 binary digits an operation
    assert first_nll(0.5, num_draws=2) != first_nll(0.5)


def equal_starts():
    with bt.seeded(0):
        return network()


def equal_starts_of_constants():
    layer = nn.Linear(1, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


same = network()


@pytest.mark.parametrize(
    ("make_network", "num_members", "error", "words"),
    [
        (network, 0, ValueError, "num_members=0: expected 1 or more"),
        (lambda: "network", 2, TypeError, "make_network returned 'network': expected a torch.nn"),
        (lambda: None, 2, TypeError, "make_network returned None: expected a torch.nn"),
        (lambda: same, 2, ValueError, "returned the same module for members 0 and 1"),
        (
            lambda: nn.Sequential(nn.Linear(1, 1), same),
            3,
            ValueError,
            "the same module for members 0 and 1, or a part of it",
        ),
        (equal_starts, 2, ValueError, "returned equal networks for members 0 and 1.*no seed"),
        (equal_starts_of_constants, 2, ValueError, "equal networks.*start at the same values"),
    ],
)
def test_networks_that_make_no_ensemble_are_errors(make_network, num_members, error, words):
    with pytest.raises(error, match=words):
        bt.DeepEnsemble(make_network, num_members)


def test_an_error_of_a_member_is_the_members_own():
    model = ensemble()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model.expected_nll(torch.ones(2, 5).double(), torch.ones(2, 1), bt.GaussianLikelihood())
