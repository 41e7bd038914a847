"""Small valid ONNX files for every operator that is read, over attribute values, opsets, types and shapes, and what comes of each.

The oracle is onnxruntime without graph optimisation, and where it has no kernel the reference evaluator of the package onnx. Weights and
inputs are small dyadic numbers, so that floats are exact wherever nothing is divided and no function is transcendental.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
from onnx import AttributeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from qspec.errors import QspecError
from qspec.readers.onnx import import_onnx
from qspec.readers.onnx_file import OPSETS
from qspec.readers.onnx_operators import OPERATORS

FLOAT, DOUBLE, HALF, INT64, INT32 = 1, 11, 10, 7, 6
NUMPY: dict[int, Any] = {FLOAT: np.float32, DOUBLE: np.float64, HALF: np.float16, INT64: np.int64, INT32: np.int32}
"""The codes of ONNX's types (`onnx.TensorProto`)."""


class Outcome(Enum):
    """What comes of a file: the last one must not occur."""

    EXACT = "equal to the last bit"
    EQUAL = "equal but for rounding"
    REFUSED = "refused"
    NEITHER = "refused, and by the oracle too"
    ALONE = "read, and no oracle runs it"
    DIFFERENT = "different"


@dataclass
class Case:
    """A file: nodes, the shapes of the inputs, constants, and the shape or number of results."""

    op: str
    opset: int
    nodes: list[Any]
    inputs: dict[str, tuple[int, ...]]
    weights: dict[str, Any] = field(default_factory=dict[str, Any])
    type: int = FLOAT
    outputs: tuple[str, ...] = ("y",)
    text: str = ""
    oracle: bool = True
    """Whether onnxruntime may be asked: 1.31.1 ends the process on some files that are not valid."""

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "family",
            [helper.make_tensor_value_info(k, self.type, s) for k, s in self.inputs.items()],
            [helper.make_tensor_value_info(k, self.type, None) for k in self.outputs],
            [numpy_helper.from_array(np.asarray(v), k) for k, v in self.weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


def versions(op: str) -> list[int]:
    """Return the opsets that are read in which an operator changed, and the last one that is read."""
    since = {s.since_version for s in onnx.defs.get_all_schemas_with_history() if s.domain == "" and s.name == op}
    first = min(since)
    return sorted({max(OPSETS[0], first), *(v for v in since if OPSETS[0] <= v <= OPSETS[1]), OPSETS[1]})


def dyadic(*shape: int, seed: int = 0, type: int = FLOAT) -> Any:
    """Return sixteenths between -2 and 2."""
    return (np.random.default_rng(seed + sum(shape)).integers(-32, 33, shape) / 16).astype(NUMPY[type])


def case(op: str, opset: int, arguments: Sequence[object], *, outputs: int = 1, type: int = FLOAT, **attributes: Any) -> Case:
    """Return a file of one node: a tuple is the shape of an input, an array a constant, None an input that is left out."""
    inputs: dict[str, tuple[int, ...]] = {}
    weights: dict[str, Any] = {}
    names: list[str] = []
    for k, a in enumerate(arguments):
        names.append("" if a is None else f"x{k}" if isinstance(a, tuple) else f"c{k}")
        if isinstance(a, tuple):
            inputs[names[-1]] = a
        elif a is not None:
            weights[names[-1]] = a
    results = ["y"] if outputs == 1 else [f"y{k}" for k in range(outputs)]
    attributes = {k: v for k, v in attributes.items() if v is not None}
    node = helper.make_node(op, names, results)
    node.attribute.extend(helper.make_attribute(k, v, attr_type=AttributeProto.INTS if v == [] else None) for k, v in attributes.items())
    shown = ", ".join(str(a) if isinstance(a, tuple) else "-" if a is None else f"const{cast(Any, np.asarray(a)).shape}" for a in arguments)
    text = f"{op} opset {opset}: {shown} {attributes} {np.dtype(NUMPY[type]).name}"
    return Case(op, opset, [node], inputs, weights, type, tuple(results), text)


def run(path: Path, c: Case) -> Outcome:
    """Write a file, read it, and compare with the oracle on three inputs."""
    model = c.model()
    path.write_bytes(model.SerializeToString())
    try:
        imported = import_onnx(path)
    except QspecError:
        imported = None
    rng = np.random.default_rng(0)
    feeds = [{k: np.asarray(rng.integers(-48, 49, s) / 16).astype(NUMPY[c.type]) for k, s in c.inputs.items()} for _ in range(2)]
    feeds.append({k: np.zeros_like(v) for k, v in feeds[0].items()})
    wanted = _answers(_session, model, feeds) if c.oracle else None
    if imported is None:
        return Outcome.NEITHER if wanted is None else Outcome.REFUSED
    if wanted is None:
        wanted = _answers(ReferenceEvaluator, model, feeds)
    if wanted is None:
        return Outcome.ALONE
    exact = True
    for x, results in zip(feeds, wanted, strict=True):
        own = np.empty(sum(v.size for v in x.values()))
        own[imported.input_order] = np.concatenate([v.reshape(-1) for v in x.values()])
        found = imported.network.evaluate(own.reshape(imported.network.inputs[0].shape)).reshape(-1)[imported.output_order]
        expected = np.concatenate([w.reshape(-1) for w in results]).astype(np.float64)
        shapes = [w.shape for w in results]
        if [*imported.outputs.values()] != shapes or not np.allclose(found, expected, rtol=2e-6, atol=2e-6):
            return Outcome.DIFFERENT
        exact &= bool(np.array_equal(found, expected))
    return Outcome.EXACT if exact else Outcome.EQUAL


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _answers(start: Callable[[onnx.ModelProto], Any], model: onnx.ModelProto, feeds: list[dict[str, Any]]) -> list[list[Any]] | None:
    """Return the results of an oracle for each input; None if it runs no such file, whatever it raises."""
    with suppress(Exception):
        runner = start(model)
        return [[np.asarray(y) for y in runner.run(None, x)] for x in feeds]
    return None


def _one(name: str, value: Any) -> dict[str, Any]:
    return {name: value}


def family(op: str) -> Iterator[Case]:
    """Return the files of an operator."""
    for opset in versions(op):
        yield from FAMILIES[op](op, opset)
        yield from _common(next(iter(FAMILIES[op](op, opset))))


def _common(first: Case) -> Iterator[Case]:
    """Return what is tried of every operator: attributes that nobody knows, and that belong to other opsets."""
    for key, value in (("bogus", 1), ("axis", 1), ("broadcast", 1), ("consumed_inputs", [0]), ("ceil_mode", 1), ("dilations", [2, 2])):
        present = {a.name for a in first.nodes[0].attribute}
        if key not in present:
            node = onnx.NodeProto.FromString(first.nodes[0].SerializeToString())
            node.attribute.append(helper.make_attribute(key, value))
            yield Case(first.op, first.opset, [node], first.inputs, first.weights, first.type, first.outputs, f"{first.text} {key}={value}")


def _typed(op: str, opset: int, arguments: Callable[[int], Sequence[object]], **attributes: Any) -> Iterator[Case]:
    for kind in (FLOAT, DOUBLE, HALF, INT64, INT32):
        yield case(op, opset, arguments(kind), type=kind, **attributes)


SHAPES: list[tuple[int, ...]] = [(1, 4), (1, 2, 3), (2, 3), (), (5,), (1, 2, 3, 2), (2, 1, 2, 1, 2)]


def _unary(op: str, opset: int, **attributes: Any) -> Iterator[Case]:
    for shape in SHAPES:
        yield case(op, opset, [shape], **attributes)
    yield from _typed(op, opset, lambda kind: [(1, 4)], **attributes)


def _slopes(name: str) -> Callable[[str, int], Iterator[Case]]:
    def cases(op: str, opset: int) -> Iterator[Case]:
        yield from _unary(op, opset)
        for value in (-1.5, -0.25, 0.0, 0.25, 1.0, 2.0):
            yield case(op, opset, [(1, 3, 2)], **_one(name, value))
            yield case(op, opset, [(1, 3)], type=DOUBLE, **_one(name, value))

    return cases


PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((1, 3), (3,)),
    ((3, 1), (3,)),
    ((1, 3), (3, 1)),
    ((1, 1), (3,)),
    ((1, 3), ()),
    ((1, 2, 3), (2, 1)),
    ((1, 2, 2, 3), (2, 1, 1)),
    ((2, 3), (2, 3)),
    ((2, 3), (1, 2, 3)),
    ((), (2,)),
    ((2, 3), (4,)),
]


