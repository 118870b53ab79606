import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from helpers.monte_carlo import assert_mean, assert_variance
from helpers.optimum import minimize
from helpers.saved_files import states_equal
from helpers.training_runs import line
from numpy.polynomial.hermite_e import hermegauss
from torch import nn
from torch.distributions import Normal, kl_divergence

import bnn_tutorial as bt
from bnn_tutorial.training.elbo import NegativeElbo
from bnn_tutorial.training.processes import Processes
from bnn_tutorial.training.steps import Optimization

NUM_DATA, PRIOR_STD, NOISE_STD = 12, 0.75, 0.5


def regression_data():
    """Correlated features with a column of ones, and targets."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(NUM_DATA, 2, generator=generator, dtype=torch.float64)
    features = torch.cat([torch.ones(NUM_DATA, 1).double(), x + 0.8], dim=1)
    return features, torch.randn(NUM_DATA, 1, generator=generator, dtype=torch.float64)


def mean_field(temperature=1.0):
    """The means and widths of the best factorized Gaussian of the regression."""
    posterior = bt.linear_regression_posterior(
        *regression_data(), prior_std=PRIOR_STD, noise_std=NOISE_STD * temperature**0.5
    )
    return posterior.mean, posterior.covariance.inverse().diagonal().rsqrt()


def mean_nll(weights):
    """The NLL per datum of the regression at weights of shape (..., 3), up to a constant."""
    features, y = regression_data()
    return (y[:, 0] - weights @ features.T).square().mean(dim=-1) / (2 * NOISE_STD**2)


def ivon(parameters, **keywords):
    return bt.IVON(parameters, num_data=NUM_DATA, prior_std=PRIOR_STD, **keywords)


def network_and_optimizer(seed=0, num_data=40, **keywords):
    with bt.seeded(seed):
        network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))
    return network, bt.IVON(network.parameters(), num_data=num_data, **keywords)


def train(network, optimizer, **keywords):
    settings = {"epochs": 6, "batch_size": 16, "seed": 3, "progress": False} | keywords
    likelihood = bt.GaussianLikelihood(0.5, learn=False)
    return bt.fit(network, line(), likelihood, optimizer=optimizer, **settings)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_the_mean_field_optimum_is_the_stationary_point(monkeypatch, temperature):
    mean, std = mean_field(temperature)
    weight_decay = temperature / (NUM_DATA * PRIOR_STD**2)
    hessian = temperature / (NUM_DATA * std.square()) - weight_decay
    # Over all signs the noise has mean 0 and covariance I: for a quadratic as exact as a Gaussian.
    gradients, changes = [], []
    for signs in itertools.product((-1.0, 1.0), repeat=3):
        noise = torch.tensor(signs).double()
        monkeypatch.setattr(torch, "randn_like", lambda like, noise=noise: noise)
        weights = nn.Parameter(mean.clone())
        optimizer = ivon([weights], betas=(0.0, 1 - 1e-7), temperature=temperature)
        optimizer._state(weights, optimizer.param_groups[0])["hessian"].copy_(hessian)
        with optimizer.sampled_parameters():
            torch.testing.assert_close(weights.detach(), mean + noise * std)
            mean_nll(weights).backward()
        optimizer.step()
        gradients.append(optimizer.state[weights]["momentum"])
        changes.append((optimizer.state[weights]["hessian"] - hessian) / 1e-7)
    gradient, change = torch.stack(gradients).mean(dim=0), torch.stack(changes).mean(dim=0)
    torch.testing.assert_close(gradient, -weight_decay * mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(change / hessian, torch.zeros(3).double(), rtol=0, atol=1e-5)


def trained(nll_of, num_weights, start, betas_and_steps, **keywords):
    """Train 40 copies of some weights side by side; each number has noise of its own."""
    weights = nn.Parameter(torch.full((40, num_weights), start, dtype=torch.float64))
    optimizer = ivon([weights], **keywords)
    group = optimizer.param_groups[0]
    with bt.seeded(0):
        for beta2, lr, steps in betas_and_steps:
            group["betas"], group["lr"] = (0.9, beta2), lr
            for _ in range(steps):
                optimizer.zero_grad()
                with optimizer.sampled_parameters():
                    nll_of(weights).sum().backward()
                optimizer.step()
    return weights.detach(), optimizer._std(weights, group)


# beta2, lr and steps: each phase averages over more steps, and lasts several times as long as they.
PHASES = [(0.95, 0.05, 200), (0.99, 0.01, 600), (0.999, 0.005, 4000)]


def test_training_goes_to_the_mean_field_optimum():
    means, stds = trained(mean_nll, 3, 0.0, PHASES)
    mean, std = mean_field()
    assert_mean(means, mean)
    assert means.std(dim=0).max() < 0.2 * std.min()
    torch.testing.assert_close(stds.mean(dim=0), std, rtol=0.01, atol=0.0)


def test_training_of_a_logistic_regression_goes_to_the_maximum_of_the_exact_elbo():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(NUM_DATA, 2, generator=generator, dtype=torch.float64)
    labels = (x[:, 0] > 0.3 * x[:, 1]).double()

    def nll(weights):
        logits = weights @ x.T
        return F.binary_cross_entropy_with_logits(
            logits, labels.expand_as(logits), reduction="none"
        ).mean(dim=-1)

    # Each logit is Gaussian, so that its expected NLL is an integral over one number.
    nodes, node_weights = (torch.from_numpy(part) for part in hermegauss(60))
    mean = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    log_std = torch.zeros(2, dtype=torch.float64, requires_grad=True)

    def negative_elbo():
        std = log_std.exp()
        logits = x @ mean + (x.square() @ std.square()).sqrt() * nodes[:, None]
        losses = F.softplus(logits) - labels * logits
        expected = (node_weights @ losses).sum() / math.sqrt(2 * math.pi)
        prior = Normal(torch.zeros(2).double(), PRIOR_STD)
        return expected + kl_divergence(Normal(mean, std), prior).sum()

    minimize(negative_elbo, [mean, log_std])
    assert max(mean.grad.abs().max(), log_std.grad.abs().max()) < 1e-7
    means, stds = trained(nll, 2, 0.5, PHASES, init_hessian=0.3)
    # A mean is off by what the noise of the steps does to a gradient that is not linear.
    torch.testing.assert_close(means.mean(dim=0), mean.detach(), rtol=0.01, atol=0.0)
    torch.testing.assert_close(stds.mean(dim=0), log_std.detach().exp(), rtol=0.01, atol=0.0)


def test_no_draw_makes_the_hessian_negative():
    weights = nn.Parameter(torch.zeros(1000).double())
    optimizer = ivon([weights], betas=(0.9, 0.5))
    weight_decay = 1 / (NUM_DATA * PRIOR_STD**2)
    with bt.seeded(0):
        before = torch.ones(1000).double()
        for _ in range(20):
            with optimizer.sampled_parameters():
                weights.grad = 10 * torch.randn_like(weights)
            optimizer.step()
            after = optimizer.state[weights]["hessian"]
            assert (after + weight_decay >= 0.499 * (before + weight_decay)).all()
            before = after.clone()


def test_a_step_is_the_published_one():
    weights = nn.Parameter(torch.tensor([0.4, -1.0]).double())
    optimizer = ivon([weights], lr=0.3, betas=(0.8, 0.9), init_hessian=2.0, temperature=0.5)
    effective, delta = NUM_DATA / 0.5, 0.5 / (NUM_DATA * PRIOR_STD**2)
    m, g, h = weights.detach().clone(), torch.zeros(2).double(), torch.full((2,), 2.0).double()
    generator = torch.Generator().manual_seed(0)
    for t in (1, 2, 3):
        gradient = torch.randn(2, generator=generator, dtype=torch.float64)
        sigma = 1 / (effective * (h + delta)).sqrt()
        with optimizer.sampled_parameters():
            theta = weights.detach().clone()
            weights.grad = gradient.clone()
        optimizer.step()
        estimate = gradient * (theta - m) / sigma**2
        g = 0.8 * g + 0.2 * gradient
        h = 0.9 * h + 0.1 * estimate + 0.5 * 0.1**2 * (h - estimate) ** 2 / (h + delta)
        m = m - 0.3 * (g / (1 - 0.8**t) + delta * m) / (h + delta)
        torch.testing.assert_close(optimizer.state[weights]["hessian"], h)
        torch.testing.assert_close(weights.detach(), m)


def test_the_parameters_hold_the_mean_outside_also_after_an_error():
    network, optimizer = network_and_optimizer()
    before = copy.deepcopy(network.state_dict())
    drawn = {}

    def fail():
        drawn.update(copy.deepcopy(network.state_dict()))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), optimizer.sampled_parameters():
        fail()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
        assert not torch.equal(value, drawn[name])


def test_a_closure_and_fit_take_the_same_steps_as_a_loop():
    likelihood = bt.GaussianLikelihood(0.5, learn=False)
    x, y = line().tensors

    def in_a_loop(network, optimizer):
        optimizer.zero_grad()
        with optimizer.sampled_parameters():
            likelihood(network(x), y).backward()
        optimizer.step()

    def by_closure(network, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = likelihood(network(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    results = []
    for step in (in_a_loop, by_closure):
        network, optimizer = network_and_optimizer()
        with bt.seeded(3):
            value = [step(network, optimizer) for _ in range(4)][-1]
        results.append(network)
    fitted, optimizer = network_and_optimizer()
    history = train(fitted, optimizer, epochs=4, batch_size=None)
    assert states_equal(results[0], results[1])
    assert states_equal(results[0], fitted)
    assert history["nll"][-1] == pytest.approx(value.item(), rel=1e-6)


@pytest.mark.parametrize(
    "keywords",
    [{}, {"clip_norm": 0.5}, {"mixed_precision": torch.float16}],
    ids=lambda keywords: " ".join(keywords),
)
def test_a_run_that_is_resumed_ends_with_the_same_posterior(tmp_path, keywords):
    path, x = tmp_path / "run.pt", line().tensors[0]
    predictions = []
    for runs in ([(0, 6)], [(0, 2), (1, 6)]):
        for init, epochs in runs:
            network, optimizer = network_and_optimizer(init)
            checkpoint = {"checkpoint": path, "resume": init == 1} if len(runs) == 2 else {}
            train(network, optimizer, epochs=epochs, **checkpoint, **keywords)
        predictions.append(bt.predict(optimizer.posterior(network), x, 5, seed=0).samples)
    assert torch.equal(*predictions)


def test_another_prior_is_another_run(tmp_path):
    train(*network_and_optimizer(), epochs=1, checkpoint=tmp_path / "run.pt")
    other = network_and_optimizer(prior_std=2.0)
    with pytest.raises(ValueError, match=r"optimizer=.*'prior_std': 1\.0"):
        train(*other, epochs=2, checkpoint=tmp_path / "run.pt", resume=True)


def test_the_draws_have_the_moments_of_the_state():
    network = nn.Linear(2, 1).double()
    optimizer = ivon(network.parameters(), init_hessian=3.0)
    optimizer.state[network.bias] = {
        "step": 1,
        "momentum": torch.zeros(1).double(),
        "hessian": torch.full((1,), 0.5).double(),
    }
    x = torch.tensor([[1.0, -2.0], [0.5, 0.0]]).double()
    posterior = optimizer.posterior(network)
    samples = bt.predict(posterior, x, 20_000, seed=0).samples
    delta = 1 / (NUM_DATA * PRIOR_STD**2)
    variance = x.square().sum(dim=1, keepdim=True) / (NUM_DATA * (3.0 + delta))
    assert_mean(samples, network(x).detach())
    assert_variance(samples, variance + 1 / (NUM_DATA * (0.5 + delta)))


def test_a_posterior_is_a_copy_that_is_saved_and_loaded(tmp_path):
    network, optimizer = network_and_optimizer()
    x = line().tensors[0]
    start = optimizer.posterior(network)
    before = bt.predict(start, x, 5, seed=0).samples
    train(network, optimizer)
    assert torch.equal(bt.predict(start, x, 5, seed=0).samples, before)
    after = optimizer.posterior(network)
    bt.save_model(after, tmp_path / "posterior.safetensors")
    assert "std" in after.state_dict()
    bt.load_model(start, tmp_path / "posterior.safetensors")
    loaded, expected = (bt.predict(model, x, 5, seed=0).samples for model in (start, after))
    assert torch.equal(loaded, expected)
    assert not torch.equal(loaded, before)


def test_a_parameter_that_is_not_trained_has_no_width():
    network = nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1))
    optimizer = bt.IVON(network[1].parameters(), num_data=40)
    train(network, optimizer, epochs=1)
    posterior = optimizer.posterior(network)
    assert (posterior.std[:8] == 0).all()
    assert (posterior.std[8:] > 0).all()


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"lr": -1.0}, r"lr=-1\.0: expected a finite number, 0 or more"),
        ({"num_data": 0}, "num_data=0: expected 1 or more"),
        ({"prior_std": 0.0}, r"prior_std=0\.0: expected a positive finite number"),
        ({"temperature": math.inf}, "temperature=inf: expected a positive finite number"),
        ({"init_hessian": -0.1}, r"init_hessian=-0\.1: expected a finite number, 0 or more"),
        ({"betas": (0.9, 1.0)}, r"betas=\(0\.9, 1\.0\): expected two numbers from 0 to below 1"),
        ({"betas": (-0.1, 0.9)}, r"betas=\(-0\.1, 0\.9\): expected two numbers"),
    ],
)
def test_a_number_out_of_its_range_is_an_error(keywords, words):
    with pytest.raises(ValueError, match=words):
        bt.IVON(nn.Linear(1, 1).parameters(), **{"num_data": 10, **keywords})


def test_a_step_without_a_draw_is_an_error_and_changes_nothing():
    network, optimizer = network_and_optimizer()
    before = copy.deepcopy(network.state_dict())
    network(line().tensors[0]).sum().backward()
    with pytest.raises(RuntimeError, match=r"step without a draw: expected .*sampled_parameters"):
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with optimizer.sampled_parameters():
        pass
    optimizer.step()
    with pytest.raises(RuntimeError, match="once for each step"):
        optimizer.step()


def test_a_posterior_over_another_network_is_an_error():
    _, optimizer = network_and_optimizer()
    with pytest.raises(ValueError, match="network has none of the optimizer's parameters"):
        optimizer.posterior(nn.Linear(1, 1))


def test_another_number_of_data_than_is_trained_on_is_an_error():
    network = nn.Linear(1, 1)
    optimizer = bt.IVON(network.parameters(), num_data=8)  # of a batch, not of the set
    with pytest.raises(ValueError, match="optimizer has num_data=8: expected 40, as of data"):
        train(network, optimizer, epochs=1, batch_size=8)


def test_several_processes_are_an_error():
    network, optimizer = network_and_optimizer()
    objective = NegativeElbo(network, bt.GaussianLikelihood(), num_data=40)
    with pytest.raises(ValueError, match=r"optimizer=IVON in 2 processes.*expected one process"):
        Optimization(objective, optimizer, processes=Processes(0, 2))
