"""VNN-LIB 1.0: what a counterexample is, as conditions on the inputs X_i and outputs Y_j of a network, read into the language.

A file describes the violations of a property, so that `sat` is VIOLATED and `unsat` is HOLDS. Numbers in the text are exact: 0.1 is 1/10.
Source: Guidotti et al., VNN-LIB, https://www.vnnlib.org; the part that the competitions use, which is linear arithmetic.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

from qspec.errors import ModelFileError, SpecError, UnsupportedError
from qspec.interop.onnx_real import ImportedNetwork
from qspec.interop.sexpr import Listed, SExpr, Symbol, read
from qspec.language.expressions import Constant, Expression
from qspec.language.formulas import Conjunction, Constantly, Disjunction, Formula, Negation, Property, every, forall
from qspec.language.functions import dot

LARGEST = 1 << 28
"""Bytes of a file, unpacked, at most."""
NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?")
VARIABLE = re.compile(r"([XY])_([0-9]{1,7})")
Kind = Literal["X", "Y"]
Name = tuple[Kind, int]


@dataclass(frozen=True, slots=True)
class Linear:
    """`sum of coefficient * variable + constant`; no coefficient is zero."""

    terms: Mapping[Name, Fraction]
    constant: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Atom:
    """`left >= 0`, or `left > 0` if strict."""

    left: Linear
    strict: bool = False


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Condition, ...]


Condition = Atom | And | Or
Box = Mapping[Name, tuple[Fraction | None, Fraction | None]]
"""Bounds of variables; None where there is none."""


@dataclass(frozen=True, slots=True)
class Vnnlib:
    """A property as it was read: the numbers of inputs and outputs, and the assertions, which a counterexample meets together."""

    inputs: int
    outputs: int
    assertions: tuple[Condition, ...]

    def property(self, imported: ImportedNetwork, *, name: str = "vnnlib") -> Property:
        """Return `no input of the box that meets the conditions on inputs meets all others`, which holds if and only if the file is unsat.

        With an empty box it holds vacuously. Raises SpecError if the sizes are not those of the network, or an input has no bounds.
        """
        sizes = imported.input_order.size, imported.output_order.size
        if (self.inputs, self.outputs) != sizes:
            raise SpecError(
                "the property is about another network",
                given=f"{self.inputs} inputs, {self.outputs} outputs",
                expected=f"{sizes[0]}, {sizes[1]}",
            )
        box = _hull(And(self.assertions))
        lower, upper = self._ends(box, 0), self._ends(box, 1)
        empty = any(low > high for low, high in zip(lower, upper, strict=True))
        own = np.empty((2, self.inputs), dtype=object)
        own[:, imported.input_order] = [lower, lower if empty else upper]
        shape = imported.network.inputs[0].shape
        x = imported.network.input("x", lower=own[0].reshape(shape), upper=own[1].reshape(shape))
        y = imported.network(x)
        sides: dict[Kind, Expression] = {"X": x.flatten()[imported.input_order], "Y": y.flatten()[imported.output_order]}
        rest = [a for a in _conjuncts(self.assertions) if not _is_bound(a)]
        given = [a for a in rest if _kinds(a) <= {"X"}]
        then = [a for a in rest if not _kinds(a) <= {"X"}]
        return forall(
            x,
            given=Constantly(False) if empty else _formula(And(tuple(given)), sides),
            then=Negation(_formula(And(tuple(then)), sides)),
            name=name,
        )

    def meets(self, inputs: Sequence[Fraction], outputs: Sequence[Fraction]) -> bool:
        """Return whether exact inputs and outputs, in the order of ONNX, are a counterexample."""
        sides: tuple[tuple[Kind, Sequence[Fraction]], ...] = (("X", inputs), ("Y", outputs))
        values: dict[Name, Fraction] = {(kind, k): v for kind, side in sides for k, v in enumerate(side)}
        return _true(And(self.assertions), values)

    def _ends(self, box: Box, which: Literal[0, 1]) -> list[Fraction]:
        ends: list[Fraction] = []
        for k in range(self.inputs):
            end = box.get(("X", k), (None, None))[which]
            if end is None:
                side = ("lower", "upper")[which]
                raise SpecError(f"X_{k} has no {side} bound", given="assertions", expected=f"(assert ({('>=', '<=')[which]} X_{k} …))")
            ends.append(end)
        return ends


def read_vnnlib(path: str | Path) -> Vnnlib:
    """Return the property of a .vnnlib or .vnnlib.gz file; raises as `parse_vnnlib`, and ModelFileError if it cannot be read."""
    place = Path(path)
    try:
        with gzip.open(place) if place.suffix == ".gz" else place.open("rb") as file:
            text = file.read(LARGEST + 1).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ModelFileError("cannot read the file", given=str(path), expected=f"a .vnnlib or .vnnlib.gz file ({error})") from None
    if len(text) > LARGEST:
        raise ModelFileError("the file is too large", given=str(path), expected=f"at most {LARGEST} bytes")
    return parse_vnnlib(text)


def parse_vnnlib(text: str) -> Vnnlib:
    """Return the property that a VNN-LIB text states.

    Raises ModelFileError with the line if the text is malformed, UnsupportedError on operations and sorts that are not understood, by name.
    """
    reader = _Reader()
    for command in read(text):
        reader.command(command)
    counts = [sum(kind == k for kind, _ in reader.declared) for k in ("X", "Y")]
    for kind, count in zip("XY", counts, strict=True):
        missing = next((k for k in range(count) if (kind, k) not in reader.declared), None)
        if missing is not None or not count:
            raise ModelFileError(
                "variables are missing", given=f"{count} called {kind}_…", expected=f"{kind}_{missing or 0} to be declared"
            )
    return Vnnlib(counts[0], counts[1], tuple(reader.assertions))


@dataclass(slots=True)
class _Reader:
    declared: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    assertions: list[Condition] = field(default_factory=list[Condition])

    def command(self, e: SExpr) -> None:
        match e:
            case Listed((Symbol("declare-const"), Symbol(name, line), sort)):
                self._declare(name, line, sort)
            case Listed((Symbol("declare-fun"), Symbol(name, line), Listed(()), sort)):
                self._declare(name, line, sort)
            case Listed((Symbol("assert"), condition)):
                self.assertions.append(self.condition(condition))
            case Listed((Symbol("set-logic" | "set-info" | "set-option" | "check-sat" | "exit" | "get-model"), *_)):
                pass
            case Listed((Symbol("assert" | "declare-const" | "declare-fun" as word), *_), line):
                raise ModelFileError(f"line {line}: a malformed {word}", given=str(e), expected="(declare-const X_0 Real), (assert …)")
            case Listed((Symbol(word, line), *_)):
                raise UnsupportedError(f"line {line}: the command {word} is not read", given=str(e), expected="declare-const, assert")
            case _:
                raise ModelFileError(f"line {e.line}: not a command", given=str(e), expected="(declare-const X_0 Real), (assert …)")

    def _declare(self, name: str, line: int, sort: SExpr) -> None:
        match = VARIABLE.fullmatch(name)
        if match is None:
            raise UnsupportedError(f"line {line}: a variable of this name is not read", given=name, expected="X_0, X_1, …, Y_0, Y_1, …")
        if str(sort) != "Real":
            raise UnsupportedError(f"line {line}: a variable of this sort is not read", given=str(sort), expected="Real")
        variable = match[1], int(match[2])
        if variable in self.declared:
            raise ModelFileError(f"line {line}: a variable is declared twice", given=name, expected="each once")
        self.declared.add(variable)

    def condition(self, e: SExpr) -> Condition:
        match e:
            case Listed((Symbol("and"), _, *_)):
                return And(tuple(self.condition(c) for c in e.items[1:]))
            case Listed((Symbol("or"), _, *_)):
                return Or(tuple(self.condition(c) for c in e.items[1:]))
            case Listed((Symbol("<=" | ">=" | "<" | ">" as relation), a, b)):
                left, right = self.linear(a), self.linear(b)
                difference = _plus(left, _times(right, Fraction(-1)))
                return Atom(difference if relation[0] == ">" else _times(difference, Fraction(-1)), strict=len(relation) == 1)
            case Listed((Symbol("="), a, b)):
                difference = _plus(self.linear(a), _times(self.linear(b), Fraction(-1)))
                return And((Atom(difference), Atom(_times(difference, Fraction(-1)))))
            case Listed((Symbol("and" | "or" | "<=" | ">=" | "<" | ">" | "=" as word), *_), line):
                raise ModelFileError(f"line {line}: {word} with a wrong number of arguments", given=str(e), expected="(<= a b), (and c …)")
            case Listed((Symbol(word), *_), line):
                raise UnsupportedError(f"line {line}: {word} is not read", given=str(e), expected="and, or, <=, >=, <, >, =")
            case _:
                raise ModelFileError(f"line {e.line}: not a condition", given=str(e), expected="(<= a b), (and c …), (or c …)")

    def linear(self, e: SExpr) -> Linear:
        match e:
            case Symbol(text, line):
                return self._word(text, line)
            case Listed((Symbol("-"), argument)):
                return _times(self.linear(argument), Fraction(-1))
            case Listed((Symbol("+" | "-" | "*" | "/" as word), first, _, *_), line):
                rest = [self.linear(a) for a in e.items[2:]]
                return reduce(_operation(word, line), rest, self.linear(first))
            case Listed((Symbol("+" | "-" | "*" | "/" as word), *_), line):
                raise ModelFileError(f"line {line}: {word} with a wrong number of arguments", given=str(e), expected="(+ a b …)")
            case Listed((Symbol(word), *_), line):
                raise UnsupportedError(f"line {line}: {word} is not read", given=str(e), expected="+, -, *, /")
            case _:
                raise ModelFileError(f"line {e.line}: not a term", given=str(e), expected="X_0, 0.5, (+ a b), (- a), (* 2 X_0)")

    def _word(self, text: str, line: int) -> Linear:
        variable = VARIABLE.fullmatch(text)
        if variable is not None:
            name: Name = ("X" if variable[1] == "X" else "Y", int(variable[2]))
            if name not in self.declared:
                raise ModelFileError(
                    f"line {line}: a variable is not declared", given=text, expected=f"(declare-const {text} Real) before it"
                )
            return Linear({name: Fraction(1)})
        if NUMBER.fullmatch(text) is None:
            raise ModelFileError(f"line {line}: neither a number nor a variable", given=text, expected="0.5, -1e-3, X_0, Y_0")
        return Linear({}, Fraction(text))


def _operation(word: str, line: int) -> Callable[[Linear, Linear], Linear]:
    def product(a: Linear, b: Linear) -> Linear:
        if a.terms and b.terms:
            raise UnsupportedError(f"line {line}: a product of variables is not read", given="*", expected="a number times a variable")
        return _times(a, b.constant) if a.terms else _times(b, a.constant)

    def quotient(a: Linear, b: Linear) -> Linear:
        if b.terms or not b.constant:
            raise UnsupportedError(f"line {line}: this division is not read", given="/", expected="a divisor that is a number and not zero")
        return _times(a, 1 / b.constant)

    match word:
        case "+":
            return _plus
        case "-":
            return lambda a, b: _plus(a, _times(b, Fraction(-1)))
        case "*":
            return product
        case _:
            return quotient


def _plus(a: Linear, b: Linear) -> Linear:
    terms = dict(a.terms)
    for name, c in b.terms.items():
        terms[name] = terms.get(name, Fraction(0)) + c
    return Linear({n: c for n, c in terms.items() if c}, a.constant + b.constant)


def _times(a: Linear, factor: Fraction) -> Linear:
    return Linear({n: c * factor for n, c in a.terms.items()} if factor else {}, a.constant * factor)


def _conjuncts(assertions: Sequence[Condition]) -> list[Condition]:
    return [c for a in assertions for c in (_conjuncts(a.children) if isinstance(a, And) else [a])]


def _is_bound(condition: Condition) -> bool:
    """Return whether a condition is one closed bound of one input, which the box says."""
    return isinstance(condition, Atom) and not condition.strict and len(condition.left.terms) == 1 and _kinds(condition) == {"X"}


def _kinds(condition: Condition) -> set[Kind]:
    if isinstance(condition, Atom):
        return {kind for kind, _ in condition.left.terms}
    return {kind for c in condition.children for kind in _kinds(c)}


def _true(condition: Condition, values: Mapping[Name, Fraction]) -> bool:
    match condition:
        case Atom(Linear(terms, constant), strict):
            left = sum((c * values[n] for n, c in terms.items()), constant)
            return left > 0 or (left == 0 and not strict)
        case And(children):
            return all(_true(c, values) for c in children)
        case Or(children):
            return any(_true(c, values) for c in children)
        case _:
            assert_never(condition)


def _hull(condition: Condition) -> Box:
    """Return bounds that every solution meets: those of an alternative are the widest, those of a conjunction the narrowest."""
    match condition:
        case Atom(Linear(terms, constant)):
            if len(terms) != 1:
                return {}
            ((name, c),) = terms.items()
            return {name: (-constant / c, None) if c > 0 else (None, -constant / c)}
        case And(children):
            narrow: dict[Name, tuple[Fraction | None, Fraction | None]] = {}
            for box in map(_hull, children):
                for name, (low, high) in box.items():
                    a, b = narrow.get(name, (None, None))
                    narrow[name] = _some(max, a, low), _some(min, b, high)
            return narrow
        case Or(children):
            first, *others = map(_hull, children)
            wide = dict(first)
            for box in others:
                wide = {n: (_all(min, wide[n][0], box[n][0]), _all(max, wide[n][1], box[n][1])) for n in wide.keys() & box.keys()}
            return wide
        case _:
            assert_never(condition)


Choice = Callable[[Fraction, Fraction], Fraction]


def _some(choose: Choice, a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return b if a is None else a if b is None else choose(a, b)


def _all(choose: Choice, a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None else choose(a, b)


def _formula(condition: Condition, sides: Mapping[Kind, Expression]) -> Formula:
    """Return a condition in the language; the atoms of a conjunction that are alike are one comparison of vectors."""
    match condition:
        case Atom():
            return _rows([condition], sides)
        case And(children):
            flat = _conjuncts(children)
            atoms = [[a for a in flat if isinstance(a, Atom) and a.strict == strict] for strict in (False, True)]
            parts = [_rows(a, sides) for a in atoms if a] + [_formula(c, sides) for c in flat if not isinstance(c, Atom)]
            return Constantly(True) if not parts else parts[0] if len(parts) == 1 else Conjunction(tuple(parts))
        case Or(children):
            return Disjunction(tuple(_formula(c, sides) for c in children))
        case _:
            assert_never(condition)


def _rows(atoms: Sequence[Atom], sides: Mapping[Kind, Expression]) -> Formula:
    """Return that linear atoms of one strictness are true: `matrix @ variables + constants >= 0`, for inputs, outputs or both."""
    total: Expression = Constant(np.array([a.left.constant for a in atoms], dtype=object))
    for kind, side in sides.items():
        used = sorted({k for a in atoms for own, k in a.left.terms if own == kind})
        if used:
            matrix = [[a.left.terms.get((kind, k), Fraction(0)) for k in used] for a in atoms]
            total = total + dot(np.array(matrix, dtype=object), side[used])
    return every(total > 0 if atoms[0].strict else total >= 0)