def _binary(op: str, opset: int) -> Iterator[Case]:
    for left, right in PAIRS:
        c = np.where(dyadic(*right) == 0, np.float32(0.5), np.sign(dyadic(*right)) * 2.0 ** np.round(dyadic(*right))).astype(np.float32)
        yield case(op, opset, [left, c])
        yield case(op, opset, [c, left])
        yield case(op, opset, [left, right])
    yield from _typed(op, opset, lambda kind: [(1, 4), np.full(4, 2, dtype=NUMPY[kind])])
    yield case(op, opset, [(1, 4), np.zeros(4, dtype=np.float32)])
    yield case(op, opset, [(1, 4), dyadic(4, type=DOUBLE)])
    yield case(op, opset, [(1, 4), dyadic(4, type=HALF)])


def _variadic(op: str, opset: int) -> Iterator[Case]:
    c = dyadic(1, 4)
    for arguments in (
        [(1, 4)],
        [(1, 4), c],
        [c, (1, 4), c * 2, (1, 4)],
        [(1, 4), (4,)],
        [(2, 3), (2, 1), dyadic(3)],
        [(1, 2, 3), (1, 2, 3)],
        [c, c, (1,)],
    ):
        yield case(op, opset, arguments)
    yield from _typed(op, opset, lambda kind: [(1, 4), dyadic(1, 4, type=kind)])


