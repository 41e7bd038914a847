"""Networks as directed acyclic graphs of layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, TypeVar

from qspec.arithmetic.text import shape_text
from qspec.errors import NetworkError
from qspec.network.expect import expect
from qspec.network.layers import Input, Layer
from qspec.network.types import Type, infer


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Graph:
    """A quantised network as plain data: stages in topological order; immutable. What users hold is its subclass `Network`.

    `semantics` names the runtime whose arithmetic the layers state, for example "tflm"; "exact" is that of qspec's own layers.
    Raises NetworkError if there is no input, two inputs share a name, or a stage reads a later one.
    """

    stages: tuple[Stage, ...]
    outputs: tuple[int, ...]
    name: str = "network"
    semantics: str = "exact"
    _positions: dict[str, int] = field(init=False, repr=False, default_factory=dict[str, int])

    def __post_init__(self) -> None:
        expect(self.name, str, "the name of a network", "a text")
        for position, stage in enumerate(self.stages):
            expect(stage.name or None, str, "the name of a layer", "a text that is not empty")
            if any(not 0 <= a < position for a in stage.arguments):
                raise NetworkError("a layer reads a layer that does not come before it", given=stage.name, expected="topological order")
            if stage.name in self._positions:
                raise NetworkError(
                    "two layers have one name", given=stage.name, expected="distinct names", advice="give each layer a `name`"
                )
            self._positions[stage.name] = position
        if not self.inputs:
            raise NetworkError("a network needs an input", given=[s.name for s in self.stages], expected="at least one Input layer")
        if not self.outputs or any(not 0 <= o < len(self.stages) for o in self.outputs):
            raise NetworkError("a network needs an output", given=self.outputs, expected="positions of its stages")

    @classmethod
    def of(cls, outputs: Signal | Sequence[Signal], *, name: str = "network", semantics: str = "exact") -> Self:
        """Collect the network that computes these signals; an Input that stands for several signals is one input."""
        wanted = [outputs] if isinstance(outputs, Signal) else list(outputs)
        for signal in wanted:
            expect(signal, Signal, "an output", "a signal", advice="signal = qs.apply(layer, …)")
        order = in_order(wanted)
        position = {signal_key(s): k for k, s in enumerate(order)}
        names = layer_names([s.layer for s in order])
        stages = tuple(
            Stage(n, s.layer, tuple(position[signal_key(a)] for a in s.arguments), s.type) for n, s in zip(names, order, strict=True)
        )
        return cls(stages, tuple(position[signal_key(s)] for s in wanted), name, semantics)

    def __repr__(self) -> str:
        shapes = [s.type.shape for s in self.inputs], [t.shape for t in self.output_types]
        runtime = "" if self.semantics == "exact" else f", as {self.semantics} computes it"
        return in_a_line(type(self).__name__, self.name, [s.layer for s in self.stages if s.arguments], *shapes) + runtime

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return tuple(s for s in self.stages if isinstance(s.layer, Input))

    @property
    def output_types(self) -> tuple[Type, ...]:
        return tuple(self.stages[o].type for o in self.outputs)

    def stage(self, name: str) -> Stage:
        """Return the stage of this name; raises NetworkError if there is none."""
        if not isinstance(name, str) or name not in self._positions:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise NetworkError("no such layer", given=repr(name), expected=", ".join(self._positions))
        return self.stages[self._positions[name]]

    def into(self, kind: type[GraphKind]) -> GraphKind:
        """Return the same network as another class of graphs."""
        return kind(self.stages, self.outputs, self.name, self.semantics)

    def renamed(self, name: str) -> Self:
        """Return the same network under another name."""
        return replace(self, name=name)


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


def in_order(wanted: Sequence[SignalKind]) -> list[SignalKind]:
    """Return these signals and all that they are made of, each once, arguments first."""
    order: list[SignalKind] = []
    seen: set[int] = set()
    pending = [(s, False) for s in reversed(wanted)]
    while pending:
        signal, expanded = pending.pop()
        if expanded:
            order.append(signal)
        elif signal_key(signal) not in seen:
            seen.add(signal_key(signal))
            pending.append((signal, True))
            pending.extend((a, False) for a in reversed(signal.arguments))
    return order


def signal_key(signal: AnySignal) -> int:
    """Return what tells signals apart: themselves, but all signals of one input layer are the same."""
    return id(signal) if signal.arguments else id(signal.layer)


def in_a_line(kind: str, name: str, layers: Sequence[object], inputs: Sequence[tuple[int, ...]], outputs: Sequence[tuple[int, ...]]) -> str:
    """Return a network in one line: its name, the shapes that go in, the kinds of its layers, and the shapes that come out."""
    counts = Counter(type(layer).__name__.removeprefix("Real") for layer in layers)
    kinds = ", ".join(k if count == 1 else f"{count} {k}" for k, count in counts.items()) or "no layer"
    ends = (", ".join(map(shape_text, shapes)) for shapes in (inputs, outputs))
    return f"{kind} {name!r}: {next(ends)} → {kinds} → {next(ends)}"


def layer_names(layers: Sequence[AnyLayer]) -> list[str]:
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
