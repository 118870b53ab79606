import pytest
import torch
from monte_carlo import assert_mean, assert_variance
from torch import nn

import bnn_tutorial as bt


@pytest.fixture
def model():
    with bt.seeded(0):
        return nn.Sequential(
            bt.BayesianLinear(2, 8, estimator="weight"), nn.ReLU(), bt.BayesianLinear(8, 1)
        )


def test_predict_has_the_exact_moments_of_a_linear_layer():
    layer = bt.BayesianLinear(2, 1, init_std=0.3)
    x = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    prediction = bt.predict(layer, x, 20_000, seed=1)
    variance = 0.3**2 * (x.square().sum(dim=1, keepdim=True) + 1)
    with torch.no_grad(), bt.posterior_mean(layer):
        assert_mean(prediction.samples, layer(x))
    assert_variance(prediction.samples, variance)


def test_std_is_a_standard_deviation_and_the_band_reaches_k_of_them():
    # Exact draws of known spread: a variance in its place would be 0.25 or, in the band, 0.75.
    samples = torch.tensor([[[-0.5]], [[0.5]], [[-0.5]], [[0.5]]]) + 2
    prediction = bt.Prediction(samples)
    std = (4 * 0.25 / 3) ** 0.5
    assert prediction.mean.item() == 2
    assert prediction.std.item() == pytest.approx(std)
    low, high = prediction.interval(k=3.0)
    assert (low.item(), high.item()) == pytest.approx((2 - 3 * std, 2 + 3 * std))
    low, high = prediction.interval(k=2.0, noise_std=1.2)
    assert (high - low).item() == pytest.approx(4 * (std**2 + 1.44) ** 0.5)


def test_total_band_of_gaussian_draws_and_noise_leaves_the_nominal_share_outside():
    generator = torch.Generator().manual_seed(0)
    function = torch.randn(400, 5000, 1, generator=generator) * 0.6
    y = torch.randn(5000, 1, generator=generator) * (0.6**2 + 0.8**2) ** 0.5
    low, high = bt.Prediction(function).interval(2.0, noise_std=0.8)
    outside = ((y < low) | (y > high)).flatten().double()
    assert_mean(outside, bt.audit_band(y, low, high, k=2.0).nominal)


@pytest.mark.parametrize("keywords", [{"k": -1.0}, {"noise_std": -0.1}])
def test_negative_widths_are_errors(keywords):
    with pytest.raises(ValueError, match="expected 0 or more"):
        bt.Prediction(torch.zeros(2, 1, 1)).interval(**keywords)


def test_a_seed_repeats_the_draws_and_leaves_the_global_generator_alone(model):
    x = torch.randn(4, 2)
    before = torch.get_rng_state()
    first = bt.predict(model, x, 3, seed=7).samples
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, bt.predict(model, x, 3, seed=7).samples)
    assert not torch.equal(first, bt.predict(model, x, 3, seed=8).samples)
    assert not torch.equal(first[0], first[1])


def test_the_model_comes_back_as_it_was(model):
    model.train()
    model[1].eval()
    bt.predict(model, torch.randn(4, 2), 2)
    assert [module.training for module in model] == [True, False, True]
    with pytest.raises(RuntimeError):
        bt.predict(model, torch.randn(4, 3), 2)
    assert [module.training for module in model] == [True, False, True]


def test_dropout_and_batch_norm_are_off_but_the_posterior_is_not():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5), nn.Linear(2, 1))
    statistics = model[0].running_mean.clone()
    samples = bt.predict(model, torch.randn(6, 2), 4).samples
    assert (samples == samples[0]).all()
    assert torch.equal(model[0].running_mean, statistics)
    assert bt.predict(bt.BayesianLinear(2, 1), torch.randn(6, 2), 4).std.min() > 0


def test_no_gradients_are_kept(model):
    assert not bt.predict(model, torch.randn(4, 2), 2).samples.requires_grad


def test_transform_applies_to_each_draw_before_the_average():
    layer = bt.BayesianLinear(2, 3, init_std=2.0)
    x = torch.randn(5, 2)
    logits = bt.predict(layer, x, 50, seed=0)
    probabilities = bt.predict(layer, x, 50, seed=0, transform=nn.Softmax(dim=-1))
    torch.testing.assert_close(probabilities.mean, logits.samples.softmax(-1).mean(0))
    assert not torch.allclose(probabilities.mean, logits.mean.softmax(-1), atol=0.01)


def test_batches_give_the_same_moments(model):
    x = torch.randn(7, 2)
    with bt.posterior_mean(model):
        whole = bt.predict(model, x, 1).samples
        torch.testing.assert_close(bt.predict(model, x, 1, batch_size=3).samples, whole)
    assert bt.predict(model, x, 2, batch_size=3).samples.shape == (2, 7, 1)


@pytest.mark.parametrize(
    ("x", "keywords", "words"),
    [
        (torch.zeros(2, 2), {"num_samples": 0}, "num_samples=0"),
        (torch.zeros(2, 2), {"batch_size": 0}, "batch_size=0"),
        (torch.zeros(0, 2), {}, r"x has shape \(0, 2\)"),
        (torch.tensor(1.0), {}, r"x has shape \(\)"),
    ],
)
def test_wrong_arguments_are_errors(model, x, keywords, words):
    with pytest.raises(ValueError, match=words):
        bt.predict(model, x, **keywords)