def _clip(op: str, opset: int) -> Iterator[Case]:
    ends: list[float | None] = [None, -1.0, 0.0, 6.0, float("-inf"), float("inf"), 3.4028234663852886e38, -3.4028234663852886e38]
    for low, high in product(ends, ends):
        if opset < 11:
            yield case(op, opset, [(1, 4)], min=low, max=high)
        else:
            yield case(op, opset, [(1, 4), *(None if e is None else np.float32(e) for e in (low, high))])
    if opset >= 11:
        yield case(op, opset, [(1, 4), np.array([0.0], dtype=np.float32)])
        yield case(op, opset, [(1, 4), ()])
        yield case(op, opset, [(1, 4), np.float32("nan")])
        yield from _typed(op, opset, lambda kind: [(1, 4), np.asarray(1, dtype=NUMPY[kind])])


def _p_relu(op: str, opset: int) -> Iterator[Case]:
    for shape, slope in (((1, 3), (3,)), ((1, 3), (1,)), ((1, 3, 2, 2), (3, 1, 1)), ((2, 2), (2, 2)), ((1, 3), (2, 3)), ((3,), ())):
        yield case(op, opset, [shape, dyadic(*slope)])
        yield case(op, opset, [shape, np.abs(dyadic(*slope)) / 2])
    yield case(op, opset, [(1, 3), (3,)])
    yield from _typed(op, opset, lambda kind: [(1, 3), np.ones(3, dtype=NUMPY[kind])])


def _reduce(later: int) -> Callable[[str, int], Iterator[Case]]:
    def cases(op: str, opset: int) -> Iterator[Case]:
        lists: list[list[int] | None] = [None, [], [0], [1], [-1], [1, 2], [2, 3], [3, -2], [0, 1, 2, 3], [1, 1], [4]]
        for axes, keep, noop in product(lists, (0, 1), (0, 1)):
            if opset >= later:
                given = [] if axes is None else [np.array(axes, dtype=np.int64)]
                yield case(op, opset, [(1, 2, 3, 4), *given], keepdims=keep, noop_with_empty_axes=noop)
            elif not noop:
                yield case(op, opset, [(1, 2, 3, 4)], axes=axes, keepdims=keep)
        yield from _typed(op, opset, lambda kind: [(1, 4)])
        yield case(op, opset, [(1, 4)], keepdims=2)

    return cases


def _cast(op: str, opset: int) -> Iterator[Case]:
    numbers = np.array([1.75, -2.5, 0.0, 3.0], dtype=np.float32)
    for to in (*range(24), 99):
        nodes = [helper.make_node("Cast", ["x"], ["a"], to=to), helper.make_node("Cast", ["a"], ["y"], to=FLOAT)]
        yield Case(op, opset, nodes, {"x": (1, 4)}, text=f"Cast of a signal to {to} and back, opset {opset}")
        nodes = [
            helper.make_node("Cast", ["c"], ["a"], to=to),
            helper.make_node("Cast", ["a"], ["b"], to=FLOAT),
            helper.make_node("Add", ["x", "b"], ["y"]),
        ]
        for values in (numbers, np.array([0.1, 2049, -0.2, 7]), np.array([1, -300, 70000, 2**40 + 1]), np.array([True, False, True, True])):
            yield Case(op, opset, nodes, {"x": (1, 4)}, {"c": values}, text=f"Cast of {values.dtype} {values} to {to}, opset {opset}")
    yield from _typed(op, opset, lambda kind: [(1, 4)], to=FLOAT)


