"""Findings about signals on given inputs: saturation, activations that a converter dropped, and the distance to a float twin by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray
from qspec.face import Network, RealNetwork
from qspec.lint.finding import APART, CLASSES, LEFT_OUT, SATURATES, UNALIKE, Finding
from qspec.lowering.real_evaluate import signals
from qspec.network.activations import Linear, ReLU
from qspec.network.graph import Stage
from qspec.network.kernel_layers import Multiplier, Thresholds
from qspec.network.layers import Conv2D, Dense, Input
from qspec.network.real_layers import Activate, RealConv2D, RealDense, Softmax
from qspec.quantization.agreement import values_of

Floats = npt.NDArray[np.float64]
SHARE = 0.01
"""Of the codes of a signal that may stand at an end."""
MANY = 1000
"""Values below which a largest one that is often met says nothing."""
FARTHEST = 1e9
"""Codes that count as the distance of signals of different sizes."""
FAR = 4.0
"""Codes by which a layer may be apart from its twin on average."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A layer beside that of the float network: the mean and the largest distance, in codes of the layer."""

    layer: str
    twin: str
    mean: float
    largest: float


def saturated(network: Network, traced: dict[str, IntArray]) -> Iterator[Finding]:
    """Yield the signals of which many codes stand at an end; the lower end of a rectified one is meant."""
    for stage in network.stages:
        if not isinstance(stage.layer, Input | Multiplier | Thresholds) or not isinstance(stage.layer.format, Affine):
            continue
        low, high = (stage.layer.format.lower, stage.layer.format.upper)
        codes, zero = traced[stage.name], stage.type.grid.zeros[0]
        for end, what in ((high, "highest"), *(((low, "lowest"),) if zero > low and low == _least(stage) else ())):
            share = float((codes == end).mean())
            if share > SHARE:
                yield Finding(SATURATES, f"{stage.name!r}", f"{100 * share:.1f} % of the codes are the {what}, {end}")


def against(network: Network, traced: dict[str, IntArray], twin: RealNetwork) -> tuple[list[Beside], list[Finding]]:
    """Return every layer with weights beside that of the float network, and what is wrong there.

    The twins of layers are signals of their sizes in the same order, those that are nearest on these inputs in all.
    """
    source, twin = network.inputs[0], _before_softmax(twin)
    real = signals(twin, _values(source, traced[source.name]).reshape(-1, *twin.inputs[0].shape))
    flat = [v.reshape(len(v), -1) for v in real]
    here = {s.name: _values(s, traced[s.name]) for s in network.stages}
    stages = _stored(network)
    alike = [s for s in stages if any(v.shape == here[s.name].shape for v in flat[1:])]
    places = _aligned([_distances(here[s.name], _unit(s), flat) for s in alike])
    twins = {s.name: k for s, k in zip(alike, places, strict=True) if flat[k].shape == here[s.name].shape}
    found = [Finding(UNALIKE, f"{s.name!r}", f"{s.type.size} elements") for s in stages if s.name not in twins]
    beside: list[Beside] = []
    for stage, k in ((s, twins[s.name]) for s in stages if s.name in twins):
        apart = np.abs(flat[k] - here[stage.name]) / _unit(stage)
        beside.append(Beside(stage.name, twin.stages[k].name, float(apart.mean()), float(apart.max())))
        found += _compared(stage, here[stage.name], flat[k], beside[-1], _unit(stage))
        found += _rectified_nowhere(stage, flat[k], k, twin, list(here.values()), _unit(stage))
    return beside, found + _classes(network, traced, real, twin)


def _distances(values: Floats, unit: float, real: list[Floats]) -> list[float]:
    """Return how far a layer is from each signal in codes, infinity where sizes differ; the input is no layer's twin."""
    return [np.inf, *(float(np.abs(v - values).mean()) / unit if v.shape == values.shape else np.inf for v in real[1:])]


def _aligned(costs: list[list[float]]) -> list[int]:
    """Return one signal for each layer, in an order that never falls, with the least sum of distances, of equals the last.

    A signal may be the twin of several layers if there are fewer of them. Source of the method: dynamic time warping, Sakoe and Chiba 1978.
    """
    best, steps = np.zeros(len(costs[0]) if costs else 0), list[IntArray]()
    for row in costs:
        # the least sum that ends at each signal or before it, and where
        ends: IntArray = np.array([int(k - np.argmin(best[k::-1])) for k in range(best.size)], dtype=np.int64)
        steps.append(ends)
        best = best[ends] + np.minimum(row, FARTHEST)
    found: list[int] = []
    place = best.size - 1 - int(np.argmin(best[::-1])) if costs else 0
    for ends in reversed(steps):
        found.insert(0, place)
        place = int(ends[place])
    return found


