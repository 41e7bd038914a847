"""Ascent on the dual: steps on slopes, shifts and weights, keeping the best bound of every domain; in numpy, or compiled by JAX.

Two methods take turns. The aim of the ascent is known, any positive bound, so that a step along the gradient can be as long as would
reach it if the bound were linear (Polyak 1969): that closes in a few steps what can be closed by far. The others gain more by Adam
(Kingma and Ba 2015; on slopes, Xu et al. 2021), from where those began. Short searches never wait for a compiler: numpy runs the same
text until compiled code is worth its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from qspec.deadline import NEVER, Deadline
from qspec.engines.dual.batched_maps import Array, DeviceMaps, Maps, NumpyMaps
from qspec.engines.dual.dual_bound import DomainBatch, DualVariables, Passed, dual
from qspec.engines.dual.tensor_program import Shape, View

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
    """What one unit of each variable is worth: of slopes (1, multipliers), of shifts as a share of coefficients, of weights (1, facts).

    DualVariables are optimised in units, so that one rate fits all.
    """

    slope: Array
    weight: Array


class Start(NamedTuple):
    """Where the ascent may begin (choices, batch, …), the best of these does it; and which facts are known in each domain (batch, facts).

    `flat` is what intervals say, kept where that closes a domain: no ascent begins there, because nothing before the last layer counts.
    """

    choices: DualVariables
    flat: DualVariables
    active: Array
    main: Array
    """The facts chosen last, whose weights keep their sum: without that, no weights and no multipliers would bound everything by 0."""
    anchor: Array
    """What a unit of a shift is worth (batch, multipliers) where it stands for a bound to refute, else 0; they keep their sum, too."""
    target: Array
    """Weights (batch, facts) that stay as they are, of either sign: those of a bound that is asked for."""
    aim: Array
    """What is taken off the dual (batch,): the most that a bound can be, so that a positive one closes a domain, whatever is asked for."""


class Found(NamedTuple):
    """The best of every domain: bound (batch,), multipliers, weights, coefficients of relaxed nodes, mean values, and the corner of it."""

    bound: Array
    variables: DualVariables
    multipliers: Array
    weight: Array
    coefficients: tuple[Array | None, ...]
    values: tuple[Array | None, ...]
    corner: tuple[Array | None, ...]


class AscentTask(NamedTuple):
    """What stays as it is during an ascent: the library of arrays (`numpy` or `jax.numpy`), its maps, the program, and the batch."""

    xp: Any
    maps: Maps
    flow: Flow
    shape: Shape
    arrays: tuple[tuple[Array, ...], ...]
    units: Units
    box: DomainBatch
    start: Start
    steps: int


class AscentState(NamedTuple):
    """An ascent under way: variables, where it began, how far shifts go in a step, both moments, the best so far, and sums of values."""

    variables: DualVariables
    begin: DualVariables
    far: Array
    first: DualVariables
    second: DualVariables
    best: DualVariables
    bound: Array
    total: tuple[Array | None, ...]


class Seen(NamedTuple):
    """What a pass found where the variables are: the pass, and its gradient in units."""

    passed: Passed
    gradient: DualVariables


class Flow(Protocol):
    """How steps follow each other: in Python, or compiled."""

    def repeat(
        self, count: int, done: Callable[[AscentState], Array], body: Callable[[Array, AscentState], AscentState], state: AscentState
    ) -> AscentState:
        """Take so many steps, each given its number, or fewer if all is done."""
        ...

    def choose(
        self, which: Array, bodies: Sequence[Callable[[Array, AscentState, Seen], AscentState]], i: Array, state: AscentState, seen: Seen
    ) -> AscentState:
        """Take the step of this kind."""
        ...


class PlainFlow:
    """Steps in Python; the deadline is looked at before each."""

    def __init__(self, deadline: Deadline = NEVER) -> None:
        self.deadline = deadline

    def repeat(
        self, count: int, done: Callable[[AscentState], Array], body: Callable[[Array, AscentState], AscentState], state: AscentState
    ) -> AscentState:
        """Take so many steps, each given its number, or fewer if all is done."""
        for i in range(count):
            self.deadline.check()
            state = body(np.float32(i), state)
            if done(state):
                break
        return state

    def choose(
        self, which: Array, bodies: Sequence[Callable[[Array, AscentState, Seen], AscentState]], i: Array, state: AscentState, seen: Seen
    ) -> AscentState:
        """Take the step of this kind."""
        return bodies[int(which)](i, state, seen)


def ascend_numpy(view: View, units: Units, box: DomainBatch, start: Start, steps: int, deadline: Deadline = NEVER) -> Found:
    """Return the best dual bounds of a batch, computed in numpy; numbers too large for floats find nothing, as on the device.

    Raises OutOfTime and OutOfMemory, at which it looks between steps.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _ascent(AscentTask(np, NumpyMaps(), PlainFlow(deadline), view.shape, view.arrays, units, box, start, steps))


