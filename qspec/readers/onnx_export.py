"""Write networks as quantised ONNX files that ONNX Runtime, with graph optimisation off, computes code for code.

A chain of dense and convolution layers, maximum pools and reshapes. A layer's sum becomes a code in one step of ONNX; that step is compared
with what the network does at every sum that bounds leave possible, and a layer where they differ is refused, with the sum and both codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from qspec.arithmetic.formats import Affine, Fixed
from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval, bound
from qspec.engines.difference.chains import Chain, peeled
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.files.atomic import replacing, writing
from qspec.ir.integer import Program
from qspec.ir.staircase import Steps, climb
from qspec.lowering.evaluate import program
from qspec.lowering.layers import Taps
from qspec.network.graph import Stage
from qspec.network.kernel_layers import Multiplier, Reshape, Thresholds
from qspec.network.layers import Conv2D, Dense, Flatten, Input, MaxPool2D, Requantize
from qspec.network.shapes import padding_pairs
from qspec.network.types import spread
from qspec.readers.export_chain import expect_chain, stored_scale
from qspec.runtimes.arithmetic import Quantized, staircase
from qspec.runtimes.ort import OrtQLinear
from qspec.support import checks
from qspec.support.optional import need

Style = Literal["qdq", "qlinear"]
OPSET, IR = 17, 8
EXACT = 1 << 24
"""Integers below it are float32 numbers."""
FAR = 1 << 40
"""A sum beyond all that int32 holds."""


def to_onnx(network: Network, path: str | Path, *, style: Style = "qlinear") -> None:
    """Write a network as an `.onnx` file on codes, of QLinear operators or of float operators between DequantizeLinear and QuantizeLinear.

    The file takes and puts out int8 or uint8 codes of shape (samples, *shape), channels last. "qlinear" has ONNX Runtime's integer
    kernels, as `ort-qlinear` reads them; "qdq" is exact where all scales are powers of two. Raises UnsupportedError, by layer, on layers
    and formats that have no such operator and on roundings that are not those of ONNX, PackageMissingError without the package `onnx`.
    """
    checks.kind(network, Network, "what is written", "a Network")
    checks.path(path, "the file to write")
    checks.choice(style, "style", get_args(Style))
    need("onnx", "onnx", "writing ONNX files")
    content: bytes = _OnnxExport(network, style).model().SerializeToString()
    with writing(path), replacing(Path(path)) as stream:
        stream.write(content)


@dataclass(frozen=True, slots=True)
class _Codes:
    """A signal of the file: the name of its tensor, its quantisation, and whether channels are on the second axis."""

    name: str
    quantized: Quantized
    first: bool


@dataclass(slots=True)
class _OnnxExport:
    network: Network
    style: Style
    nodes: list[Any] = field(default_factory=list[Any])
    stored: dict[str, Any] = field(default_factory=dict[str, Any])
    code: Program = ()
    known: list[Interval] = field(default_factory=list[Interval])
    taps: dict[str, Taps] = field(default_factory=dict[str, Taps])

    def model(self) -> Any:
        onnx: Any = import_module("onnx")
        stages = self.network.stages
        expect_chain(self.network, ".onnx")
        self.code, taps = program(self.network)
        self.known, self.taps = bound(self.code), dict(taps)
        source = stages[0].layer
        assert isinstance(source, Input)
        signal = _Codes("x", _quantized(stages[0], source.format)[0], first=False)
        ports = [self._port(onnx, "x", signal, stages[0].type.shape)]
        k = 1
        while k < len(stages):
            after = stages[k + 1] if k + 1 < len(stages) and isinstance(stages[k + 1].layer, Multiplier | Thresholds | Requantize) else None
            signal = self._stage(stages[k], after, signal)
            k += 1 if after is None else 2
        signal = self._channels_last(signal)
        self._add("Identity", [signal.name], "y")
        ports.append(self._port(onnx, "y", signal, stages[-1].type.shape))
        constants = [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in self.stored.items()]
        graph = onnx.helper.make_graph(self.nodes, self.network.name, ports[:1], ports[1:], constants)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="qspec")
        onnx.checker.check_model(model, full_check=True)
        return model

    def _stage(self, stage: Stage, after: Stage | None, x: _Codes) -> _Codes:
        match stage.layer:
            case Dense() | Conv2D():
                return self._sums(stage, stage.layer, after or stage, x)
            case MaxPool2D() if after is None:
                layer, image = stage.layer, self.network.stages[stage.arguments[0]].type.shape
                stride = layer.stride or layer.window
                pads = padding_pairs(layer.padding, (image[0], image[1]), layer.window, stride, (1, 1))
                x = self._channels_first(x, image)
                made = self._add("MaxPool", [x.name], stage.name, kernel_shape=layer.window, strides=stride, pads=_pads(pads))
                return _Codes(made, x.quantized, first=True)
            case Flatten() | Reshape() if after is None:
                x = self._channels_last(x)
                shape = self._keep(f"{stage.name}/shape", np.array([-1, *stage.type.shape], np.int64))
                return _Codes(self._add("Reshape", [x.name, shape], stage.name), x.quantized, first=False)
            case _:
                raise _refused(stage)

    def _sums(self, stage: Stage, layer: Dense | Conv2D, after: Stage, x: _Codes) -> _Codes:
        fmt = getattr(after.layer, "output", None) or getattr(after.layer, "format", None)
        out, ends = _quantized(after, fmt)
        if self.style == "qlinear" and out.signed != x.quantized.signed:
            given = f"{'int8' if x.quantized.signed else 'uint8'} before, {'int8' if out.signed else 'uint8'} after"
            advice = 'unsigned formats of 7 bits, which int8 holds, or style="qdq"'
            raise UnsupportedError(f"codes of two types around {stage.name!r}", given=given, expected="one type", advice=advice)
        channels = layer.kernel.shape[-1]
        scales = [stored_scale(stage, u) for u in spread(layer.kernel.format.grid().units, channels)]
        units = spread(self._units(stage, channels), channels)
        wanted = [u * v for u, v in zip(spread((Fraction(x.quantized.scale),), channels), map(Fraction, scales), strict=True)]
        codes = layer.kernel.codes
        centred = not any(layer.kernel.format.grid().zeros) and list(units) == wanted
        if not centred or codes.min(initial=0) < -128 or codes.max(initial=0) > 127:
            expected = "int8 with zero point 0, and biases in units of input times weight"
            raise UnsupportedError(
                f"the parameters of {stage.name!r} are not those of ONNX", given=str(layer.kernel.format), expected=expected
            )
        chain, sums = self._chain(stage, after)
        ends = _reached(chain, sums.lower.size, ends)
        bias = _bias(stage, layer, wanted)
        _compare(stage, chain, sums, self._rule(stage, _gain(layer, bias, x.quantized), x.quantized, scales, out, ends))
        image = self.network.stages[stage.arguments[0]].type.shape
        if isinstance(layer, Conv2D):
            x = self._channels_first(x, image)
            weights, attributes = codes.transpose(3, 2, 0, 1), self._window(layer, image)
        else:
            shape = self._keep(f"{stage.name}/in", np.array([-1, image[0], 1, 1], np.int64))
            x = _Codes(self._add("Reshape", [x.name, shape], f"{stage.name}/columns"), x.quantized, first=True)
            weights, attributes = codes.T[:, :, None, None], {}
        made = self._operator(stage, x, weights, scales, bias, out, attributes)
        if ends != out.ends:
            low, high = (self._keep(f"{stage.name}/{w}", np.array(e, _dtype(out))) for w, e in zip(("least", "most"), ends, strict=True))
            made = self._add("Clip", [made, low, high], f"{stage.name}/clip")
        if isinstance(layer, Dense):
            shape = self._keep(f"{stage.name}/out", np.array([-1, channels], np.int64))
            return _Codes(self._add("Reshape", [made, shape], f"{stage.name}/row"), out, first=False)
        return _Codes(made, out, first=True)

    def _operator(
        self,
        stage: Stage,
        x: _Codes,
        weights: IntArray,
        scales: Sequence[float],
        bias: IntArray,
        out: Quantized,
        attributes: dict[str, Any],
    ) -> str:
        """Add the nodes of one convolution; returns the name of its codes."""
        name = stage.name
        w = self._keep(f"{name}/kernel", weights.astype(np.int8))
        ws = self._keep(f"{name}/kernel_scale", np.array(scales, np.float32))
        wz = self._keep(f"{name}/kernel_zero", np.zeros(len(scales), np.int8))
        b = self._keep(f"{name}/bias", bias.astype(np.int32))
        (xs, xz), (ys, yz) = self._scale(f"{name}/x", x.quantized), self._scale(f"{name}/y", out)
        if self.style == "qlinear":
            return self._add("QLinearConv", [x.name, xs, xz, w, ws, wz, ys, yz, b], name, **attributes)
        real = self._add("DequantizeLinear", [x.name, xs, xz], f"{name}/x_real")
        kernel = self._add("DequantizeLinear", [w, ws, wz], f"{name}/kernel_real", axis=0)
        unit = self._keep(f"{name}/bias_scale", np.array([np.float32(x.quantized.scale * s) for s in scales], np.float32))
        zero = self._keep(f"{name}/bias_zero", np.zeros(len(scales), np.int32))
        summand = self._add("DequantizeLinear", [b, unit, zero], f"{name}/bias_real", axis=0)
        total = self._add("Conv", [real, kernel, summand], f"{name}/sum", **attributes)
        return self._add("QuantizeLinear", [total, ys, yz], name)

    # ---- what is compared

    def _rule(self, stage: Stage, reach: int, x: Quantized, scales: Sequence[float], out: Quantized, ends: tuple[int, int]) -> Thresholds:
        """Return the staircase by which ONNX Runtime makes codes of the sums of a layer; partial ones reach no further than `reach`."""
        if self.style == "qlinear":
            return OrtQLinear().multiplied(x, scales, out, ends)
        powers = all(_power_of_two(s) for s in (x.scale, out.scale, *scales))
        if not powers or reach >= EXACT:
            given = "scales that are no powers of two" if not powers else f"sums up to {reach}"
            raise UnsupportedError(
                f"the float sum of {stage.name!r} is rounded in ways that no standard says",
                given=given,
                expected="scales that are powers of two, and sums below 2^24",
                advice='style="qlinear"',
            )
        factors = np.array([x.scale * s / out.scale for s in scales])
        return staircase(lambda sums: np.rint(sums * factors[:, None]).astype(np.int64) + out.zero, factors.size, ends, out.format)

    def _chain(self, stage: Stage, after: Stage) -> tuple[Chain, Interval]:
        """Return what makes codes of the sums of a layer, and the bounds of these; raises UnsupportedError if it is not increasing."""
        bottom = self.taps[stage.name].accumulator
        chain, found = peeled(self.code, self.taps[after.name].output, {bottom} if bottom is not None else set())
        if bottom is None or found != bottom:
            raise _refused(after)
        return Chain(chain), self.known[bottom]

    # ---- parts of the file

    def _units(self, stage: Stage, channels: int) -> tuple[Fraction, ...]:
        units = self.taps[stage.name].accumulator_units
        return tuple(Fraction(u) for u in (units[:channels] if units is not None else ()))

    def _window(self, layer: Conv2D, image: tuple[int, ...]) -> dict[str, Any]:
        pads = padding_pairs(layer.padding, (image[0], image[1]), layer.kernel.shape[:2], layer.stride, layer.dilation)
        return {"strides": layer.stride, "dilations": layer.dilation, "group": layer.groups, "pads": _pads(pads)}

    def _channels_first(self, x: _Codes, image: tuple[int, ...]) -> _Codes:
        if x.first:
            return x
        assert len(image) == 3
        return _Codes(self._add("Transpose", [x.name], f"{x.name}/first", perm=(0, 3, 1, 2)), x.quantized, first=True)

    def _channels_last(self, x: _Codes) -> _Codes:
        if not x.first:
            return x
        return _Codes(self._add("Transpose", [x.name], f"{x.name}/last", perm=(0, 2, 3, 1)), x.quantized, first=False)

    def _scale(self, name: str, q: Quantized) -> tuple[str, str]:
        return self._keep(f"{name}_scale", np.float32(q.scale)), self._keep(f"{name}_zero", np.array(q.zero, _dtype(q)))

    def _keep(self, name: str, value: Any) -> str:
        self.stored[name] = value
        return name

    def _add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        onnx: Any = import_module("onnx")
        self.nodes.append(onnx.helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def _port(self, onnx: Any, name: str, signal: _Codes, shape: tuple[int, ...]) -> Any:
        kind = onnx.TensorProto.INT8 if signal.quantized.signed else onnx.TensorProto.UINT8
        return onnx.helper.make_tensor_value_info(name, kind, ["samples", *shape])


def _quantized(stage: Stage, fmt: object) -> tuple[Quantized, tuple[int, int]]:
    """Return the quantisation of a signal in 8 bits, and its least and greatest code."""
    if not isinstance(fmt, Affine | Fixed) or fmt.width > 8 or fmt.grid().channels != 1:
        raise UnsupportedError(f"the signal {stage.name!r} is no int8 or uint8", given=str(fmt), expected="at most 8 bits, one scale")
    grid = fmt.grid()
    return Quantized(stored_scale(stage, grid.units[0]), grid.zeros[0], fmt.upper < 128), (fmt.lower, fmt.upper)


def _bias(stage: Stage, layer: Dense | Conv2D, units: Sequence[Fraction]) -> IntArray:
    """Return the bias in units of input times weight."""
    if layer.bias is None:
        return np.zeros(len(units), np.int64)
    grid = layer.bias.format.grid()
    zeros = grid.zeros * (len(units) // len(grid.zeros))
    own = zip(layer.bias.codes.tolist(), zeros, spread(grid.units, len(units)), units, strict=True)
    values = [Fraction(int(c) - z) * u / v for c, z, u, v in own]
    if any(v.denominator != 1 or abs(v) >= 2**31 for v in values):
        raise UnsupportedError(f"a bias of {stage.name!r} is no int32", given=str(values[0]), expected="units of input times weight")
    return np.array([int(v) for v in values])


def _gain(layer: Dense | Conv2D, bias: IntArray, x: Quantized) -> int:
    """Return what no partial sum of products and bias exceeds."""
    sums = np.abs(layer.kernel.codes.astype(np.int64)).reshape(-1, layer.kernel.shape[-1]).sum(axis=0)
    return int(sums.max(initial=0)) * max(abs(e - x.zero) for e in x.ends) + int(np.abs(bias).max(initial=0))


def _reached(chain: Chain, size: int, ends: tuple[int, int]) -> tuple[int, int]:
    """Return the least and the greatest code of a layer, where its activation cuts off."""
    least, most = (chain(np.full(size, v)) for v in (-FAR, FAR))
    return max(ends[0], int(least.min())), min(ends[1], int(most.max()))


def _compare(stage: Stage, chain: Chain, sums: Interval, theirs: Thresholds) -> None:
    """Raise UnsupportedError unless a layer makes of every sum within its bounds the code that ONNX Runtime makes of it."""
    rows = len(theirs.base)
    low, high = sums.lower.reshape(-1, rows).min(axis=0), sums.upper.reshape(-1, rows).max(axis=0)
    steps = theirs.thresholds.T
    points: IntArray = np.clip(np.concatenate([low[None], high[None], steps - 1, steps]), low, high)
    ours = chain.take(slice(0, rows))(points)
    codes = climb(Steps(theirs.base, theirs.thresholds), points)
    if np.any(ours != codes):
        k, channel = (int(v) for v in np.argwhere(ours != codes)[0])
        raise UnsupportedError(
            f"the rounding of {stage.name!r} is not that of ONNX Runtime",
            given=f"the sum {points[k, channel]} in channel {channel} is {ours[k, channel]} here and {codes[k, channel]} there",
            expected="roundings to nearest, ties to even (RND_CONV), saturation",
        )


def _dtype(q: Quantized) -> type[np.generic]:
    return np.int8 if q.signed else np.uint8


def _pads(pads: Sequence[tuple[int, int]]) -> list[int]:
    return [pads[0][0], pads[1][0], pads[0][1], pads[1][1]]


def _power_of_two(value: float) -> bool:
    return float(np.frexp(value)[0]) == 0.5


def _refused(stage: Stage) -> UnsupportedError:
    expected = "dense and convolution layers with ReLU or nothing, maximum pools, reshapes"
    return UnsupportedError("a layer that is not written as .onnx", given=f"{type(stage.layer).__name__} {stage.name!r}", expected=expected)
