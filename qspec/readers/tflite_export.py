"""Write networks whose arithmetic is that of TensorFlow Lite's integer kernels as `.tflite` files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qspec.arithmetic.formats import Affine
from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.tensor import Tensor
from qspec.errors import UnsupportedError
from qspec.face import Network
from qspec.network.graph import Stage
from qspec.network.kernel_layers import Multiplier, Reshape
from qspec.network.layers import Conv2D, Dense, Flatten, Input, MaxPool2D
from qspec.network.shapes import padding_pairs
from qspec.readers.export_chain import expect_chain, stored_scale
from qspec.readers.tflite_file import TfliteModel, TfliteOperator, TfliteTensor
from qspec.readers.tflite_write import write_model
from qspec.runtimes.arithmetic import Quantized
from qspec.runtimes.tflm import Tflm
from qspec.support import checks

PADDINGS = {"valid": 1, "same": 0}


def to_tflite(network: Network, path: str | Path) -> None:
    """Write a network as a `.tflite` file that TensorFlow Lite Micro computes code for code.

    The network is a chain of dense and convolution layers, each followed by the multiplier that "tflm" derives from its scales, of maximum
    pools and reshapes, as `quantize_int8` makes it. Raises UnsupportedError on others, by layer.
    """
    checks.kind(network, Network, "what is written", "a Network")
    checks.path(path, "the file to write")
    if network.semantics != "tflm":
        given = network.semantics
        raise UnsupportedError("only networks of the semantics 'tflm' are written as .tflite", given=given, expected="quantize_int8(…)")
    write_model(_TfliteExport(network).model(), path)


@dataclass(slots=True)
class _TfliteExport:
    network: Network
    tensors: list[TfliteTensor] = field(default_factory=list[TfliteTensor])
    operators: list[TfliteOperator] = field(default_factory=list[TfliteOperator])

    def model(self) -> TfliteModel:
        stages = self.network.stages
        expect_chain(self.network, ".tflite")
        layer = stages[0].layer
        assert isinstance(layer, Input)
        signal = _quantized(stages[0], layer.format)
        current = self._signal(stages[0].name, stages[0].type.shape, signal)
        k = 1
        while k < len(stages):
            stage = stages[k]
            match stage.layer:
                case Flatten() | Reshape():
                    current = self._reshape(stage, current, signal)
                case MaxPool2D():
                    current = self._max_pool(stage, stage.layer, current, signal)
                case Dense() | Conv2D() if k + 1 < len(stages):
                    current, signal = self._sums(stage, stage.layer, stages[k + 1], current, signal)
                    k += 1
                case _:
                    raise _refused(stage)
            k += 1
        return TfliteModel(self.network.name, tuple(self.tensors), tuple(self.operators), (0,), (current,))

    def _sums(self, stage: Stage, layer: Dense | Conv2D, after: Stage, x: int, given: Quantized) -> tuple[int, Quantized]:
        stored = after.layer
        if not isinstance(stored, Multiplier) or layer.output is not None:
            raise _refused(stage)
        out = _quantized(after, stored.format)
        kind = "FULLY_CONNECTED" if isinstance(layer, Dense) else "CONV_2D"
        scales, width = _scales(stage, layer.kernel), layer.kernel.shape[-1]
        kernel = list(scales) if len(scales) > 1 else list(scales) * width
        derived = Tflm().sums(kind, given.scale, kernel, out, stored.ends)
        if derived != Multiplier(stored.format, stored.multiplier, stored.shift, stored.scaling, *stored.ends, stored.left):
            raise UnsupportedError(
                f"the multiplier after {stage.name!r} is not that of its scales", given=stored.multiplier[:4], expected="tflm's"
            )
        options: dict[str, float] = {"FusedActivationFunction": _activation(after, stored, out)}
        codes: IntArray = layer.kernel.codes
        if isinstance(layer, Conv2D):
            padding = self._padding(stage, layer.padding, layer.kernel.shape[:2], layer.stride, layer.dilation)
            if layer.groups != 1:
                raise _refused(stage)
            options |= {"Padding": padding, "StrideH": layer.stride[0], "StrideW": layer.stride[1]}
            options |= {"DilationHFactor": layer.dilation[0], "DilationWFactor": layer.dilation[1]}
        order = (1, 0) if isinstance(layer, Dense) else (3, 0, 1, 2)
        w = self._tensor(f"{stage.name}/kernel", codes.transpose(order), np.int8, "INT8", scales)
        inputs = [x, w]
        if layer.bias is not None:
            units = tuple(given.scale * s for s in scales)
            inputs.append(self._tensor(f"{stage.name}/bias", layer.bias.codes, np.int32, "INT32", units))
        made = self._signal(stage.name, stage.type.shape, out)
        self.operators.append(TfliteOperator(kind, 4 if kind == "FULLY_CONNECTED" else 3, tuple(inputs), (made,), options))
        return made, out

    def _max_pool(self, stage: Stage, layer: MaxPool2D, x: int, signal: Quantized) -> int:
        stride = layer.stride or layer.window
        padding = self._padding(stage, layer.padding, layer.window, stride, (1, 1))
        options = {"Padding": padding, "StrideH": stride[0], "StrideW": stride[1], "FusedActivationFunction": 0}
        options |= {"FilterHeight": layer.window[0], "FilterWidth": layer.window[1]}
        made = self._signal(stage.name, stage.type.shape, signal)
        self.operators.append(TfliteOperator("MAX_POOL_2D", 2, (x,), (made,), options))
        return made

    def _padding(self, stage: Stage, padding: object, window: tuple[int, ...], stride: tuple[int, int], dilation: tuple[int, int]) -> int:
        """Return the number of the padding that a file has a word for; raises UnsupportedError on others."""
        image = self.network.stages[stage.arguments[0]].type.shape[:2]
        pads = padding_pairs(padding, image, window, stride, dilation)
        for word, number in PADDINGS.items():
            if padding_pairs(word, image, window, stride, dilation) == pads:
                return number
        raise UnsupportedError(f"the padding of {stage.name!r} is neither valid nor same", given=pads, expected="valid or same")

    def _reshape(self, stage: Stage, x: int, signal: Quantized) -> int:
        shape = self._tensor(f"{stage.name}/shape", np.array((1, *stage.type.shape)), np.int32, "INT32", ())
        made = self._signal(stage.name, stage.type.shape, signal)
        self.operators.append(TfliteOperator("RESHAPE", 1, (x, shape), (made,), {}))
        return made

    def _signal(self, name: str, shape: tuple[int, ...], q: Quantized) -> int:
        self.tensors.append(TfliteTensor(name, (1, *shape), "INT8", (q.scale,), (q.zero,), 0, None))
        return len(self.tensors) - 1

    def _tensor(self, name: str, codes: IntArray, dtype: type[np.generic], kind: str, scales: tuple[float, ...]) -> int:
        self.tensors.append(TfliteTensor(name, codes.shape, kind, scales, (0,) * len(scales), 0, codes.astype(dtype)))
        return len(self.tensors) - 1


def _quantized(stage: Stage, fmt: object) -> Quantized:
    if not isinstance(fmt, Affine) or fmt.width != 8 or not fmt.signed or fmt.grid().channels != 1:
        raise UnsupportedError(f"the signal {stage.name!r} is not int8", given=str(fmt), expected="one scale and zero point, 8 bits signed")
    return Quantized(stored_scale(stage, fmt.grid().units[0]), fmt.grid().zeros[0])


def _scales(stage: Stage, kernel: Tensor) -> tuple[float, ...]:
    fmt = kernel.format
    if not isinstance(fmt, Affine) or fmt.width > 8 or not fmt.signed or any(fmt.grid().zeros):
        raise UnsupportedError(f"the weights of {stage.name!r} are not symmetric int8", given=str(fmt), expected="int8 with zero point 0")
    return tuple(stored_scale(stage, u) for u in fmt.grid().units)


def _activation(stage: Stage, stored: Multiplier, out: Quantized) -> int:
    for code, name in ((0, "NONE"), (1, "RELU"), (3, "RELU6"), (2, "RELU_N1_TO_1")):
        if Tflm().ends(name, out) == stored.ends:
            return code
    raise UnsupportedError(
        f"the ends after {stage.name!r} are those of no fused activation", given=stored.ends, expected="NONE, RELU, RELU6"
    )


def _refused(stage: Stage) -> UnsupportedError:
    expected = "dense and convolution layers with their multiplier, maximum pools, reshapes"
    return UnsupportedError(
        "a layer that is not written as .tflite", given=f"{type(stage.layer).__name__} {stage.name!r}", expected=expected
    )
