"""The form of the table of what is read of ONNX, the check of a node against its row, and the table as text for the docs.

Rows say in which opsets an operator is read, with which attributes and values, inputs of which types, and how shapes are repeated. What a
row does not say is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Literal, NoReturn, cast

import numpy as np

from qspec.errors import ModelFileError, UnsupportedError
from qspec.readers.onnx_file import OPSETS, OnnxNode, StoredTensor
from qspec.readers.onnx_tensors import Tensor, TensorView, TypedConstant

REALS = ("FLOAT", "DOUBLE")
WHOLE = ("INT32", "INT64")
NUMBERS = (*REALS, *WHOLE)
STORED = (*NUMBERS, "BOOL", "FLOAT16", "BFLOAT16", "INT8", "INT16", "UINT8", "UINT16", "UINT32", "UINT64")
Kind = Literal["either", "signal", "constant"]


@dataclass(frozen=True, slots=True)
class Taken:
    """The values of an attribute that are read, in words and as a test."""

    text: str
    accepts: Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute in the opsets that have it: what is taken, and its value where a node has none."""

    taken: Taken
    default: object = None
    opsets: tuple[int, int] = OPSETS
    required: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """An input in the opsets that have it: whether it may or must depend on the network's input, and its types; a `group` has one type."""

    name: str
    kind: Kind = "either"
    types: tuple[str, ...] = REALS
    group: str = "T"
    optional: bool = False
    opsets: tuple[int, int] = OPSETS


@dataclass(frozen=True, slots=True)
class Operator:
    """A row of the table: with `many` the last input may occur more than once, with `spare` a node may name results that nothing reads."""

    arguments: tuple[Argument, ...]
    attributes: Mapping[str, tuple[Attribute, ...]] = field(default_factory=dict[str, tuple[Attribute, ...]])
    opsets: tuple[int, int] = OPSETS
    shapes: str = ""
    note: str = ""
    many: bool = False
    spare: bool = False

    def at(self, opset: int) -> dict[str, Attribute]:
        """Return the attributes of an opset."""
        return {k: a for k, versions in self.attributes.items() for a in versions if a.opsets[0] <= opset <= a.opsets[1]}

    def inputs(self, opset: int) -> tuple[Argument, ...]:
        """Return the inputs of an opset."""
        return tuple(a for a in self.arguments if a.opsets[0] <= opset <= a.opsets[1])


@dataclass(frozen=True, slots=True, eq=False)
class NodeCall:
    """A node that its row takes, with its inputs (None: left out), and every attribute, defaults filled in; `notes` are for the user."""

    node: OnnxNode
    opset: int
    inputs: tuple[Tensor | None, ...]
    attributes: Mapping[str, object]
    notes: list[str]

    def has(self, position: int) -> bool:
        """Return whether an input is given."""
        return len(self.inputs) > position and self.inputs[position] is not None

    def tensor(self, position: int) -> Tensor:
        """Return an input that is given."""
        found = self.inputs[position]
        assert found is not None
        return found

    def view(self, position: int = 0) -> TensorView:
        """Return an input that depends on the network's; raises UnsupportedError if it is a constant."""
        found = self.tensor(position)
        return found if isinstance(found, TensorView) else self.refuse("a constant", self.node.inputs[position], "an input that varies")

    def known(self, position: int) -> TypedConstant:
        """Return an input that is a constant; raises UnsupportedError otherwise."""
        found = self.tensor(position)
        return found if isinstance(found, TypedConstant) else self.refuse("an input that varies", self.node.inputs[position], "a constant")

    def integer(self, key: str) -> int:
        """Return a whole attribute."""
        return int(cast(int, self.attributes[key]))

    def integers(self, key: str) -> list[int] | None:
        """Return an attribute that is a list of whole numbers, None where it has no value."""
        found = self.attributes.get(key)
        return None if found is None else [int(v) for v in cast("Sequence[int]", found)]

    def number(self, key: str) -> Fraction:
        """Return an attribute as the single-precision number that the file holds, exactly."""
        return Fraction(float(np.float32(cast(float, self.attributes[key]))))

    def text(self, key: str) -> str:
        """Return an attribute that is a text."""
        return str(self.attributes[key])

    def listed(self, position: int) -> list[int] | None:
        """Return a constant input as a list of whole numbers, None if it is left out."""
        if not self.has(position):
            return None
        values = self.known(position).values
        if values.ndim > 1:
            self.misfit(values.shape, "a list of whole numbers")
        return [int(v) for v in values.reshape(-1).tolist()]

    def refuse(self, what: str, given: object, expected: str, advice: str = "") -> NoReturn:
        """Raise UnsupportedError about this node."""
        raise unread(self.node, what, given, expected, advice)

    def misfit(self, given: object, expected: str) -> NoReturn:
        """Raise ModelFileError about this node."""
        raise ModelFileError(f"ONNX {self.node.op} does not fit its inputs", given=f"{self.node.place}: {given}", expected=expected)


def unread(node: OnnxNode, what: str, given: object, expected: str, advice: str = "") -> UnsupportedError:
    """Return the error that says what of a node is not read."""
    return UnsupportedError(f"ONNX {node.op} with {what} is not read", given=f"{node.place}: {given}", expected=expected, advice=advice)


def checked(rule: Operator, node: OnnxNode, opset: int, inputs: Sequence[Tensor | None], notes: list[str]) -> NodeCall:
    """Return a node that its row takes; raises UnsupportedError, or ModelFileError where something is missing, by name."""
    if not rule.opsets[0] <= opset <= rule.opsets[1]:
        raise unread(node, f"opset {opset}", opset, f"opset {rule.opsets[0]} to {rule.opsets[1]}")
    attributes = _attributes(rule.at(opset), node, opset)
    _expect_inputs(rule, node, opset, inputs)
    named = [o for o in node.outputs[1:] if o]
    if named and not rule.spare:
        raise unread(node, "further results", ", ".join(named), "one result")
    return NodeCall(node, opset, tuple(inputs), attributes, notes)


