"""The text of VNN-LIB 2: declarations of networks and assertions about their inputs and outputs, each read or refused with its line.

Source: the VNN-LIB 2.0 standard (https://github.com/VNNLIB/VNNLIB-Standard), chapter "Query Language".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from qspec.errors import ModelFileError, UnsupportedError
from qspec.readers.content import DECIMAL
from qspec.readers.sexpr import SAtom, SExpr, SExpression
from qspec.readers.vnnlib_conditions import (
    Condition,
    DeclaredTensor,
    Kind,
    LinearSum,
    NetworkUse,
    combined,
    compared,
    conjunction,
    disjunction,
)
from qspec.readers.vnnlib_text import ONE, listed, operated

COMMANDS: Mapping[str, str] = {
    "vnnlib-version": "`(vnnlib-version <2.0>)`, or another 2.x; first of all, or left out",
    "declare-network": "`(declare-network f (declare-input X Real [1,2]) (declare-output Y Real [3]))`, before all assertions",
    "assert": "a condition; all of them together are what a counterexample meets",
}
PARTS: Mapping[str, str] = {
    "declare-input": "one of each network; `Real` or `real`, with a shape",
    "declare-output": "one of each network, after the input; `Real` or `real`, with a shape",
    "equal-to": "the network has the weights of one declared before",
    "isomorphic-to": "the network has the shapes of one declared before, and weights of its own",
}
CONDITIONS: Mapping[str, str] = {
    "<=": "of two terms",
    ">=": "of two terms",
    "<": "of two terms; strict",
    ">": "of two terms; strict",
    "==": "of two terms",
    "!=": "of two terms",
    "and": "of one condition or more",
    "or": "of one condition or more",
}
TERMS: Mapping[str, str] = {
    "X[0,1]": "an element; as many indices as the shape has, from 0; of the shape `[]` without brackets",
    "+": "of one term or more",
    "-": "of one term or more",
    "*": "of one term or more, of which one at most has variables",
}
"""What is read, and how; `docs/readers.md` has it."""
MOST = 10_000_000
"""Elements of a tensor, at most."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
ELEMENT = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(?:\[([0-9]{1,9}(?:,[0-9]{1,9})*)\])?")
SHAPE = re.compile(r"\[((?:[1-9][0-9]{0,8}(?:,[1-9][0-9]{0,8})*)?)\]")
VERSION = re.compile(r"<([0-9]{1,4})\.([0-9]{1,4})>")


def recognizes(commands: Sequence[SExpr]) -> bool:
    """Return whether the first command is one that only VNN-LIB 2 has."""
    match commands:
        case (SExpression((SAtom("vnnlib-version" | "declare-network"), *_)), *_):
            return True
        case _:
            return False


