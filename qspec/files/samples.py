"""Images of the user's own as codes and classes: idx files, npz files, and folders of PNG files."""

from __future__ import annotations

import gzip
import lzma
import zipfile
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import ModelFileError
from qspec.files.atomic import check_plain
from qspec.support.optional import need

Samples = tuple[IntArray, IntArray]
"""Images (samples, height, width, channels) or vectors (samples, columns), as codes; classes (samples,)."""


def read_idx(path: str | Path) -> IntArray:
    """Return the bytes of an idx file (plain, .gz or .xz, which may be left out of the name) in its shape.

    Raises ModelFileError if there is none, or it is no idx file of bytes. Source: the format of MNIST.
    """
    for suffix, opened in ((".gz", gzip.open), (".xz", lzma.open), ("", open)):
        found = Path(f"{path}{suffix}" if not str(path).endswith(suffix) else path)
        if found.exists():
            check_plain(found, "a file of samples")
            try:
                with opened(found, "rb") as file:
                    data = bytes(file.read())
                return _idx(data)
            except (OSError, EOFError, ValueError, IndexError, lzma.LZMAError) as error:
                raise ModelFileError("not an idx file", given=f"{found}: {error}", expected="bytes in the format of MNIST") from None
    raise ModelFileError("data file not found", given=str(path), expected="an idx file, plain, .gz or .xz")


def _idx(data: bytes) -> IntArray:
    if data[:3] != b"\0\0\x08":
        raise ValueError("no header for unsigned bytes")
    if len(data) < 4 + 4 * data[3]:
        raise ValueError("the header is cut off")
    shape = np.frombuffer(data, dtype=">u4", offset=4, count=data[3]).astype(np.int64)
    size, have = prod(shape.tolist()), len(data) - 4 - 4 * data[3]
    if size != have:
        raise ValueError(f"{have} bytes, where its header says {' x '.join(map(str, shape))}")
    return np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * data[3]).reshape(shape).astype(np.int64)


def read_npz(path: str | Path, images: str = "inputs", labels: str = "targets") -> Samples:
    """Return two arrays of an npz file by name; raises ModelFileError if they are not there, or not whole numbers."""
    expected = f"an .npz file with arrays {images!r} and {labels!r}"
    check_plain(path, "a file of samples")
    try:
        with zipfile.ZipFile(path):  # what np.load says of other files is about pickles
            pass
        with np.load(path, allow_pickle=False) as arrays:
            names: list[str] = list(arrays.files)
            if not {images, labels} <= set(names):
                given = f"{path} has {', '.join(map(repr, names)) or 'no arrays'}"
                advice = 'name them: read_npz(path, "images", "labels"), on the command line --images and --labels'
                raise ModelFileError("no samples under these names", given=given, expected=expected, advice=advice)
            return integers(arrays[images]), integers(arrays[labels])
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise ModelFileError("no samples in this file", given=f"{path}: {error}", expected=expected) from None
    except ModelFileError:
        raise
    except ValueError as error:
        raise ModelFileError("these arrays are no samples", given=f"{path}: {error}", expected="whole numbers") from None


def read_folders(path: str | Path) -> tuple[Samples, tuple[str, ...]]:
    """Return the 8-bit PNG files in each subfolder as images of one class, and the names of the subfolders, sorted.

    Grey images have one channel, others three. Raises ModelFileError if there are none, or of several shapes, and PackageMissingError
    without Pillow.
    """
    if not Path(path).is_dir():
        raise ModelFileError("no such folder", given=str(path), expected="a folder with a subfolder of PNG files for each class")
    names = tuple(sorted(p.name for p in Path(path).iterdir() if p.is_dir()))
    images: list[npt.NDArray[np.int64]] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        for file in sorted((Path(path) / name).glob("*.png")):
            images.append(_png(file))
            labels.append(label)
    shapes = {image.shape for image in images}
    if len(shapes) != 1:
        given = f"{path}: images of shapes {sorted(shapes)}" if shapes else f"{path}: no PNG file in {len(names)} subfolders"
        raise ModelFileError("no images of one shape", given=given, expected="subfolders, one for each class, with PNG files of one size")
    return (np.stack(images), integers(labels)), names


def _png(path: Path) -> npt.NDArray[np.int64]:
    need("PIL", "train", "reading PNG files")
    pillow: Any = import_module("PIL.Image")
    try:
        with pillow.open(path) as image:
            grey = image.mode in ("L", "1")
            pixels = np.asarray(image.convert("L" if grey else "RGB")).astype(np.int64)
    except OSError as error:
        raise ModelFileError("not a PNG file", given=f"{path}: {error}", expected="an 8-bit image") from None
    return pixels[..., None] if grey else pixels
