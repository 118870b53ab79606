"""Mean field's ELBO by width and prior over several data sets, and what the same priors could do.

Explained in the chapter "What mean field knows", which compares its own run with this record. Each
case is a width and a prior's standard deviation; each seed draws new data and new starts for every
case. A fit draws nothing: its loss has a formula, and Adam's learning rate falls to zero.
"""

import argparse
import itertools
import math
import statistics
from pathlib import Path
from typing import Any, cast

import torch
from records import RESULTS, complete_record, first_line, standard_error
from torch import Tensor, nn
from torch.distributions import Normal

import bnn_tutorial as bt
from bnn_tutorial.datasets import polynomial

RECORD = RESULTS / "mean_field.json"
NUM_DATA, NUM_LAYERS = 500, 20  # data in a set, hidden layers drawn for the bound
# Name: hidden units, the prior's standard deviation, where the posterior's and the noise start,
# steps, learning rate.
CASES = {
    "20 units": (20, 2.0, 0.01, 1.0, 4000, 0.07),
    "50 units": (50, 2.0, 0.01, 1.0, 6000, 0.07),
    "200 units": (200, 2.0, 0.01, 1.0, 6000, 0.05),
    "200 units, same functions": (200, 2.0 * 0.1**0.25, 0.01, 1.0, 6000, 0.05),
    "recipe": (1000, 0.1, 0.1, 6.7, 400, 0.05),
}


class Regression(nn.Module):
    """A network with its noise, whose forward pass is the negative ELBO per point."""

    def __init__(self, units: int, prior_std: float, init_std: float, init_noise: float):
        super().__init__()
        settings = {"prior": Normal(0.0, prior_std), "init_std": init_std}
        self.network = bt.to_bayesian(bt.regression_network(units), **settings)
        self.likelihood = bt.GaussianLikelihood(init_noise)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the loss, in nats per point."""
        misfit = bt.exact_nll(self.network, x, y, self.likelihood)
        return misfit + bt.kl_divergence(self.network) / len(x)


def fit(regression: Regression, x: Tensor, y: Tensor, steps: int, learning_rate: float) -> Tensor:
    """Train a regression on its data and return its loss before each step, (steps,)."""
    optimizer = torch.optim.Adam(regression.parameters(), lr=learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    history = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = regression(x, y)
        loss.backward()
        optimizer.step()
        falling.step()
        history.append(loss.detach())
    return torch.stack(history)


def data_set(seed: int) -> tuple[Tensor, Tensor]:
    """Return a seed's inputs and targets, each (N, 1)."""
    return bt.polynomial_data(NUM_DATA, generator=torch.Generator().manual_seed(seed))


def best(score: dict[float, float]) -> tuple[float, float]:
    """Return the noise with the least score, and that score."""
    noise_std = min(score, key=score.__getitem__)
    return noise_std, score[noise_std]


def noises() -> list[float]:
    """Return the noises that are tried, from 0.4 to 10."""
    return torch.logspace(math.log10(0.4), 1, 40).tolist()


def limit_score(x: Tensor, y: Tensor, units: int, prior_std: float) -> tuple[float, float]:
    """Return the infinite width's best noise and its negative log evidence per point."""
    kernel = bt.relu_network_kernel(
        x.double(), x.double(), hidden_features=units, prior_std=prior_std
    )
    values, vectors = torch.linalg.eigh(kernel)
    squares = (vectors.T @ y.double()).square().flatten()
    scores = {}
    for noise_std in noises():
        variances = values.clamp_min(0) + noise_std**2
        nll = (squares / variances + (2 * math.pi * variances).log()).sum() / 2
        scores[noise_std] = nll.item() / len(x)
    return best(scores)


def bound_score(x: Tensor, y: Tensor, units: int, prior_std: float) -> tuple[float, float]:
    """Return the best noise and minus the mean log evidence of the last layer, per point.

    The hidden layers are drawn from the prior. It bounds the same network's negative log evidence
    from above, up to the error of a mean over drawn layers.
    """
    scores = dict.fromkeys(noises(), 0.0)
    for seed in range(NUM_LAYERS):
        generator = torch.Generator().manual_seed(seed)
        hidden = prior_std * torch.randn(2, units, generator=generator, dtype=torch.float64)
        ones = torch.ones_like(x).double()
        phi = torch.cat([(torch.cat([x.double(), ones], dim=1) @ hidden).relu(), ones], dim=1)
        vectors, singular, _ = torch.linalg.svd(phi, full_matrices=False)
        inside = (vectors.T @ y.double()).square().flatten()
        rest = y.double().square().sum() - inside.sum()
        for noise_std in scores:
            variances = prior_std**2 * singular**2 + noise_std**2
            nll = (inside / variances + variances.log()).sum() + rest / noise_std**2
            nll = nll + (len(x) - len(singular)) * 2 * math.log(noise_std)
            nll = nll / 2 + len(x) * math.log(2 * math.pi) / 2
            scores[noise_std] += nll.item() / len(x) / NUM_LAYERS
    return best(scores)


