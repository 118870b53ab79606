import math
import warnings

import pytest
import torch
from helpers.monte_carlo import assert_covariance, assert_mean
from torch import nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

import bnn_tutorial as bt
from bnn_tutorial.posteriors import curvature
from bnn_tutorial.posteriors.curvature import layer_inputs, rows_of_layer

with warnings.catch_warnings():
    # linear_operator, which it imports, uses torch.jit.
    warnings.filterwarnings("ignore", ".torch.jit.script. is deprecated")
    from laplace import Laplace

pytestmark = [
    # So does torch's forward-mode differentiation, when it is first used.
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:By default `link_approx` is `probit`:UserWarning"),
]

PRIOR_STD, NOISE_STD = 0.8, 0.5
TASKS = ("regression", "classification")
STRUCTURES = {"full": "full", "kronecker": "kron", "diagonal": "diag"}
FORMS = [(weights, form) for weights in ("last_layer", "all") for form in STRUCTURES]


class WithUnusedHeads(nn.Module):
    """One is called and its output dropped, one is never called."""

    def __init__(self):
        super().__init__()
        self.called, self.never, self.head = (nn.Linear(4, 3).double() for _ in range(3))

    def forward(self, x):
        self.called(x)
        return self.head(x)


class OneLogit(nn.Module):
    """Two classes of logits 0 and w x."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight).double())

    def forward(self, x):
        return torch.cat([torch.zeros_like(x), self.weight * x], dim=1)


def mlp(num_outputs=3, bias=True, seed=0):
    with bt.seeded(seed):
        return nn.Sequential(
            nn.Linear(4, 5, bias), nn.Tanh(), nn.Linear(5, num_outputs, bias)
        ).double()


def cnn(bias=True):
    with bt.seeded(1):
        return nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=bias),
            nn.ReLU(inplace=True),
            nn.Conv2d(3, 4, 2, dilation=2, bias=bias),
            nn.Flatten(),
            nn.Linear(4, 3, bias),
        ).double()


def task_of(name, num_data=23, shape=(4,), num_outputs=3):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(num_data, *shape, generator=generator, dtype=torch.float64)
    if name == "classification":
        y = torch.randint(num_outputs, (num_data,), generator=generator)
        return TensorDataset(x, y), bt.CategoricalLikelihood()
    y = torch.randn(num_data, num_outputs, generator=generator, dtype=torch.float64)
    return TensorDataset(x, y), bt.GaussianLikelihood(NOISE_STD).double()


def theirs(network, data, task, weights, form, prior_std=PRIOR_STD):
    # Exactly the one that the likelihood makes of the number.
    noise_std = bt.GaussianLikelihood(NOISE_STD).double().noise_std.item()
    posterior = Laplace(
        network,
        task,
        subset_of_weights=weights,
        hessian_structure=STRUCTURES[form],
        prior_precision=prior_std**-2,
        **({"sigma_noise": noise_std} if task == "regression" else {}),
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # in which it computes the full matrix
    try:
        posterior.fit(DataLoader(data, batch_size=10))
    finally:
        torch.set_default_dtype(default)
    return posterior


def jacobian(network, x):
    """The output's Jacobian (N, C, P), by another way than the package's."""
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    parts = torch.func.jacrev(lambda weights: functional_call(network, weights, (x,)))(weights)
    return torch.cat([parts[name].flatten(start_dim=2) for name in weights], dim=2)


def gauss_newton(network, data, likelihood):
    """The sum of J^T H J, with the Hessian of each datum's NLL by automatic differentiation."""
    x, y = data.tensors
    hessian = torch.func.hessian(lambda output, y: likelihood(output[None], y[None]))
    middle = torch.vmap(hessian)(network(x).detach(), y)
    rows = jacobian(network, x)
    return torch.einsum("ncp,ncd,ndq->pq", rows, middle, rows)


def blocks(matrix, network):
    """The matrix with 0 between the weights of two layers."""
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]
    sizes = [sum(weight.numel() for weight in layer.parameters()) for layer in layers]
    mask = torch.block_diag(*(torch.ones(size, size) for size in sizes))
    return matrix * mask


