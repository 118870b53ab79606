"""Posterior gallery: the exact posterior and every method against torch; a reader's use."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from helpers.figure_clock import pass_frames, pass_time, rest
from helpers.figure_model import trait
from helpers.monte_carlo import assert_covariance, assert_mean, assert_variance
from helpers.optimum import minimize
from helpers.pointers import by_mouse, by_touch
from playwright.sync_api import expect
from torch.distributions import MultivariateNormal, Normal
from torch.testing import assert_close
from traitlets import TraitError

from bnn_tutorial.figures import PosteriorGallery
from bnn_tutorial.figures.posterior_gallery import POINTS

NAME = "posterior_gallery"
ZERO = torch.zeros((), dtype=torch.float64)
DEFAULT = {"points": POINTS, "prior_std": 1.5, "noise_std": 0.3}
FALLING = {"points": [[-1.5, 1.4], [0.3, 0.1], [2.0, -2.2]], "prior_std": 1.0, "noise_std": 0.2}
FLAT = {"points": [[0.5, 0.05]], "prior_std": 2.0, "noise_std": 1.0}
PROBLEMS = [DEFAULT, FALLING, FLAT]
SHARP = {  # where the conditionals are narrowest
    "points": [[x, y] for x, y in [(-3, -3), (3, 3)] for _ in range(6)],
    "prior_std": 3.0,
    "noise_std": 0.1,
}
MAKE = """const make = ({points, prior_std, noise_std}) => new module.ExactPosterior({
  x: Float64Array.from(points, ([x]) => x), y: Float64Array.from(points, ([, y]) => y),
  prior_std, noise_std});"""


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def ask(module, body, problem, **more):
    """What a JavaScript function's body returns, given the exact `posterior`, `problem`, `more`."""
    function = f"(all) => {{ {MAKE} const posterior = make(all); const {{problem}} = posterior;"
    return module(NAME).evaluate(f"{function} {body} }}", problem | more)


def output(w1, w2, x):
    return w2 * torch.tanh(w1 * x)


def log_joint(w1, w2, problem):
    """log p(y, w), by torch's Gaussians."""
    prior = Normal(ZERO, problem["prior_std"])
    value = prior.log_prob(w1) + prior.log_prob(w2)
    for x, y in problem["points"]:
        value = value + Normal(output(w1, w2, x), problem["noise_std"]).log_prob(ZERO + y)
    return value


class Grid:
    """The posterior on a fine grid over both weights: nothing is integrated in closed form."""

    def __init__(self, problem, intervals=1600):
        reach = 7 * problem["prior_std"]
        nodes = torch.linspace(-reach, reach, intervals + 1, dtype=torch.float64)
        self.w1, self.w2 = nodes.unsqueeze(1), nodes.unsqueeze(0)
        self.log_joint = log_joint(self.w1, self.w2, problem)
        self.log_cell = 2 * math.log(2 * reach / intervals)
        self.log_evidence = self.log_joint.logsumexp(dim=(0, 1)) + self.log_cell
        self.masses = (self.log_joint + self.log_cell - self.log_evidence).exp()

    def mean(self, values):
        return (self.masses * values).sum()

    def moments(self, x):
        """Mean and standard deviation of f at x."""
        f = output(self.w1, self.w2, x)
        mean = self.mean(f)
        return mean.item(), (self.mean(f.square()) - mean.square()).sqrt().item()


def matrix(covariance):
    first, both, second = covariance
    return double([first, both], [both, second])


def as_gaussian(found):
    return MultivariateNormal(double(*found["mean"]), matrix(found["covariance"]))


def hermite(count=60):
    nodes, masses = np.polynomial.hermite_e.hermegauss(count)
    return torch.from_numpy(nodes), torch.from_numpy(masses / masses.sum())


def expected_log_joint(mean, factor, problem):
    """E[log p(y, w)] over N(mean, factor factor'), by Gauss and Hermite's rule in both weights."""
    nodes, masses = hermite()
    z1, z2 = nodes.unsqueeze(1), nodes.unsqueeze(0)
    w1 = mean[0] + factor[0, 0] * z1
    w2 = mean[1] + factor[1, 0] * z1 + factor[1, 1] * z2
    return (masses.unsqueeze(1) * masses * log_joint(w1, w2, problem)).sum()


