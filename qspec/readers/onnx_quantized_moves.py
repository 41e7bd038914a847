"""Moves of quantised ONNX files, which put elements elsewhere, and where the windows of convolutions and pools lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

from qspec.network.shapes import same_padding
from qspec.readers import onnx_quantized_layers as layers
from qspec.readers.onnx_codes import Codes, Real, State, transposed
from qspec.readers.onnx_file import OnnxNode
from qspec.readers.onnx_quantized_layers import Windows
from qspec.readers.onnx_quantized_tensors import QuantizedTensors

Reader = QuantizedTensors


def _move(change: Callable[[Reader, OnnxNode, Codes], Codes]) -> Callable[[Reader, OnnxNode], State]:
    """Return an operator that moves codes, or the codes of floats."""

    def apply_to(r: Reader, n: OnnxNode) -> State:
        state = r.state(n.inputs[0])
        if isinstance(state, Real):
            return replace(state, codes=change(r, n, state.codes))
        return change(r, n, r.signal(n.inputs[0]))

    return apply_to


def _identity(_: Reader, __: OnnxNode, x: Codes) -> Codes:
    return x


def _reshape(r: Reader, n: OnnxNode, x: Codes) -> Codes:
    wanted = [int(v) for v in r.constant(n.inputs[1], "a shape").values.reshape(-1)]
    if not r.number(n, "allowzero", 0):
        wanted = [x.shape[k] if v == 0 else v for k, v in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = prod(v for v in wanted if v != -1)
        wanted = [prod(x.shape) // max(rest, 1) if v == -1 else v for v in wanted]
    if not wanted or min(wanted) < 1 or prod(wanted) != prod(x.shape):
        raise r.refusal("a shape that does not fit", wanted, f"{prod(x.shape)} elements")
    return layers.reshape(x, tuple(wanted))


def _flatten(r: Reader, n: OnnxNode, x: Codes) -> Codes:
    axis = int(r.number(n, "axis", 1))
    rank = len(x.shape)
    if not -rank <= axis <= rank:
        raise r.refusal("an axis that does not exist", axis, f"-{rank} to {rank}")
    axis = axis + rank if axis < 0 else axis
    return layers.reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


def _transpose(r: Reader, n: OnnxNode, x: Codes) -> Codes:
    axes = r.numbers(n, "perm", tuple(reversed(range(len(x.shape)))))
    if sorted(axes) != list(range(len(x.shape))):
        raise r.refusal("a perm that is no order of the axes", axes, f"an order of {len(x.shape)} axes")
    return transposed(x, axes)


def _axes(r: Reader, n: OnnxNode, default: tuple[int, ...], rank: int) -> set[int]:
    name = r.given(n, 1)
    axes = tuple(int(v) for v in r.constant(name, "axes").values.reshape(-1)) if name else r.numbers(n, "axes", default)
    if not all(-rank <= a < rank for a in axes):
        raise r.refusal("an axis that does not exist", axes, f"-{rank} to {rank - 1}")
    return {a % rank for a in axes}


def _squeeze(r: Reader, n: OnnxNode, x: Codes) -> Codes:
    axes = _axes(r, n, tuple(k for k, v in enumerate(x.shape) if v == 1), len(x.shape))
    if any(x.shape[a] != 1 for a in axes) or len(axes) == len(x.shape):
        raise r.refusal("an axis that is not of one element", f"{sorted(axes)} of {x.shape}", "axes of one element, not all")
    return layers.reshape(x, tuple(v for k, v in enumerate(x.shape) if k not in axes))


def _unsqueeze(r: Reader, n: OnnxNode, x: Codes) -> Codes:
    given = r.given(n, 1)
    count = r.constant(given, "axes").values.size if given else len(r.numbers(n, "axes", ()))
    axes = _axes(r, n, (), len(x.shape) + count)
    if len(axes) < count:
        raise r.refusal("an axis that is named twice", f"{count} axes, of which {len(axes)} differ", "each axis once")
    rest = iter(x.shape)
    return layers.reshape(x, tuple(1 if k in axes else next(rest) for k in range(len(x.shape) + len(axes))))


def windows_of(r: Reader, n: OnnxNode, size: tuple[int, int], shape: tuple[int, ...]) -> Windows:
    """Return where windows lie; raises UnsupportedError on attributes that are not read."""
    stride, dilation = r.numbers(n, "strides", (1, 1)), r.numbers(n, "dilations", (1, 1))
    pads = r.numbers(n, "pads", (0, 0, 0, 0))
    auto = str(n.attributes.get("auto_pad", "NOTSET"))
    lengths = {len(stride), len(dilation), len(pads) // 2}
    if lengths != {2} or min(*size, *stride, *dilation) < 1 or min(pads) < 0 or r.number(n, "ceil_mode", 0):
        raise r.refusal("windows that are not read", dict(n.attributes), "two axes, no negative pads, ceil_mode = 0")
    if "Pool" in n.op and dilation != (1, 1):
        raise r.refusal("a pool with dilation", dilation, "(1, 1)")
    top, left, bottom, right = pads
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        (top, bottom), (left, right) = (same_padding(shape[2 + a], size[a], stride[a], dilation[a]) for a in (0, 1))
        if auto == "SAME_LOWER":
            top, bottom, left, right = bottom, top, right, left
    elif auto == "VALID":
        top = left = bottom = right = 0
    elif auto != "NOTSET":
        raise r.refusal("a padding that is not known", auto, "NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    return Windows(size, (stride[0], stride[1]), ((top, bottom), (left, right)), (dilation[0], dilation[1]))


CHANGES: Mapping[str, Callable[[Reader, OnnxNode, Codes], Codes]] = {
    "Flatten": _flatten,
    "Identity": _identity,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Operators that put elements elsewhere, on codes."""
MOVES: Mapping[str, Callable[[Reader, OnnxNode], State]] = {name: _move(change) for name, change in CHANGES.items()}
"""The same, on codes and on the floats of codes."""
