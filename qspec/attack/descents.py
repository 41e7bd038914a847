"""Adam straight through the roundings, for networks of which one evaluation is dear: few points, many steps, the nearest rivals first.

The iterate is real and is looked at rounded, so that steps of less than one code add up. Sources: Kingma and Ba 2015; gradients through
roundings, Bengio, Léonard, Courville 2013.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.attack.aims import FREE
from qspec.attack.means import Scene, Stream, hits

DEAR = 1 << 21
"""Multiplications of one evaluation from which these searches are the better ones."""
SEARCHES, STEPS = 3, 40
"""Searches at a time, and steps of each."""
RATE, LEAST_RATE = 0.25, 0.6
"""First step as a share of the half width of the box, and the last one in codes, at least; between them it falls evenly."""
FIRST, SECOND, TINY = 0.9, 0.99, 1e-12
"""Decay of the means of slopes and of their squares, and what keeps the quotient finite."""


def descents(scene: Scene) -> Stream:
    """Search from the centre, then from random points, each search towards one of the rivals that are nearest at the centre."""
    turn = 0
    ranked = _ranked(scene)
    half = (scene.upper - scene.lower) / 2
    while True:
        aims = _dealt(ranked, SEARCHES, turn)
        at = scene.centre()[None] + (scene.rng.random((SEARCHES, scene.box.size), np.float32) - 0.5) * half * (0.5 if turn == 0 else 2)
        first, second = np.zeros_like(at), np.zeros_like(at)
        for step in range(STEPS):
            points = np.clip(np.rint(at), scene.lower, scene.upper).astype(scene.smooth.dtype)
            looked = scene.look(points, aims, slopes=True)
            scene.keep(points, looked.scores)
            yield hits(points, looked)
            assert looked.slopes is not None
            slopes = looked.slopes / (np.abs(looked.slopes).max(axis=1, keepdims=True) + TINY)
            first, second = FIRST * first + (1 - FIRST) * slopes, SECOND * second + (1 - SECOND) * slopes**2
            bias = (1 - FIRST ** (step + 1)) / np.sqrt(1 - SECOND ** (step + 1))
            rate = np.maximum(RATE * half, LEAST_RATE) * (1 - step / STEPS)
            at = np.clip(at + rate * first / bias / (np.sqrt(second) + TINY), scene.lower, scene.upper)
        turn += 1


def _ranked(scene: Scene) -> list[IntArray]:
    """Return the members of each disjunction, those first that score most at the centre."""
    found: list[IntArray] = []
    for k, members in enumerate(scene.smooth.options):
        aims = np.full((max(1, len(members)), len(scene.smooth.options)), FREE)
        aims[: len(members), k] = members
        scores = scene.look(np.repeat(scene.centre()[None], len(aims), axis=0), aims).scores
        found.append(members[np.argsort(-scores[: len(members)], kind="stable")])
    return found


def _dealt(ranked: list[IntArray], count: int, turn: int) -> IntArray:
    """Return an aim for each search, (count, disjunctions): the best members first, later ones in later turns; the last is free."""
    aims = np.full((count, len(ranked)), FREE)
    for k, members in enumerate(ranked):
        if len(members):
            own = (np.arange(count - 1) + turn * (count - 1)) % len(members)
            aims[:-1, k] = members[own]
    return aims
