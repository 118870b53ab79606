import copy
import re

import pytest
import torch
from torch import nn

import bnn_tutorial as bt
from bnn_tutorial.models import ResidualBlock

# Every count is the sum over the layers of outputs * (inputs * kernel size + 1 for the bias). He et
# al. (2016) give 0.27 M for ResNet-20: 268,346 in convolutions and the linear layer, 1,376 in batch
# norm; a projection adds 2,560 and, in its batch norm, 192.
IMAGE_NETWORKS = {
    "mnist_network": (bt.mnist_network, (1, 28, 28), 421_642),
    # The head sees 64 channels of 8x8 pixels instead of 7x7.
    "mnist_network, 32x32": (
        lambda: bt.mnist_network(image_size=32),
        (1, 32, 32),
        421_642 + 64 * (8**2 - 7**2) * 128,
    ),
    "lenet5": (bt.lenet5, (1, 28, 28), 61_706),
    "lenet5, 32x32": (lambda: bt.lenet5(image_size=32), (1, 32, 32), 61_706),
    "alexnet": (bt.alexnet, (3, 32, 32), 2_175_946),
    "three_conv_three_fc": (bt.three_conv_three_fc, (3, 32, 32), 1_782_634),
    "resnet20": (bt.resnet20, (3, 32, 32), 269_722),
    "resnet20, projection": (
        lambda: bt.resnet20(shortcut="projection"),
        (3, 32, 32),
        269_722 + 2_560 + 192,
    ),
}
every_image_network = pytest.mark.parametrize(
    ("network", "image_shape", "count"), IMAGE_NETWORKS.values(), ids=IMAGE_NETWORKS
)


def images(image_shape, num_images=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(num_images, *image_shape, generator=generator, dtype=torch.float64)


def number_of_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_regression_network_has_the_printed_width():
    model = bt.regression_network()
    assert model(torch.zeros(5, 1)).shape == (5, 1)
    assert number_of_parameters(model) == 3 * 1000 + 1
    assert bt.regression_network(50)[0].out_features == 50


@every_image_network
def test_an_image_network_has_the_published_size_and_maps_images_to_logits(
    network, image_shape, count
):
    model = network().double()
    assert number_of_parameters(model) == count
    assert model(images(image_shape)).shape == (2, 10)
    assert model.head(model.trunk(images(image_shape))).shape == (2, 10)


@pytest.mark.parametrize(
    "network", [bt.mnist_network, bt.lenet5, bt.alexnet, bt.three_conv_three_fc, bt.resnet20]
)
def test_channels_and_classes_are_the_callers(network):
    model = network(5, 7)
    _, height, width = model.image_shape
    assert model(torch.zeros(2, 5, height, width)).shape == (2, 7)


@every_image_network
def test_images_of_another_shape_are_an_error(network, image_shape, count):
    channels, height, width = image_shape
    variants = [network(), copy.deepcopy(network()), bt.to_bayesian(network())]
    variants += [torch.fx.symbolic_trace(network()), torch.compile(network(), backend="eager")]
    wrong_shapes = [
        image_shape,
        (2, channels + 1, height, width),
        (2, channels, height + 1, width),
        (2, channels, width),
        (1, 2, channels, height, width),
        (2, channels * height * width),
    ]
    for model in variants:
        for shape in wrong_shapes:
            message = f"x has shape {shape}: expected (N, {channels}, {height}, {width})"
            with pytest.raises(ValueError, match=re.escape(message)):
                model(torch.zeros(shape))


@every_image_network
def test_the_bayesian_twin_has_every_layer_and_the_same_means(network, image_shape, count):
    model = network().double().eval()
    twin = bt.to_bayesian(model)
    kinds = (nn.Linear, nn.Conv2d)
    weighted = [name for name, layer in model.named_modules() if isinstance(layer, kinds)]
    assert [
        name for name, layer in twin.named_modules() if isinstance(layer, bt.BayesianLayer)
    ] == weighted
    assert not [layer for layer in twin.modules() if isinstance(layer, kinds)]
    x = images(image_shape)
    with bt.posterior_mean(twin):
        torch.testing.assert_close(twin(x), model(x))
    assert not torch.equal(twin(x), twin(x))
    head_only = bt.to_bayesian(model, skip=("trunk",))
    assert bt.bayesian_layers(head_only) == bt.bayesian_layers(head_only.head) != []


@every_image_network
def test_a_bayesian_network_learns_its_batch(network, image_shape, count):
    torch.manual_seed(0)
    model = bt.to_bayesian(network(), estimator="weight", init_std=1e-3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, labels = images(image_shape, 4).float(), torch.arange(4)
    losses = []
    for _ in range(6):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.any(), name
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@every_image_network
def test_tracing_compiling_and_vectorizing_change_nothing(network, image_shape, count):
    model = network().double().eval()
    x = images(image_shape)
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(x), model(x))
    # An error in compiled code, as in the test above, leaves that code uncompiled from then on.
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x))
    others = [model, network().double().eval()]
    stacked = torch.func.stack_module_state(others)
    each = torch.vmap(lambda state: torch.func.functional_call(model, state, (x,)))(stacked)
    torch.testing.assert_close(each, torch.stack([other(x) for other in others]))


