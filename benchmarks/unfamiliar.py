"""Foreign inputs for a convolutional network: every predictor, every score, several starts.

Explained in the chapter "Unfamiliar inputs", which compares its own small network with this record.
LeNet-5 learns the digits that ship with the book. Beside the chapter's foreign inputs it sees
Fashion-MNIST, whose files must lie in the folder that ``--data`` names: nothing is downloaded.
"""

import argparse
import contextlib
import datetime
import math
import statistics
from pathlib import Path

import torch
from records import RESULTS, first_line, machine, write_record
from torch import Tensor, nn
from torch.distributions import Normal
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

import bnn_tutorial as bt

RECORD = RESULTS / "unfamiliar.json"
PRIOR_STD, DROPOUT_RATE, NUM_MEMBERS, NUM_DRAWS = 0.5, 0.2, 5, 20
NUM_OWN, NUM_FOREIGN = 1000, 500  # images, the second of each kind
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


def train(model: nn.Module, data: TensorDataset, epochs: int, *, decay: bool = True) -> float:
    """Train; return by how much the last epoch changed the loss, as a share of the first."""
    steps = epochs * math.ceil(len(data) / 100)
    weight_decay = 1 / (len(data) * PRIOR_STD**2) if decay else 0.0
    optimizer = torch.optim.Adam(model.parameters(), 3e-3, weight_decay=weight_decay)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    settings = {"optimizer": optimizer, "scheduler": falling, "progress": False}
    history = bt.fit(model, data, LIKELIHOOD, epochs=epochs, batch_size=100, **settings)
    losses = history["loss"]
    return (losses[-2] - losses[-1]) / losses[0]


def predictors(data: TensorDataset, epochs: int) -> tuple[dict[str, nn.Module], dict[str, float]]:
    """Return the trained predictors, and how far each still was from rest."""
    ensemble = bt.DeepEnsemble(network, NUM_MEMBERS)
    dropping = network(DROPOUT_RATE)
    field = bt.to_bayesian(network(), prior=Normal(0.0, PRIOR_STD), init_std=0.05)
    moved = {
        "ensemble": train(ensemble, data, epochs),
        "MC dropout": train(dropping, data, epochs),
        "mean field": train(field, data, 2 * epochs, decay=False),
    }
    twin = ensemble.members[0]
    around = bt.laplace(twin, data, LIKELIHOOD, prior_std=PRIOR_STD)
    models = {"twin": twin, "mean field": field, "MC dropout": dropping}
    return models | {"ensemble": ensemble, "Laplace": around}, moved


def draws(name: str, model: nn.Module, images: Tensor) -> Tensor:
    """Return logits of draws, shape (S, N, 10)."""
    dropping = bt.mc_dropout(model) if name == "MC dropout" else contextlib.nullcontext()
    with dropping:
        return bt.predict(model, images, 1 if name == "twin" else NUM_DRAWS, seed=1).samples


def features(model: nn.Module, images: Tensor) -> Tensor:
    """Return the last hidden layer, shape (N, 84)."""
    with torch.no_grad():
        return nn.Sequential(*list(model.children())[:-1])(images)


def run(seed: int, epochs: int, data_folder: Path | None, num_data: int = 10_000) -> list[dict]:
    """Train all predictors from one start; return a record for each predictor and foreign kind."""
    digits = bt.load_mnist(train=True).tensors
    data = TensorDataset(*(part[:num_data] for part in digits))
    images, labels = bt.load_mnist(train=False).tensors
    own, others = images[:NUM_OWN], images[NUM_OWN : NUM_OWN + NUM_FOREIGN]
    foreign = foreign_inputs(others, data_folder)
    with bt.seeded(seed):
        models, moved = predictors(data, epochs)

    def scores_of(name: str, logits: Tensor, pictures: Tensor) -> dict[str, Tensor]:
        scores = dict(vars(bt.doubt_scores(logits)))
        if name == "twin":
            known = features(models[name], data.tensors[0])
            seen = features(models[name], pictures)
            scores["distance"] = bt.feature_distance(seen, known, data.tensors[1])
        return scores

    records = []
    for name, model in models.items():
        logits = draws(name, model, own)
        right = logits.softmax(-1).mean(0).argmax(-1) == labels[:NUM_OWN]
        own_scores = scores_of(name, logits, own)
        for kind, pictures in foreign.items():
            scores = scores_of(name, draws(name, model, pictures), pictures)
            records.append(
                {
                    "seed": seed,
                    "predictor": name,
                    "foreign": kind,
                    "accuracy": right.double().mean().item(),
                    "moved": moved.get(name),
                    "auroc": {s: bt.auroc(own_scores[s], scores[s]) for s in scores},
                    "false_positive_rate": {
                        s: bt.false_positive_rate(own_scores[s], scores[s]) for s in scores
                    },
                }
            )
    return records


def summaries(runs: list[dict]) -> list[dict]:
    """Return mean and standard error of each AUROC over the seeds, and of its gain on the twin's.

    The gain is on the twin's entropy, paired by seed.
    """
    found = {(r["predictor"], r["foreign"], r["seed"]): r["auroc"] for r in runs}
    seeds = sorted({r["seed"] for r in runs})
    rows = []
    for predictor, kind in dict.fromkeys((r["predictor"], r["foreign"]) for r in runs):
        for score in found[predictor, kind, seeds[0]]:
            values = [found[predictor, kind, seed][score] for seed in seeds]
            base = [found["twin", kind, seed]["entropy"] for seed in seeds]
            gains = [value - other for value, other in zip(values, base, strict=True)]
            rows.append(
                {
                    "predictor": predictor,
                    "foreign": kind,
                    "score": score,
                    "auroc": statistics.fmean(values),
                    "error": _error(values),
                    "gain": statistics.fmean(gains),
                    "gain_error": _error(gains),
                }
            )
    return rows


def _error(values: list[float]) -> float | None:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--seeds", type=int, default=3, help="starts, default 3")
    parser.add_argument("--epochs", type=int, default=6, help="passes over the digits, default 6")
    parser.add_argument("--num-data", type=int, default=10_000, help="digits to learn from")
    parser.add_argument("--data", type=Path, help="folder with FashionMNIST/raw; none: no clothes")
    parser.add_argument("--output", type=Path, default=RECORD, help=f"default {RECORD.name}")
    options = parser.parse_args(arguments)
    runs = []
    for seed in tqdm(range(options.seeds), desc="starts"):
        runs += run(seed, options.epochs, options.data, options.num_data)
    record = {
        "machine": machine(datetime.date.today().isoformat()),
        "settings": {
            "seeds": options.seeds,
            "epochs": options.epochs,
            "num_data": options.num_data,
            "prior_std": PRIOR_STD,
            "dropout_rate": DROPOUT_RATE,
            "members": NUM_MEMBERS,
            "draws": NUM_DRAWS,
        },
        "summary": summaries(runs),
        "runs": runs,
    }
    write_record(record, options.output)


if __name__ == "__main__":
    main()
