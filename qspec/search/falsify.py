"""The search for an assignment that makes a goal true, before anything is proved."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from qspec.bounds.interval import bound, decide
from qspec.deadline import NEVER, Deadline
from qspec.errors import SoundnessError, UnsupportedError
from qspec.evaluate.reference import satisfies
from qspec.integers import IntArray, shrink
from qspec.ir import Affine, Program, Query, sizes
from qspec.linear import Convolution, Dense, LinearMap, Sparse
from qspec.search.box import Box
from qspec.search.local import draw, first_solution, stroll

LISTED = 4096
"""Boxes of at most so many points are listed instead."""
SAMPLE = 64
"""Points of the first sample."""
SAMPLE_WORK = 2**19
"""Multiplications that the first sample may take."""
LOCAL_WORK = 2**24
"""Multiplications that the search in numpy spends."""
COMPILED_WORK = 1000
"""Multiplications in one evaluation of a program from which a compilation is worth its time."""
COMPILATION = 2.5
"""Seconds that a search must have left to begin one; on an idle core compiling an attack took 2 to 5."""


def falsify(query: Query, deadline: Deadline = NEVER, *, seed: int = 0, restarts: int = 64, rounds: int = 2) -> dict[str, IntArray] | None:
    """Search for an assignment within bounds that makes the goal true; None means that none was found, not that there is none.

    A small box is listed, others are sampled and searched by greedy walks in numpy; unless the program is tiny, `rounds` rounds of an
    attack on the device follow, each by gradients from `restarts` points and then by greedy moves, compiled once for all programs of one
    structure. The deadline is looked at between batches, and nothing is compiled that it leaves no time for; without one equal seeds give
    equal answers. Every answer has been checked by the reference evaluator; raises SoundnessError if that finds a solution of the device
    to be none.
    """
    box = Box.of(query)
    known = bound(query.program)
    if box.points == 0 or decide(query.goal, known) is False:
        return None
    rng = np.random.default_rng(seed)
    if box.points <= LISTED:
        return _checked(query, box, first_solution(query, box, box.listed(0, box.points)))
    work = multiplications(query.program)
    point = _locally(query, box, rng, deadline, work)
    if point is None and work >= COMPILED_WORK and not deadline.passed():
        # Imported here so that small queries do without JAX.
        from qspec.search.attack import Attack

        try:
            attack = Attack.prepare(query, known)
        except UnsupportedError:
            return None
        if attack.is_compiled(restarts) or deadline.affords(COMPILATION):
            point = attack.run(rng, deadline, restarts=restarts, rounds=rounds)
    return _checked(query, box, point)


def _locally(query: Query, box: Box, rng: np.random.Generator, deadline: Deadline, work: int) -> IntArray | None:
    """Sample, then walk as far as the budget of multiplications leads."""
    point = first_solution(query, box, draw(box, rng, max(3, min(SAMPLE, SAMPLE_WORK // max(1, work)))))
    walkers, moves = 16, 16
    steps = min(64, LOCAL_WORK // (walkers * moves * max(1, work)))
    if point is not None or steps < 8:
        return point
    return stroll(query, box, rng, walkers=walkers, moves=moves, steps=steps, deadline=deadline)


def _checked(query: Query, box: Box, point: IntArray | None) -> dict[str, IntArray] | None:
    if point is None:
        return None
    assignment = box.split(shrink(point))
    if not satisfies(query, assignment):
        raise SoundnessError("a solution that the search reports is none by the reference evaluator", given=assignment)
    return assignment


def multiplications(program: Program) -> int:
    """Return how many multiplications one evaluation takes, counting one for every element that is not an affine map."""
    return sum(
        sum(_products(m) for m, _ in node.terms) if isinstance(node, Affine) else size
        for node, size in zip(program, sizes(program), strict=True)
    )


def _products(m: LinearMap) -> int:
    match m:
        case Dense(matrix):
            return matrix.size
        case Sparse():
            return m.coefficients.size
        case Convolution():
            return m.outputs * m.kernel[..., 0].size
        case _:
            assert_never(m)