def maximize(function, start):
    """The parameters of a maximum near `start`, by L-BFGS."""
    parameters = double(*start).requires_grad_()
    minimize(lambda: -function(parameters), [parameters])
    return parameters.detach()


def factor_of(parameters, diagonal):
    l11, l22 = parameters[2].exp(), parameters[3].exp()
    l21 = torch.zeros_like(l11) if diagonal else parameters[4]
    return torch.stack([torch.stack([l11, torch.zeros_like(l11)]), torch.stack([l21, l22])])


# The exact posterior


@pytest.mark.parametrize("problem", PROBLEMS)
def test_evidence_bands_and_moments_are_those_of_a_grid_over_both_weights(module, problem):
    x = [-3.0, -0.4, 0.0, 1.3, 2.5]
    found = ask(
        module,
        "return {log: posterior.logEvidence, f: posterior.moments(all.x), "
        "half: posterior.halfMoments(), mode: posterior.mode};",
        problem,
        x=x,
    )
    grid = Grid(problem)
    assert found["log"] == pytest.approx(grid.log_evidence.item(), abs=1e-9)
    means, stds = zip(*map(grid.moments, x), strict=True)
    assert found["f"]["mean"] == pytest.approx(means, abs=1e-9)
    assert found["f"]["std"] == pytest.approx(stds, abs=1e-8)
    side = grid.w1.sign()
    mean = double(grid.mean(grid.w1.abs()), grid.mean(side * grid.w2))
    second = [grid.mean(a * b) for a, b in ((grid.w1, grid.w1), (grid.w1, grid.w2))]
    second.append(grid.mean(grid.w2.square()))
    expected = double(second[0], second[1], second[2])
    expected = expected - double(mean[0] ** 2, mean[0] * mean[1], mean[1] ** 2)
    # |w₁| has a kink at 0, at which the grid's rule errs by the square of its step.
    assert_close(double(*found["half"]["mean"]), mean, atol=1e-4, rtol=0)
    assert_close(double(*found["half"]["covariance"]), expected, atol=1e-3, rtol=0)
    assert log_joint(*double(*found["mode"]), problem) >= grid.log_joint.max()


def test_where_the_data_say_most_the_evidence_is_that_of_the_marginals_of_y(module):
    """p(y | w₁) = N(0, s² I + τ² h h'): torch's integral over w₂, and ten times as many nodes."""
    x, y = double(*SHARP["points"]).T
    w1 = torch.linspace(0, 24, 16_001, dtype=torch.float64)
    h = torch.tanh(w1.unsqueeze(1) * x)
    covariance = 0.1**2 * torch.eye(12) + 9 * h.unsqueeze(2) * h.unsqueeze(1)
    log = MultivariateNormal(torch.zeros(12).double(), covariance).log_prob(y)
    log = log + Normal(ZERO, 3.0).log_prob(w1)
    expected = math.log(2) + log.max() + torch.trapezoid((log - log.max()).exp(), w1).log()
    found = ask(module, "return posterior.logEvidence;", SHARP)
    assert found == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_region_holds_its_share_and_its_outline_is_a_level(module, problem, share):
    level, outlines = ask(
        module,
        "const level = posterior.level(all.share);"
        "return [level, posterior.outlines(level, -9, 9, 240)];",
        problem,
        share=share,
    )
    grid = Grid(problem)
    inside = grid.masses[grid.log_joint > level].sum()
    assert inside.item() == pytest.approx(share, abs=2e-3)
    assert outlines
    for outline in outlines:
        w1 = double(*outline["w1"])
        for edge in ("low", "high"):
            values = log_joint(w1, double(*outline[edge]), problem)
            assert_close(values, torch.full_like(values, level), atol=1e-6, rtol=0)
        # Where it begins and ends within the axes it is closed.
        for i in (0, -1):
            if abs(w1[i]) < 9:
                assert outline["high"][i] == pytest.approx(outline["low"][i], abs=1e-2)


