"""Inputs at which a combination of outputs is small: gradients through both networks, with steps that begin as ramps.

A step is replaced by a sigmoid of its rounding, whose temperature falls: at first its slope is nearly that of the ramp, at last it pulls
sums over the one step that matters, of all neurons at once. (A plain "straight through" gradient cannot see which way a sum will be
rounded; on networks of 4 bits it found errors half as large.) The real inputs that Adam moves are rounded to codes. Values are doubles:
codes are exact as long as integers are, real signals are rounded. So what is found is a candidate, which exact arithmetic judges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.deadline import NEVER, Deadline
from qspec.engines.difference.aligned_layers import LayerPair, Pair
from qspec.engines.difference.dual import Both, Goal
from qspec.engines.outward import Floats
from qspec.ir.staircase import Rescale, climb

WARM, COLD = 0.25, 0.03
"""Temperatures, in steps, at the start and at the end."""
FAST, SLOW = 0.3, 0.03
"""Sizes of steps, in radii of the box."""
MOVES, REST, LEADERS = 200, (10, 15), 2
"""Moves that a round of tabu search compares, rounds that a moved code rests, and rows that it starts from."""
WORK, LEAST_ROUNDS = 2**33, 16
"""Multiplications that one tabu search may take, and rounds that it has in any case."""
STARTS = 64
"""Random starts of all rows together, but for two of each."""


class Effort(NamedTuple):
    """How many random starts an attack has, and how many rounds of tabu search follow."""

    starts: int
    rounds: int


FIRST, LATER = Effort(4, 200), Effort(32, 1000)
"""What is spent before anything is cut, and between cuts."""


class WorstInputs(NamedTuple):
    """The best input of each row (rows, inputs), and the value there in doubles, (rows,)."""

    point: Floats
    value: Floats


def attack(pair: Pair, low: Floats, high: Floats, goal: Goal, seed: int, effort: Effort, deadline: Deadline = NEVER) -> WorstInputs:
    """Look for codes in the box `low`..`high` (inputs,) at which rows of a goal are small: by gradients, then by tabu search.

    At the deadline the best so far is returned.
    """
    found = _descend(pair, low, high, goal.coefficients, seed, effort.starts, deadline)
    return _walk(pair, low, high, goal, found, seed, effort.rounds, deadline)


def _descend(
    pair: Pair, low: Floats, high: Floats, goal: Both, seed: int, starts: int, deadline: Deadline, rounds: int = 150
) -> WorstInputs:
    """Follow gradients from the middle of the box, from `starts` points at random (fewer, if rows are many), and from as many corners."""
    random, rows = np.random.default_rng(seed), goal[0].shape[0]
    count = max(2, min(starts, STARTS // rows))
    share = random.random((2 * count, low.size))
    share[count:] = np.rint(share[count:])
    x = np.concatenate([np.rint((low + high) / 2)[None], low + share * (high - low)])
    each = len(x)
    c = (np.repeat(goal[0], each, 0), np.repeat(goal[1], each, 0))
    x = np.tile(x, (rows, 1))
    best = np.rint(x)
    value = values(pair, best, c)
    first, second = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, rounds + 1):
        if deadline.passed():
            break
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
    return WorstInputs(best.reshape(rows, each, -1)[np.arange(rows), place], value.reshape(rows, each)[np.arange(rows), place])


def _walk(pair: Pair, low: Floats, high: Floats, goal: Goal, found: WorstInputs, seed: int, rounds: int, deadline: Deadline) -> WorstInputs:
    """Go on from the most promising rows by tabu search: of some codes, each moved to an end of the box, the best move is made.

    It is made even if it makes things worse, and its code then rests for some rounds, unless that would beat the best. Source: Glover,
    *Tabu search*, 1989.
    """
    points, least = found.point.copy(), found.value.copy()
    free = np.flatnonzero(low < high)
    if free.size:
        random = np.random.default_rng(seed)
        rounds = min(rounds, max(LEAST_ROUNDS, WORK // (min(MOVES, 2 * free.size) * _work(pair))))
        for row in np.argsort(found.value + goal.constant)[:LEADERS].tolist():
            c = goal.coefficients[0][row : row + 1], goal.coefficients[1][row : row + 1]
            points[row], least[row] = _tabu(pair, low, high, c, points[row], free, random, rounds, deadline)
    return WorstInputs(points, least)


def _tabu(
    pair: Pair,
    low: Floats,
    high: Floats,
    goal: Both,
    point: Floats,
    free: IntArray,
    random: np.random.Generator,
    rounds: int,
    deadline: Deadline,
) -> tuple[Floats, float]:
    """Return the best codes on the way from a point (inputs,), and their value."""
    first = pair.layers[0]
    matrices = first.fixed.value.T, first.real.value.T
    x, best, least = point.copy(), point, float(values(pair, point[None], goal)[0])
    rests = np.zeros(x.size, dtype=np.int64)
    ends = np.concatenate([free, free + x.size])  # a code to its low end, or to its high one
    for t in range(1, rounds + 1):
        if deadline.passed():
            break
        a, b = x @ matrices[0] + first.fixed_bias, x @ matrices[1] + first.real_bias
        chosen = random.choice(ends, MOVES, replace=False) if ends.size > MOVES else ends
        place = chosen % x.size
        step = np.where(chosen < x.size, low[place], high[place]) - x[place]
        value = _onward(pair, (a + matrices[0][place] * step[:, None], b + matrices[1][place] * step[:, None]), goal)
        allowed = (step != 0) & ((rests[place] <= t) | (value < least))
        if not allowed.any():
            continue
        k = int(np.where(allowed, value, np.inf).argmin())
        x[place[k]] += step[k]
        rests[place[k]] = t + int(random.integers(*REST))
        if value[k] < least:
            best, least = x.copy(), float(value[k])
    return best, least


def _work(pair: Pair) -> int:
    """Return the multiplications of one move in both networks."""
    return 2 * (pair.layers[0].size + sum(layer.fixed.value.size for layer in pair.layers[1:]))


def values(pair: Pair, x: Floats, goal: Both) -> Floats:
    """Return `goal · outputs` for codes (n, inputs), in doubles."""
    return _onward(pair, _sums(pair.layers[0], (x, x)), goal)


def _sums(layer: LayerPair, signals: Both) -> Both:
    return signals[0] @ layer.fixed.value.T + layer.fixed_bias, signals[1] @ layer.real.value.T + layer.real_bias


def _onward(pair: Pair, sums: Both, goal: Both) -> Floats:
    """Return `goal · outputs` for sums of the first layer, (n, elements)."""
    signals: Both = sums
    for k, layer in enumerate(pair.layers):
        a, b = _sums(layer, signals) if k else sums
        signals = (climb(layer.steps, np.rint(a).astype(np.int64)).astype(np.float64), np.maximum(b, 0.0) if layer.relu else b)
    return (goal[0] * signals[0]).sum(-1) + (goal[1] * signals[1]).sum(-1)


def soft_gradient(pair: Pair, x: Floats, goal: Both, temperature: float) -> Floats:
    """Return gradients of `goal · outputs` at real inputs (n, inputs), with steps as sigmoids."""
    signals: Both = (x, x)
    rates: list[Both] = []
    for layer in pair.layers:
        a, b = _sums(layer, signals)
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
