import contextlib

import pytest
import torch
from helpers.monte_carlo import assert_covariance, assert_mean, assert_variance
from helpers.prior_cases import CLOSED_FORM, PRIORS
from torch import nn
from torch.distributions import Laplace, Normal
from torch.utils.checkpoint import checkpoint

import bnn_tutorial as bt
from bnn_tutorial.layers.bayesian import ESTIMATORS
from bnn_tutorial.layers.network import _BLOCK

# What the Normal priors of a network may be: one path for a prior that all weights share, one for
# priors that differ.
NORMALS = {
    "one": lambda shape: Normal(0.1, 0.7),
    "one for each weight": lambda shape: Normal(torch.randn(shape), torch.rand(shape) + 0.2),
}


def network(estimators=("weight", "weight", "weight"), prior=None, dtype=torch.float64):
    """Three layers, the second a convolution, the third without bias; widths that differ."""
    with bt.seeded(1):
        first, second, third = estimators
        model = nn.Sequential(
            bt.BayesianLinear(3, 6, estimator=first, dtype=dtype),
            nn.Tanh(),
            nn.Unflatten(-1, (2, 3)),
            bt.BayesianConv1d(2, 2, 2, estimator=second, dtype=dtype),
            nn.Flatten(),
            bt.BayesianLinear(4, 2, bias=False, estimator=third, dtype=dtype),
        )
        for layer in bt.bayesian_layers(model):
            weight, bias = (
                (prior(part.mean.shape) for part in (layer.gaussians() * 2)[:2])
                if prior
                else (Normal(0.0, 1.0), Normal(0.0, 1.0))
            )
            layer.set_prior(weight, bias)
            for part in layer.gaussians():
                nn.init.uniform_(part.rho, -3, 0)
    return model


def gradients(value, model):
    return torch.autograd.grad(value, list(model.parameters()))


def drawn_tensors(layers):
    return [tensor for layer in layers for tensor in layer.drawn if tensor is not None]


mixed = pytest.mark.parametrize(
    "estimators",
    [
        ("weight", "weight", "weight"),
        ("local", "weight", "flipout"),
        ("weight", "local", "weight"),
        ("local", "flipout", "local"),
    ],
)


@mixed
@pytest.mark.parametrize("prior", NORMALS.values(), ids=NORMALS)
def test_divergence_and_its_gradient_are_those_of_the_plain_sum(estimators, prior):
    model = network(estimators, prior)
    expected = bt.kl_divergence(model)
    with bt.NetworkPosterior(model).draw() as kl:
        torch.testing.assert_close(kl, expected)
        for value, plain in zip(
            gradients(3 * kl, model), gradients(3 * expected, model), strict=True
        ):
            torch.testing.assert_close(value, plain)


@mixed
@pytest.mark.parametrize(
    "prior",
    [NORMALS["one for each weight"], lambda shape: Laplace(0.1, 0.5)],
    ids=["Normal", "Laplace"],
)
def test_gradient_through_the_drawn_weights_is_the_plain_gradient(estimators, prior):
    model = network(estimators, prior)
    x = torch.randn(5, 3, dtype=torch.float64)
    layers = [layer for layer in bt.bayesian_layers(model) if layer.estimator == "weight"]
    with bt.NetworkPosterior(model).draw() as kl, bt.seeded(2):
        found = gradients(model(x).square().sum() + 0.3 * kl, model)
        drawn = [[tensor.detach() for tensor in drawn_tensors([layer])] for layer in layers]
    # The same draw once more, as plain autograd sees it: w = mean + std * epsilon.
    for layer, weights in zip(layers, drawn, strict=True):
        plain = [
            part.mean
            + nn.functional.softplus(part.rho)
            * ((weight - part.mean) / nn.functional.softplus(part.rho)).detach()
            for part, weight in zip(layer.gaussians(), weights, strict=True)
        ]
        layer.drawn = plain[0], plain[1] if len(plain) > 1 else None
    with bt.seeded(2):
        expected = gradients(model(x).square().sum() + 0.3 * bt.kl_divergence(model), model)
    for value, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(value, plain)


