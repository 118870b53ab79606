"""Train the network behind the figure "Reliability" and write what it predicts of held-out digits.

    python scripts/train_overconfident_network.py

A network with one hidden layer of 100 units learns the first 20 images of each digit of the shipped
training subset, without any regularization, until its training loss is about 1e-5: it is right in
about 79 % of the test digits and sure of 93 %. The file holds its logits for the 2,000 test images
of the subset and their labels, in half precision, in an order drawn once at random, so that the
first N are a sample of all. It takes a few seconds; with one thread (``OMP_NUM_THREADS=1``), twice
on one machine, it wrote the same bytes.
"""

import argparse
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import bnn_tutorial as bt
from bnn_tutorial.atomic_write import atomic_write
from bnn_tutorial.figures.reliability import PREDICTIONS_FILE, read_predictions

IMAGES_PER_DIGIT = 20
STEPS = 2000  # of all 200 images
LEARNING_RATE = 3e-3
SEED = 0


def first_of_each_digit(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first images of each digit and their labels."""
    chosen = torch.cat([(labels == digit).nonzero()[:IMAGES_PER_DIGIT] for digit in range(10)])
    return images[chosen.flatten()], labels[chosen.flatten()]


def train(images: Tensor, labels: Tensor) -> nn.Module:
    """Return the network, fitted to the end."""
    with bt.seeded(SEED):
        network = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
    print(f"training loss {F.cross_entropy(network(images), labels).item():.1e}")
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the predictions of the figure Reliability.")
    parser.add_argument("--output", type=Path, default=PREDICTIONS_FILE, help="the file to write")
    path = parser.parse_args().output
    network = train(*first_of_each_digit(*bt.load_mnist(train=True).tensors))
    images, labels = bt.load_mnist(train=False).tensors
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
    with torch.no_grad():
        tensors = {"logits": network(images[order]).half(), "labels": labels[order].half()}
    with atomic_write(path) as draft:
        safetensors.torch.save_file(tensors, draft)
    print(f"{path}: {path.stat().st_size:,} bytes")
    logits, labels = read_predictions(path)
    confidence, prediction = logits.softmax(-1).max(-1)
    accuracy = (prediction == labels).double().mean()
    print(f"accuracy {accuracy:.4f}, mean confidence {confidence.mean():.4f}")


if __name__ == "__main__":
    main()
