import contextlib
import copy
import io

import pytest
import torch
from helpers.monte_carlo import assert_covariance, assert_mean, assert_variance
from torch import nn
from torch.distributions import Distribution, Normal

import bnn_tutorial as bt
from bnn_tutorial.layers.bayesian import ESTIMATORS

CONVOLUTIONS = {
    1: (bt.BayesianConv1d, nn.Conv1d, (3, 2, 6)),
    2: (bt.BayesianConv2d, nn.Conv2d, (3, 2, 5, 4)),
    3: (bt.BayesianConv3d, nn.Conv3d, (2, 2, 4, 3, 3)),
}


def convolutions(dim):
    """Cases of one convolution: kernels, strides and paddings that differ between dimensions."""
    bayesian, twin, shape = CONVOLUTIONS[dim]
    kernel = (3, 2, 2)[:dim]

    def case(*arguments, shape=shape, **keywords):
        return bayesian, twin, (2, *arguments), keywords, shape

    return {
        f"conv{dim}d": case(2, 2),
        f"conv{dim}d, unbatched": case(2, kernel, shape=shape[1:]),
        f"conv{dim}d, all arguments": case(
            4,
            kernel,
            (2, 1, 2)[:dim],
            (1, 2, 1)[:dim],
            (1, 2, 1)[:dim],
            2,
            False,
        ),
        f"conv{dim}d, same": case(2, kernel, padding="same"),
        f"conv{dim}d, valid": case(2, kernel, padding="valid"),
        f"conv{dim}d, reflect and same": case(2, kernel, padding="same", padding_mode="reflect"),
        f"conv{dim}d, replicate": case(2, 2, padding=1, padding_mode="replicate"),
        f"conv{dim}d, circular": case(2, 2, padding=(0, 1, 2)[-dim:], padding_mode="circular"),
    }


TRANSPOSED = {
    1: (bt.BayesianConvTranspose1d, nn.ConvTranspose1d, (3, 2, 6)),
    2: (bt.BayesianConvTranspose2d, nn.ConvTranspose2d, (3, 2, 4, 3)),
    3: (bt.BayesianConvTranspose3d, nn.ConvTranspose3d, (2, 2, 2, 3, 2)),
}


def transposed(dim):
    """Cases of one transposed convolution."""
    bayesian, twin, shape = TRANSPOSED[dim]
    kernel, stride = (3, 2, 2)[:dim], (2, 2, 3)[:dim]
    return {
        f"transposed{dim}d": (bayesian, twin, (2, 3, 2), {}, shape),
        f"transposed{dim}d, unbatched": (bayesian, twin, (2, 3, kernel), {}, shape[1:]),
        f"transposed{dim}d, all arguments": (
            bayesian,
            twin,
            (2, 4, kernel, stride, 1, (1, 0, 1)[:dim], 2, False, (1, 2, 1)[:dim]),
            {},
            shape,
        ),
    }


# Every class that claims the layer's contract: constructor, its torch.nn twin, arguments, an input.
LAYERS = {
    "linear": (bt.BayesianLinear, nn.Linear, (3, 4), {}, (5, 3)),
    "linear without bias": (bt.BayesianLinear, nn.Linear, (3, 4), {"bias": False}, (5, 3)),
    "linear, one datum": (bt.BayesianLinear, nn.Linear, (3, 4), {}, (3,)),
    "linear, three dimensions": (bt.BayesianLinear, nn.Linear, (3, 4), {}, (2, 5, 3)),
    **convolutions(1),
    **convolutions(2),
    **convolutions(3),
    **transposed(1),
    **transposed(2),
    **transposed(3),
}
contract = pytest.mark.parametrize(
    ("name", "estimator"), [(name, estimator) for name in LAYERS for estimator in ESTIMATORS]
)
# What costs seconds or does not depend on the arguments runs over one case of each kind.
ONE_OF_EACH = (
    "linear",
    "conv1d",
    "conv2d, reflect and same",
    "conv3d, all arguments",
    "transposed2d",
)
short_contract = pytest.mark.parametrize(
    ("name", "estimator"), [(name, estimator) for name in ONE_OF_EACH for estimator in ESTIMATORS]
)
estimators = pytest.mark.parametrize("estimator", ESTIMATORS)


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


