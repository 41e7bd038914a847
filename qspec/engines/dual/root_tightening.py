"""Sharper bounds of what deep nodes read: the dual with one element in the place of a sum of facts.

Plain slopes suit every element equally; here each has its own. Source of the method: optimised intermediate bounds, Xu et al. 2021.
"""

from __future__ import annotations

import numpy as np

from qspec.arithmetic.integers import IntArray
from qspec.bounds.interval import Interval
from qspec.deadline import Deadline
from qspec.engines.dual.batching import Runner, Target
from qspec.engines.dual.domain import Domain
from qspec.engines.dual.integer_closing import close
from qspec.engines.dual.proof_tree import Proof
from qspec.engines.dual.tensor_program import Shape
from qspec.ir.integer import Affine, Program, Staircase, Table, Wrap, arguments

BITS = 22
"""Of weights and multipliers: few, so that products are exact in doubles."""
MOST = 1024
"""Bounds of one node that are asked for at most; beyond that all of them stay as they are."""
NO_FACTS = np.zeros((0, 3), dtype=np.int64)


def deep(program: Program, shape: Shape) -> list[int]:
    """Return the affine nodes that a relaxed node reads and that depend on another one, from the inputs on."""
    relaxed = {k for k, _, _ in shape.places}
    below: list[bool] = []
    for k, node in enumerate(program):
        below.append(k in relaxed or any(below[a] for a in arguments(node)))
    return sorted({a for k in relaxed for a in arguments(program[k]) if isinstance(program[a], Affine) and below[a]})


def wanted(program: Program, shape: Shape, domain: Domain) -> int:
    """Return how many bounds of a domain might be sharpened."""
    return sum(len(_targets(program, shape, domain, node)) for node in deep(program, shape))


def sharpened(runner: Runner, program: Program, proof: Proof, domain: Domain, node: int, deadline: Deadline) -> Interval:
    """Return sharper bounds of one node in a domain, for which its proof has steps then."""
    known = domain.known[node]
    lower, upper = known.lower.copy(), known.upper.copy()
    asked = _targets(program, runner.view.shape, domain, node)
    for begin in range(0, len(asked) if len(asked) <= MOST else 0, runner.size):
        if deadline.passed():
            break
        _bound(runner, program, proof, domain, asked[begin : begin + runner.size], lower, upper)
    return Interval(lower, upper)


def _targets(program: Program, shape: Shape, d: Domain, node: int) -> list[Target]:
    """Return both bounds of the elements that are not fixed, as far as a reader can tell."""
    x = d.known[node]
    free = np.zeros(x.lower.size, dtype=np.bool_)
    for k, _, _ in shape.places:
        reader = program[k]
        if isinstance(reader, Staircase | Table | Wrap) and reader.argument == node:
            free |= d.known[k].lower < d.known[k].upper
        elif node in arguments(reader):
            free[:] = True
    return [(node, int(e), sign) for e in np.flatnonzero(free & (x.lower < x.upper)) for sign in (1, -1)]


def _bound(runner: Runner, program: Program, proof: Proof, d: Domain, part: list[Target], lower: IntArray, upper: IntArray) -> None:
    """Ask for some bounds at once, and write down what integers confirm."""
    view, count = runner.view, len(part)
    blank = Domain(d.known, np.zeros_like(d.facts), np.zeros_like(d.facts), (), d.proof)
    assembly = runner.assemble([blank] * count, part)
    found = runner.maximize_dual(assembly)
    known = {k: Interval(x.lower[:count], x.upper[:count]) for k, x in assembly.known.items()}
    done = close(program, view.layout, view.shape, known, found.weight[:count], found.multipliers[:count], BITS)
    place = {n: first for n, first, _ in view.shape.facts}
    for (node, element, sign), least, multipliers, weights in zip(part, done.bound, done.multipliers, done.weights, strict=True):
        coefficient = -int(weights[place[node] + element])
        value = -(-int(least) // coefficient) if sign > 0 else int(least) // coefficient  # from: coefficient x >= least
        if sign > 0 and value > lower[element]:
            lower[element] = value
        elif sign < 0 and value < upper[element]:
            upper[element] = value
        else:
            continue
        proof.bound(d.proof, node, element, coefficient, multipliers, NO_FACTS)
