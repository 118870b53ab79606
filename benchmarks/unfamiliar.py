"""Foreign inputs for a convolutional network: every predictor, every score, several starts.

Explained in the chapter "Unfamiliar inputs", which compares its own small network with this record.
LeNet-5 learns the digits that ship with the book. Beside the chapter's foreign inputs it sees
Fashion-MNIST, whose files must lie in the folder that ``--data`` names: nothing is downloaded.
What a method needs beside its network is chosen by the NLL of held-back training digits, with no
foreign input in sight. Each run is kept in ``--runs``, and what is there is not run again.
"""

import argparse
import contextlib
import datetime
import functools
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from records import RESULTS, ROOT, first_line, machine, write_record
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.utils import parameters_to_vector
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

import bnn_tutorial as bt
from bnn_tutorial.atomic_write import atomic_write

RECORD = RESULTS / "unfamiliar.json"
PRIOR_STD, BATCH_SIZE, NUM_MEMBERS, NUM_DRAWS = 0.5, 50, 5, 20
NUM_OWN, NUM_FOREIGN = 1000, 300  # images, the second of each kind
HELD_BACK = 5  # one in so many training digits, to choose settings on
CHAINS: dict[str, Any] = {
    "num_chains": 4,
    "num_samples": 250,
    "num_warmup": 60,
    "num_leapfrog_steps": 12,
    "adapt_scales": False,
}
RUNS = ROOT / "_build" / "unfamiliar"
LIKELIHOOD = bt.CategoricalLikelihood()


def network(rate: float = 0.0) -> nn.Sequential:
    """Return LeNet-5, with dropout of this rate behind each hidden linear layer."""
    lenet = bt.lenet5()
    layers: list[nn.Module] = [*lenet.trunk.children()]
    for layer in lenet.head.children():
        layers.append(layer)
        if rate and isinstance(layer, nn.ReLU):
            layers.append(nn.Dropout(rate))
    return nn.Sequential(*layers)


