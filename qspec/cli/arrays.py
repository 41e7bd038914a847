"""Arrays from `.npy` and `.npz` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from numpy.lib.npyio import NpzFile

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import ModelFileError


def load_npy(path: str | Path) -> npt.NDArray[Any]:
    """Return the array of a `.npy` file; raises OSError, ValueError or EOFError on what is none, and runs nothing that a file holds."""
    found: object = np.load(path, allow_pickle=False)
    if not isinstance(found, np.ndarray):
        raise ValueError("it holds several arrays")
    return cast(npt.NDArray[Any], found)


def _load_npz(file: str, name: str) -> npt.NDArray[Any]:
    """Return the array of a `.npz` file with this name, or the only one."""
    found: object = np.load(file, allow_pickle=False)
    if isinstance(found, np.ndarray):
        raise ValueError("it holds one array without a name, as .npy files do")
    with cast("NpzFile", found) as arrays:
        names: list[str] = list(arrays.files)
        chosen = name or (names[0] if len(names) == 1 else "")
        if chosen not in names:
            raise ValueError(f"it holds {', '.join(names) or 'nothing'}: name one, as {file}:{(names or ['NAME'])[0]}")
        return arrays[chosen]


def read_array(path: str) -> IntArray:
    """Return the integers of a `.npy` file, or of an array of a `.npz` file, `FILE.npz:NAME`; raises ModelFileError on what is none."""
    file, named, name = path.partition(".npz:")
    try:
        array = _load_npz(f"{file}.npz" if named else path, name) if named or path.endswith(".npz") else load_npy(path)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ModelFileError("no array of integers", given=path, expected="a .npy file of whole numbers", advice=str(error)) from None
    if array.dtype.kind not in "iu":
        given = f"{path}: {array.dtype}"
        raise ModelFileError("no array of integers", given=given, expected="a .npy file of whole numbers, codes of the input")
    return integers(array)
