"""VNN-LIB 1.0 and 2: what a counterexample is, as conditions on the inputs and outputs of networks, read into the language.

A file describes the violations of a property, so that `sat` is VIOLATED and `unsat` is HOLDS. Numbers in the text are exact: 0.1 is 1/10.
Source: Guidotti et al., VNN-LIB, https://www.vnnlib.org; the part that the competitions use, which is linear arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline
from qspec.errors import SpecError
from qspec.face import RealNetwork
from qspec.language.connectives import Conjunction, Constantly, Disjunction, Formula, Negation
from qspec.language.expressions import Constant, Expression, Gather, Join, Product, Reduce
from qspec.language.formulas import every, some
from qspec.language.property import Property, forall
from qspec.language.variables import RealVariable
from qspec.readers import vnnlib2_text, vnnlib_text
from qspec.readers.content import read_text
from qspec.readers.registry import Content, Reader
from qspec.readers.sexpr import read
from qspec.readers.vnnlib_conditions import (
    FALSE,
    AllOf,
    AnyOf,
    Box,
    Condition,
    DeclaredTensor,
    Kind,
    LinearAtom,
    Name,
    NetworkUse,
    completed,
    conjunction,
    conjuncts,
    hull,
    is_bound,
    is_true,
    kinds,
)

LARGEST = 1 << 28
"""Bytes of a file, unpacked, at most."""


@dataclass(frozen=True, slots=True)
class Vnnlib:
    """A property as it was read: numbers of inputs and outputs, and the assertions, which a counterexample meets together.

    `applications` are the networks that a text of VNN-LIB 2 declares; one of 1.0 is about one network without a name.
    """

    inputs: int
    outputs: int
    assertions: tuple[Condition, ...]
    applications: tuple[NetworkUse, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """The declared networks that need a network each: all but those that are equal to another."""
        return tuple(a.name for a in self.applications if a.model == a.name)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables of the property: `x`, or with several networks those of their inputs."""
        return ("x",) if len(self.applications) < 2 else tuple(a.input.name for a in self.applications)

    def property(self, network: RealNetwork | Mapping[str, RealNetwork], *, name: str = "vnnlib") -> Property:
        """Return `no input of the box that meets the conditions on inputs meets all others`, which holds if and only if the file is unsat.

        `network` is a mapping by declared name if there are several. Elements count as the file of the network does. The variable is `x`,
        or one for each network, called as its input. With an empty box it holds vacuously. Raises SpecError if sizes or names are not those
        of the networks, or an input has no bounds.
        """
        whole = conjunction(a for a in self.assertions if a != FALSE)
        applied = self._applied(network)
        box = completed(hull(whole), whole)
        lower, upper = self._ends(box, 0), self._ends(box, 1)
        crossed = any(low > high for low, high in zip(lower, upper, strict=True))
        variables: list[RealVariable] = []
        parts: dict[Kind, list[Expression]] = {"X": [], "Y": []}
        for called, (one, own) in zip(self.variables, applied, strict=True):
            inputs, outputs = element_order(own)
            ends = np.empty((2, one.input.size), dtype=object)
            among = slice(one.input.first, one.input.first + one.input.size)
            ends[:, inputs] = [lower[among], (lower if crossed else upper)[among]]
            shape = own.inputs[0].shape
            x = own.input(called, lower=ends[0].reshape(shape), upper=ends[1].reshape(shape))
            variables.append(x)
            parts["X"].append(x.flatten()[inputs])
            parts["Y"].append(own(x).flatten()[outputs])
        sides: dict[Kind, Expression] = {kind: own[0] if len(own) == 1 else Join(tuple(own)) for kind, own in parts.items()}
        rest = [a for a in conjuncts(whole) if not is_bound(a)]
        given = [a for a in rest if kinds(a) <= {"X"}]
        then = [a for a in rest if not kinds(a) <= {"X"}]
        return forall(
            *variables,
            given=Constantly(False) if crossed or FALSE in self.assertions else _formula(AllOf(tuple(given)), sides),
            then=Negation(_formula(AllOf(tuple(then)), sides)),
            name=name,
        )

    def _applied(self, network: RealNetwork | Mapping[str, RealNetwork]) -> list[tuple[NetworkUse, RealNetwork]]:
        """Return the declared networks, each with the one that it is; raises SpecError if names or sizes are others."""
        if not self.applications:
            whole = NetworkUse("", "", DeclaredTensor("x", "X", (self.inputs,)), DeclaredTensor("y", "Y", (self.outputs,)))
            if isinstance(network, Mapping):
                given = list(network)
                raise SpecError("the property declares no networks by name", given=given, expected="one network without a name")
            return [(whole, _fitting(whole, network))]
        if isinstance(network, Mapping):
            if set(network) != set(self.models):
                raise SpecError(
                    "the networks are not those that the property declares", given=list(network), expected=", ".join(self.models)
                )
            return [(a, _fitting(a, network[a.model])) for a in self.applications]
        if len(self.models) != 1:
            raise SpecError(
                "the property is about several networks",
                given="one",
                expected=f"a mapping of {', '.join(self.models)} to networks",
            )
        return [(a, _fitting(a, network)) for a in self.applications]

    def meets(self, inputs: Sequence[Fraction], outputs: Sequence[Fraction]) -> bool:
        """Return whether exact inputs and outputs, in the order of ONNX, are a counterexample."""
        sides: tuple[tuple[Kind, Sequence[Fraction]], ...] = (("X", inputs), ("Y", outputs))
        values: dict[Name, Fraction] = {(kind, k): v for kind, side in sides for k, v in enumerate(side)}
        return is_true(AllOf(self.assertions), values)

    def _ends(self, box: Box, which: Literal[0, 1]) -> list[Fraction]:
        ends: list[Fraction] = []
        for k in range(self.inputs):
            end = box.get(("X", k), (None, None))[which]
            if end is None:
                side = ("lower", "upper")[which]
                own = next((a.input for a in self.applications if 0 <= k - a.input.first < a.input.size), None)
                called = f"X_{k}" if own is None else own.element(k)
                raise SpecError(
                    f"{called} has no {side} bound", given="assertions", expected=f"(assert ({('>=', '<=')[which]} {called} …))"
                )
            ends.append(end)
        return ends


