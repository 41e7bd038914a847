"""Memory is estimated before it is taken: each stage that grows with its query refuses it when its own estimate says that there is no room.

What a process holds is injected, so that nothing large is ever made.
"""

from __future__ import annotations

import sys
from itertools import count

import numpy as np
import pytest

import qspec as qs
from qspec import deadline as module
from qspec.attack.falsify import Falsification
from qspec.attack.flat_inputs import FlatBox
from qspec.attack.greedy import first_solution
from qspec.bounds import interval, tighten
from qspec.bounds.breakpoints import points, points_bytes
from qspec.compile.query import compile_property
from qspec.compile.real_query import compile_real
from qspec.deadline import LIBRARY, MEBIBYTE, Deadline, OutOfMemory, OutOfTime, compiled
from qspec.engines.boxes.class_query import ClassQuery
from qspec.engines.boxes.search import search as boxes
from qspec.engines.difference import largest as difference
from qspec.engines.difference.aligned_layers import pair_bytes
from qspec.engines.difference.dual import NUMBERS, row_bytes
from qspec.engines.difference.root import SIDES, root
from qspec.engines.dual.batching import HARD, LONGER, Runner
from qspec.engines.dual.branch_and_bound import _Search, prove
from qspec.engines.dual.options import EngineOptions
from qspec.engines.dual.root_bounds import first_bounds, root_domain
from qspec.engines.enumerate.enumerate import enumerate_query
from qspec.face import RealNetwork
from qspec.ir import reference
from qspec.ir.integer import Query, Staircase
from qspec.passes import Pipeline
from qspec.solver import Reason, get_solver
from qspec.theories import bitvector, integer, milp, real_smtlib
from qspec.theories.rows import ENTRY
from qspec_models import samples
from tests.clocks import looks


def room(size: float) -> Deadline:
    """Return a deadline that has room for so many bytes for ever."""
    return Deadline(most=size, held=lambda: 0)


def question(radius: int = 6) -> Query:
    """Return a query whose inputs have the bounds that the assumption says."""
    spec = qs.properties.local_robustness(qs.load("iris-4bit"), [50, 30, 14, 2], radius, 0)
    (part,) = Pipeline().only("box").apply(compile_property(spec).query)
    return part.query


def test_a_portion_is_what_there_is_room_for() -> None:
    assert room(100).portion(10, 7) == 7
    assert room(100).portion(30, 7) == 3
    assert Deadline().portion(1e12, 7) == 7
    with pytest.raises(OutOfMemory, match="2 MiB more"):
        room(100).portion(2 * MEBIBYTE, 7)


def test_jax_itself_counts_until_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", sys)
    assert compiled(5) == 5
    monkeypatch.delitem(sys.modules, "jax")
    assert compiled(5) == LIBRARY + 5


def test_lists_of_assignments_are_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    query = question(3)
    whole = enumerate_query(query)
    each = reference.row_bytes(query.program)
    sizes: list[int] = []
    real = reference.evaluate

    def watched(program: object, assignment: dict[str, np.ndarray]) -> list[np.ndarray]:
        sizes.append(len(next(iter(assignment.values()))))
        return real(program, assignment)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("qspec.engines.enumerate.enumerate.evaluate", watched)
    found = enumerate_query(query, room(1000 * each))
    assert (found.violations, found.complete) == (whole.violations, True)
    assert max(sizes) == 1000
    with pytest.raises(OutOfMemory):
        enumerate_query(query, room(each - 1))


