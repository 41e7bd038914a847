"""Post-training quantisation to the int8 arithmetic of a runtime: what a converter does, with every step stated.

Signals have one scale and zero point, from their least and greatest value on the calibration rows and zero; weights are symmetric in
-127..127 with a scale per channel (convolutions) or per tensor (dense layers); biases are int32 in units of input times weight. Scales are
float32, as in files. Source: Jacob et al. 2018; https://ai.google.dev/edge/litert/models/quantization_spec.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import integers, rational
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.face import Network, RealNetwork
from qspec.lowering.real_evaluate import signals
from qspec.network.activations import Linear, ReLU
from qspec.network.graph import RealStage, Signal, apply
from qspec.network.layers import Conv2D, Dense, Flatten, Input, Layer, MaxPool2D
from qspec.network.real_layers import RealConv2D, RealDense, RealInput
from qspec.quantization.calibrate import finite
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.registry import tflite_runtime
from qspec.runtimes.runtime import Runtime
from qspec.support import checks


def quantize_int8(network: RealNetwork, values: object, semantics: str = "tflm") -> Network:
    """Return a real network in the int8 kernels of a runtime, calibrated on `values` of shape (samples, *input shape).

    Layers are a chain of dense and convolution layers with ReLU or no activation, maximum pools and flattening. Raises UnsupportedError on
    others, SpecError on values that are missing or not finite.
    """
    runtime = tflite_runtime(semantics)
    checks.kind(network, RealNetwork, "what is quantised", "a RealNetwork")
    known = [quantization(v) for v in signals(network, finite(values))]
    made: list[Signal] = []
    ranges: list[Quantized] = []
    for k, stage in enumerate(network.stages):
        if k and stage.arguments != (k - 1,):
            raise UnsupportedError("only chains of layers are quantised to int8", given=stage.name, expected="one layer after the other")
        before = ranges[-1] if ranges else known[0]
        signal, after = _stage(stage, made[-1] if made else None, before, known[k], runtime)
        made.append(signal)
        ranges.append(after)
    return Network.of(made[-1], name=network.name, semantics=runtime.name)


def quantization(values: np.ndarray) -> Quantized:
    """Return scale and zero point of int8 codes for values from the least to the greatest, zero among them."""
    least, most = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = float(np.float32((most - least) / 255)) or 1.0
    return Quantized(scale, int(np.clip(np.rint(-128 - least / scale), -128, 127)))


def _stage(stage: RealStage, x: Signal | None, before: Quantized, after: Quantized, runtime: Runtime) -> tuple[Signal, Quantized]:
    layer = stage.layer
    if isinstance(layer, RealInput) and x is None:
        return apply(Input(layer.shape, before.format, layer.name)), before
    assert x is not None
    if isinstance(layer, Flatten | MaxPool2D):
        return apply(layer, x), before
    if not isinstance(layer, RealDense | RealConv2D) or not (layer.activation == Linear() or layer.activation == ReLU()):
        given = f"{type(layer).__name__} {stage.name!r}"
        raise UnsupportedError(
            "a layer that is not quantised to int8", given=given, expected="dense, convolution, maximum pool, flatten; ReLU"
        )
    kind = "FULLY_CONNECTED" if isinstance(layer, RealDense) else "CONV_2D"
    kernel, scales = _kernel(np.asarray(layer.kernel, dtype=np.float64), per_channel=kind == "CONV_2D")
    channels = kernel.shape[-1]
    spread = scales * (channels // len(scales))
    bias = _bias(stage, np.zeros(channels) if layer.bias is None else np.asarray(layer.bias, dtype=np.float64), before.scale, spread)
    ends = runtime.ends("RELU" if layer.activation == ReLU() else "NONE", after)
    sums: Layer = (
        Dense(kernel, bias, name=stage.name)
        if isinstance(layer, RealDense)
        else Conv2D(kernel, bias, layer.stride, layer.padding, layer.dilation, layer.groups, name=stage.name)
    )
    return apply(runtime.sums(kind, before.scale, spread, after, ends), apply(sums, x)), after


def _bias(stage: RealStage, values: np.ndarray, scale: float, scales: tuple[float, ...]) -> Tensor:
    """Return biases in units of input times weight; raises UnsupportedError on one that int32 does not hold, which converters cut off."""
    units = tuple(rational(scale) * rational(s) for s in scales)
    stored = np.rint(values / np.array([float(u) for u in units]))
    if np.any(np.abs(stored) >= 2**31):
        worst = int(np.argmax(np.abs(stored)))
        given = f"{float(stored[worst]):.3g} units of input times weight in channel {worst} of {stage.name!r}"
        advice = "weights this small beside their bias do nothing: set them to zero"
        raise UnsupportedError("a bias does not fit int32", given=given, expected="less than 2**31 units", advice=advice)
    return Tensor(integers(stored.astype(np.int64)), Affine(32, True, units, (0,) * len(units)))


def _kernel(kernel: np.ndarray, *, per_channel: bool) -> tuple[Tensor, tuple[float, ...]]:
    axes = tuple(range(kernel.ndim - 1)) if per_channel else None
    most = np.atleast_1d(np.abs(kernel).max(axis=axes))
    scales = np.where(most > 0, most / 127, 1.0).astype(np.float32)
    codes = np.clip(np.rint(kernel / scales), -127, 127).astype(np.int64)
    exact = tuple(rational(float(s)) for s in scales)
    return Tensor(integers(codes), Affine(8, True, exact, (0,) * len(exact))), tuple(float(s) for s in scales)
