"""Layers of QKeras and of HGQ's proxies, one after another, as layers of a quantised network: values are exact, and float32 has them all.

A sum is read only if every partial sum of it is a float32 number: then its order does not count, and neither does a fused multiplication.
Source: QKeras 0.9.0 and qkeras-v3 1.2.1 (`qlayers.py`, `qconvolutional.py`, `qdense_batchnorm.py`); HGQ 0.2 (`FixedPointQuantizer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, cast

import numpy as np

from qspec.arithmetic.formats import Fixed, Format, PerChannel, code_range
from qspec.arithmetic.integers import IntArray, common_unit
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.errors import ModelFileError, UnsupportedError
from qspec.network.activations import Linear, ReLU
from qspec.network.graph import Signal, apply
from qspec.network.layers import Conv2D, Dense, Input, MaxPool2D, Requantize
from qspec.readers.keras_config import Described
from qspec.readers.keras_file import Arrays
from qspec.readers.onnx_codes import reshaped, scaled
from qspec.readers.qkeras_quantizers import Quantizer, fixed, quantizer, weights

FLOAT32 = 1 << 24
"""Whole numbers up to this size are float32 numbers."""
OUTPUTS = ("softmax", "sigmoid")


def most(format: Format, shape: tuple[int, ...]) -> Fraction:
    """Return the largest absolute value of a format."""
    low, high = code_range(format, shape)
    units, zeros = format.grid().per_element(shape)
    return max(
        max(abs(int(a) - z), abs(int(b) - z)) * u for u, z, a, b in zip(units, zeros, low.reshape(-1), high.reshape(-1), strict=True)
    )


@dataclass(frozen=True, slots=True, eq=False)
class KnownValues:
    """What is known so far: a signal, its largest absolute value, and whether a ReLU of it is still to be taken."""

    signal: Signal
    most: Fraction
    relu: bool = False


@dataclass(slots=True, eq=False)
class QuantizedChain:
    """The layers of a file put on its input; `start` is the shape of the input, `format` that of its codes, if it was given."""

    start: tuple[int, ...]
    format: Format | None
    values: KnownValues | None = None
    left_out: str = field(default="")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.start if self.values is None else self.values.signal.shape

    def add(self, d: Described, arrays: Arrays) -> None:
        """Put on the next layer; raises UnsupportedError on what is not read."""
        if self.left_out:
            raise UnsupportedError(
                f"a layer behind {self.left_out}", given=f"{d.kind} {d.name!r}", expected=f"{self.left_out} at the end, which is left out"
            )
        BUILD[d.kind](self, d, arrays)

    def known(self, d: Described) -> KnownValues:
        """Return what a layer reads; raises UnsupportedError if nobody said which values the input takes."""
        if self.values is None:
            if self.format is None:
                raise UnsupportedError(
                    "the file does not say which values its input takes",
                    given=f"floats, read by {d.kind} {d.name!r}",
                    expected="a quantiser first, or a format",
                    advice='qs.load(path, input="ap_fixed<16,6>") or input="uint8(1/255)", whatever the device puts in',
                )
            if any(n & (n - 1) for u in self.format.grid().units for n in u.as_integer_ratio()):
                raise _rounds(d, f"an input of {self.format}, whose steps are no powers of two")
            self.values = KnownValues(apply(Input(self.start, self.format)), most(self.format, self.start))
        return self.values

    def settled(self, d: Described) -> KnownValues:
        """Return what a layer reads, with a ReLU taken."""
        x = self.known(d)
        if not x.relu:
            return x
        unit = common_unit(x.signal.type.grid.units)
        width, frac = int(x.most / unit).bit_length() + 1, unit.denominator.bit_length() - 1 - (unit.numerator.bit_length() - 1)
        return KnownValues(apply(Requantize(Fixed(width, frac, False), ReLU()), x.signal), x.most)

    def quantize(self, d: Described, format: Fixed | PerChannel, name: str) -> None:
        """Bring the values to another format; what is read first has its codes as inputs."""
        if self.values is None and self.format is None:
            self.values = KnownValues(apply(Input(self.start, format)), most(format, self.start))
            return
        x = self.known(d)
        size = most(format, x.signal.shape)
        fine = min(common_unit(x.signal.type.grid.units) / 2, *format.grid().units)  # half: tanh adds 1 / 2 to x / 2
        if max(x.most, size, Fraction(1)) > FLOAT32 * fine:
            raise _rounds(d, f"values up to {float(max(x.most, size)):g} in steps of {float(fine):g}")
        self.values = KnownValues(apply(Requantize(format, ReLU() if x.relu else Linear(), name), x.signal), size)

    def activate(self, d: Described, given: object) -> None:
        """Put on an activation: a name of Keras, or a quantiser."""
        place = f"{d.kind} {d.name!r}"
        if given in (None, "linear"):
            return
        if given == "relu":
            self.values = replace(self.known(d), relu=True)
        elif given in OUTPUTS:
            self.values, self.left_out = self.settled(d), str(given)
        else:
            self.quantize(d, fixed(quantizer(given, place)), d.name if d.kind == "QActivation" else f"{d.name}_activation")


def _rounds(d: Described, given: str) -> UnsupportedError:
    return UnsupportedError(
        f"{d.kind} {d.name!r}: numbers that float32 may round",
        given=given,
        expected="whole numbers of steps up to 2^24",
        advice="fewer bits of the input, or the circuit: convert it with hls4ml, and load its firmware/<project>.cpp",
    )


def _parameters(d: Described, arrays: Arrays) -> tuple[Tensor, Tensor | None]:
    """Return the kernel and the bias of a layer, as its quantisers make them of the floats that are stored."""
    place = f"{d.kind} {d.name!r}"
    use_bias = bool(d.settings.get("use_bias", True))
    expected = {"kernel", *(["bias"] if use_bias else []), *(NORM if d.kind.endswith("Batchnorm") else ())}
    if set(arrays) != expected:
        raise ModelFileError(f"the arrays of {place} do not fit", given=", ".join(sorted(arrays)), expected=", ".join(sorted(expected)))
    with np.errstate(over="ignore"):
        wide = [n for n, a in arrays.items() if not np.array_equal(a, np.asarray(a, dtype=np.float32), equal_nan=True)]
    if wide:
        raise UnsupportedError(f"{place}: weights that Keras rounds when it reads them", given=", ".join(wide), expected="float32 numbers")
    kernel, bias = arrays["kernel"], arrays.get("bias")
    sizes: tuple[Any, Any] = (None, None)
    if d.kind.endswith("Batchnorm"):
        d.expect_last_axis(kernel.ndim - 1)
        kernel, bias, sizes = _folded(d, arrays)
    own = [_quantizer(d, key) for key in ("kernel_quantizer", "bias_quantizer")]
    made = weights(kernel, own[0], place, sizes[0])
    return made, None if bias is None else weights(bias, own[1], place, sizes[1], kernel=False)


NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def _folded(d: Described, arrays: Arrays) -> tuple[Any, Any, tuple[Any, Any]]:
    """Return kernel and bias with the normalisation folded in, and the sizes of what was summed for each number."""
    gamma, beta, mean, variance = (np.asarray(arrays[n], dtype=np.float64) for n in NORM)
    epsilon = float(np.float32(float(cast(Any, d.settings.get("epsilon", 0.001)))))
    if np.any(variance + epsilon <= 0) or len({a.shape for a in (gamma, beta, mean, variance)}) > 1:
        raise ModelFileError(f"the normalisation of {d.name!r} is damaged", given="its arrays", expected="one positive variance a channel")
    factor = gamma / np.sqrt(variance + epsilon)
    bias = arrays["bias"] if "bias" in arrays else np.zeros_like(beta)
    kernel, shift = arrays["kernel"] * factor, factor * (bias - mean) + beta
    return kernel, shift, (np.abs(kernel), np.abs(factor) * (np.abs(bias) + np.abs(mean)) + np.abs(beta))


def _quantizer(d: Described, key: str) -> Quantizer | None:
    given = d.settings.get(key)
    return None if given is None else quantizer(given, f"{key} of {d.kind} {d.name!r}")


def _expect_exact(d: Described, x: KnownValues, kernel: Tensor, bias: Tensor | None) -> Fraction:
    """Return the largest absolute value of a sum; raises UnsupportedError if a partial sum might be no float32 number."""
    step = (
        common_unit(x.signal.type.grid.units) * kernel.format.grid().units[0] * max(int(np.gcd.reduce(np.abs(kernel.codes), axis=None)), 1)
    )
    sums: IntArray = np.abs(kernel.codes).reshape(-1, kernel.shape[-1]).sum(axis=0)
    largest = int(sums.max()) * kernel.format.grid().units[0] * x.most
    if bias is not None and bias.codes.any():
        unit = bias.format.grid().units[0]
        step = common_unit([step, unit * int(np.gcd.reduce(bias.codes))])
        largest += int(np.abs(bias.codes).max()) * unit
    if largest > FLOAT32 * step:
        raise _rounds(d, f"sums up to {float(largest):g} in steps of {float(step):g}")
    return largest


def _dense(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    x = c.settled(d)
    kernel, bias = _parameters(d, arrays)
    size = _expect_exact(d, x, kernel, bias)
    if kernel.codes.ndim != 2 or len(x.signal.shape) != 1:
        raise UnsupportedError(f"{d.kind} {d.name!r} of an image is not read", given=x.signal.shape, expected="a vector: Flatten before it")
    d.expect_stated("units", kernel.shape[-1])
    c.values = KnownValues(apply(Dense(kernel, bias, name=d.name), x.signal), size)
    c.activate(d, d.settings.get("activation"))


def _conv(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    x = c.settled(d)
    kernel, bias = _parameters(d, arrays)
    size = _expect_exact(d, x, kernel, bias)
    if len(x.signal.shape) != 3:
        raise UnsupportedError(
            f"{d.kind} {d.name!r} of a signal that is no image", given=x.signal.shape, expected="(height, width, channels)"
        )
    stride, dilation = (d.pair(key, (1, 1)) for key in ("strides", "dilation_rate"))
    d.expect_stated("filters", kernel.shape[-1])
    d.expect_stated("kernel_size", kernel.shape[:2])
    layer = Conv2D(kernel, bias, stride, str(d.settings.get("padding", "valid")), dilation, d.whole("groups", 1), name=d.name)
    c.values = KnownValues(apply(layer, x.signal), size)
    c.activate(d, d.settings.get("activation"))


def _pool(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    x = c.known(d)
    size = d.pair("pool_size", (2, 2))
    stride = d.pair("strides", size)
    c.values = replace(x, signal=apply(MaxPool2D(size, stride, str(d.settings.get("padding", "valid")), name=d.name), x.signal))


def _shape(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    x = c.known(d)
    size = x.signal.type.size
    shape = d.target_shape(size) if d.kind == "Reshape" else (size,)
    c.values = replace(x, signal=reshaped(x.signal, shape))


def _activation(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    c.activate(d, d.settings.get("activation"))


def _relu(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    for key in ("negative_slope", "threshold"):
        if d.settings.get(key):
            raise d.refuse(key, "0")
    c.activate(d, "relu")


def _softmax(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    d.expect_last_axis(len(c.known(d).signal.shape))
    c.activate(d, "softmax")


def _fixed_point(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    """`FixedPointQuantizer` of HGQ: a format for each element, of which 0 bits are zero."""
    shape = c.shape
    missing = {"bits", "integers", "keep_negative"} - set(arrays)
    if missing:
        raise ModelFileError(
            f"a quantiser of HGQ without arrays: {d.name!r}", given=", ".join(sorted(missing)), expected="bits, integers, keep_negative"
        )
    try:
        rounding, overflow = Rounding(str(d.settings["RND"])), Overflow(str(d.settings["SAT"]))
        bits, integers, signs = (np.broadcast_to(arrays[n], (1, *shape))[0].astype(int) for n in ("bits", "integers", "keep_negative"))
    except (KeyError, ValueError) as error:
        raise UnsupportedError(
            f"a quantiser of HGQ that is not read: {d.name!r}", given=error, expected="modes of ap_fixed, arrays that fit"
        ) from None
    table = np.stack([bits, integers, signs], axis=-1).reshape(-1, 3)
    if not np.any(bits):
        raise UnsupportedError(f"a quantiser that makes zeros alone: {d.name!r}", given="0 bits", expected="bits for some element")
    some = table[int(np.flatnonzero(table[:, 0])[0])]
    formats = [Fixed(int(b), int(b - i), bool(k), rounding, overflow) for b, i, k in (row if row[0] else some for row in table)]
    columns = shape[-1]
    if len(set(formats)) == 1:
        c.quantize(d, formats[0], d.name)
    elif all(f == formats[k % columns] for k, f in enumerate(formats)):
        c.quantize(d, PerChannel(tuple(formats[:columns])), d.name)
    else:
        c.values = replace(c.known(d), signal=reshaped(c.known(d).signal, (len(formats),)))
        c.quantize(d, PerChannel(tuple(formats)), d.name)
        c.values = replace(c.known(d), signal=reshaped(c.known(d).signal, shape))
    if not np.all(bits):
        x = c.known(d)
        kept = Tensor((table[:, 0] > 0).astype(np.int64), Fixed(2, 0))
        c.values = replace(x, signal=reshaped(scaled(reshaped(x.signal, (len(formats),)), kept), shape))


def _nothing(c: QuantizedChain, d: Described, arrays: Arrays) -> None:
    """Leave the values as they are."""


BUILD: Mapping[str, Callable[[QuantizedChain, Described, Arrays], None]] = {
    "QDense": _dense,
    "QDenseBatchnorm": _dense,
    "Dense": _dense,
    "QConv2D": _conv,
    "QConv2DBatchnorm": _conv,
    "Conv2D": _conv,
    "QActivation": _activation,
    "Activation": _activation,
    "ReLU": _relu,
    "Softmax": _softmax,
    "FixedPointQuantizer": _fixed_point,
    "MaxPooling2D": _pool,
    "Flatten": _shape,
    "Reshape": _shape,
    "Dropout": _nothing,
}
