"""What a search found in the part of a program that is not fixed, said of the whole program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval
from qspec.bounds.layout import Layout
from qspec.engines.dual.outcome import Outcome
from qspec.engines.dual.proof_tree import BOUND, SPLIT, ProofArrays
from qspec.ir.integer import Input, Query, formula_nodes
from qspec.ir.live import Live, live, pays


def smaller(query: Query, known: list[Interval]) -> Live | None:
    """Return the part of the program that its first bounds do not fix; None if that is most of it, or little in any case.

    The nodes of the goal stay as they are.
    """
    bounds = [(x.lower, x.upper) for x in known]
    return live(query.program, bounds, formula_nodes(query.goal)) if pays(bounds) else None


def lifted(outcome: Outcome, part: Live, query: Query) -> Outcome:
    """Return an outcome about the part as one about the query: fixed elements have their values, and no multipliers."""
    solution = None if outcome.solution is None else _solution(outcome.solution, part, query)
    layout = Layout.of(query.program)
    proof, partial = (None if a is None else _arrays(a, part, layout) for a in (outcome.proof, outcome.partial))
    return replace(outcome, solution=solution, proof=proof, partial=partial)


def _solution(found: Mapping[str, IntArray], part: Live, query: Query) -> dict[str, IntArray]:
    solution: dict[str, IntArray] = {}
    for k, node in enumerate(query.program):
        if isinstance(node, Input):
            values = part.values[k].copy()
            values[part.index[k]] = found[node.name]
            solution[node.name] = values
    return solution


def _arrays(arrays: ProofArrays, part: Live, layout: Layout) -> ProofArrays:
    steps, weights = arrays.steps.copy(), arrays.weights.copy()
    at = np.flatnonzero(np.isin(steps[:, 0], (SPLIT, BOUND)))
    steps[at, 2] = [part.index[node][element] for node, element in steps[at, 1:3].tolist()]
    weights[:, 2] = [part.index[node][element] for node, element in weights[:, 1:3].tolist()]
    places = part.places(layout.places)
    slopes, multipliers = (np.zeros((*a.shape[:-1], layout.total), dtype=np.int64) for a in (arrays.slopes, arrays.multipliers))
    slopes[..., places], multipliers[..., places] = arrays.slopes, arrays.multipliers
    return ProofArrays(steps, slopes, multipliers, weights)
