"""A piecewise-linear program made ready for bounds: matrices in doubles, and how much rounding may cost at every node.

Every rounding error of a backward pass is at most a constant of the node times the Euclidean norm of the coefficients there (Cauchy and
Schwarz), since the node's elements are bounded on the whole box. So a rigorous bound costs one norm a node beside the plain one.
With n terms a dot product in any order, fused or not, is off by `n u / (1 - n u)` of the product of magnitudes (Higham 2002, 3.1); twice
of that and 16 units more are paid here, which also pays for the norms themselves. Underflow is below 2**-1022 an operation; LARGEST keeps
what it is multiplied with so small that FLUSHED pays for all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qspec.engines.delta.tensor_program import FloatProgram, Values, enclose, plan
from qspec.engines.outward import UNIT, Floats, Linear
from qspec.errors import UnsupportedError
from qspec.ir.real import Affine, Apply, Query

LARGEST = 2.0**60
"""Elements and coefficients of a network stay below."""
FLUSHED = 2.0**-300
"""Added once for everything that underflows."""


@dataclass(frozen=True, slots=True, eq=False)
class ReluNetwork:
    """A plan without maxima, and its ReLUs; `place` says where the elements of a ReLU node lie in a flat vector of all of them.

    `values` encloses all nodes on the box. Rounding costs at a node at most `cost` times the norm of the coefficients that it gets, and at
    a ReLU as much times that of those that it hands on; `again` is the same for a second sum of coefficients.
    """

    plan: FloatProgram
    relus: tuple[int, ...]
    place: dict[int, slice]
    values: Values
    cost: dict[int, float]
    again: dict[int, float]
    depth: tuple[int, ...]
    """How many ReLUs lie before a node at most."""

    @property
    def elements(self) -> int:
        """The number of elements of all ReLUs."""
        return sum(p.stop - p.start for p in self.place.values())

    def argument(self, k: int) -> int:
        """Return the node that a ReLU reads."""
        node = self.plan.program[k]
        assert isinstance(node, Apply)
        return node.argument


def network(query: Query) -> ReluNetwork:
    """Return the network of a query with ReLUs alone; raises UnsupportedError if it is too large, or its numbers are."""
    made = plan(query)
    with np.errstate(all="ignore"):
        values = enclose(np, made, made.lower[None], made.upper[None])
    magnitude = [np.maximum(np.abs(v.lower), np.abs(v.upper))[0] for v in values]
    relus = tuple(k for k, node in enumerate(made.program) if isinstance(node, Apply))
    place, end = dict[int, slice](), 0
    for k in relus:
        place[k] = slice(end, end := end + made.sizes[k])
    largest = max([float(m.max(initial=0.0)) for m in magnitude] + [_largest(made)])
    if not largest < LARGEST:
        raise UnsupportedError("numbers are too large for bounds in doubles", given=largest, expected=f"below {LARGEST:.0e}")
    cost = {k: _cost(made, k, magnitude) for k in range(len(made.program))}
    again = {k: 4 * UNIT * norm(m) for k, m in enumerate(magnitude)}
    return ReluNetwork(made, relus, place, values, cost, again, _depth(made))


def _depth(made: FloatProgram) -> tuple[int, ...]:
    depth: list[int] = []
    for node in made.program:
        match node:
            case Affine(terms):
                depth.append(max((depth[a] for _, a in terms), default=0))
            case Apply(a):
                depth.append(depth[a] + 1)
            case _:
                depth.append(0)
    return tuple(depth)


def _largest(made: FloatProgram) -> float:
    maps = [float(_magnitudes(t.backward).max(initial=0.0)) for terms in made.linear.values() for t in terms]
    return max([0.0, *maps])


def norm(x: Floats) -> float:
    """Return a number not below the norm of a vector."""
    return float(np.sqrt(np.sum(x * x))) * (1 + (x.size + 8) * UNIT) + 2.0**-500


def _magnitudes(m: Linear) -> Floats:
    return np.asarray(m.magnitude, dtype=np.float64)


def _cost(made: FloatProgram, k: int, magnitude: list[Floats]) -> float:
    """Return what rounding costs at a node for coefficients of norm 1."""
    node = made.program[k]
    own = (2 * made.sizes[k] + 16) * UNIT
    match node:
        case Affine():
            bias = made.bias[k]
            middle, radius = np.abs(bias.lower) + np.abs(bias.upper), bias.upper - bias.lower
            total = own * norm(middle[0]) + norm(radius[0]) * (1 + own)
            for term in made.linear[k]:
                # What `c @ m` is off by, in each column, times the largest magnitude of the element that the column belongs to.
                share = (2 * term.backward.terms + 16) * UNIT
                total += share * _weighted(term.backward, magnitude[term.argument])
            return total
        case Apply(a):
            return own * norm(magnitude[a])
        case _:
            return own * norm(magnitude[k])


def _weighted(m: Linear, reach: Floats) -> float:
    """Return the sum over columns of the norm of a column of a map times the magnitude of its element; `m` is the transposed map."""
    magnitudes = _magnitudes(m)
    norms = np.abs(magnitudes) if magnitudes.ndim == 1 else np.sqrt((magnitudes * magnitudes).sum(1))
    return float((norms * reach).sum()) * (1 + (norms.size + magnitudes.shape[-1] + 16) * UNIT)