def foreign_inputs(images: Tensor, data: Path | None) -> dict[str, Tensor]:
    """Return the chapter's foreign inputs, made of ``images``, and clothes where they are."""
    generator = torch.Generator().manual_seed(0)
    damage = bt.corruptions
    letters, _ = bt.load_letters(train=False, num_per_letter=max(1, len(images) // 10)).tensors
    inputs = {
        "letters": letters,
        "on its side": damage.rotate(images, 90),
        "covered": damage.occlude(images, 0.25, generator=generator),
        "noisy": damage.add_noise(images, 0.3, generator=generator),
        "blurred": damage.blur(images, 2.0),
        "negative": 1 - images,
        "noise": torch.rand(images.shape, generator=generator),
    }
    if data is not None:
        clothes = bt.load_fashion_mnist(train=False, root=data, download=False)
        inputs["clothes"] = clothes.tensors[0][: len(images)]
    return inputs


# The predictors, each from the data, the passes over them and a trained network, the twin


@dataclass(frozen=True)
class Start:
    """What a predictor starts from; ``facts`` collects what it says of itself."""

    data: TensorDataset
    epochs: int
    twin: nn.Sequential
    facts: dict[str, float]

    @property
    def steps(self) -> int:
        """How many gradients a training of ``epochs`` takes."""
        return self.epochs * math.ceil(len(self.data) / BATCH_SIZE)


def train(start: Start, model: nn.Module, optimizer: torch.optim.Optimizer, passes: int = 1):
    """Train at a rate that falls to 0; note by what share of the first loss the last epoch fell."""
    epochs = passes * start.epochs
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, passes * start.steps)
    settings = {"optimizer": optimizer, "scheduler": falling, "progress": False}
    settings |= {"epochs": epochs, "batch_size": BATCH_SIZE}
    losses = bt.fit(model, start.data, LIKELIHOOD, **settings)["loss"]
    start.facts["moved"] = (losses[-2] - losses[-1]) / losses[0]
    return model


def decayed(start: Start, model: nn.Module) -> nn.Module:
    """Train to a mode of the posterior, whose prior is the weight decay."""
    decay = 1 / (len(start.data) * PRIOR_STD**2)
    return train(start, model, torch.optim.Adam(model.parameters(), 3e-3, weight_decay=decay))


def dropout(start: Start, rate: float) -> nn.Module:
    """Train a network that drops units."""
    return decayed(start, network(rate))


def ensemble(start: Start) -> nn.Module:
    """Train more members beside the twin."""
    others = bt.DeepEnsemble(network, NUM_MEMBERS - 1)
    decayed(start, others)
    members = iter([start.twin, *others.members])
    return bt.DeepEnsemble(members.__next__, NUM_MEMBERS)


def mean_field(start: Start, init_std: float) -> nn.Module:
    """Train a mean-field Gaussian by Adam on the ELBO, in twice the passes."""
    field = bt.to_bayesian(network(), prior=Normal(0.0, PRIOR_STD), init_std=init_std)
    return train(start, field, torch.optim.Adam(field.parameters(), 3e-3), passes=2)


def ivon(start: Start, lr: float, init_hessian: float) -> nn.Module:
    """Train a mean-field Gaussian by IVON, in twice the passes."""
    model = network()
    optimizer = bt.IVON(
        model.parameters(),
        lr,
        num_data=len(start.data),
        prior_std=PRIOR_STD,
        init_hessian=init_hessian,
        betas=(0.9, 0.995),
    )
    train(start, model, optimizer, passes=2)
    return optimizer.posterior(model)


def laplace(start: Start) -> nn.Module:
    """Put a Gaussian over the last layer's weights, around the twin."""
    return bt.laplace(start.twin, start.data, LIKELIHOOD, prior_std=PRIOR_STD)


def swag(start: Start, learning_rate: float) -> nn.Module:
    """Go on from the twin, and keep the weights of every half pass."""
    settings = {"prior_std": PRIOR_STD, "batch_size": BATCH_SIZE, "momentum": 0.0}
    settings |= {"epochs": 2 * start.epochs, "learning_rate": learning_rate}
    return bt.swag(start.twin, start.data, LIKELIHOOD, **settings, progress=False)


def langevin(start: Start, learning_rate: float) -> nn.Module:
    """Walk on from the twin with noise, in twice the steps of its training."""
    burn_in = start.steps // 2
    settings = {"prior_std": PRIOR_STD, "batch_size": BATCH_SIZE, "learning_rate": learning_rate}
    settings |= {"num_samples": NUM_DRAWS, "burn_in": burn_in}
    thinning = max(1, (2 * start.steps - burn_in) // NUM_DRAWS)
    return bt.sgld(
        start.twin, start.data, LIKELIHOOD, thinning=thinning, **settings, progress=False
    )


def hmc(start: Start) -> nn.Module:
    """Sample the last layer's weights from their posterior, over the twin's fixed features.

    For all of LeNet-5 no chain of ours is long enough to show that it has arrived. For the last
    layer the log posterior has one maximum. Laplace's covariance there gives the coordinates in
    which the chains walk, from starts twice as wide: it changes how far they get, not where to.
    """
    *_, last = start.twin.children()
    assert isinstance(last, nn.Linear)
    known = TensorDataset(features(start.twin, start.data.tensors[0]), start.data.tensors[1])
    density = bt.log_posterior(last, known, LIKELIHOOD, prior_std=PRIOR_STD)
    around = laplace(start)
    assert isinstance(around, bt.LaplacePosterior)
    factor = torch.linalg.cholesky(around.covariance.double()).float()
    starts = 2 * torch.randn(CHAINS["num_chains"], len(factor))
    chains = bt.hmc(lambda u: density(around.mean + factor @ u), starts, **CHAINS, progress=False)
    heads = around.mean + chains.samples.flatten(0, 1) @ factor.T
    logits = bt.predict(bt.WeightSamples(last, heads), known.tensors[0][:100], len(heads)).samples
    # In single precision a class that is nearly certain would be at log 1 in all draws.
    traces = logits.double().log_softmax(dim=-1).unflatten(0, chains.samples.shape[:2])
    start.facts["r_hat"] = bt.r_hat(traces).max().item()
    start.facts["effective_sample_size"] = bt.effective_sample_size(traces).min().item()
    start.facts["acceptance_rate"] = chains.acceptance_rate
    below = parameters_to_vector(nn.Sequential(*list(start.twin.children())[:-1]).parameters())
    whole = torch.cat([below.detach().expand(len(heads), -1), heads], dim=1)
    return bt.WeightSamples(start.twin, whole)


def features(model: nn.Module, images: Tensor) -> Tensor:
    """Return the last hidden layer, shape (N, 84)."""
    with torch.no_grad():
        return nn.Sequential(*list(model.children())[:-1])(images)


PREDICTORS: dict[str, Callable[..., nn.Module]] = {
    "twin": lambda start: start.twin,
    "MC dropout": dropout,
    "ensemble": ensemble,
    "mean field": mean_field,
    "IVON": ivon,
    "SWAG": swag,
    "Langevin": langevin,
    "Laplace, last layer": laplace,
    "HMC, last layer": hmc,
}
# What is chosen on digits that training did not see.
CANDIDATES: dict[str, list[dict[str, float]]] = {
    "MC dropout": [{"rate": rate} for rate in (0.05, 0.1, 0.2)],
    "mean field": [{"init_std": std} for std in (0.003, 0.01, 0.03)],
    "IVON": [{"lr": lr, "init_hessian": 0.5} for lr in (0.003, 0.01, 0.03)],
    "SWAG": [{"learning_rate": rate} for rate in (0.05, 0.1, 0.2)],
    "Langevin": [{"learning_rate": rate} for rate in (1e-5, 3e-5, 1e-4)],
}


def draws(name: str, model: nn.Module, images: Tensor) -> Tensor:
    """Return logits of draws, shape (S, N, 10)."""
    dropping = bt.mc_dropout(model) if name == "MC dropout" else contextlib.nullcontext()
    with dropping:
        return bt.predict(model, images, 1 if name == "twin" else NUM_DRAWS, seed=1).samples


# Runs, each kept in a file


def kept(path: Path, settings: dict, compute: Callable[[], dict]) -> dict:
    """Return what ``path`` holds, or compute it and keep it there.

    Raises:
        ValueError: it was computed under other settings.
    """
    if not path.is_file():
        found = compute() | {"settings": settings}
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            torch.save(found, draft)
    found = torch.load(path, weights_only=True)
    if found["settings"] != settings:
        raise ValueError(f"{path} was computed under other settings: expected {settings}")
    return found


def twin_of(data: TensorDataset, epochs: int, seed: int) -> dict:
    """Train the network that others start from; return its weights and how far it was from rest."""
    with bt.seeded(seed):
        start = Start(data, epochs, network(), {})
        decayed(start, start.twin)
    return {"weights": start.twin.state_dict(), "facts": start.facts}


def build(name: str, data: TensorDataset, epochs: int, seed: int, twin: dict, setting: dict):
    """Return a predictor and what it says of itself."""
    start = Start(data, epochs, network(), {})
    start.twin.load_state_dict(twin["weights"])
    with bt.seeded(1000 + seed):  # not the twin's own
        began = time.process_time()
        model = PREDICTORS[name](start, **setting)
    facts = twin["facts"] if name == "twin" else start.facts
    return model, facts | {"seconds": time.process_time() - began}


def choose(runs: Path, data: TensorDataset, epochs: int) -> list[dict]:
    """Return the NLL of every candidate setting on digits held back from training."""
    images, labels = data.tensors
    held_back = len(data) // HELD_BACK
    learn = TensorDataset(images[held_back:], labels[held_back:])
    settings = {"epochs": epochs, "num_data": len(learn)}
    twin = kept(runs / "choice-twin.pt", settings, lambda: twin_of(learn, epochs, 100))

    def nll(name: str, setting: dict) -> dict:
        model, facts = build(name, learn, epochs, 100, twin, setting)
        logits = draws(name, model, images[:held_back])
        return {"nll": LIKELIHOOD.metrics(logits, labels[:held_back])["nll"], "facts": facts}

    choices = []
    for name, candidates in CANDIDATES.items():
        for setting in tqdm(candidates, desc=f"choosing for {name}"):
            words = "-".join(f"{key}={value}" for key, value in setting.items())
            path = runs / f"choice-{name}-{words}.pt"
            found = kept(path, settings, functools.partial(nll, name, setting))
            choices.append({"predictor": name, "setting": setting, "nll": found["nll"]})
    return choices


def chosen(choices: list[dict], name: str) -> dict[str, float]:
    """Return the setting with the least NLL, and none where none was to be chosen."""
    candidates = [choice for choice in choices if choice["predictor"] == name]
    return min(candidates, key=lambda c: c["nll"])["setting"] if candidates else {}


def run(runs: Path, data: TensorDataset, epochs: int, seed: int, foreign: dict, choices: list):
    """Return, for each predictor from one start, its scores and what it says of itself."""
    images, labels = bt.load_mnist(train=False).tensors
    pictures = {"own": images[:NUM_OWN]} | foreign
    settings = {"epochs": epochs, "num_data": len(data), "kinds": [*foreign]}
    twin = kept(runs / f"{seed}-weights.pt", settings, lambda: twin_of(data, epochs, seed))

    def measure(name: str, setting: dict) -> dict:
        model, facts = build(name, data, epochs, seed, twin, setting)
        logits = {kind: draws(name, model, seen) for kind, seen in pictures.items()}
        metrics = LIKELIHOOD.metrics(logits["own"], labels[:NUM_OWN])
        facts |= {"accuracy": metrics["accuracy"], "nll": metrics["nll"]}
        scores = {kind: vars(bt.doubt_scores(of_kind)) for kind, of_kind in logits.items()}
        if name == "twin":
            reference = features(model, data.tensors[0]), data.tensors[1]
            for kind, seen in pictures.items():
                distance = bt.feature_distance(features(model, seen), *reference)
                scores[kind] = scores[kind] | {"distance": distance}
        return {"scores": scores, "facts": facts}

    found = {}
    for name in tqdm(PREDICTORS, desc=f"start {seed}"):
        setting = chosen(choices, name)
        path, measured = runs / f"{seed}-{name}.pt", settings | {"setting": setting}
        found[name] = kept(path, measured, functools.partial(measure, name, setting))
    return found


# What the record holds


def run_records(found: dict[int, dict[str, dict]]) -> list[dict]:
    """Return facts and areas of each start, predictor and kind of foreign input."""
    return [
        {
            "seed": seed,
            "predictor": name,
            **result["facts"],
            "auroc": {
                kind: {s: bt.auroc(result["scores"]["own"][s], values[s]) for s in values}
                for kind, values in result["scores"].items()
                if kind != "own"
            },
        }
        for seed, by_name in found.items()
        for name, result in by_name.items()
    ]


def summaries(found: dict[int, dict[str, dict]]) -> list[dict]:
    """Return each alarm's mean AUROC, and how it differs from two others on the same pictures.

    ``gain`` is on the twin's entropy, ``behind`` is how much the alarm with the largest mean on
    this kind of input is ahead. Both have intervals over pictures and starts, at 95 %, from
    :func:`bnn_tutorial.auroc_difference`.
    """

    def scores(alarm: tuple[str, str], kind: str) -> list[Tensor]:
        name, score = alarm
        rows = [by_name[name]["scores"] for by_name in found.values()]
        return [torch.stack([row[k][score] for row in rows]) for k in ("own", kind)]

    def difference(alarm: tuple[str, str], other: tuple[str, str], kind: str) -> dict[str, float]:
        generator = torch.Generator().manual_seed(0)  # the same resamples for all
        pairs = *scores(alarm, kind), *scores(other, kind)
        return vars(bt.auroc_difference(*pairs, generator=generator))

    first = next(iter(found.values()))
    alarms = [(name, s) for name, result in first.items() for s in result["scores"]["own"]]
    rows = []
    for kind in first["twin"]["scores"]:
        if kind == "own":
            continue
        areas = {alarm: statistics.fmean(map(bt.auroc, *scores(alarm, kind))) for alarm in alarms}
        best = max(alarms, key=areas.__getitem__)
        rows += [
            {
                "predictor": alarm[0],
                "foreign": kind,
                "score": alarm[1],
                "auroc": areas[alarm],
                "gain": difference(alarm, ("twin", "entropy"), kind),
                "behind": difference(best, alarm, kind),
            }
            for alarm in alarms
        ]
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Measure what is not measured yet, and write the record."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--seeds", type=int, default=5, help="starts, default 5")
    parser.add_argument("--epochs", type=int, default=16, help="passes over the digits, default 16")
    parser.add_argument("--num-data", type=int, default=10_000, help="digits to learn from")
    parser.add_argument("--data", type=Path, help="folder with FashionMNIST/raw; none: no clothes")
    parser.add_argument("--runs", type=Path, default=RUNS, help="where each run is kept")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, default=RECORD, help=f"default {RECORD.name}")
    options = parser.parse_args(arguments)
    digits = bt.load_mnist(train=True).tensors
    data = TensorDataset(*(part[: options.num_data] for part in digits))
    others = bt.load_mnist(train=False).tensors[0][NUM_OWN : NUM_OWN + NUM_FOREIGN]
    foreign = foreign_inputs(others, options.data)
    choices = choose(options.runs, data, options.epochs)
    settings = {"epochs": options.epochs, "seeds": options.seeds, "num_data": options.num_data}
    settings |= {"prior_std": PRIOR_STD, "members": NUM_MEMBERS, "draws": NUM_DRAWS}
    found = {
        seed: run(options.runs, data, options.epochs, seed, foreign, choices)
        for seed in range(options.seeds)
    }
    record = {"machine": machine(options.date), "settings": settings | {"chains": CHAINS}}
    record |= {"choices": choices, "summary": summaries(found), "runs": run_records(found)}
    write_record(record, options.output)


if __name__ == "__main__":
    main()
