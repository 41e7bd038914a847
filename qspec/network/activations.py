"""Activation functions, each monotone and exact: they act on the exact accumulator value, and the output format then rounds once."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from qspec.arithmetic.formats import Fixed
from qspec.arithmetic.integers import rational
from qspec.arithmetic.tensor import Tensor
from qspec.errors import FormatError, NetworkError
from qspec.network.expect import expect


@dataclass(frozen=True, slots=True)
class Linear:
    """`f(v) = v`."""


@dataclass(frozen=True, slots=True)
class ReLU:
    """`f(v) = max(0, v)`, or `min(maximum, max(0, v))` (ReLU-N) if `maximum` is given."""

    maximum: Fraction | None = None

    def __post_init__(self) -> None:
        if self.maximum is not None:
            object.__setattr__(self, "maximum", rational(self.maximum))
            if rational(self.maximum) < 0:
                raise FormatError("the upper end of a ReLU is negative", given=self.maximum, expected="at least 0")


@dataclass(frozen=True, slots=True)
class LeakyReLU:
    """`f(v) = max(v, slope * v)` with `0 <= slope <= 1`."""

    slope: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", rational(self.slope))
        if not 0 <= self.slope <= 1:
            raise FormatError("slope of a leaky ReLU out of range", given=self.slope, expected="0 <= slope <= 1")


@dataclass(frozen=True, slots=True)
class Sign:
    """`f(v) = 1` if `v >= 0`, else `-1` (sign of zero is one, as in binarised networks)."""


@dataclass(frozen=True, slots=True)
class HardTanh:
    """`f(v) = min(1, max(-1, v))`."""


@dataclass(frozen=True, slots=True)
class HardSigmoid:
    """`f(v) = min(1, max(0, slope * v + offset))`; the defaults are those of Keras 3 and PyTorch (1/6, 1/2)."""

    slope: Fraction = Fraction(1, 6)
    offset: Fraction = Fraction(1, 2)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", rational(self.slope))
        object.__setattr__(self, "offset", rational(self.offset))
        if self.slope <= 0:
            raise FormatError("slope of a hard sigmoid must be positive", given=self.slope, expected="slope > 0")


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """`f(v) = 1 / (1 + exp(-v))`, correctly rounded to the output format.

    With `table`, `v` is first quantised to that format and the function is a table over its codes, as hardware kernels do.
    """

    table: Fixed | None = None

    def __post_init__(self) -> None:
        expect(self.table, Fixed | None, "the table of a sigmoid", "a Fixed format")


@dataclass(frozen=True, slots=True)
class Tanh:
    """`f(v) = tanh(v)`, correctly rounded to the output format; `table` as for Sigmoid."""

    table: Fixed | None = None

    def __post_init__(self) -> None:
        expect(self.table, Fixed | None, "the table of a tanh", "a Fixed format")


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Any function given as a table: `v` is quantised to `input`, and `outputs.codes[k]` is the result for the k-th code from the
    lowest up.

    The output format of the layer must be that of `outputs`. Raises NetworkError if the table does not have one entry per input code.
    """

    input: Fixed
    outputs: Tensor

    def __post_init__(self) -> None:
        expect(self.input, Fixed, "the index of a table", "a Fixed format")
        expect(self.outputs, Tensor, "the entries of a table", "a Tensor")
        if self.outputs.format.grid().channels != 1:
            raise NetworkError("a table has one format", given=self.outputs.format, expected="a format per tensor, not per channel")
        if self.input.width > 16 or self.outputs.shape != (1 << self.input.width,):
            raise NetworkError(
                "a table needs one entry per input code",
                given=self.outputs.shape,
                expected=f"({1 << min(self.input.width, 16)},), at most 16 bits",
            )


Activation = Linear | ReLU | LeakyReLU | Sign | HardTanh | HardSigmoid | Sigmoid | Tanh | Lookup
