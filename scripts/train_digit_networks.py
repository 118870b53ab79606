"""Train the two small networks of the figure "Draw a digit" and write the file that ships.

    python scripts/train_digit_networks.py

It needs the full MNIST (see ``load_mnist``). With one thread (``OMP_NUM_THREADS=1``) it takes about
two minutes, and twice on one machine it wrote the same bytes. Every epoch sees each of the 60,000
digits once, turned by up to 10 degrees, scaled by up to a tenth and moved by up to 2 pixels, at
random, since a reader's hand is another than those of MNIST. The Bayesian network is trained with a
KL weight of 1 for 60,000 observations; with images that change, that is strictly the ELBO of no
data set (Wenzel et al. 2020). The twin is trained on the same images by cross-entropy. The scores
printed at the end, on the 10,000 test digits, are those of the networks as trained and as written,
in half precision.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import TensorDataset

import bnn_tutorial as bt
from bnn_tutorial.figures.digit_networks import (
    WEIGHTS_FILE,
    bayesian_digit_network,
    digit_network,
    read_digit_networks,
    write_digit_networks,
)

EPOCHS = 10
BATCH_SIZE = 128
LARGEST_LEARNING_RATE = 3e-3
SEED = 1


def jitter(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return the images, each turned, scaled and moved a little by chance."""

    def uniform(largest: float) -> Tensor:
        return largest * (2 * torch.rand(len(images), generator=generator) - 1)

    angle, scale = uniform(math.radians(10)), 1 + uniform(0.1)
    right, down = uniform(2 / 14), uniform(2 / 14)  # of half an image's side
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    maps = torch.stack([cosine, -sine, right, sine, cosine, down], dim=1).view(-1, 2, 3)
    parts = zip(images.split(5000), maps.split(5000), strict=True)
    moved = [
        # Said aloud, or PyTorch warns.
        F.grid_sample(
            part, F.affine_grid(to, list(part.shape), align_corners=False), align_corners=False
        )
        for part, to in parts
    ]
    return torch.cat(moved)


def train(network: nn.Module, digits: TensorDataset) -> None:
    """Fit the network to the digits, jittered anew for every epoch."""
    images, labels = digits.tensors
    likelihood = bt.CategoricalLikelihood()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    steps = EPOCHS * math.ceil(len(digits) / BATCH_SIZE)
    scheduler = OneCycleLR(optimizer, LARGEST_LEARNING_RATE, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(SEED)
    for epoch in range(EPOCHS):
        history = bt.fit(
            network,
            TensorDataset(jitter(images, generator), labels),
            likelihood,
            epochs=1,
            batch_size=BATCH_SIZE,
            optimizer=optimizer,
            scheduler=scheduler,
            seed=epoch,
            progress=False,
        )
        nll, kl = history["nll"][-1], history["kl"][-1]
        print(f"  epoch {epoch + 1}: NLL {nll:.4f}, KL {kl:,.0f} nats", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the networks of the figure of digits.")
    parser.add_argument("--output", type=Path, default=WEIGHTS_FILE, help="the file to write")
    path = parser.parse_args().output
    digits = bt.load_mnist(train=True, full=True)
    test = bt.load_mnist(train=False, full=True)
    trained = {}
    for name, build in (("bayesian", bayesian_digit_network), ("twin", digit_network)):
        with bt.seeded(SEED):
            trained[name] = build()
        print(name)
        train(trained[name], digits)
    write_digit_networks(**trained, path=path)
    print(f"{path}: {path.stat().st_size:,} bytes")
    written = dict(zip(trained, read_digit_networks(path), strict=True))
    for state, networks in (("as trained", trained), ("as written", written)):
        for name, network in networks.items():
            draws = 30 if name == "bayesian" else 1
            scores = bt.evaluate(
                network, test, bt.CategoricalLikelihood(), num_samples=draws, seed=SEED
            )
            print(f"{name}, {state}:", {key: round(value, 4) for key, value in scores.items()})


if __name__ == "__main__":
    main()
