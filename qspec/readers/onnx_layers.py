"""Operators of ONNX that are layers: products with matrices, convolutions, pooling, batch normalisation, softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import prod

import numpy as np

from qspec.arithmetic.roots import nearest_root, rational_root
from qspec.ir.real import ExactArray, exact, fractions
from qspec.network.graph import real_apply
from qspec.network.layers import AveragePool2D, MaxPool2D
from qspec.network.real_layers import RealConv2D, RealDense, Softmax
from qspec.network.shapes import same_padding
from qspec.readers.onnx_arithmetic import activated, plus, times
from qspec.readers.onnx_moves import axis_of
from qspec.readers.onnx_table import NodeCall
from qspec.readers.onnx_tensors import (
    LARGEST,
    Tensor,
    TensorView,
    TypedConstant,
    common_shape,
    expect_size,
    flat,
    image,
    image_view,
    laid_out,
    linear,
    rearranged,
    scaled,
    settled,
    size,
)

ONE, ZERO = Fraction(1), Fraction(0)
Pads = tuple[tuple[int, int], tuple[int, int]]


def matmul(call: NodeCall) -> Tensor:
    """Return a matrix product, of stacks of matrices too."""
    a, b = call.tensor(0), call.tensor(1)
    if not a.shape or not b.shape:
        call.misfit((a.shape, b.shape), "at least one axis")
    return _product(call, a, b)


def _product(call: NodeCall, a: Tensor, b: Tensor) -> Tensor:
    rows = a.shape if len(a.shape) > 1 else (1, *a.shape)
    columns = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    if rows[-1] != columns[-2]:
        call.misfit((a.shape, b.shape), "as many columns on the left as rows on the right")
    shape = (*common_shape(rows[:-2], columns[:-2]), rows[-2], columns[-1])
    result = [*shape[:-2], *([shape[-2]] if len(a.shape) > 1 else []), *([shape[-1]] if len(b.shape) > 1 else [])]
    if isinstance(a, TypedConstant) and isinstance(b, TypedConstant):
        if prod(shape) * rows[-1] > LARGEST:
            call.refuse("so many products", (a.shape, b.shape), f"at most {LARGEST}")
        found = np.matmul(fractions(a.exact()).reshape(rows), fractions(b.exact()).reshape(columns))
        return TypedConstant(exact(np.asarray(found, dtype=object).reshape(result)), a.type)
    if isinstance(a, TensorView) and isinstance(b, TensorView):
        call.refuse("two signals", call.node.inputs, "a constant")
    if isinstance(a, TensorView):
        assert isinstance(b, TypedConstant)
        x, kernel, turned = a, b.exact().reshape(columns), False
    else:
        assert isinstance(b, TensorView)
        x, kernel, turned = b, a.exact().reshape(rows).swapaxes(-1, -2), True
    if kernel.ndim == 2 and x.places.size == kernel.shape[0]:
        made = _dense(x, kernel, None)
    else:
        made = _stacked(call, x, kernel, (rows, columns), turned)
    return rearranged(made, lambda p: p.reshape(result))


def _stacked(
    call: NodeCall, x: TensorView, kernel: ExactArray, shapes: tuple[tuple[int, ...], tuple[int, ...]], turned: bool
) -> TensorView:
    """Return the product of several rows (columns if `turned`) and a matrix, or of stacks, as a sparse layer."""
    rows, columns = shapes
    batch, (m, k, n) = common_shape(rows[:-2], columns[:-2]), (rows[-2], rows[-1], columns[-1])
    count = prod(batch)
    if count * m * k * n > LARGEST:
        call.refuse("so many products", count * m * k * n, f"at most {LARGEST}")
    weights = np.broadcast_to(kernel.swapaxes(-1, -2) if turned else kernel, (*batch, *((m, k) if turned else (k, n)))).reshape(count, -1)
    own = np.broadcast_to(np.arange(x.places.size).reshape(columns if turned else rows), (*batch, *((k, n) if turned else (m, k))))
    elements = own.reshape(count, -1)
    at, i, j, inner = np.unravel_index(np.arange(count * m * n * k), (count, m, n, k))
    left, right = i * k + inner, inner * n + j
    picked = (elements[at, right], weights[at, left]) if turned else (elements[at, left], weights[at, right])
    return linear(x, (at * m + i) * n + j, picked[0], exact(picked[1]), None, (count * m * n,))


def _dense(x: TensorView, kernel: ExactArray, bias: ExactArray | None) -> TensorView:
    """Return a dense layer on all elements of a tensor; `kernel` has its rows in the order of ONNX. The result is a vector."""
    x = settled(x)
    places, inputs = x.places.reshape(-1), size(x.source)
    if np.unique(places).size < places.size or inputs * kernel.shape[1] > LARGEST:
        x = laid_out(x, np.arange(places.size))
        places, inputs = x.places.reshape(-1), places.size
    rows = kernel
    if not np.array_equal(places, np.arange(inputs)):
        rows = np.zeros((inputs, kernel.shape[1]), dtype=kernel.dtype)
        rows[places] = kernel
    return TensorView(real_apply(RealDense(exact(rows), bias), flat(x.source)), np.arange(int(kernel.shape[1])), x.type)


def gemm(call: NodeCall) -> Tensor:
    """Return `alpha * A @ B + beta * C`."""
    a, b = call.tensor(0), call.tensor(1)
    if call.opset < 11 and not call.has(2):
        call.misfit("no C", "an input C before opset 11")
    if len(a.shape) != 2 or len(b.shape) != 2:
        call.misfit((a.shape, b.shape), "two matrices")
    a, b = (_transposed(t) if call.integer(key) else t for t, key in ((a, "transA"), (b, "transB")))
    shape = (a.shape[0], b.shape[1])
    alpha = call.number("alpha")
    a, b = (times(a, alpha), b) if isinstance(a, TypedConstant) else (a, times(b, alpha))
    c = times(call.tensor(2), call.number("beta")) if call.has(2) else None
    if c is not None and common_shape(shape, c.shape) != shape:
        call.misfit((shape, c.shape), "a C that is repeated to the product")
    if isinstance(a, TensorView) and isinstance(b, TypedConstant) and shape[0] == 1 and a.shape[1] == b.shape[0]:
        bias = None if not isinstance(c, TypedConstant) else np.broadcast_to(c.exact(), shape).reshape(-1)
        made = rearranged(_dense(a, b.exact(), bias), lambda p: p.reshape(shape))
        return plus(made, c) if isinstance(c, TensorView) else made
    made = _product(call, a, b)
    return made if c is None else plus(made, c)


def _transposed(x: Tensor) -> Tensor:
    return TypedConstant(x.values.T, x.type) if isinstance(x, TypedConstant) else rearranged(x, lambda a: a.T)


def _as_image(call: NodeCall, x: TensorView) -> TensorView:
    """Return a row (1, channels, length) as an image of height 1, and an image as it is."""
    if len(x.shape) not in (3, 4):
        call.refuse(f"{len(x.shape)} axes", x.shape, "(1, channels, height, width), or (1, channels, length)")
    if x.shape[0] != 1:
        call.refuse("several images", x.shape, "a batch of one")
    return x if len(x.shape) == 4 else rearranged(x, lambda a: a[:, :, None])


def _shaped(call: NodeCall, made: TensorView) -> TensorView:
    """Return the result of an image in the shape that its input had."""
    return made if len(call.view().shape) == 4 else rearranged(made, lambda a: a[:, :, 0])


def _pair(call: NodeCall, key: str, default: int = 1) -> tuple[int, int]:
    """Return a number for each of two axes; of a row, the first is as if it were not there."""
    given, axes = call.integers(key), len(call.view().shape) - 2
    if given is None:
        return default, default
    if len(given) != axes:
        call.misfit(f"{key} {given}", f"{axes} numbers")
    return (given[0], given[1]) if axes == 2 else (default, given[0])


def _pads(call: NodeCall, sizes: tuple[int, int], window: tuple[int, int]) -> Pads:
    """Return the padding before and after each of two axes."""
    given, axes, mode = call.integers("pads"), len(call.view().shape) - 2, call.text("auto_pad")
    if given is not None and len(given) != 2 * axes:
        call.misfit(f"pads {given}", f"{2 * axes} numbers")
    if mode == "NOTSET":
        if given is None:
            return (0, 0), (0, 0)
        return ((given[0], given[2]), (given[1], given[3])) if axes == 2 else ((0, 0), (given[0], given[1]))
    if given is not None and (mode != "VALID" or any(given)):
        call.refuse("pads beside auto_pad", f"{mode}, {given}", "one of them")
    if mode == "VALID":
        return (0, 0), (0, 0)
    strides, dilations = _pair(call, "strides"), _pair(call, "dilations")
    pads: list[tuple[int, int]] = []
    for n, k, s, d in zip(sizes, window, strides, dilations, strict=True):
        less, more = same_padding(n, k, s, d)
        pads.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return pads[0], pads[1]


def _kernel(call: NodeCall) -> ExactArray:
    """Return the weights of a convolution with four axes; raises ModelFileError if they do not fit its attributes."""
    weights, rank = call.known(1).exact(), len(call.view().shape)
    if weights.ndim != rank:
        call.misfit(weights.shape, f"weights of {rank} axes")
    given = call.integers("kernel_shape")
    if given is not None and tuple(given) != weights.shape[2:]:
        call.misfit(f"kernel_shape {given}, weights {weights.shape}", "the shape of the weights")
    return weights if rank == 4 else weights[:, :, None]


def _bias(call: NodeCall, channels: int) -> ExactArray | None:
    if not call.has(2):
        return None
    bias = call.known(2).exact()
    return bias if bias.shape == (channels,) else call.misfit(bias.shape, f"({channels},) as B")


def conv(call: NodeCall) -> Tensor:
    """Return a convolution of an image, or of a row."""
    x, weights = _as_image(call, call.view()), _kernel(call)
    outputs, depth, kh, kw = weights.shape
    group = call.integer("group")
    if depth * group != x.shape[1] or outputs % group:
        call.misfit(f"{x.shape}, weights {weights.shape}, group {group}", "channels that fit")
    layer = RealConv2D(
        exact(weights.transpose(2, 3, 1, 0)),
        _bias(call, outputs),
        stride=_pair(call, "strides"),
        padding=_pads(call, (x.shape[2], x.shape[3]), (kh, kw)),
        dilation=_pair(call, "dilations"),
        groups=group,
    )
    return _shaped(call, image_view(real_apply(layer, image(x)), x.type))


def conv_transpose(call: NodeCall) -> Tensor:
    """Return a transposed convolution of an image, or of a row, as a sparse layer."""
    x, weights = _as_image(call, call.view()), _kernel(call)
    depth, per_group, kh, kw = weights.shape
    _, channels, height, width = x.shape
    group = call.integer("group")
    if depth != channels or depth % group:
        call.misfit(f"{x.shape}, weights {weights.shape}, group {group}", "channels that fit")
    if depth * height * width * per_group * kh * kw > LARGEST:
        call.refuse("so many products", (x.shape, weights.shape), f"at most {LARGEST}")
    strides, dilations, more = _pair(call, "strides"), _pair(call, "dilations"), _pair(call, "output_padding", 0)
    if any(m >= max(s, d) for m, s, d in zip(more, strides, dilations, strict=True)):
        call.misfit(f"output_padding {more}, strides {strides}", "less than the strides or dilations")
    pads = _pads(call, (height, width), (kh, kw))
    rows, columns = (
        s * (n - 1) + m + d * (k - 1) + 1 - sum(p)
        for n, k, s, d, m, p in zip((height, width), (kh, kw), strides, dilations, more, pads, strict=True)
    )
    if min(rows, columns) < 1:
        call.misfit(f"a result of {rows} by {columns}", "at least one element")
    c, i, j, m, a, b = (v.reshape(-1) for v in np.indices((depth, height, width, per_group, kh, kw)))
    r, q = i * strides[0] + a * dilations[0] - pads[0][0], j * strides[1] + b * dilations[1] - pads[1][0]
    inside = (r >= 0) & (r < rows) & (q >= 0) & (q < columns)
    outputs = per_group * group
    to = (r * columns + q) * outputs + c // (depth // group) * per_group + m
    bias = _bias(call, outputs)
    whole = None if bias is None else np.tile(bias, rows * columns)
    elements = (c * height + i) * width + j
    made = linear(x, to[inside], elements[inside], weights[c, m, a, b][inside], whole, expect_shape(rows, columns, outputs))
    return _shaped(call, image_view(made.source, x.type))


def expect_shape(rows: int, columns: int, channels: int) -> tuple[int, int, int]:
    """Return the shape of an image; raises UnsupportedError if it is too large."""
    expect_size((rows, columns, channels))
    return rows, columns, channels


def pool(call: NodeCall) -> Tensor:
    """Return the maxima or means over windows."""
    x, window = _as_image(call, call.view()), _pair(call, "kernel_shape")
    pads, stride = _pads(call, (x.shape[2], x.shape[3]), window), _pair(call, "strides")
    if any(max(p) >= k for p, k in zip(pads, window, strict=True)):
        call.refuse("padding as wide as the window", (pads, window), "less than the window")
    if call.node.op == "MaxPool":
        layer = MaxPool2D(window, stride, pads)
    else:
        layer = AveragePool2D(window, stride, pads, count_padding=bool(call.integer("count_include_pad")))
    return _shaped(call, image_view(real_apply(layer, image(x)), x.type))


def global_pool(call: NodeCall) -> Tensor:
    """Return the maximum or mean of each channel."""
    x = call.view()
    if len(x.shape) < 3 or x.shape[0] != 1:
        call.refuse("this shape", x.shape, "(1, channels, height, width)")
    picture = image(x if len(x.shape) == 4 else rearranged(x, lambda a: a.reshape(1, a.shape[1], 1, -1)))
    window = picture.shape[0], picture.shape[1]
    made = real_apply(AveragePool2D(window) if call.node.op == "GlobalAveragePool" else MaxPool2D(window), picture)
    return rearranged(image_view(made, x.type), lambda a: a.reshape(1, x.shape[1], *[1] * (len(x.shape) - 2)))


def batch_normalization(call: NodeCall) -> Tensor:
    """Return `(x - mean) / sqrt(var + epsilon) * scale + B`, for each channel."""
    x = call.view()
    if len(x.shape) < 2:
        call.misfit(x.shape, "(batch, channels, …)")
    scale, shift, mean, variance = (fractions(call.known(k).exact()) for k in range(1, 5))
    if any(p.shape != x.shape[1:2] for p in (scale, shift, mean, variance)):
        call.misfit([p.shape for p in (scale, shift, mean, variance)], f"({x.shape[1]},) each")
    under = variance + call.number("epsilon")
    if np.any(under <= 0):
        call.refuse("var + epsilon not above zero", call.node.inputs[4], "positive numbers")
    factor = np.array([_over_root(s, u) for s, u in zip(scale.tolist(), under.tolist(), strict=True)], dtype=object)
    if np.any(factor * factor * under != scale * scale):
        call.notes.append(f"{call.node.place}: scale / sqrt(var + epsilon) was rounded to doubles")
    along = (-1, *[1] * (len(x.shape) - 2))
    a, b = (np.broadcast_to(v.reshape(along), x.shape) for v in (factor, shift - mean * factor))
    return scaled(x, a, b)


def _over_root(scale: Fraction, under: Fraction) -> Fraction:
    """Return `scale / sqrt(under)`, exactly where it is rational, else the nearest double."""
    square = scale**2 / under
    root = rational_root(square)
    root = nearest_root(square) if root is None else root
    return -root if scale < 0 else root


def softmax(call: NodeCall) -> Tensor:
    """Return a softmax along an axis; before opset 13 over all axes from there on."""
    x = call.view()
    shape, rank = x.shape, len(x.shape)
    axis = axis_of(call, call.integer("axis"), rank)
    axes = (*range(axis), *range(axis + 1, rank), axis) if call.opset >= 13 else tuple(range(rank))
    count = shape[axis] if call.opset >= 13 else prod(shape[axis:])
    rows = settled(rearranged(x, lambda a: a.transpose(axes).reshape(-1, count)))
    if rows.shape[0] == 1 and rows.whole:
        made = activated(TensorView(flat(rows.source), rows.places, rows.type), Softmax())
    else:
        made = activated(laid_out(rows, np.arange(rows.places.size).reshape(rows.shape)), Softmax())
    back = np.argsort(axes)
    return rearranged(made, lambda a: a.reshape([shape[k] for k in axes]).transpose(back))


LAYERS: Mapping[str, Callable[[NodeCall], Tensor | list[Tensor]]] = {
    "AveragePool": pool,
    "BatchNormalization": batch_normalization,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "MatMul": matmul,
    "MaxPool": pool,
    "Softmax": softmax,
}
