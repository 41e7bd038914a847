"""Real networks: directed acyclic graphs of layers with exact numbers as parameters, whose signals are reals, never rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.errors import NetworkError
from qspec.network.expect import expect
from qspec.network.graph import in_a_line, in_order, layer_names, signal_key
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
class RealGraph:
    """A real network as plain data: stages in topological order; immutable. What users hold is its subclass `RealNetwork`.

    Its meaning is exact: the stored numbers are what they are, and sums, products and functions are those of the reals. Raises NetworkError
    if there is no input or two stages share a name. `elements` are the flat positions, in its one input and its one output, of the elements
    in the order of the file that it was read from, where that is another one; properties in files count by it.
    """

    stages: tuple[RealStage, ...]
    outputs: tuple[int, ...]
    name: str = "network"
    elements: tuple[IntArray, IntArray] | None = None

    def __post_init__(self) -> None:
        expect(self.name, str, "the name of a network", "a text")
        names = [s.name for s in self.stages]
        if len(set(names)) != len(names):
            raise NetworkError("two layers have one name", given=names, expected="distinct names", advice="give each layer a `name`")
        if not self.inputs:
            raise NetworkError("a network needs an input", given=names, expected="at least one RealInput layer")
        if not self.outputs:
            raise NetworkError("a network needs an output", given=self.outputs, expected="positions of its stages")

    @classmethod
    def of(cls, outputs: RealSignal | Sequence[RealSignal], *, name: str = "network") -> Self:
        """Collect the network that computes these signals; a RealInput that stands for several signals is one input."""
        wanted = [outputs] if isinstance(outputs, RealSignal) else list(outputs)
        for signal in wanted:
            expect(signal, RealSignal, "an output", "a signal", advice="signal = qs.real.apply(layer, …)")
        order = in_order(wanted)
        position = {signal_key(s): k for k, s in enumerate(order)}
        stages = tuple(
            RealStage(n, s.layer, tuple(position[signal_key(a)] for a in s.arguments), s.shape)
            for n, s in zip(layer_names([s.layer for s in order]), order, strict=True)
        )
        return cls(stages, tuple(position[signal_key(s)] for s in wanted), name)

    def __repr__(self) -> str:
        shapes = [s.shape for s in self.inputs], [self.stages[o].shape for o in self.outputs]
        return in_a_line(type(self).__name__, self.name, [s.layer for s in self.stages if s.arguments], *shapes)

    @property
    def inputs(self) -> tuple[RealStage, ...]:
        return tuple(s for s in self.stages if isinstance(s.layer, RealInput))

    def stage(self, name: str) -> RealStage:
        """Return the stage of this name; raises NetworkError if there is none."""
        for s in self.stages:
            if isinstance(name, str) and s.name == name:  # pyright: ignore[reportUnnecessaryIsInstance]
                return s
        raise NetworkError("no such layer", given=repr(name), expected=", ".join(s.name for s in self.stages))

    def into(self, kind: type[RealKind]) -> RealKind:
        """Return the same network as another class of graphs."""
        return kind(self.stages, self.outputs, self.name, self.elements)

    def renamed(self, name: str) -> Self:
        """Return the same network under another name."""
        return replace(self, name=name)


RealKind = TypeVar("RealKind", bound=RealGraph)