@dataclass(slots=True)
class Version2Text:
    """What has been read so far: declared networks by name, their tensors by name, and assertions."""

    applications: dict[str, NetworkUse] = field(default_factory=dict[str, NetworkUse])
    tensors: dict[str, DeclaredTensor] = field(default_factory=dict[str, DeclaredTensor])
    assertions: list[Condition] = field(default_factory=list[Condition])
    begun: bool = False

    def count(self, kind: Kind) -> int:
        """Return how many elements are declared of a kind."""
        return sum(t.size for t in self.tensors.values() if t.kind == kind)

    def command(self, e: SExpr) -> None:
        """Read a command; raises ModelFileError or UnsupportedError with the line."""
        match e:
            case SExpression((SAtom("vnnlib-version"), SAtom(text))):
                self._version(text, e.line)
            case SExpression((SAtom("declare-network"), SAtom(name), *parts)):
                self._network(name, parts, e)
            case SExpression((SAtom("assert"), condition)):
                self.assertions.append(self.condition(condition))
            case SExpression((SAtom(word), *_)) if word in COMMANDS:
                raise ModelFileError(f"line {e.line}: a malformed {word}", given=str(e), expected=COMMANDS[word])
            case SExpression((SAtom(word), *_)):
                raise UnsupportedError(f"line {e.line}: the command {word} is not read", given=str(e), expected=", ".join(COMMANDS))
            case _:
                raise ModelFileError(f"line {e.line}: not a command", given=str(e), expected="(declare-network …), (assert …)")
        self.begun = True

    def end(self) -> None:
        """Check that something is declared; raises ModelFileError."""
        if not self.applications:
            raise ModelFileError("no network is declared", given="no declare-network", expected=COMMANDS["declare-network"])

    def _version(self, text: str, line: int) -> None:
        found = VERSION.fullmatch(text)
        if found is None or self.begun:
            raise ModelFileError(f"line {line}: a malformed vnnlib-version", given=text, expected=COMMANDS["vnnlib-version"])
        if found[1] != "2":
            raise UnsupportedError(
                f"line {line}: VNN-LIB of this version is not read", given=text, expected="1.0, without a version, and 2.x"
            )

    def _network(self, name: str, parts: Sequence[SExpr], e: SExpression) -> None:
        if self.assertions:
            raise ModelFileError(f"line {e.line}: a network is declared after an assertion", given=name, expected="networks first")
        self._new(name, e.line)
        relation, twin = "", None
        match parts:
            case (SExpression((SAtom("equal-to" | "isomorphic-to" as relation), SAtom(other))), *parts):
                twin = self.applications.get(other)
                if twin is None:
                    raise ModelFileError(f"line {e.line}: {relation} names no network", given=other, expected="one declared before")
            case _:
                pass
        own = [self._tensor(part) for part in parts]
        if [t.kind for t in own] != ["X", "Y"]:
            given = f"{sum(t.kind == 'X' for t in own)} inputs, {sum(t.kind == 'Y' for t in own)} outputs"
            raise UnsupportedError(
                f"line {e.line}: a network of these inputs and outputs is not read",
                given=given,
                expected="one declare-input, then one declare-output",
            )
        if twin is not None and [t.shape for t in own] != [twin.input.shape, twin.output.shape]:
            shapes = f"{twin.input.shape}, {twin.output.shape}"
            raise ModelFileError(f"line {e.line}: {relation} with other shapes", given=[t.shape for t in own], expected=shapes)
        model = twin.model if twin is not None and relation == "equal-to" else name
        self.applications[name] = NetworkUse(name, model, own[0], own[1])

    def _tensor(self, e: SExpr) -> DeclaredTensor:
        """Return a tensor that a network declares, and remember it."""
        match e:
            case SExpression((SAtom("declare-hidden"), *_)):
                raise UnsupportedError(
                    f"line {e.line}: declare-hidden is not read", given=str(e), expected=", ".join(PARTS), advice="make it an output"
                )
            case SExpression((SAtom("declare-input" | "declare-output" as word), SAtom(name), SAtom(sort), *rest)):
                kind: Kind = "X" if word == "declare-input" else "Y"
            case SExpression((SAtom(word), *_)) if word not in PARTS:
                raise UnsupportedError(f"line {e.line}: {word} is not read", given=str(e), expected=", ".join(PARTS))
            case _:
                raise ModelFileError(f"line {e.line}: a malformed declaration", given=str(e), expected="(declare-input X Real [1,2])")
        self._new(name, e.line)
        if sort not in ("Real", "real"):
            raise UnsupportedError(
                f"line {e.line}: tensors of the element type {sort} are not read",
                given=str(e),
                expected="Real",
                advice="write Real to ask about the exact network over the reals, not about a runtime's rounding",
            )
        if rest and isinstance(last := rest[-1], SAtom) and last.text.startswith('"'):
            raise UnsupportedError(
                f"line {e.line}: names of nodes of ONNX are not read", given=last.text, expected="none", advice="leave it out"
            )
        shape = SHAPE.fullmatch(_tight(" ".join(map(str, rest))))
        if shape is None:
            raise ModelFileError(f"line {e.line}: not a shape", given=" ".join(map(str, rest)), expected="[1,2], of positive numbers")
        tensor = DeclaredTensor(name, kind, tuple(map(int, filter(None, shape[1].split(",")))), self.count(kind))
        if tensor.size > MOST:
            raise ModelFileError(f"line {e.line}: a tensor is too large", given=tensor.size, expected=f"at most {MOST} elements")
        self.tensors[name] = tensor
        return tensor

    def _new(self, name: str, line: int) -> None:
        if NAME.fullmatch(name) is None:
            raise ModelFileError(f"line {line}: not a name", given=name, expected="a letter, then letters, digits and _")
        if name in self.tensors or name in self.applications:
            raise ModelFileError(f"line {line}: a name is declared twice", given=name, expected="each once")

    def condition(self, e: SExpr) -> Condition:
        """Return a condition; raises ModelFileError or UnsupportedError with the line."""
        match e:
            case SExpression((SAtom("and" | "or" as word), _, *_)):
                return (conjunction if word == "and" else disjunction)([self.condition(c) for c in e.items[1:]])
            case SExpression((SAtom("<=" | ">=" | "<" | ">" | "==" | "!=" as word), *rest)) if len(terms := list(_glued(rest))) == 2:
                return compared(self.linear(terms[0]), word, self.linear(terms[1]))
            case SExpression((SAtom(word), *_), line) if word in CONDITIONS:
                raise ModelFileError(f"line {line}: {word} with a wrong number of arguments", given=str(e), expected=CONDITIONS[word])
            case SExpression((SAtom(word), *_), line):
                raise UnsupportedError(f"line {line}: {word} is not read", given=str(e), expected=", ".join(CONDITIONS))
            case _:
                raise ModelFileError(f"line {e.line}: not a condition", given=str(e), expected="(<= a b), (and c …), (or c …)")

    def linear(self, e: SExpr) -> LinearSum:
        """Return a linear term; raises ModelFileError or UnsupportedError with the line."""
        match e:
            case SAtom(text, line):
                return self._word(text, line)
            case SExpression((SAtom("+" | "-" | "*" as word), _, *_), line):
                terms = [self.linear(t) for t in _glued(e.items[1:])]
                if len(terms) == 1:
                    return combined([(-ONE, terms[0])]) if word == "-" else terms[0]
                return operated(word, terms, line)
            case SExpression((SAtom(word), *_), line) if word not in TERMS:
                raise UnsupportedError(f"line {line}: {word} is not read", given=str(e), expected=", ".join(TERMS))
            case _:
                raise ModelFileError(f"line {e.line}: not a term", given=str(e), expected="X[0,1], 0.5, (+ a b), (- a), (* 2.0 X[0,1])")

    def _word(self, text: str, line: int) -> LinearSum:
        if DECIMAL.fullmatch(text) is not None:
            return LinearSum({}, Fraction(text))
        found = ELEMENT.fullmatch(_tight(text))
        if found is None:
            raise ModelFileError(f"line {line}: neither a number nor an element", given=text, expected="0.5, -1e-3, X[0,1]")
        tensor = self.tensors.get(found[1])
        if tensor is None:
            raise ModelFileError(f"line {line}: a variable is not declared", given=found[1], expected=", ".join(self.tensors) or "networks")
        index = tuple(map(int, (found[2] or "").split(","))) if found[2] else ()
        if len(index) != len(tensor.shape) or any(k >= extent for k, extent in zip(index, tensor.shape, strict=True)):
            raise ModelFileError(
                f"line {line}: no element of {tensor.name}", given=text, expected=f"one index from 0 for each of {list(tensor.shape)}"
            )
        position = 0
        for k, extent in zip(index, tensor.shape, strict=True):
            position = position * extent + k
        return LinearSum({(tensor.kind, tensor.first + position): ONE})


def _glued(items: Sequence[SExpr]) -> Iterator[SExpr]:
    """Yield terms; an index in brackets that has spaces in it or before it is one with its tensor."""
    held: SAtom | None = None
    for e in items:
        if held is not None and isinstance(e, SAtom) and (e.text.startswith("[") or _is_open(held.text)):
            held = SAtom(f"{held.text} {e.text}", held.line)
            continue
        if held is not None:
            yield held
        held = e if isinstance(e, SAtom) else None
        if held is None:
            yield e
    if held is not None:
        yield held


def _tight(text: str) -> str:
    """Return a text without the spaces beside brackets and commas; those between digits stay, and are no number."""
    return re.sub(r"\s*([\[\],])\s*", r"\1", text)


def _is_open(text: str) -> bool:
    return "[" in text and not text.endswith("]")


def table() -> list[str]:
    """Return what is read as a table in Markdown; `docs/readers.md` has it."""
    return listed((("command", COMMANDS), ("in a network", PARTS), ("condition", CONDITIONS), ("term", TERMS)))