@pytest.mark.parametrize("variance", [0.0, 0.3])
def test_the_expansion_is_that_of_automatic_differentiation(module, variance):
    nodes, masses = hermite(8)  # exact for the polynomials in w₂

    def mean_log_joint(weights):
        w2 = weights[1] + variance**0.5 * nodes
        return (masses * log_joint(weights[0], w2, DEFAULT)).sum()

    for weights in [(0.0, 0.0), (0.8, 1.3), (-1.4, 0.6), (3.0, -2.0)]:
        found = ask(
            module,
            "return module.expand(problem, ...all.weights, all.variance);",
            DEFAULT,
            weights=weights,
            variance=variance,
        )
        at = double(*weights)
        assert found["value"] == pytest.approx(mean_log_joint(at).item(), rel=1e-12)
        gradient = torch.func.grad(mean_log_joint)(at)
        assert_close(double(*found["gradient"]), gradient, rtol=1e-10, atol=1e-10)
        hessian = torch.autograd.functional.hessian(mean_log_joint, at)
        assert_close(matrix(found["hessian"]), hessian, rtol=1e-10, atol=1e-10)


# Gaussians


@pytest.mark.parametrize("problem", PROBLEMS)
def test_laplace_is_the_inverse_hessian_at_the_mode_of_torch(module, problem):
    found, modes = ask(module, "return [module.laplace(posterior), posterior.modes];", problem)
    mode = maximize(lambda w: log_joint(w[0], w[1], problem), found["mean"])
    assert_close(double(*found["mean"]), mode, atol=1e-6, rtol=0)
    hessian = torch.autograd.functional.hessian(lambda w: log_joint(*w, problem), mode)
    assert_close(matrix(found["covariance"]), torch.linalg.inv(-hessian), rtol=1e-5, atol=1e-8)
    assert len(modes) == (1 if problem is FLAT else 2)
    if len(modes) == 2:
        assert modes[1] == [-w for w in modes[0]]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("diagonal", [True, False])
def test_the_best_gaussian_is_the_best_of_torchs_by_another_quadrature(module, problem, diagonal):
    found, kl, bands = ask(
        module,
        "const q = module.variational(posterior, {diagonal: all.diagonal});"
        "return [q, module.divergence(posterior, q), module.functionMoments(q, [-2, 0.5, 2.5])];",
        problem,
        diagonal=diagonal,
    )

    def elbo(parameters):
        factor = factor_of(parameters, diagonal)
        entropy = 1 + math.log(2 * math.pi) + parameters[2] + parameters[3]
        return expected_log_joint(parameters[:2], factor, problem) + entropy

    sign = -1.0 if problem is FALLING else 1.0
    starts = [(m, sign * 1.3, s, s, 0.0) for m in (0.6, 1.5) for s in (-1.5, -0.5)]
    ends = [maximize(elbo, start[: 4 if diagonal else 5]) for start in starts]
    best = max(ends, key=lambda end: elbo(end).item())
    factor = factor_of(best, diagonal)
    grid = Grid(problem)
    assert kl == pytest.approx((grid.log_evidence - elbo(best)).item(), abs=1e-6)
    q = as_gaussian(found)
    # w and -w are equally good.
    mirrored = best[:2] * (1.0 if best[0] * found["mean"][0] >= 0 else -1.0)
    assert_close(q.mean, mirrored, atol=1e-3, rtol=0)
    assert_close(q.covariance_matrix, factor @ factor.T, atol=1e-3, rtol=1e-3)
    if diagonal:
        assert found["covariance"][1] == 0
    # The divergence and the bands again, on the grid.
    weights = torch.stack(torch.broadcast_tensors(grid.w1, grid.w2), dim=-1)
    log_q = q.log_prob(weights)
    masses = (log_q + grid.log_cell).exp()
    log_ratio = log_q - (grid.log_joint - grid.log_evidence)
    assert kl == pytest.approx((masses * log_ratio).sum().item(), abs=1e-6)
    for n, x in enumerate([-2, 0.5, 2.5]):
        f = output(grid.w1, grid.w2, x)
        mean = (masses * f).sum()
        assert bands["mean"][n] == pytest.approx(mean.item(), abs=1e-6)
        variance = (masses * (f - mean).square()).sum()
        assert bands["std"][n] == pytest.approx(variance.sqrt().item(), abs=1e-6)


