import pytest
import torch
from torch import nn

import bnn_tutorial as bt
from bnn_tutorial.chapters import roads


def gap(seed: int = 0) -> roads.Problem:
    return roads.gap_problem(roads.gap_data(torch.Generator().manual_seed(seed)), epochs=2)


def test_no_point_lies_in_the_gap():
    x, y = roads.gap_data(torch.Generator().manual_seed(0)).tensors
    assert len(x) == 20
    assert not ((x > -1) & (x < 0.5)).any()
    assert (y - roads.curve(x)).std() == pytest.approx(roads.NOISE_STD, rel=0.5)


def test_an_anchored_ensemble_has_members_of_its_own():
    with bt.seeded(0):
        members = roads.anchored_ensemble(gap(), nn.Identity())
    assert members.num_networks == 20
    assert members.samples.std(dim=0).min() > 0.3


@pytest.mark.parametrize("name", roads.ROADS)
def test_every_road_leads_to_draws_of_functions(name):
    places = torch.linspace(-2, 1.5, 7)[:, None]
    with bt.seeded(0):
        mode = gap().new_network()
        prediction = roads.answer(roads.ROADS[name](gap(), mode), places)
    assert prediction.samples.shape[1:] == (7, 1)
    assert prediction.samples.isfinite().all()
    assert (prediction.std > 0).all() == (name != "MAP")


def test_the_weight_decay_of_a_mode_is_the_priors():
    problem = roads.gap_problem(roads.gap_data(torch.Generator().manual_seed(0)), epochs=800)
    with bt.seeded(0):
        mode = roads.train_map(problem, problem.new_network())
    log_density = bt.log_posterior(
        mode, problem.data, problem.likelihood, prior_std=roads.PRIOR_STD
    )
    w = nn.utils.parameters_to_vector(mode.parameters())
    slope = torch.func.grad(log_density)(w.detach())
    assert slope.norm() < 0.5  # a start's is in the hundreds


def test_chains_are_of_all_weights():
    few = {"num_chains": 4, "num_samples": 3, "num_warmup": 20, "num_leapfrog_steps": 2}
    chains = roads.sample(gap(), seed=0, **few)
    assert chains.samples.shape == (4, 3, 61)
    assert chains.samples.isfinite().all()
