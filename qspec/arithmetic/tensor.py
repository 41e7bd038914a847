"""Stored parameters: an array of codes with the format that gives them meaning."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.formats import Format, check_format, code_range
from qspec.arithmetic.integers import IntArray, exact_array, integers, rational, shrink
from qspec.arithmetic.rounding import Overflow, round_ratio, wrap
from qspec.errors import FormatError


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Codes of any shape with their format; channels are the last axis. Raises FormatError if a code does not fit the format."""

    codes: IntArray
    format: Format

    def __post_init__(self) -> None:
        check_format(self.format)
        codes = np.array(integers(self.codes))
        lower, upper = code_range(self.format, codes.shape)
        flat = codes.reshape(-1)
        outside = (flat < lower) | (flat > upper)
        if np.any(outside):
            where = int(np.argmax(outside))
            raise FormatError(
                f"code at flat index {where} does not fit {self.format}", given=int(flat[where]), expected=f"{lower[where]}..{upper[where]}"
            )
        codes.setflags(write=False)
        object.__setattr__(self, "codes", codes)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.codes.shape

    def values(self) -> npt.NDArray[np.float64]:
        """Return the values as doubles, for looking at."""
        units, zeros = self.format.grid().per_element(self.shape)
        return np.array([float(u * (int(c) - z)) for u, z, c in zip(units, zeros, self.codes.reshape(-1), strict=True)]).reshape(self.shape)


def quantize(values: object, format: Format) -> Tensor:
    """Quantise an array of finite numbers to codes of `format`, with the rounding and overflow that the format states.

    A float means its exact double. Raises FormatError on NaN or infinity.
    """
    check_format(format)
    array = exact_array(values)
    finite = np.array([not isinstance(v, float) or isfinite(v) for v in array.reshape(-1).tolist()], dtype=bool).reshape(array.shape)
    if not np.all(finite):
        where = np.argwhere(~finite)[0].tolist()
        raise FormatError(
            f"value at index {where} is not finite",
            given=array[tuple(where)],
            expected="finite numbers",
            advice="look for the training step that diverged",
        )
    units, zeros = format.grid().per_element(array.shape)
    ratios = [rational(v) / u for v, u in zip(array.reshape(-1).tolist(), units, strict=True)]
    numerators = np.array([r.numerator for r in ratios], dtype=object)
    denominators = np.array([r.denominator for r in ratios], dtype=object)
    codes = round_ratio(numerators, denominators, format.rounding) + zeros if ratios else numerators
    return Tensor(shrink(overflow(codes, format, array.shape)).reshape(array.shape), format)


def overflow(codes: IntArray, fmt: Format, shape: tuple[int, ...]) -> IntArray:
    """Bring rounded codes (flat) into the range of the format, by its overflow mode."""
    lower, upper = code_range(fmt, shape)
    match fmt.overflow:
        case Overflow.SAT | Overflow.SAT_SYM:
            return np.minimum(np.maximum(codes, lower), upper)
        case Overflow.SAT_ZERO:
            return np.where((codes < lower) | (codes > upper), 0, codes)
        case Overflow.WRAP:
            widths = integers([int(u) - int(lo) for lo, u in zip(lower, upper, strict=True)])
            bits = integers([int(w).bit_length() for w in widths])
            return lower + wrap(codes - lower, bits.astype(codes.dtype), signed=False)
