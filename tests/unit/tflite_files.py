"""Small TensorFlow Lite files with one operator, drawn at random: shapes, strides, paddings, zero points at both ends, tie-rich scales."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qspec.readers.tflite_file import TfliteModel, TfliteOperator, TfliteTensor

Random = np.random.Generator
TIES = ((0.05, 0.05, 0.1), (0.5, 0.125, 0.0625), (0.1, 0.1, 0.4), (0.3, 0.1, 0.6), (1.0, 1.0, 1.0), (0.25, 0.25, 0.5))
"""Scales of a first, a second and a resulting signal whose ratios make exact halves common."""


def scales(random: Random) -> tuple[float, float, float]:
    """Return three float32 scales: tie-rich ones half of the time."""
    a, b, c = TIES[random.integers(len(TIES))] if random.random() < 0.5 else random.uniform(0.004, 0.3, 3)
    return float(np.float32(a)), float(np.float32(b)), float(np.float32(c))


def zero(random: Random) -> int:
    """Return a zero point, at an end of the codes half of the time."""
    return int(random.choice([-128, 127, 0, *random.integers(-128, 128, 3)]))


def signal(
    name: str, shape: tuple[int, ...], scale: float, zero_point: int, data: np.ndarray | None = None, kind: str = "INT8"
) -> TfliteTensor:
    return TfliteTensor(name, shape, kind, (scale,), (zero_point,), 0, data)


def requantized(random: Random) -> TfliteModel:
    """Return a QUANTIZE between int8 and int16, or within int16."""
    given, _, result = scales(random)
    kinds = [("INT16", "INT8"), ("INT16", "INT16"), ("INT8", "INT16")][random.integers(3)]
    shape, points = (1, int(random.integers(1, 40))), [zero(random) if k == "INT8" else 0 for k in kinds]
    ratio = float(np.float32({"INT16": 1, "INT8": 200}[kinds[0]] * result / (1 if kinds[1] == "INT16" else 200)))
    tensors = (signal("x", shape, given, points[0], None, kinds[0]), signal("y", shape, ratio, points[1], None, kinds[1]))
    return TfliteModel("quantize", tensors, (TfliteOperator("QUANTIZE", 2, (0,), (1,), {}),), (0,), (1,))


def sums(random: Random, kind: str, act: int = 0, groups: int = 1) -> TfliteModel:
    """Return a CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED; some channels are dead, some multipliers exactly 1/64, some above 1."""
    given, _, result = scales(random)
    depth, outputs = int(random.integers(1, 6)), int(random.integers(1, 12)) * groups
    if kind == "FULLY_CONNECTED":
        shape, made, codes = (1, depth * 3), (1, outputs), random.integers(-127, 128, (outputs, depth * 3))
        axis, options = 0, {"FusedActivationFunction": act}
    else:
        height, width = (int(n) for n in random.integers(3, 8, 2))
        k, stride = (int(n) for n in random.integers(1, 4, 2)), (int(n) for n in random.integers(1, 3, 2))
        (kh, kw), (sh, sw), same = tuple(k), tuple(stride), bool(random.integers(2))
        rows, columns = (-(-n // s) if same else (n - w) // s + 1 for n, w, s in ((height, kh, sh), (width, kw, sw)))
        times = int(random.integers(1, 3))
        channels = depth * times if kind == "DEPTHWISE_CONV_2D" else outputs
        shape, made = (1, height, width, depth * groups), (1, rows, columns, channels)
        codes = random.integers(-127, 128, (1, kh, kw, channels) if kind == "DEPTHWISE_CONV_2D" else (channels, kh, kw, depth))
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        options = {"Padding": 0 if same else 1, "StrideH": sh, "StrideW": sw, "DilationHFactor": 1, "DilationWFactor": 1}
        options |= {"FusedActivationFunction": act} | ({"DepthMultiplier": times} if kind == "DEPTHWISE_CONV_2D" else {})
    channels = made[-1]
    ratio = random.choice([1 / 64, 1 / 48, 2.0**-9, 0.0123, 1.5], channels if axis or kind == "CONV_2D" else 1)
    kernel = tuple(float(np.float32(r * result / given)) for r in ratio)
    if random.random() < 0.3 and channels > 1:
        codes = np.where(np.arange(channels).reshape([-1 if a == axis else 1 for a in range(codes.ndim)]) == 0, 0, codes)
    bias = random.integers(-3000, 3000, channels).astype(np.int32)
    tensors = (
        signal("x", shape, given, zero(random)),
        TfliteTensor("w", codes.shape, "INT8", kernel, (0,) * len(kernel), axis, codes.astype(np.int8)),
        TfliteTensor("b", (channels,), "INT32", tuple(given * k for k in kernel), (0,) * len(kernel), 0, bias),
        signal("y", made, result, zero(random)),
    )
    return TfliteModel(
        kind.lower(), tensors, (TfliteOperator(kind, 1 if kind != "FULLY_CONNECTED" else 4, (0, 1, 2), (3,), options),), (0,), (3,)
    )


def addition(random: Random, act: int = 0, constant: bool = False, kind: str = "ADD") -> TfliteModel:
    """Return an ADD or SUB of two signals, or of a signal and a constant."""
    a, b, result = scales(random)
    shape = (1, *(int(n) for n in random.integers(1, 7, 3)))
    data = random.integers(-128, 128, shape).astype(np.int8) if constant else None
    tensors = (signal("a", shape, a, zero(random)), signal("b", shape, b, zero(random), data), signal("y", shape, result, zero(random)))
    operator = TfliteOperator(kind, 2, (0, 1), (2,), {"FusedActivationFunction": act, "PotScaleInt16": False})
    return TfliteModel(kind.lower(), tensors, (operator,), (0,) if constant else (0, 1), (2,))


def pool(random: Random, kind: str, act: int = 0) -> TfliteModel:
    """Return an AVERAGE_POOL_2D or a MAX_POOL_2D."""
    scale, point = scales(random)[0], zero(random)
    height, width, depth = (int(n) for n in random.integers(3, 8, 3))
    kh, kw, sh, sw = (int(n) for n in random.integers(1, 4, 4))
    same = bool(random.integers(2))
    rows, columns = (-(-n // s) if same else (n - w) // s + 1 for n, w, s in ((height, kh, sh), (width, kw, sw)))
    options = {
        "Padding": 0 if same else 1,
        "StrideH": sh,
        "StrideW": sw,
        "FilterHeight": kh,
        "FilterWidth": kw,
        "FusedActivationFunction": act,
    }
    tensors = (signal("x", (1, height, width, depth), scale, point), signal("y", (1, rows, columns, depth), scale, point))
    return TfliteModel(kind.lower(), tensors, (TfliteOperator(kind, 2, (0,), (1,), options),), (0,), (1,))


def mean(random: Random) -> TfliteModel:
    """Return a MEAN over height and width."""
    given, _, result = scales(random)
    height, width, depth = int(random.integers(2, 9)), int(random.integers(2, 9)), int(random.choice([3, 16, 20]))
    keep = bool(random.integers(2))
    made = (1, 1, 1, depth) if keep else (1, depth)
    axes = TfliteTensor("axes", (2,), "INT32", (), (), 0, np.array([1, 2], dtype=np.int32))
    tensors = (signal("x", (1, height, width, depth), given, zero(random)), axes, signal("y", made, result, zero(random)))
    return TfliteModel("mean", tensors, (TfliteOperator("MEAN", 2, (0, 1), (2,), {"KeepDims": keep}),), (0,), (2,))


def product(random: Random, act: int = 0) -> TfliteModel:
    """Return a MUL by a constant, one number for each channel or for all."""
    a, b, result = scales(random)
    shape = (1, *(int(n) for n in random.integers(1, 6, 3)))
    data = random.integers(-128, 128, (1, 1, 1, int(random.choice([1, shape[-1]])))).astype(np.int8)
    tensors = (
        signal("a", shape, a, zero(random)),
        signal("b", data.shape, b, zero(random), data),
        signal("y", shape, result, zero(random)),
    )
    order = (0, 1) if random.random() < 0.5 else (1, 0)
    return TfliteModel("mul", tensors, (TfliteOperator("MUL", 2, order, (2,), {"FusedActivationFunction": act}),), (0,), (2,))


def prelu(random: Random) -> TfliteModel:
    """Return a PRELU with a slope for each channel, or one; slopes are of both signs."""
    given, slope, result = scales(random)
    shape = (1, *(int(n) for n in random.integers(1, 6, 3)))
    data = random.integers(-128, 128, (1, 1, int(random.choice([1, shape[-1]])))).astype(np.int8)
    slopes = signal("alpha", data.shape, slope, zero(random), data)
    tensors = (signal("x", shape, given, zero(random)), slopes, signal("y", shape, result, zero(random)))
    return TfliteModel("prelu", tensors, (TfliteOperator("PRELU", 1, (0, 1), (2,), {}),), (0,), (2,))


def resize(random: Random, kind: str) -> TfliteModel:
    """Return a RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR, up, down or by no whole factor; corners are aligned, or half pixels centres."""
    scale, point = scales(random)[0], zero(random)
    height, width, depth = (int(n) for n in random.integers(1, 8, 3))
    made = (1, *(int(n) for n in random.integers(1, 15, 2)), depth)
    size = TfliteTensor("size", (2,), "INT32", (), (), 0, np.array(made[1:3], dtype=np.int32))
    which = int(random.integers(3))
    options = {"AlignCorners": which == 1, "HalfPixelCenters": which == 2}
    tensors = (signal("x", (1, height, width, depth), scale, point), size, signal("y", made, scale, point))
    return TfliteModel(kind.lower(), tensors, (TfliteOperator(kind, 2, (0, 1), (2,), options),), (0,), (2,))


def svdf(random: Random, width: int) -> TfliteModel:
    """Return an SVDF with a state of 8 bits and any zero point, or of 16; the newest activations saturate at times."""
    given, kept, result = scales(random)
    inputs, units, memory = (int(n) for n in random.integers([1, 1, 2], 6))
    rank = int(random.integers(1, 3))
    filters, kind, most = units * rank, f"INT{width}", 127 if width == 8 else 2000
    seen, aged = (float(np.float32(v)) for v in (random.choice([1 / 64, 0.5, 1.5]) * kept / given, random.uniform(0.001, 0.05) * result))
    feature = random.integers(-127, 128, (filters, inputs)).astype(np.int8)
    time = random.integers(-most, most + 1, (filters, memory)).astype(np.int8 if width == 8 else np.int16)
    bias = random.integers(-3000, 3000, units).astype(np.int32)
    aged /= kept
    tensors = (
        signal("x", (1, inputs), given, zero(random)),
        TfliteTensor("f", feature.shape, "INT8", (seen,), (0,), 0, feature),
        TfliteTensor("t", time.shape, kind, (aged,), (0,), 0, time),
        TfliteTensor("b", bias.shape, "INT32", (kept * aged,), (0,), 0, bias),
        TfliteTensor("s", (1, filters * memory), kind, (kept,), (zero(random) if width == 8 else 0,), 0, None, variable=True),
        signal("y", (1, units), result, zero(random)),
    )
    options = {"Rank": rank, "FusedActivationFunction": 1, "AsymmetricQuantizeInputs": False}
    return TfliteModel("svdf", tensors, (TfliteOperator("SVDF", 3, (0, 1, 2, 3, 4), (5,), options),), (0,), (5,))


def moves(random: Random) -> TfliteModel:
    """Return PAD, CONCATENATION, TRANSPOSE and RESHAPE, one after the other, of int8 or int16."""
    kind, scale = str(random.choice(["INT8", "INT16"])), scales(random)[0]
    point = zero(random) if kind == "INT8" else 0
    height, width, depth, *around = (int(n) for n in random.integers(1, 4, 7))
    padded = (1, height + around[0] + around[1], width + around[2] + around[3], depth)
    joined = (*padded[:3], 2 * depth)
    turned = tuple(joined[a] for a in (0, 3, 1, 2))
    numbers = ([[0, 0], around[:2], around[2:], [0, 0]], [0, 3, 1, 2], [1, int(np.prod(turned))])
    stored = [TfliteTensor(f"n{k}", np.shape(n), "INT32", (), (), 0, np.array(n, dtype=np.int32)) for k, n in enumerate(numbers)]
    shapes = ((1, height, width, depth), padded, joined, turned, (1, int(np.prod(turned))))
    operators = (
        TfliteOperator("PAD", 2, (0, 5), (1,), {}),
        TfliteOperator("CONCATENATION", 2, (1, 1), (2,), {"Axis": 3, "FusedActivationFunction": 0}),
        TfliteOperator("TRANSPOSE", 2, (2, 6), (3,), {}),
        TfliteOperator("RESHAPE", 1, (3, 7), (4,), {}),
    )
    signals = [signal(f"t{k}", shape, scale, point, None, kind) for k, shape in enumerate(shapes)]
    return TfliteModel("moves", (*signals, *stored), operators, (0,), (4,))


def softmax(random: Random) -> TfliteModel:
    """Return a SOFTMAX before a RESHAPE, so that it is not left out; several rows at times."""
    rows, count, scale = int(random.integers(1, 3)), int(random.integers(1, 12)), float(np.float32(random.choice([0.01, 0.05, 0.25, 1.0])))
    shape = TfliteTensor("n", (2,), "INT32", (), (), 0, np.array([1, rows * count], dtype=np.int32))
    made = [signal(n, s, 1 / 256, -128) for n, s in (("y", (1, rows, count)), ("z", (1, rows * count)))]
    tensors = (signal("x", (1, rows, count), scale, zero(random)), *made, shape)
    operators = (
        TfliteOperator("SOFTMAX", 2, (0,), (1,), {"Beta": float(random.choice([1.0, 0.5]))}),
        TfliteOperator("RESHAPE", 1, (1, 3), (2,), {}),
    )
    return TfliteModel("softmax", tensors, operators, (0,), (2,))


def widened(random: Random, model: TfliteModel, kind: str | None = None) -> TfliteModel:
    """Return the same operator on int16 signals without zero points, with a bias of 64 bits, of 32 at times, or none."""
    tensors = list(model.tensors)
    weights = model.operators[0].inputs[1:] if model.operators[0].kind in SUMS else ()
    operator, kind = model.operators[0], str(random.choice(["INT64", "INT32", ""])) if kind is None else kind
    for k, t in enumerate(tensors):
        if t.type == "INT8" and k not in weights:
            data = None if t.data is None else random.integers(-32768, 32768, t.shape).astype(np.int16)
            tensors[k] = replace(t, type="INT16", zeros=(0,), scales=(float(np.float32(t.scales[0] / 256)),), data=data)
        elif k in weights and t.type == "INT32" and kind:
            data = (np.asarray(t.data) * 256).astype({"INT64": np.int64, "INT32": np.int32}[kind])
            tensors[k] = replace(t, type=kind, scales=tuple(s / 256 for s in t.scales), data=data)
    if weights and not kind:
        operator = replace(operator, inputs=(*operator.inputs[:2], -1))
    return replace(model, tensors=tuple(tensors), operators=(operator,))


def on_elements(random: Random, kind: str) -> TfliteModel:
    """Return QUANTIZE, RELU, RELU6, LEAKY_RELU, LOGISTIC, TANH, ELU, HARD_SWISH or GELU."""
    given, _, result = scales(random)
    points = zero(random), zero(random)
    if kind in ("LOGISTIC", "TANH"):
        result, points = (1 / 256, (points[0], -128)) if kind == "LOGISTIC" else (1 / 128, (points[0], 0))
    if kind == "RELU6":
        result, points = given, (points[0], points[0])
    if kind == "GELU":
        options: dict[str, float] = {"Approximate": False}
    else:
        options = {"Alpha": float(np.float32(random.choice([0.1, 0.25, 0.01])))} if kind == "LEAKY_RELU" else {}
    shape = (1, int(random.integers(1, 40)))
    tensors = (signal("x", shape, given, points[0]), signal("y", shape, result, points[1]))
    version = 1 if kind == "HARD_SWISH" else 2
    return TfliteModel(kind.lower(), tensors, (TfliteOperator(kind, version, (0,), (1,), options),), (0,), (1,))


SUMS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
ON_ELEMENTS = ("QUANTIZE", "RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "ELU", "HARD_SWISH", "GELU")
NARROW = {
    "CONV_2D": lambda r: sums(r, "CONV_2D", int(r.choice([0, 1, 3]))),
    "CONV_2D of groups": lambda r: sums(r, "CONV_2D", 0, int(r.integers(2, 4))),
    "DEPTHWISE_CONV_2D": lambda r: sums(r, "DEPTHWISE_CONV_2D", int(r.choice([0, 1, 3]))),
    "FULLY_CONNECTED": lambda r: sums(r, "FULLY_CONNECTED", int(r.choice([0, 1]))),
    "ADD": lambda r: addition(r, int(r.choice([0, 1, 3]))),
    "ADD of a constant": lambda r: addition(r, 0, True),
    "AVERAGE_POOL_2D": lambda r: pool(r, "AVERAGE_POOL_2D", int(r.choice([0, 1]))),
    "MAX_POOL_2D": lambda r: pool(r, "MAX_POOL_2D", int(r.choice([0, 1]))),
    "MEAN": mean,
    "SUB": lambda r: addition(r, int(r.choice([0, 1, 3])), False, "SUB"),
    "MUL": lambda r: product(r, int(r.choice([0, 1, 3]))),
    "PRELU": prelu,
    **{kind: (lambda r, kind=kind: resize(r, kind)) for kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")},
    "QUANTIZE of int16": requantized,
    "moves": moves,
    "SOFTMAX": softmax,
    "SVDF": lambda r: svdf(r, 16),
    "SVDF with a state of 8 bits": lambda r: svdf(r, 8),
    **{kind: (lambda r, kind=kind: on_elements(r, kind)) for kind in ON_ELEMENTS},
}
WIDE = (*SUMS, "ADD", "SUB", "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D")
FAMILIES = NARROW | {f"{name} of int16": (lambda r, name=name: widened(r, NARROW[name](r))) for name in WIDE}
