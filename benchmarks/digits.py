"""A Bayesian CNN and its deterministic twins: several starts, upright and turned digits.

Explained in the chapters "A Bayesian CNN on MNIST" and "Turned digits", which compare their own
runs with this record. LeNet-5 learns 9,000 of the digits that ship with the book; the other 1,000
are there to choose by. All networks of a seed have one start, one order of batches and one number
of epochs, but for the one that is trained twice as long. A run that is recorded is not repeated.
"""

import argparse
import itertools
import math
import time
from collections.abc import Iterable
from pathlib import Path

import torch
from records import RESULTS, classification_scores, complete_record, first_line, with_gains
from torch import Tensor, nn
from torch.distributions import Normal
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

RECORD = RESULTS / "digits.json"
EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 128, 0.01
PRIOR_STD, KL_WEIGHT, NUM_DRAWS = 0.1, 0.1, 30
NUM_TURNED = 400  # test digits
ANGLES = range(0, 181, 30)
LIKELIHOOD = bt.CategoricalLikelihood()
TWINS = ("maximum likelihood", "MAP")
WARMUP = 5  # epochs
KL_WEIGHTS = {"weight 1": 1.0, "weight 1, warm-up": bt.KLWarmup(WARMUP)}
NETWORKS = (
    *TWINS,
    "Bayesian head",
    "Bayesian throughout",
    "weight 1",
    "twice as long",
    "weight 1, warm-up",
)


def split(num_data: int) -> tuple[TensorDataset, TensorDataset]:
    """Return the digits to learn from and the 1,000 to choose by, as the chapters split them."""
    images, labels = bt.load_mnist(train=True).tensors
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(5))
    held_out, kept = order[:1000], order[1000 : 1000 + num_data]
    return TensorDataset(images[kept], labels[kept]), TensorDataset(
        images[held_out], labels[held_out]
    )


def network(name: str) -> nn.Module:
    """Return an untrained network of ``NETWORKS``."""
    plain, prior = bt.lenet5(), Normal(0.0, PRIOR_STD)
    if name in TWINS:
        return plain
    head = bt.to_bayesian(plain, skip=("trunk",), prior=prior)
    if name == "Bayesian head":
        return head
    return bt.to_bayesian(head, prior=prior, estimator="weight")


def train(
    name: str, data: TensorDataset, validation: TensorDataset, seed: int, epochs: int
) -> tuple[nn.Module, bt.History]:
    """Train a network of ``NETWORKS`` with a learning rate that falls to 0 along a cosine."""
    with bt.seeded(seed):
        model = network(name)
    epochs *= 2 if name == "twice as long" else 1
    # Of a Gaussian prior with the same weight as the KL, added to the gradient.
    decay = KL_WEIGHT / (len(data) * PRIOR_STD**2) if name == "MAP" else 0.0
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE, weight_decay=decay)
    steps = epochs * math.ceil(len(data) / BATCH_SIZE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    history = bt.fit(
        model,
        data,
        LIKELIHOOD,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=optimizer,
        scheduler=falling,
        kl_weight=KL_WEIGHTS.get(name, KL_WEIGHT),
        validation=validation,
        validate_every=epochs // 4 or 1,
        seed=seed,
        progress=False,
    )
    return model, history


def predictors(name: str, model: nn.Module, images: Tensor, temperature: float) -> dict:
    """Return logits (S, N, 10) of every way to predict with one network."""
    if name in TWINS:
        logits = bt.predict(model, images, 1).samples
        return {"one pass": logits, "at a temperature": logits / temperature}
    draws = bt.predict(model, images, NUM_DRAWS, seed=1).samples
    with bt.posterior_mean(model):
        means = bt.predict(model, images, 1).samples
    logits = draws.mean(dim=0, keepdim=True)
    return {"average": draws, "posterior means": means, "averaged logits": logits}


def image_nll(samples: Tensor, labels: Tensor) -> list[int]:
    """Return the NLL of each image in thousandths of a nat, which keeps the record short."""
    log_probability = samples.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(samples))
    nll = -log_probability.gather(1, labels[:, None])[:, 0]
    return (1000 * nll).round().int().tolist()


def run(seed: int, name: str, epochs: int = EPOCHS, num_data: int = 9000) -> dict:
    """Train one network from one start; return how it went and what it scores."""
    data, validation = split(num_data)
    began = time.perf_counter()
    model, history = train(name, data, validation, seed, epochs)
    seconds = time.perf_counter() - began
    chosen, labels = validation.tensors
    temperature = 1.0
    if name in TWINS:
        logits = bt.predict(model, chosen, 1).samples[0]
        temperature = bt.TemperatureScaling().fit(logits, labels).temperature
    images, labels = bt.load_mnist(train=False).tensors
    upright = predictors(name, model, images, temperature)
    turned: dict[str, list] = {predictor: [] for predictor in upright}
    step = len(images) // NUM_TURNED
    for angle in ANGLES:
        pictures = bt.corruptions.rotate(images[::step], angle)
        for predictor, samples in predictors(name, model, pictures, temperature).items():
            turned[predictor].append(classification_scores(samples, labels[::step]))
    best = next(iter(upright.values()))
    return {
        "seed": seed,
        "network": name,
        "training_seconds": seconds,
        "temperature": temperature if name in TWINS else None,
        "moved": bt.at_rest(torch.tensor(history["loss"])[:, None]),
        "history": {key: history[key] for key in ("nll", "kl", "validation_nll")},
        "scores": {key: classification_scores(samples, labels) for key, samples in upright.items()},
        "turned": turned,
        "misread": (best.softmax(-1).mean(0).argmax(-1) != labels).nonzero()[:, 0].tolist(),
        "image_nll": image_nll(best, labels),
    }


def summaries(runs: Iterable[dict]) -> list[dict]:
    """Return each score's mean over the seeds with its standard error, and its gain over MAP.

    The gain is how much lower the score is than that of one pass of the MAP twin from that start.
    """
    found = {(r["network"], r["seed"]): r for r in runs}
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        seeds = sorted(seed for other, seed in found if other == name)
        for predictor in found[name, seeds[0]]["scores"]:
            row = {"network": name, "predictor": predictor, "seeds": len(seeds)}
            row |= with_gains(
                [found[name, seed]["scores"][predictor] for seed in seeds],
                [
                    found["MAP", seed]["scores"]["one pass"] if ("MAP", seed) in found else None
                    for seed in seeds
                ],
            )
            rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Train what is not recorded yet, and write the record after each run."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--seeds", type=int, default=5, help="starts, default 5")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"default {EPOCHS}")
    parser.add_argument("--num-data", type=int, default=9000, help="digits to learn from")
    parser.add_argument("--output", type=Path, default=RECORD, help=f"default {RECORD.name}")
    options = parser.parse_args(arguments)

    settings = {
        "epochs": options.epochs,
        "num_data": options.num_data,
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "prior_std": PRIOR_STD,
        "kl_weight": KL_WEIGHT,
        "warmup_epochs": WARMUP,
        "draws": NUM_DRAWS,
        "turned": NUM_TURNED,
    }
    complete_record(
        options.output,
        plan=itertools.product(range(options.seeds), map(NETWORKS.index, options.networks)),
        run=lambda seed, i: run(seed, NETWORKS[i], options.epochs, options.num_data),
        key=lambda made: (made["seed"], NETWORKS.index(made["network"])),
        summaries=summaries,
        settings=settings,
    )


if __name__ == "__main__":
    main()
