"""Shapes, pairs and paddings, as users give them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from numbers import Integral
from typing import cast

from qspec.errors import NetworkError, ShapeError

MAX_ELEMENTS = 2**27
"""Largest tensor accepted; a guard against corrupt shapes."""


def pair(value: object, what: str, *, least: int) -> tuple[int, int]:
    """Return an integer or a pair as a pair; raises NetworkError unless both are whole, at least `least` and at most `MAX_ELEMENTS`."""
    both = _whole([value, value] if isinstance(value, Integral) else value)
    if both is None or len(both) != 2 or not least <= min(both) <= max(both) <= MAX_ELEMENTS:
        raise NetworkError(f"{what} is malformed", given=value, expected=f"one or two whole numbers from {least} to {MAX_ELEMENTS}")
    return both[0], both[1]


def padding_pairs(
    padding: object, image: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return padding as ((top, bottom), (left, right)); "same" follows TensorFlow (the odd place goes to the end)."""
    if isinstance(padding, str) and padding == "valid":
        return (0, 0), (0, 0)
    if isinstance(padding, str) and padding == "same":
        height, width = (same_padding(image[a], kernel[a], stride[a], dilation[a]) for a in (0, 1))
        return height, width
    sides = _items(padding)
    if sides is not None and len(sides) == 2:
        return pair(sides[0], "padding", least=0), pair(sides[1], "padding", least=0)
    raise NetworkError("padding is malformed", given=padding, expected='"valid", "same", a pair, or ((top, bottom), (left, right))')


def same_padding(length: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return how many places "same" adds to the two ends of an axis: half of them each, and the odd one to the second."""
    missing = max(0, (-(-length // stride) - 1) * stride + dilation * (kernel - 1) + 1 - length)
    return missing // 2, missing - missing // 2


def check_shape(shape: object) -> tuple[int, ...]:
    """Return a shape of positive whole numbers; raises ShapeError otherwise, or if it has more than `MAX_ELEMENTS` elements."""
    axes = _whole([shape] if isinstance(shape, Integral) else shape)
    if not axes or min(axes) < 1:
        raise ShapeError("shape is malformed", given=shape, expected="positive whole numbers")
    if prod(axes) > MAX_ELEMENTS:
        raise ShapeError("tensor is too large", given=shape, expected=f"at most {MAX_ELEMENTS} elements")
    return axes


def _whole(values: object) -> tuple[int, ...] | None:
    """Return a sequence of whole numbers as integers, or None if it is not one."""
    items = _items(values)
    numbers = tuple(int(v) for v in items or () if isinstance(v, Integral) and v is not True and v is not False)
    return None if items is None or len(numbers) < len(items) else numbers


def _items(values: object) -> Sequence[object] | None:
    return cast(Sequence[object], values) if isinstance(values, tuple | list) else None