def responses(layer, x):
    """How far one standard deviation of each single weight moves each output: (weights, K)."""
    stds = [layer.weight_std.detach()]
    if layer.bias_std is not None:
        stds.append(layer.bias_std.detach())
    moved = []
    for part, std in enumerate(stds):
        for index in range(std.numel()):
            one = [torch.zeros_like(std) for std in stds]
            one[part].view(-1)[index] = std.view(-1)[index]
            output = layer.linear_map(x, one[0], one[1] if len(one) > 1 else None)
            moved.append(output.flatten())
    return torch.stack(moved)


def datum_of_each_output(layer, output):
    """Which datum of the batch each output belongs to, shape (K,)."""
    of_one_datum = 1 + layer.spatial_dims
    data = output.shape[: output.dim() - of_one_datum].numel()
    return torch.arange(data).repeat_interleave(output.numel() // data)


def expected_covariance(layer, x):
    """The exact covariance of all outputs that the layer's estimator promises, shape (K, K)."""
    moved = responses(layer, x)
    covariance = moved.T @ moved
    if layer.estimator == "local":
        return covariance.diag().diag()
    if layer.estimator == "flipout":
        datum = datum_of_each_output(layer, layer.linear_map(x, layer.weight_mean, None))
        return covariance * (datum[:, None] == datum)
    return covariance


def zero_means(layer):
    for part in layer.gaussians():
        nn.init.zeros_(part.mean)


@contract
def test_output_has_the_exact_mean_and_covariance(name, estimator):
    # One draw of the weights correlates all outputs; flipout's signs undo that between data, the
    # local noise between all outputs. Without noise in the weights the map is linear in them, so
    # that single weights moved by one standard deviation give every covariance.
    layer, x = make(name, estimator)
    with torch.no_grad(), bt.seeded(2):
        draws = torch.stack([layer(x).flatten() for _ in range(1000)])
        assert_mean(draws, layer.linear_map(x, layer.weight_mean, layer.bias_mean).flatten())
        assert_covariance(draws, expected_covariance(layer, x))


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
    x.requires_grad_()

    def output(x, *values):
        with bt.seeded(4):
            state = dict(zip(parameters, values, strict=True))
            return torch.func.functional_call(layer, state, (x,))

    assert torch.autograd.gradcheck(output, (x, *parameters.values()))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", ["linear", "conv2d"])
def test_second_derivatives_agree_with_finite_differences(name, estimator):
    layer, x = make(name, estimator, dtype=torch.float64)
    parameters = dict(layer.named_parameters())

    def output(x, *values):
        with bt.seeded(4):
            state = dict(zip(parameters, values, strict=True))
            return torch.func.functional_call(layer, state, (x,)).sum()

    inputs = (x.requires_grad_(), *parameters.values())
    assert torch.autograd.gradgradcheck(output, inputs)


@contract
@pytest.mark.parametrize("rho", [-40.0, 100.0])
def test_extreme_rho_and_zero_input_give_finite_gradients(name, estimator, rho):
    layer, x = make(name, estimator)
    for part in layer.gaussians():
        nn.init.constant_(part.rho, rho)
    x[0] = 0
    x.requires_grad_()
    (layer(x).square().mean() + layer.kl_divergence()).backward()
    for value in (x, *layer.parameters()):
        assert torch.isfinite(value.grad).all()


@estimators
def test_an_all_zero_input_without_bias_is_exactly_zero(estimator):
    layer, x = make("linear without bias", estimator)
    assert torch.equal(layer(torch.zeros_like(x)), torch.zeros(5, 4))


@contract
def test_state_dict_goes_through_a_file_and_carries_the_prior(name, estimator):
    layer, x = make(name, estimator, prior=Normal(0.3, 0.2))
    other, _ = make(name, estimator)
    for part in other.gaussians():
        nn.init.normal_(part.mean)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert torch.equal(other.kl_divergence(), layer.kl_divergence())
    assert other.prior.scale.item() == pytest.approx(0.2)
    with bt.posterior_mean(layer), bt.posterior_mean(other):
        assert torch.equal(other(x), layer(x))


@contract
def test_deepcopy_in_the_midst_of_training_is_a_layer_of_its_own(name, estimator):
    layer, x = make(name, estimator)
    loss = layer(x).square().mean() + layer.kl_divergence()
    twin = copy.deepcopy(layer)
    loss.backward()
    later = copy.deepcopy(layer)
    for part in layer.gaussians():
        nn.init.zeros_(part.mean)
        part.prior.Normal_scale.fill_(9.0)
    with bt.seeded(5):
        expected = make(name, estimator)[0](x)
    for copied in (twin, later):
        with bt.seeded(5):
            assert torch.equal(copied(x), expected)
        assert copied.prior.scale.item() == 1


@contract
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_layer_follows_a_floating_point_type(name, estimator, dtype):
    layer, x = make(name, estimator)
    single = layer.kl_divergence()
    layer.to(dtype)
    x = x.to(dtype).requires_grad_()
    output, kl = layer(x), layer.kl_divergence()
    assert output.dtype == dtype
    assert kl.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    torch.testing.assert_close(kl, single, rtol=0.02, atol=0, check_dtype=False)
    (output.square().mean() + kl).backward()
    for value in (x, *layer.parameters()):
        assert value.grad.dtype == dtype
        assert torch.isfinite(value.grad).all()


@short_contract
def test_half_precision_keeps_the_width_of_a_narrow_posterior(name, estimator):
    # softplus(-8)^2 = 1e-7 has no more than two digits in half precision; halved again, none.
    layer, x = make(name, estimator)
    for part in layer.gaussians():
        nn.init.constant_(part.rho, -8.0)
    zero_means(layer)
    variance = responses(layer, x).square().sum(dim=0)
    layer.half()
    with torch.no_grad(), bt.seeded(6):
        draws = torch.stack([layer(x.half()).flatten() for _ in range(1000)])
    assert_variance(draws, variance)


@short_contract
def test_autocast_computes_the_variance_in_single_precision(name, estimator):
    layer, x = make(name, estimator)
    zero_means(layer)
    plain, kl = layer.output_moments(x)[1], layer.kl_divergence()
    with torch.autocast("cpu", dtype=torch.bfloat16), bt.seeded(7):
        output = layer(x)
        mean, variance = layer.output_moments(x)
        assert (output.dtype, mean.dtype) == (torch.bfloat16, torch.bfloat16)
        assert torch.equal(variance, plain)
        assert torch.equal(layer.kl_divergence(), kl)
        with torch.no_grad():
            draws = torch.stack([layer(x).flatten() for _ in range(1000)])
    assert_variance(draws, responses(layer, x).square().sum(dim=0))
    output.float().square().mean().backward()
    for parameter in layer.parameters():
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize(
    ("name", "estimator"),
    [*(("linear", estimator) for estimator in ESTIMATORS), ("conv2d, reflect and same", "local")],
)
def test_compiles_as_one_graph_that_draws_as_the_layer_does(name, estimator, monkeypatch):
    # torch.compile switches off the validation of all distributions; here until the test's end.
    monkeypatch.setattr(Distribution, "_validate_args", Distribution._validate_args)
    layer, x = make(name, estimator)
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    gradients = []
    for version in (layer, compiled):
        layer.zero_grad()
        with bt.seeded(8):
            output = version(x)
            output.square().sum().backward()
        gradients.append([output, *(parameter.grad.clone() for parameter in layer.parameters())])
    for plain, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, plain)
    assert not torch.equal(compiled(x), compiled(x))
    with bt.posterior_mean(layer):
        assert torch.equal(compiled(x), layer(x))


