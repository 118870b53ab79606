"""What the posterior playground computes: its loss, gradient, moments, draws and training steps."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers.monte_carlo import assert_mean, assert_variance
from torch.distributions import Normal
from torch.testing import assert_close

import bnn_tutorial as bt

NAME = "posterior_playground"
SETTINGS = {"prior_std": 2.0, "kl_weight": 1.0, "noise_std": 0.6}

# A network with given parameters, made from the arguments `c` of a test.
NETWORK = """
    const network = module.createNetwork({ hidden_units: c.hidden, seed: 1, initStd: 0.1 });
    network.parameters.set(c.parameters);
"""


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def parameters(hidden, *, width=0.3, seed=0):
    """Means and rhos in the playground's order; no two are equal."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(3 * hidden + 1, generator=generator, dtype=torch.float64)
    spread = 1 + torch.rand(3 * hidden + 1, generator=generator, dtype=torch.float64)
    rhos = bt.layers.inverse_softplus(width) + spread
    return torch.cat([means, rhos])


def data(num_data, seed=0):
    """Points on both sides of 0, as Python lists."""
    generator = torch.Generator().manual_seed(seed)
    x, y = bt.polynomial_data(num_data, generator=generator)
    return {"x": x.flatten().tolist(), "y": y.flatten().tolist()}


def split(vector, hidden):
    """Return a vector's weights and biases in the shapes of the two layers."""
    first, first_bias, second, bias = vector.split([hidden, hidden, hidden, 1])
    return first[:, None], first_bias, second[None], bias


def package_model(vector, hidden, prior_std=1.0):
    """The package's network in float64 with the playground's parameters."""
    model = bt.to_bayesian(
        bt.regression_network(hidden).double(), prior=Normal(0.0, float64(prior_std))
    )
    mean, rho = (split(half, hidden) for half in vector.chunk(2))
    with torch.no_grad():
        for layer, part in zip((model[0], model[2]), (slice(0, 2), slice(2, 4)), strict=True):
            layer.weight_mean.copy_(mean[part][0])
            layer.bias_mean.copy_(mean[part][1])
            layer.weight_rho.copy_(rho[part][0])
            layer.bias_rho.copy_(rho[part][1])
    return model


def flat_gradient(model):
    """The gradient of the package's network in the playground's order."""
    names = ("weight_mean", "bias_mean"), ("weight_rho", "bias_rho")
    parts = [
        getattr(layer, name).grad.flatten()
        for pair in names
        for layer in (model[0], model[2])
        for name in pair
    ]
    return torch.cat(parts)


def columns(points):
    return float64(points["x"])[:, None], float64(points["y"])[:, None]


def package_loss(model, points, settings):
    """The package's loss, expected NLL and KL."""
    likelihood = bt.GaussianLikelihood(learn=False).double()
    # Set in float64: the module itself starts from a float32 rho.
    likelihood.noise_rho.data = float64(bt.layers.inverse_softplus(settings["noise_std"]))
    nll = bt.exact_nll(model, *columns(points), likelihood)
    kl = bt.kl_divergence(model)
    loss = bt.elbo_loss(nll, kl, num_data=len(points["x"]), kl_weight=settings["kl_weight"])
    return loss, nll, kl


def assert_gradients_equal(found, expected):
    """Equal to 1e-9, or to 1e-12 of the largest entry where terms cancel."""
    atol = 1e-12 * expected.abs().max().item()
    assert_close(float64(found), expected, rtol=1e-9, atol=atol)


exact_loss = f"(c) => {{ {NETWORK} return module.exactLoss(network, c.data, c.settings); }}"