def _attributes(rules: Mapping[str, Attribute], node: OnnxNode, opset: int) -> dict[str, object]:
    for key, value in node.attributes.items():
        if key not in rules:
            expected = ", ".join(sorted(rules)) or "no attributes"
            raise unread(node, f"the attribute {key}", f"{key} = {shown(value)} in opset {opset}", expected)
        if not rules[key].taken.accepts(value):
            raise unread(node, f"{key} = {shown(value)}", f"{key} = {shown(value)}", f"{key}: {rules[key].taken.text}")
    for key, rule in rules.items():
        if rule.required and key not in node.attributes:
            raise ModelFileError(f"ONNX {node.op} lacks an attribute", given=node.place, expected=f"{key}: {rule.taken.text}")
    return {key: node.attributes.get(key, rule.default) for key, rule in rules.items()}


def _expect_inputs(rule: Operator, node: OnnxNode, opset: int, inputs: Sequence[Tensor | None]) -> None:
    rules = rule.inputs(opset)
    if len(inputs) > len(rules) and not rule.many:
        raise unread(node, f"{len(inputs)} inputs", len(inputs), f"{', '.join(r.name for r in rules)} in opset {opset}")
    groups: dict[str, str] = {}
    for k in range(max(len(rules), len(inputs))):
        argument = rules[min(k, len(rules) - 1)]
        given = inputs[k] if k < len(inputs) else None
        if given is None:
            if not argument.optional:
                raise ModelFileError(f"ONNX {node.op} lacks an input", given=node.place, expected=argument.name)
            continue
        name = f"{argument.name} {node.inputs[k]!r}"
        if argument.kind != "either" and isinstance(given, TensorView) != (argument.kind == "signal"):
            what = "a constant" if isinstance(given, TypedConstant) else "an input that varies"
            raise unread(node, f"{what} as {argument.name}", name, "an input that varies" if argument.kind == "signal" else "a constant")
        if given.type not in argument.types:
            raise unread(node, f"the type {given.type}", name, " or ".join(argument.types))
        if groups.setdefault(argument.group, given.type) != given.type:
            raise unread(node, "inputs of different types", f"{name} of {given.type} beside {groups[argument.group]}", "one type")


def shown(value: object) -> str:
    """Return a value as messages and the docs show it."""
    if isinstance(value, StoredTensor):
        return f"a tensor of {value.type}"
    return f"[{', '.join(map(shown, cast('tuple[object, ...]', value)))}]" if isinstance(value, tuple) else str(value)


def one_of(*values: object) -> Taken:
    """Return that one of these values is taken."""
    return Taken(", ".join(map(shown, values)), lambda v: any(type(v) is type(w) and v == w for w in values))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def whole_list(length: str, least: int | None = None) -> Taken:
    """Return that a list of whole numbers, from `least` up, is taken; `length` says in words how many."""
    text = f"whole numbers, {length}" + ("" if least is None else f", at least {least}")
    return Taken(
        text, lambda v: isinstance(v, tuple) and all(_is_whole(n) and (least is None or n >= least) for n in cast("tuple[int]", v))
    )


def only(value: int, length: str) -> Taken:
    """Return that a list of nothing but this number is taken."""
    return Taken(f"{length} {value}", lambda v: isinstance(v, tuple) and all(_is_whole(n) and n == value for n in cast("tuple[int]", v)))


AXIS = Taken("any axis; negative from the end", _is_whole)
NATURAL = Taken("at least 0", lambda v: _is_whole(v) and cast(int, v) >= 0)
COUNT = Taken("at least 1", lambda v: _is_whole(v) and cast(int, v) >= 1)
ANY_WHOLE = Taken("any whole number", _is_whole)
NUMBER = Taken("any finite number", lambda v: isinstance(v, float) and isfinite(v))
FLAG = one_of(0, 1)


def markdown(operators: Mapping[str, Operator]) -> str:
    """Return the table in Markdown, a row for each operator."""
    head = ["operator", "opsets", "attributes and values", "inputs", "shapes", "remarks"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, rule in sorted(operators.items()):
        attributes = [_attribute_text(k, a) for k, versions in rule.attributes.items() for a in versions]
        inputs = [_argument_text(a) for a in rule.arguments]
        cells = [f"`{name}`", _opsets(rule.opsets), "; ".join(attributes), "; ".join(inputs) + (", …" if rule.many else "")]
        lines.append("| " + " | ".join([*cells, rule.shapes, rule.note]) + " |")
    return "\n".join(lines) + "\n"


def _attribute_text(name: str, a: Attribute) -> str:
    default = "" if a.default is None else f" ({shown(a.default)})"
    return f"`{name}`{_since(a.opsets)}: {a.taken.text}{default}"


def _argument_text(a: Argument) -> str:
    kind = "" if a.kind == "either" else f" {a.kind}"
    types = "" if a.types == REALS else f" ({'any type' if a.types == STORED else ', '.join(a.types)})"
    return f"{a.name}{'?' if a.optional else ''}{kind}{types}{_since(a.opsets)}"


def _since(opsets: tuple[int, int]) -> str:
    if opsets == OPSETS:
        return ""
    return (
        f" from {opsets[0]}" if opsets[1] == OPSETS[1] else f" to {opsets[1]}" if opsets[0] == OPSETS[0] else f" {opsets[0]} to {opsets[1]}"
    )


def _opsets(opsets: tuple[int, int]) -> str:
    return f"{opsets[0]} to {opsets[1]}"
