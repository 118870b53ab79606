"""Is a Bayesian network as good as its deterministic twin? Pairs of one architecture each.

Explained on the page "As good as its twin?". LeNet-5, AlexNet, 3Conv3FC and ResNet-20 learn MNIST
and a folder of images, both members of a pair from one start, with one order of batches and one
number of epochs. 5,000 training images are held out to choose the temperature of the twin by. A run
that is recorded is not repeated, so that a series continues where it was stopped. MNIST lies where
``load_mnist`` looks for it; the folder holds ``train`` and ``test``, with a subfolder a class. The
recorded runs read CIFAR-10 from a JPEG copy: their scores compare the two of a pair, and are not to
be set beside published ones.
"""

import argparse
import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from layer_priors import INIT_SHARE, bayesian
from records import RESULTS, classification_scores, complete_record, first_line, with_gains
from torch import nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

RECORD = RESULTS / "pairs.json"
BATCH_SIZE, HELD_OUT = 128, 5000
NUM_DRAWS, VALIDATION_DRAWS = 20, 5
LIKELIHOOD = bt.CategoricalLikelihood()
NETWORKS: dict[str, Callable[[int, int], bt.ImageClassifier]] = {
    "LeNet-5": lambda channels, size: bt.lenet5(channels, image_size=size),
    "AlexNet": lambda channels, size: bt.alexnet(channels),
    "3Conv3FC": lambda channels, size: bt.three_conv_three_fc(channels),
    "ResNet-20": lambda channels, size: bt.resnet20(channels),
}


@dataclass(frozen=True)
class Pair:
    """One architecture on one data set, and how it is trained: along one cycle, with Adam."""

    network: str
    data: str
    epochs: int
    seeds: int
    learning_rate: float  # the highest
    kl_weights: tuple[float, ...] = (0.1,)


PAIRS = (
    Pair("LeNet-5", "MNIST", 10, 3, 3e-3, (0.1, 1.0)),
    Pair("LeNet-5", "CIFAR-10", 20, 3, 3e-3, (0.1, 1.0)),
    Pair("AlexNet", "CIFAR-10", 8, 1, 1e-3),
    Pair("3Conv3FC", "CIFAR-10", 8, 1, 1e-3),
    Pair("AlexNet", "MNIST", 4, 1, 1e-3),
    Pair("3Conv3FC", "MNIST", 4, 1, 1e-3),
    Pair("ResNet-20", "CIFAR-10", 4, 1, 3e-3),
)
# A member is a pair's number and a KL weight; None is the twin.
MEMBERS = tuple((i, weight) for i, pair in enumerate(PAIRS) for weight in (None, *pair.kl_weights))


@functools.cache
def load(name: str, train: bool, folder: Path | None, most: int | None) -> TensorDataset:
    """Return the training or the test images of a set."""
    if name == "MNIST":
        data = bt.load_mnist(train, full=True)
    else:
        assert folder is not None
        split = folder / ("train" if train else "test")
        data = bt.load_image_folder(split, classes=bt.image_classes(folder / "train"))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    return TensorDataset(*data[order[:most]])


def member(pair: Pair, kl_weight: float | None, image_shape: torch.Size) -> nn.Module:
    """Return an untrained member of a pair."""
    network = NETWORKS[pair.network](image_shape[0], image_shape[1])
    return network if kl_weight is None else bayesian(network)


