"""How good the twin, the Bayesian head and the all-Bayesian network are on the full MNIST.

Explained on the page "How fast, how accurate". ``--search`` tries the settings in ``SEARCH`` on a
split of the training images; without it, the settings that the recorded search chose are trained on
all training images with several seeds and scored once on the test images; ``--table`` writes that
table. The data lie where ``load_mnist`` looks: name the folder with BNN_TUTORIAL_DATA.
"""

import argparse
import datetime
import json
import math
import statistics
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import accuracy_table
import torch
from records import first_line, machine, write_record
from torch import nn
from torch.distributions import Normal
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

import bnn_tutorial as bt

NETWORKS = {
    "mnist": bt.mnist_network,
    "lenet5": bt.lenet5,
    "alexnet": partial(bt.alexnet, in_channels=1),
}
BATCH_SIZE = 128
VALIDATION_IMAGES = 5000
SEARCH_DRAWS, TEST_DRAWS = 10, 30


@dataclass(frozen=True)
class Settings:
    """What a run is trained with; a twin has no prior, no ``init_std`` and no KL.

    The learning rate is the highest of a one-cycle schedule that ends near 0. ``weight_decay`` is
    AdamW's, which without it is Adam.
    """

    variant: str  # "twin", "head" (on a deterministic trunk) or "all"
    epochs: int
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    prior_std: float | None = None
    init_std: float | None = None
    kl_weight: float = 0.0


# In the order in which they were tried, each in view of the results before it.
SEARCH = (
    Settings("twin", 5),
    Settings("all", 5, prior_std=0.1, init_std=0.02, kl_weight=0.1),
    Settings("all", 5, prior_std=0.1, init_std=0.02, kl_weight=0.01),
    Settings("all", 5, prior_std=0.05, init_std=0.02, kl_weight=0.1),
    Settings("all", 5, prior_std=0.3, init_std=0.02, kl_weight=0.03),
    Settings("twin", 5, learning_rate=0.001),
    Settings("head", 5, prior_std=0.1, init_std=0.02, kl_weight=0.03),
    Settings("all", 5, prior_std=0.1, init_std=0.02, kl_weight=0.03),
    Settings("twin", 5, weight_decay=0.1),
    Settings("twin", 5, learning_rate=0.006),
    Settings("all", 5, prior_std=0.1, init_std=0.05, kl_weight=0.01),
    Settings("all", 5, prior_std=0.1, init_std=0.02, kl_weight=1.0),
    Settings("all", 10, prior_std=0.1, init_std=0.02, kl_weight=0.01),
    Settings("twin", 10),
    Settings("all", 10, prior_std=0.1, init_std=0.02, kl_weight=0.03),
    Settings("all", 10, prior_std=0.1, init_std=0.05, kl_weight=0.03),
    Settings("head", 10, prior_std=0.1, init_std=0.05, kl_weight=0.03),
    Settings("twin", 10, weight_decay=0.1),
    Settings("all", 10, prior_std=0.1, init_std=0.05, kl_weight=0.1),
    Settings("all", 10, prior_std=0.05, init_std=0.02, kl_weight=0.03),
    Settings("all", 10, prior_std=0.05, init_std=0.02, kl_weight=0.015),
    Settings("twin", 10, weight_decay=0.3),
)


def chosen(search: dict) -> dict[str, Settings]:
    """Return each variant's settings with the lowest validation NLL among the longest runs."""
    runs = [(Settings(**run["settings"]), run["scores"]["nll"]) for run in search["runs"]]
    longest = max(settings.epochs for settings, _ in runs)

    def best(variant: str) -> Settings:
        finalists = [run for run in runs if run[0].variant == variant and run[0].epochs == longest]
        return min(finalists, key=lambda finalist: finalist[1])[0]

    return {variant: best(variant) for variant in accuracy_table.VARIANTS}


def made_bayesian(network: nn.Module, settings: Settings) -> nn.Module:
    """Return the network's ``settings.variant``.

    Convolutions draw their weights once a step, which costs what a deterministic step costs; the
    head, where it is cheap, draws pre-activations, which makes the gradient less noisy.
    """
    if settings.variant == "twin":
        return network
    assert settings.prior_std is not None
    assert settings.init_std is not None
    options: dict[str, Any] = {
        "prior": Normal(0.0, settings.prior_std),
        "init_std": settings.init_std,
    }
    if settings.variant == "all":
        network = bt.to_bayesian(network, skip=("head",), estimator="weight", **options)
    return bt.to_bayesian(network, skip=("trunk",), estimator="local", **options)


def scores(
    model: nn.Module, inside: TensorDataset, outside: TensorDataset, num_samples: int
) -> dict[str, float]:
    """Return accuracy, NLL, ECE and the AUROC of predictive entropy against foreign images."""
    samples, entropies = [], []
    for data in (inside, outside):
        drawn = bt.predict(model, data.tensors[0], num_samples, seed=0).samples
        samples.append(drawn)
        entropies.append(bt.decompose_entropy(drawn.softmax(dim=-1)).total)
    labels = inside.tensors[1].to(samples[0].device)
    metrics = bt.CategoricalLikelihood().metrics(samples[0], labels)
    return metrics | {"auroc": bt.auroc(*entropies)}