# Exact references.


@pytest.mark.parametrize("covariance", ["full", "kronecker"])
@pytest.mark.parametrize("weights", ["last_layer", "all"])
def test_of_a_model_linear_in_its_weights_it_is_the_exact_posterior(weights, covariance):
    data, likelihood = task_of("regression", num_outputs=1)
    x, y = data.tensors
    features = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    settings = {"prior_std": PRIOR_STD, "noise_std": NOISE_STD}
    exact = bt.linear_regression_posterior(features, y, **settings)
    network = nn.Sequential(nn.Linear(4, 1)).double()
    with torch.no_grad():
        network[0].weight.copy_(exact.mean[:4])
        network[0].bias.copy_(exact.mean[4:])
    posterior = bt.laplace(
        network,
        data,
        likelihood,
        weights=weights,
        covariance=covariance,
        prior_std=PRIOR_STD,
        batch_size=7,
    )
    torch.testing.assert_close(posterior.mean, exact.mean)
    torch.testing.assert_close(posterior.covariance, exact.covariance)
    torch.testing.assert_close(posterior.std, exact.covariance.diagonal().sqrt())
    assert posterior.log_evidence() == pytest.approx(exact.log_evidence.item())
    moments, expected = posterior.moments(x), exact.predict(features)
    torch.testing.assert_close(moments.mean, expected.mean)
    torch.testing.assert_close(moments.std, expected.std)


def test_the_prior_of_the_largest_evidence_is_that_of_the_exact_evidence():
    data, likelihood = task_of("regression", num_outputs=1)
    x, y = data.tensors
    y = y + x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]).double()
    network = nn.Linear(4, 1, bias=False).double()
    with torch.no_grad():
        mean = bt.linear_regression_posterior(x, y, prior_std=1e3, noise_std=NOISE_STD).mean
        network.weight.copy_(mean[None])
    prior_std = bt.laplace(network, TensorDataset(x, y), likelihood).prior_std

    def log_evidence(prior_std):  # of the weights as they are: the expansion at another point
        posterior = bt.linear_regression_posterior(x, y, prior_std=prior_std, noise_std=NOISE_STD)
        shift = mean - posterior.mean
        precision = posterior.covariance.inverse()
        return posterior.log_evidence - shift @ precision @ shift / 2

    peak = log_evidence(prior_std)
    assert peak > log_evidence(0.999 * prior_std)
    assert peak > log_evidence(1.001 * prior_std)


def test_of_one_logistic_weight_it_is_the_expansion_and_near_quadrature():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 1, generator=generator, dtype=torch.float64)
    y = (torch.rand(200, generator=generator) < torch.sigmoid(1.5 * x[:, 0])).long()
    likelihood = bt.CategoricalLikelihood()

    def log_joint(weight):
        logits = torch.cat([torch.zeros_like(x), weight * x], dim=1)
        prior = torch.distributions.Normal(torch.zeros(()).double(), PRIOR_STD)
        return prior.log_prob(weight) - 200 * likelihood(logits, y)

    low, high = torch.zeros(()).double(), torch.full((), 10.0).double()
    for _ in range(60):  # the log joint is concave: halve until its slope is 0
        middle = (low + high) / 2
        rises = torch.func.grad(log_joint)(middle) > 0
        low, high = (middle, high) if rises else (low, middle)
    settings = {"weights": "all", "prior_std": PRIOR_STD, "batch_size": 64}
    posterior = bt.laplace(OneLogit(low.item()), TensorDataset(x, y), likelihood, **settings)
    curvature = -torch.func.grad(torch.func.grad(log_joint))(low)
    torch.testing.assert_close(posterior.covariance, 1 / curvature.reshape(1, 1))
    expansion = log_joint(low) + 0.5 * (2 * math.pi / curvature).log()
    assert posterior.log_evidence() == pytest.approx(expansion.item(), rel=1e-10)
    # Of the definition itself it misses an amount that falls as 1 / N.
    grid = torch.linspace(0, 4, 2001, dtype=torch.float64)
    log_joint_at = torch.stack([log_joint(weight) for weight in grid])
    evidence = torch.trapezoid(log_joint_at.exp(), grid)
    assert posterior.log_evidence() == pytest.approx(evidence.log().item(), abs=2 / 200)
    density = log_joint_at.exp() / evidence
    mean = torch.trapezoid(grid * density, grid)
    std = torch.trapezoid((grid - mean).square() * density, grid).sqrt()
    assert posterior.std.item() == pytest.approx(std.item(), rel=0.05)
    assert posterior.mean.item() == pytest.approx(mean.item(), abs=0.25 * std.item())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("make", [mlp, cnn])
