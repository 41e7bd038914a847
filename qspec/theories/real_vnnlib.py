"""Write a real query as a network in ONNX and a property in VNN-LIB, for verifiers of real networks: they compute in floats.

The network has one input, the elements of all inputs of the query, and one output, the elements that the goal compares with zero. Numbers
that are no floats are rounded. Tools for VNN-LIB 1.0 get float32 alone, and `> 0` as `>= 0`, since many read nothing else. So nothing
follows from an answer but what a replay confirms.
Sources: https://onnx.ai/onnx/operators/; VNN-LIB, https://www.vnnlib.org.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from itertools import accumulate
from typing import Any as AnyType
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import IntArray
from qspec.compile.real_box import trimmed
from qspec.errors import UnsupportedError
from qspec.ir.real import (
    Affine,
    All,
    And,
    Any,
    Apply,
    ExactArray,
    Formula,
    Function,
    Input,
    Maximum,
    Node,
    Or,
    Product,
    Program,
    Query,
    Truth,
    entries,
    formula_nodes,
    fractions,
    sizes,
)
from qspec.support.optional import need

OPSET, IR = 13, 8
LARGEST = 1 << 26
"""Entries of a matrix of weights: convolutions are written out."""
PLACES = 40
"""Digits after the point of a bound; one that has more is rounded outwards."""
OPERATORS: Mapping[Function, str] = {
    Function.RELU: "Relu", Function.EXP: "Exp", Function.TANH: "Tanh", Function.SIGMOID: "Sigmoid", Function.SOFTPLUS: "Softplus",
    Function.RECIPROCAL: "Reciprocal",
}  # fmt: skip

Doubles = npt.NDArray[np.float64]
Version = Literal["1.0", "2.0"]


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A query as two files, and what they hold."""

    model: bytes
    """ONNX: a network from (1, elements of all inputs) to (1, elements that the goal compares)."""
    text: str
    """VNN-LIB: what a solution is; 2.0 calls the network `f`."""
    operators: tuple[str, ...]
    """The operators of ONNX that occur."""
    elements: tuple[tuple[str, int], ...]
    """The name of the input, and the position in it, that each element of the network's input stands for."""
    bits: Literal[32, 64]
    """The floats in which weights are written."""
    rounded: int
    """How many weights are no such floats, and were rounded."""


def lower(query: Query, version: Version, *, real: bool = True) -> Written:
    """Return a query as a network and a property; VNN-LIB 2.0 declares `Real` elements, or else those of the ONNX file.

    Raises UnsupportedError on matrices that are too large, PackageMissingError without the package `onnx`.
    """
    need("onnx", "onnx", "asking a verifier of networks in ONNX")
    query = trimmed(query)
    compared = sorted(formula_nodes(query.goal))
    graph = _Graph(query.program)
    place = dict(zip(compared, accumulate((graph.size[k] for k in compared), initial=0), strict=False))
    output = graph.output(compared, place)
    box = [ends for n in query.inputs.values() for ends in zip(fractions(n.lower), fractions(n.upper), strict=True)]
    elements = tuple((n.name, k) for n in query.inputs.values() for k in range(n.lower.size))
    width = sum(graph.size[k] for k in compared)
    bits = 32 if version == "1.0" or graph.single else 64
    model = graph.model(output, (len(box), width), bits)
    declared = _declared(len(box), width, version, "Real" if real else f"float{bits}")
    lines = [*declared, *_box(box, version), *_asserted(query.goal, graph.size, place, version)]
    return Written(model, "\n".join([*lines, ""]), tuple(sorted({n.op_type for n in graph.nodes})), elements, bits, graph.rounded(bits))