@short_contract
def test_functional_call_and_grad_agree_with_the_layer(name, estimator):
    layer, x = make(name, estimator)
    other = copy.deepcopy(layer)
    for part in other.gaussians():
        nn.init.normal_(part.mean)

    def loss(parameters):
        return torch.func.functional_call(layer, parameters, (x,)).square().sum()

    with bt.seeded(9):
        gradients = torch.func.grad(loss)(dict(other.named_parameters()))
    with bt.seeded(9):
        other(x).square().sum().backward()
    for name, parameter in other.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)


@short_contract
def test_vmap_draws_for_each_datum_or_once_for_all(name, estimator):
    layer, x = make(name, estimator)
    variance = responses(layer, x).square().sum(dim=0)
    copies = x.expand(2000, *x.shape)
    with torch.no_grad(), bt.seeded(10):
        draws = torch.func.vmap(layer, randomness="different")(copies).flatten(1)
        same = torch.func.vmap(layer, randomness="same")(copies[:5])
        again = torch.func.vmap(layer, randomness="same")(copies[:5])
        assert_mean(draws, layer.linear_map(x, layer.weight_mean, layer.bias_mean).flatten())
    assert_variance(draws, variance)
    torch.testing.assert_close(same, same[:1].expand_as(same))
    assert not torch.allclose(same, again)


