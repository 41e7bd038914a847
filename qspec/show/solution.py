"""A counterexample, or a witness, as arrays to be drawn: each variable, and the parameter that it is a change of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from qspec.show.picture import is_image
from qspec.verify.feature_rows import fractions_of, reference

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
        array = fractions_of(values)
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