def test_draws_have_the_gaussians_moments(module):
    covariance = [0.5, -0.3, 0.4]
    found = module(NAME).evaluate(
        "(covariance) => module.draw({mean: [1, -2], covariance}, 20000, 3)", covariance
    )
    draws = double(*found)
    assert_mean(draws, [1.0, -2.0])
    assert_covariance(draws, matrix(covariance))


def test_a_swag_step_is_one_datums_and_swag_is_what_the_paper_makes_of_a_path(module):
    twice = DEFAULT | {"points": [[0.7, 1.5]] * 2}
    path, mode = ask(
        module,
        "return [module.descentPath(posterior, {learning_rate: 0.03, seed: 1}), posterior.mode];",
        twice | {"prior_std": 0.5},
    )
    # Two equal data: each step is that of plain gradient descent, which stays at the mode.
    assert_close(double(*path), double(mode).expand(200, 2), atol=1e-6, rtol=0)
    path, found = ask(
        module,
        "const path = module.descentPath(posterior, {learning_rate: 0.03, seed: 1});"
        "return [path, module.swag(path)];",
        DEFAULT,
    )
    iterates = double(*path)
    assert_close(double(*found["mean"]), iterates.mean(dim=0))
    running = iterates.cumsum(dim=0) / torch.arange(1, 201).unsqueeze(1)
    deviations = (iterates - running)[-20:]
    low_rank = deviations.T @ deviations / 19
    diagonal = iterates.var(dim=0, correction=0).diag()
    assert_close(matrix(found["covariance"]), (diagonal + low_rank) / 2)
    assert iterates.var(dim=0).min() > 1e-4


# A few networks


def test_dropout_keeps_the_mode_and_three_networks_that_are_zero(module):
    rate = 0.3
    kept = 1 - rate
    found = ask(module, f"return module.dropout(posterior, {rate});", DEFAULT)
    masks = [(1, 1), (1, 0), (0, 1), (0, 0)]
    shares = [kept * kept, kept * rate, rate * kept, rate * rate]
    prior = Normal(ZERO, DEFAULT["prior_std"])

    def objective(weights):
        """log-likelihood averaged over the masks, plus log prior of the weights."""
        value = prior.log_prob(weights).sum()
        for share, mask in zip(shares, masks, strict=True):
            masked = weights * double(*mask) / kept
            likelihood = log_joint(*masked, DEFAULT) - prior.log_prob(masked).sum()
            value = value + share * likelihood
        return value

    weights = maximize(objective, [0.5, 1.0])
    for network, share, mask in zip(found, shares, masks, strict=True):
        assert network["probability"] == pytest.approx(share)
        expected = weights * double(*mask) / kept
        assert_close(double(*network["weights"]), expected, atol=1e-6, rtol=0)
    moments = ask(
        module, f"return module.setMoments(module.dropout(posterior, {rate}), [2]);", DEFAULT
    )
    f = output(*(weights / kept), 2.0).item()
    assert moments["mean"] == pytest.approx([kept**2 * f], abs=1e-6)
    assert moments["std"] == pytest.approx([math.sqrt(kept**2 * (1 - kept**2)) * f], abs=1e-6)


@pytest.mark.parametrize("problem", [DEFAULT, FALLING])
def test_members_of_an_ensemble_are_the_two_modes(module, problem):
    found, modes = ask(
        module,
        "return [module.ensemble(problem, {members: 20, seed: 0}), posterior.modes];",
        problem,
    )
    ends = double(*[member["weights"] for member in found])
    distances = torch.cdist(ends, double(*modes))
    assert distances.min(dim=1).values.max() < 1e-6
    assert set(distances.argmin(dim=1).tolist()) == {0, 1}
    starts = double(*[member["start"] for member in found])
    assert log_joint(*starts.T, problem).max() < log_joint(*ends.T, problem).min()


