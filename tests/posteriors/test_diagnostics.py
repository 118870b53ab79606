import math

import pytest
import torch
from helpers.monte_carlo import assert_mean

import bnn_tutorial as bt


def autoregression(correlation, num_chains, num_samples, num_traces=1, seed=0):
    """Stationary AR(1) traces (C, S, K) of variance 1, whose lag t has ``correlation`` ** t."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(num_samples, num_chains, num_traces, generator=generator).double()
    traces = [noise[0]]
    for step in noise[1:]:
        traces.append(correlation * traces[-1] + math.sqrt(1 - correlation**2) * step)
    return torch.stack(traces, dim=1)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, -0.4])
def test_the_effective_sample_size_is_that_of_an_autoregression(correlation):
    traces = autoregression(correlation, 8, 2000, num_traces=50)
    expected = 8 * 2000 * (1 - correlation) / (1 + correlation)
    ratio = bt.effective_sample_size(traces) / expected
    # The sequence is cut off where its noise would add up, at a bias of a few percent.
    assert ratio.mean().item() == pytest.approx(1, abs=0.06)
    assert ratio.std() < 0.15


def test_the_effective_sample_size_says_how_far_a_mean_may_be_off():
    traces = autoregression(0.8, 4, 500, num_traces=2000)
    effective = bt.effective_sample_size(traces)
    errors = traces.mean(dim=(0, 1)) * effective.sqrt() / traces.std(dim=(0, 1))
    assert_mean(errors, 0.0)
    assert errors.square().mean().item() == pytest.approx(1, abs=0.15)


def test_r_hat_of_chains_that_agree_is_near_1():
    values = bt.r_hat(autoregression(0.5, 8, 2000, num_traces=50))
    assert values.shape == (50,)
    assert (values < 1.01).all()
    assert (values > 1 - 1e-3).all()


def test_r_hat_is_the_formula_written_out():
    traces = torch.randn(3, 11, generator=torch.Generator().manual_seed(0)).double()
    halves = [part for chain in traces for part in (chain[:5], chain[-5:])]
    within = sum(half.var() for half in halves) / 6
    between = 5 * torch.stack([half.mean() for half in halves]).var()
    expected = ((4 / 5 * within + between / 5) / within).sqrt()
    torch.testing.assert_close(bt.r_hat(traces), expected)


@pytest.mark.parametrize("fault", ["apart", "drift"])
def test_chains_that_are_apart_or_still_moving_are_seen(fault):
    traces = autoregression(0.5, 4, 1000)
    if fault == "apart":
        traces[0] += 2
    else:
        traces += torch.linspace(0, 3, 1000)[:, None]
    assert bt.r_hat(traces).item() > 1.1
    assert bt.effective_sample_size(traces).item() < 60


def test_stuck_chains_have_an_infinite_r_hat_and_no_effective_sample():
    traces = torch.arange(4.0)[:, None].expand(4, 100)
    assert bt.r_hat(traces).item() == torch.inf
    assert bt.effective_sample_size(traces).item() < 10
    assert bt.r_hat(torch.ones(4, 100)).isnan()


@pytest.mark.parametrize("diagnostic", [bt.r_hat, bt.effective_sample_size])
def test_traces_of_any_shape_are_taken_one_by_one(diagnostic):
    traces = autoregression(0.5, 3, 101, num_traces=6)
    together = diagnostic(traces.unflatten(2, (2, 3)))
    alone = torch.stack([diagnostic(traces[..., index]) for index in range(6)])
    torch.testing.assert_close(together, alone.unflatten(0, (2, 3)))


def test_the_effective_sample_size_has_an_upper_limit():
    traces = torch.tensor([1.0, -1.0]).repeat(4, 500)
    assert bt.effective_sample_size(traces).item() == pytest.approx(4000 * math.log10(4000))


@pytest.mark.parametrize("diagnostic", [bt.r_hat, bt.effective_sample_size])
@pytest.mark.parametrize(
    ("traces", "message"),
    [
        (torch.zeros(100), r"traces has shape \(100,\)"),
        (torch.zeros(4, 3), r"traces has shape \(4, 3\)"),
        (torch.tensor([[0.0, 1.0, torch.nan, 2.0]]), "traces is infinite or NaN"),
    ],
)
def test_bad_traces_are_named(diagnostic, traces, message):
    with pytest.raises(ValueError, match=message):
        diagnostic(traces)