def test_lenet5_pads_small_images_as_the_original_frames_them():
    small, large = bt.lenet5().double(), bt.lenet5(image_size=32).double()
    large.load_state_dict(small.state_dict())
    x = images((1, 28, 28))
    torch.testing.assert_close(small(x), large(nn.functional.pad(x, (2, 2, 2, 2))))
    with pytest.raises(ValueError, match="image_size=30: expected 28 or 32"):
        bt.lenet5(image_size=30)


def test_resnet20_has_twenty_weighted_layers_and_the_stages_of_the_paper():
    model = bt.resnet20()
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 20
    shapes = []
    for block in model.modules():
        if isinstance(block, ResidualBlock):
            block.register_forward_hook(lambda *hook: shapes.append(tuple(hook[2].shape[1:])))
    model(torch.zeros(2, 3, 32, 32))
    assert shapes == [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
def test_a_residual_block_without_residual_is_its_shortcut(shortcut):
    block = ResidualBlock(3, 5, shortcut).double().eval()
    nn.init.zeros_(block.residual[-1].weight)
    x = images((3, 4, 6))
    y = block(x)
    assert y.shape == (2, 5, 2, 3)
    if shortcut == "identity":
        assert number_of_parameters(block.shortcut) == 0
        assert torch.equal(y[:, :3], x[:, :, ::2, ::2].relu())
        assert not y[:, 3:].any()
    else:
        # Batch norm in eval() with fresh statistics divides by sqrt(1 + eps) alone.
        weight = block.shortcut[0].weight[:, :, 0, 0]
        projected = torch.einsum("oi,nihw->nohw", weight, x[:, :, ::2, ::2])
        torch.testing.assert_close(y, projected.relu() / (1 + block.shortcut[1].eps) ** 0.5)


def test_where_the_width_stays_the_shortcut_is_the_identity():
    for shortcut in ("identity", "projection"):
        block = ResidualBlock(4, 4, shortcut).double().eval()
        nn.init.zeros_(block.residual[-1].weight)
        x = images((4, 5, 5))
        assert torch.equal(block(x), x.relu())


def test_resnet20_starts_as_he_et_al_draw_it():
    torch.manual_seed(0)
    for layer in bt.resnet20(shortcut="projection").trunk.modules():
        if isinstance(layer, nn.Conv2d):
            draws = layer.weight.detach().double().flatten() * (layer.weight[0].numel() / 2) ** 0.5
            # The mean and the standard deviation of n normal numbers, within 5 standard errors.
            assert abs(draws.mean()) < 5 / len(draws) ** 0.5
            assert abs(draws.std() - 1) < 5 / (2 * len(draws)) ** 0.5


def test_an_unknown_shortcut_is_an_error():
    with pytest.raises(ValueError, match="shortcut='none': expected one of identity, projection"):
        bt.resnet20(shortcut="none")
