"""A program with its steps smoothed out, in float32: what gradients are taken of. It guides the search and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.attack.inner import inner
from qspec.bounds.interval import Interval
from qspec.evaluate.choose_kernels import HostParameters
from qspec.evaluate.kernels import (
    AddKernel,
    ClampKernel,
    InputKernel,
    Kernel,
    KernelPlan,
    KernelStep,
    MaximumKernel,
    Multiply,
    Polyline,
    WrapKernel,
)
from qspec.evaluate.maps import real_map
from qspec.ir.integer import Affine, Input, Maximum, Product, Program, Staircase, Table, Wrap, arguments, needed
from qspec.ir.staircase import Rescale, Steps, climb

KNOTS = 33
"""Points at which a listed staircase or a table is sampled."""
LEAK = 0.05
"""Slope of a saturated element, as a share of its slope elsewhere."""


def relax(program: Program, nodes: tuple[int, ...], known: Sequence[Interval]) -> tuple[KernelPlan, tuple[HostParameters, ...]]:
    """Return a plan of relaxed kernels for these nodes, reading float32 inputs, and its arrays.

    `known` are the intervals of all nodes, below `2**62`. Staircases become ramps or polylines, in the manner of straight-through
    estimators (Bengio, Léonard, Courville 2013) with a small slope outside saturation.
    """
    steps: list[KernelStep] = []
    parameters: list[HostParameters] = []
    place: dict[int, int] = {}

    def add(kernel: Kernel, arrays: HostParameters, read: tuple[int, ...]) -> int:
        steps.append(KernelStep(kernel, read))
        parameters.append(tuple(a if a.dtype.kind == "i" else a.astype(np.float32) for a in arrays))
        return len(steps) - 1

    inside = inner(program, nodes)
    slots = 0
    for position in needed(program, nodes):
        node = program[position]
        read = tuple(place[a] for a in arguments(node))
        match node:
            case Input():
                place[position] = add(InputKernel(slots, False), (), ())
                slots += 1
            case Affine(terms, bias):
                maps = (real_map(m) for m, _ in terms)
                added = tuple(add(kernel, arrays, (at,)) for (kernel, arrays), at in zip(maps, read, strict=True))
                place[position] = add(AddKernel(), (bias.astype(np.float32),), added)
            case _:
                kernel, arrays = _relaxed(node, known, position in inside)
                place[position] = add(kernel, arrays, read)
    return KernelPlan(tuple(steps), tuple(place[n] for n in nodes)), tuple(parameters)


def cut(program: Program, nodes: tuple[int, ...], known: Sequence[Interval]) -> tuple[tuple[int, ...], Program]:
    """Return the frontier, behind which only the last steps come, and the program with free inputs in its place.

    Nodes on the frontier are those that one of these depends on and that a node without that property, or nobody, reads.
    Evaluating them exactly and only the rest relaxed tells apart points that saturation and rounding of the last layer make equal.
    """
    inside = inner(program, nodes)
    outer = [n for n in needed(program, nodes) if n not in inside]
    read = {a for n in outer for a in arguments(program[n])} | set(nodes)
    frontier = tuple(n for n in needed(program, nodes) if n in read and (n in inside or isinstance(program[n], Input)))
    tail = list(program)
    for n in frontier:
        tail[n] = Input(f"{n}", known[n].lower, known[n].upper)
    return frontier, tuple(tail)


def _relaxed(node: Staircase | Table | Product | Maximum | Wrap, known: Sequence[Interval], rounded: bool) -> tuple[Kernel, HostParameters]:
    match node:
        case Staircase(a, steps):
            if isinstance(steps, Steps):
                return Polyline(), _polyline(known[a], lambda x: climb(steps, x))
            return ClampKernel(rounded), _ramp(steps)
        case Table(a, first, values):
            return Polyline(), _polyline(known[a], lambda x: values[np.arange(first.size), (x - first).astype(np.int64)])
        case Product():
            return Multiply("float32"), ()
        case Maximum():
            return MaximumKernel(), (node.members.astype(np.int32),)
        case Wrap(_, width, signed):
            modulus = 2.0 ** width.astype(np.float64)
            return WrapKernel(), (-modulus / 2 if signed else 0 * modulus, modulus)
        case _:
            assert_never(node)


def _ramp(steps: Rescale) -> HostParameters:
    """Return slope, offset, ends and leak; a floor lies half a step below the line that it follows."""
    numerator, offset, denominator = (v.astype(object) for v in (steps.numerator, steps.offset, steps.denominator))
    middle = 0.5 if steps.rounding is Rounding.TRN else 0.0
    lower, upper = (
        np.full(numerator.shape, edge) if end is None else end.astype(np.float64)
        for end, edge in ((steps.lower, -np.inf), (steps.upper, np.inf))
    )
    floats = ((numerator / denominator).astype(np.float64), (offset / denominator).astype(np.float64) - middle)
    return (*floats, lower, upper, np.array(LEAK))


def _polyline(x: Interval, function: Callable[[IntArray], IntArray]) -> HostParameters:
    """Return first, knots per unit, mean slope, knots and leak of a function sampled at `KNOTS` integers over an interval."""
    width = x.upper - x.lower
    spacing = np.maximum(1, -(-width // (KNOTS - 1)))
    samples = np.minimum(x.lower + np.arange(KNOTS)[:, None] * spacing, x.upper)
    knots = function(samples).astype(np.float64).T
    mean = (knots[:, -1] - knots[:, 0]) / np.maximum(1, width)
    return x.lower.astype(np.float64), 1.0 / spacing, mean, knots, np.array(LEAK)