def run(seed: int, number: int, folder: Path | None, epochs: int | None, most: int | None) -> dict:
    """Train one member of ``MEMBERS`` from one start; return how it went and what it scores."""
    place, kl_weight = MEMBERS[number]
    pair = PAIRS[place]
    epochs = epochs or pair.epochs
    data, test = (load(pair.data, train, folder, most) for train in (True, False))
    with bt.seeded(seed):
        model = member(pair, kl_weight, data.tensors[0].shape[1:])
    assert isinstance(model, bt.ImageClassifier)
    data, test = (bt.framed(part, model.image_shape[-1]) for part in (data, test))
    held_out, training = (
        TensorDataset(*data[rows]) for rows in (slice(HELD_OUT), slice(HELD_OUT, None))
    )
    photographs = pair.data != "MNIST"
    augmented = bt.AugmentedImages(training, max_shift=4 if photographs else 2, flip=photographs)
    optimizer = torch.optim.Adam(model.parameters(), pair.learning_rate, fused=True)
    steps = epochs * math.ceil(len(training) / BATCH_SIZE)
    history = bt.fit(
        model,
        augmented,
        LIKELIHOOD,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=optimizer,
        scheduler=torch.optim.lr_scheduler.OneCycleLR(
            optimizer, pair.learning_rate, total_steps=steps
        ),
        kl_weight=kl_weight or 0.0,
        validation=held_out,
        validate_every=max(1, epochs // 5),
        num_samples=VALIDATION_DRAWS,
        seed=seed,
    )
    images, labels = test.tensors
    if kl_weight is None:
        logits = bt.predict(model, held_out.tensors[0], 1).samples[0]
        temperature = bt.TemperatureScaling().fit(logits, held_out.tensors[1]).temperature
        logits = bt.predict(model, images, 1).samples
        found = {"one pass": logits, "at a temperature": logits / temperature}
    else:
        with bt.posterior_mean(model):
            means = bt.predict(model, images, 1).samples
        draws = bt.predict(model, images, NUM_DRAWS, seed=1).samples
        found = {"average": draws, "posterior means": means}
    return {
        "seed": seed,
        "number": number,
        "network": pair.network,
        "data": pair.data,
        "kl_weight": kl_weight,
        "epochs": epochs,
        "images": len(training),
        "history": {key: history[key] for key in ("nll", "kl", "validation_nll")},
        "scores": {key: classification_scores(samples, labels) for key, samples in found.items()},
    }


def summaries(runs: Iterable[dict]) -> list[dict]:
    """Return each score's mean over the seeds with its standard error, and its gain over the twin.

    The gain is how much lower the score is than that of the twin's one pass from the same start.
    """
    found = {(r["network"], r["data"], r["kl_weight"], r["seed"]): r for r in runs}
    rows = []
    for pair, kl_weight in ((PAIRS[place], weight) for place, weight in MEMBERS):
        name = (pair.network, pair.data)
        seeds = [seed for seed in range(pair.seeds) if (*name, kl_weight, seed) in found]
        for predictor in found[*name, kl_weight, seeds[0]]["scores"] if seeds else ():
            row = {"network": pair.network, "data": pair.data, "kl_weight": kl_weight}
            row |= {"predictor": predictor, "seeds": len(seeds)}
            twins = [found.get((*name, None, seed)) for seed in seeds]
            row |= with_gains(
                [found[*name, kl_weight, seed]["scores"][predictor] for seed in seeds],
                [twin["scores"]["one pass"] if twin else None for twin in twins],
            )
            rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Train what is not recorded yet, and write the record after each run."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--folder", type=Path, help="of CIFAR-10 as images; without it only MNIST")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--data", nargs="+", choices=("MNIST", "CIFAR-10"), default=None)
    parser.add_argument("--epochs", type=int, help="in place of each pair's own, for a quick look")
    parser.add_argument("--images", type=int, help="the most of each set, for a quick look")
    parser.add_argument("--output", type=Path, default=RECORD, help=f"default {RECORD.name}")
    options = parser.parse_args(arguments)

    sets = options.data or (["MNIST", "CIFAR-10"] if options.folder else ["MNIST"])
    if "CIFAR-10" in sets and options.folder is None:
        parser.error("--data CIFAR-10: expected --folder")
    if options.images is not None and options.images <= HELD_OUT:
        parser.error(f"--images {options.images}: expected more than the {HELD_OUT} held out")
    wanted = [
        (seed, number)
        for number, (place, _) in enumerate(MEMBERS)
        for seed in range(PAIRS[place].seeds)
        if PAIRS[place].network in options.networks and PAIRS[place].data in sets
    ]
    complete_record(
        options.output,
        plan=wanted,
        run=lambda seed, i: run(seed, i, options.folder, options.epochs, options.images),
        key=lambda made: (made["seed"], made["number"]),
        summaries=summaries,
        settings={
            "pairs": [asdict(pair) for pair in PAIRS],
            "epochs": options.epochs,
            "images": options.images,
            "batch_size": BATCH_SIZE,
            "held_out": HELD_OUT,
            "init_share": INIT_SHARE,
            "draws": NUM_DRAWS,
        },
    )


if __name__ == "__main__":
    main()
