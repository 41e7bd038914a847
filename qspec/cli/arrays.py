"""Arrays of integer codes from `.npy` files."""

from __future__ import annotations

from typing import cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ModelFileError


def read_array(path: str) -> IntArray:
    """Return the integers of a `.npy` file; raises ModelFileError on what is none, and runs nothing that a file holds."""
    try:
        array: object = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelFileError("no array of integers", given=path, expected="a .npy file of whole numbers", advice=str(error)) from None
    kept = cast(IntArray, array) if isinstance(array, np.ndarray) else None
    if kept is None or kept.dtype.kind not in "iu":
        given = f"{path}: {'several arrays' if kept is None else kept.dtype}"
        raise ModelFileError("no array of integers", given=given, expected="a .npy file of whole numbers, codes of the input")
    return kept.astype(np.int64)
