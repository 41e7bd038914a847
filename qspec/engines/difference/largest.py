"""The largest error of a quantised network on a box of codes, as an interval that branch and bound narrows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from time import perf_counter
from typing import Literal

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.deadline import NEVER, Deadline, OutOfTime
from qspec.engines.difference.aligned_layers import Pair, pair, pair_bytes
from qspec.engines.difference.attack import FIRST, LATER, Effort, attack, values
from qspec.engines.difference.dual import Goal
from qspec.engines.difference.output_rows import errors
from qspec.engines.difference.replay import outputs as replayed
from qspec.engines.difference.root import root, stages
from qspec.engines.difference.search import AGAIN, RowSearch
from qspec.engines.difference.search import FIRST as FIRST_CLIMB
from qspec.engines.outward import Floats
from qspec.errors import SpecError, UnsupportedError
from qspec.ir.real import ExactArray, exact, fractions
from qspec.language.domains import extremes
from qspec.language.inputs import input_variable
from qspec.lowering.evaluate import evaluate
from qspec.lowering.real_layers import enclose
from qspec.network.graph import Graph, RealGraph
from qspec.network.layers import Input
from qspec.solver import Reason
from qspec.support import checks
from qspec.support.plain import document


@dataclass(frozen=True, slots=True, eq=False)
class ErrorBounds:
    """`lower <= quantised - real <= upper` of every output that was asked about, all over a box of codes; doubles, rounded outward."""

    lower: Floats
    upper: Floats

    @property
    def verdict(self) -> Literal["HOLDS"]:
        """What is said of every input of the box: bounds that come out are proved."""
        return "HOLDS"

    @property
    def reason(self) -> None:
        """None: nothing is open."""
        return

    def to_dict(self) -> dict[str, object]:
        """Return the bounds as JSON values, schema `qspec.error-bounds/1`."""
        return document(self, "qspec.error-bounds/1")

    def __str__(self) -> str:
        pairs = zip(self.lower.reshape(-1).tolist(), self.upper.reshape(-1).tolist(), strict=True)
        return ", ".join(f"output {k}: [{low:.6g}, {high:.6g}]" for k, (low, high) in enumerate(pairs))


@dataclass(frozen=True, slots=True, eq=False)
class LargestError:
    """`lower <= the largest |quantised - real| <= upper`, exactly; `lower` is the error of output `output` at the input `codes`."""

    lower: Fraction
    upper: Fraction
    codes: IntArray
    output: int
    bounds: ErrorBounds
    """What is known of every output before anything was cut."""
    parts: int
    """Parts of the box that were bounded."""
    seconds: float
    limit: Reason | None = None
    """MEMORY if the search ended because there was no room for more."""

    def to_dict(self) -> dict[str, object]:
        """Return everything as JSON values, schema `qspec.largest-error/1`; exact numbers stay exact."""
        return document(self, "qspec.largest-error/1")

    @property
    def verdict(self) -> Literal["HOLDS", "UNKNOWN"]:
        """HOLDS if the largest error is known exactly, else UNKNOWN; the ends of the interval are proved in any case."""
        return "HOLDS" if self.closed else "UNKNOWN"

    @property
    def reason(self) -> Reason | None:
        """INCOMPLETE if the interval is open because time or the gap allowed ended the search, MEMORY if memory did."""
        return None if self.closed else self.limit or Reason.INCOMPLETE

    @property
    def closed(self) -> bool:
        """Whether the largest error is known exactly."""
        return self.lower == self.upper

    def __str__(self) -> str:
        where = f"= {float(self.lower):.6g}" if self.closed else f"in [{float(self.lower):.6g}, {float(self.upper):.6g}]"
        return f"largest error {where}, {self.parts} parts, {self.seconds:.2f} s"


@dataclass(frozen=True, slots=True, eq=False)
class ErrorQuestion:
    """Two networks, the box of codes (inputs,), and the outputs that are asked about."""

    pair: Pair
    shape: tuple[int, ...]
    low: IntArray
    high: IntArray
    outputs: tuple[int, ...]

    @classmethod
    def of(
        cls, fixed: Graph, real: RealGraph, lower: object, upper: object, outputs: Sequence[int] | None, deadline: Deadline = NEVER
    ) -> ErrorQuestion:
        """Check a question; raises UnsupportedError if the networks are no pair, SpecError on an empty box or on missing outputs.

        Raises OutOfMemory where there is no room for the pair.
        """
        if not isinstance(fixed, Graph) or not isinstance(real, RealGraph):  # pyright: ignore[reportUnnecessaryIsInstance]
            given = f"{type(fixed).__name__} and {type(real).__name__}"
            raise SpecError("an error is that of a quantised network against a real one", given=given, expected="Network and RealNetwork")
        deadline.portion(pair_bytes(real), 1)
        both, first = pair(fixed, real), fixed.stages[0].layer
        if both is None or not isinstance(first, Input) or first.features:
            raise UnsupportedError(
                "these networks are not compared layer by layer",
                given=f"{fixed.name} and {real.name}",
                expected="the same dense and convolution layers in both, with ReLU or nothing, on an input without features",
                advice="qs.verify decides properties of any two networks, by its solver 'delta'",
            )
        n = both.layers[-1].size
        chosen = tuple(range(n)) if outputs is None else checks.integers(outputs, "outputs")
        if not chosen or any(not 0 <= k < n for k in chosen):
            raise SpecError("no such output", given=list(chosen), expected=f"positions from 0 to {n - 1}")
        low, high = extremes(input_variable(fixed, "x", lower=lower, upper=upper).domain)
        return cls(both, first.shape, integers(low), integers(high), chosen)

    @property
    def box(self) -> tuple[Floats, Floats]:
        return self.low.astype(np.float64), self.high.astype(np.float64)

    def goal(self) -> Goal:
        """Return every error, and every error negated."""
        return errors(self.pair, list(self.outputs)).goal()


def first_bounds(question: ErrorQuestion) -> ErrorBounds:
    """Return what one ascent says of every output."""
    known = root(question.pair, *question.box, stages(question.pair)[-1])
    return _bounds(RowSearch(question.pair, known, question.goal(), *question.box), len(question.outputs))


def narrow(question: ErrorQuestion, seed: int, deadline: Deadline = NEVER) -> Iterator[LargestError]:
    """Yield the interval after the attack and the first bounds, after better ones, and after each round of cuts, until it is closed.

    At the deadline it ends; the first interval, without a search for better multipliers if there is no time, comes in any case. Where
    memory is short the last interval comes again with that reason; raises OutOfMemory where it is short for the first one.
    """
    began = perf_counter()
    goal = question.goal()
    run = _Largest(question, goal)
    run.attack(seed, deadline=deadline)
    found = None
    try:
        for found in _narrowed(run, seed, deadline, began):
            yield found
    except OutOfTime:
        if found is None:
            yield run.interval(*run.begin(0, deadline.timeless(), climb=0), began)
    except MemoryError:
        if found is None:
            raise
        yield replace(found, limit=Reason.MEMORY)


def _narrowed(run: _Largest, seed: int, deadline: Deadline, began: float) -> Iterator[LargestError]:
    *early, last = stages(run.question.pair)[-2:]
    for steps in early:
        search, bounds = run.begin(steps, deadline)
        yield run.interval(search, bounds, began)
        if search.least >= run.target:
            return
    search, bounds = run.begin(last, deadline)
    for rounds in count(1):
        yield run.interval(search, bounds, began)
        if rounds in AGAIN:
            run.attack(seed + rounds, LATER, deadline)
        if not search.step(run.target):
            return


def exact_errors(fixed: Graph, real: RealGraph, codes: object) -> ExactArray:
    """Return the error of every output at one input of codes, as Fractions, (outputs,), by the references of both networks."""
    source, last = fixed.inputs[0].type, fixed.output_types[0]
    given = integers(codes).reshape(source.shape)
    units, zeros = source.grid.per_element(source.shape)
    signals, _ = enclose(real, exact(units * (given.reshape(-1).astype(object) - zeros)))
    units, zeros = last.grid.per_element(last.shape)
    return fractions(units * (evaluate(fixed, given).reshape(-1).astype(object) - zeros)) - fractions(signals.reshape(-1))


class _Largest:
    """The largest error that was found, exactly, and where."""

    def __init__(self, question: ErrorQuestion, goal: Goal) -> None:
        self.question, self.goal = question, goal
        self.best, self.output = Fraction(-1), question.outputs[0]
        self.codes: IntArray = np.zeros(0, dtype=np.int64)

    @property
    def target(self) -> float:
        """What rows have to be proved not to fall below: the largest error negated, rounded up."""
        return float(np.nextafter(-float(self.best), np.inf))

    def begin(self, steps: int, deadline: Deadline = NEVER, climb: int = FIRST_CLIMB) -> tuple[RowSearch, ErrorBounds]:
        """Return a search with so many steps of ascent for bounds of layers, and for the errors, and what is known of every output."""
        known = root(self.question.pair, *self.question.box, steps, deadline)
        search = RowSearch(self.question.pair, known, self.goal, *self.question.box, self.visit, self.settle, deadline, climb)
        return search, _bounds(search, len(self.question.outputs))

    def interval(self, search: RowSearch, bounds: ErrorBounds, began: float) -> LargestError:
        """Return what is known by now."""
        upper = max(self.best, Fraction(-search.least)) if search.least < self.target else self.best
        codes = self.codes.reshape(self.question.shape)
        return LargestError(self.best, upper, codes, self.output, bounds, search.bounded, perf_counter() - began)

    def attack(self, seed: int, effort: Effort = FIRST, deadline: Deadline = NEVER) -> None:
        """Search the box for a large error."""
        found = attack(self.question.pair, *self.question.box, self.goal, seed, effort, deadline)
        self.look(found.point[int((found.value + self.goal.constant).argmin())])

    def visit(self, point: Floats, row: int) -> None:
        """Look at an input, (1, inputs), exactly, if doubles say that it is worse than the worst so far."""
        c = self.goal.coefficients[0][row : row + 1], self.goal.coefficients[1][row : row + 1]
        if -(values(self.question.pair, point, c)[0] + self.goal.constant[row]) > float(self.best):
            self.look(point[0])

    def settle(self, point: Floats, row: int) -> bool:
        """Look at an input, (1, inputs), exactly: after that no error there is larger than the worst so far."""
        del row
        self.look(point[0])
        return True

    def look(self, point: Floats) -> None:
        """Compute the errors at an input in exact arithmetic, and keep the largest."""
        codes = point.astype(np.int64)
        ours, theirs = replayed(self.question.pair, codes)
        worst = max(self.question.outputs, key=lambda k: abs(ours[k] - theirs[k]))
        error = abs(ours[worst] - theirs[worst])
        if error > self.best:
            self.best, self.output, self.codes = error, worst, codes


def _bounds(search: RowSearch, outputs: int) -> ErrorBounds:
    found = search.lower(2 * outputs)
    return ErrorBounds(found[:outputs], -found[outputs:])
