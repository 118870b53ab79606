import math
import warnings
from collections import OrderedDict
from typing import NamedTuple

import pytest
import torch
import torchvision
from torch import nn
from torch.distributions import Laplace, Normal
from torch.nn.utils import prune

import bnn_tutorial as bt


def test_means_start_at_the_weights_and_the_module_is_left_alone():
    model = bt.mnist_network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twin = bt.to_bayesian(model, prior=Normal(0.0, 0.2), estimator="weight", init_std=0.03)
    x = torch.randn(2, 1, 28, 28)
    with bt.posterior_mean(twin):
        assert torch.equal(twin(x), model(x))
    layers = bt.bayesian_layers(twin)
    assert len(layers) == 4
    for layer in layers:
        assert layer.estimator == "weight"
        assert layer.prior.scale.item() == pytest.approx(0.2)
        assert layer.weight_std.mean().item() == pytest.approx(0.03)
        nn.init.zeros_(layer.weight_mean)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_convolution_keeps_all_its_arguments(dim):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dim - 1](
        4,
        6,
        (3, 2, 2)[:dim],
        stride=(2, 1, 2)[:dim],
        padding=(1, 0, 1)[:dim],
        dilation=(1, 2, 1)[:dim],
        groups=2,
        bias=False,
        padding_mode="replicate",
        dtype=torch.float64,
    )
    x = torch.randn(1, 4, *(7, 8, 5)[:dim], dtype=torch.float64)
    twin = bt.to_bayesian(conv)
    assert isinstance(twin, bt.BayesianLayer)
    with bt.posterior_mean(twin):
        assert torch.equal(twin(x), conv(x))


@pytest.mark.parametrize(
    "layer", [nn.Linear(3, 2, bias=False), nn.Conv2d(1, 2, 3), nn.Conv1d(1, 2, 3)]
)
def test_the_module_may_be_the_layer(layer):
    twin = bt.to_bayesian(layer, prior=Laplace(0.0, 2.0))
    assert isinstance(twin, bt.BayesianLayer)
    assert isinstance(twin.prior, Laplace)
    with pytest.warns(UserWarning, match=f"nothing in this {type(layer).__name__} became Bayes"):
        assert type(bt.to_bayesian(layer, skip=("",))) is type(layer)


