"""Arrays from `.npy` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import ModelFileError


def load_npy(path: str | Path) -> npt.NDArray[Any]:
    """Return the array of a `.npy` file; raises OSError, ValueError or EOFError on what is none, and runs nothing that a file holds."""
    found: object = np.load(path, allow_pickle=False)
    if not isinstance(found, np.ndarray):
        raise ValueError("it holds several arrays")
    return cast(npt.NDArray[Any], found)


def read_array(path: str) -> IntArray:
    """Return the integers of a `.npy` file; raises ModelFileError on what is none."""
    try:
        array = load_npy(path)
    except (OSError, ValueError, EOFError) as error:
        raise ModelFileError("no array of integers", given=path, expected="a .npy file of whole numbers", advice=str(error)) from None
    if array.dtype.kind not in "iu":
        given = f"{path}: {array.dtype}"
        raise ModelFileError("no array of integers", given=given, expected="a .npy file of whole numbers, codes of the input")
    return integers(array)
