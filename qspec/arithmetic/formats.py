"""Number formats: what the stored integers (codes) of a tensor mean, exactly.

`value = unit * (code - zero)` for every format; `unit` is an exact rational. Names follow `ap_fixed` and the Q notation for fixed point,
and ONNX and TensorFlow Lite for affine formats.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np

from qspec.arithmetic.integers import IntArray, integer_row, integers, rational
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.errors import FormatError, SpecError

MAX_WIDTH = 64
"""Widest format accepted; wider accumulators need no declaration, they are exact."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The exact values that codes stand for: `unit * (code - zero)`, one pair, or one per channel (last axis)."""

    units: tuple[Fraction, ...]
    zeros: tuple[int, ...]

    @property
    def channels(self) -> int:
        return len(self.units)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise FormatError unless a tensor of this shape has one channel per entry, or there is one entry for all."""
        if self.channels != 1 and (not shape or shape[-1] != self.channels):
            raise FormatError(
                "a per-channel format needs one entry per channel (last axis)", given=shape, expected=f"last axis {self.channels}"
            )

    def per_element(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return units (dtype object) and zeros, one per element of a tensor of this shape, flattened."""
        self.check(shape)
        size = int(np.prod(shape, dtype=np.int64))
        units = np.array(self.units, dtype=object)
        zeros = np.array(self.zeros, dtype=object)
        repeat = size // self.channels if self.channels else 0
        return np.tile(units, repeat), np.tile(zeros, repeat)


