"""Ascent on the dual: steps on slopes, shifts and weights, keeping the best bound of every domain; in numpy, or compiled by JAX.

Two methods take turns. The aim of the ascent is known, any positive bound, so that a step along the gradient can be as long as would
reach it if the bound were linear (Polyak 1969): that closes in a few steps what can be closed by far. The others gain more by Adam
(Kingma and Ba 2015; on slopes, Xu et al. 2021), from where those began. Short searches never wait for a compiler: numpy runs the same
text until compiled code is worth its time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple, cast

import numpy as np

from qspec.engine.dual import Box, Knobs, Passed, dual
from qspec.engine.maps import Array, DeviceMaps, Maps, NumpyMaps
from qspec.engine.view import Shape, View

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


class Task(NamedTuple):
    """What stays as it is during an ascent: the library of arrays (`numpy` or `jax.numpy`), its maps, the program, and the batch."""

    xp: Any
    maps: Maps
    shape: Shape
    arrays: tuple[tuple[Array, ...], ...]
    units: Units
    box: Box
    start: Start


class State(NamedTuple):
    """An ascent under way: knobs, both moments of the gradient, the best so far, and sums of values for their means."""

    knobs: Knobs
    first: Knobs
    second: Knobs
    best: Knobs
    bound: Array
    total: tuple[Array | None, ...]


Value = Callable[[Knobs], tuple[Passed, Knobs]]
"""Gives the pass for knobs in units, and its gradient in units."""
Body = Callable[[State, Array], State]
"""Takes one step, whose number it is given as a float."""
Repeat = Callable[[Array, Body, State], State]
"""Takes so many steps."""


def ascend_numpy(view: View, units: Units, box: Box, start: Start, steps: int) -> Found:
    """Return the best dual bounds of a batch, computed in numpy; stops where all domains are closed."""

    def repeat(count: Array, body: Body, state: State) -> State:
        for i in range(int(count)):
            if np.all(state.bound > CLOSED):
                break
            state = body(state, np.float32(i))
        return state

    return _ascent(Task(np, NumpyMaps(), view.shape, view.arrays, units, box, start), repeat, np.float32(steps))


def ascend_compiled(view: View, placed: tuple[tuple[Array, ...], ...], units: Units, box: Box, start: Start, steps: int) -> Found:
    """Return the same, compiled once for all programs of one shape and batches of one size; `placed` are the arrays on the device."""
    from qspec.evaluate import device

    found = _jitted()(view.shape, placed, units, box, start, device.number(steps))
    return Found(*(_host(part) for part in found))


def _host(part: Any) -> Any:
    """Return arrays of the device as arrays of numpy."""
    if isinstance(part, Knobs):
        return Knobs(*(np.asarray(k) for k in part))
    if isinstance(part, tuple):
        return tuple(None if v is None else np.asarray(v) for v in cast("tuple[Any, ...]", part))
    return np.asarray(part)


@cache
def _jitted() -> Callable[..., Found]:
    """Return the compiled ascent; made at first use, since importing this module must not load JAX."""
    from qspec.evaluate import device

    return device.compiled(_ascend_jax)


def _ascend_jax(shape: Shape, arrays: tuple[tuple[Array, ...], ...], units: Units, box: Box, start: Start, steps: Array) -> Found:
    """Return the same as a function for the compiler; only the shape is known to it."""
    import jax.numpy as jnp

    from qspec.evaluate import device

    def repeat(count: Array, body: Body, state: State) -> State:
        end: Array = jnp.asarray(count).astype(jnp.int32)  # pyright: ignore[reportUnknownMemberType]
        return device.repeat_between(end * 0, end, lambda i, s: body(s, i.astype(jnp.float32)), state)

    return _ascent(Task(jnp, DeviceMaps(), shape, arrays, units, box, start), repeat, steps.astype(jnp.float32))


def _ascent(task: Task, repeat: Repeat, steps: Array) -> Found:
    """Return the best of both methods."""
    xp = task.xp
    value = partial(_value, task)
    begin = _begin(xp, value, task.start.choices)
    passed, _ = value(begin)
    sizes = _sizes(xp, task.shape, begin, passed)
    zeros = Knobs(*(xp.zeros_like(k) for k in begin))
    low = xp.full(passed.bound.shape, -xp.inf, dtype=xp.float32)
    none = tuple(None if v is None else xp.zeros_like(v) for v in passed.values)
    state = State(begin, zeros, zeros, begin, low, none)
    state = repeat(LEAPS, partial(_leap, xp, value, sizes), state)
    state = state._replace(knobs=begin, first=zeros, second=zeros)
    state = repeat(steps + 1, partial(_walk, xp, value, sizes, steps), state)
    best, bound = _closing(xp, value, task.start.flat, state.best, state.bound)
    count = xp.maximum(steps + 1 - (steps + 1) // 2, 1)
    means = tuple(None if t is None else t / count for t in state.total)
    last, _ = value(best)
    return Found(bound, best, last.multipliers, _real(task, best).weight, last.coefficients, means, last.corner)


def _value(task: Task, scaled: Knobs) -> tuple[Passed, Knobs]:
    """Return the pass for knobs in units, and its gradient in units."""
    xp, units, start = task.xp, task.units, task.start
    passed = dual(xp, task.maps, task.shape, task.arrays, task.box, _real(task, scaled))
    g = passed.gradient
    weight = g.weight * units.weight * start.active
    common = (weight * start.main).sum(-1, keepdims=True) / xp.maximum(start.main.sum(-1, keepdims=True), 1)
    return passed, Knobs(g.low * units.slope, g.high * units.slope, g.shift * units.slope * (1 - start.fixed), weight - start.main * common)


def _real(task: Task, scaled: Knobs) -> Knobs:
    """Return knobs as the dual takes them: weights are at least 0, and 0 for facts that are not known."""
    units = task.units
    return Knobs(
        scaled.low * units.slope,
        scaled.high * units.slope,
        scaled.shift * units.slope,
        task.xp.maximum(scaled.weight, 0) * units.weight * task.start.active,
    )


def _begin(xp: Any, value: Value, choices: tuple[Knobs, ...]) -> Knobs:
    """Return the best start of each domain."""
    best = choices[0]
    if len(choices) > 1:
        bound = value(best)[0].bound
        for other in choices[1:]:
            own = value(other)[0].bound
            best, bound = _better(xp, best, other, own > bound), xp.maximum(bound, own)
    return best


def _sizes(xp: Any, shape: Shape, knobs: Knobs, passed: Passed) -> Knobs:
    """Return how far each kind of knob may go in one step, relative to the others: a shift as far as a slope takes its coefficient."""
    parts = [xp.zeros((knobs.low.shape[0], 0), dtype=xp.float32)]
    for k, first, end in shape.places:
        c = passed.coefficients[k]
        assert c is not None
        mean = xp.abs(c).mean(-1, keepdims=True) if c.shape[-1] else xp.zeros((c.shape[0], 1), dtype=xp.float32)
        parts.append(xp.broadcast_to(mean, (c.shape[0], end - first)))
    one = xp.ones_like(knobs.low)
    return Knobs(one, one, xp.concatenate(parts, -1), xp.ones_like(knobs.weight))


def _better(xp: Any, old: Knobs, new: Knobs, better: Array) -> Knobs:
    """Return the new knobs of the domains in which they are better, and the old ones of the others."""
    return Knobs(*(xp.where(better[:, None], n, o) for o, n in zip(old, new, strict=True)))


def _leap(xp: Any, value: Value, sizes: Knobs, state: State, i: Array) -> State:
    """Take one of Polyak's steps; the first go beyond the aim."""
    passed, gradient = value(state.knobs)
    state = _visit(xp, state, passed, xp.float32(0))
    knobs, first = _step(xp, state.knobs, state.first, gradient, sizes, passed.bound, 1 - i / xp.float32(LEAPS))
    return state._replace(knobs=knobs, first=first)


