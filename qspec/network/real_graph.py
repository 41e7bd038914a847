"""Real networks: directed acyclic graphs of layers with exact numbers as parameters, whose signals are reals, never rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.network.graph import LayerGraph, collected
from qspec.network.real_layers import RealInput, RealLayer, real_shape

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RealSignal:
    """What a layer of a real network puts out. Made by `real_apply(layer, …)`."""

    layer: RealLayer
    arguments: tuple[RealSignal, ...]
    shape: tuple[int, ...]


def real_apply(layer: RealLayer, *arguments: RealSignal | RealInput) -> RealSignal:
    """Put a layer on signals; shapes are checked here. A RealInput may stand for its own signal.

    Raises ShapeError or NetworkError if they do not fit.
    """
    signals = tuple(a if isinstance(a, RealSignal) else real_apply(a) for a in arguments)
    return RealSignal(layer, signals, real_shape(layer, [s.shape for s in signals]))


@dataclass(frozen=True, slots=True, eq=False)
class RealStage:
    """One layer in its place: its unique name, the positions of the stages it reads, and the shape of its result."""

    name: str
    layer: RealLayer
    arguments: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RealGraph(LayerGraph[RealStage]):
    """A real network as plain data; immutable. What users hold is its subclass `RealNetwork`.

    Its meaning is exact: the stored numbers are what they are, and sums, products and functions are those of the reals. `elements` are the
    flat positions, in its one input and its one output, of the elements in the order of the file that it was read from, where that is
    another one; properties in files count by it.
    """

    elements: tuple[IntArray, IntArray] | None = None

    @classmethod
    def of(cls, outputs: RealSignal | Sequence[RealSignal], *, name: str = "network") -> Self:
        """Collect the network that computes these signals; a RealInput that stands for several signals is one input."""
        order, wanted = collected(outputs, RealSignal, "signal = qs.real.apply(layer, …)")
        return cls(tuple(RealStage(n, s.layer, a, s.shape) for n, s, a in order), wanted, name)
