"""The fixed-point part of a property about reals: its variables and networks, as integers, as constants, or relaxed to reals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import cast

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.bounds.tighten import bound
from qspec.compile.query import Compiler
from qspec.compile.relaxation import relax
from qspec.deadline import NEVER, Deadline
from qspec.errors import InternalError, SpecError
from qspec.ir import integer, reference
from qspec.ir.real import All, And, Point, conjunction, fractions
from qspec.ir.real import Formula as Goal
from qspec.ir.real_builder import RealBuilder
from qspec.language.connectives import Conjunction, Formula
from qspec.language.property import Property
from qspec.language.traversal import is_real
from qspec.language.variables import Code, Output, Variable
from qspec.passes.absorb_box import AbsorbBox

Leaf = Variable | Output | Code
Cell = Mapping[str, tuple[IntArray, IntArray]]
"""Bounds of inputs by name, a part of all that they can be."""


def fixed_leaves(spec: Property, deadline: Deadline = NEVER) -> list[Leaf]:
    """Return every variable, output and code of fixed point that a property reads as a number, each object once; raises OutOfTime."""
    found = [*spec.variables, *_walk((spec.given, spec.then), set(), deadline)]
    for leaf in found:
        application = leaf.application if isinstance(leaf, Output) else None
        if application is not None and any(is_real(a) for a in (*application.arguments, *(p for _, p in application.parameters))):
            raise SpecError(
                "a fixed-point network is applied to reals",
                given=f"{application.network.name}, on a real expression",
                expected="fixed-point variables and outputs",
                advice="take the variable from the fixed-point network: a real network takes its values",
            )
    return list({id(leaf): leaf for leaf in found}.values())


def _walk(value: object, seen: set[int], deadline: Deadline) -> Iterator[Leaf]:
    if id(value) in seen:
        return
    if isinstance(value, tuple):
        for item in cast(tuple[object, ...], value):
            yield from _walk(item, seen, deadline)
    elif isinstance(value, Variable | Output | Code):
        seen.add(id(value))
        yield value
    elif is_dataclass(value) and type(value).__module__.startswith("qspec.language"):
        seen.add(id(value))
        deadline.check()
        for f in fields(value):
            yield from _walk(getattr(value, f.name), seen, deadline)


def _conjuncts(formula: Formula) -> list[Formula]:
    return [g for c in formula.children for g in _conjuncts(c)] if isinstance(formula, Conjunction) else [formula]


class FixedPart:
    """The integer program of everything of fixed point in a property; its inputs are as narrow as the assumption says."""

    def __init__(self, spec: Property, leaves: Sequence[Leaf], within: Cell | None = None, deadline: Deadline = NEVER) -> None:
        self._deadline = deadline
        compiler = Compiler(spec, deadline)
        self._leaves = [(leaf, compiler.lower(leaf)) for leaf in leaves]
        self._variables = {v.name: (compiler.variables[v.name], v.shape) for v in spec.variables}
        assumed = [*_conjuncts(spec.given), *(_conjuncts(spec.then) if spec.kind == "exists" else ())]
        goal = integer.conjunction([compiler.formula(f) for f in assumed if not is_real(f)])
        program = _within(_narrowed(integer.Query(compiler.builder.program, goal)), within or {})
        self.query = integer.Query(program, integer.And(tuple(integer.All(x.node) for _, x in self._leaves)))
        """A query whose goal lists the nodes that the property reads; only its program has a meaning."""

    @property
    def cell(self) -> Cell:
        """The bounds of all inputs."""
        return {name: (node.lower, node.upper) for name, node in self.query.inputs.items()}

    def box(self, name: str) -> tuple[IntArray, IntArray] | None:
        """Return the bounds of a variable's codes if these are the integers of an input of its name, else None."""
        node = self.query.program[self._variables[name][0]]
        return (node.lower, node.upper) if isinstance(node, integer.Input) and node.name == name else None

    def codes(self, assignment: integer.Assignment) -> dict[str, IntArray]:
        """Return the codes of every variable, in its shape, for integers of the program's inputs."""
        values = reference.evaluate(self.query.program, assignment)
        return {name: values[node].reshape(shape) for name, (node, shape) in self._variables.items()}

    def nearest(self, point: Point) -> dict[str, IntArray]:
        """Return the integers of the program's inputs that are nearest to the reals of the same names."""
        found: dict[str, IntArray] = {}
        for name, node in self.query.inputs.items():
            whole = np.array([round(v) for v in fractions(point[name]).reshape(-1).tolist()], dtype=object)
            found[name] = integers(np.minimum(np.maximum(whole, node.lower), node.upper))
        return found

    def constants(self, builder: RealBuilder, assignment: integer.Assignment) -> dict[int, int]:
        """Add the exact values of all that the property reads, for integers of the inputs; returns their nodes by identity."""
        values = reference.evaluate(self.query.program, assignment)
        return {id(leaf): builder.constant(values[x.node].astype(object) * x.unit) for leaf, x in self._leaves}

    def relaxed(self) -> tuple[RealBuilder, dict[int, int], Goal]:
        """Return a builder that begins with a relaxation, in it the nodes of all that the property reads, and what is known of the rest."""
        found = relax(self.query, bound(self.query.program, deadline=self._deadline), self._deadline)
        parts = found.goal.children if isinstance(found.goal, And) else (found.goal,)
        count = len(self._leaves)
        nodes = [c.node for c in parts[:count] if isinstance(c, All)]
        if len(nodes) != count:
            raise InternalError("a relaxation lost a part of its goal", given=len(nodes), expected=str(count))
        builder = RealBuilder(found.program, self._deadline)
        read = {id(leaf): builder.scale(node, x.unit) for (leaf, x), node in zip(self._leaves, nodes, strict=True)}
        return builder, read, conjunction(parts[count:])


def _narrowed(query: integer.Query) -> integer.Program:
    """Return the program of a query with the bounds of inputs that its goal implies; as it was if the goal is false."""
    (part,) = AbsorbBox().apply(query)
    inputs = part.query.inputs
    if part.query.goal == integer.FALSE:
        return query.program
    return tuple(inputs.get(n.name, n) if isinstance(n, integer.Input) else n for n in query.program)


def _within(program: integer.Program, cell: Cell) -> integer.Program:
    return tuple(
        replace(n, lower=np.maximum(n.lower, cell[n.name][0]), upper=np.minimum(n.upper, cell[n.name][1]))
        if isinstance(n, integer.Input) and n.name in cell
        else n
        for n in program
    )


def halves(cell: Cell) -> tuple[Cell, Cell] | None:
    """Return the two parts of a cell cut in the middle of its widest element; None if it is a single point."""
    widths = {name: int((upper - lower).max(initial=0)) for name, (lower, upper) in cell.items()}
    widest = max(widths, key=lambda name: widths[name], default="")
    if not widths or widths[widest] == 0:
        return None
    lower, upper = cell[widest]
    k = int(np.argmax(upper - lower))
    middle = (int(lower[k]) + int(upper[k])) // 2
    below, above = upper.copy(), lower.copy()
    below[k], above[k] = middle, middle + 1
    return {**cell, widest: (lower, below)}, {**cell, widest: (above, upper)}
