import math

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

PRIOR_STD, NOISE_STD = 0.75, 0.5


def regression(num_data=12):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(num_data, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(num_data, 1, generator=generator, dtype=torch.float64)
    features = torch.cat([x, torch.ones(num_data, 1)], dim=1)  # the bias comes last
    exact = bt.linear_regression_posterior(features, y, prior_std=PRIOR_STD, noise_std=NOISE_STD)
    return TensorDataset(x, y), features, y, exact


def chain(data, model=None, **settings):
    with bt.seeded(0):
        model = nn.Linear(2, 1).double() if model is None else model
    likelihood = bt.GaussianLikelihood(NOISE_STD).double()
    defaults = {"prior_std": PRIOR_STD, "num_samples": 6, "burn_in": 0, "learning_rate": 1e-3}
    defaults |= {"seed": 0, "progress": False}
    return bt.sgld(model, data, likelihood, **defaults | settings)


def noise_of_batches(features, y, mean, batch_size):
    """The covariance over batches of the gradient's estimate at ``mean``, from an epoch's order."""
    num_data = len(features)
    slopes = features * (y - features @ mean[:, None]) / NOISE_STD**2
    deviations = slopes - slopes.mean(dim=0)
    covariance = deviations.T @ deviations / (num_data - 1)
    return num_data**2 / batch_size * (1 - batch_size / num_data) * covariance


def test_with_all_rows_the_samples_have_the_moments_that_follow_from_the_step():
    """w' = (I - ε A)(w - m) + √(2ε) ξ is at rest with the covariance (A - ε A² / 2)⁻¹."""
    data, _, _, exact = regression()
    precision = exact.covariance.inverse()
    epsilon = 0.8 / torch.linalg.eigvalsh(precision).max().item()
    samples = chain(data, num_samples=6000, burn_in=100, learning_rate=epsilon).samples
    expected = (precision - epsilon / 2 * precision @ precision).inverse()
    deviations = samples - exact.mean
    assert_moments(deviations, expected)
    # The discretization's part is more than the tolerance: the test would see it missing.
    assert (expected.diagonal() / exact.covariance.diagonal()).max() > 1.1


def assert_moments(deviations, covariance):
    products = deviations[:, :, None] * deviations[:, None, :]
    for draws, expected in ((deviations, 0.0), (products, covariance)):
        error = draws.std(dim=0) / bt.effective_sample_size(draws[None]).sqrt()
        difference = (draws.mean(dim=0) - expected).abs()
        assert (difference < 5 * error).all(), (difference, error)


def test_batches_leave_the_posterior_as_it_is_when_the_steps_are_small():
    data, features, y, exact = regression()
    precision = exact.covariance.inverse()
    epsilon = 0.02 / torch.linalg.eigvalsh(precision).max().item()
    settings = {"num_samples": 3000, "thinning": 2, "burn_in": 300, "batch_size": 6}
    samples = chain(data, **settings, learning_rate=epsilon).samples
    deviations = samples - exact.mean
    error = deviations.std(dim=0) / bt.effective_sample_size(deviations[None]).sqrt()
    # The noise of batches, as if they were independent, bounds what it adds to the variance.
    added = epsilon / 2 * noise_of_batches(features, y, exact.mean, 6).trace()
    assert (deviations.mean(dim=0).abs() < 5 * error).all()
    squares = deviations.square()
    error = squares.std(dim=0) / bt.effective_sample_size(squares[None]).sqrt()
    difference = (squares.mean(dim=0) - exact.covariance.diagonal()).abs()
    assert (difference < 5 * error + added).all(), (difference, error, added)


def test_a_step_is_the_formula_written_out():
    data, features, y, _ = regression()
    weights = chain(data, num_samples=1, learning_rate=1e-3, batch_size=4).samples[0]
    with bt.seeded(0):
        start = torch.cat([p.flatten() for p in nn.Linear(2, 1).double().parameters()]).detach()
    with bt.seeded(0):
        rows = torch.randperm(12)[:4]
        noise = torch.randn(3, dtype=torch.float64)
    residual = y[rows, 0] - features[rows] @ start
    slope = 12 / 4 * features[rows].T @ residual / NOISE_STD**2 - start / PRIOR_STD**2
    expected = start + 1e-3 * slope + math.sqrt(2e-3) * noise
    # The likelihood's noise was made in single precision.
    torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-6)


def test_burn_in_and_thinning_leave_out_what_they_say():
    data, *_ = regression()
    all_steps = chain(data, num_samples=11, batch_size=5).samples
    kept = chain(data, num_samples=3, burn_in=2, thinning=3, batch_size=5).samples
    assert torch.equal(kept, all_steps[[4, 7, 10]])


def test_a_schedule_is_asked_for_each_step():
    data, *_ = regression()
    asked = []

    def schedule(step):
        asked.append(step)
        return 1e-3

    assert torch.equal(chain(data, learning_rate=schedule).samples, chain(data).samples)
    assert asked == list(range(6))


def test_the_model_and_the_global_generator_are_left_alone():
    data, *_ = regression()
    model = nn.Linear(2, 1).double()
    before, state = model.weight.detach().clone(), torch.get_rng_state()
    posterior = chain(data, model)
    assert torch.equal(model.weight, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert bt.predict(posterior, torch.ones(4, 2).double()).samples.shape == (6, 4, 1)


def test_steps_that_are_too_long_are_named():
    data, *_ = regression()
    with pytest.raises(RuntimeError, match="expected a smaller learning_rate than 10"):
        chain(data, learning_rate=10.0, num_samples=1000)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_samples": 0}, "num_samples=0"),
        ({"thinning": 0}, "thinning=0"),
        ({"burn_in": -1}, "burn_in=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"learning_rate": lambda step: -1.0}, "learning_rate=-1.0"),
        ({"prior_std": 0.0}, "prior_std=0.0"),
    ],
)
def test_bad_arguments_are_named(setting, message):
    data, *_ = regression()
    with pytest.raises(ValueError, match=message):
        chain(data, **setting)
