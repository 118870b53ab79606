"""Every road to a posterior, over several seeds: a regression with a gap, two moons, digits.

Explained in the chapter "Other roads to a posterior", which compares its own run with this record.
Each method gets the same network, likelihood and prior, and the same passes over the data: an
ensemble for each member, a method that starts from a trained network after its training. HMC, the
reference where there is one, takes what it needs. Each seed draws new data (of the digits, new
starts) and new starts for all methods.
"""

import argparse
import contextlib
import datetime
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from records import RESULTS, first_line, machine, write_record
from torch import Tensor, nn
from torch.distributions import Normal
from torch.func import functional_call, vmap
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

import bnn_tutorial as bt
from bnn_tutorial.posteriors.weight_samples import weights_by_name

RECORD = RESULTS / "posteriors.json"
PRIOR_STD, NOISE_STD = 1.0, 0.3
NUM_DRAWS = 200
CHAINS = {"num_chains": 32, "num_samples": 200, "num_warmup": 200, "num_leapfrog_steps": 30}


@dataclass(frozen=True)
class Problem:
    """Data, the network for them, and what training takes."""

    data: TensorDataset
    likelihood: bt.Likelihood
    new_network: Callable[[float], nn.Module]  # of a dropout rate
    score: Callable[[bt.Prediction, bt.Prediction | None], dict[str, float]]  # beside a reference
    places: Tensor  # where predictions are scored
    epochs: int
    batch_size: int
    learning_rate: float
    walk_step: float  # of SWAG and Langevin dynamics, in weights squared per nat
    walk_batch: int
    init_hessian: float  # of IVON
    has_reference: bool = True

    @property
    def steps(self) -> int:
        """How many gradients a training takes."""
        return self.epochs * math.ceil(len(self.data) / self.batch_size)


# The problems


def curve(x: Tensor) -> Tensor:
    """The regression's truth."""
    return torch.sin(2.5 * x)


def regression_scores(
    prediction: bt.Prediction, reference: bt.Prediction | None, x: Tensor, y: Tensor
) -> dict[str, float]:
    """Return width, NLL in nats and share outside two standard deviations, by part of the places.

    Args:
        prediction: at the places ``x``.
        reference: HMC's, which tells the width's ratio.
        x: places, shape (N, 1).
        y: new observations there, shape (R, N).
    """
    scores = {}
    density = Normal(prediction.samples[:, None, :, 0], NOISE_STD).log_prob(y)
    nll = math.log(len(density)) - density.logsumexp(dim=0)
    low, high = (edge[:, 0] for edge in prediction.interval(2.0, noise_std=NOISE_STD))
    outside = ((y < low) | (y > high)).double()
    for part, rows in {
        "near": ((x <= -1) | (x >= 0.5)).flatten(),
        "gap": ((x > -0.9) & (x < 0.4)).flatten(),
    }.items():
        scores[f"width_{part}"] = prediction.std[rows].mean().item()
        if reference is not None:
            ratio = scores[f"width_{part}"] / reference.std[rows].mean()
            scores[f"width_ratio_{part}"] = ratio.item()
        scores[f"nll_{part}"] = nll[:, rows].mean().item()
        scores[f"outside_{part}"] = outside[:, rows].mean().item()
    return scores


