"""Arrays of integer codes from `.npy` files."""

from __future__ import annotations

import numpy as np

from qspec.errors import ModelFileError
from qspec.integers import IntArray


def read_array(path: str) -> IntArray:
    """Return the integers of a `.npy` file; raises ModelFileError on what is none, and runs nothing that a file holds."""
    try:
        array: object = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelFileError("no array of integers", given=path, expected="a .npy file of whole numbers", advice=str(error)) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        given = f"{path}: {getattr(array, 'dtype', 'several arrays')}"
        raise ModelFileError("no array of integers", given=given, expected="a .npy file of whole numbers, codes of the input")
    return array.astype(np.int64)
