"""Run passes one after the other until nothing changes, and keep account of what each did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline
from qspec.errors import SpecError
from qspec.ir.integer import FALSE, TRUE, Affine, Assignment, Query, check, sizes
from qspec.passes.absorb_box import AbsorbBox
from qspec.passes.base import Lift, Pass, Reduced, rewritten
from qspec.passes.common_nodes import CommonNodes
from qspec.passes.cone_of_influence import ConeOfInfluence
from qspec.passes.decide_goal import DecideGoal
from qspec.passes.fold_affine import FoldAffine
from qspec.passes.fuse_clamps import FuseClamps
from qspec.passes.linear import LinearBounds
from qspec.passes.maps import entries
from qspec.passes.shift_inputs import ShiftInputs
from qspec.passes.split import Split
from qspec.passes.stable_neurons import StableNeurons

ALL_PASSES: tuple[Pass, ...] = (
    AbsorbBox(),
    ShiftInputs(),
    FoldAffine(),
    CommonNodes(),
    FuseClamps(),
    StableNeurons(),
    DecideGoal(),
    LinearBounds(),
    Split(),
    ConeOfInfluence(),
)
"""Every pass, in the order in which they run."""

OPTIONAL = ("split",)
"""Passes that run only when asked for."""

DEFAULT_PASSES: tuple[Pass, ...] = tuple(p for p in ALL_PASSES if p.name not in OPTIONAL)


@dataclass(frozen=True, slots=True)
class Size:
    """How large some queries are together: nodes, elements of all nodes, coefficients of all maps, and bits of all inputs."""

    nodes: int
    elements: int
    coefficients: int
    input_bits: int


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What one run of a pass cost, in seconds, and brought."""

    name: str
    seconds: float
    before: Size
    after: Size


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """The queries that remain of one, each with the lift to it, and a record of every pass that changed something or took time."""

    parts: tuple[Reduced, ...]
    records: tuple[PassRecord, ...]

    @property
    def decided(self) -> bool | None:
        """Whether the passes alone have settled the query: satisfiable, unsatisfiable, or None."""
        if any(_is_true(part.query) for part in self.parts):
            return True
        return False if all(part.query.goal == FALSE for part in self.parts) else None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Passes in order, repeated until none of them changes anything, at most `rounds` times. A pipeline is itself a pass."""

    passes: tuple[Pass, ...] = DEFAULT_PASSES
    rounds: int = 8
    name: str = "pipeline"

    def apply(self, query: Query, deadline: Deadline = NEVER) -> tuple[Reduced, ...]:
        return self.run(query, deadline).parts

    def run(self, query: Query, deadline: Deadline = NEVER) -> Reduction:
        """Reduce a query; raises InternalError if it is malformed, or a pass leaves a malformed one, and OutOfTime."""
        parts: tuple[Reduced, ...] = rewritten(check(query))
        passes = tuple(replace(p, deadline=deadline) if isinstance(p, LinearBounds) else p for p in self.passes)
        records: list[PassRecord] = []
        size = measure([query])
        for _ in range(self.rounds):
            before = [part.query for part in parts]
            for step in passes:
                deadline.check()
                start = perf_counter()
                parts = _settled([new for part in parts for new in _applied(step, part)])
                seconds = perf_counter() - start
                after = measure([part.query for part in parts])
                records.append(PassRecord(step.name, seconds, size, after))
                size = after
            unchanged = len(parts) == len(before) and all(part.query is old for part, old in zip(parts, before, strict=True))
            if unchanged or all(_is_true(part.query) or part.query.goal == FALSE for part in parts):
                break
        return Reduction(parts, tuple(records))

    def without(self, *names: str) -> Pipeline:
        """Return the pipeline without the passes of these names; raises SpecError if there is no such pass."""
        _known(names)
        return Pipeline(tuple(p for p in self.passes if p.name not in names), self.rounds)

    def only(self, *names: str) -> Pipeline:
        """Return a pipeline of just these passes, optional ones too, in the usual order; raises SpecError if there is no such pass."""
        _known(names)
        return Pipeline(tuple(p for p in ALL_PASSES if p.name in names), self.rounds)

    def adding(self, *names: str) -> Pipeline:
        """Return the pipeline with these optional passes in their usual places; raises SpecError if there is no such pass."""
        _known(names)
        return self.only(*names, *(p.name for p in self.passes))


def measure(queries: Iterable[Query]) -> Size:
    """Return the size of some queries together."""
    nodes = elements = coefficients = bits = 0
    for query in queries:
        nodes += len(query.program)
        elements += sum(sizes(query.program))
        coefficients += sum(entries(m) for n in query.program if isinstance(n, Affine) for m, _ in n.terms)
        for node in query.inputs.values():
            widths, counts = np.unique(node.upper - node.lower, return_counts=True)
            bits += sum(max(0, int(w)).bit_length() * int(c) for w, c in zip(widths, counts, strict=True))
    return Size(nodes, elements, coefficients, bits)


def _known(names: Iterable[str]) -> None:
    unknown = [n for n in names if n not in {p.name for p in ALL_PASSES}]
    if unknown:
        raise SpecError("no such pass", given=", ".join(unknown), expected="some of " + ", ".join(p.name for p in ALL_PASSES))


def _applied(step: Pass, part: Reduced) -> list[Reduced]:
    """Apply a pass to one part, check what it made, and compose the lifts."""
    result: list[Reduced] = []
    for new in step.apply(part.query):
        if new.query is part.query:
            result.append(part)
            continue
        copies = None if new.multiplicity is None or part.multiplicity is None else new.multiplicity * part.multiplicity
        result.append(Reduced(check(new.query), _Chain(part.lift, new.lift), copies))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """First lift by `inner`, then by `outer`."""

    outer: Lift
    inner: Lift

    def __call__(self, assignment: Assignment) -> dict[str, IntArray]:
        return self.outer(self.inner(assignment))


def _is_true(query: Query) -> bool:
    """Return whether every assignment solves the query, and there is one: an input could still have an empty domain."""
    return query.goal == TRUE and not query.inputs


def _settled(parts: list[Reduced]) -> tuple[Reduced, ...]:
    """Return one true part alone if there is any, else the parts that are not false, else one false part."""
    true = [part for part in parts if _is_true(part.query)]
    opened = [part for part in parts if part.query.goal != FALSE]
    return tuple(true[:1] or opened or parts[:1])
