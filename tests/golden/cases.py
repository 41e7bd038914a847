"""One small query per operation, whose lowered text is kept in this directory.

`python -m tests.golden.cases` writes the files again; read the difference before you keep it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import bound
from qspec.ir import linear
from qspec.ir.integer import FALSE, TRUE, All, And, Any, Or, Query, check
from qspec.ir.integer_builder import Builder
from qspec.problem import SmtProblem
from qspec.theories import bitvector, integer, lp_text, milp

HERE = Path(__file__).parent


def problems(query: Query) -> dict[str, SmtProblem]:
    """Return the problems of a query by the suffix of their files."""
    bounds = bound(query.program)
    return {"bv": bitvector.lower(query, bounds), "lia": integer.lower(query, bounds)}


def linear_text(query: Query) -> str:
    """Return the mixed-integer linear problem of a query as an LP file."""
    return lp_text.lp(milp.lower(query, bound(query.program)))


def cases() -> dict[str, Query]:
    """Return the queries by name."""
    found = {f"rescale_{r.value.lower()}": _rescale(r) for r in Rounding}
    makers = (
        *(
            _input,
            _affine,
            _affine_convolution,
            _rescale_clamp,
            _rescale_float_scale,
            _rescale_thirds,
            _rescale_signed_tenths,
            _steps,
            _table,
        ),
        *(_product, _product_constant, _maximum, _wrap_signed, _wrap_unsigned, _formula, _constant, _names),
    )
    return found | {maker.__name__[1:]: maker() for maker in makers}


def _query(b: Builder, node: int, threshold: int) -> Query:
    """Ask whether some element of a node reaches a threshold."""
    reached = b.scale(node, 1, -threshold)
    return check(Query(b.program, Any(reached)))


def _rescale(rounding: Rounding) -> Query:
    b = Builder()
    return _query(b, b.rescale(b.input("x", [-20], [20]), 1, 4, rounding, offset=1), 3)


def _input() -> Query:
    b = Builder()
    x = b.input("x", [0, -3, 5, 7], [3, 2, 12, 7])
    return check(Query(b.program, All(x)))


def _affine() -> Query:
    b = Builder()
    x = b.input("x", [0, 1, 2], [3, 2, 9])
    y = b.input("y", [-2], [1])
    matrix = np.array([[3, -5, 4], [3, 0, -1], [-2, -5, 0]])
    return _query(b, b.affine([(linear.Dense(matrix), x), (linear.Dense(np.array([[1], [-3], [0]])), y)], [-7, 0, 2]), 25)


def _affine_convolution() -> Query:
    b = Builder()
    x = b.input("x", [0] * 4, [1, 3, 1, 2])
    kernel = np.array([[1, -2], [2, 3]]).reshape(2, 2, 1, 1)
    return _query(b, b.affine([(linear.Convolution(kernel, (2, 2, 1), padding=((0, 0), (1, 0))), x)]), 9)


def _rescale_clamp() -> Query:
    b = Builder()
    x = b.input("x", [-90], [90])
    return _query(b, b.rescale(x, 1, 8, Rounding.RND, lower=0, upper=7), 7)


def _rescale_float_scale() -> Query:
    b = Builder()
    x = b.input("x", [-60], [67])
    return _query(b, b.rescale(x, 1431655765, 1 << 35, Rounding.RND_CONV, offset=1 << 34, lower=-8, upper=3), 3)


def _rescale_thirds() -> Query:
    b = Builder()
    x = b.input("x", [0], [63])
    return _query(b, b.rescale(x, 2, 3, Rounding.TRN, offset=-1), 41)


def _rescale_signed_tenths() -> Query:
    b = Builder()
    x = b.input("x", [-40], [40])
    return _query(b, b.rescale(x, 3, 10, Rounding.RND_CONV), 12)


def _steps() -> Query:
    b = Builder()
    x = b.input("x", [-8], [7])
    return _query(b, b.steps(x, -1, [-9, -4, -4, 0, 3, 6, 20]), 4)


def _table() -> Query:
    b = Builder()
    x = b.input("x", [-3], [4])
    return _query(b, b.table(x, -4, [9, 0, 0, 1, 4, 1, 1, 1, -6, 9]), 4)


def _product() -> Query:
    b = Builder()
    x, y = b.input("x", [-3, 0], [4, 3]), b.input("y", [-2, 5], [1, 6])
    return _query(b, b.product(x, y), 17)


def _product_constant() -> Query:
    b = Builder()
    x = b.input("x", [-3, 0], [4, 3])
    return _query(b, b.product(x, b.constant([-5, 3])), 15)


def _maximum() -> Query:
    b = Builder()
    x = b.input("x", [0, -4, -9, 2], [3, 3, -1, 2])
    return _query(b, b.maximum(x, [[0, 1, -1], [1, 2, 3], [2, -1, -1]]), 3)


def _wrap_signed() -> Query:
    b = Builder()
    x = b.input("x", [-20, 9], [20, 22])
    return _query(b, b.wrap(x, [4, 5], True), 7)


def _wrap_unsigned() -> Query:
    b = Builder()
    x = b.input("x", [-20, 9], [20, 15])
    return _query(b, b.wrap(x, [4, 3], False), 15)


def _formula() -> Query:
    b = Builder()
    x = b.input("x", [-4, -4], [3, 3])
    shifted, doubled = b.scale(x, 1, -1), b.scale(x, -2, 3)
    above, below = b.scale(x, 1, 3), b.scale(x, -1)
    inner = Or((All(shifted), And((Any(x), Or((Any(doubled), FALSE))))))
    return check(Query(b.program, And((inner, All(above), Any(below), Or((Any(below), TRUE))))))


def _constant() -> Query:
    b = Builder()
    b.input("x", [5], [5])
    constant = b.constant([-1])
    return check(Query(b.program, All(constant)))


def _names() -> Query:
    b = Builder()
    nodes = [b.input(name, [0], [2]) for name in ("plain", "two words", "3", "a|b\\c", "", "let", "n1.0", "größe")]
    ones = linear.Dense(np.array([[1]]))
    return _query(b, b.affine([(ones, node) for node in nodes]), 15)


if __name__ == "__main__":
    for name, query in cases().items():
        for suffix, problem in problems(query).items():
            (HERE / f"{name}.{suffix}.smt2").write_text(problem.text)
        (HERE / f"{name}.lp").write_text(linear_text(query))