def _concat(op: str, opset: int) -> Iterator[Case]:
    for axis in range(-5, 5):
        yield case(op, opset, [(1, 2, 3, 2), (1, 2, 3, 2)], axis=axis)
        yield case(op, opset, [(1, 2, 3), dyadic(1, 2, 3), (1, 2, 3)], axis=axis)
        yield case(op, opset, [(1, 2), (1, 3)], axis=axis)
    yield case(op, opset, [(1, 2)], axis=1)
    yield case(op, opset, [(1, 2), (1, 2)])
    yield from _typed(op, opset, lambda kind: [(1, 3), dyadic(1, 2, type=kind)], axis=1)


def _constant(op: str, opset: int) -> Iterator[Case]:
    values: list[dict[str, Any]] = [
        {"value": numpy_helper.from_array(dyadic(1, 4))},
        {"value": numpy_helper.from_array(dyadic(1, 4, type=DOUBLE))},
        {"value_float": 0.1},
        {"value_floats": [0.1, 0.2, 0.3, 0.5]},
        {"value_int": 3},
        {"value_ints": [1, 2, 3, 4]},
        {"value_string": b"a"},
        {"value_float": 0.5, "value_int": 1},
    ]
    for attributes in values:
        nodes = [
            helper.make_node("Constant", [], ["c"], **attributes),
            helper.make_node("Cast", ["c"], ["d"], to=FLOAT),
            helper.make_node("Add", ["x", "d"], ["y"]),
        ]
        yield Case(op, opset, nodes, {"x": (1, 4)}, text=f"Constant {list(attributes)} opset {opset}")


def _constant_of_shape(op: str, opset: int) -> Iterator[Case]:
    values = [None, np.array([1.5], dtype=np.float32), np.array([2], dtype=np.int64), np.array([1, 2], dtype=np.float32), np.array([True])]
    for value, shape in product(values, ([1, 4], [4], [], [0])):
        attributes: dict[str, Any] = {} if value is None else {"value": numpy_helper.from_array(value)}
        made = helper.make_node(op, ["s"], ["c"], **attributes)
        nodes = [made, helper.make_node("Cast", ["c"], ["d"], to=FLOAT), helper.make_node("Add", ["x", "d"], ["y"])]
        yield Case(op, opset, nodes, {"x": (1, 4)}, {"s": np.array(shape, dtype=np.int64)}, text=f"{op} {value} {shape} opset {opset}")


def _windows(op: str, opset: int, weights: Callable[[int], list[Any]], **always: Any) -> Iterator[Case]:
    """Return windows over images of 5 by 6 and rows of 6: strides, padding of every kind, dilations."""
    for pad, stride in product((None, "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", "OTHER"), ([1, 1], [2, 1], [3, 2])):
        yield case(op, opset, [(1, 2, 5, 6), *weights(2)], auto_pad=pad, strides=stride, **always)
    for pads in ([0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1], [0, 1, 0, 0], [2, 2, 2, 2], [-1, 0, 0, 0], [1, 1]):
        yield case(op, opset, [(1, 2, 5, 6), *weights(2)], pads=pads, **always)
        yield case(op, opset, [(1, 2, 5, 6), *weights(2)], pads=pads, auto_pad="SAME_UPPER", **always)
    for dilations in ([1, 1], [2, 1], [1, 2], [0, 1], [2]):
        yield case(op, opset, [(1, 2, 5, 6), *weights(2)], dilations=dilations, **always)
        yield case(op, opset, [(1, 2, 5, 6), *weights(2)], dilations=dilations, auto_pad="SAME_LOWER", strides=[2, 2], **always)
    for strides in ([0, 1], [2], [7, 7]):
        yield case(op, opset, [(1, 2, 5, 6), *weights(2)], strides=strides, **always)
    one = {k: v[:1] if k == "kernel_shape" else v for k, v in always.items()}
    rows: list[dict[str, Any]] = [{}, {"pads": [1, 1]}, {"strides": [2]}, {"auto_pad": "SAME_UPPER", "strides": [2]}, {"dilations": [2]}]
    for attributes in rows:
        yield case(op, opset, [(1, 2, 6), *weights(1)], **{**one, **attributes})
    yield case(op, opset, [(2, 2, 5, 6), *weights(2)], **always)
    yield case(op, opset, [(1, 2, 5, 6), *(w.astype(np.float64) for w in weights(2))], type=DOUBLE, **always)
    yield case(op, opset, [(1, 2, 5, 6), *(w.astype(np.float16) for w in weights(2))], type=HALF, **always)
    yield case(op, opset, [(1, 2, 3, 3, 3), *weights(2)], **always)


