"""The layers that integer kernels of runtimes are made of: codes moved or read otherwise, and accumulators turned into codes.

A kernel of a runtime is a layer without an output format (its exact sum of codes) followed by a `Multiplier` or by `Thresholds`. Both act
on the integers themselves: on the accumulator in its own unit, or on `code - zero` of a signal that has a format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed, Format
from qspec.arithmetic.integers import IntArray, integer_row, integers
from qspec.arithmetic.tensor import Tensor
from qspec.errors import NetworkError, ShapeError
from qspec.network.expect import expect
from qspec.network.shapes import check_shape
from qspec.support.checks import listed


class Scaling(Enum):
    """How `a * multiplier * 2**(shift - 31)` becomes an integer.

    `AWAY`, `UP` and `FLOOR` round twice: a high product `h = floor(a * 2**max(shift, 0) * multiplier / 2**31 + 1/2)`, then `h / 2**-shift`
    with ties away from zero, with ties up, or down. The others round once. Source: gemmlowp `fixedpoint.h`, TensorFlow Lite `common.h`;
    which kernel has which rule is in `qspec/runtimes`.
    """

    AWAY = "AWAY"
    UP = "UP"
    FLOOR = "FLOOR"
    ONCE_UP = "ONCE_UP"
    ONCE_AWAY = "ONCE_AWAY"


@dataclass(frozen=True, slots=True)
class Reinterpret:
    """Read the same codes in another format; nothing is computed."""

    format: Format
    name: str = ""

    def __post_init__(self) -> None:
        expect(self.format, Format, "the format of a reinterpretation", "Fixed, Affine or PerChannel")


@dataclass(frozen=True, slots=True)
class Reshape:
    """Read the elements, in C order, as a tensor of another shape."""

    shape: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))


@dataclass(frozen=True, slots=True)
class Transpose:
    """Put axis `axes[k]` of the argument in place k."""

    axes: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", integer_row(listed(self.axes, "axes")))
        if sorted(self.axes) != list(range(len(self.axes))):
            raise NetworkError("axes are not an order of all axes", given=self.axes, expected=f"an order of {tuple(range(len(self.axes)))}")


@dataclass(frozen=True, slots=True)
class Pad:
    """Put `before[k]` and `after[k]` elements with the code `code` around axis k."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    code: int
    name: str = ""

    def __post_init__(self) -> None:
        for side in ("before", "after"):
            object.__setattr__(self, side, integer_row(listed(getattr(self, side), side)))
        expect(self.code, int, "the code of a padding", "a whole number")
        if len(self.before) != len(self.after) or min((*self.before, *self.after), default=-1) < 0:
            raise NetworkError(
                "padding is malformed", given=(self.before, self.after), expected="a number of elements from 0 for each axis"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A tensor that is the same for every input."""

    value: Tensor
    name: str = ""

    def __post_init__(self) -> None:
        expect(self.value, Tensor, "a constant", "a Tensor", advice="qs.quantize(array, format)")


@dataclass(frozen=True, slots=True)
class Multiplier:
    """Codes of `format` from integers `a` by a stored multiplier: `clamp(scaled(a * 2**left) + zero point, lower, upper)`.

    `multiplier` (0 to 2**31 - 1), `shift` (-62 to 30; positive is to the left) and `scaling` are one value, one per channel (last axis), or
    one per element (C order). `lower` and `upper` are codes: the ends of the format, or of a fused activation. Raises NetworkError on
    anything else. Source: TensorFlow Lite, `MultiplyByQuantizedMultiplier`.
    """

    format: Affine
    multiplier: tuple[int, ...]
    shift: tuple[int, ...]
    scaling: tuple[Scaling, ...] = (Scaling.AWAY,)
    lower: int | None = None
    upper: int | None = None
    left: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        expect(self.format, Affine, "the format of a multiplier", "qs.int8(scale, zero_point), qs.Affine(…)")
        if self.format.grid().channels != 1:
            raise NetworkError("a multiplier has one format", given=self.format, expected="one scale and one zero point")
        for part in ("multiplier", "shift"):
            object.__setattr__(self, part, integer_row(_several(getattr(self, part))))
        object.__setattr__(self, "scaling", tuple(_several(self.scaling)))
        object.__setattr__(self, "lower", self.format.lower if self.lower is None else self.lower)
        object.__setattr__(self, "upper", self.format.upper if self.upper is None else self.upper)
        self._check()

    def _check(self) -> None:
        for rule in self.scaling:
            expect(rule, Scaling, "the scaling of a multiplier", ", ".join(f"Scaling.{s.name}" for s in Scaling))
        counts = {len(self.multiplier), len(self.shift), len(self.scaling)}
        if 0 in counts or len(counts - {1}) > 1:
            raise NetworkError("multipliers, shifts and scalings differ in number", given=counts, expected="one, or as many of each")
        if not 0 <= min(self.multiplier) <= max(self.multiplier) < 2**31:
            raise NetworkError("a multiplier is out of range", given=self.multiplier, expected="0 to 2**31 - 1")
        if not -62 <= min(self.shift) <= max(self.shift) <= 30:
            raise NetworkError("a shift is out of range", given=self.shift, expected="-62 to 30")
        expect(self.left, int, "the shift before a multiplier", "a whole number")
        if not 0 <= self.left <= 31:
            raise NetworkError("the shift before a multiplier is out of range", given=self.left, expected="0 to 31")
        expect(self.lower, int, "the lowest code of a multiplier", "a whole number")
        expect(self.upper, int, "the highest code of a multiplier", "a whole number")
        assert self.lower is not None
        assert self.upper is not None
        if not self.format.lower <= self.lower <= self.upper <= self.format.upper:
            ends = f"{self.format.lower} <= lower <= upper <= {self.format.upper}"
            raise NetworkError("the ends of a multiplier are not codes of its format", given=(self.lower, self.upper), expected=ends)

    @property
    def ends(self) -> tuple[int, int]:
        """The lowest and the highest code."""
        assert self.lower is not None
        assert self.upper is not None
        return self.lower, self.upper

    @property
    def entries(self) -> int:
        """How many multipliers there are: 1, as many as channels, or as many as elements."""
        return max(len(self.multiplier), len(self.shift), len(self.scaling))


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Codes of `format` from integers by any monotone staircase: `base + number of k with a >= thresholds[channel, k]`.

    `base` has one code per row, `thresholds` one row for all elements or one per channel (last axis), and never decreases along a row.
    Raises NetworkError on anything else, or if a code leaves the format. Source: FINN `MultiThreshold`.
    """

    format: Fixed | Affine
    base: IntArray
    thresholds: IntArray
    name: str = ""

    def __post_init__(self) -> None:
        expect(self.format, Fixed | Affine, "the format of a staircase", "Fixed or Affine")
        rows = integers(self.thresholds)
        object.__setattr__(self, "base", integers(self.base).reshape(-1))
        object.__setattr__(self, "thresholds", rows.reshape(1, -1) if rows.ndim == 1 else rows)
        if self.format.grid().channels != 1:
            raise NetworkError("a staircase has one format", given=self.format, expected="one scale and one zero point")
        if self.thresholds.ndim != 2 or self.base.shape != self.thresholds.shape[:1] or not self.base.size:
            given = (self.base.shape, rows.shape)
            raise ShapeError("the rows of a staircase do not fit", given=given, expected="(rows,) and (rows, steps)")
        if np.any(self.thresholds[:, 1:] < self.thresholds[:, :-1]):
            raise NetworkError("the thresholds of a staircase decrease", given="a row", expected="rows that never decrease")
        low, high = int(self.base.min()), int(self.base.max()) + self.thresholds.shape[1]
        if low < self.format.lower or high > self.format.upper:
            ends = f"{self.format.lower}..{self.format.upper}"
            raise NetworkError("a staircase leaves its format", given=f"codes {low}..{high}", expected=ends)


KernelLayer = Reinterpret | Reshape | Transpose | Pad | Constant | Multiplier | Thresholds


def _several(value: object) -> list[object]:
    return list(cast(Sequence[object], value)) if isinstance(value, tuple | list | np.ndarray) else [value]
