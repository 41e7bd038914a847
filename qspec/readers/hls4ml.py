"""A project that hls4ml wrote as the network of its circuit, bit for bit: every type is that of the generated code.

Products are rounded to the type of the accumulator one by one, which then wraps; results are rounded to the type of the layer. All this is
ap_fixed's arithmetic (AMD UG1399). Source of the layers: `nnet_utils` of hls4ml 1.3.0, checked by its C simulation. A softmax at the end is
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import numpy as np

from qspec.arithmetic.formats import Fixed, PerChannel
from qspec.arithmetic.rounding import Overflow
from qspec.arithmetic.tensor import Tensor, quantize
from qspec.errors import FormatError, ModelFileError, NetworkError, QspecError, ShapeError, UnsupportedError
from qspec.face import Network
from qspec.network.activations import ReLU
from qspec.network.graph import Signal, apply
from qspec.network.layers import Conv2D, Dense, Input, MaxPool2D, Requantize
from qspec.readers.hls4ml_file import MARK, LayerCall, LayerSettings, Project, read_project
from qspec.readers.onnx_codes import reshaped, scaled
from qspec.readers.registry import Content, Reader

WIDEST = 1 << 22
"""Entries of the matrices that spread products which are rounded one by one, at most."""


def read_hls4ml(path: str | Path) -> Network:
    """Return the network of a project from its source `firmware/<project>.cpp`, written by hls4ml with `io_parallel`.

    Inputs and outputs are codes of the types of its ports, images channels-last. Raises UnsupportedError on layers, types and settings that
    are not read, by name; ModelFileError on files that are missing or damaged.
    """
    place = Path(path)
    project = read_project(place)
    try:
        return _Circuit(project, place.name).network()
    except UnsupportedError:
        raise
    except (ShapeError, NetworkError, FormatError) as error:
        raise ModelFileError(
            "the layers of an hls4ml project do not fit", given=str(place), expected=f"a consistent network ({error.what}: {error.given})"
        ) from error
    except (IndexError, KeyError, ValueError, OverflowError) as error:
        if isinstance(error, QspecError):
            raise
        raise ModelFileError(
            "an hls4ml project is damaged", given=str(place), expected=f"the files that hls4ml wrote ({type(error).__name__}: {error})"
        ) from error


class _Circuit:
    """The arrays known so far, each a flat signal, or an image as it lies."""

    def __init__(self, project: Project, file: str) -> None:
        self.project = project
        self.file = file
        self.arrays: dict[str, Signal] = {}
        self.final: dict[str, str] = {}

    def network(self) -> Network:
        """Return the network of the project."""
        written = {c.arrays[1] for c in self.project.calls if len(c.arrays) > 1}
        given = [p for p in self.project.ports if p[1] not in written]
        results = [p for p in self.project.ports if p[1] in written]
        for kind, name, size in given:
            label = "x" if len(given) == 1 else name
            self.arrays[name] = apply(Input((size,), self.project.format(kind), label))
        for call in self.project.calls:
            if call.function not in LAYERS and call.function not in self.project.generated:
                self.refuse(call, "a layer that is not read", call.function, ", ".join(sorted(LAYERS)))
            source = self._source(call.arrays[0])
            if source in self.final:
                self.refuse(call, f"a layer behind {self.final[source]}", source, f"{self.final[source]} at the end")
            if call.function == "softmax":
                self.final[call.arrays[1]] = call.function
                self.arrays[call.arrays[1]] = self.arrays[source]
            else:
                self.arrays[call.arrays[1]] = LAYERS.get(call.function, quantizer)(self, call, self.arrays[source])
        ends = [self.arrays[name] for _, name, _ in results]
        ends = [self.flat(e) if len(e.shape) == 3 and 1 in e.shape[:2] else e for e in ends]
        return Network.of(ends, name=self.project.name, semantics="hls4ml")

    def _source(self, name: str) -> str:
        while name in self.project.aliases:
            name = self.project.aliases[name]
        return name

    def settings(self, call: LayerCall) -> LayerSettings:
        """Return the struct of a layer."""
        name = call.types[2] if len(call.types) > 2 else ""
        if name not in self.project.settings:
            given = f"{call.place}: {name!r}"
            raise ModelFileError("the settings of a layer of hls4ml are missing", given=given, expected="a struct in parameters.h")
        return self.project.settings[name]

    def flat(self, signal: Signal) -> Signal:
        """Return a signal as the array in memory that it is."""
        return reshaped(signal, (signal.type.size,))

    def weights(self, call: LayerCall, place: int, shape: tuple[int, ...], kind: str) -> Tensor:
        """Return weights in their type."""
        name = call.arrays[place]
        if name not in self.project.weights or len(self.project.weights[name]) != int(np.prod(shape)):
            given = f"{call.place}: {name!r}"
            raise ModelFileError("weights of hls4ml are missing or do not fit", given=given, expected=f"{shape} numbers")
        return quantize(np.array(self.project.weights[name], dtype=object).reshape(shape), self.project.format(kind))

    def refuse(self, call: LayerCall, what: str, given: object, expected: str) -> NoReturn:
        """Raise UnsupportedError about a layer."""
        raise UnsupportedError(f"{self.file}, {call.place}: {what}", given=given, expected=expected)


def dense(c: _Circuit, call: LayerCall, x: Signal) -> Signal:
    """`dense`: products in the type of the accumulator, one by one, summed there; the result in the type of the layer."""
    s = c.settings(call)
    shape = (s.whole("n_in"), s.whole("n_out"))
    kernel, bias, accumulator = _sums(c, call, s, shape, shape[1])
    x = c.flat(x)
    out = c.project.format(call.types[1])
    if _exact(x, kernel, accumulator):
        _expect_wrap_or_room(c, call, x, kernel, bias, accumulator)
        return apply(Dense(kernel, bias, output=out, accumulator=accumulator, name=call.arrays[1]), x)
    return _one_by_one(c, call, x, kernel, bias, accumulator, out)


def conv(c: _Circuit, call: LayerCall, x: Signal) -> Signal:
    """`conv_2d_cl`: the same over windows of a channels-last image, with zeros around it."""
    s = c.settings(call)
    image = (s.whole("in_height"), s.whole("in_width"), s.whole("n_chan"))
    shape = (s.whole("filt_height"), s.whole("filt_width"), image[2], s.whole("n_filt"))
    kernel, bias, accumulator = _sums(c, call, s, shape, shape[3])
    x = reshaped(x, image)
    if not _exact(x, kernel, accumulator):
        c.refuse(call, "a convolution whose accumulator drops bits of products", str(accumulator), "as many fraction bits as a product has")
    pads = ((s.whole("pad_top"), s.whole("pad_bottom")), (s.whole("pad_left"), s.whole("pad_right")))
    _expect_wrap_or_room(c, call, x, kernel, bias, accumulator)
    stride = (s.whole("stride_height"), s.whole("stride_width"))
    layer = Conv2D(kernel, bias, stride, pads, output=c.project.format(call.types[1]), accumulator=accumulator, name=call.arrays[1])
    return apply(layer, x)


def _sums(c: _Circuit, call: LayerCall, s: LayerSettings, shape: tuple[int, ...], outputs: int) -> tuple[Tensor, Tensor, Fixed]:
    """Return kernel, bias in the type of the accumulator, and that type."""
    own = c.project.settings.get(s.types.get("mult_config", ""), s)
    if own.product != "mult":
        c.refuse(call, "a product that is not read", own.product, "nnet::product::mult")
    if own.values.get("strategy", "").strip() != "nnet::latency":  # others store their weights in another order
        c.refuse(call, "a strategy that is not read", own.values.get("strategy"), "nnet::latency")
    accumulator = c.project.format(s.types["accum_t"])
    kernel = c.weights(call, 2, shape, s.types["weight_t"])
    bias = c.weights(call, 3, (outputs,), s.types["bias_t"])
    exact = [Fraction(int(v)) * bias.format.grid().units[0] for v in bias.codes]
    return kernel, quantize(np.array(exact, dtype=object), accumulator), accumulator


def _exact(x: Signal, kernel: Tensor, accumulator: Fixed) -> bool:
    """Say whether every product of a signal and a kernel keeps all its fraction bits in the accumulator."""
    codes = kernel.codes.reshape(-1, kernel.shape[-2], kernel.shape[-1])
    common = np.gcd.reduce(codes, axis=(0, 2)) if codes.size else np.zeros(kernel.shape[-2], dtype=np.int64)
    channels = x.type.grid.units if x.type.grid.channels > 1 else x.type.grid.units * len(common)
    unit = kernel.format.grid().units[0] / accumulator.unit
    return all((int(k) * unit * own).denominator == 1 for k, own in zip(common, channels, strict=True))


def _expect_wrap_or_room(c: _Circuit, call: LayerCall, x: Signal, kernel: Tensor, bias: Tensor, accumulator: Fixed) -> None:
    """Raise UnsupportedError if an accumulator saturates and a partial sum could reach its ends: then the order of the sum would count."""
    if accumulator.overflow is Overflow.WRAP:
        return
    data = c.project.format(call.types[0])
    most = Fraction(max(-data.lower, data.upper)) * data.unit
    sizes = np.abs(kernel.codes.astype(object)).reshape(-1, kernel.shape[-1]).sum(axis=0)
    units, bias_unit = kernel.format.grid().units[0], bias.format.grid().units[0]
    for k, size in enumerate(sizes):
        if int(size) * units * most + abs(int(bias.codes[k])) * bias_unit > accumulator.upper * accumulator.unit:
            c.refuse(call, "an accumulator that saturates within its sum", str(accumulator), "AP_WRAP, or room for every partial sum")


def _one_by_one(c: _Circuit, call: LayerCall, x: Signal, kernel: Tensor, bias: Tensor, accumulator: Fixed, out: Fixed) -> Signal:
    """Return a dense layer whose products lose bits each: all products, rounded and wrapped, and their sum, which wraps."""
    if accumulator.overflow is not Overflow.WRAP:
        c.refuse(call, "products that are rounded, in an accumulator that saturates", str(accumulator), "AP_WRAP")
    row, column = np.nonzero(kernel.codes)
    count = max(len(row), 1)
    if count * max(kernel.shape) > WIDEST:
        given = f"{len(row)} products, {accumulator}"
        c.refuse(call, "an accumulator that drops bits of so many products", given, f"at most {WIDEST // max(kernel.shape)}")
    spread, gather = np.zeros((kernel.shape[0], count), dtype=np.int64), np.zeros((count, kernel.shape[1]), dtype=np.int64)
    place = np.arange(len(row))
    spread[row, place], gather[place, column] = kernel.codes[row, column], 1
    name = call.arrays[1]
    products = apply(Dense(Tensor(spread, kernel.format), output=accumulator, name=f"{name}_products"), x)
    return apply(Dense(Tensor(gather, Fixed(2, 0)), bias, output=out, accumulator=accumulator, name=name), products)


def relu(c: _Circuit, call: LayerCall, x: Signal) -> Signal:
    """`relu`."""
    return apply(Requantize(c.project.format(call.types[1]), ReLU(), call.arrays[1]), x)


def linear(c: _Circuit, call: LayerCall, x: Signal) -> Signal:
    """`linear`: another type."""
    return apply(Requantize(c.project.format(call.types[1]), name=call.arrays[1]), x)


def normalize(c: _Circuit, call: LayerCall, x: Signal) -> Signal:
    """`normalize`: a scale and a bias for each channel, exact until the type of the layer."""
    s = c.settings(call)
    count = s.whole("n_in") if s.whole("n_filt") == -1 else s.whole("n_filt")
    if s.product != "mult":
        c.refuse(call, "a product that is not read", s.product, "nnet::product::mult")
    scale, bias = c.weights(call, 2, (count,), s.types["scale_t"]), c.weights(call, 3, (count,), s.types["bias_t"])
    return scaled(x, scale, bias, output=c.project.format(call.types[1]), name=call.arrays[1])


def max_pool(c: _Circuit, call: LayerCall, x: Signal) -> Signal:
    """`pooling2d_cl` with the maximum, without padding."""
    s = c.settings(call)
    image = (s.whole("in_height"), s.whole("in_width"), s.whole("n_filt"))
    pads = [s.whole(f"pad_{side}") for side in ("top", "bottom", "left", "right")]
    if s.values.get("pool_op", "").strip() != "nnet::Max" or any(pads):
        c.refuse(call, "a pool that is not read", f"{s.values.get('pool_op')}, padding {pads}", "nnet::Max without padding")
    size, stride = (s.whole("pool_height"), s.whole("pool_width")), (s.whole("stride_height"), s.whole("stride_width"))
    made = apply(MaxPool2D(size, stride, name=call.arrays[1]), reshaped(x, image))
    out = c.project.format(call.types[1])
    return apply(Requantize(out), made) if out.grid() != made.type.grid else made


def quantizer(c: _Circuit, call: LayerCall, x: Signal) -> Signal:
    """Return a generated quantiser: a type for each element, zero where there is none, and then the type of the layer."""
    kinds = c.project.generated[call.function]
    known = [None if k is None else c.project.format(k) for k in kinds]
    some = next((k for k in known if k is not None), None)
    out = c.project.format(call.types[1])
    flat = c.flat(x)
    if len(kinds) != flat.shape[0]:
        given = f"{call.place}: {len(kinds)} elements"
        raise ModelFileError("a quantiser of hls4ml does not fit", given=given, expected=str(flat.shape[0]))
    if some is None:
        c.refuse(call, "a quantiser that makes zeros alone", call.function, "a type for some element")
    if None in known:
        flat = scaled(flat, Tensor(np.array([k is not None for k in known], dtype=np.int64), Fixed(2, 0)))
    made = apply(Requantize(PerChannel(tuple(k or some for k in known)), name=call.arrays[1]), flat)
    if not all(_holds(out, k) for k in known if k is not None):
        made = apply(Requantize(out), made)  # the elements are assigned to this type
    return reshaped(made, x.shape)


def _holds(out: Fixed, own: Fixed) -> bool:
    """Say whether a type has all values of another."""
    low, high = (end * own.unit / out.unit for end in (own.lower, own.upper))
    return own.frac <= out.frac and out.lower <= low and high <= out.upper


LAYERS: Mapping[str, Callable[[_Circuit, LayerCall, Signal], Signal]] = {
    "dense": dense,
    "conv_2d_cl": conv,
    "relu": relu,
    "linear": linear,
    "normalize": normalize,
    "pooling2d_cl": max_pool,
    "softmax": linear,
}
"""Layers of hls4ml that are read; quantisers are generated for each project."""


def _recognized(content: Content) -> bool:
    return MARK.encode() in content.head and content.path.suffix == ".cpp"


READER = Reader(format="hls4ml", suffixes=(".cpp",), recognizes=_recognized, read=read_hls4ml)
