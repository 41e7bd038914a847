"""Which kernel computes a staircase or another elementwise function, in which arithmetic, and the proof that it is exact.

Every rounding mode is a floor: `round(n / d) = floor((n + slack) / d)`, where the slack is one number, one for each sign of `n`, or, for
ties to even, the larger of two unless the quotient comes out odd.
"""

from __future__ import annotations

from typing import Any, Literal, assert_never

import numpy as np
import numpy.typing as npt

from qspec.arithmetic.integers import SAFE, IntArray, magnitude, shrink
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval
from qspec.evaluate.kernels import Arithmetic, Counted, LookupKernel, LowBits, Rescaled, Whole
from qspec.ir.staircase import Rescale, Steps, climb, reach

HostArray = npt.NDArray[Any]
MAX_LISTED = 2**24
"""Most thresholds that are listed for one staircase whose products do not fit 64 bits."""


def storage(lower: int, upper: int) -> Whole:
    """Return the narrowest dtype that holds every integer of `lower..upper`."""
    narrow: tuple[Whole, ...] = ("int8", "uint8", "int16", "int32")
    for dtype in narrow:
        if np.iinfo(dtype).min <= lower and upper <= np.iinfo(dtype).max:
            return dtype
    return "int64"


def wide(bound: int) -> Literal["int32", "int64"]:
    """Return the dtype of sums and products of at most this magnitude."""
    return "int32" if bound < 2**31 else "int64"


def place_rescale(steps: Rescale, x: Interval, y: Interval) -> tuple[Rescaled | Counted, tuple[HostArray, ...]] | None:
    """Choose a kernel for arguments in `x` and results in `y` (int64 bounds); None if it would need more than `MAX_LISTED` thresholds."""
    reduced = _reduce(steps)
    arithmetic = _arithmetic(reduced, x)
    if arithmetic is None:
        levels = int((y.upper - y.lower).max(initial=0)) + 1
        return place_steps(thresholds(reduced, x), x) if levels * x.lower.size <= MAX_LISTED else None
    kind, first, second = _slacks(reduced.rounding, reduced.denominator)
    offset = reduced.offset + first if kind == "first" else reduced.offset
    computed, code = _DTYPES[arithmetic]
    scaled = (reduced.numerator, offset, _divisor(reduced.denominator, arithmetic), *(() if kind == "first" else (first, second)))
    ends = [np.clip(end, -_limit(code), _limit(code)).astype(code) for end in (reduced.lower, reduced.upper) if end is not None]
    kernel = Rescaled(arithmetic, kind, reduced.lower is not None, reduced.upper is not None, _result(reduced, y))
    return kernel, (*(p.astype(computed) for p in scaled), *ends)


_DTYPES: dict[Arithmetic, tuple[str, Literal["int32", "int64"]]] = {
    "shift32": ("int32", "int32"),
    "shift64": ("int64", "int64"),
    "float32": ("float32", "int32"),
    "float64": ("float64", "int64"),
    "int64": ("int64", "int64"),
}
"""The dtype of the products and that of the codes."""


def _limit(code: Literal["int32", "int64"]) -> int:
    return 2**31 - 1 if code == "int32" else SAFE