@pytest.mark.parametrize("prior", [Normal(0.0, 1.0), Laplace(0.0, 1.0)], ids=["Normal", "Laplace"])
def test_a_draw_has_the_moments_of_the_posterior_and_one_gaussian_for_each_weight(prior):
    model = network(prior=lambda shape: prior)
    layers = bt.bayesian_layers(model)
    posterior = bt.NetworkPosterior(model)
    draws = []
    with torch.no_grad(), bt.seeded(3):
        for _ in range(2000):
            with posterior.draw():
                draws.append(torch.cat([t.flatten() for t in drawn_tensors(layers)]))
    parts = [part for layer in layers for part in layer.gaussians()]
    mean = torch.cat([part.mean.detach().flatten() for part in parts])
    rho = torch.cat([part.rho.detach().flatten() for part in parts])
    assert_mean(torch.stack(draws), mean)
    assert_covariance(torch.stack(draws), nn.functional.softplus(rho).square().diag())


@pytest.mark.parametrize("name", PRIORS)
def test_an_estimate_uses_the_very_weights_that_were_drawn(name):
    with bt.seeded(0):
        layer = bt.BayesianLinear(3, 4, bias=False, prior=PRIORS[name](), estimator="weight")
        model = nn.Sequential(nn.Flatten(), layer).double()
        nn.init.uniform_(layer.weight_rho, -2, 0)
        with bt.NetworkPosterior(model).draw() as kl:
            (weight,) = layer.drawn
            found = gradients(kl, model)
    # E_q[log q] is known exactly; log p is that of this draw, w = mean + std * epsilon.
    posterior = Normal(layer.weight_mean, layer.weight_std)
    epsilon = ((weight - posterior.loc) / posterior.scale).detach()
    if name in CLOSED_FORM:
        expected = torch.distributions.kl_divergence(posterior, layer.prior).sum()
    else:
        weight = posterior.loc + posterior.scale * epsilon
        expected = -posterior.entropy().sum() - layer.prior.log_prob(weight).sum()
    # A small difference of sums, and the prior's numbers were in single precision once.
    torch.testing.assert_close(kl, expected, rtol=1e-6, atol=1e-5)
    for value, plain in zip(found, gradients(expected, model), strict=True):
        torch.testing.assert_close(value, plain)


def test_layers_with_another_estimator_use_fresh_weights_for_their_estimate():
    model = network(("local", "weight", "flipout"), lambda shape: bt.scale_mixture())
    posterior = bt.NetworkPosterior(model)
    values = []
    with torch.no_grad(), bt.seeded(4):
        for _ in range(300):
            with posterior.draw() as kl:
                values.append(kl)
        assert_mean(torch.stack(values), bt.kl_divergence(model, 3000))


@mixed
def test_every_pass_inside_a_draw_sees_the_same_weights(estimators):
    model = network(estimators)
    x = torch.randn(5, 3, dtype=torch.float64)
    posterior = bt.NetworkPosterior(model)
    with posterior.draw():
        equal = torch.equal(model(x), model(x))
        first = model(x)
        with bt.posterior_mean(model):
            assert torch.equal(model(x), model(x))
    assert equal == (set(estimators) == {"weight"})
    with posterior.draw():
        assert not torch.equal(model(x), first)
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    "prior", [None, lambda shape: Laplace(0.0, 1.0)], ids=["Normal", "Laplace"]
)
def test_layers_draw_for_themselves_again_after_an_error(prior):
    model = network(prior=prior)
    posterior = bt.NetworkPosterior(model)
    with pytest.raises(RuntimeError, match="shapes"), posterior.draw():
        model(torch.zeros(1, 7, dtype=torch.float64))
    assert all(layer.drawn is None for layer in bt.bayesian_layers(model))
    with contextlib.closing(posterior.draws(3, seed=0)) as draws:
        next(draws)
        with pytest.raises(RuntimeError, match="shapes"):
            model(torch.zeros(1, 7, dtype=torch.float64))
    assert all(layer.drawn is None for layer in bt.bayesian_layers(model))


