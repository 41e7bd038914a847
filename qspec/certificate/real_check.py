"""Check a proof that a piecewise-linear real query has no solution, in whole numbers: nothing of the search is used or believed.

With coefficients c of `y = relu(z)` and any multipliers p of z, `c relu(z) >= p z + q` where q is the least of `c relu(v) - p v` at the
ends of z and at the kink. The checker rounds c down to a grid, as y is at least zero, and chooses p near `factor * c + shift` on it.
Everything else is exact: coefficients, q, and the least value at the corner of the box. First it derives the bounds of what every ReLU
reads that the proof claims, then it closes every leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.certificate.real_bound import ExactBox, corner, hold, interval, prepared, relu, through
from qspec.certificate.whole import WholeMultiples, parts, product
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
    Truth,
    fractions,
    sizes,
)
from qspec.ir.real import Any as AnyOf
from qspec.ir.real_proof import CLOSE, INPUT, RELU, Floats, RealProof
from qspec.ir.relus import with_relus

PIECE, WHOLE = 64, -1
"""Rows that are derived at once, and what stands for the whole box where there is a node of the tree."""
Fact = tuple[int, int, bool]
"""Node, element, and whether it has to be above zero."""


@dataclass(slots=True, eq=False)
class ProofPart:
    """A node of the tree with what is known on its box: bounds of what the ReLUs read."""

    node: int
    facts: list[Fact]
    box: ExactBox
    low: Floats
    high: Floats


_Claim = tuple[ProofPart, int, int, Fraction]
"""Where something is claimed, of which element of what ReLUs read, with which sign, and above what that is."""


class Checker:
    """A query made ready for exact bounds."""

    def __init__(self, query: Query, proof: RealProof, deadline: Deadline) -> None:
        self.query, self.proof, self.deadline = query, proof, deadline
        self.sizes = sizes(query.program)
        self.place, self.input_place = dict[int, slice](), dict[int, slice]()
        elements = inputs = 0
        self.biases, self.columns = dict[int, WholeMultiples](), dict[int, list[Floats]]()
        self.maps = dict[tuple[int, int], tuple[list[Floats] | Entries, WholeMultiples]]()
        for k, node in enumerate(query.program):
            match node:
                case Input():
                    self.input_place[k] = slice(inputs, inputs := inputs + self.sizes[k])
                case Apply(_, Function.RELU):
                    self.place[k] = slice(elements, elements := elements + self.sizes[k])
                case Affine(terms, bias):
                    self.biases[k] = WholeMultiples.of(bias)
                    self.columns[k] = parts(self.biases[k].numbers[:, None])
                    for t, (m, _) in enumerate(terms):
                        self.maps[k, t] = prepared(m)
                case _:
                    raise CertificateError(
                        "a node that proofs of ReLUs are not about", given=type(node).__name__, expected="affine maps and ReLUs"
                    )
        self.elements, self.inputs = elements, inputs
        boxes = [n for n in query.program if isinstance(n, Input)]
        self.claims = _by_node(proof.claims, self.place)
        self.box = ExactBox(*([v for n in boxes for v in fractions(getattr(n, end)).tolist()] for end in ("lower", "upper")))

    def check(self) -> int:
        """Check everything; return the number of leaves. Raises CertificateError."""
        cases = _cases(self.query.goal, self.sizes)
        _shapes(self.proof, self.elements, cases)
        if not all(cases):
            _wrong("a case that facts can exclude", "one that is always true", "facts in each")
        self._root()
        seen, leaves = set[int](), 0
        level = [
            ProofPart(root, f, self.box, self.proof.low, self.proof.high) for f, root in zip(cases, self.proof.roots.tolist(), strict=True)
        ]
        while level:
            for part in level:
                if not 0 <= part.node < len(self.proof.tree) or part.node in seen:
                    _wrong("a node that there is, once", part.node, f"0 to {len(self.proof.tree) - 1}")
                seen.add(part.node)
            for k in self.place:
                self._claimed(level, k)
            closed = [part for part in level if self.proof.tree[part.node, 0] == CLOSE]
            for start in range(0, len(closed), PIECE):
                self._close(closed[start : start + PIECE])
            leaves += len(closed)
            level = [child for part in level for child in self._children(part)]
        return leaves

    def _children(self, part: ProofPart) -> list[ProofPart]:
        """Return the parts of a node that is split."""
        kind, place, below, above = self.proof.tree[part.node].tolist()
        if kind == CLOSE:
            return []
        if kind == RELU and 0 <= place < self.elements:
            high, low = _with(part.high, place, min), _with(part.low, place, max)
            return [replace(part, node=below, high=high), replace(part, node=above, low=low)]
        if kind != INPUT or not 0 <= place < self.inputs:
            _wrong("a split of an element that there is", (kind, place), "a ReLU or an input")
        cut = Fraction(float(self.proof.cuts[part.node]))
        if not part.box.lower[place] <= cut <= part.box.upper[place]:
            _wrong(f"the cut of input {place}", float(cut), "a number in its interval")
        boxes = [part.box.part(place, cut, above=side) for side in (False, True)]
        return [replace(part, node=below, box=boxes[0]), replace(part, node=above, box=boxes[1])]

    def _claimed(self, level: Sequence[ProofPart], k: int) -> None:
        """Derive what is claimed of the argument of a ReLU on the boxes of some nodes, from what is known of the ReLUs before."""
        rows: list[_Claim] = []
        for part in level:
            for claim in self.claims.get((part.node, k), ()):
                element = int(self.proof.claims[claim, 1])
                low, high = self.proof.ends[claim].tolist()
                if low > part.low[element]:
                    rows.append((part, element, 1, Fraction(low)))
                if high < part.high[element]:
                    rows.append((part, element, -1, Fraction(-high)))
        self._derive(rows, k)
        for part, element, sign, claim in rows:
            if sign > 0:
                part.low = _set(part.low, element, float(claim))
            else:
                part.high = _set(part.high, element, -float(claim))

    def _derive(self, rows: Sequence[_Claim], k: int) -> None:
        """Derive claims about what a ReLU reads, backwards; raises CertificateError where one is more than follows."""
        node = self.query.program[k]
        assert isinstance(node, Apply)
        for start in range(0, len(rows), PIECE):
            self.deadline.check()
            own = rows[start : start + PIECE]
            seed = np.zeros((len(own), self.sizes[k]), dtype=np.int64)
            seed[np.arange(len(own)), [e - self.place[k].start for _, e, _, _ in own]] = [sign for _, _, sign, _ in own]
            low, high = (np.array([getattr(part, name) for part, _, _, _ in own]) for name in ("low", "high"))
            slopes, shifts = np.where(high > -low, 1.0, 0.0), np.zeros((1, self.elements))
            found = self.bound({node.argument: WholeMultiples(seed, 1)}, [part.box for part, _, _, _ in own], low, high, slopes, shifts)
            for (part, element, sign, claim), least in zip(own, found, strict=True):
                if least < claim:
                    where = "the whole box" if part.node == WHOLE else f"node {part.node}"
                    _wrong(f"a bound of element {element} at {where}", float(claim) * sign, float(least) * sign)

    def _close(self, leaves: Sequence[ProofPart]) -> None:
        """Derive that the weighted sum of the facts of each leaf is below zero, or at most zero where one that counts is strict."""
        self.deadline.check()
        numbers: list[int] = [int(self.proof.tree[leaf.node, 1]) for leaf in leaves]
        if not all(0 <= n < len(self.proof.weights) for n in numbers):
            _wrong("a leaf that there is", numbers, f"0 to {len(self.proof.weights) - 1}")
        seeds: dict[int, list[list[Fraction]]] = {}
        strict: list[bool] = []
        for row, (n, leaf) in enumerate(zip(numbers, leaves, strict=True)):
            weights = [Fraction(w) for w in self.proof.weights[n, : len(leaf.facts)].tolist()]
            if any(w < 0 for w in weights):
                _wrong("weights of facts", min(weights), "at least 0")
            strict.append(any(w > 0 and fact[2] for w, fact in zip(weights, leaf.facts, strict=True)))
            for w, (node, element, _) in zip(weights, leaf.facts, strict=True):
                rows = seeds.setdefault(node, [[Fraction(0)] * self.sizes[node] for _ in leaves])
                rows[row][element] -= w
        low, high = (np.array([getattr(leaf, name) for leaf in leaves]) for name in ("low", "high"))
        given = {node: WholeMultiples.of(np.array(rows, dtype=object)) for node, rows in seeds.items()}
        slopes, shifts = self.proof.slopes[numbers], self.proof.shifts[numbers]
        found = self.bound(given, [leaf.box for leaf in leaves], low, high, slopes, shifts)
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
                        low, high = interval(*self.maps[k, t], *values[a])
                        lower, upper = lower.plus(low), upper.plus(high)
                    values.append((lower, upper))
                case Apply(a):
                    self._claims(k, *values[a])
                    low, high = (np.maximum(v[self.place[k]], 0.0) for v in (self.proof.low, self.proof.high))
                    values.append((WholeMultiples.of(low), WholeMultiples.of(high)))
                case _:
                    raise AssertionError("such nodes were refused")

    def _claims(self, k: int, lower: WholeMultiples, upper: WholeMultiples) -> None:
        """Check what is claimed of the argument of a ReLU on the whole box: by its interval, else backwards."""
        whole, start, rows = ProofPart(WHOLE, [], self.box, self.proof.low, self.proof.high), self.place[k].start, list[_Claim]()
        for sign, ends, known in ((1, whole.low, lower), (-1, -whole.high, upper)):
            for i, (claim, number) in enumerate(zip(ends[self.place[k]].tolist(), known.numbers.tolist(), strict=True)):
                if Fraction(sign * number, known.unit) < Fraction(claim):
                    rows.append((whole, start + i, sign, Fraction(claim)))
        self._derive(rows, k)

    def bound(
        self, seeds: dict[int, WholeMultiples], boxes: Sequence[ExactBox], low: Floats, high: Floats, slopes: Floats, shifts: Floats
    ) -> list[Fraction]:
        """Return exact lower bounds of `sum of seed * node` for every row; ends and multipliers of one row are those of all."""
        held = dict(seeds)
        rows = len(next(iter(seeds.values())).numbers)
        total = WholeMultiples(np.zeros(rows, dtype=object), 1)
        for k in range(max(seeds), -1, -1):
            if k not in held:
                continue
            c = held.pop(k)
            node = self.query.program[k]
            match node:
                case Input():
                    total = total.plus(corner(c, boxes, self.input_place[k]))
                case Affine(terms):
                    bias = self.biases[k]
                    total = total.plus(WholeMultiples(product(c.numbers, self.columns[k])[:, 0], c.unit * bias.unit))
                    for t, (_, a) in enumerate(terms):
                        hold(held, a, through(c, *self.maps[k, t], down=isinstance(self.query.program[a], Apply)))
                case Apply(a):
                    place = self.place[k]
                    p, rest = relu(c, low[:, place], high[:, place], slopes[:, place], shifts[:, place])
                    total = total.plus(rest)
                    hold(held, a, p)
                case _:
                    raise AssertionError("such nodes were refused")
        return [Fraction(v, total.unit) for v in total.numbers.tolist()]


def _with(values: Floats, place: int, end: Any) -> Floats:
    return _set(values, place, end(float(values[place]), 0.0))


def _set(values: Floats, place: int, value: float) -> Floats:
    changed = values.copy()
    changed[place] = value
    return changed


def _by_node(claims: IntArray, place: dict[int, slice]) -> dict[tuple[int, int], list[int]]:
    """Return the numbers of claims by the node of the tree and the ReLU that they are about; raises CertificateError."""
    found: dict[tuple[int, int], list[int]] = {}
    elements = max((p.stop for p in place.values()), default=0)
    owner = [k for k, p in place.items() for _ in range(p.start, p.stop)]
    pairs: list[list[int]] = claims.tolist() if claims.shape[1:] == (2,) else []
    for number, (node, element) in enumerate(pairs):
        if not 0 <= element < elements:
            _wrong("a claim about an element that there is", element, f"0 to {elements - 1}")
        found.setdefault((node, owner[element]), []).append(number)
    return found


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
    leaves, nodes, claims = (len(array) if array.ndim else 0 for array in (proof.weights, proof.tree, proof.claims))
    wanted = {
        "low": (elements,),
        "high": (elements,),
        "tree": (nodes, 4),
        "cuts": (nodes,),
        "claims": (claims, 2),
        "ends": (claims, 2),
        "roots": (len(cases),),
        "slopes": (leaves, elements),
        "shifts": (leaves, elements),
        "weights": (leaves, max(map(len, cases), default=0)),
    }
    for name, shape in wanted.items():
        if getattr(proof, name).shape != shape:
            _wrong(f"the array {name!r}", getattr(proof, name).shape, shape)
    for name in ("low", "high", "cuts", "ends", "slopes", "shifts", "weights"):
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