def _conv(op: str, opset: int) -> Iterator[Case]:
    def weights(axes: int) -> list[Any]:
        return [dyadic(4, 2, *(3, 2)[:axes])]

    yield from _windows(op, opset, weights)
    yield case(op, opset, [(1, 2, 5, 6), *weights(2), dyadic(4)])
    yield case(op, opset, [(1, 2, 5, 6), *weights(2), dyadic(3)])
    yield case(op, opset, [(1, 2, 5, 6), (4, 2, 3, 2)])
    for kernel in ([3, 2], [2, 3], [3]):
        yield case(op, opset, [(1, 2, 5, 6), *weights(2)], kernel_shape=kernel)
    for group, depth in ((2, 1), (1, 2), (2, 2), (3, 1), (0, 2), (4, 1)):
        yield case(op, opset, [(1, 2, 5, 6), dyadic(4, depth, 3, 2)], group=group)
        yield case(op, opset, [(1, 4, 5, 6), dyadic(4, depth, 3, 2)], group=group)


def _conv_transpose(op: str, opset: int) -> Iterator[Case]:
    def weights(axes: int) -> list[Any]:
        return [dyadic(2, 3, *(3, 2)[:axes])]

    yield from _windows(op, opset, weights)
    yield case(op, opset, [(1, 2, 3, 2), *weights(2), dyadic(3)])
    for more, stride in product(([0, 0], [1, 0], [1, 1], [2, 2]), ([1, 1], [2, 2], [3, 2])):
        yield case(op, opset, [(1, 2, 3, 2), *weights(2)], output_padding=more, strides=stride)
        yield case(op, opset, [(1, 2, 3, 2), *weights(2)], output_padding=more, strides=stride, pads=[1, 0, 1, 1], dilations=[1, 2])
    yield case(op, opset, [(1, 2, 3, 2), *weights(2)], output_shape=[6, 4], strides=[2, 2])
    for group in (1, 2, 4):
        yield case(op, opset, [(1, 4, 3, 2), dyadic(4, 3, 2, 2), dyadic(3 * group)], group=group)


def _pool(op: str, opset: int) -> Iterator[Case]:
    for kernel in ([2, 2], [3, 2]):
        yield from _windows(op, opset, lambda axes: [], kernel_shape=kernel)
    for value in (0, 1, 2):
        yield case(op, opset, [(1, 2, 5, 6)], kernel_shape=[2, 3], ceil_mode=value, strides=[2, 2])
        yield case(op, opset, [(1, 2, 5, 6)], kernel_shape=[2, 3], storage_order=value)
        for pads in ([0, 0, 0, 0], [1, 1, 0, 1]):
            yield case(op, opset, [(1, 2, 5, 6)], kernel_shape=[2, 3], count_include_pad=value, pads=pads)
        yield case(op, opset, [(1, 2, 5, 6)], kernel_shape=[2, 3], count_include_pad=value, auto_pad="SAME_UPPER")
    yield case(op, opset, [(1, 2, 5, 6)])
    nodes = [helper.make_node(op, ["x"], ["y", "indices"], kernel_shape=[2, 2])]
    yield Case(op, opset, nodes, {"x": (1, 2, 4, 4)}, text=f"{op} with Indices that nothing reads, opset {opset}")


def _global_pool(op: str, opset: int) -> Iterator[Case]:
    for shape in ((1, 2, 3, 4), (1, 2, 5), (1, 2, 2, 2, 2), (2, 2, 3, 3), (1, 3)):
        yield case(op, opset, [shape])
    yield from _typed(op, opset, lambda kind: [(1, 2, 2, 2)])


def _batch_norm(op: str, opset: int) -> Iterator[Case]:
    parts = [dyadic(3), dyadic(3, seed=1), dyadic(3, seed=2), np.array([1, 0.25, 2], dtype=np.float32)]
    for shape in ((1, 3, 2, 2), (1, 3), (2, 3), (1, 3, 4), (3,), (1, 2)):
        yield case(op, opset, [shape, *parts], epsilon=0.5)
        yield case(op, opset, [shape, *parts])
    for key, value in (("momentum", 0.5), ("spatial", 0), ("spatial", 1), ("training_mode", 0), ("training_mode", 1), ("epsilon", 0.0)):
        yield case(op, opset, [(1, 3, 2, 2), *parts], **_one(key, value))
    yield case(op, opset, [(1, 3), *parts[:3], -parts[3]])
    yield case(op, opset, [(1, 3), *(p.astype(np.float64) for p in parts)], type=DOUBLE)
    yield case(op, opset, [(1, 3), *(p.astype(np.float16) for p in parts)], type=HALF)