# Walks


def test_leapfrog_conserves_the_energy_to_second_order_and_runs_back(module):
    def run(start, momentum, step_size, leapfrog_steps):
        return ask(
            module,
            "return module.leapfrog(problem, all.start, all.momentum, all);",
            DEFAULT,
            start=start,
            momentum=momentum,
            step_size=step_size,
            leapfrog_steps=leapfrog_steps,
        )

    errors = [
        run([0.8, 1.2], [0.7, -0.4], 0.05 / part, 14 * part)["energyError"] for part in (2, 4, 8)
    ]
    assert 1e-6 < abs(errors[0]) < 1e-2
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(4, rel=0.15)
    forth = run([0.8, 1.2], [0.7, -0.4], 0.05, 20)
    there = forth["path"]
    assert len(there) == 21
    # The same by torch's gradients; with the momentum turned round it runs back.
    gradient = torch.func.grad(lambda w: log_joint(w[0], w[1], DEFAULT))
    position, momentum = double(0.8, 1.2), double(0.7, -0.4)
    for place in there[1:]:
        momentum = momentum + 0.025 * gradient(position)
        position = position + 0.05 * momentum
        momentum = momentum + 0.025 * gradient(position)
        assert_close(position, double(*place), atol=1e-9, rtol=0)
    back = run(there[-1], (-momentum).tolist(), 0.05, 20)
    assert back["path"][-1] == pytest.approx([0.8, 1.2], abs=1e-9)
    assert back["energyError"] == pytest.approx(-forth["energyError"], abs=1e-9)


def walk(module, problem, kind, draws, **settings):
    return ask(
        module,
        """const chain = new module.Chain(all.kind, posterior, all.settings);
        while (chain.draws.length < all.count) chain.arrive();
        return {...chain, uniform: null, normal: null};""",
        problem,
        kind=kind,
        count=draws,
        settings=settings,
    )


def test_hmc_has_the_exact_moments_in_the_long_run(module):
    found = walk(module, DEFAULT, "hmc", 40_000, step_size=0.08, leapfrog_steps=25, seed=1)
    assert 0.8 < found["accepted"] / 40_000 < 1
    w1, w2 = double(*found["draws"]).T
    grid = Grid(DEFAULT)
    values = torch.stack([output(w1, w2, x) for x in (-2.0, 0.5, 2.5)] + [w1.abs()], dim=1)
    squares = values.square()
    # Means of batches that are far longer than the draws' memory are independent.
    batches = torch.cat([values, squares], dim=1).view(80, 500, -1).mean(dim=1)
    f = [output(grid.w1, grid.w2, x) for x in (-2.0, 0.5, 2.5)] + [grid.w1.abs()]
    expected = [grid.mean(v) for v in f] + [grid.mean(v.square()) for v in f]
    assert_mean(batches, double(*expected))
    # Each draw is the last one, or the end of an accepted trajectory.
    moved = (double(*found["draws"]).diff(dim=0).abs().sum(dim=1) > 0).sum().item()
    assert abs(moved - found["accepted"]) <= 1


def test_langevin_moves_by_half_the_squared_step_uphill_and_one_step_of_noise(module):
    paths = ask(
        module,
        """const chain = new module.Chain("langevin", posterior, all.settings);
        const paths = [];
        while (chain.draws.length < 200) (chain.arrive(), paths.push(chain.trajectory.path));
        return paths;""",
        DEFAULT,
        settings={"step_size": 0.1, "leapfrog_steps": 20, "seed": 0},
    )
    positions = double(*paths)
    assert_close(positions[1:, 0], positions[:-1, -1], rtol=0, atol=0)
    gradient = torch.func.vmap(torch.func.grad(lambda w: log_joint(w[0], w[1], DEFAULT)))
    before = positions[:, :-1].reshape(-1, 2)
    after = positions[:, 1:].reshape(-1, 2)
    noise = (after - before - 0.1**2 / 2 * gradient(before)) / 0.1
    assert_mean(noise, 0.0)
    assert_variance(noise, 1.0)
    assert_mean(noise * gradient(before), 0.0)  # nothing of the slope is left in it