class Block(nn.Module):
    """Layers in a list, a dict and two levels down; absent children, a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList([nn.Linear(3, 3), nn.Sequential(nn.Tanh(), nn.Linear(3, 3))])
        self.ends = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Conv1d(1, 1, 2)})
        self.shortcut = None
        self.register_module("projection", None)
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        for step in self.steps:
            x = x * self.scale + step(x)
        return self.ends["b"](self.ends["a"](x)[:, None])


def test_lists_dicts_nested_modules_and_absent_children_convert():
    block = Block()
    twin = bt.to_bayesian(block)
    x = torch.randn(4, 3)
    assert len(bt.bayesian_layers(twin)) == 4
    assert twin.shortcut is None
    assert twin.projection is None
    assert not torch.equal(twin(x), twin(x))
    with bt.posterior_mean(twin):
        assert torch.equal(twin(x), block(x))
    assert list(bt.deterministic_parameters(twin)) == ["scale"]
    assert bt.deterministic_parameters(twin)["scale"] is twin.scale


def test_a_shared_layer_stays_one_layer():
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict({"a": nn.Sequential(shared, nn.ReLU(), shared), "b": shared})
    twin = bt.to_bayesian(model)
    assert twin["a"][0] is twin["a"][2] is twin["b"]
    assert isinstance(twin["b"], bt.BayesianLinear)
    assert len(bt.bayesian_layers(twin)) == 1
    block = nn.Sequential(nn.Linear(2, 2))
    twin = bt.to_bayesian(nn.Sequential(block, nn.Tanh(), block))
    assert twin[0] is twin[2]
    assert len(bt.bayesian_layers(twin)) == 1


def test_skip_keeps_a_submodule_and_all_inside_it():
    twin = bt.to_bayesian(bt.mnist_network(), skip=("trunk",))
    assert type(twin.trunk[0]) is nn.Conv2d
    assert bt.bayesian_layers(twin) == [twin.head[1], twin.head[3]]
    assert set(bt.deterministic_parameters(twin)) == {
        f"trunk.{name}" for name, _ in twin.trunk.named_parameters()
    }
    assert len(bt.bayesian_layers(bt.to_bayesian(bt.mnist_network(), skip=("head.3",)))) == 3


def test_a_shared_layer_that_is_skipped_in_one_place_stays_one_layer():
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict({"a": shared, "b": nn.Sequential(shared), "c": nn.Linear(2, 2)})
    for skip in ("a", "b", "b.0"):
        twin = bt.to_bayesian(model, skip=(skip,))
        assert type(twin["a"]) is nn.Linear
        assert twin["a"] is twin["b"][0]
        assert bt.bayesian_layers(twin) == [twin["c"]]


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_every_module_is_kept(training):
    model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(), nn.Linear(1, 1)).train(training)
    model[1].train(not training)
    model[2].train(not training)
    assert [module.training for module in bt.to_bayesian(model)] == [
        training,
        not training,
        not training,
    ]


def test_what_is_made_bayesian_again_stays_as_it_is():
    once = bt.to_bayesian(
        nn.Sequential(nn.Linear(2, 2)), prior=Normal(0.0, 0.3), estimator="weight"
    )
    with pytest.warns(UserWarning, match="nothing in this Sequential became Bayesian"):
        twice = bt.to_bayesian(once)
    assert twice[0] is not once[0]
    assert twice[0].estimator == "weight"
    assert twice[0].prior.scale.item() == pytest.approx(0.3)


def test_priors_by_name_reach_what_is_inside_and_the_longest_name_wins():
    model = bt.mnist_network()
    priors = {"": Normal(0.0, 1.0), "head": Laplace(0.0, 2.0), "head.3": bt.scale_mixture()}
    twin = bt.to_bayesian(model, prior=priors)
    families = {
        name: type(module.prior).__name__
        for name, module in twin.named_modules()
        if isinstance(module, bt.BayesianLayer)
    }
    assert families.pop("head.1") == "Laplace"
    assert families.pop("head.3") == "MixtureSameFamily"
    assert set(families.values()) == {"Normal"}
    # A name is no prefix of another one's: "1" says nothing about "10".
    model = nn.Sequential(*(nn.Linear(1, 1) for _ in range(11)))
    twin = bt.to_bayesian(model, prior={"1": Normal(0.0, 0.5)})
    assert [layer.prior.scale.item() for layer in twin] == [1.0, 0.5, *[1.0] * 9]


def test_empirical_prior_starts_at_the_trained_weights():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[0].weight[0] = 0
    twin = bt.to_bayesian(model, prior=bt.EmpiricalPrior(delta=0.2, std=0.7), init_std=9.0)
    for layer, original in ((twin[0], model[0]), (twin[2], model[2])):
        torch.testing.assert_close(layer.prior.loc, original.weight.detach())
        torch.testing.assert_close(layer.prior.scale, torch.full_like(original.weight, 0.7))
        expected = 0.2 * original.weight.detach().abs()
        torch.testing.assert_close(layer.weight_std.detach(), expected, rtol=1e-5, atol=2e-12)
    torch.testing.assert_close(twin[0].bias_std.detach(), 0.2 * model[0].bias.detach().abs())
    # At the start the means agree, so that the KL is that of the widths alone.
    stds = torch.cat(
        [std.flatten() for std in (twin[0].weight_std, twin[0].bias_std, twin[2].weight_std)]
    )
    ratio = stds.double() / 0.7
    expected = (0.5 * ratio.square() - ratio.log() - 0.5).sum()
    kl = bt.kl_divergence(twin)
    torch.testing.assert_close(kl, expected, rtol=1e-5, atol=0, check_dtype=False)
    (kl + twin(torch.randn(5, 3)).square().sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in twin.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_empirical_prior_follows_the_precision_of_the_weights(dtype):
    model = nn.Linear(3, 4, dtype=dtype)
    nn.init.zeros_(model.bias)
    twin = bt.to_bayesian(model, prior=bt.EmpiricalPrior())
    assert twin.weight_rho.dtype == dtype
    torch.testing.assert_close(twin.weight_std, 0.1 * model.weight.abs(), rtol=0.05, atol=1e-5)
    twin.kl_divergence().backward()
    assert all(parameter.grad.isfinite().all() for parameter in twin.parameters())


def test_empirical_prior_loads_into_a_network_of_other_weights():
    twin, other = (
        bt.to_bayesian(nn.Conv2d(1, 2, 3), prior=bt.EmpiricalPrior(0.3, 0.5)) for _ in range(2)
    )
    other.load_state_dict(twin.state_dict(), strict=True)
    assert torch.equal(other.prior.loc, twin.weight_mean)
    assert torch.equal(other.kl_divergence(), twin.kl_divergence())


def test_empirical_prior_of_one_part_stands_beside_another_prior():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    twin = bt.to_bayesian(model, prior={"1": bt.EmpiricalPrior(0.3), "": Laplace(0.0, 1.0)})
    assert isinstance(twin[0].prior, Laplace)
    assert torch.equal(twin[1].prior.loc, model[1].weight)
    torch.testing.assert_close(twin[1].weight_std, 0.3 * model[1].weight.abs())


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["delta", "std"])
def test_empirical_prior_needs_positive_numbers(name, value):
    with pytest.raises(ValueError, match=rf"{name}={value}: expected a positive finite number"):
        bt.EmpiricalPrior(**{name: value})


def test_tied_weights_are_an_error_until_the_layer_is_skipped():
    model = nn.ModuleDict({"embedding": nn.Embedding(5, 3), "decoder": nn.Linear(3, 5)})
    model["decoder"].weight = model["embedding"].weight
    with pytest.raises(ValueError, match=r"'decoder' shares its weight with another module.*skip"):
        bt.to_bayesian(model)
    with pytest.warns(UserWarning, match="nothing in this ModuleDict became Bayesian"):
        twin = bt.to_bayesian(model, skip=("decoder",))
    assert twin["decoder"].weight is twin["embedding"].weight
    assert bt.bayesian_layers(twin) == []


def test_a_tied_bias_is_an_error_too():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].bias = model[0].bias
    with pytest.raises(ValueError, match=r"'0' shares its bias with another module.*skip"):
        bt.to_bayesian(model)


@pytest.mark.parametrize(
    "remake",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
    ids=["weight norm", "spectral norm", "old weight norm", "old spectral norm", "pruning"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_weight_that_something_makes_stays_as_it_is_and_is_named(remake):
    # It is computed at each pass; a copy of today's value would be another layer.
    model = nn.Sequential(remake(nn.Linear(2, 2)), nn.Linear(2, 2)).eval()
    with pytest.warns(UserWarning, match=r"0 \(.*Linear\) stay deterministic: a hook or a param"):
        twin = bt.to_bayesian(model)
    assert bt.bayesian_layers(twin) == [twin[1]]
    x = torch.randn(3, 2)
    torch.testing.assert_close(twin[0](x), model[0](x))


@pytest.mark.parametrize("whole", [(), True])
def test_a_lazy_layer_converts_once_it_knows_its_shape(whole):
    model = nn.Sequential(nn.Linear(4, 4), nn.LazyLinear(3), nn.Tanh(), nn.LazyBatchNorm1d())
    with pytest.raises(
        ValueError, match=r"'1\.weight' has no shape yet: expected a batch to be run"
    ):
        bt.to_bayesian(model, whole=whole)
    model(torch.zeros(2, 4))
    assert len(bt.bayesian_layers(bt.to_bayesian(model, whole=whole))) == (3 if whole else 2)


def test_what_is_no_linear_map_is_left_and_reported():
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ConvTranspose2d(2, 1, 2), nn.BatchNorm2d(1))
    twin = bt.to_bayesian(model)
    assert bt.bayesian_layers(twin) == [twin[0], twin[1]]
    assert list(bt.deterministic_parameters(twin)) == ["2.weight", "2.bias"]
    assert bt.deterministic_parameters(bt.to_bayesian(nn.Linear(1, 1))) == {}
    assert list(bt.deterministic_parameters(nn.Linear(1, 1))) == ["weight", "bias"]


def assert_samples_around(original, twin, *inputs, **keywords):
    """Assert that ``twin`` equals ``original`` at the posterior's means and samples otherwise."""
    with torch.no_grad(), bt.posterior_mean(twin), warnings.catch_warnings():
        # The original's fast path speaks of nested tensors as a prototype.
        warnings.simplefilter("ignore", UserWarning)
        torch.testing.assert_close(
            twin.eval()(*inputs, **keywords),
            original.eval()(*inputs, **keywords),
            rtol=1e-4,
            atol=1e-5,
        )
    for mode in (False, True):
        twin.train(mode)
        with torch.no_grad():
            assert not torch.equal(twin(*inputs, **keywords), twin(*inputs, **keywords))