def _gemm(op: str, opset: int) -> Iterator[Case]:
    for (ta, tb), (m, alpha, beta) in product(product((0, 1), (0, 1)), ((1, None, None), (2, 0.5, 2.0), (1, -2.0, 0.0), (1, 0.0, 1.0))):
        a, b = ((3, m) if ta else (m, 3)), ((4, 3) if tb else (3, 4))
        for c in (None, dyadic(4), dyadic(1, 4), dyadic(m, 1), dyadic(1), np.float32(0.5), (m, 4), dyadic(2, 4), (4,)):
            attributes: dict[str, Any] = {"transA": ta, "transB": tb, "alpha": alpha, "beta": beta}
            yield case(op, opset, [a, dyadic(*b), c] if c is not None else [a, dyadic(*b)], **attributes)
            yield case(op, opset, [dyadic(*a), b, c] if c is not None else [dyadic(*a), b], **attributes)
    for key, value in (("transB", 7), ("transA", -1), ("transB", 2)):
        yield case(op, opset, [(1, 3), dyadic(3, 3), dyadic(3)], **_one(key, value))
    yield case(op, opset, [(1, 3), (3, 2), dyadic(2)])
    yield case(op, opset, [(1, 1, 3), dyadic(3, 2), dyadic(2)])
    yield case(op, opset, [(1, 4), dyadic(3, 2), dyadic(2)])
    yield from _typed(op, opset, lambda kind: [(1, 3), dyadic(3, 2, type=kind), dyadic(2, type=kind)])


def _matmul(op: str, opset: int) -> Iterator[Case]:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((1, 3), (3, 2)),
        ((3,), (3, 2)),
        ((1, 3), (3,)),
        ((3,), (3,)),
        ((2, 3), (3, 2)),
        ((2, 2, 3), (3, 2)),
        ((2, 3), (4, 3, 2)),
        ((2, 1, 2, 3), (4, 3, 2)),
        ((1, 1, 3), (3, 2)),
        ((2, 3), (3,)),
        ((3,), (2, 3, 2)),
        ((1, 3), (1, 3, 2)),
        ((1, 3), (2, 3)),
        ((), (3,)),
    ]
    for left, right in shapes:
        yield case(op, opset, [left, dyadic(*right)])
        yield case(op, opset, [dyadic(*left), right])
        yield case(op, opset, [left, right])
    yield from _typed(op, opset, lambda kind: [(1, 3), dyadic(3, 2, type=kind)])


def _softmax(op: str, opset: int) -> Iterator[Case]:
    for shape in ((1, 3), (2, 3), (1, 2, 3), (1, 2, 2, 2), (4,), (1, 1)):
        for axis in (None, *range(-len(shape) - 1, len(shape) + 1)):
            yield case(op, opset, [shape], axis=axis)
    yield from _typed(op, opset, lambda kind: [(1, 3)])


def _dropout(op: str, opset: int) -> Iterator[Case]:
    if opset < 12:
        for ratio in (None, 0.0, 0.5):
            yield case(op, opset, [(1, 4)], ratio=ratio)
            yield case(op, opset, [(1, 4)], ratio=ratio, is_test=1)
    else:
        for ratio, training in product((None, np.float32(0), np.float32(0.5)), (None, np.bool_(False), np.bool_(True))):
            yield case(op, opset, [(1, 4), ratio, training])
            yield case(op, opset, [(1, 4), ratio, training], seed=3)
    for text, tail in (
        ("unused", []),
        ("read", [helper.make_node("Cast", ["mask"], ["m"], to=FLOAT), helper.make_node("Add", ["a", "m"], ["y"])]),
    ):
        head = helper.make_node("Dropout", ["x"], ["a" if tail else "y", "mask"])
        yield Case(op, opset, [head, *tail], {"x": (1, 4)}, text=f"Dropout, mask {text}, opset {opset}")
    yield from _typed(op, opset, lambda kind: [(1, 4)])


def _flatten(op: str, opset: int) -> Iterator[Case]:
    for shape in ((1, 2, 3), (2, 3), (4,), ()):
        for axis in (None, *range(-4, 5)):
            yield case(op, opset, [shape], axis=axis)
    yield from _typed(op, opset, lambda kind: [(1, 4)])


