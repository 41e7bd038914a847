"""What a tensor of an ONNX graph is while it is read: a constant, or an affine view of one signal of the network under construction.

Reshaping, transposing, slicing, repeating and padding move the elements of a view and add no layer. Scalings and shifts stay with the view
until a layer needs them. So images become channels-last by their positions alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.errors import ModelFileError, UnsupportedError
from qspec.ir.real import ExactArray, exact, fractions
from qspec.network.activations import Linear
from qspec.network.graph import RealSignal, real_apply
from qspec.network.layers import Concat, Flatten
from qspec.network.real_layers import RealConv2D, RealDense, RealInput, RealSparse, scaled_outputs
from qspec.readers.onnx_file import Array

WIDEST = 4096
"""Elements that a scaling of single elements, which becomes a dense layer, may have."""
LARGEST = 1 << 24
"""Elements of a tensor, and entries of a sparse layer, at most."""
ONE, ZERO = Fraction(1), Fraction(0)


@dataclass(frozen=True, slots=True, eq=False)
class TypedConstant:
    """A constant and the name of its type: whole numbers, booleans, or floats (doubles, or Fractions where those are not exact)."""

    values: Array
    type: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def exact(self) -> ExactArray:
        """Return the numbers; raises UnsupportedError on infinities and what is no number."""
        if self.values.dtype.kind == "f" and not np.all(np.isfinite(self.values)):
            raise UnsupportedError("a constant that is not finite", given=self.values, expected="finite numbers")
        return exact(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class TensorView:
    """Element k is `factor[k] * source[places[k]] + shift[k]`; no factors are ones, no shifts zeros, and place -1 is the shift alone."""

    source: RealSignal
    places: IntArray
    type: str
    factor: ExactArray | None = None
    shift: ExactArray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.places.shape

    @property
    def plain(self) -> bool:
        """Whether every element is one of the source."""
        return self.factor is None and self.shift is None and bool(np.all(self.places >= 0))

    @property
    def whole(self) -> bool:
        """Whether every element of the source occurs once."""
        flat = self.places.reshape(-1)
        return flat.size == size(self.source) and np.array_equal(np.sort(flat), np.arange(flat.size))


Tensor = TypedConstant | TensorView


class Relayout(Exception):
    """The first layer that reads an input as an image says how its elements should lie."""

    def __init__(self, shape: tuple[int, ...], order: IntArray) -> None:
        super().__init__(shape)
        self.shape, self.order = shape, order


def size(signal: RealSignal) -> int:
    """Return the number of elements of a signal."""
    return prod(signal.shape)


def expect_size(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape; raises UnsupportedError if it has more elements than a network should."""
    if prod(int(d) for d in shape) > LARGEST or len(shape) > 32:
        raise UnsupportedError("a tensor is too large", given=tuple(shape), expected=f"at most {LARGEST} elements")
    return tuple(int(d) for d in shape)


def moved(x: Tensor, move: Callable[[Array], Array]) -> Tensor:
    """Return the elements that a rearrangement of any array picks."""
    if isinstance(x, TypedConstant):
        return replace(x, values=move(x.values))
    return rearranged(x, move)


def rearranged(x: TensorView, move: Callable[[Array], Array]) -> TensorView:
    """Return the elements of a view that a rearrangement of any array picks."""
    places = move(x.places)
    if not places.size:
        raise UnsupportedError("an empty tensor", given=places.shape, expected="at least one element")
    parts = (None if part is None else np.asarray(move(part)) for part in (x.factor, x.shift))
    factor, shift = parts
    return replace(x, places=places, factor=factor, shift=shift)


def broadcast(x: TensorView, shape: tuple[int, ...]) -> TensorView:
    """Return a view repeated to a shape by the rules of ONNX, which are those of numpy."""
    return x if x.shape == shape else rearranged(x, lambda a: np.broadcast_to(a, shape))


