"""Data sets that do not come with scikit-learn, from files: idx (MNIST, Fashion-MNIST), npz, or folders of PNG files."""

from __future__ import annotations

from pathlib import Path

from data import Dataset

from qspec.errors import ModelFileError
from qspec.files.samples import Samples
from qspec.training import read_folders, read_idx, read_npz


def images(folder: Path, name: str) -> Dataset:
    """Return images of 0..255 with their classes, 28x28x1 of idx files; raises ModelFileError if the folder has none of these.

    The folder has `train-*` and `t10k-*` (or `test-*`) idx files, `train.npz` and `test.npz` with arrays `inputs` and `targets`, or
    folders `train` and `test` with a folder of PNG files for each class.
    """
    train, test = (_part(folder, names) for names in (("train",), ("t10k", "test")))
    return Dataset(name, train, test, highest=255, shipped=False)


def _part(folder: Path, names: tuple[str, ...]) -> Samples:
    for name in names:
        if (folder / f"{name}.npz").exists():
            return read_npz(folder / f"{name}.npz")
        if (folder / name).is_dir():
            return read_folders(folder / name)[0]
        if any(folder.glob(f"{name}-images-idx3-ubyte*")):
            return read_idx(folder / f"{name}-images-idx3-ubyte")[..., None], read_idx(folder / f"{name}-labels-idx1-ubyte")
    raise ModelFileError(
        "no images there", given=f"{folder}", expected=f"{names[0]}-images-idx3-ubyte, {names[0]}.npz or {names[0]}/", advice="--data DIR"
    )