def test_a_walk_whose_steps_are_too_long_begins_anew_and_says_so(module):
    found = walk(module, SHARP, "langevin", 20, step_size=0.5, leapfrog_steps=20, seed=0)
    assert found["escapes"] > 0
    assert torch.tensor(found["draws"]).isfinite().all()
    rejected = walk(module, SHARP, "hmc", 20, step_size=0.5, leapfrog_steps=50, seed=0)
    assert rejected["escapes"] == 0
    assert rejected["accepted"] < 5


# The class


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "gibbs"),
        ("prior_std", 0.0),
        ("noise_std", 0.01),
        ("place", 3.1),
        ("members", 0),
        ("dropout_rate", 1.0),
        ("leapfrog_steps", 51),
        ("points", []),
        ("points", [[0.0, 0.0]] * 13),
        ("points", [[0.0, 0.0], [4.0, 0.0]]),
        ("points", [[0.0]]),
        ("points", ["no"]),
        ("points", [[0.0, math.nan]]),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(TraitError, match=name):
        PosteriorGallery(**{name: value})


def test_training_data_are_the_points():
    x, y = PosteriorGallery(points=[[1, 2], [-3, 0.5]]).training_data()
    assert x.tolist() == [[1.0], [-3.0]]
    assert y.tolist() == [[2.0], [0.5]]


# The figure as a reader uses it


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def result(page):
    return page.locator(".result").inner_text()


def point(page, number):
    return page.get_by_role("slider", name=re.compile(f"^Data point {number} "))


def test_it_teaches_before_anything_is_touched(shown, module):
    page = shown(PosteriorGallery())
    kl, ratio = ask(
        module,
        """const q = module.variational(posterior, {diagonal: true});
        const [own, exact] = [module.functionMoments(q, [2.5]), posterior.moments([2.5])];
        return [module.divergence(posterior, q), own.std[0] / exact.std[0]];""",
        DEFAULT,
    )
    assert trait(page, "kl") == pytest.approx(kl)
    assert trait(page, "width_ratio") == pytest.approx(ratio)
    assert ratio < 0.6
    assert result(page).startswith(
        f"Mean field: KL(q‖p) = {kl:.2f} nats, of which log 2 = 0.69 for the mode it leaves out. "
        f"At x = 2.5 its band is {ratio:.2f} times as wide as the exact one ("
    )


SAID = {
    "map": r"MAP: one network, and no band; the exact one at x = 2\.5 is ±1\.1\.",
    "full covariance": r"Full covariance: KL\(q‖p\) = 1\.17 nats, of which log 2 = 0\.69 .*",
    "laplace": r"Laplace: KL\(q‖p\) = 5\.23 nats\. At x = 2\.5 its band is 1\.80 times .*",
    "ensemble": r"Ensemble: 5 starts lead to 2 points, which make 1 function\. .* 0\.00 times .*",
    "swag": r"SWAG: KL\(q‖p\) = \d\.\d\d nats, .* 0\.\d\d times as wide .*",
    "dropout": r"Dropout: 4 networks; 1 of them, drawn with 64 %, is not zero\. .*",
    "hmc": r"HMC: 1,000 draws, \d\d % accepted, at one mode so far\. .*",
    "langevin": r"Langevin: 1,000 draws, at one mode so far\. .*",
}


def test_the_keys_lead_from_method_to_method_and_each_says_its_finding(shown):
    page = shown(PosteriorGallery(), reduced_motion="reduce")
    page.get_by_label("MAP", exact=True).check()
    page.keyboard.press("ArrowRight")
    assert trait(page, "method") == "mean field"
    for method, said in SAID.items():
        while trait(page, "method") != method:
            page.keyboard.press("ArrowRight")
        assert re.fullmatch(said, result(page)), result(page)
        gaussian = method in {"full covariance", "laplace", "swag"}
        assert (trait(page, "kl") is not None) == gaussian
        assert page.locator(".ellipse").nth(0).get_attribute("d") is None or gaussian


