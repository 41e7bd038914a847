from __future__ import annotations

import numpy as np

from qspec.bounds.layout import Layout
from qspec.bounds.tighten import bound
from qspec.deadline import NEVER
from qspec.engines.dual.proof_tree import Proof
from qspec.engines.dual.root_bounds import first_bounds, relevant, root_domain
from qspec.engines.dual.tensor_program import View, make_view
from qspec.ir.integer import All, And, Any, Formula, Query
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Dense
from qspec.ir.reference import evaluate


def seen(goal: str) -> tuple[View, View, dict[str, int]]:
    """Return the view of `x >= 1 and goal`, whole and without what the first bounds make true, and the nodes."""
    builder = Builder()
    x = builder.input("x", [-9, -9], [9, 9])
    box = builder.scale(x, 1, -1)
    code = builder.steps(builder.affine([(Dense(np.array([[2, -3]])), x)]), np.array([0]), np.array([[0, 5]]))
    out = builder.scale(code, 1, -1)
    nodes = {"x": x, "box": box, "code": code, "out": out}
    parts: dict[str, Formula] = {"other": All(out), "again": Any(box), "alone": All(box)}
    query = Query(builder.program, And((All(box), parts[goal])))
    layout = Layout.of(query.program)
    view = make_view(query.program, query.goal, layout)
    known = first_bounds(query)
    assert known is not None
    root = root_domain(query, known, view, layout, Proof(layout.total), NEVER)
    assert root is not None
    slim, domain = relevant(query, view, root)
    assert domain.facts.size == domain.main.size == slim.shape.weights
    return view, slim, nodes


def test_a_fact_that_bounds_make_true_is_left_out_with_what_only_it_depends_on():
    view, slim, nodes = seen("other")
    assert nodes["box"] in {n for n, _, _ in view.shape.facts}
    assert nodes["box"] not in {n for n, _, _ in slim.shape.facts}
    assert view.shape.ops[nodes["box"]].kind == "affine"
    assert slim.shape.ops[nodes["box"]].kind == "unused"
    assert slim.shape.ops[nodes["x"]].kind == "input"
    assert slim.shape.weights == view.shape.weights - 2


def test_a_fact_that_something_else_reads_stays():
    view, slim, _ = seen("again")
    assert slim.shape == view.shape


def test_a_goal_is_never_left_without_facts():
    view, slim, _ = seen("alone")
    assert slim.shape == view.shape


def test_bounds_of_an_inner_layer_count_where_lines_through_it_say_less():
    """A third layer, exhaustively: no value is lost, and somewhere more is known than by lines down to the inputs alone."""
    better = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        builder = Builder()
        node, width = builder.input("x", [-4] * 2, [4] * 2), 2
        for size in (4, 4, 4):
            sums, width = builder.affine([(Dense(rng.integers(-3, 4, (size, width))), node)]), size
            node = builder.steps(sums, np.zeros(size, dtype=np.int64), np.tile([-7, 6], (size, 1)))
        goal = builder.affine([(Dense(rng.integers(-3, 4, (1, 4))), node)])
        query = Query(builder.program, All(goal))
        layout = Layout.of(query.program)
        known = first_bounds(query)
        assert known is not None
        root = root_domain(query, known, make_view(query.program, query.goal, layout), layout, Proof(layout.total), NEVER)
        if root is None:
            continue
        points = np.stack(np.meshgrid(np.arange(-4, 5), np.arange(-4, 5)), axis=-1).reshape(-1, 2)
        values = evaluate(query.program, {"x": points})
        lines = bound(query.program, [goal])
        for k, value in enumerate(values[:-1]):
            assert np.all(root.known[k].lower <= value)
            assert np.all(value <= root.known[k].upper)
            better += int(np.any((root.known[k].upper - root.known[k].lower) < (lines[k].upper - lines[k].lower)))
    assert better > 0
