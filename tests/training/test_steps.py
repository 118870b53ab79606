import copy

import pytest
import torch
from helpers.training_runs import line
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

import bnn_tutorial as bt
from bnn_tutorial.training.processes import Processes
from bnn_tutorial.training.steps import Batch, Optimization

FIXED = bt.GaussianLikelihood(1.0, learn=False)


def start(batch_size=None, model=None, **keywords):
    """Train for two epochs by gradient descent with a learning rate of 0.1."""
    model = nn.Linear(1, 1) if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if "scheduler" in keywords:
        keywords["scheduler"] = keywords["scheduler"](optimizer)
    settings = {"epochs": 2, "batch_size": batch_size, "progress": False, "optimizer": optimizer}
    likelihood = bt.GaussianLikelihood(1.0, learn=False)
    return bt.fit(model, line(), likelihood, **settings, **keywords)


def test_a_gradient_is_scaled_down_to_the_norm():
    model = nn.Linear(1, 1)
    x, y = line().tensors
    before = [parameter.detach().clone() for parameter in model.parameters()]
    bt.GaussianLikelihood(1.0, learn=False)(model(x), y).backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    norm = gradient.norm().item()
    for clip_norm, scale in ((0.01, 0.01 / norm), (2 * norm, 1.0)):
        clipped = copy.deepcopy(model)
        optimizer = torch.optim.SGD(clipped.parameters(), lr=1.0)
        history = bt.fit(
            clipped,
            line(),
            bt.GaussianLikelihood(1.0, learn=False),
            epochs=1,
            optimizer=optimizer,
            clip_norm=clip_norm,
            progress=False,
        )
        assert history["gradient_norm"] == [pytest.approx(norm, rel=1e-5)]
        moved = [old - new for old, new in zip(before, clipped.parameters(), strict=True)]
        moved = torch.cat([change.flatten() for change in moved])
        torch.testing.assert_close(moved, scale * gradient, rtol=1e-4, atol=1e-6)


def test_a_scheduler_advances_after_every_step():
    # Three batches an epoch: the second epoch begins after three halvings.
    history = start(batch_size=16, scheduler=lambda optimizer: StepLR(optimizer, 1, gamma=0.5))
    assert history["learning_rate"] == pytest.approx([0.1, 0.1 / 8])


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({"clip_norm": 0.0}, ValueError, r"clip_norm=0\.0"),
        ({"scheduler": ReduceLROnPlateau}, TypeError, "ReduceLROnPlateau.*needs no metric"),
        ({"scheduler": lambda _: "step"}, TypeError, "scheduler='step'"),
        (
            {"scheduler": lambda _: StepLR(torch.optim.SGD(nn.Linear(1, 1).parameters()), 1)},
            ValueError,
            "scheduler is of another optimizer",
        ),
    ],
)
def test_wrong_arguments_are_errors(keywords, error, words):
    with pytest.raises(error, match=words):
        start(**keywords)


def test_an_optimizer_of_another_model_is_an_error():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters())
    with pytest.raises(ValueError, match="optimizer holds none of the model's parameters"):
        bt.fit(nn.Linear(1, 1), line(), FIXED, epochs=1, optimizer=optimizer)


