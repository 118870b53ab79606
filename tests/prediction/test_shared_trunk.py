import functools
import random

import numpy
import pytest
import torch
from torch import nn

import bnn_tutorial as bt
from bnn_tutorial.prediction.shared_trunk import split_at_first_draw


class Residual(nn.Module):
    """A network with a branch that no draw reaches and one that a draw is added to."""

    def __init__(self):
        super().__init__()
        self.before = nn.Linear(3, 3)
        self.random = bt.BayesianLinear(3, 3)
        self.side = nn.Linear(3, 3)
        self.after = bt.BayesianLinear(3, 2)

    def forward(self, x):
        hidden = self.before(x).relu()
        return self.after(self.random(hidden) + self.side(hidden) * 2)


class InPlace(Residual):
    def forward(self, x):
        hidden = self.before(x)
        hidden += self.random(x)  # writes into what the draws would share
        return self.after(hidden)


class InPlaceBehindTheDraw(Residual):
    def forward(self, x):
        hidden = self.before(x)
        random = self.random(hidden)
        return self.after(random + hidden.mul_(2))  # which the draw must not see


class Constant(Residual):
    def forward(self, x):
        self.kept = self.before(x) - torch.tensor([0.1, 0.2, 0.3])
        return self.after(self.random(self.kept))


class Branching(Residual):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else self.after(x)


class Restless(Residual):
    def forward(self, x):
        return super().forward(x) + torch.randn(())


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.random = bt.BayesianLinear(3, 3)
        self.relu = nn.ReLU()

    def forward(self, x):
        hidden = self.random(x)
        return self.relu(hidden) - hidden  # which a ReLU in place would make 0


class AlwaysDropout(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x, 0.5, training=True)


PARTED = [Residual, InPlace, InPlaceBehindTheDraw, Constant, Skip]


def count_calls(module):
    calls = []
    module.register_forward_hook(lambda *arguments: calls.append(1))
    return calls


@pytest.mark.parametrize("kind", PARTED)
def test_the_parts_are_the_model_together(kind):
    model = kind()
    x = torch.rand(4, 3)
    before, after = split_at_first_draw(model)
    with torch.no_grad(), bt.posterior_mean(model), bt.seeded(0):
        output = after(*before(x))
    with torch.no_grad(), bt.posterior_mean(model), bt.seeded(0):
        torch.testing.assert_close(output, model(x))


def test_every_operation_up_to_the_first_draw_lies_before():
    model = Residual()
    calls = count_calls(model.before), count_calls(model.side), count_calls(model.random)
    before, after = split_at_first_draw(model)
    shared = before(torch.rand(4, 3))
    for _ in range(3):
        after(*shared)
    assert [len(c) for c in calls] == [1, 3, 3]


def test_tracing_leaves_nothing_in_the_model():
    model = Constant()
    attributes = dict(vars(model))
    split_at_first_draw(model)
    assert dict(vars(model)) == attributes


def test_a_hook_may_keep_the_output_of_a_layer():
    model = nn.Sequential(bt.BayesianLinear(2, 50), nn.ReLU())
    kept = []
    model[0].register_forward_hook(lambda module, inputs, output: kept.append(output))
    bt.predict(model, torch.ones(1, 2), 3)
    assert all((output < 0).any() for output in kept)


@pytest.mark.parametrize("kind", [Branching, Restless])
def test_what_cannot_be_traced_truly_runs_as_it_is(kind):
    model = kind()
    before, after = split_at_first_draw(model)
    x = torch.rand(4, 3)
    assert isinstance(after, functools.partial)
    assert after.args == (model,)
    assert before(x)[0] is x


def test_a_hook_between_the_layers_runs_at_every_draw():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(bt.BayesianLinear(2, 2)))
    calls = count_calls(model[1])
    bt.predict(model, torch.zeros(3, 2), 5)
    assert len(calls) == 1 + 5  # one row to learn how much memory a row takes


