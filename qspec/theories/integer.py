"""Lower a query to linear integer arithmetic (SMT-LIB logic QF_LIA), exactly; two variables multiplied make it QF_NIA.

There is no `div` and no `mod`: a rounding declares its quotient q and asserts `0 <= n * a + o - d * q < d` and the bounds of q.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from qspec.bounds.interval import Interval
from qspec.deadline import NEVER, Deadline
from qspec.ir.integer import Affine, Input, Maximum, Node, Product, Query, Staircase, Table, Wrap
from qspec.problem import SmtProblem, Symbol
from qspec.theories import pieces
from qspec.theories.pieces import FloorDivision, Piece
from qspec.theories.rows import gather
from qspec.theories.smtlib_text import Script, apply, conjuncts, numeral, select, symbol_name

Element = str | int
"""One element of a node: a term, or its value where that is fixed."""

Ends = tuple[int, int]


@dataclass(frozen=True, slots=True)
class IntegerEncoding:
    """How a query is written in integers."""

    assert_bounds: bool = False
    """Assert the bounds of every element that varies, which follow from the rest, as well."""


DEFAULT = IntegerEncoding()


def lower(query: Query, bounds: Sequence[Interval], options: IntegerEncoding = DEFAULT, deadline: Deadline = NEVER) -> SmtProblem:
    """Return the query as a QF_LIA problem, or QF_NIA if two variables are multiplied; `bounds` has a valid interval for every node."""
    lowering = _IntegerLowering(bounds, options, deadline)
    for position, node in enumerate(query.program):
        lowering.add(position, node)
    script = lowering.script
    for formula in conjuncts(query.goal, bounds, lowering.atom):
        script.require(formula)
    inputs = {name: node.lower for name, node in query.inputs.items()}
    return SmtProblem(script.logic, script.text(), tuple(lowering.symbols), inputs)


class _IntegerLowering:
    """The script, and the elements of the nodes written so far."""

    def __init__(self, bounds: Sequence[Interval], options: IntegerEncoding, deadline: Deadline) -> None:
        self._deadline = deadline
        self.script = Script("QF_LIA")
        self.symbols: list[Symbol] = []
        self._ends = [list(zip(x.lower.tolist(), x.upper.tolist(), strict=True)) for x in bounds]
        self._options = options
        self._nodes: list[list[Element]] = []

    def atom(self, node: int, k: int) -> str:
        """Return the formula that an element is at least zero."""
        element = self._nodes[node][k]
        return f"(>= {element} 0)" if isinstance(element, str) else str(element >= 0).lower()

    def add(self, position: int, node: Node) -> None:
        """Write the terms of one node; an element that its bounds fix needs none. Raises OutOfTime and OutOfMemory."""
        self._deadline.check()
        if isinstance(node, Affine):
            elements = self._affine(position, node)
        else:
            ends = enumerate(self._ends[position])
            elements = [low if low == high else self._element(node, f"{position}.{k}", k, (low, high)) for k, (low, high) in ends]
        if self._options.assert_bounds and not isinstance(node, Input):
            for element, ends in zip(elements, self._ends[position], strict=True):
                if isinstance(element, str):
                    self._between(element, ends)
        self._nodes.append(elements)

    def _element(self, node: Input | Staircase | Table | Product | Maximum | Wrap, name: str, k: int, ends: Ends) -> Element:
        match node:
            case Input(label):
                self.symbols.append(Symbol(self._variable(symbol_name(label, k), ends), "Int", label, k))
                return self.symbols[-1].text
            case Staircase(a, steps):
                return self._function(name, self._nodes[a][k], pieces.staircase(steps, k, *self._range(a, k)), self._range(a, k))
            case Table(a, first, values):
                parts = pieces.table(int(first[k]), values[k], *self._range(a, k))
                return self._function(name, self._nodes[a][k], parts, self._range(a, k))
            case Product(left, right):
                return self._product(name, self._nodes[left][k], self._nodes[right][k])
            case Maximum(a, groups):
                members = [int(g) for g in groups[k] if g >= 0]
                return self._maximum(name, [self._nodes[a][g] for g in members], [self._range(a, g) for g in members])
            case Wrap(a, width, signed):
                return self._wrap(name, self._nodes[a][k], self._range(a, k), int(width[k]), signed)
            case _:
                assert_never(node)

    def _range(self, node: int, k: int) -> Ends:
        element = self._nodes[node][k]
        return (element, element) if isinstance(element, int) else self._ends[node][k]

    def _variable(self, name: str, ends: Ends) -> str:
        self.script.declare(name, "Int")
        self._between(name, ends)
        return name

    def _between(self, term: str, ends: Ends) -> None:
        """Require both ends of a term, by two comparisons: chains such as `(<= a b c)` are standard, but not read by pySMT."""
        self.script.require(f"(and (<= {numeral(ends[0])} {term}) (<= {term} {numeral(ends[1])}))")

    def _define(self, name: str, term: str) -> str:
        return self.script.define(f"n{name}", "Int", term)

    def _affine(self, position: int, node: Affine) -> list[Element]:
        rows = gather(node, self._nodes, lambda _: 0, self._deadline)
        elements: list[Element] = []
        for k, ((low, high), (constant, columns, weights)) in enumerate(zip(self._ends[position], rows, strict=True)):
            if low == high or not columns:
                elements.append(low if low == high else constant)
            elif weights == [1] and constant == 0:
                elements.append(rows.variables[columns[0]])
            else:
                products = [_times(rows.variables[c], w) for c, w in zip(columns, weights, strict=True)]
                elements.append(self._define(f"{position}.{k}", _plus(products, constant)))
        return elements

    def _function(self, name: str, x: Element, parts: list[Piece], domain: Ends) -> Element:
        """Return a function of one element, given piece by piece."""
        if isinstance(x, int):
            return next(p for p in reversed(parts) if p.start <= x)(x)
        texts = [
            _plus([self._floor(f"{name}.{j}.{i}", x, f, domain) for i, f in enumerate(p.floors)], p.constant) for j, p in enumerate(parts)
        ]
        if len(parts) == 1 and (not parts[0].floors or not texts[0].startswith("(")):
            return texts[0] if parts[0].floors else parts[0].constant
        return self._define(name, select([p.start for p in parts], texts, lambda start: f"(>= {x} {numeral(start)})"))

    def _floor(self, name: str, x: str, floor: FloorDivision, domain: Ends) -> str:
        """Return the value of a floor: the quotient of a division whose remainder is asserted to be in range."""
        n, o, d = floor.numerator, floor.offset, floor.denominator
        value = _plus([_times(x, n)], o)
        if d == 1:
            return value
        quotient = self._variable(f"q{name}", (floor(domain[0]), floor(domain[1])))
        self._between(_plus([_times(x, n), _times(quotient, -d)], o), (0, d - 1))
        return quotient

    def _product(self, name: str, x: Element, y: Element) -> Element:
        if isinstance(x, int):
            return x * y if isinstance(y, int) else self._define(name, _times(y, x))
        if isinstance(y, int):
            return self._define(name, _times(x, y))
        self.script.logic = "QF_NIA"
        return self._define(name, f"(* {x} {y})")

    def _maximum(self, name: str, members: list[Element], domains: list[Ends]) -> Element:
        """Return the maximum; members that are never above the greatest lower end are that end."""
        least = max(low for low, _ in domains)
        kept = [(e, low) for e, (low, high) in zip(members, domains, strict=True) if isinstance(e, str) and high > least]
        if not kept:
            return least
        best = kept[0][0]
        others = [e for e, _ in kept[1:]] + [numeral(least)] * all(low < least for _, low in kept)
        for j, other in enumerate(others):
            best = self._define(f"{name}.{j}", f"(ite (>= {best} {other}) {best} {other})")
        return best

    def _wrap(self, name: str, x: Element, domain: Ends, width: int, signed: bool) -> Element:
        """Return the low bits: the argument less so many turns."""
        modulus = 1 << width
        least = -(modulus >> 1) if signed else 0
        if isinstance(x, int):
            return (x - least) % modulus + least
        turns = FloorDivision(1, -least, modulus)
        if turns(domain[0]) == turns(domain[1]):
            return self._define(name, _plus([x], -turns(domain[0]) * modulus))
        return self._define(name, _plus([x, _times(self._floor(name, x, turns, domain), -modulus)], 0))


def _times(term: str, factor: int) -> str:
    return term if factor == 1 else f"(* {numeral(factor)} {term})"


def _plus(terms: list[str], constant: int) -> str:
    return apply("+", [numeral(constant), *terms] if constant or not terms else terms, "0")