def _unit(stage: Stage) -> float:
    return float(stage.type.grid.units[0])


def _before_softmax(twin: RealNetwork) -> RealNetwork:
    """Return the twin without softmax in layers with weights: what is quantised are the sums."""
    stages = list(twin.stages)
    for k, s in enumerate(stages):
        if isinstance(s.layer, RealDense | RealConv2D) and isinstance(s.layer.activation, Softmax):
            stages[k] = replace(s, layer=replace(s.layer, activation=Linear()))
    return replace(twin, stages=tuple(stages))


def _compared(stage: Stage, values: Floats, own: Floats, beside: Beside, unit: float) -> Iterator[Finding]:
    below, top = float(np.mean(values < -2 * unit)), float(own.max())
    if below > SHARE and own.min() >= 0:
        yield Finding(LEFT_OUT, f"{stage.name!r}", f"{100 * below:.1f} % of the values are below zero, none of {beside.twin!r} is")
    above = float(np.mean(values > top + 2 * unit))
    if above > SHARE and top > 0 and own.size >= MANY and float((own == top).mean()) > SHARE:
        yield Finding(LEFT_OUT, f"{stage.name!r}", f"{100 * above:.1f} % of the values are above {top:g}, where {beside.twin!r} ends")
    if beside.mean > FAR:
        yield Finding(APART, f"{stage.name!r}", f"{beside.mean:.1f} codes on average, {beside.largest:.0f} at most, from {beside.twin!r}")


def _rectified_nowhere(stage: Stage, own: Floats, k: int, twin: RealNetwork, here: list[Floats], unit: float) -> Iterator[Finding]:
    """Yield that an activation of its own is missing: all that the twin's layer is read by is a ReLU, and no signal here is like it."""
    readers = [s for s in twin.stages if k in s.arguments]
    alone = readers and all(isinstance(s.layer, Activate) and isinstance(s.layer.activation, ReLU) for s in readers)
    cut = np.maximum(own, 0.0)
    if alone and float(np.mean(own < -2 * unit)) > SHARE:
        like = [v for v in here if v.shape == own.shape and v.min() >= 0 and float(np.abs(v - cut).mean()) <= FAR * unit]
        if not like:
            yield Finding(LEFT_OUT, f"{stage.name!r}", f"{readers[0].name!r} cuts {100 * float(np.mean(own < 0)):.1f} % of the values off")


def _classes(network: Network, traced: dict[str, IntArray], real: list[Floats], twin: RealNetwork) -> list[Finding]:
    last = network.stages[network.outputs[0]]
    ours, theirs = (v.reshape(len(v), -1) for v in (traced[last.name], real[twin.outputs[0]]))
    if ours.shape != theirs.shape or ours.shape[1] < 2:
        return []
    other = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    return [Finding(CLASSES, f"{last.name!r}", f"{other} of {len(ours)} inputs")] if other else []


def _stored(network: Network) -> list[Stage]:
    """Return the stages whose codes are those of a layer with weights: itself, or the multiplier or thresholds after it."""
    found: list[Stage] = []
    for stage in network.stages:
        if isinstance(stage.layer, Multiplier | Thresholds):
            stored = isinstance(network.stages[stage.arguments[0]].layer, Dense | Conv2D)
        else:
            stored = isinstance(stage.layer, Dense | Conv2D) and stage.layer.output is not None
        found += [stage] * stored
    return found


def _least(stage: Stage) -> int:
    """Return the lowest code that a stage can put out."""
    match stage.layer:
        case Multiplier():
            return stage.layer.ends[0]
        case Thresholds():
            return int(stage.layer.base.min())
        case _:
            return stage.layer.format.lower if isinstance(stage.layer, Input) and isinstance(stage.layer.format, Affine) else 0


def _values(stage: Stage, codes: IntArray) -> Floats:
    """Return the values of codes, (samples, elements)."""
    return values_of(codes, stage.type).reshape(len(codes), -1)
