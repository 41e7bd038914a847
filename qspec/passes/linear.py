"""Decide and flatten by linear bounds, once intervals have done what they can.

Source of the method: CROWN, Zhang et al. 2018; DeepPoly, Singh et al. 2019; here in exact integers.
"""

from __future__ import annotations

from dataclasses import dataclass

from qspec.bounds import tighten
from qspec.bounds.interval import bound_node
from qspec.deadline import NEVER, Deadline
from qspec.ir.integer import Query, Truth, formula_nodes
from qspec.passes.base import Reduced, is_empty, trivial
from qspec.passes.decide_goal import decided
from qspec.passes.stable_neurons import flattened


@dataclass(frozen=True, slots=True)
class LinearBounds:
    """Do what `stairs` and `decide` do, with backward linear bounds."""

    name: str = "linear"
    deadline: Deadline = NEVER

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        if is_empty(query):
            return trivial(query, False)
        known = tighten.bound(query.program, tuple(formula_nodes(query.goal)), self.deadline)
        (left,) = decided(query, known)
        if isinstance(left.query.goal, Truth):
            return (left,)
        for node in left.query.program[len(query.program) :]:
            known.append(bound_node(node, known))  # elements of the goal, selected: no looser than the node that they are of
        return (Reduced(flattened(left.query, known), left.lift, left.multiplicity),)
