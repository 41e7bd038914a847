"""From the document of a file to a network; nothing in a document is trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import prod
from typing import TypeVar, assert_never, cast, get_args

from qspec.arithmetic.formats import Affine, Fixed, Format, PerChannel
from qspec.arithmetic.integers import IntArray, integers
from qspec.arithmetic.rounding import Overflow, Rounding
from qspec.arithmetic.tensor import Tensor
from qspec.errors import ModelFileError, QspecError
from qspec.files.arrays import TYPES, from_npy
from qspec.files.encode import FORMAT, VERSION, ActivationKind, KernelKind, LayerKind
from qspec.files.json_cursor import Cursor
from qspec.network.activations import Activation, HardSigmoid, HardTanh, LeakyReLU, Linear, Lookup, ReLU, Sigmoid, Sign, Tanh
from qspec.network.graph import Graph, Stage
from qspec.network.kernel_layers import Constant, Multiplier, Pad, Reinterpret, Reshape, Scaling, Thresholds, Transpose
from qspec.network.layers import Add, AveragePool2D, Concat, Conv2D, Dense, Feature, Flatten, Input, Layer, MaxPool2D, Requantize
from qspec.network.shapes import check_shape
from qspec.network.types import infer

T = TypeVar("T")
Arrays = dict[str, bytes]
"""The `.npy` files that no tensor has claimed yet."""


def decode(root: Cursor, arrays: Mapping[str, bytes]) -> Graph:
    """Return the network of a document; raises ModelFileError on anything that is missing, superfluous or inconsistent."""
    if root.at("format").value != FORMAT:
        root.at("format").fail("not a network", repr(FORMAT), advice="qs.load reads both kinds of network")
    version = root.at("version").whole()
    if version not in (1, VERSION):
        root.at("version").fail("unknown version of the file format", f"1 or {VERSION}", advice="upgrade qspec")
    document = root.fields("format", "version", "name", *(["semantics"] if version > 1 else []), "stages", "outputs")
    semantics = document["semantics"].text() if version > 1 else "exact"
    unclaimed = dict(arrays)
    stages: list[Stage] = []
    positions: dict[str, int] = {}
    for cursor in document["stages"].items():
        stage = located(cursor, lambda c: _stage(c, stages, positions, unclaimed))
        positions[stage.name] = len(stages)
        stages.append(stage)
    if unclaimed:
        raise ModelFileError("members that nothing refers to", given=sorted(unclaimed), expected="the arrays that network.json names")
    outputs = tuple(position_of(c, positions) for c in document["outputs"].items())
    return located(root, lambda _: Graph(tuple(stages), outputs, document["name"].text(), semantics))


def located(cursor: Cursor, read: Callable[[Cursor], T]) -> T:
    """Read something; what its constructors refuse becomes a ModelFileError of this place."""
    try:
        return read(cursor)
    except ModelFileError:
        raise
    except QspecError as error:
        raise ModelFileError(f"{cursor.path}: {error.what}", given=error.given, expected=error.expected, advice=error.advice) from error


def _stage(cursor: Cursor, stages: list[Stage], positions: Mapping[str, int], arrays: Arrays) -> Stage:
    f = cursor.fields("name", "reads", "layer")
    name = f["name"].text()
    if not name:
        f["name"].fail("a stage without a name", "a text that is not empty")
    if name in positions:
        f["name"].fail("two stages have one name", "distinct names")
    arguments = tuple(position_of(c, positions) for c in f["reads"].items())
    layer = f["layer"].kind(LAYERS)(f["layer"], name, arrays)
    return Stage(name, layer, arguments, infer(layer, [stages[a].type for a in arguments]))


def position_of(cursor: Cursor, positions: Mapping[str, int]) -> int:
    """Return the position of the earlier stage that a cursor names."""
    name = cursor.text()
    if name not in positions:
        cursor.fail("no stage of this name comes before", ", ".join(positions) or "the name of an earlier stage")
    return positions[name]


def _input(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "shape", "format", "features")
    return Input(shape_of(f["shape"]), _format(f["format"]), name, tuple(_feature(c) for c in f["features"].items()))


def _feature(cursor: Cursor) -> Feature:
    f = cursor.fields("name", "lower", "upper", "categories")
    return Feature(f["name"].text(), f["lower"].whole(), f["upper"].whole(), tuple(c.text() for c in f["categories"].items()))


def _dense(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "kernel", "bias", "activation", "output", "accumulator")
    return Dense(
        _tensor(f["kernel"], arrays),
        f["bias"].optional(lambda c: _tensor(c, arrays)),
        _activation(f["activation"], arrays),
        f["output"].optional(_format),
        f["accumulator"].optional(_accumulator),
        name,
    )


def _conv2d(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "kernel", "bias", "stride", "padding", "dilation", "groups", "activation", "output", "accumulator")
    return Conv2D(
        _tensor(f["kernel"], arrays),
        f["bias"].optional(lambda c: _tensor(c, arrays)),
        pair_of(f["stride"]),
        padding_of(f["padding"]),
        pair_of(f["dilation"]),
        f["groups"].whole(),
        _activation(f["activation"], arrays),
        f["output"].optional(_format),
        f["accumulator"].optional(_accumulator),
        name,
    )


def _average_pool(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "window", "stride", "padding", "count_padding", "output")
    padding, output = padding_of(f["padding"]), f["output"].optional(_format)
    return AveragePool2D(pair_of(f["window"]), pair_of(f["stride"]), padding, f["count_padding"].flag(), output, name)


def _max_pool(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "window", "stride", "padding")
    return MaxPool2D(pair_of(f["window"]), pair_of(f["stride"]), padding_of(f["padding"]), name)


def _flatten(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    cursor.fields("kind")
    return Flatten(name)


def _add(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "activation", "output")
    return Add(_activation(f["activation"], arrays), f["output"].optional(_format), name)


def _concat(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    return Concat(cursor.fields("kind", "output")["output"].optional(_format), name)


def _requantize(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "output", "activation")
    return Requantize(_format(f["output"]), _activation(f["activation"], arrays), name)


def _pad(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "before", "after", "code")
    return Pad(_wholes(f["before"]), _wholes(f["after"]), f["code"].whole(), name)


def _multiplier(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "format", "multiplier", "shift", "scaling", "lower", "upper", "left")
    scaling = tuple(c.choice(Scaling) for c in f["scaling"].items())
    ends = f["lower"].whole(), f["upper"].whole()
    return Multiplier(_affine(f["format"]), _wholes(f["multiplier"]), _wholes(f["shift"]), scaling, *ends, f["left"].whole(), name)


def _thresholds(cursor: Cursor, name: str, arrays: Arrays) -> Layer:
    f = cursor.fields("kind", "format", "base", "thresholds")
    fmt = _format(f["format"])
    if isinstance(fmt, PerChannel):
        f["format"].fail("a staircase has one format", "Fixed or Affine")
    stored = f["thresholds"].fields("shape", "codes")
    rows = _codes(stored["codes"], tuple(c.whole() for c in stored["shape"].items()), arrays)
    return Thresholds(fmt, integers(_wholes(f["base"])), rows, name)


def _wholes(cursor: Cursor) -> tuple[int, ...]:
    return tuple(c.whole() for c in cursor.items())


def _layer_reader(kind: LayerKind) -> Callable[[Cursor, str, Arrays], Layer]:
    match kind:
        case "Input":
            return _input
        case "Dense":
            return _dense
        case "Conv2D":
            return _conv2d
        case "AveragePool2D":
            return _average_pool
        case "MaxPool2D":
            return _max_pool
        case "Flatten":
            return _flatten
        case "Add":
            return _add
        case "Concat":
            return _concat
        case "Requantize":
            return _requantize
        case "Constant" | "Reinterpret" | "Reshape" | "Transpose" | "Pad" | "Multiplier" | "Thresholds":
            return _kernel_reader(kind)
        case _:
            assert_never(kind)


def _kernel_reader(kind: KernelKind) -> Callable[[Cursor, str, Arrays], Layer]:
    match kind:
        case "Constant":
            return lambda c, name, arrays: Constant(_tensor(c.fields("kind", "value")["value"], arrays), name)
        case "Reinterpret":
            return lambda c, name, arrays: Reinterpret(_format(c.fields("kind", "format")["format"]), name)
        case "Reshape":
            return lambda c, name, arrays: Reshape(shape_of(c.fields("kind", "shape")["shape"]), name)
        case "Transpose":
            return lambda c, name, arrays: Transpose(_wholes(c.fields("kind", "axes")["axes"]), name)
        case "Pad":
            return _pad
        case "Multiplier":
            return _multiplier
        case "Thresholds":
            return _thresholds
        case _:
            assert_never(kind)


LAYER_KINDS = cast("tuple[LayerKind, ...]", (*get_args(KernelKind), *get_args(get_args(LayerKind)[1])))
LAYERS: Mapping[str, Callable[[Cursor, str, Arrays], Layer]] = {kind: _layer_reader(kind) for kind in LAYER_KINDS}


def _activation(cursor: Cursor, arrays: Arrays) -> Activation:
    return cursor.kind(ACTIVATIONS)(cursor, arrays)


def plain_activation(made: Callable[[], T]) -> Callable[[Cursor, Arrays], T]:
    """Return the reader of an activation without parameters."""

    def read(cursor: Cursor, arrays: Arrays) -> T:
        cursor.fields("kind")
        return made()

    return read


def _tabulated(made: type[Sigmoid | Tanh]) -> Callable[[Cursor, Arrays], Activation]:
    return lambda cursor, arrays: made(cursor.fields("kind", "table")["table"].optional(_fixed))


def _relu(cursor: Cursor, arrays: Arrays) -> Activation:
    return ReLU(cursor.fields("kind", "maximum")["maximum"].optional(Cursor.exact))


def _leaky_relu(cursor: Cursor, arrays: Arrays) -> Activation:
    return LeakyReLU(cursor.fields("kind", "slope")["slope"].exact())


def _hard_sigmoid(cursor: Cursor, arrays: Arrays) -> Activation:
    f = cursor.fields("kind", "slope", "offset")
    return HardSigmoid(f["slope"].exact(), f["offset"].exact())


def _lookup(cursor: Cursor, arrays: Arrays) -> Activation:
    f = cursor.fields("kind", "input", "outputs")
    return Lookup(_fixed(f["input"]), _tensor(f["outputs"], arrays))


def _activation_reader(kind: ActivationKind) -> Callable[[Cursor, Arrays], Activation]:
    match kind:
        case "Linear":
            return plain_activation(Linear)
        case "ReLU":
            return _relu
        case "LeakyReLU":
            return _leaky_relu
        case "Sign":
            return plain_activation(Sign)
        case "HardTanh":
            return plain_activation(HardTanh)
        case "HardSigmoid":
            return _hard_sigmoid
        case "Sigmoid":
            return _tabulated(Sigmoid)
        case "Tanh":
            return _tabulated(Tanh)
        case "Lookup":
            return _lookup
        case _:
            assert_never(kind)


ACTIVATION_KINDS = cast("tuple[ActivationKind, ...]", get_args(ActivationKind))
ACTIVATIONS: Mapping[str, Callable[[Cursor, Arrays], Activation]] = {kind: _activation_reader(kind) for kind in ACTIVATION_KINDS}


def _format(cursor: Cursor) -> Format:
    return cursor.kind(FORMATS)(cursor)


def _fixed(cursor: Cursor) -> Fixed:
    cursor.kind({"Fixed": _fixed})
    f = cursor.fields("kind", "width", "frac", "signed", "rounding", "overflow")
    modes = f["rounding"].choice(Rounding), f["overflow"].choice(Overflow)
    return Fixed(f["width"].whole(), f["frac"].whole(), f["signed"].flag(), *modes)


def _affine(cursor: Cursor) -> Affine:
    f = cursor.fields("kind", "width", "signed", "scale", "zero_point", "rounding", "overflow")
    scale: Fraction | tuple[Fraction, ...]
    zero: int | tuple[int, ...]
    scale = tuple(c.exact() for c in f["scale"].items()) if isinstance(f["scale"].value, list) else f["scale"].exact()
    zero = tuple(c.whole() for c in f["zero_point"].items()) if isinstance(f["zero_point"].value, list) else f["zero_point"].whole()
    return Affine(f["width"].whole(), f["signed"].flag(), scale, zero, f["rounding"].choice(Rounding), f["overflow"].choice(Overflow))


def _per_channel(cursor: Cursor) -> PerChannel:
    return PerChannel(tuple(_fixed(c) for c in cursor.fields("kind", "formats")["formats"].items()))


FORMATS: Mapping[str, Callable[[Cursor], Format]] = {"Fixed": _fixed, "Affine": _affine, "PerChannel": _per_channel}


def _accumulator(cursor: Cursor) -> Fixed | PerChannel:
    fmt = _format(cursor)
    return cursor.fail("an accumulator is fixed point", "Fixed or PerChannel") if isinstance(fmt, Affine) else fmt


def _tensor(cursor: Cursor, arrays: Arrays) -> Tensor:
    f = cursor.fields("format", "shape", "codes")
    shape, codes = shape_of(f["shape"]), f["codes"]
    stored = _codes(codes, shape, arrays)
    return located(cursor, lambda _: Tensor(stored, _format(f["format"])))


def _codes(cursor: Cursor, shape: tuple[int, ...], arrays: Arrays) -> IntArray:
    return _texts(cursor, shape) if isinstance(cursor.value, list) else _array(cursor, shape, arrays)


def _texts(cursor: Cursor, shape: tuple[int, ...]) -> IntArray:
    """Return codes that are too large for int64, written as decimal texts."""
    codes = [c.exact() for c in cursor.items()]
    for c, code in zip(cursor.items(), codes, strict=True):
        if code.denominator != 1:
            c.fail("a code is a whole number", "decimal digits")
    if len(codes) != prod(shape):
        cursor.fail("the number of codes does not fit the shape", str(shape), given=len(codes))
    return integers(codes).reshape(shape)


def _array(cursor: Cursor, shape: tuple[int, ...], arrays: Arrays) -> IntArray:
    f = cursor.fields("member", "type")
    name, type_name = f["member"].text(), f["type"].text()
    if type_name not in TYPES:
        f["type"].fail("unknown type of integers", ", ".join(TYPES))
    if name not in arrays:
        f["member"].fail("the array is not in the file, or belongs to another tensor", ", ".join(sorted(arrays)) or "an array")
    return from_npy(arrays.pop(name), type_name, shape, name)


def shape_of(cursor: Cursor) -> tuple[int, ...]:
    """Return a shape."""
    axes = tuple(c.whole() for c in cursor.items())
    return located(cursor, lambda _: check_shape(axes))


def pair_of(cursor: Cursor) -> tuple[int, int]:
    """Return two whole numbers."""
    numbers = [c.whole() for c in cursor.items()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else cursor.fail("a pair is expected", "two whole numbers")


def padding_of(cursor: Cursor) -> str | tuple[object, object]:
    """Return a padding, as layers take it."""
    if isinstance(cursor.value, str):
        return cursor.value
    pairs = [pair_of(c) for c in cursor.items()]
    return (
        (pairs[0], pairs[1])
        if len(pairs) == 2
        else cursor.fail("padding is malformed", '"valid", "same" or [[top, bottom], [left, right]]')
    )
