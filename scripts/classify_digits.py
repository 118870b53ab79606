"""Train the small classifier of the figure "Cover" and write what it says of the test digits.

    python scripts/classify_digits.py

A multinomial logistic regression learns from 500 digits that ship with the package, so few that it
is in doubt about many of the 2,000 test digits. It is asked about these as they are, and turned by
30 degrees counterclockwise. It takes a few seconds and needs no network.
"""

import argparse
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torchvision.transforms.functional import InterpolationMode, rotate

import bnn_tutorial as bt
from bnn_tutorial.figures.digit_logits import LOGITS_FILE, write_digit_logits

TRAINING_DIGITS = 500
PRIOR_VARIANCE = 0.1
ANGLE = 30.0


def classify() -> tuple[Tensor, Tensor]:
    """Return the logits of the test digits, float64 of shape (2000, 10): upright, and turned."""
    images, labels = (part[:TRAINING_DIGITS] for part in bt.load_mnist(train=True).tensors)
    # scikit-learn divides the penalty by C and adds the losses up, so that C is a prior's variance.
    # In double precision, to the end: where a search stops early depends on the processor.
    model = LogisticRegression(C=PRIOR_VARIANCE, tol=1e-10, max_iter=1000)
    model.fit(images.flatten(1).double().numpy(), labels.numpy())
    test = bt.load_mnist(train=False).tensors[0]
    turned = rotate(test, ANGLE, interpolation=InterpolationMode.BILINEAR)
    upright, turned = (
        torch.from_numpy(model.decision_function(each.flatten(1).double().numpy()))
        for each in (test, turned)
    )
    return upright, turned


def main() -> None:
    parser = argparse.ArgumentParser(description="Classify the digits of the figure of sets.")
    parser.add_argument("--output", type=Path, default=LOGITS_FILE, help="the file to write")
    path = parser.parse_args().output
    upright, turned = classify()
    write_digit_logits(upright, turned, path)
    print(f"{path}: {path.stat().st_size:,} bytes")
    labels = bt.load_mnist(train=False).tensors[1]
    for name, logits in (("upright", upright), ("turned", turned)):
        right = (logits.argmax(dim=-1) == labels).double().mean().item()
        print(f"{name}: the likeliest class is right for {right:.1%} of {len(labels):,} digits")


if __name__ == "__main__":
    main()