@dataclass(slots=True)
class _Graph:
    """The network written so far: nodes of ONNX, and weights by name."""

    program: Program
    size: list[int] = field(init=False)
    nodes: list[AnyType] = field(default_factory=list[AnyType])
    weights: dict[str, Doubles] = field(default_factory=dict[str, Doubles])
    inexact: int = 0
    """How many weights are no doubles."""
    starts: dict[int, int] = field(default_factory=dict[int, int])
    """Where the elements of each input begin in the network's input."""
    width: int = 0

    def __post_init__(self) -> None:
        self.size = sizes(self.program)
        for k, node in enumerate(self.program):
            if isinstance(node, Input):
                self.starts[k], self.width = self.width, self.width + self.size[k]
        for k, node in enumerate(self.program):
            self._node(k, node)

    def output(self, compared: Sequence[int], place: Mapping[int, int]) -> str:
        """Return the tensor of all elements that are compared, one node after the other."""
        if len(compared) == 1 and compared[0] not in self.starts:
            return f"n{compared[0]}"
        width = sum(self.size[k] for k in compared)
        parts = [(k, np.arange(self.size[k]), place[k] + np.arange(self.size[k]), np.ones(self.size[k])) for k in compared]
        return self._sums("y", parts, np.zeros(width))

    @property
    def single(self) -> bool:
        """Whether every weight is a number of float32."""
        return not self.rounded(32)

    def rounded(self, bits: Literal[32, 64]) -> int:
        """Return how many weights are no floats of these bits."""
        beyond = sum(int(np.count_nonzero(w.astype(np.float32) != w)) for w in self.weights.values()) if bits == 32 else 0
        return self.inexact + beyond

    def model(self, output: str, sizes: tuple[int, int], bits: Literal[32, 64]) -> bytes:
        """Return the file, of an input and an output of these sizes."""
        onnx: AnyType = import_module("onnx")
        kind, element = (np.float32, onnx.TensorProto.FLOAT) if bits == 32 else (np.float64, onnx.TensorProto.DOUBLE)
        constants = [onnx.numpy_helper.from_array(w.astype(kind), name) for name, w in self.weights.items()]
        ends = [onnx.helper.make_tensor_value_info(name, element, [1, n]) for name, n in zip(("x", output), sizes, strict=True)]
        graph = onnx.helper.make_graph(self.nodes, "query", ends[:1], ends[1:], constants)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="qspec")
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()

    def _node(self, k: int, node: Node) -> None:
        name = f"n{k}"
        match node:
            case Input():
                pass
            case Affine(terms, bias):
                listed = ((a, entries(m)) for m, a in terms)
                self._sums(name, [(a, m.columns, m.rows, self._doubles(m.coefficients)) for a, m in listed], self._doubles(bias))
            case Apply(a, function):
                self._add(OPERATORS[function], (self._tensor(a),), name)
            case Product(left, right):
                self._add("Mul", (self._tensor(left), self._tensor(right)), name)
            case Maximum(a, groups):
                self._maximum(name, a, np.asarray(groups))
            case _:
                assert_never(node)

    def _add(self, operator: str, inputs: Sequence[str], name: str) -> str:
        onnx: AnyType = import_module("onnx")
        self.nodes.append(onnx.helper.make_node(operator, list(inputs), [name], name=f"node_{name}"))
        return name

    def _tensor(self, k: int) -> str:
        """Return the tensor of a node; an input is taken out of the network's."""
        if k not in self.starts or (len(self.starts) == 1 and self.width == self.size[k]):
            return "x" if k in self.starts else f"n{k}"
        every = np.arange(self.size[k])
        return self._sums(f"n{k}_{len(self.nodes)}", [(k, every, every, np.ones(self.size[k]))], np.zeros(self.size[k]))

    def _sums(self, name: str, parts: Sequence[tuple[int, IntArray, IntArray, Doubles]], bias: Doubles) -> str:
        """Write `bias + Σ part`, each a node with columns, rows and coefficients; parts of inputs are one matrix."""
        matrices: dict[str, Doubles] = {}
        for k, columns, rows, coefficients in parts:
            source, width, start = ("x", self.width, self.starts[k]) if k in self.starts else (f"n{k}", self.size[k], 0)
            if width * bias.size > LARGEST:
                raise UnsupportedError("a matrix of weights is too large", given=f"{bias.size} by {width}", expected=f"{LARGEST} entries")
            matrix = matrices.setdefault(source, np.zeros((width, bias.size)))
            np.add.at(matrix, (start + columns, rows), coefficients)
        if not matrices:  # a constant
            matrices["x"] = np.zeros((self.width, bias.size))
        total = ""
        for j, (source, matrix) in enumerate(matrices.items()):
            self.weights[f"{name}_w{j}"] = matrix
            made = self._add("MatMul", (source, f"{name}_w{j}"), f"{name}_p{j}")
            total = self._add("Add", (total, made), f"{name}_s{j}") if total else made
        self.weights[f"{name}_b"] = bias
        return self._add("Add", (total, f"{name}_b"), name)

    def _maximum(self, name: str, a: int, groups: IntArray) -> None:
        """Write maxima by `max(a, b) = b + relu(a - b)`, one member after the other; absent ones repeat the first that is present."""
        first = groups[np.arange(len(groups)), (groups >= 0).argmax(axis=1)]
        members = np.where(groups < 0, first[:, None], groups)
        every = np.arange(len(groups))
        one, zero = np.ones(len(groups)), np.zeros(len(groups))
        best = self._sums(f"{name}_m0", [(a, members[:, 0], every, one)], zero)
        for j in range(1, members.shape[1]):
            other = self._sums(f"{name}_m{j}", [(a, members[:, j], every, one)], zero)
            above = self._add("Relu", (self._add("Sub", (best, other), f"{name}_d{j}"),), f"{name}_r{j}")
            best = self._add("Add", (other, above), f"{name}_g{j}")
        self.nodes[-1].output[0] = name

    def _doubles(self, values: ExactArray) -> Doubles:
        if values.dtype.kind == "f":
            return values.astype(np.float64)
        listed: list[int | Fraction | float] = values.reshape(-1).tolist()
        found = np.array([float(v) for v in listed], dtype=np.float64)
        self.inexact += sum(Fraction(d) != v for d, v in zip(found.tolist(), listed, strict=True))
        return found.reshape(values.shape)


