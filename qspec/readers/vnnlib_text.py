"""The text of VNN-LIB 1.0: commands, conditions and terms, each read as SMT-LIB says, or refused with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, pairwise

from qspec.errors import ModelFileError, UnsupportedError
from qspec.readers.content import DECIMAL
from qspec.readers.sexpr import SAtom, SExpr, SExpression
from qspec.readers.vnnlib_conditions import (
    FALSE,
    TRUE,
    Condition,
    Kind,
    LinearSum,
    Name,
    combined,
    compared,
    conjunction,
    disjunction,
    negation,
)

VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]{0,6})")

COMMANDS: Mapping[str, str] = {
    "declare-const": "`(declare-const X_0 Real)`; each variable once, before it is used",
    "declare-fun": "`(declare-fun X_0 () Real)`",
    "assert": "a condition; all of them together are what a counterexample meets",
    "check-sat": "no assertion may follow",
    "get-model": "no assertion may follow",
    "exit": "no assertion may follow",
    "set-logic": "says nothing here",
    "set-info": "says nothing here",
    "set-option": "says nothing here",
}
CONDITIONS: Mapping[str, str] = {
    "<=": "of two terms or more, each beside the next",
    ">=": "of two terms or more, each beside the next",
    "<": "of two terms or more, each beside the next; strict",
    ">": "of two terms or more, each beside the next; strict",
    "=": "of two terms or more; of terms, not of conditions",
    "distinct": "of two terms or more, each beside every other",
    "and": "of one condition or more",
    "or": "of one condition or more",
    "not": "of one condition",
    "=>": "of two conditions or more, from the right",
    "true": "",
    "false": "",
}
TERMS: Mapping[str, str] = {
    "+": "of two terms or more",
    "-": "of one term or more",
    "*": "of two terms or more, of which one at most has variables",
    "/": "of two terms or more; only numbers that are not 0 divide",
}
"""What is read, and how; `docs/readers.md` has it."""
LAST = ("check-sat", "get-model", "exit")
ONE = Fraction(1)


@dataclass(slots=True)
class Version1Text:
    """What has been read so far: declared variables, and assertions."""

    declared: set[Name] = field(default_factory=set[Name])
    assertions: list[Condition] = field(default_factory=list[Condition])
    ended: str = ""

    def command(self, e: SExpr) -> None:
        """Read a command; raises ModelFileError or UnsupportedError with the line."""
        word = e.items[0] if isinstance(e, SExpression) and e.items else e
        if not isinstance(e, SExpression) or not isinstance(word, SAtom):
            raise ModelFileError(f"line {e.line}: not a command", given=str(e), expected="(declare-const X_0 Real), (assert …)")
        if word.text not in COMMANDS:
            raise UnsupportedError(f"line {e.line}: the command {word} is not read", given=str(e), expected=", ".join(COMMANDS))
        if self.ended and word.text in ("assert", "declare-const", "declare-fun"):
            raise UnsupportedError(f"line {e.line}: {word} after {self.ended} is not read", given=str(e), expected=COMMANDS[self.ended])
        match e.items[1:]:
            case (SAtom(name, line), sort) if word.text == "declare-const":
                self._declare(name, line, sort)
            case (SAtom(name, line), SExpression(()), sort) if word.text == "declare-fun":
                self._declare(name, line, sort)
            case (condition,) if word.text == "assert":
                self.assertions.append(self.condition(condition))
            case _ if word.text in ("assert", "declare-const", "declare-fun"):
                raise ModelFileError(f"line {e.line}: a malformed {word}", given=str(e), expected=COMMANDS[word.text])
            case _:
                self.ended = self.ended or (word.text if word.text in LAST else "")

    def count(self, kind: Kind) -> int:
        """Return how many variables are declared of a kind."""
        return sum(kind == own for own, _ in self.declared)

    def end(self) -> None:
        """Check that the variables of each kind are declared from 0 on, without gaps; raises ModelFileError."""
        kinds: tuple[Kind, Kind] = ("X", "Y")
        for kind in kinds:
            count = self.count(kind)
            missing = next((k for k in range(count) if (kind, k) not in self.declared), None)
            if missing is not None or not count:
                raise ModelFileError(
                    "variables are missing", given=f"{count} called {kind}_…", expected=f"{kind}_{missing or 0} to be declared"
                )

    def _declare(self, name: str, line: int, sort: SExpr) -> None:
        variable = _variable(name)
        if variable is None:
            raise UnsupportedError(f"line {line}: a variable of this name is not read", given=name, expected="X_0, X_1, …, Y_0, Y_1, …")
        if str(sort) != "Real":
            raise UnsupportedError(f"line {line}: a variable of this sort is not read", given=str(sort), expected="Real")
        if variable in self.declared:
            raise ModelFileError(f"line {line}: a variable is declared twice", given=name, expected="each once")
        self.declared.add(variable)

    def condition(self, e: SExpr) -> Condition:
        """Return a condition; raises ModelFileError or UnsupportedError with the line."""
        match e:
            case SAtom("true"):
                return TRUE
            case SAtom("false"):
                return FALSE
            case SExpression((SAtom("and" | "or" as word), _, *_)):
                return (conjunction if word == "and" else disjunction)([self.condition(c) for c in e.items[1:]])
            case SExpression((SAtom("not"), child)):
                return negation(self.condition(child))
            case SExpression((SAtom("=>"), _, _, *_)):
                *before, last = map(self.condition, e.items[1:])
                return disjunction([*map(negation, before), last])  # a => (b => c) is that not both a and b, or c
            case SExpression((SAtom("<=" | ">=" | "<" | ">" as word), _, _, *_)):
                return conjunction(compared(a, word, b) for a, b in pairwise(map(self.linear, e.items[1:])))
            case SExpression((SAtom("="), _, _, *_)):
                return conjunction(compared(a, "==", b) for a, b in pairwise(map(self.linear, e.items[1:])))
            case SExpression((SAtom("distinct"), _, _, *_)):
                return conjunction(compared(a, "!=", b) for a, b in combinations(map(self.linear, e.items[1:]), 2))
            case SExpression((SAtom(word), *_), line) if word in CONDITIONS:
                raise ModelFileError(f"line {line}: {word} with a wrong number of arguments", given=str(e), expected=CONDITIONS[word])
            case SExpression((SAtom(word), *_), line):
                raise UnsupportedError(f"line {line}: {word} is not read", given=str(e), expected=", ".join(CONDITIONS))
            case _:
                raise ModelFileError(f"line {e.line}: not a condition", given=str(e), expected="(<= a b), (and c …), (or c …), true")

    def linear(self, e: SExpr) -> LinearSum:
        """Return a linear term; raises ModelFileError or UnsupportedError with the line."""
        match e:
            case SAtom(text, line):
                return self._word(text, line)
            case SExpression((SAtom("-"), argument)):
                return combined([(-ONE, self.linear(argument))])
            case SExpression((SAtom("+" | "-" | "*" | "/" as word), _, _, *_), line):
                return operated(word, [self.linear(a) for a in e.items[1:]], line)
            case SExpression((SAtom(word), *_), line) if word in TERMS:
                raise ModelFileError(f"line {line}: {word} with a wrong number of arguments", given=str(e), expected=TERMS[word])
            case SExpression((SAtom(word), *_), line):
                raise UnsupportedError(f"line {line}: {word} is not read", given=str(e), expected=", ".join(TERMS))
            case _:
                raise ModelFileError(f"line {e.line}: not a term", given=str(e), expected="X_0, 0.5, (+ a b), (- a), (* 2 X_0)")

    def _word(self, text: str, line: int) -> LinearSum:
        variable = _variable(text)
        if variable is not None:
            if variable not in self.declared:
                raise ModelFileError(
                    f"line {line}: a variable is not declared", given=text, expected=f"(declare-const {text} Real) before it"
                )
            return LinearSum({variable: ONE})
        if DECIMAL.fullmatch(text) is None:
            raise ModelFileError(f"line {line}: neither a number nor a variable", given=text, expected="0.5, -1e-3, X_0, Y_0")
        return LinearSum({}, Fraction(text))


def _variable(text: str) -> Name | None:
    found = VARIABLE.fullmatch(text)
    return None if found is None else ("X" if found[1] == "X" else "Y", int(found[2]))


def operated(word: str, terms: Sequence[LinearSum], line: int) -> LinearSum:
    """Return a sum, difference, product or quotient of terms, from the left."""
    if word in ("+", "-"):
        rest = ONE if word == "+" else -ONE
        return combined([(ONE, terms[0]), *((rest, t) for t in terms[1:])])
    result = terms[0]
    for t in terms[1:]:
        if word == "/":
            if t.terms or not t.constant:
                raise UnsupportedError(
                    f"line {line}: this division is not read", given="/", expected="a divisor that is a number and not zero"
                )
            result = combined([(1 / t.constant, result)])
        elif result.terms and t.terms:
            raise UnsupportedError(f"line {line}: a product of variables is not read", given="*", expected="a number times a variable")
        else:
            result = combined([(t.constant, result)]) if result.terms or not t.terms else combined([(result.constant, t)])
    return result


def table() -> list[str]:
    """Return what is read as a table in Markdown; `docs/readers.md` has it."""
    return listed((("command", COMMANDS), ("condition", CONDITIONS), ("term", TERMS)))


def listed(parts: Sequence[tuple[str, Mapping[str, str]]]) -> list[str]:
    """Return words with their rules, by kind, as a table in Markdown."""
    rows = [f"| {kind} | `{word}` | {rule} |" for kind, words in parts for word, rule in words.items()]
    return ["| | word | how |", "|---|---|---|", *rows]
