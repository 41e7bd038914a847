"""The dual bound of a batch of domains, and its gradient, in floats: one text for numpy and for JAX.

With weights `w >= 0` on facts (each a node element that is at least 0), `-w · facts` is bounded from below by going backwards through the
program with multipliers `p = c slope + shift` for every relaxed node, as `qspec.bounds.backward_substitution` does in integers. The bound
is concave in all multipliers and weights together, and its gradient is what one pass forward through the minimisers gives. A positive
bound means that the domain is empty. Source: Dvijotham et al. 2018 (duals), Zhang et al. 2018 (slopes), Wang et al. 2021 (multipliers of
branches: here they are the same as those of the arguments, because each conjugate is taken over the interval of its domain).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from qspec.engines.dual.batched_maps import Array, Maps, grouped
from qspec.engines.dual.tensor_program import Op, Shape


class DualVariables(NamedTuple):
    """What the search turns: slopes below and above, shifts (batch, multipliers), and weights of facts (batch, facts)."""

    low: Array
    high: Array
    shift: Array
    weight: Array


class DomainBatch(NamedTuple):
    """The domains: for each node what its kind needs, with a leading batch axis.

    Input: lower, upper (batch, size). Points: arguments, values (k, batch, size). Product: lower and upper of both factors. Maximum: lower
    and upper of the argument.
    """

    parts: tuple[tuple[Array, ...], ...]


class Passed(NamedTuple):
    """What a pass found: the bound (batch,), its gradient, coefficients and multipliers of relaxed nodes, values of nodes at the minimum.

    `corner` are the inputs where the bound is attained. Of nodes that are not concerned there is None.
    """

    bound: Array
    gradient: DualVariables
    coefficients: tuple[Array | None, ...]
    multipliers: Array
    values: tuple[Array | None, ...]
    corner: tuple[Array | None, ...]


def dual(xp: Any, linear: Maps, shape: Shape, arrays: tuple[tuple[Array, ...], ...], box: DomainBatch, variables: DualVariables) -> Passed:
    """Return the bound of a batch and its gradient; `xp` is `numpy` or `jax.numpy`, `arrays` are those of the view."""
    held: dict[int, Array] = {n: -variables.weight[:, first:end] for n, first, end in shape.facts}
    bound = xp.zeros(variables.weight.shape[:1], dtype=xp.float32)
    place = {k: (first, end) for k, first, end in shape.places}
    touched: dict[int, tuple[Array, Least]] = {}
    corner: dict[int, Array] = {}
    for k in range(len(shape.ops) - 1, -1, -1):
        op = shape.ops[k]
        if k not in held:
            continue
        c = held.pop(k)
        if op.kind == "input":
            lower, upper = box.parts[k]
            corner[k] = xp.where(c > 0, lower, upper)
            bound = bound + (c * corner[k]).sum(-1)
        elif op.kind == "affine":
            bound = bound + c @ arrays[k][-1]
            for (kernel, own), a in zip(grouped(op.maps, arrays[k]), op.arguments, strict=True):
                _hold(held, a, linear.backward(kernel, own, shape.ops[a].size, c))
        else:
            first, end = place[k]
            part = DualVariables(variables.low[:, first:end], variables.high[:, first:end], variables.shift[:, first:end], None)
            least = _RULES[op.kind](xp, c, part, box.parts[k], arrays[k])
            bound = bound + least.cost
            touched[k] = (c, least)
            for a, p in zip(op.arguments, least.passed(shape, op), strict=True):
                _hold(held, a, p)
    return _forward(xp, linear, shape, arrays, bound, touched, corner)


class Least(NamedTuple):
    """Where one relaxed node is least: cost (batch,), value (batch, size), arguments, slopes chosen and multipliers (batch, count)."""

    cost: Array
    value: Array
    at: Array
    slope: Array
    p: Array
    expanded: Array
    """Coefficients in the layout of the multipliers."""
    members: Array | None = None
    free: Array | None = None
    """Multipliers that may be moved, None for all."""

    def passed(self, shape: Shape, op: Op) -> tuple[Array, ...]:
        """Return the multipliers of each argument, added up by its elements."""
        if op.kind == "product":
            return self.p[:, : op.size], self.p[:, op.size :]
        if op.kind == "maximum":
            assert self.members is not None
            return (self.members.add_up(self.p, shape.ops[op.arguments[0]].size),)
        return (self.p,)


class Members(NamedTuple):
    """The members of the groups of a maximum, (groups, members), and which are there."""

    xp: Any
    index: Array
    present: Array

    def take(self, x: Array) -> Array:
        """Return the members of each group of (batch, size) as (batch, groups, members)."""
        return x[:, self.index]

    def add_up(self, p: Array, size: int) -> Array:
        """Add multipliers (batch, groups * members) up to the elements that they belong to."""
        flat = self.index.reshape(-1)
        kept = self.xp.where(self.present.reshape(-1), p, 0)
        if hasattr(kept, "at"):
            return self.xp.zeros((p.shape[0], size), dtype=p.dtype).at[:, flat].add(kept)
        total = self.xp.zeros((size, p.shape[0]), dtype=p.dtype)
        self.xp.add.at(total, flat, kept.T)
        return total.T


def _points(xp: Any, c: Array, variables: DualVariables, part: tuple[Array, ...], arrays: tuple[Array, ...]) -> Least:
    del arrays
    arguments, values = part
    slope = xp.where(c > 0, variables.low, variables.high)
    p = c * slope + variables.shift
    cost = c * values - p * arguments
    which = xp.argmin(cost, 0)[None]
    value, at = (xp.take_along_axis(v, which, 0)[0] for v in (values, arguments))
    return Least((c * value - p * at).sum(-1), value, at, slope, p, c)


def _product(xp: Any, c: Array, variables: DualVariables, part: tuple[Array, ...], arrays: tuple[Array, ...]) -> Least:
    del arrays
    x_low, x_high, y_low, y_high = part
    size = c.shape[1]
    wide = xp.concatenate([c, c], -1)
    slope = xp.where(wide > 0, variables.low, variables.high)
    p = wide * slope + variables.shift
    left, right = xp.stack([x_low, x_low, x_high, x_high]), xp.stack([y_low, y_high, y_low, y_high])
    cost = c * left * right - p[:, :size] * left - p[:, size:] * right
    which = xp.argmin(cost, 0)[None]
    x, y = (xp.take_along_axis(v, which, 0)[0] for v in (left, right))
    least = xp.take_along_axis(cost, which, 0)[0]
    return Least(least.sum(-1), x * y, xp.concatenate([x, y], -1), slope, p, wide)


def _maximum(xp: Any, c: Array, variables: DualVariables, part: tuple[Array, ...], arrays: tuple[Array, ...]) -> Least:
    """Below (`c < 0`) the least of lines; above, the weights are the slopes themselves, kept as they are."""
    members = Members(xp, arrays[0], arrays[1])
    groups, count = members.index.shape
    low, high = members.take(part[0]), members.take(part[1])
    batch = c.shape[0]
    below = (c < 0)[..., None]
    slope = xp.where(below, variables.high.reshape(batch, groups, count), variables.low.reshape(batch, groups, count))
    p = xp.where(members.present, c[..., None] * slope + xp.where(below, variables.shift.reshape(batch, groups, count), 0), 0)
    at = xp.where(p > 0, high, low)
    own = xp.where(c[..., None] - p > 0, low, high)
    change = (c[..., None] - p) * own + p * at
    best = xp.argmin(xp.where(members.present, change, xp.inf), -1)[..., None]
    chosen = xp.arange(count) == best
    at = xp.where(below, xp.where(chosen, own, at), 0)
    value = xp.where(below[..., 0], xp.take_along_axis(own, best, -1)[..., 0], 0)
    cost = (c * value).sum(-1) - (p * at).sum((-1, -2))
    flat = (batch, groups * count)
    free = (xp.broadcast_to(below, p.shape) & members.present).reshape(flat)
    wide = xp.broadcast_to(c[..., None], p.shape).reshape(flat)
    return Least(cost, value, at.reshape(flat), slope.reshape(flat), p.reshape(flat), wide, members, free)


_RULES = {"points": _points, "product": _product, "maximum": _maximum}


def _forward(
    xp: Any,
    linear: Maps,
    shape: Shape,
    arrays: tuple[tuple[Array, ...], ...],
    bound: Array,
    touched: dict[int, tuple[Array, Least]],
    corner: dict[int, Array],
) -> Passed:
    """Go forwards through the minimisers: `bent` are derivatives of the bound by coefficients, `plain` the values where it is least."""
    bent: dict[int, Array] = {}
    plain: dict[int, Array] = {}
    moves: list[Moves] = []
    batch = bound.shape[0]
    none = xp.zeros((batch, 1), dtype=xp.float32)
    for k, op in enumerate(shape.ops):
        if op.kind == "input":
            bent[k] = plain[k] = corner[k] if k in corner else xp.zeros((batch, op.size), dtype=xp.float32)
        elif op.kind == "affine":
            bent[k] = _affine(linear, op, arrays[k], bent, none)
            same = all(bent[a] is plain[a] for a in op.arguments)
            plain[k] = bent[k] if same else _affine(linear, op, arrays[k], plain, none)
        elif op.kind != "unused":
            _, least = touched[k]
            off = _arguments(xp, op, least, bent) - least.at
            moves.append(_moves(xp, least, off))
            bent[k] = least.value + _collected(op, least.slope * off)
            plain[k] = least.value if least.free is None else _largest(xp, least, plain[op.arguments[0]])
    weight = [-bent[n] for n, _, _ in shape.facts]
    empty = xp.zeros((batch, 0), dtype=xp.float32)
    low, high, shift, multipliers = (xp.concatenate([empty, *(m[i] for m in moves)], -1) for i in range(4))
    gradient = DualVariables(low, high, shift, xp.concatenate([empty, *weight], -1))
    coefficients = tuple(touched[k][0] if k in touched else None for k in range(len(shape.ops)))
    values = tuple(plain.get(k) for k in range(len(shape.ops)))
    corners = tuple(corner.get(k) for k in range(len(shape.ops)))
    return Passed(bound, gradient, coefficients, multipliers, values, corners)


class Moves(NamedTuple):
    """Derivatives of the bound by the slopes and shifts of one relaxed node, and its multipliers, all (batch, count)."""

    low: Array
    high: Array
    shift: Array
    p: Array


def _moves(xp: Any, least: Least, off: Array) -> Moves:
    """Return the derivatives by the variables of a node whose arguments are `off` those where it is least."""
    moved = off if least.free is None else xp.where(least.free, off, 0)
    wide = least.expanded
    return Moves(xp.where(wide > 0, wide * moved, 0), xp.where(wide < 0, wide * moved, 0), moved, least.p)


def _arguments(xp: Any, op: Op, least: Least, values: dict[int, Array]) -> Array:
    """Return the values of the arguments in the layout of the multipliers."""
    if op.kind == "product":
        return xp.concatenate([values[op.arguments[0]], values[op.arguments[1]]], -1)
    if op.kind == "maximum":
        assert least.members is not None
        taken = least.members.take(values[op.arguments[0]])
        return taken.reshape(taken.shape[0], -1)
    return values[op.arguments[0]]


def _collected(op: Op, parts: Array) -> Array:
    """Add up what belongs to one element."""
    if op.kind == "product":
        return parts[:, : op.size] + parts[:, op.size :]
    return parts.reshape(parts.shape[0], op.size, -1).sum(-1) if op.kind == "maximum" else parts


def _largest(xp: Any, least: Least, argument: Array) -> Array:
    """Return the maxima of an argument (batch, size) as (batch, groups)."""
    assert least.members is not None
    return xp.where(least.members.present, least.members.take(argument), -xp.inf).max(-1)


def _affine(linear: Maps, op: Op, arrays: tuple[Array, ...], values: dict[int, Array], none: Array) -> Array:
    """Return the value of an affine node; `none` are zeros (batch, 1)."""
    total = arrays[-1][None, :] + none
    for (kernel, own), a in zip(grouped(op.maps, arrays), op.arguments, strict=True):
        total = total + linear.forward(kernel, own, values[a])
    return total


def _hold(held: dict[int, Array], node: int, c: Array) -> None:
    held[node] = held[node] + c if node in held else c