def silent_units(model: Regression, x: Tensor) -> tuple[int, float]:
    """Return how many hidden units are silent, and the mean KL of one, in nats.

    A unit is silent whose share of the mean function varies, over the data, by less than a tenth of
    the noise.
    """
    first, _, last = cast("list[Any]", model.network)
    with torch.no_grad():
        readout = nn.Linear(len(first.bias_mean), 1, bias=False)
        alone = nn.Sequential(first, nn.ReLU(), readout)
        shares = []
        for unit, weight in enumerate(last.weight_mean[0]):
            readout.weight.zero_()
            readout.weight[0, unit] = weight
            shares.append(bt.exact_moments(alone, x).mean.std())
        silent = torch.stack(shares) < 0.1 * model.likelihood.noise_std
        of_weights = [
            torch.distributions.kl_divergence(Normal(mean.flatten(), std.flatten()), first.prior)
            for mean, std in (
                (first.weight_mean, first.weight_std),
                (first.bias_mean, first.bias_std),
                (last.weight_mean, last.weight_std),
            )
        ]
    nats = torch.stack(of_weights).sum(dim=0)
    return int(silent.sum()), nats[silent].mean().item() if silent.any() else 0.0


def run(case: str, seed: int) -> dict:
    """Return what a seed's fit reached, and what the same prior could do."""
    units, prior_std, init_std, init_noise, steps, learning_rate = CASES[case]
    x, y = data_set(seed)
    with bt.seeded(seed):
        model = Regression(units, prior_std, init_std, init_noise)
    losses = fit(model, x, y, steps, learning_rate)
    moments = bt.exact_moments(model.network, x)
    silent, silent_kl = silent_units(model, x)
    limit_noise, limit = limit_score(x, y, units, prior_std)
    bound_noise, bound = bound_score(x, y, units, prior_std)
    return {
        "case": case,
        "seed": seed,
        "loss": model(x, y).item(),
        "kl": bt.kl_divergence(model.network).item(),
        "noise": model.likelihood.noise_std.item(),
        "error": (moments.mean - polynomial(x) - 1).square().mean().sqrt().item(),
        "silent": silent,
        "silent_kl": silent_kl,
        "rest": bt.at_rest(losses[:, None]),
        "limit": limit,
        "limit_noise": limit_noise,
        "bound": bound,
        "bound_noise": bound_noise,
        "dull": 0.5 * math.log(2 * math.pi * math.e * y.var(correction=0).item()),
    }


def summaries(runs: list[dict]) -> list[dict]:
    """Return each case's means over its seeds, with standard errors of paired differences."""
    found = []
    for case in CASES:
        own = [run for run in runs if run["case"] == case]
        if not own:
            continue
        names = ("loss", "kl", "noise", "error", "limit", "bound", "dull", "silent", "silent_kl")
        summary = {name: statistics.mean(run[name] for run in own) for name in names}
        summary |= {"case": case, "seeds": len(own), "rest": max(run["rest"] for run in own)}
        for other in ("limit", "bound", "dull"):
            differences = [run["loss"] - run[other] for run in own]
            summary[f"loss_above_{other}_error"] = standard_error(differences)
        found.append(summary)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure what the record lacks, and write it after each run."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--seeds", type=int, default=5, help="data sets and starts, default 5")
    parser.add_argument("--output", type=Path, default=RECORD, help=f"default {RECORD.name}")
    options = parser.parse_args(arguments)
    complete_record(
        options.output,
        plan=itertools.product(range(len(CASES)), range(options.seeds)),
        run=lambda i, seed: run([*CASES][i], seed),
        key=lambda made: ([*CASES].index(made["case"]), made["seed"]),
        summaries=summaries,
        settings={"num_data": NUM_DATA, "layers": NUM_LAYERS, "cases": CASES},
    )


if __name__ == "__main__":
    main()