def _declared(inputs: int, outputs: int, version: Version, sort: str) -> list[str]:
    if version == "1.0":
        return [f"(declare-const {name}_{k} Real)" for name, n in (("X", inputs), ("Y", outputs)) for k in range(n)]
    network = f"(declare-network f (declare-input X {sort} [1,{inputs}]) (declare-output Y {sort} [1,{outputs}]))"
    return ["(vnnlib-version <2.0>)", network]


def _element(name: str, k: int, version: Version) -> str:
    return f"{name}_{k}" if version == "1.0" else f"{name}[0,{k}]"


def _box(box: Sequence[tuple[Fraction, Fraction]], version: Version) -> list[str]:
    lines: list[str] = []
    for k, (low, high) in enumerate(box):
        x = _element("X", k, version)
        lines += [f"(assert (>= {x} {decimal(low, up=False)}))", f"(assert (<= {x} {decimal(high, up=True)}))"]
    return lines


def decimal(value: Fraction, *, up: bool) -> str:
    """Return a number as a decimal, rounded up or down where it needs more than `PLACES` digits after the point."""
    scaled = value * 10**PLACES
    whole = -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    digits = str(abs(whole)).rjust(PLACES + 1, "0")
    return f"{'-' if whole < 0 else ''}{digits[:-PLACES]}.{digits[-PLACES:].rstrip('0') or '0'}"


def _asserted(goal: Formula, size: Sequence[int], place: Mapping[int, int], version: Version) -> list[str]:
    """Return an assertion for each conjunct."""

    def compare(node: int, k: int, strict: bool) -> str:
        return f"({'>' if strict and version == '2.0' else '>='} {_element('Y', place[node] + k, version)} 0.0)"

    def conjuncts(formula: Formula) -> list[str]:
        match formula:
            case Truth():
                raise UnsupportedError("a goal that is constant is no question", given=formula, expected="comparisons")
            case All(node, strict):
                return [compare(node, k, strict) for k in range(size[node])]
            case And(children):
                return [c for child in children for c in conjuncts(child)]
            case Any() | Or():
                sides = disjuncts(formula)
                return sides if len(sides) == 1 and isinstance(formula, Any) else [f"(or {' '.join(f'(and {side})' for side in sides)})"]
            case _:
                assert_never(formula)

    def disjuncts(formula: Formula) -> list[str]:
        """Return the alternatives, each the conjuncts of which it consists."""
        match formula:
            case Any(node, strict):
                return [compare(node, k, strict) for k in range(size[node])]
            case Or(children):
                return [side for child in children for side in disjuncts(child)]
            case _:
                return [" ".join(conjuncts(formula))]

    return [f"(assert {c})" for c in conjuncts(goal)]