def _fitting(one: NetworkUse, network: RealNetwork) -> RealNetwork:
    """Return the network; raises SpecError if it has other numbers of inputs and outputs than are declared."""
    inputs, outputs = element_order(network)
    if (one.input.size, one.output.size) != (inputs.size, outputs.size):
        raise SpecError(
            "the property is about another network",
            given=f"{one.input.size} inputs, {one.output.size} outputs" + (f" of {one.name}" if one.name else ""),
            expected=f"{inputs.size}, {outputs.size}",
        )
    return network


def element_order(network: RealNetwork) -> tuple[IntArray, IntArray]:
    """Return the flat positions of the elements `X_k` and `Y_k`; raises SpecError unless there is one input and one output."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        given = f"{len(network.inputs)} inputs, {len(network.outputs)} outputs"
        raise SpecError("VNN-LIB is about one input and one output", given=given, expected="a network with one of each")
    if network.elements is not None:
        return network.elements
    return np.arange(network.inputs[0].size), np.arange(network.stages[network.outputs[0]].size)


def read_vnnlib(path: str | Path, deadline: Deadline = NEVER) -> Vnnlib:
    """Return the property of a .vnnlib or .vnnlib.gz file; raises as `parse_vnnlib`, and ModelFileError if it cannot be read."""
    return parse_vnnlib(read_text(path, LARGEST, "a .vnnlib or .vnnlib.gz file", packed=True), deadline)


def parse_vnnlib(text: str, deadline: Deadline = NEVER) -> Vnnlib:
    """Return the property that a VNN-LIB text states; the deadline is looked at before each command.

    A text that begins with a version or declares networks is VNN-LIB 2, any other 1.0.

    Raises ModelFileError with the line if the text is malformed, UnsupportedError on operations and sorts that are not understood, by name,
    OutOfTime and OutOfMemory.
    """
    commands = read(text, deadline)
    reader = vnnlib2_text.Version2Text() if vnnlib2_text.recognizes(commands) else vnnlib_text.Version1Text()
    for command in commands:
        deadline.check()
        reader.command(command)
    reader.end()
    applications = tuple(reader.applications.values()) if isinstance(reader, vnnlib2_text.Version2Text) else ()
    return Vnnlib(reader.count("X"), reader.count("Y"), tuple(reader.assertions), applications)


def _formula(condition: Condition, sides: Mapping[Kind, Expression]) -> Formula:
    """Return a condition in the language; the atoms of a conjunction or disjunction that are alike are one comparison of vectors."""
    match condition:
        case LinearAtom():
            return _rows([condition], sides, together=True)
        case AllOf(children):
            parts = _parts(children, sides, together=True)
            return Constantly(True) if not parts else parts[0] if len(parts) == 1 else Conjunction(tuple(parts))
        case AnyOf(children):
            parts = _parts(children, sides, together=False)
            return Constantly(False) if not parts else parts[0] if len(parts) == 1 else Disjunction(tuple(parts))
        case _:
            assert_never(condition)


def _parts(children: Sequence[Condition], sides: Mapping[Kind, Expression], *, together: bool) -> list[Formula]:
    """Return formulas for children that are true together, or of which one is: one for all atoms with as many inputs and outputs."""
    groups: dict[tuple[bool, int, int], list[LinearAtom]] = {}
    others: list[Formula] = []
    for c in children:
        if isinstance(c, LinearAtom):
            inputs = sum(kind == "X" for kind, _ in c.left.terms)
            groups.setdefault((c.strict, inputs, len(c.left.terms) - inputs), []).append(c)
        else:
            others.append(_formula(c, sides))
    return [*(_rows(atoms, sides, together=together) for atoms in groups.values()), *others]


def _rows(atoms: Sequence[LinearAtom], sides: Mapping[Kind, Expression], *, together: bool) -> Formula:
    """Return that all of some linear atoms are true, or one is; they are of one strictness, with as many inputs and outputs each."""
    total: Expression = Constant(np.array([a.left.constant for a in atoms], dtype=object))
    for kind, side in sides.items():
        own = [[(k, c) for (other, k), c in a.left.terms.items() if other == kind] for a in atoms]
        if own[0]:
            index = np.array([[k for k, _ in row] for row in own], dtype=np.int64)
            factors = Constant(np.array([[c for _, c in row] for row in own], dtype=object))
            total = total + Reduce(Product(factors, Gather(side, index)), "sum")
    comparison = total > 0 if atoms[0].strict else total >= 0
    return every(comparison) if together else some(comparison)


def _property(path: str | Path, network: RealNetwork | Mapping[str, RealNetwork]) -> Property:
    for one in network.values() if isinstance(network, Mapping) else [network]:
        if not isinstance(one, RealNetwork):  # pyright: ignore[reportUnnecessaryIsInstance]
            given = type(one).__name__
            raise SpecError("VNN-LIB is about a network over the reals", given=given, expected="a RealNetwork, or the path of its file")
    return read_vnnlib(path).property(network, name=Path(path).name.split(".")[0])


def _recognized(content: Content) -> bool:
    text = content.head.decode("utf-8-sig", errors="replace")
    return any(f"({command}" in text for command in ("declare-const", "declare-fun", "vnnlib-version", "declare-network"))


READER = Reader(format="VNN-LIB", suffixes=(".vnnlib", ".vnnlib.gz"), recognizes=_recognized, read=_property)
