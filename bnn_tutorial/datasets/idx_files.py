"""IDX, the file format of MNIST: a header, then the bytes of one array.

Shared by the loaders of MNIST, Fashion-MNIST and the letters. See the API reference.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

UNSIGNED_BYTE = 8


def read_idx_file(file: Path) -> Tensor:
    """Return the array of an IDX file of unsigned bytes, packed by gzip (``.gz``) or plain.

    The header is two zeros, the type of the numbers, the number of dimensions D, and D sizes of
    four bytes each, the most significant first.

    Raises:
        ValueError: the file is damaged, or not of this format.
    """
    content = file.read_bytes()
    if file.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{file} is damaged: expected a gzip file ({error})") from error
    if content[:3] != bytes([0, 0, UNSIGNED_BYTE]) or len(content) < 4:
        raise ValueError(f"{file}: expected an IDX file of unsigned bytes, found {content[:4]!r}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{file} is damaged: expected {start} bytes of header or more")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    if len(content) != start + math.prod(shape):
        raise ValueError(
            f"{file} is damaged: expected {start} + {' x '.join(map(str, shape))} bytes, "
            f"found {len(content):,}"
        )
    # A bytearray, because a tensor may be written to and bytes may not.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[start:].reshape(shape)
