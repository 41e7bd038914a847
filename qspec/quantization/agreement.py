"""How far a quantised network agrees with the real one that it was made of, on samples: decisions kept, and errors by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qspec.arithmetic.formats import code_range
from qspec.arithmetic.integers import IntArray, integers
from qspec.lowering.evaluate import trace
from qspec.lowering.real_evaluate import signals
from qspec.network.graph import Graph, RealGraph, Reals
from qspec.network.layers import Input
from qspec.network.types import Type

LEAST = 0.99
"""Where fewer decisions than this share are kept, users are warned."""
BLOCK = 1000
"""So many samples are evaluated at a time."""


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """The largest and the mean absolute difference of what a layer puts out, over all samples and elements, in values."""

    largest: float
    mean: float


@dataclass(frozen=True, slots=True)
class DecisionAgreement:
    """How far a quantised network agrees with its real one: of `rows` samples, `kept` have the same decision."""

    rows: int
    kept: int
    layers: Mapping[str, LayerDifference]
    """By layer, in the order of the network."""
    output: LayerDifference

    @property
    def share(self) -> float:
        """The share of decisions that are kept."""
        return self.kept / self.rows

    @property
    def sentence(self) -> str:
        """The share in words."""
        return f"{self.kept} of {self.rows} decisions on calibration samples ({self.share:.1%}) are those of the real network"

    def __str__(self) -> str:
        width = max(len(name) for name in self.layers)
        lines = [f"{name:<{width}}  largest error {d.largest:.4g}, mean {d.mean:.4g}" for name, d in self.layers.items()]
        return "\n".join([f"{self.kept} of {self.rows} decisions kept ({self.share:.2%})", *lines])


def agreement(made: Graph, real: RealGraph, values: Reals, threshold: float = 0.0) -> DecisionAgreement:
    """Return how far a network with one input agrees with the real one whose layers it has, on values of shape (samples, *input shape).

    Values are rounded to codes of the input, to nearest and with saturation; the real network reads them as they are. The decision is the
    first greatest element of the first output or, if it has one element, whether that lies above `threshold`. Raises ShapeError if values
    do not fit.
    """
    rows = values.reshape(-1, *real.inputs[0].shape) if values.size else values
    names = [s.name for s in real.stages if s.layer is not real.inputs[0].layer]
    largest, total, count = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0), dict.fromkeys(names, 0)
    kept = 0
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        exact = dict(zip((s.name for s in real.stages), signals(real, block), strict=True))
        codes = trace(made, {made.inputs[0].name: codes_of(made, block)})
        read = {name: values_of(codes[name], made.stage(name).type) for name in names}
        for name in names:
            off = np.abs(read[name] - exact[name])
            largest[name] = max(largest[name], float(off.max()))
            total[name] += float(off.sum())
            count[name] += off.size
        end = real.stages[real.outputs[0]].name
        kept += int(np.count_nonzero(_decisions(read[end], threshold) == _decisions(exact[end], threshold)))
    found = {name: LayerDifference(largest[name], total[name] / count[name]) for name in names}
    return DecisionAgreement(len(rows), kept, found, found[real.stages[real.outputs[0]].name])


def codes_of(network: Graph, values: Reals) -> IntArray:
    """Return values as the nearest codes of the one input, the ends of its format for what lies outside."""
    stage = network.inputs[0]
    assert isinstance(stage.layer, Input)
    shape = stage.type.shape
    units, zeros = (np.array(part.reshape(shape), dtype=np.float64) for part in stage.type.grid.per_element(shape))
    low, high = (np.array(end.reshape(shape), dtype=np.float64) for end in code_range(stage.layer.format, shape))
    return integers(np.clip(np.floor(values / units + 0.5) + zeros, low, high).astype(np.int64))


def values_of(codes: IntArray, kind: Type) -> Reals:
    """Return codes of shape (samples, *shape) as the doubles nearest to what they mean."""
    units, zeros = (np.array(part.reshape(kind.shape), dtype=np.float64) for part in kind.grid.per_element(kind.shape))
    return (codes.astype(np.float64) - zeros) * units


def _decisions(outputs: Reals, threshold: float) -> IntArray:
    """Return the class of each sample, from outputs of shape (samples, *shape)."""
    flat = outputs.reshape(len(outputs), -1)
    return integers(flat.argmax(axis=1) if flat.shape[1] > 1 else (flat[:, 0] > threshold).astype(np.int64))
