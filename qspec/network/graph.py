"""Networks as graphs of layers, quantised and real: order, names, inputs. Plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.text import shape_text
from qspec.errors import NetworkError
from qspec.network.expect import expect
from qspec.network.layers import Input, Layer
from qspec.network.real_layers import RealInput, RealLayer, real_shape
from qspec.network.types import Type, infer

ROUNDING = " rounding"
"""How inputs are called that stand for the unknown rounding errors of a runtime: the layer's name, and this."""


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """What a layer puts out: the layer, the signals it reads, and the type of the result. Made by `signal = apply(layer, …)`."""

    layer: Layer
    arguments: tuple[Signal, ...]
    type: Type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape


def apply(layer: Layer, *arguments: Signal | Layer) -> Signal:
    """Put a layer on signals; shapes and formats are checked here. An Input may stand for its own signal.

    Raises ShapeError or NetworkError if they do not fit.
    """
    expect(layer, Layer, "a layer", "Dense(…), Flatten(), …")
    signals = tuple(a if isinstance(a, Signal) else apply(a) for a in arguments)
    return Signal(layer, signals, infer(layer, [s.type for s in signals]))


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One layer in its place: its unique name, the positions of the stages it reads, and the type of its result."""

    name: str
    layer: Layer
    arguments: tuple[int, ...]
    type: Type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape


class AnyStage(Protocol):
    """A layer in its place, of a quantised or of a real network."""

    @property
    def name(self) -> str: ...
    @property
    def layer(self) -> AnyLayer: ...
    @property
    def arguments(self) -> tuple[int, ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


StageKind = TypeVar("StageKind", bound=AnyStage)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LayerGraph(Generic[StageKind]):
    """What both kinds of network are: stages in topological order, and the positions of those that are outputs.

    Raises NetworkError if there is no input or output, two stages share a name, or a stage reads a later one.
    """

    stages: tuple[StageKind, ...]
    outputs: tuple[int, ...]
    name: str = "network"

    def __post_init__(self) -> None:
        expect(self.name, str, "the name of a network", "a text")
        names: set[str] = set()
        for position, stage in enumerate(self.stages):
            expect(stage.name or None, str, "the name of a layer", "a text that is not empty")
            if any(not 0 <= a < position for a in stage.arguments):
                raise NetworkError("a layer reads a layer that does not come before it", given=stage.name, expected="topological order")
            if stage.name in names:
                raise NetworkError(
                    "two layers have one name", given=stage.name, expected="distinct names", advice="give each layer a `name`"
                )
            names.add(stage.name)
        if not self.inputs:
            raise NetworkError("a network needs an input", given=[s.name for s in self.stages], expected="at least one Input layer")
        if not self.outputs or any(not 0 <= o < len(self.stages) for o in self.outputs):
            raise NetworkError("a network needs an output", given=self.outputs, expected="positions of its stages")

    def __repr__(self) -> str:
        counts = Counter(type(s.layer).__name__.removeprefix("Real") for s in self.stages if s.arguments)
        kinds = ", ".join(k if count == 1 else f"{count} {k}" for k, count in counts.items()) or "no layer"
        ends = (", ".join(shape_text(s.shape) for s in stages) for stages in (self.inputs, [self.stages[o] for o in self.outputs]))
        return f"{type(self).__name__} {self.name!r}: {next(ends)} → {kinds} → {next(ends)}"

    @property
    def inputs(self) -> tuple[StageKind, ...]:
        return tuple(s for s in self.stages if isinstance(s.layer, Input | RealInput))

    def stage(self, name: str) -> StageKind:
        """Return the stage of this name; raises NetworkError if there is none."""
        for stage in self.stages:
            if isinstance(name, str) and stage.name == name:  # pyright: ignore[reportUnnecessaryIsInstance]
                return stage
        raise NetworkError("no such layer", given=repr(name), expected=", ".join(s.name for s in self.stages))

    def into(self, kind: type[Made]) -> Made:
        """Return the same network as another class of graphs."""
        return kind(*(getattr(self, f.name) for f in fields(self)))

    def renamed(self, name: str) -> Self:
        """Return the same network under another name."""
        return replace(self, name=name)


Made = TypeVar("Made", bound=LayerGraph[Any])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Graph(LayerGraph[Stage]):
    """A quantised network as plain data; immutable. What users hold is its subclass `Network`.

    `semantics` names the runtime whose arithmetic the layers state, for example "tflm"; "exact" is that of qspec's own layers.
    """

    semantics: str = "exact"

    @classmethod
    def of(cls, outputs: Signal | Sequence[Signal], *, name: str = "network", semantics: str = "exact") -> Self:
        """Collect the network that computes these signals; an Input that stands for several signals is one input."""
        order, wanted = collected(outputs, Signal, "signal = qs.apply(layer, …)")
        return cls(tuple(Stage(n, s.layer, a, s.type) for n, s, a in order), wanted, name, semantics)

    def __repr__(self) -> str:
        return super(Graph, self).__repr__() + ("" if self.semantics == "exact" else f", as {self.semantics} computes it")

    @property
    def output_types(self) -> tuple[Type, ...]:
        return tuple(self.stages[o].type for o in self.outputs)


GraphKind = TypeVar("GraphKind", bound=Graph)


class AnySignal(Protocol):
    """What a layer puts out, in a quantised or in a real network."""

    @property
    def layer(self) -> AnyLayer: ...
    @property
    def arguments(self) -> Sequence[Self]: ...


class AnyLayer(Protocol):
    """A layer with a name, which may be empty."""

    @property
    def name(self) -> str: ...


SignalKind = TypeVar("SignalKind", bound=AnySignal)


def collected(
    outputs: SignalKind | Sequence[SignalKind], kind: type[SignalKind], made: str
) -> tuple[list[tuple[str, SignalKind, tuple[int, ...]]], tuple[int, ...]]:
    """Return all that some signals are made of, in topological order, each with its name and what it reads, and where the signals are."""
    wanted = [outputs] if isinstance(outputs, kind) else list(cast("Sequence[SignalKind]", outputs))
    for signal in wanted:
        expect(signal, kind, "an output", "a signal", advice=made)
    order = _in_order(wanted)
    position = {_key(s): k for k, s in enumerate(order)}
    names = _names([s.layer for s in order])
    stages = [(n, s, tuple(position[_key(a)] for a in s.arguments)) for n, s in zip(names, order, strict=True)]
    return stages, tuple(position[_key(s)] for s in wanted)


def _in_order(wanted: Sequence[SignalKind]) -> list[SignalKind]:
    """Return these signals and all that they are made of, each once, arguments first."""
    order: list[SignalKind] = []
    seen: set[int] = set()
    pending = [(s, False) for s in reversed(wanted)]
    while pending:
        signal, expanded = pending.pop()
        if expanded:
            order.append(signal)
        elif _key(signal) not in seen:
            seen.add(_key(signal))
            pending.append((signal, True))
            pending.extend((a, False) for a in reversed(signal.arguments))
    return order


def _key(signal: AnySignal) -> int:
    """Return what tells signals apart: themselves, but all signals of one input layer are the same."""
    return id(signal) if signal.arguments else id(signal.layer)


def _names(layers: Sequence[AnyLayer]) -> list[str]:
    """Name every layer: its own name if it has one, else its kind and a number."""
    taken = {layer.name for layer in layers if layer.name}
    counts: dict[str, int] = {}
    result: list[str] = []
    for layer in layers:
        name = layer.name
        while not name:
            kind = type(layer).__name__.lower().removeprefix("real")
            counts[kind] = counts.get(kind, 0) + 1
            candidate = f"{kind}_{counts[kind]}"
            name = "" if candidate in taken else candidate
        taken.add(name)
        result.append(name)
    return result


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