def test_curvature_of_all_weights_is_the_gauss_newton_matrix(make, task):
    network, shape = make(), (4,) if make is mlp else (2, 6, 6)
    data, likelihood = task_of(task, 11, shape)
    expected = gauss_newton(network, data, likelihood)
    precision = torch.eye(len(expected)).double() / PRIOR_STD**2
    settings = {"weights": "all", "prior_std": PRIOR_STD, "batch_size": 4}
    full = bt.laplace(network, data, likelihood, covariance="full", **settings)
    torch.testing.assert_close(full.covariance, (expected + precision).inverse())
    diagonal = bt.laplace(network, data, likelihood, covariance="diagonal", **settings)
    variances = 1 / (expected + precision).diagonal()
    torch.testing.assert_close(diagonal.covariance, variances.diag())
    torch.testing.assert_close(diagonal.std, variances.sqrt())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("make", [mlp, cnn])
def test_kronecker_factors_of_one_datum_are_exact_within_a_layer(make, task):
    # With one position: of a larger image the expectation of a product is no longer one.
    network, shape = make(), (4,) if make is mlp else (2, 5, 5)
    data, likelihood = task_of(task, 1, shape)
    if make is cnn:
        network[0] = nn.Conv2d(2, 3, 5, padding=(0, 0)).double()
        network[2] = nn.Conv2d(3, 4, 1).double()
    expected = blocks(gauss_newton(network, data, likelihood), network)
    precision = expected + torch.eye(len(expected)).double() / PRIOR_STD**2
    settings = {"weights": "all", "covariance": "kronecker", "prior_std": PRIOR_STD}
    posterior = bt.laplace(network, data, likelihood, **settings)
    torch.testing.assert_close(posterior.covariance, precision.inverse())
    torch.testing.assert_close(posterior.std, precision.inverse().diagonal().sqrt())


@pytest.mark.parametrize(
    "settings",
    [
        {"padding": 2, "padding_mode": "zeros", "bias": False},
        {"padding": (1, 0), "padding_mode": "reflect"},
        {"padding": (2, 1), "padding_mode": "circular", "stride": (1, 2)},
        {"padding": "same", "padding_mode": "replicate", "dilation": 2},
    ],
)
def test_the_inputs_of_a_convolution_are_what_its_matrix_is_multiplied_with(settings):
    layer, x = nn.Conv2d(2, 4, (3, 2), **settings), torch.randn(3, 2, 7, 8)
    parameters = torch.cat([weight.flatten() for weight in layer.parameters()])
    matrix = parameters[rows_of_layer(layer, layer)]
    expected = layer(x).movedim(1, -1).flatten(end_dim=-2)
    torch.testing.assert_close(layer_inputs(layer, x) @ matrix.T, expected)


@pytest.mark.parametrize("form", STRUCTURES)
def test_the_curvature_does_not_depend_on_the_batches(form):
    data, likelihood = task_of("classification", 11, (2, 6, 6))
    settings = {"weights": "all", "covariance": form, "prior_std": PRIOR_STD}
    first, second = (
        bt.laplace(cnn(), data, likelihood, batch_size=size, **settings) for size in (3, 100)
    )
    torch.testing.assert_close(first.covariance, second.covariance)