def _reduce(steps: Rescale) -> Rescale:
    """Cancel the common factor of numerator, offset and denominator."""
    common = np.gcd(np.gcd(steps.numerator, steps.offset), steps.denominator)
    numerator, offset, denominator = (shrink(v // common) for v in (steps.numerator, steps.offset, steps.denominator))
    return Rescale(numerator, offset, denominator, steps.rounding, steps.lower, steps.upper)


def _arithmetic(steps: Rescale, x: Interval) -> Arithmetic | None:
    """Return the cheapest exact arithmetic for `numerator * x + offset + denominator`; for the floats see `jax_kernels._quotient`."""
    furthest = np.maximum(np.abs(x.lower), np.abs(x.upper)).astype(object)
    bound = magnitude(steps.numerator * furthest + np.abs(steps.offset) + steps.denominator)
    shifts = not np.any(steps.denominator & (steps.denominator - 1))
    lower, upper = (0 if end is None else end for end in (steps.lower, steps.upper))
    narrow = bool(np.all(lower < 2**31) and np.all(upper > -(2**31)))
    if shifts and narrow and bound < 2**31:
        return "shift32"
    if narrow and bound < 2**21:
        return "float32"
    if bound >= SAFE:
        return None
    return "shift64" if shifts else "float64" if bound < 2**50 else "int64"


def _divisor(denominator: IntArray, arithmetic: Arithmetic) -> HostArray:
    match arithmetic:
        case "shift32" | "shift64":
            return np.array([int(d).bit_length() - 1 for d in denominator], dtype=np.int64)
        case "float32" | "float64":
            return 1.0 / denominator.astype(np.float64)
        case "int64":
            return denominator
        case _:
            assert_never(arithmetic)


def _slacks(rounding: Rounding, denominator: IntArray) -> tuple[Literal["first", "sign", "even"], IntArray, IntArray]:
    none, up, down = np.zeros_like(denominator), denominator // 2, (denominator - 1) // 2
    alike = bool(np.all(up == down))
    match rounding:
        case Rounding.TRN:
            return "first", none, none
        case Rounding.TRN_ZERO:
            return "sign", none, denominator - 1
        case Rounding.RND:
            return "first", up, up
        case Rounding.RND_MIN_INF:
            return "first", down, down
        case Rounding.RND_ZERO:
            return "first" if alike else "sign", down, up
        case Rounding.RND_INF:
            return "first" if alike else "sign", up, down
        case Rounding.RND_CONV:
            return "first" if alike else "even", up, down
        case _:
            assert_never(rounding)


def _result(steps: Rescale, y: Interval) -> Whole:
    """Return the dtype of the codes, by the saturation where there is one, so that it does not vary from box to box."""
    if steps.lower is None or steps.upper is None:
        return wide(y.magnitude)
    return storage(int(steps.lower.min(initial=0)), int(steps.upper.max(initial=0)))


def thresholds(steps: Rescale, x: Interval) -> Steps:
    """Return the steps that equal an even staircase for every argument in `x`.

    Rows with fewer steps than others are filled up with a threshold that no argument reaches.
    """
    lowest, highest = climb(steps, x.lower), climb(steps, x.upper)
    codes = lowest[:, None] + np.arange(1, int((highest - lowest).max(initial=0)) + 1)
    unreached = x.upper.astype(object)[:, None] + 1
    return Steps(lowest, shrink(np.where(codes <= highest[:, None], reach(steps, codes).astype(object), unreached)))


def place_steps(steps: Steps, x: Interval) -> tuple[Counted, tuple[HostArray, ...]]:
    """Choose a kernel for arguments in `x`; thresholds are moved to `x.lower..x.upper + 1`, which changes no result."""
    dtype = wide(max(x.magnitude, magnitude(x.upper + 1)))
    inside = np.clip(steps.thresholds, x.lower[:, None], x.upper[:, None] + 1)
    count = inside.shape[1]
    depth = count.bit_length()
    never = np.broadcast_to(x.upper[:, None] + 1, (x.lower.size, (1 << depth) - 1 - count))
    rows = _share(np.concatenate([inside, never], axis=1).astype(dtype))
    result = storage(int(steps.base.min(initial=0)), int(steps.base.max(initial=0)) + count)
    return Counted(depth, dtype, result), (steps.base.astype(wide(magnitude(steps.base) + count)), rows)


def _share(rows: HostArray) -> HostArray:
    """Return one row if all are alike."""
    return rows[:1] if rows.shape[0] > 1 and bool(np.all(rows == rows[:1])) else rows


def place_table(x: Interval, first: IntArray, values: IntArray) -> tuple[LookupKernel, tuple[HostArray, ...]] | None:
    """Choose a kernel for arguments in `x`; None if the table does not cover them or its entries exceed 64 bits."""
    entries = values.shape[1]
    if np.any(x.lower < first) or np.any(x.upper - first >= entries) or magnitude(values) >= SAFE or magnitude(first) >= SAFE:
        return None
    rows = _share(values.astype(storage(int(values.min(initial=0)), int(values.max(initial=0)))))
    dtype = wide(max(x.magnitude, 2 * magnitude(first), rows.size))
    return LookupKernel(dtype), (first.astype(dtype), rows)


def place_wrap(x: Interval, y: Interval, width: IntArray, signed: bool) -> tuple[LowBits, tuple[HostArray, ...]]:
    """Choose a kernel for arguments in `x` and results in `y`; a width that cannot change them is cut down to one that fits the dtype."""
    computed, most = ("int32", 31) if max(x.magnitude, y.magnitude) < 2**30 else ("int64", 63)
    bits = np.minimum(width, most if signed else most - 1).astype(np.int64)
    sign = np.left_shift(np.ones_like(bits), bits - 1)
    mask = sign + (sign - 1)
    return LowBits(signed, computed, wide(y.magnitude)), (mask.astype(computed), sign.astype(computed))