@pytest.mark.parametrize("estimator", ["weight", "flipout"])
def test_resnet18_of_torchvision_converts_and_runs(estimator):
    model = torchvision.models.resnet18(weights=None)
    twin = bt.to_bayesian(model, estimator=estimator)
    assert len(bt.bayesian_layers(twin)) == 21
    norms = [name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)]
    assert set(bt.deterministic_parameters(twin)) == {
        f"{name}.{kind}" for name in norms for kind in ("weight", "bias")
    }
    assert_samples_around(model, twin, torch.randn(2, 3, 32, 32))
    loss = twin(torch.randn(2, 3, 32, 32)).square().mean() + bt.kl_divergence(twin)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in twin.parameters())


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("estimator", ["local", "weight", "flipout"])
def test_a_transformer_layer_converts_and_runs(estimator, norm_first):
    layer = nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, batch_first=True, norm_first=norm_first
    )
    twin = bt.to_bayesian(layer, estimator=estimator)
    assert bt.bayesian_layers(twin) == [twin.linear1, twin.linear2]
    assert {name.split(".")[0] for name in bt.deterministic_parameters(twin)} == {
        "self_attn",
        "norm1",
        "norm2",
    }
    assert_samples_around(layer, twin, torch.randn(3, 5, 8))


def test_a_transformer_encoder_converts_and_runs_with_padding():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    encoder = nn.TransformerEncoder(layer, num_layers=2)
    twin = bt.to_bayesian(encoder)
    assert len(bt.bayesian_layers(twin)) == 4
    x = torch.randn(3, 5, 8)
    assert_samples_around(encoder, twin, x)
    mask = torch.tensor([[False] * 5, [False, False, True, True, True], [False] * 4 + [True]])
    for mode in (True, False):
        twin.train(mode)
        with torch.no_grad():
            draws = [twin(x, src_key_padding_mask=mask) for _ in range(2)]
        assert not torch.equal(*draws)
    with torch.no_grad(), bt.posterior_mean(twin):
        # The original gives zeros where the mask hides a position; elsewhere they agree.
        found = twin(x, src_key_padding_mask=mask)[~mask]
        expected = encoder.train()(x, src_key_padding_mask=mask)[~mask]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_whole_transformer_converts_and_runs():
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0, batch_first=True)
    twin = bt.to_bayesian(model)
    assert len(bt.bayesian_layers(twin)) == 4
    assert_samples_around(model, twin, torch.randn(3, 5, 8), torch.randn(3, 4, 8))


