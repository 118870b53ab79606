import torch
from helpers.monte_carlo import assert_mean, assert_variance

import bnn_tutorial as bt
from bnn_tutorial.layers.estimator_noise import add_noise


def test_noise_has_the_moments_that_it_is_given():
    mean, variance = torch.tensor([0.0, 3.0, -1.0]), torch.tensor([1e-4, 1.0, 25.0])
    with bt.seeded(0):
        draws = add_noise(mean.expand(20_000, 3), variance.expand(20_000, 3))
    assert_mean(draws, mean)
    assert_variance(draws, variance)


def test_its_gradients_are_those_of_the_plain_formula():
    mean = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    variance = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    with bt.seeded(1):
        noisy = add_noise(mean, variance)
    with torch.no_grad():
        epsilon = (noisy - mean) / variance.sqrt()
    plain = mean + variance.sqrt() * epsilon
    for power in (1, 2):
        found = torch.autograd.grad((noisy**power).sum(), (mean, variance), create_graph=True)
        expected = torch.autograd.grad((plain**power).sum(), (mean, variance), create_graph=True)
        torch.testing.assert_close(found, expected)
        second = torch.autograd.grad(sum(g.sum() for g in found), variance, retain_graph=True)
        wanted = torch.autograd.grad(sum(g.sum() for g in expected), variance, retain_graph=True)
        torch.testing.assert_close(second, wanted)


def test_a_variance_of_zero_gives_no_noise_and_no_gradient():
    mean, variance = torch.ones(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    noisy = add_noise(mean, variance)
    assert torch.equal(noisy, mean)
    noisy.sum().backward()
    assert torch.equal(variance.grad, torch.zeros(3))
