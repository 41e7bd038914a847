"""How far two networks that share everything but their roundings can drift apart on a box of codes, layer by layer, in exact integers.

Both are lowered into one program over one input. Of every pair of nodes that compute the same thing, `second - first` is bounded from the
differences of their arguments: a map that both share is applied to the difference itself, so what they have in common cancels. A pair of
staircases is decided at its steps: `g(a + d) - f(a)` is largest where `g` has just risen. Source of the method: differential verification,
Paulsen, Wang and Wang 2020 (ReluDiff); the bounds of staircases are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval, bound
from qspec.deadline import NEVER, Deadline
from qspec.engines.difference.chains import Chain, growing, peeled
from qspec.errors import SpecError
from qspec.ir import linear
from qspec.ir.integer import Affine, Maximum, Node, Program, Staircase
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import LinearMap, Sparse
from qspec.ir.staircase import Rescale
from qspec.lowering.layers import lower
from qspec.network.graph import Graph
from qspec.passes.common_nodes import same_map

CELLS = 1 << 21
"""Steps of staircases that are looked at together."""
MOST = 1 << 12
"""Codes up to which a staircase is decided at its steps."""
SMALL = 1 << 60
"""What positions of steps are kept below, so that rows of them can be searched as one."""


class Line(NamedTuple):
    """`y = sum of factor * leaf + error`, elementwise alike, with `error` between two rationals; cut to `ends` last."""

    factors: dict[int, Fraction]
    low: Fraction
    high: Fraction
    ends: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """Both networks' stages on a box: the interval of each, and bounds of `second - first`, all (elements,)."""

    first: Interval
    second: Interval
    difference: Interval

    @property
    def most(self) -> int:
        """What no element drifts further than."""
        return self.difference.magnitude

    @property
    def alike(self) -> int:
        """How many elements cannot differ."""
        return int(np.count_nonzero((self.difference.lower == 0) & (self.difference.upper == 0)))


def drifts(
    first: Graph, second: Graph, stages: Sequence[tuple[str, str]], low: IntArray, high: IntArray, deadline: Deadline = NEVER
) -> Iterator[Drift]:
    """Yield bounds for pairs of stages, in the order of computation, for input codes from `low` to `high`, (inputs,).

    Raises SpecError if the networks do not read one input of this size, OutOfTime at the deadline.
    """
    if any(len(n.inputs) != 1 or n.inputs[0].type.size != low.size for n in (first, second)):
        raise SpecError("networks that do not read one input alike", given=[len(n.inputs) for n in (first, second)], expected="one each")
    builder = Builder(deadline)
    x = builder.input("x", low, high)
    taps = [lower(builder, network, [x]) for network in (first, second)]
    pairs = [(taps[0][a].output, taps[1][b].output) for a, b in stages]
    known = bound(builder.program)
    work = _Differences(builder.program, known, {x, *(n for p in pairs for n in p)}, deadline)
    for a, b in pairs:
        yield Drift(known[a], known[b], work.of(a, b))


