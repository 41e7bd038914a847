"""A counterexample, or a witness, as arrays to be drawn: each variable, and the parameter that it is a change of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from qspec.show.picture import is_image

SMALLEST = 7
"""Sides of the smallest square that numbers without a shape are taken for."""

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One variable: values in doubles, for drawing; `text` has them exactly. `before` is what it was changed from, if that is known."""

    name: str
    values: Reals
    text: tuple[str, ...]
    before: Reals | None
    before_name: str

    @property
    def picture(self) -> tuple[int, int] | None:
        """The height and width, if it is an image; numbers in a row are one if they fill a square of at least 7 × 7."""
        shape = self.values.shape
        if is_image(shape):
            return shape[0], shape[1]
        side = isqrt(self.values.size)
        return (side, side) if len(shape) == 1 and side >= SMALLEST and side * side == self.values.size else None

    @property
    def changed(self) -> int:
        """How many elements differ from before."""
        return 0 if self.before is None else int(np.count_nonzero(self.values - self.before))


def shown(codes: Mapping[str, Any] | None, point: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> list[Shown]:
    """Return every variable of a solution; codes are compared with the first parameter of whole numbers that has as many elements."""
    found: list[Shown] = []
    for name, values in {**(codes or {}), **(point or {})}.items():
        array = _exact(values)
        before = None if point is not None and name in point else reference(array, parameters)
        found.append(
            Shown(
                name,
                array.astype(np.float64),
                tuple(str(v) for v in array.reshape(-1).tolist()),
                None if before is None else before[1].astype(np.float64).reshape(array.shape),
                "" if before is None else before[0],
            )
        )
    return found


def reference(array: npt.NDArray[Any], parameters: Mapping[str, Any]) -> tuple[str, npt.NDArray[Any]] | None:
    """Return the first parameter of whole numbers that has as many elements, and its name: what codes are compared with."""
    for name, given in parameters.items():
        if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str):
            values = _exact(cast(object, given))
            if values.size == array.size > 1 and all(v.denominator == 1 for v in values.reshape(-1).tolist()):
                return name, values
    return None


def _exact(values: object) -> npt.NDArray[Any]:
    """Return numbers, or ratios as text, as an array of Fractions."""
    array = np.asarray(values, dtype=object)
    return np.array([v if isinstance(v, Fraction) else Fraction(str(v)) for v in array.reshape(-1)], dtype=object).reshape(array.shape)
