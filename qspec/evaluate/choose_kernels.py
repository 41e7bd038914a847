"""From a program to device kernels: for every node the cheapest arithmetic that its proved bounds show to be exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import SAFE, IntArray, magnitude
from qspec.bounds.interval import Interval, bound_node, reach
from qspec.errors import UnsupportedError
from qspec.evaluate.kernels import AddKernel, GatherKernel, InputKernel, Kernel, KernelPlan, KernelStep, MatMul, MaximumKernel, Multiply
from qspec.evaluate.maps import MAX_CORRECTION, coefficients, exact_map
from qspec.evaluate.staircases import MAX_LISTED, place_rescale, place_steps, place_table, place_wrap, wide
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Program, Staircase, Table, Wrap, arguments, needed
from qspec.ir.linear import LinearMap
from qspec.ir.staircase import Steps

HostArray = npt.NDArray[Any]
HostParameters = tuple[HostArray, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A plan, the arrays that each of its steps takes, the inputs in the order of their slots, and the size of each output.

    `width` is the number of elements that one member of a batch occupies if nothing is fused.
    """

    plan: KernelPlan
    parameters: tuple[HostParameters, ...]
    inputs: tuple[Input, ...]
    sizes: tuple[int, ...]
    width: int


def make_plan(program: Program, nodes: tuple[int, ...]) -> Planned:
    """Choose kernels for these nodes of a program and all that they depend on.

    Raises UnsupportedError, naming the node, where a value or a partial result might reach `2**62` in magnitude and no other way is exact.
    """
    planner = _Planner()
    for position in needed(program, nodes):
        planner.add(position, program[position])
    outputs = tuple(planner.place[n] for n in nodes)
    planner.shift_inputs(outputs)
    plan = KernelPlan(tuple(planner.steps), outputs)
    sizes = tuple(planner.known[n].lower.size for n in nodes)
    return Planned(plan, tuple(planner.parameters), tuple(planner.inputs), sizes, planner.width)


class _Planner:
    def __init__(self) -> None:
        self.steps: list[KernelStep] = []
        self.parameters: list[HostParameters] = []
        self.inputs: list[Input] = []
        self.place: dict[int, int] = {}
        self.known: dict[int, Interval] = {}
        self.width = 0

    def add(self, position: int, node: Node) -> None:
        interval = self.known[position] = bound_node(node, self.known)
        _require(interval.magnitude, position, node)
        if isinstance(node, Affine):
            step = self._affine(position, node)
        else:
            kernel, parameters = self._choose(position, node)
            step = self._step(kernel, parameters, tuple(self.place[a] for a in arguments(node)), interval.lower.size)
        self.place[position] = step

    def _step(self, kernel: Kernel, parameters: HostParameters, read: tuple[int, ...], width: int) -> int:
        self.steps.append(KernelStep(kernel, read))
        self.parameters.append(parameters)
        self.width += width
        return len(self.steps) - 1

    def _choose(self, position: int, node: Input | Staircase | Table | Product | Maximum | Wrap) -> tuple[Kernel, HostParameters]:
        match node:
            case Input():
                self.inputs.append(node)
                return InputKernel(len(self.inputs) - 1, False), ()
            case Staircase(a, steps):
                if isinstance(steps, Steps):
                    return place_steps(steps, self.known[a])
                placed = place_rescale(steps, self.known[a], self.known[position])
                return placed or _refuse(position, node, f"over {MAX_LISTED} steps, and products beyond 64 bits", "fewer steps")
            case Table(a, first, values):
                placed = place_table(self.known[a], first, values)
                return placed or _refuse(
                    position, node, "a table narrower than the bounds of its argument", "an entry for every value in bounds"
                )
            case Product(left, right):
                bound = self.known[left].magnitude * self.known[right].magnitude
                _require(bound, position, node)
                return Multiply(wide(bound)), ()
            case Maximum():
                return MaximumKernel(), (node.members.astype(np.int32),)
            case Wrap(a, width, signed):
                return place_wrap(self.known[a], self.known[position], width, signed)
            case _:
                assert_never(node)

    def _affine(self, position: int, node: Affine) -> int:
        """Each map is a step of its own; the corrections of shifted operands go into the bias."""
        _require(_total(node.terms, node.bias, self.known), position, node)
        mapped = [exact_map(m, self.known[a]) for m, a in node.terms]
        bias, bound = node.bias, np.abs(node.bias)
        for part in mapped:
            bias, bound = bias + part.correction, bound + part.reach + np.abs(part.correction)
        added: list[int] = []
        for part, (m, a) in zip(mapped, node.terms, strict=True):
            fan = part.parameters[0].size if isinstance(part.kernel, GatherKernel) else 0
            added.append(self._step(part.kernel, part.parameters, (self.place[a],), max(m.outputs, fan)))
        return self._step(AddKernel(), (bias.astype(wide(magnitude(bound))),), tuple(added), bias.size)

    def shift_inputs(self, outputs: tuple[int, ...]) -> None:
        """Shift an input where it is read instead of where it is multiplied, if that is all that is done to it and by one amount.

        `KernelPlan.loaded` then finds it shifted already.
        """
        for k, step in enumerate(self.steps):
            readers = [j for j, other in enumerate(self.steps) if k in other.arguments]
            if not isinstance(step.kernel, InputKernel) or k in outputs or any(self.steps[j].kernel != MatMul(True) for j in readers):
                continue
            shifts = [self.parameters[j][1] for j in readers]
            if shifts and all(s == shifts[0] for s in shifts):
                self.steps[k], self.parameters[k] = KernelStep(InputKernel(step.kernel.slot, True), ()), (shifts[0],)
                for j in readers:
                    self.steps[j], self.parameters[j] = KernelStep(MatMul(False), self.steps[j].arguments), self.parameters[j][:1]


def _total(terms: tuple[tuple[LinearMap, int], ...], bias: IntArray, known: dict[int, Interval]) -> int:
    """Return a magnitude that no coefficient and no partial sum exceeds, with room for the corrections of shifted operands."""
    sums = [magnitude(reach(m, known[a])) + m.inputs * MAX_CORRECTION for m, a in terms]
    return max(magnitude(bias) + sum(sums), *(magnitude(coefficients(m)) for m, _ in terms), 0)


def _require(bound: int, position: int, node: Node) -> None:
    if bound >= SAFE:
        _refuse(position, node, f"magnitudes up to {bound}", "below 2**62")


def _refuse(position: int, node: Node, given: str, expected: str) -> tuple[Kernel, HostParameters]:
    raise UnsupportedError(
        f"node {position} ({type(node).__name__}) cannot be computed exactly in 64 bits",
        given=given,
        expected=expected,
        advice="evaluate with qspec.ir.reference, which is exact for integers of any size",
    )
