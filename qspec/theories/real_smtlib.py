"""Write a real query as SMT-LIB 2.6, exactly: QF_LRA, or QF_NRA where variables are multiplied, or QF_NRAT where exp is applied.

QF_NRAT is the reals with transcendental functions as cvc5 reads them; of these only `exp` is used. Others are unknowns of an equation:
`y = sigmoid(x)` is `y (1 + exp(-x)) = 1`, `y = tanh(x)` is `y (1 + exp(-2x)) = 1 - exp(-2x)`, `y = softplus(x)` is `exp(y) = 1 + exp(x)`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from fractions import Fraction
from typing import Literal, assert_never

from qspec.arithmetic.integers import integers
from qspec.deadline import NEVER, Deadline
from qspec.ir.enclosure import Enclosure, Values, bound
from qspec.ir.real import (
    Affine,
    All,
    And,
    Any,
    Apply,
    Formula,
    Function,
    Input,
    Maximum,
    Node,
    Or,
    Product,
    Query,
    Truth,
    entries,
    fractions,
    listed,
)
from qspec.problem import Fidelity, SmtProblem, Symbol
from qspec.theories.rows import ENTRY
from qspec.theories.smtlib_text import Script, apply, symbol_name

Element = str | Fraction
"""One element of a node: a term, or its value where that is fixed."""

LOGICS = ("QF_LRA", "QF_NRA", "QF_NRAT")
"""Each contains those before it."""


def lower(query: Query, relaxed: Collection[str] | None = None, deadline: Deadline = NEVER) -> SmtProblem:
    """Return a query as an SMT problem; raises UnsupportedError where it cannot be bounded (`qspec.ir.enclosure`).

    `relaxed` are the inputs that stand for the integers of another query, of which this is a relaxation: models tell these alone. Raises
    OutOfTime and OutOfMemory.
    """
    bounds = bound(query.program, deadline=deadline)
    lowering = _RealLowering(bounds, deadline)
    for position, node in enumerate(query.program):
        lowering.add(position, node)
    for formula in _conjuncts(query.goal, bounds, lowering):
        lowering.script.require(formula)
    told = query.inputs if relaxed is None else relaxed
    inputs = {name: node.lower for name, node in query.inputs.items() if name in told}
    return SmtProblem(
        lowering.script.logic,
        lowering.script.text(),
        tuple(s for s in lowering.symbols if s.input in told),
        inputs if relaxed is None else {name: integers(values) for name, values in inputs.items()},
        Fidelity.EXACT if relaxed is None else Fidelity.OVER,
        whole=relaxed is not None,
    )


def number(value: Fraction) -> str:
    """Return a rational as a term of the theory Reals."""
    size = f"{abs(value.numerator)}.0" if value.denominator == 1 else f"(/ {abs(value.numerator)}.0 {value.denominator}.0)"
    return size if value >= 0 else f"(- {size})"


class _RealLowering:
    """The script, and the elements of the nodes written so far."""

    def __init__(self, bounds: Sequence[Values], deadline: Deadline) -> None:
        self._deadline = deadline
        self.script = Script("QF_LRA")
        self.symbols: list[Symbol] = []
        self._bounds = bounds
        self._nodes: list[list[Element]] = []

    def compare(self, node: int, k: int, strict: bool) -> str:
        """Return the formula that an element is at least zero, or above."""
        x, ends = self._nodes[node][k], self._range(node, k)
        if ends.lower > 0 or (ends.lower == 0 and not strict):
            return "true"
        if ends.upper < 0 or (ends.upper == 0 and strict):
            return "false"
        return f"({'>' if strict else '>='} {_text(x)} 0.0)"

    def add(self, position: int, node: Node) -> None:
        """Write the terms of one node; an element that its bounds fix needs none. Raises OutOfTime and OutOfMemory."""
        self._deadline.check(ENTRY * listed(node))
        if isinstance(node, Affine):
            self._nodes.append(self._affine(position, node))
            return
        ends = enumerate(self._bounds[position])
        self._nodes.append([e.lower if e.lower == e.upper else self._element(node, f"{position}.{k}", k, e) for k, e in ends])

    def _element(self, node: Input | Apply | Product | Maximum, name: str, k: int, ends: Enclosure) -> Element:
        match node:
            case Input(label):
                x = self._variable(symbol_name(label, k))
                self.symbols.append(Symbol(x, "Real", label, k))
                self.script.require(f"(and (<= {number(ends.lower)} {x}) (<= {x} {number(ends.upper)}))")
                return x
            case Apply(a, function):
                return self._apply(function, name, self._nodes[a][k], self._range(a, k))
            case Product(left, right):
                return self._times(name, self._nodes[left][k], self._nodes[right][k])
            case Maximum(a, groups):
                members = [int(g) for g in groups[k] if g >= 0]
                return self._maximum(name, [self._nodes[a][g] for g in members], [self._range(a, g) for g in members])
            case _:
                assert_never(node)

    def _range(self, node: int, k: int) -> Enclosure:
        element = self._nodes[node][k]
        return Enclosure(element, element) if isinstance(element, Fraction) else self._bounds[node][k]

    def _variable(self, name: str) -> str:
        return self.script.declare(name, "Real")

    def _define(self, name: str, term: str) -> str:
        return self.script.define(f"n{name}", "Real", term)

    def _need(self, logic: Literal["QF_NRA", "QF_NRAT"]) -> None:
        self.script.logic = max(self.script.logic, logic, key=LOGICS.index)

    def _affine(self, position: int, node: Affine) -> list[Element]:
        constants: list[Fraction] = fractions(node.bias).tolist()
        rows: list[dict[str, Fraction]] = [{} for _ in constants]
        for m, a in node.terms:
            found = entries(m)
            coefficients: list[Fraction] = fractions(found.coefficients).tolist()
            places: list[tuple[int, int]] = list(zip(found.rows.tolist(), found.columns.tolist(), strict=True))
            for (row, column), c in zip(places, coefficients, strict=True):
                x = self._nodes[a][column]
                if isinstance(x, Fraction):
                    constants[row] += c * x
                else:
                    rows[row][x] = rows[row].get(x, Fraction(0)) + c
        return [self._sum(f"{position}.{k}", terms, constants[k]) for k, terms in enumerate(rows)]

    def _sum(self, name: str, terms: dict[str, Fraction], constant: Fraction) -> Element:
        kept = {x: c for x, c in terms.items() if c != 0}
        if not kept:
            return constant
        if constant == 0 and list(kept.values()) == [1]:
            return next(iter(kept))
        products = [x if c == 1 else f"(* {number(c)} {x})" for x, c in kept.items()]
        return self._define(name, apply("+", [number(constant), *products] if constant else products, "0.0"))

    def _apply(self, function: Function, name: str, x: Element, ends: Enclosure) -> Element:
        match function:
            case Function.RELU:
                return self._relu(name, x, ends)
            case Function.EXP:
                return self._exp(name, _text(x))
            case Function.RECIPROCAL:
                return self._solution(name, "QF_NRA", lambda y: f"(= (* {y} {_text(x)}) 1.0)")
            case Function.SIGMOID:
                e = self._exp(f"{name}.e", f"(- {_text(x)})")
                return self._solution(name, "QF_NRAT", lambda y: f"(= (* {y} (+ 1.0 {e})) 1.0)")
            case Function.TANH:
                e = self._exp(f"{name}.e", f"(* (- 2.0) {_text(x)})")
                return self._solution(name, "QF_NRAT", lambda y: f"(= (* {y} (+ 1.0 {e})) (- 1.0 {e}))")
            case Function.SOFTPLUS:
                e = self._exp(f"{name}.e", _text(x))
                return self._solution(name, "QF_NRAT", lambda y: f"(= (exp {y}) (+ 1.0 {e}))")
            case _:
                assert_never(function)

    def _relu(self, name: str, x: Element, ends: Enclosure) -> Element:
        if ends.lower >= 0:
            return x
        return Fraction(0) if ends.upper <= 0 else self._define(name, f"(ite (>= {_text(x)} 0.0) {_text(x)} 0.0)")

    def _exp(self, name: str, term: str) -> str:
        self._need("QF_NRAT")
        return self._define(name, f"(exp {term})")

    def _solution(self, name: str, logic: Literal["QF_NRA", "QF_NRAT"], equation: Callable[[str], str]) -> str:
        """Return a constant that an equation determines."""
        self._need(logic)
        y = self._variable(f"v{name}")
        self.script.require(equation(y))
        return y

    def _times(self, name: str, x: Element, y: Element) -> Element:
        if isinstance(x, str) and isinstance(y, str):
            self._need("QF_NRA")
        return self._define(name, f"(* {_text(x)} {_text(y)})")

    def _maximum(self, name: str, members: list[Element], ranges: list[Enclosure]) -> Element:
        """Return the maximum; members that are never above the greatest lower end are that end."""
        least = max(e.lower for e in ranges)
        kept = [(x, e.lower) for x, e in zip(members, ranges, strict=True) if isinstance(x, str) and e.upper > least]
        if not kept:
            return least
        best = kept[0][0]
        for j, other in enumerate([x for x, _ in kept[1:]] + [number(least)] * all(low < least for _, low in kept)):
            best = self._define(f"{name}.{j}", f"(ite (>= {best} {other}) {best} {other})")
        return best


def _text(element: Element) -> str:
    return element if isinstance(element, str) else number(element)


def _goal(formula: Formula, bounds: Sequence[Values], lowering: _RealLowering) -> str:
    match formula:
        case Truth(value):
            return "true" if value else "false"
        case All(node, strict):
            return _junction("and", [lowering.compare(node, k, strict) for k in range(len(bounds[node]))])
        case Any(node, strict):
            return _junction("or", [lowering.compare(node, k, strict) for k in range(len(bounds[node]))])
        case And(children):
            return _junction("and", (_goal(c, bounds, lowering) for c in children))
        case Or(children):
            return _junction("or", (_goal(c, bounds, lowering) for c in children))
        case _:
            assert_never(formula)


def _conjuncts(formula: Formula, bounds: Sequence[Values], lowering: _RealLowering) -> list[str]:
    """Return terms whose conjunction is the formula, one for each part that can be asserted by itself."""
    match formula:
        case And(children):
            return [c for child in children for c in _conjuncts(child, bounds, lowering)]
        case All(node, strict):
            return [lowering.compare(node, k, strict) for k in range(len(bounds[node]))]
        case Truth() | Any() | Or():
            return [_goal(formula, bounds, lowering)]
        case _:
            assert_never(formula)


def _junction(operator: Literal["and", "or"], terms: Iterable[str]) -> str:
    unit, zero = ("true", "false") if operator == "and" else ("false", "true")
    kept = [t for t in terms if t != unit]
    return zero if zero in kept else apply(operator, kept, unit)
