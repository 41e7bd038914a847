"""One small real query per operation, whose text is kept in this directory: for SMT solvers, and in the dialect of dReal.

`python -m tests.golden.real_cases` writes the files again; read the difference before you keep it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qspec.ir.enclosure import bound
from qspec.ir.real import (
    FALSE,
    Affine,
    All,
    And,
    Any,
    Apply,
    Entries,
    Formula,
    Function,
    Input,
    Matrix,
    Maximum,
    Node,
    Or,
    Product,
    Query,
    check,
    exact,
)
from qspec.theories import real_smtlib
from qspec.theories.nested_terms import nest
from qspec_solvers.dreal import script
from tests.golden.cases import HERE

X = Input("x", exact([-1, Fraction(1, 3), 2]), exact([1, 2, 2]))
Y = Input("y", exact([Fraction(-1, 2)]), exact([3]))


def cases() -> dict[str, Query]:
    """Return the queries by name."""
    functions = {f"real_{f.value}": _query(X, Affine(((Matrix(exact([[1, 0, 1]])), 0),), exact([0])), Apply(1, f)) for f in Function}
    return {
        "real_affine": _query(X, Y, Affine(((Matrix(exact([[3, Fraction(1, 7), -1]])), 0), (_entries(), 1)), exact([Fraction(-1, 3)]))),
        **(functions | {"real_relu": _query(X, Apply(0, Function.RELU))}),
        "real_product": _query(X, Y, Affine(((Matrix(exact([[2, 1, 0]])), 0),), exact([0])), Product(1, 2)),
        "real_maximum": _query(X, Maximum(0, np.array([[0, 1, -1], [0, 2, 1], [1, -1, -1]]))),
        "real_formula": _formula(),
    }


def _entries() -> Entries:
    return Entries(1, 1, np.array([0]), np.array([0]), exact([Fraction(-5, 2)]))


def _query(*nodes: Node) -> Query:
    """Ask whether some element of the last node is above a number that it may reach."""
    ends = bound(nodes)[-1]
    level = [-((x.lower + x.upper) / 2).limit_denominator(8) for x in ends]
    shifted = Affine(((Matrix(exact(np.eye(len(ends)))), len(nodes) - 1),), exact(level))
    return check(Query((*nodes, shifted), Any(len(nodes), strict=True)))


def _formula() -> Query:
    doubled = Affine(((Matrix(exact([[2, 0, 0], [0, -2, 0]])), 0),), exact([0, 3]))
    inner: Formula = Or((All(1, strict=True), And((Any(1), Or((Any(0, strict=True), FALSE))))))
    return check(Query((X, doubled), And((inner, Any(1, strict=True), All(1)))))


if __name__ == "__main__":
    for name, query in cases().items():
        (HERE / f"{name}.smt2").write_text(real_smtlib.lower(query).text)
        nested = nest(query)
        if not isinstance(nested.goal, bool):
            (HERE / f"{name}.dreal.smt2").write_text(script(nested, 0.001, 0.0))