def test_a_transformer_without_bayesian_layers_keeps_its_fast_path():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    with pytest.warns(UserWarning, match="nothing in this TransformerEncoderLayer"):
        twin = bt.to_bayesian(layer, skip=("linear1", "linear2"))
    assert twin.activation_relu_or_gelu == layer.activation_relu_or_gelu != 0


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"skip": ("tail",)}, ValueError, r"skip=\['tail'\].*head.*trunk"),
        ({"skip": "head"}, TypeError, "tuple of names"),
        ({"prior": {"tail": Normal(0.0, 1.0)}}, ValueError, r"prior=\['tail'\].*head.*trunk"),
        ({"prior": {"trunk.1": Normal(0.0, 1.0)}}, ValueError, "prior='trunk.1'.*this is ReLU"),
        ({"prior": {"head": 0.1}}, TypeError, r"prior=0\.1: expected"),
        ({"prior": 0.1}, TypeError, r"prior=0\.1: expected"),
        ({"estimator": "flip"}, ValueError, "estimator='flip': expected"),
        ({"init_std": -1.0}, ValueError, "std=-1.0.*positive"),
    ],
)
def test_wrong_arguments_are_errors(keywords, error, words):
    with pytest.raises(error, match=words):
        bt.to_bayesian(bt.mnist_network(), **keywords)


@pytest.mark.parametrize("wrap", [lambda layer: layer, nn.Sequential])
def test_a_compiled_layer_is_an_error(wrap):
    # Its copy would run the deterministic layer's code.
    layer = torch.compile(nn.Linear(3, 2), backend="eager")
    with pytest.raises(ValueError, match="_orig_mod' is a compiled layer"):
        bt.to_bayesian(wrap(layer))


