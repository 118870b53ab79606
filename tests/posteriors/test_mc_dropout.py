import copy

import pytest
import torch
import torch.nn.functional as F
from helpers.monte_carlo import assert_mean, assert_variance
from torch import nn

import bnn_tutorial as bt

# One input of each class, with as many positions a feature as it takes.
INPUTS = {
    nn.Dropout: (6,),
    nn.Dropout1d: (6, 3),
    nn.Dropout2d: (6, 3, 2),
    nn.Dropout3d: (6, 3, 2, 2),
    nn.AlphaDropout: (6,),
    nn.FeatureAlphaDropout: (6, 3),
}


class OwnDropout(nn.Dropout2d):
    """A subclass with code of its own."""

    def forward(self, x):
        return 2 * super().forward(x)


INPUTS[OwnDropout] = INPUTS[nn.Dropout2d]


class Functional(nn.Module):
    """A layer whose dropout is a call."""

    def forward(self, x):
        return F.dropout(x, 0.3, training=self.training)


class Branching(nn.Module):
    """A layer that torch.fx can't follow."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


def line(p=0.25, **keywords):
    """Dropout before a linear layer, for whose output the moments are known."""
    with bt.seeded(0):
        return nn.Sequential(nn.Dropout(p, **keywords), nn.Linear(3, 2)).double()


def everything(module):
    """All that a module and its submodules hold."""
    return [{**vars(m), "_forward_hooks": dict(m._forward_hooks)} for m in module.modules()]


@pytest.mark.parametrize("shared_mask", [False, True])
def test_the_moments_of_a_linear_layer_are_those_of_inverted_dropout(shared_mask):
    network, x = line(), torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]).double()
    with bt.mc_dropout(network, shared_mask=shared_mask):
        samples = bt.predict(network, x, 20_000, seed=0).samples
    weight = network[1].weight.detach()
    assert_mean(samples, network[1](x).detach())
    assert_variance(samples, 0.25 / 0.75 * x.square() @ weight.square().T)
    # Two data with one mask vary together.
    first, second = (samples - samples.mean(dim=0)).unbind(dim=1)
    covariance = 0.25 / 0.75 * (x[0] * x[1]) @ weight.square().T
    assert_mean(first * second, covariance if shared_mask else torch.zeros(2))


@pytest.mark.parametrize("kind", INPUTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("inplace", [False, True])
def test_every_class_is_random_as_in_training(kind, inplace):
    dropout = kind(0.4, inplace=inplace)
    x = torch.ones(20, *INPUTS[kind])
    with bt.seeded(0):
        trained = dropout.train()(x.clone())
    with bt.mc_dropout(dropout), bt.seeded(0):
        drawn = dropout.eval()(x.clone())
    assert torch.equal(drawn, trained)
    assert not torch.equal(drawn, dropout(x.clone()))


@pytest.mark.parametrize("kind", INPUTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("inplace", [False, True])
def test_a_shared_mask_is_one_for_all_data_and_another_in_each_draw(kind, inplace):
    network = nn.Sequential(nn.Identity(), kind(0.4, inplace=inplace))
    x = torch.ones(7, *INPUTS[kind])
    with bt.mc_dropout(network, shared_mask=True):
        samples = bt.predict(network, x, 50, seed=0).samples
    assert torch.equal(samples, samples[:, :1].expand_as(samples))
    assert samples[:, 0].flatten(1).unique(dim=0).shape[0] > 5
    with bt.mc_dropout(network):
        samples = bt.predict(network, x, 50, seed=0).samples
    assert not torch.equal(samples, samples[:, :1].expand_as(samples))


def test_a_draw_with_a_shared_mask_is_a_function():
    with bt.seeded(0):
        network = nn.Sequential(nn.Linear(1, 30), nn.ReLU(), nn.Dropout(0.5), nn.Linear(30, 1))
    x = torch.linspace(-1, 1, 40)[:, None]
    with bt.mc_dropout(network, shared_mask=True):
        functions = bt.predict(network, x.repeat(2, 1), 20, seed=1).samples
    torch.testing.assert_close(functions[:, :40], functions[:, 40:])
    # Between the kinks of a ReLU network its functions are straight.
    bends = functions[:, :40].diff(n=2, dim=1).abs() > 1e-5
    assert (bends.sum(dim=1) <= 2 * 30).all()


def test_batch_norm_keeps_its_averages():
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    network(5 + torch.randn(20, 3))
    before = copy.deepcopy(network.state_dict())
    x = torch.randn(4, 3)
    with bt.mc_dropout(network):
        samples = bt.predict(network, x, 200, seed=0).samples
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    # Half of the draws keep a value, doubled: that of batch normalization in eval().
    expected = 2 * network[0].eval()(x).detach()
    kept = samples.abs().amax(dim=0) * expected.sign()
    torch.testing.assert_close(kept, expected)


def test_dropout_before_a_bayesian_layer_is_drawn_anew_in_each_draw():
    layer = bt.BayesianLinear(3, 1, bias=False, init_std=1e-4)
    network = nn.Sequential(nn.Dropout(0.5), layer)
    with bt.mc_dropout(network):
        samples = bt.predict(network, torch.ones(1, 3), 4000, seed=0).samples
    mean, std = layer.weight_mean.detach(), layer.weight_std.detach()
    assert_mean(samples[:, 0, 0], mean.sum())
    variance = mean.square().sum() + 2 * std.square().sum()
    assert_variance(samples[:, 0, 0], variance)


def test_a_seed_repeats_the_draws():
    network, x = line(), torch.ones(4, 3).double()
    with bt.mc_dropout(network):
        first, second, other = (bt.predict(network, x, 5, seed=s).samples for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_in_train_dropout_is_what_it_always_is():
    network, x = line(inplace=True), torch.ones(200, 3).double()
    with bt.seeded(3):
        expected = network(x.clone())
    with bt.mc_dropout(network), bt.seeded(3):
        assert torch.equal(network(x.clone()), expected)


@pytest.mark.parametrize("inplace", [False, True])
def test_the_innermost_block_decides(inplace):
    network = nn.Sequential(nn.Identity(), nn.Dropout(0.5, inplace=inplace)).eval()
    x = torch.ones(1000, 4)

    def shared():
        output = network(x.clone())
        # Masked once, not twice.
        assert output.unique().tolist() == [0.0, 2.0]
        return torch.equal(output, output[:1].expand_as(output))

    with bt.seeded(0), bt.mc_dropout(network):
        assert not shared()
        with bt.mc_dropout(network, shared_mask=True):
            assert shared()
            with bt.mc_dropout(network):
                assert not shared()
            assert shared()
        assert not shared()
    assert torch.equal(network(x), x)


def test_the_network_comes_back_as_it_was():
    network = nn.Sequential(line(), nn.BatchNorm1d(2).double().eval(), nn.Dropout(0.1).eval())
    before, generator = everything(network), torch.get_rng_state()
    with bt.mc_dropout(network, shared_mask=True):
        pass
    assert everything(network) == before
    assert torch.equal(torch.get_rng_state(), generator)
    with pytest.raises(ZeroDivisionError), bt.mc_dropout(network):
        bt.predict(network, torch.ones(2, 3).double(), 3, transform=lambda output: 1 / 0)
    assert everything(network) == before
    with bt.mc_dropout(network), pytest.raises(RuntimeError, match="shapes"):
        bt.predict(network, torch.ones(2, 4).double(), 3)
    assert everything(network) == before


def test_looking_for_functional_dropout_leaves_nothing_behind():
    class Keeps(nn.Module):
        def forward(self, x):
            self.last = x + torch.rand(())
            return self.last

    network, generator = nn.Sequential(Keeps(), nn.Dropout(0.5)), torch.get_rng_state()
    before = everything(network)
    with bt.mc_dropout(network):
        pass
    assert everything(network) == before
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (nn.Linear(3, 2), "found no dropout at all"),
        (line(p=0.0), "found dropout modules with a rate of 0;"),
        (nn.Sequential(Functional()), r"found F\.dropout in 0 \(Functional\)"),
        (Functional(), r"found F\.dropout in Functional"),
        (nn.Sequential(line(p=0.0), Functional()), r"rate of 0; F\.dropout in 1"),
        (nn.LSTM(2, 2, 2, dropout=0.1), r"found the dropout=0\.1 of LSTM"),
        (Branching(), "found functional dropout, if any: the forward can't be traced"),
    ],
)
def test_a_network_without_reachable_dropout_is_an_error_that_says_why(network, found):
    expected = rf"module has no dropout.*{found}"
    with pytest.raises(ValueError, match=expected), bt.mc_dropout(network):
        pass


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (Functional(), r"F\.dropout in 1 \(Functional\)"),
        (nn.MultiheadAttention(4, 2, dropout=0.2), r"dropout=0\.2 of 1 \(MultiheadAttention\)"),
        (nn.GRU(2, 2, 2, dropout=0.1), r"dropout=0\.1 of 1 \(GRU\)"),
        (Branching(), "functional dropout, if any"),
    ],
)
def test_dropout_out_of_reach_beside_some_in_reach_is_named(other, named):
    network = nn.Sequential(nn.Dropout(0.5), other)
    expected = f"does not reach .*{named}"
    with pytest.warns(UserWarning, match=expected) as record, bt.mc_dropout(network):
        pass
    assert record[0].filename == __file__


def test_what_is_in_reach_is_not_named():
    # Warnings are errors here: a rate of 0, functional dropout that eval() leaves on, subclasses.
    class AlwaysOn(nn.Module):
        def forward(self, x):
            return F.dropout(F.dropout(x, 0.2), 0.0, self.training)

    network = nn.Sequential(OwnDropout(0.5), AlwaysOn(), nn.GRU(2, 2), nn.MultiheadAttention(4, 2))
    with bt.mc_dropout(network), bt.mc_dropout(nn.Dropout(0.5)):
        pass
