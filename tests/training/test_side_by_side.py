"""Networks trained side by side: each as if alone, with its own data, likelihood and KL."""

import copy

import pytest
import torch
from torch import nn

import bnn_tutorial as bt

X = torch.linspace(-1, 1, 30, dtype=torch.float64)[:, None]
INPUTS = X.expand(2, 30, 1)
TARGETS = torch.stack([X.square(), -X])


def batch():
    return INPUTS, TARGETS


def fixed(count=2, std=0.5):
    return [bt.GaussianLikelihood(std, learn=False)] * count


def plain_networks():
    with bt.seeded(0):
        return [bt.regression_network(5).double() for _ in TARGETS]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_each_network_is_trained_as_if_alone(weight_decay):
    networks = plain_networks()
    alone = copy.deepcopy(networks)
    losses = bt.train_side_by_side(
        networks, fixed(), batch, 30, steps=20, learning_rate=0.1, weight_decay=weight_decay
    )
    for index, network in enumerate(alone):
        optimizer = torch.optim.Adam(network.parameters(), lr=0.1, weight_decay=weight_decay)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
        for step in range(20):
            loss = fixed()[0](network(X), TARGETS[index])
            assert losses[step, index].item() == pytest.approx(loss.item(), rel=1e-9)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
        for ours, theirs in zip(networks[index].parameters(), network.parameters(), strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-9)


def test_each_has_its_own_share_of_the_kl():
    def first_losses(kl_weight):
        with bt.seeded(0):
            networks = [bt.to_bayesian(nn.Linear(1, 1).double()) for _ in TARGETS]
            kl = torch.stack([bt.kl_divergence(network) for network in networks]).detach()
            num_data = torch.tensor([10.0, 40.0])
            settings = {"steps": 1, "kl_weight": torch.as_tensor(kl_weight)}
            return bt.train_side_by_side(networks, fixed(), batch, num_data, **settings)[0], kl

    without, kl = first_losses(0.0)
    with_kl, _ = first_losses([1.0, 0.5])
    assert torch.allclose(with_kl - without, kl * torch.tensor([1 / 10, 0.5 / 40]), rtol=1e-6)


def test_networks_draw_noise_of_their_own():
    with bt.seeded(0):
        network = bt.to_bayesian(nn.Linear(1, 1).double())
        networks = [copy.deepcopy(network) for _ in range(2)]
        same = lambda: (INPUTS, TARGETS[:1].expand(2, 30, 1))  # noqa: E731
        losses = bt.train_side_by_side(networks, fixed(), same, 30, steps=1)
    assert losses[0, 0] != losses[0, 1]


def test_each_learns_its_own_noise():
    likelihoods = [bt.GaussianLikelihood(0.5) for _ in TARGETS]
    with bt.seeded(0):
        noisy = TARGETS + torch.tensor([0.05, 0.5])[:, None, None] * torch.randn(2, 30, 1)
    bt.train_side_by_side(plain_networks(), likelihoods, lambda: (INPUTS, noisy), 30, steps=300)
    small, large = (likelihood.noise_std.item() for likelihood in likelihoods)
    assert small < 0.2 < 0.3 < large


def test_a_loss_that_is_not_finite_stops_at_its_step():
    steps = iter(range(9))

    def spoilt():
        return INPUTS, TARGETS / (0.0 if next(steps) == 3 else 1.0)

    with pytest.raises(ValueError, match=r"losses .* at step 3: expected finite"):
        bt.train_side_by_side(plain_networks(), fixed(), spoilt, 30, steps=9)


@pytest.mark.parametrize(
    ("networks", "likelihoods", "steps", "message"),
    [
        ([], [], 1, "there are 0 networks, 0 likelihoods"),
        (plain_networks(), fixed(1), 1, "there are 2 networks, 1 likelihoods"),
        (plain_networks(), fixed(), 0, "steps=0"),
    ],
)
def test_wrong_settings_are_errors(networks, likelihoods, steps, message):
    with pytest.raises(ValueError, match=message):
        bt.train_side_by_side(networks, likelihoods, batch, 30, steps=steps)


def test_at_rest_is_the_largest_change_of_the_last_fifths():
    falling = torch.linspace(10, 0, 101)[:100]  # 0.1 a step: 2 from one fifth to the next
    still = torch.ones(100)
    assert bt.at_rest(torch.stack([still, falling], dim=1)) == pytest.approx(2.0)
    assert bt.at_rest(still[:, None]) == 0
    six_steps = torch.tensor([9.0, 9.0, 5.0, 4.0, 3.0, 1.0])  # no multiple of 5
    assert bt.at_rest(six_steps[:, None]) == 2.0
    with pytest.raises(ValueError, match=r"shape \(4, 2\): expected \(steps, K\)"):
        bt.at_rest(torch.ones(4, 2))
