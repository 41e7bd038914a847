"""Operators of ONNX that move, repeat, join or cast elements, and those that say shapes and constants; none adds a layer of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any, cast

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.network.graph import real_apply
from qspec.network.layers import Concat
from qspec.readers.onnx_file import Array, StoredTensor, type_name
from qspec.readers.onnx_table import REALS, NodeCall
from qspec.readers.onnx_tensors import (
    Tensor,
    TensorView,
    TypedConstant,
    common_shape,
    concatenated,
    expect_size,
    image_view,
    is_image,
    moved,
)

NUMPY: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FLOAT16": np.float16,
    "FLOAT": np.float32,
    "DOUBLE": np.float64,
}
"""The types to which constants are cast."""


def known(stored: StoredTensor) -> TypedConstant:
    """Return a tensor of the file as a constant."""
    return TypedConstant(stored.values, stored.type)


def axis_of(call: NodeCall, axis: int, rank: int, *, most: int = 0) -> int:
    """Return an axis counted from the front; `most` is 1 where the end is one, too. Raises ModelFileError if there is none."""
    found = axis + rank if axis < 0 else axis
    return found if 0 <= found < rank + most else call.misfit(f"axis {axis} of {rank} axes", f"{-rank} to {rank - 1 + most}")


def axes_of(call: NodeCall, position: int, rank: int) -> tuple[int, ...] | None:
    """Return the axes that an attribute or, in later opsets, an input says; None if neither does."""
    listed = call.integers("axes") if "axes" in call.attributes else call.listed(position)
    if listed is None:
        return None
    axes = tuple(axis_of(call, a, rank) for a in listed)
    return axes if len(set(axes)) == len(axes) else call.misfit(f"axes {listed}", "each axis once")


def _reshape(call: NodeCall, shape: list[int]) -> Tensor:
    x = call.tensor(0)
    if "allowzero" not in call.attributes or not call.integer("allowzero"):
        if any(d == 0 and k >= len(x.shape) for k, d in enumerate(shape)):
            call.misfit(f"{x.shape} to {shape}", "a 0 only where the input has an axis")
        shape = [x.shape[k] if d == 0 else d for k, d in enumerate(shape)]
    elif 0 in shape and -1 in shape:
        call.misfit(f"{x.shape} to {shape}", "no -1 beside a 0 with allowzero")
    rest, count = prod(d for d in shape if d != -1), prod(x.shape)
    if (
        min(shape, default=0) < -1
        or shape.count(-1) > 1
        or (count % rest if -1 in shape and rest else count != rest)
        or (-1 in shape and not rest)
    ):
        call.misfit(f"{x.shape} to {shape}", "a shape of as many elements")
    return moved(x, lambda a: a.reshape([count // rest if d == -1 else d for d in shape]))


def reshape(call: NodeCall) -> Tensor:
    """Return the same elements in another shape."""
    return _reshape(call, call.listed(1) or [])


def flatten(call: NodeCall) -> Tensor:
    """Return the same elements as a matrix."""
    x = call.tensor(0)
    axis = axis_of(call, call.integer("axis"), len(x.shape), most=1)
    return moved(x, lambda a: a.reshape(prod(x.shape[:axis]), prod(x.shape[axis:])))


def squeeze(call: NodeCall) -> Tensor:
    """Return a tensor without axes of length one."""
    x = call.tensor(0)
    axes = axes_of(call, 1, len(x.shape))
    if axes == ():
        call.refuse("an empty list of axes", "axes", "axes, or none")
    if axes is None:
        axes = tuple(k for k, d in enumerate(x.shape) if d == 1)
    if any(x.shape[a] != 1 for a in axes):
        call.misfit(f"{x.shape}, axes {list(axes)}", "axes of length 1")
    return moved(x, lambda a: a.squeeze(axes))


def unsqueeze(call: NodeCall) -> Tensor:
    """Return a tensor with more axes of length one."""
    x = call.tensor(0)
    count = len((call.integers("axes") if "axes" in call.attributes else call.listed(1)) or [])
    axes = axes_of(call, 1, len(x.shape) + count) or ()
    return moved(x, lambda a: np.expand_dims(a, axes))


def transpose(call: NodeCall) -> Tensor:
    """Return a tensor with its axes in another order."""
    x = call.tensor(0)
    perm = call.integers("perm")
    if perm is None:
        perm = [*range(len(x.shape))][::-1]
    if sorted(perm) != [*range(len(x.shape))]:
        call.misfit(f"perm {perm} of {len(x.shape)} axes", "each axis once")
    return moved(x, lambda a: a.transpose(perm))


def identity(call: NodeCall) -> Tensor:
    """Return the first input."""
    return call.tensor(0)


def dropout(call: NodeCall) -> Tensor:
    """Return the first input: what is dropped in training is not when a network is used."""
    if call.has(2) and bool(np.any(call.known(2).values)):
        call.refuse("training_mode", "true", "training_mode false, or none", "export the network for inference")
    return call.tensor(0)


def expand(call: NodeCall) -> Tensor:
    """Return a tensor repeated to a shape."""
    x, wanted = call.tensor(0), call.listed(1) or []
    if min(wanted, default=1) < 1:
        call.refuse("this shape", wanted, "sizes of at least 1")
    shape = common_shape(x.shape, tuple(wanted))
    return moved(x, lambda a: np.broadcast_to(a, shape))


def tile(call: NodeCall) -> Tensor:
    """Return copies of a tensor side by side."""
    x, repeats = call.tensor(0), call.listed(1) or []
    if len(repeats) != len(x.shape) or min(repeats, default=1) < 1:
        call.refuse("these repeats", repeats, f"{len(x.shape)} whole numbers, at least 1")
    expect_size([d * r for d, r in zip(x.shape, repeats, strict=True)])
    return moved(x, lambda a: np.tile(a, repeats))


def gather(call: NodeCall) -> Tensor:
    """Return the parts of a tensor that indices pick along an axis."""
    x, indices = call.tensor(0), call.known(1).values.astype(np.int64)
    axis = axis_of(call, call.integer("axis"), len(x.shape))
    length = x.shape[axis]
    if np.any(indices < -length) or np.any(indices >= length):
        call.misfit(f"indices {indices.reshape(-1).tolist()}", f"{-length} to {length - 1}")
    expect_size([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])
    return moved(x, lambda a: np.take(a, np.where(indices < 0, indices + length, indices), axis))


def slice_(call: NodeCall) -> Tensor:
    """Return the elements between starts and ends, in steps."""
    x, later = call.tensor(0), "starts" not in call.attributes
    parts = [call.listed(k) for k in range(1, 5)] if later else [*(call.integers(k) for k in ("starts", "ends", "axes")), None]
    starts, ends, axes, steps = parts
    assert starts is not None
    assert ends is not None
    axes = [axis_of(call, a, len(x.shape)) for a in (range(len(starts)) if axes is None else axes)]
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) == len(set(axes)) or 0 in steps:
        call.misfit(f"starts {starts}, ends {ends}, axes {axes}, steps {steps}", "lists of one length, each axis once, no step 0")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        picked = _between(start, end, step, x.shape[axis])
        x = moved(x, lambda a, picked=picked, axis=axis: np.take(a, picked, axis))
    return x


def _between(start: int, end: int, step: int, length: int) -> IntArray:
    """Return the positions of a slice along an axis; ends beyond the axis are moved to it."""
    start, end = (v + length if v < 0 else v for v in (start, end))
    if step > 0:
        return np.arange(min(max(start, 0), length), min(max(end, 0), length), step)
    return np.arange(min(max(start, 0), length - 1), min(max(end, -1), length - 1), step)


def split(call: NodeCall) -> list[Tensor]:
    """Return the parts of a tensor along an axis."""
    x, count = call.tensor(0), len(call.node.outputs)
    axis = axis_of(call, call.integer("axis"), len(x.shape))
    length, given = x.shape[axis], call.attributes.get("num_outputs")
    sizes = call.integers("split") if "split" in call.attributes else call.listed(1)
    if given is not None and (sizes is not None or given != count):
        call.misfit(f"num_outputs {given}, {count} results", "num_outputs alone, and as many results")
    if sizes is None:
        if call.opset >= 18 and given is None:
            call.misfit("neither split nor num_outputs", "one of them from opset 18")
        if length % count and given is None:
            call.misfit(f"{length} in {count} parts", "equal parts")
        chunk = -(-length // count)
        sizes = [chunk] * (count - 1) + [length - chunk * (count - 1)]
    if sum(sizes) != length or len(sizes) != count or min(sizes) < 0:
        call.misfit(f"{length} in parts of {sizes} for {count} results", "parts that fit")
    ends: list[int] = np.cumsum([0, *sizes]).tolist()
    return [moved(x, lambda a, lo=lo, hi=hi: np.take(a, np.arange(lo, hi), axis)) for lo, hi in itertools.pairwise(ends)]


def concat(call: NodeCall) -> Tensor:
    """Return tensors one after the other along an axis."""
    tensors = [call.tensor(k) for k in range(len(call.inputs))]
    rank = len(tensors[0].shape)
    axis = axis_of(call, call.integer("axis"), rank)
    views = [t for t in tensors if isinstance(t, TensorView)]
    if len({(t.shape[:axis], t.shape[axis + 1 :]) for t in tensors}) > 1:
        call.misfit([t.shape for t in tensors], f"sizes that differ along axis {axis} alone")
    if not views:
        return TypedConstant(np.concatenate([cast(TypedConstant, t).values for t in tensors], axis), tensors[0].type)
    if len(views) == len(tensors) > 1 and axis == 1 and all(is_image(v) and v.plain for v in views):
        return image_view(real_apply(Concat(), *(v.source for v in views)), views[0].type)
    return concatenated(tensors, axis)


def shape(call: NodeCall) -> Tensor:
    """Return the shape of a tensor."""
    sizes = call.tensor(0).shape
    start, end = int(cast(int, call.attributes.get("start", 0))), call.attributes.get("end")
    return TypedConstant(np.array(sizes[start : None if end is None else int(cast(int, end))], dtype=np.int64), "INT64")


def constant(call: NodeCall) -> Tensor:
    """Return the constant that a node holds."""
    given = [(key, value) for key, value in call.attributes.items() if value is not None]
    if len(given) != 1:
        call.misfit(", ".join(k for k, _ in given) or "no value", "one value")
    key, value = given[0]
    if isinstance(value, StoredTensor):
        return known(value)
    if key.startswith("value_float"):
        return TypedConstant(np.asarray(value, dtype=np.float32).astype(np.float64), "FLOAT")
    return TypedConstant(np.asarray(value, dtype=np.int64), "INT64")


def constant_of_shape(call: NodeCall) -> Tensor:
    """Return one number repeated to a shape."""
    value, sizes = call.attributes["value"], call.listed(0) or []
    if min(sizes, default=0) < 0:
        call.misfit(sizes, "sizes of at least 0")
    filled = known(value) if isinstance(value, StoredTensor) else TypedConstant(np.zeros(1), "FLOAT")
    return replace(filled, values=np.broadcast_to(filled.values.reshape(()), expect_size(sizes)))


def pad(call: NodeCall) -> Tensor:
    """Return a tensor with more elements, or fewer, at the ends of its axes."""
    x, mode = call.tensor(0), call.text("mode")
    rank = len(x.shape)
    pads = call.integers("pads") if "pads" in call.attributes else call.listed(1)
    axes = [*range(rank)] if not call.has(3) else [axis_of(call, a, rank) for a in call.listed(3) or []]
    if pads is None or len(pads) != 2 * len(axes) or len(set(axes)) != len(axes):
        call.misfit(f"pads {pads} for axes {axes}", "two for each axis, each axis once")
    if mode != "constant" and min(pads, default=0) < 0:
        call.refuse(f"pads below 0 in mode {mode}", pads, "mode constant")
    value = _filling(call, x)
    for axis, before, after in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        expect_size([*x.shape[:axis], max(0, x.shape[axis] + before + after), *x.shape[axis + 1 :]])
        x = _padded(call, x, axis, (before, after), value)
    return x


def _filling(call: NodeCall, x: Tensor) -> object:
    if "value" in call.attributes:
        return call.number("value")
    if not call.has(2):
        return Fraction(0)
    given = call.known(2)
    return given.exact().reshape(-1)[0] if given.values.size == 1 else call.misfit(given.shape, "one constant_value")


def _padded(call: NodeCall, x: Tensor, axis: int, ends: tuple[int, int], value: object) -> Tensor:
    length = x.shape[axis]
    k = np.arange(-ends[0], length + ends[1])
    match call.text("mode"):
        case "edge":
            k = np.clip(k, 0, length - 1)
        case "wrap":
            k = k % length
        case "reflect":
            if max(ends) >= length:
                call.refuse("pads as long as an axis in mode reflect", ends, f"at most {length - 1}")
            k = np.where(k < 0, -k, np.where(k >= length, 2 * (length - 1) - k, k))
        case _:
            pass
    inside = (k >= 0) & (k < length)
    picked = moved(x, lambda a: np.take(a, np.where(inside, k, 0), axis))
    if bool(np.all(inside)):
        return picked
    outside = ~inside.reshape(-1, *[1] * (len(x.shape) - 1 - axis))
    if isinstance(picked, TypedConstant):
        return replace(picked, values=np.where(outside, _number(value, picked), picked.values))
    shift = np.zeros(picked.shape) if picked.shift is None else picked.shift
    if value or picked.shift is not None:
        shift = np.where(outside, np.asarray(value, dtype=object), shift.astype(object))
    return replace(picked, places=np.where(outside, -1, picked.places), shift=shift if value or picked.shift is not None else None)


def _number(value: object, like: TypedConstant) -> Array:
    return (
        np.asarray(value, dtype=object)
        if like.values.dtype == object
        else np.asarray(float(cast(Fraction, value))).astype(like.values.dtype)
    )


def cast_(call: NodeCall) -> Tensor:
    """Return a tensor of another type: signals are reals under any name, constants are rounded or cut off as ONNX says."""
    x, target = call.tensor(0), type_name(call.integer("to"))
    if isinstance(x, TensorView):
        if target not in REALS:
            call.refuse(f"a signal cast to {target}", f"to = {target}", " or ".join(REALS), "reals are neither rounded nor cut off")
        return replace(x, type=target)
    if target not in NUMPY:
        call.refuse(f"a cast to {target}", f"to = {target}", ", ".join(NUMPY))
    if target == x.type:
        return x
    return TypedConstant(_cast(call, x, target), target)


def _cast(call: NodeCall, x: TypedConstant, target: str) -> Array:
    values, wanted = x.values, np.dtype(NUMPY[target])
    if values.dtype.kind in "fO":
        x.exact()
        own = NUMPY.get(x.type)
        if values.dtype == object or (own is not None and np.any(values.astype(own).astype(np.float64) != values)):
            call.refuse(f"a computed constant that no {x.type} is", x.values, f"numbers of the type {x.type}")
    if target == "BOOL":
        return values != 0
    if wanted.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(wanted).astype(np.float64)
    whole = np.trunc(values) if values.dtype.kind == "f" else values
    limits = np.iinfo(cast(Any, wanted))
    if any(not limits.min <= int(v) <= limits.max for v in whole.reshape(-1).tolist()):
        call.refuse(f"a number that no {target} is", x.values, f"{limits.min} to {limits.max}")
    return whole.astype(wanted)


MOVES: Mapping[str, Callable[[NodeCall], Tensor | list[Tensor]]] = {
    "Cast": cast_,
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Dropout": dropout,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Identity": identity,
    "Pad": pad,
    "Reshape": reshape,
    "Shape": shape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
