"""What a small classifier says of the 2,000 test digits: the answers behind the figure "Cover".

Shown in the chapter "Conformal prediction". ``scripts/classify_digits.py`` trained the classifier,
on 500 of the training digits, and wrote the file, which the browser reads as it is.
"""

from pathlib import Path

import safetensors.torch
from torch import Tensor

from bnn_tutorial.atomic_write import atomic_write

LOGITS_FILE = Path(__file__).with_name("digit_logits.safetensors")


def write_digit_logits(upright: Tensor, turned: Tensor, path: Path = LOGITS_FILE) -> None:
    """Write the logits of the upright and of the turned digits in half precision."""
    with atomic_write(path) as draft:
        safetensors.torch.save_file({"upright": upright.half(), "turned": turned.half()}, draft)


def read_digit_logits(path: Path = LOGITS_FILE) -> tuple[Tensor, Tensor]:
    """Return both, float64 of shape (2000, 10), in the order of the test digits."""
    tensors = safetensors.torch.load_file(path)
    return tensors["upright"].double(), tensors["turned"].double()