class _Differences:
    """Bounds of `second - first` for pairs of nodes of one program, as they are asked for."""

    def __init__(self, program: Program, known: Sequence[Interval], aligned: set[int], deadline: Deadline) -> None:
        self.program, self.known, self.aligned, self.deadline = program, known, aligned, deadline
        self.found: dict[tuple[int, int], Interval] = {}

    def of(self, a: int, b: int) -> Interval:
        if (a, b) not in self.found:
            self.deadline.check()
            x, y = self.known[a], self.known[b]
            own = None if a == b else self._derived(a, b)
            low, high = (x.lower * 0, x.lower * 0) if a == b else (y.lower - x.upper, y.upper - x.lower)
            if own is not None:
                low, high = np.maximum(low, own.lower), np.minimum(high, own.upper)
            self.found[a, b] = Interval(low, high)
        return self.found[a, b]

    def _derived(self, a: int, b: int) -> Interval | None:
        lines = [self._line(n, top=True) for n in (a, b)]
        if lines[0] is not None and lines[1] is not None and len(lines[0].factors) > 1:
            return self._between_lines(lines[0], lines[1])
        (own, source), (other, target) = peeled(self.program, a, self.aligned), peeled(self.program, b, self.aligned)
        if own and other:
            return self._between_chains(own, source, other, target)
        match self.program[a], self.program[b]:
            case Affine(terms, bias), Affine(others, bias_b) if len(terms) == len(others) > 0:
                if not all(same_map(m, n) for (m, _), (n, _) in zip(terms, others, strict=True)):
                    return None
                low = high = bias_b - bias
                for (m, i), (_, j) in zip(terms, others, strict=True):
                    d = self.of(i, j)
                    middle, spread = linear.apply(m, d.lower + d.upper), linear.apply(linear.absolute(m), d.upper - d.lower)
                    low, high = low + (middle - spread) // 2, high + (middle + spread) // 2
                return Interval(low, high)
            case Maximum(i, groups) as node, Maximum(j, others) if np.array_equal(groups, others):
                d, members = self.of(i, j), node.members
                return Interval(d.lower[members].min(axis=-1), d.upper[members].max(axis=-1))
            case _:
                return None

    # ---- chains of staircases

    def _between_chains(self, own: list[Node], a: int, other: list[Node], b: int) -> Interval | None:
        d, x, y = self.of(a, b), self.known[a], self.known[b]
        f, g = Chain(own), Chain(other)
        spans = [int((c(v.upper) - c(v.lower)).max(initial=0)) for c, v in ((f, x), (g, y))]
        if max(spans) > MOST or max(v.magnitude for v in (x, y, d)) >= SMALL >> 24:
            return None
        low, high = np.empty_like(x.lower), np.empty_like(x.lower)
        rows = max(1, CELLS // (1 + max(spans)))
        for start in range(0, low.size, rows):
            self.deadline.check()
            part = slice(start, start + rows)
            p, q, e = (Interval(v.lower[part], v.upper[part]) for v in (x, y, d))
            high[part] = _most(f.take(part), p, g.take(part), q, e.upper)
            low[part] = -_most(g.take(part), q, f.take(part), p, -e.lower)
        return Interval(low, high)

    # ---- sums of two signals

    def _line(self, node: int, *, top: bool) -> Line | None:
        """Return a node as a line in earlier pairs, if every element is treated alike and nothing saturates before the end."""
        own = self.program[node]
        if not top and (node in self.aligned or (isinstance(own, Affine) and not own.terms)):
            return Line({node: Fraction(1)}, Fraction(0), Fraction(0), None)
        match own:
            case Affine(terms, bias) if terms and all(growing(m) for m, _ in terms) and _single(bias) is not None:
                return self._sum(terms, _single(bias) or 0)
            case Staircase(a, Rescale() as steps):
                line = self._line(a, top=False)
                return None if line is None or line.ends is not None else _rescaled(line, steps)
            case _:
                return None

    def _sum(self, terms: Sequence[tuple[LinearMap, int]], bias: int) -> Line | None:
        factors, low, high = dict[int, Fraction](), Fraction(bias), Fraction(bias)
        ends: tuple[int, int] | None = None
        for m, a in terms:
            assert isinstance(m, Sparse)
            factor, line = _single(m.coefficients), self._line(a, top=False)
            if factor is None or line is None or (line.ends is not None and (len(terms) > 1 or factor != 1)):
                return None
            ends = None if line.ends is None else (line.ends[0] + bias, line.ends[1] + bias)
            low, high = low + factor * line.low, high + factor * line.high
            for leaf, own in line.factors.items():
                factors[leaf] = factors.get(leaf, Fraction(0)) + factor * own
        return Line(factors, low, high, ends)

    def _between_lines(self, f: Line, g: Line) -> Interval | None:
        """`g - f = sum of own * (y - x) + (other - own) * y + errors`; cutting both off at the same ends leaves it no larger."""
        if f.ends != g.ends or len(f.factors) != len(g.factors):
            return None
        low, high = np.array([g.low - f.high], dtype=object), np.array([g.high - f.low], dtype=object)
        for (a, own), (b, other) in zip(f.factors.items(), g.factors.items(), strict=True):
            d, y, extra = self.of(a, b), self.known[b], other - own
            ends = (y.lower, y.upper) if extra >= 0 else (y.upper, y.lower)
            low = low + d.lower.astype(object) * own + ends[0].astype(object) * extra
            high = high + d.upper.astype(object) * own + ends[1].astype(object) * extra
        least, most = integers(np.array([-((-v) // 1) for v in low])), integers(np.array([v // 1 for v in high]))
        return Interval(np.minimum(least, 0), np.maximum(most, 0)) if f.ends is not None else Interval(least, most)


def _most(f: Chain, x: Interval, g: Chain, y: Interval, d: IntArray) -> IntArray:
    """Return the largest `g(b) - f(a)` of each element with a, b in their intervals and b - a <= d.

    It is attained at the least a, or where `a + d` has just reached a step of g.
    """
    top = np.minimum(y.upper, x.upper + d)
    least = np.minimum(y.upper, x.lower + d)
    best = g(np.maximum(least, y.lower)) - f(x.lower)
    first, last = g(np.maximum(least, y.lower)), g(np.maximum(top, y.lower))
    count = int((last - first).max(initial=0))
    if count == 0:
        return best
    codes = first[:, None] + 1 + np.arange(count)[None, :]
    valid = codes <= last[:, None]
    starts = np.clip(g.reached(np.where(valid, codes, last[:, None])), -SMALL, SMALL)
    at = np.clip(starts - d[:, None], x.lower[:, None], x.upper[:, None])
    values = np.where(valid, codes, first[:, None]) - _counted(f, x, np.where(valid, at, x.lower[:, None]))
    return np.maximum(best, values.max(axis=1))


def _counted(f: Chain, x: Interval, at: IntArray) -> IntArray:
    """Return f at arguments (elements, k) within an interval, by its steps there."""
    first, last = f(x.lower), f(x.upper)
    count = int((last - first).max(initial=0))
    if count == 0:
        return np.broadcast_to(first[:, None], at.shape)
    codes = first[:, None] + 1 + np.arange(count)[None, :]
    steps = f.reached(np.minimum(codes, np.maximum(last, first + 1)[:, None]))
    past = x.upper[:, None] + 1
    steps = np.where(codes <= last[:, None], np.clip(steps, x.lower[:, None], past), past)
    width = int((x.upper - x.lower).max(initial=0)) + 2
    row: IntArray = np.arange(len(at))[:, None]
    place: IntArray = row * width - x.lower[:, None]
    below: IntArray = np.searchsorted((steps + place).reshape(-1), (at + place).reshape(-1), side="right").reshape(at.shape)
    return first[:, None] + below - row * count


def _rescaled(line: Line, steps: Rescale) -> Line | None:
    n, o, d = (_single(v) for v in (steps.numerator, steps.offset, steps.denominator))
    if n is None or o is None or d is None:
        return None
    ends: tuple[int, int] | None = None
    if steps.lower is not None or steps.upper is not None:
        low, high = (None if e is None else _single(e) for e in (steps.lower, steps.upper))
        if low is None or high is None:
            return None
        ends = (low, high)
    match steps.rounding:
        case Rounding.TRN:
            below, above = Fraction(-1), Fraction(0)
        case Rounding.TRN_ZERO:
            below, above = Fraction(-1), Fraction(1)
        case _:
            below, above = Fraction(-1, 2), Fraction(1, 2)
    ratio, offset = Fraction(n, d), Fraction(o, d)
    return Line(
        {k: v * ratio for k, v in line.factors.items()}, line.low * ratio + offset + below, line.high * ratio + offset + above, ends
    )


def _single(values: IntArray) -> int | None:
    """Return the one value of all elements, None if they differ."""
    return int(values[0]) if values.size and bool(np.all(values == values[0])) else None
