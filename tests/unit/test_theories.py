"""Both lowerings are exact: random queries, all roundings, all options, loose and tight bounds, wide numbers, any name."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qspec.arithmetic.integers import integers
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval, bound, bound_node
from qspec.ir import linear
from qspec.ir.integer import All, And, Any, Input, Query, check
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import evaluate, satisfies
from qspec.ir.staircase import Rescale, Steps, climb
from qspec.problem import SmtProblem, Symbol
from qspec.theories import bitvector, integer, pieces
from qspec.theories.pieces import FloorDivision
from qspec.theories.smtlib_text import symbol_name
from qspec.theories.sums import SumOptions
from tests.golden.cvc5_answer import cvc5
from tests.soundness import in_process
from tests.soundness.random_queries import KINDS, assignments, random_query, solutions

SUMS = [
    SumOptions(balanced, widths, products, complement)
    for balanced, widths, products, complement in itertools.product(
        (True, False), ("partial", "accumulator", "fixed"), ("shared", "inline", "grouped"), (True, False)
    )
]
BIT_VECTOR_OPTIONS = [
    bitvector.BitVectorEncoding(sums, rounding, asserted)
    for sums in SUMS
    for rounding in ("extract", "quotient")
    for asserted in (False, True)
]


def pinned(problem: SmtProblem, query: Query, point: dict[str, np.ndarray]) -> SmtProblem:
    """Return the problem with its inputs fixed."""
    lines: list[str] = []
    for s in problem.symbols:
        value = int(point[s.input][s.index]) - s.offset
        text = f"(_ bv{value} {width(problem, s)})" if s.sort == "BitVec" else f"(- {-value})" if value < 0 else str(value)
        lines.append(f"(assert (= {s.text} {text}))\n")
    return replace(problem, text=problem.text + "".join(lines))


def width(problem: SmtProblem, symbol: Symbol) -> int:
    found = re.search(rf"\(declare-fun {re.escape(symbol.text)} \(\) \(_ BitVec (\d+)\)\)", problem.text)
    assert found
    return int(found[1])


def assert_exact(query: Query, problem: SmtProblem, seed: int) -> None:
    """The verdict is that of enumeration, a model satisfies the query, and the formula is right at some points."""
    decide = in_process.bitwuzla if problem.logic == "QF_BV" else in_process.z3
    points = assignments(query)
    total = next(iter(points.values())).shape[0]
    answer = decide(problem)
    assert answer.status == ("sat" if solutions(query).size else "unsat")
    if answer.model is not None:
        assert satisfies(query, problem.decode(answer.model))
    for k in np.random.default_rng(seed).integers(0, total, 3).tolist():
        point = {name: array[k] for name, array in points.items()}
        assert decide(pinned(problem, query, point)).status == ("sat" if satisfies(query, point) else "unsat"), point


@pytest.mark.parametrize("seed", range(60))
def test_random_queries_as_bit_vectors(seed: int) -> None:
    query = random_query(np.random.default_rng(seed))
    assert_exact(query, bitvector.lower(query, bound(query.program)), seed)


@pytest.mark.parametrize("seed", range(40))
def test_random_queries_as_integers(seed: int) -> None:
    query = random_query(np.random.default_rng(seed))
    assert_exact(query, integer.lower(query, bound(query.program), integer.IntegerEncoding(assert_bounds=seed % 2 == 1)), seed)


@pytest.mark.parametrize("seed", range(30))
def test_random_queries_in_cvc5(seed: int) -> None:
    query = random_query(np.random.default_rng(seed), max_nodes=4, kinds=[k for k in KINDS if k != "product"])
    expected = "sat" if solutions(query).size else "unsat"
    for problem in (bitvector.lower(query, bound(query.program)), integer.lower(query, bound(query.program))):
        answer = cvc5(problem)
        assert answer.status == expected, problem.logic
        assert answer.model is None or satisfies(query, problem.decode(answer.model))


@pytest.mark.parametrize("options", BIT_VECTOR_OPTIONS, ids=repr)
def test_every_option_is_exact(options: bitvector.BitVectorEncoding) -> None:
    seed = BIT_VECTOR_OPTIONS.index(options)
    query = random_query(np.random.default_rng(1000 + seed), kinds=("affine", "affine", "rescale", "maximum"))
    assert_exact(query, bitvector.lower(query, bound(query.program), options), seed)


@pytest.mark.parametrize("seed", range(40))
def test_bounds_may_be_loose_or_the_tightest(seed: int) -> None:
    rng = np.random.default_rng(2000 + seed)
    query = random_query(rng)
    known = bound(query.program)
    points = assignments(query)
    total = next(iter(points.values())).shape[0]
    values = [np.broadcast_to(v, (total, v.shape[-1])) for v in evaluate(query.program, points)]
    loose = [
        b if isinstance(n, Input) else Interval(b.lower - rng.integers(0, 9, b.lower.size), b.upper + rng.integers(0, 9, b.lower.size))
        for n, b in zip(query.program, known, strict=True)
    ]
    tight = [Interval(v.min(axis=0), v.max(axis=0)) for v in values]
    mixed = [Interval(a.lower, b.upper) for a, b in zip(*((loose, tight) if seed % 2 else (tight, loose)), strict=True)]
    for bounds in (loose, tight, mixed):
        assert_exact(query, bitvector.lower(query, bounds), seed)
        assert_exact(query, integer.lower(query, bounds), seed)


def assert_value(b: Builder, node: int, known: list[Interval], options: bitvector.BitVectorEncoding | None = None) -> None:
    """At every point a new variable can equal the node exactly if it has the value of the reference.

    `known` are bounds of the nodes so far.
    """
    points = assignments(Query(b.program, Any(node)))
    value = evaluate(b.program, points)[node]
    t = b.input("t", value.min(axis=0) - 1, value.max(axis=0) + 1)
    least, greatest = b.difference(node, t), b.difference(t, node)
    query = check(Query(b.program, And((All(least), All(greatest)))))
    bounds = list(known)
    for n in b.program[len(known) :]:
        bounds.append(bound_node(n, bounds))
    problems = [integer.lower(query, bounds)] if options is None else []
    for problem in (bitvector.lower(query, bounds, options or bitvector.DEFAULT), *problems):
        decide = in_process.bitwuzla if problem.logic == "QF_BV" else in_process.z3
        for k in range(value.shape[0]):
            point = {name: array[k] for name, array in points.items()}
            right = pinned(problem, query, {**point, "t": value[k]})
            assert decide(right).status == "sat", point
            last = right.text.splitlines(keepends=True)
            differs = [f"(not {line[8:-2]})" for line in last[-value.shape[1] :]]
            wrong = "".join(last[: -value.shape[1]]) + f"(assert (or false {' '.join(differs)}))\n"
            assert decide(replace(right, text=wrong)).status == "unsat", point


@pytest.mark.parametrize("rounding", Rounding, ids=lambda r: r.value)
def test_every_rounding_has_the_value_of_the_reference(rounding: Rounding) -> None:
    for options in (None, bitvector.BitVectorEncoding(rounding="quotient")):
        for n, d in ((1, 4), (3, 10)):
            b = Builder()
            y = b.rescale(b.input("x", [-13], [14]), n, d, rounding, offset=1)
            assert_value(b, y, bound(b.program), options)


def test_a_maximum_uses_what_is_known_of_members_with_loose_bounds() -> None:
    b = Builder()
    x = b.input("x", [3], [10])
    a = b.affine([(linear.Dense(np.array([[1], [0], [0]])), x)], [0, 0, 5])
    m = b.maximum(a, [[0, 1, -1], [0, 2, 1]])
    loose = [Interval(np.array([-5, -9, -9]), np.array([10, 4, 6])), Interval(np.array([-5, -5]), np.array([10, 10]))]
    assert_value(b, m, [bound(b.program)[0], *loose])


def test_a_word_that_is_always_zero_keeps_one_bit() -> None:
    b = Builder()
    x = b.input("x", [0], [1])
    zero = b.product(x, b.scale(x, -1, 1))
    y = b.scale(zero, 2, 7)
    z = b.affine([(linear.identity(1), y), (linear.Dense(np.array([[3]])), x)], -9)
    query = Query(b.program, All(z))
    bounds = [*bound(b.program)[:y], Interval(np.array([5]), np.array([7])), Interval(np.array([-4]), np.array([1]))]
    for sums in SUMS:
        assert_exact(query, bitvector.lower(query, bounds, bitvector.BitVectorEncoding(sums)), 0)


def test_sums_of_sums_of_fixed_width_do_not_grow() -> None:
    b = Builder()
    x = b.input("x", [0, 0], [200, 200])
    y = b.affine([(linear.Dense(np.array([[5, -3], [1, 7]])), x)])
    z = b.affine([(linear.Dense(np.array([[-4, 9]])), y)])
    text = bitvector.lower(Query(b.program, All(z)), bound(b.program), bitvector.BitVectorEncoding(SumOptions(widths="fixed"))).text
    assert set(re.findall(r"define-fun n\S+ \(\) \(_ BitVec (\d+)\)", text)) == {"32"}


def test_each_option_of_sums_changes_the_text() -> None:
    b = Builder()
    x = b.input("x", [0] * 6, [3] * 6)
    y = b.affine([(linear.Dense(np.array([[3, -3, 5, 5, 1, -7], [3, 2, -3, 5, 1, 0]])), x)])
    query = check(Query(b.program, All(y)))
    texts = [bitvector.lower(query, bound(query.program), bitvector.BitVectorEncoding(sums)).text for sums in SUMS]
    assert len(set(texts)) == len(SUMS)


def test_rounding_and_bounds_options_change_the_text() -> None:
    b = Builder()
    x = b.input("x", [0], [200])
    y = b.rescale(x, 1, 8, Rounding.RND, lower=0, upper=20)
    query = check(Query(b.program, All(y)))
    choices = [bitvector.BitVectorEncoding(rounding=r, assert_bounds=a) for r in ("extract", "quotient") for a in (False, True)]
    assert len({bitvector.lower(query, bound(query.program), o).text for o in choices}) == len(choices)
    assert len({integer.lower(query, bound(query.program), integer.IntegerEncoding(a)).text for a in (False, True)}) == 2


@pytest.mark.parametrize("rounding", Rounding, ids=lambda r: r.value)
@pytest.mark.parametrize("seed", range(40))
def test_pieces_equal_the_staircase(rounding: Rounding, seed: int) -> None:
    rng = np.random.default_rng(seed)
    big = int(rng.choice([3, 16, 1000, 2**31, 2**52]))
    n, d = int(rng.integers(1, big + 1)), int(rng.choice([int(rng.integers(1, 2 * big + 1)), 1 << int(rng.integers(0, big.bit_length()))]))
    low = int(rng.integers(-300, 200))
    x = np.arange(low, low + int(rng.integers(1, 400)))
    offset = int(rng.integers(-3, 4)) * (d // 2) + int(rng.integers(-1, 2))
    ends = [integers([int(v)]) if rng.random() < 0.5 else None for v in np.sort(n * rng.integers(-400, 400, 2) // d)]
    steps = Rescale(integers([n]), integers([offset]), integers([d]), rounding, *ends)
    found = pieces.staircase(steps, 0, int(x[0]), int(x[-1]))
    check_pieces(found, x, climb(steps, x[:, None])[:, 0])
    assert all(f.denominator.bit_count() == 1 for p in found for f in p.floors)


@pytest.mark.parametrize("seed", range(30))
def test_pieces_equal_steps_and_tables(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.arange(-30, 30)[rng.integers(0, 20) : rng.integers(25, 60)]
    steps = Steps(np.array([int(rng.integers(-5, 5))]), np.sort(rng.integers(-35, 35, (1, int(rng.integers(0, 12))))))
    check_pieces(pieces.staircase(steps, 0, int(x[0]), int(x[-1])), x, climb(steps, x[:, None])[:, 0])
    values = np.repeat(rng.integers(-9, 9, 20), rng.integers(1, 6, 20))
    values = np.resize(values, 70)
    check_pieces(pieces.table(-32, values, int(x[0]), int(x[-1])), x, values[x + 32])


def check_pieces(found: list[pieces.Piece], x: np.ndarray, expected: np.ndarray) -> None:
    starts = [p.start for p in found]
    assert starts[0] == x[0]
    assert starts == sorted(set(starts))
    assert starts[-1] <= x[-1]
    assert [next(p for p in reversed(found) if p.start <= a)(a) for a in x.tolist()] == expected.tolist()


@given(st.integers(1, 2**40), st.integers(-(2**60), 2**60), st.integers(1, 2**40), st.integers(-(2**50), 2**50), st.integers(0, 2**45))
@example(1, 0, 3, 0, 2**45)
@example(1, -1, 3 * 2**20 + 1, -(2**45), 2**46)
def test_shift_equals_the_floor_also_where_steps_are_too_many_to_list(n: int, o: int, d: int, low: int, length: int) -> None:
    exact = FloorDivision(n, o, d)
    shifted = pieces.shift(exact, low, low + length)
    assert shifted.denominator.bit_count() == 1
    first, last = exact(low), exact(low + length)
    codes = {first + 1, first + 2, (first + last) // 2, last - 1, last}
    edges = {exact.first(c) + k for c in codes for k in (-1, 0)} | {low, low + length}
    for a in edges:
        if low <= a <= low + length:
            assert shifted(a) == exact(a)


def test_rescale_with_a_float_scale_over_a_wide_accumulator() -> None:
    b = Builder()
    x = b.input("x", [0, 0], [255, 255])
    a = b.affine([(linear.Dense(np.array([[2**33, -(2**20) + 1]])), x)], -(2**38))
    y = b.rescale(a, int(0.00017 * 2**70), 2**100, Rounding.RND_CONV)
    z = b.scale(y, 1, -300)
    query = check(Query(b.program, Any(z)))
    for problem in (bitvector.lower(query, bound(query.program)), integer.lower(query, bound(query.program))):
        for point in ([255, 0], [255, 255], [254, 3], [32, 0], [63, 17]):
            assignment = {"x": np.array(point)}
            answer = (in_process.bitwuzla if problem.logic == "QF_BV" else in_process.z3)(pinned(problem, query, assignment))
            assert answer.status == ("sat" if satisfies(query, assignment) else "unsat"), point


def test_numbers_beyond_64_bits() -> None:
    b = Builder()
    x = b.input("x", [-2, 0], [1, 3])
    huge = b.affine([(linear.Dense(np.array([[3**50, -(5**30)], [1, 2**90]], dtype=object)), x)], np.array([7**30, -(2**91)], dtype=object))
    y = b.rescale(huge, 3, 7**20, Rounding.RND_INF)
    small = b.affine([(linear.Dense(np.array([[1, -1]])), y)], integers([2**47]))
    query = check(Query(b.program, All(small)))
    for problem in (bitvector.lower(query, bound(query.program)), integer.lower(query, bound(query.program))):
        assert_exact(query, problem, 0)


def test_a_bit_vector_input_is_its_lower_end_plus_the_fewest_bits() -> None:
    b = Builder()
    x = b.input("x", [-5, 100, 7, 0], [2, 104, 7, 1])
    problem = bitvector.lower(Query(b.program, All(x)), bound(b.program))
    assert [(s.index, s.offset, width(problem, s)) for s in problem.symbols] == [(0, -5, 3), (1, 100, 3), (3, 0, 1)]
    assert problem.text.count("bvule") == 1
    assert problem.decode({"x_0": 7, "x_1": 4})["x"].tolist() == [2, 104, 7, 0]
    assert problem.decode({})["x"].tolist() == [-5, 100, 7, 0]


def test_an_integer_input_is_itself_and_in_its_range() -> None:
    b = Builder()
    x = b.input("x", [-5, 7], [2, 7])
    problem = integer.lower(Query(b.program, All(x)), bound(b.program))
    assert [(s.text, s.index, s.offset) for s in problem.symbols] == [("x_0", 0, 0)]
    assert problem.decode({"x_0": 2})["x"].tolist() == [2, 7]
    assert "(<= (- 5) x_0)" in problem.text
    assert "(<= x_0 2)" in problem.text


def test_an_element_that_bounds_fix_is_a_constant() -> None:
    b = Builder()
    x = b.input("x", [0, 0], [9, 9])
    y = b.rescale(x, 1, 16, Rounding.TRN)
    z = b.affine([(linear.Dense(np.array([[1, 1]])), x), (linear.Dense(np.array([[5, 5]])), y)], -12)
    query = check(Query(b.program, All(z)))
    for lower in (bitvector.lower, integer.lower):
        text = lower(query, bound(query.program)).text
        assert "n1." not in text
        assert "n2.0" in text


def test_integers_have_no_division() -> None:
    for seed in range(20):
        query = random_query(np.random.default_rng(seed))
        assert not re.search(r"\((div|mod|abs|/) ", integer.lower(query, bound(query.program)).text)


def test_the_logic_says_whether_variables_are_multiplied() -> None:
    b = Builder()
    x = b.input("x", [1], [3])
    constant, square = b.product(x, b.constant([4])), b.product(x, x)
    linear_one, other = Query(b.program[:3], All(constant)), Query(b.program, All(square))
    assert integer.lower(linear_one, bound(linear_one.program)).logic == "QF_LIA"
    problem = integer.lower(other, bound(other.program))
    assert problem.theory == "QF_NIA"
    assert problem.text.startswith("(set-logic QF_NIA)\n")


SIMPLE = re.compile(r"[A-Za-z~!@$%^&*_+=<>.?/-][A-Za-z0-9~!@$%^&*_+=<>.?/-]*")


@given(st.text(), st.text(), st.integers(0, 12), st.integers(0, 12))
@example("a|b", "a\\b", 1, 1)
@example("3", "~3", 0, 0)
@example("x", "x_1", 1, 1)
@example("\ud800", "", 0, 0)
def test_names_are_simple_symbols_and_different(a: str, b: str, i: int, j: int) -> None:
    assert SIMPLE.fullmatch(symbol_name(a, i))
    assert symbol_name(a, i)[0] not in "@."
    assert (symbol_name(a, i) == symbol_name(b, j)) == ((a, i) == (b, j))


@given(st.text())
def test_names_of_inputs_never_meet_those_of_definitions(name: str) -> None:
    """Definitions have no underscore."""
    assert re.search(r"_\d+$", symbol_name(name, 3))
