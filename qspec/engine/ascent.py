"""Ascent on the dual: steps on slopes, shifts and weights, keeping the best bound of every domain; in numpy, or compiled by JAX.

Two methods take turns. The aim of the ascent is known, any positive bound, so that a step along the gradient can be as long as would reach
it if the bound were linear (Polyak 1969): that closes in a few steps what can be closed by far. The others gain more by Adam (Kingma and Ba
2015; on slopes, Xu et al. 2021) from fresh slopes. Short searches never wait for a compiler: numpy runs the same text until compiled code is
worth its time.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from qspec.engine.dual import Array, Box, Knobs, Passed, dual
from qspec.engine.view import Shape, View
from qspec.errors import InternalError
from qspec.evaluate.kernels import Convolve, Gather, MapKernel, MatMul, Scale, Scatter

MOMENTUM = 0.5
BEYOND = 0.01
"""The aim is so far above zero, in units in which a fact is at most about 1 away from being true."""
TINY = 1e-20
CLOSED = 1e-6
"""Bounds above this count as positive; below it they may be rounding."""
FIRST, SECOND, RATE = 0.9, 0.99, 0.03
"""Of Adam."""
LEAPS = 8

"""Polyak's steps before Adam's."""


class Units(NamedTuple):
    """What one unit of each knob is worth: of slopes (1, multipliers), of shifts as a share of coefficients, of weights (1, facts).

    Knobs are optimised in units, so that one rate fits all.
    """

    slope: Array
    weight: Array


class Start(NamedTuple):
    """Where the ascent may begin, the best of these does it; and which facts are known in each domain (batch, facts).

    `flat` is what intervals say, kept where that closes a domain: no ascent begins there, because nothing before the last layer counts.
    """

    choices: tuple[Knobs, ...]
    flat: Knobs
    active: Array
    main: Array
    """The facts chosen last, whose weights keep their sum: without that, no weights and no multipliers would bound everything by 0."""
    fixed: Array
    """Shifts that stay as they are, for the same reason."""


class Found(NamedTuple):
    """The best of every domain: bound (batch,), multipliers, weights, coefficients of relaxed nodes, mean values, and the corner of it."""

    bound: Array
    knobs: Knobs
    multipliers: Array
    weight: Array
    coefficients: tuple[Array | None, ...]
    values: tuple[Array | None, ...]
    corner: tuple[Array | None, ...]


class NumpyMaps:
    """Maps in numpy; convolutions are left to the device."""

    @staticmethod
    def count(kernel: MapKernel) -> int:
        return _count(kernel)

    @staticmethod
    def forward(kernel: MapKernel, arrays: Any, x: Any) -> Any:
        match kernel:
            case MatMul():
                return x @ arrays[0]
            case Scale():
                return x * arrays[0]
            case Gather():
                return (x[:, arrays[0]] * arrays[1]).sum(-1)
            case Scatter(outputs):
                rows, columns, coefficients = arrays
                return _added(x[:, columns] * coefficients, rows, outputs)
            case Convolve():
                raise InternalError("a convolution is not computed in numpy", given=kernel)

    @staticmethod
    def backward(kernel: MapKernel, arrays: Any, size: int, c: Any) -> Any:
        match kernel:
            case MatMul():
                return c @ arrays[0].T
            case Scale():
                return c * arrays[0]
            case Gather():
                return _added((c[:, :, None] * arrays[1]).reshape(len(c), -1), arrays[0].reshape(-1), size)
            case Scatter():
                rows, columns, coefficients = arrays
                return _added(c[:, rows] * coefficients, columns, size)
            case Convolve():
                raise InternalError("a convolution is not computed in numpy", given=kernel)


def _added(parts: Any, place: Any, size: int) -> Any:
    """Add up columns by their places, (batch, parts) to (batch, size)."""
    total = np.zeros((size, len(parts)), dtype=np.float32)
    np.add.at(total, place, parts.T)
    return total.T


def _count(kernel: MapKernel) -> int:
    match kernel:
        case MatMul() | Convolve() | Scale():
            return 1
        case Gather():
            return 2
        case Scatter():
            return 3


def _value(xp: Any, maps: Any, shape: Shape, arrays: Any, units: Units, box: Box, start: Start, scaled: Knobs) -> tuple[Passed, Knobs]:
    """Return the pass for knobs in units, and its gradient in units."""
    knobs = _real(xp, units, start, scaled)
    passed = dual(xp, maps, shape, arrays, box, knobs)
    g = passed.gradient
    weight = g.weight * units.weight * start.active
    common = (weight * start.main).sum(-1, keepdims=True) / xp.maximum(start.main.sum(-1, keepdims=True), 1)
    return passed, Knobs(g.low * units.slope, g.high * units.slope, g.shift * units.slope * (1 - start.fixed), weight - start.main * common)


def _real(xp: Any, units: Units, start: Start, scaled: Knobs) -> Knobs:
    return Knobs(
        scaled.low * units.slope,
        scaled.high * units.slope,
        scaled.shift * units.slope,
        xp.maximum(scaled.weight, 0) * units.weight * start.active,
    )


def _step(xp: Any, knobs: Knobs, direction: Knobs, gradient: Knobs, sizes: Knobs, bound: Array, far: Any) -> tuple[Knobs, Knobs]:
    """Return knobs and direction after one step; `far` is by how much of the distance to the aim it goes beyond it."""
    scaled = (g * size for g, size in zip(gradient, sizes, strict=True))
    moved = Knobs(*(g + MOMENTUM * d for g, d in zip(scaled, direction, strict=True)))
    norm = sum((d * d).sum(-1) for d in moved)
    length = ((BEYOND - xp.minimum(bound, 0) * (1 + far)) / (norm + TINY))[:, None]
    return Knobs(*(k + length * size * d for k, size, d in zip(knobs, sizes, moved, strict=True))), moved


def _sizes(xp: Any, shape: Shape, knobs: Knobs, passed: Passed) -> Knobs:
    """Return how far each kind of knob may go in one step, relative to the others: a shift as far as a slope takes its coefficient."""
    parts = [xp.zeros((knobs.low.shape[0], 0), dtype=xp.float32)]
    for k, first, end in shape.places:
        c = passed.coefficients[k]
        mean = xp.abs(c).mean(-1, keepdims=True) if c.shape[-1] else xp.zeros((c.shape[0], 1), dtype=xp.float32)
        parts.append(xp.broadcast_to(mean, (c.shape[0], end - first)))
    one = xp.ones_like(knobs.low)
    return Knobs(one, one, xp.concatenate(parts, -1), xp.ones_like(knobs.weight))


def _better(xp: Any, old: Knobs, new: Knobs, better: Array) -> Knobs:
    return Knobs(*(xp.where(better[:, None], n, o) for o, n in zip(old, new, strict=True)))


class State(NamedTuple):
    """An ascent under way: knobs, both moments of the gradient, the best so far, and sums of values for their means."""

    knobs: Knobs
    first: Knobs
    second: Knobs
    best: Knobs
    bound: Array
    total: tuple[Array | None, ...]


def _visit(xp: Any, state: State, passed: Passed, share: Any) -> State:
    """Note the bound where the knobs are, and add `share` of the values to the sums."""
    better = passed.bound > state.bound
    total = tuple(None if t is None else t + share * v for t, v in zip(state.total, passed.values, strict=True))
    bound = xp.maximum(state.bound, passed.bound)
    return state._replace(best=_better(xp, state.best, state.knobs, better), bound=bound, total=total)


def _leap(xp: Any, value: Any, sizes: Knobs, state: State, i: Any) -> State:
    """Take one of Polyak's steps; the first go beyond the aim."""
    passed, gradient = value(state.knobs)
    state = _visit(xp, state, passed, xp.float32(0))
    knobs, first = _step(xp, state.knobs, state.first, gradient, sizes, passed.bound, 1 - i / xp.float32(LEAPS))
    return state._replace(knobs=knobs, first=first)


