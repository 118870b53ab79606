"""The playground's overlays: the Gaussian process, dropout at prediction, and the ensemble."""

import functools

import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.testing import assert_close

import bnn_tutorial as bt

NAME = "posterior_playground"
SETTINGS = {"hidden_units": 20, "prior_std": 2.0, "kl_weight": 1.0, "noise_std": 0.6}


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def data(num_data):
    generator = torch.Generator().manual_seed(0)
    x, y = bt.polynomial_data(num_data, generator=generator)
    return {"x": x.flatten().tolist(), "y": y.flatten().tolist()}


def columns(points):
    return float64(points["x"])[:, None], float64(points["y"])[:, None]


def start(hidden, seed=0):
    """A point network's weights in the playground's order."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3 * hidden + 1, generator=generator, dtype=torch.float64)


def hidden_units(weights, x):
    """The hidden units (N, H) of the network with these weights."""
    first, bias = weights[: (len(weights) - 1) // 3 * 2].chunk(2)
    return torch.relu(x * first + bias)


def outputs(weights, x, scales=1.0):
    """Its outputs (N,), the hidden units multiplied by ``scales``."""
    hidden = (len(weights) - 1) // 3
    return (scales * hidden_units(weights, x)) @ weights[2 * hidden : -1] + weights[-1]


# The Gaussian process.

PROCESSES = {
    "the chapter's points": (data(60), SETTINGS),
    "a point twice": ({"x": [0.5, 0.5, -1.0], "y": [1.0, 2.0, 0.0]}, SETTINGS),
    "one point": ({"x": [0.5], "y": [1.0]}, SETTINGS),
    "large prior, little noise": (
        data(60),
        {"hidden_units": 200, "prior_std": 10.0, "noise_std": 0.05},
    ),
}


@pytest.mark.parametrize("case", PROCESSES)
def test_the_process_is_the_packages(module, case):
    points, settings = PROCESSES[case]
    x, y = columns(points)
    x_new = torch.linspace(-3, 3, 41, dtype=torch.float64)
    kernel = functools.partial(
        bt.relu_network_kernel,
        hidden_features=settings["hidden_units"],
        prior_std=settings["prior_std"],
    )
    noise_std = settings["noise_std"]
    expected = bt.gaussian_process_posterior(kernel, x, y, x_new[:, None], noise_std=noise_std)
    found = module(NAME).evaluate(
        "(c) => module.gaussianProcess(c.data, c.x, c.settings)",
        {"data": points, "x": x_new.tolist(), "settings": settings},
    )
    # What a solution may lose to rounding: the matrix's condition number times that of a double.
    matrix = kernel(x, x) + noise_std**2 * torch.eye(len(x), dtype=x.dtype)
    tolerance = 10 * torch.linalg.cond(matrix).item() * torch.finfo(x.dtype).eps
    assert tolerance < 1e-4
    scale = y.abs().max().item()
    assert_close(
        float64(found["mean"]), expected.mean[:, 0], rtol=tolerance, atol=scale * tolerance
    )
    prior = kernel(x_new[:, None], x_new[:, None]).diagonal()
    difference = float64(found["std"]).square() - expected.std[:, 0].square()
    assert (difference.abs() <= tolerance * prior).all()


def test_without_data_the_process_is_the_prior(module):
    x = [-2.0, 0.0, 3.0]
    found = module(NAME).evaluate(
        "(c) => module.gaussianProcess({ x: [], y: [] }, c.x, c.settings)",
        {"x": x, "settings": SETTINGS},
    )
    at = float64(x)
    variance = SETTINGS["hidden_units"] / 2 * 2.0**4 * (1 + at.square()) + 2.0**2
    assert found["mean"] == [0, 0, 0]
    assert_close(float64(found["std"]), variance.sqrt(), rtol=1e-13, atol=0)


# Point networks.


@pytest.mark.parametrize("scaled", [False, True])
def test_fit_and_gradient_of_a_point_network(module, scaled):
    points = data(7)
    x, y = columns(points)
    weights = start(4).requires_grad_()
    scales = None
    if scaled:
        scales = torch.rand(7, 4, generator=torch.Generator().manual_seed(1)).double()
    output = outputs(weights, x, 1.0 if scales is None else scales)
    fit = -Normal(output, 0.6).log_prob(y[:, 0]).mean()
    fit.backward()
    found, gradient = module(NAME).evaluate(
        """(c) => {
            const gradient = new Float64Array(c.weights.length).fill(9);
            return [module.pointFit(c.weights, c.data, 0.6, gradient, c.scales), gradient];
        }""",
        {
            "weights": weights.tolist(),
            "data": points,
            "scales": None if scales is None else scales.flatten().tolist(),
        },
    )
    assert found == pytest.approx(fit.item(), rel=1e-12)
    assert_close(float64(gradient), weights.grad, rtol=1e-10, atol=1e-11)


TRAIN_ENSEMBLE = """(c) => {
    const { hidden_units } = c.settings;
    const ensemble = module.createEnsemble({ hidden_units, members: 3, seed: 1 });
    const starts = ensemble.map(({ weights }) => Array.from(weights));
    for (let i = 0; i < 50; i++) module.ensembleStep(ensemble, c.data, c.settings, 0.02);
    const moments = module.ensembleMoments(ensemble, c.x);
    return { starts, ends: ensemble.map(({ weights }) => weights), moments };
}"""


def test_members_train_to_the_peak_of_their_posterior(module):
    # λ = 3 weighs the prior as it weighs the KL.
    settings = {**SETTINGS, "hidden_units": 6, "kl_weight": 3.0}
    points = data(9)
    x, y = columns(points)
    x_new = torch.linspace(-3, 3, 11, dtype=torch.float64)
    arguments = {"settings": settings, "data": points, "x": x_new.tolist()}
    found = module(NAME).evaluate(TRAIN_ENSEMBLE, arguments)
    assert len({tuple(weights) for weights in found["starts"]}) == 3
    prior = Normal(0.0, float64(settings["prior_std"]))
    members = []
    for begin, end in zip(found["starts"], found["ends"], strict=True):
        weights = nn.Parameter(float64(begin))
        optimizer = torch.optim.Adam([weights], lr=0.02)
        for _ in range(50):
            optimizer.zero_grad()
            nll = -Normal(outputs(weights, x), settings["noise_std"]).log_prob(y[:, 0]).mean()
            (nll - 3.0 * prior.log_prob(weights).sum() / len(x)).backward()
            optimizer.step()
        assert_close(float64(end), weights.detach(), rtol=1e-8, atol=1e-10)
        members.append(outputs(weights.detach(), x_new[:, None]))
    members = torch.stack(members)
    assert_close(float64(found["moments"]["mean"]), members.mean(dim=0), rtol=1e-7, atol=1e-8)
    assert_close(float64(found["moments"]["std"]), members.std(dim=0), rtol=1e-6, atol=1e-8)


def test_passes_with_dropped_units_have_their_moments(module):
    rate, count = 0.2, 20_000
    weights, x = start(8), float64([-2.0, 0.3, 1.5])[:, None]
    found = module(NAME).evaluate(
        """(c) => module.dropoutMoments({ weights: c.weights, hidden_units: 8, rate: c.rate }, c.x,
            { count: c.count, seed: 1 })""",
        {"weights": weights.tolist(), "rate": rate, "x": x.flatten().tolist(), "count": count},
    )
    # A unit's part is c B / (1 - p) with B a coin: mean c, and these cumulants, which add up.
    parts = hidden_units(weights, x) * weights[16:24] / (1 - rate)
    variance = (parts.square() * rate * (1 - rate)).sum(dim=1)
    fourth = (parts**4 * rate * (1 - rate) * (1 - 6 * rate * (1 - rate))).sum(dim=1)
    mean_error = (variance / count).sqrt()
    variance_error = ((fourth + 2 * variance.square()) / count).sqrt()
    assert ((float64(found["mean"]) - outputs(weights, x)).abs() < 5 * mean_error).all()
    difference = (float64(found["std"]).square() - variance).abs()
    assert (difference < 5 * variance_error).all()


STEPS = """(c) => {
    const { settings, data } = c;
    const dropout = module.createDropout({ hidden_units: 6, rate: c.rate, seed: 1 });
    const [member] = module.createEnsemble({ hidden_units: 6, members: 1, seed: 1 });
    for (let i = 0; i < c.steps; i++) {
        module.dropoutStep(dropout, data, settings, 0.02);
        module.ensembleStep([member], data, settings, 0.02);
    }
    return [dropout.weights, member.weights];
}"""


def test_dropout_trains_like_a_member_but_for_the_units_it_drops(module):
    page = module(NAME)
    arguments = {"settings": SETTINGS, "data": data(9), "steps": 20}
    dropout, member = page.evaluate(STEPS, {**arguments, "rate": 0})
    assert dropout == member
    dropout, member = page.evaluate(STEPS, {**arguments, "rate": 0.3})
    assert dropout != member


def test_one_step_of_dropout_drops_units_datum_by_datum(module):
    rate, num_data = 0.25, 4000
    settings = {"hidden_units": 1, "prior_std": 1.0, "kl_weight": 0.0, "noise_std": 1.0}
    gradient = module(NAME).evaluate(
        """(c) => {
            const dropout = module.createDropout({ hidden_units: 1, rate: c.rate, seed: 2 });
            dropout.weights.set([1, 0, 1, 0]);
            const data = { x: new Float64Array(c.count).fill(1), y: new Float64Array(c.count) };
            module.dropoutStep(dropout, data, c.settings, 0.02);
            return dropout.gradient;
        }""",
        {"rate": rate, "count": num_data, "settings": settings},
    )
    # The unit is 1, and with its factor b, 0 or 1 / (1 - rate), the error is b: the gradients in
    # the output's bias and weight are the means of b and of b² over the data.
    keep = 1 - rate
    for found, expected, variance in (
        (gradient[3], 1.0, rate / keep),
        (gradient[2], 1 / keep, rate / keep**3),
    ):
        assert abs(found - expected) < 5 * (variance / num_data) ** 0.5
    assert gradient[3] * keep * num_data == pytest.approx(
        round(gradient[3] * keep * num_data), abs=1e-6
    )