def _walk(xp: Any, value: Value, sizes: Knobs, steps: Array, state: State, i: Array) -> State:
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


def _visit(xp: Any, state: State, passed: Passed, share: Array) -> State:
    """Note the bound where the knobs are, and add `share` of the values to the sums."""
    better = passed.bound > state.bound
    total = tuple(None if t is None else t + share * v for t, v in zip(state.total, passed.values, strict=True))
    bound = xp.maximum(state.bound, passed.bound)
    return state._replace(best=_better(xp, state.best, state.knobs, better), bound=bound, total=total)


def _step(xp: Any, knobs: Knobs, direction: Knobs, gradient: Knobs, sizes: Knobs, bound: Array, far: Array) -> tuple[Knobs, Knobs]:
    """Return knobs and direction after one step; `far` is by how much of the distance to the aim it goes beyond it."""
    scaled = (g * size for g, size in zip(gradient, sizes, strict=True))
    moved = Knobs(*(g + MOMENTUM * d for g, d in zip(scaled, direction, strict=True)))
    norm = sum((d * d).sum(-1) for d in moved)
    length = ((BEYOND - xp.minimum(bound, 0) * (1 + far)) / (norm + TINY))[:, None]
    return Knobs(*(k + length * size * d for k, size, d in zip(knobs, sizes, moved, strict=True))), moved


def _closing(xp: Any, value: Value, flat: Knobs, best: Knobs, bound: Array) -> tuple[Knobs, Array]:
    """Fall back on intervals where they close a domain and the ascent did not."""
    own = value(flat)[0].bound
    better = (own > CLOSED) & (bound <= CLOSED)
    return _better(xp, best, flat, better), xp.where(better, own, bound)