def _reshape(op: str, opset: int) -> Iterator[Case]:
    for shape in ([6], [2, 3], [0, -1], [-1], [3, 0, -1], [1, 0], [-1, -1], [7], [1, 1, 2, 3], [0, 0, 0, 1], [0, 0, 0, 0], [2, -3], []):
        for zero in (None, 0, 1, 2):
            if opset >= 14 or zero is None:
                yield case(op, opset, [(1, 2, 3), np.array(shape, dtype=np.int64)], allowzero=zero)
    yield case(op, opset, [(1, 2, 3), np.array([6], dtype=np.int32)])
    yield from _typed(op, opset, lambda kind: [(1, 4), np.array([2, 2], dtype=np.int64)])


def _axes(op: str, opset: int) -> Iterator[Case]:
    shape = (1, 2, 1, 3)
    for axes in (None, [0], [-2], [0, 2], [1], [2, 2], [5], [-5], []):
        if opset < 13:
            yield case(op, opset, [shape], axes=axes)
        else:
            yield case(op, opset, [shape] if axes is None else [shape, np.array(axes, dtype=np.int64)])
    if opset >= 13:
        yield case(op, opset, [shape, np.array([0], dtype=np.int32)])
    yield from _typed(
        op, opset, lambda kind: [(1, 4)] if opset < 13 else [(1, 4), np.array([0], dtype=np.int64)], axes=[0] if opset < 13 else None
    )


def _transpose(op: str, opset: int) -> Iterator[Case]:
    for perm in (None, [0, 1, 2, 3], [0, 3, 1, 2], [0, 2, 3, 1], [3, 2, 1, 0], [0, 0, 1, 2], [0, 1], [-1, 0, 1, 2], [4, 0, 1, 2]):
        yield case(op, opset, [(1, 2, 3, 4)], perm=perm)
    yield from _typed(op, opset, lambda kind: [(2, 3)])


def _shaped(op: str, opset: int) -> Iterator[Case]:
    for shape, wanted in product(((1, 3), (3,), (2, 1), ()), ([2, 3], [3], [1], [2, 1, 3], [1, 1], [2, 2], [], [0, 3], [-1, 3])):
        yield case(op, opset, [shape, np.array(wanted, dtype=np.int64)])
    yield from _typed(op, opset, lambda kind: [(1, 2), np.array([2, 2], dtype=np.int64)])


def _gather(op: str, opset: int) -> Iterator[Case]:
    for indices, axis in product(([0], [1, 0, 1], [[0, 1], [1, 1]], [-1], [5], 1, []), (None, 0, 1, -1, -3, 3)):
        for kind in (np.int64, np.int32):
            yield case(op, opset, [(2, 3, 2), np.array(indices, dtype=kind)], axis=axis)
    yield case(op, opset, [(2, 3), np.array([0.0], dtype=np.float32)])
    yield from _typed(op, opset, lambda kind: [(2, 3), np.array([1], dtype=np.int64)])


def _slice(op: str, opset: int) -> Iterator[Case]:
    far = 2**63 - 1
    parts: list[tuple[list[int], list[int], list[int] | None, list[int] | None]] = [
        ([1], [3], [1], None),
        ([0, 1], [1, 3], None, None),
        ([-2], [far], [-1], None),
        ([0], [-1], [1], [1]),
        ([0], [far], [1], [2]),
        ([-1], [-far], [1], [-1]),
        ([3], [0], [1], [-2]),
        ([-20], [-30], [1], [-1]),
        ([0], [20], [2], [3]),
        ([2], [1], [1], None),
        ([0], [1], [1], [0]),
        ([0], [1], [5], None),
        ([0, 0], [1, 1], [1, 1], None),
        ([0], [1, 2], [1], None),
        ([1], [4], [0], None),
    ]
    for starts, ends, axes, steps in parts:
        if opset < 10:
            yield case(op, opset, [(1, 4, 3)], starts=starts, ends=ends, axes=axes)
        else:
            for kind in (np.int64, np.int32):
                limit = np.iinfo(kind)
                lists = [None if v is None else np.clip(v, limit.min, limit.max).astype(kind) for v in (starts, ends, axes, steps)]
                yield case(op, opset, [(1, 4, 3), *lists])
    one, three = np.array([1], dtype=np.int64), np.array([3], dtype=np.int64)
    attributes: dict[str, Any] = {"starts": [1], "ends": [3]} if opset < 10 else {}
    yield from _typed(op, opset, lambda kind: [(4,)] if opset < 10 else [(4,), one, three], **attributes)