def test_writing_in_place_does_not_reach_the_next_draw():
    model = InPlace()
    with bt.posterior_mean(model):
        samples = bt.predict(model, torch.rand(4, 3), 5).samples
    assert (samples == samples[0]).all()


def test_randomness_without_bayesian_layers_is_drawn_every_time():
    model = nn.Sequential(AlwaysDropout(), nn.Linear(50, 50), bt.BayesianLinear(50, 1))
    with bt.posterior_mean(model):
        samples = bt.predict(model, torch.ones(3, 50), 6).samples
    assert len(samples.unique(dim=0)) == 6


def test_numbers_that_a_trace_would_freeze_stay_random():
    model = Restless()
    with bt.posterior_mean(model):
        assert len(bt.predict(model, torch.rand(3, 3), 6).samples.unique(dim=0)) == 6


def test_a_network_without_draws_runs_once():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    calls = count_calls(model[0])
    samples = bt.predict(model, torch.rand(3, 2), 5).samples
    assert (samples == samples[0]).all()
    assert len(calls) == 2


def test_one_bayesian_layer_alone_is_a_network():
    assert len(bt.predict(bt.BayesianLinear(2, 1), torch.rand(3, 2), 5).samples.unique(dim=0)) == 5


class Shaken(nn.Module):
    """A trunk whose noise comes from outside of torch's generators."""

    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, x):
        return x + self.draw()


OWN, NUMPY_OWN = random.Random(0), numpy.random.default_rng(0)
TORCH_OWN = torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        numpy.random.rand,
        OWN.random,
        NUMPY_OWN.normal,
        lambda: torch.randn((), generator=TORCH_OWN),
        lambda: torch.rand(()),
    ],
    ids=["python", "numpy", "python's own", "numpy's own", "torch's own", "torch"],
)
@pytest.mark.parametrize("inside", [False, True])
def test_noise_of_any_generator_is_drawn_anew(draw, inside):
    noise = nn.Sequential(Shaken(draw)) if inside else Shaken(draw)
    model = nn.Sequential(nn.Linear(2, 3), noise, bt.BayesianLinear(3, 1, init_std=1e-9))
    x = torch.ones(4, 2)
    samples = bt.predict(model, x, 6).samples
    assert samples[:, 0].unique().numel() == 6
    again = bt.predict(model, x, 6, seed=1).samples
    if draw in (random.random, numpy.random.rand):  # the generators that a seed is for
        assert torch.equal(again, bt.predict(model, x, 6, seed=1).samples)


def test_a_module_that_is_called_by_keyword_is_drawn_like_another():
    class ByName(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.relu = bt.BayesianLinear(2, 5), nn.ReLU()
            self.last = bt.BayesianLinear(5, 1)

        def forward(self, x):
            return self.last(x=self.relu(input=self.first(x=x)))

    model = ByName()
    plain = nn.Sequential(model.first, model.relu, model.last)
    x = torch.randn(4, 2)
    named, expected = (bt.predict(m, x, 5, seed=1).samples for m in (model, plain))
    assert torch.equal(named, expected)


def test_batch_norm_without_statistics_needs_no_single_row():
    model = nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False), bt.BayesianLinear(3, 1)
    )
    assert bt.predict(model, torch.randn(4, 2), 5).samples.shape == (5, 4, 1)


def test_a_branch_that_chance_takes_is_taken_anew():
    class Coin(nn.Module):
        def forward(self, x):
            return x if random.random() < 0.8 else -x

    layer = bt.BayesianLinear(2, 1, bias=False, init_std=1e-9)
    nn.init.ones_(layer.weight_mean)
    model = nn.Sequential(Coin(), layer)
    for seed in range(5):  # whatever two traces see, the same branch or not
        signs = bt.predict(model, torch.ones(1, 2), 50, seed=seed).samples.flatten().sign()
        assert 0 < (signs == signs[0]).sum() < 50