def run(
    name: str,
    settings: Settings,
    seed: int,
    data: tuple[TensorDataset, TensorDataset, TensorDataset],
    *,
    num_samples: int,
    device: str,
) -> dict:
    """Train one network and score it; return the record of the run.

    Args:
        name: a key of ``NETWORKS``.
        settings: what it is trained with.
        seed: of its first weights and of its training.
        data: to train on, to score on, and foreign images.
        num_samples: posterior draws that a score averages; a twin needs one.
        device: where it runs.
    """
    with bt.seeded(seed):
        network = NETWORKS[name]()
    training, inside, outside = (bt.framed(part, network.image_shape[-1]) for part in data)
    model = made_bayesian(network, settings).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.learning_rate,
        total_steps=settings.epochs * math.ceil(len(training) / BATCH_SIZE),
    )
    start = time.perf_counter()
    bt.fit(
        model,
        training,
        bt.CategoricalLikelihood(),
        epochs=settings.epochs,
        batch_size=BATCH_SIZE,
        optimizer=optimizer,
        scheduler=scheduler,
        kl_weight=settings.kl_weight,
        seed=seed,
    )
    trained = time.perf_counter()
    num_samples = 1 if settings.variant == "twin" else num_samples
    return {
        "network": name,
        "seed": seed,
        "settings": asdict(settings),
        "scores": scores(model, inside, outside, num_samples),
        "training_seconds": trained - start,
        "scoring_seconds": time.perf_counter() - trained,
    }


def split_data(
    search: bool, images: int | None
) -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Return what to train on, what to score on, and foreign images.

    A search sees the training images alone: 5,000 of them, drawn once, are its validation, and
    2,000 training images of Fashion-MNIST its foreign ones.

    Args:
        search: whether this is a search.
        images: the most that are taken of each; None takes all.
    """
    training, foreign = bt.load_mnist(True, full=True), bt.load_fashion_mnist(search)
    if search:
        order = torch.randperm(len(training), generator=torch.Generator().manual_seed(0))
        first, second = order[:-VALIDATION_IMAGES], order[-VALIDATION_IMAGES:]
        inside = TensorDataset(*training[second])
        training = TensorDataset(*training[first])
        foreign = TensorDataset(*foreign[:2000])
    else:
        inside = bt.load_mnist(False, full=True)
    return (
        TensorDataset(*training[:images]),
        TensorDataset(*inside[:images]),
        TensorDataset(*foreign[:images]),
    )


def summaries(runs: list[dict]) -> list[dict]:
    """Return the mean over seeds and the standard deviation between them, by network and variant.

    With one seed there is no standard deviation: it is None.
    """
    groups: dict[tuple[str, str], list[dict]] = {}
    for record in runs:
        key = (record["network"], record["settings"]["variant"])
        groups.setdefault(key, []).append(record["scores"])
    return [
        {
            "network": network,
            "variant": variant,
            "seeds": len(group),
            "mean": {name: statistics.mean(s[name] for s in group) for name in group[0]},
            "std": {
                name: statistics.stdev(s[name] for s in group) if len(group) > 1 else None
                for name in group[0]
            },
        }
        for (network, variant), group in groups.items()
    ]


def main(argv: list[str] | None = None) -> None:
    """Search, or train and score what was chosen, or write the page's table."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--search", action="store_true", help="try SEARCH on a validation split")
    parser.add_argument("--table", action="store_true", help="only write the page's table")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=["mnist"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="in place of the settings' own")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--images", type=int, help="of each data set, for a quick look")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, help="the JSON file; default in benchmarks/results")
    arguments = parser.parse_args(argv)
    if arguments.table:
        accuracy_table.write()
        return
    if arguments.search:
        settings_tried, seeds, num_samples = SEARCH, arguments.seeds[:1], SEARCH_DRAWS
        output = arguments.output or accuracy_table.SEARCH_RECORD
    else:
        search = json.loads(accuracy_table.SEARCH_RECORD.read_text())
        settings_tried, seeds, num_samples = chosen(search).values(), arguments.seeds, TEST_DRAWS
        output = arguments.output or accuracy_table.RECORD
    if arguments.epochs:
        settings_tried = [replace(settings, epochs=arguments.epochs) for settings in settings_tried]
    data = split_data(arguments.search, arguments.images)
    record = {
        "machine": machine(arguments.date),
        "threads": torch.get_num_threads(),
        "device": arguments.device,
        "batch_size": BATCH_SIZE,
        "draws": num_samples,
        "images": [len(part) for part in data],
        "runs": [],
    }
    plan = [(n, s, seed) for n in arguments.models for seed in seeds for s in settings_tried]
    for name, settings, seed in tqdm(plan, unit="run"):
        result = run(name, settings, seed, data, num_samples=num_samples, device=arguments.device)
        record["runs"].append(result)
        if not arguments.search:
            record["summary"] = summaries(record["runs"])
        # After every run, so that a long series that is interrupted keeps what it has.
        write_record(record, output)


if __name__ == "__main__":
    main()
