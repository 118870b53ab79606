import pytest
import torch
from torch import nn
from torch.distributions import Normal

import bnn_tutorial as bt


def test_means_start_at_the_weights_and_the_module_is_left_alone():
    model = bt.mnist_network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twin = bt.to_bayesian(model, prior=Normal(0.0, 0.2), estimator="weight", init_std=0.03)
    x = torch.randn(2, 1, 28, 28)
    with bt.posterior_mean(twin):
        assert torch.equal(twin(x), model(x))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    layers = bt.bayesian_layers(twin)
    assert len(layers) == 4
    for layer in layers:
        assert layer.estimator == "weight"
        assert layer.prior.scale.item() == pytest.approx(0.2)
        assert layer.weight_std.mean().item() == pytest.approx(0.03)


def test_a_convolution_keeps_all_its_arguments():
    conv = nn.Conv2d(
        4,
        6,
        (3, 2),
        stride=2,
        padding=1,
        dilation=(1, 2),
        groups=2,
        bias=False,
        padding_mode="replicate",
        dtype=torch.float64,
    )
    x = torch.randn(1, 4, 9, 9, dtype=torch.float64)
    twin = bt.to_bayesian(conv)
    with bt.posterior_mean(twin):
        assert torch.equal(twin(x), conv(x))


@pytest.mark.parametrize("layer", [nn.Linear(3, 2, bias=False), nn.Conv2d(1, 2, 3)])
def test_the_module_may_be_the_layer(layer):
    assert isinstance(bt.to_bayesian(layer), bt.BayesianLayer)


def test_a_shared_layer_stays_one_layer():
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict({"a": nn.Sequential(shared, nn.ReLU(), shared), "b": shared})
    twin = bt.to_bayesian(model)
    assert twin["a"][0] is twin["a"][2] is twin["b"]
    assert isinstance(twin["b"], bt.BayesianLinear)


def test_skip_keeps_a_submodule_and_all_inside_it():
    twin = bt.to_bayesian(bt.mnist_network(), skip=("trunk",))
    assert type(twin.trunk[0]) is nn.Conv2d
    assert bt.bayesian_layers(twin) == [twin.head[1], twin.head[3]]
    assert len(bt.bayesian_layers(bt.to_bayesian(bt.mnist_network(), skip=("head.3",)))) == 3


def test_the_mode_is_kept():
    assert not bt.to_bayesian(nn.Sequential(nn.Linear(1, 1)).eval())[0].training


def test_wrong_arguments_are_errors():
    with pytest.raises(ValueError, match=r"skip=\['tail'\].*head.*trunk"):
        bt.to_bayesian(bt.mnist_network(), skip=("tail",))
    with pytest.raises(TypeError, match="tuple of names"):
        bt.to_bayesian(bt.mnist_network(), skip="head")
