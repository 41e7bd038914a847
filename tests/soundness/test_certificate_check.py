"""The checker of certificates: what it derives is below everything that is enumerated, right proofs pass, and no wrong one ever does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray, integers, shrink
from qspec.arithmetic.rounding import Rounding
from qspec.certificate import check as checker
from qspec.certificate import derive, listing
from qspec.certificate.check import check
from qspec.certificate.derive import Derivation, slope_multipliers
from qspec.certificate.file import BOUND, CHOOSE, CLOSE, LIST, PROPAGATE, SPLIT, TIGHTEN, Certificate
from qspec.certificate.forward import Forward, Pair
from qspec.errors import CertificateError, InternalError
from qspec.ir import linear, live
from qspec.ir.digest import digest
from qspec.ir.integer import FALSE, TRUE, Affine, All, And, Any, Input, Or, Program, Query, arguments, formula_nodes, sizes
from qspec.ir.integer_builder import Builder
from qspec.ir.reference import evaluate
from qspec.ir.reference import value as value_of
from tests.soundness.naive_proofs import Writer, naive_proof
from tests.soundness.random_queries import KINDS, Kind, assignments, random_query, solutions
from tests.soundness.test_passes import enlarged


def intervals(program: Program) -> list[Pair]:
    forward = Forward(program)
    known: list[Pair] = []
    for k in range(len(program)):
        known.append(forward.node(k, known))
    return known


def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> IntArray:
    """Return integers of one of several sizes, some of them zero."""
    size = int(rng.choice([1, 9, 10**4, 2**31, 2**61]))
    values = rng.integers(-size, size + 1, shape).astype(object) * (10**20 if rng.random() < 0.1 else 1)
    return shrink(np.where(rng.random(shape) < 0.3, 0, values).astype(object))


def narrowed(values: list[IntArray], outer: list[Pair], rng: np.random.Generator) -> list[Pair]:
    """Return bounds of every node that hold for some of the points, some of them no better than the widest ones."""
    count = max(v.shape[0] for v in values)
    some = rng.integers(0, count, int(rng.choice([1, 2, 5, 50])))
    found: list[Pair] = []
    for v, pair in zip(values, outer, strict=True):
        wide = np.broadcast_to(v, (count, v.shape[-1]))[some]
        loose = rng.random(v.shape[-1]) < 0.2
        found.append((np.where(loose, pair[0], wide.min(axis=0)), np.where(loose, pair[1], wide.max(axis=0))))
    return found


def derivation_holds(query: Query, rng: np.random.Generator, rows: int = 3) -> bool:
    """Derive a bound from random coefficients and multipliers; return whether any point counted, fail if one is below the bound."""
    program, size = query.program, sizes(query.program)
    values = evaluate(program, assignments(query))
    outer = intervals(program)
    known = narrowed(values, outer, rng)
    derivation = Derivation(program, outer)
    picked = rng.choice(len(program), int(rng.integers(1, 4)))
    coefficients = {int(k): drawn(rng, (rows, size[int(k)])) for k in picked}
    if rng.random() < 0.5:
        p = drawn(rng, (rows, derivation.multipliers))
        bound = derivation.bound(coefficients, known, lambda place, _: p[:, place])
    else:
        low, high = rng.integers(-(2**12), 2**12, (2, derivation.multipliers))
        bound = derivation.bound(coefficients, known, slope_multipliers(low, high, int(rng.integers(1, 12))))
    inside = np.array(True)
    total: IntArray = np.zeros(rows, dtype=object)
    for k, v in enumerate(values):
        inside = inside & np.all((v >= known[k][0]) & (v <= known[k][1]), axis=-1)
        if k in coefficients:
            total = total + v.astype(object) @ coefficients[k].astype(object).T
    total = np.broadcast_to(total, (*inside.shape, rows)).reshape(-1, rows)[np.broadcast_to(inside, inside.shape).reshape(-1)]
    assert np.all(total >= bound.astype(object))
    return bool(total.size)


def test_derivations_without_what_is_fixed_are_below_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in ((live, "LEAST", 0), (live, "PART", 0), (derive, "ROWS", 1)):
        monkeypatch.setattr(module, name, value)
    rng = np.random.default_rng(16)
    assert sum(derivation_holds(random_query(rng, max_points=100, max_nodes=5), rng) for _ in range(120)) >= 40


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_what_is_derived_is_below_every_point(kind: Kind | None) -> None:
    counted = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        query = random_query(rng, max_points=200, kinds=KINDS if kind is None else ("affine", kind, kind))
        counted += sum(derivation_holds(query, rng) for _ in range(4))
    assert counted > 120


def test_what_is_derived_of_large_integers_is_below_every_point() -> None:
    counted = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        counted += derivation_holds(enlarged(random_query(rng, max_points=60), rng), rng)
    assert counted > 40


def one_operation(kind: str, rng: np.random.Generator) -> Program:
    """Return a program whose last node is one operation on two inputs of three elements, with a few dozen values each."""
    b = Builder()
    lower = rng.integers(-30, 10, 6)
    x = b.input("x", lower, lower + rng.integers(0, 25, 6))
    y = b.select(x, [3, 4, 5])
    x = b.select(x, [0, 1, 2])
    rounding = list(Rounding)[int(rng.integers(0, len(Rounding)))]
    match kind:
        case "rescale":
            end = np.sort(rng.integers(-9, 9, (2, 3)), axis=0)
            ends = (end[0], end[1]) if rng.random() < 0.6 else (None, None)
            n, d = rng.integers(1, 6, (2, 3))
            b.rescale(x, n, d, rounding, offset=rng.integers(-5, 6, 3), lower=ends[0], upper=ends[1])
        case "steps":
            b.steps(x, rng.integers(-3, 4, 3), np.sort(rng.integers(-30, 40, (3, 7)), axis=1))
        case "table":
            b.table(x, -31, rng.integers(-9, 10, (3, 80)))
        case "wrap":
            b.wrap(x, rng.integers(1, 6, 3), bool(rng.random() < 0.5))
        case "product":
            b.product(x, y)
        case _:
            b.maximum(
                b.affine([(linear.placement([0, 1, 2], 6), x), (linear.placement([3, 4, 5], 6), y)]), [[0, 3, -1], [-1, 1, 4], [2, -1, 5]]
            )
    return b.program


def within(pair: Pair, rng: np.random.Generator) -> Pair:
    """Return bounds anywhere within others."""
    lower = rng.integers(pair[0], pair[1] + 1)
    return lower, rng.integers(lower, pair[1] + 1)


@pytest.mark.parametrize("kind", ["rescale", "steps", "table", "wrap", "product", "maximum"])
def test_the_derived_numbers_are_the_best_there_are(kind: str) -> None:
    """Against enumeration of the arguments of each element; for a maximum with c >= 0, where only an average counts, when p <= 0."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        program = one_operation(kind, rng)
        outer = intervals(program)
        known = [within(pair, rng) for pair in outer]
        node = program[-1]
        c = rng.integers(-9, 10, (2, 3))
        p = rng.integers(-9, 10, (2, {"product": 6, "maximum": 9}.get(kind, 3)))
        if kind == "maximum":
            p = np.where(np.repeat(c, 3, axis=1) >= 0, -abs(p), p)
        found = Derivation(program, outer)._least(len(program) - 1, node, known, c, p)
        for r in range(2):
            for e in range(3):
                assert int(found[r, e]) == least_by_enumeration(kind, program, known, e, c[r, e], p[r])