@pytest.mark.parametrize("form", ["full", "diagonal"])
def test_the_portions_of_the_gradients_make_no_difference(form, monkeypatch):
    data, likelihood = task_of("classification", 7)
    settings = {"weights": "all", "covariance": form, "prior_std": PRIOR_STD}
    whole = bt.laplace(mlp(), data, likelihood, **settings)
    moments = whole.output_moments(data.tensors[0])
    monkeypatch.setattr(curvature, "_NUMBERS_AT_ONCE", 300)  # 2 data of 129 numbers
    portions = bt.laplace(mlp(), data, likelihood, **settings)
    torch.testing.assert_close(portions.covariance, whole.covariance)
    torch.testing.assert_close(whole.output_moments(data.tensors[0]), moments)


@pytest.mark.parametrize("form", STRUCTURES)
def test_weights_that_the_data_leave_open_keep_their_prior(form):
    data, likelihood = task_of("classification", 2)
    settings = {"weights": "all", "covariance": form, "prior_std": 1e8}
    std = bt.laplace(mlp(), data, likelihood, **settings).std
    assert std.isfinite().all()
    assert std.max() < 1.001e8
    assert form == "diagonal" or std.max() > 0.1e8


# laplace-torch.


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("weights", "form"), FORMS)
@pytest.mark.parametrize("make", [mlp, cnn])
def test_it_agrees_with_laplace_torch(make, weights, form, task):
    # There, weights and bias are two Kronecker blocks; here they are one, as in the papers.
    bias = form != "kronecker"
    network = make(bias=bias)
    data, likelihood = task_of(task, shape=(4,) if make is mlp else (2, 6, 6))
    x = data.tensors[0]
    settings = {"weights": weights, "covariance": form, "batch_size": 10}
    posterior = bt.laplace(network, data, likelihood, prior_std=PRIOR_STD, **settings)
    other = theirs(network, data, task, weights, form)
    torch.testing.assert_close(posterior.mean, other.mean)
    precision = other.posterior_precision
    if form == "kronecker":
        precision = precision.to_matrix()
    elif form == "diagonal":
        precision = precision.diag()
    torch.testing.assert_close(posterior.covariance, precision.inverse())
    for prior_std in (PRIOR_STD, 0.1):
        evidence = other.log_marginal_likelihood(torch.tensor([prior_std**-2]).double())
        assert posterior.log_evidence(prior_std) == pytest.approx(evidence.item(), rel=1e-9)
    other.prior_precision = PRIOR_STD**-2
    mean, covariance = posterior.output_moments(x)
    their_mean, their_covariance = other._glm_predictive_distribution(x)
    torch.testing.assert_close(mean, their_mean)
    torch.testing.assert_close(covariance, their_covariance)
    if task == "classification":
        torch.testing.assert_close(posterior.probit(x), other(x, link_approx="probit"))


@pytest.mark.parametrize(("weights", "form"), FORMS)
def test_the_prior_std_agrees_with_laplace_torch(weights, form):
    network = mlp(bias=form != "kronecker")
    data, likelihood = task_of("classification")
    posterior = bt.laplace(network, data, likelihood, weights=weights, covariance=form)
    other = theirs(network, data, "classification", weights, form, posterior.prior_std * 1.3)
    other.optimize_prior_precision(pred_type="glm", method="marglik", n_steps=200, lr=0.1)
    found = other.prior_precision.item() ** -0.5
    assert posterior.prior_std == pytest.approx(found, rel=1e-3)
    for factor in (0.99, 1.01):
        assert posterior.log_evidence() > posterior.log_evidence(factor * posterior.prior_std)


# The networks that are drawn.


@pytest.mark.parametrize(("weights", "form"), FORMS)
def test_draws_have_the_moments_of_the_linearized_network(weights, form):
    data, likelihood = task_of("classification")
    settings = {"weights": weights, "covariance": form, "prior_std": PRIOR_STD}
    posterior = bt.laplace(mlp(), data, likelihood, **settings)
    x = data.tensors[0][:1]
    prediction = bt.predict(posterior, x, 1_500, seed=0)
    mean, covariance = posterior.output_moments(x)
    torch.testing.assert_close(mean, mlp()(x).detach())
    assert_mean(prediction.samples, mean)
    assert_covariance(prediction.samples[:, 0], covariance[0])
    torch.testing.assert_close(posterior.moments(x).std, covariance.diagonal(dim1=1, dim2=2).sqrt())


