"""What a prediction on MNIST is worth, and the same on resamples of the images.

Explained on the page "How fast, how accurate". All predictions see the same images, and the same
resamples of them: the difference of two scores on one resample is a paired difference.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

NUM_RESAMPLES = 100
NUM_ODD = 2000  # test digits that are turned, and that are damaged
LIKELIHOOD = bt.CategoricalLikelihood()
UNIT = 1e-5  # of a resampled score's difference from the score, as it is recorded


def foreign_images(test: TensorDataset) -> dict[str, Tensor]:
    """Return what is no digit as the training set has it: clothes, letters, odd digits."""
    digits = test.tensors[0][:NUM_ODD]
    generator = torch.Generator().manual_seed(0)
    noisy, covered, blurred = digits.tensor_split(3)
    damaged = (
        bt.corruptions.add_noise(noisy, 0.3, generator=generator),
        bt.corruptions.occlude(covered, 0.25, generator=generator),
        bt.corruptions.blur(blurred, 2.0),
    )
    return {
        "clothes": bt.load_fashion_mnist(train=False).tensors[0],
        "letters": bt.load_letters(train=False).tensors[0],
        "turned": bt.corruptions.rotate(digits, 90),
        "damaged": torch.cat(damaged),
    }


def rows_to_score(sizes: dict[str, int]) -> Iterator[dict[str, Tensor]]:
    """Yield the rows of each set as they are, then of each resample, the same whoever asks."""
    yield {kind: torch.arange(size) for kind, size in sizes.items()}
    generator = torch.Generator().manual_seed(0)
    for _ in range(NUM_RESAMPLES):
        yield {
            kind: torch.randint(size, (size,), generator=generator) for kind, size in sizes.items()
        }


def scores(samples: Tensor, labels: Tensor, foreign: dict[str, Tensor]) -> dict[str, dict]:
    """Return every score, and how far it is from that on each resample, in units of 1e-5.

    Args:
        samples: logits (S, N, C) of the test images.
        labels: (N,).
        foreign: logits (S, M, C) by kind.
    """
    probabilities = {
        kind: logits.double().softmax(dim=-1)
        for kind, logits in {"test": samples, **foreign}.items()
    }
    doubts = {kind: bt.decompose_entropy(draws) for kind, draws in probabilities.items()}
    own = doubts["test"]
    # The average, as the logits of one draw, so that a resample need not average again.
    mean = samples.double().log_softmax(dim=-1).logsumexp(dim=0)
    found: dict[str, list[float]] = {}
    for rows in rows_to_score({kind: draws.shape[1] for kind, draws in probabilities.items()}):
        logits, truth, ours = mean[rows["test"]], labels[rows["test"]], rows["test"]
        values = LIKELIHOOD.metrics(logits[None], truth)
        values["brier"] = bt.brier_score(logits.softmax(dim=-1), truth)
        for kind in foreign:
            odd, theirs = doubts[kind], rows[kind]
            values[f"entropy_{kind}"] = bt.auroc(own.total[ours], odd.total[theirs])
            if len(samples) > 1:
                area = bt.auroc(own.epistemic[ours], odd.epistemic[theirs])
                values[f"information_{kind}"] = area
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {
        "scores": {name: values[0] for name, values in found.items()},
        "resampled": {
            name: " ".join(f"{(value - values[0]) / UNIT:.0f}" for value in values[1:])
            for name, values in found.items()
        },
    }


def difference(ours: Sequence[dict], theirs: Sequence[dict], name: str) -> bt.Interval | None:
    """Return how much lower a score is than another's, with a 95 % interval of images and starts.

    Args:
        ours: one prediction's records from R starts.
        theirs: another's from the same starts.
        name: of the score; None is returned where one of them has no such score.
    """
    if any(name not in record["scores"] for record in (*ours, *theirs)):
        return None
    pairs = [
        tuple(
            record["scores"][name]
            + UNIT * torch.tensor([*map(float, record["resampled"][name].split())])
            for record in pair
        )
        for pair in zip(theirs, ours, strict=True)
    ]
    resampled = torch.stack([first - second for first, second in pairs]).mean(dim=0)
    found = [a["scores"][name] - b["scores"][name] for a, b in zip(theirs, ours, strict=True)]
    generator = torch.Generator().manual_seed(0)
    # Many draws of the starts' part for each resample of the images.
    return bt.paired_interval(torch.tensor(found), resampled.repeat(50), generator=generator)