def test_at_x_0_there_is_no_width_to_compare(shown):
    page = shown(PosteriorGallery(place=0.0))
    assert "At x = 0 every function is 0" in result(page)
    assert trait(page, "width_ratio") is None


@pytest.mark.parametrize(
    ("drag", "settings"),
    [(by_mouse, {}), (by_touch, {"has_touch": True, "width": 375, "height": 1400})],
    ids=["mouse", "touch"],
)
def test_points_and_the_place_are_dragged_and_everything_answers(shown, drag, settings):
    page = shown(PosteriorGallery(), **settings)
    before, words = trait(page, "points"), result(page)
    region = page.locator(".plot .region").nth(0)
    shape = region.get_attribute("d")
    unit = (middle(point(page, 6))[0] - middle(point(page, 1))[0]) / 2.3
    x, y = middle(point(page, 6))
    drag(page, (x, y), (x + 0.5 * unit, y - 20))
    after = trait(page, "points")
    assert after[:5] == before[:5]
    assert after[5][0] == pytest.approx(before[5][0] + 0.5, abs=0.05)
    assert after[5][1] > before[5][1]
    assert result(page) != words
    assert region.get_attribute("d") != shape
    handle = page.locator("[data-trait=place]")
    x, y = middle(handle)
    drag(page, (x, y), (x - unit, y))
    assert trait(page, "place") == pytest.approx(1.5, abs=0.05)
    assert f"At x = {trait(page, 'place'):.2g}" in result(page)
    assert page.evaluate("scrollY") == 0


def test_points_by_keys(shown):
    page = shown(PosteriorGallery())
    point(page, 1).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowLeft")
    assert trait(page, "points")[0] == pytest.approx([-2.2, -0.8])
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowDown")
    assert trait(page, "points")[1] == pytest.approx([-0.7, -0.9])
    page.keyboard.press("Delete")
    assert len(trait(page, "points")) == 5
    expect(point(page, 2)).to_be_focused()
    for _ in range(9):
        page.keyboard.press("Delete")
    assert len(trait(page, "points")) == 1  # the last one stays
    page.get_by_text("Data, noise, prior").click()
    page.get_by_role("button", name="Add a point").click()
    expect(point(page, 2)).to_be_focused()
    page.get_by_role("button", name="Remove a point").click()
    assert len(trait(page, "points")) == 1
    for _ in range(14):
        page.get_by_role("button", name="Add a point").click()
    assert len(trait(page, "points")) == 12
    page.get_by_role("button", name="Reset the points").click()
    assert trait(page, "points") == POINTS


def test_each_method_has_its_sliders_and_they_lead_to_the_bounds(shown):
    page = shown(PosteriorGallery(running=False))
    page.get_by_text("Data, noise, prior").click()
    own = {
        "ensemble": {"members": (1, 20)},
        "swag": {"learning_rate": (0.001, 0.2)},
        "dropout": {"dropout_rate": (0.05, 0.8)},
        "hmc": {"step_size": (0.01, 0.5), "leapfrog_steps": (1, 50)},
        "langevin": {"step_size": (0.01, 0.5), "leapfrog_steps": (1, 50)},
    }
    for method in PosteriorGallery.class_traits()["method"].values:
        page.evaluate("(method) => model.set('method', method)", method)
        sliders = page.locator(".own input")
        assert sliders.count() == len(own.get(method, {}))
        for slider, (name, ends) in zip(sliders.all(), own.get(method, {}).items(), strict=True):
            for key, end in zip(("Home", "End"), ends, strict=True):
                slider.press(key)
                assert trait(page, name) == end


def walk_path(page):
    return page.locator(".plot .walk").get_attribute("d") or ""