def test_last_layers_are_linear_and_of_all_layers_the_tangent_is_another_function():
    data, likelihood = task_of("classification")
    x = data.tensors[0]
    for weights, equal in (("last_layer", True), ("all", False)):
        posterior = bt.laplace(mlp(), data, likelihood, weights=weights, prior_std=PRIOR_STD)
        linearized = bt.predict(posterior, x, 3, seed=1).samples
        posterior.linearized = False
        drawn = bt.predict(posterior, x, 3, seed=1).samples
        assert torch.allclose(linearized, drawn) == equal
    # A small step takes both to the same place.
    posterior = bt.laplace(mlp(), data, likelihood, weights="all", prior_std=1e-5)
    linearized = bt.predict(posterior, x, 3, seed=1).samples
    posterior.linearized = False
    drawn = bt.predict(posterior, x, 3, seed=1).samples
    torch.testing.assert_close(linearized, drawn, rtol=0, atol=1e-8)
    assert (drawn - mlp()(x)).abs().max() > 1e-6


def test_a_draw_is_the_tangent_at_its_weights():
    data, likelihood = task_of("classification")
    settings = {"weights": "all", "prior_std": 0.1}
    posterior = bt.laplace(mlp(), data, likelihood, linearized=False, **settings)
    x = data.tensors[0]
    with bt.seeded(3):
        network = next(posterior.networks(1))
    with bt.seeded(3):
        noise = torch.randn(len(posterior.mean), dtype=torch.float64)
    root = posterior.curvature.from_eigenbasis(torch.diag(posterior._variances.sqrt()))
    deviation = noise @ root
    torch.testing.assert_close(root.T @ root, posterior.covariance)
    moved = posterior.by_name(posterior.mean + deviation)
    torch.testing.assert_close(network(x), functional_call(mlp(), moved, (x,)))
    posterior.linearized = True
    torch.testing.assert_close(network(x), mlp()(x) + jacobian(mlp(), x) @ deviation)


def test_the_trunk_runs_once_for_all_draws_and_again_for_what_was_written_into():
    network = bt.lenet5()
    data = TensorDataset(torch.randn(5, 1, 28, 28), torch.arange(5))
    posterior = bt.laplace(network, data, bt.CategoricalLikelihood(), prior_std=1.0)
    calls = []
    posterior.network.trunk.register_forward_hook(lambda *_: calls.append(1))
    x = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        first, second = posterior.networks(2)
        before = first(x)
        second(x)
        assert len(calls) == 1
        x += 1
        assert not torch.allclose(first(x), before)
        assert len(calls) == 2
        with torch.inference_mode():
            inference = torch.randn(3, 1, 28, 28)
            first(inference)
            inference += 1
            expected = posterior.network.trunk(inference)
            assert expected.shape == (3, 16, 5, 5)
            first(inference)
        assert len(calls) == 5


# Networks as users have them.


@pytest.mark.parametrize(
    ("network", "shape", "names"),
    [
        (bt.mnist_network(), (1, 28, 28), ("head.3.weight", "head.3.bias")),
        (bt.lenet5(), (1, 28, 28), ("head.5.weight", "head.5.bias")),
        (bt.resnet20(), (3, 32, 32), ("head.2.weight", "head.2.bias")),
    ],
)
def test_the_last_layer_is_found_and_the_model_is_left_as_it_was(network, shape, names):
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    data = TensorDataset(torch.randn(6, *shape), torch.arange(6))
    posterior = bt.laplace(network, data, bt.CategoricalLikelihood(), batch_size=4)
    assert posterior.parameter_names == names
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    scores = bt.evaluate(posterior, data, bt.CategoricalLikelihood(), num_samples=3)
    assert math.isfinite(scores["nll"])
    expected = network.eval()(data.tensors[0]).detach()
    torch.testing.assert_close(posterior.moments(data.tensors[0]).mean, expected)
    with torch.no_grad():
        network.head[-1].weight.zero_()
    torch.testing.assert_close(posterior.moments(data.tensors[0]).mean, expected)