def least_by_enumeration(kind: str, program: Program, known: list[Pair], e: int, c: int, p: IntArray) -> int:
    """Return the least of `c·f(a) - p·a` for one element over all its arguments, with the reference meaning of the operation."""
    node = program[-1]
    values: list[IntArray] = [np.zeros(0)] * (len(program) - 1)
    if kind in ("product", "maximum"):
        nodes = arguments(node) * (2 if kind == "maximum" else 1)
        elements = (e, e) if kind == "product" else (e, e + 3)
        (a, i), (b, j) = zip(nodes, elements, strict=True)
        xs, ys = (np.arange(known[k][0][n], known[k][1][n] + 1) for k, n in ((a, i), (b, j)))
        x, y = (g.reshape(-1) for g in np.meshgrid(xs, ys))
        if kind == "product":
            return int((c * x * y - p[e] * x - p[3 + e] * y).min())
        left, right = {0: (0, 1), 1: (4, 5), 2: (6, 8)}[e]
        return int((c * np.maximum(x, y) - p[left] * x - p[right] * y).min())
    (a,) = arguments(node)
    x = np.arange(known[a][0][e], known[a][1][e] + 1)
    values[a] = np.repeat(known[a][0][None], x.size, axis=0)
    values[a][:, e] = x
    return int((c * value_of(node, values, {}, ())[:, e] - p[e] * x).min())


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("ends", [(None, None), (-3000, 2500), (-(10**6), 10**6)])
def test_a_staircase_with_very_many_codes_is_held_between_lines(rounding: Rounding, ends: tuple[int | None, int | None]) -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        b = Builder()
        x = b.input("x", [-(10**4), -30, 5], [10**4, 40, 10**4])
        n, d = rng.integers(1, 4, (2, 3))
        b.rescale(x, n, d, rounding, offset=rng.integers(-5, 6, 3), lower=ends[0], upper=ends[1])
        known = intervals(b.program)
        c, p = rng.integers(-9, 10, (2, 4, 3))
        found = Derivation(b.program, known)._least(1, b.program[1], known, c, p)
        for r in range(4):
            for e in range(3):
                exact = least_by_enumeration("rescale", b.program, known, e, c[r, e], p[r])
                assert exact - 2 * abs(int(c[r, e])) - abs(int(p[r, e])) <= int(found[r, e]) <= exact


