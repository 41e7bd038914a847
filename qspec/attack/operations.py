"""The operations of a query in floats: their values, their values as if they had neither steps nor ends, and slopes to search by.

Slopes are straight through roundings, and a small share of themselves where a value is clipped (Bengio, Léonard, Courville 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.rounding import Rounding
from qspec.attack.linear_floats import Floats, Map, in_floats
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Staircase, Table, Wrap
from qspec.ir.staircase import Rescale, Steps

LEAK = 0.05
"""Slope of a clipped element, as a share of its slope elsewhere."""
SPAN = 32
"""A listed function is as steep as it is on average over this part of its entries, to both sides."""


class Operation(Protocol):
    """One node; `x` are the values of its arguments, shape (batch, size) each."""

    def values(self, x: Sequence[Floats]) -> Floats:
        """Return its values."""
        ...

    def line(self, x: Sequence[Floats]) -> Floats:
        """Return its values without roundings and ends."""
        ...

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        """Return what a slope `g` of its values is for each argument; `straight`, as if nothing were clipped."""
        ...


def in_numpy(node: Node, place: slice, dtype: npt.DTypeLike) -> Operation:
    """Return the operation of a node; an input reads its `place` in the vector of all inputs."""
    match node:
        case Input():
            return Read(place)
        case Affine(terms, bias):
            return AffineSum(tuple(in_floats(m, dtype) for m, _ in terms), bias.astype(dtype), bool(np.any(bias)))
        case Staircase(_, steps):
            return EvenSteps.of(steps, dtype) if isinstance(steps, Rescale) else Listed.climbing(steps, dtype)
        case Table(_, first, values):
            return Listed.of(first, values, dtype)
        case Product():
            return Multiplication()
        case Maximum():
            return Greatest(node.members)
        case Wrap(_, width, signed):
            modulus = 2.0 ** width.astype(np.float64)
            return Turn(modulus.astype(dtype), (modulus / 2 if signed else 0 * modulus).astype(dtype))
        case _:
            assert_never(node)


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """An input; its only argument is the vector of all inputs."""

    place: slice

    def values(self, x: Sequence[Floats]) -> Floats:
        return x[0][:, self.place]

    def line(self, x: Sequence[Floats]) -> Floats:
        return self.values(x)

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        del straight
        full = np.zeros_like(x[0])
        full[:, self.place] = g
        return [full]


@dataclass(frozen=True, slots=True, eq=False)
class AffineSum:
    """A bias and maps of arguments."""

    maps: tuple[Map, ...]
    bias: Floats
    biased: bool

    def values(self, x: Sequence[Floats]) -> Floats:
        if not self.maps:
            return self.bias[None]
        total = self.maps[0][0](x[0])
        for (forward, _), part in zip(self.maps[1:], x[1:], strict=True):
            total = total + forward(part)
        return total + self.bias if self.biased else total

    def line(self, x: Sequence[Floats]) -> Floats:
        return self.values(x)

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        del x, straight
        return [backward(g) for _, backward in self.maps]


@dataclass(frozen=True, slots=True, eq=False)
class EvenSteps:
    """An even staircase, `clip(round(rate * a + offset))`; codes are computed in doubles, lines and slopes in floats of one kind."""

    rate: Floats
    offset: Floats
    fine: tuple[Floats, Floats]
    """Rate and offset in doubles: a shift by many bits leaves single precision nothing to round by."""
    rounding: Rounding
    lower: Floats | None
    upper: Floats | None

    @classmethod
    def of(cls, steps: Rescale, dtype: npt.DTypeLike) -> EvenSteps:
        d = steps.denominator.astype(np.float64)
        ends = (None if e is None else e.astype(dtype) for e in (steps.lower, steps.upper))
        fine = (steps.numerator / d).astype(np.float64), (steps.offset / d).astype(np.float64)
        return cls(fine[0].astype(dtype), fine[1].astype(dtype), fine, steps.rounding, *ends)

    def values(self, x: Sequence[Floats]) -> Floats:
        y = rounded(x[0] * self.fine[0] + self.fine[1], self.rounding).astype(self.rate.dtype, copy=False)
        if self.lower is not None:
            np.maximum(y, self.lower, out=y)
        if self.upper is not None:
            np.minimum(y, self.upper, out=y)
        return y

    def line(self, x: Sequence[Floats]) -> Floats:
        return x[0] * self.rate + self.offset

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        if straight:
            return [g * self.rate]
        y = self.line(x)
        inside = np.ones(y.shape, np.bool_)
        if self.lower is not None:
            inside &= y >= self.lower
        if self.upper is not None:
            inside &= y <= self.upper
        return [g * self.rate * np.where(inside, g.dtype.type(1), g.dtype.type(LEAK))]


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A function that is listed: its places are `place(a)`, and at each it has a value and a slope; both have shape (size, entries)."""

    place: Callable[[Floats], npt.NDArray[np.int64]]
    entries: Floats
    rates: Floats

    @classmethod
    def of(cls, first: npt.NDArray[Any], entries: npt.NDArray[Any], dtype: npt.DTypeLike) -> Listed:
        last: int = entries.shape[1] - 1
        start: Floats = first.astype(dtype)
        reach = max(1, (last + 1) // SPAN)
        high, low = np.minimum(np.arange(last + 1) + reach, last), np.maximum(np.arange(last + 1) - reach, 0)
        rates = (entries[:, high] - entries[:, low]) / np.maximum(1, high - low)
        return cls(lambda a: np.clip(a - start, 0, last).astype(np.int64), entries.astype(dtype), rates.astype(dtype))

    @classmethod
    def climbing(cls, steps: Steps, dtype: npt.DTypeLike) -> Listed:
        thresholds: npt.NDArray[np.float64] = steps.thresholds.astype(np.float64)
        size: int = thresholds.shape[0]
        count: int = thresholds.shape[1]
        base: npt.NDArray[np.float64] = steps.base.astype(np.float64)
        entries = base[:, None] + np.arange(count + 1)
        rates = np.zeros((size, count + 1))
        if count:
            reach = max(1, count // SPAN)
            up, down = np.minimum(np.arange(count + 1) + reach, count - 1), np.maximum(np.arange(count + 1) - reach - 1, 0)
            rates = np.maximum(1, up - down) / np.maximum(1, thresholds[:, up] - thresholds[:, down])
        bars = thresholds.astype(dtype)

        def place(a: Floats) -> npt.NDArray[np.int64]:
            columns = [np.searchsorted(bars[k], a[:, k], side="right") for k in range(size)]
            return np.stack(columns, axis=1) if columns else np.zeros(a.shape, np.int64)

        return cls(place, entries.astype(dtype), rates.astype(dtype))

    def values(self, x: Sequence[Floats]) -> Floats:
        return self.entries[np.arange(len(self.entries)), self.place(x[0])]

    def line(self, x: Sequence[Floats]) -> Floats:
        return self.values(x)

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        del straight
        return [g * self.rates[np.arange(len(self.rates)), self.place(x[0])]]


@dataclass(frozen=True, slots=True, eq=False)
class Multiplication:
    """A product of two arguments."""

    def values(self, x: Sequence[Floats]) -> Floats:
        return x[0] * x[1]

    def line(self, x: Sequence[Floats]) -> Floats:
        return self.values(x)

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        del straight
        return [g * x[1], g * x[0]]


@dataclass(frozen=True, slots=True, eq=False)
class Greatest:
    """Maxima over groups; the slope goes to the first of the greatest members."""

    groups: npt.NDArray[Any]

    def values(self, x: Sequence[Floats]) -> Floats:
        return x[0][:, self.groups].max(axis=-1)

    def line(self, x: Sequence[Floats]) -> Floats:
        return self.values(x)

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        del straight
        best = x[0][:, self.groups].argmax(axis=-1)
        full = np.zeros_like(x[0])
        np.add.at(full, (np.arange(len(g))[:, None], self.groups[np.arange(len(self.groups)), best]), g)
        return [full]


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """Two's complement: what is left after whole turns."""

    modulus: Floats
    half: Floats

    def values(self, x: Sequence[Floats]) -> Floats:
        return x[0] - self.modulus * np.floor((x[0] + self.half) / self.modulus)

    def line(self, x: Sequence[Floats]) -> Floats:
        return self.values(x)

    def slopes(self, x: Sequence[Floats], g: Floats, *, straight: bool) -> list[Floats]:
        del x, straight
        return [g]


def rounded(y: Floats, rounding: Rounding) -> Floats:
    """Round to whole numbers; exact where `y` and halves of it are."""
    half = y.dtype.type(0.5)
    match rounding:
        case Rounding.TRN:
            return np.floor(y)
        case Rounding.TRN_ZERO:
            return np.trunc(y)
        case Rounding.RND:
            return np.floor(y + half)
        case Rounding.RND_MIN_INF:
            return np.ceil(y - half)
        case Rounding.RND_ZERO:
            return np.copysign(np.ceil(np.abs(y) - half), y)
        case Rounding.RND_INF:
            return np.copysign(np.floor(np.abs(y) + half), y)
        case Rounding.RND_CONV:
            return np.rint(y)
        case _:
            assert_never(rounding)
