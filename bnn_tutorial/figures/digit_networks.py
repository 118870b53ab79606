"""The two networks behind the figure "Draw a digit", trained: a posterior and its twin.

Explained in the chapter "Turned digits". ``scripts/train_digit_networks.py`` trained them
on the 60,000 digits, moved a little at random, the posterior with a KL weight of 1, and wrote their
file, which the browser reads as it is.
"""

from pathlib import Path

import safetensors.torch
import torch
from torch import nn
from torch.distributions import Normal

from bnn_tutorial.atomic_write import atomic_write
from bnn_tutorial.layers.conversion import to_bayesian
from bnn_tutorial.models import ImageClassifier

WEIGHTS_FILE = Path(__file__).with_name("digit_networks.safetensors")


def digit_network() -> ImageClassifier:
    """Return the twin's architecture: images (N, 1, 28, 28) to logits (N, 10), 32,826 weights.

    Two convolutions of 5x5 with 12 and 24 channels, each followed by ReLU and pooling, then two
    linear layers: about 0.65 million multiplications an image, few enough for 30 networks to answer
    a browser at once.
    """
    trunk = nn.Sequential(
        nn.Conv2d(1, 12, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    head = nn.Sequential(nn.Flatten(), nn.Linear(384, 64), nn.ReLU(), nn.Linear(64, 10))
    return ImageClassifier(trunk, head, image_shape=(1, 28, 28))


def bayesian_digit_network() -> nn.Module:
    """Return the same network with every weight Bayesian, under the prior Normal(0, 0.1).

    The kernels are drawn as weights, the linear layers by the local estimator, as in the chapter.
    """
    prior = Normal(0.0, 0.1)
    network = to_bayesian(digit_network(), skip=("head",), prior=prior, estimator="weight")
    return to_bayesian(network, prior=prior)


def write_digit_networks(bayesian: nn.Module, twin: nn.Module, path: Path = WEIGHTS_FILE) -> None:
    """Write both networks' parameters in half precision, 2 bytes each, to a safetensors file."""
    tensors = {
        f"{kind}.{name}": parameter.detach().half()
        for kind, network in (("bayesian", bayesian), ("twin", twin))
        for name, parameter in network.named_parameters()
    }
    with atomic_write(path) as draft:
        safetensors.torch.save_file(tensors, draft)


def read_digit_networks(path: Path = WEIGHTS_FILE) -> tuple[nn.Module, ImageClassifier]:
    """Return the Bayesian network and its twin, in single precision, from their file."""
    tensors = safetensors.torch.load_file(path)
    bayesian, twin = bayesian_digit_network(), digit_network()
    with torch.no_grad():
        for kind, network in (("bayesian", bayesian), ("twin", twin)):
            for name, parameter in network.named_parameters():
                parameter.copy_(tensors[f"{kind}.{name}"])
    return bayesian, twin