@dataclass(frozen=True, slots=True)
class Fixed:
    """Fixed point: `width` bits of which `frac` are after the binary point; `value = code * 2**-frac`.

    `frac` may be negative or exceed `width`. `rounding` and `overflow` say how a value becomes a code. Raises FormatError on a width
    outside 1..64. Source of the modes: ap_fixed (AMD UG1399).
    """

    width: int
    frac: int
    signed: bool = True
    rounding: Rounding = Rounding.RND
    overflow: Overflow = Overflow.SAT

    def __post_init__(self) -> None:
        _check_width(self.width, self.signed)
        if not isinstance(self.frac, int) or isinstance(self.frac, bool) or abs(self.frac) > 1024:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FormatError("number of fraction bits out of range", given=self.frac, expected="an integer from -1024 to 1024")
        check_modes(self.rounding, self.overflow)

    @classmethod
    def parse(cls, text: str) -> Fixed:
        """Read `ap_fixed<W,I[,Q[,O]]>`, `ap_ufixed<…>`, or Q notation (`Q3.4`, `UQ0.8`; the sign bit is not counted in Q).

        Modes may be written as in C++ (`AP_RND`). Raises FormatError on anything else.
        """
        squeezed = text.replace(" ", "")
        if m := re.fullmatch(r"(?:ap_)?(u?)fixed<(\d{1,5}),(-?\d{1,5})(?:,(?:AP_)?(\w+))?(?:,(?:AP_)?(\w+))?>", squeezed):
            unsigned, width, integer, q, o = m.groups()
            try:
                modes = Rounding(q or "TRN"), Overflow(o or "WRAP")
            except ValueError as error:
                raise FormatError("unknown ap_fixed mode", given=text, expected=str(error)) from None
            return cls(int(width), int(width) - int(integer), not unsigned, *modes)
        if m := re.fullmatch(r"(U?)Q(-?\d{1,5})\.(-?\d{1,5})", squeezed):
            unsigned, integer, frac = m.groups()
            return cls(int(integer) + int(frac) + (0 if unsigned else 1), int(frac), not unsigned)
        raise FormatError("not a fixed-point format", given=text, expected="ap_fixed<16,6>, ap_ufixed<8,0,RND,SAT>, Q3.4 or UQ0.8")

    @property
    def unit(self) -> Fraction:
        return Fraction(2) ** -self.frac

    @property
    def lower(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def upper(self) -> int:
        return (1 << (self.width - 1)) - 1 if self.signed else (1 << self.width) - 1

    def grid(self) -> Grid:
        return Grid((self.unit,), (0,))

    def __str__(self) -> str:
        kind = "fixed" if self.signed else "ufixed"
        return f"{kind}<{self.width},{self.width - self.frac},{self.rounding.value},{self.overflow.value}>"


@dataclass(frozen=True, slots=True)
class Affine:
    """Affine quantisation: `value = scale * (code - zero_point)`, codes of `width` bits (int4, uint8, int8, int16 …).

    `scale` and `zero_point` are one number or one per channel (last axis); a float scale means its exact double. Raises FormatError on a
    scale that is not positive and finite, or a zero point outside the codes. Source: ONNX QuantizeLinear, Jacob et al. 2018.
    """

    width: int
    signed: bool
    scale: Fraction | tuple[Fraction, ...]
    zero_point: int | tuple[int, ...] = 0
    rounding: Rounding = Rounding.RND_CONV
    overflow: Overflow = Overflow.SAT

    def __post_init__(self) -> None:
        _check_width(self.width, self.signed)
        check_modes(self.rounding, self.overflow)
        exact = tuple(rational(s) for s in _entries(self.scale))
        if not exact or any(s <= 0 for s in exact):
            raise FormatError("scale must be positive", given=self.scale, expected="a positive finite number, or one per channel")
        codes = integer_row(_entries(self.zero_point))
        if len(codes) not in (1, len(exact)) or any(not self.lower <= z <= self.upper for z in codes):
            raise FormatError(
                "zero point outside the codes", given=self.zero_point, expected=f"{self.lower}..{self.upper}, one or as many as scales"
            )
        object.__setattr__(self, "scale", exact[0] if len(exact) == 1 else exact)
        object.__setattr__(self, "zero_point", codes[0] if len(codes) == 1 else codes)

    @property
    def lower(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def upper(self) -> int:
        return (1 << (self.width - 1)) - 1 if self.signed else (1 << self.width) - 1

    def grid(self) -> Grid:
        units = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        zeros = self.zero_point if isinstance(self.zero_point, tuple) else (self.zero_point,) * len(units)
        return Grid(units, zeros)

    def __str__(self) -> str:
        scale = f"{len(self.scale)} scales" if isinstance(self.scale, tuple) else f"scale {_short(self.scale)}"
        zero = self.zero_point if isinstance(self.zero_point, int) else "per channel"
        return f"{'int' if self.signed else 'uint'}{self.width}({scale}, zero {zero})"


@dataclass(frozen=True, slots=True)
class PerChannel:
    """One fixed-point format per channel (last axis): widths, signs and binary points may differ, rounding and overflow may not."""

    formats: tuple[Fixed, ...]

    def __post_init__(self) -> None:
        if isinstance(self.formats, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            object.__setattr__(self, "formats", tuple(self.formats))
        if not isinstance(self.formats, tuple) or not self.formats or not all(isinstance(f, Fixed) for f in self.formats):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise FormatError("one Fixed format per channel is expected", given=self.formats, expected="a non-empty sequence of Fixed")
        if len({(f.rounding, f.overflow) for f in self.formats}) > 1:
            raise FormatError(
                "all channels must round and overflow alike", given=[str(f) for f in self.formats], expected="one rounding, one overflow"
            )

    @property
    def rounding(self) -> Rounding:
        return self.formats[0].rounding

    @property
    def overflow(self) -> Overflow:
        return self.formats[0].overflow

    def grid(self) -> Grid:
        return Grid(tuple(f.unit for f in self.formats), (0,) * len(self.formats))

    def __str__(self) -> str:
        return f"per channel({self.formats[0]} … {len(self.formats)})"


def _entries(value: object) -> list[object]:
    """Return one number, or one per channel, as a list; exact numbers of the language count as what they are."""
    held = getattr(value, "values", None)
    given = cast(object, held if isinstance(held, np.ndarray) else value)
    if isinstance(given, np.ndarray):
        return cast("list[object]", given.tolist() if given.ndim == 1 else [given.item() if given.ndim == 0 else given])
    return list(cast("Sequence[object]", given)) if isinstance(given, tuple | list) else [given]


def _short(value: Fraction) -> str:
    """Return a rational in six digits, or exactly where no double comes near it."""
    try:
        return f"{float(value):.6g}"
    except OverflowError:
        return str(value)


Format = Fixed | Affine | PerChannel


def int4(scale: object, zero_point: int = 0) -> Affine:
    """Return the affine format of 4-bit signed codes."""
    return Affine(4, True, scale, zero_point)  # pyright: ignore[reportArgumentType]


def int8(scale: object, zero_point: int = 0) -> Affine:
    """Return the affine format of 8-bit signed codes."""
    return Affine(8, True, scale, zero_point)  # pyright: ignore[reportArgumentType]


def uint8(scale: object, zero_point: int = 0) -> Affine:
    """Return the affine format of 8-bit unsigned codes."""
    return Affine(8, False, scale, zero_point)  # pyright: ignore[reportArgumentType]


def int16(scale: object, zero_point: int = 0) -> Affine:
    """Return the affine format of 16-bit signed codes."""
    return Affine(16, True, scale, zero_point)  # pyright: ignore[reportArgumentType]


def code_range(fmt: Format, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """Return the lowest and the highest code of each element of a tensor of this shape, flattened (SAT_SYM already excludes the lowest)."""
    size = int(np.prod(shape, dtype=np.int64))
    parts = fmt.formats if isinstance(fmt, PerChannel) else (fmt,)
    if len(parts) > 1 and (not shape or shape[-1] != len(parts)):
        raise FormatError("a per-channel format needs one entry per channel (last axis)", given=shape, expected=f"last axis {len(parts)}")
    lower = integers([p.lower + (p.signed and p.overflow is Overflow.SAT_SYM) for p in parts])
    upper = integers([p.upper for p in parts])
    return np.tile(lower, size // len(parts)), np.tile(upper, size // len(parts))


def check_codes(codes: IntArray, fmt: Format, shape: tuple[int, ...], what: str) -> None:
    """Raise SpecError unless codes of shape (…, size), flat tensors of this shape, lie in a format; `what` says whose they are."""
    low, high = code_range(fmt, shape)
    if np.any((codes < low) | (codes > high)):
        expected = f"{low.min()}..{high.max()}"
        raise SpecError(f"{what}: a code is outside the format", given=f"{codes.min()}..{codes.max()}", expected=expected)


def check_format(value: object) -> None:
    """Raise FormatError unless a value is a number format."""
    if not isinstance(value, Format):
        raise FormatError("not a number format", given=repr(value), expected="Fixed, Affine or PerChannel", advice="Fixed.parse(text)")


def _check_width(width: object, signed: object) -> None:
    if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= MAX_WIDTH:
        raise FormatError("width out of range", given=width, expected=f"an integer from 1 to {MAX_WIDTH}")
    if not isinstance(signed, bool):
        raise FormatError("`signed` must be True or False", given=signed, expected="a bool")


def check_modes(rounding: object, overflow: object) -> None:
    """Raise FormatError on what is no rounding or no overflow mode."""
    if not isinstance(rounding, Rounding):
        raise FormatError("unknown rounding", given=rounding, expected=", ".join(f"Rounding.{r.name}" for r in Rounding))
    if not isinstance(overflow, Overflow):
        raise FormatError("unknown overflow mode", given=overflow, expected=", ".join(f"Overflow.{o.name}" for o in Overflow))
