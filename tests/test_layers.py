import copy
import math

import pytest
import torch
import torch.nn.functional as F
from monte_carlo import assert_mean, assert_variance
from torch import nn
from torch.distributions import Normal

import bnn_tutorial as bt
from bnn_tutorial.layers import ESTIMATORS

# Every class that claims the layer's contract: constructor, its torch.nn twin, arguments, an input.
LAYERS = {
    "linear": (bt.BayesianLinear, nn.Linear, (3, 4), {}, (5, 3)),
    "linear without bias": (bt.BayesianLinear, nn.Linear, (3, 4), {"bias": False}, (5, 3)),
    "linear, three dimensions": (bt.BayesianLinear, nn.Linear, (3, 4), {}, (2, 5, 3)),
    "conv": (bt.BayesianConv2d, nn.Conv2d, (2, 4, 3), {}, (3, 2, 6, 5)),
    "conv, unbatched": (bt.BayesianConv2d, nn.Conv2d, (2, 4, 3), {}, (2, 6, 5)),
    "conv, all arguments": (
        bt.BayesianConv2d,
        nn.Conv2d,
        (2, 4, (3, 2)),
        {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2, "bias": False},
        (3, 2, 7, 7),
    ),
    "conv, same": (bt.BayesianConv2d, nn.Conv2d, (2, 4, 3), {"padding": "same"}, (3, 2, 6, 5)),
    "conv, circular": (
        bt.BayesianConv2d,
        nn.Conv2d,
        (2, 4, 3),
        {"padding": 1, "padding_mode": "circular"},
        (3, 2, 6, 5),
    ),
    "conv, reflect and same": (
        bt.BayesianConv2d,
        nn.Conv2d,
        (2, 4, (4, 3)),
        {"padding": "same", "padding_mode": "reflect"},
        (3, 2, 6, 5),
    ),
}
contract = pytest.mark.parametrize(
    ("name", "estimator"), [(name, estimator) for name in LAYERS for estimator in ESTIMATORS]
)


def make(name, estimator, **settings):
    """Build one of LAYERS with widths that differ from weight to weight, and an input."""
    bayesian, _, arguments, keywords, shape = LAYERS[name]
    with bt.seeded(1):
        layer = bayesian(*arguments, **keywords, estimator=estimator, **settings)
        with torch.no_grad():
            layer.weight_rho.uniform_(-3, 0)
            if layer.bias_rho is not None:
                layer.bias_rho.uniform_(-3, 0)
        x = torch.randn(shape, dtype=layer.weight_mean.dtype)
    return layer, x


def exact_moments(layer, x):
    """Mean and variance of the output, from unrolled weights rather than the layer's own maps."""

    def apply(values, weight, bias):
        twin = copy.deepcopy(layer)
        return twin.linear_map(values, weight, bias)

    # The map is linear in the weights: the variance is the sum, over single weights, of the
    # squared response to that weight times its variance.
    mean = apply(x, layer.weight_mean, layer.bias_mean)
    variance = torch.zeros_like(mean)
    std = layer.weight_std.detach()
    for index in range(std.numel()):
        one = torch.zeros_like(std).flatten()
        one[index] = std.flatten()[index]
        variance += apply(x, one.view_as(std), None).square()
    if layer.bias_std is not None:
        nothing = torch.zeros_like(std)
        for index in range(len(layer.bias_std)):
            one = torch.zeros_like(layer.bias_std)
            one[index] = layer.bias_std[index]
            variance += apply(x, nothing, one).square()
    return mean.detach(), variance.detach()


@contract
def test_output_has_the_exact_mean_and_variance(name, estimator):
    layer, x = make(name, estimator)
    mean, variance = exact_moments(layer, x)
    with torch.no_grad(), bt.seeded(2):
        draws = torch.stack([layer(x) for _ in range(4000)])
    assert_mean(draws, mean)
    assert_variance(draws, variance)


@contract
def test_posterior_mean_equals_the_torch_twin(name, estimator):
    layer, x = make(name, estimator)
    _, twin_class, arguments, keywords, _ = LAYERS[name]
    twin = twin_class(*arguments, **keywords)
    with torch.no_grad():
        twin.weight.copy_(layer.weight_mean)
        if layer.bias_mean is not None:
            twin.bias.copy_(layer.bias_mean)
        with bt.posterior_mean(layer):
            assert torch.equal(layer(x), twin(x))


