"""Write SMT-LIB 2.6: names, numerals, commands.

Names need no quotes in any solver: a declared constant is the percent-encoded input name, an underscore and the element (`x_3`); a defined
name is a letter, a node and an element (`n2.3`), without an underscore, so that the two never meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never
from urllib.parse import quote

from qspec.bounds.interval import Interval
from qspec.ir.integer import All, And, Any, Formula, Or, Truth


def symbol_name(name: str, index: int) -> str:
    """Return the name of element `index` of input `name`: a simple symbol of SMT-LIB (section 3.1), different for different arguments."""
    safe = quote(name, safe="", errors="surrogatepass")
    return f"{safe}_{index}" if safe[:1].isalpha() else f"~{safe}_{index}"


def numeral(value: int) -> str:
    """Return an integer as a term of the theory Ints."""
    return str(value) if value >= 0 else f"(- {-value})"


def bits(value: int, width: int) -> str:
    """Return `value` modulo `2**width` as a bit-vector literal."""
    return f"#b{value & ((1 << width) - 1):0{width}b}"


def bit_vector(width: int) -> str:
    """Return the sort of bit-vectors of this width."""
    return f"(_ BitVec {width})"


def apply(operator: Literal["and", "or", "+"], arguments: Sequence[str], empty: str) -> str:
    """Return an n-ary application; solvers reject fewer than two arguments, so one stands for itself and none is `empty`."""
    return f"({operator} {' '.join(arguments)})" if len(arguments) > 1 else arguments[0] if arguments else empty


@dataclass(slots=True)
class Script:
    """Commands written so far; the one mutable object of a lowering."""

    logic: str
    lines: list[str] = field(default_factory=list[str])

    def declare(self, name: str, sort: str) -> str:
        self.lines.append(f"(declare-fun {name} () {sort})")
        return name

    def define(self, name: str, sort: str, term: str) -> str:
        self.lines.append(f"(define-fun {name} () {sort} {term})")
        return name

    def require(self, formula: str) -> None:
        if formula != "true":
            self.lines.append(f"(assert {formula})")

    def text(self) -> str:
        return "\n".join((f"(set-logic {self.logic})", *self.lines, ""))


def select(starts: Sequence[int], texts: Sequence[str], reached: Callable[[int], str]) -> str:
    """Return the term that is `texts[k]` from `starts[k]` up to the next start, as a balanced tree of `ite`; `reached(s)` says `a >= s`."""
    if len(texts) == 1:
        return texts[0]
    middle = len(texts) // 2
    low, high = select(starts[:middle], texts[:middle], reached), select(starts[middle:], texts[middle:], reached)
    return f"(ite {reached(starts[middle])} {high} {low})"


Atom = Callable[[int, int], str]
"""The term that says that an element of a node is at least zero, for elements that bounds do not decide."""


def goal(formula: Formula, bounds: Sequence[Interval], atom: Atom) -> str:
    """Return a formula as a term; atoms that the bounds decide are left out."""
    match formula:
        case Truth(value):
            return "true" if value else "false"
        case All(node):
            return _junction("and", _atoms(node, bounds[node], atom))
        case Any(node):
            return _junction("or", _atoms(node, bounds[node], atom))
        case And(children):
            return _junction("and", (goal(c, bounds, atom) for c in children))
        case Or(children):
            return _junction("or", (goal(c, bounds, atom) for c in children))
        case _:
            assert_never(formula)


def conjuncts(formula: Formula, bounds: Sequence[Interval], atom: Atom) -> list[str]:
    """Return terms whose conjunction is the formula, one for each part that can be asserted by itself."""
    match formula:
        case And(children):
            return [c for child in children for c in conjuncts(child, bounds, atom)]
        case All(node):
            return _atoms(node, bounds[node], atom)
        case Truth() | Any() | Or():
            return [goal(formula, bounds, atom)]
        case _:
            assert_never(formula)


def _atoms(node: int, x: Interval, atom: Atom) -> list[str]:
    ends = zip(x.lower.tolist(), x.upper.tolist(), strict=True)
    return ["true" if low >= 0 else "false" if high < 0 else atom(node, k) for k, (low, high) in enumerate(ends)]


def _junction(operator: Literal["and", "or"], terms: Iterable[str]) -> str:
    unit, zero = ("true", "false") if operator == "and" else ("false", "true")
    kept = [t for t in terms if t != unit]
    return zero if zero in kept else apply(operator, kept, unit)
