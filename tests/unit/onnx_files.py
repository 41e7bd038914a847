"""Small quantised ONNX files, drawn at random: an operator each, as a QLinear operator and between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save

import qspec as qs
from qspec.lowering.evaluate import trace

Random = np.random.Generator
TYPES = {np.dtype(np.int8): TensorProto.INT8, np.dtype(np.uint8): TensorProto.UINT8}
TIES = ((0.05, 0.05, 0.1), (0.5, 0.125, 0.0625), (0.1, 0.1, 0.2), (0.3, 0.1, 0.6), (1.0, 1.0, 1.0), (0.25, 0.25, 0.5))
"""Scales of a first, a second and a resulting signal whose ratios make exact halves common."""


class File:
    """Nodes and constants of a file under construction."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs: dict[str, tuple[tuple[int, ...], np.dtype]] = {}

    def keep(self, **arrays: np.ndarray | np.generic) -> None:
        """Store constants."""
        self.constants |= {name: np.asarray(a) for name, a in arrays.items()}

    def scale(self, name: str, value: object, zero: np.ndarray | np.generic) -> list[str]:
        """Store a scale and a zero point; returns their names."""
        self.keep(**{f"{name}_scale": np.asarray(value, np.float32), f"{name}_zero": zero})
        return [f"{name}_scale", f"{name}_zero"]

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node; `kind` may begin with the domain com.microsoft."""
        domain, _, op = kind.rpartition(".")
        made = helper.make_node(op, inputs, [output], name=f"the_{output}", domain=domain)
        made.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(made)
        return output

    def quantized(self, name: str, value: str, parameters: list[str]) -> str:
        return self.node("QuantizeLinear", [value, *parameters], name)

    def real(self, name: str, parameters: list[str], **attributes: object) -> str:
        """Add a DequantizeLinear of a tensor; returns its result."""
        return self.node("DequantizeLinear", [name, *parameters], f"{name}_real", **attributes)

    def model(self, outputs: Mapping[str, int], opset: int = 21) -> ModelProto:
        """Return the model."""
        given = [helper.make_tensor_value_info(n, TYPES[d], s) for n, (s, d) in self.inputs.items()]
        ends = [helper.make_tensor_value_info(n, t, None) for n, t in outputs.items()]
        stored = [numpy_helper.from_array(v, n) for n, v in self.constants.items()]
        graph = helper.make_graph(self.nodes, "drawn", given, ends, stored)
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


def scales(random: Random) -> tuple[float, float, float]:
    """Return three float32 scales: tie-rich ones half of the time."""
    a, b, c = TIES[random.integers(len(TIES))] if random.random() < 0.5 else random.uniform(0.004, 0.3, 3)
    return float(np.float32(a)), float(np.float32(b)), float(np.float32(c))


def kind(random: Random) -> np.dtype:
    return np.dtype(random.choice(np.array(["int8", "uint8"])))


def zero(random: Random, dtype: np.dtype, shape: tuple[int, ...] = ()) -> np.ndarray:
    """Return zero points, at an end of the codes half of the time."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    drawn = random.integers(low, high + 1, shape)
    return np.asarray(np.where(random.random() < 0.5, random.choice([low, high, (low + high + 1) // 2], shape), drawn), dtype)


def _codes(random: Random, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    return random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)


def _weights(f: File, codes: np.ndarray, channels: int, unit: float) -> list[str]:
    """Store a kernel per tensor or per channel, whose multipliers are exactly 1/64, 1/48, others, or above 1."""
    r = f.random
    many = bool(r.integers(2))
    ratio = r.choice([1 / 64, 1 / 48, 2.0**-9, 0.0123, 1.5], channels if many else ())
    shape = (channels,) if many else ()
    zeros = zero(r, codes.dtype, shape) if r.integers(2) else np.zeros(shape, codes.dtype)
    f.keep(w=codes)
    return f.scale("w", ratio * unit, zeros)


def _signal(f: File, name: str, shape: tuple[int, ...], scale: float, dtype: np.dtype) -> list[str]:
    f.inputs[name] = (shape, dtype)
    return f.scale(name, scale, zero(f.random, dtype))


def _types(random: Random) -> tuple[np.dtype, np.dtype]:
    """Return types of a signal and of weights that onnxruntime takes together."""
    signal = kind(random)
    return signal, np.dtype(np.int8) if signal == np.int8 else kind(random)


def conv(random: Random, *, qdq: bool) -> ModelProto:
    """Return QLinearConv, or Conv with ReLU or Clip: strides, dilations, paddings, groups, per channel or not."""
    f = File(random)
    (sx, _, sy), (dx, dw) = scales(random), _types(random)
    groups, depth, times = (int(v) for v in random.integers(1, 4, 3))
    height, width = (int(v) for v in random.integers(5, 9, 2))
    kh, kw = (int(v) for v in random.integers(1, 4, 2))
    channels = groups * times
    x = _signal(f, "x", (1, groups * depth, height, width), sx, dx)
    w = _weights(f, _codes(random, dw, (channels, depth, kh, kw)), channels, sy / sx)
    y = f.scale("y", sy, zero(random, dx))
    f.keep(b=random.integers(-3000, 3000, channels).astype(np.int32))
    attributes: dict[str, object] = {"strides": random.integers(1, 3, 2).tolist(), "group": groups}
    if random.random() < 0.3:
        attributes["auto_pad"] = str(random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    else:
        attributes |= {"pads": [int(v) for k in (kh, kw, kh, kw) for v in random.integers(0, k, 1)]}
        attributes |= {"dilations": random.integers(1, 3, 2).tolist()}
    if not qdq:
        f.node("QLinearConv", ["x", *x, "w", *w, *y, "b"], "y", **attributes)
        return f.model({"y": TYPES[dx]})
    parts = [f.real("x", x), f.real("w", w, axis=0), _bias(f, sx, axis=0)]
    return _ended(f, f.node("Conv", parts, "sum", **attributes), y, dx)


def _bias(f: File, sx: float, **attributes: object) -> str:
    unit = np.float32(sx) * f.constants["w_scale"]
    return f.real("b", f.scale("b", unit, np.zeros(unit.shape, np.int32)), **attributes)


def _ended(f: File, value: str, y: list[str], dtype: np.dtype) -> ModelProto:
    """Add a ReLU, which the lowest code as zero point implies, or none, and the QuantizeLinear."""
    if f.random.random() < 0.3:
        f.keep(y_zero=np.asarray(np.iinfo(dtype).min, dtype))
        value = f.node("Relu", [value], "limited")
    return f.model({f.quantized("y", value, y): TYPES[dtype]})


def matmul(random: Random, *, qdq: bool) -> ModelProto:
    """Return QLinearMatMul or MatMul by a stored matrix: one row or several."""
    f = File(random)
    (sx, _, sy), (dx, dw) = scales(random), _types(random)
    rows, n, outputs = (int(v) for v in random.integers(1, 9, 3))
    x = _signal(f, "x", (rows, n), sx, dx)
    w = _weights(f, _codes(random, dw, (n, outputs)), outputs, sy / sx)
    y = f.scale("y", sy, zero(random, dx))
    if not qdq:
        f.node("QLinearMatMul", ["x", *x, "w", *w, *y], "y")
        return f.model({"y": TYPES[dx]})
    return f.model({f.quantized("y", f.node("MatMul", [f.real("x", x), f.real("w", w, axis=1)], "sum"), y): TYPES[dx]})


def gemm(random: Random, *, qdq: bool) -> ModelProto:
    """Return QGemm or Gemm with a bias or none, the matrix as it is or transposed."""
    f = File(random)
    (sx, _, sy), (dx, dw) = scales(random), _types(random)
    rows, n, outputs, turned = (int(v) for v in (*random.integers(1, 9, 3), random.integers(2)))
    x = _signal(f, "x", (rows, n), sx, dx)
    w = _weights(f, _codes(random, dw, (outputs, n) if turned else (n, outputs)), outputs, sy / sx)
    y = f.scale("y", sy, zero(random, dx))
    f.keep(b=random.integers(-3000, 3000, outputs).astype(np.int32))
    if not qdq:
        f.node("com.microsoft.QGemm", ["x", *x, "w", *w, "b", *y], "y", transB=turned, alpha=float(random.choice([1.0, 0.5, 0.3])))
        return f.model({"y": TYPES[dx]})
    parts = [f.real("x", x), f.real("w", w, axis=0 if turned else 1), _bias(f, sx, axis=0)]
    return _ended(f, f.node("Gemm", parts, "sum", transB=turned), y, dx)


def addition(random: Random, *, qdq: bool) -> ModelProto:
    """Return QLinearAdd or Add of two signals, or of a signal and stored codes."""
    f = File(random)
    (sa, sb, sy), dtype = scales(random), kind(random)
    shape = (1, *(int(v) for v in random.integers(1, 7, 3)))
    a, b, y = _signal(f, "a", shape, sa, dtype), f.scale("b", sb, zero(random, dtype)), f.scale("y", sy, zero(random, dtype))
    if random.random() < 0.5:
        f.inputs["b"] = (shape, dtype)
    else:
        smaller = tuple(n if random.integers(2) else 1 for n in shape)
        f.keep(b=_codes(random, dtype, smaller if random.integers(2) else shape[1:]))
    order = ["a", "b"] if random.integers(2) else ["b", "a"]
    parts = {"a": a, "b": b}
    if not qdq:
        f.node("com.microsoft.QLinearAdd", [v for name in order for v in (name, *parts[name])] + y, "y")
        return f.model({"y": TYPES[dtype]})
    return _ended(f, f.node("Add", [f.real(name, parts[name]) for name in order], "sum"), y, dtype)


def average(random: Random, *, qdq: bool) -> ModelProto:
    """Return QLinearGlobalAveragePool, or GlobalAveragePool or AveragePool over the image."""
    f = File(random)
    (sx, _, sy), dtype = scales(random), kind(random)
    shape = (1, *(int(v) for v in random.integers(1, 9, 3)))
    x, y = _signal(f, "x", shape, sx, dtype), f.scale("y", sy, zero(random, dtype))
    if not qdq:
        f.node("com.microsoft.QLinearGlobalAveragePool", ["x", *x, *y], "y")
        return f.model({"y": TYPES[dtype]})
    real = f.real("x", x)
    pooled = (
        f.node("GlobalAveragePool", [real], "mean")
        if random.integers(2)
        else f.node("AveragePool", [real], "mean", kernel_shape=list(shape[2:]))
    )
    return f.model({f.quantized("y", pooled, y): TYPES[dtype]})


def elements(random: Random, *, qdq: bool) -> ModelProto:
    """Return QLinearSigmoid or QLinearLeakyRelu; or Relu, Clip, Sigmoid or LeakyRelu."""
    f = File(random)
    (sx, _, sy), dtype = scales(random), kind(random)
    op = str(random.choice(["Sigmoid", "LeakyRelu", *(["Relu", "Clip"] if qdq else [])]))
    sy = 1 / 256 if op == "Sigmoid" else sy
    x, y = _signal(f, "x", (1, 300), sx, dtype), f.scale("y", sy, zero(random, dtype))
    attributes = {"alpha": float(random.choice([0.25, 0.1, 0.01]))} if op == "LeakyRelu" else {}
    if not qdq:
        f.node(f"com.microsoft.QLinear{op}", ["x", *x, *y], "y", **attributes)
        return f.model({"y": TYPES[dtype]})
    inputs = [f.real("x", x)]
    if op == "Clip":
        low, high = np.sort(random.uniform(-8, 8, 2)).astype(np.float32)
        f.keep(low=np.asarray(low), high=np.asarray(high))
        inputs += ["low", "high"]
    return f.model({f.quantized("y", f.node(op, inputs, "value", **attributes), y): TYPES[dtype]})


def concat(random: Random, *, qdq: bool) -> ModelProto:
    """Return QLinearConcat or Concat of two signals, with one quantisation or several."""
    f = File(random)
    (sa, sb, sy), dtype = scales(random), kind(random)
    shape = tuple(int(v) for v in random.integers(1, 5, 3))
    axis = int(random.integers(1, 4))
    other = [*shape]
    other[axis - 1] += 2
    a, b = _signal(f, "a", (1, *shape), sa, dtype), _signal(f, "b", (1, *other), sb, dtype)
    y = a if random.random() < 0.3 else f.scale("y", sy, zero(random, dtype))
    if not qdq:
        f.node("com.microsoft.QLinearConcat", [*y, "a", *a, "b", *b], "y", axis=axis)
        return f.model({"y": TYPES[dtype]})
    return f.model({f.quantized("y", f.node("Concat", [f.real("a", a), f.real("b", b)], "joined", axis=axis), y): TYPES[dtype]})


def moves(random: Random, *, qdq: bool) -> ModelProto:
    """Return MaxPool, Transpose, Reshape, Unsqueeze, Squeeze, Flatten and QLinearMatMul (or MatMul), on codes or on floats."""
    f = File(random)
    (sx, _, sy), (dx, dw) = scales(random), _types(random)
    channels, height, width = (int(v) for v in random.integers(2, 7, 3))
    x = _signal(f, "x", (1, channels, height, width), sx, dx)
    value = f.real("x", x) if qdq else "x"
    pads = random.integers(0, 2, 4).tolist()
    stride = random.integers(1, 3, 2).tolist()
    value = f.node("MaxPool", [value], "pooled", kernel_shape=[2, 2], strides=stride, pads=pads)
    rows, columns = ((n + pads[k] + pads[k + 2] - 2) // stride[k] + 1 for k, n in enumerate((height, width)))
    value = f.node("Transpose", [value], "turned", perm=[0, *(random.permutation(3) + 1).tolist()])
    size = channels * rows * columns
    f.keep(shape=np.array([0, -1]), axes=np.array([1]))
    value = f.node("Reshape", [value, "shape"], "flat")
    value = f.node("Unsqueeze", [value, "axes"], "wide")
    value = f.node("Squeeze", [value, "axes"], "narrow")
    value = f.node("Flatten", [value], "flattened")
    w = _weights(f, _codes(random, dw, (size, 5)), 5, sy / sx)
    y = f.scale("y", sy, zero(random, dx))
    if not qdq:
        f.node("QLinearMatMul", [value, *x, "w", *w, *y], "y")
        return f.model({"y": TYPES[dx]})
    again = f.real(f.quantized("again", value, x), x)
    return f.model({f.quantized("y", f.node("MatMul", [again, f.real("w", w, axis=1)], "sum"), y): TYPES[dx]})


def beside(model: ModelProto, folder: Path, samples: int, random: Random) -> tuple[int, int]:
    """Return how many output codes of random inputs were compared with onnxruntime, and how many differ.

    Graph optimisation is off, but on for files with DequantizeLinear, whose float operators it fuses.
    """
    options = onnxruntime.SessionOptions()
    fused = any(n.op_type == "DequantizeLinear" for n in model.graph.node)
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED if fused else levels.ORT_DISABLE_ALL
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    save(model, folder / "f.onnx")
    net = qs.load(folder / "f.onnx")
    given = [(i.name, tuple(i.shape), np.dtype(i.type.removeprefix("tensor(").removesuffix(")"))) for i in session.get_inputs()]
    arrays = {name: _codes(random, dtype, (samples, *shape)) for name, shape, dtype in given}
    theirs = np.stack([np.asarray(session.run(None, {n: a[k] for n, a in arrays.items()})[0]) for k in range(samples)])
    named: dict[str, object] = {
        s.name: arrays[s.name if len(arrays) > 1 else given[0][0]].reshape(samples, *s.type.shape) for s in net.inputs
    }
    ours = trace(net, named)[net.stages[net.outputs[0]].name]
    return theirs.size, int(np.sum(ours.reshape(-1) != theirs.reshape(-1)))


FAMILIES: Mapping[str, Callable[..., ModelProto]] = {
    "addition": addition,
    "average": average,
    "concat": concat,
    "conv": conv,
    "elements": elements,
    "gemm": gemm,
    "matmul": matmul,
    "moves": moves,
}
"""One function per kind of operator; `qdq` says which of the two forms is made."""
