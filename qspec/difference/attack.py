"""Inputs at which a combination of outputs is small: gradients through both networks, with steps that begin as ramps.

A step is replaced by a sigmoid of its rounding, whose temperature falls: at first its slope is nearly that of the ramp, at last it pulls
sums over the one step that matters, of all neurons at once. (A plain "straight through" gradient cannot see which way a sum will be
rounded; on networks of 4 bits it found errors half as large.) The real inputs that Adam moves are rounded to codes. Values are doubles:
codes are exact as long as integers are, real signals are rounded. So what is found is a candidate, which exact arithmetic judges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qspec.delta.interval import Floats
from qspec.difference.dual import Both
from qspec.difference.pair import Pair
from qspec.staircase import Rescale, climb

WARM, COLD = 0.25, 0.03
"""Temperatures, in steps, at the start and at the end."""
FAST, SLOW = 0.3, 0.03
"""Sizes of steps, in radii of the box."""


class Found(NamedTuple):
    """The best input of each row (rows, inputs), and the value there in doubles, (rows,)."""

    point: Floats
    value: Floats


def attack(pair: Pair, low: Floats, high: Floats, goal: Both, starts: Floats, seed: int, rounds: int = 150) -> Found:
    """Look for codes in the box `low`..`high` (inputs,) at which `goal · outputs`, (rows, outputs) each, is small.

    `starts` are inputs to begin with, (any, inputs); a few at random are added.
    """
    random = np.random.default_rng(seed)
    x = np.concatenate([starts.clip(low, high), low + random.random((4, low.size)) * (high - low)])
    rows, each = goal[0].shape[0], len(x)
    c = (np.repeat(goal[0], each, 0), np.repeat(goal[1], each, 0))
    x = np.tile(x, (rows, 1))
    best = np.rint(x)
    value = values(pair, best, c)
    first, second = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, rounds + 1):
        done = t / rounds
        slope = soft_gradient(pair, x, c, WARM * (COLD / WARM) ** done)
        first, second = 0.9 * first + 0.1 * slope, 0.99 * second + 0.01 * slope * slope
        direction = first / (1 - 0.9**t) / (np.sqrt(second / (1 - 0.99**t)) + 1e-12)
        x = np.clip(x - FAST * (SLOW / FAST) ** done * (high - low) / 2 * direction, low, high)
        if t % 3 == 0 or t == rounds:
            codes = np.rint(x)
            found = values(pair, codes, c)
            better = found < value
            best, value = np.where(better[:, None], codes, best), np.where(better, found, value)
    place = value.reshape(rows, each).argmin(-1)
    return Found(best.reshape(rows, each, -1)[np.arange(rows), place], value.reshape(rows, each)[np.arange(rows), place])


def polish(pair: Pair, low: Floats, high: Floats, goal: Both, found: Found, rounds: int = 16, most: int = 64) -> Found:
    """Move the codes that the gradient calls most promising, one at a time, to an end of the box, and keep what helps."""
    points, least = found.point.copy(), found.value.copy()
    for row in range(len(points)):
        c = (goal[0][row : row + 1], goal[1][row : row + 1])
        for _ in range(rounds):
            slope = soft_gradient(pair, points[row : row + 1], c, WARM)[0]
            order = np.argsort(-np.abs(slope) * (high - low))[:most]
            tries = np.repeat(points[row : row + 1], 2 * order.size, 0)
            tries[np.arange(order.size), order] = low[order]
            tries[order.size + np.arange(order.size), order] = high[order]
            value = values(pair, tries, c)
            k = int(value.argmin())
            if value[k] >= least[row]:
                break
            points[row], least[row] = tries[k], value[k]
    return Found(points, least)


def values(pair: Pair, x: Floats, goal: Both) -> Floats:
    """Return `goal · outputs` for codes (n, inputs), in doubles."""
    signals: Both = (x, x)
    for layer in pair.layers:
        a = signals[0] @ layer.fixed.value.T + layer.fixed_bias
        b = signals[1] @ layer.real.value.T + layer.real_bias
        signals = (climb(layer.steps, np.rint(a).astype(np.int64)).astype(np.float64), np.maximum(b, 0.0) if layer.relu else b)
    return (goal[0] * signals[0]).sum(-1) + (goal[1] * signals[1]).sum(-1)


def soft_gradient(pair: Pair, x: Floats, goal: Both, temperature: float) -> Floats:
    """Return gradients of `goal · outputs` at real inputs (n, inputs), with steps as sigmoids."""
    signals: Both = (x, x)
    rates: list[Both] = []
    for layer in pair.layers:
        a = signals[0] @ layer.fixed.value.T + layer.fixed_bias
        b = signals[1] @ layer.real.value.T + layer.real_bias
        code, rate = _soft(layer.steps, a, temperature)
        passes = (b > 0) | (not layer.relu)
        rates.append((rate, passes.astype(np.float64)))
        signals = (code, np.where(passes, b, 0.0))
    c = goal
    for layer, rate in zip(reversed(pair.layers), reversed(rates), strict=True):
        c = (c[0] * rate[0]) @ layer.fixed.value, (c[1] * rate[1]) @ layer.real.value
    return c[0] + c[1]


def _soft(steps: Rescale, a: Floats, temperature: float) -> Both:
    """Return codes with sigmoids as steps, and their slopes; as they are where nothing is rounded."""
    ramp = (steps.numerator * a + steps.offset) / steps.denominator
    whole = np.floor(ramp)
    step = 1 / (1 + np.exp(-(ramp - whole - 0.5) / temperature))
    foot = 1 / (1 + np.exp(0.5 / temperature))
    rounds = steps.denominator > 1
    code = np.where(rounds, whole + (step - foot) / (1 - 2 * foot), ramp)
    rate = np.where(rounds, step * (1 - step) / (temperature * (1 - 2 * foot)), 1.0) * steps.numerator / steps.denominator
    for end, sign in ((steps.lower, 1), (steps.upper, -1)):
        if end is not None:
            flat = sign * code < sign * end
            code, rate = np.where(flat, end, code), np.where(flat, 0.0, rate)
    return code, rate
