"""What a prediction on MNIST is worth, and the same on resamples of the images.

Explained on the page "How fast, how accurate". All predictions see the same images, and the same
resamples of them: the difference of two scores on one resample is a paired difference.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

NUM_RESAMPLES = 100
NUM_ODD = 2000  # test digits that are turned, and that are damaged
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


def times_drawn(size: int, seed: int) -> Tensor:
    """Return how often each of ``size`` images is in each resample, (NUM_RESAMPLES, size)."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(size, (NUM_RESAMPLES, size), generator=generator)
    ones = torch.ones(1, 1, dtype=torch.float64).expand_as(rows)
    return torch.zeros(rows.shape, dtype=torch.float64).scatter_add_(1, rows, ones)


def once_and_resampled(size: int, seed: int) -> Tensor:
    """Return the images as they are, each once, and below it the resamples."""
    return torch.cat([torch.ones(1, size, dtype=torch.float64), times_drawn(size, seed)])


def label_scores(samples: Tensor, labels: Tensor, counts: Tensor) -> dict[str, Tensor]:
    """Return accuracy, NLL, Brier score and ECE under each row of ``counts``.

    Args:
        samples: logits (S, N, C).
        labels: (N,).
        counts: how often each image counts, (B, N).
    """
    draws = samples.double().log_softmax(dim=-1)
    log_p = draws.logsumexp(dim=0) - torch.tensor(float(len(draws))).log()
    p = log_p.exp()
    confidence, predicted = p.max(dim=-1)
    right = (predicted == labels).double()
    nll = -log_p.gather(1, labels[:, None])[:, 0]
    brier = (p - torch.nn.functional.one_hot(labels, p.shape[1])).square().sum(dim=-1)
    share = counts / counts.sum(dim=1, keepdim=True)
    edges = bt.reliability_bins(p, labels).edges
    bins = torch.nn.functional.one_hot(torch.bucketize(confidence, edges[:-1]), len(edges))
    gaps = share @ (bins * (confidence - right)[:, None])
    means = {"accuracy": share @ right, "nll": share @ nll, "brier": share @ brier}
    return means | {"ece": gaps.abs().sum(dim=1)}


def areas(own: Tensor, foreign: Tensor, own_counts: Tensor, foreign_counts: Tensor) -> Tensor:
    """Return the AUROC of a score under each row of counts: foreign images should score higher.

    Args:
        own: scores (N,).
        foreign: scores (M,).
        own_counts: (B, N).
        foreign_counts: (B, M).
    """
    values, places = torch.cat([own, foreign]).unique(return_inverse=True)
    ours, theirs = (
        torch.zeros(len(counts), len(values), dtype=torch.float64).index_add_(1, place, counts)
        for place, counts in (
            (places[: len(own)], own_counts),
            (places[len(own) :], foreign_counts),
        )
    )
    below = ours.cumsum(dim=1) - ours / 2  # an equal score is half above
    return (below * theirs).sum(dim=1) / (ours.sum(dim=1) * theirs.sum(dim=1))


def scores(samples: Tensor, labels: Tensor, foreign: dict[str, Tensor]) -> dict[str, dict]:
    """Return every score, and how far it is from that on each resample, in units of 1e-5.

    Args:
        samples: logits (S, N, C) of the test images.
        labels: (N,).
        foreign: logits (S, M, C) by kind.
    """
    own = once_and_resampled(len(labels), seed=0)
    found = label_scores(samples, labels, own)
    ours = bt.decompose_entropy(samples.double().softmax(dim=-1))
    for seed, (kind, logits) in enumerate(foreign.items(), start=1):
        counts = once_and_resampled(logits.shape[1], seed)
        theirs = bt.decompose_entropy(logits.double().softmax(dim=-1))
        found[f"entropy_{kind}"] = areas(ours.total, theirs.total, own, counts)
        if len(samples) > 1:
            found[f"information_{kind}"] = areas(ours.epistemic, theirs.epistemic, own, counts)
    return {
        "scores": {name: values[0].item() for name, values in found.items()},
        "resampled": {
            name: " ".join(f"{d:.0f}" for d in ((values[1:] - values[0]) / UNIT).tolist())
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