class Product(nn.Module):
    """An objective with the gradient x: its parameter times the mean of the inputs."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float32))
        self.dtype = dtype

    def forward(self, x, y, kl_weight, nll_weight):
        nll = (self.weight.to(self.dtype) * x.mean().to(self.dtype)).float()
        return nll, nll, torch.zeros(())


def one_step(objective, value, **keywords):
    batch = Batch(torch.full((2, 1), value), torch.zeros(2, 1), share=1.0, size=2)
    optimizer = torch.optim.SGD(objective.parameters(), lr=1.0)
    optimization = Optimization(objective, optimizer, processes=Processes(), **keywords)
    return optimization.epoch(1, [batch], [1.0])


@pytest.mark.parametrize("loss_scaling", [True, False])
def test_loss_scaling_keeps_gradients_that_float16_would_round_to_zero(loss_scaling):
    class Small(torch.autograd.Function):
        """The identity, whose gradient goes through float16."""

        @staticmethod
        def forward(ctx, value):
            return value

        @staticmethod
        def backward(ctx, gradient):
            return (gradient * 1e-9).half().float()

    class Objective(Product):
        def forward(self, *arguments):
            return tuple(map(Small.apply, super().forward(*arguments)))

    objective = Objective()
    one_step(objective, 1.0, loss_scaling=loss_scaling)
    moved = -objective.weight.item()
    assert moved == pytest.approx(1e-9 if loss_scaling else 0.0, rel=1e-2)


def test_the_norm_is_that_of_the_gradient_without_its_scale():
    objective = Product()
    record = one_step(objective, 4.0, clip_norm=1.0, loss_scaling=True)
    assert record["gradient_norm"] == pytest.approx(4.0)
    assert objective.weight.item() == pytest.approx(-1.0, rel=1e-5)


def test_a_step_that_overflows_by_its_scale_is_left_out():
    objective = Product()
    record = one_step(objective, 1e36, clip_norm=1.0, loss_scaling=True)
    assert objective.weight.item() == 0.0
    assert "gradient_norm" not in record


class FailsAt(nn.Module):
    """A likelihood whose loss is NaN from a given step on."""

    def __init__(self, step):
        super().__init__()
        self.gaussian = bt.GaussianLikelihood()
        self.step, self.calls = step, 0

    def forward(self, output, target):
        self.calls += 1
        value = self.gaussian(output, target)
        return value * torch.nan if self.calls >= self.step else value


def test_a_loss_that_is_not_finite_stops_at_its_step_and_keeps_the_last_good_state():
    with bt.seeded(0):
        model = bt.BayesianLinear(1, 1)
    expected = copy.deepcopy(model)
    bt.fit(
        expected, line(), bt.GaussianLikelihood(), epochs=1, batch_size=16, seed=3, progress=False
    )
    # Three batches an epoch: step 6 is the last of epoch 2, whose first step began in a good state.
    with pytest.raises(bt.NonFiniteLossError, match=r"step 6 \(epoch 2\): nll=nan") as caught:
        bt.fit(model, line(), FailsAt(6), epochs=5, batch_size=16, seed=3, progress=False)
    assert (caught.value.step, caught.value.epoch) == (6, 2)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=0)


def test_a_learning_rate_that_explodes_leaves_finite_weights():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e30)
    with pytest.raises(bt.NonFiniteLossError):
        bt.fit(model, line(), FIXED, epochs=50, optimizer=optimizer, progress=False)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


def test_a_last_step_that_explodes_is_found_although_its_loss_was_finite():
    model = nn.Linear(1, 1)
    nn.init.constant_(model.weight, 100.0)  # far from the data: a gradient well above 1
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=3e38)
    words = r"the parameters are not finite at step 1 \(epoch 1\)"
    with pytest.raises(bt.NonFiniteLossError, match=words):
        bt.fit(model, line(), FIXED, epochs=1, optimizer=optimizer, progress=False)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_an_optimizer_without_the_learnt_noise_is_named():
    model = nn.Linear(1, 1)
    optimizer = torch.optim.Adam(model.parameters())
    with pytest.raises(ValueError, match="optimizer lacks noise_rho of the GaussianLikelihood"):
        bt.fit(model, line(), bt.GaussianLikelihood(), epochs=1, optimizer=optimizer)
    with pytest.raises(ValueError, match="optimizer lacks scale_rho of the StudentTLikelihood"):
        bt.fit(model, line(), bt.StudentTLikelihood(), epochs=1, optimizer=optimizer)


def test_lbfgs_finds_the_optimum_of_the_exact_elbo():
    # Of the linear model the exact ELBO is that of the best factorized Gaussian: its means solve
    # the ridge regression, as in test_fit.
    x, y = line().tensors
    with bt.seeded(0):
        layer = bt.BayesianLinear(1, 1)

    def nll(model, x, y, likelihood):
        variance = x.square() @ model.weight_std.square().T + model.bias_std.square()
        error = (y - nn.functional.linear(x, model.weight_mean, model.bias_mean)).square()
        return (0.5 * (error + variance)).mean() + 0.5 * torch.log(torch.tensor(2 * torch.pi))

    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=50, line_search_fn="strong_wolfe")
    settings = {"epochs": 5, "optimizer": optimizer, "expected_nll": nll, "progress": False}
    history = bt.fit(layer, line(), FIXED, **settings)
    design = torch.cat([x, torch.ones_like(x)], dim=1).double()
    precision = design.T @ design + torch.eye(2)
    mean = torch.linalg.solve(precision, design.T @ y.double()).flatten()
    found = torch.cat([layer.weight_mean.flatten(), layer.bias_mean]).double()
    torch.testing.assert_close(found, mean, rtol=0, atol=1e-4)
    std = torch.cat([layer.weight_std.flatten(), layer.bias_std]).double()
    torch.testing.assert_close(std, precision.diagonal().rsqrt(), rtol=1e-3, atol=0)
    assert history["loss"][-1] <= history["loss"][0]


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({}, "optimizer=LBFGS needs a loss that is the same at each call: expected expected_nll"),
        (
            {"expected_nll": lambda *_: torch.zeros(()), "clip_norm": 1.0},
            "optimizer=LBFGS computes the loss itself",
        ),
    ],
)
def test_an_optimizer_with_a_closure_is_refused_where_it_cannot_work(keywords, words):
    model = bt.BayesianLinear(1, 1)
    optimizer = torch.optim.LBFGS(model.parameters())
    with pytest.raises(ValueError, match=words):
        bt.fit(model, line(), FIXED, epochs=1, optimizer=optimizer, **keywords)


def frozen():
    with bt.seeded(0):
        model = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        return nn.Sequential(model, bt.BayesianLinear(3, 1))


@pytest.mark.parametrize("whole", [True, False])
def test_every_module_is_given_back_in_its_mode_and_a_frozen_one_stays_so(whole):
    model = frozen()
    model.train(whole)
    model[0][1].eval()
    modes = [module.training for module in model.modules()]
    statistics = model[0][1].running_mean.clone()
    bt.fit(model, line(), FIXED, epochs=2, validation=line(), progress=False)
    bt.evaluate(model, line(), FIXED)
    assert [module.training for module in model.modules()] == modes
    # In a model that is in eval() as a whole nothing was singled out: it trains as a whole.
    assert torch.equal(model[0][1].running_mean, statistics) is whole


def test_the_modes_come_back_after_an_error():
    model = frozen().eval()
    with pytest.raises(bt.NonFiniteLossError):
        bt.fit(model, line(), FailsAt(2), epochs=3, progress=False)
    assert not any(module.training for module in model.modules())