def test_intervals_contain_every_point_and_are_attained_by_single_operations() -> None:
    for seed in range(100):
        query = random_query(np.random.default_rng(seed), max_points=200)
        for v, (lower, upper) in zip(evaluate(query.program, assignments(query)), intervals(query.program), strict=True):
            assert np.all((v >= lower) & (v <= upper))
    for seed in range(40):
        for kind in ("rescale", "steps", "table", "wrap", "product", "maximum"):
            program = one_operation(kind, np.random.default_rng(seed))
            source = program[0]
            assert isinstance(source, Input)
            pairs = list(zip(source.lower, source.upper, strict=True))
            grid = np.stack([lo + np.arange(25 * 25) % (up - lo + 1) for lo, up in pairs[:3]], axis=1)
            other = np.stack([lo + np.arange(25 * 25) // 25 % (up - lo + 1) for lo, up in pairs[3:]], axis=1)
            grid = np.concatenate([grid + 0, other], axis=1)
            if kind in ("product", "maximum"):
                columns = [
                    np.meshgrid(np.arange(a, b + 1), np.arange(c, d + 1)) for (a, b), (c, d) in zip(pairs[:3], pairs[3:], strict=True)
                ]
                most = max(x.size for x, _ in columns)
                grid = np.stack([np.resize(z[k].reshape(-1), most) for k in (0, 1) for z in columns], axis=1)
            v = evaluate(program, {"x": grid})[-1]
            lower, upper = intervals(program)[-1]
            assert (v.min(axis=0).tolist(), v.max(axis=0).tolist()) == (lower.tolist(), upper.tolist())


def accepted(certificate: Certificate, query: Query) -> bool:
    try:
        check(certificate, query)
    except CertificateError:
        return False
    return True


def half_as_steep() -> Query:
    """Is there `x0 + x1 <= 8` for which `max(x0 + x1 - 10, 0) >= 5`? Not so, and one line of slope 1/2 shows it; intervals do not."""
    b = Builder()
    x = b.input("x", [0, 0], [10, 10])
    total = b.affine([(linear.row_sums(1, 2), x)], -10)
    clamped = b.clamp(total, 0, None)
    small, large = b.scale(total, -1, -2), b.scale(clamped, 1, -5)
    return Query(b.program, And((All(small), All(large))))


def test_steps_that_repeat_are_all_looked_at_within_narrower_bounds() -> None:
    """`2 x - 5 floor(2 x / 5)` is 4 at 12, between the periods at both ends of the widest bounds: no multiplier excludes it in 10 to 20."""
    b = Builder()
    x = b.input("x", 0, 100)
    y = b.rescale(x, 2, 5, Rounding.TRN)
    least = b.affine([(linear.diagonal([2]), x), (linear.diagonal([-5]), y)], -4)
    query = Query(b.program, All(least))
    writer = Writer(query)
    writer.split(x, 0, 20)
    writer.split(x, 0, 9)
    writer.assume()
    writer.propagate()
    writer.close([(least, 0, 1)], [2])
    writer.assume()
    with pytest.raises(CertificateError, match="the facts are not contradicted"):
        check(writer.certificate(), query, partial=True)


def test_a_proof_stands_or_falls_with_its_multipliers_and_weights() -> None:
    query = half_as_steep()
    for p in range(-6, 7):
        for first in range(-1, 5):
            for second in range(-1, 5):
                writer = Writer(query)
                writer.close([(3, 0, first), (4, 0, second)], [p])
                a = np.arange(-10, 11)
                least = (-second * np.maximum(a, 0) - p * a).min() + 5 * second + min((first + p) * t for t in (-10, 10)) + 2 * first
                assert accepted(writer.certificate(), query) == (least > 0 and first > 0 and second > 0)
    writer = Writer(query)
    writer.close([(3, 0, 1), (4, 0, 2)], [-1])
    assert check(writer.certificate(), query).domains == 1


def test_tighten_uses_slopes_and_rounds_to_the_safe_side() -> None:
    """The clamp is at most (x + 10) / 2, so twice it less x is at most 10; intervals say 30. Slopes of 127/256 lose less than a unit."""
    for threshold in (10, 11):
        b = Builder()
        x = b.input("x", -10, 10)
        line = b.affine([(linear.diagonal([2]), b.clamp(x, 0, None)), (linear.diagonal([-1]), x)])
        goal = All(b.scale(line, 1, -threshold))
        query = Query(b.program, goal)
        assert len(solutions(query)) == (2 if threshold == 10 else 0)
        for high, bits in ((128, 8), (1, 1), (127, 8), (0, 8)):
            for scale in (1, 3, 256):
                writer = Writer(query)
                writer.tighten(line, [[0], [high]])
                writer.propagate()
                writer.empty()
                assert accepted(writer.certificate(scale=scale, slope_bits=bits), query) == (threshold == 11 and high != 0)


def test_propagate_takes_bounds_of_inputs_from_facts() -> None:
    """Through a chain with a second input that cancels: 3 x >= 10 and 2 x <= 13 leave 4 to 6, whereas intervals of the chain leave more."""
    for value in range(10):
        b = Builder()
        x, y = b.input("x", [5, 0], [5, 9]), b.input("y", -9, 9)
        mixed = b.affine([(linear.Dense(np.array([[0, 3], [0, -2]])), x), (linear.Dense(np.array([[1], [1]])), y)])
        facts = b.affine([(linear.identity(2), mixed), (linear.Dense(np.array([[-1], [-1]])), y)], [-10, 13])
        table = b.table(b.select(x, [1]), 0, [0 if k == value else -1 for k in range(10)])
        query = Query(b.program, And((All(facts), All(table))))
        writer = Writer(query)
        writer.empty()
        assert bool(len(solutions(query))) == (value in (4, 5, 6))
        assert accepted(writer.certificate(), query) == (value not in (4, 5, 6))


def disjunctive() -> Query:
    """x is 2 or 7 by one disjunction, and 3 or 8 by another."""
    b = Builder()
    x = b.input("x", 0, 9)
    low, high = b.scale(x, -1, 2), b.scale(x, 1, -7)
    either = b.affine([(linear.diagonal([1]), x)], -8)
    under = b.scale(x, -1, 3)
    seven = And((All(high), All(b.scale(x, -1, 7))))
    two = And((All(low), All(b.scale(x, 1, -2))))
    three = And((All(under), All(b.scale(x, 1, -3))))
    return Query(b.program, And((Or((two, seven)), Or((three, All(either))))))


def test_choose_takes_disjunctions_apart_in_order() -> None:
    query = disjunctive()
    writer = Writer(query)
    writer.choose(1)
    writer.choose(0)  # what is left of the list
    writer.propagate()
    writer.empty()  # 3 and 2
    writer.propagate()
    writer.empty()  # 3 and 7
    writer.choose(0)
    writer.propagate()
    writer.empty()  # 8 and 2
    writer.close([(5, 0, 1), (3, 0, 1)])  # 8 and 7
    assert accepted(writer.certificate(), query)
    for j in (2, -1):
        broken = Writer(query)
        broken.choose(j)
        with pytest.raises(CertificateError, match="no such disjunction"):
            check(broken.certificate(), query)


def test_an_empty_disjunction_is_false() -> None:
    b = Builder()
    x = b.input("x", 0, 9)
    nobody = b.select(x, [])
    for goal in (Or(()), Any(nobody), And((All(x), Or(())))):
        writer = Writer(Query(b.program, goal))
        writer.choose(0)
        assert accepted(writer.certificate(), writer.query)
    for goal, right in ((FALSE, True), (And((TRUE, FALSE)), True), (TRUE, False), (And(()), False), (All(nobody), False)):
        writer = Writer(Query(b.program, goal))
        writer.empty()
        assert accepted(writer.certificate(), writer.query) == right


def test_an_empty_input_box_is_empty() -> None:
    b = Builder()
    b.scale(b.input("x", [5, 0], [4, 3]), -1)
    writer = Writer(Query(b.program, TRUE))
    writer.empty()
    assert accepted(writer.certificate(), writer.query)


def test_a_split_covers_everything_whatever_its_threshold() -> None:
    """Thresholds at and beyond the bounds, and beyond 62 bits, leave one part as it was and make the other empty."""
    query = half_as_steep()
    for threshold in (-(2**63), -(2**62), -11, -10, 9, 10, 2**62, 2**63 - 1):
        for node in (0, 1, 2):
            writer = Writer(query)
            writer.split(node, 0, threshold)
            for _ in range(2):
                writer.close([(3, 0, 1), (4, 0, 2)], [-1])
            assert accepted(writer.certificate(), query)
            short = Writer(query)
            short.split(node, 0, threshold)
            short.close([(3, 0, 1), (4, 0, 2)], [-1])
            with pytest.raises(CertificateError, match="1 domains left open"):
                check(short.certificate(), query)


def test_siblings_do_not_share_what_is_known_of_one() -> None:
    """Each part after a split is closed by what is true in it; the same steps in the other order fail."""
    b = Builder()
    x = b.input("x", 0, 9)
    y = b.clamp(b.scale(x, 2, -9), 0, None)
    excess = b.affine([(linear.diagonal([1]), y), (linear.diagonal([-1]), x)], -1)
    query = Query(b.program, All(excess))
    assert not len(solutions(query))
    outcomes: list[bool] = []
    for first, second in ((0, -1), (-1, 0), (0, 0), (-1, -1)):
        writer = Writer(query)
        writer.split(0, 0, 4)
        for p in (first, second):
            writer.tighten(1)
            writer.close([(excess, 0, 1)], [p])
        outcomes.append(accepted(writer.certificate(), query))
    assert outcomes == [True, False, False, False]


def test_points_of_staircases_serve_every_domain() -> None:
    """They are kept for the whole proof, and must not be those of the part that is narrowed first."""
    query = half_as_steep()
    for below in range(-4, 4):
        for above in range(-4, 4):
            writer = Writer(query)
            writer.split(1, 0, 0)
            right = True
            for p, low, high in ((below, -10, 0), (above, 1, 10)):
                writer.close([(3, 0, 1), (4, 0, 2)], [p])
                a = np.arange(low, high + 1)
                right &= bool((-2 * np.maximum(a, 0) - p * a).min() + 12 - 10 * abs(1 + p) > 0)
            assert accepted(writer.certificate(), query) == right


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_what_is_listed_is_evaluated_as_the_reference_does(kind: Kind | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list step is right exactly where the reference finds no solution, whatever the size of the blocks; so it is of each half."""
    counts = {True: 0, False: 0}
    for seed in range(15):
        rng = np.random.default_rng(seed)
        query = random_query(rng, max_points=60, kinds=KINDS if kind is None else ("affine", kind, kind))
        query = query if seed % 3 else enlarged(query, rng)
        monkeypatch.setattr(listing, "CELLS", int(rng.choice([1, 20, 1 << 20])))
        whole, halves = Writer(query), Writer(query)
        whole.list()
        node, first = next((k, n) for k, n in enumerate(query.program) if isinstance(n, Input))
        halves.split(node, 0, min(int(first.lower[0]), 2**62))
        halves.list()
        halves.list()
        right = not len(solutions(query))
        assert accepted(whole.certificate(), query) == accepted(halves.certificate(), query) == right
        counts[right] += 1
    assert min(counts.values()) > 1


def test_a_list_step_lists_what_is_left_of_the_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is there `x0 + x1 >= 15`, both at most 10? Not with x0 <= 4; of the 66 with x0 <= 5 one is."""
    query = replace(half_as_steep(), goal=All(4))
    for threshold, right in ((4, True), (5, False)):
        writer = Writer(query)
        writer.split(0, 0, threshold)
        writer.list()
        writer.assume()
        if right:
            assert check(writer.certificate(), query, partial=True).domains == 1
        else:
            with pytest.raises(CertificateError, match=r"step 1 \(list\): an assignment of the domain is a solution(.|\n)*66"):
                check(writer.certificate(), query, partial=True)
            monkeypatch.setattr(checker, "MOST", 65)
            with pytest.raises(CertificateError, match=r"too many assignments to list(.|\n)*66"):
                check(writer.certificate(), query, partial=True)


BAD: dict[str, tuple[Callable[[Writer], None], str]] = {
    "no step at all": (lambda w: None, "1 domains left open"),
    "not empty": (lambda w: w.empty(), "the domain is not empty"),
    "no weights": (lambda w: w.close([], [0]), "no facts"),
    "not a fact": (lambda w: w.close([(2, 0, 1)], [0]), "not a fact"),
    "an element that is not": (lambda w: w.close([(3, 1, 1)], [0]), "not a fact"),
    "a negative element": (lambda w: w.close([(3, -1, 1)], [0]), "not a fact"),
    "a negative node": (lambda w: w.close([(-1, 0, 1)], [0]), "not a fact"),
    "a fact twice": (lambda w: w.close([(3, 0, 1), (3, 0, 1)], [0]), "occurs twice"),
    "a weight of zero": (lambda w: w.close([(3, 0, 0)], [0]), "not positive"),
    "a negative weight": (lambda w: w.close([(3, 0, -(2**63))], [0]), "not positive"),
    "true of nothing": (lambda w: w.close([(3, 0, 1)], [0]), "not contradicted"),
    "tighten nowhere": (lambda w: w.tighten(99), "no such node"),
    "tighten before": (lambda w: w.tighten(-1), "no such node"),
    "split nowhere": (lambda w: w.split(99, 0, 0), "no such node"),
    "split beyond": (lambda w: w.split(0, 2, 0), "no such element"),
    "split before": (lambda w: w.split(0, -1, 0), "no such element"),
    "nothing to choose": (lambda w: w.choose(0), "no such disjunction"),
    "a list of something": (lambda w: w.steps.append((LIST, 1, 0, 0)), "a step of this kind has not"),
    "numbers too many": (lambda w: w.steps.append((PROPAGATE, 1, 0, 0)), "a step of this kind has not"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_step_that_does_not_do_what_it_must_is_named(name: str) -> None:
    act, says = BAD[name]
    writer = Writer(half_as_steep())
    act(writer)
    with pytest.raises(CertificateError, match=says) as caught:
        check(writer.certificate(), writer.query)
    assert "given:" in str(caught.value)
    assert "expected:" in str(caught.value)


def test_multipliers_and_weights_must_fit_the_query() -> None:
    writer = Writer(half_as_steep())
    writer.close([(3, 0, 1), (4, 0, 2)], [-1])
    right = writer.certificate()
    for wrong, says in (
        (replace(right, multipliers=np.array([[-1, 0]]), slopes=np.zeros((0, 2, 2), dtype=np.int64)), "do not fit"),
        (replace(right, weights=np.add(right.weights, [[1, 0, 0, 0], [0, 0, 0, 0]])), "not sorted"),
        (replace(right, weights=np.add(right.weights, [1, 0, 0, 0])), "not sorted"),
        (replace(right, weights=np.subtract(right.weights, [1, 0, 0, 0])), "not sorted"),
        (replace(right, query="0" * 64), "another query"),
    ):
        with pytest.raises(CertificateError, match=says):
            check(wrong, writer.query)


@cache
def examples(solvable: bool) -> list[tuple[Query, Certificate]]:
    """Return small queries with a proof each, which is wrong where the query has a solution."""
    found: list[tuple[Query, Certificate]] = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        query = random_query(rng, max_points=16)
        if bool(len(solutions(query))) == solvable:
            found.append((query, naive_proof(query, rng, stubborn=solvable)))
        if len(found) == 30:
            return found
    raise AssertionError("too few examples")


def test_right_proofs_are_accepted() -> None:
    for query, certificate in examples(False):
        checked = check(certificate, query)
        assert checked.steps == len(certificate.steps)
        kinds = np.bincount(certificate.steps[:, 0], minlength=6)
        assert checked.domains >= kinds[4] + kinds[5]
    every = np.sum([np.bincount(c.steps[:, 0], minlength=6) for _, c in examples(False)], axis=0)
    assert every.min() > 50


def test_large_integers_are_as_exact() -> None:
    """Inputs beyond 64 bits cannot be split by a 64-bit threshold, but what is left of them once an offset is taken off can."""
    seen = set[bool]()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        query = random_query(rng, max_points=8)
        solvable = bool(len(solutions(query)))
        moved = enlarged(query, rng)
        proof = naive_proof(query, rng, stubborn=solvable)
        assert accepted(proof, query) == (not solvable)
        writer = Writer(moved, rng)
        writer.propagate()
        writer.empty()
        decided = accepted(writer.certificate(), moved)
        assert not (decided and solvable)
        seen.add(decided)
    assert seen == {True, False}


def test_nothing_proves_that_a_satisfiable_query_has_no_solution() -> None:
    for query, certificate in examples(True):
        assert not accepted(certificate, query)
        rng = np.random.default_rng(0)
        for change in MUTATIONS.values():
            mutant = change(certificate, rng)
            assert mutant is None or not accepted(mutant, query)


Change = Callable[[Certificate, np.random.Generator], Certificate | None]
"""Makes a mutant, or None where there is nothing to change."""


def at_random(rng: np.random.Generator, where: IntArray) -> int | None:
    index = np.flatnonzero(where)
    return int(rng.choice(index)) if index.size else None


def without_step(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
    """Leave out a step that matters, with what belongs to it."""
    k = at_random(rng, ~np.isin(certificate.steps[:, 0], (PROPAGATE, TIGHTEN)))
    if k is None:
        return None
    steps = np.delete(certificate.steps, k, axis=0)
    derives = np.isin(certificate.steps[:, 0], (CLOSE, BOUND))
    if not derives[k]:
        return replace(certificate, steps=steps)
    number = int(np.sum(derives[:k]))
    weights = certificate.weights[certificate.weights[:, 0] != number].copy()
    weights[:, 0] -= weights[:, 0] > number
    return replace(certificate, steps=steps, weights=weights, multipliers=np.delete(certificate.multipliers, number, axis=0))


def twice(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
    k = at_random(rng, np.isin(certificate.steps[:, 0], (SPLIT, CHOOSE)))
    return None if k is None else replace(certificate, steps=np.insert(certificate.steps, k, certificate.steps[k], axis=0))


def trailing(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
    return replace(certificate, steps=np.append(certificate.steps, [[PROPAGATE, 0, 0, 0]], axis=0))


def cut_short(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
    return without_step(certificate, rng) if certificate.steps[-1, 0] == CLOSE else replace(certificate, steps=certificate.steps[:-1])


def exchanged(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
    """Exchange two neighbours that open and close domains."""
    matter = ~np.isin(certificate.steps[:, 0], (PROPAGATE, TIGHTEN))
    differ = np.any(certificate.steps[1:] != certificate.steps[:-1], axis=1)
    k = at_random(rng, matter[1:] & matter[:-1] & differ)
    if k is None:
        return None
    steps = certificate.steps.copy()
    steps[[k, k + 1]] = steps[[k + 1, k]]
    return replace(certificate, steps=steps)


def other_number(column: int, kind: int, by: int) -> Change:
    def change(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
        k = at_random(rng, certificate.steps[:, 0] == kind)
        if k is None:
            return None
        steps = certificate.steps.copy()
        steps[k, column] += by
        return replace(certificate, steps=steps)

    return change


def other_weight(column: int, value: Callable[[int], int]) -> Change:
    def change(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
        k = at_random(rng, np.ones(len(certificate.weights), dtype=bool))
        if k is None:
            return None
        weights = certificate.weights.copy()
        weights[k, column] = value(int(weights[k, column]))
        return replace(certificate, weights=weights)

    return change


def no_propagation(certificate: Certificate, rng: np.random.Generator) -> Certificate | None:
    """Leave out everything that narrows bounds."""
    keep = ~np.isin(certificate.steps[:, 0], (PROPAGATE, TIGHTEN))
    return replace(certificate, steps=certificate.steps[keep], slopes=certificate.slopes[:0])


MUTATIONS: dict[str, Change] = {
    "without a step": without_step,
    "a step twice": twice,
    "a step too many": trailing,
    "cut short": cut_short,
    "exchanged": exchanged,
    "another node split": other_number(1, SPLIT, 1),
    "another element split": other_number(2, SPLIT, 1),
    "a node before the first": other_number(1, SPLIT, -(10**6)),
    "a higher threshold": other_number(3, SPLIT, 1),
    "a lower threshold": other_number(3, SPLIT, -1),
    "another disjunction": other_number(1, CHOOSE, 1),
    "no weight": other_weight(3, lambda w: 0),
    "a negative weight": other_weight(3, lambda w: -w),
    "a fact of another node": other_weight(1, lambda n: n - 1),
    "a fact of another element": other_weight(2, lambda e: e + 1),
    "nothing narrowed": no_propagation,
}
LEAST = {
    "exchanged": 0.4,
    "another node split": 0.2,
    "another element split": 0.35,
    "a higher threshold": 0.1,
    "a lower threshold": 0.1,
    "another disjunction": 0.85,
    "a fact of another node": 0.85,
    "a fact of another element": 0.7,
    "nothing narrowed": 0.5,
}
"""Share of the mutants that must be rejected, where it is not all; the others happen to be proofs too."""


@pytest.mark.parametrize("name", MUTATIONS)
def test_most_mutants_are_rejected(name: str) -> None:
    """Every one could be accepted without harm, since the queries have no solution; but a checker that looks finds most of them out."""
    rejected, made = 0, 0
    rng = np.random.default_rng(1)
    for query, certificate in examples(False):
        for _ in range(2):
            mutant = MUTATIONS[name](certificate, rng)
            if mutant is not None:
                made += 1
                rejected += not accepted(mutant, query)
    assert made >= 20
    assert rejected >= LEAST.get(name, 1.0) * made


def widened(query: Query, rng: np.random.Generator) -> Query:
    """Return the query with one input element freer by one or two."""
    k = at_random(rng, np.array([isinstance(n, Input) for n in query.program]))
    assert k is not None
    node = query.program[k]
    assert isinstance(node, Input)
    lower, upper = node.lower.copy(), node.upper.copy()
    e = int(rng.integers(0, lower.size))
    lower[e] -= int(rng.integers(0, 3))
    upper[e] += int(rng.integers(1, 3))
    return Query((*query.program[:k], Input(node.name, lower, upper), *query.program[k + 1 :]), query.goal)


def relaxed(query: Query, rng: np.random.Generator) -> Query:
    """Return the query with one threshold lower by a little or by much."""
    read = sorted(formula_nodes(query.goal))
    k = int(rng.choice(read)) if read else 0
    node = query.program[k]
    if not isinstance(node, Affine):
        return query
    bias = node.bias.copy()
    bias[int(rng.integers(0, bias.size))] += int(rng.choice([1, 2, 5, 1000]))
    return Query((*query.program[:k], Affine(node.terms, integers(bias)), *query.program[k + 1 :]), query.goal)


@pytest.mark.parametrize("alter", [widened, relaxed])
def test_a_proof_does_not_prove_another_query(alter: Callable[[Query, np.random.Generator], Query]) -> None:
    """The digest gives it away; with the digest forged, the proof is rejected whenever the other query has a solution."""
    solvable = 0
    for seed, (query, certificate) in enumerate(examples(False)):
        for trial in range(4):
            other = alter(query, np.random.default_rng([seed, trial]))
            if digest(other) == digest(query):
                continue
            with pytest.raises(CertificateError, match="another query"):
                check(certificate, other)
            try:
                found = bool(len(solutions(other)))
            except InternalError:  # a table does not cover the wider argument
                continue
            forged = replace(certificate, query=digest(other))
            assert not (accepted(forged, other) and found)
            solvable += found
    assert solvable > 10
