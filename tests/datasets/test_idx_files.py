import gzip
import math
import struct

import pytest
import torch

from bnn_tutorial.datasets.idx_files import read_idx_file


def idx_bytes(*shape: int) -> bytes:
    """The bytes 0, 1, 2, ... as an array of this shape."""
    head = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    return head + bytes(number % 256 for number in range(math.prod(shape)))


@pytest.mark.parametrize("shape", [(7,), (3, 2, 4), (300, 5), (0, 28, 28)])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_array_is_read_row_by_row(shape, suffix, tmp_path):
    file = tmp_path / f"array-ubyte{suffix}"
    content = idx_bytes(*shape)
    file.write_bytes(gzip.compress(content) if suffix else content)
    array = read_idx_file(file)
    expected = torch.arange(math.prod(shape)).reshape(shape) % 256
    assert array.dtype == torch.uint8
    assert torch.equal(array, expected.byte())


PACKED = gzip.compress(idx_bytes(30), mtime=0)  # the time of day would be in the tests' names


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("short", idx_bytes(3, 2)[:-1], r"is damaged: expected 12 \+ 3 x 2 bytes, found 17"),
        ("long", idx_bytes(3, 2) + b"x", r"is damaged: expected 12 \+ 3 x 2 bytes, found 19"),
        ("header", idx_bytes(3, 2)[:7], "is damaged: expected 12 bytes of header"),
        ("empty", b"", "expected an IDX file of unsigned bytes, found b''"),
        ("three", b"\0\0\x08", "expected an IDX file of unsigned bytes"),
        ("floats", b"\0\0\x0d\x01" + bytes(4), "expected an IDX file of unsigned bytes"),
        ("text", b"no IDX file", "expected an IDX file of unsigned bytes, found b'no I'"),
        ("packed", gzip.compress(idx_bytes(3), mtime=0), "expected an IDX file of unsigned bytes"),
        ("plain.gz", idx_bytes(3), "is damaged: expected a gzip file"),
        ("cut.gz", PACKED[:-9], "is damaged: expected a gzip file"),
        (
            "spoilt.gz",
            PACKED[:10] + b"\xff" * 30,
            "expected a gzip file",
        ),
        ("empty.gz", b"", "expected an IDX file of unsigned bytes, found b''"),
    ],
)
def test_a_damaged_file_is_named(name, content, message, tmp_path):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx_file(file)
    assert str(error.value).startswith(str(file))