def ascend_compiled(view: View, placed: tuple[tuple[Array, ...], ...], units: Units, box: DomainBatch, start: Start, steps: int) -> Found:
    """Return the same, compiled once for all programs of one shape and batches of one size; `placed` are the arrays on all devices.

    The batch, a multiple of their number, is laid out over the devices.
    """
    from qspec.evaluate import sharding

    given = sharding.place((units, box, start), _layouts(view.shape))
    found = _jitted()((view.shape, steps), placed, *given)
    return Found(*(_host(part) for part in found))


def _layouts(shape: Shape) -> tuple[Any, Any, Any]:
    """Return how units, box and start lie on the devices: `DomainBatch` says which of its arrays have the batch second."""
    from qspec.evaluate.sharding import FIRST, SECOND, WHOLE

    parts: Any = tuple(SECOND if op.kind == "points" else FIRST for op in shape.ops)
    first: Any = FIRST
    second: Any = SECOND
    return WHOLE, DomainBatch(parts), Start(second, *[first] * 6)


def _host(part: Any) -> Any:
    """Return arrays of the device as arrays of numpy."""
    if isinstance(part, DualVariables):
        return DualVariables(*(np.asarray(k) for k in part))
    if isinstance(part, tuple):
        return tuple(None if v is None else np.asarray(v) for v in cast("tuple[Any, ...]", part))
    return np.asarray(part)


@cache
def _jitted() -> Callable[..., Found]:
    """Return the compiled ascent; made at first use, since importing this module must not load JAX."""
    from qspec.evaluate import device

    return device.compiled(_ascend_jax)


def _ascend_jax(fixed: tuple[Shape, int], arrays: tuple[tuple[Array, ...], ...], units: Units, box: DomainBatch, start: Start) -> Found:
    """Return the same as a function for the compiler; the shape and the number of steps are fixed."""
    import jax.numpy as jnp

    from qspec.evaluate import sharding
    from qspec.evaluate.device import DeviceLoops

    shape, steps = fixed

    def own(arrays: tuple[tuple[Array, ...], ...], units: Units, box: DomainBatch, start: Start) -> Found:
        return _ascent(AscentTask(jnp, DeviceMaps(), cast("Any", DeviceLoops()), shape, arrays, units, box, start, steps))

    return sharding.apart(own, (sharding.WHOLE, *_layouts(shape)), sharding.FIRST)(arrays, units, box, start)


