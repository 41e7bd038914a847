"""Check a proof that a piecewise-linear real query has no solution, in whole numbers: nothing of the search is used or believed.

With coefficients c of `y = relu(z)` and any multipliers p of z, `c relu(z) >= p z + q` where q is the least of `c relu(v) - p v` at the
ends of z and at the kink. The checker chooses p near `factor * c + shift` on a grid and computes everything else exactly: coefficients, q,
and the least value at the corner of the box. First it derives the bounds of what every ReLU reads that the proof claims, then it closes
every leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm
from typing import Any, NoReturn

import numpy as np

from qspec.certificate.whole import Ints, WholeMultiples, parts, product
from qspec.deadline import NEVER, Deadline
from qspec.errors import CertificateError
from qspec.ir.real import (
    Affine,
    All,
    And,
    Apply,
    Entries,
    Formula,
    Function,
    Input,
    Or,
    Query,
    RealMap,
    Truth,
    fractions,
    sizes,
)
from qspec.ir.real import Any as AnyOf
from qspec.ir.real_proof import CLOSE, INPUT, RELU, Floats, RealProof
from qspec.ir.relus import with_relus

GRID = 52
"""Multipliers are multiples of 2**-52."""
PIECE = 64
"""Rows that are derived at once."""
Fact = tuple[int, int, bool]
"""Node, element, and whether it has to be above zero."""


class ExactBox:
    """The exact box of a part: ends of all inputs in a row."""

    def __init__(self, lower: list[Fraction], upper: list[Fraction]) -> None:
        self.lower, self.upper = lower, upper

    def half(self, place: int, above: bool) -> ExactBox:
        """Return one half."""
        lower, upper = list(self.lower), list(self.upper)
        middle = (lower[place] + upper[place]) / 2
        if above:
            lower[place] = middle
        else:
            upper[place] = middle
        return ExactBox(lower, upper)


class Checker:
    """A query made ready for exact bounds."""

    def __init__(self, query: Query, proof: RealProof, deadline: Deadline) -> None:
        self.query, self.proof, self.deadline = query, proof, deadline
        self.sizes = sizes(query.program)
        self.place, self.input_place = dict[int, slice](), dict[int, slice]()
        elements = inputs = 0
        self.biases, self.maps = dict[int, WholeMultiples](), dict[tuple[int, int], tuple[list[Floats] | Entries, WholeMultiples]]()
        for k, node in enumerate(query.program):
            match node:
                case Input():
                    self.input_place[k] = slice(inputs, inputs := inputs + self.sizes[k])
                case Apply(_, Function.RELU):
                    self.place[k] = slice(elements, elements := elements + self.sizes[k])
                case Affine(terms, bias):
                    self.biases[k] = WholeMultiples.of(bias)
                    for t, (m, _) in enumerate(terms):
                        self.maps[k, t] = _prepared(m)
                case _:
                    raise CertificateError(
                        "a node that proofs of ReLUs are not about", given=type(node).__name__, expected="affine maps and ReLUs"
                    )
        self.elements, self.inputs = elements, inputs
        boxes = [n for n in query.program if isinstance(n, Input)]
        self.box = ExactBox(*([v for n in boxes for v in fractions(getattr(n, end)).tolist()] for end in ("lower", "upper")))

    def check(self) -> int:
        """Check everything; return the number of leaves. Raises CertificateError."""
        cases = _cases(self.query.goal, self.sizes)
        _shapes(self.proof, self.elements, cases)
        if not all(cases):
            _wrong("a case that facts can exclude", "one that is always true", "facts in each")
        self._root()
        seen, leaves = set[int](), list[tuple[int, list[Fact], ExactBox, Floats, Floats]]()
        for facts, root in zip(cases, self.proof.roots.tolist(), strict=True):
            pending: list[tuple[int, ExactBox, Floats, Floats]] = [(root, self.box, self.proof.low, self.proof.high)]
            while pending:
                self.deadline.check()
                node, box, low, high = pending.pop()
                if not 0 <= node < len(self.proof.tree) or node in seen:
                    _wrong("a node that there is, once", node, f"0 to {len(self.proof.tree) - 1}")
                seen.add(node)
                kind, place, below, above = self.proof.tree[node].tolist()
                if kind == CLOSE:
                    leaves.append((place, facts, box, low, high))
                elif kind == RELU and 0 <= place < self.elements:
                    pending += [(below, box, low, _with(high, place, min)), (above, box, _with(low, place, max), high)]
                elif kind == INPUT and 0 <= place < self.inputs:
                    pending += [(below, box.half(place, above=False), low, high), (above, box.half(place, above=True), low, high)]
                else:
                    _wrong("a split of an element that there is", (kind, place), "a ReLU or an input")
        for start in range(0, len(leaves), PIECE):
            self._close(leaves[start : start + PIECE])
        return len(leaves)

    def _close(self, leaves: Sequence[tuple[int, list[Fact], ExactBox, Floats, Floats]]) -> None:
        """Derive that the weighted sum of the facts of each leaf is below zero, or at most zero where one that counts is strict."""
        self.deadline.check()
        numbers = [leaf[0] for leaf in leaves]
        if not all(0 <= n < len(self.proof.weights) for n in numbers):
            _wrong("a leaf that there is", numbers, f"0 to {len(self.proof.weights) - 1}")
        seeds: dict[int, list[list[Fraction]]] = {}
        strict: list[bool] = []
        for row, (n, facts, _, _, _) in enumerate(leaves):
            weights = [Fraction(w) for w in self.proof.weights[n, : len(facts)].tolist()]
            if any(w < 0 for w in weights):
                _wrong("weights of facts", min(weights), "at least 0")
            strict.append(any(w > 0 and fact[2] for w, fact in zip(weights, facts, strict=True)))
            for w, (node, element, _) in zip(weights, facts, strict=True):
                rows = seeds.setdefault(node, [[Fraction(0)] * self.sizes[node] for _ in leaves])
                rows[row][element] -= w
        low, high = (np.array([leaf[i] for leaf in leaves]) for i in (3, 4))
        given = {node: WholeMultiples.of(np.array(rows, dtype=object)) for node, rows in seeds.items()}
        slopes, shifts = self.proof.slopes[numbers], self.proof.shifts[numbers]
        found = self.bound(given, [leaf[2] for leaf in leaves], low, high, slopes, shifts)
        for n, least, above in zip(numbers, found, strict, strict=True):
            if not (least > 0 or (least == 0 and above)):
                _wrong(f"leaf {n} is closed", float(least), "a bound above 0")

    def _root(self) -> None:
        """Derive the bounds of what every ReLU reads, by intervals or backwards, each from those of the ReLUs before."""
        values: list[tuple[WholeMultiples, WholeMultiples]] = []
        for k, node in enumerate(self.query.program):
            self.deadline.check()
            match node:
                case Input():
                    ends = (np.array(v[self.input_place[k]], dtype=object) for v in (self.box.lower, self.box.upper))
                    lower, upper = (WholeMultiples.of(v) for v in ends)
                    values.append((lower, upper))
                case Affine(terms):
                    lower = upper = self.biases[k]
                    for t, (_, a) in enumerate(terms):
                        low, high = _interval(*self.maps[k, t], *values[a])
                        lower, upper = lower.plus(low), upper.plus(high)
                    values.append((lower, upper))
                case Apply(a):
                    self._claims(k, a, *values[a])
                    low, high = (np.maximum(v[self.place[k]], 0.0) for v in (self.proof.low, self.proof.high))
                    values.append((WholeMultiples.of(low), WholeMultiples.of(high)))
                case _:
                    raise AssertionError("such nodes were refused")

    def _claims(self, k: int, a: int, lower: WholeMultiples, upper: WholeMultiples) -> None:
        """Check what is claimed of the argument `a` of a ReLU: by its interval, else backwards."""
        low, high = self.proof.low, self.proof.high
        slopes, shifts = np.where(high > -low, 1.0, 0.0)[None], np.zeros((1, self.elements))
        for sign, ends, known in ((1, low, lower.numbers), (-1, -high, -upper.numbers)):
            unit = lower.unit if sign > 0 else upper.unit
            claimed = [Fraction(v) for v in ends[self.place[k]].tolist()]
            pending = [i for i, (claim, number) in enumerate(zip(claimed, known.tolist(), strict=True)) if Fraction(number, unit) < claim]
            for start in range(0, len(pending), PIECE):
                self.deadline.check()
                rows = pending[start : start + PIECE]
                seed = np.zeros((len(rows), self.sizes[k]), dtype=object)
                seed[np.arange(len(rows)), rows] = sign
                found = self.bound({a: WholeMultiples(seed, 1)}, [self.box], low[None], high[None], slopes, shifts)
                for row, least in zip(rows, found, strict=True):
                    if least < claimed[row]:
                        _wrong(f"a bound of element {row} of what ReLU {k} reads", float(claimed[row]) * sign, float(least) * sign)

    def bound(
        self, seeds: dict[int, WholeMultiples], boxes: Sequence[ExactBox], low: Floats, high: Floats, slopes: Floats, shifts: Floats
    ) -> list[Fraction]:
        """Return exact lower bounds of `sum of seed * node` for every row; ends and multipliers of one row are those of all."""
        held = dict(seeds)
        total = [Fraction(0)] * len(next(iter(seeds.values())).numbers)
        for k in range(max(seeds), -1, -1):
            if k not in held:
                continue
            c = held.pop(k)
            node = self.query.program[k]
            match node:
                case Input():
                    total = _sum(total, _corner(c, boxes, self.input_place[k]))
                case Affine(terms):
                    bias = self.biases[k]
                    dots: list[int] = (c.numbers @ bias.numbers).tolist() if bias.numbers.size else [0] * len(total)
                    total = _sum(total, [Fraction(d, c.unit * bias.unit) for d in dots])
                    for t, (_, a) in enumerate(terms):
                        _hold(held, a, _through(c, *self.maps[k, t]))
                case Apply(a):
                    place = self.place[k]
                    p, rest = _relu(c, low[:, place], high[:, place], slopes[:, place], shifts[:, place])
                    total = _sum(total, rest)
                    _hold(held, a, p)
                case _:
                    raise AssertionError("such nodes were refused")
        return total


def _relu(c: WholeMultiples, low: Floats, high: Floats, slopes: Floats, shifts: Floats) -> tuple[WholeMultiples, list[Fraction]]:
    """Return multipliers of what a ReLU reads, and the exact least values of the rest."""
    about = c.doubles()
    open_ = (low < 0) & (high > 0)
    chord = np.where(open_, high / np.where(open_, high - low, 1.0), np.where(low >= 0, 1.0, 0.0))
    wanted = np.where(open_ & (about >= 0), slopes, chord) * about + shifts
    if not bool(np.all(np.abs(wanted) < 2.0**60)):
        _wrong("multipliers", float(np.abs(wanted).max()), "below 2**60")
    numbers = np.empty(wanted.size, dtype=object)
    numbers[:] = [int(v) for v in np.rint(np.ldexp(wanted, GRID)).reshape(-1).tolist()]
    p = WholeMultiples(numbers.reshape(wanted.shape), 1 << GRID)
    ends = [WholeMultiples.of(v) for v in (low, high)]
    unit = lcm(c.unit, p.unit)
    scale_c, scale_p = unit // c.unit, unit // p.unit
    common = lcm(ends[0].unit, ends[1].unit)
    values: list[Ints] = []
    for end in ends:
        v = np.broadcast_to(end.numbers * (common // end.unit), c.numbers.shape)
        values.append(c.numbers * np.maximum(v, 0) * scale_c - p.numbers * v * scale_p)
    least = np.where(values[0] <= values[1], values[0], values[1])
    least = np.where(np.broadcast_to(open_, least.shape) & (least > 0), 0, least)
    return p, [Fraction(int(v), unit * common) for v in least.sum(axis=1)] if least.shape[1] else [Fraction(0)] * len(least)


def _corner(c: WholeMultiples, boxes: Sequence[ExactBox], place: slice) -> list[Fraction]:
    """Return the least values of linear functions on boxes."""
    found: list[Fraction] = []
    known: dict[int, tuple[WholeMultiples, WholeMultiples]] = {}
    for row in range(len(c.numbers)):
        box = boxes[row if len(boxes) > 1 else 0]
        if id(box) not in known:
            ends = (np.array(v[place], dtype=object) for v in (box.lower, box.upper))
            lower, upper = (WholeMultiples.of(v) for v in ends)
            known[id(box)] = lower, upper
        lower, upper = known[id(box)]
        own = c.numbers[row]
        rising = np.array(own > 0, dtype=np.bool_)
        ends = (np.dot(own[rising], lower.numbers[rising]), np.dot(own[~rising], upper.numbers[~rising]))
        found.append(Fraction(int(ends[0]), c.unit * lower.unit) + Fraction(int(ends[1]), c.unit * upper.unit))
    return found


def _prepared(m: RealMap) -> tuple[list[Floats] | Entries, WholeMultiples]:
    """Return a map in short parts, or its entries, with its numbers."""
    if isinstance(m, Entries):
        return m, WholeMultiples.of(m.coefficients)
    whole = WholeMultiples.of(m.matrix)
    return parts(whole.numbers), whole


def _through(c: WholeMultiples, m: list[Floats] | Entries, whole: WholeMultiples) -> WholeMultiples:
    """Return the coefficients of what a map reads."""
    if not isinstance(m, Entries):
        return WholeMultiples(product(c.numbers, m), c.unit * whole.unit)
    found = np.zeros((m.inputs, len(c.numbers)), dtype=object)
    np.add.at(found, m.columns, (c.numbers[:, m.rows] * whole.numbers).T)
    return WholeMultiples(found.T, c.unit * whole.unit)


def _interval(
    m: list[Floats] | Entries, whole: WholeMultiples, lower: WholeMultiples, upper: WholeMultiples
) -> tuple[WholeMultiples, WholeMultiples]:
    """Return between what a map lies where its argument is in an interval."""
    unit = lcm(lower.unit, upper.unit)
    low, high = lower.numbers * (unit // lower.unit), upper.numbers * (unit // upper.unit)
    rising, falling = np.maximum(whole.numbers, 0), np.minimum(whole.numbers, 0)
    if isinstance(m, Entries):
        least, most = np.zeros(m.outputs, dtype=object), np.zeros(m.outputs, dtype=object)
        np.add.at(least, m.rows, rising * low[m.columns] + falling * high[m.columns])
        np.add.at(most, m.rows, rising * high[m.columns] + falling * low[m.columns])
    else:
        least, most = rising @ low + falling @ high, rising @ high + falling @ low
    return WholeMultiples(least, unit * whole.unit), WholeMultiples(most, unit * whole.unit)


def _hold(held: dict[int, WholeMultiples], a: int, c: WholeMultiples) -> None:
    held[a] = held[a].plus(c) if a in held else c


def _sum(one: list[Fraction], other: list[Fraction]) -> list[Fraction]:
    return [a + b for a, b in zip(one, other, strict=True)]


def _with(values: Floats, place: int, end: Any) -> Floats:
    changed = values.copy()
    changed[place] = end(float(values[place]), 0.0)
    return changed


def _cases(goal: Formula, size: Sequence[int]) -> list[list[Fact]]:
    """Return the facts of each case: the goal is true if and only if all facts of some case hold."""
    match goal:
        case Truth(value):
            return [[]] if value else []
        case All(node, strict):
            return [[(node, k, strict) for k in range(size[node])]]
        case AnyOf(node, strict):
            return [[(node, k, strict)] for k in range(size[node])]
        case Or(children):
            return [case for child in children for case in _cases(child, size)]
        case And(children):
            found: list[list[Fact]] = [[]]
            for child in children:
                found = [list(dict.fromkeys([*a, *b])) for a in found for b in _cases(child, size)]
            return found


def _shapes(proof: RealProof, elements: int, cases: Sequence[Sequence[Fact]]) -> None:
    leaves, nodes = (len(array) if array.ndim else 0 for array in (proof.weights, proof.tree))
    wanted = {
        "low": (elements,),
        "high": (elements,),
        "tree": (nodes, 4),
        "roots": (len(cases),),
        "slopes": (leaves, elements),
        "shifts": (leaves, elements),
        "weights": (leaves, max(map(len, cases), default=0)),
    }
    for name, shape in wanted.items():
        if getattr(proof, name).shape != shape:
            _wrong(f"the array {name!r}", getattr(proof, name).shape, shape)
    for name in ("low", "high", "slopes", "shifts", "weights"):
        if not bool(np.all(np.isfinite(getattr(proof, name)))):
            _wrong(f"the array {name!r}", "infinite", "finite numbers")


def _wrong(what: str, given: object, expected: object) -> NoReturn:
    raise CertificateError(f"the proof is wrong: {what}", given=given, expected=str(expected))


def check(proof: RealProof, query: Query, deadline: Deadline = NEVER) -> int:
    """Check that a proof excludes every solution of a piecewise-linear query; return the number of its leaves.

    Maxima are written as ReLUs first (qspec.ir.relus), which is trusted. Raises CertificateError where the proof is wrong, OutOfTime at
    the deadline.
    """
    try:
        with np.errstate(over="ignore"):
            return Checker(with_relus(query), proof, deadline).check()
    except OverflowError as error:
        _wrong("numbers", str(error), "numbers that doubles come near to")