def test_of_a_full_last_layer_both_ways_to_the_curvature_agree():
    class Wrapped(nn.Linear):  # takes the general way
        pass

    data, likelihood = task_of("classification")
    layer = nn.Linear(4, 3).double()
    other = Wrapped(4, 3).double()
    other.load_state_dict(layer.state_dict())
    first, second = (
        bt.laplace(network, data, likelihood, prior_std=PRIOR_STD) for network in (layer, other)
    )
    torch.testing.assert_close(first.covariance, second.covariance)


@pytest.mark.parametrize("form", STRUCTURES)
def test_single_precision_gives_what_double_precision_does(form):
    network, (data, likelihood) = mlp(), task_of("regression")
    settings = {"weights": "all", "covariance": form}
    double = bt.laplace(network, data, likelihood, **settings)
    single_data = TensorDataset(*(tensor.float() for tensor in data.tensors))
    single = bt.laplace(mlp().float(), single_data, likelihood, **settings)
    assert single.prior_std == pytest.approx(double.prior_std, rel=1e-4)
    assert single.log_evidence() == pytest.approx(double.log_evidence(), rel=1e-5)
    assert single.std.dtype == single.moments(single_data.tensors[0]).std.dtype == torch.float32
    torch.testing.assert_close(single.std.double(), double.std, rtol=1e-3, atol=0)
    samples = bt.predict(single, single_data.tensors[0], 2).samples
    assert samples.dtype == torch.float32


def test_the_prior_of_weights_that_the_data_leave_open_survives_single_precision():
    with bt.seeded(0):
        network = bt.regression_network(100)
    x, y = bt.polynomial_data(200)
    data, likelihood = TensorDataset(x, y), bt.GaussianLikelihood(0.01)
    settings = {"weights": "all", "prior_std": 1.0}
    single = bt.laplace(network, data, likelihood, **settings)
    data = TensorDataset(x.double(), y.double())
    double = bt.laplace(network.double(), data, likelihood, **settings)
    assert (double.curvature.eigenvalues < 1e-6).sum() > 50
    assert double.curvature.eigenvalues.max() > 1e7
    torch.testing.assert_close(single.std.double(), double.std, rtol=1e-3, atol=0)


def test_a_posterior_moves_with_its_network():
    data, likelihood = task_of("regression")
    for form in STRUCTURES:
        settings = {"weights": "all", "covariance": form, "prior_std": PRIOR_STD}
        posterior = bt.laplace(mlp(), data, likelihood, **settings).float()
        assert posterior.covariance.dtype == torch.float32
        assert posterior.to("meta").std.device.type == "meta"


# Bad input.


