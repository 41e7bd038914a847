"""A quantised network and a real one, layer by layer: what both sum up, and what each makes of its sum.

Codes stay integers, and integers are doubles without error. The real side reads the same codes: their unit and zero point are part of its
first matrix. Two elements in the same place of two layers are a *pair*; by `scale` the sum of the first becomes comparable with that of
the second, and nothing but the quality of bounds depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qspec.arithmetic.integers import magnitude
from qspec.arithmetic.rounding import Rounding
from qspec.engines.outward import SMALLEST_MAGNITUDE, UNIT, DoubleMatrix, Floats, nearest
from qspec.ir import integer, linear
from qspec.ir.integer import Affine, Staircase
from qspec.ir.integer_builder import Builder
from qspec.ir.real import Entries, ExactArray, Matrix, RealMap, exact, fractions
from qspec.ir.real_builder import times
from qspec.ir.staircase import Rescale
from qspec.lowering.layers import Taps
from qspec.lowering.layers import lower as lower_fixed
from qspec.lowering.real_layers import constant_map
from qspec.network.activations import Linear, ReLU
from qspec.network.graph import Graph, RealGraph, RealStage, Stage
from qspec.network.layers import Conv2D, Flatten, Input
from qspec.network.layers import Dense as FixedDense
from qspec.network.real_layers import RealConv2D, RealDense, RealInput

EXACT = 1 << 52
"""Integers below it, and their halves, are doubles."""
CELLS = 1 << 24
"""Entries of one matrix above which networks are left alone."""
ENTRY, FIRST_ENTRY = 64, 400
"""Bytes that an entry takes about, in both networks and while they are read; more in the first layer, which may pass through Fractions."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerPair:
    """One layer of both networks; n elements, m arguments.

    The quantised sum is `fixed @ codes + fixed_bias` (all integers) and becomes a code by `steps`; the real one is `real @ x + real_bias`
    within rounding (see `DoubleMatrix`), and becomes a signal by ReLU or as it is.
    """

    fixed: DoubleMatrix
    fixed_bias: Floats
    steps: Rescale
    real: DoubleMatrix
    real_bias: Floats
    relu: bool
    scale: Floats
    exact: ExactArray
    exact_bias: ExactArray
    """The real matrix and bias as they are."""

    @property
    def size(self) -> int:
        return self.scale.size


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two networks of equally many layers of equal sizes, on one input of codes; `unit` is the value of an output code, less `zero`."""

    layers: tuple[LayerPair, ...]
    unit: ExactArray
    zero: ExactArray

    @property
    def terms(self) -> int:
        """The length of the longest sum."""
        return max(max(layer.size, layer.fixed.value.shape[1]) for layer in self.layers)


def pair_bytes(real: RealGraph) -> int:
    """Return how many bytes `pair` takes about; none where a matrix is too large for it."""
    layers = [(s.size, real.stages[s.arguments[0]].size) for s in real.stages if isinstance(s.layer, RealDense | RealConv2D)]
    entries = [outputs * inputs for outputs, inputs in layers]
    return 0 if not entries or max(entries) > CELLS else FIRST_ENTRY * entries[0] + ENTRY * sum(entries[1:])


@lru_cache(maxsize=16)
def pair(fixed: Graph, real: RealGraph) -> Pair | None:
    """Return two networks layer by layer; None where they are not made alike of dense and convolution layers with ReLU or nothing.

    The result is kept for the next question about the same objects.
    """
    ours, theirs = _fixed_layers(fixed), _real_layers(real)
    if ours is None or theirs is None or [o.bias.size for o in ours] != [t.size for t, _ in theirs]:
        return None
    units, zeros = fixed.stages[0].type.grid.per_element(fixed.stages[0].type.shape)
    layers: list[LayerPair] = []
    for k, (o, (stage, shape)) in enumerate(zip(ours, theirs, strict=True)):
        assert isinstance(stage.layer, RealDense | RealConv2D)
        matrix, bias = _dense(constant_map(stage.layer, shape)), _bias(stage.layer, stage.size)
        if k == 0:
            if matrix.shape[1] != units.size:
                return None
            matrix = times(matrix, exact(units)[None, :])
            bias = exact(fractions(bias) - (fractions(matrix) * exact(zeros)[None, :]).sum(1)) if np.any(zeros != 0) else bias
        if matrix.shape != o.matrix.shape:
            return None
        scale = nearest(exact(o.units))
        relu = isinstance(stage.layer.activation, ReLU)
        layers.append(LayerPair(_integers(o.matrix), o.bias, o.steps, _rounded(matrix), nearest(bias), relu, scale, matrix, bias))
    grid = fixed.stages[fixed.outputs[0]].type
    out_units, out_zeros = grid.grid.per_element(grid.shape)
    return Pair(tuple(layers), exact(out_units), exact(out_zeros))


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    matrix: Floats
    bias: Floats
    steps: Rescale
    units: ExactArray


def _chain(stages: tuple[Stage, ...] | tuple[RealStage, ...], outputs: tuple[int, ...]) -> bool:
    """Return whether each stage reads the one before, and the last is the one output."""
    return outputs == (len(stages) - 1,) and all(s.arguments == ((k - 1,) if k else ()) for k, s in enumerate(stages))


def _fixed_layers(network: Graph) -> list[_Sums] | None:
    if not _chain(network.stages, network.outputs):
        return None
    builder = Builder()
    size = int(np.prod(network.stages[0].type.shape, dtype=np.int64))
    taps = lower_fixed(builder, network, [builder.input("x", np.zeros(size, dtype=np.int64), np.ones(size, dtype=np.int64))])
    found: list[_Sums] = []
    source = 0
    for stage in network.stages:
        if isinstance(stage.layer, Input | Flatten):
            continue
        sums = _sums(builder.program, taps[stage.name], source) if isinstance(stage.layer, FixedDense | Conv2D) else None
        if sums is None:
            return None
        found.append(sums)
        source = taps[stage.name].output
    return found


def _sums(program: integer.Program, taps: Taps, source: int) -> _Sums | None:
    """Return one layer if it is one map of the layer before and at most one even staircase, in numbers that are doubles."""
    if taps.accumulator is None or taps.accumulator_units is None:
        return None
    node, top = program[taps.accumulator], program[taps.output]
    if not isinstance(node, Affine) or len(node.terms) != 1 or node.terms[0][1] != source:
        return None
    (m, _), bias = node.terms[0], node.bias
    if m.outputs * m.inputs > CELLS:
        return None
    sparse = linear.to_sparse(m)
    matrix = np.zeros((m.outputs, m.inputs))
    if max(magnitude(sparse.coefficients), magnitude(bias)) >= EXACT:
        return None
    np.add.at(matrix, (sparse.rows, sparse.columns), sparse.coefficients.astype(np.float64))
    one = np.ones(bias.size, dtype=np.int64)
    if taps.output == taps.accumulator:
        steps = Rescale(one, 0 * one, one, Rounding.RND, None, None)
    elif isinstance(top, Staircase) and top.argument == taps.accumulator and isinstance(top.steps, Rescale):
        steps = top.steps
    else:
        return None
    parts = (steps.numerator, steps.offset, steps.denominator, *(e for e in (steps.lower, steps.upper) if e is not None))
    if any(p.dtype == object or magnitude(p) >= EXACT for p in parts):
        return None
    return _Sums(matrix, bias.astype(np.float64), steps, taps.accumulator_units)


def _real_layers(network: RealGraph) -> list[tuple[RealStage, tuple[int, ...]]] | None:
    if not _chain(network.stages, network.outputs):
        return None
    found: list[tuple[RealStage, tuple[int, ...]]] = []
    for k, stage in enumerate(network.stages):
        match stage.layer:
            case RealInput() | Flatten():
                continue
            case RealDense() | RealConv2D():
                function = stage.layer.activation
                if not (isinstance(function, Linear) or (isinstance(function, ReLU) and function.maximum is None)):
                    return None
                found.append((stage, network.stages[k - 1].shape))
            case _:
                return None
    return found


def _bias(layer: RealDense | RealConv2D, size: int) -> ExactArray:
    return np.zeros(size) if layer.bias is None else np.tile(layer.bias, size // layer.bias.size)


def _dense(m: RealMap) -> ExactArray:
    if isinstance(m, Matrix):
        return m.matrix
    assert isinstance(m, Entries)
    matrix = np.zeros((m.outputs, m.inputs), dtype=m.coefficients.dtype)
    np.add.at(matrix, (m.rows, m.columns), m.coefficients)
    return exact(matrix)


def _integers(matrix: Floats) -> DoubleMatrix:
    return DoubleMatrix(matrix, np.abs(matrix))


def _rounded(matrix: ExactArray) -> DoubleMatrix:
    value = nearest(matrix)
    return DoubleMatrix(value, np.maximum(np.abs(value) * (1 + UNIT), SMALLEST_MAGNITUDE))
