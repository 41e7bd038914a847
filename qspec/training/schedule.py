"""Quantities that change while a network is trained, as functions of the share of a phase that is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

import jax
import jax.numpy as jnp


@dataclass(frozen=True, slots=True)
class Ramp:
    """A line from `start` to `end`, reached when the share `until` of the phase is over; 0.9 is the paper's."""

    start: float
    end: float
    until: float = 0.9

    def at(self, done: jax.Array) -> jax.Array:
        """Return the value when the share `done` of the phase is over."""
        return self.start + (self.end - self.start) * jnp.minimum(1.0, done / self.until)


@dataclass(frozen=True, slots=True)
class Rate:
    """A learning rate: constant, down to zero along a cosine, or (as in the paper) × 0.3 and × 0.1 in the second and last third."""

    initial: float
    shape: Literal["constant", "cosine", "thirds"] = "cosine"

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