def laplace_of(network=None, data=None, likelihood=None, **settings):
    default_data, default_likelihood = task_of("classification")
    return bt.laplace(
        mlp() if network is None else network,
        default_data if data is None else data,
        default_likelihood if likelihood is None else likelihood,
        **settings,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": "first"}, "weights='first': expected one of last_layer, all"),
        ({"covariance": "low"}, "covariance='low': expected one of full, kronecker, diagonal"),
        ({"prior_std": 0.0}, "prior_std=0.0: expected a positive finite number"),
        ({"prior_std": math.nan}, "prior_std=nan: expected a positive finite number"),
        ({"batch_size": 0}, "batch_size=0: expected 1 or more"),
        ({"data": TensorDataset(torch.empty(0, 4), torch.empty(0))}, "data is empty"),
        (
            {"network": bt.to_bayesian(mlp())},
            "has Bayesian layers, '0' the first.* no posterior already",
        ),
        ({"network": nn.Tanh()}, "model has no parameters: expected at least one"),
        ({"network": nn.Sequential(mlp(), nn.Tanh())}, "not that of '0.2'.*choose weights='all'"),
        (
            {"network": nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)).double()},
            r"is '1', a LayerNorm.*a Linear that is used once; choose weights='all'",
        ),
        (
            {"network": nn.Sequential(*[nn.Linear(4, 4).double()] * 2)},
            r"is '0', a Linear.*a Linear that is used once; choose weights='all'",
        ),
        (
            {
                "network": nn.Sequential(nn.Linear(4, 3), nn.Unflatten(1, (3, 1))).double(),
                "data": TensorDataset(torch.ones(5, 4).double(), torch.ones(5, 3, 1).double()),
                "likelihood": bt.GaussianLikelihood(1.0).double(),
            },
            r"shape \(5, 3, 1\): expected \(N, C\)",
        ),
        (
            {"network": nn.Linear(4, 3001).double()},
            "of 15,005 weights: expected at most 10,000; choose 'kronecker'",
        ),
        (
            {
                "network": nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double(),
                "weights": "all",
                "covariance": "kronecker",
            },
            "'1' is a BatchNorm1d.*expected Linear and Conv2d.*choose covariance='diagonal'",
        ),
        (
            {
                "network": nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Flatten()).double(),
                "weights": "all",
                "covariance": "kronecker",
                "data": TensorDataset(torch.ones(1, 2, 1, 1).double(), torch.zeros(1).long()),
            },
            "'0' is a Conv2d.*expected Linear and Conv2d without groups",
        ),
        (
            {
                "network": nn.Sequential(*[nn.Linear(4, 4).double()] * 2),
                "weights": "all",
                "covariance": "kronecker",
            },
            "used more than once in a forward pass, expected once",
        ),
    ],
)
def test_wrong_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        laplace_of(**settings)


def test_layers_that_the_output_does_not_see_keep_their_prior():
    data, likelihood = task_of("classification")
    for form in STRUCTURES:
        settings = {"weights": "all", "covariance": form, "prior_std": PRIOR_STD}
        posterior = bt.laplace(WithUnusedHeads(), data, likelihood, **settings)
        std = posterior.by_name(posterior.std)
        for name in ("called.weight", "never.bias"):
            torch.testing.assert_close(std[name], torch.full_like(std[name], PRIOR_STD))
        assert (std["head.weight"] < 0.9 * PRIOR_STD).all()


def test_shared_weights_have_no_factors():
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).double()
    network[1].weight = network[0].weight
    with pytest.raises(ValueError, match="'1' shares its weights with another layer"):
        laplace_of(network, weights="all", covariance="kronecker")
    assert laplace_of(network, weights="all", prior_std=1.0).covariance.shape == (24, 24)


def test_another_likelihood_or_data_set_is_a_type_error():
    with pytest.raises(TypeError, match="expected a GaussianLikelihood or a CategoricalLikelihood"):
        laplace_of(likelihood=nn.MSELoss())
    with pytest.raises(TypeError, match="expected a Dataset of inputs and targets"):
        laplace_of(data=torch.ones(3, 4))


def test_what_is_not_finite_is_an_error():
    data, likelihood = task_of("regression")
    network = mlp()
    nn.init.constant_(network[2].bias, math.nan)
    with pytest.raises(ValueError, match=r"log-likelihood nan .* expected a finite one"):
        bt.laplace(network, data, likelihood)
    data.tensors[1][0, 0] = math.nan
    with pytest.raises(ValueError, match=r"data: target: expected finite numbers, not nan"):
        bt.laplace(mlp(), data, likelihood)


def test_an_evidence_without_a_maximum_is_an_error():
    network = mlp()
    nn.init.zeros_(network[2].weight)
    nn.init.zeros_(network[2].bias)
    with pytest.raises(ValueError, match="prior_std=None: the evidence has no maximum"):
        laplace_of(network)
    with pytest.raises(ValueError, match="prior_std=-1: expected a positive"):
        laplace_of(network, prior_std=1.0).log_evidence(-1)


def test_moments_of_no_inputs_are_an_error():
    posterior = laplace_of()
    for method in (posterior.moments, posterior.output_moments, posterior.probit):
        with pytest.raises(ValueError, match=r"x has shape \(0, 4\): expected at least one row"):
            method(torch.empty(0, 4).double())
