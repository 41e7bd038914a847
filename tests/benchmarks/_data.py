"""Read the data that benchmarks use: idx images and labels, dense kernels and biases."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qspec.errors import ModelFileError

Bytes = npt.NDArray[np.uint8]


def read_idx(path: Path) -> Bytes:
    """Return an idx file of bytes (plain, .gz or .xz); raises ModelFileError if it is none."""
    opened = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opened(path, "rb") as file:
        data = file.read()
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise ModelFileError("not an idx file of bytes", given=str(path), expected="magic number 0x000008")
    axes = data[3]
    shape = tuple(int.from_bytes(data[4 + 4 * k : 8 + 4 * k], "big") for k in range(axes))
    body = np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * axes)
    if body.size != int(np.prod(shape)):
        raise ModelFileError("idx file with the wrong length", given=body.size, expected=str(shape))
    return body.reshape(shape)


def find(folder: Path, pattern: str) -> Path:
    """Return the one file that matches a pattern; raises ModelFileError if there is none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise ModelFileError("data file not found", given=f"{folder}/{pattern}", expected="a file", advice="give the path by an option")
    return found[0]


def read_dense(path: Path) -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Return (kernel, bias) of each dense layer in order, from .npz (kernel_0, bias_0, …) or Keras .h5."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            count = sum(name.startswith("kernel_") for name in arrays.files)
            return [(arrays[f"kernel_{k}"].astype(np.float64), arrays[f"bias_{k}"].astype(np.float64)) for k in range(count)]
    import h5py

    kernels: dict[str, npt.NDArray[np.float64]] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: kernels.update({name: np.asarray(item, dtype=np.float64)}) if isinstance(item, h5py.Dataset) else None
        )
    names = sorted((n for n in kernels if "kernel" in n), key=lambda n: (len(n), n))
    return [(kernels[n], kernels[n.replace("kernel", "bias")]) for n in names]
