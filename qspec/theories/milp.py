"""Lower a query to a mixed-integer linear problem, exactly: its solutions, read at the inputs, are those of the query.

Whatever has pieces (a saturated rounding, steps, a table) is written in incremental form: binaries `z1 >= z2 >= ...` say which pieces are
reached, and the argument and each floor are split over the pieces, so that no constant is larger than the proved bounds of what it
bounds, and the relaxation is as tight as the pieces allow. Sources: the incremental form, Markowitz and Manne 1957, and Padberg 2000; its
sharpness, Vielma, Ahmed and Nemhauser 2010; binary expansion of products, Glover 1975; one binary for each member of a maximum, Tjeng,
Xiao and Tedrake 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import assert_never

from qspec.bounds.interval import Interval
from qspec.deadline import NEVER, Deadline
from qspec.errors import UnsupportedError
from qspec.ir.integer import FALSE, Affine, All, And, Any, Formula, Input, Maximum, Node, Or, Product, Query, Staircase, Table, Truth, Wrap
from qspec.problem import MilpProblem, Symbol
from qspec.theories import pieces
from qspec.theories.milp_rows import Element, LinearForm, Model, weighted
from qspec.theories.pieces import FloorDivision, Piece
from qspec.theories.rows import gather
from qspec.theories.smtlib_text import symbol_name

WIDEST_FACTOR = 16
"""Bits of the narrower factor of a product, each of which becomes a binary."""
FEW_TERMS = 2
"""An element of more terms becomes a column where it is used more than once."""

Ends = tuple[int, int]


def lower(query: Query, bounds: Sequence[Interval], deadline: Deadline = NEVER) -> MilpProblem:
    """Return the query as a MILP; `bounds` has a valid interval for every node, and no constant is larger than those need.

    Raises UnsupportedError if a number exceeds 2**53, or if two variables are multiplied of which neither has at most `WIDEST_FACTOR` bits.
    """
    lowering = _MilpLowering(bounds, deadline)
    for position, node in enumerate(query.program):
        lowering.add(position, node)
    lowering.require(query.goal)
    return lowering.model.problem(tuple(lowering.symbols), {name: node.lower for name, node in query.inputs.items()})


def column_name(label: str, k: int) -> str:
    """Return the name of the column of an input element: like that of SMT-LIB, but also simple in LP files.

    There a minus is an operator, and a name must not look like an exponent (`e1`).
    """
    name = symbol_name(label, k).replace("-", "%2D")
    return f"~{name}" if name[0] in "eE" else name


class _MilpLowering:
    """The model, and the elements of the nodes written so far."""

    def __init__(self, bounds: Sequence[Interval], deadline: Deadline) -> None:
        self._deadline = deadline
        self.model = Model()
        self.symbols: list[Symbol] = []
        self._ends = [list(zip(x.lower.tolist(), x.upper.tolist(), strict=True)) for x in bounds]
        self._nodes: list[list[Element]] = []
        self._bits: dict[tuple[int, int], list[tuple[int, Element]]] = {}
        self._guards = 0

    def add(self, position: int, node: Node) -> None:
        """Write the columns and rows of one node; an element that its bounds fix needs none. Raises OutOfTime and OutOfMemory."""
        self._deadline.check()
        if isinstance(node, Affine):
            self._nodes.append(self._affine(position, node))
            return
        ends = enumerate(self._ends[position])
        self._nodes.append([low if low == high else self._element(node, f"n{position}.{k}", k, (low, high)) for k, (low, high) in ends])

    def _element(self, node: Input | Staircase | Table | Product | Maximum | Wrap, name: str, k: int, ends: Ends) -> Element:
        match node:
            case Input(label):
                self.symbols.append(Symbol(column_name(label, k), "Int", label, k))
                return self.model.column(self.symbols[-1].text, *ends)
            case Staircase(a, steps):
                return self._function(name, a, k, pieces.staircase(steps, k, *self._range(a, k)), ends)
            case Table(a, first, values):
                return self._function(name, a, k, pieces.table(int(first[k]), values[k], *self._range(a, k)), ends)
            case Product(left, right):
                return self._product(name, (left, k), (right, k))
            case Maximum(a, groups):
                return self._maximum(name, a, [int(g) for g in groups[k] if g >= 0], ends)
            case Wrap(a, width, signed):
                return self._wrap(name, a, k, int(width[k]), signed)
            case _:
                assert_never(node)

    def _range(self, node: int, k: int) -> Ends:
        element = self._nodes[node][k]
        return (element, element) if isinstance(element, int) else self._ends[node][k]

    def _settled(self, node: int, k: int) -> Element:
        """Return an element in few terms; a longer one becomes a column first."""
        element = self._nodes[node][k]
        if isinstance(element, int) or len(element.weights) <= FEW_TERMS:
            return element
        column = self.model.column(f"n{node}.{k}", *self._ends[node][k])
        self.model.equal(element, column)
        self._nodes[node][k] = column
        return column

    def _affine(self, position: int, node: Affine) -> list[Element]:
        for a in dict.fromkeys(a for _, a in node.terms):
            for k in range(len(self._nodes[a])):
                self._settled(a, k)
        read: list[list[LinearForm | int]] = self._nodes
        rows = gather(node, read, lambda element: element.constant, self._deadline)
        elements: list[Element] = []
        for (low, high), (constant, columns, weights) in zip(self._ends[position], rows, strict=True):
            terms = ((w, LinearForm(0, rows.variables[c].weights)) for c, w in zip(columns, weights, strict=True))
            elements.append(low if low == high else weighted(*terms, constant=constant))
        return elements

    def _function(self, name: str, a: int, k: int, parts: list[Piece], ends: Ends) -> Element:
        """Return a function of one element, given piece by piece."""
        domain = self._range(a, k)
        if isinstance(self._nodes[a][k], int):
            return next(p for p in reversed(parts) if p.start <= domain[0])(domain[0])
        if len(parts) == 1:
            scaled = len(parts[0].floors) > 1 or any(f.denominator > 1 and f.numerator > 1 for f in parts[0].floors)
            x = self._settled(a, k) if scaled else self._nodes[a][k]
            return self._piece(name, parts[0], domain, weighted((1, x), constant=-domain[0]), 1)
        result = self._pieces(name, self._settled(a, k), parts, domain)
        if isinstance(result, int) or len(result.weights) == 1:
            return result
        column = self.model.column(name, *ends)
        self.model.equal(result, column)
        return column

    def _pieces(self, name: str, x: Element, parts: list[Piece], domain: Ends) -> Element:
        """Return a function of several pieces: the sum of them all, each 0 where it is not reached or left behind."""
        model = self.model
        reached = [1, *(model.binary(f"{name}.z{j}") for j in range(1, len(parts))), 0]
        for first, second in pairwise(reached[1:-1]):
            model.require(weighted((1, first), (-1, second)), 0, None)
        rest: list[tuple[int, Element]] = [(1, x)]
        room: list[tuple[int, Element]] = []
        total: list[tuple[int, Element]] = []
        for j, part in enumerate(parts):
            start, end = part.start, parts[j + 1].start - 1 if j + 1 < len(parts) else domain[1]
            on = weighted((1, reached[j]), (-1, reached[j + 1]))
            rest.append((-start, on))
            if not part.floors:
                room.append((end - start, on))
                total.append((part.constant, on))
                continue
            inside = model.column(f"{name}.a{j}", 0, end - start)
            model.require(weighted((end - start, on), (-1, inside)), 0, None)
            rest.append((-1, inside))
            total.append((1, self._piece(f"{name}.{j}", part, (start, end), inside, on)))
        model.require(weighted(*rest), 0, None)
        model.require(weighted(*room, *((-f, e) for f, e in rest)), 0, None)
        return weighted(*total)

    def _piece(self, name: str, part: Piece, domain: Ends, inside: Element, on: Element) -> Element:
        """Return a piece where `on` is 1, and 0 where it is 0; `inside` is the argument less the start of the piece, or 0.

        With `f(start) = q0` and the remainder r of that division, `f(start + t) = q0 + q` with `0 <= n * t + r - d * q < d`.
        """
        total: list[tuple[int, Element]] = [(part.constant, on)]
        for i, floor in enumerate(part.floors):
            total.append((floor(domain[0]), on))
            total.append((1, self._floor(f"{name}.q{i}", floor, domain, inside, on)))
        return weighted(*total)

    def _floor(self, name: str, floor: FloorDivision, domain: Ends, inside: Element, on: Element) -> Element:
        n, d = floor.numerator, floor.denominator
        if d == 1:
            return weighted((n, inside))
        rise = floor(domain[1]) - floor(domain[0])
        remainder = (n * domain[0] + floor.offset) % d
        quotient = self.model.column(name, 0, rise)
        terms: tuple[tuple[int, Element], ...] = ((n, inside), (-d, quotient))
        if isinstance(on, int):
            self.model.require(weighted(*terms), -remainder, d - 1 - remainder)
            return quotient
        self.model.require(weighted(*terms, (remainder, on)), 0, None)
        self.model.require(weighted(*terms, (remainder - d + 1, on)), None, 0)
        self.model.require(weighted((rise, on), (-1, quotient)), 0, None)
        return quotient

    def _product(self, name: str, left: tuple[int, int], right: tuple[int, int]) -> Element:
        """Return a product: the narrower factor bit by bit, each bit times the other factor."""
        x, y = self._nodes[left[0]][left[1]], self._nodes[right[0]][right[1]]
        if isinstance(x, int):
            return weighted((x, y))
        if isinstance(y, int):
            return weighted((y, x))
        spans = [high - low for low, high in (self._range(*left), self._range(*right))]
        narrow, wide = (left, right) if spans[0] <= spans[1] else (right, left)
        if min(spans).bit_length() > WIDEST_FACTOR:
            raise UnsupportedError(
                "both factors of a product are too wide for a linear problem",
                given=f"{spans[0].bit_length()} and {spans[1].bit_length()} bits",
                expected=f"one of at most {WIDEST_FACTOR}",
                advice="solve it as QF_BV",
            )
        other, (low, high) = self._settled(*wide), self._range(*wide)
        total: list[tuple[int, Element]] = [(self._range(*narrow)[0], other)]
        for j, (weight, bit) in enumerate(self._expansion(*narrow)):
            both = self.model.column(f"{name}.p{j}", 0, high - low)
            above: Element = weighted((1, other), constant=-low)
            self.model.require(weighted((high - low, bit), (-1, both)), 0, None)
            self.model.require(weighted((1, above), (-1, both)), 0, None)
            self.model.require(weighted((1, above), (-1, both), (high - low, bit)), None, high - low)
            total += [(weight, both), (weight * low, bit)]
        return weighted(*total)

    def _expansion(self, node: int, k: int) -> list[tuple[int, Element]]:
        """Return the bits of an element above its lower end, with their weights."""
        if (node, k) not in self._bits:
            low, high = self._range(node, k)
            bits = [(1 << j, self.model.binary(f"n{node}.{k}.b{j}")) for j in range((high - low).bit_length())]
            self.model.equal(self._nodes[node][k], weighted(*bits, constant=low))
            self._bits[node, k] = bits
        return self._bits[node, k]

    def _maximum(self, name: str, a: int, members: list[int], ends: Ends) -> Element:
        """Return the maximum; members that are never above the greatest lower end are that end, and one binary names who attains it."""
        least = max(self._range(a, g)[0] for g in members)
        kept = [g for g in dict.fromkeys(members) if self._range(a, g)[1] > least]
        elements = [(self._settled(a, g), self._range(a, g)[0]) for g in kept]
        if all(low < least for _, low in elements):
            elements.append((least, least))
        if len(elements) == 1:
            return elements[0][0]
        best = self.model.column(name, *ends)
        chosen = [self.model.binary(f"{name}.z{j}") for j in range(len(elements) - 1)]
        chosen.append(weighted(*((-1, z) for z in chosen), constant=1))
        self.model.require(chosen[-1], 0, None)
        for (element, low), z in zip(elements, chosen, strict=True):
            above: Element = weighted((1, best), (-1, element))
            self.model.require(above, 0, None)
            self.model.require(weighted((1, above), (ends[1] - low, z)), None, ends[1] - low)
        return best

    def _wrap(self, name: str, a: int, k: int, width: int, signed: bool) -> Element:
        """Return the low bits: the argument less a whole number of turns."""
        modulus = 1 << width
        least = -(modulus >> 1) if signed else 0
        x, domain = self._nodes[a][k], self._range(a, k)
        if isinstance(x, int):
            return (x - least) % modulus + least
        turns = self.model.column(f"{name}.t", *((end - least) // modulus for end in domain))
        if isinstance(turns, int):
            return weighted((1, x), constant=-turns * modulus)
        result = weighted((1, self._settled(a, k)), (-modulus, turns))
        self.model.require(result, least, least + modulus - 1)
        return result

    def require(self, formula: Formula) -> None:
        """Write the goal."""
        self._imply(formula, 1)

    def _imply(self, formula: Formula, guard: Element) -> None:
        """Require a formula where `guard` is 1; what the bounds decide is left out."""
        match formula:
            case Truth(value):
                if not value:
                    self.model.require(guard, None, 0)
            case All(node):
                for k in range(len(self._ends[node])):
                    self._at_least_zero(node, k, guard)
            case And(children):
                for child in children:
                    self._imply(child, guard)
            case Any(node):
                atoms = [partial(self._at_least_zero, node, k) for k, (_, high) in enumerate(self._ends[node]) if high >= 0]
                if not any(low >= 0 for low, _ in self._ends[node]):
                    self._some(atoms, guard)
            case Or(children):
                self._some([partial(self._imply, c) for c in children if c != FALSE], guard)
            case _:
                assert_never(formula)

    def _some(self, parts: Sequence[Callable[[Element], None]], guard: Element) -> None:
        """Require one of several parts where `guard` is 1: a binary for each that implies it."""
        if len(parts) == 1:
            parts[0](guard)
            return
        chosen: list[Element] = []
        for part in parts:
            self._guards += 1
            chosen.append(self.model.binary(f"g{self._guards}"))
            part(chosen[-1])
        self.model.require(weighted(*((1, z) for z in chosen), (-1, guard)), 0, None)

    def _at_least_zero(self, node: int, k: int, guard: Element) -> None:
        """Require that an element is at least 0 where `guard` is 1; where it is 0, that is a row the lower end of the element meets."""
        low, high = self._range(node, k)
        if low >= 0:
            return
        if high < 0:
            self.model.require(guard, None, 0)
            return
        self.model.require(weighted((1, self._nodes[node][k]), (low, guard)), low, None)
