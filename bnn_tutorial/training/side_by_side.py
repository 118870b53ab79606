"""Several small networks trained as one, each on data of its own, and whether they are at rest.

The chapter "What mean field knows" shows how it works; "Two kinds of uncertainty", "Calibration"
and "Decisions" repeat their experiments by it.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from bnn_tutorial.argument_checks import require_counts
from bnn_tutorial.layers.network import kl_divergence
from bnn_tutorial.likelihoods import Likelihood


class _Experiment(nn.Module):
    """A network and its likelihood, whose parameters are trained together."""

    def __init__(self, network: nn.Module, likelihood: Likelihood):
        super().__init__()
        self.network, self.likelihood = network, likelihood

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.likelihood(self.network(x), y), kl_divergence(self.network)


def train_side_by_side(
    networks: Sequence[nn.Module],
    likelihoods: Sequence[Likelihood],
    draw_batch: Callable[[], tuple[Tensor, Tensor]],
    num_data: float | Tensor,
    *,
    steps: int,
    learning_rate: float = 0.02,
    kl_weight: float | Tensor = 1.0,
    weight_decay: float = 0.0,
) -> Tensor:
    r"""Train K networks of one architecture at once, in place, and return their losses (steps, K).

    .. math:: \mathcal L_k = \mathrm{NLL}_k + \lambda_k\, \mathrm{KL}_k / N_k

    Adam takes ``steps`` steps, with a learning rate that falls to 0 along a cosine. Each network
    has its own loss, likelihood and noise, so that none knows of the others; without a Bayesian
    layer the KL is 0.

    Args:
        networks: K networks that differ in their parameters and buffers alone.
        likelihoods: one for each network; their parameters are trained, too. One likelihood without
            parameters may stand several times.
        draw_batch: returns a batch for each network, inputs (K, B, ...) and targets (K, B, ...).
        num_data: N, the size of the training set, one number or K of them.
        steps: how many steps are taken.
        learning_rate: at the first step.
        kl_weight: λ, one number or K of them.
        weight_decay: of Adam, added to the gradient.

    Returns:
        The loss of each network before each step, in nats per datum.

    Raises:
        ValueError: there is no network, or not one likelihood for each, ``steps`` is below 1, or a
            loss is not finite: the step is named, and the networks stay as they were.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> inputs, targets = x.expand(2, 20, 1), torch.stack([x, -x])  # two data sets
        >>> with bt.seeded(0):
        ...     networks = [bt.to_bayesian(torch.nn.Linear(1, 1)) for _ in targets]
        ...     likelihoods = [bt.GaussianLikelihood(0.1, learn=False)] * 2
        ...     batch = lambda: (inputs, targets)
        ...     losses = bt.train_side_by_side(networks, likelihoods, batch, 20, steps=600)
        >>> print([f"{network.weight_mean.item():.0f}" for network in networks], losses.shape)
        ['1', '-1'] torch.Size([600, 2])
    """
    if not networks or len(networks) != len(likelihoods):
        raise ValueError(
            f"there are {len(networks)} networks, {len(likelihoods)} likelihoods: expected one "
            "likelihood for each of 1 or more networks"
        )
    require_counts(steps=steps)
    pairs = zip(networks, likelihoods, strict=True)
    experiments = [_Experiment(*pair) for pair in pairs]
    parameters, buffers = stack_module_state(experiments)
    shares = (torch.as_tensor(kl_weight) / torch.as_tensor(num_data)).expand(len(networks))

    def loss(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        share: Tensor,
    ) -> Tensor:
        nll, kl = functional_call(experiments[0], (parameters, buffers), (x, y))
        return nll + share * kl

    losses = vmap(loss, randomness="different")
    optimizer = torch.optim.Adam(parameters.values(), lr=learning_rate, weight_decay=weight_decay)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    history = []
    for step in range(steps):
        values = losses(parameters, buffers, *draw_batch(), shares)
        if not values.isfinite().all():
            raise ValueError(f"losses {values.tolist()} at step {step}: expected finite numbers")
        optimizer.zero_grad()
        values.sum().backward()
        optimizer.step()
        falling.step()
        history.append(values.detach())
    for index, experiment in enumerate(experiments):
        own = {name: stacked[index] for name, stacked in parameters.items()}
        experiment.load_state_dict(own, strict=False)
    return torch.stack(history)


def at_rest(losses: Tensor) -> float:
    r"""Return how far the losses of a training still moved at its end, in the units of the losses.

    .. math:: \max_k \big| \bar{\mathcal L}_k^{(4)} - \bar{\mathcal L}_k^{(5)} \big|

    with :math:`\bar{\mathcal L}_k^{(i)}` the mean over the i-th fifth of the steps. The noise of
    minibatches and draws is in it. A learning rate that falls to 0 makes any training slow at its
    end: that it has stopped is not that it has arrived.

    Args:
        losses: of K networks, shape (steps, K), 5 steps or more.

    Raises:
        ValueError: there are fewer steps.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> bt.at_rest(torch.tensor([[9.0], [5.0], [3.0], [2.0], [1.5]]))
        0.5
    """
    if len(losses) < 5:
        raise ValueError(
            f"losses have shape {tuple(losses.shape)}: expected (steps, K), steps >= 5"
        )
    fifths = losses.tensor_split(5)
    return (fifths[3].mean(dim=0) - fifths[-1].mean(dim=0)).abs().max().item()
