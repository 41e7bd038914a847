"""What HiGHS says in floating point decides nothing: proofs are sums of rows on integers, solutions meet every row."""

from __future__ import annotations

import itertools
import time
from math import inf
from typing import Any

import numpy as np
import pytest

import qspec as qs
from qspec.problem import OPEN, MilpProblem, Symbol
from qspec.solver import Limits, Reason
from qspec_solvers._workers.branch import Tree
from qspec_solvers._workers.exact_rows import meets, propagate, refutes, rows
from qspec_solvers._workers.run_highs import Simplex, decided
from qspec_solvers.highs import Highs
from tests.unit.naive_milp import feasible

Given = dict[str, Any]


def problem(matrix: list[list[int]], low: list[int], high: list[int], top: list[int], bottom: list[int] | None = None) -> MilpProblem:
    """Return `low <= matrix x <= high` over `bottom <= x <= top`; every column is asked for."""
    full = np.array(matrix, dtype=np.int64)
    terms = [np.flatnonzero(row) for row in full]
    names = tuple(f"c{k}" for k in range(full.shape[1]))
    starts = np.cumsum([0, *map(len, terms)])
    columns = np.concatenate(terms)
    weights = np.concatenate([row[t] for row, t in zip(full, terms, strict=True)])
    symbols = tuple(Symbol(name, "Int", "x", k) for k, name in enumerate(names))
    lower = np.zeros(len(names), dtype=np.int64) if bottom is None else np.array(bottom, dtype=np.int64)
    whole = np.ones(len(names), dtype=bool)
    ends = np.array(low, dtype=np.int64), np.array(high, dtype=np.int64)
    return MilpProblem(names, lower, np.array(top, dtype=np.int64), whole, starts, columns, weights, *ends, symbols, {})


def given(of: MilpProblem) -> Given:
    arrays = {n: getattr(of, n).tolist() for n in ("lower", "upper", "integral", "starts", "columns", "coefficients")}
    return {
        **arrays,
        "row_lower": of.row_lower.tolist(),
        "row_upper": of.row_upper.tolist(),
        "wanted": {n: k for k, n in enumerate(of.names)},
    }


def equations(seed: int, largest: int) -> tuple[MilpProblem, np.ndarray]:
    """Return three equations with six columns, and a solution of them."""
    rng = np.random.default_rng(seed)
    matrix = np.where(rng.random((3, 6)) < 0.75, rng.integers(-127, 128, (3, 6)), 0)
    matrix[:, 0] |= 1
    solution = rng.integers(0, largest + 1, 6)
    right = (matrix @ solution).tolist()
    return problem(matrix.tolist(), right, right, [largest] * 6), solution


def model(answer: str, of: MilpProblem) -> np.ndarray:
    values = dict(line.strip("()").split() for line in answer.splitlines()[3:-1])
    return np.array([int(values[n]) for n in of.names])


FALSE_VERDICT = problem(
    [[79, -106, -82, -67, -81, 0], [0, 21, -117, -103, -43, -17], [0, -5, -60, 0, 49, 60]], [-1933, -926, 376], [-1933, -926, 376], [15] * 6
)
"""HiGHS 1.15.1 with mip_feasibility_tolerance=1e-10 calls it infeasible, and 3 12 7 0 4 11 is a solution."""


@pytest.mark.parametrize("options", [(), ("mip_feasibility_tolerance=1e-10",)])
def test_a_program_that_highs_calls_infeasible_has_its_solution(options: tuple[str, ...]) -> None:
    assert meets(rows(given(FALSE_VERDICT)), np.array([3, 12, 7, 0, 4, 11]))
    answer = Highs(options=options).solve(FALSE_VERDICT, Limits())
    assert (answer.status, answer.numerical) == ("sat", False)
    assert answer.model is not None
    assert meets(rows(given(FALSE_VERDICT)), np.array([answer.model[n] for n in FALSE_VERDICT.names]))


def test_the_property_of_that_program_is_violated() -> None:
    net = qs.load("digits-6bit")
    x = net.input("x")
    cells = [x.code[0, j, 0] for j in range(6)]
    assumed = cells[0] >= 0
    for cell in cells:
        assumed = assumed & (cell >= 0) & (cell <= 15)
    for r, right in enumerate(FALSE_VERDICT.row_lower.tolist()):
        terms = slice(*FALSE_VERDICT.starts[r : r + 2].tolist())
        pairs = zip(FALSE_VERDICT.coefficients[terms].tolist(), FALSE_VERDICT.columns[terms].tolist(), strict=True)
        assumed = assumed & (sum(w * cells[c] for w, c in pairs) == right)
    claim = qs.forall(x, given=assumed, then=cells[0] <= -1, name="negative")
    assert qs.verify(claim, solver="highs", attack=False).verdict is qs.Verdict.VIOLATED


def check_soak(seeds: range, largest: int) -> None:
    for seed in seeds:
        of, _ = equations(seed, largest)
        said = decided(given(of), inf, [])
        assert said.startswith("sat"), (seed, said)
        assert ":rounded" not in said, seed
        assert meets(rows(given(of)), model(said, of)), seed


def test_no_program_with_a_solution_is_called_infeasible() -> None:
    check_soak(range(300), 7)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(300, 10_300, 1000))
def test_no_program_with_a_solution_is_called_infeasible_campaign(first: int) -> None:
    check_soak(range(first, first + 1000), 31)


