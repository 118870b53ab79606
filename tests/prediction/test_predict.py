import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance
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


def test_predicts_in_inference_mode():
    model = nn.Sequential(nn.Linear(2, 2), bt.BayesianLinear(2, 1))
    with torch.inference_mode():
        x = torch.randn(4, 2)
        inside = bt.predict(model, x, 3, seed=0).samples
    torch.testing.assert_close(inside, bt.predict(model, x.clone(), 3, seed=0).samples)


def test_transform_applies_to_each_draw_before_the_average():
    layer = bt.BayesianLinear(2, 3, init_std=2.0)
    x = torch.randn(5, 2)
    logits = bt.predict(layer, x, 50, seed=0)
    probabilities = bt.predict(layer, x, 50, seed=0, transform=nn.Softmax(dim=-1))
    torch.testing.assert_close(probabilities.mean, logits.samples.softmax(-1).mean(0))
    assert not torch.allclose(probabilities.mean, logits.mean.softmax(-1), atol=0.01)


def covariance_over_draws(samples):
    """The draws' products of deviations, whose mean is the covariance between the data."""
    centred = samples.squeeze(-1) - samples.squeeze(-1).mean(dim=0)
    return centred[:, :, None] * centred[:, None, :]


@pytest.mark.parametrize("memory_limit", [1, 2**27])
@pytest.mark.parametrize("estimators", [("weight", "weight"), ("local", "weight")])
def test_draws_have_the_distribution_of_the_plain_loop(estimators, memory_limit):
    # The deterministic first layer is shared, and portions of one row must not change how the
    # data depend on each other: a draw of the weights is one function for all of them.
    with bt.seeded(0):
        model = nn.Sequential(
            nn.Linear(2, 4),
            nn.Tanh(),
            bt.BayesianLinear(4, 5, estimator=estimators[0], init_std=0.4),
            nn.ReLU(),
            bt.BayesianLinear(5, 1, estimator=estimators[1], init_std=0.4),
        )
        x = torch.randn(3, 2)
        with torch.no_grad():
            loop = torch.stack([model(x) for _ in range(8_000)])
    samples = bt.predict(model, x, 8_000, seed=1, memory_limit=memory_limit).samples
    both = torch.cat([loop, samples])
    sign = torch.cat([torch.ones(len(loop)), -torch.ones(len(samples))])
    assert_mean(2 * sign[:, None, None] * both, torch.zeros(3, 1))
    both = torch.cat([covariance_over_draws(loop), covariance_over_draws(samples)])
    assert_mean(2 * sign[:, None, None] * both, torch.zeros(3, 3))


def test_portions_share_the_weights_of_a_draw_and_not_the_noise_of_local():
    x = torch.ones(5, 2)
    weight = nn.Sequential(bt.BayesianLinear(2, 3, estimator="weight"))
    samples = bt.predict(weight, x, 4, memory_limit=1).samples
    torch.testing.assert_close(samples, samples[:, :1].expand_as(samples))
    assert len(samples[:, 0].unique(dim=0)) == 4
    local = nn.Sequential(bt.BayesianLinear(2, 3, estimator="local"))
    assert len(bt.predict(local, x, 4, memory_limit=1).samples.flatten(0, 1).unique(dim=0)) == 20


def test_what_lies_before_the_first_draw_runs_once_for_each_portion():
    model = bt.to_bayesian(bt.mnist_network(), skip=("trunk",))
    rows = []
    model.trunk.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    bt.predict(model, torch.zeros(6, 1, 28, 28), 7)
    assert rows == [1, 6]  # one row to learn how much memory a row takes
    rows.clear()
    bt.predict(model, torch.zeros(6, 1, 28, 28), 7, memory_limit=3 * 6 * 32 * 28 * 28 * 4)
    assert rows == [1, 3, 3]


def test_the_first_layers_moments_are_worked_out_once(monkeypatch):
    model = nn.Sequential(bt.BayesianLinear(2, 3), nn.ReLU(), bt.BayesianLinear(3, 1))
    counts = {layer: 0 for layer in bt.bayesian_layers(model)}
    moments = bt.BayesianLayer.output_moments

    def counted(layer, x):
        counts[layer] += len(x) > 1
        return moments(layer, x)

    monkeypatch.setattr(bt.BayesianLayer, "output_moments", counted)
    bt.predict(model, torch.zeros(4, 2), 9)
    assert list(counts.values()) == [1, 9]


@pytest.mark.parametrize("transform", [torch.mean, lambda output: output[:1]])
def test_an_output_without_a_row_for_each_input_is_an_error(model, transform):
    # It would be broadcast to all rows.
    with pytest.raises(ValueError, match="output for 4 rows of x has shape"):
        bt.predict(model, torch.randn(4, 2), 2, transform=transform)


@pytest.mark.parametrize(
    ("x", "keywords", "words"),
    [
        (torch.zeros(2, 2), {"num_samples": 0}, "num_samples=0"),
        (torch.zeros(2, 2), {"memory_limit": 0}, "memory_limit=0"),
        (torch.zeros(0, 2), {}, r"x has shape \(0, 2\)"),
        (torch.tensor(1.0), {}, r"x has shape \(\)"),
    ],
)
def test_wrong_arguments_are_errors(model, x, keywords, words):
    with pytest.raises(ValueError, match=words):
        bt.predict(model, x, **keywords)


@pytest.mark.parametrize("dtype", [torch.float64, torch.uint8, torch.int64])
def test_inputs_of_another_kind_than_the_weights_are_named(dtype):
    words = f"x: the model, whose parameters are torch.float32, can't take inputs of {dtype}"
    with pytest.raises(ValueError, match=words):
        bt.predict(bt.BayesianLinear(2, 1), torch.ones(3, 2, dtype=dtype))
    tokens = bt.to_bayesian(nn.Sequential(nn.Embedding(5, 2)), whole=True)
    assert bt.predict(tokens, torch.tensor([1, 2]), 3).samples.shape == (3, 2, 2)
