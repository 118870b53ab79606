"""The networks of the book and of the benchmarks, deterministic; `to_bayesian` makes them Bayesian.

Explained in the chapters "Polynomial regression with 3-sigma bands" (the regression network) and "A
Bayesian CNN on MNIST" (LeNet-5). See the API reference for the others.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHORTCUTS = ("identity", "projection")


def regression_network(hidden_features: int = 1000) -> nn.Sequential:
    """Return the 1-H-1 ReLU network of the regression chapter: inputs and outputs (N, 1).

    H is ``hidden_features``.

    Example:
        >>> import bnn_tutorial as bt
        >>> network = bt.regression_network(hidden_features=20)
        >>> [tuple(p.shape) for p in network.parameters()]
        [(20, 1), (20,), (1, 20), (1,)]
    """
    return nn.Sequential(nn.Linear(1, hidden_features), nn.ReLU(), nn.Linear(hidden_features, 1))


# Recorded as one node by torch.fx, which can't follow an `if` on a shape: the networks stay
# traceable, and what was traced still checks.
@torch.fx.wrap
def require_image_shape(x: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Return ``x`` as it is if it is a batch of images of that shape.

    Raises:
        ValueError: it has another shape.
    """
    if x.ndim != 4 or x.shape[1:] != image_shape:
        expected = ", ".join(str(size) for size in image_shape)
        raise ValueError(f"x has shape {tuple(x.shape)}: expected (N, {expected})")
    return x