def check_exhaustion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-9, 10, (rng.integers(1, 5), 4))
    matrix[:, 0] |= 1
    low = rng.integers(-30, 31, len(matrix))
    high = low + rng.integers(0, 4, len(matrix))
    low, high = np.where(rng.random(len(low)) < 0.2, -OPEN, low), np.where(rng.random(len(low)) < 0.2, OPEN, high)
    of = problem(matrix.tolist(), low.tolist(), high.tolist(), rng.integers(-2, 6, 4).tolist(), [-2] * 4)
    assert decided(given(of), inf, []).split()[0] == ("unsat" if feasible(of, {}) is None else "sat"), seed


@pytest.mark.parametrize("seed", range(120))
def test_small_programs_are_decided_as_by_exhaustion(seed: int) -> None:
    check_exhaustion(seed)


@pytest.mark.slow
def test_small_programs_are_decided_as_by_exhaustion_campaign() -> None:
    """It takes 20 s: three programs in five have no solution."""
    for seed in range(10_000):
        check_exhaustion(seed)


class Liar:
    """A relaxation that says anything: mostly infeasible, by any ray."""

    def __init__(self, seed: int, columns: int, constraints: int) -> None:
        self.rng, self.columns, self.constraints = np.random.default_rng(seed), columns, constraints

    def solve(self, lower: Any, upper: Any) -> tuple[Any, Any]:
        values = self.rng.uniform(-99, 99, self.columns) if self.rng.random() < 0.3 else None
        scale = 10.0 ** self.rng.uniform(-12, 12)
        return values, self.rng.normal(size=self.constraints) * scale if values is None else None


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_relaxation_says_the_answer_is_right(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-5, 6, (3, 3))
    matrix[:, 0] |= 1
    right = (matrix @ rng.integers(0, 5, 3) + (seed % 2) * rng.integers(0, 2, 3)).tolist()
    of = problem(matrix.tolist(), right, right, [4] * 3)
    tree = Tree(rows(given(of)), Liar(seed, 3, 3), [(of.lower.copy(), of.upper.copy())])
    assert tree.search(time.monotonic() + 600) is (feasible(of, {}) is not None)
    assert tree.solution is None or meets(tree.rows, tree.solution)


@pytest.mark.parametrize("seed", range(60))
def test_no_multiplier_refutes_a_box_with_a_solution_and_no_bound_loses_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-9, 10, (2, 3)) * 10 ** int(rng.integers(0, 12))
    matrix[:, 0] += matrix[:, 0] == 0
    right = (matrix @ rng.integers(0, 4, 3)).tolist()
    of = problem(matrix.tolist(), right, right, [3] * 3)
    exact = rows(given(of))
    points = [np.array(p) for p in itertools.product(range(4), repeat=3)]
    found = [p for p in points if meets(exact, p)]
    assert found
    lower, upper = of.lower.copy(), of.upper.copy()
    assert propagate(exact, lower, upper)
    assert all(np.all((lower <= p) & (p <= upper)) for p in found)
    assert not any(refutes(exact, rng.normal(size=2) * 10.0 ** rng.uniform(-9, 9), of.lower, of.upper) for _ in range(50))


def test_a_ray_is_rounded_and_still_refutes() -> None:
    of = problem([[3, 5], [1, -2]], [16, -OPEN], [OPEN, -1], [2, 1])
    exact, box = rows(given(of)), (of.lower, of.upper)
    assert refutes(exact, np.array([1.0 + 1e-9, 1e-17]), *box)
    assert not refutes(exact, np.array([0.0, 1.0]), *box)
    assert not refutes(exact, np.array([np.nan, 1.0]), *box)
    wide = problem([[2**40, -(2**40) - 1]], [2**41], [OPEN], [1, 1])
    assert refutes(rows(given(wide)), np.array([1e300]), wide.lower, wide.upper)


def test_what_only_floating_point_calls_infeasible_is_unknown() -> None:
    """No sum of these rows contradicts: what is wrong is a remainder by 3, which branching would not find in a year."""
    of = problem([[3, 6, -3]], [1], [1], [10**6] * 3)
    answer = Highs().solve(of, Limits(seconds=2))
    assert (answer.status, answer.reason) == ("unknown", Reason.NUMERICAL), answer
    assert "z3" in answer.detail


def test_coefficients_that_highs_would_drop_are_refused() -> None:
    answer = Highs().solve(problem([[10**15, 1]], [1], [OPEN], [1, 1]), Limits())
    assert (answer.status, answer.reason) == ("unknown", Reason.UNSUPPORTED)
    assert "1000000000000000" in answer.detail
    far = Highs().solve(problem([[2**40, 1]], [1], [OPEN], [2**20, 1]), Limits())
    assert (far.status, far.reason) == ("unknown", Reason.UNSUPPORTED)
    assert "2**53" in far.detail
    dropped = Highs(options=("small_matrix_value=0.5",)).solve(problem([[1, 2]], [3], [3], [1, 1]), Limits())
    assert dropped.status in ("sat", "unknown")


def test_rows_and_columns_of_nothing() -> None:
    for end, status in ((0, "sat"), (1, "unsat")):
        empty: Given = {n: [] for n in ("lower", "upper", "integral", "columns", "coefficients")}
        assert decided({**empty, "starts": [0, 0], "row_lower": [end], "row_upper": [OPEN], "wanted": {}}, inf, []).split()[0] == status
    free = problem([[1, 1]], [-OPEN], [OPEN], [3, 3])
    assert decided(given(free), inf, []).startswith("sat")
    assert Simplex(given(free)).solve(free.lower, free.upper)[1] is None
