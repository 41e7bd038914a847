"""Arrays of codes as the bytes of a NumPy `.npy` file: little-endian integers in the smallest type that holds them.

The header is read by a regular expression and compared with what the caller expects; nothing in it is evaluated. Source of the format:
NEP 1, "A Simple File Format for NumPy Arrays", version 1.0.
"""

from __future__ import annotations

import io
import math
import re

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.errors import ModelFileError

TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")
HEADER = re.compile(rb"\{'descr': '([<|][iu][1248])', 'fortran_order': (False|True), 'shape': \(([0-9, ]*)\), *\} *\n")
MAGIC = b"\x93NUMPY\x01\x00"


def type_of(codes: IntArray) -> str | None:
    """Return the name of the smallest integer type that holds all codes, or None if int64 does not."""
    least, most = (int(codes.min()), int(codes.max())) if codes.size else (0, 0)
    return next((t for t in TYPES if np.iinfo(t).min <= least and most <= np.iinfo(t).max), None)


def to_npy(codes: IntArray, type_name: str) -> bytes:
    """Return codes as the bytes of a `.npy` file, format version 1.0, in C order."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(codes.astype(_dtype(type_name))), version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def from_npy(data: bytes, type_name: str, shape: tuple[int, ...], where: str) -> IntArray:
    """Return the codes in the bytes of a `.npy` file; raises ModelFileError unless they have this type and shape, in C order."""
    length = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 2], "little")
    start = len(MAGIC) + 2 + length
    header = HEADER.fullmatch(data[len(MAGIC) + 2 : start]) if data.startswith(MAGIC) else None
    if header is None:
        raise ModelFileError(f"{where} is not an array of integers", given=data[:32], expected="a .npy file, version 1.0, of integers")
    descr, fortran, extent = (part.decode("ascii") for part in header.groups())
    found = tuple(int(axis) for axis in extent.replace(" ", "").split(",") if axis)
    dtype = _dtype(type_name)
    if descr != dtype.str or fortran != "False" or found != shape:
        raise ModelFileError(
            f"{where} is not the array that network.json describes",
            given=f"{descr}, shape {found}{', Fortran order' if fortran == 'True' else ''}",
            expected=f"{dtype.str}, shape {shape}, C order",
        )
    size = math.prod(shape) * dtype.itemsize
    if len(data) - start != size:
        raise ModelFileError(f"{where} has the wrong length", given=f"{len(data) - start} bytes", expected=f"{size} bytes")
    return integers(np.frombuffer(data, dtype, offset=start).reshape(shape))


def _dtype(name: str) -> np.dtype[np.generic]:
    return np.dtype(name).newbyteorder("<")
