import json
import math

import mean_field
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

import bnn_tutorial as bt


def test_the_loss_is_the_negative_elbo_per_point():
    with bt.seeded(0):
        regression = mean_field.Regression(units=5, prior_std=1.5, init_std=0.1, init_noise=1.0)
    x, y = bt.polynomial_data(30)
    elbo = bt.elbo(regression.network, x, y, regression.likelihood)
    torch.testing.assert_close(regression(x, y), -elbo / 30)


def test_a_fit_lowers_the_loss_and_follows_its_data():
    x, y = bt.polynomial_data(20, noise="none")
    with bt.seeded(0):
        regression = mean_field.Regression(20, 2.0, init_std=0.01, init_noise=1.0)
    losses = mean_field.fit(regression, x, y, 400, 0.05)
    assert losses.shape == (400,)
    assert losses[-1] < losses[0]
    mean = bt.exact_moments(regression.network, x).mean
    assert torch.corrcoef(torch.cat([mean, y], dim=1).T)[0, 1] > 0.5


def test_the_limit_s_score_is_the_joint_density_of_the_data():
    x, y = (part.double() for part in bt.polynomial_data(30))
    noise_std, score = mean_field.limit_score(x, y, 20, 2.0)
    covariance = bt.relu_network_kernel(x, x, hidden_features=20, prior_std=2.0)
    covariance += noise_std**2 * torch.eye(30)
    joint = MultivariateNormal(torch.zeros(30).double(), covariance)
    assert score == pytest.approx(-joint.log_prob(y.flatten()).item() / 30, rel=1e-6)


@pytest.mark.parametrize("units", [10, 40])  # fewer features than data, and more
def test_the_bound_is_the_mean_log_evidence_of_the_last_layer(units):
    x, y = bt.polynomial_data(30)
    noise_std, score = mean_field.bound_score(x, y, units, 2.0)
    total = 0.0
    for seed in range(mean_field.NUM_LAYERS):
        generator = torch.Generator().manual_seed(seed)
        hidden = 2.0 * torch.randn(2, units, generator=generator, dtype=torch.float64)
        ones = torch.ones(30, 1, dtype=torch.float64)
        phi = torch.cat([(torch.cat([x, ones], dim=1) @ hidden).relu(), ones], dim=1)
        stds = {"prior_std": 2.0, "noise_std": noise_std}
        total -= bt.linear_regression_posterior(phi, y.double(), **stds).log_evidence.item()
    assert score == pytest.approx(total / mean_field.NUM_LAYERS / 30, rel=1e-6)


def test_a_unit_without_a_weight_is_silent_and_costs_what_its_weights_cost():
    with bt.seeded(0):
        regression = mean_field.Regression(units=3, prior_std=2.0, init_std=0.1, init_noise=1.0)
    first, _, last = regression.network
    with torch.no_grad():
        first.weight_mean.fill_(1.0)
        first.bias_mean.zero_()
        last.weight_mean.copy_(torch.tensor([[5.0, 0.0, -5.0]]))
    count, nats = mean_field.silent_units(regression, torch.linspace(-2, 2, 50)[:, None])
    assert count == 1
    ratio = 0.1 / 2.0  # each width; the three means are 1, 0 and 0
    each = -math.log(ratio) + ratio**2 / 2 - 0.5
    assert nats == pytest.approx(3 * each + 1 / 8, rel=1e-3)
    assert isinstance(regression.network[1], nn.ReLU)


def test_the_record_is_of_all_cases_at_rest_and_its_summary_is_that_of_its_runs():
    record = json.loads(mean_field.RECORD.read_text())
    assert {run["case"] for run in record["runs"]} == {*mean_field.CASES}
    assert record["summary"] == mean_field.summaries(record["runs"])
    assert max(run["rest"] for run in record["runs"]) < 0.05


def test_the_program_writes_its_record_and_adds_what_it_lacks(tmp_path, monkeypatch):
    small = {"few": (4, 2.0, 0.01, 1.0, 6, 0.05), "more": (6, 2.0, 0.01, 1.0, 6, 0.05)}
    monkeypatch.setattr(mean_field, "CASES", small)
    monkeypatch.setattr(mean_field, "NUM_LAYERS", 2)
    path = tmp_path / "record.json"
    mean_field.main(["--output", str(path), "--seeds", "1"])
    first = json.loads(path.read_text())["runs"]
    mean_field.main(["--output", str(path), "--seeds", "2"])
    record = json.loads(path.read_text())
    assert [(run["case"], run["seed"]) for run in record["runs"]] == [
        (case, seed) for case in small for seed in range(2)
    ]
    assert [run for run in record["runs"] if run["seed"] == 0] == first
    assert [summary["seeds"] for summary in record["summary"]] == [2, 2]