def _walk(xp: Any, value: Any, sizes: Knobs, steps: Any, state: State, i: Any) -> State:
    """Take one of Adam's steps."""
    passed, gradient = value(state.knobs)
    state = _visit(xp, state, passed, xp.where(2 * i >= steps, xp.float32(1), xp.float32(0)))
    scaled = Knobs(*(g * size for g, size in zip(gradient, sizes, strict=True)))
    first = Knobs(*(FIRST * m + (1 - FIRST) * g for m, g in zip(state.first, scaled, strict=True)))
    second = Knobs(*(SECOND * v + (1 - SECOND) * g * g for v, g in zip(state.second, scaled, strict=True)))
    a, b = 1 - FIRST ** (i + 1), 1 - SECOND ** (i + 1)
    now = RATE * (1 - i / (steps + 1))
    moved = zip(state.knobs, first, second, sizes, strict=True)
    knobs = Knobs(*(k + size * now * (m / a) / (xp.sqrt(v / b) + TINY) for k, m, v, size in moved))
    return state._replace(knobs=knobs, first=first, second=second)


def _ascent(xp: Any, repeat: Any, maps: Any, shape: Shape, arrays: Any, units: Units, box: Box, start: Start, steps: Any) -> Found:
    """Return the best of both methods."""
    value = partial(_value, xp, maps, shape, arrays, units, box, start)
    begin = _begin(xp, value, start.choices)
    passed, _ = value(begin)
    sizes = _sizes(xp, shape, begin, passed)
    zeros = Knobs(*(xp.zeros_like(k) for k in begin))
    low = xp.full(passed.bound.shape, -xp.inf, dtype=xp.float32)
    none = tuple(None if v is None else xp.zeros_like(v) for v in passed.values)
    state = State(begin, zeros, zeros, begin, low, none)
    state = repeat(LEAPS, partial(_leap, xp, value, sizes), state)
    state = state._replace(knobs=begin, first=zeros, second=zeros)
    state = repeat(steps + 1, partial(_walk, xp, value, sizes, steps), state)
    best, bound = _closing(xp, value, start.flat, state.best, state.bound)
    count = xp.maximum(steps + 1 - (steps + 1) // 2, 1)
    means = tuple(None if t is None else t / count for t in state.total)
    return _finish(xp, maps, shape, arrays, units, box, start, best, bound, means)


def ascend_numpy(view: View, units: Units, box: Box, start: Start, steps: int) -> Found:
    """Return the best dual bounds of a batch, computed in numpy; stops where all domains are closed."""

    def repeat(count: int, body: Any, state: State) -> State:
        for i in range(int(count)):
            if np.all(state.bound > CLOSED):
                break
            state = body(state, np.float32(i))
        return state

    return _ascent(np, repeat, NumpyMaps, view.shape, view.arrays, units, box, start, np.float32(steps))


def _begin(xp: Any, value: Any, choices: tuple[Knobs, ...]) -> Knobs:
    """Return the best start of each domain."""
    best = choices[0]
    if len(choices) > 1:
        bound = value(best)[0].bound
        for other in choices[1:]:
            own = value(other)[0].bound
            best, bound = _better(xp, best, other, own > bound), xp.maximum(bound, own)
    return best


def _closing(xp: Any, value: Any, flat: Knobs, best: Knobs, bound: Array) -> tuple[Knobs, Array]:
    """Fall back on intervals where they close a domain and the ascent did not."""
    own = value(flat)[0].bound
    better = (own > CLOSED) & (bound <= CLOSED)
    return _better(xp, best, flat, better), xp.where(better, own, bound)


def _finish(
    xp: Any, maps: Any, shape: Shape, arrays: Any, units: Units, box: Box, start: Start, best: Knobs, bound: Any, means: Any
) -> Found:
    passed, _ = _value(xp, maps, shape, arrays, units, box, start, best)
    weight = _real(xp, units, start, best).weight
    return Found(bound, best, passed.multipliers, weight, passed.coefficients, means, passed.corner)


def ascend_compiled(view: View, placed: Any, units: Units, box: Box, start: Start, steps: int) -> Found:
    """Return the same, compiled once for all programs of one shape and batches of one size; `placed` are the arrays on the device."""
    from qspec.evaluate import device

    found = _jitted()(view.shape, placed, units, box, start, device.number(steps))
    return Found(*(_host(part) for part in found))


def _host(part: Any) -> Any:
    """Return arrays of the device as arrays of numpy."""
    if isinstance(part, Knobs):
        return Knobs(*(np.asarray(k) for k in part))
    if isinstance(part, tuple):
        return tuple(None if v is None else np.asarray(v) for v in part)
    return np.asarray(part)


_COMPILED: list[Any] = []


def _jitted() -> Any:
    """Return the compiled ascent; made at first use, since importing this module must not load JAX."""
    if not _COMPILED:
        from qspec.evaluate import device

        _COMPILED.append(device.compiled(_ascend_jax))
    return _COMPILED[0]


def _ascend_jax(shape: Shape, arrays: Any, units: Units, box: Box, start: Start, steps: Any) -> Any:
    import jax.numpy as jnp

    from qspec.evaluate import device

    def repeat(count: Any, body: Any, state: State) -> State:
        end = jnp.asarray(count).astype(jnp.int32)
        return device.repeat_between(end * 0, end, lambda i, s: body(s, i.astype(jnp.float32)), state)

    return _ascent(jnp, repeat, DeviceMaps(), shape, arrays, units, box, start, steps.astype(jnp.float32))


class DeviceMaps:
    """Maps on the device; the transposed ones are derived by JAX."""

    @staticmethod
    def count(kernel: MapKernel) -> int:
        return _count(kernel)

    @staticmethod
    def forward(kernel: MapKernel, arrays: Any, x: Any) -> Any:
        from qspec.evaluate.execute import apply_map

        return apply_map(kernel, arrays, x)

    @staticmethod
    def backward(kernel: MapKernel, arrays: Any, size: int, c: Any) -> Any:
        import jax
        import jax.numpy as jnp

        from qspec.evaluate.execute import apply_map

        if isinstance(kernel, MatMul):
            return c @ arrays[0].T
        like = jax.ShapeDtypeStruct((c.shape[0], size), jnp.float32)
        return jax.linear_transpose(lambda x: apply_map(kernel, arrays, x), like)(c)[0]