def test_draws_reset_the_layers_when_they_end_and_when_they_are_closed():
    model = network()
    posterior = bt.NetworkPosterior(model)
    assert list(posterior.draws(3, seed=0)) == [0, 1, 2]
    assert all(layer.drawn is None for layer in bt.bayesian_layers(model))
    draws = posterior.draws(3, seed=0)
    next(draws)
    assert all(layer.drawn is not None for layer in bt.bayesian_layers(model))
    draws.close()
    assert all(layer.drawn is None for layer in bt.bayesian_layers(model))


def drawn_by_seed(model, num_samples, seed):
    layers = [layer for layer in bt.bayesian_layers(model) if layer.estimator == "weight"]
    return torch.stack(
        [
            torch.cat([tensor.flatten() for tensor in drawn_tensors(layers)])
            for _ in bt.NetworkPosterior(model).draws(num_samples, seed)
        ]
    )


def test_draws_repeat_with_their_seed_alone_and_have_the_moments_of_the_posterior():
    model = network(("weight", "local", "weight"))
    before = torch.get_rng_state()
    with torch.no_grad():
        draws = drawn_by_seed(model, 3000, 5)
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        assert torch.equal(drawn_by_seed(model, 3000, 5), draws)
        assert not torch.equal(drawn_by_seed(model, 3, 6), draws[:3])
    drawn = [layer for layer in bt.bayesian_layers(model) if layer.estimator == "weight"]
    parts = [part for layer in drawn for part in layer.gaussians()]
    assert_mean(draws, torch.cat([part.mean.detach().flatten() for part in parts]))
    rho = torch.cat([part.rho.detach().flatten() for part in parts])
    assert_variance(draws, nn.functional.softplus(rho).square())


def test_draws_that_fill_several_blocks_are_as_many_as_asked_and_all_differ():
    # 2.5 blocks of weights, the last of them not full.
    size = _BLOCK // 4 - 100
    model = bt.BayesianLinear(size, 1, bias=False, estimator="weight", init_std=1.0)
    nn.init.zeros_(model.weight_mean)
    with torch.no_grad():
        draws = drawn_by_seed(model, 10, 7)
    assert draws.shape == (10, size)
    correlation = draws @ draws.T / size
    off_diagonal = correlation - correlation.diag().diag()
    assert off_diagonal.abs().max() < 6 / size**0.5
    torch.testing.assert_close(correlation.diag(), torch.ones(10), rtol=0.05, atol=0)


def test_a_layer_larger_than_a_block_is_drawn_too():
    model = bt.BayesianLinear(_BLOCK + 1, 1, bias=False, estimator="weight")
    with torch.no_grad():
        assert drawn_by_seed(model, 2, 8).shape == (2, _BLOCK + 1)


def test_a_layer_in_several_places_is_drawn_and_counted_once():
    shared = bt.BayesianLinear(3, 3, estimator="weight")
    model = nn.Sequential(shared, nn.Tanh(), shared)
    x = torch.randn(4, 3)
    with bt.NetworkPosterior(model).draw() as kl:
        torch.testing.assert_close(kl, shared.kl_divergence())
        weight, bias = shared.drawn
        once = nn.functional.linear(x, weight, bias)
        torch.testing.assert_close(model(x), nn.functional.linear(once.tanh(), weight, bias))
    torch.testing.assert_close(bt.kl_divergence(model), shared.kl_divergence())


@pytest.mark.parametrize("module", [nn.Linear(2, 2), nn.Sequential()], ids=["Linear", "empty"])
def test_a_network_without_bayesian_layers_has_no_divergence(module):
    posterior = bt.NetworkPosterior(module)
    with posterior.draw() as kl:
        assert kl.item() == 0
    assert list(posterior.draws(2, seed=0)) == [0, 1]
    assert bt.kl_divergence(module).item() == 0