@contract
def test_eval_samples_as_train_does(name, estimator):
    layer, x = make(name, estimator)
    for mode in (layer.train(), layer.eval()):
        assert not torch.equal(mode(x), mode(x))


@contract
def test_gradient_of_several_passes_is_the_sum_of_separate_gradients(name, estimator):
    layer, x = make(name, estimator, dtype=torch.float64)

    def gradients(passes):
        layer.zero_grad()
        with bt.seeded(3):
            if passes == "together":
                sum(layer(x).square().sum() for _ in range(3)).backward()
            else:
                for _ in range(3):
                    layer(x).square().sum().backward()
        return [parameter.grad.clone() for parameter in layer.parameters()]

    together, separate = gradients("together"), gradients("one by one")
    for left, right in zip(together, separate, strict=True):
        torch.testing.assert_close(left, right)


@contract
def test_gradient_agrees_with_finite_differences(name, estimator):
    layer, x = make(name, estimator, dtype=torch.float64)
    parameters = dict(layer.named_parameters())

    def output(*values):
        with bt.seeded(4):
            state = dict(zip(parameters, values, strict=True))
            return torch.func.functional_call(layer, state, (x,))

    assert torch.autograd.gradcheck(output, tuple(parameters.values()))


@contract
@pytest.mark.parametrize("rho", [-40.0, 100.0])
def test_extreme_rho_and_zero_input_give_finite_gradients(name, estimator, rho):
    layer, x = make(name, estimator)
    nn.init.constant_(layer.weight_rho, rho)
    x[0] = 0
    x.requires_grad_()
    (layer(x).square().mean() + layer.kl_divergence()).backward()
    for value in (x, *layer.parameters()):
        assert torch.isfinite(value.grad).all()


@contract
def test_state_dict_carries_the_prior(name, estimator):
    layer, _ = make(name, estimator, prior=Normal(0.3, 0.2))
    other, _ = make(name, estimator)
    other.load_state_dict(layer.state_dict(), strict=True)
    torch.testing.assert_close(other.kl_divergence(), layer.kl_divergence(), rtol=0, atol=0)
    assert other.prior.scale.item() == pytest.approx(0.2)


@contract
def test_layer_follows_dtype_and_deepcopy(name, estimator):
    layer, x = make(name, estimator)
    double = copy.deepcopy(layer).double()
    assert double(x.double()).dtype == torch.float64
    assert double.prior.scale.dtype == torch.float64
    assert layer(x).dtype == torch.float32


@contract
@pytest.mark.parametrize("prior", [Normal(0.0, 1.0), Normal(-0.5, 0.1)])
def test_kl_is_the_sum_of_closed_forms(name, estimator, prior):
    layer, _ = make(name, estimator, prior=prior, dtype=torch.float64)
    means = [layer.weight_mean] + ([] if layer.bias_mean is None else [layer.bias_mean])
    stds = [layer.weight_std] + ([] if layer.bias_std is None else [layer.bias_std])
    expected = 0.0
    for mean, std in zip(means, stds, strict=True):
        for mu, sigma in zip(mean.flatten().tolist(), std.flatten().tolist(), strict=True):
            mu_p, sigma_p = prior.loc.item(), prior.scale.item()
            expected += math.log(sigma_p / sigma) - 0.5
            expected += (sigma**2 + (mu - mu_p) ** 2) / (2 * sigma_p**2)
    assert layer.kl_divergence().item() == pytest.approx(expected, rel=1e-6)


def test_kl_is_the_mean_log_ratio_of_posterior_to_prior():
    # The order of the arguments and the sign, from the definition: E_q[log q(w) - log p(w)].
    layer, _ = make("linear", "weight", prior=Normal(0.2, 0.5))
    q, p = Normal(layer.weight_mean, layer.weight_std), layer.prior
    q_bias = Normal(layer.bias_mean, layer.bias_std)
    with torch.no_grad(), bt.seeded(5):
        w, b = q.sample((20000,)), q_bias.sample((20000,))
        draws = (q.log_prob(w) - p.log_prob(w)).flatten(1).sum(1)
        draws += (q_bias.log_prob(b) - p.log_prob(b)).sum(1)
        assert_mean(draws, layer.kl_divergence())


def test_kl_is_zero_at_the_prior_and_above_elsewhere():
    layer = bt.BayesianLinear(3, 2, prior=Normal(0.0, 0.4), init_std=0.4)
    for mean in (layer.weight_mean, layer.bias_mean):
        nn.init.zeros_(mean)
    assert layer.kl_divergence().item() == pytest.approx(0, abs=1e-6)
    nn.init.constant_(layer.bias_mean, 0.1)
    assert layer.kl_divergence().item() > 0


