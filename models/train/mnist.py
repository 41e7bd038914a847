"""Train the MNIST model again, from idx files: `python models/train/mnist.py --data DIR --out models/qspec_models/data`."""

from __future__ import annotations

import gzip
import lzma
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from command import main
from data import Dataset
from fit import Recipe
from quantized import Conv, Dense

from qspec import Fixed
from qspec.errors import ModelFileError

WEIGHT, BIAS = Fixed(8, 7), Fixed(8, 5)
HIDDEN = Fixed(8, 5, signed=False)


def recipes(folder: Path) -> tuple[Recipe, ...]:
    """Return two 3x3 convolutions of stride 2 (8, then 16 channels) and a dense layer, on the MNIST files in a folder."""
    layers = (Conv(8, WEIGHT, BIAS, HIDDEN), Conv(16, WEIGHT, BIAS, HIDDEN), Dense(10, WEIGHT, BIAS, None))
    return (
        Recipe(
            "mnist-conv-8bit",
            "28x28-conv8-conv16-10",
            partial(mnist, folder),
            "classification",
            Fixed(8, 8, signed=False),
            layers,
            epsilon=8,
            steps=3000,
            command="python models/train --data DIR --out models/qspec_models/data",
        ),
    )


def mnist(folder: Path) -> Dataset:
    """Return MNIST, images (28, 28, 1) of 0..255: the 60000 of `train-*` and the 10000 of `t10k-*`; raises ModelFileError without them."""
    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    for part in ("train", "t10k"):
        images, labels = (read_idx(folder, f"{part}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        parts.append((images[..., None], labels))
    return Dataset("mnist", parts[0], parts[1], highest=255, shipped=False)


def read_idx(folder: Path, name: str) -> npt.NDArray[np.int64]:
    """Return the bytes of an idx file (plain, .gz or .xz) as integers in its shape; raises ModelFileError if there is none."""
    for suffix, opened in (("", open), (".gz", gzip.open), (".xz", lzma.open)):
        path = folder / f"{name}{suffix}"
        if path.exists():
            with opened(path, "rb") as file:
                data = bytes(file.read())
            shape = np.frombuffer(data, dtype=">u4", offset=4, count=data[3]).astype(np.int64)
            return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * data[3]).reshape(shape).astype(np.int64)
    raise ModelFileError("data file not found", given=f"{folder}/{name}", expected="an idx file", advice="give its folder by --data")


if __name__ == "__main__":
    main((), of_files=recipes)