def test_the_divergence_of_a_network_is_the_sum_over_its_layers():
    model = network(("weight", "local", "flipout"), NORMALS["one for each weight"])
    expected = sum(layer.kl_divergence() for layer in bt.bayesian_layers(model))
    torch.testing.assert_close(bt.kl_divergence(model), expected)
    with pytest.raises(ValueError, match="num_samples=0: expected 1 or more"):
        bt.kl_divergence(model, 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_half_precision_draws_in_its_type_and_adds_up_in_single_precision(dtype, estimator):
    model = network((estimator,) * 3, dtype=dtype)
    expected = bt.kl_divergence(model)
    with bt.NetworkPosterior(model).draw() as kl:
        assert kl.dtype == torch.float32
        torch.testing.assert_close(kl, expected)
        output = model(torch.randn(5, 3, dtype=dtype))
        assert output.dtype == dtype
        (output.float().square().mean() + kl).backward()
    for parameter in model.parameters():
        assert parameter.grad.dtype == dtype
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_layers_of_different_precision_keep_their_own(estimator):
    model = network(("weight", estimator, "weight"))
    expected = bt.kl_divergence(model)
    model[0].float()
    model[5].half()
    with bt.NetworkPosterior(model).draw() as kl:
        torch.testing.assert_close(kl, expected, rtol=1e-3, atol=0)
        assert model[0].drawn[0].dtype == torch.float32
        assert model[5].drawn[0].dtype == torch.float16
        kl.backward()
    assert [layer.weight_mean.grad.dtype for layer in bt.bayesian_layers(model)] == [
        torch.float32,
        torch.float64,
        torch.float16,
    ]


@pytest.mark.parametrize("shape", [(5, 1), (2, 5, 1), (1,)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_pass_without_gradients_is_the_pass_with_them(shape, bias):
    layer = bt.BayesianLinear(1, 3, bias, estimator="weight")
    x = torch.randn(shape)
    with bt.NetworkPosterior(layer).draw():
        with torch.no_grad():
            plain = layer(x)
            with pytest.raises(RuntimeError, match="shapes"):
                layer(torch.randn(5, 3))
        assert plain.shape == layer(x).shape
        torch.testing.assert_close(plain, layer(x).detach())


def test_the_gradient_of_several_draws_is_the_sum_of_separate_gradients():
    model = network(("weight", "local", "weight"))
    posterior = bt.NetworkPosterior(model)
    x = torch.randn(5, 3, dtype=torch.float64)

    def losses():
        for _ in range(3):
            with posterior.draw() as kl:
                yield model(x).square().sum() + kl

    with bt.seeded(9):
        together = gradients(sum(losses()), model)
    with bt.seeded(9):
        separate = [gradients(loss, model) for loss in losses()]
    for value, parts in zip(together, zip(*separate, strict=True), strict=True):
        torch.testing.assert_close(value, sum(parts))


def test_frozen_parameters_get_no_gradient_and_the_others_theirs():
    model = network()
    model[0].requires_grad_(False)
    model[3].weight_rho.requires_grad_(False)
    with bt.NetworkPosterior(model).draw() as kl:
        (model(torch.randn(5, 3, dtype=torch.float64)).square().sum() + kl).backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    "prior", [None, lambda shape: Laplace(0.0, 1.0)], ids=["Normal", "Laplace"]
)
def test_autocast_leaves_weights_and_divergence_in_single_precision(prior):
    model = network(prior=prior, dtype=torch.float32)
    expected = bt.kl_divergence(model)
    posterior = bt.NetworkPosterior(model)
    with torch.autocast("cpu", dtype=torch.bfloat16), posterior.draw() as kl:
        torch.testing.assert_close(kl, expected)
        assert {tensor.dtype for tensor in drawn_tensors(bt.bayesian_layers(model))} == {
            torch.float32
        }
        output = model(torch.randn(5, 3))
    assert output.dtype == torch.bfloat16
    (output.float().square().mean() + kl).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("rho", [-40.0, 100.0])
def test_extreme_widths_have_finite_gradients(rho):
    model = network(dtype=torch.float32)
    for layer in bt.bayesian_layers(model):
        for part in layer.gaussians():
            nn.init.constant_(part.rho, rho)
    with bt.NetworkPosterior(model).draw() as kl:
        (model(torch.randn(5, 3)).square().mean() + kl).backward()
    for parameter in model.parameters():
        assert parameter.grad.isfinite().all()


def test_a_second_derivative_through_a_draw_is_an_error():
    model = bt.BayesianLinear(2, 2, estimator="weight")
    with bt.NetworkPosterior(model).draw() as kl:
        loss = model(torch.ones(1, 2)).sum() + kl
    with pytest.raises(RuntimeError, match=r"second derivative.*kl_divergence"):
        torch.autograd.grad(loss, list(model.parameters()), create_graph=True)


def test_kl_sums_over_layers():
    model = nn.Sequential(
        bt.BayesianConv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 4), bt.BayesianLinear(4, 1)
    )
    expected = model[0].kl_divergence() + model[3].kl_divergence()
    torch.testing.assert_close(bt.kl_divergence(model), expected)


def test_kl_counts_a_shared_layer_once_and_takes_a_bare_layer():
    layer = bt.BayesianLinear(2, 2)
    assert bt.kl_divergence(nn.Sequential(layer, nn.ReLU(), layer)) == layer.kl_divergence()
    assert bt.kl_divergence(layer) == layer.kl_divergence()


@pytest.mark.parametrize("model", [nn.Linear(2, 2), nn.ReLU(), nn.Sequential()])
def test_kl_is_zero_without_bayesian_layers(model):
    kl = bt.kl_divergence(model)
    assert kl.shape == ()
    assert kl == 0


def test_kl_grows_with_the_number_of_weights():
    # A sum over 200 equal weights is 100 times the sum over 2; an average would be the same.
    def kl(features):
        layer = bt.BayesianLinear(features, 1, bias=False, init_std=0.1)
        nn.init.constant_(layer.weight_mean, 0.5)
        return bt.kl_divergence(layer).item()

    assert kl(200) == pytest.approx(100 * kl(2), rel=1e-5)


class Checkpointed(nn.Module):
    """A layer that the backward pass runs again in place of keeping its insides."""

    def __init__(self, layer, use_reentrant):
        super().__init__()
        self.first, self.layer = nn.Linear(2, 3), layer
        self.use_reentrant = use_reentrant

    def forward(self, x):
        x = self.first(x)
        if self.use_reentrant is None:
            return self.layer(x)
        return checkpoint(self.layer, x, use_reentrant=self.use_reentrant)


def gradients_of(use_reentrant, make_layer, whole_draw):
    with bt.seeded(0):
        model = Checkpointed(make_layer(), use_reentrant)
    drawing = bt.NetworkPosterior(model).draw() if whole_draw else contextlib.nullcontext()
    with bt.seeded(1):
        with drawing:
            loss = model(torch.ones(4, 2)).square().mean()
        loss.backward()
    return [parameter.grad for parameter in model.parameters()]


REENTRANT = pytest.mark.parametrize("use_reentrant", [True, False])


@REENTRANT
@pytest.mark.parametrize(
    ("make_layer", "whole_draw"),
    [
        (lambda: bt.BayesianLinear(3, 2, estimator="local"), True),
        (lambda: bt.BayesianLinear(3, 2, estimator="flipout"), True),
        (lambda: bt.BayesianLinear(3, 2, estimator="weight"), False),
        (lambda: bt.BayesianModule(nn.Linear(3, 2)), False),
    ],
    ids=["local", "flipout", "its own draw", "a whole module"],
)
def test_a_checkpoint_runs_the_same_draw_again(use_reentrant, make_layer, whole_draw):
    kept = gradients_of(None, make_layer, whole_draw)
    again = gradients_of(use_reentrant, make_layer, whole_draw)
    torch.testing.assert_close(again, kept)


@REENTRANT
@pytest.mark.parametrize(
    "make_layer",
    [
        lambda: bt.BayesianLinear(3, 2, estimator="weight"),
        lambda: bt.BayesianModule(nn.Linear(3, 2)),
    ],
    ids=["a layer", "a whole module"],
)
def test_a_checkpoint_after_the_draw_of_the_network_is_refused(use_reentrant, make_layer):
    with pytest.raises(RuntimeError, match=r"activation checkpointing runs a Bayesian.* again"):
        gradients_of(use_reentrant, make_layer, whole_draw=True)
