"""Every road to a posterior, over several seeds: a regression with a gap, two moons, digits.

Explained in the chapters "Other roads to a posterior" and "Which road?", which read this record and
compare with what they train themselves. Each method gets the same network, likelihood and prior,
and the same passes over the data: an ensemble for each member, a method that starts from a trained
network after its training. HMC, the reference where there is one, takes what it needs. Each seed
draws new data (of the digits, new starts) and new starts for all methods.
"""

import argparse
import datetime
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from records import RESULTS, first_line, machine, standard_error, write_record
from torch import Tensor, nn
from torch.distributions import Normal
from torch.func import functional_call, vmap
from tqdm.auto import tqdm

import bnn_tutorial as bt
from bnn_tutorial.chapters import roads
from bnn_tutorial.chapters.roads import NOISE_STD, NUM_DRAWS, ROADS, Problem
from bnn_tutorial.posteriors.weight_samples import weights_by_name

RECORD = RESULTS / "posteriors.json"
CHAINS = {"num_chains": 32, "num_samples": 200, "num_warmup": 200, "num_leapfrog_steps": 30}


@dataclass(frozen=True)
class Case:
    """A problem, and how a prediction for it is scored."""

    problem: Problem
    score: Callable[[bt.Prediction, bt.Prediction | None], dict[str, float]]  # beside a reference
    places: Tensor  # where predictions are scored
    has_reference: bool = True


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


def regression(seed: int, passes: float = 1.0) -> Case:
    """Return 20 points of a curve, with nothing between -1 and 0.5."""
    generator = torch.Generator().manual_seed(seed)
    problem = roads.gap_problem(roads.gap_data(generator), math.ceil(1000 * passes))
    places = torch.linspace(-2, 1.5, 71)[:, None]
    observed = torch.randn(100, 71, generator=generator)
    observed = roads.curve(places).T + NOISE_STD * observed
    return Case(
        problem,
        lambda prediction, reference: regression_scores(prediction, reference, places, observed),
        places,
    )


def moons(seed: int, passes: float = 1.0) -> Case:
    """Return 60 points of two crescents, scored on 1,000 more and over the plane around them."""
    generator = torch.Generator().manual_seed(seed)
    problem = roads.moons_problem(generator, math.ceil(400 * passes))
    x, labels = bt.two_moons(1000, generator=generator)
    plane = torch.cartesian_prod(torch.linspace(-3, 4, 30), torch.linspace(-3, 3.5, 30))

    def score(prediction: bt.Prediction, reference: bt.Prediction | None) -> dict[str, float]:
        metrics = problem.likelihood.metrics(prediction.samples[:, :1000], labels)
        if reference is None:
            return metrics
        ours, exact = (
            p.samples[:, 1000:].softmax(-1).mean(dim=0)[:, 1] for p in (prediction, reference)
        )
        return metrics | {"away": (ours - exact).abs().mean().item()}

    return Case(problem, score, torch.cat([x, plane]))


def digits(seed: int, passes: float = 1.0) -> Case:
    """Return the subset of MNIST at 14x14 pixels, scored upright and turned by a quarter."""
    problem = roads.digits_problem(math.ceil(30 * passes))
    images, labels = bt.load_mnist(train=False).tensors
    turned = images.rot90(1, (2, 3))
    metrics = problem.likelihood.metrics

    def score(prediction: bt.Prediction, reference: bt.Prediction | None) -> dict[str, float]:
        upright, odd = prediction.samples.split(len(images), dim=1)
        of_turned = {f"{name}_turned": value for name, value in metrics(odd, labels).items()}
        return metrics(upright, labels) | of_turned

    places = torch.cat([roads.pixels(images), roads.pixels(turned)])
    return Case(problem, score, places, has_reference=False)


PROBLEMS = {"regression": regression, "moons": moons, "digits": digits}
# Of 13,000 weights a full covariance does not fit; labels have no noise to add to.
NOT_ON = {
    "regression": (),
    "moons": ("anchored ensemble",),
    "digits": ("anchored ensemble", "Laplace, full"),
}


def run_reference(case: Case, chains: dict[str, Any]) -> tuple[bt.WeightSamples, dict]:
    """Return HMC's samples and what they say of themselves."""
    network = case.problem.new_network().eval()
    drawn = roads.sample(case.problem, **chains)

    def outputs(w: Tensor) -> Tensor:
        return functional_call(network, weights_by_name(network, w), (case.places[:71],))

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
        case = PROBLEMS[name](seed, passes)

        def add(method: str, posterior: nn.Module, seconds: float, **facts) -> bt.Prediction:
            began = time.perf_counter()
            prediction = roads.answer(posterior, case.places)
            predicting = time.perf_counter() - began
            records.append(
                {
                    "problem": name,
                    "seed": seed,
                    "method": method,
                    "scores": case.score(prediction, reference),
                    "training_seconds": seconds,
                    "prediction_seconds": predicting,
                    "numbers_kept": sum(t.numel() for t in posterior.state_dict().values()),
                    **facts,
                }
            )
            return prediction

        if case.has_reference:
            began = time.perf_counter()
            samples, facts = run_reference(case, chains)
            reference = add("HMC", samples, time.perf_counter() - began, **facts)
        began = time.perf_counter()
        mode = roads.train_map(case.problem, case.problem.new_network())
        of_mode = time.perf_counter() - began
        for method, road in ROADS.items():
            if method in NOT_ON[name]:
                continue
            began = time.perf_counter()
            posterior = road(case.problem, mode)
            seconds = time.perf_counter() - began
            if method.startswith(roads.FROM_A_TRAINED_NETWORK):
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
