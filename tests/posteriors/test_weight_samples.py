import pytest
import torch
from torch import nn
from torch.nn.utils import vector_to_parameters
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


def network():
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))


def vectors(num_samples=6):
    return torch.randn(num_samples, 13, generator=torch.Generator().manual_seed(0))


def test_each_draw_is_the_network_with_its_weights():
    model, x = network(), torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    samples = bt.predict(bt.WeightSamples(model, vectors()), x).samples
    assert samples.shape == (6, 5, 1)
    for vector, output in zip(vectors(), samples, strict=True):
        vector_to_parameters(vector, model.parameters())
        torch.testing.assert_close(output, model(x).detach())


@pytest.mark.parametrize(("asked", "taken"), [(2, [1, 4]), (3, [1, 3, 5]), (1, [3])])
def test_fewer_are_taken_evenly_spaced(asked, taken):
    posterior, x = bt.WeightSamples(network(), vectors()), torch.ones(4, 2)
    all_draws = bt.predict(posterior, x).samples
    assert torch.equal(bt.predict(posterior, x, asked).samples, all_draws[taken])


def test_every_chain_has_its_part_of_fewer_draws():
    samples = torch.arange(4.0)[:, None].expand(4, 25).flatten()  # 4 chains of 25
    posterior = bt.WeightSamples(nn.Linear(1, 1, bias=False), samples[:, None])
    draws = bt.predict(posterior, torch.ones(1, 1), 12).samples[:, 0, 0]
    assert draws.tolist() == [0.0] * 3 + [1.0] * 3 + [2.0] * 3 + [3.0] * 3


def test_network_and_samples_are_copies():
    model, given = network(), vectors()
    posterior = bt.WeightSamples(model, given)
    x = torch.ones(4, 2)
    before = bt.predict(posterior, x).samples
    given.zero_()
    model[0].weight.data.zero_()
    assert torch.equal(bt.predict(posterior, x).samples, before)
    assert model[0].weight.requires_grad


def test_it_is_scored_and_saved_like_a_network(tmp_path):
    posterior = bt.WeightSamples(network(), vectors())
    data = TensorDataset(torch.ones(4, 2), torch.ones(4, 1))
    likelihood = bt.GaussianLikelihood(1.0)
    other = bt.WeightSamples(network(), torch.zeros(6, 13))
    other.load_state_dict(posterior.state_dict())
    assert bt.evaluate(other, data, likelihood) == bt.evaluate(posterior, data, likelihood)


@pytest.mark.parametrize("shape", [(13,), (4, 12), (0, 13)])
def test_samples_of_another_shape_are_named(shape):
    with pytest.raises(ValueError, match=r"samples has shape .*: expected \(S, 13\)"):
        bt.WeightSamples(network(), torch.zeros(shape))
