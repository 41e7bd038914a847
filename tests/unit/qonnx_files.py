"""Small QONNX files, drawn at random: a family for each operator, over an input whose values are whole multiples of 2**-k."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save

import qspec as qs
from qspec.conformance.worker import qonnx
from qspec.lowering.evaluate import trace
from qspec.readers.qonnx import read_qonnx_tensors
from qspec.runtimes.qonnx import ROUNDINGS

Random = np.random.Generator
DOMAIN = "qonnx.custom_op.general"
f32 = np.float32


class File:
    """Nodes and constants of a file with one input, a batch of one."""

    def __init__(self, random: Random, shape: tuple[int, ...], bits: int = 9, frac: int = 3) -> None:
        self.random = random
        self.shape = (1, *shape)
        self.format = qs.Fixed(bits, frac)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.version = 1

    def keep(self, value: object, kind: type = f32) -> str:
        """Store a constant; returns its name."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value, kind)
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node; operators of QONNX get its domain."""
        domain = DOMAIN if op in ("Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold") else ""
        made = helper.make_node(op, inputs, [output], name=f"the_{output}", domain=domain)
        made.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(made)
        return output

    def quant(self, value: str, output: str, scale: object = 0.5, zero: object = 0, bits: int = 4, **attributes: Any) -> str:
        """Add a Quant; its zero point is a float or an integer, as exporters write them."""
        kind = f32 if self.random.random() < 0.7 else np.int64
        given = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **attributes}
        return self.add("Quant", [value, self.keep(scale), self.keep(zero, kind), self.keep(bits)], output, **given)

    def model(self, output: str) -> ModelProto:
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", self.shape), (output, None))]
        stored = [numpy_helper.from_array(v, n) for n, v in self.constants.items()]
        graph = helper.make_graph(self.nodes, "drawn", ends[:1], ends[1:], stored)
        imports = [helper.make_opsetid("", 13), helper.make_opsetid(DOMAIN, self.version)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)


def quantizer(random: Random) -> dict[str, Any]:
    """Return the parameters of a Quant: 1 to 8 bits, signed or not, narrow or not, any mode, zero points, any scales."""
    bits = int(random.integers(1, 9))
    signed, narrow = int(random.integers(2)), int(random.integers(2)) if bits > 1 else 0
    scale = f32(random.choice([0.125, 0.25, 0.5, 1.0, 0.3, 0.0137 * 2**7 / 2**bits + 0.1]))
    zero = int(random.integers(-3, 4)) if random.random() < 0.5 else 0
    mode = str(random.choice([*ROUNDINGS, "round", "half_up"]))
    return {"scale": scale, "zero": zero, "bits": bits, "signed": signed, "narrow": narrow, "rounding_mode": mode}


def quant(random: Random) -> File:
    """Return a Quant of every code of the input, one scale or one for each channel, perhaps quantised again."""
    f = File(random, (128, 4))
    own = quantizer(random)
    if random.random() < 0.4:
        own["scale"] = own["scale"] * random.choice([0.5, 1, 1.5, 2], (1, 1, 4))
    f.quant("x", "q", **own)
    if random.random() < 0.5:
        f.quant("q", "again", **quantizer(random))
    return f


def bipolar(random: Random) -> File:
    """Return a BipolarQuant behind a shift that makes zeros."""
    f = File(random, (171, 3))
    f.add("Sub", ["x", f.keep(random.integers(-8, 9, 3) / 8)], "moved")
    f.add("BipolarQuant", ["moved", f.keep(random.choice([1.0, 0.5, 0.27]))], "q")
    return f


def trunc(random: Random) -> File:
    """Return a Quant of 8 bits and a Trunc of it, in version 1 or 2."""
    f = File(random, (1024,), 10, 2)
    scale = f32(random.choice([0.25, 0.5, 0.1]))
    f.quant("x", "q", scale, 0, 8)
    f.version, bits = int(random.integers(1, 3)), int(random.integers(2, 8))
    mode = str(random.choice([*ROUNDINGS]))
    first = ["q", f.keep(scale), f.keep(0), f.keep(8)]
    if f.version == 1:
        f.add("Trunc", [*first, f.keep(bits)], "t", rounding_mode=mode)
    else:
        narrow, signed = (int(v) for v in random.integers(0, 2, 2))
        last = [f.keep(scale * f32(2 ** (8 - bits))), f.keep(bits)]
        f.add("Trunc", [*first, *last], "t", rounding_mode=mode, narrow=narrow, signed=signed)
    return f


def multi_threshold(random: Random) -> File:
    """Return a MultiThreshold on channels, in any order of thresholds, ties among them, with a scale and a bias."""
    shape, layout = [((4,), ""), ((2, 4), ""), ((4, 2, 3), ""), ((2, 3, 4), "NHWC")][random.integers(4)]
    f = File(random, shape)
    rows = random.choice([1, 4])
    thresholds = random.integers(-200, 200, (rows, random.integers(1, 8))) / 8
    if random.random() < 0.8:
        thresholds.sort(axis=1)
    scale, bias = [(1.0, 0.0), (2.0, -1.0), (0.5, -2.0), (1.0, -4.0)][random.integers(4)]
    given = {"out_dtype": "FLOAT32", "out_scale": scale, "out_bias": bias} | ({"data_layout": layout} if layout else {})
    f.add("MultiThreshold", ["x", f.keep(thresholds)], "q", **given)
    return f


def _chain(f: File, value: str, channels: int, rank: int) -> str:
    """Add float operators with constants: a batch normalisation (factors of both signs), scalings, limits."""
    r, count = f.random, 0
    for op in r.permutation(["BatchNormalization", "Mul", "Add", "Relu", "Div", "Sub", "Clip", "LeakyRelu"])[: r.integers(1, 5)]:
        name = f"h{count}_{value}"
        shape = (1, channels, *(1 for _ in range(rank - 2)))
        match str(op):
            case "BatchNormalization":
                parts = [r.normal(0.3, 1, channels), r.normal(0, 1, channels), r.normal(0, 3, channels), r.uniform(0.1, 30, channels)]
                f.add("BatchNormalization", [value, *(f.keep(p) for p in parts)], name, epsilon=1e-5)
            case "Relu":
                f.add("Relu", [value], name)
            case "LeakyRelu":
                f.add("LeakyRelu", [value], name, alpha=0.1)
            case "Clip":
                f.add("Clip", [value, f.keep(-3.3), f.keep(4.7)], name)
            case "Mul" | "Div" as kind:
                f.add(kind, [value, f.keep(r.uniform(0.2, 3, shape) * r.choice([-1, 1], shape))], name)
            case kind:
                f.add(kind, [value, f.keep(r.normal(0, 2, shape if r.random() < 0.5 else ()))], name)
        value, count = name, count + 1
    return value


def dense(random: Random) -> File:
    """Return MatMul or Gemm with quantised weights (scales for each output), float operators, a Quant, and another product at the end."""
    f = File(random, (6,), 7, 2)
    low, wide = int(random.integers(2, 5)), random.choice([0.25, 0.5])
    f.quant("x", "q", 0.25, 0, 6)
    scales = random.choice([0.125, 0.25, 0.375], (1, 5)) if random.random() < 0.5 else wide
    f.quant(f.keep(random.normal(0, 1, (6, 5))), "w", scales, 0, low, narrow=1)
    if random.random() < 0.5:
        f.add("MatMul", ["q", "w"], "sum")
    else:
        f.add("Transpose", ["w"], "turned", perm=[1, 0])
        f.add("Gemm", ["q", "turned", f.keep(random.integers(-20, 20, 5) / 8)], "sum", transB=1)
    f.quant(_chain(f, "sum", 5, 2), "codes", random.choice([0.5, 1.0]), int(random.integers(-1, 2)), 4, signed=int(random.integers(2)))
    f.add("BipolarQuant", [f.keep(random.normal(0, 1, (5, 3))), f.keep(1)], "v")
    f.add("MatMul", ["codes", "v"], "scores")
    if random.random() < 0.5:
        f.add("Add", ["scores", f.keep(random.normal(0, 1, 3))], "moved")
    return f


def image(random: Random) -> File:
    """Return a convolution, float operators, a Quant, a pool, a sum of two signals, a Flatten and a product."""
    f = File(random, (2, 6, 6), 5, 1)
    groups = int(random.integers(1, 3))
    f.quant(f.keep(random.normal(0, 1, (4, 2 // groups, 3, 3))), "w", random.choice([0.25, 0.5], (4, 1, 1, 1)), 0, 3)
    f.add("Conv", ["x", "w"], "sum", pads=[1, 1, 1, 1], group=groups)
    f.quant(_chain(f, "sum", 4, 4), "codes", 0.5, 0, 4, signed=int(random.integers(2)))
    f.add("MaxPool", ["codes"], "most", kernel_shape=[2, 2], strides=[2, 2])
    f.add("AveragePool", ["codes"], "mean", kernel_shape=[2, 2], strides=[2, 2])
    f.quant("mean", "means", 0.5, 0, 4, rounding_mode="FLOOR")
    f.add("Add", ["most", "means"], "both")
    f.quant("both", "narrow", 0.5, 0, 3)
    f.add("Flatten", ["narrow"], "flat")
    f.quant(f.keep(random.normal(0, 1, (36, 3))), "v", 0.5, 0, 2)
    f.add("MatMul", ["flat", "v"], "scores")
    return f


def side_by_side(random: Random) -> File:
    """Return signals of several scales, signs and zero points that are joined along an axis of an image, and what is made of them."""
    f = File(random, (2, 4, 4), 7, 2)
    axis = int(random.integers(1, 4))
    f.quant("x", "a", 0.5, int(random.integers(-1, 2)), 4)
    f.quant("x", "b", 0.125, 0, 5, signed=0)
    f.add("MaxPool", ["x"], "c", kernel_shape=[1, 1])
    f.add("Concat", ["a", "b", "c"][: random.integers(2, 4)], "all", axis=axis - 4 if random.integers(2) else axis)
    f.quant("all", "codes", 0.25, 0, 4)
    f.add("Flatten", ["codes"], "flat")
    sizes = [2, 4, 4]
    count = sum(n.op_type == "Concat" and len(n.input) for n in f.nodes)
    f.quant(f.keep(random.normal(0, 1, (int(np.prod(sizes)) * count, 2))), "v", 0.5, 0, 2)
    f.add("MatMul", ["flat", "v"], "scores")
    return f


def qcdq(random: Random) -> File:
    """Return what brevitas exports as QCDQ: QuantizeLinear, Clip to fewer bits, DequantizeLinear, for a signal and for weights."""
    f = File(random, (128, 4))
    scale, bits = f.keep(random.choice([0.25, 0.5])), int(random.integers(2, 9))
    low, high = f.keep(-(2 ** (bits - 1)), np.int8), f.keep(2 ** (bits - 1) - 1, np.int8)
    zero = f.keep(random.integers(-1, 2) if bits > 2 else 0, np.int8)
    f.add("QuantizeLinear", ["x", scale, zero], "c")
    f.add("Clip", ["c", low, high], "k")
    f.add("DequantizeLinear", ["k", scale, zero], "q")
    scales, zeros = f.keep(random.choice([0.125, 0.25], 3)), f.keep(np.zeros(3), np.int8)
    f.add("DequantizeLinear", [f.keep(random.integers(-7, 8, (4, 3)), np.int8), scales, zeros], "w", axis=1)
    f.add("MatMul", ["q", "w"], "sum")
    f.quant("sum", "codes", 0.5, 0, 5)
    return f


FAMILIES: Mapping[str, Callable[[Random], File]] = {
    "bipolar": bipolar,
    "dense": dense,
    "image": image,
    "multi_threshold": multi_threshold,
    "qcdq": qcdq,
    "quant": quant,
    "side_by_side": side_by_side,
    "trunc": trunc,
}


def beside(f: File, folder: Path, samples: int, semantics: str = "qonnx") -> tuple[int, int]:
    """Return how many float32 numbers, of all quantisers and the outputs, were compared with qonnx's executor, and how many differ."""
    path = folder / "f.onnx"
    model = f.model(f.nodes[-1].output[0])
    save(model, path)
    net, tensors = read_qonnx_tensors(path, semantics=semantics, input=f.format)
    size = int(np.prod(f.shape))
    every = np.arange(f.format.lower, f.format.upper + 1)
    if size >= every.size - 1:  # one sample holds all codes
        codes = np.stack([f.random.permutation(np.resize(every, size)) for _ in range(min(samples, 2))])
    else:
        codes = f.random.choice(every, (samples, size))
    codes = codes.reshape(len(codes), *net.inputs[0].type.shape)
    values = (codes * 2.0**-f.format.frac).astype(f32).reshape(len(codes), *f.shape)
    helper.set_model_props(model, {"tensors": "\n".join(t.name for t in tensors)})
    theirs = qonnx(model.SerializeToString(), [values])
    ours = trace(net, {net.inputs[0].name: codes})
    total = differing = 0
    for k, (t, o) in enumerate(zip(tensors, net.outputs, strict=True)):
        here = t.decode(ours[net.stages[o].name])
        there = np.stack([row[k] for row in theirs]).reshape(here.shape)
        total, differing = total + here.size, differing + int(np.sum(here != there))
    return total, differing