def test_points_are_judged_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    query = question()
    box = FlatBox.of(query)
    listed = box.listed(0, 3000)
    whole = first_solution(query, box, listed)
    monkeypatch.setattr(reference, "CELLS", 10 * reference.row_bytes(query.program) // 8)
    assert [s.stop - s.start for s in reference.blocks(query.program, 25)] == [10, 10, 5]
    assert np.array_equal(first_solution(query, box, listed), whole)  # pyright: ignore[reportArgumentType]


def test_points_of_operations_are_estimated_from_above() -> None:
    query = question()
    known = interval.bound(query.program)
    for node in query.program:
        if isinstance(node, Staircase):
            x = known[node.argument]
            held = points(node, x.lower, x.upper)
            assert held.arguments.nbytes + held.values.nbytes <= points_bytes(node, x)


def test_wide_uneven_steps_are_not_listed_without_room() -> None:
    query = steep()
    tighten.bound(query.program)
    with pytest.raises(OutOfMemory):
        tighten.bound(query.program, deadline=room(1 << 17))


def steep() -> Query:
    """Return a query on thousands of steps that lie at uneven distances, because ties go to even codes."""
    wide = qs.Fixed(14, 1, rounding=qs.Rounding.RND_CONV)
    layers = [qs.Dense(qs.Tensor(np.array([[3, 1], [1, 3]]), qs.Fixed(4, 1)), output=wide) for _ in range(3)]
    net = qs.Sequential(qs.Input((2,), qs.Fixed(14, 1)), *layers)
    return compile_property(qs.properties.local_robustness(net, [9, 5], 4000, 0)).query


@pytest.mark.parametrize("lower", [bitvector.lower, integer.lower, milp.lower])
def test_theories_look_at_both_limits(lower: object) -> None:
    assert callable(lower)
    query = question()
    known = interval.bound(query.program)
    with pytest.raises(OutOfMemory):
        lower(query, known, deadline=room(ENTRY))
    with pytest.raises(OutOfTime):
        lower(query, known, deadline=looks(3))
    assert lower(query, known, deadline=room(1 << 30)) is not None


def test_the_engine_takes_smaller_batches_and_then_none() -> None:
    query = question()
    known = first_bounds(query)
    assert known is not None
    search = _Search(query, known, room(1 << 20), EngineOptions(), None)
    search.run()
    assert 1 <= search.most < (1 << 20) / (16 * search.layout.total)
    fresh = _Search(query, known, Deadline(), EngineOptions(), None)
    root = root_domain(query, known, fresh.view, fresh.layout, fresh.proof, Deadline())
    assert root is not None
    needed = Runner(fresh.view, query.program, root, EngineOptions()).bytes
    assert Runner(fresh.view, query.program, root, EngineOptions(), room(7.5 * needed)).size == 7
    with pytest.raises(OutOfMemory):
        prove(query, room(64))


def test_ascents_are_longer_where_a_query_is_hard_and_never_compiled_again_for_that() -> None:
    query = question()
    known = first_bounds(query)
    assert known is not None
    search = _Search(query, known, Deadline(), EngineOptions(steps=7), None)
    root = root_domain(query, known, search.view, search.layout, search.proof, Deadline())
    assert root is not None
    runner = Runner(search.view, query.program, root, search.options)
    assert [runner.steps(visited) for visited in (0, HARD - 1, HARD, 10 * HARD)] == [7, 7, 7 * LONGER, 7 * LONGER]
    runner.compiled = True
    assert runner.steps(10 * HARD) == 7


def test_estimates_need_no_bounds_but_those_of_arguments() -> None:
    """The engine closes domains of which it holds bounds of the inputs and of what relaxed nodes read, and of nothing else."""
    net = qs.load("digits-4bit")
    image = samples("digits-4bit")[0][8]
    query = compile_property(qs.properties.local_robustness(net, image, 1, int(net.evaluate(image).argmax()))).query
    assert prove(query, Deadline(most=1 << 40, held=lambda: 0)).visited >= 64


def test_boxes_of_inputs_end_where_memory_does() -> None:
    """Without room for JAX, boxes are not even begun; without room for the halves of a batch they end, and say so."""
    query = question()
    lower, upper = np.array([[44, 24, 8, 0]]), np.array([[56, 36, 20, 8]])
    ended = list(boxes(ClassQuery(query), lower, upper, seconds=None, confirm=no, rng=np.random.default_rng(0), deadline=room(1000)))
    assert [(s.full, decided, len(s.open)) for s, decided in ended] == [(True, False, 1)]


def no(place: int, point: object) -> object:
    raise AssertionError((place, point))


def test_compiled_searches_are_left_out_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qspec.attack.compiled.Attack.prepare", no)
    monkeypatch.setattr("qspec.attack.falsify.COMPILED_WORK", 1)
    assert Falsification(question(), 0, room(1000)).compiled() is None
    with pytest.raises(AssertionError):
        Falsification(question(), 0, room(1 << 40)).compiled()


@pytest.mark.parametrize("solver", ["bounds", "z3", "highs", "enumerate"])
def test_whenever_memory_ends_the_verdict_is_right_or_unknown(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process holds nothing until it is asked for the n-th time, and more than any limit from then on."""
    if not get_solver(solver).availability().ok:
        pytest.skip("not installed")
    full = 0
    for number in (2, 3, 5, 8, 13, 21, 34):
        asked = count()

        def held(asked: count[int] = asked, number: int = number) -> int:
            return 0 if next(asked) < number else 1 << 60

        monkeypatch.setattr(module, "resident", held)
        result = qs.verify(qs.properties.local_robustness(qs.load("iris-4bit"), [50, 30, 14, 2], 1, 0), solver=solver, timeout=30.0)
        assert result.verdict is qs.Verdict.HOLDS or result.reason is Reason.MEMORY, (number, result)
        full += result.reason is Reason.MEMORY
    assert full >= 1


def compared() -> tuple[qs.Network, RealNetwork]:
    """Return a quantised network with two hidden layers, and the real one that it stands for."""
    random = np.random.default_rng(0)
    layers = [qs.real.Dense(random.normal(0, 1, (a, b)), activation=qs.ReLU()) for a, b in ((6, 12), (12, 12), (12, 3))]
    real = qs.real.Sequential(qs.real.Input((6,)), *layers, name="deep")
    return real.quantize(input=qs.Fixed(5, 3), weights=qs.Fixed(8, 4), activations=qs.Fixed(12, 4)), real


def test_bounds_of_a_difference_are_taken_in_blocks_and_then_not_at_all() -> None:
    both = difference.ErrorQuestion.of(*compared(), None, None, None).pair
    low, high = (np.full(6, v, dtype=np.float64) for v in (-16, 15))
    whole = root(both, low, high)
    blocks = root(both, low, high, deadline=room(3 * SIDES * (row_bytes(whole[:2], 6) + 8 * NUMBERS * 12)))
    assert all(np.allclose(a, b) for k, o in zip(whole, blocks, strict=True) for a, b in zip(k.region, o.region, strict=True))
    with pytest.raises(OutOfMemory):
        root(both, low, high, deadline=room(1000))


def test_the_largest_error_is_as_far_as_memory_went() -> None:
    """The end that is attained and the end that is proved are kept; there is nothing to keep before the first bounds."""
    question, held = difference.ErrorQuestion.of(*compared(), None, None, None), [0]
    intervals = difference.narrow(question, 0, Deadline(most=1 << 30, held=lambda: held[-1]))
    first = next(intervals)
    held.append(1 << 40)
    (last,) = intervals
    assert (first.reason, last.reason) == (Reason.INCOMPLETE, Reason.MEMORY)
    assert 0 < last.lower < last.upper
    assert (last.lower, last.upper) == (first.lower, first.upper)
    with pytest.raises(OutOfMemory):
        next(difference.narrow(question, 0, room(1000)))


def test_a_pair_is_not_read_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed, real = compared()
    x = fixed.input("x")
    spec = qs.forall(x, then=abs(fixed(x)[0] - real(x)[0]) <= 100)
    assert qs.verify(spec).verdict is qs.Verdict.HOLDS
    assert pair_bytes(real) > 6 * 12 + 12 * 12 + 12 * 3
    monkeypatch.setattr("qspec.engines.difference.aligned_layers.ENTRY", 1 << 50)
    found = qs.verify(spec, memory=4096)
    assert (found.verdict, found.reason) == (qs.Verdict.UNKNOWN, Reason.MEMORY)


def test_text_about_reals_is_not_written_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    _, real = compared()
    x = real.input("x", lower=0, upper=1)
    spec = qs.forall(x, then=real(x)[0] <= 1)
    query = compile_real(spec).query
    with pytest.raises(OutOfMemory):
        real_smtlib.lower(query, deadline=room(ENTRY))
    with pytest.raises(OutOfTime):
        real_smtlib.lower(query, deadline=looks(9))
    assert real_smtlib.lower(query, deadline=room(1 << 30)).text == real_smtlib.lower(query).text
    monkeypatch.setattr("qspec.theories.real_smtlib.ENTRY", 1 << 50)
    found = qs.verify(spec, solver="z3", memory=4096)
    assert (found.verdict, found.reason) == (qs.Verdict.UNKNOWN, Reason.MEMORY)
