"""Ascent on the dual: Adam steps on slopes, shifts and weights, keeping the best bound of every domain; in numpy, or compiled by JAX.

Short searches never wait for a compiler: numpy runs the same text until compiled code is worth its time. Source: Kingma and Ba 2015; its
use on relaxation slopes, Xu et al. 2021.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from qspec.engine.dual import Array, Box, Knobs, Passed, dual
from qspec.engine.view import Shape, View
from qspec.evaluate.kernels import Convolve, Gather, MapKernel, MatMul, Scale, Scatter

FIRST, SECOND, TINY = 0.9, 0.99, 1e-12


class Units(NamedTuple):
    """What one unit of each knob is worth: of slopes (1, multipliers), of shifts as a share of coefficients, of weights (1, facts).

    Knobs are optimised in units, so that one rate fits all.
    """

    slope: Array
    weight: Array


class Start(NamedTuple):
    """Where the ascent may begin, the best of these does it; and which facts are known in each domain (batch, facts)."""

    choices: tuple[Knobs, ...]
    active: Array


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
    """Matrices, in numpy."""

    @staticmethod
    def count(kernel: MapKernel) -> int:
        return _count(kernel)

    @staticmethod
    def forward(kernel: MapKernel, arrays: Any, x: Any) -> Any:
        del kernel
        return x @ arrays[0]

    @staticmethod
    def backward(kernel: MapKernel, arrays: Any, size: int, c: Any) -> Any:
        del kernel, size
        return c @ arrays[0].T


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
    return passed, Knobs(g.low * units.slope, g.high * units.slope, g.shift * units.slope, g.weight * units.weight * start.active)


def _real(xp: Any, units: Units, start: Start, scaled: Knobs) -> Knobs:
    return Knobs(
        scaled.low * units.slope,
        scaled.high * units.slope,
        scaled.shift * units.slope,
        xp.maximum(scaled.weight, 0) * units.weight * start.active,
    )


def _adam(xp: Any, knobs: Knobs, first: Knobs, second: Knobs, gradient: Knobs, i: Any, steps: Any, rate: Any) -> tuple[Knobs, Knobs, Knobs]:
    now = rate * (1 - i / steps)
    f = Knobs(*(FIRST * m + (1 - FIRST) * g for m, g in zip(first, gradient, strict=True)))
    s = Knobs(*(SECOND * v + (1 - SECOND) * g * g for v, g in zip(second, gradient, strict=True)))
    a, b = 1 - FIRST ** (i + 1), 1 - SECOND ** (i + 1)
    moved = Knobs(*(k + now * (m / a) / (xp.sqrt(v / b) + TINY) for k, m, v in zip(knobs, f, s, strict=True)))
    return moved, f, s


def _better(xp: Any, old: Knobs, new: Knobs, better: Array) -> Knobs:
    return Knobs(*(xp.where(better[:, None], n, o) for o, n in zip(old, new, strict=True)))


def ascend_numpy(view: View, units: Units, box: Box, start: Start, steps: int, rate: float) -> Found:
    """Return the best of `steps` steps, computed in numpy."""
    one = np.float32(1)
    value = partial(_value, np, NumpyMaps, view.shape, view.arrays, units, box, start)
    knobs = best = _begin(np, value, start.choices)
    first = second = Knobs(*(np.zeros_like(k) for k in knobs))
    bound = np.full(knobs.weight.shape[0], -np.inf, dtype=np.float32)
    total: list[Any] | None = None
    for i in range(steps + 1):
        passed, gradient = value(knobs)
        better = passed.bound > bound
        best, bound = _better(np, best, knobs, better), np.maximum(bound, passed.bound)
        if 2 * i >= steps:
            total = (
                list(passed.values) if total is None else [None if t is None else t + v for t, v in zip(total, passed.values, strict=True)]
            )
        if i < steps:
            knobs, first, second = _adam(np, knobs, first, second, gradient, np.float32(i), np.float32(steps), np.float32(rate))
    count = one * sum(2 * i >= steps for i in range(steps + 1))
    means = tuple(None if t is None else t / count for t in total or ())
    return _finish(np, NumpyMaps, view.shape, view.arrays, units, box, start, best, bound, means)


def _begin(xp: Any, value: Any, choices: tuple[Knobs, ...]) -> Knobs:
    """Return the best start of each domain."""
    best = choices[0]
    if len(choices) > 1:
        bound = value(best)[0].bound
        for other in choices[1:]:
            own = value(other)[0].bound
            best, bound = _better(xp, best, other, own > bound), xp.maximum(bound, own)
    return best


def _finish(
    xp: Any, maps: Any, shape: Shape, arrays: Any, units: Units, box: Box, start: Start, best: Knobs, bound: Any, means: Any
) -> Found:
    passed, _ = _value(xp, maps, shape, arrays, units, box, start, best)
    weight = _real(xp, units, start, best).weight
    return Found(bound, best, passed.multipliers, weight, passed.coefficients, means, passed.corner)


def ascend_compiled(view: View, placed: Any, units: Units, box: Box, start: Start, steps: int, rate: float) -> Found:
    """Return the same, compiled once for all programs of one shape and batches of one size; `placed` are the arrays on the device."""
    from qspec.evaluate import device

    found = _jitted()(view.shape, placed, units, box, start, device.number(steps), np.float32(rate))
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


def _ascend_jax(shape: Shape, arrays: Any, units: Units, box: Box, start: Start, steps: Any, rate: Any) -> Any:
    import jax.numpy as jnp

    from qspec.evaluate import device

    maps = DeviceMaps()
    value = partial(_value, jnp, maps, shape, arrays, units, box, start)
    begin = _begin(jnp, value, start.choices)
    passed, _ = value(begin)
    zeros = Knobs(*(jnp.zeros_like(k) for k in begin))
    low = device.full(passed.bound.shape, -np.inf, np.float32)
    none = tuple(None if v is None else jnp.zeros_like(v) for v in passed.values)

    def body(i: Any, state: Any) -> Any:
        knobs, first, second, best, bound, total = state
        passed, gradient = value(knobs)
        better = passed.bound > bound
        best, bound = _better(jnp, best, knobs, better), jnp.maximum(bound, passed.bound)
        share = jnp.where(2 * i >= steps, 1.0, 0.0).astype(jnp.float32)
        total = tuple(None if t is None else t + share * v for t, v in zip(total, passed.values, strict=True))
        moved = _adam(jnp, knobs, first, second, gradient, i.astype(jnp.float32), steps.astype(jnp.float32), rate)
        return (*moved, best, bound, total)

    state = (begin, zeros, zeros, begin, low, none)
    *_, best, bound, total = device.repeat_between(device.number(0) * steps, steps + 1, body, state)
    count = (steps + 1 - (steps + 1) // 2).astype(jnp.float32)
    means = tuple(None if t is None else t / count for t in total)
    return _finish(jnp, maps, shape, arrays, units, box, start, best, bound, means)


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