def _ascent(task: AscentTask) -> Found:
    """Return the best of all starts and both methods; a compiler meets the dual twice only, here and at the end."""
    xp, choices = task.xp, task.start.choices
    first = DualVariables(*(c[0] for c in choices))
    zeros = DualVariables(*(xp.zeros_like(k) for k in first))
    batch = first.low.shape[0]
    none = tuple(None if op.kind == "unused" else xp.zeros((batch, op.size), dtype=xp.float32) for op in task.shape.ops)
    low = xp.full((batch,), -xp.inf, dtype=xp.float32)
    count = choices.low.shape[0]
    kinds = [partial(f, task) for f in (_start, _leap, _walk, _end)]

    def body(i: Array, state: AscentState) -> AscentState:
        seen = _value(task, state.variables)
        kind = sum((i >= end).astype(xp.int32) for end in (count, count + LEAPS, count + LEAPS + task.steps))
        return task.flow.choose(kind, kinds, i, state, seen)

    def done(state: AscentState) -> Array:
        return xp.all(state.bound > CLOSED)

    begin = AscentState(first, first, xp.ones_like(first.low), zeros, zeros, first, low, none)
    state = task.flow.repeat(count + LEAPS + task.steps + 1, done, body, begin)
    means = tuple(None if t is None else t / max(1, task.steps - task.steps // 2) for t in state.total)
    last = _value(task, state.best).passed
    return Found(state.bound, state.best, last.multipliers, _real(task, state.best).weight, last.coefficients, means, last.corner)


def _value(task: AscentTask, scaled: DualVariables) -> Seen:
    """Return the pass for variables in units, and its gradient in units."""
    xp, units, start = task.xp, task.units, task.start
    passed = dual(xp, task.maps, task.shape, task.arrays, task.box, _real(task, scaled))
    passed = passed._replace(bound=passed.bound - start.aim)
    g = passed.gradient
    weight = g.weight * units.weight * start.active
    anchored = (start.anchor != 0).astype(xp.float32)
    shift = g.shift * _shift_units(task)
    gradient = DualVariables(
        g.low * units.slope,
        g.high * units.slope,
        shift - anchored * _mean(xp, shift, anchored),
        weight - start.main * _mean(xp, weight, start.main),
    )
    return Seen(passed, gradient)


def _mean(xp: Any, values: Array, which: Array) -> Array:
    """Return the mean of some values of each domain, shape (batch, 1); `which` has ones and zeros."""
    return (values * which).sum(-1, keepdims=True) / xp.maximum(which.sum(-1, keepdims=True), 1)


def _shift_units(task: AscentTask) -> Array:
    """Return what one unit of each shift is worth."""
    return task.xp.where(task.start.anchor != 0, task.start.anchor, task.units.slope)


def _real(task: AscentTask, scaled: DualVariables) -> DualVariables:
    """Return variables as the dual takes them: weights are at least 0, and 0 for facts that are not known."""
    units = task.units
    return DualVariables(
        scaled.low * units.slope,
        scaled.high * units.slope,
        scaled.shift * _shift_units(task),
        task.xp.maximum(scaled.weight, 0) * units.weight * task.start.active + task.start.target,
    )


def _start(task: AscentTask, i: Array, state: AscentState, seen: Seen) -> AscentState:
    """Keep a start where it is better than those before, and go on to the next, or to the best."""
    xp, choices = task.xp, task.start.choices
    better = seen.passed.bound > state.bound
    begin = _better(xp, state.begin, state.variables, better)
    far = xp.where(better[:, None], _far(task, seen.passed), state.far)
    last = choices.low.shape[0] - 1
    following = xp.minimum(i + 1, last).astype(xp.int32)
    variables = DualVariables(*(xp.where(i >= last, b, xp.take(c, following, 0)) for b, c in zip(begin, choices, strict=True)))
    return state._replace(variables=variables, begin=begin, far=far, best=begin, bound=xp.maximum(state.bound, seen.passed.bound))


def _far(task: AscentTask, passed: Passed) -> Array:
    """Return how far a shift may go in one step, relative to slopes: as far as a slope takes its coefficient."""
    xp = task.xp
    batch = passed.bound.shape[0]
    parts = [xp.zeros((batch, 0), dtype=xp.float32)]
    for k, first, end in task.shape.places:
        c = passed.coefficients[k]
        assert c is not None
        mean = xp.abs(c).mean(-1, keepdims=True) if c.shape[-1] else xp.zeros((batch, 1), dtype=xp.float32)
        parts.append(xp.broadcast_to(mean, (batch, end - first)))
    return xp.where(task.start.anchor != 0, xp.float32(1), xp.concatenate(parts, -1))


def _better(xp: Any, old: DualVariables, new: DualVariables, better: Array) -> DualVariables:
    """Return the new variables of the domains in which they are better, and the old ones of the others."""
    return DualVariables(*(xp.where(better[:, None], n, o) for o, n in zip(old, new, strict=True)))


def _sizes(xp: Any, state: AscentState) -> DualVariables:
    """Return how far each dual variable may go in one step, relative to the others."""
    one = xp.ones_like(state.far)
    return DualVariables(one, one, state.far, xp.ones_like(state.variables.weight))


def _leap(task: AscentTask, i: Array, state: AscentState, seen: Seen) -> AscentState:
    """Take one of Polyak's steps; the first go beyond the aim, the last returns to the start."""
    xp = task.xp
    state = _visit(xp, state, seen.passed, xp.float32(0))
    j = i - task.start.choices.low.shape[0]
    sizes = _sizes(xp, state)
    scaled = (g * size for g, size in zip(seen.gradient, sizes, strict=True))
    moved = DualVariables(*(g + MOMENTUM * d for g, d in zip(scaled, state.first, strict=True)))
    norm = sum((d * d).sum(-1) for d in moved)
    beyond = 2 - j / xp.float32(LEAPS)
    length = ((BEYOND - xp.minimum(seen.passed.bound, 0) * beyond) / (norm + TINY))[:, None]
    variables = (k + length * size * d for k, size, d in zip(state.variables, sizes, moved, strict=True))
    over = j >= LEAPS - 1
    return state._replace(
        variables=DualVariables(*(xp.where(over, b, k) for b, k in zip(state.begin, variables, strict=True))),
        first=DualVariables(*(xp.where(over, xp.float32(0), m) for m in moved)),
    )


def _walk(task: AscentTask, i: Array, state: AscentState, seen: Seen) -> AscentState:
    """Take one of Adam's steps; the last goes where intervals alone count."""
    xp, steps = task.xp, task.steps
    j = i - task.start.choices.low.shape[0] - LEAPS
    state = _visit(xp, state, seen.passed, xp.where(j >= steps // 2, xp.float32(1), xp.float32(0)))
    sizes = _sizes(xp, state)
    scaled = DualVariables(*(g * size for g, size in zip(seen.gradient, sizes, strict=True)))
    first = DualVariables(*(FIRST * m + (1 - FIRST) * g for m, g in zip(state.first, scaled, strict=True)))
    second = DualVariables(*(SECOND * v + (1 - SECOND) * g * g for v, g in zip(state.second, scaled, strict=True)))
    a, b = 1 - FIRST ** (j + 1), 1 - SECOND ** (j + 1)
    now = RATE * (1 - j / steps)
    moved = zip(state.variables, first, second, sizes, strict=True)
    variables = (k + size * now * (m / a) / (xp.sqrt(v / b) + TINY) for k, m, v, size in moved)
    over = j >= steps - 1
    following = DualVariables(*(xp.where(over, f, k) for f, k in zip(task.start.flat, variables, strict=True)))
    return state._replace(variables=following, first=first, second=second)


def _end(task: AscentTask, i: Array, state: AscentState, seen: Seen) -> AscentState:
    """Fall back on intervals where they close a domain and the ascent did not."""
    del i
    bound = seen.passed.bound
    better = (bound > CLOSED) & (state.bound <= CLOSED)
    best = _better(task.xp, state.best, state.variables, better)
    return state._replace(best=best, bound=task.xp.where(better, bound, state.bound))


def _visit(xp: Any, state: AscentState, passed: Passed, share: Array) -> AscentState:
    """Note the bound where the variables are, and add `share` of the values to the sums."""
    better = passed.bound > state.bound
    total = tuple(None if t is None else t + share * v for t, v in zip(state.total, passed.values, strict=True))
    bound = xp.maximum(state.bound, passed.bound)
    return state._replace(best=_better(xp, state.best, state.variables, better), bound=bound, total=total)
