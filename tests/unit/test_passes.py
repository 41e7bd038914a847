"""What each pass does to queries made for it; that it keeps the solutions of any query is tested in `soundness/test_passes.py`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qspec.arithmetic.integers import IntArray
from qspec.arithmetic.rounding import Rounding
from qspec.bounds.interval import Interval
from qspec.errors import InternalError, SpecError
from qspec.ir import linear
from qspec.ir.integer import (
    FALSE,
    TRUE,
    Affine,
    All,
    And,
    Any,
    Formula,
    Input,
    Maximum,
    Node,
    Or,
    Product,
    Query,
    Staircase,
    Table,
    Wrap,
    check,
    sizes,
)
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution, Dense, Sparse
from qspec.ir.staircase import Rescale, Steps
from qspec.passes import ALL_PASSES, DEFAULT_PASSES, Pass, Pipeline
from qspec.passes.absorb_box import AbsorbBox
from qspec.passes.affine_elements import NARROW, lines
from qspec.passes.base import Reduced, rewritten
from qspec.passes.common_nodes import CommonNodes
from qspec.passes.cone_of_influence import ConeOfInfluence
from qspec.passes.decide_goal import DecideGoal
from qspec.passes.elements import Elementwise, value
from qspec.passes.fold_affine import FoldAffine
from qspec.passes.fuse_clamps import FuseClamps
from qspec.passes.shift_inputs import ShiftInputs
from qspec.passes.split import Split
from qspec.passes.stable_neurons import StableNeurons
from qspec.passes.trim_unreached import trimmed


def one(step: Pass, query: Query) -> Query:
    (part,) = step.apply(query)
    return part.query


def asked(builder: Builder, goal: Formula) -> Query:
    return check(Query(builder.program, goal))


def bounds_of(query: Query, name: str = "x") -> list[tuple[int, int]]:
    node = query.inputs[name]
    return list(zip(node.lower.tolist(), node.upper.tolist(), strict=True))


def kinds(query: Query) -> list[str]:
    return [type(n).__name__ for n in query.program]


def affine(query: Query, position: int) -> Affine:
    node = query.program[position]
    assert isinstance(node, Affine)
    return node


def staircase(query: Query, position: int) -> Staircase:
    node = query.program[position]
    assert isinstance(node, Staircase)
    return node


def matrix(node: Affine) -> list[list[int]]:
    """Return the map of an affine node with one term, as a matrix."""
    ((m, _),) = node.terms
    return linear.apply(m, np.eye(m.inputs, dtype=np.int64)).T.tolist()


def goal_size(query: Query) -> int:
    assert isinstance(query.goal, All | Any)
    return sizes(query.program)[query.goal.node]


def zeros(size: int) -> IntArray:
    return np.zeros(size, dtype=np.int64)


# ---------------------------------------------------------------------------------------------------------------------------------- box


@pytest.mark.parametrize(
    ("factor", "bias", "expected"),
    [
        (3, -7, (3, 20)),
        (3, -6, (2, 20)),
        (3, 7, (-2, 20)),
        (3, 8, (-2, 20)),
        (3, 9, (-3, 20)),
        (-3, 7, (-20, 2)),
        (-3, 6, (-20, 2)),
        (-3, -7, (-20, -3)),
        (1, 0, (0, 20)),
        (-1, 0, (-20, 0)),
    ],
)
def test_box_rounds_a_bound_to_the_grid_inwards(factor: int, bias: int, expected: tuple[int, int]) -> None:
    builder = Builder()
    goal = All(builder.scale(builder.input("x", [-20], [20]), factor, bias))
    query = one(AbsorbBox(), asked(builder, goal))
    assert bounds_of(query) == [expected]
    assert query.goal == TRUE


def test_box_absorbs_a_ball_around_an_image_and_leaves_the_rest_of_the_goal() -> None:
    builder = Builder()
    image = np.arange(784) % 256
    x = builder.input("x", zeros(784), zeros(784) + 255)
    distance = builder.difference(x, builder.constant(image))
    near = [All(builder.scale(distance, sign, 4)) for sign in (1, -1)]
    total = Any(builder.affine([(linear.row_sums(1, 784), x)], -100))
    query = one(AbsorbBox(), asked(builder, And((near[0], And((total, near[1]))))))
    assert bounds_of(query) == [(max(0, p - 4), min(255, p + 4)) for p in image.tolist()]
    assert query.goal == total


def test_box_absorbs_only_the_rows_about_one_element() -> None:
    builder = Builder()
    x = builder.input("x", [0, 0], [9, 9])
    y = builder.steps(x, 0, [4])
    on_x = Dense(np.array([[2, 0], [1, 1], [0, 0], [1, -1], [0, 0]]))
    on_y = Dense(np.array([[0, 0], [0, 0], [0, 0], [-1, 1], [1, 0]]))
    query = one(AbsorbBox(), asked(builder, All(builder.affine([(on_x, x), (on_y, y)], [-5, -7, 0, 3, -1]))))
    assert bounds_of(query) == [(3, 9), (0, 9)]
    assert goal_size(query) == 3


def test_box_sees_that_terms_cancel() -> None:
    builder = Builder()
    x = builder.input("x", [0, 0], [9, 9])
    rest = builder.affine([(Dense(np.array([[1, 1]])), x), (Dense(np.array([[0, -1]])), x)], -4)
    assert bounds_of(one(AbsorbBox(), asked(builder, All(rest)))) == [(4, 9), (0, 9)]


def test_box_takes_an_any_of_one_element_and_leaves_one_of_two_and_a_disjunction() -> None:
    builder = Builder()
    x = builder.input("x", [0, 0], [9, 9])
    single, both = builder.affine([(linear.selection([0], 2), x)], -4), builder.scale(x, 1, -4)
    assert bounds_of(one(AbsorbBox(), asked(builder, Any(single)))) == [(4, 9), (0, 9)]
    for goal in (Any(both), Or((All(single), All(both)))):
        query = asked(builder, goal)
        assert one(AbsorbBox(), query) is query


@pytest.mark.parametrize("bias", [-10, -100])
def test_box_finds_that_no_value_is_left(bias: int) -> None:
    builder = Builder()
    beyond = builder.scale(builder.input("x", [0], [9]), 1, bias)
    assert one(AbsorbBox(), asked(builder, And((All(beyond), Any(0))))).goal == FALSE


def test_box_settles_constant_rows() -> None:
    builder = Builder()
    builder.input("x", [0], [9])
    good, bad = builder.constant([0, 5]), builder.constant([0, -1])
    assert one(AbsorbBox(), asked(builder, All(good))).goal == TRUE
    assert one(AbsorbBox(), asked(builder, All(bad))).goal == FALSE


# -------------------------------------------------------------------------------------------------------------------------------- offset


def test_offset_gives_a_pixel_that_moves_by_one_two_bits() -> None:
    builder = Builder()
    x = builder.input("x", [99, 7, 255], [101, 7, 255])
    (part,) = ShiftInputs().apply(asked(builder, Any(x)))
    assert bounds_of(part.query) == [(0, 2)]
    assert part.lift({"x": np.array([2])})["x"].tolist() == [101, 7, 255]
    assert part.lift({"x": np.array([[0], [1]])})["x"].tolist() == [[99, 7, 255], [100, 7, 255]]


def test_offset_makes_an_input_without_freedom_a_constant() -> None:
    builder = Builder()
    x = builder.input("x", [5, -5], [5, -5])
    (part,) = ShiftInputs().apply(asked(builder, Any(x)))
    assert not part.query.inputs
    assert part.lift({})["x"].tolist() == [5, -5]


# ---------------------------------------------------------------------------------------------------------------------------------- fold


def test_fold_dissolves_scaling_selection_and_concatenation() -> None:
    builder = Builder()
    x = builder.input("x", zeros(4), zeros(4) + 9)
    left = builder.scale(builder.select(x, [3, 0]), 5, [1, 2])
    right = builder.select(x, [2, 1])
    both = builder.affine([(linear.placement([0, 1], 4), left), (linear.placement([2, 3], 4), right)])
    last = builder.affine([(Dense(np.arange(12).reshape(3, 4)), both)], 100)
    query = one(ConeOfInfluence(), one(FoldAffine(), asked(builder, Any(last))))
    assert kinds(query) == ["Input", "Affine"]
    assert matrix(affine(query, 1)) == [[5, 3, 2, 0], [25, 7, 6, 20], [45, 11, 10, 40]]
    assert affine(query, 1).bias.tolist() == [102, 114, 126]


def test_fold_does_not_multiply_out_what_would_grow() -> None:
    builder = Builder()
    x = builder.input("x", zeros(30), zeros(30) + 9)
    narrow = builder.affine([(Dense(np.ones((2, 30))), x)])
    query = asked(builder, Any(builder.affine([(Dense(np.ones((30, 2))), narrow)])))
    assert one(FoldAffine(), query) is query


def test_fold_takes_in_a_node_that_others_read_only_where_nothing_grows() -> None:
    builder = Builder()
    y = builder.affine([(Dense(np.ones((9, 9))), builder.input("x", zeros(9), zeros(9) + 9))])
    picked = builder.select(y, [0, 1])
    query = asked(builder, And((Any(y), Any(picked))))
    assert one(FoldAffine(), query) is query
    assert kinds(one(ConeOfInfluence(), one(FoldAffine(), asked(builder, Any(picked))))) == ["Input", "Affine"]


def test_fold_does_not_fill_a_nearly_empty_matrix() -> None:
    builder = Builder()
    y = builder.affine([(Dense(np.ones((2, 2))), builder.input("x", zeros(2), zeros(2) + 9))])
    spread = builder.affine([(linear.placement([0, 99], 100), y)])
    ((m, _),) = affine(one(FoldAffine(), asked(builder, Any(spread))), 2).terms
    assert isinstance(m, Sparse)


def test_fold_never_writes_out_a_convolution() -> None:
    builder = Builder()
    image = builder.scale(builder.input("x", zeros(36), zeros(36) + 9), 2, 1)
    y = builder.affine([(Convolution(np.ones((2, 2, 1, 3)), (6, 6, 1)), image)], np.arange(75))
    query = one(FoldAffine(), asked(builder, Any(builder.affine([(linear.row_sums(1, 75), y)]))))
    assert [type(m) for n in query.program if isinstance(n, Affine) for m, _ in n.terms] == [Sparse, Convolution, Sparse]


def test_fold_dissolves_identities_and_constants_into_a_convolution() -> None:
    builder = Builder()
    same = builder.affine([(linear.identity(9), builder.input("x", zeros(9), zeros(9) + 9))])
    conv = Convolution(np.ones((2, 2, 1, 1)), (3, 3, 1))
    query = one(
        ConeOfInfluence(), one(FoldAffine(), asked(builder, Any(builder.affine([(conv, same), (conv, builder.constant(np.arange(9)))]))))
    )
    assert kinds(query) == ["Input", "Affine"]
    assert [type(m) for m, _ in affine(query, 1).terms] == [Convolution]
    assert affine(query, 1).bias.tolist() == [8, 12, 20, 24]


def test_fold_adds_up_terms_on_one_node_and_drops_those_that_cancel() -> None:
    builder = Builder()
    x = builder.input("x", [0, 0], [9, 9])
    twice = asked(builder, Any(builder.affine([(Dense(np.eye(2)), x), (linear.identity(2), x)])))
    assert matrix(affine(one(FoldAffine(), twice), 1)) == [[2, 0], [0, 2]]
    none = asked(builder, Any(builder.difference(x, x, 3)))
    assert one(ConeOfInfluence(), one(FoldAffine(), none)).inputs == {}


# --------------------------------------------------------------------------------------------------------------------------------- share


def test_share_computes_equal_layers_once() -> None:
    builder = Builder()
    x = builder.input("x", [0, 0], [99, 99])
    weights = np.array([[1, 2], [3, -4]])
    sums = [builder.affine([(Dense(w), x)], 5) for w in (weights, weights.copy(), weights + 1)]
    layers = [builder.rescale(n, 1, 4, Rounding.RND, lower=0) for n in sums]
    query = one(ConeOfInfluence(), one(CommonNodes(), asked(builder, And(tuple(Any(n) for n in layers)))))
    assert kinds(query) == ["Input", "Affine", "Affine", "Staircase", "Staircase"]
    assert query.goal == And((Any(3), Any(3), Any(4)))


X = np.array([5])
RESCALE = Staircase(0, Rescale(X, X, X, Rounding.RND, None, None))
CONVOLUTION = Affine(((Convolution(np.ones((1, 1, 1, 1)), (1, 1, 1)), 0),), X)
ALIKE: list[tuple[Node, Node]] = [
    (Affine(((Dense(X[None]), 0),), X), Affine(((Dense(X[None]), 0),), X + 1)),
    (Affine(((Dense(X[None]), 0),), X), Affine(((Dense(X[None] + 1), 0),), X)),
    (Affine(((linear.diagonal(X), 0),), X), Affine(((linear.diagonal(X + 1), 0),), X)),
    (CONVOLUTION, Affine(((Convolution(np.ones((1, 1, 1, 1)), (1, 1, 1), stride=(2, 2)), 0),), X)),
    *(
        (RESCALE, Staircase(0, replace(RESCALE.steps, **{name: X + 1})))
        for name in ("numerator", "offset", "denominator", "lower", "upper")
    ),
    (RESCALE, Staircase(0, replace(RESCALE.steps, rounding=Rounding.TRN))),
    (RESCALE, Staircase(0, Steps(X, X[None]))),
    (Staircase(0, Steps(X, X[None])), Staircase(0, Steps(X, X[None] + 1))),
    (Table(0, X * 0, np.arange(10)[None]), Table(0, X * 0, np.arange(10)[None] + 1)),
    (Table(0, X * 0, np.arange(12)[None]), Table(0, X * 0 - 1, np.arange(12)[None])),
    (Wrap(0, X, True), Wrap(0, X, False)),
    (Wrap(0, X, True), Wrap(0, X + 1, True)),
    (Maximum(0, X[None] * 0), Product(0, 0)),
]


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_share_merges_equal_nodes_and_no_others(first: Node, second: Node) -> None:
    source = Input("x", X * 0, X + 4)
    different = check(Query((source, first, second), And((Any(1), Any(2)))))
    assert one(CommonNodes(), different) is different
    for node in (first, second):
        assert one(CommonNodes(), check(Query((source, node, replace(node)), And((Any(1), Any(2)))))).goal == And((Any(1), Any(1)))


# ---------------------------------------------------------------------------------------------------------------------------------- fuse


@pytest.mark.parametrize("inner", [(None, None), (-3, 5), (7, 9), (None, 5), (-3, None)])
@pytest.mark.parametrize("outer", [(None, None), (0, 4), (0, None), (None, 6), (-9, -8)])
def test_fuse_makes_one_staircase_of_two(inner: tuple[int | None, int | None], outer: tuple[int | None, int | None]) -> None:
    builder = Builder()
    x = builder.input("x", [-50], [50])
    first = builder.rescale(x, 1, 4, Rounding.RND, lower=inner[0], upper=inner[1])
    second = builder.clamp(first, outer[0], outer[1])
    old = asked(builder, Any(second))
    query = one(FuseClamps(), old)
    points = np.arange(-50, 51)[:, None]
    new = staircase(query, second)
    assert new.argument == x
    assert value(new, points).tolist() == value(staircase(old, second), value(staircase(old, first), points)).tolist()


@pytest.mark.parametrize("case", ["the goal reads it", "a node reads it", "the other rounds", "the other shifts"])
def test_fuse_leaves_a_staircase_that_is_read_elsewhere_or_not_clamped(case: str) -> None:
    builder = Builder()
    first = builder.rescale(builder.input("x", [-50], [50]), 1, 4, Rounding.RND)
    halves, offset = 2 if case == "the other rounds" else 1, int(case == "the other shifts")
    second = builder.rescale(first, 1, halves, Rounding.RND, offset=offset, lower=0, upper=7)
    other = builder.product(first, first) if case == "a node reads it" else first if case == "the goal reads it" else second
    query = asked(builder, And((Any(second), Any(other))))
    assert one(FuseClamps(), query) is query


# -------------------------------------------------------------------------------------------------------------------------------- stairs


def random_interval(rng: np.random.Generator, size: int) -> Interval:
    lower = rng.integers(-30, 31, size)
    return Interval(lower, lower + rng.choice([0, 1, 2, 5, NARROW, 40], size))


def random_elementwise(rng: np.random.Generator, kind: str, x: Interval) -> Elementwise:
    n = x.lower.size
    match kind:
        case "steps":
            return Staircase(0, Steps(rng.integers(-3, 4, n), np.sort(rng.integers(-40, 80, (n, 5)), axis=1)))
        case "table":
            slope = rng.integers(-2, 3, (n, 1)) * np.arange(50) + rng.integers(0, 2, (n, 1)) * rng.integers(0, 2, (n, 50))
            return Table(0, x.lower - rng.integers(0, 3, n), slope)
        case "wrap":
            return Wrap(0, rng.integers(1, 8, n), bool(rng.integers(0, 2)))
        case _:
            denominator = rng.integers(1, 5, n)
            numerator = denominator * rng.integers(1, 4, n) if rng.random() < 0.7 else rng.integers(1, 9, n)
            ends = [rng.integers(-60, 0, n), rng.integers(0, 90, n)]
            low, high = (end if rng.random() < 0.5 else None for end in ends)
            return Staircase(0, Rescale(numerator, rng.integers(-9, 10, n), denominator, Rounding(kind), low, high))


ELEMENTWISE = ["steps", "table", "wrap", *(r.value for r in Rounding)]


def values_on(node: Elementwise, x: Interval, k: int) -> tuple[IntArray, IntArray]:
    """Return every point of the interval of element `k`, and the values there."""
    points = np.arange(x.lower[k], x.upper[k] + 1)
    batch = np.repeat(x.lower[None, :], points.size, axis=0)
    batch[:, k] = points
    return points, value(node, batch)[:, k]


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_lines_are_exact_and_none_is_missed(kind: str) -> None:
    rng = np.random.default_rng(ELEMENTWISE.index(kind))
    found = 0
    for _ in range(40):
        x = random_interval(rng, 8)
        node = random_elementwise(rng, kind, x)
        line = lines(node, x)
        for k in range(8):
            points, values = values_on(node, x, k)
            is_line = bool(np.all(np.diff(values, 2) == 0))
            if line.found[k]:
                assert values.tolist() == (line.slope[k] * points + line.intercept[k]).tolist()
            elif points.size <= NARROW or kind in ("table", "wrap", "TRN", "RND"):
                assert not is_line or (kind in ("TRN", "RND") and not whole_slope(node, k))
            found += bool(line.found[k]) and points.size > 2
    assert found > 20


def whole_slope(node: Elementwise, k: int) -> bool:
    assert isinstance(node, Staircase)
    assert isinstance(node.steps, Rescale)
    return node.steps.numerator[k] % node.steps.denominator[k] == 0


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_trimming_keeps_the_values_on_the_interval(kind: str) -> None:
    rng = np.random.default_rng(100 + ELEMENTWISE.index(kind))
    split = 0
    for _ in range(40):
        x = random_interval(rng, 8)
        node = random_elementwise(rng, kind, x)
        parts = trimmed(node, x)
        assert sorted(k for _, index in parts for k in index.tolist()) == list(range(8))
        for part, index in parts:
            inside = Interval(x.lower[index], x.upper[index])
            for j, k in enumerate(index.tolist()):
                assert values_on(part, inside, j)[1].tolist() == values_on(node, x, k)[1].tolist()
        split += parts[0][0] is not node
    assert split > 5 or kind == "wrap"


def test_stairs_leaves_the_undecided_elements_in_a_smaller_node() -> None:
    builder = Builder()
    x = builder.input("x", [-900, -100, 0, -700, 600], [-100, 900, 15, 800, 900])
    query = one(StableNeurons(), asked(builder, Any(builder.rescale(x, 1, 16, Rounding.TRN, lower=0, upper=31))))
    steps = [n.steps for n in query.program if isinstance(n, Staircase)]
    assert [(s.offset.size, s.lower is None, s.upper is None) for s in steps if isinstance(s, Rescale)] == [(2, False, False)]
    assert affine(query, -1).bias.tolist() == [0, 0, 0, 0, 31]


def test_stairs_drops_a_clamp_that_cannot_bind() -> None:
    builder = Builder()
    x = builder.input("x", [-900, 100, 100], [100, 900, 400])
    query = one(StableNeurons(), asked(builder, Any(builder.rescale(x, 1, 16, Rounding.TRN, lower=0, upper=31))))
    steps = [n.steps for n in query.program if isinstance(n, Staircase)]
    assert [(s.lower is None, s.upper is None) for s in steps if isinstance(s, Rescale)] == [(True, True), (True, False), (False, True)]


def test_stairs_makes_a_product_with_a_fixed_factor_affine() -> None:
    builder = Builder()
    left, right = builder.input("a", [3, 0, 1], [3, 5, 2]), builder.input("b", [0, -4, 1], [9, -4, 2])
    query = one(StableNeurons(), asked(builder, Any(builder.product(left, right))))
    sum_of = {n for _, n in affine(query, -1).terms}
    assert {left, right} < sum_of
    assert [sizes(query.program)[k] for k, n in enumerate(query.program) if type(n).__name__ == "Product"] == [1]


def test_stairs_drops_members_of_a_maximum_that_others_dominate() -> None:
    builder = Builder()
    x = builder.input("x", [0, 5, 2, 9], [4, 8, 6, 9])
    groups = [[0, 1, -1], [0, 1, 2], [0, 2, 2], [0, 1, 3]]
    query = one(StableNeurons(), asked(builder, Any(builder.maximum(x, groups))))
    (maximum,) = (n for n in query.program if isinstance(n, Maximum))
    assert sorted(map(sorted, maximum.groups.tolist())) == [[0, 2], [1, 2]]
    assert affine(query, -1).bias.tolist() == [0, 0, 0, 9]


# -------------------------------------------------------------------------------------------------------------------------------- decide


def test_decide_keeps_the_classes_that_are_open() -> None:
    builder = Builder()
    x = builder.input("x", [-5, -9, -7, -3], [3, -1, 7, -1])
    query = one(DecideGoal(), asked(builder, Any(x)))
    assert matrix(affine(query, -1)) == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert query.goal == Any(1)


@pytest.mark.parametrize(
    ("lower", "upper", "all_of", "any_of"),
    [([0, 1], [5, 5], TRUE, TRUE), ([-5, 1], [-1, 5], FALSE, TRUE), ([-5, -5], [-1, -1], FALSE, FALSE), ([-5, 0], [5, 5], None, TRUE)],
)
def test_decide_settles_what_intervals_settle(lower: list[int], upper: list[int], all_of: Formula | None, any_of: Formula | None) -> None:
    builder = Builder()
    x = builder.input("x", lower, upper)
    assert one(DecideGoal(), asked(builder, Any(x))).goal == any_of
    assert one(DecideGoal(), asked(builder, All(x))).goal == (all_of or All(1))
    mixed = one(DecideGoal(), asked(builder, Or((And((Any(x), All(x))), FALSE)))).goal
    assert mixed == (FALSE if FALSE in (all_of, any_of) else all_of or All(1))


# ---------------------------------------------------------------------------------------------------------------------------------- cone


def test_cone_removes_what_the_goal_does_not_read() -> None:
    builder = Builder()
    x, y = builder.input("x", [0, 1, 2, 3], [4, 5, 6, 7]), builder.input("y", [0], [9])
    h = builder.clamp(builder.affine([(Dense(np.array([[1, 0, 0, 2], [0, 3, 0, 0], [0, 0, 4, 0]])), x)]), 0, 9)
    builder.product(y, y)
    (part,) = ConeOfInfluence().apply(asked(builder, Any(builder.select(h, [1, 0]))))
    assert kinds(part.query) == ["Input", "Affine", "Staircase", "Affine"]
    assert bounds_of(part.query) == [(0, 4), (1, 5), (3, 7)]
    assert part.multiplicity == 5 * 10
    lifted = part.lift({"x": np.array([4, 5, 6])})
    assert {name: a.tolist() for name, a in lifted.items()} == {"x": [4, 5, 2, 6], "y": [0]}


def test_cone_writes_out_the_rows_of_a_convolution_only_if_few_are_needed() -> None:
    builder = Builder()
    x = builder.input("x", zeros(36), zeros(36) + 9)
    y = builder.affine([(Convolution(np.ones((2, 2, 1, 1)), (6, 6, 1)), x)])
    many = one(ConeOfInfluence(), asked(builder, Any(builder.select(y, np.arange(13)))))
    assert isinstance(affine(many, 1).terms[0][0], Convolution)
    few = asked(builder, Any(builder.select(y, [7])))
    assert matrix(affine(one(ConeOfInfluence(), few), 1)) == [[1, 1, 1, 1]]
    assert isinstance(affine(one(ConeOfInfluence(limit=3), few), 1).terms[0][0], Convolution)


def test_cone_settles_literals_without_elements() -> None:
    builder = Builder()
    x = builder.input("x", [0], [1])
    none = builder.select(x, zeros(0))
    query = one(ConeOfInfluence(), asked(builder, And((All(none), Or((Any(none), Any(x)))))))
    assert (kinds(query), query.goal) == (["Input"], Any(0))


# --------------------------------------------------------------------------------------------------------------------------------- split


def test_split_makes_one_query_per_way_to_violate() -> None:
    builder = Builder()
    x, y = builder.input("x", [-1, -1, -1], [1, 1, 1]), builder.input("y", [-1], [1])
    goal = And((All(y), Or((Any(x), And((All(x), All(y)))))))
    parts = Split().apply(asked(builder, goal))
    assert len(parts) == 4
    assert all(part.multiplicity is None for part in parts)
    chosen = [part.query.goal for part in parts]
    assert chosen[3] == And((All(y), All(x), All(y)))
    assert [matrix(affine(p.query, -1)) for p in parts[:3]] == [[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]]


def test_split_leaves_a_conjunction_alone() -> None:
    builder = Builder()
    query = asked(builder, All(builder.input("x", [-1, -1], [1, 1])))
    assert one(Split(), query) is query


# ------------------------------------------------------------------------------------------------------------------------------ pipeline


def test_passes_are_switched_by_name() -> None:
    names = [p.name for p in DEFAULT_PASSES]
    assert "split" not in names
    assert [p.name for p in Pipeline().without("offset", "split").passes] == [n for n in names if n != "offset"]
    assert [p.name for p in Pipeline().only("decide", "box").passes] == ["box", "decide"]
    assert Pipeline().adding("split").passes == ALL_PASSES
    assert len({p.name for p in ALL_PASSES}) == len(ALL_PASSES)


@pytest.mark.parametrize("choose", [Pipeline.without, Pipeline.only, Pipeline.adding])
def test_an_unknown_pass_is_an_error_that_names_the_known_ones(choose: object) -> None:
    assert callable(choose)
    with pytest.raises(SpecError, match=r"no such pass") as caught:
        choose(Pipeline(), "box", "boxes")
    assert caught.value.given == "boxes"
    assert "stairs" in caught.value.expected


def test_the_pipeline_records_what_each_pass_brought() -> None:
    builder = Builder()
    x = builder.input("x", zeros(3), zeros(3) + 255)
    below = All(builder.difference(builder.constant([3, 15, 0]), x))
    h = builder.affine([(Dense(np.array([[1, 1, 1], [1, -1, 0]])), builder.rescale(x, 1, 4, Rounding.RND))], -100)
    reduction = Pipeline().run(asked(builder, And((below, Any(h)))))
    box = reduction.records[0]
    assert (box.name, box.before.input_bits, box.after.input_bits) == ("box", 24, 6)
    assert reduction.decided is False


def test_the_pipeline_stops_at_one_true_part_and_drops_false_ones() -> None:
    builder = Builder()
    x = builder.input("x", [-5, -5], [5, 5])
    below = builder.input("y", [-2], [-1])
    (part,) = Pipeline().adding("split").apply(asked(builder, Or((Any(x), All(below), All(builder.product(below, below))))))
    assert part.query.goal == TRUE
    assert len(Pipeline().only("split", "decide").apply(asked(builder, Or((All(below), Any(x)))))) == 2


def test_a_true_goal_over_an_empty_domain_is_not_decided_true() -> None:
    query = Query((Input("x", np.array([1]), np.array([0])),), TRUE)
    assert Pipeline().only("fold").run(query).decided is None
    assert Pipeline().run(query).decided is False


def test_a_malformed_query_is_refused() -> None:
    builder = Builder()
    builder.input("x", [0], [1])
    with pytest.raises(InternalError, match=r"does not exist"):
        Pipeline().run(Query(builder.program, Any(1)))


class Broken:
    """A pass that leaves a query with a goal about nothing."""

    name = "broken"

    def apply(self, query: Query) -> tuple[Reduced, ...]:
        return rewritten(Query(query.program, Any(99)))


def test_the_pipeline_checks_what_a_pass_leaves() -> None:
    builder = Builder()
    query = asked(builder, Any(builder.input("x", [-1], [1])))
    with pytest.raises(InternalError, match=r"does not exist"):
        Pipeline((Broken(),)).run(query)