def common_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape to which shapes are repeated; raises ModelFileError if they do not fit."""
    rank = max(map(len, shapes))
    axes = [{s[k - rank] for s in shapes if len(s) >= rank - k and s[k - rank] != 1} for k in range(rank)]
    if any(len(sizes) > 1 for sizes in axes):
        raise ModelFileError("the shapes of an ONNX operation do not fit", given=shapes, expected="equal sizes, or 1")
    return expect_size([sizes.pop() if sizes else 1 for sizes in axes])


def scaled(x: TensorView, factor: object = ONE, shift: object = ZERO) -> TensorView:
    """Return `factor * x + shift`, element by element; factor and shift are exact numbers or arrays that fit."""
    a, b = (fractions(exact(np.broadcast_to(np.asarray(v, dtype=object), x.shape))) for v in (factor, shift))
    total = a if x.factor is None else a * fractions(x.factor)
    moved_by = b if x.shift is None else a * fractions(x.shift) + b
    return replace(x, factor=None if np.all(total == 1) else exact(total), shift=None if np.all(moved_by == 0) else exact(moved_by))


def linear(
    x: TensorView, rows: IntArray, elements: IntArray, weights: ExactArray, bias: ExactArray | None, shape: tuple[int, ...]
) -> TensorView:
    """Return the sparse layer `y[rows[k]] += weights[k] * x[elements[k]]`, plus bias, on flat positions, of this shape."""
    count = prod(expect_size(shape))
    places, start = x.places.reshape(-1)[elements], None if bias is None else fractions(bias).reshape(-1)
    if x.shift is not None:
        start = np.full(count, ZERO) if start is None else start.copy()
        np.add.at(start, rows, fractions(weights) * fractions(x.shift).reshape(-1)[elements])
    if x.factor is not None:
        weights = exact(fractions(weights) * fractions(x.factor).reshape(-1)[elements])
    kept = (places >= 0) & (weights != 0)
    layer = RealSparse(shape, rows[kept], places[kept], exact(weights[kept]), None if start is None else exact(start))
    return TensorView(real_apply(layer, x.source), np.arange(count).reshape(shape), x.type)


def laid_out(x: TensorView, order: IntArray) -> TensorView:
    """Return a view of a new signal whose element k is element `order[k]` of the view, in the shape of `order`; -1 nowhere."""
    flat = order.reshape(-1)
    made = linear(x, np.arange(flat.size), flat, np.ones(flat.size), None, order.shape)
    places = np.empty(flat.size, dtype=np.int64)
    places[flat] = np.arange(flat.size)
    return replace(made, places=places.reshape(x.shape))


def settled(x: TensorView) -> TensorView:
    """Return a view that is plain: factors and shifts go into the linear layer before it, or become a layer."""
    if x.plain:
        return x
    if not x.whole:
        return laid_out(x, np.arange(x.places.size))
    order = np.argsort(x.places.reshape(-1))
    a, b = (
        np.full(order.size, default) if part is None else fractions(part).reshape(-1)[order]
        for part, default in ((x.factor, ONE), (x.shift, ZERO))
    )
    source = _affine(x.source, a, b)
    return laid_out(x, order.reshape(x.source.shape)) if source is None else TensorView(source, x.places, x.type)


def _affine(signal: RealSignal, a: ExactArray, b: ExactArray) -> RealSignal | None:
    """Return `a * signal + b` as a layer that fixed-point networks have, too; None if it is none."""
    last = signal.layer
    if len(signal.shape) == 3:  # One factor and shift for each channel.
        depth = signal.shape[2]
        a, b = (v.reshape(-1, depth) for v in (a, b))
        if np.any(a != a[0]) or np.any(b != b[0]):
            return None
        if isinstance(last, RealConv2D) and last.activation == Linear():
            return real_apply(scaled_outputs(last, a[0], b[0]), *signal.arguments)
        return real_apply(RealConv2D(exact(a[0].reshape(1, 1, 1, depth)), exact(b[0]), groups=depth), signal)
    if isinstance(last, RealDense) and last.activation == Linear():
        return real_apply(scaled_outputs(last, a, b), *signal.arguments)
    if len(signal.shape) != 1 or a.size > WIDEST:
        return None
    kernel = np.full((a.size, a.size), ZERO, dtype=object)
    kernel[np.arange(a.size), np.arange(a.size)] = a
    return real_apply(RealDense(exact(kernel), exact(b)), signal)


def flat(signal: RealSignal) -> RealSignal:
    """Return a signal as a vector."""
    return signal if len(signal.shape) == 1 else real_apply(Flatten(), signal)


def image(x: TensorView) -> RealSignal:
    """Return a tensor (1, channels, height, width) as an image (height, width, channels).

    Raises UnsupportedError if it is of another shape, and Relayout if it is an input that no image has been made of yet.
    """
    order = np.arange(x.places.size).reshape(expect_image(x))[0].transpose(1, 2, 0)
    wanted = x.places.reshape(-1)[order]
    source = x.source.arguments[0] if isinstance(x.source.layer, Flatten) else x.source
    if source.shape == order.shape and np.array_equal(wanted.reshape(-1), np.arange(wanted.size)):
        return settled(replace(x, source=source)).source
    if isinstance(source.layer, RealInput) and len(source.shape) == 1 and x.whole:
        raise Relayout(order.shape, wanted.reshape(-1))
    return laid_out(x, order).source


def is_image(x: TensorView) -> bool:
    """Return whether a tensor is an image as it lies."""
    if len(x.shape) != 4 or x.shape[0] != 1:
        return False
    hwc = x.places[0].transpose(1, 2, 0)
    return hwc.shape == x.source.shape and np.array_equal(hwc.reshape(-1), np.arange(x.places.size))


def expect_image(x: TensorView) -> tuple[int, ...]:
    """Return the shape of a tensor that could be an image; raises UnsupportedError on any other."""
    if len(x.shape) != 4 or x.shape[0] != 1:
        raise UnsupportedError("an ONNX operation of what is no image", given=x.shape, expected="(1, channels, height, width)")
    return x.shape


def image_view(signal: RealSignal, kind: str) -> TensorView:
    """Return an image in the order of ONNX: (1, channels, height, width)."""
    return TensorView(signal, np.arange(size(signal)).reshape(signal.shape).transpose(2, 0, 1)[None], kind)


def joined(tensors: Sequence[Tensor]) -> list[TensorView]:
    """Return tensors, of which at least one is a signal, as views of one signal."""
    sources: dict[int, RealSignal] = {id(t.source): t.source for t in tensors if isinstance(t, TensorView)}
    first = next(t for t in tensors if isinstance(t, TensorView))
    starts = dict(zip(sources, np.cumsum([0, *(size(s) for s in sources.values())]).tolist(), strict=False))
    source = first.source if len(sources) == 1 else real_apply(Concat(), *(flat(s) for s in sources.values()))
    views: list[TensorView] = []
    for t in tensors:
        if isinstance(t, TypedConstant):
            views.append(TensorView(source, np.full(t.shape, -1), t.type, None, t.exact()))
        else:
            start = starts[id(t.source)]
            views.append(replace(t, source=source, places=np.where(t.places >= 0, t.places + start, -1)))
    return views


def concatenated(tensors: Sequence[Tensor], axis: int) -> TensorView:
    """Return tensors, of which at least one is a signal, one after the other along an axis."""
    parts = joined(tensors)
    try:
        places = np.concatenate([p.places for p in parts], axis)
    except ValueError:
        raise ModelFileError(
            "the shapes of an ONNX operation do not fit", given=[p.shape for p in parts], expected="sizes that differ along one axis"
        ) from None
    expect_size(places.shape)
    factor = _together([p.factor for p in parts], parts, axis, 1.0)
    return TensorView(parts[0].source, places, parts[0].type, factor, _together([p.shift for p in parts], parts, axis, 0.0))


def _together(arrays: Sequence[ExactArray | None], parts: Sequence[TensorView], axis: int, default: float) -> ExactArray | None:
    if all(a is None for a in arrays):
        return None
    filled = [np.full(p.shape, default) if a is None else a for a, p in zip(arrays, parts, strict=True)]
    return np.concatenate(filled if all(f.dtype == np.float64 for f in filled) else [fractions(f) for f in filled], axis)
