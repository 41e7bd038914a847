"""Quantities that change while a network is trained, as functions of the share of a phase that is over."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal, assert_never, get_args

import jax
import jax.numpy as jnp

from qspec.errors import SpecError

Shape = Literal["constant", "cosine", "thirds"]


def number(what: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise SpecError unless a value is a finite number within these ends."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:  # pyright: ignore[reportUnnecessaryIsInstance]
        ends = f"from {low:g} to {high:g}" if isfinite(high) else f"of at least {low:g}"
        raise SpecError(f"no {what}", given=value, expected=f"a finite number {ends}")


@dataclass(frozen=True, slots=True)
class Ramp:
    """A line from `start` to `end`, reached when the share `until` of the phase is over; 0.9 is the paper's.

    Raises SpecError on what is no such number: none is negative, and `until` is above 0 and at most 1.
    """

    start: float
    end: float
    until: float = 0.9

    def __post_init__(self) -> None:
        number("start of a ramp", self.start, 0)
        number("end of a ramp", self.end, 0)
        number("share of a phase", self.until, 0, 1)
        if not self.until:
            raise SpecError("no share of a phase", given=self.until, expected="a number above 0, up to 1")

    def at(self, done: jax.Array) -> jax.Array:
        """Return the value when the share `done` of the phase is over."""
        return self.start + (self.end - self.start) * jnp.minimum(1.0, done / self.until)


@dataclass(frozen=True, slots=True)
class Rate:
    """A learning rate: constant, down to zero along a cosine, or (as in the paper) × 0.3 and × 0.1 in the second and last third.

    Raises SpecError on a rate that is negative or not finite, and on a shape that is none.
    """

    initial: float
    shape: Shape = "cosine"

    def __post_init__(self) -> None:
        number("learning rate", self.initial, 0)
        if self.shape not in get_args(Shape):
            raise SpecError("no shape of a learning rate", given=self.shape, expected=" or ".join(map(repr, get_args(Shape))))

    def at(self, done: jax.Array) -> jax.Array:
        """Return the rate when the share `done` of the phase is over."""
        match self.shape:
            case "constant":
                return self.initial + 0 * done
            case "cosine":
                return self.initial * 0.5 * (1 + jnp.cos(jnp.pi * done))
            case "thirds":
                return self.initial * jnp.where(done < 1 / 3, 1.0, jnp.where(done < 2 / 3, 0.3, 0.1))
            case _:
                assert_never(self.shape)
