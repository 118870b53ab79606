"""Images made to fit a network, and images that come a little different each time.

Explained on the page "Run it, cite it".
"""

import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset


def framed(data: TensorDataset, image_size: int) -> TensorDataset:
    r"""Return the data with a border of zeros around the images, so that they are square of a size.

    Args:
        data: images (N, C, H, W) and labels.
        image_size: S; the images become (N, C, S, S).

    Raises:
        ValueError: the images are larger, or their sides differ from S by an odd number.

    Example:
        >>> import torch
        >>> from torch.utils.data import TensorDataset
        >>> import bnn_tutorial as bt
        >>> data = TensorDataset(torch.ones(5, 1, 28, 28), torch.zeros(5))
        >>> bt.framed(data, 32).tensors[0].shape
        torch.Size([5, 1, 32, 32])
    """
    images, labels = data.tensors
    borders = [image_size - side for side in (images.shape[-1], images.shape[-2])]
    if any(border < 0 or border % 2 for border in borders):
        raise ValueError(
            f"image_size={image_size}: expected no less than the images' {tuple(images.shape[-2:])}"
            ", by an even number"
        )
    across, down = (border // 2 for border in borders)
    return TensorDataset(F.pad(images, [across, across, down, down]), labels)


class AugmentedImages(Dataset):
    r"""Images that are shifted at random, and perhaps mirrored, each time that they are asked for.

    .. math:: \text{shift} \sim \mathcal{U}\{-m, \dots, m\}^2, \quad
        \text{mirrored} \sim \mathrm{Bernoulli}(\tfrac12)

    What a shift uncovers is zero. Draws come from PyTorch's global generator, which
    :func:`bnn_tutorial.fit` seeds. N stays the number of images, although no likelihood of
    independent data describes the copies of one image (Izmailov et al., 2021).

    Args:
        data: images (N, C, H, W) and labels.
        max_shift: m, in pixels.
        flip: whether half of the images are mirrored left to right; digits must not be.

    Raises:
        ValueError: ``max_shift`` is negative.

    Example:
        >>> import torch
        >>> from torch.utils.data import TensorDataset
        >>> import bnn_tutorial as bt
        >>> data = TensorDataset(torch.ones(5, 3, 32, 32), torch.arange(5))
        >>> image, label = bt.AugmentedImages(data, flip=True)[3]
        >>> image.shape, label
        (torch.Size([3, 32, 32]), tensor(3))
    """

    def __init__(self, data: TensorDataset, *, max_shift: int = 4, flip: bool = False):
        from torchvision.transforms import v2

        if max_shift < 0:
            raise ValueError(f"max_shift={max_shift}: expected 0 or more")
        self.data = data
        steps = [v2.RandomCrop(data.tensors[0].shape[-2:], padding=max_shift)]
        self.transform = v2.Compose([*steps, v2.RandomHorizontalFlip()] if flip else steps)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image, label = self.data[row]
        return self.transform(image), label

    def __len__(self) -> int:
        return len(self.data)