def regression(seed: int, passes: float = 1.0) -> Problem:
    """Return 20 points of a curve, with nothing between -1 and 0.5."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return NOISE_STD * torch.randn(*shape, generator=generator)

    left, right = torch.rand(2, 10, 1, generator=generator)
    x = torch.cat([left - 2, right + 0.5])
    y = curve(x) + noise(20, 1)
    places = torch.linspace(-2, 1.5, 71)[:, None]
    observed = curve(places).T + noise(100, 71)
    return Problem(
        TensorDataset(x, y),
        bt.GaussianLikelihood(NOISE_STD, learn=False),
        lambda rate: perceptron(1, 20, 1, nn.Tanh(), rate),
        lambda prediction, reference: regression_scores(prediction, reference, places, observed),
        places,
        epochs=math.ceil(1000 * passes),
        batch_size=20,
        learning_rate=0.02,
        walk_step=0.001,
        walk_batch=5,
        init_hessian=4.0,
    )


def moons(seed: int, passes: float = 1.0) -> Problem:
    """Return 60 points of two crescents, scored on 1,000 more and over the plane around them."""
    generator = torch.Generator().manual_seed(seed)
    data = TensorDataset(*bt.two_moons(60, generator=generator))
    x, labels = bt.two_moons(1000, generator=generator)
    plane = torch.cartesian_prod(torch.linspace(-3, 4, 30), torch.linspace(-3, 3.5, 30))
    likelihood = bt.CategoricalLikelihood()

    def score(prediction: bt.Prediction, reference: bt.Prediction | None) -> dict[str, float]:
        metrics = likelihood.metrics(prediction.samples[:, :1000], labels)
        if reference is None:
            return metrics
        ours, exact = (
            p.samples[:, 1000:].softmax(-1).mean(dim=0)[:, 1] for p in (prediction, reference)
        )
        return metrics | {"away": (ours - exact).abs().mean().item()}

    return Problem(
        data,
        likelihood,
        lambda rate: perceptron(2, 16, 2, nn.Tanh(), rate),
        score,
        torch.cat([x, plane]),
        epochs=math.ceil(400 * passes),
        batch_size=60,
        learning_rate=0.02,
        walk_step=0.005,
        walk_batch=10,
        init_hessian=1.0,
    )


def digits(seed: int, passes: float = 1.0) -> Problem:
    """Return the subset of MNIST at 14x14 pixels, scored upright and turned by a quarter."""
    images, labels = bt.load_mnist(train=True).tensors
    test_images, test_labels = bt.load_mnist(train=False).tensors
    turned = test_images.rot90(1, (2, 3))
    likelihood = bt.CategoricalLikelihood()

    def pixels(images: Tensor) -> Tensor:
        return F.avg_pool2d(images, 2).flatten(1)

    def score(prediction: bt.Prediction, reference: bt.Prediction | None) -> dict[str, float]:
        upright, odd = prediction.samples.split(len(test_images), dim=1)
        of_turned = likelihood.metrics(odd, test_labels)
        metrics = {f"{name}_turned": value for name, value in of_turned.items()}
        return likelihood.metrics(upright, test_labels) | metrics

    return Problem(
        TensorDataset(pixels(images), labels),
        likelihood,
        lambda rate: perceptron(196, 64, 10, nn.ReLU(), rate),
        score,
        torch.cat([pixels(test_images), pixels(turned)]),
        epochs=math.ceil(30 * passes),
        batch_size=100,
        learning_rate=1e-2,
        walk_step=2e-5,
        walk_batch=100,
        init_hessian=0.1,
        has_reference=False,
    )


def perceptron(
    inputs: int, hidden: int, outputs: int, activation: nn.Module, rate: float
) -> nn.Sequential:
    """Return a network with one hidden layer, and dropout behind it."""
    layers = [nn.Linear(inputs, hidden), activation, nn.Dropout(rate)]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


PROBLEMS = {"regression": regression, "moons": moons, "digits": digits}

# The roads: from a problem and its trained network to a posterior


def train(problem: Problem, model: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
    """Train with a learning rate that falls to 0."""
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, problem.steps)
    settings = {"epochs": problem.epochs, "batch_size": problem.batch_size, "progress": False}
    settings |= {"optimizer": optimizer, "scheduler": falling}
    bt.fit(model, problem.data, problem.likelihood, **settings)
    return model


def train_map(problem: Problem, model: nn.Module) -> nn.Module:
    """Train to a mode of the posterior, whose prior is the weight decay."""
    decay = 1 / (len(problem.data) * PRIOR_STD**2)
    optimizer = torch.optim.Adam(model.parameters(), problem.learning_rate, weight_decay=decay)
    return train(problem, model, optimizer)


def laplace(weights: str, covariance: str):
    """Return the road of one form of Laplace's method."""
    settings = {"weights": weights, "covariance": covariance, "prior_std": PRIOR_STD}
    return lambda problem, mode: bt.laplace(mode, problem.data, problem.likelihood, **settings)


