"""The one check of the shapes of arrays that users give: an array is never read in another layout than it states.

An array for shape S may come as S, or flat, which is C order (the last axis runs fastest). Where one array is asked for, an axis of one
before these is a batch of one. Anything else is refused, above all an array with as many elements in another layout: that would be another
image.
"""

from __future__ import annotations

from itertools import permutations
from math import prod

from qspec.errors import ShapeError

Shape = tuple[int, ...]


def check_one(given: Shape, shape: Shape, what: str) -> None:
    """Raise ShapeError unless an array of shape `given` is one of shape `shape`: as it is, flat, or either as a batch of one."""
    flat = (prod(shape),)
    if given not in (shape, flat, (1, *shape), (1, *flat)):
        raise _misfit(given, shape, what, f"{shape}" + ("" if shape in (flat, ()) else f", or {flat[0]} elements in C order"))


def batch_axes(given: Shape, shape: Shape, what: str) -> Shape:
    """Return the axes before `shape`, or before flat elements, in an array of shape `given`; raises ShapeError if it ends in neither."""
    flat = (prod(shape),)
    for end in (shape, flat):
        if len(given) >= len(end) and given[len(given) - len(end) :] == end:
            return given[: len(given) - len(end)]
    raise _misfit(given, shape, what, f"(..., {', '.join(map(str, shape))})" + ("" if shape == flat else f" or (..., {flat[0]})"))


def check_labelled(samples: Shape, labels: Shape, shape: Shape) -> None:
    """Raise ShapeError unless there are samples (n, *shape), or (n, size), and labels (n,), with n at least 1."""
    if len(labels) != 1 or not labels[0]:
        raise ShapeError("labels have the wrong shape", given=labels, expected="(n,), one whole number for each sample, n at least 1")
    axes = batch_axes(samples, shape, "samples")
    if axes != labels:
        raise ShapeError("samples and labels do not fit", given=f"{samples} and {labels}", expected=f"{labels[0]} samples of shape {shape}")


def _misfit(given: Shape, shape: Shape, what: str, expected: str) -> ShapeError:
    return ShapeError(f"{what}: the array has the wrong shape", given=given, expected=expected, advice=_advice(given, shape))


def _advice(given: Shape, shape: Shape) -> str:
    """Return how an array in another layout is brought into this one, where that can be seen."""
    rank, lead = len(shape), len(given) - len(shape)
    if lead >= 0 and rank <= 4:
        own = given[lead:]
        orders = sorted(permutations(range(rank)), key=lambda p: p != (1, 2, 0))  # channels first is what it mostly is
        for order in orders:
            if order != tuple(range(rank)) and tuple(own[k] for k in order) == shape:
                axes = (*range(lead), *(lead + k for k in order))
                return f"array.transpose{axes}, if its axes are these in another order"
    if shape and shape[-1] == 1 and given[max(0, len(given) - rank + 1) :] == shape[:-1]:
        return "array[..., None] adds the axis of the one channel"
    if prod(given) == prod(shape):
        return f"array.reshape{shape}, if its elements are in C order"
    return ""
