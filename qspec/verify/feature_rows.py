"""Rows of a table in words: what the codes of a variable say of each of its named features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.text import exact
from qspec.language.domains import OneHot, Range
from qspec.language.variables import Variable

if TYPE_CHECKING:
    from qspec.named.schema import Word


def rows_of(variables: Iterable[Variable], codes: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> dict[str, dict[str, Word]]:
    """Return in words what a solution gives to variables with named features, each after the parameter that it was changed from.

    Parameters are those that `qspec.show.solution` compares with; one that is no row of the variable's domain is left out.
    """
    found: dict[str, dict[str, Word]] = {}
    for v in variables:
        if codes is None or not v.features or v.name not in codes:
            continue
        now = integers(codes[v.name]).reshape(-1)
        before = reference(now, parameters)
        if before is not None and before[0] not in codes:
            told = integers(before[1]).reshape(-1)
            if all(_place(v, told, start, stop) is not None for _, start, stop in v.features):
                found[before[0]] = in_words(v, told)
        found[v.name] = in_words(v, now)
    return found


def in_words(v: Variable, codes: IntArray) -> dict[str, Word]:
    """Return the value of each named feature of a variable: its word, or exact numbers where it has none or the codes are no row."""
    found: dict[str, Word] = {}
    for name, start, stop in v.features:
        place = _place(v, codes.reshape(-1), start, stop) if name in v.words else None
        found[name] = _numbers(v, codes.reshape(-1), start, stop) if place is None else v.words[name][place]
    return found


def _place(v: Variable, codes: IntArray, start: int, stop: int) -> int | None:
    """Return which value of its domain the columns of a feature hold, None if it is none of them."""
    piece = next(p for p in v.domain.pieces if start in p.positions)
    if isinstance(piece, OneHot):
        held = codes[piece.positions]
        on = np.flatnonzero(held == piece.on)
        rows = (k for k in on.tolist() if np.array_equal(np.delete(held, k), np.delete(piece.off, k)))
        return next(rows, None)
    if isinstance(piece, Range) and stop - start == 1:
        (k,) = np.flatnonzero(piece.positions == start).tolist()
        place, rest = divmod(int(codes[start]) - int(piece.start[k]), int(piece.stride[k]))
        return place if not rest and 0 <= place <= int(piece.count[k]) else None
    return None


def _numbers(v: Variable, codes: IntArray, start: int, stop: int) -> Word:
    units, zeros = v.type.grid.per_element(v.shape)
    values = [units[k] * (int(codes[k]) - zeros[k]) for k in range(start, stop)]
    return int(values[0]) if len(values) == 1 and values[0].denominator == 1 else " ".join(map(exact, values))


def reference(array: npt.NDArray[Any], parameters: Mapping[str, Any]) -> tuple[str, npt.NDArray[Any]] | None:
    """Return the first parameter of whole numbers that has as many elements, and its name: what codes are compared with."""
    for name, given in parameters.items():
        if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str):
            values = fractions_of(cast(object, given))
            if values.size == array.size > 1 and all(v.denominator == 1 for v in values.reshape(-1).tolist()):
                return name, values
    return None


def fractions_of(values: object) -> npt.NDArray[Any]:
    """Return numbers, or ratios as text, as an array of Fractions."""
    array = np.asarray(values, dtype=object)
    return np.array([v if isinstance(v, Fraction) else Fraction(str(v)) for v in array.reshape(-1)], dtype=object).reshape(array.shape)