def test_a_compiled_network_converts():
    twin = bt.to_bayesian(torch.compile(nn.Sequential(nn.Linear(3, 2)), backend="eager"))
    x = torch.randn(4, 3)
    assert not torch.equal(twin(x), twin(x))


class Steps(NamedTuple):
    first: nn.Module
    second: nn.Module


class Walks(nn.Module):
    """Its forward walks layers that are also held in plain containers."""

    def __init__(self, container):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.steps = container(self.a, self.b)

    def forward(self, x):
        steps = self.steps.values() if isinstance(self.steps, dict) else self.steps
        for step in steps:
            x = (step[0] if isinstance(step, list) else step)(x)
        return x


@pytest.mark.parametrize(
    "container",
    [
        lambda a, b: [a, b],
        lambda a, b: (a, b, a),
        lambda a, b: {"a": a, "b": b},
        lambda a, b: [[a], [b]],
        lambda a, b: [nn.Sequential(a), b],
        lambda a, b: Steps(a, b),
        lambda a, b: OrderedDict(a=a, b=b),
    ],
    ids=["list", "tuple", "dict", "nested", "in a module of its own", "named", "ordered"],
)
def test_a_layer_that_a_container_holds_too_is_replaced_there(container):
    model = Walks(container)
    held = [*model.steps.values()] if isinstance(model.steps, dict) else [*model.steps]
    if isinstance(held[0], nn.Sequential):
        model.first = held[0]  # registered, so that it is found
    twin = bt.to_bayesian(model, estimator="weight")
    x = torch.randn(5, 3)
    with bt.posterior_mean(twin):
        torch.testing.assert_close(twin(x), model(x))
    assert not twin(x).equal(twin(x))
    for layer in (twin.a, twin.b):
        before = twin(x)
        with torch.no_grad():
            layer.weight_mean.add_(10.0)
        assert (twin(x) - before).abs().max() > 1
    assert model.steps is not twin.steps


def test_whole_makes_what_it_names_or_everything_bayesian():
    model = nn.Sequential(nn.Embedding(5, 3), nn.LayerNorm(3), nn.Linear(3, 2), nn.Tanh())
    named = bt.to_bayesian(
        model, whole=("0",), prior={"0": Laplace(0.0, 2.0), "": Normal(0.0, 3.0)}
    )
    kinds = [type(layer).__name__ for layer in named]
    assert kinds == ["BayesianModule", "LayerNorm", "BayesianLinear", "Tanh"]
    assert [type(part.prior.distribution) for part in named[0].gaussians()] == [Laplace]
    assert named[2].prior.scale.item() == 3.0
    everything = bt.to_bayesian(model, whole=True)
    assert bt.deterministic_parameters(everything) == {}
    assert len(bt.bayesian_layers(everything)) == 3
    moped = bt.to_bayesian(model, whole=True, prior=bt.EmpiricalPrior(delta=0.5, std=0.2))
    [part] = moped[0].gaussians()
    torch.testing.assert_close(part.prior.distribution.mean, model[0].weight.detach())
    torch.testing.assert_close(
        nn.functional.softplus(part.rho), 0.5 * model[0].weight.detach().abs(), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"whole": "0"}, TypeError, "whole='0': expected a tuple of names"),
        ({"whole": ("5",)}, ValueError, r"whole=\['5'\]: no such submodule"),
        ({"whole": ("1",)}, ValueError, "module=Tanh has no parameters"),
    ],
)
def test_what_cannot_be_whole_is_named(keywords, error, words):
    with pytest.raises(error, match=words):
        bt.to_bayesian(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), **keywords)


def test_a_private_or_circular_container_and_a_hidden_layer_are_found_too():
    class Hides(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self._steps = {"again": [self.layer]}
            self._steps["self"] = self._steps
            self.numbers = self._numbers = [1, 2]
            vars(self)["hidden"] = self.layer

        def forward(self, x):
            return self._steps["again"][0](x) + self.hidden(x)

    twin = bt.to_bayesian(Hides())
    assert twin._steps["again"][0] is twin.hidden is twin.layer
    assert isinstance(twin.layer, bt.BayesianLinear)
    assert twin._steps["self"] is twin._steps
    assert twin.numbers is twin._numbers  # what holds no layer keeps being one object
