import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt


class RandomLines(bt.Posterior):
    """Lines through 0 with a slope from N(2, 0.25)."""

    def __init__(self):
        super().__init__()
        self.slope_mean = nn.Parameter(torch.tensor(2.0))

    def networks(self, num_samples):
        for _ in range(num_samples):
            slope = self.slope_mean + 0.5 * torch.randn(())
            yield lambda x, slope=slope: slope * x


class ThreeLines(bt.Posterior):
    num_networks = 3

    def networks(self, num_samples):
        yield from [lambda x, slope=slope: slope * x for slope in range(3)][:num_samples]


def test_draws_have_the_moments_of_the_posterior():
    prediction = bt.predict(RandomLines(), torch.tensor([[1.0], [3.0]]), 20_000, seed=0)
    assert_mean(prediction.samples, torch.tensor([[2.0], [6.0]]))
    assert_variance(prediction.samples, torch.tensor([[0.25], [2.25]]))


def test_a_draw_is_one_function_over_all_portions():
    x = torch.arange(1.0, 101.0)[:, None]
    samples = bt.predict(RandomLines(), x, 5, memory_limit=100, seed=0).samples
    torch.testing.assert_close(samples, samples[:, :1] * x)
    assert samples[:, 0].unique().numel() == 5


def test_a_seed_repeats_the_draws_and_leaves_the_global_generator_alone():
    x = torch.ones(1, 1)
    before = torch.get_rng_state()
    first = bt.predict(RandomLines(), x, 4, seed=3).samples
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, bt.predict(RandomLines(), x, 4, seed=3).samples)
    assert not torch.equal(first, bt.predict(RandomLines(), x, 4, seed=4).samples)


@pytest.mark.parametrize(("asked", "given"), [(100, 3), (3, 3), (2, 2)])
def test_each_of_finitely_many_networks_is_taken_once(asked, given):
    prediction = bt.predict(ThreeLines(), torch.ones(2, 1), asked)
    assert prediction.samples[:, 0, 0].tolist() == [0.0, 1.0, 2.0][:given]


def test_a_posterior_is_evaluated_like_a_network():
    data = TensorDataset(torch.ones(4, 1), torch.ones(4, 1))
    scores = bt.evaluate(ThreeLines(), data, bt.GaussianLikelihood(1.0))
    assert scores["rmse"] == 0.0


def test_an_error_between_draws_leaves_the_generator_alone():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError):
        bt.predict(RandomLines(), torch.ones(1, 1), 3, seed=0, transform=lambda output: 1 / 0)
    assert torch.equal(torch.get_rng_state(), before)