def test_std_stays_positive_however_far_training_pushes_rho():
    layer = bt.BayesianLinear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=10.0)
    for _ in range(50):
        optimizer.zero_grad()
        (layer.weight_std.sum() + layer.bias_std.sum()).backward()
        optimizer.step()
    assert (layer.weight_rho < -5).all()
    assert (layer.weight_std > 0).all()
    assert torch.isfinite(layer.kl_divergence())


@pytest.mark.parametrize("std", [1e-6, 0.05, 1.0, 30.0])
def test_inverse_softplus_inverts(std):
    rho = torch.tensor(bt.inverse_softplus(std), dtype=torch.float64)
    assert F.softplus(rho).item() == pytest.approx(std, rel=1e-9)


def test_init_std_is_a_standard_deviation():
    layer = bt.BayesianConv2d(2, 3, 3, init_std=0.07)
    torch.testing.assert_close(layer.weight_std, torch.full_like(layer.weight_std, 0.07))
    torch.testing.assert_close(layer.bias_std, torch.full_like(layer.bias_std, 0.07))


@pytest.mark.parametrize("bayesian", [bt.BayesianLinear, bt.BayesianConv2d])
def test_means_start_as_torch_starts_its_weights(bayesian):
    twin = {bt.BayesianLinear: nn.Linear, bt.BayesianConv2d: nn.Conv2d}[bayesian]
    arguments = (40, 50) if twin is nn.Linear else (40, 50, 3)
    with bt.seeded(0):
        layer = bayesian(*arguments)
    with bt.seeded(0):
        expected = twin(*arguments)
    torch.testing.assert_close(layer.weight_mean, expected.weight, rtol=0, atol=0)
    torch.testing.assert_close(layer.bias_mean, expected.bias, rtol=0, atol=0)


def test_one_draw_of_the_weights_serves_the_whole_batch():
    # Equal rows in, equal rows out: only the weight estimator draws one function.
    x = torch.ones(4, 3)
    assert bt.BayesianLinear(3, 2, estimator="weight")(x).unique(dim=0).shape[0] == 1
    assert bt.BayesianLinear(3, 2, estimator="local")(x).unique(dim=0).shape[0] == 4


def test_posterior_mean_gives_every_layer_back_as_it_was():
    model = nn.Sequential(bt.BayesianLinear(2, 2), nn.ReLU(), bt.BayesianLinear(2, 2))
    layers = bt.bayesian_layers(model)
    with bt.posterior_mean(model):
        with bt.posterior_mean(model[0]):
            pass
        assert [layer.sampling for layer in layers] == [False, False]
    assert [layer.sampling for layer in layers] == [True, True]
    with pytest.raises(RuntimeError), bt.posterior_mean(model):
        model(torch.zeros(1, 3))
    assert [layer.sampling for layer in layers] == [True, True]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"estimator": "flip"}, ValueError, "estimator='flip'.*weight, local"),
        ({"init_std": 0.0}, ValueError, "std=0.0.*positive"),
        ({"init_std": -0.1}, ValueError, "std=-0.1.*positive"),
        ({"init_std": float("nan")}, ValueError, "std=nan.*positive"),
        ({"prior": 0.1}, TypeError, "prior=0.1.*Normal"),
    ],
)
def test_wrong_settings_are_errors_that_say_what_was_expected(settings, error, words):
    with pytest.raises(error, match=words):
        bt.BayesianLinear(2, 2, **settings)


def test_convolution_keeps_the_errors_of_torch():
    with pytest.raises(ValueError, match="divisible by groups"):
        bt.BayesianConv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="padding_mode"):
        bt.BayesianConv2d(3, 4, 3, padding_mode="mirror")


def test_print_shows_prior_and_estimator():
    text = repr(bt.BayesianConv2d(1, 2, 3, prior=Normal(0.0, 0.1), estimator="weight"))
    assert "prior=Normal(loc=0, scale=0.1)" in text
    assert "estimator='weight'" in text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@contract
def test_layer_moves_to_the_gpu(name, estimator):
    layer, x = make(name, estimator)
    layer.to("cuda")
    assert layer(x.to("cuda")).device.type == "cuda"
    assert layer.kl_divergence().device.type == "cuda"
