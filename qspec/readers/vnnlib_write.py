"""Write a property of real networks as VNN-LIB 1.0 or 2: the text says what a counterexample is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import lcm
from typing import Literal, assert_never

from qspec.errors import SpecError, UnsupportedError
from qspec.language.property import Property
from qspec.network.graph import RealGraph
from qspec.readers.vnnlib_conditions import AllOf, AnyOf, Condition, DeclaredTensor, Kind, LinearAtom, LinearSum, Name, conjuncts
from qspec.readers.vnnlib_lowering import Lowering

LONGEST = 400
"""Digits of a decimal number that is read."""


def to_vnnlib(spec: Property, *, version: Literal["1.0", "2.0"] = "1.0") -> str:
    """Return the VNN-LIB text of a property of real networks: `sat` means that the `forall` property is violated (an `exists` one holds).

    1.0 says properties of one network on one input; 2.0 also of several, and of one on several inputs. Numbers are exact: a row with
    a ratio that is no decimal is multiplied.
    Raises UnsupportedError, by name, on what is not said, and SpecError on a parameter without a value.
    """
    if version not in ("1.0", "2.0"):
        raise SpecError("no such version of VNN-LIB", given=version, expected="1.0 or 2.0")
    lowered = Lowering()
    lowered.run(spec)
    count = len(lowered.applied)
    if not count or (version == "1.0" and count > 1):
        raise UnsupportedError(
            "VNN-LIB 1.0 is about one network on one input" if count else "VNN-LIB is about networks",
            given=f"{count} applied networks",
            expected='version="2.0"' if count else "a property of the output of a network",
        )
    tensors = [t for k in range(count) for t in _tensors(lowered, k)]
    declared = _declared_1(tensors) if version == "1.0" else _declared_2(lowered, tensors)

    def called(name: Name) -> str:
        kind, k = name
        own = next(t for t in tensors if t.kind == kind and 0 <= k - t.first < t.size)
        return f"{kind}_{k}" if version == "1.0" else own.element(k)

    asserted = [_text(c, called, called(("X", 0))) for c in (*lowered.box, *conjuncts(lowered.rest))]
    return "\n".join([*declared, *(f"(assert {a})" for a in asserted), ""])


def _tensors(lowered: Lowering, k: int) -> list[DeclaredTensor]:
    network, mark = lowered.applied[k][0], "" if len(lowered.applied) == 1 else str(k + 1)
    found: list[DeclaredTensor] = []
    kinds: tuple[Kind, Kind] = ("X", "Y")
    for kind in kinds:
        stage = network.inputs[0] if kind == "X" else network.stages[network.outputs[0]]
        shape = stage.shape if network.elements is None else (stage.size,)
        found.append(DeclaredTensor(f"{kind}{mark}", kind, shape, sum(lowered.size(j, kind) for j in range(k))))
    return found


def _declared_1(tensors: Sequence[DeclaredTensor]) -> list[str]:
    return [f"(declare-const {t.kind}_{k} Real)" for t in tensors for k in range(t.size)]


def _declared_2(lowered: Lowering, tensors: Sequence[DeclaredTensor]) -> list[str]:
    lines = ["(vnnlib-version <2.0>)"]
    networks: list[RealGraph] = []
    names: list[str] = []
    for k, (network, variable) in enumerate(lowered.applied):
        name = "f" if len(lowered.applied) == 1 else f"f{k + 1}"
        same = next((names[j] for j, own in enumerate(networks) if own is network), None)
        own = ["declare-network", name, *([] if same is None else [f"(equal-to {same})"])]
        parts = [(word, tensors[2 * k + j]) for j, word in enumerate(("declare-input", "declare-output"))]
        lines += [
            f"; {name} is {network.name!r} on {variable.name!r}",
            f"({' '.join(own)}",
            *(f"  ({word} {t.declared})" for word, t in parts),
        ]
        lines[-1] += ")"
        networks.append(network)
        names.append(name)
    return lines


def _text(c: Condition, called: Callable[[Name], str], any_element: str) -> str:
    match c:
        case LinearAtom(left, strict):
            return _row(left, ">" if strict else ">=", called)
        case AllOf(()):
            return f"(<= {any_element} {any_element})"
        case AnyOf(()):
            return f"(< {any_element} {any_element})"
        case AllOf(children) | AnyOf(children):
            return f"({'and' if isinstance(c, AllOf) else 'or'} {' '.join(_text(child, called, any_element) for child in children)})"
        case _:
            assert_never(c)


def _row(left: LinearSum, relation: str, called: Callable[[Name], str]) -> str:
    """Return `terms relation number`, with whole factors where a ratio is no decimal; variables stand first."""
    lead = abs(next(iter(left.terms.values())))
    terms = {name: c / lead for name, c in left.terms.items()}
    constant = left.constant / lead
    scale = lcm(*(_beside_ten(v.denominator) for v in (*terms.values(), constant)))
    terms = {name: c * scale for name, c in terms.items()}
    limit = -constant * scale
    if len(terms) == 1:
        ((name, c),) = terms.items()
        turned = {">": "<", ">=": "<="}[relation] if c < 0 else relation
        return f"({turned} {_term(name, abs(c), called)} {_number(limit if c > 0 else -limit)})"
    if sorted(terms.values()) == [-1, 1] and not limit:
        above, below = sorted(terms, key=lambda name: -terms[name])
        return f"({relation} {called(above)} {called(below)})"
    return f"({relation} (+ {' '.join(_term(name, c, called) for name, c in terms.items())}) {_number(limit)})"


def _term(name: Name, c: Fraction, called: Callable[[Name], str]) -> str:
    return called(name) if c == 1 else f"(* {called(name)} {_number(c)})"


def _beside_ten(denominator: int) -> int:
    """Return a number without its factors of 2 and 5."""
    for factor in (2, 5):
        while denominator % factor == 0:
            denominator //= factor
    return denominator


def _number(value: Fraction) -> str:
    """Return a ratio as its exact decimal; it must have one."""
    places = 0
    while 10**places % value.denominator and places <= LONGEST:
        places += 1
    if places > LONGEST or abs(value) >= 10 ** (LONGEST - places):
        raise UnsupportedError("a number is too long for VNN-LIB", given=float(value), expected=f"at most {LONGEST} digits")
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole, part = (digits, "0") if not places else (digits[:-places], digits[-places:])
    return f"{'-' if value < 0 else ''}{whole}.{part}"