class ImageClassifier(nn.Module):
    r"""A network from images (N, C, H, W) of one fixed shape to logits (N, num_classes).

    .. math:: f(x) = \mathrm{head}(\mathrm{trunk}(x))

    Either part can be named in :func:`to_bayesian`: ``skip=("trunk",)`` leaves a Bayesian head on
    a deterministic trunk.

    Args:
        trunk: from images to features.
        head: from features to logits.
        image_shape: (C, H, W), the shape of one image.

    Raises:
        ValueError: in forward, images of another shape.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> trunk, head = torch.nn.Flatten(), torch.nn.Linear(784, 10)
        >>> classifier = bt.ImageClassifier(trunk, head, image_shape=(1, 28, 28))
        >>> classifier(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """

    def __init__(self, trunk: nn.Module, head: nn.Module, *, image_shape: tuple[int, int, int]):
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.image_shape = image_shape

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``x`` to logits."""
        return self.head(self.trunk(require_image_shape(x, self.image_shape)))

    def extra_repr(self) -> str:
        """Describe the shape of an image in a print of the model."""
        return f"image_shape={self.image_shape}"


def mnist_network(
    in_channels: int = 1, num_classes: int = 10, *, image_size: int = 28
) -> ImageClassifier:
    """Return a small CNN for MNIST: images (N, in_channels, S, S) to logits (N, num_classes).

    The trunk is two convolutions, the head two fully connected layers.

    Args:
        in_channels: channels of an image.
        num_classes: number of logits.
        image_size: S, the height and width of an image: 28 or 32.

    Raises:
        ValueError: ``image_size`` is neither 28 nor 32.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> network = bt.mnist_network()
        >>> network(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
        >>> sum(p.numel() for p in network.parameters())
        421642
    """
    _require_image_size(image_size)
    trunk = nn.Sequential(
        nn.Conv2d(in_channels, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    num_features = 64 * (image_size // 4) ** 2
    head = nn.Sequential(
        nn.Flatten(), nn.Linear(num_features, 128), nn.ReLU(), nn.Linear(128, num_classes)
    )
    return ImageClassifier(trunk, head, image_shape=(in_channels, image_size, image_size))


def _require_image_size(image_size: int) -> None:
    if image_size not in (28, 32):
        raise ValueError(f"image_size={image_size}: expected 28 or 32")


def lenet5(in_channels: int = 1, num_classes: int = 10, *, image_size: int = 28) -> ImageClassifier:
    """Return LeNet-5 in its present-day form: images (N, in_channels, S, S) to logits.

    LeCun et al. (1998) put the digits of 28x28 pixels into a frame of 32x32. Here the first
    convolution pads images of 28x28 by the same 2 pixels of zeros on each side; images of 32x32 it
    takes as they are. As is usual today, the activation is ReLU, the pooling takes maxima, the
    second convolution sees all channels, and the last layer is linear: 61,706 parameters for MNIST.

    Args:
        in_channels: channels of an image.
        num_classes: number of logits.
        image_size: S, the height and width of an image: 28 or 32.

    Raises:
        ValueError: ``image_size`` is neither 28 nor 32.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> network = bt.lenet5()
        >>> network(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
        >>> sum(p.numel() for p in network.parameters())
        61706
    """
    _require_image_size(image_size)
    trunk = nn.Sequential(
        nn.Conv2d(in_channels, 6, kernel_size=5, padding=(32 - image_size) // 2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, num_classes),
    )
    return ImageClassifier(trunk, head, image_shape=(in_channels, image_size, image_size))


def alexnet(in_channels: int = 3, num_classes: int = 10) -> ImageClassifier:
    """Return AlexNet for small images: (N, in_channels, 32, 32) to logits (N, num_classes).

    The five convolutions of Krizhevsky et al. (2012), with the channels, the pooling and the one
    linear layer to which Shridhar et al. (2019) cut it down for 32x32 pixels, and ReLU. There is no
    dropout: made Bayesian, the network has noise of its own.

    Args:
        in_channels: channels of an image.
        num_classes: number of logits.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> bt.alexnet(num_classes=100)(torch.zeros(5, 3, 32, 32)).shape
        torch.Size([5, 100])
    """
    trunk = nn.Sequential(
        nn.Conv2d(in_channels, 64, kernel_size=11, stride=4, padding=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 192, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(192, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 128, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    head = nn.Sequential(nn.Flatten(), nn.Linear(128, num_classes))
    return ImageClassifier(trunk, head, image_shape=(in_channels, 32, 32))


def three_conv_three_fc(in_channels: int = 3, num_classes: int = 10) -> ImageClassifier:
    """Return 3Conv3FC: images (N, in_channels, 32, 32) to logits (N, num_classes).

    Three convolutions of 5x5, each with pooling, and three fully connected layers: the test network
    of Shridhar et al. (2019), with ReLU in place of their softplus.

    Args:
        in_channels: channels of an image.
        num_classes: number of logits.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> bt.three_conv_three_fc(in_channels=1)(torch.zeros(5, 1, 32, 32)).shape
        torch.Size([5, 10])
    """
    trunk = nn.Sequential(
        nn.Conv2d(in_channels, 32, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(32, 64, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 128, kernel_size=5, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
    )
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(512, 1000),
        nn.ReLU(),
        nn.Linear(1000, 1000),
        nn.ReLU(),
        nn.Linear(1000, num_classes),
    )
    return ImageClassifier(trunk, head, image_shape=(in_channels, 32, 32))


class PaddedIdentity(nn.Module):
    """The shortcut without parameters: every second pixel, and channels of zeros behind the others.

    Shapes: (N, C, H, W) to (N, C + extra_channels, H / 2, W / 2).
    """

    def __init__(self, extra_channels: int):
        super().__init__()
        self.extra_channels = extra_channels

    def forward(self, x: Tensor) -> Tensor:
        """Thin out the pixels and pad the channels."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.extra_channels))


class ResidualBlock(nn.Module):
    r"""Two convolutions that learn what to add to their input (He et al., 2016).

    .. math:: y = \mathrm{relu}(\mathrm{residual}(x) + \mathrm{shortcut}(x))

    Where the block widens, ``out_channels`` above ``in_channels``, it also halves height and width.
    """

    def __init__(self, in_channels: int, out_channels: int, shortcut: str):
        super().__init__()
        stride = 1 if in_channels == out_channels else 2
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        if stride == 1:
            self.shortcut: nn.Module = nn.Identity()
        elif shortcut == "identity":
            self.shortcut = PaddedIdentity(out_channels - in_channels)
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the shortcut."""
        return F.relu(self.residual(x) + self.shortcut(x))


def resnet20(
    in_channels: int = 3, num_classes: int = 10, *, shortcut: str = "identity"
) -> ImageClassifier:
    """Return ResNet-20 for CIFAR: images (N, in_channels, 32, 32) to logits (N, num_classes).

    He et al. (2016), section 4.2: a convolution, three stages of three residual blocks with 16, 32
    and 64 channels, the average over all pixels and one linear layer; 269,722 parameters for
    CIFAR-10 with identity shortcuts. The convolutions start as He et al. (2015) draw them.

    Args:
        in_channels: channels of an image.
        num_classes: number of logits.
        shortcut: of the two blocks that widen: ``"identity"`` (option A) pads the channels with
            zeros and has no parameters, ``"projection"`` (option B) is a convolution of 1x1 with
            batch norm. Every other shortcut is the identity.

    Raises:
        ValueError: an unknown ``shortcut``.

    Example:
        >>> import torch
        >>> import bnn_tutorial as bt
        >>> network = bt.resnet20()
        >>> network(torch.zeros(5, 3, 32, 32)).shape
        torch.Size([5, 10])
        >>> sum(p.numel() for p in network.parameters())
        269722
    """
    if shortcut not in SHORTCUTS:
        raise ValueError(f"shortcut={shortcut!r}: expected one of {', '.join(SHORTCUTS)}")
    channels = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    trunk = nn.Sequential(
        nn.Conv2d(in_channels, channels[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(channels[0]),
        nn.ReLU(),
        *(ResidualBlock(*pair, shortcut) for pair in itertools.pairwise(channels)),
    )
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, num_classes))
    return ImageClassifier(trunk, head, image_shape=(in_channels, 32, 32))