@short_contract
def test_vmap_runs_an_ensemble_of_stacked_parameters(name, estimator):
    layers = [make(name, estimator)[0] for _ in range(3)]
    x = make(name, estimator)[1]
    for member, layer in enumerate(layers):
        for part in layer.gaussians():
            nn.init.constant_(part.mean, float(member))
            nn.init.constant_(part.rho, -20.0)
    state = torch.func.stack_module_state(layers)

    def loss(parameters, buffers):
        output = torch.func.functional_call(layers[0], (parameters, buffers), (x,))
        return output.square().sum(), output

    gradients, outputs = torch.func.vmap(
        torch.func.grad(loss, has_aux=True), randomness="different"
    )(*state)
    for member, layer in enumerate(layers):
        with bt.posterior_mean(layer):
            torch.testing.assert_close(outputs[member], layer(x), rtol=1e-4, atol=1e-5)
        layer.zero_grad()
        layer(x).square().sum().backward()
        expected = layer.weight_mean.grad
        torch.testing.assert_close(gradients["weight_mean"][member], expected, rtol=1e-4, atol=1e-4)


@contract
def test_moves_to_another_device_in_the_midst_of_training(name, estimator, monkeypatch):
    # The meta device is at hand everywhere, and a tensor left behind is an error on it as well; it
    # only lacks autocast, which has nothing to do here.
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    layer, x = make(name, estimator)
    (layer(x).square().mean() + layer.kl_divergence()).backward()
    layer.to("meta")
    x = x.to("meta").requires_grad_()
    loss = layer(x).square().mean() + layer.kl_divergence()
    loss.backward()
    assert {value.device.type for value in (loss, x.grad, *layer.buffers())} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@contract
def test_layer_moves_to_the_gpu_and_back(name, estimator):
    layer, x = make(name, estimator)
    for device in ("cuda", "cpu", "cuda"):
        layer.to(device)
        loss = layer(x.to(device)).square().mean() + layer.kl_divergence()
        assert loss.device.type == device
        loss.backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


@contract
def test_a_pass_leaves_nothing_behind(name, estimator):
    layer, x = make(name, estimator)
    before = dict(vars(layer))
    generator = torch.get_rng_state()
    with bt.seeded(11):
        first = layer(x)
    first.square().sum().backward()
    assert torch.equal(torch.get_rng_state(), generator)
    assert vars(layer) == before
    with bt.seeded(11):
        assert torch.equal(layer(x), first)


def test_what_the_data_of_a_batch_share_tells_the_estimators_apart():
    # One input of 1 and no bias: the output is the weight itself, or a sign times its deviation.
    x = torch.ones(64, 1)
    deviations = {}
    for estimator in ESTIMATORS:
        layer = bt.BayesianLinear(1, 1, bias=False, estimator=estimator)
        deviations[estimator] = (layer(x) - layer.weight_mean).flatten()
    assert len(deviations["weight"].unique()) == 1
    assert len(deviations["local"].unique()) == 64
    signs = deviations["flipout"].sign().unique()
    assert signs.tolist() == [-1, 1]
    size = deviations["flipout"].abs()
    torch.testing.assert_close(size, size[:1].expand(64))