def _split(op: str, opset: int) -> Iterator[Case]:
    for axis, count, sizes in product((None, 0, 1, -1, 3), (1, 2, 3), (None, [2, 2], [1, 3], [4], [1, 1, 2], [2, 1], [4, 0])):
        numbers = (None, 1, 2, 3) if opset >= 18 else (None,)
        for number in numbers:
            arguments = [(1, 4, 2)] if sizes is None or opset < 13 else [(1, 4, 2), np.array(sizes, dtype=np.int64)]
            made = case(op, opset, arguments, outputs=count, axis=axis, split=sizes if opset < 13 else None, num_outputs=number)
            made.oracle = number in (None, count)
            yield made
    yield case(op, opset, [(1, 5)], outputs=3, axis=1, num_outputs=3 if opset >= 18 else None)


def _tile(op: str, opset: int) -> Iterator[Case]:
    for repeats in ([1, 1], [2, 1], [2, 3], [1], [0, 1], [-1, 1], [1, 1, 1]):
        yield case(op, opset, [(2, 3), np.array(repeats, dtype=np.int64)])
    yield from _typed(op, opset, lambda kind: [(1, 2), np.array([2, 2], dtype=np.int64)])


def _pad(op: str, opset: int) -> Iterator[Case]:
    modes = (None, "constant", "reflect", "edge", "wrap", "other")
    for mode, pads in product(
        modes, ([0, 1, 0, 2], [1, 0, 1, 0], [0, -1, 0, 0], [0, -1, 0, 2], [0, 3, 0, 3], [0, 2, 0, 2], [0, 0], [-2, 0, 0, 0])
    ):
        for value in (None, 0.0, 1.5):
            if opset < 11:
                yield case(op, opset, [(2, 3)], mode=mode, pads=pads, value=value)
            else:
                given = None if value is None else np.float32(value)
                yield case(op, opset, [(2, 3), np.array(pads, dtype=np.int64), given], mode=mode)
    if opset >= 18:
        for axes in ([1], [0, 1], [-1], [2], [1, 1]):
            pads = np.array([1] * len(axes) + [2] * len(axes), dtype=np.int64)
            yield case(op, opset, [(2, 3), pads, None, np.array(axes, dtype=np.int64)])
    if opset >= 11:
        yield case(op, opset, [(2, 3), np.array([1, 0, 1, 0]), np.float64(1)])
        yield from _typed(op, opset, lambda kind: [(2, 2), np.array([1, 0, 1, 0], dtype=np.int64)])


def _shape(op: str, opset: int) -> Iterator[Case]:
    for start, end in product((None, 0, 1, -1, 5, -9), (None, 2, -1, 9, 0)):
        attributes: dict[str, Any] = {k: v for k, v in (("start", start), ("end", end)) if v is not None}
        if opset < 15 and attributes:
            continue
        nodes = [
            helper.make_node("Shape", ["x"], ["s"], **attributes),
            helper.make_node("Cast", ["s"], ["f"], to=FLOAT),
            helper.make_node("Concat", ["f", "r"], ["g"], axis=0),
            helper.make_node("Flatten", ["x"], ["q"], axis=0),
            helper.make_node("Squeeze", ["q"], ["p"]),
            helper.make_node("Concat", ["p", "g"], ["y"], axis=0),
        ]
        weights = {"r": np.ones(1, dtype=np.float32)}
        yield Case(op, opset, nodes, {"x": (1, 2, 3)}, weights, text=f"Shape {attributes}, opset {opset}")


FAMILIES: dict[str, Callable[[str, int], Iterator[Case]]] = {
    **dict.fromkeys(("Abs", "Exp", "Identity", "Neg", "Relu", "Sigmoid", "Softplus", "Tanh"), _unary),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _binary),
    **dict.fromkeys(("Sum", "Max", "Min"), _variadic),
    **dict.fromkeys(("ReduceMax", "ReduceMean", "ReduceMin"), _reduce(18)),
    **dict.fromkeys(("Squeeze", "Unsqueeze"), _axes),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    **dict.fromkeys(("LeakyRelu", "Elu"), _slopes("alpha")),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Dropout": _dropout,
    "Expand": _shaped,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "HardSigmoid": _slopes("alpha"),
    "MatMul": _matmul,
    "PRelu": _p_relu,
    "Pad": _pad,
    "ReduceSum": _reduce(13),
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Tile": _tile,
    "Transpose": _transpose,
}
assert set(FAMILIES) == set(OPERATORS)