CASES = {
    "few units": (3, {}, SETTINGS),
    "many units": (50, {}, SETTINGS),
    "one unit": (1, {}, SETTINGS),
    "widths that all but vanish": (6, {"width": 1e-7}, SETTINGS),
    "widths as large as the prior": (6, {"width": 5.0}, SETTINGS),
    "small prior, large weight, little noise": (
        6,
        {},
        {"prior_std": 0.1, "kl_weight": 100.0, "noise_std": 0.05},
    ),
    "large prior, small weight, much noise": (
        6,
        {},
        {"prior_std": 10.0, "kl_weight": 1e-4, "noise_std": 5.0},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_are_the_packages(module, case):
    hidden, keywords, settings = CASES[case]
    vector, points = parameters(hidden, **keywords), data(12)
    model = package_model(vector, hidden, settings["prior_std"])
    loss, nll, kl = package_loss(model, points, settings)
    loss.backward()
    arguments = {
        "hidden": hidden,
        "parameters": vector.tolist(),
        "data": points,
        "settings": settings,
    }
    found = module(NAME).evaluate(exact_loss, arguments)
    expected = [loss, nll, settings["kl_weight"] * kl / 12, kl]
    names = ("loss", "fit", "complexity", "kl")
    assert_close(
        float64([found[name] for name in names]), torch.stack(expected).detach(), rtol=1e-9, atol=0
    )
    assert_gradients_equal(found["gradient"], flat_gradient(model))


@pytest.mark.parametrize(
    "points",
    [{"x": [0.7], "y": [-3.0]}, {"x": [0.7, 0.7, -1.0], "y": [-3.0, -3.0, 2.0]}],
    ids=["one point", "a point twice"],
)
def test_loss_of_few_points(module, points):
    vector = parameters(4)
    model = package_model(vector, 4, SETTINGS["prior_std"])
    loss, _, _ = package_loss(model, points, SETTINGS)
    loss.backward()
    arguments = {"hidden": 4, "parameters": vector.tolist(), "data": points, "settings": SETTINGS}
    found = module(NAME).evaluate(exact_loss, arguments)
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-12)
    assert_gradients_equal(found["gradient"], flat_gradient(model))


def test_without_data_the_loss_is_the_weighted_divergence(module):
    vector = parameters(4)
    model = package_model(vector, 4, SETTINGS["prior_std"])
    kl = 3 * bt.kl_divergence(model)
    kl.backward()
    arguments = {
        "hidden": 4,
        "parameters": vector.tolist(),
        "data": {"x": [], "y": []},
        "settings": {**SETTINGS, "kl_weight": 3.0},
    }
    found = module(NAME).evaluate(exact_loss, arguments)
    assert found["fit"] == 0
    assert found["loss"] == pytest.approx(kl.item(), rel=1e-12)
    assert_gradients_equal(found["gradient"], flat_gradient(model))


@pytest.mark.parametrize("width", [1e-7, 0.3, 5.0])
def test_moments_are_the_packages(module, width):
    vector = parameters(20, width=width)
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    expected = bt.exact_moments(package_model(vector, 20), x[:, None])
    found = module(NAME).evaluate(
        f"(c) => {{ {NETWORK} return module.exactMoments(network, c.x); }}",
        {"hidden": 20, "parameters": vector.tolist(), "x": x.tolist()},
    )
    assert_close(float64(found["mean"]), expected.mean[:, 0], rtol=1e-10, atol=1e-12)
    assert_close(float64(found["std"]), expected.std[:, 0], rtol=1e-10, atol=0)


def test_drawn_functions_have_the_exact_moments(module):
    vector = parameters(5)
    x = [-2.0, -0.4, 0.0, 1.5]
    page = module(NAME)
    draw = f"""(c) => {{ {NETWORK}
        return module.drawFunctions(network, c.x, {{ count: c.count, seed: 4 }}); }}"""
    arguments = {"hidden": 5, "parameters": vector.tolist(), "x": x, "count": 5_000}
    functions = float64(page.evaluate(draw, arguments))
    expected = bt.exact_moments(package_model(vector, 5), float64(x)[:, None])
    assert_mean(functions, expected.mean[:, 0])
    assert_variance(functions, expected.std[:, 0].square())
    # The same noise in every frame, however many functions are drawn.
    assert page.evaluate(draw, {**arguments, "count": 3}) == functions[:3].tolist()


def test_the_audit_is_the_packages(module):
    y, mean = torch.randn(2, 500, generator=torch.Generator().manual_seed(1)).double()
    std = torch.linspace(0, 1, 500, dtype=torch.float64)
    half = 2 * (std.square() + 0.5**2).sqrt()
    expected = bt.audit_band(y, mean - half, mean + half, k=2.0)
    found = module(NAME).evaluate(
        "(c) => module.auditBand(c.y, { mean: c.mean, std: c.std }, { noise_std: 0.5, k: 2 })",
        {"y": y.tolist(), "mean": mean.tolist(), "std": std.tolist()},
    )
    assert (found["outside"], found["total"]) == (expected.outside, expected.total)
    assert found["share"] == expected.share
    assert found["nominal"] == pytest.approx(expected.nominal, rel=1e-14)


def test_a_network_starts_as_torch_draws_it(module):
    starts = module(NAME).evaluate(
        """() => [1, 2].map((seed) => {
            const network = module.createNetwork({ hidden_units: 4000, seed, initStd: 0.05 });
            return [network.mean, network.rho];
        })"""
    )
    means, rhos = float64(starts).transpose(0, 1)
    assert not (means[0] == means[1]).any()
    assert_close(F.softplus(rhos), torch.full_like(rhos, 0.05))
    first, first_bias, second, bias = split(means[0], 4000)
    for values, bound in ((first, 1.0), (first_bias, 1.0), (second, 4000**-0.5)):
        assert values.abs().max() < bound
        assert_mean(values.flatten(), 0)
        assert_mean(values.flatten().square(), bound**2 / 3)
    assert bias.abs() < 4000**-0.5


# By draws.


def weight_loss(vector, hidden, noise, x, y, noise_std):
    """The mean NLL of one network drawn with the given standard normal noise."""
    mean, rho = vector.chunk(2)
    first, first_bias, second, bias = split(mean + F.softplus(rho) * noise, hidden)
    output = F.linear(torch.relu(F.linear(x, first, first_bias)), second, bias)
    return -Normal(output, noise_std).log_prob(y).mean()


def local_loss(vector, hidden, noise, x, y, noise_std):
    """The same with both layers' outputs drawn for each datum; noise of shape (N, H + 1)."""
    mean, rho = vector.chunk(2)
    means, variances = split(mean, hidden), split(F.softplus(rho).square(), hidden)

    def drawn(inputs, layer, epsilon):
        center = F.linear(inputs, *means[layer : layer + 2])
        return center + F.linear(inputs.square(), *variances[layer : layer + 2]).sqrt() * epsilon

    noise = noise.view(len(x), hidden + 1)
    units = torch.relu(drawn(x, 0, noise[:, :hidden]))
    return -Normal(drawn(units, 2, noise[:, hidden:]), noise_std).log_prob(y).mean()


ESTIMATORS = {"weight": (weight_loss, 3 * 4 + 1), "local": (local_loss, 6 * (4 + 1))}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_gradient_of_a_draw_is_autograds(module, estimator):
    loss_of_draw, num_draws = ESTIMATORS[estimator]
    points = data(6)
    vector = parameters(4).requires_grad_()
    noise = torch.randn(num_draws, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    fit = loss_of_draw(vector, 4, noise, *columns(points), SETTINGS["noise_std"])
    model = package_model(vector.detach(), 4, SETTINGS["prior_std"])
    kl = bt.kl_divergence(model)
    (kl / 6).backward()
    fit.backward()
    found = module(NAME).evaluate(
        f"""(c) => {{ {NETWORK}
            const noise = c.noise.values();
            const normal = () => noise.next().value;
            const loss = module.estimatedLoss(network, c.data, c.settings,
                {{ estimator: c.estimator, normal }});
            return [loss, normal() === undefined];
        }}""",
        {
            "hidden": 4,
            "parameters": vector.tolist(),
            "data": points,
            "settings": SETTINGS,
            "estimator": estimator,
            "noise": noise.tolist(),
        },
    )
    loss, all_drawn = found
    assert all_drawn
    assert loss["fit"] == pytest.approx(fit.item(), rel=1e-12)
    assert loss["loss"] == pytest.approx((fit + kl / 6).item(), rel=1e-12)
    assert_gradients_equal(loss["gradient"], vector.grad + flat_gradient(model))


MANY_DRAWS = f"""(c) => {{ {NETWORK}
    const normal = module.randomNormal(7);
    const options = {{ estimator: c.estimator, normal }};
    return Array.from({{ length: c.count }}, () => {{
        const {{ loss, gradient }} = module.estimatedLoss(network, c.data, c.settings, options);
        return c.index === undefined ? [loss, ...gradient] : gradient[c.index];
    }});
}}"""


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_draws_average_to_the_closed_form(module, estimator):
    page = module(NAME)
    arguments = {
        "hidden": 4,
        "parameters": parameters(4).tolist(),
        "data": data(6),
        "settings": SETTINGS,
        "estimator": estimator,
        "count": 4_000,
    }
    exact = page.evaluate(exact_loss, arguments)
    draws = page.evaluate(MANY_DRAWS, arguments)
    assert_mean(float64(draws), [exact["loss"], *exact["gradient"]])


def test_local_draws_divide_the_variance_by_the_number_of_data(module):
    # N data at one input: with whole weights all share a draw of f, with pre-activations each has
    # its own. The gradient in the output's bias is the mean error / s², plus a constant.
    num_data, noise_std = 10, SETTINGS["noise_std"]
    page = module(NAME)
    vector = parameters(4)
    arguments = {
        "hidden": 4,
        "parameters": vector.tolist(),
        "data": {"x": [0.8] * num_data, "y": [-2.0] * num_data},
        "settings": SETTINGS,
        "count": 10_000,
        "index": 3 * 4,
    }
    std = bt.exact_moments(package_model(vector, 4), float64([[0.8]])).std.item()
    for estimator, shared in (("weight", num_data), ("local", 1)):
        of_bias = page.evaluate(MANY_DRAWS, {**arguments, "estimator": estimator})
        assert_variance(float64(of_bias), shared / num_data * std**2 / noise_std**4)


# Training.


def test_adam_takes_the_steps_of_torch(module):
    hidden, points, settings = 5, data(10), SETTINGS
    vector = parameters(hidden)
    model = package_model(vector, hidden, settings["prior_std"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        package_loss(model, points, settings)[0].backward()
        optimizer.step()
    found = module(NAME).evaluate(
        f"""(c) => {{ {NETWORK}
            const adam = module.createAdam(network.parameters.length);
            for (let i = 0; i < 100; i++) {{
                const {{ gradient }} = module.exactLoss(network, c.data, c.settings);
                module.adamStep(adam, network.parameters, gradient, 0.02);
            }}
            return network.parameters;
        }}""",
        {"hidden": hidden, "parameters": vector.tolist(), "data": points, "settings": settings},
    )
    state = {name: value.detach().flatten() for name, value in model.named_parameters()}
    order = [f"{i}.{n}_{k}" for k in ("mean", "rho") for i in (0, 2) for n in ("weight", "bias")]
    assert_close(float64(found), torch.cat([state[n] for n in order]), rtol=1e-8, atol=1e-10)


TRAIN = """(c) => {
    const { settings, estimator } = c;
    const network = module.createNetwork({ hidden_units: c.hidden, seed: 1, initStd: 0.05 });
    const adam = module.createAdam(network.parameters.length);
    const options = { estimator, normal: module.randomNormal(2) };
    for (let i = 0; i < c.steps; i++) {
        const { gradient } = module.estimatedLoss(network, c.data, settings, options);
        module.adamStep(adam, network.parameters, gradient, 0.02);
    }
    const { loss, kl, gradient } = module.exactLoss(network, c.data, settings);
    const { mean, std } = module.exactMoments(network, c.x);
    const [drawn] = module.drawFunctions(network, c.x, { count: 1, seed: 1 });
    return { mean, numbers: [loss, kl, ...gradient, ...mean, ...std, ...drawn] };
}"""


@pytest.mark.parametrize("estimator", ["exact", "weight", "local"])
def test_training_finds_the_curve(module, estimator):
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    true_noise = 2 / math.sqrt(12)
    trained = module(NAME).evaluate(
        TRAIN,
        {
            "hidden": 20,
            "settings": {**SETTINGS, "noise_std": true_noise},
            "estimator": estimator,
            "data": data(60),
            "x": x.tolist(),
            "steps": 2000,
        },
    )
    error = float64(trained["mean"]) - (bt.datasets.polynomial(x) + 1)
    assert error.square().mean().sqrt() < 2 * true_noise


EXTREMES = [
    {"prior_std": 0.1, "kl_weight": 100.0, "noise_std": 0.05},
    {"prior_std": 10.0, "kl_weight": 1e-4, "noise_std": 0.05},
    {"prior_std": 10.0, "kl_weight": 100.0, "noise_std": 5.0},
    {"prior_std": 0.1, "kl_weight": 1e-4, "noise_std": 5.0},
]


@pytest.mark.parametrize("estimator", ["exact", "weight", "local"])
def test_nothing_becomes_nan_at_the_ends_of_the_sliders(module, estimator):
    page = module(NAME)
    few = [{"x": [], "y": []}, {"x": [0.0], "y": [20.0]}, {"x": [1.0, 1.0], "y": [-9.0, 9.0]}]
    arguments = {"estimator": estimator, "x": [-3.0, 0.0, 1.0, 3.0], "steps": 300}
    for hidden, points in [(1, data(20)), (200, data(20)), *((8, some) for some in few)]:
        for settings in EXTREMES:
            case = {"hidden": hidden, "data": points, "settings": settings}
            numbers = page.evaluate(TRAIN, {**arguments, **case})["numbers"]
            assert all(map(math.isfinite, numbers)), case
