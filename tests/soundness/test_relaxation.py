"""A relaxation has every solution of its query, so that `unsat` of it is a proof."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from qspec.arithmetic.rounding import Rounding, round_ratio
from qspec.bounds import tighten
from qspec.compile.relaxation import band, relax, rounding_error
from qspec.ir.integer import All, Query
from qspec.ir.integer_builder import Builder
from qspec.ir.real import Input, exact
from qspec.ir.real import Query as RealQuery
from qspec.problem import Fidelity, SmtProblem
from qspec.theories import real_smtlib
from tests.soundness import in_process
from tests.soundness.random_queries import random_query, solutions

SEEDS = range(40)
MOST = 12
"""Solutions of one query that are tried."""


def relaxed(query: Query) -> RealQuery:
    return relax(query, tighten.bound(query.program))


def fixed(query: Query, real: RealQuery, row: np.ndarray) -> RealQuery:
    """Return the relaxation with the inputs of the query at one assignment."""
    ends = np.cumsum([n.lower.size for n in query.inputs.values()])[:-1]
    values = dict(zip(query.inputs, np.split(row, ends), strict=True))
    nodes = [
        Input(n.name, exact(values[n.name]), exact(values[n.name])) if isinstance(n, Input) and n.name in values else n
        for n in real.program
    ]
    return replace(real, program=tuple(nodes))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_solution_is_a_solution_of_the_relaxation(seed: int) -> None:
    query = random_query(np.random.default_rng(seed), max_points=300, max_nodes=4)
    real, found = relaxed(query), solutions(query)
    for row in found[:: max(1, len(found) // MOST)]:
        assert in_process.z3(real_smtlib.lower(fixed(query, real, row))).status == "sat", row
    problem = real_smtlib.lower(real, tuple(query.inputs))
    assert (problem.fidelity, problem.whole) == (Fidelity.OVER, True)
    if in_process.z3(problem).status == "unsat":
        assert not len(found)


def test_relaxations_are_not_empty_promises() -> None:
    """Some of the queries without solutions are proved to have none."""
    queries = [random_query(np.random.default_rng(seed), max_points=300, max_nodes=4) for seed in range(100, 130)]
    proved = [in_process.z3(real_smtlib.lower(relaxed(q), tuple(q.inputs))).status == "unsat" for q in queries if not len(solutions(q))]
    assert sum(proved) >= 3


@pytest.mark.parametrize("rounding", Rounding)
def test_rounding_errors_are_within_their_range_and_touch_it(rounding: Rounding) -> None:
    rng = np.random.default_rng(1)
    slack = 0
    for _ in range(300):
        n, d, o, low = int(rng.integers(1, 13)), int(rng.integers(1, 13)), int(rng.integers(-20, 20)), int(rng.integers(-30, 30))
        points = np.arange(low, low + int(rng.integers(0, 40)) + 1)
        codes = round_ratio(n * points + o, np.int64(d) + 0 * points, rounding).tolist()
        errors = [code - Fraction(n * int(x) + o, d) for x, code in zip(points, codes, strict=True)]
        lower, upper = rounding_error(n, o, d, rounding, low, int(points[-1]))
        assert lower <= min(errors) <= max(errors) <= upper
        assert -1 < lower <= upper < 1
        slack += points.size >= 3 * d and (lower, upper) != (min(errors), max(errors))
    assert slack <= 60


def test_bands_are_exact() -> None:
    slope, (lower, upper) = band(np.array([0, 1, 2, 4]), np.array([0, 3, 1, 2]))
    assert (slope, lower, upper) == (Fraction(1, 2), 0, Fraction(5, 2))


def test_saturation_is_exact_where_nothing_is_rounded() -> None:
    b = Builder()
    x = b.input("x", [-9], [9])
    y = b.rescale(x, 2, 1, Rounding.TRN, lower=-4, upper=6)
    distance = b.difference(y, b.scale(x, 2))
    for least, status in ((14, "sat"), (15, "unsat")):
        goal = All(b.scale(distance, 1, -least))
        assert in_process.z3(real_smtlib.lower(relaxed(Query(b.program, goal)), ("x",))).status == status


def test_models_are_rounded_to_the_grid_and_errors_are_left_out() -> None:
    b = Builder()
    x = b.input("x", [-20, 3], [20, 3])
    rounded = b.rescale(x, 1, 4, Rounding.RND)
    problem = real_smtlib.lower(relaxed(Query(b.program, All(rounded))), ("x",))
    assert isinstance(problem, SmtProblem)
    assert [s.text for s in problem.symbols] == ["x_0"]
    assert problem.decode({"x_0": Fraction(19, 3)})["x"].tolist() == [6, 3]
    assert problem.decode({"x_0": Fraction(19, 3)})["x"].dtype == np.int64


def test_a_rounding_error_of_numbers_beyond_64_bits() -> None:
    """What is lost by rounding `2^70 (x + 1/2)` down to multiples of 2^70 is a half."""
    assert rounding_error(2**71, 2**70, 2**71, Rounding.TRN, 0, 5) == (Fraction(-1, 2), Fraction(-1, 2))