def test_flipout_flips_every_input_by_itself():
    # Two inputs of 1: the two deviations are added in some data and subtracted in others.
    layer = bt.BayesianLinear(2, 1, bias=False, estimator="flipout")
    size = (layer(torch.ones(64, 2)) - layer.weight_mean.sum()).abs().detach()
    small, large = size.min(), size.max()
    assert large > 1.01 * small
    assert (torch.isclose(size, small, atol=1e-6) | torch.isclose(size, large, atol=1e-6)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_flipout_flips_as_often_as_not(dtype):
    layer = bt.BayesianLinear(1, 1, bias=False, estimator="flipout", dtype=dtype)
    nn.init.zeros_(layer.weight_mean)
    with torch.no_grad(), bt.seeded(12):
        signs = layer(torch.ones(200_000, 1, dtype=dtype)).sign()
    assert_mean(signs, torch.zeros(1))


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


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_means_start_as_torch_starts_its_weights(name):
    bayesian, twin, arguments, keywords, _ = LAYERS[name]
    with bt.seeded(0):
        layer = bayesian(*arguments, **keywords, init_std=0.07)
    with bt.seeded(0):
        expected = twin(*arguments, **keywords)
    assert torch.equal(layer.weight_mean, expected.weight)
    torch.testing.assert_close(layer.weight_std, torch.full_like(layer.weight_std, 0.07))
    if expected.bias is not None:
        assert torch.equal(layer.bias_mean, expected.bias)
        torch.testing.assert_close(layer.bias_std, torch.full_like(layer.bias_std, 0.07))


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
    ("settings", "words"),
    [
        ({"estimator": "flip"}, "estimator='flip'.*weight, local, flipout"),
        ({"init_std": 0.0}, r"^init_std=0.0.*positive"),
        ({"init_std": -0.1}, r"^init_std=-0.1.*positive"),
        ({"init_std": float("nan")}, r"^init_std=nan.*positive"),
        ({"init_std": float("inf")}, r"^init_std=inf.*positive"),
    ],
)
def test_wrong_settings_are_errors_that_say_what_was_expected(settings, words):
    with pytest.raises(ValueError, match=words):
        bt.BayesianLinear(2, 2, **settings)


@pytest.mark.parametrize("dim", CONVOLUTIONS)
def test_convolutions_keep_the_errors_of_torch(dim):
    bayesian = CONVOLUTIONS[dim][0]
    with pytest.raises(ValueError, match="divisible by groups"):
        bayesian(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="padding_mode"):
        bayesian(3, 4, 3, padding_mode="mirror")
    with pytest.raises(ValueError, match="padding='same'"):
        bayesian(3, 4, 3, stride=2, padding="same")


def test_print_shows_prior_and_estimator():
    text = repr(bt.BayesianConv2d(1, 2, 3, prior=Normal(0.0, 0.1), estimator="weight"))
    assert "prior=Normal(loc=0, scale=0.1)" in text
    assert "estimator='weight'" in text


@pytest.mark.parametrize("name", ["kl_divergence", "weight_std", "bias_std"])
def test_a_subclass_cannot_change_the_kl_where_a_network_would_not_see_it(name):
    with pytest.raises(TypeError, match=f"Own overrides {name}.*gaussians"):
        type("Own", (bt.BayesianLinear,), {name: None})


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("inputs", "outputs"), [(0, 3), (3, 0)])
def test_a_layer_may_be_empty_as_in_torch(inputs, outputs, estimator):
    layer = bt.BayesianLinear(inputs, outputs, estimator=estimator)
    assert layer(torch.zeros(2, inputs)).shape == (2, outputs)
    assert torch.isfinite(layer.kl_divergence())