def test_hmc_walks_pauses_steps_and_comes_to_an_end(shown):
    page = shown(PosteriorGallery(method="hmc"))
    pass_frames(page, 20)
    early = walk_path(page)
    pass_frames(page, 20)
    assert walk_path(page).startswith(early)
    assert len(walk_path(page)) > len(early)
    pass_time(page, 6000)
    assert trait(page, "draws") > 5
    page.get_by_role("button", name="Pause").click()
    draws, path = trait(page, "draws"), walk_path(page)
    pass_time(page, 2000)
    assert (trait(page, "draws"), walk_path(page)) == (draws, path)
    page.get_by_role("button", name="1 draw").click()
    assert trait(page, "draws") == draws + 1
    assert walk_path(page).count("L") == 20
    page.get_by_role("button", name="Walk").click()
    rest(page)
    assert trait(page, "draws") == 1000
    assert result(page).startswith("HMC: 1,000 draws, ")
    assert trait(page, "width_ratio") == pytest.approx(1, abs=0.35)
    page.get_by_role("button", name="1 draw").press("Enter")  # which has had enough
    assert trait(page, "draws") == 1000
    page.get_by_role("button", name="Start anew").click()
    assert trait(page, "seed") == 1
    pass_time(page, 3000)
    assert 0 < trait(page, "draws") < 20


def test_a_rejected_trajectory_is_crossed_out_and_leaves_the_draw(shown):
    page = shown(PosteriorGallery(method="hmc", step_size=0.2, running=False))
    seen = set()
    for _ in range(12):
        page.get_by_role("button", name="1 draw").click()
        end = page.locator(".plot .walk-end")
        rejected = "rejected" in end.get_attribute("class")
        assert ("l10,10" in end.get_attribute("d")) == rejected
        seen.add(rejected)
    assert seen == {False, True}


def test_a_walk_keeps_its_number_of_draws_while_data_move(shown):
    page = shown(PosteriorGallery(method="langevin"), reduced_motion="reduce")
    assert trait(page, "draws") == 1000
    before = page.locator(".edges").first.get_attribute("d")
    point(page, 1).press("ArrowUp")
    assert trait(page, "draws") == 1000
    assert page.locator(".edges").first.get_attribute("d") != before


def test_with_reduced_motion_a_walk_is_there_at_once_and_rests(shown):
    page = shown(PosteriorGallery(), reduced_motion="reduce")
    page.get_by_label("HMC").check()
    assert trait(page, "draws") == 1000
    path = walk_path(page)
    pass_time(page, 1000)
    assert walk_path(page) == path
    page.get_by_role("button", name="Start anew").click()
    assert trait(page, "draws") == 1000
    assert walk_path(page) != path


def test_out_of_sight_a_walk_rests(shown):
    page = shown(PosteriorGallery(method="hmc"))
    page.add_style_tag(content="body { padding-bottom: 5000px }")
    pass_time(page, 2000)
    page.evaluate("scrollTo(0, 4000)")
    pass_frames(page, 2)
    path = walk_path(page)
    pass_time(page, 3000)
    assert walk_path(page) == path
    page.evaluate("scrollTo(0, 0)")
    pass_time(page, 3000)
    assert walk_path(page) != path


def test_python_may_set_everything(shown):
    page = shown(PosteriorGallery())
    page.evaluate("model.set('method', 'dropout'); model.set('dropout_rate', 0.5)")
    assert "drawn with 25 %" in result(page)
    expect(page.get_by_label("dropout", exact=True)).to_be_checked()
    page.evaluate("model.set('points', [[1, 2], [2, 2]])")
    expect(page.locator(".point")).to_have_count(2)


@pytest.mark.parametrize("width", [320, 800])
def test_the_landscape_stands_above_the_functions_on_a_phone_and_beside_them_else(shown, width):
    page = shown(PosteriorGallery(), width=width)
    first, second = (plot.bounding_box() for plot in page.locator(".views .plot").all())
    if width == 320:
        assert second["y"] >= first["y"] + first["height"]
    else:
        assert second["y"] == first["y"]
        assert second["x"] >= first["x"] + first["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_plots_stay_in_place_from_method_to_method(shown):
    page = shown(PosteriorGallery(running=False), width=375)
    tops = set()
    for method in PosteriorGallery.class_traits()["method"].values:
        page.evaluate("(method) => model.set('method', method)", method)
        tops.add(page.locator(".views").bounding_box()["y"])
    assert len(tops) == 1