def dropout(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train a network that drops a tenth of its units."""
    return train_map(problem, problem.new_network(0.1))


def ensemble(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train five members from different starts."""
    return train_map(problem, bt.DeepEnsemble(lambda: problem.new_network(0.0), 5))


def anchored_ensemble(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train 20 members, each with noise on its targets and a draw of the prior to decay to."""
    x, y = problem.data.tensors
    network = problem.new_network(0.0).eval()
    size = sum(parameter.numel() for parameter in network.parameters())
    targets = y + NOISE_STD * torch.randn(20, *y.shape)
    anchors = PRIOR_STD * torch.randn(20, size)

    def loss(w: Tensor, target: Tensor, anchor: Tensor) -> Tensor:
        output = functional_call(network, weights_by_name(network, w), (x,))
        pull = (w - anchor).square().sum() / (2 * len(x) * PRIOR_STD**2)
        return problem.likelihood(output, target) + pull

    w = anchors.clone().requires_grad_()
    optimizer = torch.optim.Adam([w], problem.learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, problem.steps)
    for _ in range(problem.steps):
        optimizer.zero_grad()
        vmap(loss)(w, targets, anchors).sum().backward()
        optimizer.step()
        falling.step()
    return bt.WeightSamples(network, w.detach())


def swag(problem: Problem, mode: nn.Module) -> nn.Module:
    """Go on from the trained network with as many steps as its training took."""
    epochs = max(2, problem.steps * problem.walk_batch // len(problem.data))
    return bt.swag(
        mode,
        problem.data,
        problem.likelihood,
        prior_std=PRIOR_STD,
        epochs=epochs,
        learning_rate=problem.walk_step / 2 * len(problem.data),
        batch_size=problem.walk_batch,
        momentum=0.0,
        collect_every=max(1, epochs // 50),
        progress=False,
    )


def langevin(problem: Problem, mode: nn.Module) -> nn.Module:
    """Walk with noise from the trained network, as many steps as its training took."""
    burn_in = problem.steps // 5
    return bt.sgld(
        mode,
        problem.data,
        problem.likelihood,
        prior_std=PRIOR_STD,
        learning_rate=problem.walk_step / 2,
        num_samples=NUM_DRAWS,
        burn_in=burn_in,
        thinning=max(1, (problem.steps - burn_in) // NUM_DRAWS),
        batch_size=problem.walk_batch,
        progress=False,
    )


def ivon(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train a mean-field Gaussian by IVON."""
    model = problem.new_network(0.0)
    optimizer = bt.IVON(
        model.parameters(),
        0.03,
        num_data=len(problem.data),
        prior_std=PRIOR_STD,
        init_hessian=problem.init_hessian,
        betas=(0.9, 0.99),
    )
    train(problem, model, optimizer)
    return optimizer.posterior(model)


def mean_field(problem: Problem, mode: nn.Module) -> nn.Module:
    """Train a mean-field Gaussian by Adam on the ELBO."""
    model = bt.to_bayesian(problem.new_network(0.0), prior=Normal(0.0, PRIOR_STD))
    return train(problem, model, torch.optim.Adam(model.parameters(), problem.learning_rate))


ROADS: dict[str, Callable[[Problem, nn.Module], nn.Module]] = {
    "MAP": lambda problem, mode: mode,
    "Laplace, last layer": laplace("last_layer", "full"),
    "Laplace, diagonal": laplace("all", "diagonal"),
    "Laplace, Kronecker": laplace("all", "kronecker"),
    "Laplace, full": laplace("all", "full"),
    "MC dropout": dropout,
    "ensemble": ensemble,
    "anchored ensemble": anchored_ensemble,
    "SWAG": swag,
    "Langevin": langevin,
    "IVON": ivon,
    "mean field": mean_field,
}
FROM_A_TRAINED_NETWORK = ("Laplace", "SWAG", "Langevin")
# Of 13,000 weights a full covariance does not fit; labels have no noise to add to.
NOT_ON = {
    "regression": (),
    "moons": ("anchored ensemble",),
    "digits": ("anchored ensemble", "Laplace, full"),
}


def answer(posterior: nn.Module, places: Tensor, num_draws: int = NUM_DRAWS) -> bt.Prediction:
    """Predict with any road's posterior, dropout's included."""
    rates = [m.p for m in posterior.modules() if isinstance(m, nn.Dropout)]
    random = bt.mc_dropout(posterior, shared_mask=True) if any(rates) else contextlib.nullcontext()
    with random:
        return bt.predict(posterior, places, num_draws, seed=1)


def run_reference(problem: Problem, chains: dict[str, Any]) -> tuple[bt.WeightSamples, dict]:
    """Return HMC's samples and what they say of themselves."""
    network = problem.new_network(0.0)
    density = bt.log_posterior(network, problem.data, problem.likelihood, prior_std=PRIOR_STD)
    size = sum(parameter.numel() for parameter in network.parameters())
    start = PRIOR_STD * torch.randn(chains["num_chains"], size)
    drawn = bt.hmc(density, start, progress=False, **chains)

    def outputs(w: Tensor) -> Tensor:
        return functional_call(network.eval(), weights_by_name(network, w), (problem.places[:71],))

    traces = vmap(vmap(outputs))(drawn.samples)
    facts = {
        "r_hat_functions": bt.r_hat(traces).max().item(),
        "r_hat_weights": bt.r_hat(drawn.samples).max().item(),
        "effective_sample_size": bt.effective_sample_size(traces).min().item(),
        "acceptance_rate": drawn.acceptance_rate,
        "divergences": drawn.num_divergences,
    }
    return bt.WeightSamples(network, drawn.samples.flatten(0, 1)), facts


def run(name: str, seed: int, passes: float = 1.0, chains: dict[str, Any] = CHAINS) -> list[dict]:
    """Travel all roads on one problem; return a record for each.

    Args:
        name: a key of ``PROBLEMS``.
        seed: of the data and of all that is drawn.
        passes: over the data, as a multiple of the problem's own.
        chains: the counts that :func:`bnn_tutorial.hmc` takes.
    """
    records, reference = [], None
    with bt.seeded(seed):
        problem = PROBLEMS[name](seed, passes)

        def add(method: str, posterior: nn.Module, seconds: float, **facts) -> bt.Prediction:
            began = time.perf_counter()
            prediction = answer(posterior, problem.places)
            predicting = time.perf_counter() - began
            records.append(
                {
                    "problem": name,
                    "seed": seed,
                    "method": method,
                    "scores": problem.score(prediction, reference),
                    "training_seconds": seconds,
                    "prediction_seconds": predicting,
                    "numbers_kept": sum(t.numel() for t in posterior.state_dict().values()),
                    **facts,
                }
            )
            return prediction

        if problem.has_reference:
            began = time.perf_counter()
            samples, facts = run_reference(problem, chains)
            reference = add("HMC", samples, time.perf_counter() - began, **facts)
        began = time.perf_counter()
        mode = train_map(problem, problem.new_network(0.0))
        of_mode = time.perf_counter() - began
        for method, road in ROADS.items():
            if method in NOT_ON[name]:
                continue
            began = time.perf_counter()
            posterior = road(problem, mode)
            seconds = time.perf_counter() - began
            if method == "MAP" or method.startswith(FROM_A_TRAINED_NETWORK):
                seconds += of_mode
            add(method, posterior, seconds)
    return records


def summaries(runs: list[dict]) -> list[dict]:
    """Return mean and standard error over seeds, by problem and method.

    Beside each score stands, as ``less_than_hmc``, how much lower it is than the reference's on the
    same data. With one seed there is no error: it is None.
    """
    groups: dict[tuple[str, str], list[dict]] = {}
    for record in runs:
        groups.setdefault((record["problem"], record["method"]), []).append(record)
    parts = []
    for (problem, method), group in groups.items():
        reference = {r["seed"]: r["scores"] for r in groups.get((problem, "HMC"), [])}
        columns = {name: [r["scores"][name] for r in group] for name in group[0]["scores"]}
        if reference:
            columns |= {
                f"{name}_less_than_hmc": [
                    reference[r["seed"]][name] - r["scores"][name] for r in group
                ]
                for name in group[0]["scores"]
                if name in next(iter(reference.values()))
            }
        for column in ("training_seconds", "prediction_seconds", "numbers_kept"):
            columns[column] = [r[column] for r in group]
        parts.append(
            {
                "problem": problem,
                "method": method,
                "seeds": len(group),
                "mean": {name: statistics.mean(values) for name, values in columns.items()},
                "error": {name: standard_error(values) for name, values in columns.items()},
            }
        )
    return parts


def standard_error(values: list[float]) -> float | None:
    """Return the standard error of the mean, or None of a single value."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def main(argv: list[str] | None = None) -> None:
    """Travel all roads with several seeds and record what came out."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=[*PROBLEMS])
    parser.add_argument("--seeds", type=int, default=10, help="of the regression; half of the rest")
    parser.add_argument("--passes", type=float, default=1.0, help="over the data, less for a look")
    parser.add_argument("--samples", type=int, default=CHAINS["num_samples"], help="of a chain")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, default=RECORD)
    arguments = parser.parse_args(argv)
    chains = CHAINS | {"num_samples": arguments.samples}
    record = {
        "machine": machine(arguments.date),
        "threads": torch.get_num_threads(),
        "passes": arguments.passes,
        "chains": chains,
        "draws": NUM_DRAWS,
        "runs": [],
    }
    plan = [
        (name, seed)
        for name in arguments.problems
        for seed in range(arguments.seeds if name == "regression" else -(-arguments.seeds // 2))
    ]
    for name, seed in tqdm(plan, unit="run"):
        record["runs"] += run(name, seed, arguments.passes, chains)
        record["summary"] = summaries(record["runs"])
        # After every run, so that a long series that is interrupted keeps what it has.
        write_record(record, arguments.output)


if __name__ == "__main__":
    main()
